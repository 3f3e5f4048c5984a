// `sluice top` as text: the figures of the live page for a terminal.

internal import JSON

/// Writes the figures that /ui/api/state tells.
struct TopText {
    private let state: JSONText

    init(_ state: JSONText) { self.state = state }

    /// Lines that end at `width`, at most `height` of them; `nil`: as long and as many as there is
    /// to say.
    func lines(width: Int?, height: Int?) -> [String] {
        var lines = [headline(width: width), ""] + backends() + [""] + requests(width: width)
        if let height, lines.count > height {
            let hidden = lines.count - height + 1
            lines = Array(lines.prefix(height - 1)) + ["… and \(hidden) more"]
        }
        guard let width else { return lines }
        return lines.map { String($0.prefix(width)) }
    }

    private func headline(width: Int?) -> String {
        let figures =
            "Sluice \(word("version", of: state))   \(number("in_flight", of: state)) in flight   "
            + "\(number("queued", of: state)) queued   "
            + "\(number("tokens_per_second", of: state)) tokens/s   "
        let room = min(60, max(0, (width ?? 100) - figures.count))
        return figures + Self.spark(state["history"]?.elements.compactMap(\.double) ?? [], room)
    }

    /// The last points as blocks of eight heights; the highest of them fills its line.
    static func spark(_ points: [Double], _ room: Int) -> String {
        let shown = points.suffix(room)
        guard let peak = shown.max(), peak > 0 else { return "" }
        let blocks = Array("▁▂▃▄▅▆▇█")
        return String(shown.map { blocks[min(7, Int($0 / peak * 7.99))] })
    }

    private func backends() -> [String] {
        let rows = (state["backends"]?.elements ?? []).map { backend in
            let total = backend["slots"]?["total"]?.int.map { "/\($0)" } ?? ""
            let each = backend["slots"]?["per"] == nil ? "" : " each"
            return [
                word("name", of: backend), word("kind", of: backend), word("state", of: backend),
                number("used", of: backend["slots"]) + total + each,
                number("queued", of: backend), number("models", of: backend),
                word("reason", of: backend),
            ]
        }
        return Self.table(
            ["BACKEND", "KIND", "STATE", "SLOTS", "QUEUED", "MODELS", ""], rows, numbers: [4, 5])
    }

    private func requests(width: Int?) -> [String] {
        let rows = (state["requests"]?.elements ?? []).map { request in
            [
                word("phase", of: request), word("model", of: request),
                word("backend", of: request),
                request["key"] == nil ? word("client", of: request) : word("key", of: request),
                number("tokens", of: request), number("tokens_per_second", of: request),
                time("first_token_ms", of: request), time("total_ms", of: request),
                word("id", of: request),
            ]
        }
        guard !rows.isEmpty else { return ["Nothing is running."] }
        let names = [
            "PHASE", "MODEL", "BACKEND", "FROM", "TOKENS", "TOKENS/S", "FIRST", "TIME", "ID",
        ]
        let hidden = (state["in_flight"]?.int ?? rows.count) - rows.count
        return Self.table(names, Self.narrowed(rows, names, to: width), numbers: [4, 5, 6, 7])
            + (hidden > 0 ? ["… and \(hidden) more"] : [])
    }

    // MARK: - Parts

    /// The rows with shorter names of models, so that a table with these names fits: numbers that
    /// are cut would be others.
    private static func narrowed(
        _ rows: [[String]], _ names: [String], to width: Int?
    ) -> [[String]] {
        let model = 1
        let table = table(names, rows, numbers: [])
        let longest = rows.map { $0[model].count }.max() ?? 0
        guard let width, let excess = table.map(\.count).max().map({ $0 - width }), excess > 0
        else {
            return rows
        }
        let room = max(8, longest - excess)
        return rows.map { row in
            var row = row
            if row[model].count > room { row[model] = row[model].prefix(room - 1) + "…" }
            return row
        }
    }

    /// Columns as wide as what is in them; numbers stand at the right.
    static func table(_ names: [String], _ rows: [[String]], numbers: Set<Int>) -> [String] {
        let all = [names] + rows
        let widths = names.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        return all.map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                let room = String(repeating: " ", count: widths[column] - cell.count)
                if column > 0 { line += "  " }
                line += numbers.contains(column) ? room + cell : cell + room
            }
            while line.last == " " { line.removeLast() }
            return line
        }
    }

    /// A text for a terminal: what would steer it, or turn its writing around, is taken out. Names
    /// are others' words.
    private func word(_ name: String, of object: JSONText) -> String {
        guard let text = object[name]?.string else { return "" }
        return String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { scalar in
                    switch scalar.properties.generalCategory {
                    case .control, .format, .lineSeparator, .paragraphSeparator: "?"
                    default: scalar
                    }
                }))
    }

    /// A number as it was written; a dash where there is none.
    private func number(_ name: String, of object: JSONText?) -> String {
        guard let value = object?[name], value.kind == .number else { return "-" }
        return value.description
    }

    private func time(_ name: String, of object: JSONText) -> String {
        guard let milliseconds = object[name]?.int else { return "-" }
        if milliseconds < 1000 { return "\(milliseconds)ms" }
        let seconds = milliseconds / 1000
        if seconds < 60 { return "\(seconds).\(milliseconds % 1000 / 100)s" }
        return seconds < 3600
            ? "\(seconds / 60)m\(seconds % 60)s" : "\(seconds / 3600)h\(seconds / 60 % 60)m"
    }
}
