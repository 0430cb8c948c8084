#include "certs/chain.h"

#include "certs/ossl.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

enum { MAX_BLOB = 1024 * 1024 };

static void release_cert(void *cert)
{
    X509_free(cert);
}

/* Takes over `cert`. CAs repeat certificates, in several of their wrappings. */
static struct acme_err add_cert(struct acme_arena *arena, struct acme_cert_list *list, X509 *cert)
{
    for (size_t i = 0; i < list->count; i++) {
        if (X509_cmp(list->certs[i], cert) == 0) {
            X509_free(cert);
            return acme_ok();
        }
    }
    ENSURE(acme_arena_defer(arena, release_cert, cert), ACME_E_NOMEM);
    ENSURE(list->count < ACME_CHAIN_MAX_CERTS, ACME_E_LIMIT);
    list->certs[list->count++] = cert;
    return acme_ok();
}

/* A DER value, told apart by what it is: some servers put PKCS#7 under a CERTIFICATE label. */
static struct acme_err read_der(struct acme_arena *arena, const unsigned char *data, size_t len,
                                struct acme_cert_list *list)
{
    const unsigned char *at = data;
    X509 *cert = d2i_X509(NULL, &at, (long)len);
    if (cert != NULL) {
        if (at == data + len)
            return add_cert(arena, list, cert);
        X509_free(cert);
        return acme_err(ACME_E_FORMAT);
    }
    at = data;
    OSSL_CLEANUP(PKCS7) PKCS7 *message = d2i_PKCS7(NULL, &at, (long)len);
    ENSURE(message != NULL && at == data + len && PKCS7_type_is_signed(message) && message->d.sign != NULL,
           ACME_E_FORMAT);
    const STACK_OF(X509) *certs = message->d.sign->cert;
    for (int i = 0; i < sk_X509_num(certs); i++) {
        cert = sk_X509_value(certs, i);
        ENSURE(X509_up_ref(cert) == 1, ACME_E_CRYPTO);
        TRY(add_cert(arena, list, cert));
    }
    return acme_ok();
}

static bool interesting(const char *label)
{
    return strcmp(label, PEM_STRING_X509) == 0 || strcmp(label, PEM_STRING_X509_OLD) == 0 ||
           strcmp(label, PEM_STRING_PKCS7) == 0 || strcmp(label, PEM_STRING_PKCS7_SIGNED) == 0;
}

/* One PEM block; false with *ret_err when there is no other or it failed. */
static bool read_block(struct acme_arena *arena, BIO *bio, struct acme_cert_list *list,
                       struct acme_err *ret_err)
{
    char *label = NULL;
    char *header = NULL;
    unsigned char *data = NULL;
    long len = 0;
    if (PEM_read_bio(bio, &label, &header, &data, &len) != 1) {
        bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
        *ret_err = at_end ? acme_ok() : acme_err(ACME_E_FORMAT);
        return false;
    }
    struct acme_err err = acme_ok();
    if (interesting(label))
        err = read_der(arena, data, (size_t)len, list);
    OPENSSL_free(label);
    OPENSSL_free(header);
    OPENSSL_free(data);
    *ret_err = err;
    return !acme_failed(err);
}

static struct acme_err read_pem(struct acme_arena *arena, struct acme_bytes data, struct acme_cert_list *list)
{
    /* A byte order mark would hide the first line. */
    if (data.len >= 3 && memcmp(data.data, "\xef\xbb\xbf", 3) == 0)
        data = (struct acme_bytes){.data = data.data + 3, .len = data.len - 3};
    OSSL_CLEANUP(BIO) BIO *bio = BIO_new_mem_buf(data.data, (int)data.len);
    ENSURE(bio != NULL, ACME_E_NOMEM);
    struct acme_err err = acme_ok();
    while (read_block(arena, bio, list, &err))
        continue;
    return err;
}

struct acme_err acme_certs_read(struct acme_arena *arena, struct acme_bytes data, struct acme_cert_list *ret)
{
    static const char begin[] = "-----BEGIN ";
    ENSURE(data.data != NULL && data.len > 0, ACME_E_FORMAT);
    ENSURE(data.len <= MAX_BLOB, ACME_E_LIMIT);
    struct acme_cert_list list = {.count = 0};
    struct acme_err err = read_der(arena, data.data, data.len, &list);
    if (err.code == ACME_E_FORMAT && memmem(data.data, data.len, begin, sizeof begin - 1) != NULL) {
        list.count = 0;
        err = read_pem(arena, data, &list);
    }
    ERR_clear_error();
    TRY(err);
    ENSURE(list.count > 0, ACME_E_FORMAT);
    *ret = list;
    return acme_ok();
}
