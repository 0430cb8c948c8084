/* Ready-made public keys by thumbprint: building an EVP_PKEY from a JWK costs about as much as verifying with
 * it. A thumbprint names its key for ever, so entries never become wrong: an account with a new key has a new
 * thumbprint, and whether an account may still act is not kept here. Nothing has to be invalidated. */
#ifndef ACME_PROTOCOL_KEY_CACHE_H
#define ACME_PROTOCOL_KEY_CACHE_H

#include "protocol/jwk.h"

struct acme_key_cache;

/** acme_key_cache_create(): an empty cache of bounded size; NULL without memory. Release:
 * acme_key_cache_destroy. */
struct acme_key_cache *acme_key_cache_create(void);
void acme_key_cache_destroy(struct acme_key_cache *cache);

/** acme_key_cache_get(cache, arena, thumbprint, ret_kind): the key, held until `arena` goes; NULL when not
 * cached. Thread: any. */
EVP_PKEY *acme_key_cache_get(struct acme_key_cache *cache, struct acme_arena *arena, const char *thumbprint,
                             enum acme_key_kind *ret_kind);

/** acme_key_cache_put(cache, jwk): remember a key; another one may have to go. Thread: any. */
void acme_key_cache_put(struct acme_key_cache *cache, const struct acme_jwk *jwk);

#endif
