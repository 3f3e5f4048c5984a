// See include/ctls.h.
#include "ctls.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUNCTIONS(F)                                                                                     \
    F(SSL_CTX_new) F(SSL_CTX_free) F(SSL_CTX_ctrl) F(SSL_CTX_up_ref) F(TLS_server_method)                \
    F(TLS_client_method) F(SSL_CTX_use_certificate_chain_file) F(SSL_CTX_use_PrivateKey_file)            \
    F(SSL_CTX_check_private_key) F(SSL_CTX_set_verify) F(SSL_CTX_load_verify_locations)                  \
    F(SSL_CTX_set_default_verify_paths) F(SSL_new) F(SSL_free) F(SSL_set_fd) F(SSL_set_accept_state)     \
    F(SSL_set_connect_state) F(SSL_ctrl) F(SSL_set1_host) F(SSL_get0_param) F(SSL_read) F(SSL_write)     \
    F(SSL_pending) F(SSL_shutdown) F(SSL_get_error) F(SSL_get_verify_result)                             \
    F(SSL_CTX_set_options) F(SSL_CTX_use_certificate_file) F(SSL_CTX_get0_certificate)                   \
    F(SSL_CTX_get_cert_store) F(SSL_is_init_finished)
#define CRYPTO_FUNCTIONS(F)                                                                              \
    F(ERR_get_error) F(ERR_clear_error) F(ERR_error_string_n) F(ERR_reason_error_string)                 \
    F(X509_verify_cert_error_string) F(X509_VERIFY_PARAM_set1_ip_asc) F(X509_VERIFY_PARAM_set_flags)  \
    F(X509_STORE_add_cert)

#define DECLARE(name) static __typeof__(name) *p_##name;
FUNCTIONS(DECLARE)
CRYPTO_FUNCTIONS(DECLARE)

