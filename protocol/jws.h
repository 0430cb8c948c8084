/* JSON Web Signatures as ACME restricts them (RFC 8555 section 6.2): flattened JSON, everything protected. */
#ifndef ACME_PROTOCOL_JWS_H
#define ACME_PROTOCOL_JWS_H

#include "base/problem.h"
#include "protocol/jwk.h"

enum { ACME_JWS_MAX_BYTES = 256 * 1024 };

struct acme_jws_alg; /* an entry of the table of algorithms */

/* Where a JWS stands decides which header parameters it must and must not have. */
enum acme_jws_form {
    ACME_JWS_REQUEST, /* a request's body: nonce; jwk or kid */
    ACME_JWS_NEW_KEY, /* the payload of keyChange (section 7.3.5): jwk, no nonce */
    ACME_JWS_BINDING, /* externalAccountBinding (section 7.3.4): kid, a MAC, no nonce */
    ACME_JWS_FORM_COUNT
};

struct acme_jws {
    const struct acme_jws_alg *alg;
    const char *nonce; /* strict base64url; NULL inside of another JWS */
    const char *url;
    const char *kid; /* exactly one of kid and jwk is set */
    const cJSON *jwk;
    struct acme_bytes payload;       /* decoded; len 0 for POST-as-GET */
    struct acme_bytes signing_input; /* ASCII(protected . payload) as received */
    struct acme_bytes signature;
};

/** acme_jws_parse(arena, body, ret, ret_problem): take a JWS apart without verifying it. Refused: other
 * serialisations, an unprotected header, `crit`, `b64`, missing members, both or neither of jwk and kid,
 * algorithms not in the table. Limits: ACME_JWS_MAX_BYTES. Owns: everything in `arena`. Errors: PROBLEM
 * (malformed, badSignatureAlgorithm) with *ret_problem; NOMEM. *ret is untouched on error. Thread: any. */
struct acme_err acme_jws_parse(struct acme_arena *arena, struct acme_bytes body, struct acme_jws *ret,
                               struct acme_problem *ret_problem) ACME_MUST_USE;

/** acme_jws_parse_inner(arena, tree, form, ret, ret_problem): the same for a JWS that is a JSON object inside
 * of another one's payload. `form` is not ACME_JWS_REQUEST. The problem's detail begins with "The JWS", too.
 */
struct acme_err acme_jws_parse_inner(struct acme_arena *arena, const cJSON *tree, enum acme_jws_form form,
                                     struct acme_jws *ret, struct acme_problem *ret_problem) ACME_MUST_USE;

/** acme_jws_verify(jws, key, kind): verify the signature with a public key of this kind. ECDSA signatures are
 * r||s in full length (RFC 7518 section 3.4), PS256 salts as long as the digest (section 3.5). Errors:
 * UNSUPPORTED (the algorithm is not for such a key), SIGNATURE, CRYPTO. Thread: any. */
struct acme_err acme_jws_verify(const struct acme_jws *jws, EVP_PKEY *key,
                                enum acme_key_kind kind) ACME_MUST_USE;

/** acme_jws_verifier(alg, key): a context that is ready to verify one signature with `key`, whose kind fits
 * `alg` (acme_jws_alg_fits). Making one costs much more than a copy of one that was never used
 * (EVP_MD_CTX_copy_ex). NULL when OpenSSL cannot. Owns: the caller (EVP_MD_CTX_free). Thread: any. */
EVP_MD_CTX *acme_jws_verifier(const struct acme_jws_alg *alg, EVP_PKEY *key);

/** acme_jws_verify_with(jws, verifier): as acme_jws_verify, with a context made for jws->alg and the key. It
 * is used up, whatever comes out. Errors: SIGNATURE. Thread: any, one at a time for a context. */
struct acme_err acme_jws_verify_with(const struct acme_jws *jws, EVP_MD_CTX *verifier) ACME_MUST_USE;

/** acme_jws_verify_mac(jws, key, len): verify the MAC of a JWS of the form ACME_JWS_BINDING, in constant
 * time. Errors: UNSUPPORTED (the key is shorter than the digest, RFC 7518 section 3.2; or no MAC algorithm),
 * SIGNATURE, CRYPTO. Thread: any. */
struct acme_err acme_jws_verify_mac(const struct acme_jws *jws, const uint8_t *key, size_t len) ACME_MUST_USE;

/** acme_jws_alg_find(name): the algorithm of this name, NULL when it is not accepted. */
const struct acme_jws_alg *acme_jws_alg_find(const char *name);

/** acme_jws_mac_find(name): the same for ACME_JWS_BINDING; no name is in both. */
const struct acme_jws_alg *acme_jws_mac_find(const char *name);

/** acme_jws_alg_fits(alg, kind): the algorithm is one for such keys. */
bool acme_jws_alg_fits(const struct acme_jws_alg *alg, enum acme_key_kind kind);

/** acme_jws_alg_name(jws): the `alg` of a parsed JWS. */
const char *acme_jws_alg_name(const struct acme_jws *jws);

/** acme_jws_algorithms_json(): the accepted algorithms as a JSON array, for badSignatureAlgorithm (RFC 8555
 * section 6.2). */
const char *acme_jws_algorithms_json(void);

#endif
