// Names of fields that servers written in Go take for others.

/// Whether `name` is of lower-case letters, digits and underscores only, as the fields of every API
/// here are.
func isPlainFieldName(_ name: String) -> Bool {
    name.utf8.allSatisfy { byte in
        byte == UInt8(ascii: "_")
            || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
            || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}

/// The name that Go's JSON reads `name` for: without regard to case, and with the two letters beyond
/// ASCII that Unicode folds into it.
private func folded(_ name: String) -> String {
    var folded = String.UnicodeScalarView()
    for scalar in name.unicodeScalars {
        switch scalar {
        case "A"..."Z": folded.append(Unicode.Scalar(UInt8(scalar.value + 0x20)))
        case "\u{17F}": folded.append("s")
        case "\u{212A}": folded.append("k")
        default: folded.append(scalar)
        }
    }
    return String(folded)
}

extension RequestParameters {
    /// The names that such a server would take for those of fields that matter, and which are not to
    /// be sent on: `Model` could name another model than the one the client may use, and the last of
    /// several counts there.
    ///
    /// `isField` says whether the API has a field of that name. llama-server reads names as they are.
    func lookalikes(for target: RequestTarget, isField: (String) -> Bool) -> [String] {
        guard target.kind != .llamaServer else { return [] }
        return entries.map(\.name).filter { name in
            guard !isPlainFieldName(name) else { return false }
            let meant = folded(name)
            guard meant != name else { return false }
            return meant == "model" || meant == "stream" || isField(meant)
                || target.rules.concern(meant)
        }
    }
}

extension ParameterRules {
    /// Whether any rule is about `name`, under this name.
    fileprivate func concern(_ name: String) -> Bool {
        drops.contains(name)
            || [defaults, sets, caps].contains { $0.contains { $0.name == name } }
    }
}
