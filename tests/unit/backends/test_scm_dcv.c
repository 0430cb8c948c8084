/* Domain validation per request: what has to be published stands in the state of the waiting job. */
#include "cmocka_all.h"

#include "scm_rig.h"

#include <string.h>

#define INSTRUCTIONS                                                                                         \
    "{\"dcvLog\":{\"error\":{\"code\":0,\"description\":null},\"log\":[{\"domainName\":\"EXAMPLE.test\","    \
    "\"dcvStatus\":\"Awaiting Validation\",\"dcvMethod\":\"CNAME_CSR_HASH\"}]},\"instructions\":["           \
    "{\"domainName\":\"example.test\",\"dcvMode\":\"CNAME\",\"host\":\"_0A.example.test.\","                 \
    "\"point\":\"1B.2C.sectigo.com.\",\"url\":null,\"file\":\"\"},"                                          \
    "{\"domainName\":\"www.example.test\",\"dcvMode\":\"EMAIL\",\"dcvEmail\":\"a@example.test\"},"           \
    "{\"dcvMode\":\"CNAME\"},7]}"

static int set_up(void **state)
{
    if (rig_setup(state) != 0)
        return -1;
    struct rig *rig = *state;
    rig->config.dcv_mode = "CNAME";
    rig_reconfigure(rig);
    return 0;
}

static const cJSON *kept(struct rig *rig)
{
    cJSON *state = NULL;
    assert_false(acme_failed(acme_json_parse(rig->arena, rig->state, strlen(rig->state), &state)));
    return acme_json_get(state, "dcv");
}

/* To the call for the instructions. */
static void ask(struct rig *rig)
{
    rig_accepted(rig);
    rig_reply(rig, 200, rig_details(rig, 4242, "Applied", RIG_TAG, NULL));
    rig_expect_call(rig, "GET", "/api/ssl/v1/4242/dcv");
    assert_false(rig->step.once);
}

/* Each call that makes a request says how its domains are validated. */
static void test_mode_goes_along(void **state)
{
    static const enum acme_earlier_use uses[] = {ACME_EARLIER_NONE, ACME_EARLIER_RENEW, ACME_EARLIER_REPLACE};
    static const char *const paths[] = {"/api/ssl/v1/enroll", "/api/ssl/v1/renewById/4100",
                                        "/api/ssl/v1/replace/4100"};
    struct rig *rig = *state;
    for (size_t i = 0; i < 2 * sizeof uses / sizeof uses[0]; i++) {
        bool set = i % 2 == 0;
        rig->config.dcv_mode = set ? "EMAIL" : NULL;
        rig->config.dcv_email = set ? "admin@example.test" : NULL;
        rig_reconfigure(rig);
        rig->request.earlier = (struct acme_earlier){
            .use = uses[i / 2], .upstream_ref = "4100", .tag = "acmebridge/0", .serial_hex = "0A1B2C"};
        rig->state = "{}";
        rig_start(rig);
        rig_expect_call(rig, "POST", paths[i / 2]);
        const struct acme_bytes *body = &rig->step.call.body;
        static const char mode[] = "\"dcvMode\":\"EMAIL\",\"dcvEmail\":\"admin@example.test\"";
        assert_int_equal(memmem(body->data, body->len, mode, strlen(mode)) != NULL, set);
        assert_int_equal(memmem(body->data, body->len, "dcv", 3) != NULL, set);
    }
}

