/* csr_check.c: a good request judged against an order, a key policy and the extension list. */
#include "make.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct acme_arena *arena;
static EVP_PKEY *ec_key;

static int set_up(void **state)
{
    (void)state;
    arena = acme_arena_create(8 * 1024 * 1024);
    ec_key = make_ec_key(arena, "P-256");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    acme_arena_destroyp(&arena);
    return 0;
}

struct order {
    struct acme_identifier identifiers[3];
    size_t count;
};

/* hint NULL: has to pass. */
static void judge(EVP_PKEY *key, const struct make_request *request, const struct order *order,
                  const struct acme_key_policy *policy, const EVP_PKEY *account_key, const char *hint)
{
    struct acme_csr csr = make_csr(arena, key, request);
    const char *why = NULL;
    struct acme_err err =
        acme_csr_check(arena, &csr, order->identifiers, order->count,
                       policy != NULL ? policy : &acme_key_policy_default, account_key, &why);
    if (hint == NULL) {
        if (acme_failed(err))
            fail_msg("refused: %s", why);
        return;
    }
    assert_int_equal(err.code, ACME_E_DENIED);
    assert_non_null(why);
    if (strstr(why, hint) == NULL)
        fail_msg("the reason \"%s\" does not mention \"%s\"", why, hint);
}

static const struct order order_a = {.identifiers = {{ACME_IDENTIFIER_DNS, "a.example"}}, .count = 1};
static const struct order order_ab = {
    .identifiers = {{ACME_IDENTIFIER_DNS, "a.example"}, {ACME_IDENTIFIER_DNS, "b.example"}}, .count = 2};
static const struct order order_ip = {
    .identifiers = {{ACME_IDENTIFIER_DNS, "a.example"}, {ACME_IDENTIFIER_IP, "2001:db8::1"}}, .count = 2};
static const struct order order_v4 = {.identifiers = {{ACME_IDENTIFIER_IP, "192.0.2.1"}}, .count = 1};
static const struct order order_wild = {.identifiers = {{ACME_IDENTIFIER_DNS, "*.a.example"}}, .count = 1};

