// The one line that is logged for each request.

public import Relay

/// What is known of a request once it has ended. Never holds keys, prompts or answers.
public struct RequestRecord: Sendable {
    /// The request's id, as in `x-request-id`.
    public var id: String
    /// The client's address.
    public var client: String
    /// The name of the key it used.
    public var key: String?
    /// The request's method.
    public var method: String
    /// The request's path, without the query.
    public var path: String
    /// The model the client named.
    public var model: String?
    /// The name of the backend that was asked last.
    public var backend: String?
    /// The status the client was sent; `nil` if it left before.
    public var status: Int?
    /// How it ended.
    public var ending: Ending
    /// Tokens of the prompt and of the answer, as the upstream counted them.
    public var promptTokens: Int?
    /// See `promptTokens`.
    public var completionTokens: Int?
    /// Events of the answer. Where the upstream has not counted, they stand for its tokens.
    public var events = 0
    /// The name of the key whose limits it counts against until it ends. Not logged.
    public var admittedKey: String?
    /// Milliseconds until a slot was free.
    public var queueMilliseconds: Int?
    /// Milliseconds until the upstream had accepted the connection.
    public var connectMilliseconds: Int?
    /// Milliseconds from dispatch to the first event.
    public var firstTokenMilliseconds: Int?
    /// Milliseconds from the request's arrival to its end.
    public var totalMilliseconds: Int

    /// A record with what every request has.
    public init(
        id: String, method: String, path: String, ending: Ending, totalMilliseconds: Int
    ) {
        self.id = id
        client = "-"
        self.method = method
        self.path = path
        self.ending = ending
        self.totalMilliseconds = totalMilliseconds
    }

    /// Tokens that its key is charged with. An answer that was broken off says no usage: then it is
    /// what had come of it, and the prompt is not counted.
    public var tokens: Int {
        let (input, output) = (max(0, promptTokens ?? 0), max(0, completionTokens ?? events))
        let (sum, isTooMuch) = input.addingReportingOverflow(output)
        return isTooMuch ? .max : sum
    }

    /// Tokens of the answer per second, from its first event to its end.
    public var tokensPerSecond: Double? {
        guard let completionTokens, let firstTokenMilliseconds else { return nil }
        let waited = (queueMilliseconds ?? 0) + firstTokenMilliseconds
        let milliseconds = totalMilliseconds - waited
        guard completionTokens > 1, milliseconds > 0 else { return nil }
        return Double(completionTokens - 1) * 1000 / Double(milliseconds)
    }

    private enum Value {
        case text(String)
        case number(Int)
        case decimal(Double)
    }

    /// The fields in the order they are written; absent ones are left out.
    private var fields: [(name: String, value: Value)] {
        var fields: [(String, Value)] = [("id", .text(id)), ("client", .text(client))]
        func add(_ name: String, _ text: String?) {
            if let text { fields.append((name, .text(text))) }
        }
        func add(_ name: String, _ number: Int?) {
            if let number { fields.append((name, .number(number))) }
        }
        add("key", key)
        add("method", method)
        add("path", path)
        add("model", model)
        add("backend", backend)
        add("status", status)
        add("ending", ending.rawValue)
        add("prompt_tokens", promptTokens)
        add("completion_tokens", completionTokens)
        add("queue_ms", queueMilliseconds)
        add("connect_ms", connectMilliseconds)
        add("first_token_ms", firstTokenMilliseconds)
        add("total_ms", totalMilliseconds)
        if let tokensPerSecond { fields.append(("tokens_per_second", .decimal(tokensPerSecond))) }
        return fields
    }

    /// For people: `2026-11-20T14:00:00.123Z request id=… status=200 ending=completed …`, with a
    /// line break.
    public func text(at time: WallTime) -> String {
        var line = "\(time) request"
        for (name, value) in fields {
            line += " \(name)="
            switch value {
            case .text(let text): line += text.isPlainWord ? text : quoted(text)
            case .number(let number): line += String(number)
            case .decimal(let number): line += oneDecimal(number)
            }
        }
        return line + "\n"
    }

