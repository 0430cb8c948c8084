/* A look at ELB without a deployment ("check --upstream"). */
#include "cmocka_all.h"

#include "huawei_rig.h"

#include <string.h>

#define ECHO_OFF "{\"private_key_echo\":false,\"request_id\":\"r\"}"

static void look(struct elb_rig *rig, enum acme_step_event event, int status, const char *body)
{
    static const struct acme_inspect_request request = {.domains_only = false};
    struct acme_inspect_step step = {.done = true};
    if (event == ACME_EVENT_START)
        memset(&rig->inspection, 0, sizeof rig->inspection);
    elb_inspect(rig, &request, event, status, body, &step);
    rig->step = (struct acme_step){
        .kind = step.done ? ACME_STEP_DONE : ACME_STEP_CALL, .call = step.call, .note = "inspecting"};
}

static void expect(const struct elb_rig *rig, enum acme_finding_level level, const char *part)
{
    for (size_t i = 0; i < rig->inspection.finding_count; i++) {
        const struct acme_finding *finding = &rig->inspection.findings[i];
        if (strstr(finding->text, part) != NULL) {
            assert_int_equal(finding->level, level);
            return;
        }
    }
    for (size_t i = 0; i < rig->inspection.finding_count; i++)
        print_error("%s\n", rig->inspection.findings[i].text);
    fail_msg("no finding with \"%s\"", part);
}

static void expect_end(const struct elb_rig *rig, bool incomplete)
{
    assert_int_equal(rig->step.kind, ACME_STEP_DONE);
    assert_int_equal(rig->inspection.incomplete, incomplete);
    for (size_t i = 0; i < rig->inspection.finding_count; i++) {
        const char *text = rig->inspection.findings[i].text;
        assert_null(strstr(text, ELB_ECHO));
        assert_null(strstr(text, ELB_SECRET));
    }
}

static void test_good(void **state)
{
    struct elb_rig *rig = *state;
    look(rig, ACME_EVENT_START, 0, NULL);
    elb_expect_call(rig, "GET", ELB_PATH "/" ELB_ID);
    look(rig, ACME_EVENT_REPLY, 200, elb_object(rig, rig->old, ""));
    elb_expect_call(rig, "GET", ELB_PATH "/settings/private-key-echo");
    look(rig, ACME_EVENT_REPLY, 200, ECHO_OFF);
    expect_end(rig, false);
    expect(rig, ACME_FINDING_GOOD, "accepts the login for project " ELB_PROJECT);
    expect(rig, ACME_FINDING_GOOD, ELB_ID " (web) is there");
    expect(rig, ACME_FINDING_GOOD, "good until 2027-04-15T10:20:30Z");
    expect(rig, ACME_FINDING_GOOD, "only certificates for this very key");
    expect(rig, ACME_FINDING_GOOD, "does not show private keys");
    assert_int_equal(rig->inspection.finding_count, 5);
}

static void test_things_to_see_to(void **state)
{
    struct elb_rig *rig = *state;
    rig->now_ms = INT64_C(1807700000000); /* 2027-04-14 */
    look(rig, ACME_EVENT_START, 0, NULL);
    look(rig, ACME_EVENT_REPLY, 200,
         elb_object(rig, NULL, ",\"type\":\"client\",\"protection_status\":\"consoleProtection\""));
    look(rig, ACME_EVENT_REPLY, 200, "{\"private_key_echo\":true}");
    expect_end(rig, false);
    expect(rig, ACME_FINDING_ERROR, "of type client");
    expect(rig, ACME_FINDING_WARNING, "protected against changes (consoleProtection)");
    expect(rig, ACME_FINDING_WARNING, "expires on 2027-04-15T10:20:30Z");
    expect(rig, ACME_FINDING_ERROR, "no certificate that could be read");
    expect(rig, ACME_FINDING_WARNING, "switch that off");
    rig->now_ms = INT64_C(1808700000000);
    look(rig, ACME_EVENT_START, 0, NULL);
    look(rig, ACME_EVENT_REPLY, 200, elb_object(rig, rig->old, ""));
    expect(rig, ACME_FINDING_WARNING, "expired on 2027-04-15T10:20:30Z");
    look(rig, ACME_EVENT_REPLY, 200, "{}");
    expect_end(rig, false);
    expect(rig, ACME_FINDING_WARNING, "does not say whether it shows private keys");
}

