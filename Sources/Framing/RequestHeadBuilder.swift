// Builds one checked head from the lines of a request.

import HTTPTypes

/// Takes a request line, then field lines, then makes the head. Each line is checked and kept when it
/// is complete, so nothing is kept twice and nothing is read again.
struct RequestHeadBuilder: Sendable {
    private let limits: RequestLimits
    private var method = Method.get
    private var target = ""
    private var isHTTP10 = false
    private var text: [UInt8] = []
    // How much of `text` is for the server behind.
    private var headBytes = 0
    private var fields: [RequestField] = []
    // As received, dropped fields and white space included: the limit is on what a client may send.
    private var lineBytes = 0
    private var fieldCount = 0
    private var contentLength: Int?
    private var seen: Seen = []

    /// What the fields read so far have said.
    private struct Seen: OptionSet {
        let rawValue: UInt16
        static let host = Seen(rawValue: 1)
        static let chunked = Seen(rawValue: 1 << 1)
        static let otherCodings = Seen(rawValue: 1 << 2)
        static let continueExpected = Seen(rawValue: 1 << 3)
        static let otherExpectation = Seen(rawValue: 1 << 4)
        static let close = Seen(rawValue: 1 << 5)
        static let keepAlive = Seen(rawValue: 1 << 6)
        static let upgradeOption = Seen(rawValue: 1 << 7)
        static let webSocket = Seen(rawValue: 1 << 8)
    }

    init(limits: RequestLimits) { self.limits = limits }

    /// The first `Origin` read so far.
    var origin: String? { fields.value(of: "origin", in: text) }

    /// What is left for the next field line.
    var roomForField: RequestLineCollector.Room {
        .init(bytes: limits.head - lineBytes - 2, excess: .headTooLarge(limitBytes: limits.head))
    }

    /// Takes the request line (RFC 9112 section 3).
    mutating func readRequestLine(_ line: Span<UInt8>) throws(RequestRefusal) {
        lineBytes = line.count + 2
        guard lineBytes <= limits.head else { throw .headTooLarge(limitBytes: limits.head) }
        let space = UInt8(ascii: " ")
        // Section 3 allows lenient readers to divide at any white space; that is how two readers
        // come to see two different targets, so there must be exactly two spaces here.
        guard let first = line.firstIndex(of: space),
            let second = line.firstIndex(of: space, from: first + 1),
            line.firstIndex(of: space, from: second + 1) == nil, first > 0, second > first + 1
        else { throw .malformedRequestLine }
        let methodName = line.extracting(0..<first)
        guard methodName.isHTTPToken else { throw .malformedMethod }
        // The version before the method's meaning: whoever does not speak HTTP/1 is told so, and is
        // not told to try another method.
        isHTTP10 = try Self.isHTTP10(line.extracting((second + 1)..<line.count))
        guard let known = Method(methodName) else { throw .methodNotImplemented }
        method = known
        let targetBytes = line.extracting((first + 1)..<second)
        try Self.checkTarget(targetBytes, of: known)
        target = targetBytes.text

        // The heads of the SDKs are 400 to 900 bytes, in up to 16 fields. With its own head this just
        // stays below what malloc has at hand at once.
        text.reserveCapacity(960)
        fields.reserveCapacity(16)
        text.append(bytes: line.extracting(0...second))
        text.append(bytes: "HTTP/1.1\r\n\r\n")
        headBytes = text.count
    }

    /// Takes a field line that is not empty.
    mutating func readField(_ line: Span<UInt8>) throws(RequestRefusal) {
        lineBytes += line.count + 2
        fieldCount += 1
        guard fieldCount <= limits.headFields else {
            throw .tooManyFields(limit: limits.headFields)
        }
        let field = try RequestFieldLine(line)
        let value = line.extracting(field.value)
        switch RequestFieldLine.Role(of: line.extracting(field.name)) {
        case .endToEnd:
            fields.append(RequestField(field, at: text.count))
            text.append(bytes: line)
        case .host:
            guard seen.insert(.host).inserted else { throw .repeatedHost }
            guard Authority(value) != nil else { throw .malformedHost }
            fields.append(RequestField(field, at: text.count))
            text.append(bytes: line)
        // From here on, fields that end with this hop: read, and not kept.
        case .contentLength: try readContentLength(value)
        case .transferEncoding: try readTransferEncoding(value)
        case .connection: try readConnection(value)
        case .expect: readExpect(value)
        case .upgrade: readUpgrade(value)
        case .thisConnection: break
        }
    }

