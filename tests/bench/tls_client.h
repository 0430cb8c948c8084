/* One keep-alive HTTP/1.1 connection over TLS, blocking: what a load generator needs of HTTP and no more. */
#ifndef ACME_BENCH_TLS_CLIENT_H
#define ACME_BENCH_TLS_CLIENT_H

#include "base/buf.h"

#include <openssl/ssl.h>
#include <stdint.h>
#include <stdio.h>

enum {
    ACME_BENCH_URL_SIZE = 1024,
    ACME_BENCH_NONCE_SIZE = 256,
    ACME_BENCH_WHY_SIZE = 512,
    ACME_BENCH_INPUT_SIZE = 16384,
    ACME_BENCH_MAX_BODY_BYTES = 1024 * 1024,
};

/* https://host[:port], the part of a URL a connection belongs to. */
struct acme_bench_origin {
    char text[320];      /* as it was written, without a path */
    char host[256];      /* without brackets */
    char authority[300]; /* for the Host header */
    char port[6];
};

struct acme_bench_response {
    int status;
    char nonce[ACME_BENCH_NONCE_SIZE];
    char location[ACME_BENCH_URL_SIZE];
    struct acme_buf body;
};

struct acme_bench_conn {
    const struct acme_bench_origin *origin;
    SSL_CTX *tls;
    SSL *ssl; /* NULL while closed */
    int fd;
    char input[ACME_BENCH_INPUT_SIZE];
    size_t input_start;
    size_t input_end;
    uint64_t connects;
    char why[ACME_BENCH_WHY_SIZE]; /* the last failure, for people */
};

/* The result of a failure, with its explanation left in holder->why (of a connection or a session). A macro,
 * because analyzers see through it and not through a function with variable arguments. */
#define ACME_BENCH_FAIL(holder, code, ...)                                                                   \
    ((void)snprintf((holder)->why, sizeof(holder)->why, __VA_ARGS__), acme_err(code))

/** acme_bench_origin_parse(url, ret): the origin of an https URL. Errors: FORMAT. */
struct acme_err acme_bench_origin_parse(const char *url, struct acme_bench_origin *ret) ACME_MUST_USE;

/** acme_bench_origin_path(origin, url): the path of an absolute `url` of this origin, inside `url`; NULL when
 * it belongs elsewhere. */
const char *acme_bench_origin_path(const struct acme_bench_origin *origin, const char *url);

/** acme_bench_tls_create(ca_file, ret): a client context that trusts `ca_file` (NULL: the system's roots).
 *  Owns: the caller, SSL_CTX_free. Errors: IO, CRYPTO. */
struct acme_err acme_bench_tls_create(const char *ca_file, SSL_CTX **ret) ACME_MUST_USE;

/** acme_bench_conn_init(conn, origin, tls): closed; connects at the first request. `origin` and `tls` are
 * borrowed. */
void acme_bench_conn_init(struct acme_bench_conn *conn, const struct acme_bench_origin *origin, SSL_CTX *tls);
void acme_bench_conn_finish(struct acme_bench_conn *conn);

/** acme_bench_conn_request(conn, method, path, body, ret): one request and its response; a `body` is sent as
 *  application/jose+json, NULL sends none. A kept connection that turns out to be closed is opened anew,
 * once. Owns: ret->body, release with acme_buf_finish. Limits: ACME_BENCH_MAX_BODY_BYTES, 30 s without a
 * byte. Errors: IO, FORMAT, LIMIT with `conn->why` set; the output is untouched then. Thread: one at a time.
 */
struct acme_err acme_bench_conn_request(struct acme_bench_conn *conn, const char *method, const char *path,
                                        const char *body, struct acme_bench_response *ret) ACME_MUST_USE;

#endif
