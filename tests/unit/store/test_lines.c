/* store/lines.c: who has an object, who comes next, over restarts and ends. */
#include "fixture.h"

/* A job that is leased by "me", of an issuance of its own. */
static struct acme_job begun(struct fixture *f, const char *account, const char *key,
                             struct acme_issuance *ret)
{
    struct acme_order order = fixture_ready_order(f, account, "a.example.com");
    struct acme_job job = fixture_job(f, "lab");
    struct acme_order made;
    enum acme_finalize_outcome outcome;
    *ret = fixture_issuance(f, &order, key, key);
    job.share = account;
    assert_ok(acme_store_order_finalize(f->store, f->arena, ret, &job, &fixture_lease,
                                        &(struct acme_finalize_rules){.now_ms = NOW}, &made, &outcome, NULL));
    assert_int_equal(outcome, ACME_FINALIZE_STARTED);
    return job;
}

static size_t ahead_of(struct fixture *f, const char *object, const struct acme_job *job)
{
    size_t ahead = 99;
    assert_ok(acme_store_line_enter(f->store, object, job->id, &ahead));
    return ahead;
}

static int64_t due_of(struct fixture *f, const struct acme_issuance *issuance)
{
    struct acme_job_report report;
    assert_ok(acme_store_job_find(f->store, f->arena, "lab", issuance->account_id, issuance->id, &report));
    return report.due_ms;
}

static void first_come_first_served(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct acme_issuance issuances[3];
    struct acme_job jobs[3];
    const char *const keys[] = {"k1", "k2", "k3"};
    for (size_t i = 0; i < 3; i++)
        jobs[i] = begun(f, account, keys[i], &issuances[i]);
    assert_int_equal(ahead_of(f, "enrollment 1", &jobs[1]), 0);
    assert_int_equal(ahead_of(f, "enrollment 1", &jobs[0]), 1);
    assert_int_equal(ahead_of(f, "enrollment 1", &jobs[2]), 2);
    assert_int_equal(ahead_of(f, "enrollment 1", &jobs[0]), 1); /* once more changes nothing */
    assert_int_equal(ahead_of(f, "enrollment 2", &jobs[2]), 0); /* another object */

    fixture_reopen(f);
    assert_int_equal(ahead_of(f, "enrollment 1", &jobs[1]), 0);
    assert_int_equal(ahead_of(f, "enrollment 1", &jobs[2]), 2);

    /* the second in line waits, the third is at work: only who comes next is woken */
    assert_ok(acme_store_job_wait(f->store, jobs[0].id, "me", "{}", NOW + 5000000, 0, NULL));
    assert_ok(acme_store_job_wait(f->store, jobs[2].id, "me", "{}", NOW + 5000000, 0, NULL));
    assert_ok(acme_store_issuance_failed(f->store, issuances[1].id, jobs[1].id, "me", NULL, "{}"));
    assert_int_equal(due_of(f, &issuances[0]), NOW);
    assert_int_equal(due_of(f, &issuances[2]), NOW + 5000000);
    assert_int_equal(ahead_of(f, "enrollment 1", &jobs[0]), 0);
    assert_int_equal(ahead_of(f, "enrollment 1", &jobs[2]), 1);
}

static void who_is_gone_does_not_count(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct acme_issuance issuance;
    struct acme_job job = begun(f, account, "k1", &issuance);
    struct acme_job never = fixture_job(f, "lab");
    size_t ahead = 7;
    assert_code(acme_store_line_enter(f->store, "e", never.id, &ahead), ACME_E_STATE);
    assert_int_equal(ahead, 7);
    assert_int_equal(ahead_of(f, "e", &job), 0);
    struct acme_certificate certificate = fixture_certificate(f, account);
    assert_ok(acme_store_issuance_issued(f->store, issuance.id, job.id, "me", NULL, &certificate));
    assert_code(acme_store_line_enter(f->store, "e", job.id, &ahead), ACME_E_STATE);
    struct acme_issuance second;
    struct acme_job next = begun(f, account, "k2", &second);
    assert_int_equal(ahead_of(f, "e", &next), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(first_come_first_served, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(who_is_gone_does_not_count, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
