#include "server/http_tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>

/* RFC 7301: a client that offers protocols, none of which is ours, is told so in the handshake. */
static int select_alpn(SSL *ssl, const unsigned char **ret, unsigned char *ret_len,
                       const unsigned char *offered, unsigned offered_len, void *context)
{
    (void)ssl;
    (void)context;
    static const unsigned char ours[] = "http/1.1";
    const unsigned char ours_len = sizeof ours - 1;
    for (unsigned at = 0; at < offered_len; at += offered[at] + 1U) {
        unsigned len = offered[at];
        if (len > offered_len - at - 1)
            break;
        if (len == ours_len && memcmp(offered + at + 1, ours, ours_len) == 0) {
            *ret = offered + at + 1;
            *ret_len = ours_len;
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_NOACK;
}

void acme_tls_prepare_server(SSL_CTX *tls)
{
    static const unsigned char session_context[] = "acmebridge";
    SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION);
    SSL_CTX_set_options(tls,
                        SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(tls, 1);                          /* one read(2) for a record's head and body */
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF); /* tickets carry the state: no memory of ours */
    SSL_CTX_set_session_id_context(tls, session_context, sizeof session_context - 1);
    SSL_CTX_set_num_tickets(tls, 1);
    SSL_CTX_set_alpn_select_cb(tls, select_alpn, NULL);
}

/* SSL_get_error looks into this thread's queue, which must be empty before the call it asks about. It nearly
 * always is, and clearing it costs more than a look. */
static void forget_errors(void)
{
    if (ERR_peek_error() != 0)
        ERR_clear_error();
}

static enum acme_tls_result judge(SSL *ssl, int result)
{
    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_NONE:
        return ACME_TLS_DONE;
    case SSL_ERROR_WANT_READ:
        return ACME_TLS_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return ACME_TLS_WANT_WRITE;
    default:
        ERR_clear_error();
        return ACME_TLS_CLOSED;
    }
}

enum acme_tls_result acme_tls_handshake(SSL *ssl)
{
    forget_errors();
    return judge(ssl, SSL_accept(ssl));
}

enum acme_tls_result acme_tls_read(SSL *ssl, void *data, size_t size, size_t *ret_count)
{
    forget_errors();
    return judge(ssl, SSL_read_ex(ssl, data, size, ret_count));
}

enum acme_tls_result acme_tls_write(SSL *ssl, const void *data, size_t size, size_t *ret_count)
{
    forget_errors();
    return judge(ssl, SSL_write_ex(ssl, data, size, ret_count));
}

static enum acme_tls_result judge_plain(ssize_t count, enum acme_tls_result blocked, size_t *ret_count)
{
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return blocked;
    if (count <= 0)
        return ACME_TLS_CLOSED;
    *ret_count = (size_t)count;
    return ACME_TLS_DONE;
}

enum acme_tls_result acme_plain_read(int fd, void *data, size_t size, size_t *ret_count)
{
    ssize_t count;
    do
        count = recv(fd, data, size, 0);
    while (count < 0 && errno == EINTR);
    return judge_plain(count, ACME_TLS_WANT_READ, ret_count);
}

enum acme_tls_result acme_plain_write(int fd, const void *data, size_t size, size_t *ret_count)
{
    ssize_t count;
    do
        count = send(fd, data, size, MSG_NOSIGNAL);
    while (count < 0 && errno == EINTR);
    return judge_plain(count, ACME_TLS_WANT_WRITE, ret_count);
}
