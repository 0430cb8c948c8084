/* SHA-256 of something in memory. */
#ifndef ACME_BASE_SHA256_H
#define ACME_BASE_SHA256_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum { ACME_SHA256_SIZE = 32 };

/** acme_sha256(data, len, out): by OpenSSL, with the algorithm looked up once: EVP_sha256() makes every
 * digest look it up anew, under locks that all threads share. `data` may be NULL when len is 0. Errors:
 * CRYPTO. Thread: any. */
struct acme_err acme_sha256(const void *data, size_t len, uint8_t out[ACME_SHA256_SIZE]) ACME_MUST_USE;

#endif
