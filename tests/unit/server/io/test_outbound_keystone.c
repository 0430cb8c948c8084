/* Upstream calls with a Keystone token: fetched with a password, shared, renewed, and a login that is refused
 * is left alone. */
#include "cmocka_all.h"
#include "local_server.h"
#include "outcome.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define PASSWORD "pass\\word\""

static struct acme_outbound *outbound;
static struct local_server *iam;
static struct local_server *upstream;
static char token_url[128];

static atomic_int fetches;
static atomic_int calls;
static atomic_int accepted_from; /* the number of the first token the upstream takes */
static const char *expires;      /* in the body */
static const char *answer;       /* of the token endpoint, instead of a token */
static int answer_status;
static char request_body[1024]; /* what it was asked with */
static char request_line[256];

static bool issue(struct local_server *server, const char *request)
{
    int number = atomic_fetch_add(&fetches, 1) + 1;
    snprintf(request_body, sizeof request_body, "%s", strstr(request, "\r\n\r\n") + 4);
    snprintf(request_line, sizeof request_line, "%.*s", (int)strcspn(request, "\r\n"), request);
    char field[128];
    snprintf(field, sizeof field, "Content-Type: application/json\r\nX-Subject-Token: token-%d\r\n", number);
    char body[256];
    snprintf(body, sizeof body,
             "{\"token\":{\"issued_at\":\"2026-01-15T10:20:30.000000Z\",\"expires_at\":\"%s\"}}", expires);
    if (answer != NULL)
        local_answer(server, answer_status, "Content-Type: application/json\r\n", answer);
    else
        local_answer(server, 201, field, body);
    return true;
}

static bool serve(struct local_server *server, const char *request)
{
    atomic_fetch_add(&calls, 1);
    const char *field = strstr(request, "X-Auth-Token: token-");
    int number = 0;
    if (field == NULL || sscanf(field, "X-Auth-Token: token-%d", &number) != 1 ||
        strstr(field + 1, "X-Auth-Token:") != NULL || strstr(request, "Authorization:") != NULL ||
        number < atomic_load(&accepted_from)) {
        local_answer(server, 401, "Connection: close\r\n", "");
        return false; /* one connection at a time is served */
    }
    char body[32];
    snprintf(body, sizeof body, "%d", number);
    local_answer(server, 200, "Connection: close\r\n", body);
    return false;
}

static int start(void **state)
{
    (void)state;
    static const struct acme_address_policy policy = {.allow_count = 0};
    const struct acme_outbound_options options = {.policy = &policy, .max_fetches = 1};
    iam = local_server_start(NULL, issue);
    upstream = local_server_start(NULL, serve);
    snprintf(token_url, sizeof token_url, "http://127.0.0.1:%d/v3/auth/tokens?nocatalog=true",
             local_server_port(iam));
    atomic_store(&fetches, 0);
    atomic_store(&calls, 0);
    atomic_store(&accepted_from, 1);
    expires = "2026-01-16T10:20:30.000000Z";
    answer = NULL;
    answer_status = 201;
    return acme_failed(acme_outbound_start(&options, &outbound)) ? -1 : 0;
}

static int stop(void **state)
{
    (void)state;
    acme_outbound_stop(outbound);
    local_server_stop(upstream);
    local_server_stop(iam);
    return 0;
}

/* Like the two logins of two deployers with the same user, and a third one's. */
static struct acme_keystone logins[3];

static struct outcome *begin(size_t login, const char *password)
{
    logins[login] = (struct acme_keystone){.token_url = token_url,
                                           .domain = "company",
                                           .user = "bridge",
                                           .password = password,
                                           .project_id = login < 2 ? "0123" : NULL,
                                           .project = login < 2 ? NULL : "eu-west-101"};
    const struct acme_transport transport = {.keystone = &logins[login]};
    char url[128];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/api", local_server_port(upstream));
    const struct acme_http_call call = {.method = "PUT", .url = url, .total_timeout_ms = 5000};
    struct outcome *outcome = outcome_new();
    assert_false(acme_failed(acme_outbound_call(outbound, &transport, &call, outcome_done, outcome)));
    return outcome;
}

static void expect_answer(struct outcome *outcome, int status, const char *body)
{
    outcome_wait(outcome);
    if (outcome->failure != ACME_OUTBOUND_OK)
        fail_msg("failed: %s", outcome->detail);
    assert_int_equal(outcome->status, status);
    assert_string_equal(outcome->body, body);
    outcome_free(outcome);
}

