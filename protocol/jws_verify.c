/* The algorithms of JWS, and signatures. */
#include "protocol/jws.h"

#include <limits.h>
#include <openssl/asn1.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <string.h>

enum {
    MAX_HALF = 66,              /* octets of r and of s, P-521's */
    MAX_INTEGER = MAX_HALF + 3, /* with tag, length and sign */
    MAX_ECDSA_DER = 2 * MAX_INTEGER + 3,
};

enum scheme { SCHEME_RSA_PKCS1, SCHEME_RSA_PSS, SCHEME_ECDSA, SCHEME_EDDSA, SCHEME_HMAC };

struct acme_jws_alg {
    const char *name;
    enum scheme scheme;
    enum acme_key_kind kind;
    const char *digest; /* NULL: the scheme's own */
    int half;           /* ECDSA: octets of r and of s; HMAC: those of the digest */
};

static const struct acme_jws_alg algs[] = {
    {"RS256", SCHEME_RSA_PKCS1, ACME_KEY_RSA, "SHA256", 0},
    {"RS384", SCHEME_RSA_PKCS1, ACME_KEY_RSA, "SHA384", 0},
    {"RS512", SCHEME_RSA_PKCS1, ACME_KEY_RSA, "SHA512", 0},
    {"PS256", SCHEME_RSA_PSS, ACME_KEY_RSA, "SHA256", 0},
    {"ES256", SCHEME_ECDSA, ACME_KEY_P256, "SHA256", 32},
    {"ES384", SCHEME_ECDSA, ACME_KEY_P384, "SHA384", 48},
    {"ES512", SCHEME_ECDSA, ACME_KEY_P521, "SHA512", MAX_HALF},
    {"EdDSA", SCHEME_EDDSA, ACME_KEY_ED25519, NULL, 0},
};

/* Apart, so that a request can never be signed with a MAC. */
static const struct acme_jws_alg mac_algs[] = {
    {"HS256", SCHEME_HMAC, ACME_KEY_KIND_COUNT, "SHA256", 32},
    {"HS384", SCHEME_HMAC, ACME_KEY_KIND_COUNT, "SHA384", 48},
    {"HS512", SCHEME_HMAC, ACME_KEY_KIND_COUNT, "SHA512", 64},
};

const char *acme_jws_algorithms_json(void)
{
    return "[\"RS256\",\"RS384\",\"RS512\",\"PS256\",\"ES256\",\"ES384\",\"ES512\",\"EdDSA\"]";
}

const char *acme_jws_alg_name(const struct acme_jws *jws)
{
    return jws->alg->name;
}

const struct acme_jws_alg *acme_jws_alg_find(const char *name)
{
    for (size_t i = 0; i < sizeof algs / sizeof *algs; i++)
        if (strcmp(name, algs[i].name) == 0)
            return &algs[i];
    return NULL;
}

const struct acme_jws_alg *acme_jws_mac_find(const char *name)
{
    for (size_t i = 0; i < sizeof mac_algs / sizeof *mac_algs; i++)
        if (strcmp(name, mac_algs[i].name) == 0)
            return &mac_algs[i];
    return NULL;
}

bool acme_jws_alg_fits(const struct acme_jws_alg *alg, enum acme_key_kind kind)
{
    return alg->kind == kind;
}

struct acme_err acme_jws_verify_mac(const struct acme_jws *jws, const uint8_t *key, size_t len)
{
    const struct acme_jws_alg *alg = jws->alg;
    ENSURE(alg->scheme == SCHEME_HMAC && len >= (size_t)alg->half && len <= INT_MAX, ACME_E_UNSUPPORTED);
    uint8_t mac[EVP_MAX_MD_SIZE];
    unsigned mac_len = 0;
    ENSURE(HMAC(EVP_get_digestbyname(alg->digest), key, (int)len, jws->signing_input.data,
                jws->signing_input.len, mac, &mac_len) != NULL,
           ACME_E_CRYPTO);
    bool good = jws->signature.len == mac_len && CRYPTO_memcmp(jws->signature.data, mac, mac_len) == 0;
    return acme_err(good ? ACME_OK : ACME_E_SIGNATURE);
}

