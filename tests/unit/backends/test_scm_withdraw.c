/* Requests that nobody waits for any more: superseded by a newer order, or past the order's deadline. */
#include "cmocka_all.h"

#include "scm_rig.h"

#include <string.h>

static void supersede(struct rig *rig)
{
    rig->request.withdraw = true;
}

static void expect_decline(struct rig *rig, const char *word)
{
    rig_expect_call(rig, "POST", "/api/ssl/v1/decline/4242");
    assert_false(rig->step.once);
    assert_non_null(memmem(rig->step.call.body.data, rig->step.call.body.len, "{\"message\":\"", 12));
    assert_non_null(memmem(rig->step.call.body.data, rig->step.call.body.len, word, strlen(word)));
}

/* Its job is taken up again with the order to withdraw. */
static void declining(struct rig *rig)
{
    rig_accepted(rig);
    rig_reply(rig, 200, rig_details(rig, 4242, "Requested", RIG_TAG, NULL));
    supersede(rig);
    rig_timer(rig);
    expect_decline(rig, "newer");
    rig_expect_note(rig, "newer order");
}

static void test_declined(void **state)
{
    struct rig *rig = *state;
    declining(rig);
    rig_reply(rig, 204, "");
    rig_expect_failed(rig, ACME_PROBLEM_ORDER_NOT_READY);
    rig_expect_note(rig, "withdrawn (declined)");
    rig_expect_ref(rig, "4242");
    assert_int_equal(rig->enrolls, 1);
}

static void test_nothing_sent_yet(void **state)
{
    struct rig *rig = *state;
    supersede(rig);
    rig_start(rig);
    rig_expect_failed(rig, ACME_PROBLEM_ORDER_NOT_READY);
    rig_expect_note(rig, "none to withdraw");
    assert_int_equal(rig->enrolls, 0);
}

/* The process died in the enroll, and a newer order came before the restart: what SCM has is found and
 * declined. */
static void test_found_and_declined(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_expect_enroll(rig);
    supersede(rig);
    rig_restart(rig, ACME_EVENT_RECOVER);
    rig_expect_search(rig, "commonName=www.example.test", true, 0);
    rig_reply_header(rig, 200, "x-total-count", "1", "[{\"sslId\":4242}]");
    rig_reply(rig, 200, rig_details(rig, 4242, "Requested", RIG_TAG, NULL));
    expect_decline(rig, "newer");
    rig_reply(rig, 204, "");
    rig_expect_failed(rig, ACME_PROBLEM_ORDER_NOT_READY);
    assert_int_equal(rig->enrolls, 1);
}

static void test_never_found(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    supersede(rig);
    rig_call_failed(rig, true);
    for (int rounds = 0; rig->step.kind != ACME_STEP_FAILED; rounds++) {
        assert_true(rounds < 10);
        rig_reply_header(rig, 200, "x-total-count", "0", "[]");
        rig_reply_header(rig, 200, "x-total-count", "0", "[]");
        if (rig->step.kind == ACME_STEP_WAIT)
            rig_timer(rig);
    }
    rig_expect_note(rig, "holds no request");
    assert_int_equal(rig->enrolls, 1);
}

/* Too far for a decline: followed, and what comes is kept. */
static void test_past_declining(void **state)
{
    static const char *const codes[] = {"-1112", "-1113", "-130", "-98765"};
    struct rig *rig = *state;
    declining(rig);
    const char *asked_state = rig->state;
    const struct acme_step asked = rig->step;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        rig->state = asked_state;
        rig->step = asked;
        rig_reply(rig, 400, rig_format(rig, "{\"code\":%s,\"description\":\"state = Applied\"}", codes[i]));
        rig_expect_call(rig, "GET", "/api/ssl/v1/4242");
        rig_expect_note(rig, "followed to its end");
        rig_reply(rig, 200, rig_details(rig, 4242, "Applied", RIG_TAG, NULL));
        rig_timer(rig);
        rig_expect_call(rig, "GET", "/api/ssl/v1/4242"); /* not declined over and over */
        rig_reply(rig, 200, rig_details(rig, 4242, "Issued", RIG_TAG, NULL));
        X509 *certs[] = {rig->leaf, rig->pki.intermediate};
        rig_reply_bytes(rig, 200, pki_pem(rig->arena, certs, 2));
        rig_expect_issued(rig, 2);
    }
}

