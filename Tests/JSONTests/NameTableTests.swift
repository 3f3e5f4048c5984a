// Names are found by their bytes, however a key writes them.

import JSON
import Testing

@Suite struct NameTableTests {
    private let names = [
        "role", "rule", "content", "name", "mane", "a", "tool_call_id", "tool_calls",
        "frequency_penalty", "presence_penalty",
    ]

    @Test func everyNameIsFoundAtItsPlace() {
        let table = NameTable(names)
        #expect(names.map { table.place(of: $0) } == Array(names.indices))
    }

    @Test(arguments: ["", "b", "rol", "roles", "Role", "rôle", "namE", "tool_call", "a\u{0}"])
    func otherNamesAreNot(_ name: String) {
        #expect(NameTable(names).place(of: name) == nil)
    }

    @Test(arguments: [
        ("role", 0), (#"r\u006fle"#, 0), (#"\u0061"#, 5), (#"\u0062"#, nil),
        (#"tool\u005fcalls"#, 7),
    ])
    func keysAreReadWithTheirEscapes(_ key: String, _ place: Int?) {
        let text = Array("\"\(key)\":1".utf8)
        let range = 1..<(key.utf8.count + 1)
        #expect(NameTable(names).place(ofKey: range, in: text.span) == place)
    }

    @Test func manyNamesShareSlots() {
        // All combinations of two letters with equal ends hash alike.
        let many = (0..<26).flatMap { first in
            (0..<4).map { middle in
                String(decoding: [97 + first, 97 + middle, 122].map { UInt8($0) }, as: UTF8.self)
            }
        }
        let table = NameTable(many)
        #expect(many.map { table.place(of: $0) } == Array(many.indices))
        #expect(table.place(of: "azz") == nil)
    }
}
