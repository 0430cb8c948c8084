/* The client's half of JOSE, for tests: keys made at run time, JWKs and signatures. Failures end the test. */
#ifndef TESTS_UNIT_PROTOCOL_JOSE_H
#define TESTS_UNIT_PROTOCOL_JOSE_H

#include "base/arena.h"

#include <openssl/evp.h>

struct jose_key {
    EVP_PKEY *key;   /* released with the arena */
    const char *alg; /* what it signs with */
    const char *jwk; /* public, JSON text */
};

/* A new key for this JWS algorithm. */
struct jose_key jose_key_make(struct acme_arena *arena, const char *alg);
/* The same for an RSA key of a given size. */
struct jose_key jose_rsa_make(struct acme_arena *arena, const char *alg, unsigned bits);

/* A key for HS256, HS384 or HS512; it has no jwk. */
struct jose_key jose_mac_make(struct acme_arena *arena, const char *alg, const uint8_t *octets, size_t len);

char *jose_b64_octets(struct acme_arena *arena, const uint8_t *octets, size_t len);
char *jose_b64(struct acme_arena *arena, const char *text);

/* The base64url signature over `input`, as `alg` demands it. */
char *jose_signature(struct acme_arena *arena, const struct jose_key *key, const char *alg,
                     const char *input);

/* A flattened JWS; `protected` and `payload` are plain texts. */
char *jose_sign(struct acme_arena *arena, const struct jose_key *key, const char *protected,
                const char *payload);

#endif
