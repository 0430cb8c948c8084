/* Huawei Cloud's request signature SDK-HMAC-SHA256 ("API signing guide", section 2.2 of the facts the tests
 * are made from): an access key's secret over the method, path, query, chosen headers and the whole body. */
#ifndef ACME_BACKENDS_HUAWEI_ELB_HUAWEI_SIGN_H
#define ACME_BACKENDS_HUAWEI_ELB_HUAWEI_SIGN_H

#include "base/http_call.h"

enum { ACME_HUAWEI_DATE_SIZE = 17, ACME_HUAWEI_SIGNED_MAX = 8, ACME_HUAWEI_QUERY_MAX = 16 };

struct acme_huawei_pair {
    const char *name;
    const char *value;
};

struct acme_huawei_signing {
    const char *method;
    const char *path;                       /* as sent, but not percent-encoded: "/v3/..." */
    const char *query;                      /* of acme_huawei_query; "" for none */
    const struct acme_http_header *headers; /* those to be signed: host, and x-sdk-date among them; any order
                                               and case, no name twice; at most ACME_HUAWEI_SIGNED_MAX */
    size_t header_count;
    struct acme_bytes body; /* may be empty */
};

/** acme_huawei_date(now_ms, out): the value of X-Sdk-Date, "20240102T030405Z". Thread: any. */
void acme_huawei_date(int64_t now_ms, char out[ACME_HUAWEI_DATE_SIZE]);

/** acme_huawei_query(arena, pairs, count): the query in its canonical form, in which it is sent as well:
 * sorted by name, then by value, percent-encoded; NULL without memory or with more than
 * ACME_HUAWEI_QUERY_MAX pairs. Thread: any. */
char *acme_huawei_query(struct acme_arena *arena, const struct acme_huawei_pair *pairs, size_t count);

/** acme_huawei_sign(arena, access_id, secret, signing, ret): the value of the Authorization header, in
 * `arena`. Errors: NOMEM, LIMIT (too many headers), STATE (no x-sdk-date among them), CRYPTO. Thread: any. */
struct acme_err acme_huawei_sign(struct acme_arena *arena, const char *access_id, const char *secret,
                                 const struct acme_huawei_signing *signing, const char **ret) ACME_MUST_USE;

#endif
