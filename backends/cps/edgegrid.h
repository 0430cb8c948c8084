/* EdgeGrid, how Akamai's APIs know their clients: EG1-HMAC-SHA256 over each single request. */
#ifndef ACME_BACKENDS_CPS_EDGEGRID_H
#define ACME_BACKENDS_CPS_EDGEGRID_H

#include "base/arena.h"
#include "base/http_call.h"

enum {
    ACME_EDGEGRID_MAX_BODY = 131072, /* octets of a body that are hashed, unless said otherwise */
    ACME_EDGEGRID_SKEW_S = 30,       /* how far apart the clocks may be */
    ACME_EDGEGRID_TIME_SIZE = 24
};

struct acme_edgegrid_client {
    const char *client_token;
    const char *client_secret; /* never logged */
    const char *access_token;
    size_t max_body; /* 0: ACME_EDGEGRID_MAX_BODY */
};

/* What is signed. */
struct acme_edgegrid_request {
    const char *method;
    const char *scheme;     /* lower-case */
    const char *host;       /* as in the Host field, lower-case */
    const char *path;       /* with the query, exactly as sent */
    struct acme_bytes body; /* counts only with POST */
    const struct acme_http_header
        *headers; /* that are signed too; the API's client says which: none of CPS */
    size_t header_count;
};

/** acme_edgegrid_time(unix_ms, out): "20140321T19:34:21+0000". */
void acme_edgegrid_time(int64_t unix_ms, char out[ACME_EDGEGRID_TIME_SIZE]);

/** acme_edgegrid_content_hash(arena, client, request, ret): base64 of the SHA-256 of the beginning of the
 * body; "" unless it is a POST with one. Errors: NOMEM, CRYPTO. Thread: any. */
struct acme_err acme_edgegrid_content_hash(struct acme_arena *arena,
                                           const struct acme_edgegrid_client *client,
                                           const struct acme_edgegrid_request *request,
                                           const char **ret) ACME_MUST_USE;

/** acme_edgegrid_authorization(arena, client, request, time, nonce, ret): the value of the Authorization
 * field, in `arena`. `time` is of acme_edgegrid_time, within ACME_EDGEGRID_SKEW_S of Akamai's; no nonce may
 * come twice. Errors: NOMEM, CRYPTO. Thread: any. */
struct acme_err acme_edgegrid_authorization(struct acme_arena *arena,
                                            const struct acme_edgegrid_client *client,
                                            const struct acme_edgegrid_request *request, const char *time,
                                            const char *nonce, const char **ret) ACME_MUST_USE;

/** acme_edgegrid_sign(arena, client, now_ms, call): puts the Authorization field into `call`, whose URL is
 * absolute, with a new nonce. Whoever sends the call again signs it again. Errors: NOMEM; CRYPTO; FORMAT (no
 * absolute URL); LIMIT (no room for the field). Thread: any. */
struct acme_err acme_edgegrid_sign(struct acme_arena *arena, const struct acme_edgegrid_client *client,
                                   int64_t now_ms, struct acme_http_call *call) ACME_MUST_USE;

/** acme_edgegrid_skew_s(reply, now_ms): by how many seconds our clock is ahead of that which wrote the
 * reply's Date field (negative: behind); 0 without a readable one. */
int64_t acme_edgegrid_skew_s(const struct acme_http_reply *reply, int64_t now_ms);

#endif
