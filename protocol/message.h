/* One ACME request and its response, as the protocol sees them: complete, in memory, free of sockets. */
#ifndef ACME_PROTOCOL_MESSAGE_H
#define ACME_PROTOCOL_MESSAGE_H

#include "base/arena.h"

enum { ACME_RESPONSE_MAX_HEADERS = 16 };

struct acme_request {
    struct acme_arena *arena;
    const char *method;       /* "GET", "HEAD", "POST"; others are refused before or here */
    const char *path;         /* "/new-order", without the base URL's own path, query or fragment */
    const char *query;        /* NULL when the target had none */
    const char *content_type; /* NULL when absent */
    const char *user_agent;   /* for logs; NULL when absent */
    struct acme_bytes body;
};

struct acme_header {
    const char *name;
    const char *value;
};

struct acme_response {
    int status;
    const char *content_type; /* NULL: no body */
    struct acme_bytes body;
    struct acme_header headers[ACME_RESPONSE_MAX_HEADERS];
    size_t header_count;
    /* Finalize may be held for a moment so that a quick CA answers at once (architecture.md, section 6): when
     * set, the server keeps the connection and calls acme_service_order_response for this order when it
     * leaves `processing` or hold_ms have passed, whichever is first. The rest of the response is complete as
     * it stands. */
    const char *hold_order_id;
    int64_t hold_ms;
};

#endif
