// Under which names a Sluice without keys answers on its own machine.

import Configuration
import Testing

@testable import SluiceServer

@Suite struct Hosts {
    @Test(
        arguments: [
            "localhost", "localhost:8484", "LocalHost:8484", "localhost.", "localhost:",
            "api.localhost", "a.b.localhost:80", "host.docker.internal:8484",
            "workshop", "WORKSHOP:8484", "workshop.",
            "127.0.0.1", "127.0.0.1:8484", "127.1.2.3", "[::1]", "[::1]:8484", "[0::1]",
            "[::ffff:127.0.0.1]", "10.1.2.3:8484", "172.16.0.1", "172.31.255.255", "192.168.0.7",
            "[fd00::7]:8484", "[fc00::1]", "[::ffff:192.168.0.7]",
        ])
    func thatAreThisMachinesAreAnsweredTo(_ host: String) {
        #expect(policy().refuse(caller { $0.host = host }) == nil)
    }

    @Test(
        arguments: [
            "evil.example", "evil.example:8484", "localhost.evil.example",
            "127.0.0.1.evil.example", "evillocalhost", "localhost.localdomain", "workshop.lan",
            "workshop.evil.example", "docker.internal", "a.host.docker.internal",
            "8.8.8.8", "172.15.0.1", "172.32.0.1", "192.169.0.1", "11.0.0.1", "0.0.0.0",
            "[::]", "[2001:db8::1]", "[fe80::1]", "[::ffff:8.8.8.8]", "[::2]",
            // What is no host at all.
            "", ":8484", " ", "local host", "localhost@evil.example", "localhost/", "localhost:x",
            "localhost:65536", "[::1", "::1", "[localhost]", "127.1", "0x7f000001", "2130706433",
            "http://localhost",
        ])
    func thatAreOthersAreNot(_ host: String) {
        let refusal = policy().refuse(caller { $0.host = host })
        #expect(refusal?.code == .forbidden)
        #expect(refusal?.status == 403)
        #expect(
            refusal?.message
                == "'\(host)' is no name of this machine. Add it to allowed_hosts to allow it.")
    }

    /// HTTP/1.0 can do without, and no browser does.
    @Test func maybeLeftOut() { #expect(policy().refuse(caller { $0.host = nil }) == nil) }

    @Test func thatAreConfiguredAreAnsweredTo() {
        let policy = policy { $0.allowedHosts = ["Sluice.lan", "203.0.113.9", "[2001:db8::9]"] }
        for host in ["sluice.lan", "SLUICE.LAN.:8484", "203.0.113.9:80", "[2001:db8::9]:8484"] {
            #expect(policy.refuse(caller { $0.host = host }) == nil, "\(host)")
        }
        #expect(policy.refuse(caller { $0.host = "localhost" }) == nil)
        for host in ["a.sluice.lan", "203.0.113.8", "[2001:db8::8]"] {
            #expect(policy.refuse(caller { $0.host = host }) != nil, "\(host)")
        }
    }

    @Test func doNotMatterWhereThereAreKeys() {
        let policy = policy { $0.keys = [KeySettings(name: "a", key: Secret("k"))] }
        #expect(policy.refuse(caller { ($0.host, $0.apiKey) = ("evil.example", "k") }) == nil)
    }

    static let listening: KeyValuePairs<String, Bool> = [
        "127.0.0.1:8484": true,
        "localhost:8484": true,
        "[::1]:8484": true,
        "127.0.0.1:8484 unix:/run/sluice.sock": true,
        // Others may connect, under whatever name they have for this machine.
        "0.0.0.0:8484": false,
        "127.0.0.1:8484 192.168.0.7:8484": false,
        // No browser connects.
        "unix:/run/sluice.sock": false,
    ]

    @Test func matterOnLoopback() throws {
        for (addresses, isNeeded) in Self.listening {
            let listen = try addresses.split(separator: " ").map { try ListenAddress(String($0)) }
            let policy = policy {
                $0.listen = listen
                // It says that others may come without keys, not that web pages may.
                $0.insecureNoAuth = true
            }
            let refusal = policy.refuse(caller { $0.host = "evil.example" })
            #expect((refusal != nil) == isNeeded, "\(addresses)")
        }
    }

    @Test func areRefusedForPreflightsAndProbesToo() {
        for (method, path) in [(caller().method, "/health"), (.options, "/v1/chat/completions")] {
            let stranger = caller { ($0.method, $0.path, $0.host) = (method, path, "evil.example") }
            #expect(policy().refuse(stranger)?.code == .forbidden)
        }
    }

    @Test func aMachineWithoutANameIsStillLocalhost() {
        let nameless = AccessPolicy(configuration(), ownHostName: nil)
        #expect(nameless.refuse(caller { $0.host = "localhost" }) == nil)
        #expect(nameless.refuse(caller { $0.host = "workshop" })?.code == .forbidden)
    }

    @Test func addressesAreOfTheirOwnGrammar() {
        #expect(IPAddress("127.0.0.1")?.bytes == [127, 0, 0, 1])
        #expect(IPAddress("[::ffff:7f00:1]") == IPAddress("127.0.0.1"))
        #expect(IPAddress("[::1]") == IPAddress("::1"))
        for text in ["[127.0.0.1]", "127.0.0.1 ", "[::1", "::1]", "", "[]", "localhost"] {
            #expect(IPAddress(text) == nil, "\(text)")
        }
    }

    @Test func thisMachineHasAName() throws {
        let name = try #require(ownHostName())
        #expect(!name.isEmpty && !name.contains("\0"))
    }
}
