/* Upstream calls with OAuth 2: when a token is fetched, kept, renewed and refused. */
#include "cmocka_all.h"
#include "local_server.h"
#include "outcome.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SECRET "s3cret+&="

static struct acme_outbound *outbound;
static struct local_server *issuer;
static struct local_server *upstream;
static char token_url[128];
static struct acme_oauth oauth;
static struct acme_transport transport;

static atomic_int fetches;
static atomic_int calls;
static atomic_int life_s;
static atomic_int accepted_from; /* the number of the first token the upstream takes */
static const char *answer;       /* of the token endpoint, instead of a token */
static int answer_status;
static char form[1024]; /* what it was asked with */

static bool issue(struct local_server *server, const char *request)
{
    int number = atomic_fetch_add(&fetches, 1) + 1;
    if (answer_status == 0)
        usleep(300 * 1000);
    snprintf(form, sizeof form, "%s", strstr(request, "\r\n\r\n") + 4);
    char body[256];
    snprintf(body, sizeof body, "{\"access_token\":\"token-%d\",\"token_type\":\"bearer\",\"expires_in\":%d}",
             number, atomic_load(&life_s));
    local_answer(server, answer != NULL ? answer_status : 200, "Content-Type: application/json\r\n",
                 answer != NULL ? answer : body);
    return true;
}

static bool serve(struct local_server *server, const char *request)
{
    atomic_fetch_add(&calls, 1);
    const char *field = strstr(request, "Authorization: Bearer token-");
    int number = 0;
    if (field == NULL || sscanf(field, "Authorization: Bearer token-%d", &number) != 1 ||
        strstr(field + 1, "Authorization:") != NULL || number < atomic_load(&accepted_from)) {
        local_answer(server, 401, "WWW-Authenticate: Bearer\r\nConnection: close\r\n", "");
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
    issuer = local_server_start(NULL, issue);
    upstream = local_server_start(NULL, serve);
    snprintf(token_url, sizeof token_url, "http://127.0.0.1:%d/token", local_server_port(issuer));
    oauth = (struct acme_oauth){.token_url = token_url,
                                .client_id = "bridge",
                                .client_secret = SECRET,
                                .scope = "a b",
                                .audience = "api"};
    transport = (struct acme_transport){.oauth = &oauth};
    atomic_store(&fetches, 0);
    atomic_store(&calls, 0);
    atomic_store(&life_s, 3600);
    atomic_store(&accepted_from, 1);
    answer = NULL;
    answer_status = 200;
    return acme_failed(acme_outbound_start(&options, &outbound)) ? -1 : 0;
}

static int stop(void **state)
{
    (void)state;
    acme_outbound_stop(outbound);
    local_server_stop(upstream);
    local_server_stop(issuer);
    return 0;
}

static struct outcome *begin(const char *method)
{
    char url[128];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/api", local_server_port(upstream));
    const struct acme_http_call call = {.method = method, .url = url, .total_timeout_ms = 5000};
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

static void test_one_token_for_all(void **state)
{
    (void)state;
    struct outcome *outcomes[5];
    for (size_t i = 0; i < 5; i++) /* together: those that come while it is being fetched wait for it */
        outcomes[i] = begin("GET");
    for (size_t i = 0; i < 5; i++)
        expect_answer(outcomes[i], 200, "1");
    expect_answer(begin("POST"), 200, "1");
    assert_int_equal(atomic_load(&fetches), 1);
    assert_int_equal(atomic_load(&calls), 6);
    assert_string_equal(form, "grant_type=client_credentials&client_id=bridge&client_secret=s3cret%2B%26%3D&"
                              "scope=a%20b&audience=api");
}

static void test_renewed_before_its_end(void **state)
{
    (void)state;
    atomic_store(&life_s, 0);
    expect_answer(begin("GET"), 200, "1");
    expect_answer(begin("GET"), 200, "2");
    assert_int_equal(atomic_load(&fetches), 2);
}

static void test_refused_token_is_replaced_once(void **state)
{
    (void)state;
    expect_answer(begin("GET"), 200, "1");
    atomic_store(&accepted_from, 2);
    expect_answer(begin("POST"), 200, "2"); /* the second try of the same call */
    assert_int_equal(atomic_load(&fetches), 2);
    assert_int_equal(atomic_load(&calls), 3);
    atomic_store(&accepted_from, 100); /* the login itself is refused: the answer is handed on */
    expect_answer(begin("POST"), 401, "");
    assert_int_equal(atomic_load(&fetches), 3);
    assert_int_equal(atomic_load(&calls), 5);
}

static void test_no_token(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *answer;
        const char *why;
    } cases[] = {
        {401, "{\"error\":\"invalid_client\",\"error_description\":\"" SECRET "\"}",
         "HTTP status 401, invalid_client"},
        {400, "{\"error\":\"<script>\"}", "HTTP status 400"},
        {503, "<html>", "HTTP status 503"},
        {200, "<html>", "no bearer token"},
        {200, "{}", "no bearer token"},
        {200, "{\"access_token\":\"a\\r\\nX: y\"}", "no bearer token"},
        {200, "{\"access_token\":\"\"}", "no bearer token"},
        {200, "{\"access_token\":\"abc\",\"token_type\":\"mac\"}", "no bearer token"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        answer = cases[i].answer;
        answer_status = cases[i].status;
        struct outcome *outcome = begin("POST");
        outcome_wait(outcome);
        assert_int_equal(outcome->failure, ACME_OUTBOUND_CONNECT); /* nothing was sent */
        if (strstr(outcome->detail, cases[i].why) == NULL || strstr(outcome->detail, token_url) == NULL ||
            strstr(outcome->detail, SECRET) != NULL || strstr(outcome->detail, "script") != NULL)
            fail_msg("%s", outcome->detail);
        outcome_free(outcome);
    }
    assert_int_equal(atomic_load(&calls), 0);
    answer = NULL;
    expect_answer(begin("GET"), 200, "9"); /* and it recovers */
}

static void test_stop_while_waiting(void **state)
{
    (void)state;
    answer_status = 0; /* mute */
    struct outcome *first = begin("GET");
    struct outcome *second = begin("GET");
    acme_outbound_stop(outbound);
    outbound = NULL;
    assert_int_equal(first->calls, 1);
    assert_int_equal(first->failure, ACME_OUTBOUND_CANCELLED);
    assert_int_equal(second->calls, 1);
    assert_int_equal(second->failure, ACME_OUTBOUND_CANCELLED);
    outcome_free(first);
    outcome_free(second);
}

#define RUNNING(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUNNING(test_one_token_for_all),
        RUNNING(test_renewed_before_its_end),
        RUNNING(test_refused_token_is_replaced_once),
        RUNNING(test_no_token),
        RUNNING(test_stop_while_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
