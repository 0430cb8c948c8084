/* Certificates as Command hands them over: PEM, PEM behind lines of text, base64 of DER without armour
 * (Certificates[], ContentBytes), base64 of PKCS#7 or PEM (Download). */
#include "backends/keyfactor/kf_internal.h"

#include "base/b64url.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <string.h>

/* Base64 with white space between. Errors: FORMAT, NOMEM. */
static struct acme_err decode(struct acme_arena *arena, const char *text, struct acme_bytes *ret)
{
    size_t len = strlen(text);
    char *packed = acme_arena_alloc(arena, len + 1);
    uint8_t *out = acme_arena_alloc(arena, len + 4);
    ENSURE(packed != NULL && out != NULL, ACME_E_NOMEM);
    size_t used = 0;
    size_t padding = 0;
    for (const char *c = text; *c != '\0'; c++) {
        if (strchr(" \t\r\n", *c) != NULL)
            continue;
        if (*c == '=')
            padding++;
        packed[used++] = *c;
    }
    ENSURE(used > 0 && used % 4 == 0 && padding <= 2 && used <= (size_t)INT32_MAX, ACME_E_FORMAT);
    int size = EVP_DecodeBlock(out, (const unsigned char *)packed, (int)used);
    ENSURE(size > 0 && (size_t)size > padding, ACME_E_FORMAT);
    *ret = (struct acme_bytes){.data = out, .len = (size_t)size - padding};
    return acme_ok();
}

static bool have(const struct acme_cert_list *certs, const X509 *cert)
{
    for (size_t i = 0; i < certs->count; i++) {
        if (X509_cmp(certs->certs[i], cert) == 0)
            return true;
    }
    return false;
}

struct acme_err acme_kf_certs_add(struct acme_arena *arena, const char *text, struct acme_cert_list *certs)
{
    struct acme_cert_list read = {.count = 0};
    struct acme_bytes bytes = {.data = (const uint8_t *)text, .len = strlen(text)};
    if (strstr(text, "-----BEGIN") == NULL)
        TRY(decode(arena, text, &bytes));
    TRY(acme_certs_read(arena, bytes, &read));
    for (size_t i = 0; i < read.count; i++) {
        if (have(certs, read.certs[i]))
            continue;
        ENSURE(certs->count < ACME_CHAIN_MAX_CERTS, ACME_E_LIMIT);
        certs->certs[certs->count++] = read.certs[i];
    }
    return acme_ok();
}

X509 *acme_kf_certs_leaf(const struct acme_cert_list *certs, const uint8_t spki_sha256[ACME_SHA256_SIZE])
{
    for (size_t i = 0; i < certs->count; i++) {
        if (acme_cert_has_spki(certs->certs[i], spki_sha256) && X509_check_ca(certs->certs[i]) == 0)
            return certs->certs[i];
    }
    return NULL;
}

const char *acme_kf_thumbprint(struct acme_arena *arena, const X509 *cert)
{
    unsigned char digest[SHA_DIGEST_LENGTH];
    unsigned int len = 0;
    if (X509_digest(cert, EVP_sha1(), digest, &len) != 1)
        return NULL;
    return acme_hex_encode(arena, digest, len, true);
}
