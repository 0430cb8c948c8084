#include "certs/csr.h"

#include "base/problem.h"
#include "certs/csr_extensions.h"
#include "certs/key_check.h"
#include "certs/names.h"
#include "certs/ossl.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <string.h>

const struct acme_key_policy acme_key_policy_default = {
    .rsa = true, .rsa_min_bits = 2048, .rsa_max_bits = 8192, .p256 = true, .p384 = true, .p521 = true};

struct acme_err acme_csr_extensions(const ACME_PKCS10 *request, STACK_OF(X509_EXTENSION) * *ret,
                                    const char **ret_why)
{
    X509_ATTRIBUTE *list = NULL;
    int found = 0;
    for (int i = 0; i < sk_X509_ATTRIBUTE_num(request->info->attributes); i++) {
        X509_ATTRIBUTE *attribute = sk_X509_ATTRIBUTE_value(request->info->attributes, i);
        int nid = OBJ_obj2nid(X509_ATTRIBUTE_get0_object(attribute));
        if (nid != NID_ext_req && nid != NID_ms_ext_req)
            continue;
        if (++found > 1 || X509_ATTRIBUTE_count(attribute) != 1) {
            *ret_why = "more than one list of extensions";
            return acme_err(ACME_E_FORMAT);
        }
        list = attribute;
    }
    if (found == 0)
        return acme_ok();
    const ASN1_TYPE *value = X509_ATTRIBUTE_get0_type(list, 0);
    STACK_OF(X509_EXTENSION) *extensions = NULL;
    if (value != NULL && value->type == V_ASN1_SEQUENCE)
        extensions = ASN1_item_unpack(value->value.sequence, ASN1_ITEM_rptr(X509_EXTENSIONS));
    if (extensions == NULL) {
        *ret_why = "the list of extensions is damaged";
        return acme_err(ACME_E_FORMAT);
    }
    *ret = extensions;
    return acme_ok();
}

/* A CA that writes the key its own way would give the certificate another SubjectPublicKeyInfo than we look
 * for. */
static bool is_written_as_usual(const struct acme_csr *csr)
{
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(csr->key, &der);
    bool same = len > 0 && (size_t)len == csr->spki.len && memcmp(der, csr->spki.data, csr->spki.len) == 0;
    OPENSSL_free(der);
    return same;
}

static struct acme_err check_rsa(struct acme_arena *arena, const struct acme_csr *csr,
                                 const struct acme_key_policy *policy, const char **ret_why)
{
    const EVP_PKEY *key = csr->key;
    if (!policy->rsa)
        return acme_deny(ret_why, "RSA keys are not accepted");
    int bits = EVP_PKEY_get_bits(key);
    if (bits < policy->rsa_min_bits || bits > policy->rsa_max_bits)
        return acme_deny(ret_why, acme_arena_printf(arena, "the RSA key has %d bits; %d to %d are accepted",
                                                    bits, policy->rsa_min_bits, policy->rsa_max_bits));
    OSSL_CLEANUP(BIGNUM) BIGNUM *exponent = NULL;
    OSSL_CLEANUP(BIGNUM) BIGNUM *modulus = NULL;
    if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent) != 1 ||
        EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &modulus) != 1)
        return acme_deny(ret_why, "the RSA key cannot be read");
    if (!BN_is_odd(exponent) || BN_num_bits(exponent) > 64 || BN_num_bits(exponent) < 3)
        return acme_deny(ret_why, "the RSA exponent is even, not above 3, or longer than 64 bits");
    if (!BN_is_odd(modulus))
        return acme_deny(ret_why, "the RSA modulus is even");
    if (!is_written_as_usual(csr))
        return acme_deny(ret_why,
                         "the RSA key is not encoded as usual (NULL parameter, nothing after the numbers)");
    return acme_key_weakness(key, ret_why);
}

