/* PKCS#10 and SubjectPublicKeyInfo by ASN.1 templates of our own. OpenSSL 3.0's types for them decode the
 * public key while they are parsed, by a search through all decoders of all providers that costs more than
 * two signature checks (140 us measured); here a key is built from its numbers, and only where somebody needs
 * it. For certs/ only. */
#ifndef ACME_CERTS_PKCS10_H
#define ACME_CERTS_PKCS10_H

#include "base/arena.h"

#include <openssl/asn1t.h>
#include <openssl/x509.h>

/* RFC 5280 section 4.1 */
typedef struct acme_spki_st {
    X509_ALGOR *algorithm;
    ASN1_BIT_STRING *key;
} ACME_SPKI;

/* RFC 2986 section 4 */
typedef struct acme_request_info_st {
    ASN1_ENCODING enc; /* the octets that were read: what the signature covers */
    ASN1_INTEGER *version;
    X509_NAME *subject;
    ACME_SPKI *spki;
    STACK_OF(X509_ATTRIBUTE) * attributes;
} ACME_REQUEST_INFO;

typedef struct acme_pkcs10_st {
    ACME_REQUEST_INFO *info;
    X509_ALGOR *algorithm;
    ASN1_BIT_STRING *signature;
} ACME_PKCS10;

DECLARE_ASN1_FUNCTIONS(ACME_SPKI)
DECLARE_ASN1_FUNCTIONS(ACME_PKCS10)

/** acme_spki_key(spki): the key; NULL when it is of an unknown kind or damaged (a point off its curve). Owns:
 * the caller. Thread: any. */
EVP_PKEY *acme_spki_key(const ACME_SPKI *spki);

/** acme_spki_put(spki, cert): make it the certificate's key, without decoding it. Errors: CRYPTO. */
struct acme_err acme_spki_put(const ACME_SPKI *spki, X509 *cert) ACME_MUST_USE;

/** acme_pkcs10_verify(request, key): its own signature. */
bool acme_pkcs10_verify(const ACME_PKCS10 *request, EVP_PKEY *key);

#endif
