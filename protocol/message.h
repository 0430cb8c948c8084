/* One ACME request and its response, as the protocol sees them: complete, in memory, free of sockets. */
#ifndef ACME_PROTOCOL_MESSAGE_H
#define ACME_PROTOCOL_MESSAGE_H

#include "base/arena.h"
#include "base/blob.h"

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

enum acme_hold {
    ACME_HOLD_NONE,
    ACME_HOLD_CHALLENGE, /* until the validation is decided */
    ACME_HOLD_ORDER,     /* until the order leaves `processing` */
    ACME_HOLD_REVOCATION /* until the issuer has revoked the certificate, or will not */
};

struct acme_response {
    int status;
    const char *content_type; /* NULL: no body */
    struct acme_bytes body;
    /* NULL, or what holds `body`: it is then sent from there instead of from a copy for each client. */
    struct acme_blob *shared;
    struct acme_header headers[ACME_RESPONSE_MAX_HEADERS];
    size_t header_count;
    /* What triggers a challenge, finalize and revokeCert may be held for a moment so that a quick validation
     * or CA answers at once (architecture.md):
     * when `hold` is set, the server keeps the connection and calls acme_service_held_response when what
     * hold_id names is decided or hold_ms have passed, whichever is first. The rest of the response is
     * complete as it stands. */
    enum acme_hold hold;
    const char *hold_id; /* of the challenge, the order, or the certificate being revoked */
    int64_t hold_ms;
};

#endif