static void test_key_file(void **state)
{
    struct elb_rig *rig = *state;
    elb_with_key_file(rig);
    look(rig, ACME_EVENT_START, 0, NULL);
    look(rig, ACME_EVENT_REPLY, 200, elb_object(rig, rig->old, ""));
    expect(rig, ACME_FINDING_GOOD, "holds the key that the object has now");
    look(rig, ACME_EVENT_START, 0, NULL);
    look(rig, ACME_EVENT_REPLY, 200, elb_object(rig, rig->foreign, ""));
    expect(rig, ACME_FINDING_GOOD, "another one than the object has now");
    look(rig, ACME_EVENT_START, 0, NULL);
    look(rig, ACME_EVENT_REPLY, 200, elb_object(rig, NULL, ""));
    expect(rig, ACME_FINDING_GOOD, "private_key_file holds a private key.");
    rig->key_file = NULL;
    look(rig, ACME_EVENT_START, 0, NULL);
    look(rig, ACME_EVENT_REPLY, 200, elb_object(rig, rig->old, ""));
    expect(rig, ACME_FINDING_WARNING, "private_key_file " ELB_FILE " cannot be used: No such file");
}

static void test_create(void **state)
{
    struct elb_rig *rig = *state;
    elb_creating(rig);
    look(rig, ACME_EVENT_START, 0, NULL);
    elb_expect_call(rig, "GET", ELB_PATH "?limit=2&name=acmebridge-web");
    look(rig, ACME_EVENT_REPLY, 200, "{\"certificates\":[]}");
    expect(rig, ACME_FINDING_GOOD, "the first deployment makes it");
    expect(rig, ACME_FINDING_GOOD, "private_key_file holds a private key.");
    look(rig, ACME_EVENT_START, 0, NULL);
    look(rig, ACME_EVENT_REPLY, 200, "{\"certificates\":[{\"id\":\"" ELB_ID "\"},{\"id\":\"x\"}]}");
    expect(rig, ACME_FINDING_WARNING, "more than one certificate object");
    expect(rig, ACME_FINDING_GOOD, ELB_ID);
    look(rig, ACME_EVENT_START, 0, NULL);
    look(rig, ACME_EVENT_REPLY, 200, "{\"certificates\":[{\"id\":\"x\"}]}");
    expect(rig, ACME_FINDING_ERROR, "no certificate object of a known form");
}

static void test_failures(void **state)
{
    struct elb_rig *rig = *state;
    look(rig, ACME_EVENT_START, 0, NULL);
    look(rig, ACME_EVENT_REPLY, 401, elb_error(rig, "APIGW.0301", "wrong"));
    expect_end(rig, true);
    expect(rig, ACME_FINDING_ERROR, "ELB refuses the login (HTTP 401, APIGW.0301)");
    look(rig, ACME_EVENT_START, 0, NULL);
    look(rig, ACME_EVENT_REPLY, 404, elb_error(rig, "ELB.8904", "no"));
    expect_end(rig, false);
    expect(rig, ACME_FINDING_ERROR, "no certificate object with this id");
    look(rig, ACME_EVENT_START, 0, NULL);
    look(rig, ACME_EVENT_CALL_FAILED, 0, NULL);
    expect_end(rig, true);
    expect(rig, ACME_FINDING_ERROR, "cannot be reached: connection refused");
    look(rig, ACME_EVENT_START, 0, NULL);
    look(rig, ACME_EVENT_REPLY, 200, elb_object(rig, rig->old, ""));
    look(rig, ACME_EVENT_REPLY, 403, elb_error(rig, "X", "no"));
    expect_end(rig, false);
    expect(rig, ACME_FINDING_WARNING, "It is not known whether ELB shows private keys");
    look(rig, ACME_EVENT_START, 0, NULL);
    look(rig, ACME_EVENT_REPLY, 200, elb_object(rig, rig->old, ""));
    look(rig, ACME_EVENT_CALL_FAILED, 0, NULL);
    expect_end(rig, false);
}

/* The server asks issuers for these alone now and then. */
static void test_nothing_of_lists(void **state)
{
    struct elb_rig *rig = *state;
    static const struct acme_inspect_request requests[] = {{.domains_only = true}, {.keys_only = true}};
    for (size_t i = 0; i < 2; i++) {
        struct acme_inspect_step step = {.done = false};
        elb_inspect(rig, &requests[i], ACME_EVENT_START, 0, NULL, &step);
        assert_true(step.done);
    }
    assert_int_equal(rig->inspection.finding_count, 0);
}

#define RUNNING(test) cmocka_unit_test_setup_teardown(test, elb_setup, elb_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUNNING(test_good),   RUNNING(test_things_to_see_to), RUNNING(test_key_file),
        RUNNING(test_create), RUNNING(test_failures),         RUNNING(test_nothing_of_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
