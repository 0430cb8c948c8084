/* The deployer: certificates for CPS's own keys find the change that waits for them. */
#include "cmocka_all.h"

#include "cps_rig.h"

#include <string.h>

#define CSR     RIG_CHANGE "/input/info/third-party-csr"
#define UPLOAD  RIG_CHANGE "/input/update/third-party-cert-and-trust-chain"
#define PENDING "[{\"location\":\"/cps/v2/enrollments/10002/changes/10003\",\"changeType\":\"renewal\"}]"

static struct acme_cps_target target;
static struct acme_cert_list chain;
static struct acme_csr csr; /* of CPS */

static void make(struct rig *rig)
{
    acme_deployer_destroy(rig->deployer);
    rig->deployer = NULL;
    assert_int_equal(acme_cps_deployer_create("edge", &rig->config, &target, &rig->deployer).code, ACME_OK);
}

static int setup(void **state)
{
    if (rig_setup(state) != 0)
        return 1;
    struct rig *rig = *state;
    const char *why = "";
    struct acme_bytes der = pki_csr_der(rig->arena, rig_names[0], rig_names, 2);
    if (acme_failed(acme_csr_parse(rig->arena, der, &csr, &why)))
        return 1;
    X509_free(rig->leaf);
    rig->leaf = pki_leaf(&rig->pki, csr.key, rig_names, 2);
    struct acme_cert_info info;
    if (acme_failed(acme_cert_info_read(rig->arena, rig->leaf, &info)))
        return 1;
    chain = (struct acme_cert_list){.certs = {rig->leaf, rig->pki.intermediate}, .count = 2};
    target = (struct acme_cps_target){.enrollment_id = 10002, .policy.acknowledge_auto = true};
    rig->deploy = (struct acme_deploy_request){.tag = RIG_TAG,
                                               .deployment_id = "deployment",
                                               .identifiers = rig->request.identifiers,
                                               .identifier_count = rig->request.identifier_count,
                                               .chain = &chain,
                                               .spki_sha256 = csr.spki_sha256,
                                               .sha256_hex = info.sha256_hex,
                                               .created_ms = RIG_START,
                                               .deadline_ms = RIG_START + 7 * ACME_DAY_MS};
    make(rig);
    return 0;
}

static const char *csrs(struct rig *rig, struct acme_bytes der)
{
    return rig_format(rig, "{\"csrs\":[{\"csr\":%s,\"keyAlgorithm\":\"ECDSA\"}]}",
                      rig_quote(rig, rig_csr_pem(rig, der)));
}

static void begin(struct rig *rig)
{
    rig_start(rig);
    rig_expect_call(rig, "GET", "/enrollments/10002");
    assert_non_null(strstr(rig->claimed, "10002"));
    rig_reply(rig, 200, rig_enrollment(rig, "third-party", RIG_SANS, PENDING));
    rig_expect_call(rig, "GET", CSR);
}

static void uploaded(struct rig *rig)
{
    begin(rig);
    rig_reply(rig, 200, csrs(rig, csr.der));
    rig_expect_call(rig, "GET", RIG_CHANGE);
    rig_reply(rig, 200,
              rig_change(rig, "awaiting-input", "wait-upload-third-party", "third-party-certificate"));
    rig_expect_call(rig, "GET", CSR);
    rig_reply(rig, 200, csrs(rig, csr.der));
    rig_expect_call(rig, "POST", UPLOAD);
    rig_reply(rig, 200, "");
    assert_int_equal(rig->step.kind, ACME_STEP_WAIT);
}

static void expect_deployed(struct rig *rig)
{
    rig_timer(rig);
    rig_reply(rig, 200, rig_change(rig, "completed", "complete", NULL));
    rig_expect_call(rig, "GET", "/enrollments/10002/deployments");
    rig_reply(rig, 200, rig_deployments(rig, rig->old));
    rig_expect_note(rig, "not on the edge yet");
    rig_timer(rig);
    rig_reply(rig, 200, rig_deployments(rig, rig->leaf));
    assert_int_equal(rig->step.kind, ACME_STEP_DONE);
    assert_string_equal(rig->step.upstream_ref, "10002/10003");
    assert_int_equal(rig->updates, 1); /* the upload */
}

