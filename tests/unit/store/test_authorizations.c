/* store/authorizations.c, store/challenges.c: and what they do to orders in the same step. */
#include "fixture.h"

static const char problem[] = "{\"type\":\"urn:ietf:params:acme:error:dns\"}";

static struct acme_authz authz_of(struct fixture *f, const char *id)
{
    struct acme_authz authz;
    assert_ok(acme_store_authz_get(f->store, f->arena, id, &authz));
    return authz;
}

static enum acme_order_status order_status(struct fixture *f, const char *id)
{
    struct acme_order order;
    assert_ok(acme_store_order_get(f->store, f->arena, id, &order));
    return order.status;
}

static void get_by_both_ids(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct acme_order order = fixture_order(f, account, (const char *const[]){"a.example.com", NULL});
    struct acme_authz authz = authz_of(f, order.authz_ids[0]);
    assert_string_equal(authz.account_id, account);
    assert_string_equal(authz.identifier.value, "a.example.com");
    assert_int_equal(authz.identifier.type, ACME_IDENTIFIER_DNS);
    assert_false(authz.wildcard);
    assert_string_equal(authz.profile, "default");
    assert_int_equal(authz.status, ACME_AUTHZ_PENDING);
    assert_int_equal(authz.expires_ms, NOW + DAY);
    assert_int_equal(authz.challenge_count, 2);
    assert_string_equal(authz.challenges[0].type, "http-01");
    assert_string_equal(authz.challenges[1].type, "dns-01");
    assert_string_equal(authz.challenges[1].authz_id, authz.id);
    assert_string_not_equal(authz.challenges[0].token, authz.challenges[1].token);
    assert_null(authz.challenges[0].error);

    struct acme_authz again;
    assert_ok(acme_store_challenge_get(f->store, f->arena, authz.challenges[1].id, &again));
    assert_string_equal(again.id, authz.id);
    assert_int_equal(again.challenge_count, 2);
    assert_code(acme_store_authz_get(f->store, f->arena, "none", &again), ACME_E_NOT_FOUND);
    assert_code(acme_store_challenge_get(f->store, f->arena, authz.id, &again), ACME_E_NOT_FOUND);
}

static void no_challenges_at_all(void **state)
{
    struct fixture *f = *state;
    struct acme_identifier name = {.type = ACME_IDENTIFIER_DNS, .value = "a.example.com"};
    struct acme_authz authz = fixture_authz(f, "a.example.com", false, 0);
    struct acme_order order = {.id = fixture_id(f),
                               .account_id = fixture_account(f),
                               .profile = "default",
                               .identifiers = &name,
                               .identifier_count = 1};
    assert_ok(acme_store_order_create(f->store, f->arena, &order, &authz, NOW, NOW, &order));
    assert_int_equal(authz_of(f, order.authz_ids[0]).challenge_count, 0);
}

static void start_once(void **state)
{
    struct fixture *f = *state;
    struct acme_order order =
        fixture_order(f, fixture_account(f), (const char *const[]){"a.example.com", NULL});
    const char *challenge = authz_of(f, order.authz_ids[0]).challenges[0].id;
    struct acme_job job = fixture_job(f, "validation");
    struct acme_job second = fixture_job(f, "validation");

    assert_code(acme_store_challenge_start(f->store, "none", &job, &fixture_lease, NOW), ACME_E_NOT_FOUND);
    assert_ok(acme_store_challenge_start(f->store, challenge, &job, &fixture_lease, NOW));
    assert_code(acme_store_challenge_start(f->store, challenge, &second, &fixture_lease, NOW), ACME_E_STATE);

    struct acme_authz authz = authz_of(f, order.authz_ids[0]);
    assert_int_equal(authz.challenges[0].status, ACME_CHALLENGE_PROCESSING);
    assert_int_equal(authz.challenges[0].started_ms, NOW);
    assert_int_equal(authz.status, ACME_AUTHZ_PENDING);

    /* exactly one job, and it is leased */
    struct acme_job *jobs = NULL;
    size_t count = 0;
    struct acme_lease other = {.owner = "other", .until_ms = NOW + 120000};
    assert_ok(acme_store_jobs_claim(f->store, f->arena, "validation", NOW + 1, &other, 10,
                                    &(struct acme_turns){.last = ""}, &jobs, &count));
    assert_int_equal(count, 0);
    assert_ok(acme_store_jobs_claim(f->store, f->arena, "validation", NOW + 60000, &other, 10,
                                    &(struct acme_turns){.last = ""}, &jobs, &count));
    assert_int_equal(count, 1);
    assert_string_equal(jobs[0].id, job.id);
    assert_string_equal(jobs[0].subject_id, challenge);
    assert_int_equal(jobs[0].kind, ACME_JOB_VALIDATE);
}

