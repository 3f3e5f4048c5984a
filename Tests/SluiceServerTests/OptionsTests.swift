// That every setting of the transport comes from its own place in the configuration.

import Configuration
import HTTPTransport
import Testing

@testable import SluiceServer

@Suite struct TransportOptions {
    @Test func areThoseOfTheConfiguration() {
        // Each value is another, so that none can stand in for a second one.
        let options = HTTPServer.Options(
            configuration {
                $0.limits.requestLine = 1001
                $0.limits.head = 1002
                $0.limits.headFields = 1003
                $0.limits.body = 1004
                $0.limits.bodies = 1005
                $0.limits.connections = 1006
                $0.limits.streamBuffer = 64_000
                $0.timeouts.requestHead = .seconds(1)
                $0.timeouts.requestBody = .seconds(2)
                $0.timeouts.requestTotal = .seconds(3)
                $0.timeouts.idle = .seconds(4)
                $0.timeouts.clientStall = .seconds(5)
            })
        #expect(options.limits.requestLine == 1001)
        #expect(options.limits.head == 1002)
        #expect(options.limits.headFields == 1003)
        #expect(options.limits.body == 1004)
        #expect(options.bodies == 1005)
        #expect(options.connections == 1006)
        #expect(options.deadlines.requestHead == .seconds(1))
        #expect(options.deadlines.requestBody == .seconds(2))
        #expect(options.deadlines.requestTotal == .seconds(3))
        #expect(options.deadlines.idle == .seconds(4))
        #expect(options.deadlines.clientStall == .seconds(5))
    }

    @Test func offStaysOff() {
        let options = HTTPServer.Options(
            configuration {
                $0.timeouts.requestTotal = nil
                $0.timeouts.clientStall = nil
            })
        #expect(options.deadlines.requestTotal == nil)
        #expect(options.deadlines.clientStall == nil)
    }

    /// What is read in one turn comes on top of what made us stop reading.
    @Test(arguments: [Limit.streamBuffer.range.lowerBound, 256 << 10, 64 << 20])
    func aClientCountsAsSlowWellBeforeItsBufferIsFull(_ size: Int) {
        let options = HTTPServer.Options(configuration { $0.limits.streamBuffer = size })
        #expect(options.drainedBelow > 0)
        #expect(options.drainedBelow < options.blockedAbove)
        #expect(options.blockedAbove <= size / 2)
    }
}
