// How a decoder tells its own failures from those of the code it hands its findings to.

/// Why `feed` or `finish` of a decoder stopped. A decoder that has thrown is spent.
public enum FeedError<Decoder: Error, Handler: Error>: Error {
    /// The decoder refuses the bytes.
    case decoder(Decoder)
    /// The handler threw; what it was given was the last thing decoded.
    case handler(Handler)

    /// Both kinds as one error of the handler's type, where `translate` says what a failure of the
    /// decoder means there.
    ///
    ///     do { try lines.feed(bytes) { line throws(DialectError) in … } }
    ///     catch { throw error.merged { .frameTooLong(limitBytes: $0.limit) } }
    public func merged(_ translate: (Decoder) -> Handler) -> Handler {
        switch self {
        case .decoder(let failure): translate(failure)
        case .handler(let error): error
        }
    }
}

extension FeedError: Equatable where Decoder: Equatable, Handler: Equatable {}
