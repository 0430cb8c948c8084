/* The head of an HTTP/1.x request (RFC 9112), strictly: bytes in, verdict out, no I/O and no memory of its
 * own. Whatever two implementations could read differently is refused, since that is what request smuggling
 * lives on. */
#ifndef ACME_SERVER_HTTP_PARSE_H
#define ACME_SERVER_HTTP_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ACME_HTTP_MAX_HEAD = 16 * 1024, /* request line, fields and the empty line */
    ACME_HTTP_MAX_FIELDS = 100,
    ACME_HTTP_MAX_TARGET = 2048,
    ACME_HTTP_MAX_METHOD = 16
};

/* A part of the bytes that were parsed, as a position, so that the bytes may move. */
struct acme_http_span {
    uint32_t at;
    uint32_t len;
};

struct acme_http_head {
    struct acme_http_span method;
    struct acme_http_span path;  /* starts with "/" */
    struct acme_http_span query; /* without the "?" */
    struct acme_http_span content_type;
    struct acme_http_span user_agent;
    bool has_query;
    bool has_content_type;
    bool has_user_agent;
    bool has_length;
    bool http_1_0;
    bool keep_alive; /* what the client asked for, the version's default included */
    bool expect_continue;
    size_t content_length;
    size_t head_len; /* bytes up to and with the empty line */
};

struct acme_http_refusal {
    int status;         /* 400, 411, 413, 414, 417, 431, 505 */
    const char *detail; /* static */
};

enum acme_http_verdict { ACME_HTTP_MORE, ACME_HTTP_COMPLETE, ACME_HTTP_REFUSED };

/** acme_http_parse_head(data, len, max_body, scanned, ret_head, ret_refusal): judge the `len` bytes received
 * so far. MORE: the head is not complete; call again with the same bytes and those that followed. COMPLETE:
 * *ret_head is set. REFUSED: *ret_refusal is set. `*scanned` (0 at first) is kept by the caller between calls
 * and spares a second look at lines already seen. A body longer than `max_body` is refused from its
 * announcement alone. Thread: any; pure. */
enum acme_http_verdict acme_http_parse_head(const char *data, size_t len, size_t max_body, size_t *scanned,
                                            struct acme_http_head *ret_head,
                                            struct acme_http_refusal *ret_refusal);

#endif
