/* Ready-made public keys by thumbprint: building an EVP_PKEY from a JWK costs about as much as verifying with
 * it. A thumbprint names its key for ever, so entries never become wrong: an account with a new key has a new
 * thumbprint, and whether an account may still act is not kept here. Nothing has to be invalidated. */
#ifndef ACME_PROTOCOL_KEY_CACHE_H
#define ACME_PROTOCOL_KEY_CACHE_H

#include "protocol/jws.h"

struct acme_key_cache;

struct acme_cached_key {
    EVP_PKEY *key; /* NULL: not cached */
    enum acme_key_kind kind;
    EVP_MD_CTX *verifier; /* see acme_jws_verifier; NULL: the algorithm does not fit, or OpenSSL failed */
};

/** acme_key_cache_create(): an empty cache of bounded size; NULL without memory. Release:
 * acme_key_cache_destroy. */
struct acme_key_cache *acme_key_cache_create(void);
void acme_key_cache_destroy(struct acme_key_cache *cache);

/** acme_key_cache_get(cache, arena, thumbprint, alg): the key and what verifies one signature of `alg` with
 * it, held until `arena` goes. For the algorithm a key is used with the cache keeps a verifier to copy, so
 * that only the first request pays for making one. Thread: any. */
struct acme_cached_key acme_key_cache_get(struct acme_key_cache *cache, struct acme_arena *arena,
                                          const char *thumbprint, const struct acme_jws_alg *alg);

/** acme_key_cache_put(cache, jwk): remember a key; another one may have to go. Thread: any. */
void acme_key_cache_put(struct acme_key_cache *cache, const struct acme_jwk *jwk);

#endif
