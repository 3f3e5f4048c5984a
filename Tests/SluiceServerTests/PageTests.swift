// The live page: its paths, who may ask, what is kept for it, and the files it is made of.

import Configuration
import Observability
import TestSupport
import Testing

@testable import SluiceServer

@Suite struct PathsOfThePage {
    static let table: KeyValuePairs<String, Endpoint?> = [
        "/ui": .page(.file(.document)),
        "/ui/app.js": .page(.file(.script)),
        "/ui/style.css": .page(.file(.style)),
        "/ui/icon.svg": .page(.file(.icon)),
        "/ui/api/state": .page(.state),
        "/ui/api/events": .page(.events),
        "/ui/api/requests/0-1/stop": .page(.stop("0-1")),
        "/ui/": nil,
        "/ui/api": nil,
        "/ui/app.js/": nil,
        "/ui/../ui": nil,
        "/uix": nil,
        "/ui/api/requests": nil,
        "/ui/api/requests//stop": nil,
        "/ui/api/requests/0-1": nil,
        "/ui/api/requests/0-1/stop/": nil,
        "/ui/api/requests/0-1/0-2/stop": nil,
        "/v1/ui": nil,
    ]

    @Test(arguments: table.map(\.key))
    func leadSomewhereOrNowhere(_ path: String) throws {
        let row = try #require(Self.table.first { $0.key == path })
        #expect(Endpoint(path: path) == row.value)
    }

    @Test func changeNothingByGet() {
        #expect(PagePath.stop("0-1").methods == [.post])
        #expect(PagePath.events.methods == [.get])
        for path in [PagePath.state, .file(.document)] { #expect(path.methods == [.get, .head]) }
    }

    @Test func areThereUnlessTheSettingSaysNo() {
        let off = configuration { $0.ui = false }
        #expect(Endpoint.page(.state).isThere(configuration()))
        #expect(!Endpoint.page(.state).isThere(off))
        #expect(!Endpoint.page(.file(.document)).isThere(off))
        #expect(Endpoint.models.isThere(off))
    }

    @Test func nameRequestsByWorkerAndNumber() {
        for (text, ticket) in [("0-1", 1), ("3-20", 3 << 48 | 20), ("255-0", 255 << 48)] {
            #expect(PageID(text)?.ticket == UInt64(ticket))
            #expect(PageID(UInt64(ticket)).text == text)
        }
        for wrong in ["", "-", "1", "0-", "-1", "0-1-2", "0-x", "65536-1", "0-281474976710656"] {
            #expect(PageID(wrong) == nil, "\(wrong)")
        }
    }
}

@Suite struct WhoMayLookAtThePage {
    private func isRefused(
        _ policy: AccessPolicy, host: String? = "127.0.0.1:8484", origin: String? = nil,
        site: String? = nil
    ) -> Bool {
        let page = caller { ($0.host, $0.origin) = (host, origin) }
        return policy.refusePage(page, site: site)?.code == .forbidden
    }

    @Test func toolsMay() {
        #expect(!isRefused(policy()))
        #expect(!isRefused(policy(), host: nil))
        #expect(!isRefused(policy(), site: "none"))
    }

    @Test func itsOwnPageMay() {
        #expect(!isRefused(policy(), origin: "http://127.0.0.1:8484", site: "same-origin"))
        // Older browsers and plain addresses in the network send no more than this.
        #expect(!isRefused(policy(), origin: "http://127.0.0.1:8484"))
        #expect(!isRefused(policy(), host: "Box.localhost", origin: "https://box.localhost"))
        // A proxy in front has changed the name; the browser knows better.
        #expect(!isRefused(policy(), origin: "https://ai.example.com", site: "same-origin"))
    }

    @Test(arguments: [
        "http://localhost:3000", "http://127.0.0.1:3000", "https://127.0.0.1:8485", "null",
        "app://obsidian.md", "https://evil.example", "http://127.0.0.1:8484.evil.example",
    ])
    func noOtherMayEvenIfItMayChat(_ origin: String) {
        #expect(isRefused(policy { $0.corsOrigins = ["*", origin] }, origin: origin))
        #expect(
            isRefused(
                policy { $0.keys = [KeySettings(name: "a", key: Secret("k"))] }, origin: origin))
    }

