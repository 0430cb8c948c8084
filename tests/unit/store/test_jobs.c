/* store/jobs.c */
#include "fixture.h"

#include <stdio.h>

/* A leased validation job: the way jobs come into the world. */
static const char *make_job(struct fixture *f, const char *queue)
{
    struct acme_order order =
        fixture_order(f, fixture_account(f), (const char *const[]){"a.example.com", NULL});
    struct acme_authz authz;
    assert_ok(acme_store_authz_get(f->store, f->arena, order.authz_ids[0], &authz));
    struct acme_job job = fixture_job(f, queue);
    assert_ok(acme_store_challenge_start(f->store, authz.challenges[0].id, &job, &fixture_lease, NOW));
    return job.id;
}

static size_t claim(struct fixture *f, int64_t now_ms, const char *owner, size_t limit, struct acme_job **ret)
{
    struct acme_lease lease = {.owner = owner, .until_ms = now_ms + 60000};
    size_t count = 0;
    assert_ok(acme_store_jobs_claim(f->store, f->arena, "q", now_ms, &lease, limit,
                                    &(struct acme_turns){.last = ""}, ret, &count));
    return count;
}

static void saves_state_and_intent(void **state)
{
    struct fixture *f = *state;
    const char *id = make_job(f, "q");
    struct acme_lease renewed = {.owner = "me", .until_ms = NOW + 90000};
    struct acme_lease thief = {.owner = "thief", .until_ms = NOW + 90000};
    assert_code(acme_store_job_save(f->store, id, &thief, "{}", true, NULL), ACME_E_STATE);
    assert_code(acme_store_job_save(f->store, "none", &renewed, "{}", true, NULL), ACME_E_STATE);
    assert_ok(acme_store_job_save(f->store, id, &renewed, "{\"n\":1}", true, NULL));

    struct acme_job *jobs = NULL;
    assert_int_equal(claim(f, NOW + 89999, "other", 9, &jobs), 0); /* the lease was renewed */
    assert_int_equal(claim(f, NOW + 90000, "other", 9, &jobs), 1);
    assert_string_equal(jobs[0].state, "{\"n\":1}");
    assert_true(jobs[0].intent);
    assert_int_equal(jobs[0].attempts, 0);
    assert_int_equal(jobs[0].created_ms, NOW);
    assert_string_equal(jobs[0].queue, "q");

    /* fenced: the former owner can do nothing any more */
    assert_code(acme_store_job_save(f->store, id, &renewed, "{}", false, NULL), ACME_E_STATE);
    assert_code(acme_store_job_wait(f->store, id, "me", "{}", NOW, 0, NULL), ACME_E_STATE);
}

static void wait_gives_back(void **state)
{
    struct fixture *f = *state;
    const char *id = make_job(f, "q");
    assert_ok(acme_store_job_save(f->store, id, &fixture_lease, "{}", true, NULL));
    assert_ok(acme_store_job_wait(f->store, id, "me", "{\"n\":2}", NOW + 500, 3, NULL));
    assert_code(acme_store_job_wait(f->store, id, "me", "{}", NOW, 0, NULL), ACME_E_STATE);
    struct acme_job *jobs = NULL;
    int64_t next = 0;
    assert_ok(acme_store_jobs_next(f->store, "q", 0, &next));
    assert_int_equal(next, NOW + 500);
    assert_int_equal(claim(f, NOW + 499, "me", 9, &jobs), 0);
    assert_int_equal(claim(f, NOW + 500, "me", 9, &jobs), 1);
    assert_string_equal(jobs[0].state, "{\"n\":2}");
    assert_false(jobs[0].intent);
    assert_int_equal(jobs[0].attempts, 3);
    assert_int_equal(jobs[0].run_at_ms, NOW + 500);
}

static void claims_oldest_first_up_to_limit(void **state)
{
    struct fixture *f = *state;
    const char *ids[5];
    for (int i = 0; i < 5; i++) {
        ids[i] = make_job(f, "q");
        assert_ok(acme_store_job_wait(f->store, ids[i], "me", NULL, NOW + 50 - i * 10, 0, NULL));
    }
    const char *foreign = make_job(f, "elsewhere");
    assert_ok(acme_store_job_wait(f->store, foreign, "me", NULL, NOW, 0, NULL));

    struct acme_job *jobs = NULL;
    assert_int_equal(claim(f, NOW + 40, "a", 3, &jobs), 3);
    assert_string_equal(jobs[0].id, ids[4]);
    assert_string_equal(jobs[1].id, ids[3]);
    assert_string_equal(jobs[2].id, ids[2]);
    assert_null(jobs[0].state);
    assert_int_equal(claim(f, NOW + 40, "b", 3, &jobs), 1);
    assert_string_equal(jobs[0].id, ids[1]);
    assert_int_equal(claim(f, NOW + 40, "c", 3, &jobs), 0);
}

