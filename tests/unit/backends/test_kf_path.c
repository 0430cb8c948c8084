/* From the enrollment to the certificate, where nothing is lost on the way. */
#include "cmocka_all.h"

#include "kf_rig.h"

#include <string.h>

static const char *enrolled(struct rig *rig, const char *certificates)
{
    return rig_format(rig,
                      "{\"CertificateInformation\":{\"SerialNumber\":\"5B\",\"Thumbprint\":"
                      "\"9f2c00000000000000000000000000000000abcd\",\"KeyfactorID\":1207,"
                      "\"KeyfactorRequestId\":0,\"Certificates\":[%s],\"RequestDisposition\":\"ISSUED\","
                      "\"DispositionMessage\":\"Certificate issued\"},\"Metadata\":{}}",
                      certificates);
}

static void test_enrollment(void **state)
{
    struct rig *rig = *state;
    const struct acme_keyfactor_field metadata[] = {{"Team", "order {order} by {account} {eab}"}};
    const struct acme_keyfactor_field fields[] = {{"Department", "pki"}};
    struct acme_identifier identifiers[] = {{.type = ACME_IDENTIFIER_DNS, .value = "www.example.test"},
                                            {.type = ACME_IDENTIFIER_IP, .value = "192.0.2.1"},
                                            {.type = ACME_IDENTIFIER_IP, .value = "2001:db8::1"}};
    rig->config.metadata = metadata;
    rig->config.metadata_count = 1;
    rig->config.enrollment_fields = fields;
    rig->config.enrollment_field_count = 1;
    rig->config.owner_role = "pki-owners";
    rig->config.enrollment_pattern_id = 3;
    rig->request.identifiers = identifiers;
    rig->request.identifier_count = 3;
    rig_reconfigure(rig);
    rig_start(rig);
    rig_expect_enroll(rig);
    static const char *const parts[] = {
        "{\"CSR\":\"-----BEGIN CERTIFICATE REQUEST-----\\n",
        "\"CertificateAuthority\":\"ca01.example.test\\\\IssuingCA1\",\"Template\":\"WebServer\"",
        "\"EnrollmentPatternId\":3,\"OwnerRoleName\":\"pki-owners\",\"Timestamp\":\"" RIG_NOW "\"",
        "\"IncludeChain\":true,\"SANs\":{\"dns\":[\"www.example.test\"],\"ip4\":[\"192.0.2.1\"],"
        "\"ip6\":[\"2001:db8::1\"]}",
        "\"Metadata\":{\"AcmeOrder\":\"" RIG_TAG "\",\"Team\":\"order order by account -\"}",
        "\"AdditionalEnrollmentFields\":{\"Department\":\"pki\"}}"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        rig_expect_body(rig, parts[i]);
}

static void test_shapes(void **state)
{
    struct rig *rig = *state;
    const char *pem_leaf = rig_pem(rig, rig->leaf);
    const char *pem_issuer = rig_pem(rig, rig->pki.intermediate);
    const char *shapes[] = {
        rig_format(rig, "\"%s\",\"%s\",\"%s\"", pem_leaf, pem_issuer, rig_pem(rig, rig->pki.root)),
        rig_format(rig, "\"%s\",\"%s\"", rig_der(rig, rig->leaf), rig_der(rig, rig->pki.intermediate)),
        rig_format(rig, "\"subject=CN=x\\nissuer=CN=y\\n%s\",\"subject=CN=y\\n%s\"", pem_leaf, pem_issuer),
        rig_format(rig, "\"%s%s\"", pem_issuer, pem_leaf),
        rig_format(rig, "null,7,\"%s\",\"%s\",\"%s\"", pem_issuer, pem_leaf, pem_leaf),
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        rig->state = "{}";
        rig_start(rig);
        rig_expect_enroll(rig);
        rig_reply(rig, 200, enrolled(rig, shapes[i]));
        rig_expect_issued(rig);
        rig_expect_ref(rig, "1207");
    }
}

static void test_spelling_and_disposition_do_not_matter(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_reply(
        rig, 200,
        rig_format(rig,
                   "{\"certificateInformation\":{\"keyfactorId\":\"1207\",\"requestDisposition\":\"Done\","
                   "\"certificates\":[\"%s\",\"%s\"]}}",
                   rig_der(rig, rig->pki.intermediate), rig_der(rig, rig->leaf)));
    rig_expect_issued(rig);
    rig_expect_ref(rig, "1207");
}

static void test_leaf_alone_is_completed(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_reply(rig, 200, enrolled(rig, rig_format(rig, "\"%s\"", rig_der(rig, rig->leaf))));
    rig_expect_call(rig, "POST", "Certificates/Download");
    rig_expect_body(rig, "{\"CertID\":1207,\"IncludeChain\":true,\"ChainOrder\":\"EndEntityFirst\"}");
    rig_reply(rig, 200, rig_download(rig, rig->leaf));
    rig_expect_issued(rig);
}

static void test_without_number_the_thumbprint_serves(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_reply(rig, 200,
              rig_format(rig, "{\"CertificateInformation\":{\"KeyfactorID\":0,\"Certificates\":[\"%s\"]}}",
                         rig_der(rig, rig->leaf)));
    rig_expect_call(rig, "POST", "Certificates/Download");
    rig_expect_body(rig, "{\"Thumbprint\":\"");
    assert_int_equal(strlen(rig->step.upstream_ref), 40);
    rig_reply(rig, 200, rig_download(rig, rig->leaf));
    rig_expect_issued(rig);
}

/* For the check of every certificate, which alerts. */
static void test_another_key_is_handed_over_to_be_refused(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_reply(rig, 200,
              enrolled(rig, rig_format(rig, "\"%s\",\"%s\"", rig_der(rig, rig->stranger),
                                       rig_der(rig, rig->pki.intermediate))));
    assert_int_equal(rig->step.kind, ACME_STEP_ISSUED);
    struct acme_cert_list chain;
    assert_int_equal(acme_chain_build(&rig->step.certs, rig->csr.spki_sha256, &chain).code, ACME_E_NOT_FOUND);
}

static void test_download_flavours(void **state)
{
    struct rig *rig = *state;
    X509 *certs[] = {rig->leaf, rig->pki.intermediate};
    const char *bodies[] = {
        rig_format(rig, "{\"content\":\"%s\"}", rig_base64(rig, pki_pkcs7(rig->arena, certs, 2, true))),
        rig_format(rig, "{\"Content\":\"%s\"}", rig_base64(rig, pki_pem(rig->arena, certs, 2))),
        rig_format(rig, "{\"Content\":\"%s%s\"}", rig_pem(rig, rig->leaf),
                   rig_pem(rig, rig->pki.intermediate)),
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        rig->state = "{}";
        rig_start(rig);
        rig_reply(rig, 200, enrolled(rig, ""));
        rig_expect_call(rig, "POST", "Certificates/Download");
        rig_reply(rig, 200, bodies[i]);
        rig_expect_issued(rig);
    }
}

static void test_download_troubles(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_reply(rig, 200, enrolled(rig, ""));
    rig_reply(rig, 400, "{\"Message\":\"The format P7B is not served.\"}");
    rig_expect_call(rig, "POST", "Certificates/Download"); /* as PEM */
    rig_reply(rig, 404, "");
    rig_expect_wait(rig, 3, false);
    rig_timer(rig);
    rig_reply(rig, 500, "<html>");
    rig_expect_wait(rig, 5, true);
    rig_timer(rig);
    rig_reply(rig, 200, rig_format(rig, "{\"Content\":\"%s\"}", rig_der(rig, rig->leaf)));
    rig_expect_note(rig, "lacks the certificate or its issuers");
    rig_timer(rig);
    rig_reply(rig, 200, "{\"Content\":\"!!\"}");
    assert_int_equal(rig->step.kind, ACME_STEP_WAIT);
    rig_timer(rig);
    rig_reply(rig, 401, "");
    rig_expect_wait(rig, 60, true);
    rig_timer(rig);
    rig_call_failed(rig, true);
    assert_int_equal(rig->step.kind, ACME_STEP_WAIT);
    rig->now_ms += ACME_DAY_MS;
    rig_restart(rig, ACME_EVENT_TIMER);
    rig_reply(rig, 404, "");
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
}

static void test_approval_at_the_ca(void **state)
{
    struct rig *rig = *state;
    rig_pending(rig);
    rig_reply(rig, 200, "{\"Id\":881,\"State\":5,\"StateString\":\"Pending\",\"DenialComment\":null}");
    rig_expect_wait(rig, 5, false);
    rig_expect_note(rig, "waits for an approval at the CA");
    rig_timer(rig);
    rig_reply(rig, 200, "{\"id\":881,\"stateString\":\"External Validation\"}");
    rig_expect_note(rig, "waits for an external validation");
    rig_timer(rig);
    rig_reply(rig, 404, "{\"Message\":\"The certificate request was not found.\"}");
    rig_expect_path(rig, "GET", "Certificates?pq.queryString=CertRequestId%20-eq%20881&");
    rig_reply(rig, 200, "[]");
    rig_expect_note(rig, "next synchronization");
    rig_timer(rig);
    rig_reply(rig, 200, "{\"Id\":881,\"StateString\":\"Active\"}");
    rig_reply(rig, 200, rig_format(rig, "[%s]", rig_row(rig, 1207, rig->leaf, RIG_TAG)));
    rig_expect_call(rig, "POST", "Certificates/Download");
    rig_expect_ref(rig, "1207");
    rig_reply(rig, 200, rig_download(rig, rig->leaf));
    rig_expect_issued(rig);
}

/* A list that goes beyond what was asked for has older certificates of the same key. */
static void test_certificate_of_another_request(void **state)
{
    struct rig *rig = *state;
    rig_pending(rig);
    rig_reply(rig, 200, "{\"Id\":881,\"StateString\":\"Issued\"}");
    const char *other = rig_row(rig, 7, rig->leaf, NULL);
    rig_reply(rig, 200, rig_format(rig, "[{\"CertRequestId\":12,%s]", other + 1));
    rig_expect_wait(rig, 5, false);
    rig_expect_note(rig, "no certificate of request 881 yet");
    rig_timer(rig);
    rig_reply(rig, 200, "{\"Id\":881,\"StateString\":\"Issued\"}");
    const char *ours = rig_row(rig, 1207, rig->leaf, NULL);
    rig_reply(rig, 200,
              rig_format(rig, "[{\"CertRequestId\":12,%s,{\"CertRequestId\":881,%s]", other + 1, ours + 1));
    rig_expect_ref(rig, "1207");
}

static void test_denial(void **state)
{
    struct rig *rig = *state;
    rig_pending(rig);
    rig_reply(rig, 200,
              "{\"Id\":881,\"StateString\":\"Denied\",\"DenialComment\":\"not in the list\\u00e4\"}");
    rig_expect_failed(rig, ACME_PROBLEM_UNAUTHORIZED);
    assert_non_null(strstr(rig->step.problem.detail, "not in the list"));
    rig->state = "{}";
    rig_pending(rig);
    rig_reply(rig, 200, "{\"Id\":881,\"StateString\":\"Failed\",\"DenialComment\":\"ca01 is down\"}");
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_note(rig, "ca01 is down");
    assert_null(strstr(rig->step.problem.detail, "ca01"));
    rig->state = "{}";
    rig_start(rig);
    rig_reply(rig, 200,
              "{\"CertificateInformation\":{\"KeyfactorID\":0,\"KeyfactorRequestId\":9,"
              "\"RequestDisposition\":\"Denied\",\"DispositionMessage\":\"no " RIG_PASSWORD "\"}}");
    rig_expect_failed(rig, ACME_PROBLEM_UNAUTHORIZED);
}

static void test_requests_that_may_not_be_read(void **state)
{
    struct rig *rig = *state;
    rig_pending(rig);
    rig_reply(rig, 403, "{\"ErrorCode\":\"0xA0140002\",\"Message\":\"no permission\"}");
    rig_expect_path(rig, "GET", "CertRequestId");
    rig_reply(rig, 200, "[]");
    rig_timer(rig);
    rig_expect_path(rig, "GET", "CertRequestId"); /* not asked again */
    rig_reply(rig, 200, "[{\"Id\":1207,\"CertStateString\":\"Revoked\"}]");
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
}

static void test_workflow(void **state)
{
    struct rig *rig = *state;
    rig_workflow(rig);
    rig_reply(rig, 200,
              "{\"Id\":\"" RIG_WORKFLOW "\",\"Status\":\"Suspended\",\"StatusMessage\":\"1 approval\"}");
    rig_expect_wait(rig, 5, false);
    rig_timer(rig);
    rig_reply(rig, 200, "{\"Status\":\"Complete\",\"CurrentStateData\":{\"KeyfactorRequestId\":881}}");
    rig_expect_call(rig, "GET", "Workflow/Certificates/881");

    rig->state = "{}";
    rig_workflow(rig);
    rig_reply(rig, 200, "{\"Status\":\"Complete\",\"CurrentStateData\":null}");
    rig_expect_path(rig, "GET", "Certificates?pq.queryString=AcmeOrder%20-eq%20%22acmebridge%2F");
    rig_no_search(rig);
    assert_int_equal(rig->step.kind, ACME_STEP_WAIT);
    rig_timer(rig);
    rig_reply(rig, 200, rig_format(rig, "[%s]", rig_row(rig, 1207, rig->leaf, RIG_TAG)));
    rig_expect_call(rig, "POST", "Certificates/Download");
    rig_reply(rig, 200, rig_download(rig, rig->leaf));
    rig_expect_issued(rig);
    assert_int_equal(rig->calls_once, 2);
}

static void test_workflow_ends_badly(void **state)
{
    struct rig *rig = *state;
    rig_workflow(rig);
    const char *waiting = rig->state;
    const struct acme_step asked = rig->step;
    rig_reply(rig, 200, "{\"Status\":\"Rejected\",\"StatusMessage\":\"wrong team\"}");
    rig_expect_failed(rig, ACME_PROBLEM_UNAUTHORIZED);
    assert_non_null(strstr(rig->step.problem.detail, "wrong team"));
    rig->state = waiting;
    rig->step = asked;
    rig_reply(rig, 200, "{\"Status\":\"Failed\"}");
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig->state = waiting;
    rig->step = asked;
    rig_reply(rig, 200, "{\"Status\":\"Complete\"}");
    rig_no_search(rig);
    rig->now_ms += ACME_DAY_MS;
    rig_restart(rig, ACME_EVENT_TIMER);
    rig_no_search(rig);
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig->state = waiting; /* neither numbers nor what cannot be seen end an order */
    rig->step = asked;
    rig_reply(rig, 200, "{\"Status\":3}");
    rig_no_search(rig);
    assert_int_equal(rig->step.kind, ACME_STEP_WAIT);
}

static void test_oauth_has_no_header_of_ours(void **state)
{
    struct rig *rig = *state;
    rig->config.login = NULL;
    rig->config.password = NULL;
    rig->config.oauth = (struct acme_oauth){.token_url = "https://id.example.test/token",
                                            .client_id = "bridge",
                                            .client_secret = "client-" RIG_PASSWORD,
                                            .audience = "command"};
    rig_reconfigure(rig);
    assert_string_equal(rig->issuer->backend.transport.oauth->audience, "command");
    assert_string_equal(rig->issuer->backend.account, "keyfactor https://command.example.test bridge");
    rig_start(rig);
    rig_expect_enroll(rig);
}

static void test_wrong_configurations(void **state)
{
    struct rig *rig = *state;
    const struct acme_keyfactor_field unnamed[] = {{"", "x"}};
    struct acme_keyfactor_config wrong[7];
    for (size_t i = 0; i < 7; i++)
        wrong[i] = rig->config;
    wrong[0].password = NULL;
    wrong[1].password = "line\n";
    wrong[2].template = NULL;
    wrong[3].certificate_authority = NULL;
    wrong[4].tag_field = "a \"quoted\" one";
    wrong[5].metadata = unnamed;
    wrong[5].metadata_count = 1;
    wrong[6].login = "user:with colon";
    for (size_t i = 0; i < 7; i++) {
        struct acme_issuer *issuer = NULL;
        assert_int_equal(acme_keyfactor_issuer_create("x", &wrong[i], &issuer).code, ACME_E_FORMAT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_enrollment, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_shapes, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_spelling_and_disposition_do_not_matter, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_leaf_alone_is_completed, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_without_number_the_thumbprint_serves, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_another_key_is_handed_over_to_be_refused, rig_setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(test_download_flavours, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_download_troubles, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_approval_at_the_ca, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_certificate_of_another_request, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_denial, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_requests_that_may_not_be_read, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_workflow, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_workflow_ends_badly, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_oauth_has_no_header_of_ours, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_wrong_configurations, rig_setup, rig_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
