/* Keys that anybody could have broken, or has: for certificates and accounts alike. */
#ifndef ACME_CERTS_KEY_CHECK_H
#define ACME_CERTS_KEY_CHECK_H

#include "base/err.h"

#include <openssl/evp.h>

/** acme_key_weakness(key, ret_why): is the private key easy to find? RSA: a factor below 752, primes so close
 * that Fermat's method finds them in 100 rounds, a modulus with the fingerprint of the ROCA flaw
 * (CVE-2017-15361). Errors: DENIED with *ret_why (static, "the RSA key ..."), NOMEM, CRYPTO. Thread: any. */
struct acme_err acme_key_weakness(const EVP_PKEY *key, const char **ret_why) ACME_MUST_USE;

/* A list of keys that are known to be compromised. */
struct acme_blocked_keys;

/** acme_blocked_keys_load(path, ret, ret_line): read a list, one key a line: 64 hexadecimal digits are the
 * SHA-256 of the DER SubjectPublicKeyInfo, 20 the form of Debian's openssl-blacklist (the end of the SHA-1 of
 * "Modulus=<hex>\n", RSA only). Lines that are empty or begin with # are skipped. Owns: *ret, release with
 * acme_blocked_keys_destroy. Limits: 10 million keys. Errors: IO (errno says why), FORMAT (line *ret_line),
 * LIMIT, NOMEM. Thread: the caller's. */
struct acme_err acme_blocked_keys_load(const char *path, struct acme_blocked_keys **ret,
                                       size_t *ret_line) ACME_MUST_USE;
void acme_blocked_keys_destroy(struct acme_blocked_keys *keys); /* NULL is allowed */

/** acme_blocked_keys_count(keys): how many, duplicates included. NULL has none. */
size_t acme_blocked_keys_count(const struct acme_blocked_keys *keys);

/** acme_blocked_keys_check(keys, key, ret_why): is the key on the list (NULL: empty)? Errors: DENIED with
 * *ret_why (static), NOMEM, CRYPTO. Thread: any. */
struct acme_err acme_blocked_keys_check(const struct acme_blocked_keys *keys, const EVP_PKEY *key,
                                        const char **ret_why) ACME_MUST_USE;

#endif
