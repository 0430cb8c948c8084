#include "make.h"

#include "base/clock.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void release_key(void *key)
{
    EVP_PKEY_free(key);
}

static void release_cert(void *cert)
{
    X509_free(cert);
}

static EVP_PKEY *keep_key(struct acme_arena *arena, EVP_PKEY *key)
{
    assert_non_null(key);
    assert_true(acme_arena_defer(arena, release_key, key));
    return key;
}

EVP_PKEY *make_ec_key(struct acme_arena *arena, const char *curve)
{
    return keep_key(arena, EVP_EC_gen(curve));
}

EVP_PKEY *make_rsa_key(struct acme_arena *arena, unsigned bits, unsigned long exponent)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    BIGNUM *e = BN_new();
    assert_int_equal(BN_set_word(e, exponent), 1);
    assert_int_equal(EVP_PKEY_keygen_init(context), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(context, (int)bits), 1);
    assert_int_equal(EVP_PKEY_CTX_set1_rsa_keygen_pubexp(context, e), 1);
    assert_int_equal(EVP_PKEY_generate(context, &key), 1);
    BN_free(e);
    EVP_PKEY_CTX_free(context);
    return keep_key(arena, key);
}

EVP_PKEY *make_ed25519_key(struct acme_arena *arena)
{
    return keep_key(arena, EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"));
}

static X509_EXTENSION *make_extension(int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, NULL, NULL, NULL, NULL, X509V3_CTX_TEST);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    return extension;
}

static void add_extensions(STACK_OF(X509_EXTENSION) * list, const char *san,
                           const struct make_extension *extra)
{
    if (san != NULL)
        assert_true(sk_X509_EXTENSION_push(list, make_extension(NID_subject_alt_name, san)) > 0);
    for (size_t i = 0; i < 4 && extra[i].nid != 0; i++)
        assert_true(sk_X509_EXTENSION_push(list, make_extension(extra[i].nid, extra[i].value)) > 0);
}

static void sign_request(X509_REQ *req, EVP_PKEY *key, const struct make_request *request)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key_context = NULL;
    const char *digest = request->digest == NULL ? "SHA256" : request->digest;
    assert_int_equal(
        EVP_DigestSignInit_ex(context, &key_context, *digest == '\0' ? NULL : digest, NULL, NULL, key, NULL),
        1);
    if (request->pss)
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING), 1);
    assert_true(X509_REQ_sign_ctx(req, context) > 0);
    EVP_MD_CTX_free(context);
}

struct acme_bytes make_csr_der(struct acme_arena *arena, EVP_PKEY *key, const struct make_request *request)
{
    X509_REQ *req = X509_REQ_new();
    assert_non_null(req);
    for (size_t i = 0; i < 3 && request->common_names[i] != NULL; i++)
        assert_int_equal(
            X509_NAME_add_entry_by_NID(X509_REQ_get_subject_name(req), NID_commonName, MBSTRING_UTF8,
                                       (const unsigned char *)request->common_names[i], -1, -1, 0),
            1);
    assert_int_equal(X509_REQ_set_pubkey(req, key), 1);
    STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();
    add_extensions(list, request->san, request->extensions);
    if (sk_X509_EXTENSION_num(list) > 0)
        assert_int_equal(X509_REQ_add_extensions(req, list), 1);
    sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
    sign_request(req, key, request);
    unsigned char *der = NULL;
    int len = i2d_X509_REQ(req, &der);
    assert_true(len > 0);
    struct acme_bytes out = {.data = acme_arena_memdup(arena, der, (size_t)len), .len = (size_t)len};
    assert_non_null(out.data);
    OPENSSL_free(der);
    X509_REQ_free(req);
    return out;
}

struct acme_csr make_csr(struct acme_arena *arena, EVP_PKEY *key, const struct make_request *request)
{
    struct acme_csr csr;
    const char *why = "?";
    if (acme_failed(acme_csr_parse(arena, make_csr_der(arena, key, request), &csr, &why)))
        fail_msg("CSR refused: %s", why);
    return csr;
}