    /// Makes the head once its last line is in. What only the whole can tell is checked here: first
    /// what makes the head unreadable (400), then what is readable but cannot be done.
    mutating func finish() throws(RequestRefusal) -> RequestHead {
        if !isHTTP10, !seen.contains(.host) { throw .missingHost }
        if seen.contains(.otherCodings) { throw .transferCodingNotImplemented }
        if seen.contains(.otherExpectation) { throw .expectationFailed }
        let length = contentLength ?? 0
        guard length <= limits.body else { throw .bodyTooLarge(limitBytes: limits.body) }
        let body: BodyFraming =
            seen.contains(.chunked) ? .chunked : length > 0 ? .length(length) : .none

        // RFC 9110 section 7.8: a server must ignore Upgrade in HTTP/1.0.
        let upgrades = seen.contains(.upgradeOption) && !isHTTP10
        return RequestHead(
            method: method, target: target, text: text, lineBytes: headBytes, fields: fields,
            isHTTP10: isHTTP10,
            keepsAlive: !seen.contains(.close) && (!isHTTP10 || seen.contains(.keepAlive)),
            // Section 10.1.1: the expectation must be ignored in HTTP/1.0, and means nothing
            // without a body.
            expectsContinue: seen.contains(.continueExpected) && !isHTTP10 && body != .none,
            wantsUpgrade: upgrades && seen.contains(.webSocket), body: body)
    }

    // MARK: - The request line

    private static func isHTTP10(_ version: Span<UInt8>) throws(RequestRefusal) -> Bool {
        if version.equals("HTTP/1.1") { return false }
        if version.equals("HTTP/1.0") { return true }
        throw .unsupportedVersion
    }

    /// Origin-form, or `*` with OPTIONS. Absolute-form, which section 3.2.2 wants servers to take,
    /// is refused: only proxies get it, and its host would compete with the `Host` field that
    /// access is decided by.
    private static func checkTarget(
        _ target: Span<UInt8>, of method: Method
    ) throws(RequestRefusal) {
        if method == .options, target.equals("*") { return }
        let slash = UInt8(ascii: "/")
        // The server behind would take what follows a double slash for a host and drop it from the
        // path.
        guard target[0] == slash, target.count == 1 || target[1] != slash else {
            throw .malformedTarget
        }
        for i in 0..<target.count where !target[i].isHTTPTarget { throw .malformedTarget }
    }

    // MARK: - Fields with a meaning here

    private mutating func readContentLength(_ value: Span<UInt8>) throws(RequestRefusal) {
        // RFC 9112 section 6.3 lets equal duplicates pass; nobody honest sends them, so they do
        // not.
        guard contentLength == nil else { throw .repeatedContentLength }
        guard let length = value.decimalValue else { throw .malformedContentLength }
        guard seen.isDisjoint(with: [.chunked, .otherCodings]) else {
            throw .contentLengthWithTransferEncoding
        }
        contentLength = length
    }

    private mutating func readTransferEncoding(_ value: Span<UInt8>) throws(RequestRefusal) {
        guard !isHTTP10 else { throw .transferEncodingInHTTP10 }
        // Two fields would be one list, but readers that look at the first or the last only are
        // known; no client needs two.
        guard seen.isDisjoint(with: [.chunked, .otherCodings]) else {
            throw .malformedTransferEncoding
        }
        guard contentLength == nil else { throw .contentLengthWithTransferEncoding }
        if value.equalsIgnoringCase("chunked") {
            seen.insert(.chunked)
        } else {
            try Self.checkCodings(value)
            seen.insert(.otherCodings)
        }
    }

    /// Passes a list of codings that ends with its only `chunked`: such a body can be told from
    /// what follows it, and the answer is that we do not do that (501, RFC 9112 section 6.1). Any
    /// other is unreadable (400, 6.3).
    private static func checkCodings(_ value: Span<UInt8>) throws(RequestRefusal) {
        var others = 0
        var endsWithChunked = false
        try value.forEachListElement { coding throws(RequestRefusal) in
            guard coding.isHTTPToken, !endsWithChunked else { throw .malformedTransferEncoding }
            endsWithChunked = coding.equalsIgnoringCase("chunked")
            if !endsWithChunked { others += 1 }
        }
        guard others > 0, endsWithChunked else { throw .malformedTransferEncoding }
    }

    private mutating func readConnection(_ value: Span<UInt8>) throws(RequestRefusal) {
        // Other fields named here are kept: section 7.6.1 wants them dropped before forwarding, and
        // nothing that a client sends is forwarded. Dropping them would let `Connection: host` undo
        // a check.
        var options = seen
        try value.forEachListElement { option throws(RequestRefusal) in
            guard option.isHTTPToken else { throw .malformedConnection }
            if option.equalsIgnoringCase("close") { options.insert(.close) }
            if option.equalsIgnoringCase("keep-alive") { options.insert(.keepAlive) }
            if option.equalsIgnoringCase("upgrade") { options.insert(.upgradeOption) }
        }
        seen = options
    }

    private mutating func readExpect(_ value: Span<UInt8>) {
        seen.insert(
            value.equalsIgnoringCase("100-continue") ? .continueExpected : .otherExpectation)
    }

    private mutating func readUpgrade(_ value: Span<UInt8>) {
        var namesWebSocket = false
        value.forEachListElement { `protocol` in
            if `protocol`.equalsIgnoringCase("websocket") { namesWebSocket = true }
        }
        if namesWebSocket { seen.insert(.webSocket) }
    }
}
