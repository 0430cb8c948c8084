/* Revocations: looked at, asked for, waited for. */
#include "cmocka_all.h"

#include "base/b64url.h"
#include "kf_rig.h"

#include <openssl/x509.h>
#include <string.h>

#define LOOK "Certificates?pq.queryString=Thumbprint%20-eq%20%22"

static struct acme_revoke_request revocation;

static void begin(struct rig *rig, int reason)
{
    struct acme_bytes der;
    assert_false(acme_failed(acme_cert_der(rig->arena, rig->leaf, &der)));
    revocation = (struct acme_revoke_request){.certificate = der,
                                              .serial_hex = "5B",
                                              .upstream_ref = "1207",
                                              .reason = reason,
                                              .created_ms = RIG_START,
                                              .deadline_ms = RIG_START + 30 * ACME_DAY_MS};
    rig->revocation = &revocation;
    rig->state = "{}";
    rig_start(rig);
}

static const uint8_t *digest_of(struct rig *rig, const X509 *cert)
{
    uint8_t *digest = acme_arena_alloc(rig->arena, EVP_MAX_MD_SIZE);
    unsigned int len = 0;
    assert_non_null(digest);
    assert_int_equal(X509_digest(cert, EVP_sha1(), digest, &len), 1);
    assert_int_equal(len, 20);
    return digest;
}

/* The list that the search by thumbprint yields. */
static const char *row(struct rig *rig, const char *state)
{
    char *thumbprint = acme_hex_encode(rig->arena, digest_of(rig, rig->leaf), 20, false);
    assert_non_null(thumbprint);
    return rig_format(rig, "[{\"Id\":1207,\"Thumbprint\":\"%s\",\"CertStateString\":\"%s\"}]", thumbprint,
                      state);
}

static void ask(struct rig *rig)
{
    begin(rig, 1);
    rig_expect_path(rig, "GET", LOOK);
    rig_reply(rig, 200, row(rig, "Active"));
    rig_expect_call(rig, "POST", "Certificates/Revoke");
    rig_expect_body(rig, "{\"CertificateIds\":[1207],\"Reason\":1,\"Comment\":\"ACME revokeCert\","
                         "\"EffectiveDate\":\"2027-01-15T08:");
}

static void test_revoked(void **state)
{
    struct rig *rig = *state;
    ask(rig);
    rig_reply(rig, 200, "{\"RevokedIds\":[1207],\"SuspendedCerts\":[]}");
    assert_int_equal(rig->step.kind, ACME_STEP_DONE);
}

static void test_already_revoked(void **state)
{
    struct rig *rig = *state;
    begin(rig, 0);
    rig_reply(rig, 200, row(rig, "Revoked"));
    assert_int_equal(rig->step.kind, ACME_STEP_DONE);
    ask(rig);
    rig_reply(rig, 400, "{\"Message\":\"The certificate is already revoked.\"}");
    assert_int_equal(rig->step.kind, ACME_STEP_DONE);
}

static void test_answer_without_words(void **state)
{
    struct rig *rig = *state;
    ask(rig);
    rig_reply(rig, 204, "");
    rig_expect_path(rig, "GET", LOOK);
    rig_reply(rig, 200, row(rig, "Active"));
    rig_expect_wait(rig, 3, false);
    rig_timer(rig);
    rig_reply(rig, 200, row(rig, "Revoked"));
    assert_int_equal(rig->step.kind, ACME_STEP_DONE);
    ask(rig);
    rig_reply(rig, 200, "{}");
    rig->now_ms += 10 * ACME_MINUTE_MS;
    rig_reply(rig, 200, row(rig, "Active"));
    rig_expect_call(rig, "POST", "Certificates/Revoke");
    rig_reply(rig, 200, "<html>");
    rig_expect_wait(rig, 5, true);
    rig_timer(rig);
    rig_reply(rig, 200, row(rig, "Active"));
    rig_expect_call(rig, "POST", "Certificates/Revoke");
}

static void suspend(struct rig *rig)
{
    ask(rig);
    rig_reply(rig, 200,
              "{\"RevokedIds\":[],\"SuspendedCerts\":[{\"CertId\":1207,\"WorkflowId\":\"" RIG_WORKFLOW
              "\",\"Message\":\"1 approval\"}]}");
    rig_expect_wait(rig, 3, false);
    rig_expect_note(rig, "waits for an approval there: \"1 approval\"");
    rig_timer(rig);
    rig_expect_path(rig, "GET", LOOK);
    rig_reply(rig, 200, row(rig, "Active"));
    rig_expect_call(rig, "GET", "Workflow/Instances/" RIG_WORKFLOW);
}