static void test_from_the_upload_to_the_edge(void **state)
{
    struct rig *rig = *state;
    uploaded(rig);
    expect_deployed(rig);
}

static void test_the_deployment_is_acknowledged(void **state)
{
    struct rig *rig = *state;
    uploaded(rig);
    rig_timer(rig);
    rig_reply(rig, 200, rig_change(rig, "awaiting-input", "wait-ack-change-management", "change-management"));
    rig_expect_call(rig, "GET", RIG_CHANGE "/input/info/change-management-info");
    rig_reply(rig, 200, "{\"validationResult\":null,\"validationResultHash\":\"abc\",\"pendingState\":{}}");
    rig_expect_call(rig, "POST", RIG_CHANGE "/input/update/change-management-ack");
    rig_reply(rig, 200, "");
    expect_deployed(rig);
}

static void test_found_by_its_common_name(void **state)
{
    struct rig *rig = *state;
    target.enrollment_id = 0;
    target.common_name = "www.example.test";
    make(rig);
    rig_start(rig);
    rig_expect_call(rig, "GET", "/enrollments");
    rig_reply(rig, 200,
              "{\"enrollments\":[{\"id\":1,\"csr\":{\"cn\":\"a.test\"}},"
              "{\"id\":\"10002\",\"csr\":{\"cn\":\"WWW.example.test\"}}]}");
    rig_expect_call(rig, "GET", "/enrollments/10002");
    rig_restart(rig, ACME_EVENT_START);
    rig_restart(rig, ACME_EVENT_TIMER);
    rig_expect_call(rig, "GET", "/enrollments/10002");
}

static void test_no_enrollment_of_that_name(void **state)
{
    struct rig *rig = *state;
    target.enrollment_id = 0;
    target.common_name = "b.test";
    make(rig);
    rig_start(rig);
    rig_reply(rig, 200, "{\"enrollments\":[{\"id\":1,\"csr\":{\"cn\":\"a.test\"}}]}");
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_note(rig, "0 enrollments with the common name b.test");
}

static void test_another_key_is_refused_before_anything_is_sent(void **state)
{
    struct rig *rig = *state;
    begin(rig);
    rig_reply(rig, 200, csrs(rig, rig->csr.der));
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_note(rig, "not the one that CPS made for change 10003");
}

static void test_it_stands_in_line(void **state)
{
    struct rig *rig = *state;
    rig->ahead = 2;
    rig_start(rig);
    rig_expect_wait(rig, 15, false);
    rig_expect_note(rig, "2 before it");
    rig->ahead = 0;
    rig_timer(rig);
    rig_expect_call(rig, "GET", "/enrollments/10002");
}

static void test_time_in_the_line_is_not_the_change_s(void **state)
{
    struct rig *rig = *state;
    rig->ahead = 1;
    rig_start(rig);
    for (int i = 0; i < 80; i++)
        rig_timer(rig);
    rig->ahead = 0;
    rig_timer(rig);
    rig_reply(rig, 200, rig_enrollment(rig, "third-party", RIG_SANS, PENDING));
    rig_reply(rig, 404, "");
    rig_expect_wait(rig, 30, false);
    rig_expect_note(rig, "offers no CSR yet");
}

static void test_only_third_party_enrollments_take_certificates(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_reply(rig, 200, rig_enrollment(rig, "dv", RIG_SANS, "[]"));
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_note(rig, "not a third-party one");
}

