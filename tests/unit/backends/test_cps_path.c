/* From an order to the certificate on the edge, and what may be asked for. */
#include "cmocka_all.h"

#include "cps_rig.h"

#include <string.h>

static void test_forced_renewal_to_the_edge(void **state)
{
    struct rig *rig = *state;
    rig_changing(rig, "ov");
    assert_string_equal(rig->claimed, "cps cps.example.test - 10002");
    rig_reply(rig, 200, rig_change(rig, "running", "live-check-action", NULL));
    rig_expect_wait(rig, 30, false);
    rig_expect_note(rig, "live-check-action");
    rig_timer(rig);
    rig_reply(rig, 200, rig_change(rig, "completed", "complete", NULL));
    rig_expect_call(rig, "GET", "/enrollments/10002/deployments");
    rig_reply(rig, 200, rig_deployments(rig, rig->old));
    rig_expect_wait(rig, 30, false);
    rig_timer(rig);
    rig_reply(rig, 200, rig_deployments(rig, rig->leaf));
    rig_expect_issued(rig, rig->leaf);
    assert_int_equal(rig->updates, 1);
}

static const char *body_of(struct rig *rig)
{
    return acme_arena_strndup(rig->arena, (const char *)rig->step.call.body.data, rig->step.call.body.len);
}

static void test_names_are_added_and_all_else_stays(void **state)
{
    struct rig *rig = *state;
    rig_begin(rig, "dv", "[\"www.example.test\"]", "null");
    rig_expect_call(rig, "PUT", "/enrollments/10002");
    assert_true(rig->step.once);
    rig_expect_body(
        rig, "{\"id\":\"10002\",\"location\":\"/cps/v2/enrollments/10002\",\"ra\":\"x\",\"validationType\":"
             "\"dv\",\"certificateType\":\"san\",\"maxAllowedSanNames\":3,\"maxAllowedWildcardSanNames\":1,"
             "\"aMemberOfTomorrow\":{\"deep\":[1,null,\"x\"]},\"csr\":{\"cn\":\"www.example.test\",\"c\":"
             "\"DE\",\"sans\":[\"www.example.test\",\"example.test\"]},\"pendingChanges\":null}");
    rig_reply(rig, 202, RIG_TOOK);
    rig_expect_wait(rig, 30, false);
}

static void test_names_taken_without_a_change_are_followed_by_a_renewal(void **state)
{
    struct rig *rig = *state;
    rig_begin(rig, "dv", "[\"www.example.test\"]", "null");
    rig_expect_call(rig, "PUT", "/enrollments/10002");
    rig_reply(rig, 200, "{\"enrollment\":\"/cps/v2/enrollments/10002\",\"changes\":[]}");
    rig_expect_wait(rig, 10, false);
    rig_timer(rig);
    rig_read(rig, "dv", RIG_SANS, "[]");
    rig_expect_call(rig, "PUT", RIG_UPDATE);
    for (int i = 0; i < 2; i++) {
        rig_reply(rig, 200, "{\"enrollment\":\"/cps/v2/enrollments/10002\"}");
        assert_int_equal(rig->step.kind, ACME_STEP_WAIT);
        rig_timer(rig);
        rig_read(rig, "dv", RIG_SANS, "[]");
        rig_expect_call(rig, "PUT", RIG_UPDATE);
    }
    rig_reply(rig, 200, "{}");
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
}

static void test_names_are_removed_only_when_allowed(void **state)
{
    struct rig *rig = *state;
    const char *sans = "[\"www.example.test\",\"Example.TEST\",\"old.example.test\"]";
    rig_begin(rig, "ov", sans, "[]");
    rig_expect_failed(rig, ACME_PROBLEM_REJECTED_IDENTIFIER);
    rig_expect_detail(rig, "old.example.test");
    rig->state = "{}";
    rig->profile.allow_san_removal = true;
    rig_begin(rig, "ov", sans, "[]");
    rig_expect_call(rig, "PUT", "/enrollments/10002");
    assert_non_null(strstr(body_of(rig), "\"sans\":[\"www.example.test\",\"Example.TEST\"]"));
}

