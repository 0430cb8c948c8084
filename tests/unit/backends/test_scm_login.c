/* The three logins, the two classes of certificates, and what an enroll carries beside the names. */
#include "cmocka_all.h"

#include "backends/scm/scm_internal.h"
#include "scm_rig.h"

#include <string.h>

static const char secret[] = RIG_PASSWORD;

static cJSON *body_of(struct rig *rig)
{
    cJSON *json = NULL;
    const struct acme_bytes body = rig->step.call.body;
    assert_non_null(body.data);
    assert_false(acme_failed(acme_json_parse(rig->arena, (const char *)body.data, body.len, &json)));
    return json;
}

static void use_certificate(struct rig *rig)
{
    rig->config.password = NULL;
    rig->config.client_cert_file = "/etc/acmebridge/client.pem";
    rig->config.client_key_file = "/etc/acmebridge/client.key";
    rig_reconfigure(rig);
}

static void use_oauth(struct rig *rig)
{
    rig->config.password = NULL;
    rig->config.login = NULL;
    rig->config.customer_uri = NULL;
    rig->config.oauth = (struct acme_oauth){
        .token_url = "https://sso.example.test/token", .client_id = "bridge", .client_secret = secret};
    rig_reconfigure(rig);
}

/* The enroll may have waited for a token, and have been sent again with another one. */
static void test_oauth_makes_a_lost_enroll_wait_longer(void **state)
{
    struct rig *rig = *state;
    use_oauth(rig);
    rig_start(rig);
    rig_restart(rig, ACME_EVENT_RECOVER);
    for (int steps = 0; rig->enrolls == 1; steps++) {
        assert_true(steps < 400);
        if (rig->step.kind == ACME_STEP_WAIT)
            rig_timer(rig);
        else
            rig_reply_header(rig, 200, "x-total-count", "0", "[]");
    }
    assert_true(rig->now_ms - RIG_START >= (2 * (30 + 90) + 60) * ACME_SECOND_MS);
}

static void test_client_certificate(void **state)
{
    struct rig *rig = *state;
    use_certificate(rig);
    assert_string_equal(rig->issuer->backend.transport.client_cert_file, "/etc/acmebridge/client.pem");
    assert_string_equal(rig->issuer->backend.transport.client_key_file, "/etc/acmebridge/client.key");
    assert_null(rig->issuer->backend.transport.oauth);
    rig_start(rig);
    rig_expect_call(rig, "POST", "/private/api/ssl/v1/enroll");
    rig_reply(rig, 200, "{\"sslId\":4242}");
    rig_timer(rig);
    rig_expect_call(rig, "GET", "/private/api/ssl/v1/4242");
}

static void test_oauth(void **state)
{
    struct rig *rig = *state;
    use_oauth(rig);
    const struct acme_oauth *oauth = rig->issuer->backend.transport.oauth;
    assert_non_null(oauth);
    assert_string_equal(oauth->token_url, "https://sso.example.test/token");
    assert_string_equal(oauth->client_id, "bridge");
    assert_string_equal(oauth->client_secret, secret);
    assert_ptr_not_equal(oauth->client_secret, secret);
    rig_start(rig);
    rig_expect_enroll(rig);
    /* An error that echoes the secret is not shown. */
    rig_reply(rig, 400, rig_format(rig, "{\"code\":-36,\"description\":\"no %s\"}", secret));
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    assert_null(strstr(rig->step.note, secret));
}

static void test_exactly_one_login(void **state)
{
    struct rig *rig = *state;
    struct acme_issuer *issuer = NULL;
    struct acme_scm_config config = rig->config;
    config.password = NULL;
    assert_int_equal(acme_scm_issuer_create("x", &config, &issuer).code, ACME_E_FORMAT);
    config.client_cert_file = "/c";
    assert_int_equal(acme_scm_issuer_create("x", &config, &issuer).code, ACME_E_FORMAT);
    config.client_key_file = "/k";
    config.password = "p";
    assert_int_equal(acme_scm_issuer_create("x", &config, &issuer).code, ACME_E_FORMAT);
    config.password = NULL;
    config.login = NULL;
    assert_int_equal(acme_scm_issuer_create("x", &config, &issuer).code, ACME_E_FORMAT);
    config = rig->config;
    config.oauth = (struct acme_oauth){.token_url = "https://t", .client_id = "i", .client_secret = "s"};
    assert_int_equal(acme_scm_issuer_create("x", &config, &issuer).code, ACME_E_FORMAT);
    config.password = NULL;
    config.oauth.client_secret = "a\nb";
    assert_int_equal(acme_scm_issuer_create("x", &config, &issuer).code, ACME_E_FORMAT);
    assert_null(issuer);
}

