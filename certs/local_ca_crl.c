/* The list of revoked certificates, and where certificates say it is (RFC 5280 sections 4.2.1.13, 4.2.2.1
 * and 5). */
#include "certs/local_ca_priv.h"
#include "certs/ossl.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

OSSL_DEFINE_CLEANUP(ACCESS_DESCRIPTION, ACCESS_DESCRIPTION_free)
OSSL_DEFINE_CLEANUP(AUTHORITY_INFO_ACCESS, AUTHORITY_INFO_ACCESS_free)
OSSL_DEFINE_CLEANUP(CRL_DIST_POINTS, CRL_DIST_POINTS_free)
OSSL_DEFINE_CLEANUP(DIST_POINT, DIST_POINT_free)
OSSL_DEFINE_CLEANUP(GENERAL_NAME, GENERAL_NAME_free)
OSSL_DEFINE_CLEANUP(X509_REVOKED, X509_REVOKED_free)
OSSL_DEFINE_CLEANUP(ASN1_ENUMERATED, ASN1_ENUMERATED_free)
OSSL_DEFINE_CLEANUP(ASN1_TIME, ASN1_TIME_free)

enum { REASON_UNUSED = 7, REASON_MAX = 10 };

/* ---- where things are ---- */

static struct acme_err make_uri(const char *url, GENERAL_NAME **ret)
{
    OSSL_CLEANUP(GENERAL_NAME) GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *text = ASN1_IA5STRING_new();
    if (name == NULL || text == NULL || ASN1_STRING_set(text, url, (int)strlen(url)) != 1) {
        ASN1_IA5STRING_free(text);
        return acme_err(ACME_E_NOMEM);
    }
    GENERAL_NAME_set0_value(name, GEN_URI, text);
    *ret = name;
    name = NULL;
    return acme_ok();
}

static struct acme_err make_crl_points(const char *url, X509_EXTENSION **ret)
{
    OSSL_CLEANUP(CRL_DIST_POINTS) CRL_DIST_POINTS *points = CRL_DIST_POINTS_new();
    OSSL_CLEANUP(DIST_POINT) DIST_POINT *point = DIST_POINT_new();
    ENSURE(points != NULL && point != NULL, ACME_E_NOMEM);
    point->distpoint = DIST_POINT_NAME_new();
    ENSURE(point->distpoint != NULL, ACME_E_NOMEM);
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    ENSURE(names != NULL, ACME_E_NOMEM);
    point->distpoint->type = 0; /* fullName */
    point->distpoint->name.fullname = names;
    OSSL_CLEANUP(GENERAL_NAME) GENERAL_NAME *uri = NULL;
    TRY(make_uri(url, &uri));
    ENSURE(sk_GENERAL_NAME_push(names, uri) > 0, ACME_E_NOMEM);
    uri = NULL;
    ENSURE(sk_DIST_POINT_push(points, point) > 0, ACME_E_NOMEM);
    point = NULL;
    *ret = X509V3_EXT_i2d(NID_crl_distribution_points, 0, points);
    ENSURE(*ret != NULL, ACME_E_CRYPTO);
    return acme_ok();
}

static struct acme_err make_authority_info(const char *url, X509_EXTENSION **ret)
{
    OSSL_CLEANUP(AUTHORITY_INFO_ACCESS) AUTHORITY_INFO_ACCESS *info = AUTHORITY_INFO_ACCESS_new();
    OSSL_CLEANUP(ACCESS_DESCRIPTION) ACCESS_DESCRIPTION *access = ACCESS_DESCRIPTION_new();
    OSSL_CLEANUP(GENERAL_NAME) GENERAL_NAME *uri = NULL;
    ENSURE(info != NULL && access != NULL, ACME_E_NOMEM);
    TRY(make_uri(url, &uri));
    ASN1_OBJECT_free(access->method);
    access->method = OBJ_nid2obj(NID_ad_ca_issuers); /* static: freeing it does nothing */
    GENERAL_NAME_free(access->location);
    access->location = uri;
    uri = NULL;
    ENSURE(sk_ACCESS_DESCRIPTION_push(info, access) > 0, ACME_E_NOMEM);
    access = NULL;
    *ret = X509V3_EXT_i2d(NID_info_access, 0, info);
    ENSURE(*ret != NULL, ACME_E_CRYPTO);
    return acme_ok();
}

struct acme_err acme_local_ca_publish(struct acme_local_ca *ca, const char *crl_url, const char *issuer_url)
{
    ENSURE(ca->crl_points == NULL && ca->authority_info == NULL, ACME_E_INTERNAL);
    X509_EXTENSION *points = NULL;
    X509_EXTENSION *info = NULL;
    struct acme_err err = make_crl_points(crl_url, &points);
    if (!acme_failed(err))
        err = make_authority_info(issuer_url, &info);
    if (acme_failed(err)) {
        X509_EXTENSION_free(points);
        ERR_clear_error();
        return err;
    }
    ca->crl_points = points;
    ca->authority_info = info;
    return acme_ok();
}

struct acme_err acme_local_ca_issuer_der(const struct acme_local_ca *ca, struct acme_arena *arena,
                                         struct acme_bytes *ret)
{
    return acme_cert_der(arena, ca->intermediate, ret);
}

/* ---- the list ---- */

struct acme_local_crl {
    const struct acme_local_ca *ca;
    X509_CRL *crl;
};

