/* Keys, requests and certificates made at run time. Everything lives in the arena given; a failure ends the
 * test. */
#ifndef TEST_CERTS_MAKE_H
#define TEST_CERTS_MAKE_H

#include "certs/chain.h"
#include "certs/csr.h"

/* A fixed "now" for validity: 2026-11-24T08:00:00Z. */
#define TEST_NOW_MS INT64_C(1795507200000)

struct make_extension {
    int nid;           /* 0: the end of a list */
    const char *value; /* as in an OpenSSL configuration file; "DER:0a0b" for raw content */
};

struct make_request {
    const char *common_names[3];
    const char *san; /* "DNS:a,IP:192.0.2.1"; NULL: none */
    struct make_extension extensions[4];
    const char *digest; /* NULL: SHA256; "": none (Ed25519) */
    bool pss;
};

struct make_cert {
    const char *name; /* common name */
    const char *san;
    bool ca;
    struct make_extension extensions[4];
    int64_t not_before_ms; /* 0: a day before TEST_NOW_MS */
    int64_t not_after_ms;  /* 0: a day after */
    long serial;           /* 0: 1 */
};

EVP_PKEY *make_ec_key(struct acme_arena *arena, const char *curve);
EVP_PKEY *make_rsa_key(struct acme_arena *arena, unsigned bits, unsigned long exponent);
EVP_PKEY *make_ed25519_key(struct acme_arena *arena);

struct acme_bytes make_csr_der(struct acme_arena *arena, EVP_PKEY *key, const struct make_request *request);

/* Parsed; must be good. */
struct acme_csr make_csr(struct acme_arena *arena, EVP_PKEY *key, const struct make_request *request);

/* issuer NULL: self-signed with `key`. */
X509 *make_cert(struct acme_arena *arena, EVP_PKEY *key, const struct make_cert *what, X509 *issuer,
                EVP_PKEY *issuer_key);

struct acme_bytes make_der(struct acme_arena *arena, const X509 *cert);
struct acme_bytes make_pkcs7(struct acme_arena *arena, X509 *const *certs, size_t count, bool pem);

struct acme_identifier dns_name(const char *value);
struct acme_identifier ip_name(const char *value);

#endif
