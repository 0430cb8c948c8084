/* JSON Web Signatures: published vectors, a round trip with every algorithm, and what must be refused. */
#include "cmocka_all.h"
#include "jose.h"
#include "protocol/jws.h"

#include "base/b64url.h"

#include <string.h>

static const char *const all_algs[] = {"RS256", "RS384", "RS512", "PS256",
                                       "ES256", "ES384", "ES512", "EdDSA"};
enum { ALG_COUNT = sizeof all_algs / sizeof *all_algs };

static int setup(void **state)
{
    *state = acme_arena_create(16 * 1024 * 1024);
    return *state == NULL;
}

static int teardown(void **state)
{
    acme_arena_destroy(*state);
    return 0;
}

static struct acme_bytes bytes(const char *text)
{
    return (struct acme_bytes){.data = (const uint8_t *)text, .len = strlen(text)};
}

static struct acme_jwk parse_key(struct acme_arena *arena, const char *text)
{
    cJSON *tree = NULL;
    const char *why = NULL;
    struct acme_jwk key;
    assert_int_equal(acme_json_parse(arena, text, strlen(text), &tree).code, ACME_OK);
    assert_int_equal(acme_jwk_parse(arena, tree, &key, &why).code, ACME_OK);
    return key;
}

static enum acme_code verify_vector(struct acme_arena *arena, const char *alg, const char *jwk,
                                    const char *input, const char *signature)
{
    struct acme_jwk key = parse_key(arena, jwk);
    struct acme_jws jws = {.alg = acme_jws_alg_find(alg), .signing_input = bytes(input)};
    assert_non_null(jws.alg);
    assert_int_equal(acme_b64url_decode(arena, signature, strlen(signature), &jws.signature).code, ACME_OK);
    return acme_jws_verify(&jws, key.key, key.kind).code;
}

#define JOE "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

static void test_vector_rs256(void **state)
{
    static const char jwk[] =
        "{\"kty\":\"RSA\",\"n\":"
        "\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-"
        "yRT-"
        "SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-"
        "KXBdQOS-"
        "UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_"
        "h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\",\"e\":\"AQAB\"}";
    static const char signature[] =
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"
        "O8W2Fp5jujGbds9uJdbF9"
        "CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_"
        "eSN9383LcOL"
        "n6_dO--xi12jzDwusC-"
        "eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtV"
        "rBp0igcN_IoypGlUPQGe77Rw";
    assert_int_equal(verify_vector(*state, "RS256", jwk, "eyJhbGciOiJSUzI1NiJ9." JOE, signature), ACME_OK);
    assert_int_equal(verify_vector(*state, "RS256", jwk, "eyJhbGciOiJSUzI1NiJ8." JOE, signature),
                     ACME_E_SIGNATURE);
    assert_int_equal(verify_vector(*state, "RS512", jwk, "eyJhbGciOiJSUzI1NiJ9." JOE, signature),
                     ACME_E_SIGNATURE);
    assert_int_equal(verify_vector(*state, "PS256", jwk, "eyJhbGciOiJSUzI1NiJ9." JOE, signature),
                     ACME_E_SIGNATURE);
}

static void test_vector_es256(void **state)
{
    static const char jwk[] =
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}";
    static const char signature[] =
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    assert_int_equal(verify_vector(*state, "ES256", jwk, "eyJhbGciOiJFUzI1NiJ9." JOE, signature), ACME_OK);
    assert_int_equal(verify_vector(*state, "ES256", jwk, "eyJhbGciOiJFUzI1NiJ8." JOE, signature),
                     ACME_E_SIGNATURE);
}

static void test_vector_es512(void **state)
{
    static const char jwk[] =
        "{\"kty\":\"EC\",\"crv\":\"P-521\","
        "\"x\":\"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk\","
        "\"y\":\"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2\"}";
    static const char signature[] =
        "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_"
        "7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn";
    assert_int_equal(verify_vector(*state, "ES512", jwk, "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA", signature),
                     ACME_OK);
    assert_int_equal(verify_vector(*state, "ES512", jwk, "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZB", signature),
                     ACME_E_SIGNATURE);
}

