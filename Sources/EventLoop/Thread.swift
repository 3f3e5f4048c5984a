// Threads for workers.

internal import Glibc

/// A thread that runs one function.
@safe public final class Thread {
    // pthread owns the box from create on: the thread's start function takes it over, retained.
    private let handle: pthread_t

    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// Starts `body` in a thread of its own. `nil` if the system has no more threads.
    public init?(_ body: @escaping @Sendable () -> Void) {
        let box = unsafe Unmanaged.passRetained(Body(body))
        var made = pthread_t()
        let code = unsafe pthread_create(
            &made, nil,
            { context in
                guard let context = unsafe context else { return nil }
                unsafe Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run()
                return nil
            }, box.toOpaque())
        guard code == 0 else {
            unsafe box.release()
            return nil
        }
        handle = made
    }

    /// Waits until the function has returned.
    public func join() { _ = pthread_join(handle, nil) }
}
