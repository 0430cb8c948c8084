/* identifier.c: grammar, normal forms, sets, storage form. */
#include "base/identifier.h"

#include "cmocka_all.h"
#include <string.h>

#define A63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static struct acme_arena *arena;

static int set_up(void **state)
{
    (void)state;
    arena = acme_arena_create(1024 * 1024);
    return arena == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    acme_arena_destroyp(&arena);
    return 0;
}

static void expect_good(const char *type, const char *value, const char *expected)
{
    struct acme_identifier out = {0};
    const char *why = NULL;
    if (acme_failed(acme_identifier_parse(arena, type, value, &out, &why)))
        fail_msg("refused %s: %s", value, why);
    assert_string_equal(out.value, expected);
    assert_string_equal(acme_identifier_type_name(out.type), type);
}

static void expect_bad(const char *type, const char *value, enum acme_code code)
{
    struct acme_identifier out = {.value = "untouched"};
    const char *why = NULL;
    if (acme_identifier_parse(arena, type, value, &out, &why).code != code)
        fail_msg("not refused as it should be: %s", value);
    assert_non_null(why);
    assert_string_equal(out.value, "untouched");
}

static void dns_names(void **state)
{
    (void)state;
    expect_good("dns", "example.org", "example.org");
    expect_good("dns", "WWW.Example.ORG", "www.example.org");
    expect_good("dns", "host", "host");
    expect_good("dns", "*.example.org", "*.example.org");
    expect_good("dns", "0.0.0.1a", "0.0.0.1a");
    expect_good("dns", "a--b.example", "a--b.example");
    expect_good("dns", "xn--mnchen-3ya.example", "xn--mnchen-3ya.example");
    expect_good("dns", "XN--BCHER-KVA.example", "xn--bcher-kva.example");
    expect_good("dns", "example.xn--p1ai", "example.xn--p1ai");
    expect_good("dns", "xn--4gbrim.xn--ymcbaaajlc6dj7bxne2c.xn--wgbh1c",
                "xn--4gbrim.xn--ymcbaaajlc6dj7bxne2c.xn--wgbh1c");
    expect_good("dns", &A63 "." A63 "." A63 "." A63[2], &A63 "." A63 "." A63 "." A63[2]);
}

static void not_dns_names(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        ".",
        "example.org.",
        ".example.org",
        "a..b",
        "*",
        "*.",
        "*.org",
        "*.*.example.org",
        "a.*.example.org",
        "*a.example.org",
        "w*.example.org",
        "-a.example",
        "a-.example",
        "a_b.example",
        "a b.example",
        "ex\xc3\xa4mple.org",
        "example.org\n",
        "192.0.2.1",
        "2001:db8::1",
        "1.2.3",
        "*.1.2",
        "xn--.example",
        "xn--a.example",
        "xn--a-b.example\x01",
        "xn--99999999.example",
        A63 "a.example",
        A63 "." A63 "." A63 "." A63,
        "user@example.org",
        "example.org/x",
        "0x7f000001",
        "10.0.0.0X5",
        "example.0x",
    };
    expect_good("dns", "0x7f.example", "0x7f.example");
    expect_good("dns", "example.0x7g", "example.0x7g");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect_bad("dns", bad[i], ACME_E_FORMAT);
    expect_bad("dns", NULL, ACME_E_FORMAT);
}

static void ip_addresses(void **state)
{
    (void)state;
    expect_good("ip", "192.0.2.1", "192.0.2.1");
    expect_good("ip", "2001:DB8:0:0:0:0:0:1", "2001:db8::1");
    expect_good("ip", "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1");
    expect_good("ip", "2001:0:0:1:0:0:0:1", "2001:0:0:1::1");
    expect_good("ip", "::1", "::1");
    expect_good("ip", "64:ff9b::192.0.2.1", "64:ff9b::c000:201");
    static const char *const bad[] = {"::ffff:192.0.2.1",
                                      "::FFFF:c000:201",
                                      "::192.0.2.1",
                                      "0x7f.0.0.1",
                                      "127.1",
                                      "2130706433",
                                      "1:2:3:4:5:6:7:8:9",
                                      "",
                                      "192.0.2",
                                      "192.0.2.256",
                                      "192.0.2.01",
                                      "192.0.2.1/32",
                                      "fe80::1%1",
                                      "[2001:db8::1]",
                                      "1::2::3",
                                      " ::1",
                                      "example.org"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect_bad("ip", bad[i], ACME_E_FORMAT);
    expect_bad("email", "a@example.org", ACME_E_UNSUPPORTED);
    expect_bad("DNS", "example.org", ACME_E_UNSUPPORTED);
    expect_bad(NULL, "example.org", ACME_E_UNSUPPORTED);
}

static void unusable_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        const char *why; /* NULL: usable */
    } cases[] = {
        {"0.0.0.0", "unspecified"},
        {"0.1.2.3", "unspecified"},
        {"224.0.0.1", "multicast"},
        {"239.9.9.9", "multicast"},
        {"240.0.0.1", "reserved"},
        {"255.255.255.255", "broadcast"},
        {"::", "unspecified"},
        {"ff02::1", "multicast"},
        {"1.0.0.0", NULL},
        {"127.0.0.1", NULL},
        {"223.255.255.255", NULL},
        {"10.0.0.1", NULL},
        {"::1", NULL},
        {"2001:db8::1", NULL},
        {"fe80::1", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct acme_identifier ip = {ACME_IDENTIFIER_IP, cases[i].value};
        const char *why = acme_identifier_unusable(&ip);
        if ((why == NULL) != (cases[i].why == NULL) || (why != NULL && strstr(why, cases[i].why) == NULL))
            fail_msg("%s: %s", cases[i].value, why != NULL ? why : "usable");
    }
    const struct acme_identifier dns = {ACME_IDENTIFIER_DNS, "0.0.0.0.example"};
    assert_null(acme_identifier_unusable(&dns));
}

