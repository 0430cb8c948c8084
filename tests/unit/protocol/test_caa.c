/* CAA: issue values, and the verdicts of RFC 8659 and RFC 8657. */
#include "cmocka_all.h"
#include "protocol/caa.h"
#include "protocol/issue_value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACCOUNT "https://ca.example/account/1"

static const char *const issuers[] = {"ca.example", "ca2.example"};

static int setup(void **state)
{
    *state = acme_arena_create(1024 * 1024);
    return *state == NULL;
}

static int teardown(void **state)
{
    acme_arena_destroy(*state);
    return 0;
}

static struct acme_bytes exact(struct acme_arena *arena, const void *data, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    memcpy(copy, data, len);
    assert_true(acme_arena_defer(arena, free, copy));
    return (struct acme_bytes){.data = copy, .len = len};
}

static struct acme_err parse(struct acme_arena *arena, const char *text, struct acme_issue_value *ret)
{
    return acme_issue_value_parse(arena, exact(arena, text, strlen(text)), ret);
}

static void test_issue_values(void **state)
{
    struct acme_issue_value value;
    const char *found = NULL;
    assert_false(acme_failed(parse(*state, " CA.example ; account = 12-3;policy=a,b ;\tx-1=", &value)));
    assert_string_equal(value.issuer, "ca.example");
    assert_int_equal(value.parameter_count, 3);
    assert_int_equal(acme_issue_value_get(&value, "account", &found), 1);
    assert_string_equal(found, "12-3");
    assert_int_equal(acme_issue_value_get(&value, "x-1", &found), 1);
    assert_string_equal(found, "");
    assert_int_equal(acme_issue_value_get(&value, "none", &found), 0);
    static const char *const nobody[] = {"", ";", " ; ", "; a=b"};
    for (size_t i = 0; i < sizeof nobody / sizeof *nobody; i++) {
        assert_false(acme_failed(parse(*state, nobody[i], &value)));
        assert_string_equal(value.issuer, "");
    }
    assert_false(acme_failed(parse(*state, "ca.example; a=1; A=2;", &value)));
    assert_int_equal(acme_issue_value_get(&value, "a", &found), 2);
    assert_string_equal(found, "1");
}

static void test_malformed_issue_values(void **state)
{
    static const char *const texts[] = {"ca..example",       ".ca.example",        "ca.example.",
                                        "ca-.example",       "-ca.example",        "ca_x.example",
                                        "ca.example x",      "ca.example a=b",     "ca.example; a",
                                        "ca.example; =",     "ca.example; a b=c",  "ca.example; -a=b",
                                        "ca.example; a-=b",  "ca.example;;",       "ca.example; a=b c",
                                        "ca.example; a=b;;", "ca.example; a=\x01", "ca.example; \xc3\xa4=b"};
    struct acme_issue_value value;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(parse(*state, texts[i], &value).code, ACME_E_FORMAT);
    char label[80];
    memset(label, 'a', sizeof label);
    label[63] = '\0';
    assert_false(acme_failed(parse(*state, label, &value)));
    label[63] = 'a';
    label[64] = '\0';
    assert_int_equal(parse(*state, label, &value).code, ACME_E_FORMAT);
    char many[512] = "ca.example";
    for (int i = 0; i <= ACME_ISSUE_VALUE_MAX_PARAMETERS; i++)
        strcat(many, ";a=b");
    assert_int_equal(parse(*state, many, &value).code, ACME_E_LIMIT);
}

/* "0 issue ca.example" as RDATA. */
static struct acme_bytes record(struct acme_arena *arena, const char *text)
{
    uint8_t rdata[600];
    char *rest = NULL;
    rdata[0] = (uint8_t)strtol(text, &rest, 10);
    rest++;
    size_t tag = strcspn(rest, " ");
    rdata[1] = (uint8_t)tag;
    memcpy(rdata + 2, rest, tag);
    const char *value = rest[tag] == ' ' ? rest + tag + 1 : rest + tag;
    memcpy(rdata + 2 + tag, value, strlen(value));
    return exact(arena, rdata, 2 + tag + strlen(value));
}

static const char *judge(struct acme_arena *arena, bool wildcard, const char *const *texts)
{
    const struct acme_caa_request request = {.issuers = issuers,
                                             .issuer_count = 2,
                                             .name = "www.a.test",
                                             .wildcard = wildcard,
                                             .account_url = ACCOUNT,
                                             .method = "dns-01"};
    struct acme_bytes records[8];
    struct acme_problem problem = {.detail = NULL};
    size_t count = 0;
    for (; texts[count] != NULL; count++)
        records[count] = record(arena, texts[count]);
    struct acme_err err = acme_caa_judge(arena, &request, "a.test", records, count, &problem);
    if (!acme_failed(err))
        return NULL;
    assert_int_equal(err.code, ACME_E_PROBLEM);
    assert_int_equal(problem.type, ACME_PROBLEM_CAA);
    assert_non_null(strstr(problem.detail, "a.test"));
    return problem.detail;
}

#define NAME(...)     judge(*state, false, (const char *const[]){__VA_ARGS__, NULL})
#define WILDCARD(...) judge(*state, true, (const char *const[]){__VA_ARGS__, NULL})