static void test_instructions_are_kept(void **state)
{
    struct rig *rig = *state;
    ask(rig);
    rig_reply(rig, 200, INSTRUCTIONS);
    rig_expect_wait(rig, 5, false);
    rig_expect_note(rig, "domains to validate: 2, first example.test (CNAME, _0A.example.test. to "
                         "1B.2C.sectigo.com.)");
    const cJSON *list = kept(rig);
    assert_int_equal(cJSON_GetArraySize(list), 2);
    const cJSON *first = cJSON_GetArrayItem(list, 0);
    assert_string_equal(acme_json_str(first, "domain"), "example.test");
    assert_string_equal(acme_json_str(first, "mode"), "CNAME");
    assert_string_equal(acme_json_str(first, "host"), "_0A.example.test.");
    assert_string_equal(acme_json_str(first, "point"), "1B.2C.sectigo.com.");
    assert_string_equal(acme_json_str(first, "status"), "Awaiting Validation");
    assert_null(cJSON_GetObjectItem(first, "url"));
    assert_null(cJSON_GetObjectItem(first, "file"));
    const cJSON *second = cJSON_GetArrayItem(list, 1);
    assert_string_equal(acme_json_str(second, "email"), "a@example.test");
    assert_null(cJSON_GetObjectItem(second, "status"));

    /* Not at every poll; after ten minutes again. They last until then. */
    int64_t asked_ms = rig->now_ms;
    for (;;) {
        rig_timer(rig);
        rig_expect_call(rig, "GET", "/api/ssl/v1/4242");
        rig_reply(rig, 200, rig_details(rig, 4242, "Applied", RIG_TAG, NULL));
        assert_int_equal(cJSON_GetArraySize(kept(rig)), 2);
        if (rig->step.kind == ACME_STEP_CALL)
            break;
        assert_true(rig->now_ms < asked_ms + 10 * ACME_MINUTE_MS);
    }
    assert_true(rig->now_ms >= asked_ms + 10 * ACME_MINUTE_MS);
    rig_expect_call(rig, "GET", "/api/ssl/v1/4242/dcv");
    rig_reply(rig, 200, "{\"instructions\":[]}");
    assert_null(kept(rig));
}

static void test_they_go_with_the_wait(void **state)
{
    struct rig *rig = *state;
    ask(rig);
    rig_reply(rig, 200, INSTRUCTIONS);
    rig_timer(rig);
    rig_reply(rig, 200, rig_details(rig, 4242, "Issued", RIG_TAG, NULL));
    rig_expect_call(rig, "GET", "/api/ssl/v1/collect/4242?format=x509");
    assert_null(kept(rig));
}

static void test_failures_change_nothing(void **state)
{
    struct rig *rig = *state;
    ask(rig);
    rig_reply(rig, 404, "{\"code\":-5101,\"description\":\"Certificate not found.\"}");
    rig_expect_wait(rig, 5, false);
    rig_timer(rig);
    rig_expect_call(rig, "GET", "/api/ssl/v1/4242");
    rig->now_ms += 11 * ACME_MINUTE_MS;
    rig_reply(rig, 200, rig_details(rig, 4242, "Applied", RIG_TAG, NULL));
    rig_expect_call(rig, "GET", "/api/ssl/v1/4242/dcv");
    rig_call_failed(rig, true);
    assert_int_equal(rig->step.kind, ACME_STEP_WAIT);
    assert_false(rig->step.failure);
    rig->now_ms += 11 * ACME_MINUTE_MS;
    rig_timer(rig);
    rig->now_ms += 11 * ACME_MINUTE_MS;
    rig_reply(rig, 200, rig_details(rig, 4242, "Applied", RIG_TAG, NULL));
    rig_expect_call(rig, "GET", "/api/ssl/v1/4242/dcv");
    /* What echoes the password, or is no text for a terminal, is not shown. */
    rig_reply(rig, 200,
              "{\"instructions\":[{\"domainName\":\"a.test\",\"host\":\"" RIG_PASSWORD
              "\",\"point\":\"x\\u001b[2J\"}]}");
    const cJSON *only = cJSON_GetArrayItem(kept(rig), 0);
    assert_null(cJSON_GetObjectItem(only, "host"));
    assert_null(strchr(acme_json_str(only, "point"), 0x1b));
    assert_int_equal(rig->step.kind, ACME_STEP_WAIT);
}

static void test_not_without_the_mode(void **state)
{
    struct rig *rig = *state;
    rig->config.dcv_mode = NULL;
    rig_reconfigure(rig);
    rig_accepted(rig);
    rig_reply(rig, 200, rig_details(rig, 4242, "Applied", RIG_TAG, NULL));
    rig_expect_wait(rig, 5, false);
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, set_up, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(test_mode_goes_along),       WITH_RIG(test_instructions_are_kept),
        WITH_RIG(test_they_go_with_the_wait), WITH_RIG(test_failures_change_nothing),
        WITH_RIG(test_not_without_the_mode),
    };
    return cmocka_run_group_tests_name("backends/scm domain validation", tests, NULL, NULL);
}
