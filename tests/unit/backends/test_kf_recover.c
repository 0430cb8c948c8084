/* Exactly once: what follows when the outcome of the enrollment is not known, and after a crash in each step.
 */
#include "cmocka_all.h"

#include "kf_rig.h"

#include <string.h>

#define BY_TAG  "Certificates?pq.queryString=AcmeOrder%20-eq%20%22acmebridge%2F01890a5d"
#define BY_NAME "Certificates?pq.queryString=IssuedCN%20-eq%20%22www.example.test%22&"
#define LIST(x)                                                                                              \
    "Workflow/Certificates/" x "?pagedQuery.queryString=CommonName%20-eq%20%22www.example.test%22&"

/* Started, sent, and no answer. */
static void lose(struct rig *rig)
{
    rig_start(rig);
    rig_expect_enroll(rig);
    rig_call_failed(rig, true);
    rig_expect_path(rig, "GET", BY_TAG);
}

static void skip_to(struct rig *rig, const char *part)
{
    for (int i = 0; i < 10 && strstr(rig->step.call.url, part) == NULL; i++)
        rig_reply(rig, 200, "[]");
    rig_expect_path(rig, "GET", part);
}

static void test_nothing_was_sent(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_call_failed(rig, false);
    rig_expect_wait(rig, 5, true);
    rig_timer(rig);
    rig_expect_enroll(rig);
}

static void test_open_outcomes_are_searched(void **state)
{
    static const struct {
        int status;
        const char *body;
        bool at_once;
    } rows[] = {
        {200, "", true},
        {200, "{\"CertificateInformation\":{\"KeyfactorID\":0,\"RequestDisposition\":\"ISSUED\"}}", true},
        {200, "<html>", true},
        {302, "", true},
        {400, "<html>Bad Request</html>", true},
        {400, "{\"Message\":\"The RPC server is unavailable. 0x800706ba\"}", true},
        {404, "", true},
        {429, "", false},
        {500, "{\"Message\":\"An error occurred\"}", false},
        {502, "", false},
        {503, "<html>", false},
    };
    struct rig *rig = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rig->state = "{}";
        rig_start(rig);
        rig_reply(rig, rows[i].status, rows[i].body);
        if (!rows[i].at_once) {
            rig_expect_wait(rig, 5, true);
            rig_timer(rig);
        }
        rig_expect_path(rig, "GET", BY_TAG);
    }
}

static void test_found_by_tag(void **state)
{
    struct rig *rig = *state;
    lose(rig);
    rig_reply(rig, 200, rig_format(rig, "[%s]", rig_row(rig, 1207, rig->leaf, RIG_TAG)));
    rig_expect_call(rig, "POST", "Certificates/Download");
    rig_expect_note(rig, "Found it in Keyfactor as certificate 1207.");
    rig_expect_ref(rig, "1207");
    rig_reply(rig, 200, rig_download(rig, rig->leaf));
    rig_expect_issued(rig);
    assert_int_equal(rig->calls_once, 1);
}

/* Somebody renewed it with another key, and Command copied the tag. */
static void test_the_key_decides(void **state)
{
    struct rig *rig = *state;
    lose(rig);
    rig_reply(rig, 200, rig_format(rig, "[%s]", rig_row(rig, 1300, rig->stranger, RIG_TAG)));
    rig_expect_path(rig, "GET", BY_NAME);
    rig_reply(rig, 200,
              rig_format(rig, "[%s,%s,%s]", rig_row(rig, 1301, rig->leaf, RIG_EARLIER),
                         rig_row(rig, 1302, rig->stranger, NULL), rig_row(rig, 1303, rig->leaf, NULL)));
    rig_expect_call(rig, "POST", "Certificates/Download");
    rig_expect_ref(rig, "1303");
}

