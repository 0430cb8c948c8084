#include "certs/pkcs10.h"

#include "certs/ossl.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <pthread.h>

typedef struct acme_rsa_key_st {
    ASN1_INTEGER *modulus;
    ASN1_INTEGER *exponent;
} ACME_RSA_KEY;
DECLARE_ASN1_FUNCTIONS(ACME_RSA_KEY)
DECLARE_ASN1_ITEM(ACME_REQUEST_INFO)

/* The macros' expansions are OpenSSL's business; the last semicolon is for the formatter. */
/* clang-format off */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Wpedantic"
ASN1_SEQUENCE(ACME_SPKI) = {
    ASN1_SIMPLE(ACME_SPKI, algorithm, X509_ALGOR),
    ASN1_SIMPLE(ACME_SPKI, key, ASN1_BIT_STRING),
} ASN1_SEQUENCE_END(ACME_SPKI)
IMPLEMENT_ASN1_FUNCTIONS(ACME_SPKI)

ASN1_SEQUENCE_enc(ACME_REQUEST_INFO, enc, 0) = {
    ASN1_SIMPLE(ACME_REQUEST_INFO, version, ASN1_INTEGER),
    ASN1_SIMPLE(ACME_REQUEST_INFO, subject, X509_NAME),
    ASN1_SIMPLE(ACME_REQUEST_INFO, spki, ACME_SPKI),
    ASN1_IMP_SET_OF_OPT(ACME_REQUEST_INFO, attributes, X509_ATTRIBUTE, 0),
} ASN1_SEQUENCE_END_enc(ACME_REQUEST_INFO, ACME_REQUEST_INFO)

ASN1_SEQUENCE(ACME_PKCS10) = {
    ASN1_SIMPLE(ACME_PKCS10, info, ACME_REQUEST_INFO),
    ASN1_SIMPLE(ACME_PKCS10, algorithm, X509_ALGOR),
    ASN1_SIMPLE(ACME_PKCS10, signature, ASN1_BIT_STRING),
} ASN1_SEQUENCE_END(ACME_PKCS10)
IMPLEMENT_ASN1_FUNCTIONS(ACME_PKCS10)

ASN1_SEQUENCE(ACME_RSA_KEY) = {
    ASN1_SIMPLE(ACME_RSA_KEY, modulus, ASN1_INTEGER),
    ASN1_SIMPLE(ACME_RSA_KEY, exponent, ASN1_INTEGER),
} ASN1_SEQUENCE_END(ACME_RSA_KEY)
IMPLEMENT_ASN1_FUNCTIONS(ACME_RSA_KEY);
#pragma GCC diagnostic pop
/* clang-format on */

OSSL_DEFINE_CLEANUP(ACME_RSA_KEY, ACME_RSA_KEY_free)
OSSL_DEFINE_CLEANUP(OSSL_PARAM_BLD, OSSL_PARAM_BLD_free)

static EVP_PKEY *from_params(const char *type, int selection, OSSL_PARAM *params)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, selection, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(context);
    return key;
}

/* Keys that hold their curve and nothing else: copying one costs a quarter of setting the curve up anew for
 * each key (10 us of 40 measured). Made once, then only read. */
static struct curve {
    int nid;
    EVP_PKEY *key; /* NULL: it could not be made; any_key does without */
} curves[] = {{.nid = NID_X9_62_prime256v1}, {.nid = NID_secp384r1}, {.nid = NID_secp521r1}};
static pthread_once_t curves_once = PTHREAD_ONCE_INIT;

static void make_curves(void)
{
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++) {
        char group[32];
        (void)OPENSSL_strlcpy(group, OBJ_nid2sn(curves[i].nid), sizeof group);
        OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
                               OSSL_PARAM_construct_end()};
        curves[i].key = from_params("EC", EVP_PKEY_KEY_PARAMETERS, params);
    }
}

static EVP_PKEY *copy_curve(int nid)
{
    (void)pthread_once(&curves_once, make_curves);
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++)
        if (nid == curves[i].nid && curves[i].key != NULL)
            return EVP_PKEY_dup(curves[i].key);
    return NULL;
}

/* OpenSSL checks that the point lies on the curve. */
static EVP_PKEY *ec_key(int parameter_type, const void *parameter, const unsigned char *point, size_t len)
{
    if (parameter_type != V_ASN1_OBJECT || len == 0 || point[0] != 0x04)
        return NULL;
    EVP_PKEY *key = copy_curve(OBJ_obj2nid(parameter));
    if (key == NULL || EVP_PKEY_set1_encoded_public_key(key, point, len) != 1) {
        EVP_PKEY_free(key);
        return NULL;
    }
    return key;
}