static void test_common_name_cannot_go(void **state)
{
    struct rig *rig = *state;
    rig->profile.allow_san_removal = true;
    rig->request.identifiers++;
    rig->request.identifier_count = 1;
    rig_begin(rig, "ov", RIG_SANS, "[]");
    rig_expect_failed(rig, ACME_PROBLEM_REJECTED_IDENTIFIER);
    rig_expect_detail(rig, "common name www.example.test");
}

static void test_quota_of_names(void **state)
{
    struct rig *rig = *state;
    rig->profile.allow_san_removal = true;
    struct acme_identifier many[5];
    static const char *const names[] = {"www.example.test", "example.test", "a.example.test",
                                        "b.example.test", "*.example.test"};
    for (size_t i = 0; i < 5; i++)
        many[i] = (struct acme_identifier){.type = ACME_IDENTIFIER_DNS, .value = names[i]};
    rig->request.identifiers = many;
    rig->request.identifier_count = 4;
    rig_begin(rig, "ov", RIG_SANS, "[]");
    rig_expect_failed(rig, ACME_PROBLEM_REJECTED_IDENTIFIER);
    rig_expect_detail(rig, "4 alternative names; Akamai allows it 3");

    struct acme_identifier wild[] = {
        many[0], many[4], {.type = ACME_IDENTIFIER_DNS, .value = "*.b.example.test"}};
    rig->request.identifiers = wild;
    rig->request.identifier_count = 3;
    rig->state = "{}";
    rig_begin(rig, "ov", "[\"www.example.test\"]", "[]");
    rig_expect_failed(rig, ACME_PROBLEM_REJECTED_IDENTIFIER);
    rig_expect_detail(rig, "2 wildcard names; Akamai allows it 1");
}

static void test_addresses_are_refused(void **state)
{
    struct rig *rig = *state;
    const struct acme_identifier address = {.type = ACME_IDENTIFIER_IP, .value = "192.0.2.1"};
    rig->request.identifiers = &address;
    rig->request.identifier_count = 1;
    rig_start(rig);
    rig_expect_failed(rig, ACME_PROBLEM_UNSUPPORTED_IDENTIFIER);
}

static void test_query_options(void **state)
{
    struct rig *rig = *state;
    rig->profile.allow_cancel_pending_changes = true;
    rig->profile.allow_staging_bypass = true;
    rig->profile.renewal_date_check_override = true;
    rig->profile.allow_missing_certificate_addition = true;
    rig->profile.deploy_not_before = "2027-02-01T00:00:00Z";
    rig->profile.deploy_not_after = "2027-03-01T00:00:00Z";
    rig->profile.third_party_issuer = "lab";
    rig_begin(rig, "third-party", RIG_SANS, "[\"/cps/v2/enrollments/10002/changes/9\"]");
    rig_expect_call(rig, "PUT",
                    RIG_UPDATE
                    "&allow-cancel-pending-changes=true&allow-staging-bypass=true"
                    "&renewal-date-check-override=true&allow-missing-certificate-addition=true"
                    "&deploy-not-before=2027-02-01T00%3A00%3A00Z&deploy-not-after=2027-03-01T00%3A00%3A00Z");
    rig_reply(rig, 202, RIG_TOOK);
    rig_expect_wait(rig, 30, false);
    assert_string_equal(rig->step.upstream_ref, "10002/10003");
}

static void test_account_switch_key(void **state)
{
    struct rig *rig = *state;
    rig->config.account_switch_key = "1-ABC:1-2&3";
    rig_reconfigure(rig);
    rig_start(rig);
    rig_expect_call(rig, "GET", "/enrollments/10002/deployments?accountSwitchKey=1-ABC%3A1-2%263");
    assert_string_equal(rig->claimed, "cps cps.example.test 1-ABC:1-2&3 10002");
    rig_reply(rig, 200, rig_deployments(rig, NULL));
    rig_reply(rig, 200, rig_enrollment(rig, "ov", RIG_SANS, "[]"));
    rig_expect_call(rig, "PUT", RIG_UPDATE "&accountSwitchKey=1-ABC%3A1-2%263");
}

