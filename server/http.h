/* The HTTP(S) front: listeners, I/O loops, HTTP/1.1 in and out. The seam behind which the HTTP implementation
 * can be replaced: nothing else in the program knows libevent's connection types.
 *
 * What it refuses by itself, always with a problem document and Connection: close: a missing (HTTP/1.1) or
 * repeated Host, a repeated, signed, hexadecimal or over-long Content-Length, any Transfer-Encoding (411 with
 * a Content-Length hint / 400), folded headers, control characters, bare LF line ends, headers over 16 KiB or
 * 100 fields, bodies over the limit (413), a whole request slower than its wall-clock deadline (408), unknown
 * HTTP versions (505). Connections over the cap are closed at once. */
#ifndef ACME_SERVER_HTTP_H
#define ACME_SERVER_HTTP_H

#include "protocol/message.h"

#include <openssl/ssl.h>

struct acme_http_server;
struct acme_http_exchange; /* one request waiting for its answer; a small reference, valid from any thread */

struct acme_http_options {
    const char *listen;     /* "127.0.0.1:14000", "[::]:443", "0.0.0.0:0" */
    int loops;              /* I/O threads */
    size_t max_connections; /* over all loops */
    size_t max_connections_per_address;
    size_t max_body_bytes;
    int request_deadline_ms; /* from the first byte of a request (or the accepted connection, with TLS
                                handshake) to its last */
    int idle_timeout_ms;     /* keep-alive connections without a request */
    size_t arena_bytes;      /* cap of each request's arena */
};

struct acme_http_callbacks {
    void *context;
    /** on_request(context, exchange, request): a complete request arrived. Called on an I/O thread, must not
     * block. `request` and its arena belong to the exchange and live until it is answered. Answer exactly
     * once with acme_http_respond, now or later, from any thread. */
    void (*on_request)(void *context, struct acme_http_exchange *exchange,
                       const struct acme_request *request);
    /** on_problem(context, arena, problem_type, status, detail, response): fill in the response for an error
     * the HTTP layer found itself. I/O thread. */
    void (*on_problem)(void *context, struct acme_arena *arena, int problem_type, int status,
                       const char *detail, struct acme_response *response);
};

/** acme_http_start(options, callbacks, ret): listen (SO_REUSEPORT, one listener per loop, TCP_NODELAY on
 * every accepted socket) and serve on loops of its own. `tls` NULL: plain HTTP, for what anybody may read.
 * Errors: IO (logged with the address), NOMEM. */
struct acme_err acme_http_start(const struct acme_http_options *options,
                                const struct acme_http_callbacks *callbacks, SSL_CTX *tls,
                                struct acme_http_server **ret) ACME_MUST_USE;

/** acme_http_set_tls(server, tls): use another certificate for new connections of a server with TLS. Takes
 * its own reference. Thread: any. */
void acme_http_set_tls(struct acme_http_server *server, SSL_CTX *tls);

/** acme_http_port(server): the port really bound. */
int acme_http_port(const struct acme_http_server *server);

/** acme_http_respond(exchange, response): send it. `response` and what it points to may live in the request's
 * arena or elsewhere; it is copied before the call returns. Harmless when the client has gone. HEAD is
 * answered without the body, 204/304 without Content-Length. Thread: any. The exchange is invalid afterwards.
 */
void acme_http_respond(struct acme_http_exchange *exchange, const struct acme_response *response);

/** acme_http_drain(server): close the listeners and idle connections, answer what is under way with
 * Connection: close. Thread: any. */
void acme_http_drain(struct acme_http_server *server);
/** acme_http_is_drained(server): no connection is left. */
bool acme_http_is_drained(const struct acme_http_server *server);

/** acme_http_stop(server): close everything, end the loops, join their threads, release. No exchange may be
 * answered afterwards, so callers end the workers first. NULL is allowed. */
void acme_http_stop(struct acme_http_server *server);

#endif
