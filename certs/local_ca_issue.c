#include "certs/cert_time.h"
#include "certs/local_ca_priv.h"
#include "certs/ossl.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <string.h>

enum { MAX_COMMON_NAME = 64 };

static struct acme_err set_serial(X509 *cert)
{
    unsigned char octets[ACME_CA_SERIAL_OCTETS];
    ENSURE(RAND_bytes(octets, sizeof octets) == 1, ACME_E_CRYPTO);
    OSSL_CLEANUP(BIGNUM) BIGNUM *number = BN_bin2bn(octets, sizeof octets, NULL);
    ENSURE(number != NULL && !BN_is_zero(number), ACME_E_CRYPTO);
    ENSURE(BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL, ACME_E_CRYPTO);
    return acme_ok();
}

/* The leftmost 160 bits of the SHA-256 of the key (RFC 7093 section 2 method 1): no need for SHA-1. */
struct acme_err acme_ca_add_key_id(X509 *cert)
{
    uint8_t digest[ACME_SHA256_SIZE];
    const ASN1_BIT_STRING *key = X509_get0_pubkey_bitstr(cert);
    ENSURE(key != NULL, ACME_E_CRYPTO);
    TRY(acme_sha256(ASN1_STRING_get0_data(key), (size_t)ASN1_STRING_length(key), digest));
    OSSL_CLEANUP(ASN1_OCTET_STRING) ASN1_OCTET_STRING *id = ASN1_OCTET_STRING_new();
    ENSURE(id != NULL && ASN1_OCTET_STRING_set(id, digest, ACME_CA_KEY_ID_OCTETS) == 1 &&
               X509_add1_ext_i2d(cert, NID_subject_key_identifier, id, 0, X509V3_ADD_APPEND) == 1,
           ACME_E_CRYPTO);
    return acme_ok();
}

struct acme_err acme_ca_template(int64_t not_before_ms, int64_t not_after_ms, X509 **ret)
{
    OSSL_CLEANUP(X509) X509 *cert = X509_new();
    ENSURE(cert != NULL && X509_set_version(cert, X509_VERSION_3) == 1, ACME_E_CRYPTO);
    TRY(set_serial(cert));
    ENSURE(ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)(not_before_ms / 1000)) != NULL, ACME_E_CRYPTO);
    ENSURE(ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)(not_after_ms / 1000)) != NULL, ACME_E_CRYPTO);
    *ret = cert;
    cert = NULL;
    return acme_ok();
}

struct acme_err acme_ca_prepare(struct acme_local_ca *ca)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, ca->intermediate, ca->intermediate, NULL, NULL, 0);
    const ASN1_OCTET_STRING *key_id = X509_get0_subject_key_id(ca->intermediate);
    ENSURE(key_id != NULL, ACME_E_FORMAT);
    OSSL_CLEANUP(AUTHORITY_KEYID) AUTHORITY_KEYID *authority = AUTHORITY_KEYID_new();
    ENSURE(authority != NULL, ACME_E_NOMEM);
    authority->keyid = ASN1_OCTET_STRING_dup(key_id);
    ENSURE(authority->keyid != NULL, ACME_E_NOMEM);
    ca->authority_key_id = X509V3_EXT_i2d(NID_authority_key_identifier, 0, authority);
    ca->basic_constraints = X509V3_EXT_conf_nid(NULL, &context, NID_basic_constraints, "critical,CA:FALSE");
    ca->key_usage = X509V3_EXT_conf_nid(NULL, &context, NID_key_usage, "critical,digitalSignature");
    ca->key_usage_rsa =
        X509V3_EXT_conf_nid(NULL, &context, NID_key_usage, "critical,digitalSignature,keyEncipherment");
    ca->extended_key_usage = X509V3_EXT_conf_nid(NULL, &context, NID_ext_key_usage, "serverAuth,clientAuth");
    ca->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    ENSURE(ca->authority_key_id != NULL && ca->basic_constraints != NULL && ca->key_usage != NULL &&
               ca->key_usage_rsa != NULL && ca->extended_key_usage != NULL && ca->sha256 != NULL,
           ACME_E_CRYPTO);
    TRY(acme_cert_time_ms(X509_get0_notBefore(ca->intermediate), &ca->not_before_ms));
    TRY(acme_cert_time_ms(X509_get0_notAfter(ca->intermediate), &ca->not_after_ms));
    return acme_ok();
}

static GENERAL_NAME *make_general_name(const struct acme_identifier *identifier)
{
    unsigned char raw[16];
    const void *data = identifier->value;
    size_t len = strlen(identifier->value);
    bool ip = identifier->type == ACME_IDENTIFIER_IP;
    if (ip) {
        bool v6 = strchr(identifier->value, ':') != NULL;
        if (inet_pton(v6 ? AF_INET6 : AF_INET, identifier->value, raw) != 1)
            return NULL;
        data = raw;
        len = v6 ? 16 : 4;
    }
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_STRING *value = ASN1_STRING_type_new(ip ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);
    if (name == NULL || value == NULL || ASN1_STRING_set(value, data, (int)len) != 1) {
        GENERAL_NAME_free(name);
        ASN1_STRING_free(value);
        return NULL;
    }
    GENERAL_NAME_set0_value(name, ip ? GEN_IPADD : GEN_DNS, value);
    return name;
}

