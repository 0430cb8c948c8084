/* The cache of account keys: what it hands out verifies as often as asked, whatever came before. */
#include "cmocka_all.h"
#include "jose.h"
#include "protocol/key_cache.h"

#include "base/b64url.h"

#include <pthread.h>
#include <string.h>

static const char *const all_algs[] = {"RS256", "RS384", "RS512", "PS256",
                                       "ES256", "ES384", "ES512", "EdDSA"};
enum { ALG_COUNT = sizeof all_algs / sizeof *all_algs };

struct fixture {
    struct acme_arena *arena;
    struct acme_key_cache *cache;
};

static int setup(void **state)
{
    static struct fixture fixture;
    fixture.arena = acme_arena_create(16 * 1024 * 1024);
    fixture.cache = acme_key_cache_create();
    *state = &fixture;
    return fixture.arena == NULL || fixture.cache == NULL;
}

/* The arena last: what was handed out outlives the cache. */
static int teardown(void **state)
{
    struct fixture *f = *state;
    acme_key_cache_destroy(f->cache);
    acme_arena_destroy(f->arena);
    return 0;
}

static struct acme_jwk jwk_of(struct acme_arena *arena, const struct jose_key *made)
{
    cJSON *tree = NULL;
    const char *why = NULL;
    struct acme_jwk jwk;
    assert_int_equal(acme_json_parse(arena, made->jwk, strlen(made->jwk), &tree).code, ACME_OK);
    assert_int_equal(acme_jwk_parse(arena, tree, &jwk, &why).code, ACME_OK);
    return jwk;
}

static struct acme_jws signed_by(struct acme_arena *arena, const struct jose_key *made, const char *alg,
                                 const char *input)
{
    struct acme_jws jws = {.alg = acme_jws_alg_find(alg),
                           .signing_input = {.data = (const uint8_t *)input, .len = strlen(input)}};
    const char *text = jose_signature(arena, made, alg, input);
    assert_int_equal(acme_b64url_decode(arena, text, strlen(text), &jws.signature).code, ACME_OK);
    return jws;
}

static enum acme_code verify(const struct fixture *f, const struct acme_jwk *jwk, const struct acme_jws *jws)
{
    struct acme_cached_key found = acme_key_cache_get(f->cache, f->arena, jwk->thumbprint, jws->alg);
    assert_non_null(found.key);
    assert_int_equal(EVP_PKEY_eq(found.key, jwk->key), 1);
    assert_int_equal(found.kind, jwk->kind);
    assert_non_null(found.verifier);
    return acme_jws_verify_with(jws, found.verifier).code;
}

static void test_verifies_after_good_and_bad(void **state)
{
    const struct fixture *f = *state;
    for (size_t i = 0; i < ALG_COUNT; i++) {
        struct jose_key made = jose_key_make(f->arena, all_algs[i]);
        struct acme_jwk jwk = jwk_of(f->arena, &made);
        struct acme_jws good = signed_by(f->arena, &made, all_algs[i], "some words");
        struct acme_jws other = signed_by(f->arena, &made, all_algs[i], "some more words, and more");
        struct acme_jws bad = good;
        bad.signing_input.len--;
        struct acme_jws cut = good;
        cut.signature.len--;
        assert_null(acme_key_cache_get(f->cache, f->arena, jwk.thumbprint, good.alg).key);
        acme_key_cache_put(f->cache, &jwk);
        for (int round = 0; round < 3; round++) {
            assert_int_equal(verify(f, &jwk, &good), ACME_OK);
            assert_int_equal(verify(f, &jwk, &bad), ACME_E_SIGNATURE);
            assert_int_equal(verify(f, &jwk, &other), ACME_OK);
            assert_int_equal(verify(f, &jwk, &cut), ACME_E_SIGNATURE);
        }
    }
}

/* An RSA key signs with whatever its owner likes; the padding and the digest must follow. */
static void test_algorithms_of_one_key_alternate(void **state)
{
    const struct fixture *f = *state;
    static const char *const rsa[] = {"RS256", "PS256", "RS512", "RS256", "PS256", "RS384"};
    struct jose_key made = jose_key_make(f->arena, "RS256");
    struct acme_jwk jwk = jwk_of(f->arena, &made);
    acme_key_cache_put(f->cache, &jwk);
    for (size_t i = 0; i < sizeof rsa / sizeof *rsa; i++) {
        struct acme_jws jws = signed_by(f->arena, &made, rsa[i], "some words");
        assert_int_equal(verify(f, &jwk, &jws), ACME_OK);
        jws.alg = acme_jws_alg_find(rsa[i][0] == 'P' ? "RS256" : "PS256");
        assert_int_equal(verify(f, &jwk, &jws), ACME_E_SIGNATURE);
    }
}

