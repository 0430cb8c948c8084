/* One ACME session of the load generator: an account key, signed requests (ES256), nonces. */
#ifndef ACME_BENCH_ACME_CLIENT_H
#define ACME_BENCH_ACME_CLIENT_H

#include "base/json.h"
#include "tls_client.h"

struct acme_bench_directory {
    char new_nonce[ACME_BENCH_URL_SIZE];
    char new_account[ACME_BENCH_URL_SIZE];
    char new_order[ACME_BENCH_URL_SIZE];
};

struct acme_bench_account {
    EVP_PKEY *key;
    char jwk[256];
    char thumbprint[64];
    char kid[ACME_BENCH_URL_SIZE]; /* empty until registered */
};

struct acme_bench_session {
    struct acme_bench_conn conn;
    const struct acme_bench_directory *directory;
    struct acme_bench_account *account; /* may be shared by sessions once it is registered */
    char nonce[ACME_BENCH_NONCE_SIZE];  /* empty when none is at hand */
    uint64_t signed_requests;
    uint64_t bad_nonces;
    char why[ACME_BENCH_WHY_SIZE];
};

/* What a signed request brought. Everything lives in the arena given to acme_bench_session_post. */
struct acme_bench_reply {
    const char *location; /* "" when absent */
    const char *body;
    size_t body_len;
    const cJSON *json; /* NULL when the body is not JSON */
};

/** acme_bench_directory_fetch(conn, url, ret): read the directory. Errors: as acme_bench_conn_request, FORMAT
 * when a resource is missing; `conn->why` is set. */
struct acme_err acme_bench_directory_fetch(struct acme_bench_conn *conn, const char *url,
                                           struct acme_bench_directory *ret) ACME_MUST_USE;

/** acme_bench_account_init(account): a new P-256 key. Errors: CRYPTO. Release: acme_bench_account_finish. */
struct acme_err acme_bench_account_init(struct acme_bench_account *account) ACME_MUST_USE;
void acme_bench_account_finish(struct acme_bench_account *account);

/** acme_bench_session_init(session, origin, tls, directory, account): all borrowed; connects at the first
 * request. Release: acme_bench_session_finish. */
void acme_bench_session_init(struct acme_bench_session *session, const struct acme_bench_origin *origin,
                             SSL_CTX *tls, const struct acme_bench_directory *directory,
                             struct acme_bench_account *account);
void acme_bench_session_finish(struct acme_bench_session *session);

/** acme_bench_session_register(session): newAccount (RFC 8555 section 7.3); fills the account's kid.
 *  Errors: as acme_bench_session_post. */
struct acme_err acme_bench_session_register(struct acme_bench_session *session) ACME_MUST_USE;

/** acme_bench_session_warm(session): connect and have a nonce at hand, so that neither falls into a
 * measurement. */
struct acme_err acme_bench_session_warm(struct acme_bench_session *session) ACME_MUST_USE;

/** acme_bench_session_post(session, arena, url, payload, ret): one signed request (RFC 8555 section 6.2); a
 * NULL payload makes it a POST-as-GET. badNonce is answered with a new try, five times at most. Owns: *ret
 * lives in `arena`. Errors: PROBLEM for a status of 400 and above, else as acme_bench_conn_request, CRYPTO,
 * NOMEM; `session->why` is set and the output untouched. Thread: one at a time. */
struct acme_err acme_bench_session_post(struct acme_bench_session *session, struct acme_arena *arena,
                                        const char *url, const char *payload,
                                        struct acme_bench_reply *ret) ACME_MUST_USE;

#endif