static void test_issue(void **state)
{
    assert_null(NAME("0 issue ca.example"));
    assert_null(NAME("128 issue CA2.example"));
    assert_null(NAME("0 issue other.example", "0 ISSUE ca.example; unknown=x"));
    assert_null(NAME("0 iodef mailto:security@a.test"));
    assert_null(NAME("0 issuewild ;"));
    assert_null(NAME("0 unknown x"));
    assert_non_null(NAME("0 issue other.example"));
    assert_non_null(NAME("0 issue ;"));
    assert_non_null(NAME("0 issue"));
    assert_non_null(NAME("0 issue %%%%%"));
    assert_non_null(NAME("0 issue ca.example; malformed"));
    assert_non_null(NAME("0 issue xca.example", "0 issue ca.example.x"));
    const char *detail =
        NAME("0 issue one.example", "0 issue ;", "0 issue ca.example x", "0 issue two.example");
    assert_non_null(strstr(detail, "forbid this CA to issue for www.a.test: issue \"one.example\" (it names "
                                   "another CA), issue \";\" (it names no CA)"));
    assert_non_null(
        strstr(detail, "(it is malformed) and 1 more; allow \"ca.example or ca2.example\" there"));
}

static void test_issuewild(void **state)
{
    assert_null(WILDCARD("0 issuewild ca.example", "0 issue ;"));
    assert_null(WILDCARD("0 issue ca.example"));
    assert_null(WILDCARD("0 iodef x"));
    assert_non_null(WILDCARD("0 issue ca.example", "0 issuewild ;"));
    assert_non_null(WILDCARD("0 issue other.example"));
    assert_non_null(NAME("0 issuewild ca.example", "0 issue ;"));
    assert_non_null(strstr(WILDCARD("0 issuewild other.example"), "for *.www.a.test"));
}

static void test_critical(void **state)
{
    assert_null(NAME("0 tbs Unknown", "0 issue ca.example"));
    assert_null(NAME("128 iodef mailto:x@a.test", "0 issue ca.example"));
    assert_null(NAME("127 tbs Unknown")); /* bits that are reserved mean nothing */
    assert_non_null(strstr(NAME("128 tbs Unknown", "0 issue ca.example"), "\"tbs\""));
    assert_non_null(WILDCARD("255 tbs Unknown"));
}

static void test_parameters(void **state)
{
    assert_null(NAME("0 issue ca.example; accounturi=" ACCOUNT));
    assert_null(NAME("0 issue ca.example; AccountURI=" ACCOUNT "; validationmethods=dns-01"));
    assert_null(NAME("0 issue ca.example; validationmethods=http-01,dns-01,x"));
    assert_null(NAME("0 issue ca.example; accounturi=x", "0 issue ca2.example; accounturi=" ACCOUNT));
    assert_non_null(NAME("0 issue ca.example; accounturi=" ACCOUNT "/"));
    assert_non_null(NAME("0 issue ca.example; accounturi=" ACCOUNT "; accounturi=" ACCOUNT));
    assert_non_null(NAME("0 issue other.example; accounturi=" ACCOUNT));
    static const char *const methods[] = {
        "http-01", "",        "dns-01,", ",dns-01",         "dns-01,,x",
        "dns-0",   "dns-011", "DNS-01",  "dns-01 ,http-01", "dns_01,dns-01"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        char text[128];
        snprintf(text, sizeof text, "0 issue ca.example; validationmethods=%s", methods[i]);
        assert_non_null(NAME(text));
    }
    assert_non_null(strstr(NAME("0 issue ca.example; validationmethods=http-01"), "do not have dns-01"));
    assert_non_null(strstr(NAME("0 issue ca.example; accounturi=x"), ACCOUNT));
}

static void test_malformed_records(void **state)
{
    const struct acme_caa_request request = {
        .issuers = issuers, .issuer_count = 2, .name = "a.test", .account_url = ACCOUNT, .method = "dns-01"};
    static const char *const rdata[] = {"", "\0", "\0\0issue", "\0\6issue", "\0\5is ue;", "\0\5is\xc3\xa4;"};
    static const size_t len[] = {0, 1, 7, 7, 8, 7};
    for (size_t i = 0; i < sizeof len / sizeof *len; i++) {
        struct acme_problem problem = {.detail = NULL};
        struct acme_bytes one = exact(*state, rdata[i], len[i]);
        assert_int_equal(acme_caa_judge(*state, &request, "a.test", &one, 1, &problem).code, ACME_E_PROBLEM);
        assert_int_equal(problem.type, ACME_PROBLEM_CAA);
        assert_non_null(strstr(problem.detail, "malformed"));
    }
    struct acme_problem problem = {.detail = NULL};
    assert_false(acme_failed(acme_caa_judge(*state, &request, "a.test", NULL, 0, &problem)));
}

static void test_climbing(void **state)
{
    (void)state;
    const char *name = "x.y.example.com";
    assert_string_equal(name = acme_caa_parent(name), "y.example.com");
    assert_string_equal(name = acme_caa_parent(name), "example.com");
    assert_string_equal(name = acme_caa_parent(name), "com");
    assert_null(acme_caa_parent(name));
    assert_null(acme_caa_parent("com."));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_issue_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_malformed_issue_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_issue, setup, teardown),
        cmocka_unit_test_setup_teardown(test_issuewild, setup, teardown),
        cmocka_unit_test_setup_teardown(test_critical, setup, teardown),
        cmocka_unit_test_setup_teardown(test_parameters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_malformed_records, setup, teardown),
        cmocka_unit_test(test_climbing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
