/* What a look at CPS without an order finds, and the keys that CPS waits with. */
#include "cmocka_all.h"

#include "cps_rig.h"

#include <string.h>

struct look {
    struct rig *rig;
    struct acme_inspect_profile profiles[3];
    struct acme_cps_profile settings[3];
    struct acme_inspect_request request;
    struct acme_inspection *inspection;
    struct acme_inspect_step step;
    int calls;
};

static void go(struct look *look, const struct acme_step_input *input)
{
    const struct rig *rig = look->rig;
    const struct acme_backend *backend =
        rig->deployer != NULL ? &rig->deployer->backend : &rig->issuer->backend;
    assert_int_equal(
        backend->inspect(backend, look->rig->arena, &look->request, look->inspection, input, &look->step)
            .code,
        ACME_OK);
    look->calls += !look->step.done;
    for (size_t i = 0; i < look->inspection->finding_count; i++)
        assert_null(strstr(look->inspection->findings[i].text, RIG_SECRET));
}

static void begin(struct look *look, struct rig *rig, size_t profiles)
{
    static const char *const names[] = {"one", "two", "three"};
    look->rig = rig;
    look->inspection = acme_arena_alloc(rig->arena, sizeof *look->inspection);
    assert_non_null(look->inspection);
    for (size_t i = 0; i < profiles; i++)
        look->profiles[i] = (struct acme_inspect_profile){.name = names[i], .settings = &look->settings[i]};
    look->request.profiles = look->profiles;
    look->request.profile_count = profiles;
    const struct acme_step_input input = {.event = ACME_EVENT_START, .now_ms = RIG_START};
    go(look, &input);
}

static void reply_header(struct look *look, int status, const char *name, const char *value, const char *body)
{
    assert_false(look->step.done);
    struct acme_http_header header = {.name = name, .value = value};
    const struct acme_http_reply reply = {.status = status,
                                          .headers = &header,
                                          .header_count = name != NULL,
                                          .body = {.data = (const uint8_t *)body, .len = strlen(body)}};
    const struct acme_step_input input = {.event = ACME_EVENT_REPLY, .now_ms = RIG_START, .reply = &reply};
    go(look, &input);
}

static void reply(struct look *look, int status, const char *body)
{
    reply_header(look, status, NULL, NULL, body);
}

static void expect_path(struct look *look, const char *path)
{
    assert_false(look->step.done);
    assert_string_equal(look->step.call.url,
                        rig_format(look->rig, "https://cps.example.test/cps/v2%s", path));
}

static void expect_finding(struct look *look, enum acme_finding_level level, const char *part)
{
    for (size_t i = 0; i < look->inspection->finding_count; i++)
        if (look->inspection->findings[i].level == level &&
            strstr(look->inspection->findings[i].text, part) != NULL)
            return;
    for (size_t i = 0; i < look->inspection->finding_count; i++)
        print_error("found: %s\n", look->inspection->findings[i].text);
    fail_msg("nothing found about \"%s\"", part);
}

#define GOOD(look, part)    expect_finding(look, ACME_FINDING_GOOD, part)
#define WARNING(look, part) expect_finding(look, ACME_FINDING_WARNING, part)
#define ERROR(look, part)   expect_finding(look, ACME_FINDING_ERROR, part)

static const char *third_party(struct rig *rig, const char *pending)
{
    return rig_format(
        rig,
        "{\"id\":10002,\"validationType\":\"third-party\",\"enableMultiStackedCertificates\":true,"
        "\"changeManagement\":true,\"thirdParty\":{\"excludeSans\":true},\"maxAllowedSanNames\":2,"
        "\"csr\":{\"cn\":\"www.example.test\",\"sans\":" RIG_SANS "},\"pendingChanges\":%s}",
        pending);
}

static void test_all_is_well(void **state)
{
    struct look look = {.settings = {{.enrollment_id = 10002, .key_at_edge = true}}};
    begin(&look, *state, 1);
    expect_path(&look, "/enrollments/10002");
    reply_header(&look, 200, "date", "Fri, 15 Jan 2027 08:00:02 GMT",
                 rig_enrollment(*state, "dv", RIG_SANS, "[]"));
    assert_true(look.step.done);
    GOOD(&look, "accepts the signature of this API client");
    GOOD(&look, "enrollment 10002 is for www.example.test, a DV one, with 2 alternative names.");
    GOOD(&look, "2 of 3 alternative names are in use");
    assert_int_equal(look.inspection->finding_count, 3);
    assert_true(look.inspection->keys_known);
    assert_int_equal(look.inspection->key_count, 0);
    assert_false(look.inspection->incomplete);
}

