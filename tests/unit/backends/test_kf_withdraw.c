/* Orders that nobody wants any more, and those whose time is over. */
#include "cmocka_all.h"

#include "kf_rig.h"

#include <string.h>

static void test_nothing_begun(void **state)
{
    struct rig *rig = *state;
    rig->request.withdraw = true;
    rig_start(rig);
    rig_expect_failed(rig, ACME_PROBLEM_ORDER_NOT_READY);
    assert_int_equal(rig->calls_once, 0);
}

static void test_request_is_denied(void **state)
{
    struct rig *rig = *state;
    rig_pending(rig);
    rig_reply(rig, 200, "{\"StateString\":\"Pending\"}");
    rig->request.withdraw = true;
    rig_timer(rig);
    rig_expect_call(rig, "POST", "Workflow/Certificates/Deny");
    rig_expect_body(rig, "{\"Comment\":\"A newer ACME order with another key took the place of this one.\","
                         "\"CertificateRequestIds\":[881]}");
    rig_reply(rig, 503, "");
    rig_expect_wait(rig, 5, true);
    rig_timer(rig);
    rig_call_failed(rig, true);
    rig_timer(rig);
    rig_reply(rig, 200, "{\"Failures\":[],\"Denials\":[{\"KeyfactorRequestId\":881}],\"Successes\":[]}");
    rig_expect_failed(rig, ACME_PROBLEM_ORDER_NOT_READY);
    rig_expect_note(rig, "request 881 was withdrawn");
}

static void test_too_far(void **state)
{
    static const struct {
        int status;
        const char *body;
    } rows[] = {{200, "{\"Failures\":[{\"KeyfactorRequestId\":881}],\"Denials\":[]}"},
                {403, "{\"ErrorCode\":\"0xA0140002\",\"Message\":\"no\"}"},
                {404, ""},
                {400, "{\"Message\":\"not pending\"}"}};
    struct rig *rig = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rig->state = "{}";
        rig->request.withdraw = false;
        rig_pending(rig);
        rig->request.withdraw = true;
        rig_restart(rig, ACME_EVENT_TIMER);
        rig_expect_call(rig, "POST", "Workflow/Certificates/Deny");
        rig_reply(rig, rows[i].status, rows[i].body);
        rig_expect_call(rig, "GET", "Workflow/Certificates/881");
        rig_expect_note(rig, "followed to its end");
    }
    rig_reply(rig, 404, "");
    rig_reply(rig, 200, rig_format(rig, "[%s]", rig_row(rig, 1207, rig->leaf, RIG_TAG)));
    rig_reply(rig, 200, rig_download(rig, rig->leaf));
    rig_expect_issued(rig);
}

static void test_workflow_is_stopped(void **state)
{
    struct rig *rig = *state;
    rig_workflow(rig);
    rig->request.withdraw = true;
    rig_restart(rig, ACME_EVENT_TIMER);
    rig_expect_call(rig, "POST", "Workflow/Instances/" RIG_WORKFLOW "/Stop");
    rig_reply(rig, 204, "");
    rig_expect_failed(rig, ACME_PROBLEM_ORDER_NOT_READY);
}

static void test_what_is_issued_is_kept(void **state)
{
    struct rig *rig = *state;
    rig->request.withdraw = false;
    rig_start(rig);
    rig_reply(rig, 200, "{\"CertificateInformation\":{\"KeyfactorID\":1207}}");
    rig->request.withdraw = true;
    rig_restart(rig, ACME_EVENT_TIMER);
    rig_expect_call(rig, "POST", "Certificates/Download");
}

static void test_withdrawn_while_searched(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_call_failed(rig, true);
    rig->request.withdraw = true;
    for (rig_no_search(rig); rig->step.kind == ACME_STEP_WAIT; rig_no_search(rig))
        rig_timer(rig);
    rig_expect_failed(rig, ACME_PROBLEM_ORDER_NOT_READY);
    assert_int_equal(rig->calls_once, 1);
}

static void test_deadline(void **state)
{
    struct rig *rig = *state;
    rig_pending(rig);
    rig->now_ms = rig->request.deadline_ms;
    rig_reply(rig, 200, "{\"StateString\":\"Pending\"}");
    rig_expect_call(rig, "POST", "Workflow/Certificates/Deny");
    rig_expect_note(rig, "deadline has passed");
    rig_reply(rig, 200, "{}");
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
}

static void test_deadline_that_cannot_withdraw(void **state)
{
    struct rig *rig = *state;
    rig_pending(rig);
    rig->now_ms = rig->request.deadline_ms;
    rig_reply(rig, 200, "{\"StateString\":\"Pending\"}");
    rig_reply(rig, 403, "");
    rig_expect_call(rig, "GET", "Workflow/Certificates/881"); /* a last look */
    rig_reply(rig, 200, "{\"StateString\":\"Pending\"}");
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_note(rig, "request 881 is still there");
}

static void test_nothing_is_begun_at_the_deadline(void **state)
{
    struct rig *rig = *state;
    rig->now_ms = rig->request.deadline_ms;
    rig_start(rig);
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig->now_ms = RIG_START;
    rig->state = "{}";
    rig_start(rig);
    rig->now_ms = rig->request.deadline_ms - 1000;
    rig_call_failed(rig, true);
    rig_no_search(rig);
    assert_true(rig->step.wait_until_ms <= rig->request.deadline_ms);
    rig_timer(rig);
    rig_no_search(rig);
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_note(rig, "look for the order's names there");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing_begun, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_request_is_denied, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_too_far, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_workflow_is_stopped, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_what_is_issued_is_kept, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_withdrawn_while_searched, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_deadline, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_deadline_that_cannot_withdraw, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_nothing_is_begun_at_the_deadline, rig_setup, rig_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