static void test_trouble_while_declining(void **state)
{
    struct rig *rig = *state;
    declining(rig);
    rig_call_failed(rig, true);
    rig_expect_wait(rig, 5, true);
    rig_timer(rig);
    expect_decline(rig, "newer");
    rig_reply(rig, 503, "<html>");
    rig_expect_wait(rig, 10, true);
    rig_timer(rig);
    rig_reply_header(rig, 429, "retry-after", "77", "");
    rig_expect_wait(rig, 77, true);
    rig_timer(rig);
    rig_reply(rig, 401, "{\"code\":-16,\"description\":\"Unknown user\"}");
    rig_timer(rig);
    rig_reply(rig, 400, "{\"code\":-3114,\"description\":\"changed\"}");
    rig_timer(rig);
    expect_decline(rig, "newer");
    rig_reply(rig, 404, "{\"code\":-5101,\"description\":\"Certificate not found.\"}");
    rig_expect_failed(rig, ACME_PROBLEM_ORDER_NOT_READY);
    rig_expect_note(rig, "nothing left to withdraw");
}

/* ---- the deadline ---- */

static void late(struct rig *rig)
{
    rig_accepted(rig);
    rig->now_ms = rig->request.deadline_ms;
    rig_reply(rig, 200, rig_details(rig, 4242, "Requested", RIG_TAG, NULL));
    expect_decline(rig, "longest");
}

static void test_late_and_declined_already(void **state)
{
    struct rig *rig = *state;
    late(rig);
    rig_reply(rig, 400, "{\"code\":-1112,\"description\":\"state = Applied\"}");
    rig_expect_call(rig, "GET", "/api/ssl/v1/4242");
    const char *asked_state = rig->state;
    const struct acme_step asked = rig->step;
    rig_reply(rig, 200, rig_details(rig, 4242, "Applied", RIG_TAG, NULL));
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_note(rig, "does not decline request 4242 any more: revoke what it yields");

    rig->state = asked_state;
    rig->step = asked;
    rig_reply(rig, 200, rig_details(rig, 4242, "Declined", RIG_TAG, NULL));
    rig_expect_failed(rig, ACME_PROBLEM_UNAUTHORIZED);

    rig->state = asked_state;
    rig->step = asked;
    rig_reply(rig, 200, rig_details(rig, 4242, "Issued", RIG_TAG, NULL)); /* at the last moment */
    X509 *certs[] = {rig->leaf, rig->pki.intermediate};
    rig_reply_bytes(rig, 200, pki_pem(rig->arena, certs, 2));
    rig_expect_issued(rig, 2);
}

/* SCM is away just then: asked for ten minutes more, then the order ends and the operator is told. */
static void test_late_and_away(void **state)
{
    struct rig *rig = *state;
    late(rig);
    rig_call_failed(rig, true);
    int asked = 1;
    while (rig->step.kind == ACME_STEP_WAIT) {
        rig_timer(rig);
        expect_decline(rig, "longest");
        rig_call_failed(rig, false);
        assert_true(++asked < 20);
    }
    assert_true(asked > 4);
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_note(rig, "Request 4242 is still open in SCM");
    assert_true(rig->now_ms >= rig->request.deadline_ms + 10 * ACME_MINUTE_MS);
    assert_true(rig->now_ms < rig->request.deadline_ms + 30 * ACME_MINUTE_MS);
}

/* Superseded, in vain, and now its time is over: it is asked once more. */
static void test_superseded_and_late(void **state)
{
    struct rig *rig = *state;
    declining(rig);
    rig_reply(rig, 400, "{\"code\":-1112,\"description\":\"state = SAApproved\"}");
    rig->now_ms = rig->request.deadline_ms;
    rig_reply(rig, 200, rig_details(rig, 4242, "SAApproved", RIG_TAG, NULL));
    expect_decline(rig, "longest");
    rig_reply(rig, 204, "");
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_note(rig, "withdrawn (declined)");
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(test_declined),
        WITH_RIG(test_nothing_sent_yet),
        WITH_RIG(test_found_and_declined),
        WITH_RIG(test_never_found),
        WITH_RIG(test_past_declining),
        WITH_RIG(test_trouble_while_declining),
        WITH_RIG(test_late_and_declined_already),
        WITH_RIG(test_late_and_away),
        WITH_RIG(test_superseded_and_late),
    };
    return cmocka_run_group_tests_name("backends/scm withdraw", tests, NULL, NULL);
}
