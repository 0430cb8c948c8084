#include "base/b64url.h"
#include "certs/cert_time.h"
#include "certs/chain.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <time.h>

enum { MAX_INTEGER = 128 };

struct acme_err acme_cert_time_ms(const ASN1_TIME *time, int64_t *ret_ms)
{
    struct tm tm;
    ENSURE(time != NULL && ASN1_TIME_to_tm(time, &tm) == 1, ACME_E_FORMAT);
    *ret_ms = (int64_t)timegm(&tm) * 1000;
    return acme_ok();
}

/* The content octets, with the sign octet BN functions would drop: ARI and OCSP compare these (RFC 9773). */
static struct acme_err read_serial(struct acme_arena *arena, const X509 *cert, const char **ret)
{
    unsigned char der[MAX_INTEGER];
    const ASN1_INTEGER *serial = X509_get0_serialNumber(cert);
    int total = i2d_ASN1_INTEGER(serial, NULL);
    ENSURE(total > 2 && total <= MAX_INTEGER, ACME_E_FORMAT);
    unsigned char *end = der;
    ENSURE(i2d_ASN1_INTEGER(serial, &end) == total, ACME_E_FORMAT);
    /* MAX_INTEGER octets have a length of one octet. */
    *ret = acme_hex_encode(arena, der + 2, (size_t)total - 2, true);
    ENSURE(*ret != NULL, ACME_E_NOMEM);
    return acme_ok();
}

static struct acme_err read_info(struct acme_arena *arena, X509 *cert, struct acme_cert_info *ret)
{
    struct acme_cert_info info = {.aki_hex = ""};
    TRY(read_serial(arena, cert, &info.serial_hex));
    const ASN1_OCTET_STRING *aki = X509_get0_authority_key_id(cert);
    if (aki != NULL)
        info.aki_hex =
            acme_hex_encode(arena, ASN1_STRING_get0_data(aki), (size_t)ASN1_STRING_length(aki), true);
    uint8_t digest[ACME_SHA256_SIZE];
    TRY(acme_cert_der(arena, cert, &info.der));
    TRY(acme_sha256(info.der.data, info.der.len, digest));
    info.sha256_hex = acme_hex_encode(arena, digest, sizeof digest, false);
    ENSURE(info.aki_hex != NULL && info.sha256_hex != NULL, ACME_E_NOMEM);
    TRY(acme_cert_time_ms(X509_get0_notBefore(cert), &info.not_before_ms));
    TRY(acme_cert_time_ms(X509_get0_notAfter(cert), &info.not_after_ms));
    *ret = info;
    return acme_ok();
}

struct acme_err acme_cert_info_read(struct acme_arena *arena, X509 *cert, struct acme_cert_info *ret)
{
    struct acme_err err = read_info(arena, cert, ret);
    ERR_clear_error();
    return err;
}