static void progress_keeps_the_problem(void **state)
{
    struct fixture *f = *state;
    struct acme_order order =
        fixture_order(f, fixture_account(f), (const char *const[]){"a.example.com", NULL});
    const char *challenge = authz_of(f, order.authz_ids[0]).challenges[0].id;
    struct acme_job job = fixture_job(f, "validation");
    assert_ok(acme_store_challenge_start(f->store, challenge, &job, &fixture_lease, NOW));
    assert_code(acme_store_challenge_progress(f->store, challenge, job.id, "thief", problem, NOW + 50, 1),
                ACME_E_STATE);
    assert_null(authz_of(f, order.authz_ids[0]).challenges[0].error);
    assert_ok(acme_store_challenge_progress(f->store, challenge, job.id, "me", problem, NOW + 50, 1));
    struct acme_authz authz = authz_of(f, order.authz_ids[0]);
    assert_int_equal(authz.challenges[0].status, ACME_CHALLENGE_PROCESSING);
    assert_string_equal(authz.challenges[0].error, problem);

    /* given back: no longer mine, and due at its time */
    assert_code(acme_store_challenge_progress(f->store, challenge, job.id, "me", problem, NOW + 50, 2),
                ACME_E_STATE);
    struct acme_job *jobs = NULL;
    size_t count = 0;
    assert_ok(acme_store_jobs_claim(f->store, f->arena, "validation", NOW + 49, &fixture_lease, 10,
                                    &(struct acme_turns){.last = ""}, &jobs, &count));
    assert_int_equal(count, 0);
    assert_ok(acme_store_jobs_claim(f->store, f->arena, "validation", NOW + 50, &fixture_lease, 10,
                                    &(struct acme_turns){.last = ""}, &jobs, &count));
    assert_int_equal(count, 1);
    assert_int_equal(jobs[0].attempts, 1);

    /* success afterwards takes the problem away */
    assert_ok(acme_store_challenge_finish(f->store, challenge, job.id, "me", NULL, NOW + 60, NOW + DAY));
    assert_null(authz_of(f, order.authz_ids[0]).challenges[0].error);
}

static void last_valid_authz_makes_ready(void **state)
{
    struct fixture *f = *state;
    struct acme_order order =
        fixture_order(f, fixture_account(f), (const char *const[]){"a.example.com", "b.example.com", NULL});
    fixture_validate(f, order.authz_ids[1], NULL);
    assert_int_equal(order_status(f, order.id), ACME_ORDER_PENDING);
    fixture_validate(f, order.authz_ids[0], NULL);
    assert_int_equal(order_status(f, order.id), ACME_ORDER_READY);

    struct acme_authz authz = authz_of(f, order.authz_ids[0]);
    assert_int_equal(authz.status, ACME_AUTHZ_VALID);
    assert_int_equal(authz.expires_ms, NOW + 30 * (int64_t)DAY);
    assert_int_equal(authz.challenges[0].status, ACME_CHALLENGE_VALID);
    assert_int_equal(authz.challenges[0].validated_ms, NOW + 5);
    assert_int_equal(authz.challenges[1].status, ACME_CHALLENGE_PENDING);

    int64_t next = -1;
    assert_ok(acme_store_jobs_next(f->store, "validation", 0, &next));
    assert_int_equal(next, 0);
    struct acme_job job = fixture_job(f, "validation");
    assert_code(acme_store_challenge_start(f->store, authz.challenges[1].id, &job, &fixture_lease, NOW),
                ACME_E_STATE);
}

