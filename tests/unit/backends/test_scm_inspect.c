/* The look at SCM without an order, call by call, and the list of domains it yields. */
#include "cmocka_all.h"

#include "scm_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct acme_key_policy narrow = {.rsa = true, .rsa_min_bits = 2048, .rsa_max_bits = 4096};

struct look {
    struct rig *rig;
    struct acme_inspect_profile profile;
    struct acme_inspect_request request;
    struct acme_inspection *inspection;
    struct acme_inspect_step step;
};

static void do_step(struct look *look, struct acme_step_input input)
{
    input.now_ms = RIG_START;
    const struct acme_issuer *issuer = look->rig->issuer;
    assert_int_equal(issuer->backend
                         .inspect(&issuer->backend, look->rig->arena, &look->request, look->inspection,
                                  &input, &look->step)
                         .code,
                     ACME_OK);
}

static void begin(struct look *look, struct rig *rig)
{
    *look = (struct look){.rig = rig, .profile = {.name = "scm", .keys = &narrow}};
    look->request.profiles = &look->profile;
    look->request.profile_count = 1;
    look->inspection = acme_arena_alloc(rig->arena, sizeof *look->inspection);
    assert_non_null(look->inspection);
}

static void expect(struct look *look, const char *path)
{
    assert_false(look->step.done);
    assert_string_equal(look->step.call.method, "GET");
    assert_string_equal(look->step.call.url, rig_format(look->rig, "https://scm.example.test%s", path));
}

static void answer(struct look *look, int status, const char *body, const char *total)
{
    struct acme_http_header header = {.name = "x-total-count", .value = total};
    const struct acme_http_reply reply = {.status = status,
                                          .headers = &header,
                                          .header_count = total != NULL,
                                          .body = {.data = (const uint8_t *)body, .len = strlen(body)}};
    do_step(look, (struct acme_step_input){.event = ACME_EVENT_REPLY, .reply = &reply});
}

static void expect_finding(const struct look *look, enum acme_finding_level level, const char *part)
{
    for (size_t i = 0; i < look->inspection->finding_count; i++) {
        const struct acme_finding *finding = &look->inspection->findings[i];
        assert_null(strstr(finding->text, RIG_PASSWORD));
        if (strstr(finding->text, part) != NULL) {
            assert_int_equal(finding->level, level);
            return;
        }
    }
    fail_msg("no finding \"%s\"", part);
}

#define PROFILE                                                                                              \
    "{\"id\":5153,\"name\":\"OV\",\"terms\":[199,365],\"keyTypes\":{\"RSA\":[\"2048\",\"3072\",\"4096\"]}}"

static void test_good(void **state)
{
    struct look look;
    begin(&look, *state);
    do_step(&look, (struct acme_step_input){.event = ACME_EVENT_START});
    expect(&look, "/api/ssl/v1/types?organizationId=8932");
    answer(&look, 200, "[{\"id\":1,\"name\":\"x\"}," PROFILE "]", NULL);
    expect(&look, "/api/admin/v1/password");
    answer(&look, 200, "{\"expirationDate\":\"2027-06-01\",\"state\":\"ALIVE\"}", NULL);
    expect(&look, "/api/organization/v1");
    answer(&look, 200, "[{\"id\":1,\"name\":\"a\",\"departments\":[{\"id\":8932,\"name\":\"web\"}]}]", NULL);
    expect(&look, "/api/customField/v2/?certType=SSL");
    answer(&look, 200,
           "[{\"id\":1,\"name\":\"Optional\",\"mandatories\":[\"ADMIN_UI\"]},"
           "{\"id\":2,\"name\":\"Off\",\"state\":\"INACTIVE\",\"mandatories\":[\"REST_API\"]}]",
           NULL);
    assert_true(look.step.done);
    assert_false(look.inspection->incomplete);
    assert_int_equal(look.inspection->finding_count, 5);
    for (size_t i = 0; i < look.inspection->finding_count; i++)
        assert_int_equal(look.inspection->findings[i].level, ACME_FINDING_GOOD);
    expect_finding(&look, ACME_FINDING_GOOD, "8932 (web)");
}

