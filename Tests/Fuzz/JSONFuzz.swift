// JSON: the scanner agrees with the reference grammar; what it accepts can be walked and written.
// needs: Tests/JSONTests/ReferenceGrammar.swift
// needs: Tests/JSONTests/IndexAgreement.swift

import JSON

@_cdecl("LLVMFuzzerTestOneInput")
func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = input(start, count)
    do {
        let value = try JSONText(bytes, depthLimit: 64)
        require(ReferenceGrammar.accepts(bytes), "accepted, but is no JSON")
        walk(value)
        let levels = count % 8
        let index = try JSONIndex(bytes, depthLimit: 64, indexedDepth: levels)
        require(agrees(index, index.root, with: value, levels: levels), "indexed otherwise")
        var escaped: [UInt8] = []
        escaped.appendEscapingLineSeparators(bytes.span)
        // Outside of strings there are no line separators, so it must still be JSON.
        require((try? JSONText(escaped, depthLimit: 64)) != nil, "broken by escaping")
    } catch JSONError.tooDeep {
        // The reference knows no limit.
    } catch {
        require(!ReferenceGrammar.accepts(bytes), "refused, but is JSON")
        require((try? JSONIndex(bytes, depthLimit: 64, indexedDepth: 8)) == nil, "indexed")
    }
    return 0
}

/// Reads everything there is to read; strings must survive being written and read again.
private func walk(_ value: JSONText) {
    for member in value.members {
        walk(member.key)
        walk(member.value)
    }
    value.elements.forEach(walk)
    _ = (value.int, value.double, value.bool, value.isNull)
    guard let text = value.string else { return }
    require(value.isString(text), "is not its own text")
    var written: [UInt8] = []
    written.appendJSONString(text)
    require((try? JSONText(written))?.decodedBytes == Array(text.utf8), "not read back")
}
