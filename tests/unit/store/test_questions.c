/* store/questions.c: asked, answered, seen. */
#include "fixture.h"

struct asked {
    struct acme_issuance issuance;
    struct acme_job job;
};

static struct asked begin(struct fixture *f)
{
    struct asked a;
    struct acme_order order = fixture_ready_order(f, fixture_account(f), "a.example.com");
    struct acme_order made;
    enum acme_finalize_outcome outcome;
    a.issuance = fixture_issuance(f, &order, "k", "k");
    a.job = fixture_job(f, "lab");
    a.job.share = order.account_id;
    assert_ok(acme_store_order_finalize(f->store, f->arena, &a.issuance, &a.job, &fixture_lease,
                                        &(struct acme_finalize_rules){.now_ms = NOW}, &made, &outcome, NULL));
    return a;
}

static void wait_asking(struct fixture *f, const struct asked *a, const char *key, int64_t asked_ms,
                        int64_t seen_ms)
{
    const struct acme_job_question question = {.key = key,
                                               .text = "Deploy it?",
                                               .details = "one\ntwo",
                                               .deadline_ms = NOW + DAY,
                                               .asked_ms = asked_ms};
    const struct acme_job_remark remark = {
        .asks = true, .question = key == NULL ? NULL : &question, .answer_seen_ms = seen_ms};
    assert_ok(acme_store_job_wait(f->store, a->job.id, "me", "{}", NOW + 5000000, 0, &remark));
}

static struct acme_job_report report_of(struct fixture *f, const struct asked *a)
{
    struct acme_job_report report;
    assert_ok(acme_store_job_find(f->store, f->arena, "lab", a->job.share, a->issuance.id, &report));
    return report;
}

/* Leased again, as the runner does it. */
static struct acme_job claim(struct fixture *f, int64_t now_ms)
{
    struct acme_job *jobs = NULL;
    size_t count = 0;
    const struct acme_lease lease = {.owner = "me", .until_ms = now_ms + 60000};
    assert_ok(acme_store_jobs_claim(f->store, f->arena, "lab", now_ms, &lease, 9,
                                    &(struct acme_turns){.last = ""}, &jobs, &count));
    assert_int_equal(count, 1);
    return jobs[0];
}

static struct acme_job_question question_of(struct fixture *f, const struct asked *a)
{
    struct acme_job_question question;
    assert_ok(acme_store_question_get(f->store, f->arena, a->job.id, &question));
    return question;
}

static void answered(void **state)
{
    struct fixture *f = *state;
    struct asked a = begin(f);
    struct acme_job_question question;
    assert_code(acme_store_question_get(f->store, f->arena, a.job.id, &question), ACME_E_NOT_FOUND);
    assert_code(acme_store_question_answer(f->store, a.job.id, "h1", ACME_ANSWER_DENY, "eve", NOW),
                ACME_E_STATE);
    wait_asking(f, &a, "h1", NOW + 10, 0);
    assert_true(report_of(f, &a).job.asked);
    question = question_of(f, &a);
    assert_string_equal(question.text, "Deploy it?");
    assert_string_equal(question.details, "one\ntwo");
    assert_int_equal(question.deadline_ms, NOW + DAY);
    assert_int_equal(question.asked_ms, NOW + 10);
    assert_int_equal(question.answer, ACME_ANSWER_NONE);

    /* another key is another question */
    assert_code(acme_store_question_answer(f->store, a.job.id, "h0", ACME_ANSWER_DENY, "eve", NOW + 20),
                ACME_E_STATE);
    assert_int_equal(report_of(f, &a).due_ms, NOW + 5000000);
    assert_ok(acme_store_question_answer(f->store, a.job.id, "h1", ACME_ANSWER_ACKNOWLEDGE, "eve", NOW + 30));
    assert_int_equal(report_of(f, &a).due_ms, NOW + 30);
    fixture_reopen(f);
    question = question_of(f, &a);
    assert_int_equal(question.answer, ACME_ANSWER_ACKNOWLEDGE);
    assert_int_equal(question.answered_ms, NOW + 30);
    assert_string_equal(question.answered_by, "eve");

    /* a step that waits without having been asked anew keeps all */
    assert_true(claim(f, NOW + 40).asked);
    assert_ok(acme_store_job_wait(f->store, a.job.id, "me", "{}", NOW + 50, 0, NULL));
    assert_int_equal(question_of(f, &a).answer, ACME_ANSWER_ACKNOWLEDGE);

    /* the step has seen it and asks on: it is spent */
    (void)claim(f, NOW + 60);
    wait_asking(f, &a, "h1", NOW + 70, NOW + 30);
    question = question_of(f, &a);
    assert_int_equal(question.answer, ACME_ANSWER_NONE);
    assert_int_equal(question.asked_ms, NOW + 10); /* still the same question */
    assert_int_equal(report_of(f, &a).due_ms, NOW + 5000000);
}

/* While a step is under way that does not know the answer yet. */
static void answered_meanwhile(void **state)
{
    struct fixture *f = *state;
    struct asked a = begin(f);
    wait_asking(f, &a, "h1", NOW + 10, 0);
    (void)claim(f, NOW + 5000000);
    assert_ok(acme_store_question_answer(f->store, a.job.id, "h1", ACME_ANSWER_DENY, NULL, NOW + 5000010));
    wait_asking(f, &a, "h1", NOW + 5000020, 0);
    assert_int_equal(question_of(f, &a).answer, ACME_ANSWER_DENY);
    assert_int_equal(report_of(f, &a).due_ms, NOW); /* at once */

    /* it was said to another question */
    (void)claim(f, NOW + 5000030);
    wait_asking(f, &a, "h2", NOW + 5000040, 0);
    assert_int_equal(question_of(f, &a).answer, ACME_ANSWER_NONE);
    assert_int_equal(question_of(f, &a).asked_ms, NOW + 5000040);
    assert_int_equal(report_of(f, &a).due_ms, NOW + 5000000);
}

static void asked_no_more(void **state)
{
    struct fixture *f = *state;
    struct asked a = begin(f);
    struct acme_job_question question;
    wait_asking(f, &a, "h1", NOW + 10, 0);
    (void)claim(f, NOW + 5000000);
    wait_asking(f, &a, NULL, 0, 0);
    assert_false(report_of(f, &a).job.asked);
    assert_code(acme_store_question_get(f->store, f->arena, a.job.id, &question), ACME_E_NOT_FOUND);

    (void)claim(f, NOW + 5000001);
    wait_asking(f, &a, "h3", NOW + 10, 0);
    (void)claim(f, NOW + 5000002);
    assert_ok(acme_store_issuance_failed(f->store, a.issuance.id, a.job.id, "me", NULL, "{}"));
    assert_code(acme_store_question_get(f->store, f->arena, a.job.id, &question), ACME_E_NOT_FOUND);
    assert_code(acme_store_question_answer(f->store, a.job.id, "h3", ACME_ANSWER_DENY, NULL, NOW),
                ACME_E_STATE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answered, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(answered_meanwhile, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(asked_no_more, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