static struct acme_err add_names(X509 *cert, const struct acme_identifier *names, size_t count, bool critical)
{
    OSSL_CLEANUP(GENERAL_NAMES) GENERAL_NAMES *list = sk_GENERAL_NAME_new_null();
    ENSURE(list != NULL, ACME_E_NOMEM);
    for (size_t i = 0; i < count; i++) {
        GENERAL_NAME *name = make_general_name(&names[i]);
        if (name == NULL || sk_GENERAL_NAME_push(list, name) <= 0) {
            GENERAL_NAME_free(name);
            return acme_err(ACME_E_CRYPTO);
        }
    }
    ENSURE(X509_add1_ext_i2d(cert, NID_subject_alt_name, list, critical, X509V3_ADD_APPEND) == 1,
           ACME_E_CRYPTO);
    return acme_ok();
}

static const char *choose_common_name(const struct acme_identifier *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (names[i].type == ACME_IDENTIFIER_DNS && strlen(names[i].value) <= MAX_COMMON_NAME)
            return names[i].value;
    return NULL;
}

static struct acme_err fill_leaf(const struct acme_local_ca *ca, X509 *cert, bool rsa,
                                 const struct acme_identifier *names, size_t count)
{
    const char *common_name = choose_common_name(names, count);
    if (common_name != NULL)
        ENSURE(X509_NAME_add_entry_by_NID(X509_get_subject_name(cert), NID_commonName, MBSTRING_ASC,
                                          (const unsigned char *)common_name, -1, -1, 0) == 1,
               ACME_E_CRYPTO);
    ENSURE(X509_set_issuer_name(cert, X509_get_subject_name(ca->intermediate)) == 1, ACME_E_CRYPTO);
    /* Only RSA keys can take part in key transport. */
    X509_EXTENSION *usage = rsa ? ca->key_usage_rsa : ca->key_usage;
    ENSURE(X509_add_ext(cert, ca->authority_key_id, -1) == 1 &&
               X509_add_ext(cert, ca->basic_constraints, -1) == 1 && X509_add_ext(cert, usage, -1) == 1 &&
               X509_add_ext(cert, ca->extended_key_usage, -1) == 1,
           ACME_E_CRYPTO);
    if (ca->crl_points != NULL)
        ENSURE(X509_add_ext(cert, ca->crl_points, -1) == 1 && X509_add_ext(cert, ca->authority_info, -1) == 1,
               ACME_E_CRYPTO);
    return add_names(cert, names, count,
                     common_name == NULL); /* critical without a subject: RFC 5280 4.2.1.6 */
}

static void release_cert(void *cert)
{
    X509_free(cert);
}

static bool is_rsa(const ACME_SPKI *spki)
{
    const ASN1_OBJECT *kind = NULL;
    X509_ALGOR_get0(&kind, NULL, NULL, spki->algorithm);
    return OBJ_obj2nid(kind) == NID_rsaEncryption;
}

static struct acme_err issue(const struct acme_local_ca *ca, struct acme_arena *arena,
                             struct acme_bytes spki_der, const struct acme_identifier *names, size_t count,
                             int64_t not_before_ms, int64_t not_after_ms, struct acme_cert_list *ret)
{
    if (not_before_ms < ca->not_before_ms)
        not_before_ms = ca->not_before_ms;
    if (not_after_ms > ca->not_after_ms)
        not_after_ms = ca->not_after_ms;
    ENSURE(not_before_ms < not_after_ms, ACME_E_STATE);
    const unsigned char *at = spki_der.data;
    OSSL_CLEANUP(ACME_SPKI) ACME_SPKI *spki = d2i_ACME_SPKI(NULL, &at, (long)spki_der.len);
    ENSURE(spki != NULL && at == spki_der.data + spki_der.len, ACME_E_FORMAT);
    OSSL_CLEANUP(X509) X509 *cert = NULL;
    TRY(acme_ca_template(not_before_ms, not_after_ms, &cert));
    TRY(acme_spki_put(spki, cert));
    TRY(acme_ca_add_key_id(cert));
    TRY(fill_leaf(ca, cert, is_rsa(spki), names, count));
    ENSURE(X509_sign(cert, ca->key, ca->sha256) > 0, ACME_E_CRYPTO);
    ENSURE(X509_up_ref(ca->intermediate) == 1, ACME_E_CRYPTO);
    ENSURE(acme_arena_defer(arena, release_cert, ca->intermediate), ACME_E_NOMEM);
    X509 *leaf = cert;
    cert = NULL;
    ENSURE(acme_arena_defer(arena, release_cert, leaf), ACME_E_NOMEM);
    *ret = (struct acme_cert_list){.certs = {leaf, ca->intermediate}, .count = 2};
    return acme_ok();
}

struct acme_err acme_local_ca_issue(const struct acme_local_ca *ca, struct acme_arena *arena,
                                    struct acme_bytes spki, const struct acme_identifier *names, size_t count,
                                    int64_t not_before_ms, int64_t not_after_ms, struct acme_cert_list *ret)
{
    struct acme_err err = issue(ca, arena, spki, names, count, not_before_ms, not_after_ms, ret);
    if (acme_failed(err))
        ERR_clear_error();
    return err;
}
