/* What ELB's refusals mean: above all that a refused login is not tried again soon. */
#include "cmocka_all.h"

#include "huawei_rig.h"

#include "backends/huawei_elb/huawei_internal.h"

#include <stdio.h>
#include <string.h>

static void again(struct elb_rig *rig)
{
    rig->state = "{}";
    rig->now_ms = ELB_START;
    elb_putting(rig);
}

static void test_final(void **state)
{
    struct elb_rig *rig = *state;
    static const struct {
        int status;
        const char *body;
        const char *part;
    } cases[] = {
        {400, "{\"error_code\":\"ELB.1011\",\"error_msg\":\"bad cert\"}",
         "does not take the certificate or its private key, or they do not belong together there (HTTP 400, "
         "ELB.1011): \"bad cert\"."},
        {400, "{\"error\":{\"code\":\"ELB.5020\",\"message\":\"id\"}}", "certificate_id has not the form"},
        {400, "{\"code\":\"ELB.0230\",\"message\":\"p\"}", "project_id has not the form"},
        {400, "{\"error_code\":\"ELB.8902\",\"error_msg\":\"domain is wrong\"}",
         "(HTTP 400, ELB.8902): \"domain"},
        {400, "<html>", "does not take the request (HTTP 400)."},
        {403, "{\"error_msg\":\"Policy doesn't allow elb:certificates:update\"}", "elb:certificates:get"},
        {403, "{\"error\":{\"code\":403,\"message\":\"no\"}}", "(HTTP 403, 403): \"no\""},
        {404, "{\"error_code\":\"APIGW.0101\",\"error_msg\":\"The API does not exist\"}", "url or region"},
        {404, "{\"error_code\":\"ELB.8904\",\"error_msg\":\"not found\"}",
         "no certificate object with this id"},
        {409, "{\"error_code\":\"ELB.8907\",\"error_msg\":\"The Domain can not be empty\"}", "set domains"},
        {413, "{\"error_code\":\"APIGW.0201\"}", "too large"},
        {409, "{\"error_code\":\"ELB.1\",\"error_msg\":\"Quota exceeded\"}", "quota of certificates"},
        {302, "", "does not take the request (HTTP 302)"},
        {418, "{}", "(HTTP 418)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        again(rig);
        elb_reply(rig, cases[i].status, cases[i].body);
        elb_expect_failed(rig, cases[i].part);
    }
    rig->state = "{}";
    elb_looking(rig);
    elb_reply(rig, 404, elb_error(rig, "ELB.8904", "not found"));
    elb_expect_failed(rig, "no certificate object with this id");
}

static void test_passing(void **state)
{
    struct elb_rig *rig = *state;
    static const int statuses[] = {500, 502, 503, 429, 408};
    static const int64_t waits_s[] = {5, 10, 20, 40, 80, 160, 300, 300};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        again(rig);
        for (size_t n = 0; n < sizeof waits_s / sizeof *waits_s; n++) {
            elb_reply(rig, statuses[i], elb_error(rig, "ELB.8906", "internal"));
            elb_expect_wait(rig, waits_s[n], true);
            elb_expect_note(rig, "Will be tried again");
            elb_timer(rig);
            elb_reply(rig, 200, elb_object(rig, rig->old, ""));
            if (statuses[i] == 429) /* not right behind the look */
                elb_timer(rig);
            elb_expect_call(rig, "PUT", ELB_PATH "/" ELB_ID);
        }
    }
    again(rig);
    elb_reply_header(rig, 429, "retry-after", "77", elb_error(rig, "APIGW.0308", "limit:5,time:1 second"));
    elb_expect_wait(rig, 77, true);
    elb_expect_note(rig, "limit:5,time:1 second");
}

