/* alpn_cert.c: the certificate of tls-alpn-01, right and with every single thing wrong. */
#include "certs/alpn_cert.h"
#include "make.h"

#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define KEY_AUTHORIZATION "token.thumbprint"

static struct acme_arena *arena;
static EVP_PKEY *ec_key;
static EVP_PKEY *other_key;
static int nid; /* of acmeIdentifier */
static unsigned char digest[32];
static struct acme_bytes genuine; /* OCTET STRING of the digest */

static int set_up(void **state)
{
    (void)state;
    arena = acme_arena_create(8 * 1024 * 1024);
    ec_key = make_ec_key(arena, "P-256");
    other_key = make_ec_key(arena, "P-256");
    nid = OBJ_txt2nid("1.3.6.1.5.5.7.1.31");
    if (nid == NID_undef)
        nid = OBJ_create("1.3.6.1.5.5.7.1.31", "acmeIdentifier", "ACME Identifier");
    assert_int_equal(
        EVP_Digest(KEY_AUTHORIZATION, strlen(KEY_AUTHORIZATION), digest, NULL, EVP_sha256(), NULL), 1);
    static unsigned char value[34] = {0x04, 0x20};
    memcpy(value + 2, digest, sizeof digest);
    genuine = (struct acme_bytes){.data = value, .len = sizeof value};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    acme_arena_destroyp(&arena);
    return 0;
}

struct recipe {
    const char *san;        /* NULL: none */
    const char *second_san; /* in an extension of its own */
    struct acme_bytes value;
    int extensions; /* how many acmeIdentifier */
    bool not_critical;
    EVP_PKEY *key;       /* NULL: ec_key */
    EVP_PKEY *signer;    /* NULL: the key itself */
    bool foreign_issuer; /* the issuer's name is not the subject's */
};

