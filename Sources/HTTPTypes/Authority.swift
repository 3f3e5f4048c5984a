// What a Host field names: a host and perhaps a port.

/// The value of a `Host` field, `uri-host [ ":" port ]` (RFC 9110 section 7.2, RFC 3986 section
/// 3.2), checked and taken apart in place. User information, paths, white space and empty hosts are
/// refused.
public struct Authority: Equatable, Sendable {
    /// Where the host stands in the value, square brackets included.
    public let host: Range<Int>
    /// The port, 0 to 65535; `nil` when none is given, also after a bare colon, which the grammar
    /// allows.
    public let port: UInt16?

    /// The parts of `value`, or `nil` if it is not a host with an optional port.
    public init?(_ value: Span<UInt8>) {
        // The brackets decide which colon is the port's, so they are looked for first.
        let isLiteral = value.count > 0 && value[0] == UInt8(ascii: "[")
        let end: Int
        if isLiteral {
            guard let closing = value.firstIndex(of: UInt8(ascii: "]")) else { return nil }
            guard value.extracting(1..<closing).isIPv6Address else { return nil }
            end = closing + 1
        } else {
            end = value.firstIndex(of: UInt8(ascii: ":")) ?? value.count
            guard value.extracting(0..<end).isRegisteredName else { return nil }
        }
        host = 0..<end
        guard end < value.count else {
            port = nil
            return
        }
        guard value[end] == UInt8(ascii: ":") else { return nil }
        let digits = value.extracting((end + 1)..<value.count)
        if digits.isEmpty {
            port = nil
        } else {
            guard let number = digits.decimalValue.flatMap(UInt16.init(exactly:)) else {
                return nil
            }
            port = number
        }
    }
}

extension Span where Element == UInt8 {
    /// Whether this is a non-empty `reg-name` (RFC 3986 section 3.2.2). IPv4 addresses are of this
    /// form.
    public var isRegisteredName: Bool {
        var position = 0
        while position < count {
            if self[position] == UInt8(ascii: "%") {
                guard position + 2 < count, self[position + 1].hexDigitValue != nil,
                    self[position + 2].hexDigitValue != nil
                else { return false }
                position += 3
            } else {
                guard self[position].isRegisteredName else { return false }
                position += 1
            }
        }
        return count > 0
    }

    /// Whether this is an `IPv6address` (RFC 3986 section 3.2.2), without brackets and without a
    /// zone.
    ///
    /// `IPvFuture` literals and zones (RFC 6874) are not taken: no client sends them in `Host`.
    public var isIPv6Address: Bool {
        var groups = 0
        var isShortened = false
        var position = 0
        if count >= 2, self[0] == UInt8(ascii: ":"), self[1] == UInt8(ascii: ":") {
            isShortened = true
            position = 2
        }
        while position < count {
            let end = firstIndex(of: UInt8(ascii: ":"), from: position) ?? count
            let group = extracting(position..<end)
            if end == count, group.isIPv4Address {
                groups += 2
                break
            }
            guard group.isHexGroup else { return false }
            groups += 1
            guard end < count else { break }
            position = end + 1
            // What follows a colon is a group, or the one second colon that stands for zeros.
            guard position < count else { return false }
            if self[position] == UInt8(ascii: ":") {
                guard !isShortened else { return false }
                isShortened = true
                position += 1
            }
        }
        return isShortened ? groups < 8 : groups == 8
    }

    /// Whether this is an `IPv4address` (RFC 3986 section 3.2.2): four numbers up to 255, no
    /// needless zeros.
    public var isIPv4Address: Bool {
        var numbers = 0
        var start = 0
        while start <= count {
            let end = firstIndex(of: UInt8(ascii: "."), from: start) ?? count
            let part = extracting(start..<end)
            guard part.count <= 3, let value = part.decimalValue, value <= 255 else { return false }
            guard part.count == 1 || part[0] != UInt8(ascii: "0") else { return false }
            numbers += 1
            start = end + 1
        }
        return numbers == 4
    }

    private var isHexGroup: Bool {
        for position in 0..<count where self[position].hexDigitValue == nil { return false }
        return (1...4).contains(count)
    }
}
