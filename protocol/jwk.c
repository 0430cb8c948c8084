#include "protocol/jwk.h"

#include "base/b64url.h"
#include "base/sha256.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <string.h>

enum {
    RSA_MIN_BITS = 2048,
    RSA_MAX_BITS = 8192,
    RSA_MAX_EXPONENT_BITS = 64,
    MAX_OCTETS =
        RSA_MAX_BITS / 8 + 8, /* of n or e before anything is computed; a few leading zeros may be there */
    MAX_COORDINATE = 66,      /* P-521 */
    ED25519_SIZE = 32,
};

static const struct curve {
    const char *crv;
    const char *group;
    enum acme_key_kind kind;
    size_t size; /* octets of a coordinate (RFC 7518 section 6.2.1.2) */
} curves[] = {
    {"P-256", "prime256v1", ACME_KEY_P256, 32},
    {"P-384", "secp384r1", ACME_KEY_P384, 48},
    {"P-521", "secp521r1", ACME_KEY_P521, 66},
};

static void release_key(void *key)
{
    EVP_PKEY_free(key);
}

static void release_number(void *number)
{
    BN_free(number);
}

static struct acme_err fail(const char **ret_why, enum acme_code code, const char *why)
{
    *ret_why = why;
    ERR_clear_error();
    return acme_err(code);
}

/* The member's octets; data NULL when it is absent or not strict base64url. */
static struct acme_err member_octets(struct acme_arena *arena, const cJSON *jwk, const char *name,
                                     struct acme_bytes *ret)
{
    const char *text = acme_json_str(jwk, name);
    struct acme_bytes octets = {.data = NULL};
    if (text != NULL) {
        struct acme_err err = acme_b64url_decode(arena, text, strlen(text), &octets);
        if (acme_failed(err) && err.code != ACME_E_FORMAT)
            return err;
        if (acme_failed(err) || octets.len == 0)
            octets.data = NULL;
    }
    *ret = octets;
    return acme_ok();
}

/* NULL when OpenSSL does not take the numbers. */
static EVP_PKEY *key_from_params(struct acme_arena *arena, const char *type, OSSL_PARAM *params)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    bool good = ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
                EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) == 1;
    EVP_PKEY_CTX_free(ctx);
    if (!good) {
        EVP_PKEY_free(key);
        return NULL;
    }
    return acme_arena_defer(arena, release_key, key) ? key : NULL;
}

static struct acme_err parse_number(struct acme_arena *arena, struct acme_bytes octets, BIGNUM **ret)
{
    BIGNUM *number = BN_bin2bn(octets.data, (int)octets.len, NULL);
    ENSURE(number != NULL, ACME_E_NOMEM);
    ENSURE(acme_arena_defer(arena, release_number, number), ACME_E_NOMEM);
    *ret = number;
    return acme_ok();
}

/* Without leading zero octets (RFC 7518 section 2, Base64urlUInt), so that a key has one thumbprint. */
static char *number_text(struct acme_arena *arena, const BIGNUM *number)
{
    size_t len = (size_t)BN_num_bytes(number);
    uint8_t *octets = acme_arena_alloc(arena, len);
    if (octets == NULL || BN_bn2bin(number, octets) != (int)len)
        return NULL;
    return acme_b64url_encode(arena, octets, len);
}

static const char *rsa_text(struct acme_arena *arena, const BIGNUM *n, const BIGNUM *e)
{
    const char *n_text = number_text(arena, n);
    const char *e_text = number_text(arena, e);
    if (n_text == NULL || e_text == NULL)
        return NULL;
    return acme_arena_printf(arena, "{\"e\":\"%s\",\"kty\":\"RSA\",\"n\":\"%s\"}", e_text, n_text);
}

static const char *ec_text(struct acme_arena *arena, const struct curve *curve, const char *x, const char *y)
{
    return acme_arena_printf(arena, "{\"crv\":\"%s\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}", curve->crv,
                             x, y);
}

static const char *okp_text(struct acme_arena *arena, const char *x)
{
    return acme_arena_printf(arena, "{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"%s\"}", x);
}

