/* pkcs10.c: public keys read without OpenSSL's decoders are the keys those would give, or none. */
#include "certs/pkcs10.h"
#include "make.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct acme_arena *arena;

static int set_up(void **state)
{
    (void)state;
    arena = acme_arena_create(32 * 1024 * 1024);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    acme_arena_destroyp(&arena);
    return 0;
}

static struct acme_bytes keep(unsigned char *der, int len)
{
    assert_true(len > 0);
    struct acme_bytes out = {.data = acme_arena_memdup(arena, der, (size_t)len), .len = (size_t)len};
    assert_non_null(out.data);
    OPENSSL_free(der);
    return out;
}

static struct acme_bytes der_of(const EVP_PKEY *key)
{
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(key, &der);
    return keep(der, len);
}

static struct acme_bytes write_spki(const ACME_SPKI *spki)
{
    unsigned char *der = NULL;
    int len = i2d_ACME_SPKI(spki, &der);
    return keep(der, len);
}

/* NULL: not exactly one SubjectPublicKeyInfo. */
static ACME_SPKI *read_spki(struct acme_bytes der)
{
    const unsigned char *at = der.data;
    ACME_SPKI *spki = d2i_ACME_SPKI(NULL, &at, (long)der.len);
    if (spki != NULL && at == der.data + der.len)
        return spki;
    ACME_SPKI_free(spki);
    return NULL;
}

static ACME_SPKI *spki_of(const EVP_PKEY *key)
{
    ACME_SPKI *spki = read_spki(der_of(key));
    assert_non_null(spki);
    return spki;
}

/* What OpenSSL's own way makes of the same octets. */
static EVP_PKEY *decode(struct acme_bytes der)
{
    const unsigned char *at = der.data;
    return d2i_PUBKEY(NULL, &at, (long)der.len);
}

/* Both ways give the same key or none; says whether there is one. */
static bool agree(const ACME_SPKI *spki)
{
    EVP_PKEY *ours = acme_spki_key(spki);
    EVP_PKEY *theirs = decode(write_spki(spki));
    assert_true((ours != NULL) == (theirs != NULL));
    bool found = ours != NULL;
    if (found) {
        assert_int_equal(EVP_PKEY_get_base_id(ours), EVP_PKEY_get_base_id(theirs));
        assert_int_equal(EVP_PKEY_get_bits(ours), EVP_PKEY_get_bits(theirs));
        assert_int_equal(EVP_PKEY_eq(ours, theirs), 1);
    }
    EVP_PKEY_free(ours);
    EVP_PKEY_free(theirs);
    ERR_clear_error();
    return found;
}

static EVP_PKEY *with_param(EVP_PKEY *key, const char *name, const char *value)
{
    assert_int_equal(EVP_PKEY_set_utf8_string_param(key, name, value), 1);
    return key;
}

static void every_kind(void **state)
{
    (void)state;
    EVP_PKEY *ed448 = EVP_PKEY_Q_keygen(NULL, NULL, "ED448");
    EVP_PKEY *const keys[] = {
        make_ec_key(arena, "P-256"),
        make_ec_key(arena, "P-384"),
        make_ec_key(arena, "P-521"),
        make_rsa_key(arena, 2048, 65537),
        make_rsa_key(arena, 1024, 3),
        make_ed25519_key(arena),
        /* by OpenSSL's own way */
        make_ec_key(arena, "P-224"),
        make_ec_key(arena, "secp256k1"),
        with_param(make_ec_key(arena, "P-256"), OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "compressed"),
        with_param(make_ec_key(arena, "P-256"), OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "hybrid"),
        with_param(make_ec_key(arena, "P-256"), OSSL_PKEY_PARAM_EC_ENCODING, "explicit"),
        ed448,
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        struct acme_bytes der = der_of(keys[i]);
        ACME_SPKI *spki = read_spki(der);
        assert_non_null(spki);
        struct acme_bytes again = write_spki(spki);
        assert_int_equal(again.len, der.len);
        assert_memory_equal(again.data, der.data, der.len);
        assert_true(agree(spki));
        EVP_PKEY *key = acme_spki_key(spki);
        assert_int_equal(EVP_PKEY_eq(key, keys[i]), 1);
        struct acme_bytes out = der_of(key); /* also the form of the point is kept */
        assert_int_equal(out.len, der.len);
        assert_memory_equal(out.data, der.data, der.len);
        EVP_PKEY_free(key);
        ACME_SPKI_free(spki);
    }
    EVP_PKEY_free(ed448);
}