static void test_stages_of_other_logins(void **state)
{
    struct rig *rig = *state;
    struct look look;
    rig->config.password = NULL;
    rig->config.client_cert_file = "/c";
    rig->config.client_key_file = "/k";
    rig->config.class = ACME_SCM_DEVICE;
    rig->config.dcv_required = true; /* devices have no domains */
    rig_reconfigure(rig);
    begin(&look, rig);
    do_step(&look, (struct acme_step_input){.event = ACME_EVENT_START});
    expect(&look, "/private/api/device/v1/types?organizationId=8932");
    answer(&look, 200, "[" PROFILE "]", NULL);
    expect(&look, "/private/api/organization/v1"); /* there is no password to ask about */
    answer(&look, 403, "", NULL);
    expect_finding(&look, ACME_FINDING_WARNING, "does not show the organizations");
    expect(&look, "/private/api/customField/v2/?certType=Device");
    answer(&look, 200, "[]", NULL);
    assert_true(look.step.done);
}

static void test_mistakes(void **state)
{
    static const struct acme_key_policy wide = {
        .rsa = true, .rsa_min_bits = 2048, .rsa_max_bits = 8192, .p256 = true, .p521 = true, .ed25519 = true};
    static const struct acme_scm_field fields[] = {{"Colour", "blue"}, {"Gone", "x"}};
    struct rig *rig = *state;
    struct look look;
    rig->config.term_days = 90;
    rig->config.custom_fields = fields;
    rig->config.custom_field_count = 2;
    rig_reconfigure(rig);
    begin(&look, rig);
    look.profile.keys = &wide;
    do_step(&look, (struct acme_step_input){.event = ACME_EVENT_START});
    answer(&look, 200, "[" PROFILE "]", NULL);
    expect_finding(&look, ACME_FINDING_ERROR, "term_days 90");
    expect_finding(&look, ACME_FINDING_WARNING, "P-256 keys");
    expect_finding(&look, ACME_FINDING_WARNING, "keys.p521: false");
    expect_finding(&look, ACME_FINDING_WARNING, "Ed25519");
    expect_finding(&look, ACME_FINDING_WARNING, "2048 to 8192 bits, SCM's has 2048 to 4096");
    answer(&look, 200, "{\"expirationDate\":\"2027-01-20\",\"state\":\"ALIVE\"}", NULL);
    expect_finding(&look, ACME_FINDING_WARNING, "expires on 2027-01-20");
    answer(&look, 200, "[{\"id\":1,\"name\":\"a\"}]", NULL);
    expect_finding(&look, ACME_FINDING_ERROR, "org_id 8932");
    answer(&look, 200,
           "[{\"name\":\"Team\",\"mandatories\":[\"REST_API\"]},"
           "{\"name\":\"Colour\",\"input\":{\"type\":\"TEXT_OPTION\",\"options\":[\"red\"]}}]",
           NULL);
    expect_finding(&look, ACME_FINDING_ERROR, "demands the custom field \"Team\"");
    expect_finding(&look, ACME_FINDING_ERROR, "\"Colour\" is none of those");
    expect_finding(&look, ACME_FINDING_ERROR, "no custom field \"Gone\"");
    assert_true(look.step.done);
}

static void test_refused(void **state)
{
    struct look look;
    begin(&look, *state);
    do_step(&look, (struct acme_step_input){.event = ACME_EVENT_START});
    answer(&look, 401, "{\"code\":-16,\"description\":\"Unknown user " RIG_PASSWORD "\"}", NULL);
    assert_true(look.step.done);
    assert_true(look.inspection->incomplete);
    assert_int_equal(look.inspection->finding_count, 1);
    expect_finding(&look, ACME_FINDING_ERROR, "refuses the login (HTTP 401: (not shown))");
}

