// Which path leads where, and what becomes of percent-encoded names.

import Testing

@testable import SluiceServer

@Suite struct Paths {
    static let table: KeyValuePairs<String, Endpoint?> = [
        "/": .about,
        "/health": .health,
        "/ready": .ready,
        "/v1/chat/completions": .chatCompletions,
        "/chat/completions": .chatCompletions,
        "/v1/models": .models,
        "/models": .models,
        "/v1/models/qwen3": .model("qwen3"),
        "/models/qwen3": .model("qwen3"),
        // Names with slashes and colons, encoded or not.
        "/v1/models/llama3:8b": .model("llama3:8b"),
        "/v1/models/llama3%3A8b": .model("llama3:8b"),
        "/v1/models/hf.co/some/model:Q4_K_M": .model("hf.co/some/model:Q4_K_M"),
        "/v1/models/hf.co%2Fsome%2fmodel:Q4_K_M": .model("hf.co/some/model:Q4_K_M"),
        "/v1/models/qwen3/": .model("qwen3/"),
        "/v1/models/100%25": .model("100%"),
        "/v1/models/gr%C3%B6%C3%9Fe": .model("größe"),
        "/v1/models/a+b": .model("a+b"),
        // A slash at the end is another path.
        "/v1/chat/completions/": nil,
        "/v1/models/": nil,
        "/models/": nil,
        "/health/": nil,
        // What is no path of ours.
        "": nil,
        "//": nil,
        "/v1": nil,
        "/v1/": nil,
        "/V1/models": nil,
        "/v1/v1/models": nil,
        "/v1/chat": nil,
        "/v2/chat/completions": nil,
        "/v1%2Fmodels": nil,
        "health": nil,
        "*": nil,
        // Broken encodings.
        "/v1/models/a%": nil,
        "/v1/models/a%2": nil,
        "/v1/models/a%2G": nil,
        "/v1/models/a%+1": nil,
        "/v1/models/%FF": nil,
        "/v1/models/%C3": nil,
    ]

    @Test(arguments: table.map(\.key))
    func leadSomewhereOrNowhere(_ path: String) throws {
        let row = try #require(Self.table.first { $0.key == path })
        #expect(Endpoint(path: path) == row.value)
    }

    @Test func takeTheirMethodsAndNoOthers() {
        #expect(Endpoint.chatCompletions.methods == [.post])
        for endpoint in [Endpoint.models, .model("a"), .health, .ready, .about] {
            #expect(endpoint.methods == [.get, .head])
        }
    }
}

@Suite struct PercentEncoding {
    @Test func isUndoneByteByByte() {
        #expect(percentDecoded("") == "")
        #expect(percentDecoded("plain") == "plain")
        #expect(percentDecoded("%41%62%7e") == "Ab~")
        #expect(percentDecoded("%25%34%31") == "%41")
        #expect(percentDecoded("%e2%82%ac") == "€")
        #expect(percentDecoded("+") == "+")
    }

    /// Every pair of bytes after a percent sign is either two hexadecimal digits or a mistake.
    @Test func takesHexadecimalDigitsAndNothingElse() {
        let digits = Array("0123456789abcdefABCDEF".utf8)
        for first in UInt8(0x20)..<0x7F {
            for second in UInt8(0x20)..<0x7F {
                let text = "%" + String(decoding: [first, second], as: UTF8.self)
                // A first digit from 8 on would not be UTF-8 on its own.
                let isASCII = (UInt8(ascii: "0")...UInt8(ascii: "7")).contains(first)
                let isFit = isASCII && digits.contains(second)
                #expect((percentDecoded(text[...]) != nil) == isFit, "\(text)")
            }
        }
    }
}
