// Bytes between spans, arrays and the loop's scratch buffer.

internal import EventLoop

extension [UInt8] {
    /// Appends bytes as they are.
    mutating func append(bytes: Span<UInt8>) {
        unsafe bytes.withUnsafeBufferPointer { unsafe append(contentsOf: $0) }
    }
}

extension Loop {
    /// Hands the first bytes of the scratch buffer, just read, to `body`.
    @inline(__always)
    func withScratch(_ count: Int, _ body: (Span<UInt8>) -> Void) {
        let read = unsafe UnsafeBufferPointer(
            start: scratch.baseAddress?.assumingMemoryBound(to: UInt8.self), count: count)
        unsafe body(read.span)
    }
}
