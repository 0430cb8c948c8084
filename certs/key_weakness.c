/* RSA moduli that are easy to factor. */
#include "certs/key_check.h"
#include "certs/ossl.h"

#include <openssl/core_names.h>
#include <openssl/err.h>

enum {
    SMALL_PRIMES_BELOW = 752,
    ROCA_PRIMES_UP_TO = 167, /* the 39 first primes: what the flawed library used for the smallest keys */
    ROCA_GENERATOR = 65537,
    FERMAT_ROUNDS = 100
};

static bool is_prime(unsigned number)
{
    for (unsigned i = 2; i * i <= number; i++)
        if (number % i == 0)
            return false;
    return number > 1;
}

static bool has_small_factor(const BIGNUM *modulus)
{
    for (unsigned p = 2; p < SMALL_PRIMES_BELOW; p++)
        if (is_prime(p) && BN_mod_word(modulus, p) == 0)
            return true;
    return false;
}

/* Is `residue` a power of the generator modulo the prime? */
static bool is_generated(unsigned residue, unsigned prime)
{
    unsigned power = 1;
    do {
        if (power == residue)
            return true;
        power = power * (ROCA_GENERATOR % prime) % prime;
    } while (power != 1);
    return false;
}

/* The flawed library made primes k*M + (65537^a mod M), M the product of the first primes, so that modulo
 * each of them the modulus is a power of 65537. By chance that happens to less than one modulus in a hundred
 * million. */
static bool has_roca_fingerprint(const BIGNUM *modulus)
{
    for (unsigned p = 3; p <= ROCA_PRIMES_UP_TO; p++)
        if (is_prime(p) && !is_generated((unsigned)BN_mod_word(modulus, p), p))
            return false;
    return true;
}

static bool is_square_modulo(unsigned residue, unsigned modulus)
{
    for (unsigned root = 0; root <= modulus / 2; root++)
        if (root * root % modulus == residue)
            return true;
    return false;
}

/* Most numbers are no squares already modulo these. */
static bool may_be_square(const BIGNUM *number)
{
    static const unsigned moduli[] = {64, 63, 65, 11};
    for (size_t i = 0; i < sizeof moduli / sizeof *moduli; i++)
        if (!is_square_modulo((unsigned)BN_mod_word(number, moduli[i]), moduli[i]))
            return false;
    return true;
}

/* root = floor(sqrt(number)), by Newton's iteration from above. */
static bool square_root(BIGNUM *root, const BIGNUM *number, BN_CTX *ctx)
{
    bool good = false;
    BN_CTX_start(ctx);
    BIGNUM *next = BN_CTX_get(ctx);
    BN_zero(root);
    if (next != NULL && BN_set_bit(root, (BN_num_bits(number) + 1) / 2)) {
        for (;;) {
            if (!BN_div(next, NULL, number, root, ctx) || !BN_add(next, next, root) ||
                !BN_rshift1(next, next))
                break;
            good = BN_cmp(next, root) >= 0;
            if (good || BN_copy(root, next) == NULL)
                break;
        }
    }
    BN_CTX_end(ctx);
    return good;
}

static bool is_square(const BIGNUM *number, BN_CTX *ctx, bool *ret)
{
    *ret = false;
    if (!may_be_square(number))
        return true;
    BN_CTX_start(ctx);
    BIGNUM *root = BN_CTX_get(ctx);
    bool good = root != NULL && square_root(root, number, ctx) && BN_sqr(root, root, ctx);
    if (good)
        *ret = BN_cmp(root, number) == 0;
    BN_CTX_end(ctx);
    return good;
}

/* n = a^2 - b^2 = (a - b)(a + b): with primes that are close, a is just above the root of n. */
static bool are_primes_close(const BIGNUM *modulus, BN_CTX *ctx, bool *ret)
{
    bool found = false;
    BN_CTX_start(ctx);
    BIGNUM *a = BN_CTX_get(ctx);
    BIGNUM *b_squared = BN_CTX_get(ctx);
    /* from floor(sqrt(n)) + 1: n itself would be a square with the root as its double prime */
    bool good = b_squared != NULL && square_root(a, modulus, ctx) && is_square(modulus, ctx, &found) &&
                BN_add_word(a, 1) && BN_sqr(b_squared, a, ctx) && BN_sub(b_squared, b_squared, modulus);
    for (int i = 0; good && !found && i < FERMAT_ROUNDS; i++)
        good = is_square(b_squared, ctx, &found) && BN_add(b_squared, b_squared, a) && BN_add_word(a, 1) &&
               BN_add(b_squared, b_squared, a); /* (a + 1)^2 = a^2 + a + (a + 1) */
    BN_CTX_end(ctx);
    *ret = found;
    return good;
}

static struct acme_err deny(const char **ret_why, const char *why)
{
    *ret_why = why;
    return acme_err(ACME_E_DENIED);
}

struct acme_err acme_key_weakness(const EVP_PKEY *key, const char **ret_why)
{
    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA)
        return acme_ok();
    OSSL_CLEANUP(BIGNUM) BIGNUM *modulus = NULL;
    OSSL_CLEANUP(BN_CTX) BN_CTX *ctx = BN_CTX_new();
    ENSURE(ctx != NULL, ACME_E_NOMEM);
    ENSURE(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &modulus) == 1 && !BN_is_zero(modulus) &&
               !BN_is_negative(modulus),
           ACME_E_CRYPTO);
    if (has_small_factor(modulus))
        return deny(ret_why, "the RSA key has a small prime factor");
    if (has_roca_fingerprint(modulus))
        return deny(ret_why, "the RSA key was made by a device with the ROCA flaw (CVE-2017-15361)");
    bool close = false;
    ENSURE(are_primes_close(modulus, ctx, &close), ACME_E_NOMEM);
    if (close)
        return deny(ret_why, "the primes of the RSA key are so close that it can be factored");
    return acme_ok();
}
