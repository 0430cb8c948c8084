/* An update is never made twice, and never forgotten. */
#include "cmocka_all.h"

#include "cps_rig.h"

#include <string.h>

#define OURS    "[{\"location\":\"/cps/v2/enrollments/10002/changes/10003\",\"changeType\":\"new-certificate\"}]"
#define FOREIGN "[{\"location\":\"/cps/v2/enrollments/10002/changes/9\",\"changeType\":\"modify-san\"}]"

static void begin_update(struct rig *rig)
{
    rig_begin(rig, "ov", RIG_SANS, "[]");
    rig_expect_call(rig, "PUT", RIG_UPDATE);
    assert_non_null(strstr(rig->state, "\"sentAt\":1800000000000"));
    assert_non_null(strstr(rig->state, "\"bodySha256\":\""));
}

/* From the look-up on: the change is found and followed, and there was one update only. */
static void expect_found(struct rig *rig)
{
    rig_expect_call(rig, "GET", "/enrollments/10002");
    rig_reply(rig, 200, rig_enrollment(rig, "ov", RIG_SANS, OURS));
    rig_expect_call(rig, "GET", RIG_CHANGE);
    assert_string_equal(rig->step.upstream_ref, "10002/10003");
    assert_int_equal(rig->updates, 1);
}

static void test_died_after_sending(void **state)
{
    struct rig *rig = *state;
    begin_update(rig);
    rig_restart(rig, ACME_EVENT_RECOVER);
    expect_found(rig);
}

static void test_restarted_without_an_intent(void **state)
{
    struct rig *rig = *state;
    begin_update(rig);
    rig_restart(rig, ACME_EVENT_TIMER); /* whatever the event says, the state knows better */
    expect_found(rig);
}

static void test_answer_lost(void **state)
{
    struct rig *rig = *state;
    begin_update(rig);
    rig_call_failed(rig, true);
    rig_expect_wait(rig, 5, true);
    rig_timer(rig);
    expect_found(rig);
}

static void test_server_errors(void **state)
{
    struct rig *rig = *state;
    static const int statuses[] = {500, 502, 503, 504, 408};
    for (size_t i = 0; i < 5; i++) {
        rig->state = "{}";
        rig->updates = 0;
        rig->now_ms = RIG_START;
        begin_update(rig);
        rig_reply(rig, statuses[i], "<html>");
        rig_expect_wait(rig, 5, true);
        rig_timer(rig);
        expect_found(rig);
    }
}

static void test_accepted_without_saying_what(void **state)
{
    struct rig *rig = *state;
    begin_update(rig);
    rig_reply(rig, 202, "");
    rig_expect_wait(rig, 10, false);
    rig_timer(rig);
    expect_found(rig);
}

static void test_nothing_left_this_machine(void **state)
{
    struct rig *rig = *state;
    begin_update(rig);
    rig_call_failed(rig, false);
    rig_expect_wait(rig, 5, true);
    assert_null(strstr(rig->state, "sentAt"));
    rig_timer(rig);
    rig_read(rig, "ov", RIG_SANS, "[]");
    rig_expect_call(rig, "PUT", RIG_UPDATE);
}

static void test_no_trace_for_long_enough(void **state)
{
    struct rig *rig = *state;
    begin_update(rig);
    rig_restart(rig, ACME_EVENT_RECOVER);
    for (int looks = 0; looks < 6; looks++) {
        rig_reply(rig, 200, rig_enrollment(rig, "ov", RIG_SANS, "[]"));
        rig_expect_call(rig, "GET", "/enrollments/10002/history/changes");
        rig_reply(rig, 200,
                  "{\"changes\":[{\"status\":\"completed\",\"createdOn\":\"2027-01-15T07:59:00Z\"},{}]}");
        rig_expect_wait(rig, 20, false);
        assert_int_equal(rig->updates, 1);
        rig_timer(rig);
        rig_expect_call(rig, "GET", "/enrollments/10002");
    }
    rig_reply(rig, 200, rig_enrollment(rig, "ov", RIG_SANS, "[]"));
    rig_reply(rig, 404, "");
    rig_read(rig, "ov", RIG_SANS, "[]"); /* anew, for the second update */
    rig_expect_call(rig, "PUT", RIG_UPDATE);
    assert_int_equal(rig->updates, 2);
}

