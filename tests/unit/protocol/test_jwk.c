/* JSON Web Keys: published vectors, every key type, and what must be refused. */
#include "cmocka_all.h"
#include "jose.h"
#include "protocol/jwk.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/x509.h>
#include <string.h>

static int setup(void **state)
{
    *state = acme_arena_create(8 * 1024 * 1024);
    return *state == NULL;
}

static int teardown(void **state)
{
    acme_arena_destroy(*state);
    return 0;
}

static struct acme_err parse(struct acme_arena *arena, const char *text, struct acme_jwk *ret)
{
    cJSON *tree = NULL;
    const char *why = NULL;
    assert_int_equal(acme_json_parse(arena, text, strlen(text), &tree).code, ACME_OK);
    struct acme_err err = acme_jwk_parse(arena, tree, ret, &why);
    if (acme_failed(err))
        assert_non_null(why);
    return err;
}

static void assert_thumbprint(struct acme_arena *arena, const char *jwk, const char *expected)
{
    struct acme_jwk key;
    assert_int_equal(parse(arena, jwk, &key).code, ACME_OK);
    assert_string_equal(key.thumbprint, expected);
}

#define RFC7638_N                                                                                            \
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_"                \
    "BJECPebWKRXjBZCi"                                                                                       \
    "FV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_"                               \
    "FDW2QvzqY368QQMicAtaSqzs8KJZgnY"                                                                        \
    "b9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_"         \
    "xBniIqbw0L"                                                                                             \
    "s1jF44-csFCur-kEgU8awapJzKnqDKgw"