/* One INTEGER of the ASN.1 form: without leading zeros, but not negative. Returns the end. */
static uint8_t *put_integer(uint8_t *at, const uint8_t *octets, size_t len)
{
    while (len > 1 && *octets == 0) {
        octets++;
        len--;
    }
    const size_t sign = *octets >> 7;
    *at++ = V_ASN1_INTEGER;
    *at++ = (uint8_t)(len + sign); /* at most 67 */
    if (sign != 0)
        *at++ = 0;
    memcpy(at, octets, len);
    return at + len;
}

/* JWS carries r||s, OpenSSL wants the ASN.1 form: SEQUENCE { r INTEGER, s INTEGER } (RFC 3279 section 2.2.3).
 * 0 when the length is not that of the algorithm. Done here, as OpenSSL's way costs ten allocations. */
static size_t ecdsa_to_der(struct acme_bytes raw, int half, uint8_t out[MAX_ECDSA_DER])
{
    uint8_t content[2 * MAX_INTEGER];
    const size_t size = (size_t)half;
    if (raw.len != 2 * size)
        return 0;
    const uint8_t *end = put_integer(put_integer(content, raw.data, size), raw.data + size, size);
    const size_t len = (size_t)(end - content);
    uint8_t *at = out;
    *at++ = V_ASN1_SEQUENCE | V_ASN1_CONSTRUCTED;
    if (len > 127)
        *at++ = 0x81; /* the length takes one more octet */
    *at++ = (uint8_t)len;
    memcpy(at, content, len);
    return (size_t)(at - out) + len;
}

EVP_MD_CTX *acme_jws_verifier(const struct acme_jws_alg *alg, EVP_PKEY *key)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key_ctx = NULL;
    bool ready =
        ctx != NULL && EVP_DigestVerifyInit_ex(ctx, &key_ctx, alg->digest, NULL, NULL, key, NULL) == 1;
    if (ready && alg->scheme == SCHEME_RSA_PSS)
        ready = EVP_PKEY_CTX_set_rsa_padding(key_ctx, RSA_PKCS1_PSS_PADDING) > 0 &&
                EVP_PKEY_CTX_set_rsa_pss_saltlen(key_ctx, RSA_PSS_SALTLEN_DIGEST) > 0;
    if (ready)
        return ctx;
    ERR_clear_error();
    EVP_MD_CTX_free(ctx);
    return NULL;
}

struct acme_err acme_jws_verify_with(const struct acme_jws *jws, EVP_MD_CTX *verifier)
{
    const struct acme_jws_alg *alg = jws->alg;
    uint8_t der[MAX_ECDSA_DER];
    struct acme_bytes signature = jws->signature;
    if (alg->scheme == SCHEME_ECDSA) {
        signature = (struct acme_bytes){.data = der, .len = ecdsa_to_der(jws->signature, alg->half, der)};
        ENSURE(signature.len > 0, ACME_E_SIGNATURE);
    }
    if (EVP_DigestVerify(verifier, signature.data, signature.len, jws->signing_input.data,
                         jws->signing_input.len) == 1)
        return acme_ok();
    ERR_clear_error();
    return acme_err(ACME_E_SIGNATURE);
}

struct acme_err acme_jws_verify(const struct acme_jws *jws, EVP_PKEY *key, enum acme_key_kind kind)
{
    ENSURE(acme_jws_alg_fits(jws->alg, kind), ACME_E_UNSUPPORTED);
    EVP_MD_CTX *verifier = acme_jws_verifier(jws->alg, key);
    ENSURE(verifier != NULL, ACME_E_CRYPTO);
    struct acme_err err = acme_jws_verify_with(jws, verifier);
    EVP_MD_CTX_free(verifier);
    return err;
}