static void test_what_is_taken_or_old_is_not_ours(void **state)
{
    struct rig *rig = *state;
    rig->taken = "1303";
    lose(rig);
    skip_to(rig, BY_NAME);
    rig_reply(rig, 200,
              rig_format(rig,
                         "[%s,{\"Id\":1200,\"ContentBytes\":\"%s\",\"ImportDate\":\"2026-01-15T08:00:00Z\"}]",
                         rig_row(rig, 1303, rig->leaf, NULL), rig_der(rig, rig->leaf)));
    rig_expect_path(rig, "GET", LIST("Pending"));
}

static void test_found_among_what_waits(void **state)
{
    static const char *const lists[] = {LIST("Pending"), LIST("ExternalValidation")};
    struct rig *rig = *state;
    for (size_t i = 0; i < 2; i++) {
        rig->state = "{}";
        lose(rig);
        skip_to(rig, lists[i]);
        rig_reply(
            rig, 200,
            "[{\"Id\":880,\"CommonName\":\"www.example.test\",\"Metadata\":{\"AcmeOrder\":\"" RIG_EARLIER
            "\"}},{\"Id\":881,\"CommonName\":\"www.example.test\",\"Metadata\":{\"acmeorder\":\"" RIG_TAG
            "\"}}]");
        rig_expect_call(rig, "GET", "Workflow/Certificates/881");
        rig_expect_ref(rig, "request-881");
    }
}

static void test_found_denied(void **state)
{
    struct rig *rig = *state;
    lose(rig);
    skip_to(rig, LIST("Denied"));
    rig_reply(rig, 200,
              "[{\"Id\":881,\"CommonName\":\"www.example.test\",\"Metadata\":{\"AcmeOrder\":\"" RIG_TAG
              "\"}}]");
    rig_expect_call(rig, "GET", "Workflow/Certificates/881");
    rig_reply(rig, 200, "{\"Id\":881,\"StateString\":\"Denied\",\"DenialComment\":\"no\"}");
    rig_expect_failed(rig, ACME_PROBLEM_UNAUTHORIZED);
}

static void test_found_as_workflow(void **state)
{
    struct rig *rig = *state;
    lose(rig);
    skip_to(rig, "Workflow/Instances/My?");
    rig_reply(rig, 200,
              "[{\"Id\":\"" RIG_WORKFLOW "\",\"StartDate\":\"2027-01-15T08:00:01Z\"},"
              "{\"Id\":\"1f8fad5b-d9cb-469f-a165-70867728950e\"},"
              "{\"Id\":\"2f8fad5b-d9cb-469f-a165-70867728950e\",\"StartDate\":\"2026-01-01T00:00:00Z\"}]");
    rig_expect_call(rig, "GET", "Workflow/Instances/1f8fad5b-d9cb-469f-a165-70867728950e");
    rig_reply(rig, 404, "");
    rig_expect_call(rig, "GET", "Workflow/Instances/" RIG_WORKFLOW);
    rig_reply(rig, 200,
              "{\"Status\":\"Suspended\",\"InitialData\":{\"Metadata\":{\"AcmeOrder\":\"" RIG_TAG "\"}}}");
    rig_expect_call(rig, "GET", "Workflow/Instances/" RIG_WORKFLOW);
    rig_expect_ref(rig, "workflow-" RIG_WORKFLOW);
    rig_reply(rig, 200, "{\"Status\":\"Suspended\"}");
    rig_expect_wait(rig, 3, false);
}

static void test_nothing_found_enrolls_again(void **state)
{
    struct rig *rig = *state;
    lose(rig);
    int rounds = 0;
    for (rig_no_search(rig); rig->step.kind == ACME_STEP_WAIT; rig_no_search(rig)) {
        assert_true(++rounds < 20);
        rig_timer(rig);
    }
    rig_expect_enroll(rig);
    rig_expect_note(rig, "attempt 2");
    assert_true(rig->now_ms - RIG_START >= ACME_MINUTE_MS);
    assert_true(rig->now_ms - RIG_START < 2 * ACME_MINUTE_MS);
    assert_int_equal(rig->calls_once, 2);
}

