/* http-01: what is fetched and how the answer is judged. */
#include "cmocka_all.h"
#include "protocol/http01.h"

#include <string.h>

#define URL "http://a.test/.well-known/acme-challenge/tok"
#define KEY "tok.thumb"

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

static void test_url(void **state)
{
    const struct acme_identifier dns = {.type = ACME_IDENTIFIER_DNS, .value = "a.test"};
    const struct acme_identifier v4 = {.type = ACME_IDENTIFIER_IP, .value = "127.0.0.1"};
    const struct acme_identifier v6 = {.type = ACME_IDENTIFIER_IP, .value = "::1"};
    assert_string_equal(acme_http01_url(*state, &dns, "tok", 80), URL);
    assert_string_equal(acme_http01_url(*state, &dns, "tok", 5002),
                        "http://a.test:5002/.well-known/acme-challenge/tok");
    assert_string_equal(acme_http01_url(*state, &v4, "tok", 80),
                        "http://127.0.0.1/.well-known/acme-challenge/tok");
    assert_string_equal(acme_http01_url(*state, &v6, "tok", 81),
                        "http://[::1]:81/.well-known/acme-challenge/tok");
    assert_string_equal(acme_key_authorization(*state, "tok", "thumb"), KEY);
}

static struct acme_err judge(void **state, int status, const char *body, struct acme_problem *ret)
{
    struct acme_bytes bytes = {.data = (const uint8_t *)body, .len = strlen(body)};
    return acme_http01_judge(*state, status, bytes, KEY, URL, true, ret);
}

static void test_good_answers(void **state)
{
    struct acme_problem problem;
    assert_int_equal(judge(state, 200, KEY, &problem).code, ACME_OK);
    assert_int_equal(judge(state, 200, KEY "\n", &problem).code, ACME_OK);
    assert_int_equal(judge(state, 200, KEY " \t\r\n\r\n", &problem).code, ACME_OK);
}

static void assert_bad(void **state, int status, const char *body, enum acme_problem_type type,
                       const char *part)
{
    struct acme_problem problem = {.type = ACME_PROBLEM_COUNT};
    assert_int_equal(judge(state, status, body, &problem).code, ACME_E_PROBLEM);
    assert_int_equal(problem.type, type);
    if (strstr(problem.detail, part) == NULL || strstr(problem.detail, URL) == NULL)
        fail_msg("%s", problem.detail);
    for (const char *c = problem.detail; *c != '\0'; c++)
        assert_in_range((unsigned char)*c, 0x20, 0x7e);
    assert_true(strlen(problem.detail) < 1000);
}

static void test_bad_answers(void **state)
{
    assert_bad(state, 404, KEY, ACME_PROBLEM_UNAUTHORIZED, "404");
    assert_bad(state, 204, "", ACME_PROBLEM_UNAUTHORIZED, "204");
    assert_bad(state, 200, "", ACME_PROBLEM_INCORRECT_RESPONSE, "empty");
    assert_bad(state, 200, " \n", ACME_PROBLEM_INCORRECT_RESPONSE, "empty");
    assert_bad(state, 200, " " KEY, ACME_PROBLEM_INCORRECT_RESPONSE, KEY);
    assert_bad(state, 200, "tok.thumbs", ACME_PROBLEM_INCORRECT_RESPONSE, "\"tok.thumbs\"");
    assert_bad(state, 200, "tok.thum", ACME_PROBLEM_INCORRECT_RESPONSE, "\"tok.thum\"");
    assert_bad(state, 200, "\x1b[2J\xff", ACME_PROBLEM_INCORRECT_RESPONSE, "\\x1b[2J\\xff");
    char large[5000];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    assert_bad(state, 200, large, ACME_PROBLEM_INCORRECT_RESPONSE, "xxx...");
    struct acme_problem problem;
    assert_int_equal(
        acme_http01_judge(*state, 200, (struct acme_bytes){.data = NULL}, KEY, URL, true, &problem).code,
        ACME_E_PROBLEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_url, setup, teardown),
        cmocka_unit_test_setup_teardown(test_good_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_answers, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