/* An update may have waited for its turn, or CPS works on what we gave up: what counts is how long nothing
 * shows, not when it was sent. */
static void test_a_late_look_is_no_proof(void **state)
{
    struct rig *rig = *state;
    begin_update(rig);
    rig->now_ms += 4 * ACME_MINUTE_MS;
    rig_call_failed(rig, true);
    rig_timer(rig);
    rig_reply(rig, 200, rig_enrollment(rig, "ov", RIG_SANS, "[]"));
    rig_reply(rig, 200, "{\"changes\":[]}");
    rig_expect_wait(rig, 20, false);
    rig_timer(rig);
    expect_found(rig);
}

static void test_finished_meanwhile(void **state)
{
    struct rig *rig = *state;
    begin_update(rig);
    rig_restart(rig, ACME_EVENT_RECOVER);
    rig_reply(rig, 200, rig_enrollment(rig, "ov", RIG_SANS, "null"));
    rig_reply(rig, 200,
              "{\"changes\":[{\"action\":\"renew\",\"status\":\"completed\",\"createdOn\":\"2027-01-15T08:00:"
              "01Z\"}]}");
    rig_expect_call(rig, "GET", "/enrollments/10002/deployments");
    rig_reply(rig, 200, rig_deployments(rig, rig->leaf));
    rig_expect_issued(rig, rig->leaf);
    assert_int_equal(rig->updates, 1);
}

static void test_cancelled_meanwhile(void **state)
{
    struct rig *rig = *state;
    begin_update(rig);
    rig_restart(rig, ACME_EVENT_RECOVER);
    rig_reply(rig, 200, rig_enrollment(rig, "ov", RIG_SANS, "null"));
    rig_reply(rig, 200, "{\"changes\":[{\"status\":\"cancelled\",\"createdOn\":\"2027-01-15T08:00:01Z\"}]}");
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
}

static void test_not_listed_yet(void **state)
{
    struct rig *rig = *state;
    begin_update(rig);
    rig_restart(rig, ACME_EVENT_RECOVER);
    rig_reply(rig, 200, rig_enrollment(rig, "ov", RIG_SANS, "null"));
    rig_reply(rig, 200, "{\"changes\":[{\"status\":\"incomplete\",\"createdOn\":\"2027-01-15T08:00:01Z\"}]}");
    rig_expect_wait(rig, 20, false);
    rig_timer(rig);
    expect_found(rig);
}

static void test_what_is_not_listed_for_long_is_looked_for_rarely(void **state)
{
    struct rig *rig = *state;
    begin_update(rig);
    rig_restart(rig, ACME_EVENT_RECOVER);
    for (int looks = 0; looks < 60; looks++) {
        rig_reply(rig, 200, rig_enrollment(rig, "ov", RIG_SANS, "null"));
        rig_reply(rig, 200,
                  "{\"changes\":[{\"status\":\"incomplete\",\"createdOn\":\"2027-01-15T08:00:01Z\"}]}");
        assert_int_equal(rig->step.kind, ACME_STEP_WAIT);
        rig_timer(rig);
    }
    assert_true(rig->now_ms - RIG_START > 2 * ACME_HOUR_MS);
    assert_int_equal(rig->updates, 1);
}

static void test_a_foreign_change_is_not_taken_for_ours(void **state)
{
    struct rig *rig = *state;
    begin_update(rig);
    rig_restart(rig, ACME_EVENT_RECOVER);
    /* Somebody else's change for other names came first. */
    rig_reply(rig, 200, rig_enrollment(rig, "ov", "[\"third.example.test\"]", FOREIGN));
    rig_expect_call(rig, "GET", "/enrollments/10002/history/changes");
    rig_reply(rig, 500, "");
    rig_expect_wait(rig, 5, true);
}

