/* Certificate signing requests: reading PKCS#10 and judging it against an order (RFC 8555 section 7.4). */
#ifndef ACME_CERTS_CSR_H
#define ACME_CERTS_CSR_H

#include "base/identifier.h"
#include "base/sha256.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

enum { ACME_CSR_MAX_BYTES = 32 * 1024 };

struct acme_csr {
    struct acme_bytes der;
    struct acme_pkcs10_st *request; /* certs/pkcs10.h; released with the arena */
    struct acme_bytes spki;         /* DER SubjectPublicKeyInfo */
    struct acme_bytes key_octets;   /* its BIT STRING: the encoded point, the RSAPublicKey ... */
    EVP_PKEY *key;                  /* released with the arena; NULL after acme_csr_reread */
    const char *common_name;        /* lower-case, NULL when the subject has none */
    struct acme_identifier *names;  /* the SAN's dns and ip names, normalised, each once */
    size_t name_count;
    uint8_t sha256[ACME_SHA256_SIZE];      /* of the DER: identifies this very request */
    uint8_t spki_sha256[ACME_SHA256_SIZE]; /* of SubjectPublicKeyInfo: identifies the key */
};

/* What keys a profile accepts. */
struct acme_key_policy {
    bool rsa;
    int rsa_min_bits;
    int rsa_max_bits;
    bool p256;
    bool p384;
    bool p521;
    bool ed25519;
};

/* RSA 2048..8192, P-256, P-384, P-521, no Ed25519 (no public CA signs those). */
extern const struct acme_key_policy acme_key_policy_default;

/** acme_csr_parse(arena, der, ret, ret_why): read exactly one DER CSR and verify its own signature.
 *  Limits: ACME_CSR_MAX_BYTES. Refused: trailing bytes, PEM, more than one SAN extension, SAN kinds other
 * than dNSName and iPAddress, names acme_identifier_parse refuses, signatures with MD5 or SHA-1. Owns:
 * everything in `arena` (DER copied); *ret_why says what is wrong, for a badCSR detail. Errors: FORMAT,
 * LIMIT, SIGNATURE, UNSUPPORTED, NOMEM, CRYPTO; *ret untouched on error. Thread: any. */
struct acme_err acme_csr_parse(struct acme_arena *arena, struct acme_bytes der, struct acme_csr *ret,
                               const char **ret_why) ACME_MUST_USE;

/** acme_csr_reread(arena, der, ret): the same for a CSR that acme_csr_parse has accepted before and that was
 * kept by us: its signature is not checked again and `key` stays NULL, which spares most of the work. Errors:
 * as acme_csr_parse. Thread: any. */
struct acme_err acme_csr_reread(struct acme_arena *arena, struct acme_bytes der,
                                struct acme_csr *ret) ACME_MUST_USE;

/** acme_csr_check(arena, csr, identifiers, count, policy, account_key, ret_why): is this CSR one for that
 * order? The names (SAN plus CN) equal the identifiers as a set and CN, when there, is among them; the key
 * meets the policy, RSA exponent odd and 3 < e < 2^64, no weakness that acme_key_weakness knows; the key is
 * not `account_key` (may be NULL); requested extensions are limited to subjectAltName, keyUsage,
 * extendedKeyUsage (serverAuth/clientAuth), basicConstraints CA:FALSE, subjectKeyIdentifier and OCSP
 * must-staple. Errors: DENIED with *ret_why naming the culprit (name, bit count, extension); STATE (a CSR of
 * acme_csr_reread, which has no key). Thread: any.
 */
struct acme_err acme_csr_check(struct acme_arena *arena, const struct acme_csr *csr,
                               const struct acme_identifier *identifiers, size_t count,
                               const struct acme_key_policy *policy, const EVP_PKEY *account_key,
                               const char **ret_why) ACME_MUST_USE;

/** acme_csr_pem(arena, csr): the CSR as PEM text with LF line ends; NULL without memory. */
char *acme_csr_pem(struct acme_arena *arena, const struct acme_csr *csr);

/** acme_spki_sha256(key, out): SHA-256 over the DER SubjectPublicKeyInfo of a public key. Errors: CRYPTO. */
struct acme_err acme_spki_sha256(const EVP_PKEY *key, uint8_t out[ACME_SHA256_SIZE]) ACME_MUST_USE;

#endif
