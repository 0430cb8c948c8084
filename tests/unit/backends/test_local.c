/* The local issuer: dates, certificates, refusals. */
#include "cmocka_all.h"

#include "backends/local/local.h"
#include "pki.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fixture {
    char directory[64];
    struct acme_arena *arena;
    struct acme_local_ca *ca;
    struct acme_issuer *issuer;
    struct acme_csr csr;
    struct acme_issue_request request;
    int64_t now_ms;
};

static const char *const names[] = {"host.example.test", "*.example.test"};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    snprintf(fixture->directory, sizeof fixture->directory, "/tmp/acme-unit-local-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    fixture->arena = acme_arena_create(8 << 20);
    assert_non_null(fixture->arena);
    assert_false(
        acme_failed(acme_local_ca_open(fixture->directory, "Unit", &acme_clock_system, &fixture->ca)));
    assert_false(acme_failed(acme_local_issuer_create("lab", fixture->ca, &fixture->issuer)));
    const char *why = "";
    struct acme_bytes der = pki_csr_der(fixture->arena, names[0], names, 2);
    assert_false(acme_failed(acme_csr_parse(fixture->arena, der, &fixture->csr, &why)));
    fixture->now_ms = acme_clock_now_ms(&acme_clock_system) / 1000 * 1000;
    fixture->request = (struct acme_issue_request){.tag = "acmebridge/1",
                                                   .csr = &fixture->csr,
                                                   .identifiers = fixture->csr.names,
                                                   .identifier_count = fixture->csr.name_count,
                                                   .validity_ms = 30 * ACME_DAY_MS,
                                                   .deadline_ms = fixture->now_ms + ACME_HOUR_MS};
    *state = fixture;
    return 0;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    return remove(path);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    acme_issuer_destroy(fixture->issuer);
    acme_local_ca_close(fixture->ca);
    acme_arena_destroy(fixture->arena);
    nftw(fixture->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    free(fixture);
    return 0;
}

static struct acme_step step_at(struct fixture *fixture, int64_t now_ms)
{
    cJSON *state = NULL;
    assert_false(acme_failed(acme_json_parse(fixture->arena, "{}", 2, &state)));
    struct acme_step_input input = {.event = ACME_EVENT_START, .now_ms = now_ms};
    struct acme_step step = {0};
    assert_false(acme_failed(fixture->issuer->class->step(fixture->issuer, fixture->arena, &fixture->request,
                                                          state, &input, &step)));
    assert_non_null(step.note);
    return step;
}

static struct acme_cert_info leaf_of(struct fixture *fixture, const struct acme_step *step)
{
    struct acme_cert_list chain;
    struct acme_cert_info info;
    const char *why = "";
    assert_int_equal(step->kind, ACME_STEP_ISSUED);
    assert_false(acme_failed(acme_chain_build(&step->certs, fixture->csr.spki_sha256, &chain)));
    if (acme_failed(acme_chain_check(fixture->arena, &chain, &fixture->csr, fixture->request.identifiers,
                                     fixture->request.identifier_count, fixture->now_ms, &why)))
        fail_msg("%s", why);
    assert_false(acme_failed(acme_cert_info_read(fixture->arena, chain.certs[0], &info)));
    return info;
}

static void test_issues_at_once(void **state)
{
    struct fixture *fixture = *state;
    assert_string_equal(fixture->issuer->class->type, "local");
    assert_string_equal(fixture->issuer->backend.name, "lab");
    struct acme_step step = step_at(fixture, fixture->now_ms);
    assert_int_equal(step.certs.count, 2);
    assert_true(step.signed_here);
    struct acme_cert_info info = leaf_of(fixture, &step);
    assert_int_equal(info.not_before_ms, fixture->now_ms - 5 * ACME_MINUTE_MS);
    assert_int_equal(info.not_after_ms - info.not_before_ms, 30 * ACME_DAY_MS);
}

static void test_requested_dates(void **state)
{
    struct fixture *fixture = *state;
    fixture->request.not_before_ms = fixture->now_ms - ACME_HOUR_MS;
    fixture->request.not_after_ms = fixture->now_ms + ACME_DAY_MS;
    struct acme_step step = step_at(fixture, fixture->now_ms);
    struct acme_cert_info info = leaf_of(fixture, &step);
    assert_int_equal(info.not_before_ms, fixture->now_ms - ACME_HOUR_MS);
    assert_int_equal(info.not_after_ms, fixture->now_ms + ACME_DAY_MS);
}

static void test_only_the_end_is_asked_for(void **state)
{
    struct fixture *fixture = *state;
    fixture->request.not_after_ms = fixture->now_ms + ACME_DAY_MS;
    struct acme_step step = step_at(fixture, fixture->now_ms);
    struct acme_cert_info info = leaf_of(fixture, &step);
    assert_int_equal(info.not_before_ms, fixture->now_ms - 5 * ACME_MINUTE_MS);
    assert_int_equal(info.not_after_ms, fixture->now_ms + ACME_DAY_MS);

    /* The whole validity from now on: the back-dating gives way, not the end. */
    fixture->request.not_after_ms = fixture->now_ms + 30 * ACME_DAY_MS - ACME_MINUTE_MS;
    step = step_at(fixture, fixture->now_ms);
    info = leaf_of(fixture, &step);
    assert_int_equal(info.not_before_ms, fixture->now_ms - ACME_MINUTE_MS);
    assert_int_equal(info.not_after_ms, fixture->request.not_after_ms);
}

static void test_only_the_begin_is_asked_for(void **state)
{
    struct fixture *fixture = *state;
    fixture->request.not_before_ms = fixture->now_ms - 40 * ACME_MINUTE_MS;
    struct acme_step step = step_at(fixture, fixture->now_ms);
    struct acme_cert_info info = leaf_of(fixture, &step);
    assert_int_equal(info.not_before_ms, fixture->request.not_before_ms);
    assert_int_equal(info.not_after_ms - info.not_before_ms, 30 * ACME_DAY_MS);
}

/* What cannot be kept is refused, never cut. */
static void test_dates_out_of_bounds(void **state)
{
    struct fixture *fixture = *state;
    const struct {
        int64_t not_before_ms; /* from now; 0: not asked for */
        int64_t not_after_ms;
        int64_t validity_ms;
        const char *part;
    } cases[] = {
        {0, 30 * ACME_DAY_MS + ACME_SECOND_MS, 30 * ACME_DAY_MS, "further apart"},
        {-ACME_HOUR_MS, 30 * ACME_DAY_MS, 30 * ACME_DAY_MS, "further apart"},
        {ACME_DAY_MS, 31 * ACME_DAY_MS + ACME_SECOND_MS, 30 * ACME_DAY_MS, "further apart"},
        {0, 3651 * ACME_DAY_MS, 4000 * ACME_DAY_MS, "end of the CA's"},
        {-2 * ACME_DAY_MS, ACME_DAY_MS, 30 * ACME_DAY_MS, "before the CA's"},
        {2 * ACME_DAY_MS, ACME_DAY_MS, 30 * ACME_DAY_MS, "no time"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture->request.not_before_ms =
            cases[i].not_before_ms != 0 ? fixture->now_ms + cases[i].not_before_ms : 0;
        fixture->request.not_after_ms = fixture->now_ms + cases[i].not_after_ms;
        fixture->request.validity_ms = cases[i].validity_ms;
        struct acme_step step = step_at(fixture, fixture->now_ms);
        assert_int_equal(step.kind, ACME_STEP_FAILED);
        assert_int_equal(step.problem.type, ACME_PROBLEM_MALFORMED);
        if (strstr(step.problem.detail, cases[i].part) == NULL)
            fail_msg("%zu: %s", i, step.problem.detail);
    }
}

static void test_default_validity(void **state)
{
    struct fixture *fixture = *state;
    fixture->request.validity_ms = 0;
    struct acme_step step = step_at(fixture, fixture->now_ms);
    struct acme_cert_info info = leaf_of(fixture, &step);
    assert_int_equal(info.not_after_ms - info.not_before_ms, 90 * ACME_DAY_MS);
}

static void test_senseless_dates(void **state)
{
    struct fixture *fixture = *state;
    fixture->request.not_after_ms = fixture->now_ms - ACME_HOUR_MS;
    struct acme_step step = step_at(fixture, fixture->now_ms);
    assert_int_equal(step.kind, ACME_STEP_FAILED);
    assert_int_equal(step.problem.type, ACME_PROBLEM_MALFORMED);
    assert_non_null(step.problem.detail);
}

static void test_deadline(void **state)
{
    struct fixture *fixture = *state;
    struct acme_step step = step_at(fixture, fixture->request.deadline_ms);
    assert_int_equal(step.kind, ACME_STEP_FAILED);
    assert_int_equal(step.problem.type, ACME_PROBLEM_SERVER_INTERNAL);
}

static void test_revokes_at_once(void **state)
{
    struct fixture *fixture = *state;
    cJSON *saved = NULL;
    assert_false(acme_failed(acme_json_parse(fixture->arena, "{}", 2, &saved)));
    const struct acme_revoke_request request = {.serial_hex = "01", .reason = 1};
    const struct acme_step_input input = {.event = ACME_EVENT_START, .now_ms = fixture->now_ms};
    struct acme_step step = {.kind = ACME_STEP_FAILED};
    assert_false(acme_failed(
        fixture->issuer->class->revoke(fixture->issuer, fixture->arena, &request, saved, &input, &step)));
    assert_int_equal(step.kind, ACME_STEP_DONE);
    assert_non_null(step.note);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_issues_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_requested_dates, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_only_the_end_is_asked_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_only_the_begin_is_asked_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dates_out_of_bounds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_default_validity, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_senseless_dates, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_deadline, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_revokes_at_once, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("backends/local", tests, NULL, NULL);
}