static struct acme_err check_ec(struct acme_arena *arena, const struct acme_csr *csr,
                                const struct acme_key_policy *policy, const char **ret_why)
{
    char group[64] = "";
    int explicit_params = 0;
    (void)EVP_PKEY_get_int_param(csr->key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &explicit_params);
    if (explicit_params != 0 ||
        EVP_PKEY_get_utf8_string_param(csr->key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group, NULL) != 1)
        return acme_deny(ret_why, "the elliptic curve is not given by name");
    bool known = (policy->p256 && strcmp(group, SN_X9_62_prime256v1) == 0) ||
                 (policy->p384 && strcmp(group, SN_secp384r1) == 0) ||
                 (policy->p521 && strcmp(group, SN_secp521r1) == 0);
    if (!known)
        return acme_deny(ret_why, acme_arena_printf(arena, "the elliptic curve %s is not accepted", group));
    /* A CA that writes the point out in full would give the certificate another SubjectPublicKeyInfo than we
     * look for. */
    const ASN1_BIT_STRING *point = csr->request->info->spki->key;
    if (ASN1_STRING_length(point) < 1 || ASN1_STRING_get0_data(point)[0] != 0x04)
        return acme_deny(ret_why, "the public point is not in uncompressed form");
    return acme_ok();
}

static struct acme_err check_key(struct acme_arena *arena, const struct acme_csr *csr,
                                 const struct acme_key_policy *policy, const char **ret_why)
{
    switch (EVP_PKEY_get_base_id(csr->key)) {
    case EVP_PKEY_RSA:
        return check_rsa(arena, csr, policy, ret_why);
    case EVP_PKEY_EC:
        return check_ec(arena, csr, policy, ret_why);
    case EVP_PKEY_ED25519:
        if (policy->ed25519)
            return acme_ok();
        return acme_deny(ret_why, "Ed25519 keys are not accepted");
    default:
        return acme_deny(ret_why, "this kind of key is not accepted");
    }
}

static bool key_usage_allowed(X509_EXTENSION *extension)
{
    OSSL_CLEANUP(ASN1_BIT_STRING) ASN1_BIT_STRING *usage = X509V3_EXT_d2i(extension);
    const int key_cert_sign = 5;
    const int crl_sign = 6;
    return usage != NULL && ASN1_BIT_STRING_get_bit(usage, key_cert_sign) == 0 &&
           ASN1_BIT_STRING_get_bit(usage, crl_sign) == 0;
}

static bool extended_key_usage_allowed(X509_EXTENSION *extension)
{
    OSSL_CLEANUP(EXTENDED_KEY_USAGE) EXTENDED_KEY_USAGE *usages = X509V3_EXT_d2i(extension);
    if (usages == NULL)
        return false;
    for (int i = 0; i < sk_ASN1_OBJECT_num(usages); i++) {
        int nid = OBJ_obj2nid(sk_ASN1_OBJECT_value(usages, i));
        if (nid != NID_server_auth && nid != NID_client_auth)
            return false;
    }
    return true;
}

static bool basic_constraints_allowed(X509_EXTENSION *extension)
{
    OSSL_CLEANUP(BASIC_CONSTRAINTS) BASIC_CONSTRAINTS *constraints = X509V3_EXT_d2i(extension);
    return constraints != NULL && constraints->ca == 0 && constraints->pathlen == NULL;
}

/* Must-staple alone: SEQUENCE OF INTEGER with the one value status_request (RFC 7633 section 4.1). */
static bool tls_feature_allowed(X509_EXTENSION *extension)
{
    static const unsigned char status_request[] = {0x30, 0x03, 0x02, 0x01, 0x05};
    const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(extension);
    return ASN1_STRING_length(value) == (int)sizeof status_request &&
           memcmp(ASN1_STRING_get0_data(value), status_request, sizeof status_request) == 0;
}

/* What may be asked for; NULL `allowed`: whatever it holds. */
static const struct {
    int nid;
    bool (*allowed)(X509_EXTENSION *extension);
} extension_rules[] = {
    {NID_subject_alt_name, NULL}, /* read and compared with the order */
    {NID_key_usage, key_usage_allowed},
    {NID_ext_key_usage, extended_key_usage_allowed},
    {NID_basic_constraints, basic_constraints_allowed},
    {NID_subject_key_identifier, NULL},
    {NID_tlsfeature, tls_feature_allowed},
};

