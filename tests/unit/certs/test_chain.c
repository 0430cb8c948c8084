/* chain.c, chain_check.c, cert_info.c: sorting, judging and describing what a CA sent. */
#include "base/b64url.h"
#include "base/clock.h"
#include "make.h"

#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct acme_arena *arena;
static EVP_PKEY *root_key;
static EVP_PKEY *inter_key;
static EVP_PKEY *inner_key;
static EVP_PKEY *leaf_key;
static X509 *root;
static X509 *inter;
static X509 *inner; /* issued by inter */
static X509 *leaf;  /* issued by inner */
static struct acme_csr csr;
static const struct acme_identifier order[] = {{ACME_IDENTIFIER_DNS, "a.example"}};

static X509 *make_leaf(const struct make_cert *what, X509 *issuer, EVP_PKEY *key)
{
    return make_cert(arena, leaf_key, what, issuer, key);
}

static int set_up(void **state)
{
    (void)state;
    arena = acme_arena_create(8 * 1024 * 1024);
    root_key = make_ec_key(arena, "P-256");
    inter_key = make_ec_key(arena, "P-384");
    inner_key = make_rsa_key(arena, 2048, 65537);
    leaf_key = make_ec_key(arena, "P-256");
    root = make_cert(arena, root_key, &(struct make_cert){.name = "Root", .ca = true}, NULL, NULL);
    inter = make_cert(arena, inter_key, &(struct make_cert){.name = "Inter", .ca = true}, root, root_key);
    inner = make_cert(arena, inner_key, &(struct make_cert){.name = "Inner", .ca = true}, inter, inter_key);
    leaf = make_leaf(&(struct make_cert){.name = "a.example", .san = "DNS:a.example"}, inner, inner_key);
    csr = make_csr(arena, leaf_key, &(struct make_request){.san = "DNS:a.example"});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    acme_arena_destroyp(&arena);
    return 0;
}

static void expect_chain(const struct acme_cert_list *pool, const struct acme_cert_list *expected)
{
    struct acme_cert_list chain = {.count = 0};
    assert_int_equal(acme_chain_build(pool, csr.spki_sha256, &chain).code, ACME_OK);
    assert_int_equal(chain.count, expected->count);
    for (size_t i = 0; i < chain.count; i++)
        assert_ptr_equal(chain.certs[i], expected->certs[i]);
}

static void expect_no_chain(const struct acme_cert_list *pool, enum acme_code code)
{
    struct acme_cert_list chain = {.count = 77};
    assert_int_equal(acme_chain_build(pool, csr.spki_sha256, &chain).code, code);
    assert_int_equal(chain.count, 77);
}

static void any_order_gives_the_chain(void **state)
{
    (void)state;
    X509 *const set[] = {root, inner, inter, leaf};
    const struct acme_cert_list expected = {.certs = {leaf, inner, inter}, .count = 3};
    for (size_t code = 0; code < 256; code++) { /* all permutations of four */
        size_t at[4] = {code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6};
        if ((1U << at[0] | 1U << at[1] | 1U << at[2] | 1U << at[3]) != 15)
            continue;
        expect_chain(
            &(struct acme_cert_list){.certs = {set[at[0]], set[at[1]], set[at[2]], set[at[3]]}, .count = 4},
            &expected);
    }
    expect_chain(&(struct acme_cert_list){.certs = {inter, leaf, inner}, .count = 3}, &expected);
}

static void foreign_certificates_are_left_out(void **state)
{
    (void)state;
    EVP_PKEY *key = make_ec_key(arena, "P-256");
    X509 *same_name =
        make_cert(arena, key, &(struct make_cert){.name = "Inner", .ca = true}, inter, inter_key);
    X509 *other_leaf = make_cert(arena, key, &(struct make_cert){.name = "b.example", .san = "DNS:b.example"},
                                 inter, inter_key);
    expect_chain(
        &(struct acme_cert_list){.certs = {same_name, other_leaf, root, inter, inner, leaf}, .count = 6},
        &(struct acme_cert_list){.certs = {leaf, inner, inter}, .count = 3});
}

