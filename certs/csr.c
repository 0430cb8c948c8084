#include "certs/csr.h"

#include "certs/csr_extensions.h"
#include "certs/names.h"
#include "certs/ossl.h"
#include "certs/pem.h"
#include "certs/pkcs10.h"

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <string.h>

static void release_request(void *request)
{
    ACME_PKCS10_free(request);
}

static void release_key(void *key)
{
    EVP_PKEY_free(key);
}

static struct acme_err refuse(enum acme_code code, const char **ret_why, const char *why)
{
    *ret_why = why;
    return acme_err(code);
}

static bool digest_is_strong(int nid)
{
    static const int strong[] = {NID_sha256,   NID_sha384,   NID_sha512,  NID_sha224,
                                 NID_sha3_256, NID_sha3_384, NID_sha3_512};
    for (size_t i = 0; i < sizeof strong / sizeof *strong; i++)
        if (strong[i] == nid)
            return true;
    return false;
}

/* RSASSA-PSS names its digest in the parameters; when it does not, it is SHA-1 (RFC 4055 section 3.1). */
static int pss_digest(const X509_ALGOR *algorithm)
{
    int type = V_ASN1_UNDEF;
    const void *value = NULL;
    X509_ALGOR_get0(NULL, &type, &value, algorithm);
    if (type != V_ASN1_SEQUENCE)
        return NID_undef;
    RSA_PSS_PARAMS *params = ASN1_item_unpack(value, ASN1_ITEM_rptr(RSA_PSS_PARAMS));
    int nid = NID_sha1;
    if (params == NULL)
        nid = NID_undef;
    else if (params->hashAlgorithm != NULL)
        nid = OBJ_obj2nid(params->hashAlgorithm->algorithm);
    RSA_PSS_PARAMS_free(params);
    return nid;
}

static bool signature_is_strong(const X509_ALGOR *algorithm)
{
    const ASN1_OBJECT *object = NULL;
    X509_ALGOR_get0(&object, NULL, NULL, algorithm);
    int nid = OBJ_obj2nid(object);
    if (nid == NID_ED25519 || nid == NID_ED448)
        return true;
    if (nid == NID_rsassaPss)
        return digest_is_strong(pss_digest(algorithm));
    int digest = NID_undef;
    return OBJ_find_sigid_algs(nid, &digest, NULL) == 1 && digest_is_strong(digest);
}

static struct acme_err read_common_name(struct acme_arena *arena, const X509_NAME *subject, const char **ret,
                                        const char **ret_why)
{
    int index = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (index < 0)
        return acme_ok();
    if (X509_NAME_get_index_by_NID(subject, NID_commonName, index) >= 0)
        return refuse(ACME_E_FORMAT, ret_why, "the subject has more than one common name");
    const ASN1_STRING *value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index));
    unsigned char *utf8 = NULL;
    int len = ASN1_STRING_to_UTF8(&utf8, value);
    if (len < 0)
        return refuse(ACME_E_FORMAT, ret_why, "the common name is not text");
    char *text = acme_arena_strndup(arena, (const char *)utf8, (size_t)len);
    OPENSSL_free(utf8);
    ENSURE(text != NULL, ACME_E_NOMEM);
    if (strlen(text) != (size_t)len)
        return refuse(ACME_E_FORMAT, ret_why, "the common name holds a NUL octet");
    for (char *c = text; *c != '\0'; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c + ('a' - 'A'));
    if (*text != '\0')
        *ret = text;
    return acme_ok();
}

static struct acme_err read_names(struct acme_arena *arena, struct acme_csr *csr, const char **ret_why)
{
    OSSL_CLEANUP(ossl_extensions) STACK_OF(X509_EXTENSION) *extensions = NULL;
    TRY(acme_csr_extensions(csr->request, &extensions, ret_why));
    int index = X509v3_get_ext_by_NID(extensions, NID_subject_alt_name, -1);
    if (index < 0)
        return acme_ok();
    if (X509v3_get_ext_by_NID(extensions, NID_subject_alt_name, index) >= 0)
        return refuse(ACME_E_FORMAT, ret_why, "more than one subjectAltName extension");
    return acme_names_read(arena, X509v3_get_ext(extensions, index), &csr->names, &csr->name_count, ret_why);
}

