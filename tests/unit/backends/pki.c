#include "cmocka_all.h"

#include "pki.h"

#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/x509v3.h>
#include <string.h>

static void extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(cert, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static X509 *make_cert(const char *common_name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key, bool is_ca,
                       const char *alt_names)
{
    static long serial = 4096;
    X509 *cert = X509_new();
    assert_non_null(cert);
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 30L * 86400);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
                               (const unsigned char *)common_name, -1, -1, 0);
    X509 *parent = issuer != NULL ? issuer : cert;
    X509_set_issuer_name(cert, X509_get_subject_name(parent));
    assert_int_equal(X509_set_pubkey(cert, key), 1);
    extend(cert, parent, NID_basic_constraints, is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    extend(cert, parent, NID_key_usage, is_ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature");
    extend(cert, parent, NID_subject_key_identifier, "hash");
    if (issuer != NULL)
        extend(cert, parent, NID_authority_key_identifier, "keyid");
    if (!is_ca)
        extend(cert, parent, NID_ext_key_usage, "serverAuth,clientAuth");
    if (alt_names != NULL)
        extend(cert, parent, NID_subject_alt_name, alt_names);
    assert_true(X509_sign(cert, issuer_key, EVP_sha256()) > 0);
    return cert;
}

void pki_setup(struct pki *pki)
{
    pki->root_key = EVP_EC_gen("P-256");
    pki->intermediate_key = EVP_EC_gen("P-256");
    assert_non_null(pki->root_key);
    assert_non_null(pki->intermediate_key);
    pki->root = make_cert("Test Root", pki->root_key, NULL, pki->root_key, true, NULL);
    pki->intermediate =
        make_cert("Test Issuing CA", pki->intermediate_key, pki->root, pki->root_key, true, NULL);
}

void pki_teardown(struct pki *pki)
{
    X509_free(pki->root);
    X509_free(pki->intermediate);
    EVP_PKEY_free(pki->root_key);
    EVP_PKEY_free(pki->intermediate_key);
}

static void join_names(char *out, size_t size, const char *const *names, size_t count)
{
    out[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(out);
        int n = snprintf(out + used, size - used, "%sDNS:%s", i > 0 ? "," : "", names[i]);
        assert_true(n > 0 && (size_t)n < size - used);
    }
}

struct acme_bytes pki_csr_der(struct acme_arena *arena, const char *common_name, const char *const *names,
                              size_t count)
{
    char alt_names[8192];
    join_names(alt_names, sizeof alt_names, names, count);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    assert_non_null(key);
    X509_REQ *req = X509_REQ_new();
    assert_non_null(req);
    X509_REQ_set_version(req, X509_REQ_VERSION_1);
    assert_int_equal(X509_REQ_set_pubkey(req, key), 1);
    if (common_name != NULL)
        X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(req), "CN", MBSTRING_UTF8,
                                   (const unsigned char *)common_name, -1, -1, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alt_names);
    assert_non_null(extension);
    STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();
    sk_X509_EXTENSION_push(extensions, extension);
    assert_int_equal(X509_REQ_add_extensions(req, extensions), 1);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    assert_true(X509_REQ_sign(req, key, EVP_sha256()) > 0);
    unsigned char *der = NULL;
    int len = i2d_X509_REQ(req, &der);
    assert_true(len > 0);
    struct acme_bytes bytes = {.data = acme_arena_memdup(arena, der, (size_t)len), .len = (size_t)len};
    assert_non_null(bytes.data);
    OPENSSL_free(der);
    X509_REQ_free(req);
    EVP_PKEY_free(key);
    return bytes;
}

X509 *pki_leaf(const struct pki *pki, EVP_PKEY *key, const char *const *names, size_t count)
{
    char alt_names[8192];
    join_names(alt_names, sizeof alt_names, names, count);
    return make_cert(names[0], key, pki->intermediate, pki->intermediate_key, false, alt_names);
}

static struct acme_bytes take_bio(struct acme_arena *arena, BIO *bio)
{
    char *data = NULL;
    long len = BIO_get_mem_data(bio, &data);
    assert_true(len > 0);
    struct acme_bytes bytes = {.data = acme_arena_memdup(arena, data, (size_t)len), .len = (size_t)len};
    assert_non_null(bytes.data);
    BIO_free(bio);
    return bytes;
}

struct acme_bytes pki_pem(struct acme_arena *arena, X509 *const *certs, size_t count)
{
    BIO *bio = BIO_new(BIO_s_mem());
    for (size_t i = 0; i < count; i++)
        assert_int_equal(PEM_write_bio_X509(bio, certs[i]), 1);
    return take_bio(arena, bio);
}

struct acme_bytes pki_pkcs7(struct acme_arena *arena, X509 *const *certs, size_t count, bool pem)
{
    PKCS7 *p7 = PKCS7_new();
    assert_non_null(p7);
    assert_int_equal(PKCS7_set_type(p7, NID_pkcs7_signed), 1);
    assert_int_equal(PKCS7_content_new(p7, NID_pkcs7_data), 1);
    PKCS7_set_detached(p7, 1);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(PKCS7_add_certificate(p7, certs[i]), 1);
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(pem ? PEM_write_bio_PKCS7(bio, p7) : i2d_PKCS7_bio(bio, p7), 1);
    PKCS7_free(p7);
    return take_bio(arena, bio);
}