static void test_time_limits(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    assert_int_equal(rig->step.call.connect_timeout_ms, 10000);
    assert_int_equal(rig->step.call.total_timeout_ms, 90000);
    rig->config.connect_timeout_ms = 2000;
    rig->config.call_timeout_ms = 30000;
    rig_reconfigure(rig);
    rig->state = "{}";
    rig_start(rig);
    assert_int_equal(rig->step.call.connect_timeout_ms, 2000);
    assert_int_equal(rig->step.call.total_timeout_ms, 30000);
    /* After a crash an enroll may have been left to SCM that late: quiet begins 30 s after it was sent. */
    rig_restart(rig, ACME_EVENT_RECOVER);
    cJSON *saved = NULL;
    int64_t since_ms = 0;
    assert_false(acme_failed(acme_json_parse(rig->arena, rig->state, strlen(rig->state), &saved)));
    assert_true(acme_json_int(saved, "unknownSince", &since_ms));
    assert_int_equal(since_ms, RIG_START + 30000);
}

/* ---- device certificates ---- */

static void use_device(struct rig *rig)
{
    rig->config.class = ACME_SCM_DEVICE;
    rig_reconfigure(rig);
}

static const char *device_details(struct rig *rig, int id, const char *status, const char *comments)
{
    return rig_format(rig,
                      "{\"commonName\":\"www.example.test\",\"id\":%d,\"orgId\":8932,\"status\":\"%s\","
                      "\"comments\":\"%s\",\"requested\":\"" RIG_TODAY "\"}",
                      id, status, comments);
}

static void test_device_path(void **state)
{
    struct rig *rig = *state;
    rig->config.dcv_mode = "CNAME"; /* device requests have neither this nor a list of names */
    use_device(rig);
    rig_start(rig);
    rig_expect_call(rig, "POST", "/api/device/v1/enroll");
    assert_true(rig->step.once);
    const cJSON *body = body_of(rig);
    assert_null(acme_json_get(body, "subjAltNames"));
    assert_null(acme_json_get(body, "externalRequester"));
    assert_null(acme_json_get(body, "dcvMode"));
    assert_string_equal(acme_json_str(body, "comments"), RIG_TAG);
    assert_non_null(acme_json_str(body, "csr"));

    rig_reply(rig, 200,
              "{\"deviceCertId\":335,\"status\":\"APPROVED\",\"backendCertId\":\"5\",\"orderNumber\":335}");
    rig_expect_ref(rig, "335");
    rig_timer(rig);
    rig_expect_call(rig, "GET", "/api/device/v1/335");
    rig_reply(rig, 200, device_details(rig, 335, "APPLIED", RIG_TAG));
    rig_timer(rig);
    rig_reply(rig, 200, device_details(rig, 336, "Issued", RIG_TAG)); /* another one's */
    rig_expect_wait(rig, 5, true);
    rig_timer(rig);
    rig_reply(rig, 200, device_details(rig, 335, "Issued", RIG_TAG));
    rig_expect_call(rig, "GET", "/api/device/v1/collect/335?format=x509");
    X509 *certs[] = {rig->leaf, rig->pki.intermediate, rig->pki.root};
    rig_reply_bytes(rig, 200, pki_pem(rig->arena, certs, 3));
    rig_expect_issued(rig, 3);
}

