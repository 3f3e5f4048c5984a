// A value that several threads share.

internal import Synchronization

/// A mutex around a value, whose hand-over the thread sanitizer can follow.
///
/// `Mutex` alone hides it when two threads meet: its slow path is compiled into the Swift runtime,
/// which the sanitizer does not see into, so a contended lock looks like no lock. `turn` says the
/// same thing once more where it can be seen; it costs one plain load and store on this machine.
public struct Guarded<Value: Sendable>: ~Copyable, Sendable {
    private let mutex: Mutex<Value>
    private let turn = Atomic<UInt8>(0)

    /// Guards `value`.
    public init(_ value: Value) {
        mutex = Mutex(value)
    }

    /// Runs `body` alone with the value.
    public borrowing func withLock<Result: Sendable>(
        _ body: (inout Value) -> Result
    ) -> Result {
        mutex.withLock { value in
            _ = turn.load(ordering: .acquiring)
            defer { turn.store(0, ordering: .releasing) }
            return body(&value)
        }
    }
}