static void names(void **state)
{
    (void)state;
    static const struct {
        struct make_request request;
        const struct order *order;
        const char *hint;
    } cases[] = {
        {{.san = "DNS:a.example"}, &order_a, NULL},
        {{.common_names = {"A.example"}, .san = "DNS:a.EXAMPLE"}, &order_a, NULL},
        {{.common_names = {"a.example"}}, &order_a, NULL},
        {{.san = "DNS:b.example,DNS:a.example"}, &order_ab, NULL},
        {{.common_names = {"b.example"}, .san = "DNS:a.example"}, &order_ab, NULL},
        {{.san = "IP:2001:db8::1,DNS:a.example"}, &order_ip, NULL},
        {{.common_names = {"2001:DB8:0::1"}, .san = "IP:2001:db8::1,DNS:a.example"}, &order_ip, NULL},
        {{.san = "IP:192.0.2.1"}, &order_v4, NULL},
        {{.common_names = {"192.0.2.1"}, .san = "IP:192.0.2.1"}, &order_v4, NULL},
        {{.san = "IP:192.0.2.2"}, &order_v4, "192.0.2.2"},
        {{.san = "IP:192.0.2.1,IP:192.0.2.2"}, &order_v4, "192.0.2.2"},
        {{.san = "IP:192.0.2.1,DNS:a.example"}, &order_v4, "a.example"},
        {{.san = "IP:2001:db8::c000:201"}, &order_v4, "2001:db8::c000:201"},
        {{.common_names = {"192.0.2.2"}, .san = "IP:192.0.2.1"}, &order_v4, "192.0.2.2"},
        {{.san = "DNS:1.2.0.192.in-addr.arpa"}, &order_v4, "in-addr.arpa"},
        {{.san = NULL}, &order_v4, "lacks the name 192.0.2.1"},
        {{.san = "DNS:a.example"}, &order_ip, "lacks the name 2001:db8::1"},
        {{.san = "DNS:*.a.example"}, &order_wild, NULL},
        {{.san = "DNS:a.example,DNS:b.example"}, &order_a, "b.example"},
        {{.san = "DNS:a.example"}, &order_ab, "lacks the name b.example"},
        {{.san = "DNS:a.example"}, &order_wild, "a.example"},
        {{.san = "DNS:x.a.example"}, &order_wild, "x.a.example"},
        {{.san = NULL}, &order_a, "lacks"},
        {{.common_names = {"c.example"}, .san = "DNS:a.example"}, &order_a, "c.example"},
        {{.common_names = {"My Server"}, .san = "DNS:a.example"}, &order_a, "common name my server"},
        {{.common_names = {"a.example\n"}, .san = "DNS:a.example"}, &order_a, "a.example\\x0a"},
        {{.san = "DNS:a.example,IP:192.0.2.1"}, &order_a, "192.0.2.1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        judge(ec_key, &cases[i].request, cases[i].order, NULL, NULL, cases[i].hint);
}

/* The same numbers in other octets: what a CA writes into the certificate would not be found again. */
static void rsa_key_written_otherwise(void **state)
{
    (void)state;
    const struct make_request request = {.san = "DNS:a.example"};
    struct acme_csr csr = make_csr(arena, make_rsa_key(arena, 2048, 65537), &request);
    const char *why = NULL;
    assert_int_equal(
        acme_csr_check(arena, &csr, order_a.identifiers, order_a.count, &acme_key_policy_default, NULL, &why)
            .code,
        ACME_OK);
    csr.spki.len--; /* as if a byte of it were missing */
    assert_int_equal(
        acme_csr_check(arena, &csr, order_a.identifiers, order_a.count, &acme_key_policy_default, NULL, &why)
            .code,
        ACME_E_DENIED);
    assert_non_null(strstr(why, "not encoded as usual"));
}

static void keys(void **state)
{
    (void)state;
    const struct make_request request = {.san = "DNS:a.example"};
    const struct make_request plain = {.san = "DNS:a.example", .digest = ""};
    struct acme_key_policy policy = acme_key_policy_default;
    judge(make_rsa_key(arena, 1024, 65537), &request, &order_a, NULL, NULL, "1024 bits");
    EVP_PKEY *rsa = make_rsa_key(arena, 2048, 65537);
    judge(rsa, &request, &order_a, NULL, NULL, NULL);
    policy.rsa_min_bits = 3072;
    judge(rsa, &request, &order_a, &policy, NULL, "2048 bits");
    policy = acme_key_policy_default;
    policy.rsa_max_bits = 2047;
    judge(rsa, &request, &order_a, &policy, NULL, "2048 bits");
    policy.rsa = false;
    judge(rsa, &request, &order_a, &policy, NULL, "RSA");
    judge(make_rsa_key(arena, 2048, 3), &request, &order_a, NULL, NULL, "exponent");
    judge(make_ec_key(arena, "P-384"), &request, &order_a, NULL, NULL, NULL);
    judge(make_ec_key(arena, "P-521"), &request, &order_a, NULL, NULL, NULL);
    judge(make_ec_key(arena, "secp256k1"), &request, &order_a, NULL, NULL, "secp256k1");
    judge(make_ec_key(arena, "P-224"), &request, &order_a, NULL, NULL, "secp224r1");
    policy = acme_key_policy_default;
    policy.p256 = false;
    judge(ec_key, &request, &order_a, &policy, NULL, "prime256v1");
    EVP_PKEY *ed = make_ed25519_key(arena);
    judge(ed, &plain, &order_a, NULL, NULL, "Ed25519");
    policy.ed25519 = true;
    judge(ed, &plain, &order_a, &policy, NULL, NULL);
}

static void account_key(void **state)
{
    (void)state;
    const struct make_request request = {.san = "DNS:a.example"};
    judge(ec_key, &request, &order_a, NULL, ec_key, "account key");
    judge(ec_key, &request, &order_a, NULL, make_ec_key(arena, "P-256"), NULL);
    judge(ec_key, &request, &order_a, NULL, make_rsa_key(arena, 2048, 65537), NULL);
}

/* A request from our own store has been judged before; without its key it cannot be again. */
static void not_without_the_key(void **state)
{
    (void)state;
    struct acme_csr csr;
    const char *why = NULL;
    struct acme_bytes der = make_csr_der(arena, ec_key, &(struct make_request){.san = "DNS:a.example"});
    assert_int_equal(acme_csr_reread(arena, der, &csr).code, ACME_OK);
    assert_int_equal(
        acme_csr_check(arena, &csr, order_a.identifiers, 1, &acme_key_policy_default, NULL, &why).code,
        ACME_E_STATE);
}

static void unusual_point_forms(void **state)
{
    (void)state;
    const struct make_request request = {.san = "DNS:a.example"};
    static const char *const forms[] = {"compressed", "hybrid"};
    for (size_t i = 0; i < 2; i++) {
        EVP_PKEY *key = make_ec_key(arena, "P-256");
        assert_int_equal(
            EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, forms[i]), 1);
        judge(key, &request, &order_a, NULL, NULL, "uncompressed");
    }
    EVP_PKEY *explicit_curve = make_ec_key(arena, "P-256");
    assert_int_equal(EVP_PKEY_set_utf8_string_param(explicit_curve, OSSL_PKEY_PARAM_EC_ENCODING, "explicit"),
                     1);
    judge(explicit_curve, &request, &order_a, NULL, NULL, "curve");
}

static void extensions(void **state)
{
    (void)state;
    static const struct {
        struct make_extension extensions[4];
        const char *hint;
    } cases[] = {
        {{{NID_key_usage, "critical,digitalSignature,keyEncipherment"},
          {NID_ext_key_usage, "serverAuth,clientAuth"},
          {NID_basic_constraints, "CA:FALSE"},
          {NID_tlsfeature, "status_request"}},
         NULL},
        {{{NID_subject_key_identifier, "DER:0403010203"}}, NULL},
        {{{NID_ext_key_usage, "serverAuth"}}, NULL},
        {{{NID_key_usage, "keyCertSign"}}, "Key Usage"},
        {{{NID_key_usage, "digitalSignature,cRLSign"}}, "Key Usage"},
        {{{NID_key_usage, "DER:0500"}}, "Key Usage"},
        {{{NID_ext_key_usage, "serverAuth,codeSigning"}}, "Extended Key Usage"},
        {{{NID_ext_key_usage, "anyExtendedKeyUsage"}}, "Extended Key Usage"},
        {{{NID_basic_constraints, "critical,CA:TRUE"}}, "Basic Constraints"},
        {{{NID_tlsfeature, "status_request_v2"}}, "TLS Feature"},
        {{{NID_tlsfeature, "status_request,status_request_v2"}}, "TLS Feature"},
        {{{NID_name_constraints, "permitted;DNS:example"}}, "Name Constraints"},
        {{{NID_authority_key_identifier, "DER:3000"}}, "Authority Key Identifier"},
        {{{NID_netscape_comment, "x"}}, "Netscape Comment"},
        {{{NID_key_usage, "digitalSignature"}, {NID_key_usage, "digitalSignature"}}, "twice"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct make_request request = {.san = "DNS:a.example"};
        memcpy(request.extensions, cases[i].extensions, sizeof request.extensions);
        judge(ec_key, &request, &order_a, NULL, NULL, cases[i].hint);
    }
}

/* An extension OpenSSL has no name for is told by its number. */
static void unknown_extension(void **state)
{
    (void)state;
    X509_REQ *req = X509_REQ_new();
    assert_int_equal(X509_REQ_set_pubkey(req, ec_key), 1);
    STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();
    sk_X509_EXTENSION_push(list, X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:a.example"));
    ASN1_OBJECT *object = OBJ_txt2obj("1.3.6.1.4.1.99999.1", 1);
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    ASN1_OCTET_STRING_set(value, (const unsigned char *)"\x05\x00", 2);
    sk_X509_EXTENSION_push(list, X509_EXTENSION_create_by_OBJ(NULL, object, 0, value));
    assert_int_equal(X509_REQ_add_extensions(req, list), 1);
    assert_true(X509_REQ_sign(req, ec_key, EVP_sha256()) > 0);
    unsigned char *der = NULL;
    int len = i2d_X509_REQ(req, &der);
    struct acme_csr csr;
    const char *why = NULL;
    assert_int_equal(acme_csr_parse(arena, (struct acme_bytes){der, (size_t)len}, &csr, &why).code, ACME_OK);
    assert_int_equal(
        acme_csr_check(arena, &csr, order_a.identifiers, 1, &acme_key_policy_default, NULL, &why).code,
        ACME_E_DENIED);
    assert_non_null(strstr(why, "1.3.6.1.4.1.99999.1"));
    OPENSSL_free(der);
    ASN1_OBJECT_free(object);
    ASN1_OCTET_STRING_free(value);
    sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
    X509_REQ_free(req);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(keys),
        cmocka_unit_test(rsa_key_written_otherwise),
        cmocka_unit_test(account_key),
        cmocka_unit_test(not_without_the_key),
        cmocka_unit_test(unusual_point_forms),
        cmocka_unit_test(extensions),
        cmocka_unit_test(unknown_extension),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