static void test_enrollment_by_common_name(void **state)
{
    struct rig *rig = *state;
    rig->profile.enrollment_id = 0;
    rig->profile.common_name = "www.example.test";
    rig_start(rig);
    rig_expect_call(rig, "GET", "/enrollments");
    rig_reply(rig, 200,
              "{\"enrollments\":[{\"id\":7,\"csr\":{\"cn\":\"other.example.test\"}},"
              "{\"location\":\"/cps-api/enrollments/"
              "10002\",\"csr\":{\"cn\":\"WWW.example.test\"}},{\"csr\":null}]}");
    rig_expect_call(rig, "GET", "/enrollments/10002/deployments");
    rig->state = "{}";
    rig_start(rig);
    rig_reply(rig, 200, "{\"enrollments\":[]}");
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_note(rig, "no enrollment with the common name www.example.test");
    rig->state = "{}";
    rig_start(rig);
    rig_reply(rig, 200,
              "{\"enrollments\":[{\"id\":1,\"csr\":{\"cn\":\"www.example.test\"}},{\"id\":\"2\",\"csr\":{"
              "\"cn\":\"www."
              "example.test\"}}]}");
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_note(rig, "2 enrollments");
}

static void test_no_enrollment(void **state)
{
    struct rig *rig = *state;
    rig->request.profile_settings = NULL;
    rig_start(rig);
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig->request.profile_settings = &rig->profile;
    rig->state = "{}";
    rig_start(rig);
    rig_reply(rig, 404, "{\"type\":\"x/not-found\",\"title\":\"Not Found\"}");
    rig_expect_call(rig, "GET", "/enrollments/10002");
    rig_reply(rig, 404, "{\"type\":\"x/not-found\",\"title\":\"Not Found\"}");
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_note(rig, "does not know enrollment 10002");
}

static void test_waits_in_line(void **state)
{
    struct rig *rig = *state;
    rig->ahead = 2;
    rig_start(rig);
    rig_expect_wait(rig, 120, false);
    rig_expect_note(rig, "2 other jobs");
    rig->ahead = 0;
    rig_timer(rig);
    rig_expect_call(rig, "GET", "/enrollments/10002/deployments");
}

static void test_another_enrollment_is_named_meanwhile(void **state)
{
    struct rig *rig = *state;
    rig->ahead = 1;
    rig_start(rig);
    rig_expect_wait(rig, 120, false);
    rig->ahead = 0;
    rig->profile.enrollment_id = 10004;
    rig_timer(rig);
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_note(rig, "10002");
    rig->profile.enrollment_id = 10002;
    rig->state = "{}";
    rig_begin(rig, "ov", RIG_SANS, "[]");
    rig->profile.enrollment_id = 10004; /* too late */
    rig_call_failed(rig, true);
    rig_timer(rig);
    rig_expect_call(rig, "GET", "/enrollments/10002");
}

static void test_a_profile_that_is_gone_begins_nothing(void **state)
{
    struct rig *rig = *state;
    rig->ahead = 1;
    rig_start(rig);
    rig->ahead = 0;
    rig->request.profile_settings = NULL;
    rig_timer(rig);
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
}

static void test_a_foreign_change_is_waited_for(void **state)
{
    struct rig *rig = *state;
    rig_begin(rig, "ov", RIG_SANS,
              "[{\"location\":\"/cps/v2/enrollments/10002/changes/9001\",\"changeType\":\"modify-san\"}]");
    rig_expect_wait(rig, 300, false);
    rig_expect_note(rig, "pending change 9001 (modify-san) that is not this server's");
    rig_timer(rig);
    rig_read(rig, "ov", RIG_SANS, "[{\"location\":\"what?\"}]");
    rig_expect_wait(rig, 300, false);
    rig_timer(rig);
    rig_read(rig, "ov", RIG_SANS, "[]");
    rig_expect_call(rig, "PUT", RIG_UPDATE);
    assert_int_equal(rig->updates, 1);
}

