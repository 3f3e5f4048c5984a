// TLS by OpenSSL 3, loaded when it is first wanted.
//
// Linked in the ordinary way, OpenSSL costs every Sluice 2 MiB of memory and some milliseconds at the start, and most
// run on loopback without TLS. So libssl is opened by dlopen; the types of its functions are taken from its headers
// when this file is compiled, so a mismatch is a compile error.
#pragma once

#include <stddef.h>

/// A certificate with its key, or the authorities to trust: what connections are made from. Reference-counted.
typedef struct ctls_context ctls_context;
/// One connection.
typedef struct ctls_session ctls_session;

/// What a read or write came to; a positive result counts bytes.
enum {
    CTLS_ENDED = 0,        ///< the other side has ended its stream properly
    CTLS_WANTS_READ = -1,  ///< try again when bytes have come
    CTLS_WANTS_WRITE = -2, ///< try again when bytes can be sent
    CTLS_FAILED = -3,      ///< the connection is broken; `ctls_problem` says why
};

/// A context for a server with the certificate chain and key of two PEM files, TLS 1.2 or newer. NULL: `problem` says
/// why, in at most `size` bytes.
ctls_context *ctls_server(const char *certificate, const char *key, char *problem, size_t size);

/// A context for a client that trusts the authorities in a PEM file, or the system's when that is NULL.
ctls_context *ctls_client(const char *authorities, char *problem, size_t size);

/// A context for a client that trusts the first certificate in a PEM file, and nothing else.
ctls_context *ctls_pinned(const char *certificate, char *problem, size_t size);

void ctls_context_free(ctls_context *context);

/// The server's end of a connection on a non-blocking descriptor, which stays the caller's.
ctls_session *ctls_accept(ctls_context *context, int descriptor);

/// The client's end. The certificate must be `host`'s, which is also sent as the server name unless it is an address.
/// NULL: a certificate that is trusted is enough, whatever name it is for.
ctls_session *ctls_connect(ctls_context *context, int descriptor, const char *host);

int ctls_read(ctls_session *session, void *buffer, int size);
int ctls_write(ctls_session *session, const void *bytes, int size);
/// Whether the handshake is done.
int ctls_is_established(ctls_session *session);
/// Bytes that were received and decrypted, and that no event of the descriptor will tell of.
int ctls_pending(ctls_session *session);
/// Tells the other side that nothing more is sent; does not wait for it.
void ctls_end(ctls_session *session);
/// What TLS itself found wrong, valid until the next call; NULL if the connection broke below it.
const char *ctls_problem(ctls_session *session);
/// The errno of the last failure; EPROTO for what TLS found wrong.
int ctls_errno(ctls_session *session);
void ctls_session_free(ctls_session *session);
