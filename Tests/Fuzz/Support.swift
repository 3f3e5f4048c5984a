// What the fuzz targets share: the input as an array, ways to cut it, and the cry when it fails.

import Glibc

/// The bytes libFuzzer hands over, copied, so that reading past their end is found.
func input(_ start: UnsafePointer<UInt8>, _ count: Int) -> [UInt8] {
    Array(UnsafeBufferPointer(start: start, count: count))
}

/// Some ways to hand the bytes over: one by one, and in small random pieces.
func someCuts(of bytes: [UInt8]) -> [[[UInt8]]] {
    var random = SplitMix(seed: UInt64(bytes.count))
    return ([1, 16] as [UInt64]).map { longest in
        var pieces: [[UInt8]] = []
        var start = 0
        while start < bytes.count {
            let end = min(bytes.count, start + 1 + Int(random.next() % longest))
            pieces.append(Array(bytes[start..<end]))
            start = end
        }
        return pieces
    }
}

/// Stops the run, which libFuzzer takes for a crash, unless `condition` holds. Unlike a failed
/// `precondition` of an optimised build it says which promise was broken.
func require(_ condition: Bool, _ promise: StaticString) {
    guard !condition else { return }
    _ = write(2, promise.utf8Start, promise.utf8CodeUnitCount)
    abort()
}

/// The same for a promise that is told in words if it was broken.
func keep(_ broken: String?) {
    guard let broken else { return }
    let text = Array((broken + "\n").utf8)
    _ = write(2, text, text.count)
    abort()
}
