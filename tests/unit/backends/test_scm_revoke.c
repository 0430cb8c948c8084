/* scm_revoke.c: a revocation step by step, and everything SCM may say to it. */
#include "cmocka_all.h"

#include "scm_rig.h"

#include <string.h>

#define DETAILS "/api/ssl/v1/4242"
#define REVOKE  "/api/ssl/v1/revoke/4242"

static struct acme_revoke_request revocation;

static int set_up(void **state)
{
    if (rig_setup(state) != 0)
        return -1;
    struct rig *rig = *state;
    revocation = (struct acme_revoke_request){
        .serial_hex = "00D3ADBEEF",
        .upstream_ref = "4242",
        .reason = 4,
        .created_ms = rig->now_ms,
        .deadline_ms = rig->now_ms + 30 * ACME_DAY_MS,
    };
    rig->revocation = &revocation;
    return 0;
}

static const char *details(struct rig *rig, const char *status, const char *serial)
{
    return serial == NULL ? rig_details(rig, 4242, status, NULL, NULL)
                          : rig_format(rig, "{\"sslId\":4242,\"status\":\"%s\",\"serialNumber\":\"%s\"}",
                                       status, serial);
}

static void expect_done(struct rig *rig)
{
    if (rig->step.kind != ACME_STEP_DONE)
        fail_msg("expected the end, got step kind %d: %s", (int)rig->step.kind, rig->step.note);
    rig_expect_ref(rig, "4242");
}

/* Up to the call that revokes. */
static void asked(struct rig *rig)
{
    rig_start(rig);
    rig_expect_call(rig, "GET", DETAILS);
    rig_reply(rig, 200, details(rig, "Issued", NULL));
    rig_expect_call(rig, "POST", REVOKE);
}

static void test_revoked(void **state)
{
    struct rig *rig = *state;
    static const char body[] = "{\"reasonCode\":4,\"reason\":\"ACME revokeCert\"}";
    asked(rig);
    assert_int_equal(rig->step.call.body.len, strlen(body));
    assert_memory_equal(rig->step.call.body.data, body, strlen(body));
    rig_reply(rig, 204, "");
    expect_done(rig);
    rig_expect_note(rig, "00D3ADBEEF");
}

static void test_the_status_says_enough(void **state)
{
    static const char *const statuses[] = {"Revoked", "revoked", "Expired"};
    struct rig *rig = *state;
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        rig->state = "{}";
        rig_start(rig);
        rig_reply(rig, 200, details(rig, statuses[i], "d3:ad:be:ef"));
        expect_done(rig);
    }
}

/* After a replacement in SCM the number stands for another certificate. */
static void test_replaced_certificates_are_named_by_serial(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_reply(rig, 200, details(rig, "Revoked", "D3:AD:BE:EE"));
    rig_expect_call(rig, "POST", "/api/ssl/v1/revoke/serial/00:D3:AD:BE:EF");
    rig_reply(rig, 204, "");
    expect_done(rig);
    rig->state = "{}";
    rig_start(rig);
    rig_reply(rig, 200, details(rig, "Issued", "00:D3:AD:BE:EF"));
    rig_expect_call(rig, "POST", REVOKE);
}

static void test_without_a_number(void **state)
{
    static const char *const refs[] = {NULL, "", "12x", "-3", "99999999999999999999"};
    struct rig *rig = *state;
    for (size_t i = 0; i < sizeof refs / sizeof *refs; i++) {
        rig->state = "{}";
        revocation.upstream_ref = refs[i];
        rig_start(rig);
        rig_expect_call(rig, "POST", "/api/ssl/v1/revoke/serial/00:D3:AD:BE:EF");
    }
}

static void test_already_revoked_is_success(void **state)
{
    static const int codes[] = {-159, -110, -192};
    struct rig *rig = *state;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        rig->state = "{}";
        asked(rig);
        rig_reply(rig, 400, rig_format(rig, "{\"code\":%d,\"description\":\"x\"}", codes[i]));
        expect_done(rig);
    }
}