static struct acme_err check_extension(struct acme_arena *arena, X509_EXTENSION *extension, unsigned *seen,
                                       const char **ret_why)
{
    const ASN1_OBJECT *object = X509_EXTENSION_get_object(extension);
    int nid = OBJ_obj2nid(object);
    char name[80];
    (void)OBJ_obj2txt(name, sizeof name, object, nid == NID_undef);
    for (size_t i = 0; i < sizeof extension_rules / sizeof *extension_rules; i++) {
        if (extension_rules[i].nid != nid)
            continue;
        if ((*seen & 1U << i) != 0)
            return acme_deny(ret_why, acme_arena_printf(arena, "the extension %s is there twice", name));
        *seen |= 1U << i;
        if (extension_rules[i].allowed != NULL && !extension_rules[i].allowed(extension))
            return acme_deny(ret_why,
                             acme_arena_printf(arena,
                                               "the extension %s asks for more than a TLS end entity "
                                               "may have",
                                               name));
        return acme_ok();
    }
    return acme_deny(ret_why, acme_arena_printf(arena, "the extension %s may not be asked for", name));
}

static struct acme_err check_extensions(struct acme_arena *arena, const struct acme_csr *csr,
                                        const char **ret_why)
{
    OSSL_CLEANUP(ossl_extensions) STACK_OF(X509_EXTENSION) *extensions = NULL;
    const char *why = NULL;
    if (acme_failed(acme_csr_extensions(csr->request, &extensions, &why)))
        return acme_deny(ret_why, why);
    unsigned seen = 0;
    for (int i = 0; i < sk_X509_EXTENSION_num(extensions); i++)
        TRY(check_extension(arena, sk_X509_EXTENSION_value(extensions, i), &seen, ret_why));
    return acme_ok();
}

static struct acme_err check_names(struct acme_arena *arena, const struct acme_csr *csr,
                                   const struct acme_identifier *identifiers, size_t count,
                                   const char **ret_why)
{
    if (csr->common_name == NULL)
        return acme_names_compare(arena, "the CSR", csr->names, csr->name_count, identifiers, count, ret_why);
    struct acme_identifier *names = acme_arena_alloc(arena, (csr->name_count + 1) * sizeof *names);
    ENSURE(names != NULL, ACME_E_NOMEM);
    if (csr->name_count > 0)
        memcpy(names, csr->names, csr->name_count * sizeof *names);
    const char *why = NULL;
    struct acme_identifier *last = &names[csr->name_count];
    struct acme_err err = acme_identifier_parse(arena, "dns", csr->common_name, last, &why);
    if (err.code == ACME_E_FORMAT)
        err = acme_identifier_parse(arena, "ip", csr->common_name, last, &why);
    ENSURE(err.code != ACME_E_NOMEM, ACME_E_NOMEM);
    if (acme_failed(err)) {
        const char *shown = acme_printable(arena, csr->common_name, strlen(csr->common_name), 80);
        return acme_deny(ret_why, acme_arena_printf(arena, "the common name %s is no name of the order",
                                                    shown != NULL ? shown : "?"));
    }
    return acme_names_compare(arena, "the CSR", names, csr->name_count + 1, identifiers, count, ret_why);
}

struct acme_err acme_csr_check(struct acme_arena *arena, const struct acme_csr *csr,
                               const struct acme_identifier *identifiers, size_t count,
                               const struct acme_key_policy *policy, const EVP_PKEY *account_key,
                               const char **ret_why)
{
    ENSURE(csr->key != NULL, ACME_E_STATE);
    TRY(check_names(arena, csr, identifiers, count, ret_why));
    struct acme_err err = check_key(arena, csr, policy, ret_why);
    if (!acme_failed(err) && account_key != NULL && EVP_PKEY_eq(csr->key, account_key) == 1)
        err = acme_deny(ret_why, "the certificate key is the account key");
    if (!acme_failed(err))
        err = check_extensions(arena, csr, ret_why);
    ERR_clear_error();
    return err;
}
