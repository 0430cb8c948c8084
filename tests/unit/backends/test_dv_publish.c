#include "backends/dv_publish.h"

#include "cmocka_all.h"

#include <string.h>

static const char *const hook[] = {"/usr/local/bin/publish", "--zone", "edge"};

static const struct acme_dv_config hook_config = {
    .publication = ACME_DV_HOOK, .type = ACME_DV_HTTP01, .hook = hook, .hook_count = 3, .timeout_ms = 5000};

static const struct acme_dv_config dns_config = {.publication = ACME_DV_DNS_UPDATE,
                                                 .type = ACME_DV_DNS01,
                                                 .nsupdate = "/usr/bin/nsupdate",
                                                 .server = "192.0.2.53",
                                                 .port = 5353,
                                                 .key_file = "/etc/acmebridge/tsig.key"};

static const struct acme_dv_answer http_answer = {
    .type = ACME_DV_HTTP01,
    .domain = "www.example.test",
    .token = "tok1",
    .body = "tok1.thumb",
    .path = "http://www.example.test/.well-known/acme-challenge/tok1",
    .redirect_path = "http://dcv.akamai.com/.well-known/acme-challenge/tok1",
    .about = "order1"};

static const struct acme_dv_answer dns_answer = {.type = ACME_DV_DNS01,
                                                 .domain = "*.example.test",
                                                 .token = "tok2",
                                                 .body = "TXT-VALUE_0",
                                                 .path = "_acme-challenge.example.test."};

static int set_up(void **state)
{
    *state = acme_arena_create((size_t)64 * 1024);
    return *state == NULL;
}

static int tear_down(void **state)
{
    acme_arena_destroy(*state);
    return 0;
}

static const char *variable(const struct acme_program_call *call, const char *name)
{
    for (size_t i = 0; i < call->variable_count; i++)
        if (strcmp(call->variables[i].name, name) == 0)
            return call->variables[i].value;
    return NULL;
}

static void a_hook_gets_all_of_it_in_its_environment(void **state)
{
    struct acme_program_call call = {.argument_count = 99};
    const char *why = NULL;
    assert_false(acme_failed(acme_dv_call(&hook_config, *state, ACME_DV_PUBLISH, &http_answer, &call, &why)));
    assert_int_equal(call.argument_count, 3);
    assert_string_equal(call.arguments[0], hook[0]);
    assert_string_equal(call.arguments[2], hook[2]);
    assert_null(call.input.data);
    assert_int_equal(call.timeout_ms, 5000);
    assert_string_equal(variable(&call, "ACMEBRIDGE_DV_ACTION"), "publish");
    assert_string_equal(variable(&call, "ACMEBRIDGE_DV_TYPE"), "http-01");
    assert_string_equal(variable(&call, "ACMEBRIDGE_DV_DOMAIN"), "www.example.test");
    assert_string_equal(variable(&call, "ACMEBRIDGE_DV_TOKEN"), "tok1");
    assert_string_equal(variable(&call, "ACMEBRIDGE_DV_BODY"), "tok1.thumb");
    assert_string_equal(variable(&call, "ACMEBRIDGE_DV_PATH"), http_answer.path);
    assert_string_equal(variable(&call, "ACMEBRIDGE_DV_REDIRECT"), http_answer.redirect_path);
    assert_string_equal(variable(&call, "ACMEBRIDGE_DV_ORDER"), "order1");

    assert_false(acme_failed(acme_dv_call(&hook_config, *state, ACME_DV_REMOVE, &dns_answer, &call, &why)));
    assert_string_equal(variable(&call, "ACMEBRIDGE_DV_ACTION"), "remove");
    assert_string_equal(variable(&call, "ACMEBRIDGE_DV_TYPE"), "dns-01");
    assert_string_equal(variable(&call, "ACMEBRIDGE_DV_REDIRECT"), "");
}

static void assert_script(const struct acme_program_call *call, const char *script)
{
    assert_int_equal(call->input.len, strlen(script));
    assert_memory_equal(call->input.data, script, call->input.len);
}