static void add_san(X509 *cert, const char *san)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, NULL, NULL, NULL, NULL, X509V3_CTX_TEST);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, NID_subject_alt_name, san);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(cert, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static struct acme_bytes make(const struct recipe *recipe)
{
    EVP_PKEY *key = recipe->key != NULL ? recipe->key : ec_key;
    X509 *cert = make_cert(arena, key, &(struct make_cert){.name = "acme"}, NULL, NULL);
    if (recipe->san != NULL)
        add_san(cert, recipe->san);
    if (recipe->second_san != NULL)
        add_san(cert, recipe->second_san);
    for (int i = 0; i < recipe->extensions; i++) {
        ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
        assert_int_equal(ASN1_OCTET_STRING_set(octets, recipe->value.data, (int)recipe->value.len), 1);
        X509_EXTENSION *extension =
            X509_EXTENSION_create_by_NID(NULL, nid, recipe->not_critical ? 0 : 1, octets);
        assert_int_equal(X509_add_ext(cert, extension, -1), 1);
        X509_EXTENSION_free(extension);
        ASN1_OCTET_STRING_free(octets);
    }
    if (recipe->foreign_issuer)
        assert_int_equal(X509_NAME_add_entry_by_NID(X509_get_issuer_name(cert), NID_organizationName,
                                                    MBSTRING_UTF8, (const unsigned char *)"CA", -1, -1, 0),
                         1);
    assert_true(X509_sign(cert, recipe->signer != NULL ? recipe->signer : key, EVP_sha256()) > 0);
    return make_der(arena, cert);
}

static struct acme_err judge(struct acme_bytes der, const struct acme_identifier *identifier,
                             struct acme_problem *ret)
{
    return acme_alpn_cert_judge(arena, der, identifier, KEY_AUTHORIZATION, ret);
}

static void expect_good(const struct recipe *recipe, struct acme_identifier identifier)
{
    struct acme_problem problem = {.detail = "?"};
    if (acme_failed(judge(make(recipe), &identifier, &problem)))
        fail_msg("%s refused: %s", identifier.value, problem.detail);
}

static void expect_bad_der(struct acme_bytes der, struct acme_identifier identifier,
                           enum acme_problem_type type, const char *hint)
{
    struct acme_problem problem = {.detail = NULL};
    struct acme_err err = judge(der, &identifier, &problem);
    if (err.code != ACME_E_PROBLEM)
        fail_msg("taken, but should fail for: %s", hint);
    assert_int_equal(problem.type, type);
    if (strstr(problem.detail, hint) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", problem.detail, hint);
    for (const char *c = problem.detail; *c != '\0'; c++)
        assert_in_range((unsigned char)*c, 0x20, 0x7e);
}

static void good_answers(void **state)
{
    (void)state;
    struct recipe recipe = {.san = "DNS:a.example", .value = genuine, .extensions = 1};
    expect_good(&recipe, dns_name("a.example"));
    recipe.san = "DNS:A.EXAMPLE";
    expect_good(&recipe, dns_name("a.example"));
    recipe.key = make_rsa_key(arena, 2048, 65537);
    expect_good(&recipe, dns_name("a.example"));
    recipe.san = "IP:192.0.2.1";
    expect_good(&recipe, ip_name("192.0.2.1"));
    recipe.san = "IP:2001:db8::1";
    expect_good(&recipe, ip_name("2001:db8::1"));
}

static void wrong_answers(void **state)
{
    (void)state;
    static const unsigned char other[34] = {0x04, 0x20, 0xab};
    unsigned char longer[36] = {0};
    unsigned char tagged[34] = {0};
    memcpy(longer, genuine.data, genuine.len);
    longer[34] = 0x05; /* NULL behind it */
    memcpy(tagged, genuine.data, genuine.len);
    tagged[0] = 0x0c;
    const enum acme_problem_type wrong = ACME_PROBLEM_INCORRECT_RESPONSE;
    const struct {
        struct recipe recipe;
        enum acme_problem_type type;
        const char *hint;
    } cases[] = {
        {{.san = "DNS:a.example", .value = {other, sizeof other}, .extensions = 1},
         wrong,
         "another challenge"},
        {{.san = "DNS:a.example", .value = {digest, 32}, .extensions = 1}, wrong, "OCTET STRING"},
        {{.san = "DNS:a.example", .value = {genuine.data, 33}, .extensions = 1}, wrong, "(33 bytes)"},
        {{.san = "DNS:a.example", .value = {longer, 36}, .extensions = 1}, wrong, "(36 bytes)"},
        {{.san = "DNS:a.example", .value = {tagged, 34}, .extensions = 1}, wrong, "OCTET STRING"},
        {{.san = "DNS:a.example", .value = {genuine.data, 0}, .extensions = 1}, wrong, "(0 bytes)"},
        {{.san = "DNS:a.example", .value = genuine, .extensions = 1, .not_critical = true},
         wrong,
         "critical"},
        {{.san = "DNS:a.example", .value = genuine, .extensions = 2}, wrong, "2 times"},
        {{.san = "DNS:a.example"}, ACME_PROBLEM_UNAUTHORIZED, "\"a.example\""},
        {{.san = NULL}, ACME_PROBLEM_UNAUTHORIZED, "no names"},
        {{.value = genuine, .extensions = 1}, wrong, "no names"},
        {{.san = "DNS:b.example", .value = genuine, .extensions = 1}, wrong, "\"b.example\""},
        {{.san = "DNS:*.example", .value = genuine, .extensions = 1}, wrong, "\"*.example\""},
        {{.san = "DNS:a.example.", .value = genuine, .extensions = 1}, wrong, "\"a.example.\""},
        {{.san = "DNS:a.exampl", .value = genuine, .extensions = 1}, wrong, "\"a.exampl\""},
        {{.san = "DNS:a.example,DNS:b.example", .value = genuine, .extensions = 1}, wrong, "\"b.example\""},
        {{.san = "DNS:a.example,DNS:a.example", .value = genuine, .extensions = 1}, wrong, "once"},
        {{.san = "DNS:a.example,email:x@y.example", .value = genuine, .extensions = 1}, wrong, "x@y.example"},
        {{.san = "DNS:a.example,RID:1.2.3", .value = genuine, .extensions = 1}, wrong, "another kind"},
        {{.san = "DNS:1,DNS:2,DNS:3,DNS:4,DNS:5,DNS:6,DNS:7", .value = genuine, .extensions = 1},
         wrong,
         "and 2 more"},
        {{.san = "DNS:a.ex\x01mple\xff", .value = genuine, .extensions = 1}, wrong, "a.ex\\x01mple\\xff"},
        {{.san = "URI:a.example", .value = genuine, .extensions = 1}, wrong, "a.example"},
        {{.san = "IP:192.0.2.1", .value = genuine, .extensions = 1}, wrong, "192.0.2.1"},
        {{.san = "DNS:a.example", .second_san = "DNS:a.example", .value = genuine, .extensions = 1},
         wrong,
         "twice"},
        {{.san = "DNS:a.example", .value = genuine, .extensions = 1, .signer = other_key}, wrong, "own key"},
        {{.san = "DNS:a.example", .value = genuine, .extensions = 1, .foreign_issuer = true},
         wrong,
         "own key"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_bad_der(make(&cases[i].recipe), dns_name("a.example"), cases[i].type, cases[i].hint);
}

static void wrong_addresses(void **state)
{
    (void)state;
    struct recipe recipe = {.san = "IP:192.0.2.2", .value = genuine, .extensions = 1};
    const enum acme_problem_type wrong = ACME_PROBLEM_INCORRECT_RESPONSE;
    expect_bad_der(make(&recipe), ip_name("192.0.2.1"), wrong, "the address 192.0.2.2");
    recipe.san = "DNS:192.0.2.1";
    expect_bad_der(make(&recipe), ip_name("192.0.2.1"), wrong, "\"192.0.2.1\"");
    recipe.san = "DNS:1.2.0.192.in-addr.arpa";
    expect_bad_der(make(&recipe), ip_name("192.0.2.1"), wrong, "in-addr.arpa");
    recipe.san = "IP:192.0.2.1";
    expect_bad_der(make(&recipe), dns_name("192.0.2.1.example"), wrong, "the address 192.0.2.1");
    recipe.san = "IP:::ffff:192.0.2.1"; /* 16 octets */
    expect_bad_der(make(&recipe), ip_name("192.0.2.1"), wrong, "::ffff:192.0.2.1");
    recipe.san = "IP:2001:db8::1";
    expect_bad_der(make(&recipe), ip_name("2001:db8::2"), wrong, "2001:db8::1");
}

static void no_certificates(void **state)
{
    (void)state;
    const enum acme_problem_type type = ACME_PROBLEM_UNAUTHORIZED;
    expect_bad_der((struct acme_bytes){.data = NULL, .len = 0}, dns_name("a.example"), type, "no readable");
    const struct recipe recipe = {.san = "DNS:a.example", .value = genuine, .extensions = 1};
    struct acme_bytes der = make(&recipe);
    for (size_t len = 0; len < der.len; len += 7)
        expect_bad_der((struct acme_bytes){.data = der.data, .len = len}, dns_name("a.example"), type,
                       "no readable");
    uint8_t *longer = acme_arena_alloc(arena, der.len + 1);
    memcpy(longer, der.data, der.len);
    expect_bad_der((struct acme_bytes){.data = longer, .len = der.len + 1}, dns_name("a.example"), type,
                   "no readable");
    longer[der.len - 1] ^= 1; /* the signature's last octet */
    expect_bad_der((struct acme_bytes){.data = longer, .len = der.len}, dns_name("a.example"),
                   ACME_PROBLEM_INCORRECT_RESPONSE, "own key");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_answers),
        cmocka_unit_test(wrong_answers),
        cmocka_unit_test(wrong_addresses),
        cmocka_unit_test(no_certificates),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
