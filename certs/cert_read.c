/* One certificate as somebody presents it: taken apart, compared. */
#include "certs/chain.h"
#include "certs/names.h"
#include "certs/ossl.h"

#include <openssl/err.h>

static void release_cert(void *cert)
{
    X509_free(cert);
}

struct acme_err acme_cert_parse(struct acme_arena *arena, struct acme_bytes der, X509 **ret)
{
    enum { MAX_DER = 1024 * 1024 };
    ENSURE(der.len > 0 && der.len <= MAX_DER, ACME_E_FORMAT);
    const unsigned char *at = der.data;
    X509 *cert = d2i_X509(NULL, &at, (long)der.len);
    ERR_clear_error();
    if (cert == NULL || at != der.data + der.len) {
        X509_free(cert);
        return acme_err(ACME_E_FORMAT);
    }
    ENSURE(acme_arena_defer(arena, release_cert, cert), ACME_E_NOMEM);
    *ret = cert;
    return acme_ok();
}

struct acme_err acme_cert_der(struct acme_arena *arena, const X509 *cert, struct acme_bytes *ret)
{
    int len = i2d_X509(cert, NULL);
    ENSURE(len > 0, ACME_E_CRYPTO);
    unsigned char *data = acme_arena_alloc(arena, (size_t)len);
    ENSURE(data != NULL, ACME_E_NOMEM);
    unsigned char *end = data;
    ENSURE(i2d_X509(cert, &end) == len, ACME_E_CRYPTO);
    *ret = (struct acme_bytes){.data = data, .len = (size_t)len};
    return acme_ok();
}

bool acme_cert_has_key(const X509 *cert, const EVP_PKEY *key)
{
    const EVP_PKEY *own = X509_get0_pubkey(cert);
    bool same = own != NULL && EVP_PKEY_eq(own, key) == 1;
    ERR_clear_error();
    return same;
}

struct acme_err acme_cert_names(struct acme_arena *arena, const X509 *cert, struct acme_identifier **ret,
                                size_t *ret_count)
{
    int index = X509_get_ext_by_NID(cert, NID_subject_alt_name, -1);
    if (index < 0) {
        *ret = NULL;
        *ret_count = 0;
        return acme_ok();
    }
    ENSURE(X509_get_ext_by_NID(cert, NID_subject_alt_name, index) < 0, ACME_E_FORMAT);
    const char *why = NULL;
    struct acme_err err = acme_names_read(arena, X509_get_ext(cert, index), ret, ret_count, &why);
    ERR_clear_error();
    return err.code == ACME_E_UNSUPPORTED ? acme_err(ACME_E_FORMAT) : err;
}
