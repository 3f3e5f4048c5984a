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

    /// The fields in the order they are written; absent ones are left out.
    private func writeFields(into line: inout LogLine, asJSON: Bool) {
        func begin(_ name: StaticString) {
            line.append(asJSON ? ",\"" : " ")
            line.append(name)
            line.append(asJSON ? "\":" : "=")
        }
        func add(_ name: StaticString, _ text: String?) {
            guard let text else { return }
            begin(name)
            if asJSON || !text.isPlainWord {
                line.append(quoted: text)
            } else {
                line.append(plain: text)
            }
        }
        func add(_ name: StaticString, _ number: Int?) {
            guard let number else { return }
            begin(name)
            line.append(number)
        }
        add("id", id)
        add("client", client)
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
        if let tokensPerSecond {
            begin("tokens_per_second")
            line.append(oneDecimal: tokensPerSecond)
        }
    }

    /// For people: `2026-11-20T14:00:00.123Z request id=… status=200 ending=completed …`, with a
    /// line break.
    public func text(at time: WallTime) -> String {
        var line = LogLine()
        time.write(into: &line)
        line.append(" request")
        writeFields(into: &line, asJSON: false)
        line.append("\n")
        return line.text
    }

    /// For machines: one JSON object, with a line break.
    public func json(at time: WallTime) -> String {
        var line = LogLine()
        line.append("{\"time\":\"")
        time.write(into: &line)
        line.append("\",\"level\":\"info\",\"event\":\"request\"")
        writeFields(into: &line, asJSON: true)
        line.append("}\n")
        return line.text
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
        var line = LogLine()
        line.append(plain: "\(time) \(level.rawValue): ")
        line.append(escaped: text)
        line.append("\n")
        return line.text
    }

    /// For machines, with a line break.
    public func json(at time: WallTime) -> String {
        var line = LogLine()
        line.append(plain: #"{"time":"\#(time)","level":"\#(level.rawValue)","message":"#)
        line.append(quoted: text)
        line.append("}\n")
        return line.text
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
        var line = LogLine()
        write(into: &line)
        return line.text
    }

    func write(into line: inout LogLine) {
        let (days, second) = seconds.quotientAndRemainder(dividingBy: 86_400)
        let (year, month, day) = Self.date(days)
        line.append(year, digits: 4)
        line.append("-")
        line.append(month, digits: 2)
        line.append("-")
        line.append(day, digits: 2)
        line.append("T")
        line.append(second / 3600, digits: 2)
        line.append(":")
        line.append(second / 60 % 60, digits: 2)
        line.append(":")
        line.append(second % 60, digits: 2)
        line.append(".")
        line.append(milliseconds, digits: 3)
        line.append("Z")
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