static void release_changes_nothing_else(void **state)
{
    struct fixture *f = *state;
    const char *id = make_job(f, "q");
    assert_ok(acme_store_job_wait(f->store, id, "me", "{\"n\":1}", NOW, 2, NULL));
    struct acme_job *jobs = NULL;
    assert_int_equal(claim(f, NOW, "me", 9, &jobs), 1);
    struct acme_lease lease = {.owner = "me", .until_ms = NOW + 60000};
    assert_ok(acme_store_job_save(f->store, id, &lease, "{\"n\":2}", true, NULL));
    assert_code(acme_store_job_release(f->store, id, "thief", NOW), ACME_E_STATE);
    assert_ok(acme_store_job_release(f->store, id, "me", NOW + 700));
    assert_code(acme_store_job_release(f->store, id, "me", NOW), ACME_E_STATE);
    assert_int_equal(claim(f, NOW + 699, "me", 9, &jobs), 0);
    assert_int_equal(claim(f, NOW + 700, "me", 9, &jobs), 1);
    assert_string_equal(jobs[0].state, "{\"n\":2}");
    assert_true(jobs[0].intent);
    assert_int_equal(jobs[0].attempts, 2);
}

static void counts_jobs_of_a_queue(void **state)
{
    struct fixture *f = *state;
    int64_t count = 9;
    assert_ok(acme_store_jobs_count(f->store, "q", &count));
    assert_int_equal(count, 0);
    (void)make_job(f, "elsewhere");
    const char *id = make_job(f, "q");
    (void)make_job(f, "q"); /* leased */
    assert_ok(acme_store_job_wait(f->store, id, "me", NULL, NOW + 999999, 0, NULL));
    assert_ok(acme_store_jobs_count(f->store, "q", &count));
    assert_int_equal(count, 1); /* that waits */
}

static void next_is_of_those_that_wait(void **state)
{
    struct fixture *f = *state;
    int64_t next = -1;
    assert_ok(acme_store_jobs_next(f->store, "q", 0, &next));
    assert_int_equal(next, 0);
    const char *id = make_job(f, "q");
    assert_ok(acme_store_jobs_next(f->store, "q", 0, &next));
    assert_int_equal(next, 0);
    (void)make_job(f, "q");
    assert_ok(acme_store_job_wait(f->store, id, "me", NULL, NOW + 7, 0, NULL));
    assert_ok(acme_store_jobs_next(f->store, "q", 0, &next));
    assert_int_equal(next, NOW + 7);
}

/* Leases that ended unseen are looked for now and then, and those jobs come before all others. */
static void dropped_jobs_come_back(void **state)
{
    struct fixture *f = *state;
    struct acme_turns turns = {.last = ""};
    const struct acme_lease lease = {.owner = "me", .until_ms = fixture_lease.until_ms + 600000};
    const char *waiting = make_job(f, "q");
    const char *dropped = make_job(f, "q");
    assert_ok(acme_store_job_wait(f->store, waiting, "me", NULL, NOW, 0, NULL));
    struct acme_job *jobs = NULL;
    size_t count = 9;
    (void)make_job(f, "elsewhere");
    int64_t end = fixture_lease.until_ms;
    assert_ok(acme_store_jobs_claim(f->store, f->arena, "q", end, &lease, 1, &turns, &jobs, &count));
    assert_int_equal(count, 1);
    assert_string_equal(jobs[0].id, dropped);
    assert_ok(acme_store_jobs_claim(f->store, f->arena, "q", end, &lease, 9, &turns, &jobs, &count));
    assert_int_equal(count, 1);
    assert_string_equal(jobs[0].id, waiting);

    /* Seen just now; until it is time again nothing is looked for. */
    assert_ok(acme_store_job_save(f->store, dropped, &(struct acme_lease){.owner = "me", .until_ms = end + 1},
                                  "{}", true, NULL));
    assert_ok(acme_store_jobs_claim(f->store, f->arena, "q", end + 14999, &lease, 9, &turns, &jobs, &count));
    assert_int_equal(count, 0);
    assert_ok(acme_store_jobs_claim(f->store, f->arena, "q", end + 15000, &lease, 9, &turns, &jobs, &count));
    assert_int_equal(count, 1);
    assert_string_equal(jobs[0].id, dropped);
    assert_true(jobs[0].intent);
}