static void *make_keys(void *argument)
{
    const ACME_SPKI *const *spki = argument;
    bool good = true;
    for (int i = 0; i < 100; i++) {
        EVP_PKEY *one = acme_spki_key(spki[0]);
        EVP_PKEY *other = acme_spki_key(spki[1]);
        good = good && EVP_PKEY_eq(one, one) == 1 && EVP_PKEY_eq(one, other) == 0;
        EVP_PKEY_free(one);
        EVP_PKEY_free(other);
    }
    return good ? argument : NULL;
}

/* The keys they are copied from are shared. */
static void by_several_threads(void **state)
{
    (void)state;
    ACME_SPKI *spki[] = {spki_of(make_ec_key(arena, "P-256")), spki_of(make_ec_key(arena, "P-256"))};
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, make_keys, spki), 0);
    for (size_t i = 0; i < 4; i++) {
        void *result = NULL;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_ptr_equal(result, spki);
    }
    ACME_SPKI_free(spki[0]);
    ACME_SPKI_free(spki[1]);
}

static void explicit_parameters_are_told(void **state)
{
    (void)state;
    static const char *const encodings[] = {"named_curve", "explicit"};
    for (int i = 0; i < 2; i++) {
        ACME_SPKI *spki =
            spki_of(with_param(make_ec_key(arena, "P-256"), OSSL_PKEY_PARAM_EC_ENCODING, encodings[i]));
        EVP_PKEY *key = acme_spki_key(spki);
        assert_non_null(key);
        int told = -1;
        assert_int_equal(EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &told),
                         1);
        assert_int_equal(told, i);
        EVP_PKEY_free(key);
        ACME_SPKI_free(spki);
    }
}

static void set_octets(ACME_SPKI *spki, const unsigned char *octets, size_t len)
{
    assert_int_equal(ASN1_BIT_STRING_set(spki->key, (unsigned char *)(uintptr_t)octets, (int)len), 1);
    spki->key->flags &= ~0x0fL;
    spki->key->flags |= ASN1_STRING_FLAG_BITS_LEFT;
}

static void points_off_their_curve(void **state)
{
    (void)state;
    static const char *const curves[] = {"P-256", "P-384", "P-521"};
    for (size_t i = 0; i < 3; i++) {
        ACME_SPKI *spki = spki_of(make_ec_key(arena, curves[i]));
        unsigned char *point = spki->key->data;
        size_t len = (size_t)spki->key->length;
        assert_true(agree(spki));
        for (size_t at = 1; at < len; at += len / 7) {
            point[at] ^= 0x10;
            assert_false(agree(spki));
            point[at] ^= 0x10;
        }
        unsigned char wrong[200] = {0x04};
        set_octets(spki, wrong, len); /* the coordinates 0, 0 */
        assert_false(agree(spki));
        memset(wrong + 1, 0xff, sizeof wrong - 1); /* not below the field's prime */
        set_octets(spki, wrong, len);
        assert_false(agree(spki));
        ACME_SPKI_free(spki);
        /* of another curve */
        spki = spki_of(make_ec_key(arena, curves[i]));
        ACME_SPKI *other = spki_of(make_ec_key(arena, curves[(i + 1) % 3]));
        set_octets(spki, other->key->data, (size_t)other->key->length);
        assert_false(agree(spki));
        ACME_SPKI_free(other);
        ACME_SPKI_free(spki);
    }
}

static void points_of_a_wrong_length(void **state)
{
    (void)state;
    ACME_SPKI *good = spki_of(make_ec_key(arena, "P-256"));
    ACME_SPKI *spki = read_spki(write_spki(good));
    unsigned char point[80] = {0};
    size_t len = (size_t)good->key->length;
    memcpy(point, good->key->data, len);
    for (size_t cut = 1; cut <= len + 2; cut++) {
        set_octets(spki, point, cut);
        assert_int_equal(agree(spki), cut == len);
    }
    set_octets(spki, (const unsigned char *)"\x00",
               1); /* infinity: acme_csr_check refuses what OpenSSL takes */
    (void)agree(spki);
    ACME_SPKI_free(spki);
    ACME_SPKI_free(good);
    /* an empty bit string */
    EVP_PKEY *const keys[] = {make_ec_key(arena, "P-256"), make_rsa_key(arena, 1024, 65537),
                              make_ed25519_key(arena)};
    for (size_t i = 0; i < 3; i++) {
        spki = spki_of(keys[i]);
        ASN1_BIT_STRING_free(spki->key);
        spki->key = ASN1_BIT_STRING_new();
        spki->key->flags |= ASN1_STRING_FLAG_BITS_LEFT;
        assert_false(agree(spki));
        ACME_SPKI_free(spki);
    }
}