static void add_key_ids(X509 *cert, X509 *issuer)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
    static const struct make_extension ids[] = {{NID_subject_key_identifier, "hash"},
                                                {NID_authority_key_identifier, "keyid:always"}};
    for (size_t i = 0; i < 2; i++) {
        X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, ids[i].nid, ids[i].value);
        assert_non_null(extension);
        assert_int_equal(X509_add_ext(cert, extension, -1), 1);
        X509_EXTENSION_free(extension);
    }
}

X509 *make_cert(struct acme_arena *arena, EVP_PKEY *key, const struct make_cert *what, X509 *issuer,
                EVP_PKEY *issuer_key)
{
    X509 *cert = X509_new();
    assert_non_null(cert);
    assert_true(acme_arena_defer(arena, release_cert, cert));
    int64_t from = what->not_before_ms != 0 ? what->not_before_ms : TEST_NOW_MS - ACME_DAY_MS;
    int64_t until = what->not_after_ms != 0 ? what->not_after_ms : TEST_NOW_MS + ACME_DAY_MS;
    assert_int_equal(X509_set_version(cert, X509_VERSION_3), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(cert), what->serial != 0 ? what->serial : 1), 1);
    assert_non_null(ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)(from / 1000)));
    assert_non_null(ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)(until / 1000)));
    assert_int_equal(X509_NAME_add_entry_by_NID(X509_get_subject_name(cert), NID_commonName, MBSTRING_UTF8,
                                                (const unsigned char *)what->name, -1, -1, 0),
                     1);
    X509 *parent = issuer != NULL ? issuer : cert;
    assert_int_equal(X509_set_issuer_name(cert, X509_get_subject_name(parent)), 1);
    assert_int_equal(X509_set_pubkey(cert, key), 1);
    STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();
    struct make_extension ca_marks[4] = {{NID_basic_constraints, "critical,CA:TRUE"},
                                         {NID_key_usage, "critical,keyCertSign,cRLSign"}};
    if (what->ca)
        add_extensions(list, NULL, ca_marks);
    add_extensions(list, what->san, what->extensions);
    for (int i = 0; i < sk_X509_EXTENSION_num(list); i++)
        assert_int_equal(X509_add_ext(cert, sk_X509_EXTENSION_value(list, i), -1), 1);
    sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
    add_key_ids(cert, parent);
    assert_true(X509_sign(cert, issuer_key != NULL ? issuer_key : key, EVP_sha256()) > 0);
    return cert;
}

struct acme_bytes make_der(struct acme_arena *arena, const X509 *cert)
{
    unsigned char *der = NULL;
    int len = i2d_X509(cert, &der);
    assert_true(len > 0);
    struct acme_bytes out = {.data = acme_arena_memdup(arena, der, (size_t)len), .len = (size_t)len};
    OPENSSL_free(der);
    assert_non_null(out.data);
    return out;
}

struct acme_bytes make_pkcs7(struct acme_arena *arena, X509 *const *certs, size_t count, bool pem)
{
    PKCS7 *message = PKCS7_new();
    assert_int_equal(PKCS7_set_type(message, NID_pkcs7_signed), 1);
    assert_int_equal(PKCS7_content_new(message, NID_pkcs7_data), 1);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(PKCS7_add_certificate(message, certs[i]), 1);
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(pem ? PEM_write_bio_PKCS7(bio, message) : i2d_PKCS7_bio(bio, message), 1);
    char *text = NULL;
    long len = BIO_get_mem_data(bio, &text);
    struct acme_bytes out = {.data = acme_arena_memdup(arena, text, (size_t)len), .len = (size_t)len};
    assert_non_null(out.data);
    BIO_free(bio);
    PKCS7_free(message);
    return out;
}

struct acme_identifier dns_name(const char *value)
{
    return (struct acme_identifier){.type = ACME_IDENTIFIER_DNS, .value = value};
}

struct acme_identifier ip_name(const char *value)
{
    return (struct acme_identifier){.type = ACME_IDENTIFIER_IP, .value = value};
}