static void test_what_a_foreign_change_deploys_is_not_the_orders(void **state)
{
    struct rig *rig = *state;
    rig_begin(rig, "ov", RIG_SANS,
              "[{\"location\":\"/cps/v2/enrollments/10002/changes/9001\",\"changeType\":\"modify-san\"}]");
    rig_expect_wait(rig, 300, false);
    rig_timer(rig);
    rig_expect_call(rig, "GET", "/enrollments/10002/deployments");
    rig_reply(rig, 200, rig_deployments(rig, rig->leaf)); /* for the same names */
    rig_reply(rig, 200, rig_enrollment(rig, "ov", RIG_SANS, "[]"));
    rig_expect_call(rig, "PUT", RIG_UPDATE);
    rig_reply(rig, 202, RIG_TOOK);
    rig_timer(rig);
    rig_reply(rig, 200, rig_change(rig, "completed", "", NULL));
    rig_reply(rig, 200, rig_deployments(rig, rig->leaf));
    rig_expect_wait(rig, 30, false);
}

static void test_a_renewal_of_cps_itself_is_adopted(void **state)
{
    struct rig *rig = *state;
    rig_begin(rig, "ov", RIG_SANS,
              "[{\"location\":\"/cps/v2/enrollments/10002/changes/9001\",\"changeType\":\"renewal\"}]");
    rig_expect_call(rig, "GET", "/enrollments/10002/changes/9001");
    rig_reply(rig, 200, rig_change(rig, "completed", "complete", NULL));
    rig_reply(rig, 200, rig_deployments(rig, rig->old));
    rig_expect_wait(rig, 30, false);
    rig_timer(rig);
    rig_reply(rig, 200, rig_deployments(rig, rig->leaf));
    rig_expect_issued(rig, rig->leaf);
    assert_int_equal(rig->updates, 0);
    rig->state = "{}";
    rig->now_ms = RIG_START;
    rig_begin(rig, "ov", "[]",
              "[{\"location\":\"/cps/v2/enrollments/10002/changes/9001\",\"changeType\":\"renewal\"}]");
    rig_expect_wait(rig, 300, false); /* for other names */
}

/* Adopted, and gone when it is looked at; what is deployed has not changed for ten minutes. */
static void adopted_and_gone(struct rig *rig)
{
    rig_begin(rig, "ov", RIG_SANS,
              "[{\"location\":\"/cps/v2/enrollments/10002/changes/9001\",\"changeType\":\"renewal\"}]");
    rig_expect_call(rig, "GET", "/enrollments/10002/changes/9001");
    rig_reply(rig, 404, "");
    rig_reply(rig, 200, rig_deployments(rig, rig->old));
    rig_expect_wait(rig, 30, false);
    while (rig->step.kind == ACME_STEP_WAIT) {
        rig_timer(rig);
        rig_reply(rig, 200, rig_deployments(rig, rig->old));
    }
    assert_int_equal(rig->now_ms, RIG_START + 10 * ACME_MINUTE_MS);
    rig_expect_call(rig, "GET", "/enrollments/10002/history/changes");
}

static const char *history_of(struct rig *rig, const char *status, X509 *leaf)
{
    struct acme_bytes pem = pki_pem(rig->arena, &leaf, 1);
    const char *text = acme_arena_strndup(rig->arena, (const char *)pem.data, pem.len);
    return rig_format(rig,
                      "{\"changes\":[{\"status\":\"completed\",\"createdOn\":\"2026-10-01T00:00:00Z\"},"
                      "{\"status\":\"%s\",\"createdOn\":\"2027-01-14T00:00:00Z\",\"primaryCertificate\":{"
                      "\"certificate\":%s}}]}",
                      status, rig_quote(rig, text));
}

static void test_an_adopted_change_may_be_deployed_before_the_look(void **state)
{
    struct rig *rig = *state;
    adopted_and_gone(rig);
    rig_reply(rig, 200, history_of(rig, "completed", rig->old));
    rig_expect_call(rig, "GET", "/enrollments/10002/deployments");
    rig_reply(rig, 200, rig_deployments(rig, rig->old));
    rig_expect_issued(rig, rig->old);
    assert_int_equal(rig->updates, 0);
}

static void test_an_adopted_change_that_was_cancelled_gives_no_old_certificate(void **state)
{
    struct rig *rig = *state;
    adopted_and_gone(rig);
    rig_reply(rig, 200, history_of(rig, "completed", rig->leaf)); /* not there yet */
    rig_expect_wait(rig, 300, false);
    rig_timer(rig);
    rig_reply(rig, 200, rig_deployments(rig, rig->old));
    rig_expect_call(rig, "GET", "/enrollments/10002/history/changes");
    rig_reply(rig, 200, history_of(rig, "cancelled", rig->old));
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
}

