/* local_ca_crl.c, cert_read.c: lists as OpenSSL reads them, what leaves say of them, presented certificates.
 */
#include "cmocka_all.h"

#include "certs/local_ca.h"
#include "make.h"

#include <ftw.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct acme_arena *arena;
static char directory[] = "/tmp/acme-local-crl-XXXXXX";
static struct acme_local_ca *ca;
static X509 *issuer;

static int64_t test_now(void *context)
{
    (void)context;
    return TEST_NOW_MS;
}

static const struct acme_clock test_clock = {.now_ms = test_now};

static int set_up(void **state)
{
    (void)state;
    arena = acme_arena_create(16 * 1024 * 1024);
    memcpy(directory + sizeof directory - 7, "XXXXXX", 6); /* anew for each test */
    struct acme_bytes der;
    if (arena == NULL || mkdtemp(directory) == NULL ||
        acme_failed(acme_local_ca_open(directory, "Test", &test_clock, &ca)) ||
        acme_failed(acme_local_ca_issuer_der(ca, arena, &der)) ||
        acme_failed(acme_cert_parse(arena, der, &issuer)))
        return -1;
    return 0;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

static int tear_down(void **state)
{
    (void)state;
    acme_local_ca_close(ca);
    acme_arena_destroyp(&arena);
    return nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static X509 *leaf(const char *name)
{
    EVP_PKEY *key = make_ec_key(arena, "P-256");
    unsigned char *spki = NULL;
    int len = i2d_PUBKEY(key, &spki);
    assert_true(len > 0);
    const struct acme_identifier identifier = dns_name(name);
    struct acme_cert_list chain;
    assert_int_equal(acme_local_ca_issue(ca, arena, (struct acme_bytes){.data = spki, .len = (size_t)len},
                                         &identifier, 1, TEST_NOW_MS, TEST_NOW_MS + ACME_DAY_MS, &chain)
                         .code,
                     ACME_OK);
    OPENSSL_free(spki);
    return chain.certs[0];
}

static struct acme_local_crl *new_list(void)
{
    struct acme_local_crl *crl = NULL;
    assert_int_equal(acme_local_crl_create(ca, &crl).code, ACME_OK);
    return crl;
}

static X509_CRL *sign(struct acme_local_crl *crl, int64_t number)
{
    uint8_t *der = NULL;
    size_t len = 0;
    assert_int_equal(
        acme_local_crl_sign(crl, number, TEST_NOW_MS, TEST_NOW_MS + 7 * ACME_DAY_MS, &der, &len).code,
        ACME_OK);
    const unsigned char *at = der;
    X509_CRL *parsed = d2i_X509_CRL(NULL, &at, (long)len);
    assert_non_null(parsed);
    assert_ptr_equal(at, der + len);
    free(der);
    acme_local_crl_destroy(crl);
    return parsed;
}

static int64_t ms_of(const ASN1_TIME *time)
{
    struct tm tm;
    assert_int_equal(ASN1_TIME_to_tm(time, &tm), 1);
    return (int64_t)timegm(&tm) * 1000;
}

static void test_empty_list(void **state)
{
    (void)state;
    X509_CRL *crl = sign(new_list(), 7);
    assert_int_equal(X509_CRL_get_version(crl), X509_CRL_VERSION_2);
    assert_int_equal(X509_CRL_verify(crl, X509_get0_pubkey(issuer)), 1);
    assert_int_equal(X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(issuer)), 0);
    assert_int_equal(ms_of(X509_CRL_get0_lastUpdate(crl)), TEST_NOW_MS);
    assert_int_equal(ms_of(X509_CRL_get0_nextUpdate(crl)), TEST_NOW_MS + 7 * ACME_DAY_MS);
    assert_int_equal(sk_X509_REVOKED_num(X509_CRL_get_REVOKED(crl)), -1); /* the member is left out */
    ASN1_INTEGER *number = X509_CRL_get_ext_d2i(crl, NID_crl_number, NULL, NULL);
    assert_non_null(number);
    assert_int_equal(ASN1_INTEGER_get(number), 7);
    ASN1_INTEGER_free(number);
    AUTHORITY_KEYID *authority = X509_CRL_get_ext_d2i(crl, NID_authority_key_identifier, NULL, NULL);
    assert_non_null(authority);
    assert_int_equal(ASN1_OCTET_STRING_cmp(authority->keyid, X509_get0_subject_key_id(issuer)), 0);
    AUTHORITY_KEYID_free(authority);
    X509_CRL_free(crl);
}

static long reason_of(const X509_REVOKED *entry)
{
    ASN1_ENUMERATED *value = X509_REVOKED_get_ext_d2i(entry, NID_crl_reason, NULL, NULL);
    long reason = value != NULL ? ASN1_ENUMERATED_get(value) : 0;
    ASN1_ENUMERATED_free(value);
    return reason;
}

static void test_entries(void **state)
{
    (void)state;
    X509 *certs[] = {leaf("a.test"), leaf("b.test"), leaf("c.test")};
    static const int reasons[] = {0, 1, 5};
    struct acme_local_crl *list = new_list();
    for (size_t i = 0; i < 2; i++) {
        struct acme_cert_info info;
        assert_int_equal(acme_cert_info_read(arena, certs[i], &info).code, ACME_OK);
        assert_int_equal(
            acme_local_crl_add(list, info.serial_hex, TEST_NOW_MS - (int64_t)i * 1000, reasons[i]).code,
            ACME_OK);
    }
    X509_CRL *crl = sign(list, 8);
    assert_int_equal(X509_CRL_verify(crl, X509_get0_pubkey(issuer)), 1);
    for (size_t i = 0; i < 2; i++) {
        X509_REVOKED *entry = NULL;
        assert_int_equal(X509_CRL_get0_by_cert(crl, &entry, certs[i]), 1);
        assert_int_equal(reason_of(entry), reasons[i]);
        assert_int_equal(X509_REVOKED_get_ext_count(entry), reasons[i] == 0 ? 0 : 1);
        assert_int_equal(ms_of(X509_REVOKED_get0_revocationDate(entry)), TEST_NOW_MS - (int64_t)i * 1000);
    }
    X509_REVOKED *entry = NULL;
    assert_int_equal(X509_CRL_get0_by_cert(crl, &entry, certs[2]), 0);
    X509_CRL_free(crl);
}

static void test_long_list(void **state)
{
    enum { MANY = 5000 };
    (void)state;
    struct acme_local_crl *list = new_list();
    char serial[16];
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(serial, sizeof serial, "00FF%06X", i);
        assert_int_equal(acme_local_crl_add(list, serial, TEST_NOW_MS, 4).code, ACME_OK);
    }
    X509_CRL *crl = sign(list, 9);
    assert_int_equal(X509_CRL_verify(crl, X509_get0_pubkey(issuer)), 1);
    assert_int_equal(sk_X509_REVOKED_num(X509_CRL_get_REVOKED(crl)), MANY);
    X509_CRL_free(crl);
}