static void test_suspended_is_not_done(void **state)
{
    struct rig *rig = *state;
    suspend(rig);
    rig_reply(rig, 200, "{\"Status\":\"Suspended\"}");
    rig_expect_wait(rig, 5, false);
    rig_restart(rig, ACME_EVENT_TIMER);
    rig_reply(rig, 200, row(rig, "Active"));
    rig_reply(rig, 200, "{\"Status\":\"Complete\"}");
    rig_timer(rig);
    rig_reply(rig, 200, row(rig, "Revoked"));
    assert_int_equal(rig->step.kind, ACME_STEP_DONE);
}

static void test_approver_rejects(void **state)
{
    struct rig *rig = *state;
    suspend(rig);
    rig_reply(rig, 200, "{\"Status\":\"Rejected\",\"StatusMessage\":\"still in use\"}");
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_note(rig, "still in use");
    suspend(rig);
    rig_reply(rig, 403, "");
    rig_expect_note(rig, "not revoked yet");
    rig_timer(rig);
    rig_reply(rig, 200, row(rig, "Active"));
    assert_int_equal(rig->step.kind, ACME_STEP_WAIT); /* the workflow is not asked about again */
    rig->now_ms = revocation.deadline_ms;
    rig_restart(rig, ACME_EVENT_TIMER);
    rig_reply(rig, 200, row(rig, "Active"));
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
}

static void test_troubles(void **state)
{
    struct rig *rig = *state;
    ask(rig);
    rig_reply(rig, 500, "{\"Message\":\"The RPC server is unavailable.\"}");
    rig_expect_wait(rig, 5, true);
    rig_timer(rig);
    rig_expect_path(rig, "GET", LOOK); /* it may have been done */
    rig_reply(rig, 401, "");
    rig_expect_wait(rig, 120, true);
    rig_timer(rig);
    rig_call_failed(rig, true);
    assert_int_equal(rig->step.kind, ACME_STEP_WAIT);
    rig_timer(rig);
    rig_reply(rig, 200, "[]");
    rig_expect_note(rig, "shows no certificate");
    rig->now_ms += 10 * ACME_MINUTE_MS;
    rig_restart(rig, ACME_EVENT_TIMER);
    rig_reply(rig, 200, "[]");
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    ask(rig);
    rig_reply(rig, 400, "{\"FailedOperations\":[{\"Reason\":\"The CA does not take this reason.\"}]}");
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_note(rig, "does not take this reason");
    ask(rig);
    rig_restart(rig, ACME_EVENT_RECOVER);
    rig_expect_path(rig, "GET", LOOK);
}

static void test_reasons(void **state)
{
    static const bool taken[11] = {true, true, false, true, true, true};
    struct rig *rig = *state;
    for (int reason = 0; reason <= 10; reason++) {
        begin(rig, reason);
        if (taken[reason])
            rig_expect_path(rig, "GET", LOOK);
        else
            rig_expect_failed(rig, ACME_PROBLEM_BAD_REVOCATION_REASON);
    }
}

/* A gateway that drops the query, or a Command that does not understand it, lists everything: none of that is
 * revoked, and nobody else's revocation counts. */
static void test_only_what_was_looked_for(void **state)
{
    struct rig *rig = *state;
    const char *const others[] = {"Active", "Revoked"};
    for (size_t i = 0; i < 2; i++) {
        begin(rig, 1);
        rig_reply(rig, 200,
                  rig_format(rig,
                             "[{\"Id\":7,\"Thumbprint\":\"9F2C00000000000000000000000000000000ABCD\","
                             "\"CertStateString\":\"%s\"},{\"Id\":8,\"CertStateString\":\"%s\"}]",
                             others[i], others[i]));
        rig_expect_wait(rig, 5, true);
        rig_expect_note(rig, "shows no certificate");
    }
    begin(rig, 1);
    const char *ours = row(rig, "Active");
    rig_reply(rig, 200, rig_format(rig, "[{\"Id\":7,\"CertStateString\":\"Revoked\"},%s", ours + 1));
    rig_expect_call(rig, "POST", "Certificates/Revoke");
    rig_expect_body(rig, "{\"CertificateIds\":[1207],");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_only_what_was_looked_for, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_revoked, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_already_revoked, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_answer_without_words, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_suspended_is_not_done, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_approver_rejects, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_troubles, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_reasons, rig_setup, rig_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
