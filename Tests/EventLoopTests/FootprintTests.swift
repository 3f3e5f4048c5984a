// What a handler's memory is said to be.

import Testing

@testable import EventLoop

@Suite struct Footprints {
    @Test func coverEveryLineOfAnArrayAndOfItsHeader() {
        for count in [1, 31, 32, 33, 63, 64, 65, 200, 1000] {
            let array = [UInt8](repeating: 7, count: count)
            var footprint = Footprint()
            footprint.add(array)
            let start = unsafe array.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) }
            let touched = Set((start - 32..<start + UInt(count)).map { $0 / 64 * 64 })
            #expect(Set(footprint.lines) == touched, "\(count) bytes")
        }
    }

    @Test func coverAPartOfAnObject() {
        let object = Owner()
        var footprint = Footprint()
        footprint.add(object, 0..<1)
        footprint.add(object, 100..<300)
        let start = unsafe UInt(bitPattern: Unmanaged.passUnretained(object).toOpaque())
        let touched = Set((start + 100..<start + 300).map { $0 / 64 * 64 })
        #expect(Set(footprint.lines) == touched.union([start / 64 * 64]))
    }

    @Test func areBounded() {
        var footprint = Footprint()
        for _ in 0..<100 { footprint.add([UInt8](repeating: 1, count: 100_000)) }
        #expect(footprint.lines.count <= 9 * 63)
    }

    @Test func ofNothingAreEmpty() {
        var footprint = Footprint()
        footprint.add([])
        #expect(footprint.lines.isEmpty)
        footprint.fetch()
    }

    /// A hint about memory that is gone does no harm.
    @Test func mayOutliveTheirMemory() {
        var footprint = Footprint()
        do {
            // So large that its memory goes back to the system.
            let array = [UInt8](repeating: 7, count: 4 << 20)
            footprint.add(array)
        }
        footprint.fetch()
    }
}