static struct acme_err parse_rsa(struct acme_arena *arena, const cJSON *jwk, struct acme_jwk *ret,
                                 const char **ret_why)
{
    struct acme_bytes modulus;
    struct acme_bytes exponent;
    TRY(member_octets(arena, jwk, "n", &modulus));
    TRY(member_octets(arena, jwk, "e", &exponent));
    if (modulus.data == NULL || exponent.data == NULL)
        return fail(ret_why, ACME_E_FORMAT, "an RSA key needs n and e in unpadded base64url");
    if (modulus.len > MAX_OCTETS || exponent.len > MAX_OCTETS)
        return fail(ret_why, ACME_E_DENIED, "RSA keys must have 2048 to 8192 bits");
    BIGNUM *n = NULL;
    BIGNUM *e = NULL;
    TRY(parse_number(arena, modulus, &n));
    TRY(parse_number(arena, exponent, &e));
    if (BN_num_bits(n) < RSA_MIN_BITS || BN_num_bits(n) > RSA_MAX_BITS)
        return fail(ret_why, ACME_E_DENIED, "RSA keys must have 2048 to 8192 bits");
    if (!BN_is_odd(n))
        return fail(ret_why, ACME_E_FORMAT, "the RSA modulus is even, so this is no RSA key");
    if (!BN_is_odd(e) || BN_num_bits(e) > RSA_MAX_EXPONENT_BITS || BN_is_one(e) || BN_is_word(e, 3))
        return fail(ret_why, ACME_E_DENIED,
                    "the RSA exponent must be odd, greater than 3 and below 2^64 (65537 is usual)");
    ret->canonical = rsa_text(arena, n, e);
    ENSURE(ret->canonical != NULL, ACME_E_NOMEM);

    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    if (build != NULL && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) == 1)
        params = OSSL_PARAM_BLD_to_param(build);
    if (params != NULL)
        ret->key = key_from_params(arena, "RSA", params);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    ret->kind = ACME_KEY_RSA;
    return ret->key != NULL ? acme_ok() : fail(ret_why, ACME_E_CRYPTO, "the RSA key cannot be used");
}

static struct acme_err parse_ec(struct acme_arena *arena, const cJSON *jwk, struct acme_jwk *ret,
                                const char **ret_why)
{
    const char *crv = acme_json_str(jwk, "crv");
    const struct curve *curve = NULL;
    for (size_t i = 0; i < sizeof curves / sizeof *curves && crv != NULL; i++)
        if (strcmp(crv, curves[i].crv) == 0)
            curve = &curves[i];
    if (curve == NULL)
        return fail(ret_why, ACME_E_UNSUPPORTED, "EC keys must be on P-256, P-384 or P-521");
    struct acme_bytes x;
    struct acme_bytes y;
    TRY(member_octets(arena, jwk, "x", &x));
    TRY(member_octets(arena, jwk, "y", &y));
    if (x.data == NULL || y.data == NULL || x.len != curve->size || y.len != curve->size)
        return fail(ret_why, ACME_E_FORMAT,
                    "an EC key needs x and y in unpadded base64url, in the curve's full length");
    uint8_t point[1 + 2 * MAX_COORDINATE];
    point[0] = POINT_CONVERSION_UNCOMPRESSED;
    memcpy(point + 1, x.data, x.len);
    memcpy(point + 1 + x.len, y.data, y.len);
    char group[16];
    memcpy(group, curve->group, strlen(curve->group) + 1);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, 1 + x.len + y.len),
        OSSL_PARAM_construct_end(),
    };
    ret->key = key_from_params(arena, "EC", params);
    if (ret->key == NULL)
        return fail(ret_why, ACME_E_FORMAT, "x and y are not a point on the curve");
    ret->canonical = ec_text(arena, curve, acme_json_str(jwk, "x"), acme_json_str(jwk, "y"));
    ret->kind = curve->kind;
    return acme_ok();
}

static struct acme_err parse_okp(struct acme_arena *arena, const cJSON *jwk, struct acme_jwk *ret,
                                 const char **ret_why)
{
    const char *crv = acme_json_str(jwk, "crv");
    if (crv == NULL || strcmp(crv, "Ed25519") != 0)
        return fail(ret_why, ACME_E_UNSUPPORTED, "OKP keys must be Ed25519");
    struct acme_bytes x;
    TRY(member_octets(arena, jwk, "x", &x));
    if (x.data == NULL || x.len != ED25519_SIZE)
        return fail(ret_why, ACME_E_FORMAT, "an Ed25519 key needs x: 32 octets in unpadded base64url");
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, x.data, x.len);
    if (key == NULL)
        return fail(ret_why, ACME_E_FORMAT, "x is not an Ed25519 public key");
    ENSURE(acme_arena_defer(arena, release_key, key), ACME_E_NOMEM);
    ret->key = key;
    ret->kind = ACME_KEY_ED25519;
    ret->canonical = okp_text(arena, acme_json_str(jwk, "x"));
    return acme_ok();
}

static struct acme_err set_thumbprint(struct acme_arena *arena, struct acme_jwk *jwk)
{
    uint8_t digest[ACME_SHA256_SIZE];
    TRY(acme_sha256(jwk->canonical, strlen(jwk->canonical), digest));
    jwk->thumbprint = acme_b64url_encode(arena, digest, sizeof digest);
    ENSURE(jwk->thumbprint != NULL, ACME_E_NOMEM);
    return acme_ok();
}