static struct acme_err read_spki(struct acme_arena *arena, struct acme_csr *csr)
{
    unsigned char *der = NULL;
    int len = i2d_ACME_SPKI(csr->request->info->spki, &der);
    ENSURE(len > 0, ACME_E_CRYPTO);
    csr->spki = (struct acme_bytes){.data = acme_arena_memdup(arena, der, (size_t)len), .len = (size_t)len};
    OPENSSL_free(der);
    ENSURE(csr->spki.data != NULL, ACME_E_NOMEM);
    const ASN1_BIT_STRING *octets = csr->request->info->spki->key;
    csr->key_octets =
        (struct acme_bytes){.data = ASN1_STRING_get0_data(octets), .len = (size_t)ASN1_STRING_length(octets)};
    return acme_sha256(csr->spki.data, csr->spki.len, csr->spki_sha256);
}

/* Everything but the key and the signature. */
static struct acme_err read_request(struct acme_arena *arena, struct acme_bytes der, struct acme_csr *csr,
                                    const char **ret_why)
{
    if (der.len > ACME_CSR_MAX_BYTES)
        return refuse(ACME_E_LIMIT, ret_why, "the CSR is too large");
    if (der.len > 10 && memcmp(der.data, "-----BEGIN", 10) == 0)
        return refuse(ACME_E_FORMAT, ret_why, "the CSR is PEM; it has to be DER in base64url");
    csr->der = (struct acme_bytes){.data = acme_arena_memdup(arena, der.data, der.len), .len = der.len};
    ENSURE(csr->der.data != NULL, ACME_E_NOMEM);
    const unsigned char *at = csr->der.data;
    csr->request = d2i_ACME_PKCS10(NULL, &at, (long)der.len);
    if (csr->request == NULL)
        return refuse(ACME_E_FORMAT, ret_why, "not a DER encoded PKCS#10 request");
    ENSURE(acme_arena_defer(arena, release_request, csr->request), ACME_E_NOMEM);
    if (at != csr->der.data + der.len)
        return refuse(ACME_E_FORMAT, ret_why, "bytes follow the CSR");
    TRY(read_common_name(arena, csr->request->info->subject, &csr->common_name, ret_why));
    TRY(read_names(arena, csr, ret_why));
    TRY(read_spki(arena, csr));
    return acme_sha256(csr->der.data, csr->der.len, csr->sha256);
}

static struct acme_err parse(struct acme_arena *arena, struct acme_bytes der, struct acme_csr *ret,
                             const char **ret_why)
{
    struct acme_csr csr = {.key = NULL};
    TRY(read_request(arena, der, &csr, ret_why));
    csr.key = acme_spki_key(csr.request->info->spki);
    if (csr.key == NULL)
        return refuse(ACME_E_UNSUPPORTED, ret_why, "the public key is of an unknown kind or damaged");
    ENSURE(acme_arena_defer(arena, release_key, csr.key), ACME_E_NOMEM);
    if (!signature_is_strong(csr.request->algorithm))
        return refuse(ACME_E_UNSUPPORTED, ret_why, "the CSR is signed with a weak or unknown digest");
    if (!acme_pkcs10_verify(csr.request, csr.key))
        return refuse(ACME_E_SIGNATURE, ret_why, "the CSR's own signature does not verify");
    *ret = csr;
    return acme_ok();
}

struct acme_err acme_csr_parse(struct acme_arena *arena, struct acme_bytes der, struct acme_csr *ret,
                               const char **ret_why)
{
    struct acme_err err = parse(arena, der, ret, ret_why);
    if (acme_failed(err))
        ERR_clear_error(); /* the queue belongs to the thread and would outlive this request */
    return err;
}

struct acme_err acme_csr_reread(struct acme_arena *arena, struct acme_bytes der, struct acme_csr *ret)
{
    const char *why = NULL;
    struct acme_csr csr = {.key = NULL};
    struct acme_err err = read_request(arena, der, &csr, &why);
    if (acme_failed(err)) {
        ERR_clear_error();
        return err;
    }
    *ret = csr;
    return acme_ok();
}

char *acme_csr_pem(struct acme_arena *arena, const struct acme_csr *csr)
{
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, 2 * ACME_CSR_MAX_BYTES);
    acme_pem_append(&out, "CERTIFICATE REQUEST", csr->der);
    const char *text = acme_buf_cstr(&out);
    return text != NULL ? acme_arena_strdup(arena, text) : NULL;
}

struct acme_err acme_spki_sha256(const EVP_PKEY *key, uint8_t out[ACME_SHA256_SIZE])
{
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(key, &der);
    ENSURE(len > 0, ACME_E_CRYPTO);
    struct acme_err err = acme_sha256(der, (size_t)len, out);
    OPENSSL_free(der);
    return err;
}