static void unused_bits(void **state)
{
    (void)state;
    EVP_PKEY *const keys[] = {make_ec_key(arena, "P-256"), make_rsa_key(arena, 1024, 65537),
                              make_ed25519_key(arena)};
    for (size_t i = 0; i < 3; i++) {
        ACME_SPKI *spki = spki_of(keys[i]);
        spki->key->flags |= 1;
        assert_null(acme_spki_key(spki));
        spki->key->flags &= ~1L;
        assert_true(agree(spki));
        ACME_SPKI_free(spki);
    }
}

static void set_algorithm(ACME_SPKI *spki, int nid, int type, int parameter_nid)
{
    void *value = type == V_ASN1_OBJECT ? OBJ_nid2obj(parameter_nid) : NULL;
    assert_int_equal(X509_ALGOR_set0(spki->algorithm, OBJ_nid2obj(nid), type, value), 1);
}

static void parameters(void **state)
{
    (void)state;
    const int ec = NID_X9_62_id_ecPublicKey;
    const struct {
        EVP_PKEY *key;
        int nid;
        int type;
        int parameter;
        bool good;
    } cases[] = {
        {make_ec_key(arena, "P-256"), ec, V_ASN1_OBJECT, NID_X9_62_prime256v1, true},
        {make_ec_key(arena, "P-256"), ec, V_ASN1_OBJECT, NID_secp256k1, false},
        {make_ec_key(arena, "P-256"), ec, V_ASN1_OBJECT, NID_commonName, false},
        {make_ec_key(arena, "P-256"), ec, V_ASN1_NULL, 0, false},
        {make_ec_key(arena, "P-256"), ec, V_ASN1_UNDEF, 0, false},
        {make_ec_key(arena, "P-256"), NID_rsaEncryption, V_ASN1_NULL, 0, false},
        {make_ed25519_key(arena), NID_ED25519, V_ASN1_NULL, 0, false},
        {make_ed25519_key(arena), NID_commonName, V_ASN1_UNDEF, 0, false},
        {make_rsa_key(arena, 1024, 65537), ec, V_ASN1_OBJECT, NID_X9_62_prime256v1, false},
        {make_rsa_key(arena, 1024, 65537), NID_dsa, V_ASN1_UNDEF, 0, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ACME_SPKI *spki = spki_of(cases[i].key);
        set_algorithm(spki, cases[i].nid, cases[i].type, cases[i].parameter);
        if (agree(spki) != cases[i].good)
            fail_msg("case %zu", i);
        ACME_SPKI_free(spki);
    }
    /* RFC 3279 section 2.3.1 wants NULL; OpenSSL does not mind its absence */
    ACME_SPKI *spki = spki_of(make_rsa_key(arena, 1024, 65537));
    set_algorithm(spki, NID_rsaEncryption, V_ASN1_UNDEF, 0);
    (void)agree(spki);
    ACME_SPKI_free(spki);
}

static void rsa_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *octets;
        size_t len;
    } cases[] = {
        {"\x30\x06\x02\x01\x0f\x02\x01\x03", 8},              /* tiny */
        {"\x30\x06\x02\x01\x00\x02\x01\x03", 8},              /* modulus 0 */
        {"\x30\x06\x02\x01\xf1\x02\x01\x03", 8},              /* negative modulus */
        {"\x30\x06\x02\x01\x0f\x02\x01\xfd", 8},              /* negative exponent */
        {"\x30\x06\x02\x01\x0f\x02\x01\x00", 8},              /* exponent 0 */
        {"\x30\x07\x02\x02\x00\x0f\x02\x01\x03", 9},          /* not minimal */
        {"\x30\x06\x02\x01\x0f\x02\x01\x03\x00", 9},          /* a trailing octet */
        {"\x30\x09\x02\x01\x0f\x02\x01\x03\x02\x01\x05", 11}, /* three numbers */
        {"\x30\x03\x02\x01\x0f", 5},                          /* one number */
        {"\x30\x81\x06\x02\x01\x0f\x02\x01\x03", 9},          /* a long form of the length */
        {"\x30\x80\x02\x01\x0f\x02\x01\x03\x00\x00", 10},     /* an indefinite length */
        {"\x31\x06\x02\x01\x0f\x02\x01\x03", 8},              /* a SET */
    };
    EVP_PKEY *rsa = make_rsa_key(arena, 1024, 65537);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ACME_SPKI *spki = spki_of(rsa);
        set_octets(spki, (const unsigned char *)cases[i].octets, cases[i].len);
        (void)agree(spki);
        ACME_SPKI_free(spki);
    }
}