static void the_root_is_kept_when_it_issued_the_leaf(void **state)
{
    (void)state;
    X509 *direct =
        make_leaf(&(struct make_cert){.name = "a.example", .san = "DNS:a.example"}, root, root_key);
    expect_chain(&(struct acme_cert_list){.certs = {root, direct}, .count = 2},
                 &(struct acme_cert_list){.certs = {direct, root}, .count = 2});
}

static void the_latest_leaf_of_a_key_is_meant(void **state)
{
    (void)state;
    X509 *newer = make_leaf(&(struct make_cert){.name = "a.example",
                                                .san = "DNS:a.example",
                                                .not_before_ms = TEST_NOW_MS - ACME_HOUR_MS,
                                                .serial = 5},
                            inner, inner_key);
    expect_chain(&(struct acme_cert_list){.certs = {leaf, newer, inner, inter}, .count = 4},
                 &(struct acme_cert_list){.certs = {newer, inner, inter}, .count = 3});
}

static void cross_certificates(void **state)
{
    (void)state;
    EVP_PKEY *old_key = make_ec_key(arena, "P-256");
    X509 *old_root = make_cert(arena, old_key, &(struct make_cert){.name = "Old", .ca = true}, NULL, NULL);
    X509 *crossed =
        make_cert(arena, root_key, &(struct make_cert){.name = "Root", .ca = true}, old_root, old_key);
    expect_chain(&(struct acme_cert_list){.certs = {crossed, old_root, root, inter, inner, leaf}, .count = 6},
                 &(struct acme_cert_list){.certs = {leaf, inner, inter}, .count = 3});
    expect_chain(&(struct acme_cert_list){.certs = {crossed, old_root, inter, inner, leaf}, .count = 5},
                 &(struct acme_cert_list){.certs = {leaf, inner, inter, crossed}, .count = 4});
}

static void no_chain(void **state)
{
    (void)state;
    expect_no_chain(&(struct acme_cert_list){.count = 0}, ACME_E_NOT_FOUND);
    expect_no_chain(&(struct acme_cert_list){.certs = {root, inter, inner}, .count = 3}, ACME_E_NOT_FOUND);
    expect_no_chain(&(struct acme_cert_list){.certs = {leaf}, .count = 1}, ACME_E_FORMAT);
    expect_no_chain(&(struct acme_cert_list){.certs = {leaf, root, inter}, .count = 3}, ACME_E_FORMAT);
    /* a CA certificate with the requested key is no leaf */
    X509 *ca = make_leaf(&(struct make_cert){.name = "a.example", .ca = true}, root, root_key);
    expect_no_chain(&(struct acme_cert_list){.certs = {ca, root}, .count = 2}, ACME_E_NOT_FOUND);
    X509 *self = make_leaf(&(struct make_cert){.name = "a.example", .san = "DNS:a.example"}, NULL, NULL);
    expect_no_chain(&(struct acme_cert_list){.certs = {self, root}, .count = 2}, ACME_E_FORMAT);
}

/* Two CAs that certify one another and no root. */
static void a_loop_is_refused(void **state)
{
    (void)state;
    EVP_PKEY *x_key = make_ec_key(arena, "P-256");
    EVP_PKEY *y_key = make_ec_key(arena, "P-256");
    X509 *x_self = make_cert(arena, x_key, &(struct make_cert){.name = "X", .ca = true}, NULL, NULL);
    X509 *y_by_x = make_cert(arena, y_key, &(struct make_cert){.name = "Y", .ca = true}, x_self, x_key);
    X509 *x_by_y = make_cert(arena, x_key, &(struct make_cert){.name = "X", .ca = true}, y_by_x, y_key);
    X509 *end = make_leaf(&(struct make_cert){.name = "a.example", .san = "DNS:a.example"}, x_by_y, x_key);
    expect_no_chain(&(struct acme_cert_list){.certs = {end, x_by_y, y_by_x}, .count = 3}, ACME_E_FORMAT);
}