static void test_vector_eddsa(void **state)
{
    static const char jwk[] =
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}";
    static const char input[] = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    static const char signature[] =
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert_int_equal(verify_vector(*state, "EdDSA", jwk, input, signature), ACME_OK);
    assert_int_equal(verify_vector(*state, "EdDSA", jwk, input + 1, signature), ACME_E_SIGNATURE);
}

static const char *header(struct acme_arena *arena, const char *alg, const char *key_member)
{
    return acme_arena_printf(arena, "{\"alg\":\"%s\",\"nonce\":\"AAAA\",\"url\":\"https://ca.test/x\",%s}",
                             alg, key_member);
}

static const char *jwk_member(struct acme_arena *arena, const struct jose_key *key)
{
    return acme_arena_printf(arena, "\"jwk\":%s", key->jwk);
}

static void assert_parses(struct acme_arena *arena, const char *body, struct acme_jws *ret)
{
    struct acme_problem problem = {.detail = NULL};
    struct acme_err err = acme_jws_parse(arena, bytes(body), ret, &problem);
    if (acme_failed(err))
        fail_msg("%s: %s", body, problem.detail);
}

static void test_round_trip_with_every_algorithm(void **state)
{
    for (size_t i = 0; i < ALG_COUNT; i++) {
        struct jose_key made = jose_key_make(*state, all_algs[i]);
        const char *protected = header(*state, all_algs[i], jwk_member(*state, &made));
        struct acme_jws jws;
        assert_parses(*state, jose_sign(*state, &made, protected, "{\"a\":1}"), &jws);
        assert_string_equal(acme_jws_alg_name(&jws), all_algs[i]);
        assert_string_equal(jws.nonce, "AAAA");
        assert_string_equal(jws.url, "https://ca.test/x");
        assert_null(jws.kid);
        assert_int_equal(jws.payload.len, 7);
        assert_memory_equal(jws.payload.data, "{\"a\":1}", 7);
        struct acme_jwk key = parse_key(*state, made.jwk);
        assert_int_equal(acme_jws_verify(&jws, key.key, key.kind).code, ACME_OK);

        struct acme_jws other = jws;
        other.signing_input.len--;
        assert_int_equal(acme_jws_verify(&other, key.key, key.kind).code, ACME_E_SIGNATURE);
        other = jws;
        other.signature.len--;
        assert_int_equal(acme_jws_verify(&other, key.key, key.kind).code, ACME_E_SIGNATURE);
        uint8_t *changed = acme_arena_memdup(*state, jws.signature.data, jws.signature.len);
        changed[jws.signature.len / 3] ^= 4;
        other = jws;
        other.signature.data = changed;
        assert_int_equal(acme_jws_verify(&other, key.key, key.kind).code, ACME_E_SIGNATURE);
        struct acme_jwk stranger = parse_key(*state, jose_key_make(*state, all_algs[i]).jwk);
        assert_int_equal(acme_jws_verify(&jws, stranger.key, stranger.kind).code, ACME_E_SIGNATURE);
    }
}

static const char *mac_jws(struct acme_arena *arena, const char *alg, const uint8_t *key, size_t len)
{
    struct jose_key mac = jose_mac_make(arena, alg, key, len);
    return jose_sign(
        arena, &mac,
        acme_arena_printf(arena, "{\"alg\":\"%s\",\"kid\":\"k\",\"url\":\"https://x.test/\"}", alg), "{}");
}

static struct acme_err parse_inner(struct acme_arena *arena, const char *text, enum acme_jws_form form,
                                   struct acme_jws *ret, struct acme_problem *ret_problem)
{
    cJSON *tree = NULL;
    assert_int_equal(acme_json_parse(arena, text, strlen(text), &tree).code, ACME_OK);
    return acme_jws_parse_inner(arena, tree, form, ret, ret_problem);
}