static void test_wrong_entries(void **state)
{
    static const char *const serials[] = {"", "0x12", "12 ", "-1", "g"};
    static const int reasons[] = {-1, 7, 11};
    (void)state;
    struct acme_local_crl *list = new_list();
    for (size_t i = 0; i < sizeof serials / sizeof *serials; i++)
        assert_int_equal(acme_local_crl_add(list, serials[i], TEST_NOW_MS, 0).code, ACME_E_FORMAT);
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        assert_int_equal(acme_local_crl_add(list, "01", TEST_NOW_MS, reasons[i]).code, ACME_E_FORMAT);
    X509_CRL *crl = sign(list, 10);
    assert_int_equal(sk_X509_REVOKED_num(X509_CRL_get_REVOKED(crl)), -1);
    X509_CRL_free(crl);
}

static void test_leaves_name_what_is_published(void **state)
{
    static const char list_url[] = "http://pki.test/crl/lab,1.crl"; /* a comma is nothing special */
    static const char cert_url[] = "http://pki.test/ca/lab.cer";
    (void)state;
    X509 *before = leaf("before.test");
    assert_int_equal(X509_get_ext_by_NID(before, NID_crl_distribution_points, -1), -1);
    assert_int_equal(X509_get_ext_by_NID(before, NID_info_access, -1), -1);
    assert_int_equal(acme_local_ca_publish(ca, list_url, cert_url).code, ACME_OK);
    assert_int_equal(acme_local_ca_publish(ca, list_url, cert_url).code, ACME_E_INTERNAL);
    X509 *cert = leaf("after.test");
    CRL_DIST_POINTS *points = X509_get_ext_d2i(cert, NID_crl_distribution_points, NULL, NULL);
    assert_int_equal(sk_DIST_POINT_num(points), 1);
    const GENERAL_NAME *name =
        sk_GENERAL_NAME_value(sk_DIST_POINT_value(points, 0)->distpoint->name.fullname, 0);
    assert_int_equal(name->type, GEN_URI);
    assert_string_equal((const char *)ASN1_STRING_get0_data(name->d.uniformResourceIdentifier), list_url);
    CRL_DIST_POINTS_free(points);
    AUTHORITY_INFO_ACCESS *info = X509_get_ext_d2i(cert, NID_info_access, NULL, NULL);
    assert_int_equal(sk_ACCESS_DESCRIPTION_num(info), 1);
    const ACCESS_DESCRIPTION *access = sk_ACCESS_DESCRIPTION_value(info, 0);
    assert_int_equal(OBJ_obj2nid(access->method), NID_ad_ca_issuers);
    assert_string_equal((const char *)ASN1_STRING_get0_data(access->location->d.uniformResourceIdentifier),
                        cert_url);
    AUTHORITY_INFO_ACCESS_free(info);
}

