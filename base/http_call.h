/* An outgoing HTTP exchange as plain data: backends and challenges describe it, the server performs it. */
#ifndef ACME_BASE_HTTP_CALL_H
#define ACME_BASE_HTTP_CALL_H

#include "base/arena.h"

enum { ACME_HTTP_MAX_HEADERS = 24 };

struct acme_http_header {
    const char *name;
    const char *value;
};

struct acme_http_call {
    const char *method; /* GET, HEAD, POST, PUT, DELETE */
    const char *url;    /* absolute, http or https */
    struct acme_http_header headers[ACME_HTTP_MAX_HEADERS];
    size_t header_count;
    struct acme_bytes body; /* data NULL: none */
    int connect_timeout_ms; /* 0: 10 s */
    int total_timeout_ms;   /* 0: 90 s */
    size_t max_reply_bytes; /* 0: 1 MiB; a longer reply is a failure */
};

struct acme_http_reply {
    int status;
    struct acme_http_header *headers; /* names lower-case; the interesting ones, see acme_http_reply_header */
    size_t header_count;
    struct acme_bytes body; /* may be empty; not NUL-terminated text */
};

/** acme_http_call_header(call, name, value): add one; false when the table is full. Borrows both. */
bool acme_http_call_header(struct acme_http_call *call, const char *name, const char *value);

/** acme_http_reply_header(reply, name): first value of a header, name in lower case; NULL when absent. */
const char *acme_http_reply_header(const struct acme_http_reply *reply, const char *name);

/** acme_http_reply_copy(arena, reply): a copy that lives in `arena`; NULL without memory. */
const struct acme_http_reply *acme_http_reply_copy(struct acme_arena *arena,
                                                   const struct acme_http_reply *reply);

/** acme_http_reply_retry_after_s(reply, now_ms): Retry-After as seconds from now (integer or HTTP-date form,
 * RFC 9110 section 10.2.3), capped at one day; 0 for a date that has passed, -1 when absent or senseless. */
int64_t acme_http_reply_retry_after_s(const struct acme_http_reply *reply, int64_t now_ms);

/** acme_http_reply_date_ms(reply): its Date header (RFC 9110 section 6.6.1) as Unix time; 0 when absent or
 * senseless. Thread: any. */
int64_t acme_http_reply_date_ms(const struct acme_http_reply *reply);

#endif