static void test_device_enroll_is_not_repeated(void **state)
{
    struct rig *rig = *state;
    use_device(rig);
    rig_start(rig);
    rig_call_failed(rig, true);
    rig_expect_call(rig, "GET", "/api/device/v1?commonName=www.example.test&orgId=8932&size=200&position=0");
    rig_reply(rig, 200,
              "[{\"id\":356,\"status\":\"APPROVED\",\"certificateDetails\":{\"subject\":\"CN=x\"}}]");
    rig_expect_call(rig, "GET", "/api/device/v1/356");
    rig_reply(rig, 200, device_details(rig, 356, "Approved", RIG_TAG));
    rig_expect_call(rig, "GET", "/api/device/v1/356");
    rig_expect_ref(rig, "356");
    assert_int_equal(rig->enrolls, 1);
}

static void test_device_without_common_name(void **state)
{
    struct rig *rig = *state;
    use_device(rig);
    rig_start(rig);
    rig_call_failed(rig, true);
    rig_expect_call(rig, "GET", "/api/device/v1?commonName=www.example.test&orgId=8932&size=200&position=0");
    rig_reply(rig, 200, "[]");
    rig_expect_call(rig, "GET", "/api/device/v1?certTypeId=5153&orgId=8932&size=200&position=0");
    rig_reply(rig, 200, "[]");
    rig_expect_wait(rig, 5, true);
}

static void test_device_revocation(void **state)
{
    struct rig *rig = *state;
    use_device(rig);
    struct acme_revoke_request revocation = {.serial_hex = "0A1B",
                                             .upstream_ref = "335",
                                             .reason = 1,
                                             .created_ms = RIG_START,
                                             .deadline_ms = RIG_START + ACME_DAY_MS};
    rig->revocation = &revocation;
    rig_start(rig);
    rig_expect_call(rig, "GET", "/api/device/v1/335");
    rig_reply(rig, 200, device_details(rig, 335, "Issued", RIG_TAG));
    rig_expect_call(rig, "POST", "/api/device/v1/revoke/order/335");
    rig_reply(rig, 204, "");
    assert_int_equal(rig->step.kind, ACME_STEP_DONE);
    revocation.upstream_ref = NULL;
    rig->state = "{}";
    rig_start(rig);
    rig_expect_call(rig, "POST", "/api/device/v1/revoke/serial/0A:1B");
}

/* ---- fields and comments ---- */

static void test_fields(void **state)
{
    struct rig *rig = *state;
    const struct acme_scm_field fields[] = {{"Cost centre", "4711"}, {"Ticket", ""}};
    rig->config.custom_fields = fields;
    rig->config.custom_field_count = 2;
    rig->config.dcv_mode = "EMAIL";
    rig->config.dcv_email = "admin@example.test";
    rig_reconfigure(rig);
    rig_start(rig);
    const cJSON *body = body_of(rig);
    const cJSON *sent = acme_json_get(body, "customFields");
    assert_int_equal(cJSON_GetArraySize(sent), 2);
    assert_string_equal(acme_json_str(cJSON_GetArrayItem(sent, 0), "name"), "Cost centre");
    assert_string_equal(acme_json_str(cJSON_GetArrayItem(sent, 0), "value"), "4711");
    assert_string_equal(acme_json_str(cJSON_GetArrayItem(sent, 1), "value"), "");
    assert_string_equal(acme_json_str(body, "dcvMode"), "EMAIL");
    assert_string_equal(acme_json_str(body, "dcvEmail"), "admin@example.test");
    assert_string_equal(acme_json_str(body, "externalRequester"), "pki@example.test");
}

static const char *comments_with(struct rig *rig, const char *template, const char *kid)
{
    rig->config.comments = template;
    rig_reconfigure(rig);
    rig->request.external_kid = kid;
    rig->state = "{}";
    rig_start(rig);
    return acme_json_str(body_of(rig), "comments");
}