static void test_unreachable(void **state)
{
    struct look look;
    begin(&look, *state);
    do_step(&look, (struct acme_step_input){.event = ACME_EVENT_START});
    do_step(&look, (struct acme_step_input){.event = ACME_EVENT_CALL_FAILED, .failure = "timed out"});
    assert_true(look.step.done);
    assert_true(look.inspection->incomplete);
    expect_finding(&look, ACME_FINDING_ERROR,
                   "cannot be reached to read the certificate profiles: timed out");
}

/* Whatever a gateway sends instead of the API, every stage takes it. */
static void test_garbage(void **state)
{
    static const char *const bodies[] = {"",      "<html>",          "{}", "[]", "[7,null,{}]",
                                         "\"x\"", "{\"code\":\"x\"}"};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct look look;
        begin(&look, *state);
        look.request.domain_count = 1;
        const char *const names[] = {"a.test"};
        look.request.domains = names;
        do_step(&look, (struct acme_step_input){.event = ACME_EVENT_START});
        answer(&look, 200, "[" PROFILE "]", NULL);
        int calls = 0;
        while (!look.step.done && calls++ < 20)
            answer(&look, 200, bodies[i], "7");
        assert_true(look.step.done);
    }
}

/* ---- domains ---- */

static void test_domains(void **state)
{
    struct look look;
    static const char *const names[] = {"www.good.test", "*.old.test", "a.b.over.test", "new.test", "x.test"};
    begin(&look, *state);
    look.request.domains_only = true;
    look.request.domains = names;
    look.request.domain_count = 5;
    do_step(&look, (struct acme_step_input){.event = ACME_EVENT_START});
    expect(&look, "/api/dcv/v1/validation?size=200&position=0");
    answer(&look, 200,
           "[{\"domain\":\"Good.test\",\"dcvStatus\":\"VALIDATED\",\"expirationDate\":\"2027-06-01\"},"
           "{\"domain\":\"old.test\",\"dcvStatus\":\"EXPIRED\",\"expirationDate\":\"2026-06-01\"}]",
           "5");
    expect(&look, "/api/dcv/v1/validation?size=200&position=2");
    answer(&look, 200,
           "[{\"domain\":\"*.over.test\",\"dcvStatus\":\"Validated\",\"expirationDate\":\"01/14/2027\"},"
           "{\"domain\":\"new.test\",\"dcvStatus\":\"NOT_VALIDATED\"},"
           "{\"domain\":\"today.test\",\"dcvStatus\":\"Validated\",\"expirationDate\":\"" RIG_TODAY "\"}]",
           "5");
    assert_true(look.step.done);
    const struct acme_inspection *inspection = look.inspection;
    assert_true(inspection->domains_known);
    assert_int_equal(inspection->domain_count, 5);
    assert_int_equal(inspection->finding_count, 0);
    static const struct {
        const char *name;
        enum acme_domain_state state;
        const char *domain;
    } cases[] = {
        {"www.good.test", ACME_DOMAIN_VALIDATED, "good.test"},
        {"good.test", ACME_DOMAIN_VALIDATED, "good.test"},
        {"*.old.test", ACME_DOMAIN_EXPIRED, "old.test"},
        {"a.b.over.test", ACME_DOMAIN_EXPIRED, "over.test"},
        {"new.test", ACME_DOMAIN_NOT_VALIDATED, "new.test"},
        {"w.today.test", ACME_DOMAIN_VALIDATED, "today.test"},
        {"notgood.test", ACME_DOMAIN_UNKNOWN, NULL},
        {"test", ACME_DOMAIN_UNKNOWN, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct acme_upstream_domain *domain = NULL;
        assert_int_equal(acme_upstream_domain_find(inspection->domains, inspection->domain_count,
                                                   cases[i].name, RIG_START, &domain),
                         cases[i].state);
        if (cases[i].domain == NULL)
            assert_null(domain);
        else
            assert_string_equal(domain->name, cases[i].domain);
    }
}

static void test_domains_in_a_whole_look(void **state)
{
    struct rig *rig = *state;
    struct look look;
    rig->config.dcv_required = true;
    rig_reconfigure(rig);
    assert_true(rig->issuer->needs_domains);
    begin(&look, rig);
    static const char *const names[] = {"www.good.test", "x.test"};
    look.request.domains = names;
    look.request.domain_count = 2;
    do_step(&look, (struct acme_step_input){.event = ACME_EVENT_START});
    answer(&look, 200, "[" PROFILE "]", NULL);
    for (int i = 0; i < 3; i++)
        answer(&look, 500, "", NULL);
    expect(&look, "/api/dcv/v1/validation?size=200&position=0");
    answer(&look, 200,
           "[{\"domain\":\"good.test\",\"dcvStatus\":\"VALIDATED\",\"expirationDate\":\"2027-01-20\"}]",
           NULL);
    assert_true(look.step.done);
    expect_finding(&look, ACME_FINDING_GOOD, "Validated domains: 1 of 1");
    expect_finding(&look, ACME_FINDING_WARNING, "good.test ends within 6 days");
    expect_finding(&look, ACME_FINDING_GOOD, "www.good.test may be ordered");
    expect_finding(&look, ACME_FINDING_ERROR, "no domain for x.test");
}

/* The best of what is there counts: other entries of the name, and domains above. */
static void test_best_domain(void **state)
{
    struct rig *rig = *state;
    struct acme_inspection *inspection = acme_arena_alloc(rig->arena, sizeof *inspection);
    const struct acme_upstream_domain entries[] = {
        {"a.test", false, 0},     {"a.test", true, 5},  {"a.test", true, 0},
        {"www.b.test", false, 0}, {"b.test", true, 50}, {"test", false, 0},
    };
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++)
        assert_int_equal(acme_upstream_domain_add(rig->arena, inspection, &entries[i]).code, ACME_OK);
    acme_upstream_domains_sort(inspection->domains, inspection->domain_count);
    const struct acme_upstream_domain *domain = NULL;
    assert_int_equal(acme_upstream_domain_find(inspection->domains, 6, "a.test", 10, &domain),
                     ACME_DOMAIN_VALIDATED);
    assert_int_equal(acme_upstream_domain_find(inspection->domains, 6, "x.www.b.test", 49, &domain),
                     ACME_DOMAIN_VALIDATED);
    assert_string_equal(domain->name, "b.test");
    assert_int_equal(acme_upstream_domain_find(inspection->domains, 6, "x.www.b.test", 50, &domain),
                     ACME_DOMAIN_EXPIRED);
    assert_int_equal(acme_upstream_domain_find(inspection->domains, 6, "c.test", 0, &domain),
                     ACME_DOMAIN_NOT_VALIDATED);
    assert_int_equal(acme_upstream_domain_find(NULL, 0, "c.test", 0, &domain), ACME_DOMAIN_UNKNOWN);
    /* More findings than there is room for are dropped. */
    for (int i = 0; i < ACME_FINDINGS_MAX + 1; i++)
        assert_int_equal(acme_finding_add(inspection, ACME_FINDING_GOOD, "x").code, ACME_OK);
    assert_int_equal(inspection->finding_count, ACME_FINDINGS_MAX);
    assert_int_equal(acme_finding_add(inspection, ACME_FINDING_GOOD, NULL).code, ACME_E_NOMEM);
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(test_good),        WITH_RIG(test_stages_of_other_logins),
        WITH_RIG(test_mistakes),    WITH_RIG(test_refused),
        WITH_RIG(test_unreachable), WITH_RIG(test_garbage),
        WITH_RIG(test_domains),     WITH_RIG(test_domains_in_a_whole_look),
        WITH_RIG(test_best_domain),
    };
    return cmocka_run_group_tests_name("backends/scm inspection", tests, NULL, NULL);
}