/* -102 also stands for "already revoked": the status tells, but not for ever. */
static void test_not_in_a_state_to_be_revoked(void **state)
{
    static const char refusal[] = "{\"code\":-102,\"description\":\"Only issued certificates\"}";
    struct rig *rig = *state;
    asked(rig);
    rig_reply(rig, 400, refusal);
    rig_expect_wait(rig, 5, true);
    rig_timer(rig);
    rig_expect_call(rig, "GET", DETAILS);
    rig_reply(rig, 200, details(rig, "Revoked", NULL));
    expect_done(rig);

    rig->state = "{}";
    asked(rig);
    for (int i = 0; i < 2; i++) {
        rig_reply(rig, 400, refusal);
        assert_int_equal(rig->step.kind, ACME_STEP_WAIT);
        rig_timer(rig);
        rig_reply(rig, 200, details(rig, "Declined", NULL));
        rig_expect_call(rig, "POST", REVOKE);
    }
    rig_reply(rig, 400, refusal);
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
}

static void test_final_refusals(void **state)
{
    static const char *const bodies[] = {"{\"code\":-1601,\"description\":\"Field reasonCode\"}",
                                         "{\"code\":-77777,\"description\":\"made up\"}",
                                         "{\"code\":-5101,\"description\":\"Certificate not found.\"}"};
    struct rig *rig = *state;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        rig->state = "{}";
        asked(rig);
        rig_reply(rig, 400, bodies[i]);
        rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    }
    rig->state = "{}";
    rig_start(rig);
    rig_reply(rig, 400, "{\"code\":-124,\"description\":\"Wrong SSL certificate id\"}");
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
}

static void test_outages_are_waited_for(void **state)
{
    static const struct {
        int status;
        const char *body;
    } troubles[] = {{500, ""},          {503, "<html>"},       {429, ""}, {200, "<html>Welcome</html>"},
                    {302, "elsewhere"}, {400, "<html></html>"}};
    struct rig *rig = *state;
    for (size_t i = 0; i < sizeof troubles / sizeof *troubles; i++) {
        rig->state = "{}";
        asked(rig);
        rig_reply(rig, troubles[i].status, troubles[i].body);
        rig_expect_wait(rig, 5, true);
        rig_timer(rig); /* first a look: it may have been done */
        rig_expect_call(rig, "GET", DETAILS);
        rig_reply(rig, troubles[i].status, troubles[i].body);
        rig_expect_wait(rig, 10, true);
    }
    rig->state = "{}";
    asked(rig);
    rig_call_failed(rig, true);
    rig_expect_wait(rig, 5, true);
    rig_timer(rig);
    rig_call_failed(rig, false);
    rig_expect_wait(rig, 10, true);
    rig_timer(rig);
    rig_reply(rig, 200, details(rig, "Revoked", NULL));
    expect_done(rig);
}

static void test_wrong_login_waits_for_the_operator(void **state)
{
    struct rig *rig = *state;
    asked(rig);
    rig_reply(rig, 401, "{\"code\":-16,\"description\":\"Unknown user\"}");
    rig_expect_wait(rig, 60, true);
}

static void test_a_bare_404_is_believed_late(void **state)
{
    struct rig *rig = *state;
    const int64_t begin_ms = rig->now_ms;
    rig_start(rig);
    rig_reply(rig, 404, "");
    while (rig->step.kind == ACME_STEP_WAIT) {
        rig_timer(rig);
        rig_reply(rig, 404, "");
    }
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    assert_true(rig->now_ms - begin_ms >= 10 * ACME_MINUTE_MS);
}

static void test_after_a_crash(void **state)
{
    struct rig *rig = *state;
    asked(rig);
    rig->state = "{}"; /* nothing was saved before the call */
    rig_restart(rig, ACME_EVENT_START);
    rig_expect_call(rig, "GET", DETAILS);
    rig_restart(rig, ACME_EVENT_RECOVER);
    rig_expect_call(rig, "GET", DETAILS);
}

static void test_gives_up_when_the_certificate_expires(void **state)
{
    struct rig *rig = *state;
    asked(rig);
    rig->now_ms = revocation.deadline_ms;
    rig_reply(rig, 503, "");
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_note(rig, "expired");
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, set_up, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(test_revoked),
        WITH_RIG(test_the_status_says_enough),
        WITH_RIG(test_replaced_certificates_are_named_by_serial),
        WITH_RIG(test_without_a_number),
        WITH_RIG(test_already_revoked_is_success),
        WITH_RIG(test_not_in_a_state_to_be_revoked),
        WITH_RIG(test_final_refusals),
        WITH_RIG(test_outages_are_waited_for),
        WITH_RIG(test_wrong_login_waits_for_the_operator),
        WITH_RIG(test_a_bare_404_is_believed_late),
        WITH_RIG(test_after_a_crash),
        WITH_RIG(test_gives_up_when_the_certificate_expires),
    };
    return cmocka_run_group_tests_name("backends/scm revocation", tests, NULL, NULL);
}