static void test_algorithm_of_another_kind_of_key(void **state)
{
    const struct fixture *f = *state;
    struct jose_key made = jose_key_make(f->arena, "ES256");
    struct acme_jwk jwk = jwk_of(f->arena, &made);
    acme_key_cache_put(f->cache, &jwk);
    for (size_t i = 0; i < ALG_COUNT; i++) {
        const struct acme_jws_alg *alg = acme_jws_alg_find(all_algs[i]);
        struct acme_cached_key found = acme_key_cache_get(f->cache, f->arena, jwk.thumbprint, alg);
        assert_non_null(found.key);
        assert_int_equal(found.verifier != NULL, strcmp(all_algs[i], "ES256") == 0);
    }
}

/* r and s with and without leading zeros and a highest bit: about one signature in 128 is short. */
static void test_ecdsa_numbers_of_all_lengths(void **state)
{
    const struct fixture *f = *state;
    struct jose_key made = jose_key_make(f->arena, "ES256");
    struct acme_jwk jwk = jwk_of(f->arena, &made);
    acme_key_cache_put(f->cache, &jwk);
    bool short_r = false;
    bool short_s = false;
    for (int i = 0; i < 20000 && !(short_r && short_s); i++) {
        struct acme_jws jws = signed_by(f->arena, &made, "ES256", "some words");
        assert_int_equal(verify(f, &jwk, &jws), ACME_OK);
        short_r = short_r || jws.signature.data[0] == 0;
        short_s = short_s || jws.signature.data[32] == 0;
    }
    assert_true(short_r && short_s);
}

/* Far more keys than fit: each can be had right after it was put, and most of those put last are there. */
static void test_more_keys_than_fit(void **state)
{
    enum { KEYS = 1000, RECENT = 128 };
    const struct fixture *f = *state;
    struct jose_key made = jose_key_make(f->arena, "ES256");
    struct acme_jwk jwk = jwk_of(f->arena, &made);
    const struct acme_jws_alg *alg = acme_jws_alg_find("ES256");
    const char *names[KEYS];
    for (int i = 0; i < KEYS; i++) {
        names[i] = acme_arena_printf(f->arena, "thumbprint-%d", i);
        jwk.thumbprint = names[i];
        acme_key_cache_put(f->cache, &jwk);
        acme_key_cache_put(f->cache, &jwk); /* again: takes no second place */
        assert_ptr_equal(acme_key_cache_get(f->cache, f->arena, names[i], alg).key, jwk.key);
    }
    int present = 0;
    int recent = 0;
    for (int i = 0; i < KEYS; i++) {
        bool there = acme_key_cache_get(f->cache, f->arena, names[i], alg).key != NULL;
        present += there;
        recent += there && i >= KEYS - RECENT;
    }
    assert_in_range(present, KEYS / 4, 512);
    assert_in_range(recent, RECENT - 8, RECENT);
}

struct crowd {
    const struct fixture *f;
    const struct acme_jwk *jwk;
    const struct acme_jws *jws;
    int good;
};

static void *verify_often(void *context)
{
    struct crowd *crowd = context;
    for (int i = 0; i < 200; i++) {
        ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(4096);
        struct acme_cached_key found =
            acme_key_cache_get(crowd->f->cache, arena, crowd->jwk->thumbprint, crowd->jws->alg);
        if (found.verifier != NULL && !acme_failed(acme_jws_verify_with(crowd->jws, found.verifier)))
            crowd->good++;
        if (i % 50 == 49)
            acme_key_cache_put(crowd->f->cache, crowd->jwk);
    }
    return NULL;
}

static void test_several_threads_with_one_key(void **state)
{
    enum { THREADS = 4 };
    const struct fixture *f = *state;
    struct jose_key made = jose_key_make(f->arena, "ES256");
    struct acme_jwk jwk = jwk_of(f->arena, &made);
    struct acme_jws jws = signed_by(f->arena, &made, "ES256", "some words");
    acme_key_cache_put(f->cache, &jwk);
    struct crowd crowds[THREADS];
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        crowds[i] = (struct crowd){.f = f, .jwk = &jwk, .jws = &jws};
        assert_int_equal(pthread_create(&threads[i], NULL, verify_often, &crowds[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(crowds[i].good, 200);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_verifies_after_good_and_bad, setup, teardown),
        cmocka_unit_test_setup_teardown(test_algorithms_of_one_key_alternate, setup, teardown),
        cmocka_unit_test_setup_teardown(test_algorithm_of_another_kind_of_key, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ecdsa_numbers_of_all_lengths, setup, teardown),
        cmocka_unit_test_setup_teardown(test_more_keys_than_fit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_several_threads_with_one_key, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
