/* key_weakness.c and blocked_keys.c: keys that are easy to break, and keys on a list. */
#include "certs/key_check.h"
#include "make.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct acme_arena *arena;
static BN_CTX *ctx;
static char list_path[] = "/tmp/acme-blocked-keys-XXXXXX";

static int set_up(void **state)
{
    (void)state;
    arena = acme_arena_create(8 * 1024 * 1024);
    ctx = BN_CTX_new();
    memcpy(list_path + sizeof list_path - 7, "XXXXXX", 6);
    int fd = mkstemp(list_path);
    if (fd < 0)
        return -1;
    close(fd);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(list_path);
    BN_CTX_free(ctx);
    acme_arena_destroyp(&arena);
    return 0;
}

static void release_key(void *key)
{
    EVP_PKEY_free(key);
}

static EVP_PKEY *key_of_modulus(const BIGNUM *modulus)
{
    BIGNUM *exponent = BN_new();
    assert_int_equal(BN_set_word(exponent, 65537), 1);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    assert_int_equal(OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus), 1);
    assert_int_equal(OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent), 1);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *key = NULL;
    assert_int_equal(EVP_PKEY_fromdata_init(context), 1);
    assert_int_equal(EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params), 1);
    assert_true(acme_arena_defer(arena, release_key, key));
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    BN_free(exponent);
    return key;
}

static EVP_PKEY *key_of_factors(const BIGNUM *p, const BIGNUM *q)
{
    BIGNUM *modulus = BN_new();
    assert_int_equal(BN_mul(modulus, p, q, ctx), 1);
    EVP_PKEY *key = key_of_modulus(modulus);
    BN_free(modulus);
    return key;
}

static void assert_weak(const EVP_PKEY *key, const char *hint)
{
    const char *why = NULL;
    assert_int_equal(acme_key_weakness(key, &why).code, ACME_E_DENIED);
    if (strstr(why, hint) == NULL)
        fail_msg("\"%s\" does not mention \"%s\"", why, hint);
}

static void assert_good(const EVP_PKEY *key)
{
    const char *why = "";
    struct acme_err err = acme_key_weakness(key, &why);
    if (acme_failed(err))
        fail_msg("refused: %s", why);
}

static void ordinary_keys(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++)
        assert_good(make_rsa_key(arena, 1024, 65537));
    assert_good(make_rsa_key(arena, 2048, 65537));
    assert_good(make_rsa_key(arena, 3071, 65537)); /* an odd number of bits */
    assert_good(make_ec_key(arena, "P-256"));
    assert_good(make_ed25519_key(arena));
}

static void small_factors(void **state)
{
    (void)state;
    static const unsigned long factors[] = {3, 5, 7, 11, 163, 701, 743, 751};
    BIGNUM *p = BN_new();
    BIGNUM *q = BN_new();
    assert_int_equal(BN_generate_prime_ex(q, 1024, 0, NULL, NULL, NULL), 1);
    for (size_t i = 0; i < sizeof factors / sizeof *factors; i++) {
        assert_int_equal(BN_set_word(p, factors[i]), 1);
        assert_weak(key_of_factors(p, q), "small prime");
    }
    assert_int_equal(BN_set_word(p, 757), 1); /* the first that is not looked for */
    assert_good(key_of_factors(p, q));
    BN_free(p);
    BN_free(q);
}

/* The prime that follows p. */
static void next_prime(BIGNUM *p)
{
    do
        assert_int_equal(BN_add_word(p, 2), 1);
    while (BN_check_prime(p, ctx, NULL) != 1);
}

static void close_primes(void **state)
{
    (void)state;
    BIGNUM *p = BN_new();
    BIGNUM *q = BN_new();
    assert_int_equal(BN_generate_prime_ex(p, 512, 0, NULL, NULL, NULL), 1);
    assert_non_null(BN_copy(q, p));
    assert_weak(key_of_factors(p, p), "close"); /* a square */
    for (int i = 0; i < 3; i++) {
        next_prime(q);
        assert_weak(key_of_factors(p, q), "close");
    }
    /* Half of the bits in common is what 100 rounds still find, and about 40 bits less is far enough apart.
     */
    assert_non_null(BN_copy(q, p));
    BIGNUM *gap = BN_new();
    assert_int_equal(BN_set_bit(gap, 258), 1);
    assert_int_equal(BN_add(q, q, gap), 1);
    next_prime(q);
    assert_weak(key_of_factors(p, q), "close");
    assert_int_equal(BN_lshift(gap, gap, 40), 1);
    assert_int_equal(BN_add(q, q, gap), 1);
    next_prime(q);
    assert_good(key_of_factors(p, q));
    BN_free(gap);
    BN_free(p);
    BN_free(q);
}

/* k*M + (65537^a mod M), M the product of the 126 first primes: the form of 2048-bit keys from flawed
 * devices. */
static void roca_prime(BIGNUM *ret, const BIGNUM *product)
{
    BIGNUM *k = BN_new();
    BIGNUM *a = BN_new();
    BIGNUM *generator = BN_new();
    assert_int_equal(BN_set_word(generator, 65537), 1);
    do {
        assert_int_equal(BN_rand(k, 50, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY), 1);
        assert_int_equal(BN_rand(a, 250, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY), 1);
        assert_int_equal(BN_mod_exp(ret, generator, a, product, ctx), 1);
        assert_int_equal(BN_mul(k, k, product, ctx), 1);
        assert_int_equal(BN_add(ret, ret, k), 1);
    } while (BN_check_prime(ret, ctx, NULL) != 1);
    BN_free(generator);
    BN_free(a);
    BN_free(k);
}

