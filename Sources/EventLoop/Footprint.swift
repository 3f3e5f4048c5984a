// Memory that is asked for before it is needed.

internal import CLibevent

/// Where the memory lies that a handler touches each time it is called.
///
/// With a thousand streams none of a stream's memory is in the processor's near caches when its next
/// token comes, and each object is found only through the one before it: some twenty waits, one
/// behind the other. Asked for all at once, it comes while the kernel is at the system call that
/// every handler begins with.
///
/// It is a hint and nothing else: memory that has moved or gone in the meantime is fetched in vain.
public struct Footprint: Sendable {
    private static let lineBytes: UInt = 64
    /// Addresses of lines; in the bits that are zero in such an address, how many follow each other.
    private var runs = InlineArray<9, UInt>(repeating: 0)
    private var count = 0

    /// No memory.
    public init() {}

    /// Adds some bytes of an object, counted from its header.
    public mutating func add(_ object: AnyObject, _ bytes: Range<Int>) {
        let start = unsafe UInt(bitPattern: Unmanaged.passUnretained(object).toOpaque())
        add(from: start + UInt(bytes.lowerBound), bytes: bytes.count)
    }

    /// Adds what an array holds.
    public mutating func add(_ array: [UInt8]) {
        guard !array.isEmpty else { return }
        unsafe array.withUnsafeBytes {
            // With the header in front, which holds the count.
            add(from: UInt(bitPattern: $0.baseAddress) - 32, bytes: $0.count + 32)
        }
    }

    private mutating func add(from start: UInt, bytes: Int) {
        guard count < runs.count, bytes > 0 else { return }
        let first = start & ~(Self.lineBytes - 1)
        let lines = (start + UInt(bytes) - first + Self.lineBytes - 1) / Self.lineBytes
        runs[count] = first | min(lines, Self.lineBytes - 1)
        count += 1
    }

    /// The addresses of all lines; for tests.
    var lines: [UInt] {
        (0..<count).flatMap { i in
            let first = runs[i] & ~(Self.lineBytes - 1)
            return (0..<(runs[i] & (Self.lineBytes - 1))).map { first + $0 * Self.lineBytes }
        }
    }

    /// Asks for all of it, and waits for none.
    @inline(__always)
    func fetch() {
        guard count > 0 else { return }
        unsafe runs.span.withUnsafeBufferPointer {
            unsafe sluice_prefetch($0.baseAddress, count)
        }
    }
}
