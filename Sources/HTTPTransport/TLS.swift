// TLS on top of a socket.

internal import CTLS

/// Why a certificate, key or list of authorities cannot be used.
public struct TLSError: Error, Equatable, Sendable {
    /// What is wrong with which file.
    public let message: String
}

/// What connections are secured with: a server's certificate and key, or the authorities a client
/// trusts. Connections that were made from it go on when it is replaced.
@safe public final class TLSContext {
    // OpenSSL counts references itself; ours goes in `deinit`.
    private let raw: OpaquePointer
    /// Whether a certificate must be for the name that was asked for.
    private let checksName: Bool

    /// For a listener: the PEM files of the certificate chain and of its key. TLS 1.2 or newer.
    public init(certificate: String, key: String) throws(TLSError) {
        checksName = false
        unsafe raw = try Self.make { unsafe ctls_server(certificate, key, $0, $1) }
    }

    /// For calls to those who are trusted so.
    public init(_ trust: Trust) throws(TLSError) {
        switch trust {
        case .system:
            unsafe raw = try Self.make { unsafe ctls_client(nil, $0, $1) }
            checksName = true
        case .authorities(let path):
            unsafe raw = try Self.make { unsafe ctls_client(path, $0, $1) }
            checksName = true
        case .certificate(let path):
            unsafe raw = try Self.make { unsafe ctls_pinned(path, $0, $1) }
            checksName = false
        }
    }

    /// Whose certificates are accepted.
    public enum Trust: Hashable, Sendable {
        /// Those that the system's authorities have signed.
        case system
        /// Those that authorities in a PEM file have signed.
        case authorities(String)
        /// The first one in a PEM file alone, whatever names it is for.
        case certificate(String)
    }

    deinit { unsafe ctls_context_free(raw) }

    private static func make(
        _ body: (UnsafeMutablePointer<CChar>?, Int) -> OpaquePointer?
    ) throws(TLSError) -> OpaquePointer {
        var problem = [CChar](repeating: 0, count: 512)
        let made = unsafe problem.withUnsafeMutableBufferPointer {
            unsafe body($0.baseAddress, $0.count)
        }
        guard let made = unsafe made else {
            let text = problem.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
            throw TLSError(message: String(decoding: text, as: UTF8.self))
        }
        return unsafe made
    }

    /// The server's end of a connection.
    func accept(_ descriptor: Int32) -> TLSSession? {
        unsafe ctls_accept(raw, descriptor).map { unsafe TLSSession($0) }
    }

    /// The client's end of a connection to `host`.
    func connect(_ descriptor: Int32, to host: String) -> TLSSession? {
        unsafe ctls_connect(raw, descriptor, checksName ? host : nil).map { unsafe TLSSession($0) }
    }
}

/// The TLS of one connection. The handshake happens inside the first reads and writes.
@safe final class TLSSession {
    private let raw: OpaquePointer

    fileprivate init(_ raw: OpaquePointer) { unsafe self.raw = raw }

    deinit { unsafe ctls_session_free(raw) }

    func receive(into buffer: UnsafeMutableRawBufferPointer) -> Socket.Transfer {
        unsafe transfer(ctls_read(raw, buffer.baseAddress, Int32(clamping: buffer.count)))
    }

    func send(_ bytes: UnsafeRawBufferPointer) -> Socket.Transfer {
        // Nothing to send is success for a socket and an error for OpenSSL.
        guard bytes.count > 0 else { return .bytes(0) }
        return unsafe transfer(ctls_write(raw, bytes.baseAddress, Int32(clamping: bytes.count)))
    }

    private func transfer(_ result: Int32) -> Socket.Transfer {
        switch Int(result) {
        case CTLS_ENDED: .ended
        case CTLS_WANTS_READ: .wantsRead
        case CTLS_WANTS_WRITE: .wouldBlock
        case CTLS_FAILED: .failed(unsafe ctls_errno(raw))
        case let count: .bytes(count)
        }
    }

    /// Whether the handshake is done.
    var isEstablished: Bool { unsafe ctls_is_established(raw) != 0 }

    /// Whether bytes wait here that no event of the descriptor will tell of.
    var hasPending: Bool { unsafe ctls_pending(raw) > 0 }

    /// What TLS itself found wrong; `nil` if nothing, or if the connection broke below it.
    var problem: String? {
        guard let text = unsafe ctls_problem(raw) else { return nil }
        return unsafe String(cString: text)
    }

    func end() { unsafe ctls_end(raw) }
}
