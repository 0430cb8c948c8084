/* Issued certificates as CAs hand them over: any order, any wrapping. Sorted, checked, written for ACME. */
#ifndef ACME_CERTS_CHAIN_H
#define ACME_CERTS_CHAIN_H

#include "base/identifier.h"
#include "certs/csr.h"

#include <openssl/x509.h>

enum { ACME_CHAIN_MAX_CERTS = 16 };

struct acme_cert_list {
    X509 *certs[ACME_CHAIN_MAX_CERTS]; /* released with the arena they were read into */
    size_t count;
};

/* What the store and the operator want to know about an issued leaf. */
struct acme_cert_info {
    struct acme_bytes der;
    const char *serial_hex; /* upper-case, the DER content octets */
    const char *aki_hex;    /* upper-case authority key identifier, "" when there is none */
    const char *sha256_hex; /* lower-case fingerprint of the DER */
    int64_t not_before_ms;
    int64_t not_after_ms;
};

/** acme_certs_read(arena, data, ret): all certificates of a blob, sniffed: PEM certificates in any order with
 * CRLF or LF and foreign text between, PKCS#7 in PEM, PKCS#7 DER, a single DER certificate. Errors: FORMAT
 * (none found, damaged), LIMIT (more than ACME_CHAIN_MAX_CERTS), NOMEM. Thread: any. */
struct acme_err acme_certs_read(struct acme_arena *arena, struct acme_bytes data,
                                struct acme_cert_list *ret) ACME_MUST_USE;

/** acme_chain_build(pool, spki_sha256, ret): the leaf is the non-CA certificate of `pool` with this public
 * key; its issuers follow by name and key identifier, where several fit also by signature, up to but without
 * a self-signed root, unless the root issued the leaf directly (certbot and others need two certificates).
 * acme_chain_check verifies the signatures. Of several leaves the latest is taken; a root that is not in
 * `pool` is no mistake. ret borrows from `pool`. Errors: NOT_FOUND (no such leaf), FORMAT (the leaf's issuer
 * is missing, or a loop). Thread: any. */
struct acme_err acme_chain_build(const struct acme_cert_list *pool,
                                 const uint8_t spki_sha256[ACME_SHA256_SIZE],
                                 struct acme_cert_list *ret) ACME_MUST_USE;

/** acme_cert_has_spki(cert, sha256): is this the SHA-256 of its SubjectPublicKeyInfo? Thread: any. */
bool acme_cert_has_spki(const X509 *cert, const uint8_t sha256[ACME_SHA256_SIZE]);

/** acme_chain_check(arena, chain, csr, identifiers, count, now_ms, ret_why): before an order becomes valid:
 * the leaf's key is the CSR's, its SAN names equal the identifiers, every signature verifies upwards, all
 * certificates cover `now_ms` (one hour of leeway for notBefore), the leaf is no CA and, when it has an
 * extended key usage, names serverAuth or clientAuth. `csr` NULL: with whatever key. Errors: DENIED with
 * *ret_why; NOMEM. Thread: any. */
struct acme_err acme_chain_check(struct acme_arena *arena, const struct acme_cert_list *chain,
                                 const struct acme_csr *csr, const struct acme_identifier *identifiers,
                                 size_t count, int64_t now_ms, const char **ret_why) ACME_MUST_USE;

/** acme_chain_check_signed_here(...): the same for a chain that never left this process since the holder of
 * the key made it: instead of verifying its signatures, that each certificate names the next as its issuer.
 * Never for certificates that were read from anywhere. Errors: as acme_chain_check. Thread: any. */
struct acme_err acme_chain_check_signed_here(struct acme_arena *arena, const struct acme_cert_list *chain,
                                             const struct acme_csr *csr,
                                             const struct acme_identifier *identifiers, size_t count,
                                             int64_t now_ms, const char **ret_why) ACME_MUST_USE;

/** acme_chain_pem(arena, chain): strict PEM, leaf first, 64 columns, LF, a newline after every END; NULL
 * without memory. */
char *acme_chain_pem(struct acme_arena *arena, const struct acme_cert_list *chain);

/** acme_chain_pem_of(arena, chain, leaf_der): the same when the DER form of the first certificate is at hand:
 * OpenSSL encodes a certificate that was made here, not read, anew each time. */
char *acme_chain_pem_of(struct acme_arena *arena, const struct acme_cert_list *chain,
                        struct acme_bytes leaf_der);

/** acme_cert_info_read(arena, cert, ret): Errors: FORMAT, CRYPTO, NOMEM. */
struct acme_err acme_cert_info_read(struct acme_arena *arena, X509 *cert,
                                    struct acme_cert_info *ret) ACME_MUST_USE;

/** acme_cert_parse(arena, der, ret): exactly one certificate in DER, nothing behind it. Owns: *ret, released
 * with `arena`. Errors: FORMAT, NOMEM. Thread: any. */
struct acme_err acme_cert_parse(struct acme_arena *arena, struct acme_bytes der, X509 **ret) ACME_MUST_USE;

/** acme_cert_der(arena, cert, ret): its DER form, in `arena`. Errors: CRYPTO, NOMEM. Thread: any. */
struct acme_err acme_cert_der(struct acme_arena *arena, const X509 *cert,
                              struct acme_bytes *ret) ACME_MUST_USE;

/** acme_cert_has_key(cert, key): is this its public key? `key` is only compared. Thread: any. */
bool acme_cert_has_key(const X509 *cert, const EVP_PKEY *key);

/** acme_cert_names(arena, cert, ret, ret_count): the dns and ip names of its subjectAltName, normalised, in
 * `arena`; 0 of them when it has none. Errors: FORMAT (a name no identifier can have, or of another kind),
 * LIMIT, NOMEM. Thread: any. */
struct acme_err acme_cert_names(struct acme_arena *arena, const X509 *cert, struct acme_identifier **ret,
                                size_t *ret_count) ACME_MUST_USE;

#endif