static void test_macs(void **state)
{
    struct acme_arena *arena = *state;
    static const char *const algs[] = {"HS256", "HS384", "HS512"};
    uint8_t key[64];
    memset(key, 7, sizeof key);
    for (size_t i = 0; i < 3; i++) {
        struct acme_jws jws;
        struct acme_problem problem;
        size_t least = 32 + 16 * i;
        const char *text = mac_jws(arena, algs[i], key, least);
        assert_int_equal(parse_inner(arena, text, ACME_JWS_BINDING, &jws, &problem).code, ACME_OK);
        assert_int_equal(acme_jws_verify_mac(&jws, key, least).code, ACME_OK);
        key[0] ^= 1;
        assert_int_equal(acme_jws_verify_mac(&jws, key, least).code, ACME_E_SIGNATURE);
        key[0] ^= 1;
        assert_int_equal(acme_jws_verify_mac(&jws, key, least - 1).code, ACME_E_UNSUPPORTED);
        jws.signature.len--;
        assert_int_equal(acme_jws_verify_mac(&jws, key, least).code, ACME_E_SIGNATURE);
        jws.signature.len = 0;
        assert_int_equal(acme_jws_verify_mac(&jws, key, least).code, ACME_E_SIGNATURE);
        /* A MAC is good for nothing else, and nothing else for a MAC. */
        struct acme_jwk other = parse_key(arena, jose_key_make(arena, "ES256").jwk);
        assert_int_equal(acme_jws_verify(&jws, other.key, other.kind).code, ACME_E_UNSUPPORTED);
        assert_null(acme_jws_alg_find(algs[i]));
        assert_int_equal(parse_inner(arena, text, ACME_JWS_NEW_KEY, &jws, &problem).code, ACME_E_PROBLEM);
    }
    struct jose_key signer = jose_key_make(arena, "ES256");
    const char *text =
        jose_sign(arena, &signer,
                  acme_arena_printf(arena, "{\"alg\":\"ES256\",\"jwk\":%s,\"url\":\"u\"}", signer.jwk), "{}");
    struct acme_jws jws;
    struct acme_problem problem;
    assert_int_equal(parse_inner(arena, text, ACME_JWS_NEW_KEY, &jws, &problem).code, ACME_OK);
    assert_null(jws.nonce);
    assert_int_equal(acme_jws_verify_mac(&jws, key, sizeof key).code, ACME_E_UNSUPPORTED);
    assert_int_equal(parse_inner(arena, text, ACME_JWS_BINDING, &jws, &problem).code, ACME_E_PROBLEM);
    assert_int_equal(acme_jws_parse(arena, bytes(text), &jws, &problem).code, ACME_E_PROBLEM);
    assert_non_null(strstr(problem.detail, "nonce"));
}

/* RFC 7515 appendix A.1. */
static void test_vector_hs256(void **state)
{
    struct acme_arena *arena = *state;
    static const char key_text[] =
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    static const char input[] = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
                                "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9p"
                                "c19yb290Ijp0cnVlfQ";
    static const char mac[] = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    static const uint8_t any[32];
    struct acme_jws jws;
    struct acme_problem problem;
    struct acme_bytes key;
    assert_int_equal(
        parse_inner(arena, mac_jws(arena, "HS256", any, sizeof any), ACME_JWS_BINDING, &jws, &problem).code,
        ACME_OK);
    jws.signing_input = bytes(input);
    assert_int_equal(acme_b64url_decode(arena, mac, strlen(mac), &jws.signature).code, ACME_OK);
    assert_int_equal(acme_b64url_decode(arena, key_text, strlen(key_text), &key).code, ACME_OK);
    assert_int_equal(acme_jws_verify_mac(&jws, key.data, key.len).code, ACME_OK);
}

static void test_algorithms_fit_their_keys_only(void **state)
{
    for (size_t i = 0; i < ALG_COUNT; i++) {
        struct acme_jwk key = parse_key(*state, jose_key_make(*state, all_algs[i]).jwk);
        for (size_t j = 0; j < ALG_COUNT; j++) {
            struct acme_jws jws = {
                .alg = acme_jws_alg_find(all_algs[j]), .signature = bytes("x"), .signing_input = bytes("x")};
            bool both_rsa = key.kind == ACME_KEY_RSA && j < 4;
            assert_int_equal(acme_jws_verify(&jws, key.key, key.kind).code,
                             i == j || both_rsa ? ACME_E_SIGNATURE : ACME_E_UNSUPPORTED);
        }
    }
}

