/* certs_read.c: every wrapping CAs use, and damage. */
#include "make.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct acme_arena *arena;
static X509 *certs[3];

static int set_up(void **state)
{
    (void)state;
    static const char *const names[] = {"one", "two", "three"};
    arena = acme_arena_create(8 * 1024 * 1024);
    for (size_t i = 0; i < 3; i++)
        certs[i] =
            make_cert(arena, make_ec_key(arena, "P-256"), &(struct make_cert){.name = names[i]}, NULL, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    acme_arena_destroyp(&arena);
    return 0;
}

static struct acme_bytes bytes(const char *text)
{
    return (struct acme_bytes){.data = (const uint8_t *)text, .len = strlen(text)};
}

static void expect(struct acme_bytes data, X509 *const *expected, size_t count)
{
    struct acme_cert_list list = {.count = 99};
    assert_int_equal(acme_certs_read(arena, data, &list).code, ACME_OK);
    assert_int_equal(list.count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(X509_cmp(list.certs[i], expected[i]), 0);
}

static void expect_code(struct acme_bytes data, enum acme_code code)
{
    struct acme_cert_list list = {.count = 99};
    assert_int_equal(acme_certs_read(arena, data, &list).code, code);
    assert_int_equal(list.count, 99);
}

static char *pem_of(X509 *cert)
{
    char *pem = acme_chain_pem(arena, &(struct acme_cert_list){.certs = {cert}, .count = 1});
    assert_non_null(pem);
    return pem;
}

static char *replace_all(const char *text, const char *from, const char *to)
{
    char *out = acme_arena_alloc(arena, strlen(text) * (strlen(to) + 1) + 1);
    size_t pos = 0;
    while (*text != '\0') {
        if (strncmp(text, from, strlen(from)) == 0) {
            memcpy(out + pos, to, strlen(to));
            pos += strlen(to);
            text += strlen(from);
        } else {
            out[pos++] = *text++;
        }
    }
    return out;
}

static void pem(void **state)
{
    (void)state;
    const char *all =
        acme_arena_printf(arena, "%s%s%s", pem_of(certs[0]), pem_of(certs[1]), pem_of(certs[2]));
    expect(bytes(all), certs, 3);
    expect(bytes(replace_all(all, "\n", "\r\n")), certs, 3);
    expect(bytes(acme_arena_printf(arena, "\xef\xbb\xbf%s", all)), certs, 3);
    /* s_client style, its text beginning with the first octet of DER; a blank line, other blocks between, no
     * end of line at the end */
    char *noisy = acme_arena_printf(arena,
                                    "0 s:CN = one\n   i:CN = one\n%s\nsubject=/CN=two\n"
                                    "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n%s",
                                    pem_of(certs[0]), pem_of(certs[1]));
    noisy[strlen(noisy) - 1] = '\0';
    expect(bytes(noisy), certs, 2);
    char *old = replace_all(pem_of(certs[0]), " CERTIFICATE", " X509 CERTIFICATE");
    expect(bytes(old), certs, 1);
}

static void der(void **state)
{
    (void)state;
    struct acme_bytes one = make_der(arena, certs[0]);
    expect(one, certs, 1);
    expect_code((struct acme_bytes){one.data, one.len - 1}, ACME_E_FORMAT);
    uint8_t *longer = acme_arena_alloc(arena, one.len + 1);
    memcpy(longer, one.data, one.len);
    expect_code((struct acme_bytes){longer, one.len + 1}, ACME_E_FORMAT);
}

static void pkcs7(void **state)
{
    (void)state;
    struct acme_bytes message = make_pkcs7(arena, certs, 3, false);
    struct acme_cert_list list;
    assert_int_equal(acme_certs_read(arena, message, &list).code, ACME_OK);
    assert_int_equal(list.count, 3); /* a SET: DER sorts them */
    for (size_t i = 0; i < 3; i++) {
        size_t found = 0;
        for (size_t j = 0; j < 3; j++)
            found += X509_cmp(certs[i], list.certs[j]) == 0;
        assert_int_equal(found, 1);
    }
    struct acme_bytes armoured = make_pkcs7(arena, certs, 1, true);
    expect(armoured, certs, 1);
    char *text = acme_arena_strndup(arena, (const char *)armoured.data, armoured.len);
    expect(bytes(replace_all(text, "\n", "\r\n")), certs, 1);
    /* the label some Windows servers use */
    expect(bytes(replace_all(text, " PKCS7", " CERTIFICATE")), certs, 1);
    expect_code(make_pkcs7(arena, certs, 0, false), ACME_E_FORMAT);
    expect_code((struct acme_bytes){message.data, message.len - 2}, ACME_E_FORMAT);
}

static void repeated_certificates_count_once(void **state)
{
    (void)state;
    const char *one = pem_of(certs[0]);
    expect(bytes(acme_arena_printf(arena, "%s%s%s%s", one, pem_of(certs[1]), one, one)), certs, 2);
}

static void too_many(void **state)
{
    (void)state;
    EVP_PKEY *key = make_ec_key(arena, "P-256");
    char *text = acme_arena_strdup(arena, "");
    for (long i = 1; i <= ACME_CHAIN_MAX_CERTS + 1; i++) {
        X509 *cert = make_cert(arena, key, &(struct make_cert){.name = "many", .serial = i}, NULL, NULL);
        text = acme_arena_printf(arena, "%s%s", text, pem_of(cert));
        if (i == ACME_CHAIN_MAX_CERTS) {
            struct acme_cert_list list;
            assert_int_equal(acme_certs_read(arena, bytes(text), &list).code, ACME_OK);
            assert_int_equal(list.count, ACME_CHAIN_MAX_CERTS);
        }
    }
    expect_code(bytes(text), ACME_E_LIMIT);
}

static void damage(void **state)
{
    (void)state;
    expect_code((struct acme_bytes){.data = NULL, .len = 0}, ACME_E_FORMAT);
    expect_code(bytes("no certificate here"), ACME_E_FORMAT);
    expect_code(bytes("<html>503</html>"), ACME_E_FORMAT);
    expect_code(bytes("-----BEGIN CERTIFICATE-----\n"), ACME_E_FORMAT);
    expect_code(bytes("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"), ACME_E_FORMAT);
    expect_code(bytes("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), ACME_E_FORMAT);
    expect_code(bytes("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"), ACME_E_FORMAT);
    /* a good one does not hide a damaged one */
    const char *good = pem_of(certs[0]);
    char *cut = acme_arena_strdup(arena, pem_of(certs[1]));
    cut[strlen(cut) - 10] = '\0';
    expect_code(bytes(acme_arena_printf(arena, "%s%s", good, cut)), ACME_E_FORMAT);
    char *bad = acme_arena_strdup(arena, pem_of(certs[1]));
    bad[100] = '!';
    expect_code(bytes(acme_arena_printf(arena, "%s%s", good, bad)), ACME_E_FORMAT);
    size_t large = 1024 * 1024 + 1;
    uint8_t *zeros = calloc(1, large);
    expect_code((struct acme_bytes){zeros, large}, ACME_E_LIMIT);
    free(zeros);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pem),      cmocka_unit_test(der),
        cmocka_unit_test(pkcs7),    cmocka_unit_test(repeated_certificates_count_once),
        cmocka_unit_test(too_many), cmocka_unit_test(damage),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
