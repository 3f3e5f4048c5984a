// The one way from another thread onto a loop.

internal import CLibevent
internal import Glibc

/// Messages for a loop, in the order they were sent. The box lives on the loop; other threads hold
/// its `Address`.
public final class Mailbox<Message: Sendable> {
    /// Where others send to.
    public let address: Address
    private let handler: (Message) -> Void
    private var watch: Watch?

    /// Makes a mailbox whose messages are handled on `loop`.
    public init(on loop: Loop, handler: @escaping (Message) -> Void) {
        self.handler = handler
        address = Address()
        watch = Watch(on: loop, address.descriptor, for: .read) { [unowned self] _ in empty() }
        watch?.start()
    }

    private func empty() {
        for message in address.takeAll() { handler(message) }
    }

    /// The sending end. It may be used by any thread, also when the loop is gone.
    public final class Address: Sendable {
        let descriptor: Int32
        private let waiting = Guarded<[Message]>([])

        init() {
            descriptor = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
            precondition(descriptor >= 0, "no descriptor for a mailbox")
        }

        deinit { close(descriptor) }

        /// Sends a message.
        public func send(_ message: Message) {
            let wasEmpty = waiting.withLock { messages in
                messages.append(message)
                return messages.count == 1
            }
            // The counter is read together with the messages, so one write wakes for all of them.
            if wasEmpty { eventfd_write(descriptor, 1) }
        }

        func takeAll() -> [Message] {
            var count: eventfd_t = 0
            unsafe eventfd_read(descriptor, &count)
            return waiting.withLock { messages in
                defer { messages = [] }
                return messages
            }
        }
    }
}