static const char *load_problem;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void) {
    void *ssl = dlopen("libssl.so.3", RTLD_NOW | RTLD_LOCAL);
    void *crypto = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
    if (!ssl || !crypto) {
        load_problem = "OpenSSL 3 is not installed (Debian: apt-get install libssl3)";
        return;
    }
#define FIND(library, name)                                                                              \
    if (!(p_##name = (__typeof__(name) *)dlsym(library, #name))) load_problem = "OpenSSL lacks " #name;
#define FIND_SSL(name) FIND(ssl, name)
#define FIND_CRYPTO(name) FIND(crypto, name)
    FUNCTIONS(FIND_SSL)
    CRYPTO_FUNCTIONS(FIND_CRYPTO)
}

struct ctls_session {
    SSL *ssl;
    int number;
    char problem[256];
};

/// OpenSSL's reason for its last failure, or `otherwise`.
static void tell(char *problem, size_t size, const char *otherwise) {
    unsigned long code = p_ERR_get_error();
    const char *reason = code ? p_ERR_reason_error_string(code) : NULL;
    snprintf(problem, size, "%s%s%s", otherwise, reason ? ": " : "", reason ? reason : "");
}

static SSL_CTX *make(const SSL_METHOD *(*method)(void), char *problem, size_t size) {
    SSL_CTX *context = p_SSL_CTX_new(method());
    if (!context) {
        tell(problem, size, "OpenSSL");
        return NULL;
    }
    p_SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_2_VERSION, NULL);
    // A write that did not go through is repeated from a buffer that may have moved, and sends what fits.
    p_SSL_CTX_ctrl(context, SSL_CTRL_MODE,
                   SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_ENABLE_PARTIAL_WRITE |
                       SSL_MODE_RELEASE_BUFFERS,
                   NULL);
    p_SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    return context;
}

static int is_loaded(char *problem, size_t size) {
    pthread_once(&once, load);
    if (load_problem) snprintf(problem, size, "%s", load_problem);
    if (!load_problem) p_ERR_clear_error();
    return !load_problem;
}

ctls_context *ctls_server(const char *certificate, const char *key, char *problem, size_t size) {
    if (!is_loaded(problem, size)) return NULL;
    SSL_CTX *context = make(p_TLS_server_method, problem, size);
    if (!context) return NULL;
    const char *what = NULL;
    if (p_SSL_CTX_use_certificate_chain_file(context, certificate) != 1) what = certificate;
    else if (p_SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) what = key;
    else if (p_SSL_CTX_check_private_key(context) != 1) what = key;
    if (what) {
        tell(problem, size, what);
        p_SSL_CTX_free(context);
        return NULL;
    }
    return (ctls_context *)context;
}

ctls_context *ctls_client(const char *authorities, char *problem, size_t size) {
    if (!is_loaded(problem, size)) return NULL;
    SSL_CTX *context = make(p_TLS_client_method, problem, size);
    if (!context) return NULL;
    int loaded = authorities ? p_SSL_CTX_load_verify_locations(context, authorities, NULL)
                             : p_SSL_CTX_set_default_verify_paths(context);
    if (loaded != 1) {
        tell(problem, size, authorities ? authorities : "the system's certificates");
        p_SSL_CTX_free(context);
        return NULL;
    }
    p_SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    return (ctls_context *)context;
}

ctls_context *ctls_pinned(const char *certificate, char *problem, size_t size) {
    if (!is_loaded(problem, size)) return NULL;
    SSL_CTX *context = make(p_TLS_client_method, problem, size);
    if (!context) return NULL;
    // Reads the first of the file and leaves its signers out: what they have signed besides is not meant.
    int loaded = p_SSL_CTX_use_certificate_file(context, certificate, SSL_FILETYPE_PEM);
    if (loaded == 1)
        loaded = p_X509_STORE_add_cert(p_SSL_CTX_get_cert_store(context), p_SSL_CTX_get0_certificate(context));
    if (loaded != 1) {
        tell(problem, size, certificate);
        p_SSL_CTX_free(context);
        return NULL;
    }
    p_SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    return (ctls_context *)context;
}

void ctls_context_free(ctls_context *context) { p_SSL_CTX_free((SSL_CTX *)context); }

static ctls_session *session(ctls_context *context, int descriptor) {
    ctls_session *made = calloc(1, sizeof *made);
    if (!made) return NULL;
    made->ssl = p_SSL_new((SSL_CTX *)context);
    if (!made->ssl || p_SSL_set_fd(made->ssl, descriptor) != 1) {
        if (made->ssl) p_SSL_free(made->ssl);
        free(made);
        return NULL;
    }
    return made;
}

ctls_session *ctls_accept(ctls_context *context, int descriptor) {
    ctls_session *made = session(context, descriptor);
    if (made) p_SSL_set_accept_state(made->ssl);
    return made;
}

ctls_session *ctls_connect(ctls_context *context, int descriptor, const char *host) {
    ctls_session *made = session(context, descriptor);
    if (!made) return NULL;
    p_SSL_set_connect_state(made->ssl);
    // A certificate that is itself in the list of those that are trusted needs no signer.
    p_X509_VERIFY_PARAM_set_flags(p_SSL_get0_param(made->ssl), X509_V_FLAG_PARTIAL_CHAIN);
    if (!host) return made;
    unsigned char address[16];
    int is_address = inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
    int named;
    if (is_address) {
        named = p_X509_VERIFY_PARAM_set1_ip_asc(p_SSL_get0_param(made->ssl), host);
    } else {
        p_SSL_ctrl(made->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, (void *)host);
        named = p_SSL_set1_host(made->ssl, host);
    }
    if (named != 1) {
        ctls_session_free(made);
        return NULL;
    }
    return made;
}

static int result(ctls_session *session, int count) {
    if (count > 0) return count;
    int saved = errno;
    switch (p_SSL_get_error(session->ssl, count)) {
    case SSL_ERROR_ZERO_RETURN: return CTLS_ENDED;
    case SSL_ERROR_WANT_READ: return CTLS_WANTS_READ;
    case SSL_ERROR_WANT_WRITE: return CTLS_WANTS_WRITE;
    default: break;
    }
    long verified = p_SSL_get_verify_result(session->ssl);
    session->problem[0] = 0;
    session->number = EPROTO;
    if (verified != X509_V_OK)
        snprintf(session->problem, sizeof session->problem, "its certificate is not accepted: %s",
                 p_X509_verify_cert_error_string(verified));
    else if (saved)
        session->number = saved;
    else
        tell(session->problem, sizeof session->problem, "TLS failed");
    return CTLS_FAILED;
}

int ctls_read(ctls_session *session, void *buffer, int size) {
    // The queue of errors belongs to the thread: what another connection left there must not be taken for ours.
    p_ERR_clear_error();
    errno = 0;
    return result(session, p_SSL_read(session->ssl, buffer, size));
}

int ctls_write(ctls_session *session, const void *bytes, int size) {
    p_ERR_clear_error();
    errno = 0;
    return result(session, p_SSL_write(session->ssl, bytes, size));
}

int ctls_is_established(ctls_session *session) { return p_SSL_is_init_finished(session->ssl); }

int ctls_pending(ctls_session *session) { return p_SSL_pending(session->ssl); }

void ctls_end(ctls_session *session) {
    p_ERR_clear_error();
    p_SSL_shutdown(session->ssl);
}

const char *ctls_problem(ctls_session *session) { return session->problem[0] ? session->problem : NULL; }

int ctls_errno(ctls_session *session) { return session->number; }

void ctls_session_free(ctls_session *session) {
    p_SSL_free(session->ssl);
    free(session);
}
