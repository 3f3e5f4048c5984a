// Names that may stand where a client's or an upstream's text may not.

/// Whether `name` has 1 to `limit` letters, digits, dots, dashes and underscores, all of ASCII: such
/// a one can stand in a header field, or in an `event:` line.
func isPlainName(_ name: String, limit: Int) -> Bool {
    (1...limit).contains(name.utf8.count)
        && name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."),
                UInt8(ascii: "-"):
                true
            default: false
            }
        }
}