/* It may be ours: its metadata is not written yet. */
static void test_an_unmarked_request_makes_patient(void **state)
{
    struct rig *rig = *state;
    lose(rig);
    for (;;) {
        skip_to(rig, LIST("Pending"));
        rig_reply(rig, 200, "[{\"Id\":881,\"CommonName\":\"www.example.test\",\"Metadata\":{}}]");
        rig_no_search(rig);
        if (rig->step.kind != ACME_STEP_WAIT)
            break;
        rig_timer(rig);
    }
    rig_expect_enroll(rig);
    assert_true(rig->now_ms - RIG_START >= 30 * ACME_MINUTE_MS);
}

static void test_lists_that_may_not_be_read(void **state)
{
    struct rig *rig = *state;
    lose(rig);
    rig_reply(rig, 400, "{\"Message\":\"'AcmeOrder' is not a field.\"}");
    rig_expect_path(rig, "GET", BY_NAME);
    rig_reply(rig, 200, "[]");
    for (int i = 0; i < 4; i++)
        rig_reply(rig, i % 2 == 0 ? 403 : 404, "");
    assert_int_equal(rig->step.kind, ACME_STEP_WAIT);
    rig_timer(rig);
    rig_reply(rig, 403, ""); /* certificates must be readable */
    rig_expect_wait(rig, 60, true);
    rig_timer(rig);
    rig_reply(rig, 500, "");
    rig_expect_wait(rig, 10, true);
    rig_timer(rig);
    rig_call_failed(rig, true);
    assert_int_equal(rig->step.kind, ACME_STEP_WAIT);
    assert_int_equal(rig->calls_once, 1);
}

static void test_duplicates_go(void **state)
{
    struct rig *rig = *state;
    lose(rig);
    for (rig_no_search(rig); rig->step.kind == ACME_STEP_WAIT; rig_no_search(rig))
        rig_timer(rig);
    rig_call_failed(rig, true); /* of the second enrollment */
    rig_expect_path(rig, "GET", BY_TAG);
    rig_reply(rig, 200,
              rig_format(rig, "[%s,%s]", rig_row(rig, 1208, rig->leaf, RIG_TAG),
                         rig_row(rig, 1207, rig->leaf, RIG_TAG)));
    skip_to(rig, LIST("Pending"));
    rig_reply(rig, 200, "[{\"Id\":883,\"Metadata\":{\"AcmeOrder\":\"" RIG_TAG "\"}}]");
    while (strcmp(rig->step.call.method, "GET") == 0)
        rig_reply(rig, 200, "[]");
    rig_expect_call(rig, "POST", "Workflow/Certificates/Deny");
    rig_expect_body(rig, "\"CertificateRequestIds\":[883]");
    rig_expect_note(rig, "certificate 1208 is a duplicate");
    rig_restart(rig, ACME_EVENT_TIMER); /* a restart goes on where it was */
    rig_expect_call(rig, "POST", "Workflow/Certificates/Deny");
    rig_reply(rig, 200, "{\"Failures\":[],\"Denials\":[],\"Successes\":[]}");
    rig_expect_call(rig, "POST", "Certificates/Revoke");
    rig_expect_body(rig, "{\"CertificateIds\":[1208],\"Reason\":4,");
    rig_reply(rig, 500, "");
    rig_expect_wait(rig, 5, true);
    rig_timer(rig);
    rig_reply(rig, 200, "{\"RevokedIds\":[1208]}");
    rig_expect_call(rig, "POST", "Certificates/Download");
    rig_expect_ref(rig, "1207");
}

static void test_paging(void **state)
{
    struct rig *rig = *state;
    lose(rig);
    skip_to(rig, BY_NAME);
    const char *page = rig_row(rig, 1, rig->stranger, NULL);
    const char *rows = page;
    for (int i = 1; i < 50; i++)
        rows = rig_format(rig, "%s,{\"Id\":%d}", rows, i + 1);
    rig_reply(rig, 200, rig_format(rig, "[%s]", rows));
    rig_expect_path(rig, "GET", BY_NAME);
    rig_expect_path(rig, "GET", "pq.pageReturned=2");
}

