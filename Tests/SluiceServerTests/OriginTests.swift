// Which web pages may call, under which names we may be called, and what browsers are told.

import Configuration
import Testing

@testable import SluiceServer

@Suite struct Origins {
    @Test(
        arguments: [
            "http://localhost", "http://localhost:3000", "https://localhost:3000",
            "http://LOCALHOST:3000", "http://app.localhost:5173", "https://tauri.localhost",
            "http://127.0.0.1", "http://127.0.0.1:8080", "http://127.8.9.10", "http://[::1]",
            "http://[::1]:3000", "http://[0:0:0:0:0:0:0:1]", "http://[::ffff:127.0.0.1]:80",
            "app://obsidian.md", "app://-", "file://", "tauri://localhost",
            "vscode-webview://1a2b3c", "vscode-file://vscode-app",
        ])
    func ofThisMachineAndItsApplicationsMayCall(_ origin: String) {
        #expect(policy().isAllowed(origin: origin))
        #expect(policy().refuse(caller { $0.origin = origin }) == nil)
    }

    @Test(
        arguments: [
            "null", "", "localhost", "http://", "https://evil.example", "http://192.168.1.5",
            "http://10.0.0.1:3000", "http://0.0.0.0:3000", "http://[::2]", "http://[::]",
            // Names that begin, end or go on like ours.
            "http://localhost.evil.example", "http://localhost.evil.example:3000",
            "http://127.0.0.1.evil.example", "http://evil.example/localhost",
            "http://notlocalhost", "http://evil-localhost", "http://.localhost.evil.example",
            "http://evil.example#.localhost", "http://evil.example?.localhost",
            "http://localhost@evil.example", "http://127.0.0.1:80@evil.example",
            "http://evil.example\\.localhost", "http://[::1].evil.example", "http://[::1",
            "http://[::1]evil.example", "http://127.0.0.1:99999", "http://127.0.0.1:x",
            "http://127.1", "http://0x7f.0.0.1", "http://2130706433", "http://127.0.0.01",
            "http://1270.0.0.1", "http://localhost http://evil.example",
            "http://localhost, http://evil.example",
            // Schemes that are nobody's, or that browsers give to what strangers wrote.
            "ftp://localhost", "chrome-extension://abcdef", "moz-extension://abcdef",
            "data://localhost", "application://x", "apps://x", "httpx://localhost", "://localhost",
        ])
    func ofOthersMayNot(_ origin: String) {
        let policy = policy()
        #expect(!policy.isAllowed(origin: origin))
        #expect(policy.refuse(caller { $0.origin = origin })?.code == .forbidden)
        #expect(policy.corsFields(origin: origin).isEmpty)
    }

    /// Its own pages are those whose origin is the name it was asked under, where that name is
    /// known to be ours (the default) or a key is needed as well.
    @Test func ofItsOwnMayCall() {
        func refuses(_ policy: AccessPolicy, _ origin: String, _ host: String?) -> Bool {
            policy.refuse(caller { ($0.origin, $0.host) = (origin, host) })?.code == .forbidden
        }
        #expect(!refuses(policy(), "http://192.168.1.5:8484", "192.168.1.5:8484"))
        #expect(refuses(policy(), "http://192.168.1.5:8484", "192.168.1.6:8484"))
        #expect(refuses(policy(), "http://192.168.1.5:8484", nil))
        #expect(refuses(policy(), "http://evil.example", "evil.example"))
        let locked = policy { $0.keys = [KeySettings(name: "a", key: Secret("k"))] }
        #expect(!refuses(locked, "https://chat.example.com", "Chat.example.com"))
        #expect(refuses(locked, "https://chat.example.com:1", "chat.example.com"))
        #expect(refuses(locked, "ftp://chat.example.com", "chat.example.com"))
        // Open to all, a page that rebinds its name has it in both fields.
        let open = policy {
            $0.listen = [.tcp(host: "0.0.0.0", port: 8484)]
            $0.insecureNoAuth = true
        }
        #expect(refuses(open, "http://evil.example", "evil.example"))
    }

    @Test func thatAreConfiguredMayCall() {
        let policy = policy { $0.corsOrigins = ["https://Chat.example.com"] }
        #expect(policy.isAllowed(origin: "https://chat.example.com"))
        #expect(policy.isAllowed(origin: "http://localhost:3000"))
        for other in [
            "http://chat.example.com", "https://chat.example.com:8443", "https://example.com",
            "https://chat.example.com.evil.example", "https://a.chat.example.com",
        ] {
            #expect(!policy.isAllowed(origin: other), "\(other)")
        }
    }

    @Test func ofAllTheWorldMayCallIfThatIsConfigured() {
        let policy = policy { $0.corsOrigins = ["*"] }
        for origin in ["null", "https://evil.example"] {
            #expect(policy.refuse(caller { $0.origin = origin }) == nil)
        }
    }

    @Test func areLookedAtEvenIfTheKeyIsRight() {
        let policy = policy { $0.keys = [KeySettings(name: "a", key: Secret("k"))] }
        let page = caller { ($0.origin, $0.apiKey) = ("https://evil.example", "k") }
        #expect(policy.refuse(page)?.code == .forbidden)
    }

    @Test func areNamedInTheRefusal() {
        let refusal = policy().refuse(caller { $0.origin = "https://evil.example" })
        #expect(refusal?.status == 403)
        #expect(
            refusal?.message
                == "Pages from https://evil.example may not call Sluice. Add the origin to cors_origins to allow it."
        )
    }
}

@Suite struct CORS {
    @Test func letsAPageReadTheAnswerAndItsFields() {
        #expect(
            lines(policy().corsFields(origin: "http://localhost:3000")) == [
                "Access-Control-Allow-Origin: http://localhost:3000",
                "Vary: Origin",
                "Access-Control-Expose-Headers: x-request-id, request-id, x-sluice-backend, x-sluice-ignored, "
                    + "retry-after, x-should-retry",
            ])
    }

    @Test func isSilentWhereNoPageAsks() {
        #expect(policy().corsFields(origin: nil).isEmpty)
    }

    @Test func aPreflightNamesWhatWasAskedFor() {
        let reply = policy().preflight(
            asking: "authorization, x-stainless-os, x-stainless-lang", requestID: "r1")
        #expect(reply.status == 204)
        #expect(reply.body.isEmpty)
        #expect(
            lines(reply.fields) == [
                "x-request-id: r1",
                "Access-Control-Allow-Methods: GET, POST, HEAD, OPTIONS",
                "Access-Control-Allow-Headers: Authorization, Content-Type, x-api-key, anthropic-version, x-request-id, traceparent, "
                    + "authorization, x-stainless-os, x-stainless-lang",
                "Access-Control-Max-Age: 43200",
            ])
    }

    @Test(arguments: [nil, String(repeating: "x", count: 4097)])
    func aPreflightThatAsksForNothingOrTooMuchHearsOfTheUsualOnes(_ names: String?) {
        let reply = policy().preflight(asking: names, requestID: "r1")
        let allowed =
            "Authorization, Content-Type, x-api-key, anthropic-version, x-request-id, traceparent"
        #expect(lines(reply.fields).contains("Access-Control-Allow-Headers: \(allowed)"))
    }
}