static void an_update_touches_one_value(void **state)
{
    struct acme_program_call call = {.argument_count = 99};
    const char *why = NULL;
    assert_false(acme_failed(acme_dv_call(&dns_config, *state, ACME_DV_PUBLISH, &dns_answer, &call, &why)));
    assert_int_equal(call.argument_count, 4);
    assert_string_equal(call.arguments[0], "/usr/bin/nsupdate");
    assert_string_equal(call.arguments[2], "-k");
    assert_string_equal(call.arguments[3], "/etc/acmebridge/tsig.key");
    assert_int_equal(call.variable_count, 0);
    assert_script(&call, "server 192.0.2.53 5353\n"
                         "update add _acme-challenge.example.test. 60 TXT \"TXT-VALUE_0\"\nsend\n");
    struct acme_dv_config config = dns_config;
    config.port = 0;
    config.zone = "example.test";
    config.ttl_s = 5;
    struct acme_dv_answer answer = dns_answer;
    answer.path = "_acme-challenge.example.test";
    assert_false(acme_failed(acme_dv_call(&config, *state, ACME_DV_PUBLISH, &answer, &call, &why)));
    assert_script(&call, "server 192.0.2.53 53\nzone example.test\n"
                         "update add _acme-challenge.example.test. 5 TXT \"TXT-VALUE_0\"\nsend\n");
    assert_false(acme_failed(acme_dv_call(&config, *state, ACME_DV_REMOVE, &answer, &call, &why)));
    assert_script(&call, "server 192.0.2.53 53\nzone example.test\n"
                         "update delete _acme-challenge.example.test. TXT \"TXT-VALUE_0\"\nsend\n");
}

static void assert_refused(void **state, const struct acme_dv_config *config, struct acme_dv_answer answer)
{
    struct acme_program_call call = {.argument_count = 99};
    const char *why = NULL;
    struct acme_err err = acme_dv_call(config, *state, ACME_DV_PUBLISH, &answer, &call, &why);
    assert_int_equal(err.code, ACME_E_FORMAT);
    assert_non_null(why);
    assert_int_equal(call.argument_count, 99);
}

/* What the upstream says becomes a script and an environment: nothing in it may mean something there. */
static void what_is_no_challenge_is_not_passed_on(void **state)
{
    static const char *const names[] = {"",          "a b.test", "a\nupdate delete b.test",
                                        "a\"b.test", "-a.test",  "a..test",
                                        ".test",     "*.*.test", "a;b.test"};
    static const char *const values[] = {"", "a b", "x\"\nsend\nupdate delete a.test", "$(id)", "a\\b"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct acme_dv_answer answer = dns_answer;
        answer.path = names[i];
        assert_refused(state, &dns_config, answer);
        answer = dns_answer;
        answer.domain = names[i];
        assert_refused(state, &dns_config, answer);
    }
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct acme_dv_answer answer = dns_answer;
        answer.body = values[i];
        assert_refused(state, &dns_config, answer);
        answer = http_answer;
        answer.token = values[i];
        assert_refused(state, &hook_config, answer);
    }
    static const char *const tokens[] = {"..", ".htaccess", "tok.1"}; /* hooks name files by them */
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        struct acme_dv_answer answer = http_answer;
        answer.token = tokens[i];
        assert_refused(state, &hook_config, answer);
    }
    static const char *const records[] = {"www.example.test.", "_dmarc.example.test.", "_acme-challenge.",
                                          "_acme-challenge", "x._acme-challenge.example.test"};
    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
        struct acme_dv_answer answer = dns_answer;
        answer.path = records[i];
        assert_refused(state, &dns_config, answer);
        assert_refused(state, &hook_config, answer);
    }
    static const char *const urls[] = {"http://x/`id`", "http://x/$(id)", "http://x/a;id", "http://x/'",
                                       "http://x/a|b"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct acme_dv_answer answer = http_answer;
        answer.path = urls[i];
        assert_refused(state, &hook_config, answer);
    }
    struct acme_dv_answer answer = http_answer;
    answer.path = "file:///etc/passwd";
    assert_refused(state, &hook_config, answer);
    answer = http_answer;
    answer.redirect_path = "http://dcv.example.test/a b";
    assert_refused(state, &hook_config, answer);
    assert_refused(state, &dns_config, http_answer);
}

static void nothing_is_run_for_the_operator(void **state)
{
    struct acme_program_call call;
    const char *why = NULL;
    const struct acme_dv_config config = {.publication = ACME_DV_MANUAL};
    struct acme_err err = acme_dv_call(&config, *state, ACME_DV_PUBLISH, &dns_answer, &call, &why);
    assert_int_equal(err.code, ACME_E_STATE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_hook_gets_all_of_it_in_its_environment, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_update_touches_one_value, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_challenge_is_not_passed_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_run_for_the_operator, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