    @Test(arguments: ["same-site", "cross-site", ""])
    func whatTheBrowserSaysOfThePageCounts(_ site: String) {
        #expect(isRefused(policy(), origin: "http://127.0.0.1:8484", site: site))
        #expect(isRefused(policy(), site: site))
    }

    /// A page that rebinds its name is its own server to the browser.
    @Test func namesThatAreNotOursAreRefusedWhereNoKeyKeepsStrangersOut() {
        let open = policy {
            $0.listen = [.tcp(host: "0.0.0.0", port: 8484)]
            $0.insecureNoAuth = true
        }
        let rebound = "http://evil.example"
        #expect(isRefused(open, host: "evil.example", origin: rebound, site: "same-origin"))
        #expect(isRefused(open, host: "evil.example"))
        #expect(!isRefused(open, host: "192.168.1.5:8484", origin: "http://192.168.1.5:8484"))
        // What the page asks for besides, its prompt to try, is let through for it as well.
        let chat = caller { ($0.host, $0.origin) = ("192.168.1.5", "http://192.168.1.5") }
        #expect(open.refuse(chat) == nil)
        let locked = policy { $0.keys = [KeySettings(name: "a", key: Secret("k"))] }
        #expect(!isRefused(locked, host: "ai.example.com", origin: "https://ai.example.com"))
    }

    @Test func aKeyMayBeKeptFromIt() {
        var bob = KeySettings(name: "bob", key: Secret("b"))
        let policy = policy { $0.keys = [bob] }
        #expect(policy.refusePage(caller(), site: nil, key: bob) == nil)
        bob.ui = false
        #expect(policy.refusePage(caller(), site: nil, key: bob)?.code == .forbidden)
    }

    @Test func aKeyForSomeModelsMayNotWatchUnlessItIsSaid() {
        var bob = KeySettings(name: "bob", key: Secret("b"))
        bob.models = ["tiny"]
        let policy = policy { $0.keys = [bob] }
        #expect(policy.refusePage(caller(), site: nil, key: bob)?.code == .forbidden)
        bob.ui = true
        #expect(policy.refusePage(caller(), site: nil, key: bob) == nil)
    }

    @Test func onlyItsFilesNeedNoKey() {
        let locked = policy { $0.keys = [KeySettings(name: "a", key: Secret("k"))] }
        for file in PageFile.allCases {
            #expect(locked.refuse(caller { $0.path = file.path }) == nil)
        }
        for path in ["/ui/api/state", "/ui/api/events", "/ui/api/requests/0-1/stop", "/ui/x"] {
            #expect(locked.refuse(caller { $0.path = path })?.code == .invalidAPIKey, "\(path)")
        }
    }
}

@Suite struct WhatIsKeptForThePage {
    private func request(_ number: Int, model: String = "m") -> RecentRequest {
        var record = RequestRecord(
            id: "r\(number)", method: "POST", path: "/v1/chat/completions", ending: .completed,
            totalMilliseconds: number)
        record.model = model
        return RecentRequest(
            time: WallTime(seconds: number, nanoseconds: 0), record: record.clipped)
    }

    @Test func areTheLastRequestsAndNoMore() {
        var recent = RecentRequests(limit: 3)
        #expect(recent.after(0).isEmpty)
        for number in 1...10 {
            recent.append(request(number))
            #expect(recent.count == min(number, 3))
            let all = recent.after(0).map(\.record.id)
            #expect(all == (max(1, number - 2)...number).map { "r\($0)" })
        }
        #expect(recent.after(9).map(\.record.id) == ["r10"])
        #expect(recent.after(10).isEmpty)
        // A number from before a restart of the one that asks.
        #expect(recent.after(99).isEmpty)
    }

    /// However many there were, and whatever clients wrote into them.
    @Test func hasABound() {
        var recent = RecentRequests(limit: Watchtower.recentLimit)
        let long = String(repeating: "\u{1}", count: 100_000)
        for number in 0..<2_000 {
            var record = RequestRecord(
                id: long, method: "POST", path: long, ending: .completed, totalMilliseconds: 0)
            (record.client, record.key, record.model, record.backend) = (long, long, long, long)
            recent.append(
                RecentRequest(
                    time: WallTime(seconds: number, nanoseconds: 0), record: record.clipped))
        }
        #expect(recent.count == Watchtower.recentLimit)
        for request in recent.after(0) {
            let record = request.record
            let texts = [record.id, record.path, record.client]
            for text in texts + [record.key, record.model, record.backend].compactMap(\.self) {
                #expect(text.utf8.count <= 128)
            }
            var json: [UInt8] = []
            request.append(to: &json)
            // Six texts of 128 bytes, each byte escaped as six.
            #expect(json.count < 6 * 128 * 6 + 400)
        }
    }