static void test_thumbprint_of_rfc7638(void **state)
{
    assert_thumbprint(*state,
                      "{\"kty\":\"RSA\",\"n\":\"" RFC7638_N
                      "\",\"e\":\"AQAB\",\"alg\":\"RS256\",\"kid\":\"2011-04-29\"}",
                      "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

static void test_thumbprint_ignores_what_is_not_the_key(void **state)
{
    assert_thumbprint(*state,
                      "{ \"use\": \"sig\",\n \"e\":\"AQAB\", \"n\":\"" RFC7638_N "\", \"kty\":\"RSA\" }",
                      "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

static void test_leading_zeros_make_no_other_key(void **state)
{
    /* 4 characters are 3 octets of zeros, which keeps the rest of the text as it is; AAEAAQ is 0x00010001. */
    assert_thumbprint(*state, "{\"kty\":\"RSA\",\"n\":\"AAAA" RFC7638_N "\",\"e\":\"AAEAAQ\"}",
                      "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

static void test_thumbprint_of_rfc8037(void **state)
{
    assert_thumbprint(
        *state, "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

static struct acme_err jwk_of(struct acme_arena *arena, EVP_PKEY *key, struct acme_jwk *ret)
{
    X509_PUBKEY *spki = NULL;
    const unsigned char *octets = NULL;
    int len = 0;
    assert_int_equal(X509_PUBKEY_set(&spki, key), 1);
    assert_int_equal(X509_PUBKEY_get0_param(NULL, &octets, &len, NULL, spki), 1);
    struct acme_err err =
        acme_jwk_of_key(arena, key, (struct acme_bytes){.data = octets, .len = (size_t)len}, ret);
    X509_PUBKEY_free(spki);
    return err;
}

static void test_every_kind_round_trips(void **state)
{
    static const struct {
        const char *alg;
        enum acme_key_kind kind;
    } cases[] = {
        {"RS256", ACME_KEY_RSA},  {"ES256", ACME_KEY_P256},    {"ES384", ACME_KEY_P384},
        {"ES512", ACME_KEY_P521}, {"EdDSA", ACME_KEY_ED25519},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct jose_key made = jose_key_make(*state, cases[i].alg);
        struct acme_jwk key;
        struct acme_jwk again;
        assert_int_equal(parse(*state, made.jwk, &key).code, ACME_OK);
        assert_int_equal(key.kind, cases[i].kind);
        assert_int_equal(EVP_PKEY_eq(key.key, made.key), 1);
        assert_int_equal(strlen(key.thumbprint), 43);
        assert_int_equal(parse(*state, key.canonical, &again).code, ACME_OK);
        assert_string_equal(again.canonical, key.canonical);
        assert_string_equal(again.thumbprint, key.thumbprint);
        assert_int_equal(jwk_of(*state, made.key, &again).code, ACME_OK);
        assert_string_equal(again.canonical, key.canonical);
        assert_string_equal(again.thumbprint, key.thumbprint);
        assert_int_equal(again.kind, key.kind);
    }
}

/* Coordinates with leading zeros keep their length. */
static void test_many_keys_have_the_same_text_both_ways(void **state)
{
    for (int i = 0; i < 600; i++) {
        struct jose_key made = jose_key_make(*state, "ES256");
        struct acme_jwk key;
        struct acme_jwk again;
        assert_int_equal(parse(*state, made.jwk, &key).code, ACME_OK);
        assert_int_equal(jwk_of(*state, made.key, &again).code, ACME_OK);
        assert_string_equal(again.canonical, key.canonical);
    }
    struct acme_jwk none = {.thumbprint = "untouched"};
    EVP_PKEY *foreign = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    assert_int_equal(jwk_of(*state, foreign, &none).code, ACME_E_UNSUPPORTED);
    EVP_PKEY_free(foreign);
    foreign = EVP_EC_gen("secp256k1");
    assert_int_equal(jwk_of(*state, foreign, &none).code, ACME_E_UNSUPPORTED);
    EVP_PKEY_free(foreign);
    foreign = EVP_EC_gen("P-256");
    assert_int_equal(EVP_PKEY_set_utf8_string_param(foreign, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
                                                    OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_COMPRESSED),
                     1);
    assert_int_equal(jwk_of(*state, foreign, &none).code, ACME_E_FORMAT);
    EVP_PKEY_free(foreign);
    assert_string_equal(none.thumbprint, "untouched");
}

static const char *rsa_text(struct acme_arena *arena, unsigned bits)
{
    return jose_rsa_make(arena, "RS256", bits).jwk;
}

static void test_rsa_sizes(void **state)
{
    struct acme_jwk key = {.thumbprint = "untouched"};
    assert_int_equal(parse(*state, rsa_text(*state, 1024), &key).code, ACME_E_DENIED);
    assert_int_equal(parse(*state, rsa_text(*state, 2040), &key).code, ACME_E_DENIED);
    assert_string_equal(key.thumbprint, "untouched");
    assert_int_equal(parse(*state, rsa_text(*state, 3072), &key).code, ACME_OK);
}

/* The sizes no test machine should have to generate: any odd number of that length will do. */
static void test_rsa_upper_limit(void **state)
{
    struct acme_jwk key;
    char digits[1400];
    memset(digits, '_', sizeof digits);
    /* 8192 bits are 1365 characters and 2 bits; the last character then carries 2 bits in front. */
    const char *fits =
        acme_arena_printf(*state, "{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"%.1365sw\"}", digits);
    assert_int_equal(parse(*state, fits, &key).code, ACME_OK);
    const char *too_long =
        acme_arena_printf(*state, "{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"%.1368s\"}", digits);
    assert_int_equal(parse(*state, too_long, &key).code, ACME_E_DENIED);
}

static void test_refused_keys(void **state)
{
#define P256_X "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\""
#define P256_Y "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\""
    static const struct {
        const char *jwk;
        enum acme_code code;
    } cases[] = {
        {"{}", ACME_E_UNSUPPORTED},
        {"{\"kty\":\"oct\",\"k\":\"AAAA\"}", ACME_E_UNSUPPORTED},
        {"{\"kty\":\"rsa\",\"n\":\"" RFC7638_N "\",\"e\":\"AQAB\"}", ACME_E_UNSUPPORTED},
        {"{\"kty\":\"RSA\",\"e\":\"AQAB\"}", ACME_E_FORMAT},
        {"{\"kty\":\"RSA\",\"n\":\"" RFC7638_N "\"}", ACME_E_FORMAT},
        {"{\"kty\":\"RSA\",\"n\":\"" RFC7638_N "==\",\"e\":\"AQAB\"}", ACME_E_FORMAT},
        {"{\"kty\":\"RSA\",\"n\":17,\"e\":\"AQAB\"}", ACME_E_FORMAT},
        {"{\"kty\":\"RSA\",\"n\":\"" RFC7638_N "\",\"e\":\"AQ\"}", ACME_E_DENIED},           /* 1 */
        {"{\"kty\":\"RSA\",\"n\":\"" RFC7638_N "\",\"e\":\"Aw\"}", ACME_E_DENIED},           /* 3 */
        {"{\"kty\":\"RSA\",\"n\":\"" RFC7638_N "\",\"e\":\"AQAA\"}", ACME_E_DENIED},         /* even */
        {"{\"kty\":\"RSA\",\"n\":\"" RFC7638_N "\",\"e\":\"AQAAAAAAAAAB\"}", ACME_E_DENIED}, /* 65 bits */
        {"{\"kty\":\"RSA\",\"n\":\"" RFC7638_N "\",\"e\":\"AQAB\",\"d\":\"AQAB\"}", ACME_E_DENIED},
        {"{\"kty\":\"RSA\",\"n\":\"" RFC7638_N "AAAA\",\"e\":\"AQAB\"}", ACME_E_FORMAT}, /* even */
        {"{\"kty\":\"EC\"," P256_X "," P256_Y "}", ACME_E_UNSUPPORTED},
        {"{\"kty\":\"EC\",\"crv\":\"secp256k1\"," P256_X "," P256_Y "}", ACME_E_UNSUPPORTED},
        {"{\"kty\":\"EC\",\"crv\":\"P-384\"," P256_X "," P256_Y "}", ACME_E_FORMAT},
        {"{\"kty\":\"EC\",\"crv\":\"P-256\"," P256_X "}", ACME_E_FORMAT},
        {"{\"kty\":\"EC\",\"crv\":\"P-256\"," P256_X
         ",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a4\"}",
         ACME_E_FORMAT}, /* the unused bits of the last character are set */
        {"{\"kty\":\"EC\",\"crv\":\"P-256\"," P256_X
         ",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a8\"}",
         ACME_E_FORMAT},
        {"{\"kty\":\"EC\",\"crv\":\"P-256\"," P256_X
         ",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5aw\"}",
         ACME_E_FORMAT}, /* canonical, but not on the curve */
        {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"y\":"
         "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
         ACME_E_FORMAT},
        {"{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
         ACME_E_UNSUPPORTED},
        {"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcH\"}",
         ACME_E_FORMAT},
        {"{\"kty\":\"OKP\",\"crv\":\"Ed25519\"}", ACME_E_FORMAT},
    };
    struct acme_jwk key;
    assert_int_equal(parse(*state, "{\"kty\":\"EC\",\"crv\":\"P-256\"," P256_X "," P256_Y "}", &key).code,
                     ACME_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum acme_code code = parse(*state, cases[i].jwk, &key).code;
        if (code != cases[i].code)
            fail_msg("%s: %s instead of %s", cases[i].jwk, acme_code_name(code),
                     acme_code_name(cases[i].code));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_thumbprint_of_rfc7638, setup, teardown),
        cmocka_unit_test_setup_teardown(test_thumbprint_ignores_what_is_not_the_key, setup, teardown),
        cmocka_unit_test_setup_teardown(test_leading_zeros_make_no_other_key, setup, teardown),
        cmocka_unit_test_setup_teardown(test_thumbprint_of_rfc8037, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_kind_round_trips, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_keys_have_the_same_text_both_ways, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rsa_sizes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rsa_upper_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused_keys, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
