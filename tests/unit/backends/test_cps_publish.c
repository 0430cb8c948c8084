/* Answers to the challenges of DV enrollments: published by a program, and taken back. */
#include "cmocka_all.h"

#include "cps_rig.h"

#include <string.h>

#define INFO     RIG_CHANGE "/input/info/lets-encrypt-challenges"
#define COMPLETE RIG_CHANGE "/input/update/lets-encrypt-challenges-completed"

static const char *const hook[] = {"/usr/local/bin/publish"};

static int setup(void **state)
{
    if (rig_setup(state) != 0)
        return 1;
    struct rig *rig = *state;
    rig->profile.policy.dv = (struct acme_dv_config){
        .publication = ACME_DV_HOOK, .type = ACME_DV_HTTP01, .hook = hook, .hook_count = 1};
    return 0;
}

static const char *domain(struct rig *rig, const char *name, const char *status, const char *token)
{
    return rig_format(
        rig,
        "{\"domain\":\"%s\",\"status\":\"%s\",\"challenges\":[{\"type\":\"http-01\",\"token\":\"%s\","
        "\"responseBody\":\"%s.thumb\",\"fullPath\":\"http://%s/.well-known/acme-challenge/%s\","
        "\"redirectFullPath\":\"http://dcv.example.test/%s\"},{\"type\":\"dns-01\",\"token\":\"%s-dns\","
        "\"responseBody\":\"TXT-%s\",\"fullPath\":\"_acme-challenge.%s.\",\"redirectFullPath\":\"\"}]}",
        name, status, token, token, name, token, token, token, token, name);
}

static void challenges(struct rig *rig, const char *first, const char *second)
{
    rig_reply(rig, 200,
              rig_change(rig, "awaiting-input", "coodinate-domain-validation", "lets-encrypt-challenges"));
    rig_expect_call(rig, "GET", INFO);
    rig_reply(rig, 200,
              rig_format(rig, "{\"dv\":[%s,%s]}", domain(rig, "www.example.test", first, "tok1"),
                         domain(rig, "example.test", second, "tok2")));
}

static void validated(struct rig *rig)
{
    rig_reply(rig, 200, rig_change(rig, "running", "validated", NULL));
}

static void answers_are_published_told_and_taken_back(void **state)
{
    struct rig *rig = *state;
    rig_changing(rig, "dv");
    challenges(rig, "Awaiting user", "Awaiting user");
    rig_expect_run(rig, "publish", "tok1.thumb");
    rig_expect_note(rig, "www.example.test");
    rig_ran(rig, 0, "done");
    rig_expect_run(rig, "publish", "tok2.thumb");
    rig_ran(rig, 0, "");
    rig_expect_call(rig, "POST", COMPLETE);
    rig_expect_body(rig, "{\"acknowledgement\":\"acknowledge\"}");
    rig_reply(rig, 200, "");
    rig_expect_wait(rig, 60, false);

    /* Nothing twice; what is validated is not needed any more. */
    rig_timer(rig);
    challenges(rig, "Valid", "Awaiting user");
    rig_expect_run(rig, "remove", "tok1.thumb");
    rig_ran(rig, 0, "");
    rig_expect_call(rig, "GET", RIG_CHANGE);
    challenges(rig, "Valid", "Awaiting user");
    rig_expect_wait(rig, 60, false);

    rig_timer(rig);
    validated(rig);
    rig_expect_run(rig, "remove", "tok2.thumb");
    rig_ran(rig, 0, "");
    rig_expect_call(rig, "GET", RIG_CHANGE);
    validated(rig);
    assert_int_equal(rig->step.kind, ACME_STEP_WAIT);
    assert_null(strstr(rig->state, "published"));
    assert_int_equal(rig->updates, 1);
}

static void dns_answers_go_to_the_zone(void **state)
{
    struct rig *rig = *state;
    rig->profile.policy.dv = (struct acme_dv_config){.publication = ACME_DV_DNS_UPDATE,
                                                     .type = ACME_DV_DNS01,
                                                     .nsupdate = "/usr/bin/nsupdate",
                                                     .server = "192.0.2.53",
                                                     .key_file = "/etc/tsig.key"};
    rig_changing(rig, "dv");
    challenges(rig, "Valid", "Awaiting user");
    assert_int_equal(rig->step.kind, ACME_STEP_RUN);
    const struct acme_bytes *input = &rig->step.run.input;
    const char *script = acme_arena_strndup(rig->arena, (const char *)input->data, input->len);
    assert_non_null(strstr(script, "update add _acme-challenge.example.test. 60 TXT \"TXT-tok2\""));
    rig_ran(rig, 0, "");
    rig_expect_call(rig, "POST", COMPLETE);
}

static void a_program_that_fails_is_run_again_later(void **state)
{
    struct rig *rig = *state;
    rig_changing(rig, "dv");
    challenges(rig, "Awaiting user", "Valid");
    rig_ran(rig, 2, "REFUSED");
    rig_expect_wait(rig, 30, true);
    rig_expect_note(rig, "exit code 2. REFUSED");
    rig_timer(rig);
    challenges(rig, "Awaiting user", "Valid");
    rig_expect_run(rig, "publish", "tok1.thumb");
    rig_ran(rig, 0, "");
    rig_expect_call(rig, "POST", COMPLETE);
}

/* The process died while the program ran: it runs again. */
static void publishing_is_repeated_after_a_crash(void **state)
{
    struct rig *rig = *state;
    rig_changing(rig, "dv");
    const char *before = rig->state;
    challenges(rig, "Awaiting user", "Valid");
    rig_expect_run(rig, "publish", "tok1.thumb");
    rig->state = before;
    rig_restart(rig, ACME_EVENT_TIMER);
    rig_expect_call(rig, "GET", RIG_CHANGE);
    challenges(rig, "Awaiting user", "Valid");
    rig_expect_run(rig, "publish", "tok1.thumb");
}