    /// For machines: one JSON object, with a line break.
    public func json(at time: WallTime) -> String {
        var line = #"{"time":"\#(time)","level":"info","event":"request""#
        for (name, value) in fields {
            line += ",\"\(name)\":"
            switch value {
            case .text(let text): line += quoted(text)
            case .number(let number): line += String(number)
            case .decimal(let number): line += oneDecimal(number)
            }
        }
        return line + "}\n"
    }
}

/// One line that is not about a request.
public struct LogMessage: Sendable {
    /// How much it matters.
    public enum Level: String, Sendable {
        case debug, info, warning, error
    }

    /// How much it matters.
    public var level: Level
    /// What happened, in a sentence.
    public var text: String

    /// Makes a message.
    public init(_ level: Level, _ text: String) {
        self.level = level
        self.text = text
    }

    /// For people, with a line break. What would break the line, or steer a terminal, is escaped.
    public func text(at time: WallTime) -> String {
        "\(time) \(level.rawValue): \(escaped(text))\n"
    }

    /// For machines, with a line break.
    public func json(at time: WallTime) -> String {
        #"{"time":"\#(time)","level":"\#(level.rawValue)","message":\#(quoted(text))}"# + "\n"
    }
}

/// A moment for people and their machines, written as RFC 3339 in UTC.
public struct WallTime: Sendable, Comparable, CustomStringConvertible {
    private let seconds: Int
    private let milliseconds: Int

    /// The moment so long after 1970-01-01T00:00:00Z.
    public init(seconds: Int, nanoseconds: Int) {
        self.seconds = seconds
        milliseconds = nanoseconds / 1_000_000
    }

    /// Earlier is smaller.
    public static func < (left: WallTime, right: WallTime) -> Bool {
        (left.seconds, left.milliseconds) < (right.seconds, right.milliseconds)
    }

    /// `2026-11-20T14:00:00.123Z`
    public var description: String {
        let (days, second) = seconds.quotientAndRemainder(dividingBy: 86_400)
        let (year, month, day) = Self.date(days)
        func padded(_ number: Int, _ width: Int = 2) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        return "\(padded(year, 4))-\(padded(month))-\(padded(day))T"
            + "\(padded(second / 3600)):\(padded(second / 60 % 60)):\(padded(second % 60))."
            + "\(padded(milliseconds, 3))Z"
    }

    /// The date so many days after 1970-01-01, in the Gregorian calendar counted from March, so
    /// that the leap day is a year's last.
    private static func date(_ days: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * marchMonth + 2) / 5 + 1)
    }
}

extension String {
    /// Whether the text can stand in a line of `name=value` fields without quotes.
    fileprivate var isPlainWord: Bool {
        !isEmpty
            && utf8.allSatisfy { byte in
                byte > 0x20 && byte < 0x7F && byte != UInt8(ascii: "\"")
                    && byte != UInt8(ascii: "=")
            }
    }
}

/// A JSON string, quotes included.
private func quoted(_ text: String) -> String { "\"" + escaped(text, inQuotes: true) + "\"" }

/// Control characters as JSON escapes them, so that nobody's words can forge a line of the log.
/// U+2028 and U+2029 are with them: some readers split lines there.
private func escaped(_ text: String, inQuotes: Bool = false) -> String {
    var result = ""
    // Scalars and not characters: a quote with an accent on it is a quote to every reader.
    for scalar in text.unicodeScalars {
        switch scalar.value {
        case 0x22, 0x5C:
            if inQuotes { result += "\\" }
            result.unicodeScalars.append(scalar)
        case 0..<0x20, 0x7F...0x9F, 0x2028, 0x2029:
            let digits = String(scalar.value, radix: 16)
            result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result
}

/// A number with one digit after its point. The counts it is made of are an upstream's, which may
/// say anything.
private func oneDecimal(_ number: Double) -> String {
    let tenths = Int(min(number, 1e15) * 10 + 0.5)
    return "\(tenths / 10).\(tenths % 10)"
}