static void roca(void **state)
{
    (void)state;
    BIGNUM *product = BN_new();
    BIGNUM *p = BN_new();
    BIGNUM *q = BN_new();
    assert_int_equal(BN_one(product), 1);
    int count = 0;
    for (unsigned i = 2; count < 126; i++) {
        unsigned d = 2;
        while (d * d <= i && i % d != 0)
            d++;
        if (d * d <= i)
            continue;
        assert_int_equal(BN_mul_word(product, i), 1);
        count++;
    }
    assert_int_equal(BN_num_bits(product), 971);
    roca_prime(p, product);
    roca_prime(q, product);
    assert_weak(key_of_factors(p, q), "ROCA");
    /* One such prime alone has no fingerprint in the modulus. */
    assert_int_equal(BN_generate_prime_ex(q, 1024, 0, NULL, NULL, NULL), 1);
    assert_good(key_of_factors(p, q));
    BN_free(product);
    BN_free(p);
    BN_free(q);
}

static void write_list(const char *text)
{
    FILE *file = fopen(list_path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static const char *spki_hex(const EVP_PKEY *key)
{
    uint8_t digest[ACME_SHA256_SIZE];
    char text[2 * ACME_SHA256_SIZE + 1];
    assert_int_equal(acme_spki_sha256(key, digest).code, ACME_OK);
    for (size_t i = 0; i < sizeof digest; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", digest[i]);
    return acme_arena_strdup(arena, text);
}

static const char *debian_hex(const EVP_PKEY *key)
{
    BIGNUM *modulus = NULL;
    assert_int_equal(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &modulus), 1);
    char *hex = BN_bn2hex(modulus);
    const char *line = acme_arena_printf(arena, "Modulus=%s\n", hex);
    unsigned char digest[EVP_MAX_MD_SIZE];
    assert_int_equal(EVP_Digest(line, strlen(line), digest, NULL, EVP_sha1(), NULL), 1);
    char text[2 * 10 + 1];
    for (size_t i = 0; i < 10; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", digest[10 + i]);
    OPENSSL_free(hex);
    BN_free(modulus);
    return acme_arena_strdup(arena, text);
}

static void assert_listed(const struct acme_blocked_keys *keys, const EVP_PKEY *key, bool listed)
{
    const char *why = NULL;
    assert_int_equal(acme_blocked_keys_check(keys, key, &why).code, listed ? ACME_E_DENIED : ACME_OK);
    assert_int_equal(why != NULL, listed);
}

static void lists(void **state)
{
    (void)state;
    EVP_PKEY *listed[5];
    const char *text = "# compromised\n\n";
    for (size_t i = 0; i < 3; i++) {
        listed[i] = make_ec_key(arena, "P-256");
        text = acme_arena_printf(arena, "%s%s \r\n", text, spki_hex(listed[i]));
    }
    listed[3] = make_rsa_key(arena, 1024, 65537);
    listed[4] = make_ed25519_key(arena);
    EVP_PKEY *other_rsa = make_rsa_key(arena, 1024, 65537);
    char *upper = acme_arena_strdup(arena, spki_hex(listed[4]));
    for (char *c = upper; *c != '\0'; c++)
        if (*c >= 'a')
            *c = (char)(*c - 'a' + 'A');
    write_list(
        acme_arena_printf(arena, "%s%s\n%s", text, debian_hex(listed[3]), upper)); /* no last newline */
    struct acme_blocked_keys *keys = NULL;
    size_t line = 0;
    assert_int_equal(acme_blocked_keys_load(list_path, &keys, &line).code, ACME_OK);
    assert_int_equal(acme_blocked_keys_count(keys), 5);
    for (size_t i = 0; i < 5; i++)
        assert_listed(keys, listed[i], true);
    assert_listed(keys, other_rsa, false);
    assert_listed(keys, make_ec_key(arena, "P-256"), false);
    acme_blocked_keys_destroy(keys);

    assert_listed(NULL, listed[0], false);
    assert_int_equal(acme_blocked_keys_count(NULL), 0);
    acme_blocked_keys_destroy(NULL);
    write_list("");
    assert_int_equal(acme_blocked_keys_load(list_path, &keys, &line).code, ACME_OK);
    assert_int_equal(acme_blocked_keys_count(keys), 0);
    assert_listed(keys, listed[0], false);
    acme_blocked_keys_destroy(keys);
}

static void wrong_lists(void **state)
{
    (void)state;
    char spaces[300];
    memset(spaces, ' ', sizeof spaces - 1);
    spaces[sizeof spaces - 1] = '\0';
    const char *good = spki_hex(make_ec_key(arena, "P-256"));
    const struct {
        const char *text;
        size_t line;
    } cases[] = {
        {"abc\n", 1},
        {acme_arena_printf(arena, "%s\n%.63s\n", good, good), 2},
        {acme_arena_printf(arena, "#\n#\n%sa\n", good), 3},
        {acme_arena_printf(arena, "%.63sg\n", good), 1},
        {acme_arena_printf(arena, "%.19sG\n", good), 1},
        {acme_arena_printf(arena, " %s\n", good), 1},
        {acme_arena_printf(arena, "%s%s\n", good, spaces), 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct acme_blocked_keys *keys = NULL;
        size_t line = 0;
        write_list(cases[i].text);
        assert_int_equal(acme_blocked_keys_load(list_path, &keys, &line).code, ACME_E_FORMAT);
        assert_int_equal(line, cases[i].line);
        assert_null(keys);
    }
    struct acme_blocked_keys *keys = NULL;
    size_t line = 0;
    assert_int_equal(acme_blocked_keys_load("/nonexistent/list", &keys, &line).code, ACME_E_IO);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(acme_blocked_keys_load("/", &keys, &line).code, ACME_E_IO);
    assert_null(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ordinary_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(small_factors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(close_primes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(roca, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lists, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wrong_lists, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
