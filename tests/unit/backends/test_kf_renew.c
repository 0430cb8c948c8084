/* Renewing what Command holds, as long as the key stays. */
#include "cmocka_all.h"

#include "kf_rig.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

static int secrets_released; /* blocks of JSON given back with the Password still in them */

static void release(void *block)
{
    if (block != NULL && memmem(block, malloc_usable_size(block), RIG_STORE, strlen(RIG_STORE)) != NULL)
        secrets_released++;
    free(block);
}

static int watch_releases(void **state)
{
    (void)state;
    cJSON_Hooks hooks = {.malloc_fn = malloc, .free_fn = release};
    cJSON_InitHooks(&hooks);
    return 0;
}

static int expect_no_secret_released(void **state)
{
    (void)state;
    cJSON_InitHooks(NULL);
    return secrets_released;
}

static void continues(struct rig *rig, const char *ref)
{
    rig->request.earlier = (struct acme_earlier){.use = ACME_EARLIER_RENEW,
                                                 .upstream_ref = ref,
                                                 .tag = RIG_EARLIER,
                                                 .serial_hex = "5B",
                                                 .same_key = true};
}

static void renew(struct rig *rig)
{
    continues(rig, "1200");
    rig_start(rig);
    rig_expect_call(rig, "GET", "Enrollment/AvailableRenewal/ID/1200");
    assert_false(rig->step.once);
    rig_reply(rig, 200, "{\"AvailableRenewalType\":2,\"Message\":\"\"}");
    rig_expect_call(rig, "POST", "Enrollment/Renew");
    assert_true(rig->step.once);
}

static const char *renewed(struct rig *rig, int id)
{
    return rig_format(rig,
                      "{\"KeyfactorID\":%d,\"KeyfactorRequestID\":0,\"Thumbprint\":"
                      "\"9F2C00000000000000000000000000000000ABCD\",\"RequestDisposition\":\"ISSUED\","
                      "\"DispositionMessage\":\"The password is " RIG_STORE "\",\"Password\":\"" RIG_STORE
                      "\"}",
                      id);
}

static void test_one_click(void **state)
{
    struct rig *rig = *state;
    renew(rig);
    rig_expect_body(rig, "{\"CertificateId\":1200,\"Timestamp\":\"" RIG_NOW "\"}");
    rig_reply(rig, 200, renewed(rig, 1300));
    rig_expect_call(rig, "POST", "Certificates/Download");
    rig_expect_ref(rig, "1300");
    rig_reply(rig, 200, rig_download(rig, rig->leaf));
    rig_expect_issued(rig);
}

static void test_seeded_by_thumbprint(void **state)
{
    struct rig *rig = *state;
    continues(rig, "9F2C00000000000000000000000000000000ABCD");
    rig_start(rig);
    rig_expect_call(rig, "GET",
                    "Enrollment/AvailableRenewal/Thumbprint/9F2C00000000000000000000000000000000ABCD");
    rig_reply(rig, 200, "{\"availableRenewalType\":1}");
    rig_expect_call(rig, "POST", "Enrollment/Renew");
    rig_expect_body(rig,
                    "{\"Thumbprint\":\"9F2C00000000000000000000000000000000ABCD\",\"Timestamp\":\"" RIG_NOW
                    "\",\"CertificateAuthority\":\"ca01.example.test\\\\IssuingCA1\","
                    "\"Template\":\"WebServer\"}");
}

static void test_seeded_without_target_is_enrolled(void **state)
{
    struct rig *rig = *state;
    rig->config.template = NULL;
    rig->config.enrollment_pattern_id = 3;
    rig_reconfigure(rig);
    continues(rig, "1200");
    rig_start(rig);
    rig_reply(rig, 200, "{\"AvailableRenewalType\":1}");
    rig_expect_enroll(rig);
}

static void test_what_is_not_renewed(void **state)
{
    struct rig *rig = *state;
    for (int i = 0; i < 5; i++) {
        rig->state = "{}";
        continues(rig, "1200");
        rig->request.earlier.same_key = i != 0;
        rig->request.earlier.too_late = i == 1;
        if (i == 2)
            rig->request.earlier.use = ACME_EARLIER_REPLACE;
        if (i == 3)
            rig->request.earlier.upstream_ref = "request-881";
        rig->config.renew = i != 4;
        rig_reconfigure(rig);
        rig_start(rig);
        rig_expect_enroll(rig);
    }
}

