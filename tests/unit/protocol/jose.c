#include "jose.h"

#include "base/b64url.h"
#include "cmocka_all.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <string.h>

static void release_key(void *key)
{
    EVP_PKEY_free(key);
}

char *jose_b64(struct acme_arena *arena, const char *text)
{
    char *out = acme_b64url_encode(arena, text, strlen(text));
    assert_non_null(out);
    return out;
}

char *jose_b64_octets(struct acme_arena *arena, const uint8_t *octets, size_t len)
{
    char *out = acme_b64url_encode(arena, octets, len);
    assert_non_null(out);
    return out;
}

static const char *number(struct acme_arena *arena, EVP_PKEY *key, const char *param, int size)
{
    BIGNUM *value = NULL;
    uint8_t octets[1024 + 8];
    assert_int_equal(EVP_PKEY_get_bn_param(key, param, &value), 1);
    if (size == 0)
        size = BN_num_bytes(value);
    assert_int_equal(BN_bn2binpad(value, octets, size), size);
    BN_free(value);
    return acme_b64url_encode(arena, octets, (size_t)size);
}

struct jose_key jose_rsa_make(struct acme_arena *arena, const char *alg, unsigned bits)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits);
    assert_non_null(key);
    assert_true(acme_arena_defer(arena, release_key, key));
    const char *jwk = acme_arena_printf(arena, "{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"}",
                                        number(arena, key, OSSL_PKEY_PARAM_RSA_N, 0),
                                        number(arena, key, OSSL_PKEY_PARAM_RSA_E, 0));
    return (struct jose_key){.key = key, .alg = alg, .jwk = jwk};
}

static struct jose_key make_ec(struct acme_arena *arena, const char *alg, const char *crv, int size)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", crv);
    assert_non_null(key);
    assert_true(acme_arena_defer(arena, release_key, key));
    const char *jwk = acme_arena_printf(arena, "{\"kty\":\"EC\",\"crv\":\"%s\",\"x\":\"%s\",\"y\":\"%s\"}",
                                        crv, number(arena, key, OSSL_PKEY_PARAM_EC_PUB_X, size),
                                        number(arena, key, OSSL_PKEY_PARAM_EC_PUB_Y, size));
    return (struct jose_key){.key = key, .alg = alg, .jwk = jwk};
}

static struct jose_key make_ed25519(struct acme_arena *arena)
{
    uint8_t raw[32];
    size_t len = sizeof raw;
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    assert_non_null(key);
    assert_true(acme_arena_defer(arena, release_key, key));
    assert_int_equal(EVP_PKEY_get_raw_public_key(key, raw, &len), 1);
    const char *jwk = acme_arena_printf(arena, "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"%s\"}",
                                        acme_b64url_encode(arena, raw, len));
    return (struct jose_key){.key = key, .alg = "EdDSA", .jwk = jwk};
}

struct jose_key jose_key_make(struct acme_arena *arena, const char *alg)
{
    if (strcmp(alg, "ES256") == 0)
        return make_ec(arena, alg, "P-256", 32);
    if (strcmp(alg, "ES384") == 0)
        return make_ec(arena, alg, "P-384", 48);
    if (strcmp(alg, "ES512") == 0)
        return make_ec(arena, alg, "P-521", 66);
    if (strcmp(alg, "EdDSA") == 0)
        return make_ed25519(arena);
    return jose_rsa_make(arena, alg, 2048);
}

struct jose_key jose_mac_make(struct acme_arena *arena, const char *alg, const uint8_t *octets, size_t len)
{
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key_ex(NULL, "HMAC", NULL, octets, len);
    assert_non_null(key);
    assert_true(acme_arena_defer(arena, release_key, key));
    return (struct jose_key){.key = key, .alg = alg};
}

static size_t der_to_raw(const uint8_t *der, size_t len, int half, uint8_t *out)
{
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)len);
    assert_non_null(sig);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, half), half);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + half, half), half);
    ECDSA_SIG_free(sig);
    return 2 * (size_t)half;
}

char *jose_signature(struct acme_arena *arena, const struct jose_key *key, const char *alg, const char *input)
{
    uint8_t signature[1024 + 8];
    uint8_t raw[2 * 66];
    size_t len = sizeof signature;
    EVP_PKEY_CTX *key_ctx = NULL;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const char *bits = alg + 2;
    const char *digest = strcmp(alg, "EdDSA") == 0 ? NULL : acme_arena_printf(arena, "SHA%s", bits);
    assert_int_equal(EVP_DigestSignInit_ex(ctx, &key_ctx, digest, NULL, NULL, key->key, NULL), 1);
    if (alg[0] == 'P') {
        assert_true(EVP_PKEY_CTX_set_rsa_padding(key_ctx, RSA_PKCS1_PSS_PADDING) > 0);
        assert_true(EVP_PKEY_CTX_set_rsa_pss_saltlen(key_ctx, RSA_PSS_SALTLEN_DIGEST) > 0);
    }
    assert_int_equal(EVP_DigestSign(ctx, signature, &len, (const uint8_t *)input, strlen(input)), 1);
    EVP_MD_CTX_free(ctx);
    if (alg[0] == 'E' && digest != NULL) {
        int half = strcmp(bits, "256") == 0 ? 32 : strcmp(bits, "384") == 0 ? 48 : 66;
        return acme_b64url_encode(arena, raw, der_to_raw(signature, len, half, raw));
    }
    return acme_b64url_encode(arena, signature, len);
}

char *jose_sign(struct acme_arena *arena, const struct jose_key *key, const char *protected,
                const char *payload)
{
    const char *left = jose_b64(arena, protected);
    const char *right = jose_b64(arena, payload);
    const char *input = acme_arena_printf(arena, "%s.%s", left, right);
    char *out = acme_arena_printf(arena, "{\"protected\":\"%s\",\"payload\":\"%s\",\"signature\":\"%s\"}",
                                  left, right, jose_signature(arena, key, key->alg, input));
    assert_non_null(out);
    return out;
}
