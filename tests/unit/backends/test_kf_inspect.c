/* What a look at Command without an order finds. */
#include "cmocka_all.h"

#include "kf_rig.h"

#include <string.h>

static struct acme_inspection *inspection;
static struct acme_inspect_step look_step;

static void look(struct rig *rig, enum acme_step_event event, int status, const char *body)
{
    struct acme_http_header header = {.name = "x-keyfactor-product-version", .value = "24.4.0.0"};
    struct acme_http_reply reply = {.status = status,
                                    .headers = &header,
                                    .header_count = 1,
                                    .body = {.data = (const uint8_t *)body, .len = strlen(body)}};
    const struct acme_inspect_request request = {.profile_count = 0};
    const struct acme_step_input input = {
        .event = event, .now_ms = RIG_START, .reply = &reply, .failure = "timed out"};
    if (event == ACME_EVENT_START) {
        inspection = acme_arena_alloc(rig->arena, sizeof *inspection);
        assert_non_null(inspection);
    }
    assert_false(acme_failed(rig->issuer->backend.inspect(&rig->issuer->backend, rig->arena, &request,
                                                          inspection, &input, &look_step)));
}

static void expect_path(const char *path)
{
    assert_false(look_step.done);
    assert_string_equal(look_step.call.url + strlen(RIG_ROOT) + 1, path);
}

static void expect_last(enum acme_finding_level level, const char *part)
{
    const struct acme_finding *last = &inspection->findings[inspection->finding_count - 1];
    if (last->level != level || strstr(last->text, part) == NULL)
        fail_msg("found %d: %s", (int)last->level, last->text);
}

static void test_good(void **state)
{
    struct rig *rig = *state;
    rig->config.enrollment_pattern_id = 3;
    rig_reconfigure(rig);
    look(rig, ACME_EVENT_START, 200, "");
    expect_path("Status/Endpoints");
    look(rig, ACME_EVENT_REPLY, 200, "[\"/KeyfactorAPI/Agents\"]");
    expect_last(ACME_FINDING_GOOD, "Keyfactor 24.4.0.0 accepts the login");
    expect_path("Enrollment/CSR/Context/My");
    look(rig, ACME_EVENT_REPLY, 200,
         "{\"Templates\":[{\"Name\":\"Other\"},{\"Name\":\"webserver\",\"CAs\":[{\"Name\":\"IssuingCA1\"}]}]"
         "}");
    expect_last(ACME_FINDING_GOOD, "IssuingCA1");
    expect_path("EnrollmentPatterns/3");
    look(rig, ACME_EVENT_REPLY, 200, "{\"Id\":3,\"Name\":\"Web\"}");
    expect_path("MetadataFields");
    look(rig, ACME_EVENT_REPLY, 200, "[{\"Name\":\"acmeorder\",\"Enrollment\":1}]");
    expect_last(ACME_FINDING_GOOD, "AcmeOrder");
    expect_path("Certificates?pq.returnLimit=1&pq.pageReturned=1");
    look(rig, ACME_EVENT_REPLY, 200, "[]");
    look(rig, ACME_EVENT_REPLY, 200, "[]");
    assert_true(look_step.done);
    assert_false(inspection->incomplete);
    for (size_t i = 0; i < inspection->finding_count; i++)
        assert_int_equal(inspection->findings[i].level, ACME_FINDING_GOOD);
}

static void test_mistakes(void **state)
{
    struct rig *rig = *state;
    const struct acme_keyfactor_field metadata[] = {{"Team", "x"}};
    rig->config.metadata = metadata;
    rig->config.metadata_count = 1;
    rig_reconfigure(rig);
    look(rig, ACME_EVENT_START, 200, "");
    look(rig, ACME_EVENT_REPLY, 200, "[]");
    look(rig, ACME_EVENT_REPLY, 200,
         "{\"Templates\":[{\"Name\":\"WebServer\",\"CAs\":[{\"Name\":\"h\\\\Other\"}]}]}");
    expect_last(ACME_FINDING_ERROR, "none of the CAs the login may use for template WebServer: h");
    look(rig, ACME_EVENT_REPLY, 200, "[{\"Name\":\"Site\",\"Enrollment\":1}]");
    expect_last(ACME_FINDING_WARNING, "\"Site\"");
    assert_non_null(
        strstr(inspection->findings[inspection->finding_count - 3].text, "no metadata field AcmeOrder"));
    assert_non_null(strstr(inspection->findings[inspection->finding_count - 2].text, "\"Team\""));
    look(rig, ACME_EVENT_REPLY, 403, "{\"ErrorCode\":\"0xA0140002\",\"Message\":\"no permission\"}");
    expect_last(ACME_FINDING_ERROR, "nothing can be found again");
    look(rig, ACME_EVENT_REPLY, 403, "");
    expect_last(ACME_FINDING_WARNING, "noticed when they are issued");
    assert_true(look_step.done);
    look(rig, ACME_EVENT_START, 200, "");
    look(rig, ACME_EVENT_REPLY, 200, "[]");
    look(rig, ACME_EVENT_REPLY, 200, "{\"Templates\":[{\"Name\":\"Other\"}]}");
    expect_last(ACME_FINDING_ERROR,
                "template WebServer is none of those the login may enroll CSRs with: Other");
}

static void test_refused_or_away(void **state)
{
    struct rig *rig = *state;
    look(rig, ACME_EVENT_START, 200, "");
    look(rig, ACME_EVENT_REPLY, 401, "{\"Message\":\"wrong: " RIG_PASSWORD "\"}");
    expect_last(ACME_FINDING_ERROR, "refuses the login (HTTP 401: (not shown))");
    assert_true(look_step.done && inspection->incomplete);
    look(rig, ACME_EVENT_START, 200, "");
    look(rig, ACME_EVENT_CALL_FAILED, 0, "");
    expect_last(ACME_FINDING_ERROR, "cannot be reached");
    assert_true(look_step.done && inspection->incomplete);
    look(rig, ACME_EVENT_START, 200, "");
    look(rig, ACME_EVENT_REPLY, 200, "<html>");
    expect_last(ACME_FINDING_ERROR, "not an answer of its API");
    assert_true(look_step.done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_good, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_mistakes, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_refused_or_away, rig_setup, rig_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