static void expect_failure(struct outcome *outcome, enum acme_outbound_failure failure, const char *why)
{
    outcome_wait(outcome);
    assert_int_equal(outcome->failure, failure); /* nothing was sent */
    if (strstr(outcome->detail, why) == NULL || strstr(outcome->detail, "pass") != NULL)
        fail_msg("%s", outcome->detail);
    outcome_free(outcome);
}

static void expect_none(struct outcome *outcome, const char *why)
{
    expect_failure(outcome, ACME_OUTBOUND_CONNECT, why);
}

static void test_equal_logins_share_a_token(void **state)
{
    (void)state;
    expect_answer(begin(0, PASSWORD), 200, "1");
    assert_string_equal(request_line, "POST /v3/auth/tokens?nocatalog=true HTTP/1.1");
    assert_string_equal(request_body,
                        "{\"auth\":{\"identity\":{\"methods\":[\"password\"],\"password\":{\"user\":"
                        "{\"name\":\"bridge\",\"password\":\"pass\\\\word\\\"\",\"domain\":"
                        "{\"name\":\"company\"}}}},\"scope\":{\"project\":{\"id\":\"0123\"}}}}");
    expect_answer(begin(1, PASSWORD), 200, "1");
    assert_int_equal(atomic_load(&fetches), 1);
    expect_answer(begin(2, PASSWORD), 200, "2"); /* another scope is another token */
    assert_non_null(strstr(request_body, "\"scope\":{\"project\":{\"name\":\"eu-west-101\"}}"));
    assert_int_equal(atomic_load(&fetches), 2);
}

static void test_renewed_before_its_end(void **state)
{
    (void)state;
    expires = "2026-01-15T10:20:30.000000Z"; /* no life at all */
    expect_answer(begin(0, PASSWORD), 200, "1");
    expect_answer(begin(0, PASSWORD), 200, "2");
    expires = "2026-01-15T10:19:30Z"; /* nor a negative one */
    expect_answer(begin(0, PASSWORD), 200, "3");
    expires = "when it ends";
    expect_answer(begin(0, PASSWORD), 200, "4");
    expect_answer(begin(0, PASSWORD), 200, "4");
    assert_int_equal(atomic_load(&fetches), 4);
}

static void test_refused_token_is_replaced_once(void **state)
{
    (void)state;
    expect_answer(begin(0, PASSWORD), 200, "1");
    atomic_store(&accepted_from, 2);
    expect_answer(begin(0, PASSWORD), 200, "2");
    assert_int_equal(atomic_load(&calls), 3);
    atomic_store(&accepted_from, 100);
    expect_answer(begin(0, PASSWORD), 401, "");
    assert_int_equal(atomic_load(&fetches), 3);
    assert_int_equal(atomic_load(&calls), 5);
}

static void test_refused_login_is_left_alone(void **state)
{
    (void)state;
    answer = "{\"error\":{\"code\":401,\"message\":\"The username or password pass is wrong\"}}";
    answer_status = 401;
    expect_failure(begin(0, PASSWORD), ACME_OUTBOUND_LOGIN, "HTTP status 401, the login is refused");
    answer = NULL; /* it would work again, but that must not be tried now */
    for (size_t i = 0; i < 5; i++)
        expect_none(begin(i % 2, PASSWORD), "not tried again yet");
    assert_int_equal(atomic_load(&fetches), 1);
    assert_int_equal(atomic_load(&calls), 0);
    expect_answer(begin(1, "another"), 200, "2"); /* another login is another matter */
}

static void test_no_token(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *answer;
        const char *why;
    } cases[] = {
        {503, "<html>", "HTTP status 503"},
        {400, "{\"error\":{\"code\":400,\"message\":\"<script> pass\"}}", "HTTP status 400"},
        {201, "{\"token\":{}}", "holds no token"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        answer = cases[i].answer;
        answer_status = cases[i].status;
        expect_none(begin(0, PASSWORD), cases[i].why);
    }
    answer = NULL;
    expect_answer(begin(0, PASSWORD), 200, "4"); /* and it recovers */
}

#define RUNNING(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUNNING(test_equal_logins_share_a_token),
        RUNNING(test_renewed_before_its_end),
        RUNNING(test_refused_token_is_replaced_once),
        RUNNING(test_refused_login_is_left_alone),
        RUNNING(test_no_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
