/* Account keys: JSON Web Keys in (RFC 7517, 7518 section 6, 8037), OpenSSL keys and thumbprints out. */
#ifndef ACME_PROTOCOL_JWK_H
#define ACME_PROTOCOL_JWK_H

#include "base/json.h"

#include <openssl/evp.h>

enum acme_key_kind {
    ACME_KEY_RSA,
    ACME_KEY_P256,
    ACME_KEY_P384,
    ACME_KEY_P521,
    ACME_KEY_ED25519,
    ACME_KEY_KIND_COUNT
};

struct acme_jwk {
    enum acme_key_kind kind;
    EVP_PKEY *key;          /* public; released with the arena */
    const char *canonical;  /* required members only, sorted, no white space (RFC 7638): what is stored */
    const char *thumbprint; /* base64url of SHA-256(canonical) */
};

/** acme_jwk_parse(arena, jwk, ret, ret_why): read a public key. RSA of 2048..8192 bits with an odd exponent
 *  3 < e < 2^64; EC on P-256, P-384, P-521 with full-length coordinates of a point on the curve; OKP Ed25519.
 *  Members that do not define the key (use, alg, kid ...) are ignored; a private part is refused.
 *  Owns: everything in `arena`; *ret_why is a static text for a badPublicKey detail.
 *  Errors: UNSUPPORTED (key type), FORMAT (damaged), DENIED (not acceptable), CRYPTO, NOMEM; *ret untouched
 * on error. Thread: any. */
struct acme_err acme_jwk_parse(struct acme_arena *arena, const cJSON *jwk, struct acme_jwk *ret,
                               const char **ret_why) ACME_MUST_USE;

/** acme_jwk_of_key(arena, key, octets, ret): the same for a key that is there, to look for an account with
 * it. `octets` are those of the key's BIT STRING in a SubjectPublicKeyInfo: OpenSSL would compute a point's
 * coordinates anew each time it is asked for one (two modular inversions). Owns: as acme_jwk_parse, but
 * `key` is borrowed. Errors: UNSUPPORTED (a kind accounts cannot have), FORMAT (a point that is not written
 * uncompressed), CRYPTO, NOMEM. Thread: any. */
struct acme_err acme_jwk_of_key(struct acme_arena *arena, EVP_PKEY *key, struct acme_bytes octets,
                                struct acme_jwk *ret) ACME_MUST_USE;

#endif