static void a_clock_set_back_hides_no_dropped_job(void **state)
{
    struct fixture *f = *state;
    int64_t end = fixture_lease.until_ms;
    struct acme_turns turns = {.last = "", .leases_seen_ms = end + 3600000};
    const char *dropped = make_job(f, "q");
    struct acme_job *jobs = NULL;
    size_t count = 9;
    assert_ok(acme_store_jobs_claim(f->store, f->arena, "q", end, &fixture_lease, 9, &turns, &jobs, &count));
    assert_int_equal(count, 1);
    assert_string_equal(jobs[0].id, dropped);
}

static void queues_are_listed_once(void **state)
{
    struct fixture *f = *state;
    const char **names = NULL;
    size_t count = 9;
    assert_ok(acme_store_jobs_queues(f->store, f->arena, &names, &count));
    assert_int_equal(count, 0);
    (void)make_job(f, "sectigo");
    (void)make_job(f, "local");
    (void)make_job(f, "sectigo");
    assert_ok(acme_store_jobs_queues(f->store, f->arena, &names, &count));
    assert_int_equal(count, 2);
    assert_string_equal(names[0], "local");
    assert_string_equal(names[1], "sectigo");
}

/* A job of the account's share that is due at NOW + `after`. */
static const char *make_due_job(struct fixture *f, const char *account, int after)
{
    const char *name = acme_arena_printf(f->arena, "%s.example.com", fixture_id(f));
    struct acme_order order = fixture_order(f, account, (const char *const[]){name, NULL});
    struct acme_authz authz;
    assert_ok(acme_store_authz_get(f->store, f->arena, order.authz_ids[0], &authz));
    struct acme_job job = fixture_job(f, "q");
    job.share = account;
    assert_ok(acme_store_challenge_start(f->store, authz.challenges[0].id, &job, &fixture_lease, NOW));
    assert_ok(acme_store_job_wait(f->store, job.id, "me", NULL, NOW + after, 0, NULL));
    return job.id;
}

static size_t claim_in_turn(struct fixture *f, size_t limit, struct acme_turns *turns, struct acme_job **ret)
{
    struct acme_lease lease = {.owner = "me", .until_ms = NOW + 60000};
    size_t count = 0;
    assert_ok(acme_store_jobs_claim(f->store, f->arena, "q", NOW + 1000, &lease, limit, turns, ret, &count));
    return count;
}

static size_t count_share(const struct acme_job *jobs, size_t count, const char *share)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        found += strcmp(jobs[i].share, share) == 0;
    return found;
}

/* Among a crowd that is due, a newcomer is found at once, whatever its share. */
static void the_latest_due_come_first(void **state)
{
    struct fixture *f = *state;
    const char *crowd = fixture_account(f);
    for (int i = 0; i < 10; i++)
        (void)make_due_job(f, crowd, i);
    const char *late = make_due_job(f, fixture_account(f), 900);
    const char *later = make_due_job(f, crowd, 1000);
    (void)make_due_job(f, crowd, 1001); /* not due */

    struct acme_turns turns = {.latest_first = true};
    struct acme_job *jobs = NULL;
    assert_int_equal(claim_in_turn(f, 2, &turns, &jobs), 2);
    assert_string_equal(jobs[0].id, late);
    assert_string_equal(jobs[1].id, later);
    assert_true(turns.left_due);
    assert_string_equal(turns.last, "");
    assert_int_equal(claim_in_turn(f, 20, &turns, &jobs), 10);
    assert_false(turns.left_due);
}

static void shares_take_turns(void **state)
{
    struct fixture *f = *state;
    enum { CROWD = 20 };
    const char *a = fixture_account(f);
    const char *b = fixture_account(f);
    const char *c = fixture_account(f);
    for (int i = 0; i < CROWD; i++)
        (void)make_due_job(f, a, i);
    const char *first_of_b = make_due_job(f, b, 100);
    (void)make_due_job(f, b, 101);
    (void)make_due_job(f, c, 102);
    (void)make_due_job(f, fixture_account(f), 5000); /* not due */

    struct acme_turns turns = {.last = ""};
    struct acme_job *jobs = NULL;
    assert_int_equal(claim_in_turn(f, 3, &turns, &jobs), 3);
    assert_true(turns.left_due);
    assert_int_equal(count_share(jobs, 3, a), 1);
    assert_int_equal(count_share(jobs, 3, b), 1);
    assert_int_equal(count_share(jobs, 3, c), 1);
    assert_string_equal(jobs[1].id, first_of_b);
    /* the turn goes on where it was */
    (void)make_due_job(f, c, 103);
    for (size_t i = 0; i < 4; i++) {
        const char *const expected[] = {a, b, c, a};
        assert_int_equal(claim_in_turn(f, 1, &turns, &jobs), 1);
        assert_string_equal(jobs[0].share, expected[i]);
    }
    /* what the others leave is for the crowd */
    assert_int_equal(claim_in_turn(f, 100, &turns, &jobs), CROWD - 3);
    assert_false(turns.left_due);
    assert_int_equal(claim_in_turn(f, 100, &turns, &jobs), 0);
    assert_false(turns.left_due);
}