static void one_failure_makes_invalid(void **state)
{
    struct fixture *f = *state;
    struct acme_order order =
        fixture_order(f, fixture_account(f), (const char *const[]){"a.example.com", "b.example.com", NULL});
    fixture_validate(f, order.authz_ids[0], problem);
    struct acme_order got;
    assert_ok(acme_store_order_get(f->store, f->arena, order.id, &got));
    assert_int_equal(got.status, ACME_ORDER_INVALID);
    assert_string_equal(got.error, problem);
    struct acme_authz authz = authz_of(f, order.authz_ids[0]);
    assert_int_equal(authz.status, ACME_AUTHZ_INVALID);
    assert_int_equal(authz.challenges[0].status, ACME_CHALLENGE_INVALID);
    assert_string_equal(authz.challenges[0].error, problem);
    assert_int_equal(authz.challenges[0].validated_ms, 0);

    /* the other authorization may still become valid, the order stays invalid */
    fixture_validate(f, order.authz_ids[1], NULL);
    assert_int_equal(order_status(f, order.id), ACME_ORDER_INVALID);
}

static void lost_lease_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct acme_order order =
        fixture_order(f, fixture_account(f), (const char *const[]){"a.example.com", NULL});
    const char *challenge = authz_of(f, order.authz_ids[0]).challenges[0].id;
    struct acme_job job = fixture_job(f, "validation");
    assert_ok(acme_store_challenge_start(f->store, challenge, &job, &fixture_lease, NOW));

    struct acme_job *jobs = NULL;
    size_t count = 0;
    struct acme_lease thief = {.owner = "thief", .until_ms = NOW + 120000};
    assert_ok(acme_store_jobs_claim(f->store, f->arena, "validation", NOW + 60001, &thief, 1,
                                    &(struct acme_turns){.last = ""}, &jobs, &count));
    assert_int_equal(count, 1);
    assert_code(acme_store_challenge_finish(f->store, challenge, job.id, "me", NULL, NOW, NOW + DAY),
                ACME_E_STATE);
    assert_int_equal(authz_of(f, order.authz_ids[0]).status, ACME_AUTHZ_PENDING);
    /* the right owner, the wrong challenge */
    assert_code(acme_store_challenge_finish(f->store, "other", job.id, "thief", NULL, NOW, NOW + DAY),
                ACME_E_STATE);
    assert_ok(acme_store_challenge_finish(f->store, challenge, job.id, "thief", NULL, NOW, NOW + DAY));
    assert_int_equal(order_status(f, order.id), ACME_ORDER_READY);
    assert_code(acme_store_challenge_finish(f->store, challenge, job.id, "thief", "{}", NOW, NOW + DAY),
                ACME_E_STATE);
    assert_int_equal(order_status(f, order.id), ACME_ORDER_READY);
}

static void shared_authz_moves_all_orders(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct acme_order first = fixture_ready_order(f, account, "a.example.com");
    struct acme_order second = fixture_order(f, account, (const char *const[]){"a.example.com", NULL});
    struct acme_order third =
        fixture_order(f, account, (const char *const[]){"a.example.com", "b.example.com", NULL});
    assert_int_equal(second.status, ACME_ORDER_READY);
    assert_int_equal(third.status, ACME_ORDER_PENDING);

    assert_ok(acme_store_authz_deactivate(f->store, first.authz_ids[0], problem));
    assert_int_equal(order_status(f, first.id), ACME_ORDER_INVALID);
    assert_int_equal(order_status(f, second.id), ACME_ORDER_INVALID);
    assert_int_equal(order_status(f, third.id), ACME_ORDER_INVALID);
    assert_int_equal(authz_of(f, first.authz_ids[0]).status, ACME_AUTHZ_DEACTIVATED);
}