    @Test func aTextIsClippedBetweenCharacters() {
        #expect("short".clipped == "short")
        #expect(String(repeating: "x", count: 128).clipped.utf8.count == 128)
        for shift in 0..<4 {
            let text = String(repeating: "x", count: shift) + String(repeating: "🌊", count: 40)
            let clipped = text.clipped
            #expect(clipped.utf8.count <= 128 && clipped.utf8.count > 120)
            #expect(clipped.hasSuffix("🌊…"))
            #expect(text.hasPrefix(clipped.dropLast()))
        }
    }

    @Test func listsAndChecksDoNotPushRequestsOut() {
        func isKept(_ method: String, _ path: String, model: String? = nil) -> Bool {
            var record = RequestRecord(
                id: "", method: method, path: path, ending: .completed, totalMilliseconds: 0)
            record.model = model
            return record.isOfInterest
        }
        #expect(isKept("POST", "/v1/chat/completions", model: "m"))
        #expect(isKept("POST", "/v1/chat/completions"))
        #expect(isKept("GET", "/v1/chat/completions", model: "m"))
        #expect(!isKept("GET", "/metrics"))
        #expect(!isKept("GET", "/ui/api/state"))
        #expect(!isKept("POST", "/ui/api/requests/0-1/stop"))
        #expect(!isKept("-", "-"))
    }

    @Test func theSpeedIsKeptForTwoMinutes() {
        let second: Int64 = 1_000_000_000
        var history = PaceHistory(limit: 120)
        history.note(tokens: 1000, at: 0)
        #expect(history.points.isEmpty)
        // Looks that come close together are one.
        history.note(tokens: 1010, at: second / 2)
        #expect(history.points.isEmpty)
        history.note(tokens: 1050, at: second)
        #expect(history.points == [50])
        for i in 1...300 { history.note(tokens: UInt64(1050 + 10 * i), at: second * Int64(1 + i)) }
        #expect(history.points == [Double](repeating: 10, count: 120))
        // An attempt that is made again takes tokens back.
        history.note(tokens: 100, at: second * 302)
        #expect(history.points.last == 0)
        // Nobody looked for a while.
        history.note(tokens: 5000, at: second * 400)
        #expect(history.points.isEmpty)
    }
}

@Suite struct FilesOfThePage {
    @Test func areSmall() {
        let sizes = PageFile.allCases.map(\.bytes.count)
        #expect(sizes.allSatisfy { $0 > 100 })
        #expect(sizes.reduce(0, +) < 40 << 10)
    }

    /// Nothing is fetched from elsewhere, and nothing is written into the page as markup.
    @Test func needNothingFromOutside() {
        for file in PageFile.allCases {
            let text = text(file.bytes).replacing("http://www.w3.org/2000/svg", with: "")
            for word in [
                "http:", "https:", "src=\"//", "@import", "innerHTML", "outerHTML", "eval(",
                "document.write", "insertAdjacentHTML", " style=", " onclick=", "<script>",
            ] {
                #expect(!text.contains(word), "\(file): \(word)")
            }
        }
    }

    @Test func comeWithAPolicyThatAllowsNothingElse() throws {
        for file in PageFile.allCases {
            let fields = lines(file.reply("r1").fields)
            let policy = try #require(fields.first { $0.hasPrefix("Content-Security-Policy: ") })
            #expect(policy.contains("default-src 'none'"))
            #expect(policy.contains("frame-ancestors 'none'"))
            #expect(!policy.contains("unsafe"))
            #expect(fields.contains("X-Content-Type-Options: nosniff"))
            #expect(fields.contains("x-request-id: r1"))
        }
    }

    /// What the script looks up is in the document, and every field of a form has a name.
    @Test func fitTogether() {
        let script = text(PageFile.script.bytes)
        let document = text(PageFile.document.bytes)
        for part in script.split(separator: "$(\"").dropFirst() {
            let id = part.prefix { $0 != "\"" }
            #expect(document.contains("id=\"\(id)\""), "\(id)")
        }
        for file in PageFile.allCases where file != .document {
            #expect(document.contains("\"\(file.path.dropFirst())\""))
        }
    }
}
