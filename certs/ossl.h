/* Release of OpenSSL objects at the end of a scope: `OSSL_CLEANUP(X509) X509 *cert = NULL;`. For certs/ only.
 */
#ifndef ACME_CERTS_OSSL_H
#define ACME_CERTS_OSSL_H

#include "certs/pkcs10.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/pkcs7.h>
#include <openssl/x509v3.h>

#define OSSL_DEFINE_CLEANUP(type, release)                                                                   \
    static inline void ossl_cleanup_##type(type **object)                                                    \
    {                                                                                                        \
        release(*object);                                                                                    \
    }

static inline void ossl_extensions_free(STACK_OF(X509_EXTENSION) * extensions)
{
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
}
typedef STACK_OF(X509_EXTENSION) ossl_extensions;

OSSL_DEFINE_CLEANUP(ACME_SPKI, ACME_SPKI_free)
OSSL_DEFINE_CLEANUP(ASN1_BIT_STRING, ASN1_BIT_STRING_free)
OSSL_DEFINE_CLEANUP(ASN1_INTEGER, ASN1_INTEGER_free)
OSSL_DEFINE_CLEANUP(ASN1_OCTET_STRING, ASN1_OCTET_STRING_free)
OSSL_DEFINE_CLEANUP(AUTHORITY_KEYID, AUTHORITY_KEYID_free)
OSSL_DEFINE_CLEANUP(BASIC_CONSTRAINTS, BASIC_CONSTRAINTS_free)
OSSL_DEFINE_CLEANUP(BIGNUM, BN_free)
OSSL_DEFINE_CLEANUP(BN_CTX, BN_CTX_free)
OSSL_DEFINE_CLEANUP(BIO, BIO_free_all)
OSSL_DEFINE_CLEANUP(EVP_PKEY, EVP_PKEY_free)
OSSL_DEFINE_CLEANUP(EXTENDED_KEY_USAGE, EXTENDED_KEY_USAGE_free)
OSSL_DEFINE_CLEANUP(GENERAL_NAMES, GENERAL_NAMES_free)
OSSL_DEFINE_CLEANUP(PKCS7, PKCS7_free)
OSSL_DEFINE_CLEANUP(X509, X509_free)
OSSL_DEFINE_CLEANUP(X509_NAME, X509_NAME_free)
OSSL_DEFINE_CLEANUP(ossl_extensions, ossl_extensions_free)

#define OSSL_CLEANUP(type) __attribute__((cleanup(ossl_cleanup_##type)))

#endif