static void test_comments(void **state)
{
    struct rig *rig = *state;
    assert_string_equal(comments_with(rig, "ACME {order} of {account}/{eab}", "team-7"),
                        RIG_TAG " ACME order of account/team-7");
    assert_string_equal(comments_with(rig, "{eab}{eab}", NULL), RIG_TAG " --");
    /* Longer than SCM takes: cut behind a whole character, the tag stays. */
    char long_kid[1200];
    memset(long_kid, 'k', sizeof long_kid);
    memcpy(long_kid + 1024 - sizeof RIG_TAG - 1, "\xc3\xa4", 2);
    long_kid[sizeof long_kid - 1] = '\0';
    const char *cut = comments_with(rig, "{eab}", long_kid);
    assert_int_equal(strncmp(cut, RIG_TAG " k", sizeof RIG_TAG + 1), 0);
    assert_int_equal(strlen(cut), 1023);

    assert_null(acme_scm_comments_wrong("plain {order}{account} {eab}"));
    assert_non_null(acme_scm_comments_wrong("{tag}"));
    assert_non_null(acme_scm_comments_wrong("a } b"));
    assert_non_null(acme_scm_comments_wrong("{order"));
}

static void test_tags_in_comments(void **state)
{
    (void)state;
    static const char other[] = "acmebridge/01890a5d-ac96-774b-bcce-b302099a8058";
    assert_true(acme_scm_comments_have_tag(RIG_TAG, RIG_TAG));
    assert_true(acme_scm_comments_have_tag("see " RIG_TAG ", please", RIG_TAG));
    assert_false(acme_scm_comments_have_tag(RIG_TAG "0", RIG_TAG));
    assert_false(acme_scm_comments_have_tag("x" RIG_TAG, RIG_TAG));
    assert_true(acme_scm_comments_have_tag("x" RIG_TAG " " RIG_TAG, RIG_TAG));
    assert_false(acme_scm_comments_have_tag(other, RIG_TAG));
    assert_true(acme_scm_comments_have_other_tag(other, RIG_TAG));
    assert_true(acme_scm_comments_have_other_tag("by hand: acmebridge/01890a5d-ac96-774b-bcce-b302099a8058.",
                                                 RIG_TAG));
    assert_false(acme_scm_comments_have_other_tag(RIG_TAG " ACME order", RIG_TAG));
    assert_false(acme_scm_comments_have_other_tag("acmebridge/01890a5d", RIG_TAG));
    assert_false(acme_scm_comments_have_other_tag("", RIG_TAG));
}

/* With a text behind the tag the search still finds its own request, and not another one's. */
static void test_search_with_comments(void **state)
{
    struct rig *rig = *state;
    rig->config.comments = "ACME {order}";
    rig_reconfigure(rig);
    rig_start(rig);
    rig_call_failed(rig, true);
    rig_reply(rig, 200,
              "[{\"sslId\":7,\"commonName\":\"www.example.test\"},"
              "{\"sslId\":8,\"commonName\":\"www.example.test\"}]");
    rig_expect_call(rig, "GET", "/api/ssl/v1/8");
    rig_reply(rig, 200,
              rig_details(rig, 8, "Requested", "acmebridge/01890a5d-ac96-774b-bcce-b302099a8058 ACME other",
                          rig->csr_sha256));
    rig_expect_call(rig, "GET", "/api/ssl/v1/7");
    rig_reply(rig, 200, rig_details(rig, 7, "Requested", RIG_TAG " ACME order", NULL));
    rig_expect_call(rig, "GET", "/api/ssl/v1/7");
    rig_expect_ref(rig, "7");
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(test_client_certificate),
        WITH_RIG(test_oauth),
        WITH_RIG(test_oauth_makes_a_lost_enroll_wait_longer),
        WITH_RIG(test_exactly_one_login),
        WITH_RIG(test_time_limits),
        WITH_RIG(test_device_path),
        WITH_RIG(test_device_enroll_is_not_repeated),
        cmocka_unit_test_setup_teardown(test_device_without_common_name, rig_setup_without_cn, rig_teardown),
        WITH_RIG(test_device_revocation),
        WITH_RIG(test_fields),
        WITH_RIG(test_comments),
        cmocka_unit_test(test_tags_in_comments),
        WITH_RIG(test_search_with_comments),
    };
    return cmocka_run_group_tests_name("backends/scm login, class and fields", tests, NULL, NULL);
}
