/* TLS on non-blocking sockets: OpenSSL's results reduced to what a state machine asks; and the same without
 * TLS. Thread: one at a time per SSL or socket. */
#ifndef ACME_SERVER_HTTP_TLS_H
#define ACME_SERVER_HTTP_TLS_H

#include <openssl/ssl.h>

enum acme_tls_result {
    ACME_TLS_DONE,
    ACME_TLS_WANT_READ,
    ACME_TLS_WANT_WRITE,
    ACME_TLS_CLOSED /* by the peer, or an error: nothing more will come or go */
};

/** acme_tls_prepare_server(tls): set what every server context of ours has: TLS 1.2 or later, ALPN http/1.1,
 * no renegotiation, small buffers, stateless session tickets. Call before connections use it. */
void acme_tls_prepare_server(SSL_CTX *tls);

enum acme_tls_result acme_tls_handshake(SSL *ssl);

/** acme_tls_read / _write: at most `size` bytes; *ret_count (more than 0) is set on DONE only. */
enum acme_tls_result acme_tls_read(SSL *ssl, void *data, size_t size, size_t *ret_count);
enum acme_tls_result acme_tls_write(SSL *ssl, const void *data, size_t size, size_t *ret_count);

/** acme_plain_read / _write: likewise on a bare socket. */
enum acme_tls_result acme_plain_read(int fd, void *data, size_t size, size_t *ret_count);
enum acme_tls_result acme_plain_write(int fd, const void *data, size_t size, size_t *ret_count);

#endif