struct acme_err acme_local_crl_create(const struct acme_local_ca *ca, struct acme_local_crl **ret)
{
    struct acme_local_crl *crl = calloc(1, sizeof *crl);
    ENSURE(crl != NULL, ACME_E_NOMEM);
    crl->ca = ca;
    crl->crl = X509_CRL_new();
    if (crl->crl == NULL || X509_CRL_set_version(crl->crl, X509_CRL_VERSION_2) != 1 ||
        X509_CRL_set_issuer_name(crl->crl, X509_get_subject_name(ca->intermediate)) != 1 ||
        X509_CRL_add_ext(crl->crl, ca->authority_key_id, -1) != 1) {
        acme_local_crl_destroy(crl);
        ERR_clear_error();
        return acme_err(ACME_E_CRYPTO);
    }
    *ret = crl;
    return acme_ok();
}

void acme_local_crl_destroy(struct acme_local_crl *crl)
{
    if (crl == NULL)
        return;
    X509_CRL_free(crl->crl);
    free(crl);
}

/* The content octets of an INTEGER, which may begin with a sign octet. */
static struct acme_err set_serial(X509_REVOKED *entry, const char *serial_hex)
{
    enum { MAX_DIGITS = 80 };
    size_t len = strlen(serial_hex);
    ENSURE(len > 0 && len <= MAX_DIGITS && strspn(serial_hex, "0123456789ABCDEFabcdef") == len,
           ACME_E_FORMAT);
    BIGNUM *parsed = NULL;
    int read = BN_hex2bn(&parsed, serial_hex);
    OSSL_CLEANUP(BIGNUM) BIGNUM *number = parsed;
    ENSURE(read == (int)len, ACME_E_CRYPTO);
    OSSL_CLEANUP(ASN1_INTEGER) ASN1_INTEGER *serial = BN_to_ASN1_INTEGER(number, NULL);
    ENSURE(serial != NULL && X509_REVOKED_set_serialNumber(entry, serial) == 1, ACME_E_CRYPTO);
    return acme_ok();
}

static struct acme_err set_reason(X509_REVOKED *entry, int reason)
{
    ENSURE(reason >= 0 && reason <= REASON_MAX && reason != REASON_UNUSED, ACME_E_FORMAT);
    if (reason == 0)
        return acme_ok();
    OSSL_CLEANUP(ASN1_ENUMERATED) ASN1_ENUMERATED *value = ASN1_ENUMERATED_new();
    ENSURE(value != NULL && ASN1_ENUMERATED_set(value, reason) == 1 &&
               X509_REVOKED_add1_ext_i2d(entry, NID_crl_reason, value, 0, X509V3_ADD_APPEND) == 1,
           ACME_E_CRYPTO);
    return acme_ok();
}

static struct acme_err add(struct acme_local_crl *crl, const char *serial_hex, int64_t revoked_ms, int reason)
{
    OSSL_CLEANUP(X509_REVOKED) X509_REVOKED *entry = X509_REVOKED_new();
    OSSL_CLEANUP(ASN1_TIME) ASN1_TIME *time = ASN1_TIME_set(NULL, (time_t)(revoked_ms / 1000));
    ENSURE(entry != NULL && time != NULL, ACME_E_NOMEM);
    TRY(set_serial(entry, serial_hex));
    TRY(set_reason(entry, reason));
    ENSURE(X509_REVOKED_set_revocationDate(entry, time) == 1 && X509_CRL_add0_revoked(crl->crl, entry) == 1,
           ACME_E_CRYPTO);
    entry = NULL;
    return acme_ok();
}

struct acme_err acme_local_crl_add(struct acme_local_crl *crl, const char *serial_hex, int64_t revoked_ms,
                                   int reason)
{
    struct acme_err err = add(crl, serial_hex, revoked_ms, reason);
    if (acme_failed(err))
        ERR_clear_error();
    return err;
}

static struct acme_err sign(struct acme_local_crl *crl, int64_t number, int64_t this_ms, int64_t next_ms)
{
    OSSL_CLEANUP(ASN1_TIME) ASN1_TIME *now = ASN1_TIME_set(NULL, (time_t)(this_ms / 1000));
    OSSL_CLEANUP(ASN1_TIME) ASN1_TIME *next = ASN1_TIME_set(NULL, (time_t)(next_ms / 1000));
    OSSL_CLEANUP(ASN1_INTEGER) ASN1_INTEGER *count = ASN1_INTEGER_new();
    ENSURE(now != NULL && next != NULL && count != NULL, ACME_E_NOMEM);
    ENSURE(ASN1_INTEGER_set_int64(count, number) == 1 &&
               X509_CRL_add1_ext_i2d(crl->crl, NID_crl_number, count, 0, X509V3_ADD_APPEND) == 1 &&
               X509_CRL_set1_lastUpdate(crl->crl, now) == 1 &&
               X509_CRL_set1_nextUpdate(crl->crl, next) == 1 && X509_CRL_sort(crl->crl) == 1 &&
               X509_CRL_sign(crl->crl, crl->ca->key, crl->ca->sha256) > 0,
           ACME_E_CRYPTO);
    return acme_ok();
}

struct acme_err acme_local_crl_sign(struct acme_local_crl *crl, int64_t number, int64_t this_ms,
                                    int64_t next_ms, uint8_t **ret_der, size_t *ret_len)
{
    struct acme_err err = sign(crl, number, this_ms, next_ms);
    int len = acme_failed(err) ? -1 : i2d_X509_CRL(crl->crl, NULL);
    ERR_clear_error();
    TRY(err);
    ENSURE(len > 0, ACME_E_CRYPTO);
    uint8_t *der = malloc((size_t)len);
    ENSURE(der != NULL, ACME_E_NOMEM);
    unsigned char *end = der;
    (void)i2d_X509_CRL(crl->crl, &end); /* of the length it gave before */
    *ret_der = der;
    *ret_len = (size_t)len;
    return acme_ok();
}