static void deactivate_only_open_ones(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct acme_order order = fixture_order(f, account, (const char *const[]){"a.example.com", NULL});
    assert_code(acme_store_authz_deactivate(f->store, "none", problem), ACME_E_NOT_FOUND);
    assert_ok(acme_store_authz_deactivate(f->store, order.authz_ids[0], problem));
    assert_code(acme_store_authz_deactivate(f->store, order.authz_ids[0], problem), ACME_E_STATE);
    struct acme_order got;
    assert_ok(acme_store_order_get(f->store, f->arena, order.id, &got));
    assert_int_equal(got.status, ACME_ORDER_INVALID);
    assert_string_equal(got.error, problem);
}

static void deactivated_while_validating_stays_so(void **state)
{
    struct fixture *f = *state;
    struct acme_order order =
        fixture_order(f, fixture_account(f), (const char *const[]){"a.example.com", NULL});
    const char *challenge = authz_of(f, order.authz_ids[0]).challenges[0].id;
    struct acme_job job = fixture_job(f, "validation");
    assert_ok(acme_store_challenge_start(f->store, challenge, &job, &fixture_lease, NOW));
    assert_ok(acme_store_authz_deactivate(f->store, order.authz_ids[0], problem));
    assert_ok(acme_store_challenge_finish(f->store, challenge, job.id, "me", NULL, NOW, NOW + DAY));
    assert_int_equal(authz_of(f, order.authz_ids[0]).status, ACME_AUTHZ_DEACTIVATED);
    assert_int_equal(order_status(f, order.id), ACME_ORDER_INVALID);
    int64_t next = -1;
    assert_ok(acme_store_jobs_next(f->store, "validation", 0, &next));
    assert_int_equal(next, 0);
}

/* Run the first challenge of an authorization to a good end at `now_ms`. */
static void validate_at(struct fixture *f, const char *authz_id, int64_t now_ms, int64_t expires_ms)
{
    const char *challenge = authz_of(f, authz_id).challenges[0].id;
    struct acme_job job = fixture_job(f, "validation");
    assert_ok(acme_store_challenge_start(f->store, challenge, &job, &fixture_lease, now_ms));
    assert_ok(acme_store_challenge_finish(f->store, challenge, job.id, "me", NULL, now_ms, expires_ms));
}

static void expired_authz_does_not_make_ready(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct acme_order order =
        fixture_order(f, account, (const char *const[]){"a.example.com", "b.example.com", NULL});
    validate_at(f, order.authz_ids[0], NOW + 5, NOW + 10);
    validate_at(f, order.authz_ids[1], NOW + 20, NOW + DAY);
    assert_int_equal(authz_of(f, order.authz_ids[1]).status, ACME_AUTHZ_VALID);
    assert_int_equal(order_status(f, order.id), ACME_ORDER_PENDING);
}

/* What was pending for too long has been shown as invalid; a late success does not bring it back. */
static void expired_while_validating_stays_so(void **state)
{
    struct fixture *f = *state;
    struct acme_order order =
        fixture_order(f, fixture_account(f), (const char *const[]){"a.example.com", NULL});
    validate_at(f, order.authz_ids[0], NOW + DAY, NOW + 30 * (int64_t)DAY);
    struct acme_authz authz = authz_of(f, order.authz_ids[0]);
    assert_int_equal(authz.status, ACME_AUTHZ_PENDING);
    assert_int_equal(authz.expires_ms, NOW + DAY);
    assert_int_equal(order_status(f, order.id), ACME_ORDER_PENDING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(get_by_both_ids, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(no_challenges_at_all, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(start_once, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(progress_keeps_the_problem, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(last_valid_authz_makes_ready, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(one_failure_makes_invalid, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(lost_lease_changes_nothing, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(shared_authz_moves_all_orders, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(deactivate_only_open_ones, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(deactivated_while_validating_stays_so, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(expired_authz_does_not_make_ready, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(expired_while_validating_stays_so, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
