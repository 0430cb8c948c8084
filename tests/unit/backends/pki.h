/* A small PKI made at run time: root, intermediate, and leaves for a CSR. */
#ifndef TESTS_UNIT_BACKENDS_PKI_H
#define TESTS_UNIT_BACKENDS_PKI_H

#include "certs/csr.h"

struct pki {
    EVP_PKEY *root_key;
    EVP_PKEY *intermediate_key;
    X509 *root;
    X509 *intermediate;
};

void pki_setup(struct pki *pki);
void pki_teardown(struct pki *pki);

/** pki_csr_der(arena, common_name, names, count): a CSR with a new P-256 key; common_name NULL: an empty
 * subject. */
struct acme_bytes pki_csr_der(struct acme_arena *arena, const char *common_name, const char *const *names,
                              size_t count);

/** pki_leaf(pki, key, names, count): issued by the intermediate, valid for 30 days. Release: X509_free. */
X509 *pki_leaf(const struct pki *pki, EVP_PKEY *key, const char *const *names, size_t count);

/** pki_pem(arena, certs, count): PEM one after the other. */
struct acme_bytes pki_pem(struct acme_arena *arena, X509 *const *certs, size_t count);

/** pki_pkcs7(arena, certs, count, pem): a degenerate PKCS#7 with them, as PEM or DER. */
struct acme_bytes pki_pkcs7(struct acme_arena *arena, X509 *const *certs, size_t count, bool pem);

#endif
