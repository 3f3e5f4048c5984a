// A second, naive reader of request heads, to lay beside the strict one.

import Framing
import HTTPTypes

/// Cuts a head at CRLF, spaces and colons and believes everything. It shares no code with the
/// parser under test.
struct PlainHead {
    let method: String
    let target: String
    let version: String
    let fields: [HeaderField]

    /// Takes the next head, after empty lines, off the front of `bytes`.
    init?(_ bytes: inout ArraySlice<UInt8>) {
        while bytes.starts(with: [13, 10]) { bytes = bytes.dropFirst(2) }
        var lines: [[UInt8]] = []
        while let line = Self.line(&bytes), !line.isEmpty { lines.append(line) }
        guard let first = lines.first else { return nil }
        let parts = first.split(separator: 32, omittingEmptySubsequences: false)
        guard parts.count == 3 else { return nil }
        method = Self.text(parts[0])
        target = Self.text(parts[1])
        version = Self.text(parts[2])
        var fields: [HeaderField] = []
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: 58) else { return nil }
            var value = line[(colon + 1)...]
            while let byte = value.first, byte == 32 || byte == 9 { value = value.dropFirst() }
            while let byte = value.last, byte == 32 || byte == 9 { value = value.dropLast() }
            fields.append(HeaderField(name: Self.text(line[..<colon]), value: Self.text(value)))
        }
        self.fields = fields
    }

    /// A head and nothing behind it.
    init?(_ bytes: ArraySlice<UInt8>) {
        var bytes = bytes
        self.init(&bytes)
        guard bytes.isEmpty else { return nil }
    }

    private static func line(_ bytes: inout ArraySlice<UInt8>) -> [UInt8]? {
        for i in bytes.indices.dropLast() where bytes[i] == 13 && bytes[i + 1] == 10 {
            defer { bytes = bytes[(i + 2)...] }
            return Array(bytes[..<i])
        }
        return nil
    }

    /// Latin-1, so that every byte has its own character.
    private static func text(_ bytes: ArraySlice<UInt8>) -> String {
        String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) }))
    }

    private func values(of name: String) -> [String] {
        fields.filter { $0.name.lowercased() == name }.map(\.value)
    }

    /// Whether the ways to tell the body's end are more than one, or not the plain ones.
    var isAmbiguous: Bool {
        let lengths = values(of: "content-length")
        let codings = values(of: "transfer-encoding")
        return lengths.count + codings.count > 1
            || !lengths.allSatisfy { $0.allSatisfy("0123456789".contains) }
            || !codings.allSatisfy { $0.lowercased() == "chunked" }
            || values(of: "host").count > 1
    }

    /// The fields that should be kept of this head.
    var expectedFields: [HeaderField] {
        let left = [
            "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding",
            "content-length", "expect", "http2-settings", "upgrade",
        ]
        return fields.filter { !left.contains($0.name.lowercased()) }
    }

    /// Takes a complete body off the front of `bytes`; false if it is not the one that was handed
    /// on.
    func skipBody(of request: RequestRun.Request, in bytes: inout ArraySlice<UInt8>) -> Bool {
        guard values(of: "transfer-encoding").isEmpty else {
            var body: [UInt8] = []
            while let line = Self.line(&bytes) {
                let digits = Self.text(line.prefix { $0 != 59 && $0 != 32 && $0 != 9 })
                guard let size = Int(digits, radix: 16), bytes.count >= size else { return false }
                body += bytes.prefix(size)
                bytes = bytes.dropFirst(size)
                guard size > 0 else { break }
                guard Self.line(&bytes) == [] else { return false }
            }
            while let trailer = Self.line(&bytes), !trailer.isEmpty {}
            return body == request.body
        }
        let length = values(of: "content-length").first.flatMap { Int($0) } ?? 0
        defer { bytes = bytes.dropFirst(length) }
        return Array(bytes.prefix(length)) == request.body
    }
}