/* The ASN.1 form is what OpenSSL makes, but not what JWS allows. */
static void test_ecdsa_in_asn1_form_is_refused(void **state)
{
    struct jose_key made = jose_key_make(*state, "ES256");
    struct acme_jwk key = parse_key(*state, made.jwk);
    uint8_t der[128];
    size_t len = sizeof der;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, made.key), 1);
    assert_int_equal(EVP_DigestSign(ctx, der, &len, (const uint8_t *)"abc", 3), 1);
    EVP_MD_CTX_free(ctx);
    struct acme_jws jws = {.alg = acme_jws_alg_find("ES256"),
                           .signing_input = bytes("abc"),
                           .signature = {.data = der, .len = len}};
    assert_int_equal(acme_jws_verify(&jws, key.key, key.kind).code, ACME_E_SIGNATURE);
    static const uint8_t zeros[64];
    jws.signature = (struct acme_bytes){.data = zeros, .len = sizeof zeros};
    assert_int_equal(acme_jws_verify(&jws, key.key, key.kind).code, ACME_E_SIGNATURE);
}

static void assert_refused(struct acme_arena *arena, const char *body, enum acme_problem_type type)
{
    struct acme_jws jws = {.nonce = "untouched"};
    struct acme_problem problem = {.type = ACME_PROBLEM_COUNT};
    struct acme_err err = acme_jws_parse(arena, bytes(body), &jws, &problem);
    if (err.code != ACME_E_PROBLEM || problem.type != type)
        fail_msg("%s: %s, problem %d", body, acme_code_name(err.code), (int)problem.type);
    assert_non_null(problem.detail);
    assert_string_equal(jws.nonce, "untouched");
}

static void test_bodies_that_are_no_flattened_jws(void **state)
{
    static const char *const bodies[] = {
        "",
        "x",
        "[]",
        "{}",
        "null",
        "eyJhbGciOiJFZERTQSJ9.e30.AAAA",
        "{\"payload\":\"\",\"signature\":\"AAAA\"}",
        "{\"protected\":\"e30\",\"signature\":\"AAAA\"}",
        "{\"protected\":\"e30\",\"payload\":\"\"}",
        "{\"protected\":{},\"payload\":\"\",\"signature\":\"AAAA\"}",
        "{\"protected\":\"e30\",\"payload\":\"\",\"signature\":\"AAAA\"} x",
        "{\"protected\":\"e30\",\"payload\":\"\",\"payload\":\"\",\"signature\":\"AAAA\"}",
        "{\"payload\":\"\",\"signatures\":[{\"protected\":\"e30\",\"signature\":\"AAAA\"}]}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        assert_refused(*state, bodies[i], ACME_PROBLEM_MALFORMED);
}

/* A good JWS in parts, to be put together wrongly. */
struct parts {
    const char *protected;
    const char *payload;
    const char *signature;
};

static struct parts good_parts(struct acme_arena *arena)
{
    return (struct parts){
        .protected = jose_b64(arena, header(arena, "ES256", "\"kid\":\"https://ca.test/account/1\"")),
        .payload = jose_b64(arena, "{\"a\":1}"),
        .signature = "AAAA",
    };
}

static const char *body_of(struct acme_arena *arena, struct parts parts, const char *extra)
{
    return acme_arena_printf(arena, "{%s\"protected\":\"%s\",\"payload\":\"%s\",\"signature\":\"%s\"}", extra,
                             parts.protected, parts.payload, parts.signature);
}

static void test_extra_members(void **state)
{
    struct acme_jws jws;
    struct parts good = good_parts(*state);
    assert_parses(*state, body_of(*state, good, ""), &jws);
    assert_string_equal(jws.kid, "https://ca.test/account/1");
    assert_parses(*state, body_of(*state, good, "\"whatever\":[1],\n  "), &jws);
    assert_parses(*state, body_of(*state, good, "\"whatever\":\"x\","), &jws);
    assert_parses(*state, body_of(*state, good, "\"\\u0077hatever\":\"x\\n\","), &jws);
    assert_string_equal(jws.kid, "https://ca.test/account/1");
    assert_refused(*state, body_of(*state, good, "\"payload\":\"AAAA\","), ACME_PROBLEM_MALFORMED);
    assert_refused(*state, body_of(*state, good, "\"p\\u0061yload\":\"AAAA\","), ACME_PROBLEM_MALFORMED);
    assert_refused(*state, body_of(*state, good, "\"header\":\"\","), ACME_PROBLEM_MALFORMED);
    assert_refused(*state, body_of(*state, good, "\"signatures\":\"\","), ACME_PROBLEM_MALFORMED);
    assert_refused(*state, body_of(*state, good, "\"header\":{},"), ACME_PROBLEM_MALFORMED);
    assert_refused(*state, body_of(*state, good, "\"header\":null,"), ACME_PROBLEM_MALFORMED);
    assert_refused(*state, body_of(*state, good, "\"signatures\":[],"), ACME_PROBLEM_MALFORMED);
}

static void test_lax_base64url(void **state)
{
    static const char *const suffixes[] = {"=", "==", "\\n", " ", "+", "/", "%"};
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        for (int part = 0; part < 3; part++) {
            struct parts parts = good_parts(*state);
            const char **text = part == 0 ? &parts.protected : part == 1 ? &parts.payload : &parts.signature;
            *text = acme_arena_printf(*state, "%s%s", *text, suffixes[i]);
            assert_refused(*state, body_of(*state, parts, ""), ACME_PROBLEM_MALFORMED);
        }
    }
    struct parts parts = good_parts(*state);
    parts.signature = "AAB"; /* its last two bits belong to nothing */
    assert_refused(*state, body_of(*state, parts, ""), ACME_PROBLEM_MALFORMED);
}

