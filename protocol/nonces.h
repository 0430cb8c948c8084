/* Anti-replay nonces (RFC 8555 section 6.5) without a write per nonce: a keyed MAC over an epoch and a
 * sequence number, and a window of used numbers in memory. Boulder's design was the model. */
#ifndef ACME_PROTOCOL_NONCES_H
#define ACME_PROTOCOL_NONCES_H

#include "base/arena.h"

enum {
    ACME_NONCE_SIZE = 45,        /* text with terminator: 33 octets, base64url without padding */
    ACME_NONCE_WINDOW = 1 << 22, /* how many of the latest nonces stay usable */
};

struct acme_nonces;

/** acme_nonces_create(saved, ret): a new window. `saved` is what acme_nonces_save gave at an orderly stop:
 * nonces issued then stay good; with saved.data NULL (first start, or after a crash) a fresh key makes all
 * earlier ones bad. The caller deletes the saved copy before serving, so that a crash cannot bring used
 * nonces back. Errors: FORMAT (damaged), CRYPTO, NOMEM. Release: acme_nonces_destroy (wipes the key). */
struct acme_err acme_nonces_create(struct acme_bytes saved, struct acme_nonces **ret) ACME_MUST_USE;
void acme_nonces_destroy(struct acme_nonces *nonces);

/** acme_nonces_issue(nonces, out): a fresh nonce. Errors: CRYPTO. Thread: any. */
struct acme_err acme_nonces_issue(struct acme_nonces *nonces, char out[ACME_NONCE_SIZE]) ACME_MUST_USE;

/** acme_nonces_use(nonces, text): true exactly once per nonce we issued and still remember. Thread: any. */
bool acme_nonces_use(struct acme_nonces *nonces, const char *text);

/** acme_nonces_save(nonces, arena, ret): key, position and used window (about 512 KiB at most; contains the
 * MAC key, so it belongs only in the store). Call when no request runs. Errors: NOMEM. */
struct acme_err acme_nonces_save(struct acme_nonces *nonces, struct acme_arena *arena,
                                 struct acme_bytes *ret) ACME_MUST_USE;

#endif
