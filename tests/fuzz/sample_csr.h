/* A CSR for www.example.test, for targets whose upstream is asked for a certificate. */
#ifndef ACME_TESTS_SAMPLE_CSR_H
#define ACME_TESTS_SAMPLE_CSR_H

#include "fuzz.h"

#include <openssl/evp.h>
#include <openssl/x509v3.h>

/* Writes at most `max` bytes of DER; the key, when the target wants it, is the caller's. */
static inline size_t sample_csr(uint8_t *der, size_t max, EVP_PKEY **ret_key)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    X509_REQ *request = X509_REQ_new();
    STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:www.example.test");
    REQUIRE(key != NULL && request != NULL && extensions != NULL && names != NULL);
    sk_X509_EXTENSION_push(extensions, names);
    REQUIRE(X509_REQ_add_extensions(request, extensions) == 1 && X509_REQ_set_pubkey(request, key) == 1);
    REQUIRE(X509_REQ_sign(request, key, EVP_sha256()) > 0);
    int len = i2d_X509_REQ(request, NULL);
    REQUIRE(len > 0 && (size_t)len <= max);
    unsigned char *at = der;
    (void)i2d_X509_REQ(request, &at);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    X509_REQ_free(request);
    if (ret_key != NULL)
        *ret_key = key;
    else
        EVP_PKEY_free(key);
    return (size_t)len;
}

#endif