static void test_presented_certificates(void **state)
{
    (void)state;
    EVP_PKEY *key = make_ec_key(arena, "P-256");
    const struct make_cert what = {.name = "x", .san = "DNS:a.test,IP:192.0.2.1,DNS:*.b.test"};
    X509 *cert = make_cert(arena, key, &what, NULL, key);
    struct acme_bytes der = make_der(arena, cert);
    struct acme_bytes again;
    X509 *parsed = NULL;
    assert_int_equal(acme_cert_parse(arena, der, &parsed).code, ACME_OK);
    assert_int_equal(acme_cert_der(arena, parsed, &again).code, ACME_OK);
    assert_int_equal(again.len, der.len);
    assert_memory_equal(again.data, der.data, der.len);
    assert_true(acme_cert_has_key(parsed, key));
    assert_false(acme_cert_has_key(parsed, make_ec_key(arena, "P-256")));
    assert_false(acme_cert_has_key(parsed, make_ec_key(arena, "P-384")));
    assert_false(acme_cert_has_key(parsed, make_ed25519_key(arena)));
    struct acme_identifier *names = NULL;
    size_t count = 0;
    assert_int_equal(acme_cert_names(arena, parsed, &names, &count).code, ACME_OK);
    assert_int_equal(count, 3);
    assert_string_equal(names[0].value, "a.test");
    assert_int_equal(names[1].type, ACME_IDENTIFIER_IP);
    assert_string_equal(names[2].value, "*.b.test");

    uint8_t *longer = acme_arena_alloc(arena, der.len + 1);
    memcpy(longer, der.data, der.len);
    X509 *none = NULL;
    assert_int_equal(
        acme_cert_parse(arena, (struct acme_bytes){.data = longer, .len = der.len + 1}, &none).code,
        ACME_E_FORMAT);
    for (size_t len = 0; len < der.len; len += 7)
        assert_int_equal(acme_cert_parse(arena, (struct acme_bytes){.data = longer, .len = len}, &none).code,
                         ACME_E_FORMAT);
    assert_null(none);
    const struct make_cert odd = {.name = "x", .san = "email:a@b.test"};
    assert_int_equal(acme_cert_names(arena, make_cert(arena, key, &odd, NULL, key), &names, &count).code,
                     ACME_E_FORMAT);
    const struct make_cert nameless = {.name = "x"};
    assert_int_equal(acme_cert_names(arena, make_cert(arena, key, &nameless, NULL, key), &names, &count).code,
                     ACME_OK);
    assert_int_equal(count, 0);
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_empty_list),
        T(test_entries),
        T(test_long_list),
        T(test_wrong_entries),
        T(test_leaves_name_what_is_published),
        T(test_presented_certificates),
    };
    return cmocka_run_group_tests_name("certs/local_ca_crl", tests, NULL, NULL);
}