static void test_keys_are_not_looked_for_where_they_stay_at_the_edge(void **state)
{
    struct look look = {.settings = {{.enrollment_id = 7, .key_at_edge = true}, {.enrollment_id = 10002}},
                        .request = {.keys_only = true}};
    begin(&look, *state, 2);
    expect_path(&look, "/enrollments/10002");
    reply(&look, 200, third_party(*state, "[]"));
    assert_true(look.step.done);
    assert_true(look.inspection->keys_known);
}

static void test_third_party_and_its_keys(void **state)
{
    struct rig *rig = *state;
    struct look look = {
        .settings = {{.enrollment_id = 10002}, {.enrollment_id = 10002, .third_party_issuer = "lab"}}};
    const char *pem = rig_csr_pem(rig, rig->csr.der);
    const char *csrs =
        rig_format(rig, "{\"csrs\":[{\"csr\":%s,\"keyAlgorithm\":\"RSA\"}]}", rig_quote(rig, pem));
    const char *enrollment =
        third_party(rig, "[{\"location\":\"/x/1\",\"changeType\":\"a\"},{\"location\":\"/x/10003\"}]");
    begin(&look, rig, 2);
    reply(&look, 200, enrollment);
    expect_path(&look, RIG_CHANGE "/input/info/third-party-csr");
    reply(&look, 200, csrs);
    expect_path(&look, "/enrollments/10002");
    reply(&look, 200, enrollment);
    reply(&look, 404, "{}"); /* it has moved on: no key any more */
    assert_true(look.step.done);
    GOOD(
        &look,
        "Profile one: enrollment 10002 is for www.example.test, a third-party one, with 2 alternative names, "
        "dual-stacked, with change management.");
    ERROR(&look,
          "Profile one: enrollment 10002 is a third-party one, so the profile needs third_party_issuer.");
    WARNING(&look, "thirdParty.excludeSans");
    WARNING(&look, "all 2 alternative names that Akamai allows are in use");
    WARNING(&look, "change 1 (a) is pending");
    WARNING(&look, "change 10003 (kind unknown) is pending");
    GOOD(&look, "change 10003 waits for a certificate for its RSA CSR");
    assert_true(look.inspection->keys_known);
    assert_int_equal(look.inspection->key_count, 1);
    assert_string_equal(look.inspection->keys[0].profile, "one");
    assert_memory_equal(look.inspection->keys[0].spki_sha256, rig->csr.spki_sha256, ACME_SHA256_SIZE);
}

static void test_only_keys(void **state)
{
    struct rig *rig = *state;
    struct look look = {.settings = {{.enrollment_id = 10002}}, .request = {.keys_only = true}};
    const char *pem = rig_csr_pem(rig, rig->csr.der);
    begin(&look, rig, 1);
    reply(&look, 200, third_party(rig, "[{\"location\":\"/x/10003\"}]"));
    reply(&look, 200, rig_format(rig, "{\"csr\":%s}", rig_quote(rig, pem)));
    assert_true(look.step.done);
    assert_int_equal(look.inspection->finding_count, 0);
    assert_int_equal(look.inspection->key_count, 1);
    assert_true(look.inspection->keys_known);

    struct look failing = {.settings = {{.enrollment_id = 10002}}, .request = {.keys_only = true}};
    begin(&failing, rig, 1);
    reply(&failing, 503, "");
    assert_true(failing.step.done);
    assert_false(failing.inspection->keys_known);
    assert_true(failing.inspection->incomplete);
}

static void test_kinds_that_do_not_fit(void **state)
{
    struct look look = {.settings = {{.enrollment_id = 10002, .third_party_issuer = "lab"}}};
    begin(&look, *state, 1);
    reply(&look, 200, rig_enrollment(*state, "ov", "[]", "null"));
    WARNING(&look, "third_party_issuer is of no use");
    ERROR(&look, "needs key_holder: edge");
    GOOD(&look, "a OV or EV one");
}

static void test_by_name(void **state)
{
    struct look look = {.settings = {{.common_name = "www.example.test", .key_at_edge = true},
                                     {.common_name = "two.example.test", .key_at_edge = true},
                                     {.enrollment_id = 7, .key_at_edge = true}}};
    begin(&look, *state, 3);
    expect_path(&look, "/enrollments");
    reply(&look, 200,
          "{\"enrollments\":[{\"location\":\"/x/"
          "10002\",\"csr\":{\"cn\":\"WWW.example.test\"}},{\"id\":3,\"csr\":{\"cn\":"
          "\"two.example.test\"}},{\"id\":4,\"csr\":{\"cn\":\"two.example.test\"}}]}");
    expect_path(&look, "/enrollments/10002");
    reply(&look, 200, "{\"csr\":{}}");
    expect_path(&look, "/enrollments/7");
    reply(&look, 404, "{\"title\":\"Not Found\"}");
    assert_true(look.step.done);
    ERROR(&look, "Profile two: CPS has 2 enrollments with the common name two.example.test, not one.");
    ERROR(&look, "Profile one: enrollment 10002 cannot be read.");
    ERROR(&look, "Profile three: CPS does not know enrollment 7");
    assert_false(look.inspection->keys_known);
    assert_int_equal(look.calls, 3);
}