static bool at_most_two(void *context, const char *share, size_t taken, size_t taken_in_all)
{
    assert_true(taken <= taken_in_all);
    return strcmp(share, context) != 0 && taken < 2;
}

static void a_rule_limits_shares(void **state)
{
    struct fixture *f = *state;
    char full[ACME_ID_SIZE];
    (void)snprintf(full, sizeof full, "%s", fixture_account(f));
    const char *a = fixture_account(f);
    const char *b = fixture_account(f);
    for (int i = 0; i < 5; i++) {
        (void)make_due_job(f, full, i);
        (void)make_due_job(f, a, i);
    }
    (void)make_due_job(f, b, 0);
    struct acme_turns turns = {.may_take = at_most_two, .context = full, .last = ""};
    struct acme_job *jobs = NULL;
    assert_int_equal(claim_in_turn(f, 100, &turns, &jobs), 3);
    assert_int_equal(count_share(jobs, 3, a), 2);
    assert_int_equal(count_share(jobs, 3, b), 1);
    assert_true(turns.left_due);
}

static bool two_in_all(void *context, const char *share, size_t taken, size_t taken_in_all)
{
    (void)context;
    (void)share;
    (void)taken;
    return taken_in_all < 2;
}

static void dropped_jobs_count_for_the_rule(void **state)
{
    struct fixture *f = *state;
    const char *a = fixture_account(f);
    int64_t end = fixture_lease.until_ms;
    const struct acme_lease lease = {.owner = "me", .until_ms = end + 600000};
    struct acme_turns turns = {.may_take = two_in_all, .last = ""};
    struct acme_job *jobs = NULL;
    size_t count = 0;
    (void)make_job(f, "q");
    for (int i = 0; i < 5; i++)
        (void)make_due_job(f, a, i);
    assert_ok(acme_store_jobs_claim(f->store, f->arena, "q", end, &lease, 9, &turns, &jobs, &count));
    assert_int_equal(count, 2);
}

static void next_looks_beyond_what_is_due(void **state)
{
    struct fixture *f = *state;
    int64_t next = -1;
    (void)make_due_job(f, fixture_account(f), 10);
    assert_ok(acme_store_jobs_next(f->store, "q", NOW + 10, &next));
    assert_int_equal(next, 0);
    (void)make_due_job(f, fixture_account(f), 20);
    assert_ok(acme_store_jobs_next(f->store, "q", NOW + 10, &next));
    assert_int_equal(next, NOW + 20);
    assert_ok(acme_store_jobs_next(f->store, "q", NOW, &next));
    assert_int_equal(next, NOW + 10);
}

static void recover_ends_leases(void **state)
{
    struct fixture *f = *state;
    const char *running = make_job(f, "q");
    const char *announced = make_job(f, "q");
    const char *waiting = make_job(f, "q");
    assert_ok(acme_store_job_save(f->store, announced, &fixture_lease, "{\"n\":1}", true, NULL));
    assert_ok(acme_store_job_wait(f->store, waiting, "me", NULL, NOW + DAY, 0, NULL));
    fixture_reopen(f);

    struct acme_job *jobs = NULL;
    size_t count = 0;
    assert_int_equal(claim(f, NOW, "next", 9, &jobs), 0);
    assert_ok(acme_store_jobs_recover(f->store, &count));
    assert_int_equal(count, 2);
    assert_int_equal(claim(f, NOW, "next", 9, &jobs), 2);
    assert_string_equal(jobs[0].id, running);
    assert_false(jobs[0].intent);
    assert_string_equal(jobs[1].id, announced);
    assert_true(jobs[1].intent);
    assert_string_equal(jobs[1].state, "{\"n\":1}");
    assert_code(acme_store_job_wait(f->store, running, "me", NULL, NOW, 0, NULL), ACME_E_STATE);
    /* a job that waits for its time goes on waiting */
    assert_int_equal(claim(f, NOW + DAY, "next", 1, &jobs), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(saves_state_and_intent, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(wait_gives_back, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(release_changes_nothing_else, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(counts_jobs_of_a_queue, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(the_latest_due_come_first, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(claims_oldest_first_up_to_limit, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(next_is_of_those_that_wait, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(dropped_jobs_come_back, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_clock_set_back_hides_no_dropped_job, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(queues_are_listed_once, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(shares_take_turns, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_rule_limits_shares, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(dropped_jobs_count_for_the_rule, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(next_looks_beyond_what_is_due, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(recover_ends_leases, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