static void test_not_available(void **state)
{
    static const struct {
        int status;
        const char *body;
    } rows[] = {{200, "{\"AvailableRenewalType\":0,\"Message\":\"no key\"}"},
                {200, "{\"AvailableRenewalType\":7}"},
                {200, "[]"},
                {404, ""},
                {403, "{\"ErrorCode\":\"0xA0140002\",\"Message\":\"no\"}"},
                {400, "{\"Message\":\"no\"}"}};
    struct rig *rig = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rig->state = "{}";
        continues(rig, "1200");
        rig_start(rig);
        rig_reply(rig, rows[i].status, rows[i].body);
        rig_expect_enroll(rig);
    }
    rig->state = "{}";
    rig_start(rig);
    rig_reply(rig, 503, "");
    rig_expect_wait(rig, 5, true);
    rig_timer(rig);
    rig_call_failed(rig, true);
    assert_int_equal(rig->step.kind, ACME_STEP_WAIT);
    rig_timer(rig);
    rig_expect_call(rig, "GET", "Enrollment/AvailableRenewal/ID/1200");
}

static void test_refused_is_enrolled(void **state)
{
    struct rig *rig = *state;
    renew(rig);
    rig_reply(rig, 400, "{\"Message\":\"The certificate cannot be renewed.\"}");
    rig_expect_enroll(rig);
    assert_int_equal(rig->calls_once, 2);
}

static void test_another_key_is_never_handed_out(void **state)
{
    struct rig *rig = *state;
    renew(rig);
    rig_reply(rig, 200, renewed(rig, 1300));
    rig_reply(rig, 200, rig_download(rig, rig->stranger));
    rig_expect_wait(rig, 1, true); /* whose note is a warning */
    rig_expect_note(rig, "another key (certificate 1300)");
    rig_timer(rig);
    rig_expect_call(rig, "POST", "Certificates/Revoke");
    rig_expect_body(rig, "{\"CertificateIds\":[1300],\"Reason\":4,\"Comment\":\"Renewed for an ACME order");
    rig_reply(rig, 503, "");
    rig_expect_wait(rig, 10, true);
    rig_timer(rig);
    rig_expect_call(rig, "POST", "Certificates/Revoke");
    rig_restart(rig, ACME_EVENT_TIMER); /* the process died meanwhile */
    rig_expect_call(rig, "POST", "Certificates/Revoke");
    rig_reply(rig, 200, "{\"RevokedIds\":[1300],\"SuspendedCerts\":[]}");
    rig_expect_enroll(rig); /* and no second renewal */
    rig_expect_note(rig, "Certificate 1300, which nobody needs, was revoked");
    rig_call_failed(rig, true);
    rig_no_search(rig);
    assert_int_equal(rig->step.kind, ACME_STEP_WAIT);
}

static void test_pending_renewal(void **state)
{
    struct rig *rig = *state;
    renew(rig);
    rig_reply(rig, 200, "{\"KeyfactorId\":0,\"KeyfactorRequestId\":881,\"RequestDisposition\":\"PENDING\"}");
    rig_timer(rig);
    rig_reply(rig, 200, "{\"StateString\":\"Issued\"}");
    rig_reply(rig, 200, rig_format(rig, "[%s]", rig_row(rig, 1300, rig->stranger, NULL)));
    rig_expect_wait(rig, 1, true);
    rig_timer(rig);
    rig_expect_call(rig, "POST", "Certificates/Revoke");
    rig_reply(rig, 200,
              "{\"RevokedIds\":[],\"SuspendedCerts\":[{\"CertId\":1300,\"WorkflowId\":\"" RIG_WORKFLOW
              "\"}]}");
    rig_expect_enroll(rig);
    rig_expect_note(rig, "waits for an approval");
}

/* A login for enrollments may lack what a renewal takes. */
static void test_forbidden_is_enrolled(void **state)
{
    struct rig *rig = *state;
    renew(rig);
    rig_reply(rig, 403, "{\"ErrorCode\":\"0xA0140002\",\"Message\":\"no permission\"}");
    rig_expect_enroll(rig);
    rig->state = "{}";
    renew(rig);
    rig_reply(rig, 401, "");
    rig_expect_wait(rig, 60, true);
}

