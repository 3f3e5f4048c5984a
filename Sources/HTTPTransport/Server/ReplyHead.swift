// The head of an answer, written as bytes.

internal import CLibevent
internal import Framing
internal import Glibc
internal import HTTPTypes

/// Writes heads of answers (RFC 9112, section 4).
///
/// evhttp's own way (`evhttp_add_header`, `evhttp_send_reply_start`) copies each field twice and
/// formats it by `printf`: the head of a stream took 31,600 instructions that way.
struct ReplyHead {
    /// The whole head, once `end` was called.
    private(set) var bytes: [UInt8] = []

    /// Begins with the status line.
    init(status: Int) {
        bytes.reserveCapacity(512)
        append("HTTP/1.1 ")
        append(number: status)
        append(" ")
        append(Status(rawValue: status).reasonPhrase)
        append("\r\n")
    }

    /// Adds a field. One whose name or value holds a line break, or any other control character but
    /// a tab, is left out (RFC 9110, section 5.5): it could be read as another field.
    mutating func add(_ name: String, _ value: String) {
        let start = bytes.count
        append(joining: name, value)
        // Without its end.
        let end = bytes.count - 2
        if bytes.span.endOfFieldContent(from: start, to: end) < end {
            bytes.removeLast(bytes.count - start)
        }
    }

    /// Adds the length of the body that follows.
    mutating func add(contentLength: Int) {
        append("Content-Length: ")
        append(number: contentLength)
        append("\r\n")
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

    /// Appends a field's line by one growth of the array, which is most of what an append costs.
    private mutating func append(joining name: String, _ value: String) {
        let count = name.utf8.count + value.utf8.count + 4
        bytes.append(addingCapacity: count) { output in
            output.append(text: name)
            output.append(text: ": ")
            output.append(text: value)
            output.append(text: "\r\n")
        }
    }

    private mutating func append(number: Int) { bytes.append(contentsOf: String(number).utf8) }
}

extension OutputSpan<UInt8> {
    /// Appends text, for which there must be room.
    fileprivate mutating func append(text: String) {
        unsafe withUnsafeMutableBufferPointer { buffer, initializedCount in
            let room = unsafe UnsafeMutableBufferPointer(rebasing: buffer[initializedCount...])
            // It says how many it has written.
            initializedCount += unsafe room.initialize(fromContentsOf: text.utf8)
        }
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