static void test_without_common_name(void **state)
{
    struct rig *rig = *state;
    lose(rig);
    skip_to(rig, BY_NAME); /* by the first name of the order */
    rig_reply(rig, 200, "[]");
    rig_expect_path(rig, "GET", "Certificates?pq.includeRevoked"); /* the newest */
    rig_reply(rig, 200, rig_format(rig, "[%s]", rig_row(rig, 1303, rig->leaf, NULL)));
    rig_expect_call(rig, "POST", "Certificates/Download");
}

/* Wherever the process died, with an intent or without. */
static void test_crash_in_every_step(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_expect_enroll(rig);
    rig_restart(rig, ACME_EVENT_RECOVER); /* after the intent was committed */
    rig_expect_path(rig, "GET", BY_TAG);
    rig_restart(rig, ACME_EVENT_TIMER); /* in the search */
    rig_expect_path(rig, "GET", BY_TAG);
    rig_no_search(rig);
    rig_expect_wait(rig, 5, false);
    rig_timer(rig);
    rig_reply(rig, 200, "[{\"Id\":1207,\"Metadata\":{\"AcmeOrder\":\"" RIG_TAG "\"}}]");
    rig_expect_call(rig, "POST", "Certificates/Download");
    rig_restart(rig, ACME_EVENT_TIMER); /* in the download */
    rig_expect_call(rig, "POST", "Certificates/Download");
    rig_restart(rig, ACME_EVENT_RECOVER); /* and with an event that does not fit */
    rig_expect_call(rig, "POST", "Certificates/Download");
    assert_int_equal(rig->calls_once, 1);

    rig->state = "{}";
    rig_pending(rig);
    rig_restart(rig, ACME_EVENT_TIMER);
    rig_expect_call(rig, "GET", "Workflow/Certificates/881");
    rig->state = "{}";
    rig_workflow(rig);
    rig_restart(rig, ACME_EVENT_TIMER);
    rig_expect_call(rig, "GET", "Workflow/Instances/" RIG_WORKFLOW);
}

/* It may have been left to Command at the very end of the time a call may take. */
static void test_after_a_crash_the_time_of_a_call_is_added(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_restart(rig, ACME_EVENT_RECOVER);
    for (rig_no_search(rig); rig->step.kind == ACME_STEP_WAIT; rig_no_search(rig))
        rig_timer(rig);
    rig_expect_enroll(rig);
    assert_true(rig->now_ms - RIG_START >= 3 * ACME_MINUTE_MS);
}

static void test_gives_up_on_errors_without_end(void **state)
{
    struct rig *rig = *state;
    rig->request.deadline_ms = 0;
    rig_start(rig);
    for (int sent = 0; sent < 20 && rig->step.kind != ACME_STEP_FAILED; sent++) {
        rig_expect_enroll(rig);
        rig_reply(rig, 500, "{\"Message\":\"An error occurred\"}");
        while (rig->step.kind == ACME_STEP_WAIT) {
            rig_timer(rig);
            rig_no_search(rig);
        }
    }
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    assert_int_equal(rig->calls_once, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing_was_sent, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_open_outcomes_are_searched, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_found_by_tag, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_the_key_decides, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_what_is_taken_or_old_is_not_ours, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_found_among_what_waits, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_found_denied, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_found_as_workflow, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_nothing_found_enrolls_again, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_an_unmarked_request_makes_patient, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_lists_that_may_not_be_read, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_duplicates_go, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_paging, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_without_common_name, rig_setup_without_cn, rig_teardown),
        cmocka_unit_test_setup_teardown(test_crash_in_every_step, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_after_a_crash_the_time_of_a_call_is_added, rig_setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(test_gives_up_on_errors_without_end, rig_setup, rig_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