static void test_the_earlier_one_is_no_renewal(void **state)
{
    struct rig *rig = *state;
    struct acme_cert_info info;
    renew(rig);
    assert_false(acme_failed(acme_cert_info_read(rig->arena, rig->leaf, &info)));
    rig->request.earlier.serial_hex = info.serial_hex;
    rig_reply(rig, 200, renewed(rig, 1300));
    rig_reply(rig, 200, rig_download(rig, rig->leaf));
    rig_expect_enroll(rig);
    rig_expect_note(rig, "the earlier one");
}

static void test_refused_revocation_is_said(void **state)
{
    struct rig *rig = *state;
    renew(rig);
    rig_reply(rig, 200, renewed(rig, 1300));
    rig_reply(rig, 200, rig_download(rig, rig->stranger));
    rig_timer(rig);
    rig_reply(rig, 403, "");
    rig_expect_enroll(rig);
    rig_expect_note(rig, "did not revoke certificate 1300");
}

/* It has no tag of its own: its name and key tell, and that it is not the one before. */
static void test_lost_renewal_is_found(void **state)
{
    struct rig *rig = *state;
    renew(rig);
    rig_restart(rig, ACME_EVENT_RECOVER);
    rig_expect_path(rig, "GET", "Certificates?pq.queryString=IssuedCN%20-eq%20%22www.example.test%22&");
    rig_reply(rig, 200,
              rig_format(rig, "[%s,%s]", rig_row(rig, 1200, rig->leaf, RIG_EARLIER),
                         rig_row(rig, 1300, rig->leaf, RIG_EARLIER)));
    rig_expect_call(rig, "POST", "Certificates/Download");
    rig_expect_ref(rig, "1300");
}

/* One that waits for an approval, with the tag of the certificate before. Whose it is its key tells: somebody
 * else's is neither used nor revoked. */
static void test_lost_renewal_that_waits(void **state)
{
    struct rig *rig = *state;
    for (int i = 0; i < 2; i++) {
        rig->state = "{}";
        renew(rig);
        rig_call_failed(rig, true);
        rig_reply(rig, 200, "[]");
        rig_expect_path(rig, "GET", "Workflow/Certificates/Pending?");
        rig_reply(
            rig, 200,
            "[{\"Id\":881,\"CommonName\":\"www.example.test\",\"SubmissionDate\":\"2027-01-15T08:00:05\","
            "\"Metadata\":{\"AcmeOrder\":\"" RIG_EARLIER "\"}}]");
        rig_expect_call(rig, "GET", "Workflow/Certificates/881");
        rig_reply(rig, 200, "{\"StateString\":\"Issued\"}");
        X509 *cert = i == 0 ? rig->leaf : rig->stranger;
        rig_reply(rig, 200, rig_format(rig, "[%s]", rig_row(rig, 1300, cert, RIG_EARLIER)));
        if (i == 0) {
            rig_expect_call(rig, "POST", "Certificates/Download");
            continue;
        }
        rig_expect_wait(rig, 1, true);
        rig_timer(rig);
        rig_expect_enroll(rig);
    }
}

static void test_lost_renewal_is_not_repeated(void **state)
{
    struct rig *rig = *state;
    renew(rig);
    rig_call_failed(rig, true);
    for (rig_no_search(rig); rig->step.kind == ACME_STEP_WAIT; rig_no_search(rig))
        rig_timer(rig);
    rig_expect_enroll(rig);
    assert_int_equal(rig->calls_once, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_click, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_seeded_by_thumbprint, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_seeded_without_target_is_enrolled, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_what_is_not_renewed, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_not_available, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_refused_is_enrolled, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_another_key_is_never_handed_out, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_forbidden_is_enrolled, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_the_earlier_one_is_no_renewal, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_refused_revocation_is_said, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_pending_renewal, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_lost_renewal_is_found, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_lost_renewal_that_waits, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_lost_renewal_is_not_repeated, rig_setup, rig_teardown),
    };
    return cmocka_run_group_tests(tests, watch_releases, expect_no_secret_released);
}