static void test_refusals(void **state)
{
    struct rig *rig = *state;
    struct look look = {.settings = {{.enrollment_id = 10002}, {.enrollment_id = 3}}};
    begin(&look, rig, 2);
    reply_header(&look, 401, "date", "Fri, 15 Jan 2027 08:01:00 GMT",
                 "{\"title\":\"Not authorized " RIG_SECRET "\"}");
    assert_true(look.step.done); /* nothing else would be answered */
    ERROR(&look, "this machine's clock is 60 seconds slow");
    assert_true(look.inspection->incomplete);

    struct look denied = {.settings = {{.enrollment_id = 10002}}};
    begin(&denied, rig, 1);
    reply(&denied, 403, "{\"title\":\"Forbidden\",\"detail\":\"no grant for CPS\"}");
    ERROR(&denied, "CPS grant");

    struct look away = {.settings = {{.enrollment_id = 10002}}};
    begin(&away, rig, 1);
    const struct acme_step_input input = {
        .event = ACME_EVENT_CALL_FAILED, .now_ms = RIG_START, .failure = "connection refused"};
    go(&away, &input);
    ERROR(&away, "could not be reached: connection refused");

    struct look skewed = {.settings = {{.enrollment_id = 10002, .key_at_edge = true}}};
    begin(&skewed, rig, 1);
    reply_header(&skewed, 200, "date", "Fri, 15 Jan 2027 07:59:40 GMT",
                 rig_enrollment(rig, "dv", RIG_SANS, "[]"));
    WARNING(&skewed, "clock is 20 seconds fast");
}

static void test_nothing_to_look_at(void **state)
{
    struct look look = {0};
    begin(&look, *state, 0);
    assert_true(look.step.done);
    struct look domains = {.settings = {{.enrollment_id = 10002}}, .request = {.domains_only = true}};
    begin(&domains, *state, 1);
    assert_true(domains.step.done);
    assert_int_equal(domains.calls, 0);
}

static void begin_deployer(struct look *look, struct rig *rig, const struct acme_cps_target *target)
{
    acme_deployer_destroy(rig->deployer);
    rig->deployer = NULL;
    assert_int_equal(acme_cps_deployer_create("edge", &rig->config, target, &rig->deployer).code, ACME_OK);
    begin(look, rig, 0);
}

static void test_deployers(void **state)
{
    struct rig *rig = *state;
    const struct acme_cps_target by_id = {.enrollment_id = 10002};
    const struct acme_cps_target by_name = {.common_name = "www.example.test"};
    struct look look = {0};
    begin_deployer(&look, rig, &by_id);
    expect_path(&look, "/enrollments/10002");
    reply(&look, 200, rig_enrollment(rig, "third-party", RIG_SANS, "[]"));
    assert_true(look.step.done);
    GOOD(&look, "Deployer edge: enrollment 10002 is for www.example.test");

    look = (struct look){0};
    begin_deployer(&look, rig, &by_name);
    expect_path(&look, "/enrollments");
    reply(&look, 200, "{\"enrollments\":[{\"id\":10002,\"csr\":{\"cn\":\"www.example.test\"}}]}");
    expect_path(&look, "/enrollments/10002");
    reply(&look, 200, rig_enrollment(rig, "dv", RIG_SANS, "[]"));
    ERROR(&look, "Deployer edge: enrollment 10002 is no third-party one");

    look = (struct look){0};
    begin_deployer(&look, rig, &by_name);
    reply(&look, 200, "{\"enrollments\":[]}");
    ERROR(&look, "CPS has 0 enrollments with the common name www.example.test");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
        TEST(test_all_is_well),
        TEST(test_keys_are_not_looked_for_where_they_stay_at_the_edge),
        TEST(test_third_party_and_its_keys),
        TEST(test_only_keys),
        TEST(test_kinds_that_do_not_fit),
        TEST(test_by_name),
        TEST(test_refusals),
        TEST(test_deployers),
        TEST(test_nothing_to_look_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
