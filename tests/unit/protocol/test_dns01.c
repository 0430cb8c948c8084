/* dns-01 and dns-account-01: what is looked up and how the answer is judged; TXT records. */
#include "cmocka_all.h"
#include "protocol/dns01.h"
#include "protocol/txt.h"

#include <stdlib.h>
#include <string.h>

#define NAME   "_acme-challenge.a.test"
#define DIGEST "gfj9Xq...Rg85nM"

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

static void test_names(void **state)
{
    const struct acme_identifier name = {.type = ACME_IDENTIFIER_DNS, .value = "a.test"};
    const struct acme_identifier example = {.type = ACME_IDENTIFIER_DNS, .value = "example.org"};
    char *text = NULL;
    assert_string_equal(acme_dns01_name(*state, &name), NAME);
    /* The example of draft-ietf-acme-dns-account-label. */
    assert_false(acme_failed(
        acme_dns_account01_name(*state, &example, "https://example.com/acme/acct/ExampleAccount", &text)));
    assert_string_equal(text, "_ujmmovf2vn55tgye._acme-challenge.example.org");
    assert_false(
        acme_failed(acme_dns_account01_name(*state, &name, "https://example.com/acme/acct/12345", &text)));
    assert_string_equal(text, "_ao3pcvmacvwyw63b._acme-challenge.a.test");
}

static void test_digest(void **state)
{
    char *digest = NULL;
    assert_false(acme_failed(acme_dns01_digest(*state, "token.thumbprint", &digest)));
    assert_int_equal(strlen(digest), 43);
    assert_null(strpbrk(digest, "+/="));
}

/* Exactly as long as it is, so that the sanitizers see a read behind it. */
static struct acme_bytes exact(void **state, const char *rdata, size_t len)
{
    struct acme_arena *arena = *state;
    uint8_t *copy = malloc(len > 0 ? len : 1);
    memcpy(copy, rdata, len);
    assert_true(acme_arena_defer(arena, free, copy));
    return (struct acme_bytes){.data = copy, .len = len};
}

#define RDATA(text) exact(state, text, sizeof(text) - 1)

static void test_txt(void **state)
{
    struct acme_bytes text;
    assert_false(acme_failed(acme_txt_read(*state, RDATA("\3abc"), &text)));
    assert_int_equal(text.len, 3);
    assert_memory_equal(text.data, "abc", 3);
    assert_false(acme_failed(acme_txt_read(*state, RDATA("\1a\0\2bc"), &text)));
    assert_memory_equal(text.data, "abc", 3);
    assert_false(acme_failed(acme_txt_read(*state, RDATA("\0"), &text)));
    assert_int_equal(text.len, 0);
    static const char *const bad[] = {"\4abc", "\1a\377"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(acme_txt_read(*state, exact(state, bad[i], strlen(bad[i])), &text).code,
                         ACME_E_FORMAT);
    assert_int_equal(acme_txt_read(*state, exact(state, "", 0), &text).code, ACME_E_FORMAT);
}

static void test_judge(void **state)
{
    struct acme_problem problem = {.detail = NULL};
    const struct acme_bytes records[] = {RDATA("\5other"), RDATA("\x20short"), RDATA("\7gfj9Xq.\x08..Rg85nM"),
                                         RDATA("\3<\n>"), RDATA("\1x")};
    assert_false(acme_failed(acme_dns01_judge(*state, NAME, records, 5, DIGEST, &problem)));

    assert_int_equal(acme_dns01_judge(*state, NAME, records, 2, DIGEST, &problem).code, ACME_E_PROBLEM);
    assert_int_equal(problem.type, ACME_PROBLEM_INCORRECT_RESPONSE);
    assert_string_equal(problem.detail,
                        "The TXT records at " NAME ": \"other\", \"(malformed)\"; none of them is "
                        "\"" DIGEST "\"");
    assert_int_equal(acme_dns01_judge(*state, NAME, records + 3, 1, DIGEST, &problem).code, ACME_E_PROBLEM);
    assert_non_null(strstr(problem.detail, "The TXT record at " NAME ": \"<\\x0a>\""));
    assert_int_equal(acme_dns01_judge(*state, NAME, records, 5, "-", &problem).code, ACME_E_PROBLEM);
    assert_non_null(strstr(problem.detail, " and 2 more"));

    assert_int_equal(acme_dns01_judge(*state, NAME, records, 0, DIGEST, &problem).code, ACME_E_PROBLEM);
    assert_int_equal(problem.type, ACME_PROBLEM_UNAUTHORIZED);
    assert_non_null(strstr(problem.detail, NAME));
    assert_non_null(strstr(problem.detail, DIGEST));
}

static void test_long_records_are_cut(void **state)
{
    char long_record[256];
    struct acme_problem problem = {.detail = NULL};
    memset(long_record, 'x', sizeof long_record);
    long_record[0] = (char)255;
    const struct acme_bytes record = exact(state, long_record, sizeof long_record);
    assert_int_equal(acme_dns01_judge(*state, NAME, &record, 1, DIGEST, &problem).code, ACME_E_PROBLEM);
    assert_in_range(strlen(problem.detail), 100, 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_digest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_txt, setup, teardown),
        cmocka_unit_test_setup_teardown(test_judge, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_records_are_cut, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