static void what_cannot_be_taken_back_is_said(void **state)
{
    struct rig *rig = *state;
    rig_changing(rig, "dv");
    challenges(rig, "Awaiting user", "Valid");
    rig_ran(rig, 0, "");
    rig_reply(rig, 500, "");
    assert_int_equal(rig->step.kind, ACME_STEP_WAIT);
    rig_timer(rig);
    validated(rig);
    rig_expect_run(rig, "remove", "tok1.thumb");
    rig_ran(rig, 1, "no such zone");
    rig_expect_call(rig, "GET", RIG_CHANGE);
    rig_expect_note(rig, "http://www.example.test/.well-known/acme-challenge/tok1 could not be taken back");
    rig_expect_note(rig, "no such zone");
}

static void a_job_that_fails_takes_its_answers_back_first(void **state)
{
    struct rig *rig = *state;
    rig_changing(rig, "dv");
    challenges(rig, "Awaiting user", "Awaiting user");
    rig_ran(rig, 0, "");
    rig_ran(rig, 0, "");
    rig_reply(rig, 200, "");
    rig->now_ms = rig->request.deadline_ms;
    rig_restart(rig, ACME_EVENT_TIMER);
    challenges(rig, "Awaiting user", "Awaiting user");
    rig_expect_call(rig, "DELETE", RIG_CHANGE); /* the deadline has passed */
    rig_reply(rig, 200, "");
    rig_expect_run(rig, "remove", "tok1.thumb");
    rig_restart(rig, ACME_EVENT_TIMER); /* killed while it ran */
    rig_expect_run(rig, "remove", "tok1.thumb");
    rig_ran(rig, 0, "");
    rig_expect_run(rig, "remove", "tok2.thumb");
    rig_ran(rig, 1, "gone");
    rig_expect_failed(rig, ACME_PROBLEM_SERVER_INTERNAL);
    rig_expect_note(rig, "deadline has passed");
    rig_expect_note(rig, "could not be taken back");
}

static void a_challenge_that_is_none_is_not_passed_on(void **state)
{
    struct rig *rig = *state;
    rig_changing(rig, "dv");
    rig_reply(rig, 200,
              rig_change(rig, "awaiting-input", "coodinate-domain-validation", "lets-encrypt-challenges"));
    rig_reply(rig, 200,
              rig_format(rig, "{\"dv\":[%s]}", domain(rig, "www.example.test", "Awaiting user", "$(x)")));
    assert_int_equal(rig->step.kind, ACME_STEP_WAIT);
    rig_expect_note(rig, "is not published: the token or value");
    /* The others are. */
    rig_timer(rig);
    rig_reply(rig, 200,
              rig_change(rig, "awaiting-input", "coodinate-domain-validation", "lets-encrypt-challenges"));
    rig_reply(rig, 200,
              rig_format(rig, "{\"dv\":[%s,%s]}", domain(rig, "www.example.test", "Awaiting user", "$(x)"),
                         domain(rig, "example.test", "Awaiting user", "tok2")));
    rig_expect_run(rig, "publish", "tok2.thumb");
}

static void answers_of_a_change_that_is_gone_are_taken_back(void **state)
{
    struct rig *rig = *state;
    rig_changing(rig, "dv");
    challenges(rig, "Awaiting user", "Awaiting user");
    rig_ran(rig, 0, "");
    rig_ran(rig, 0, "");
    rig_reply(rig, 200, "");
    rig_timer(rig);
    rig_reply(rig, 404, "");
    rig_expect_run(rig, "remove", "tok1.thumb");
    rig_ran(rig, 0, "");
    rig_expect_call(rig, "GET", RIG_CHANGE);
    rig_reply(rig, 404, "");
    rig_expect_run(rig, "remove", "tok2.thumb");
    rig_ran(rig, 0, "");
    rig_reply(rig, 404, "");
    rig_expect_call(rig, "GET", "/enrollments/10002/deployments");
    rig_reply(rig, 200, rig_deployments(rig, rig->leaf));
    rig_expect_issued(rig, rig->leaf);
}

static void an_outcome_of_another_kind_is_not_believed(void **state)
{
    struct rig *rig = *state;
    rig_changing(rig, "dv");
    const struct acme_step step = rig->step;
    rig->step.kind = ACME_STEP_RUN;
    rig_ran(rig, 0, "");
    rig_expect_call(rig, "GET", RIG_CHANGE);
    rig->step = step;
    challenges(rig, "Awaiting user", "Valid");
    rig->step.kind = ACME_STEP_CALL;
    rig_reply(rig, 200, "{}");
    rig_expect_call(rig, "GET", RIG_CHANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answers_are_published_told_and_taken_back, setup, rig_teardown),
        cmocka_unit_test_setup_teardown(dns_answers_go_to_the_zone, setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_program_that_fails_is_run_again_later, setup, rig_teardown),
        cmocka_unit_test_setup_teardown(publishing_is_repeated_after_a_crash, setup, rig_teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_taken_back_is_said, setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_job_that_fails_takes_its_answers_back_first, setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_challenge_that_is_none_is_not_passed_on, setup, rig_teardown),
        cmocka_unit_test_setup_teardown(answers_of_a_change_that_is_gone_are_taken_back, setup, rig_teardown),
        cmocka_unit_test_setup_teardown(an_outcome_of_another_kind_is_not_believed, setup, rig_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