static void test_cancelled_ones_are_not_taken_for_ours(void **state)
{
    struct rig *rig = *state;
    rig->profile.allow_cancel_pending_changes = true;
    rig_begin(rig, "ov", RIG_SANS, FOREIGN);
    rig_expect_call(rig, "PUT", RIG_UPDATE "&allow-cancel-pending-changes=true");
    assert_non_null(strstr(rig->state, "\"known\":[9]"));
    rig_restart(rig, ACME_EVENT_RECOVER);
    rig_reply(rig, 200, rig_enrollment(rig, "ov", RIG_SANS, FOREIGN));
    rig_expect_call(rig, "GET", "/enrollments/10002/history/changes");
    rig_reply(rig, 200, "{\"changes\":null}");
    rig_expect_wait(rig, 20, false);
    rig_timer(rig);
    expect_found(rig);
}

static void test_conflict(void **state)
{
    struct rig *rig = *state;
    begin_update(rig);
    rig_reply(rig, 409,
              "{\"type\":\"x/cannot-cancel-pending-change\",\"title\":\"Pending\",\"detail\":\"A change is "
              "pending\"}");
    rig_expect_wait(rig, 120, true);
    rig_expect_note(rig, "A change is pending");
    rig_timer(rig);
    rig_read(rig, "ov", RIG_SANS, FOREIGN);
    rig_expect_wait(rig, 300, false);
    rig_timer(rig);
    rig_read(rig, "ov", RIG_SANS, "[]");
    rig_expect_call(rig, "PUT", RIG_UPDATE);
}

static void test_refused(void **state)
{
    struct rig *rig = *state;
    begin_update(rig);
    rig_reply(rig, 400, "{\"title\":\"Bad Request\",\"detail\":\"Invalid SAN example.test\"}");
    rig_expect_failed(rig, ACME_PROBLEM_REJECTED_IDENTIFIER);
    rig_expect_detail(rig, "Invalid SAN example.test");
    rig->state = "{}";
    begin_update(rig);
    rig_reply(rig, 400, "{\"title\":\"Bad Request\",\"detail\":\"techContact is not at Akamai\"}");
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig->state = "{}";
    begin_update(rig);
    rig_reply(rig, 403, "{\"title\":\"Forbidden\",\"detail\":\"no grant\"}");
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_note(rig, "CPS grant");
    rig->state = "{}";
    begin_update(rig);
    rig_reply(rig, 415, "");
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
}

static void test_throttled(void **state)
{
    struct rig *rig = *state;
    begin_update(rig);
    rig_reply_header(rig, 429, "retry-after", "90", "");
    rig_expect_wait(rig, 90, false);
    assert_null(strstr(rig->state, "sentAt"));
    rig_timer(rig);
    rig_read(rig, "ov", RIG_SANS, "[]");
    rig_expect_call(rig, "PUT", RIG_UPDATE);
}

static void test_clock(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_reply_header(rig, 401, "date", "Fri, 15 Jan 2027 07:58:00 GMT", "{\"title\":\"Not authorized\"}");
    rig_expect_wait(rig, 60, true);
    rig_expect_note(rig, "clock is 120 seconds fast");
    rig_timer(rig);
    for (int i = 0; i < 3; i++) {
        rig_reply(rig, 401, "{\"title\":\"Not authorized\"}");
        assert_int_equal(rig->step.kind, ACME_STEP_WAIT);
        rig_expect_note(rig, "credentials");
        rig_timer(rig);
    }
    rig_reply(rig, 401, "");
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig->state = "{}";
    rig->now_ms = RIG_START;
    begin_update(rig);
    rig_reply_header(rig, 400, "date", "Fri, 15 Jan 2027 08:02:00 GMT", "{\"title\":\"Invalid timestamp\"}");
    rig_expect_wait(rig, 60, true);
    rig_expect_note(rig, "clock is 120 seconds slow");
}

static void test_a_refused_login_does_not_end_what_is_under_way(void **state)
{
    struct rig *rig = *state;
    rig_changing(rig, "ov");
    for (int i = 0; i < 8; i++) {
        rig_reply(rig, 401, "");
        assert_int_equal(rig->step.kind, ACME_STEP_WAIT);
        rig_timer(rig);
    }
    rig_reply(rig, 403, "");
    assert_int_equal(rig->step.kind, ACME_STEP_WAIT);
}

