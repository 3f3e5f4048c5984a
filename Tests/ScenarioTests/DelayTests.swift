// What accepted sockets are told of sending: small writes wait for no company.

import EventLoop
import Glibc
import Testing

@testable import HTTPTransport
@testable import SluiceServer

extension ScenarioTests {
    @Test func everyAcceptedSocketSendsWithoutDelay() throws {
        let lab = try Lab(.init())
        let client = try Socket(for: lab.address)
        let result = unsafe lab.address.withSystemAddress {
            unsafe connect(client.descriptor, $0, $1)
        }
        try #require(result == 0 || errno == EINPROGRESS)
        let end = lab.loop.now + .seconds(5) * Runner.slowness
        #expect(lab.drive(until: end) { lab.worker.server?.connectionCount == 1 })

        // The other end of the client's socket is in this process, too.
        let others = (3..<Int32(getdtablesize())).filter {
            peer(of: $0) == client.localAddress().description
        }
        #expect(others.map(sendsWithoutDelay) == [true])
        _ = consume client
        #expect(lab.close() == [])
    }

    private func peer(of descriptor: Int32) -> String? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = unsafe withUnsafeMutablePointer(to: &storage) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe getpeername(descriptor, $0, &length)
            }
        }
        return result == 0 ? SocketAddress(storage, length: length).description : nil
    }

    private func sendsWithoutDelay(_ descriptor: Int32) -> Bool {
        var value: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        let result = unsafe getsockopt(
            descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &value, &length)
        return result == 0 && value != 0
    }
}