static EVP_PKEY *rsa_key(const unsigned char *data, size_t len)
{
    const unsigned char *at = data;
    OSSL_CLEANUP(ACME_RSA_KEY) ACME_RSA_KEY *numbers = d2i_ACME_RSA_KEY(NULL, &at, (long)len);
    if (numbers == NULL || at != data + len)
        return NULL;
    OSSL_CLEANUP(BIGNUM) BIGNUM *modulus = ASN1_INTEGER_to_BN(numbers->modulus, NULL);
    OSSL_CLEANUP(BIGNUM) BIGNUM *exponent = ASN1_INTEGER_to_BN(numbers->exponent, NULL);
    OSSL_CLEANUP(OSSL_PARAM_BLD) OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    if (modulus == NULL || exponent == NULL || builder == NULL || BN_is_negative(modulus) ||
        BN_is_negative(exponent) || OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus) != 1 ||
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent) != 1)
        return NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY *key = params == NULL ? NULL : from_params("RSA", EVP_PKEY_PUBLIC_KEY, params);
    OSSL_PARAM_free(params);
    return key;
}

/* Kinds that are rare or not accepted, by OpenSSL's own way, so that they are refused for what they are. */
static EVP_PKEY *any_key(const ACME_SPKI *spki)
{
    unsigned char *der = NULL;
    int len = i2d_ACME_SPKI(spki, &der);
    const unsigned char *at = der;
    EVP_PKEY *key = len <= 0 ? NULL : d2i_PUBKEY(NULL, &at, len);
    OPENSSL_free(der);
    return key;
}

EVP_PKEY *acme_spki_key(const ACME_SPKI *spki)
{
    const ASN1_OBJECT *kind = NULL;
    int type = V_ASN1_UNDEF;
    const void *parameter = NULL;
    X509_ALGOR_get0(&kind, &type, &parameter, spki->algorithm);
    const unsigned char *octets = ASN1_STRING_get0_data(spki->key);
    size_t len = (size_t)ASN1_STRING_length(spki->key);
    if ((spki->key->flags & 0x07) != 0) /* unused bits: no kind of key has them */
        return NULL;
    EVP_PKEY *key = NULL;
    switch (OBJ_obj2nid(kind)) {
    case NID_X9_62_id_ecPublicKey:
        key = ec_key(type, parameter, octets, len);
        break;
    case NID_rsaEncryption:
        key = type == V_ASN1_NULL ? rsa_key(octets, len) : NULL;
        break;
    case NID_ED25519:
        key = type == V_ASN1_UNDEF ? EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, octets, len) : NULL;
        break;
    default:
        break;
    }
    return key != NULL ? key : any_key(spki);
}

/* A copy of an algorithm's parameter, as X509_PUBKEY_set0_param takes it over; *ret_good false without
 * memory. */
static void *copy_parameter(int type, const void *parameter, bool *ret_good)
{
    void *copy = NULL;
    *ret_good = true;
    if (type == V_ASN1_UNDEF || type == V_ASN1_NULL)
        return NULL;
    if (type == V_ASN1_OBJECT)
        copy = OBJ_dup(parameter);
    else
        copy = ASN1_STRING_dup(parameter);
    *ret_good = copy != NULL;
    return copy;
}

struct acme_err acme_spki_put(const ACME_SPKI *spki, X509 *cert)
{
    const ASN1_OBJECT *kind = NULL;
    int type = V_ASN1_UNDEF;
    const void *parameter = NULL;
    X509_ALGOR_get0(&kind, &type, &parameter, spki->algorithm);
    ENSURE(type != V_ASN1_BOOLEAN,
           ACME_E_CRYPTO); /* the one type whose value is no string; no kind of key has it */
    bool good = false;
    void *copy = copy_parameter(type, parameter, &good);
    ASN1_OBJECT *kind_copy = OBJ_dup(kind);
    size_t len = (size_t)ASN1_STRING_length(spki->key);
    unsigned char *octets = OPENSSL_memdup(spki->key->data, len);
    if (good && kind_copy != NULL && octets != NULL &&
        X509_PUBKEY_set0_param(X509_get_X509_PUBKEY(cert), kind_copy, type, copy, octets, (int)len) == 1)
        return acme_ok();
    if (type == V_ASN1_OBJECT)
        ASN1_OBJECT_free(copy);
    else
        ASN1_STRING_free(copy);
    ASN1_OBJECT_free(kind_copy);
    OPENSSL_free(octets);
    return acme_err(ACME_E_CRYPTO);
}

bool acme_pkcs10_verify(const ACME_PKCS10 *request, EVP_PKEY *key)
{
    return ASN1_item_verify(ASN1_ITEM_rptr(ACME_REQUEST_INFO), request->algorithm, request->signature,
                            request->info, key) == 1;
}