struct acme_err acme_jwk_parse(struct acme_arena *arena, const cJSON *jwk, struct acme_jwk *ret,
                               const char **ret_why)
{
    struct acme_jwk parsed = {.key = NULL};
    const char *kty = acme_json_str(jwk, "kty");
    if (cJSON_GetObjectItemCaseSensitive(jwk, "d") != NULL)
        return fail(ret_why, ACME_E_DENIED,
                    "the jwk contains the private key, which is exposed now: make a new account key");
    if (kty != NULL && strcmp(kty, "RSA") == 0)
        TRY(parse_rsa(arena, jwk, &parsed, ret_why));
    else if (kty != NULL && strcmp(kty, "EC") == 0)
        TRY(parse_ec(arena, jwk, &parsed, ret_why));
    else if (kty != NULL && strcmp(kty, "OKP") == 0)
        TRY(parse_okp(arena, jwk, &parsed, ret_why));
    else
        return fail(ret_why, ACME_E_UNSUPPORTED, "kty must be RSA, EC or OKP");
    ENSURE(parsed.canonical != NULL, ACME_E_NOMEM);

    TRY(set_thumbprint(arena, &parsed));
    *ret = parsed;
    return acme_ok();
}

static struct acme_err number_of_key(struct acme_arena *arena, const EVP_PKEY *key, const char *name,
                                     BIGNUM **ret)
{
    BIGNUM *number = NULL;
    ENSURE(EVP_PKEY_get_bn_param(key, name, &number) == 1, ACME_E_CRYPTO);
    ENSURE(acme_arena_defer(arena, release_number, number), ACME_E_NOMEM);
    *ret = number;
    return acme_ok();
}

static struct acme_err rsa_of_key(struct acme_arena *arena, const EVP_PKEY *key, struct acme_jwk *jwk)
{
    BIGNUM *n = NULL;
    BIGNUM *e = NULL;
    TRY(number_of_key(arena, key, OSSL_PKEY_PARAM_RSA_N, &n));
    TRY(number_of_key(arena, key, OSSL_PKEY_PARAM_RSA_E, &e));
    jwk->kind = ACME_KEY_RSA;
    jwk->canonical = rsa_text(arena, n, e);
    return acme_ok();
}

static struct acme_err ec_of_key(struct acme_arena *arena, const EVP_PKEY *key, struct acme_bytes octets,
                                 struct acme_jwk *jwk)
{
    char group[64] = "";
    ENSURE(EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group, NULL) == 1,
           ACME_E_UNSUPPORTED);
    const struct curve *curve = NULL;
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++)
        if (strcmp(group, curves[i].group) == 0)
            curve = &curves[i];
    ENSURE(curve != NULL, ACME_E_UNSUPPORTED);
    ENSURE(octets.len == 1 + 2 * curve->size && octets.data[0] == POINT_CONVERSION_UNCOMPRESSED,
           ACME_E_FORMAT);
    const char *x_text = acme_b64url_encode(arena, octets.data + 1, curve->size);
    const char *y_text = acme_b64url_encode(arena, octets.data + 1 + curve->size, curve->size);
    ENSURE(x_text != NULL && y_text != NULL, ACME_E_NOMEM);
    jwk->kind = curve->kind;
    jwk->canonical = ec_text(arena, curve, x_text, y_text);
    return acme_ok();
}

static struct acme_err okp_of_key(struct acme_arena *arena, struct acme_bytes octets, struct acme_jwk *jwk)
{
    ENSURE(octets.len == ED25519_SIZE, ACME_E_FORMAT);
    const char *text = acme_b64url_encode(arena, octets.data, octets.len);
    ENSURE(text != NULL, ACME_E_NOMEM);
    jwk->kind = ACME_KEY_ED25519;
    jwk->canonical = okp_text(arena, text);
    return acme_ok();
}

static struct acme_err of_key(struct acme_arena *arena, const EVP_PKEY *key, struct acme_bytes octets,
                              struct acme_jwk *jwk)
{
    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
        return rsa_of_key(arena, key, jwk);
    case EVP_PKEY_EC:
        return ec_of_key(arena, key, octets, jwk);
    case EVP_PKEY_ED25519:
        return okp_of_key(arena, octets, jwk);
    default:
        return acme_err(ACME_E_UNSUPPORTED);
    }
}

struct acme_err acme_jwk_of_key(struct acme_arena *arena, EVP_PKEY *key, struct acme_bytes octets,
                                struct acme_jwk *ret)
{
    struct acme_jwk jwk = {.key = key};
    struct acme_err err = of_key(arena, key, octets, &jwk);
    if (!acme_failed(err))
        err = jwk.canonical != NULL ? set_thumbprint(arena, &jwk) : acme_err(ACME_E_NOMEM);
    ERR_clear_error();
    if (!acme_failed(err))
        *ret = jwk;
    return err;
}