/* A conflict ends, or it does not. */
static void test_a_few_tries(void **state)
{
    struct elb_rig *rig = *state;
    static const struct {
        int status;
        const char *code;
    } cases[] = {{409, "ELB.8907"}, {400, "ELB.5033"}, {404, ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        again(rig);
        for (int n = 0; n < 4; n++) {
            elb_reply(rig, cases[i].status, elb_error(rig, cases[i].code, "in use"));
            elb_expect_wait(rig, 5 << n, true);
            elb_timer(rig);
            elb_reply(rig, 200, elb_object(rig, rig->old, ""));
        }
        elb_reply(rig, cases[i].status, elb_error(rig, cases[i].code, "in use"));
        elb_expect_failed(rig, "Given up after several tries");
    }
    /* What is no answer of ELB's is not taken for success. */
    rig->state = "{}";
    elb_looking(rig);
    elb_reply(rig, 200, "<html>");
    elb_expect_wait(rig, 5, true);
    elb_expect_note(rig, "not one of ELB's API (HTTP 200)");
    elb_timer(rig);
    elb_reply(rig, 200, "{\"certificate\":{\"id\":\"00000000000000000000000000000000\"}}"); /* another one */
    elb_expect_wait(rig, 10, true);
}

static void test_refused_login(void **state)
{
    struct elb_rig *rig = *state;
    static const int64_t minutes[] = {10, 20, 40, 60, 60};
    elb_looking(rig);
    for (size_t i = 0; i < sizeof minutes / sizeof *minutes; i++) {
        elb_reply(rig, 401, elb_error(rig, "APIGW.0301", "Incorrect IAM authentication information"));
        elb_expect_wait(rig, minutes[i] * 60, true);
        elb_expect_note(rig, "ELB refuses the login (HTTP 401, APIGW.0301)");
        elb_timer(rig);
    }
    elb_reply(rig, 200, elb_object(rig, rig->old, ""));
    elb_expect_call(rig, "PUT", ELB_PATH "/" ELB_ID);
    elb_reply(rig, 401, "");
    elb_expect_wait(rig, 600, true); /* from the beginning */
}

static void test_wrong_clock(void **state)
{
    struct elb_rig *rig = *state;
    static const struct {
        const char *date;
        const char *part;
    } cases[] = {
        {"Fri, 15 Jan 2027 07:40:00 GMT", "20 minutes ahead of"},
        {"Fri, 15 Jan 2027 08:30:00 GMT", "30 minutes behind"},
    };
    for (size_t i = 0; i < 2; i++) {
        rig->state = "{}";
        elb_looking(rig);
        elb_reply_header(rig, 401, "date", cases[i].date, elb_error(rig, "APIGW.0301", "signature expired"));
        elb_expect_wait(rig, 600, true);
        elb_expect_note(rig, cases[i].part);
    }
    rig->state = "{}";
    elb_looking(rig);
    elb_reply_header(rig, 401, "date", "Fri, 15 Jan 2027 08:01:00 GMT", "");
    assert_null(strstr(rig->step.note, "clock"));
}

/* ELB's words are not shown when they could give something away. */
static void test_words_that_are_not_shown(void **state)
{
    struct elb_rig *rig = *state;
    static const char *const words[] = {
        "the secret " ELB_SECRET " is wrong",
        "Private Key: MIIEx",
        "MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQ",
    };
    for (size_t i = 0; i < 3; i++) {
        again(rig);
        elb_reply(rig, 400, elb_error(rig, "ELB.1011", words[i]));
        elb_expect_failed(rig, "(HTTP 400, ELB.1011).");
        again(rig);
        elb_reply(rig, 400, elb_error(rig, words[i], ""));
        elb_expect_failed(rig, "(HTTP 400");
        assert_null(strstr(rig->step.problem.detail, "MII"));
    }
}

static void test_signed_calls(void **state)
{
    struct elb_rig *rig = *state;
    elb_looking(rig);
    const struct acme_http_call *call = &rig->step.call;
    bool seen[3] = {false, false, false};
    for (size_t i = 0; i < call->header_count; i++) {
        const char *name = call->headers[i].name;
        const char *value = call->headers[i].value;
        if (strcmp(name, "X-Sdk-Date") == 0) {
            assert_string_equal(value, "20270115T080000Z");
            seen[0] = true;
        } else if (strcmp(name, "Host") == 0) {
            assert_string_equal(value, "elb.eu-west-101.myhuaweicloud.com");
            seen[1] = true;
        } else if (strcmp(name, "Authorization") == 0) {
            assert_non_null(strstr(value, "SDK-HMAC-SHA256 Access=AKEXAMPLE, "
                                          "SignedHeaders=host;x-project-id;x-sdk-date, Signature="));
            seen[2] = true;
        }
    }
    assert_true(seen[0] && seen[1] && seen[2]);
    /* With a body its type is signed; a temporary key's token as well. */
    rig->config.security_token = "token";
    rig->config.url = "https://elb.example.test:443/base";
    elb_reconfigure(rig);
    const struct huawei_deployer *huawei = (const struct huawei_deployer *)rig->deployer;
    assert_string_equal(huawei->host, "elb.example.test");
    const struct acme_step_input input = {.now_ms = ELB_START};
    const struct huawei_context ctx = {.huawei = huawei, .arena = rig->arena, .input = &input};
    struct acme_buf body;
    acme_buf_init(&body, 64);
    acme_buf_str(&body, "{}");
    struct acme_http_call with_body;
    assert_int_equal(
        acme_huawei_request(&ctx, "PUT", acme_huawei_path(&ctx, ELB_ID), "", &body, &with_body).code,
        ACME_OK);
    acme_buf_finish(&body);
    assert_string_equal(with_body.url, "https://elb.example.test:443/base" ELB_PATH "/" ELB_ID);
    bool authorized = false;
    for (size_t i = 0; i < with_body.header_count; i++) {
        if (strcmp(with_body.headers[i].name, "Authorization") != 0)
            continue;
        authorized = true;
        assert_non_null(strstr(with_body.headers[i].value,
                               "SignedHeaders=content-type;host;x-project-id;x-sdk-date;x-security-token,"));
    }
    assert_true(authorized);
}

static void test_token_calls_are_not_signed(void **state)
{
    struct elb_rig *rig = *state;
    rig->config.access_key_id = NULL;
    rig->config.access_key_secret = NULL;
    rig->config.iam = (struct acme_keystone){.token_url = "https://iam.example.test/v3/auth/tokens",
                                             .domain = "company",
                                             .user = "bridge",
                                             .password = ELB_SECRET};
    elb_reconfigure(rig);
    const struct acme_keystone *keystone = rig->deployer->backend.transport.keystone;
    assert_string_equal(keystone->project_id, ELB_PROJECT);
    assert_string_equal(rig->deployer->backend.account, "huawei-elb " ELB_URL " company/bridge");
    elb_putting(rig); /* the rig looks for the Authorization header */
}

static void test_accounts(void **state)
{
    struct elb_rig *rig = *state;
    const struct acme_backend *backend = &rig->deployer->backend;
    assert_string_equal(backend->account, "huawei-elb " ELB_URL " AKEXAMPLE");
    assert_int_equal(backend->max_concurrency, 1);
    assert_int_equal(backend->requests_per_minute, 60);
    assert_int_equal(backend->refused_pause_ms, 10 * ACME_MINUTE_MS);
    assert_null(backend->transport.keystone);
}

#define RUNNING(test) cmocka_unit_test_setup_teardown(test, elb_setup, elb_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUNNING(test_final),        RUNNING(test_passing),
        RUNNING(test_a_few_tries),  RUNNING(test_refused_login),
        RUNNING(test_wrong_clock),  RUNNING(test_words_that_are_not_shown),
        RUNNING(test_signed_calls), RUNNING(test_token_calls_are_not_signed),
        RUNNING(test_accounts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