/* hint NULL: has to pass. */
static void judge(const struct acme_cert_list *chain, int64_t now_ms, const char *hint)
{
    const char *why = NULL;
    struct acme_err err = acme_chain_check(arena, chain, &csr, order, 1, now_ms, &why);
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

/* Where only one issuer fits by name the signature is left to the check. */
static void a_forged_signature_is_seen(void **state)
{
    (void)state;
    X509 *forged =
        make_leaf(&(struct make_cert){.name = "a.example", .san = "DNS:a.example"}, root, inter_key);
    const struct acme_cert_list chain = {.certs = {forged, root}, .count = 2};
    expect_chain(&chain, &chain);
    judge(&chain, TEST_NOW_MS, "not signed by the next");
}

static struct acme_err judge_signed_here(const struct acme_cert_list *chain, int64_t now_ms,
                                         const char **ret_why)
{
    return acme_chain_check_signed_here(arena, chain, &csr, order, 1, now_ms, ret_why);
}

/* Everything but the signature counts for what was signed here, too. */
static void signed_here(void **state)
{
    (void)state;
    const char *why = "";
    const struct acme_cert_list good = {.certs = {leaf, inner, inter}, .count = 3};
    assert_int_equal(judge_signed_here(&good, TEST_NOW_MS, &why).code, ACME_OK);
    X509 *forged =
        make_leaf(&(struct make_cert){.name = "a.example", .san = "DNS:a.example"}, root, inter_key);
    assert_int_equal(
        judge_signed_here(&(struct acme_cert_list){.certs = {forged, root}, .count = 2}, TEST_NOW_MS, &why)
            .code,
        ACME_OK);
    const struct acme_cert_list disordered = {.certs = {leaf, inter, inner}, .count = 3};
    assert_int_equal(judge_signed_here(&disordered, TEST_NOW_MS, &why).code, ACME_E_DENIED);
    assert_string_equal(why, "certificate 1 of the chain is not signed by the next");
    X509 *other_name =
        make_leaf(&(struct make_cert){.name = "b.example", .san = "DNS:b.example"}, inner, inner_key);
    assert_int_equal(judge_signed_here(&(struct acme_cert_list){.certs = {other_name, inner}, .count = 2},
                                       TEST_NOW_MS, &why)
                         .code,
                     ACME_E_DENIED);
    assert_non_null(strstr(why, "b.example"));
    X509 *other_key =
        make_cert(arena, make_ec_key(arena, "P-256"),
                  &(struct make_cert){.name = "a.example", .san = "DNS:a.example"}, inner, inner_key);
    assert_int_equal(judge_signed_here(&(struct acme_cert_list){.certs = {other_key, inner}, .count = 2},
                                       TEST_NOW_MS, &why)
                         .code,
                     ACME_E_DENIED);
    assert_string_equal(why, "the certificate's key is not the key of the CSR");
    assert_int_equal(judge_signed_here(&good, TEST_NOW_MS + 100000 * ACME_DAY_MS, &why).code, ACME_E_DENIED);
    assert_string_equal(why, "certificate 1 of the chain has expired");
}

static X509 *without_authority_key_id(X509 *cert, EVP_PKEY *issuer_key)
{
    int index = X509_get_ext_by_NID(cert, NID_authority_key_identifier, -1);
    assert_true(index >= 0);
    X509_EXTENSION_free(X509_delete_ext(cert, index));
    assert_true(X509_sign(cert, issuer_key, EVP_sha256()) > 0);
    return cert;
}

/* Two issuers of the same name, and nothing in the leaf that tells which: the signature decides. */
static void of_several_that_fit_the_signer_is_taken(void **state)
{
    (void)state;
    EVP_PKEY *other_key = make_ec_key(arena, "P-256");
    X509 *other = make_cert(arena, other_key, &(struct make_cert){.name = "Root", .ca = true}, NULL, NULL);
    X509 *good = without_authority_key_id(
        make_leaf(&(struct make_cert){.name = "a.example", .san = "DNS:a.example"}, root, root_key),
        root_key);
    assert_int_equal(X509_check_issued(other, good), X509_V_OK);
    const struct acme_cert_list expected = {.certs = {good, root}, .count = 2};
    expect_chain(&(struct acme_cert_list){.certs = {other, good, root}, .count = 3}, &expected);
    expect_chain(&(struct acme_cert_list){.certs = {root, good, other}, .count = 3}, &expected);
    judge(&expected, TEST_NOW_MS, NULL);
    /* of neither */
    X509 *forged = without_authority_key_id(
        make_leaf(&(struct make_cert){.name = "a.example", .san = "DNS:a.example"}, root, root_key),
        inter_key);
    expect_no_chain(&(struct acme_cert_list){.certs = {other, forged, root}, .count = 3}, ACME_E_FORMAT);
}

static void judge_leaf(const struct make_cert *what, int64_t now_ms, const char *hint)
{
    X509 *one = make_leaf(what, inner, inner_key);
    judge(&(struct acme_cert_list){.certs = {one, inner, inter}, .count = 3}, now_ms, hint);
}

static void good_chains(void **state)
{
    (void)state;
    judge(&(struct acme_cert_list){.certs = {leaf, inner, inter}, .count = 3}, TEST_NOW_MS, NULL);
    judge(&(struct acme_cert_list){.certs = {leaf, inner, inter, root}, .count = 4}, TEST_NOW_MS, NULL);
    static const char *const usages[] = {"serverAuth", "clientAuth", "codeSigning,clientAuth"};
    for (size_t i = 0; i < 3; i++)
        judge_leaf(&(struct make_cert){.name = "a.example",
                                       .san = "DNS:A.example",
                                       .extensions = {{NID_ext_key_usage, usages[i]},
                                                      {NID_basic_constraints, "CA:FALSE"}}},
                   TEST_NOW_MS, NULL);
}

static void wrong_content(void **state)
{
    (void)state;
    judge(&(struct acme_cert_list){.count = 0}, TEST_NOW_MS, "empty");
    EVP_PKEY *other = make_ec_key(arena, "P-256");
    X509 *foreign = make_cert(arena, other, &(struct make_cert){.name = "a.example", .san = "DNS:a.example"},
                              inner, inner_key);
    judge(&(struct acme_cert_list){.certs = {foreign, inner}, .count = 2}, TEST_NOW_MS, "key");
    static const struct {
        struct make_cert what;
        const char *hint;
    } cases[] = {
        {{.name = "a.example"}, "no subjectAltName"},
        {{.name = "a.example", .san = "DNS:b.example"}, "b.example"},
        {{.name = "a.example", .san = "DNS:a.example,DNS:www.a.example"}, "www.a.example"},
        {{.name = "a.example", .san = "IP:192.0.2.1"}, "192.0.2.1"},
        {{.name = "a.example", .san = "DNS:a.example,email:a@a.example"}, "kind"},
        {{.name = "a.example",
          .san = "DNS:a.example",
          .extensions = {{NID_subject_alt_name, "DNS:a.example"}}},
         "more than one"},
        {{.name = "a.example", .san = "DNS:a.example", .ca = true}, "CA certificate"},
        {{.name = "a.example", .san = "DNS:a.example", .extensions = {{NID_ext_key_usage, "codeSigning"}}},
         "extended key usage"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        judge_leaf(&cases[i].what, TEST_NOW_MS, cases[i].hint);
}

/* An address is compared by its octets, and never with a name that looks like it. */
static void addresses(void **state)
{
    (void)state;
    static const struct {
        const char *san;
        const char *hint; /* NULL: has to pass */
    } cases[] = {
        {"IP:192.0.2.1,IP:2001:db8::1", NULL},
        {"IP:2001:DB8:0::1,IP:192.0.2.1", NULL},
        {"IP:192.0.2.1", "lacks the name 2001:db8::1"},
        {"IP:192.0.2.1,IP:2001:db8::2", "2001:db8::2"},
        {"IP:192.0.2.1,IP:2001:db8::1,IP:192.0.2.2", "192.0.2.2"},
        {"IP:192.0.2.1,IP:2001:db8::1,DNS:a.example", "a.example"},
        {"DNS:192.0.2.1,IP:2001:db8::1", "192.0.2.1"},
        {"IP:::ffff:192.0.2.1,IP:2001:db8::1", "it is written 192.0.2.1"},
    };
    const struct acme_identifier wanted[] = {ip_name("192.0.2.1"), ip_name("2001:db8::1")};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        X509 *one =
            make_leaf(&(struct make_cert){.name = "addresses", .san = cases[i].san}, inner, inner_key);
        const struct acme_cert_list chain = {.certs = {one, inner, inter}, .count = 3};
        const char *why = "";
        struct acme_err err = acme_chain_check(arena, &chain, &csr, wanted, 2, TEST_NOW_MS, &why);
        assert_int_equal(err.code, cases[i].hint == NULL ? ACME_OK : ACME_E_DENIED);
        if (cases[i].hint != NULL && strstr(why, cases[i].hint) == NULL)
            fail_msg("the reason \"%s\" does not mention \"%s\"", why, cases[i].hint);
    }
}

static void validity(void **state)
{
    (void)state;
    struct make_cert what = {.name = "a.example",
                             .san = "DNS:a.example",
                             .not_before_ms = TEST_NOW_MS,
                             .not_after_ms = TEST_NOW_MS + ACME_HOUR_MS};
    judge_leaf(&what, TEST_NOW_MS - ACME_HOUR_MS, NULL);
    judge_leaf(&what, TEST_NOW_MS - ACME_HOUR_MS - 1000, "1 of the chain is not yet valid");
    judge_leaf(&what, TEST_NOW_MS + ACME_HOUR_MS, NULL);
    judge_leaf(&what, TEST_NOW_MS + ACME_HOUR_MS + 1000, "1 of the chain has expired");
    X509 *stale = make_cert(
        arena, inter_key,
        &(struct make_cert){.name = "Inter", .ca = true, .not_after_ms = TEST_NOW_MS - 1000}, root, root_key);
    judge(&(struct acme_cert_list){.certs = {leaf, inner, stale}, .count = 3}, TEST_NOW_MS,
          "3 of the chain has expired");
}

static void signatures(void **state)
{
    (void)state;
    judge(&(struct acme_cert_list){.certs = {leaf, inter, inner}, .count = 3}, TEST_NOW_MS, "1 of the chain");
    judge(&(struct acme_cert_list){.certs = {leaf, inner, root}, .count = 3}, TEST_NOW_MS, "2 of the chain");
    X509 *lookalike =
        make_cert(arena, leaf_key, &(struct make_cert){.name = "Inner", .ca = true}, inter, inter_key);
    judge(&(struct acme_cert_list){.certs = {leaf, lookalike}, .count = 2}, TEST_NOW_MS, "1 of the chain");
    /* signed by a key whose certificate is none of a CA */
    X509 *no_ca = make_cert(arena, inner_key, &(struct make_cert){.name = "Inner"}, inter, inter_key);
    judge(&(struct acme_cert_list){.certs = {leaf, no_ca}, .count = 2}, TEST_NOW_MS, "1 of the chain");
}

static void pem_is_strict(void **state)
{
    (void)state;
    const char *pem = acme_chain_pem(arena, &(struct acme_cert_list){.certs = {leaf, inner}, .count = 2});
    size_t line = 0;
    size_t ends = 0;
    for (const char *at = pem; *at != '\0'; at += line + 1) {
        line = strcspn(at, "\n");
        assert_int_equal(at[line], '\n');
        assert_true(line > 0 && line <= 64);
        ends += strncmp(at, "-----END CERTIFICATE-----\n", 26) == 0;
    }
    assert_int_equal(ends, 2);
    assert_null(strchr(pem, '\r'));
    struct acme_cert_list back;
    assert_int_equal(
        acme_certs_read(arena, (struct acme_bytes){(const uint8_t *)pem, strlen(pem)}, &back).code, ACME_OK);
    assert_int_equal(back.count, 2);
    assert_int_equal(X509_cmp(back.certs[0], leaf), 0);
    assert_int_equal(X509_cmp(back.certs[1], inner), 0);
    assert_string_equal(acme_chain_pem_of(arena, &back, make_der(arena, leaf)), pem);
}

static void info(void **state)
{
    (void)state;
    static const struct {
        long serial;
        const char *hex;
    } serials[] = {{1, "01"}, {0x7f, "7F"}, {0x80, "0080"}, {0xabcdef, "00ABCDEF"}};
    for (size_t i = 0; i < sizeof serials / sizeof *serials; i++) {
        X509 *one =
            make_leaf(&(struct make_cert){.name = "x", .serial = serials[i].serial}, inner, inner_key);
        struct acme_cert_info out;
        assert_int_equal(acme_cert_info_read(arena, one, &out).code, ACME_OK);
        assert_string_equal(out.serial_hex, serials[i].hex);
        assert_int_equal(strlen(out.aki_hex), 40);
        assert_int_equal(strspn(out.aki_hex, "0123456789ABCDEF"), 40);
        assert_int_equal(strlen(out.sha256_hex), 64);
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned len = 0;
        assert_int_equal(X509_digest(one, EVP_sha256(), digest, &len), 1);
        assert_string_equal(out.sha256_hex, acme_hex_encode(arena, digest, len, false));
        struct acme_bytes der = make_der(arena, one);
        assert_int_equal(out.der.len, der.len);
        assert_memory_equal(out.der.data, der.data, der.len);
        assert_true(out.not_before_ms == TEST_NOW_MS - ACME_DAY_MS);
        assert_true(out.not_after_ms == TEST_NOW_MS + ACME_DAY_MS);
    }
    X509 *bare = X509_new(); /* no extensions at all */
    assert_int_equal(X509_set_pubkey(bare, leaf_key), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(bare), 2), 1);
    assert_non_null(ASN1_TIME_set(X509_getm_notBefore(bare), 0));
    assert_non_null(
        ASN1_TIME_set(X509_getm_notAfter(bare), (time_t)INT64_C(4102444800))); /* GeneralizedTime */
    assert_true(X509_sign(bare, leaf_key, EVP_sha256()) > 0);
    struct acme_cert_info out;
    assert_int_equal(acme_cert_info_read(arena, bare, &out).code, ACME_OK);
    assert_string_equal(out.aki_hex, "");
    assert_true(out.not_before_ms == 0);
    assert_true(out.not_after_ms == INT64_C(4102444800000));
    X509_free(bare);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_order_gives_the_chain),
        cmocka_unit_test(foreign_certificates_are_left_out),
        cmocka_unit_test(the_root_is_kept_when_it_issued_the_leaf),
        cmocka_unit_test(the_latest_leaf_of_a_key_is_meant),
        cmocka_unit_test(cross_certificates),
        cmocka_unit_test(no_chain),
        cmocka_unit_test(a_forged_signature_is_seen),
        cmocka_unit_test(signed_here),
        cmocka_unit_test(of_several_that_fit_the_signer_is_taken),
        cmocka_unit_test(a_loop_is_refused),
        cmocka_unit_test(good_chains),
        cmocka_unit_test(wrong_content),
        cmocka_unit_test(addresses),
        cmocka_unit_test(validity),
        cmocka_unit_test(signatures),
        cmocka_unit_test(pem_is_strict),
        cmocka_unit_test(info),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