static const struct acme_identifier list[] = {{ACME_IDENTIFIER_DNS, "b.example"},
                                              {ACME_IDENTIFIER_DNS, "a.example"},
                                              {ACME_IDENTIFIER_IP, "192.0.2.1"},
                                              {ACME_IDENTIFIER_DNS, "*.a.example"}};
static const struct acme_identifier shuffled[] = {{ACME_IDENTIFIER_IP, "192.0.2.1"},
                                                  {ACME_IDENTIFIER_DNS, "a.example"},
                                                  {ACME_IDENTIFIER_DNS, "*.a.example"},
                                                  {ACME_IDENTIFIER_DNS, "a.example"},
                                                  {ACME_IDENTIFIER_DNS, "b.example"}};

static void sets(void **state)
{
    (void)state;
    assert_true(acme_identifiers_equal_sets(list, 4, shuffled, 5));
    assert_false(acme_identifiers_equal_sets(list, 3, shuffled, 5));
    assert_false(acme_identifiers_equal_sets(list, 4, shuffled, 4));
    assert_true(acme_identifiers_equal_sets(list, 0, NULL, 0));
    assert_true(acme_identifier_is_wildcard(&list[3]));
    assert_false(acme_identifier_is_wildcard(&list[0]));
    struct acme_identifier odd = {ACME_IDENTIFIER_DNS, "192.0.2.1"};
    assert_false(acme_identifier_equal(&odd, &list[2]));

    const char *one = acme_identifiers_digest(arena, list, 4);
    assert_int_equal(strlen(one), 64);
    assert_string_equal(one, acme_identifiers_digest(arena, shuffled, 5));
    assert_string_not_equal(one, acme_identifiers_digest(arena, list, 3));
    assert_string_not_equal(acme_identifiers_digest(arena, &odd, 1),
                            acme_identifiers_digest(arena, &list[2], 1));
    assert_string_equal(acme_identifiers_digest(arena, NULL, 0),
                        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void storage_form(void **state)
{
    (void)state;
    const char *json = acme_identifiers_json(arena, list, 4);
    assert_string_equal(
        json, "[{\"type\":\"dns\",\"value\":\"b.example\"},{\"type\":\"dns\",\"value\":\"a.example\"},"
              "{\"type\":\"ip\",\"value\":\"192.0.2.1\"},{\"type\":\"dns\",\"value\":\"*.a.example\"}]");
    struct acme_identifier *back = NULL;
    size_t count = 0;
    assert_int_equal(acme_identifiers_from_json(arena, json, &back, &count).code, ACME_OK);
    assert_int_equal(count, 4);
    for (size_t i = 0; i < count; i++)
        assert_true(acme_identifier_equal(&back[i], &list[i]));
    assert_string_equal(acme_identifiers_json(arena, NULL, 0), "[]");
    static const char *const bad[] = {
        "", "{}", "[1]", "[{\"type\":\"dns\"}]", "[{\"type\":\"x\",\"value\":\"a\"}]", "[{\"value\":\"a\"}]"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(acme_identifiers_from_json(arena, bad[i], &back, &count).code, ACME_E_FORMAT);
    assert_int_equal(count, 4);
}

static void names_in_unicode(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"www.example.test", "www.example.test"},
        {"xn--mnchen-3ya.example", "m\xc3\xbcnchen.example"},
        {"*.xn--bcher-kva.example", "*.b\xc3\xbc"
                                    "cher.example"},
        {"example.xn--p1ai", "example.\xd1\x80\xd1\x84"},
        {"xn--fiqs8s", "\xe4\xb8\xad\xe5\x9b\xbd"},
        {"xn--ls8h.example", "\xf0\x9f\x92\xa9.example"},
        {"xn--a.example", "xn--a.example"}, /* none */
        {"a.xn--.b", "a.xn--.b"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(acme_name_to_unicode(arena, rows[i][0]), rows[i][1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dns_names),        cmocka_unit_test(not_dns_names),
        cmocka_unit_test(ip_addresses),     cmocka_unit_test(sets),
        cmocka_unit_test(storage_form),     cmocka_unit_test(unusable_addresses),
        cmocka_unit_test(names_in_unicode),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