static void test_secrets_are_not_repeated(void **state)
{
    struct rig *rig = *state;
    begin_update(rig);
    rig_reply(rig, 400, "{\"detail\":\"who is " RIG_SECRET "?\"}"); /* the rig looks */
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_detail(rig, "(not shown)");
}

static void test_withdrawn_while_the_outcome_is_open(void **state)
{
    struct rig *rig = *state;
    begin_update(rig);
    rig->request.withdraw = true;
    rig_restart(rig, ACME_EVENT_RECOVER);
    rig_expect_call(rig, "GET", "/enrollments/10002");
    rig_reply(rig, 200, rig_enrollment(rig, "ov", RIG_SANS, OURS));
    rig_expect_call(rig, "GET", RIG_CHANGE);
    rig_reply(rig, 200, rig_change(rig, "new", "", NULL));
    rig_expect_call(rig, "DELETE", RIG_CHANGE);
    rig_reply(rig, 404, "");
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
}

static void test_restart_at_each_later_step(void **state)
{
    struct rig *rig = *state;
    rig_changing(rig, "ov");
    rig_restart(rig, ACME_EVENT_RECOVER);
    rig_expect_call(rig, "GET", RIG_CHANGE);
    rig_reply(rig, 200, rig_change(rig, "completed", "", NULL));
    rig_expect_call(rig, "GET", "/enrollments/10002/deployments");
    rig_restart(rig, ACME_EVENT_TIMER);
    rig_expect_call(rig, "GET", "/enrollments/10002/deployments");
    rig_reply(rig, 503, "");
    rig_expect_wait(rig, 5, true);
    rig_timer(rig);
    rig_reply(rig, 200, rig_deployments(rig, rig->leaf));
    rig_expect_issued(rig, rig->leaf);
    assert_int_equal(rig->updates, 1);
}

static void test_restart_while_cancelling(void **state)
{
    struct rig *rig = *state;
    rig_changing(rig, "ov");
    rig_reply(rig, 200,
              "{\"statusInfo\":{\"state\":\"error\",\"error\":{\"code\":\"E1\",\"description\":\"CAA forbids "
              "it\"}}}");
    rig_expect_call(rig, "DELETE", RIG_CHANGE);
    rig_restart(rig, ACME_EVENT_TIMER);
    rig_expect_call(rig, "DELETE", RIG_CHANGE);
    rig_reply(rig, 409, "");
    rig_expect_failed(rig, ACME_PROBLEM_CAA);
    rig_expect_detail(rig, "CAA forbids it (E1)");
    rig_expect_note(rig, "could not be cancelled");
}

static void test_damaged_state(void **state)
{
    struct rig *rig = *state;
    rig->state = "{\"phase\":\"follow\",\"call\":\"nonsense\",\"known\":[1,\"x\",-2],\"old\":[1],\"dv\":7}";
    rig_restart(rig, ACME_EVENT_TIMER);
    rig_expect_call(rig, "GET", "/enrollments/10002/deployments");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
        TEST(test_died_after_sending),
        TEST(test_restarted_without_an_intent),
        TEST(test_answer_lost),
        TEST(test_server_errors),
        TEST(test_accepted_without_saying_what),
        TEST(test_nothing_left_this_machine),
        TEST(test_no_trace_for_long_enough),
        TEST(test_a_late_look_is_no_proof),
        TEST(test_finished_meanwhile),
        TEST(test_cancelled_meanwhile),
        TEST(test_not_listed_yet),
        TEST(test_what_is_not_listed_for_long_is_looked_for_rarely),
        TEST(test_a_foreign_change_is_not_taken_for_ours),
        TEST(test_cancelled_ones_are_not_taken_for_ours),
        TEST(test_conflict),
        TEST(test_refused),
        TEST(test_throttled),
        TEST(test_clock),
        TEST(test_a_refused_login_does_not_end_what_is_under_way),
        TEST(test_secrets_are_not_repeated),
        TEST(test_withdrawn_while_the_outcome_is_open),
        TEST(test_restart_at_each_later_step),
        TEST(test_restart_while_cancelling),
        TEST(test_damaged_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