static void test_revocation_says_where(void **state)
{
    struct rig *rig = *state;
    const struct acme_step_input input = {.event = ACME_EVENT_START, .now_ms = RIG_START};
    const struct acme_revoke_request request = {.serial_hex = "01"};
    cJSON *saved = NULL;
    assert_false(acme_failed(acme_json_parse(rig->arena, "{}", 2, &saved)));
    assert_false(acme_failed(
        rig->issuer->class->revoke(rig->issuer, rig->arena, &request, saved, &input, &rig->step)));
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_detail(rig, "at the authority that signed them");
}

static void test_deadline(void **state)
{
    struct rig *rig = *state;
    rig_changing(rig, "ov");
    rig->request.deadline_ms = rig->now_ms + 5000;
    rig_reply(rig, 200, rig_change(rig, "running", "deploying", NULL));
    rig_expect_wait(rig, 5, false);
    rig_timer(rig);
    rig_reply(rig, 200, rig_change(rig, "running", "deploying", NULL));
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_note(rig, "Change 10003 of enrollment 10002 goes on at Akamai");
}

static void test_deadline_cancels_what_has_not_begun(void **state)
{
    struct rig *rig = *state;
    rig_changing(rig, "dv");
    rig->request.deadline_ms = rig->now_ms;
    rig_reply(rig, 200, rig_change(rig, "running", "coodinate-domain-validation", NULL));
    rig_expect_call(rig, "DELETE", RIG_CHANGE);
    rig_call_failed(rig, true);
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_note(rig, "is left at Akamai");
}

static void test_withdrawn(void **state)
{
    struct rig *rig = *state;
    rig->request.withdraw = true;
    rig_start(rig);
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    assert_int_equal(rig->updates, 0);

    rig->state = "{}";
    rig->request.withdraw = false;
    rig_changing(rig, "dv");
    rig->request.withdraw = true;
    rig_reply(rig, 200, rig_change(rig, "running", "coodinate-domain-validation", NULL));
    rig_expect_call(rig, "DELETE", RIG_CHANGE);
    rig_reply(rig, 500, "");
    rig_expect_wait(rig, 5, true);
    rig_timer(rig);
    rig_expect_call(rig, "DELETE", RIG_CHANGE);
    rig_reply(rig, 200, "{\"change\":\"/cps/v2/enrollments/10002/changes/10003\"}");
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_note(rig, "Change 10003 was cancelled.");

    rig->state = "{}";
    rig->request.withdraw = false;
    rig->now_ms = RIG_START;
    rig_changing(rig, "ov");
    rig->request.withdraw = true;
    rig_reply(rig, 200, rig_change(rig, "running", "deploying", NULL));
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_note(rig, "goes on at Akamai");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
        TEST(test_forced_renewal_to_the_edge),
        TEST(test_names_are_added_and_all_else_stays),
        TEST(test_names_taken_without_a_change_are_followed_by_a_renewal),
        TEST(test_names_are_removed_only_when_allowed),
        TEST(test_common_name_cannot_go),
        TEST(test_quota_of_names),
        TEST(test_addresses_are_refused),
        TEST(test_query_options),
        TEST(test_account_switch_key),
        TEST(test_enrollment_by_common_name),
        TEST(test_no_enrollment),
        TEST(test_waits_in_line),
        TEST(test_another_enrollment_is_named_meanwhile),
        TEST(test_a_profile_that_is_gone_begins_nothing),
        TEST(test_a_foreign_change_is_waited_for),
        TEST(test_what_a_foreign_change_deploys_is_not_the_orders),
        TEST(test_a_renewal_of_cps_itself_is_adopted),
        TEST(test_an_adopted_change_may_be_deployed_before_the_look),
        TEST(test_an_adopted_change_that_was_cancelled_gives_no_old_certificate),
        TEST(test_revocation_says_where),
        TEST(test_deadline),
        TEST(test_deadline_cancels_what_has_not_begun),
        TEST(test_withdrawn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