static void assert_header(struct acme_arena *arena, const char *protected, enum acme_problem_type type)
{
    struct parts parts = good_parts(arena);
    parts.protected = jose_b64(arena, protected);
    assert_refused(arena, body_of(arena, parts, ""), type);
}

#define N  "\"nonce\":\"AAAA\""
#define U  "\"url\":\"https://ca.test/x\""
#define K  "\"kid\":\"https://ca.test/account/1\""
#define ES "\"alg\":\"ES256\""

static void test_protected_headers(void **state)
{
    static const char *const malformed[] = {
        "",
        "[]",
        "{" N "," U "," K "}",
        "{" ES "," N "," K "}",
        "{" ES "," N "," U "}",
        "{" ES "," N "," U "," K ",\"jwk\":{\"kty\":\"RSA\"}}",
        "{" ES "," N "," U ",\"jwk\":\"x\"}",
        "{" ES "," N "," U ",\"jwk\":null}",
        "{" ES "," N "," U ",\"kid\":5}",
        "{" ES "," N "," U "," K ",\"crit\":[\"b64\"],\"b64\":false}",
        "{" ES "," N "," U "," K ",\"b64\":true}",
        "{" ES "," N "," U "," K ",\"crit\":[]}",
        "{" ES "," N "," U "," K "," K "}",
        "{\"alg\":5," N "," U "," K "}",
        "{" ES ",\"nonce\":\"AAAA=\"," U "," K "}",
        "{" ES ",\"nonce\":\"AA AA\"," U "," K "}",
        "{" ES ",\"nonce\":7," U "," K "}",
        "{" ES "," N ",\"url\":[]," K "}",
    };
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++)
        assert_header(*state, malformed[i], ACME_PROBLEM_MALFORMED);
    assert_header(*state, "{" ES "," U "," K "}", ACME_PROBLEM_BAD_NONCE);
    static const char *const algs[] = {"none",  "HS256", "es256", "ES256K",
                                       "PS384", "",      "RS1",   "\\u0001\\\"x"};
    for (size_t i = 0; i < sizeof algs / sizeof *algs; i++)
        assert_header(*state, header(*state, algs[i], K), ACME_PROBLEM_BAD_SIGNATURE_ALGORITHM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_vector_rs256, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vector_es256, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vector_es512, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vector_eddsa, setup, teardown),
        cmocka_unit_test_setup_teardown(test_round_trip_with_every_algorithm, setup, teardown),
        cmocka_unit_test_setup_teardown(test_macs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vector_hs256, setup, teardown),
        cmocka_unit_test_setup_teardown(test_algorithms_fit_their_keys_only, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ecdsa_in_asn1_form_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bodies_that_are_no_flattened_jws, setup, teardown),
        cmocka_unit_test_setup_teardown(test_extra_members, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lax_base64url, setup, teardown),
        cmocka_unit_test_setup_teardown(test_protected_headers, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