/* Whatever a stranger changes: no other verdict than OpenSSL's own. */
static void every_single_bit_change(void **state)
{
    (void)state;
    EVP_PKEY *const keys[] = {make_ec_key(arena, "P-256"), make_ec_key(arena, "P-521"),
                              make_rsa_key(arena, 1024, 65537), make_ed25519_key(arena)};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        struct acme_bytes der = der_of(keys[i]);
        uint8_t *changed = acme_arena_memdup(arena, der.data, der.len);
        size_t read_well = 0;
        for (size_t bit = 0; bit < 8 * der.len; bit++) {
            changed[bit / 8] ^= (uint8_t)(1U << bit % 8);
            struct acme_bytes bytes = {.data = changed, .len = der.len};
            ACME_SPKI *spki = read_spki(bytes);
            EVP_PKEY *theirs = spki == NULL ? decode(bytes) : NULL;
            assert_null(theirs);
            if (spki != NULL && (spki->key->flags & 0x07) == 0) {
                (void)agree(spki);
                read_well++;
            }
            ACME_SPKI_free(spki);
            changed[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
        assert_true(read_well > der.len); /* most changes leave the frame whole */
    }
}

static void garbage(void **state)
{
    (void)state;
    EVP_PKEY *const keys[] = {make_ec_key(arena, "P-256"), make_rsa_key(arena, 1024, 65537),
                              make_ed25519_key(arena)};
    for (size_t i = 0; i < 3; i++) {
        struct acme_bytes der = der_of(keys[i]);
        for (size_t len = 0; len < der.len; len++)
            assert_null(read_spki((struct acme_bytes){.data = der.data, .len = len}));
        uint8_t *longer = acme_arena_alloc(arena, der.len + 1);
        memcpy(longer, der.data, der.len);
        assert_null(read_spki((struct acme_bytes){.data = longer, .len = der.len + 1}));
    }
    static const uint8_t noise[64] = {0x30, 0x3e, 0x30, 0x00, 0x03};
    assert_null(read_spki((struct acme_bytes){.data = noise, .len = sizeof noise}));
    ERR_clear_error();
}

/* Into a certificate, octet for octet and without a look at it. */
static void put(void **state)
{
    (void)state;
    EVP_PKEY *const keys[] = {
        make_ec_key(arena, "P-384"), make_rsa_key(arena, 1024, 65537), make_ed25519_key(arena),
        with_param(make_ec_key(arena, "P-256"), OSSL_PKEY_PARAM_EC_ENCODING, "explicit")};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        struct acme_bytes der = der_of(keys[i]);
        ACME_SPKI *spki = read_spki(der);
        X509 *cert = X509_new();
        for (int twice = 0; twice < 2; twice++) /* what was there is released */
            assert_int_equal(acme_spki_put(spki, cert).code, ACME_OK);
        ACME_SPKI_free(spki);
        unsigned char *out = NULL;
        int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &out);
        assert_int_equal(len, der.len);
        assert_memory_equal(out, der.data, der.len);
        OPENSSL_free(out);
        X509_free(cert);
    }
}

static void put_refuses(void **state)
{
    (void)state;
    X509 *cert = X509_new();
    ACME_SPKI *spki = spki_of(make_ec_key(arena, "P-256"));
    ASN1_BIT_STRING *octets = spki->key;
    spki->key = ASN1_BIT_STRING_new();
    assert_int_equal(acme_spki_put(spki, cert).code, ACME_E_CRYPTO);
    ASN1_BIT_STRING_free(spki->key);
    spki->key = octets;
    assert_int_equal(
        X509_ALGOR_set0(spki->algorithm, OBJ_nid2obj(NID_X9_62_id_ecPublicKey), V_ASN1_BOOLEAN, &octets), 1);
    assert_int_equal(acme_spki_put(spki, cert).code, ACME_E_CRYPTO);
    ACME_SPKI_free(spki);
    X509_free(cert);
    ERR_clear_error();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind),
        cmocka_unit_test(by_several_threads),
        cmocka_unit_test(explicit_parameters_are_told),
        cmocka_unit_test(points_off_their_curve),
        cmocka_unit_test(points_of_a_wrong_length),
        cmocka_unit_test(unused_bits),
        cmocka_unit_test(parameters),
        cmocka_unit_test(rsa_numbers),
        cmocka_unit_test(every_single_bit_change),
        cmocka_unit_test(garbage),
        cmocka_unit_test(put),
        cmocka_unit_test(put_refuses),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
