// The characters of names that can stand anywhere: in header fields, labels and log lines.

/// Whether `text` has nothing but ASCII letters, digits, dots, dashes and underscores.
public func hasPlainCharacters(_ text: some StringProtocol) -> Bool {
    text.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"),
            UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