static void test_without_a_change_it_may_be_there_already(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_reply(rig, 200, rig_enrollment(rig, "third-party", RIG_SANS, "[]"));
    rig_expect_call(rig, "GET", "/enrollments/10002/deployments");
    rig_reply(rig, 200, rig_deployments(rig, rig->leaf));
    assert_int_equal(rig->step.kind, ACME_STEP_DONE);
}

static void test_without_a_change_there_is_no_place(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_reply(rig, 200, rig_enrollment(rig, "third-party", RIG_SANS, "null"));
    rig_reply(rig, 200, rig_deployments(rig, rig->old));
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_note(rig, "No change of enrollment 10002 waits");
}

/* It may have gone on since an earlier try uploaded. */
static void test_a_change_without_a_csr_is_given_time(void **state)
{
    struct rig *rig = *state;
    begin(rig);
    for (int i = 0; i < 30; i++) {
        rig_reply(rig, 404, "");
        rig_expect_note(rig, "offers no CSR yet");
        rig_timer(rig);
        rig_expect_call(rig, "GET", "/enrollments/10002");
        rig_reply(rig, 200, rig_enrollment(rig, "third-party", RIG_SANS, PENDING));
    }
    rig_reply(rig, 404, "");
    rig_expect_call(rig, "GET", "/enrollments/10002/deployments");
}

static void test_ends_of_the_change(void **state)
{
    struct rig *rig = *state;
    static const struct {
        const char *state;
        const char *note;
    } ends[] = {{"cancelled", "was cancelled at Akamai"}, {"error", "failed at Akamai"}};
    for (size_t i = 0; i < 2; i++) {
        rig->state = "{}";
        uploaded(rig);
        rig_timer(rig);
        rig_reply(rig, 200, rig_change(rig, ends[i].state, "over", NULL));
        rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
        rig_expect_note(rig, ends[i].note);
    }
}

static void test_a_refused_upload_is_the_end(void **state)
{
    struct rig *rig = *state;
    begin(rig);
    rig_reply(rig, 200, csrs(rig, csr.der));
    rig_reply(rig, 200, rig_change(rig, "awaiting-input", "x", "third-party-certificate"));
    rig_reply(rig, 200, csrs(rig, csr.der));
    rig_reply(rig, 400, "{\"title\":\"Bad Request\",\"detail\":\"the chain is not complete\"}");
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_note(rig, "the chain is not complete");
}

/* Whatever was under way: the change is looked at, and nothing is uploaded twice. */
static void test_restarts(void **state)
{
    struct rig *rig = *state;
    uploaded(rig);
    rig_restart(rig, ACME_EVENT_RECOVER);
    rig_expect_call(rig, "GET", RIG_CHANGE);
    rig_call_failed(rig, true);
    assert_int_equal(rig->step.kind, ACME_STEP_WAIT);
    expect_deployed(rig);
}

static void test_it_gives_up_at_the_deadline(void **state)
{
    struct rig *rig = *state;
    uploaded(rig);
    rig->now_ms = rig->deploy.deadline_ms;
    rig_restart(rig, ACME_EVENT_TIMER);
    rig_reply(rig, 200, rig_change(rig, "running", "deploying", NULL));
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_note(rig, "deadline has passed");
}

static void test_a_missing_enrollment(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_reply(rig, 404, "");
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_note(rig, "no enrollment 10002");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_from_the_upload_to_the_edge, setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_the_deployment_is_acknowledged, setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_found_by_its_common_name, setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_no_enrollment_of_that_name, setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_another_key_is_refused_before_anything_is_sent, setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(test_it_stands_in_line, setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_time_in_the_line_is_not_the_change_s, setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_only_third_party_enrollments_take_certificates, setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(test_without_a_change_it_may_be_there_already, setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_without_a_change_there_is_no_place, setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_a_change_without_a_csr_is_given_time, setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_ends_of_the_change, setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_a_refused_upload_is_the_end, setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_restarts, setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_it_gives_up_at_the_deadline, setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_a_missing_enrollment, setup, rig_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
