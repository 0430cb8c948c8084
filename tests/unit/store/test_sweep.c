/* store/sweep.c: what goes, what stays, in which steps. */
#include "fixture.h"

#include "base/id.h"

/* Rows are made now, with the fixture's times of 1970; what is to stay gets a time of its own. */
static int64_t cutoff(void)
{
    return acme_clock_now_ms(&acme_clock_system) + DAY;
}

static struct acme_sweep run_round(struct fixture *f, int64_t ended_before_ms, size_t batch)
{
    struct acme_sweep sweep = {.ended_before_ms = ended_before_ms, .batch = batch};
    for (int steps = 0; sweep.stage < ACME_SWEEP_STAGES; steps++) {
        assert_true(steps < 1000);
        assert_ok(acme_store_sweep(f->store, &sweep));
    }
    return sweep;
}

static void assert_removed(const struct acme_sweep *sweep, size_t certificates, size_t issuances,
                           size_t orders, size_t authzs)
{
    assert_int_equal(sweep->removed[ACME_SWEEP_CERTIFICATES], certificates);
    assert_int_equal(sweep->removed[ACME_SWEEP_ISSUANCES], issuances);
    assert_int_equal(sweep->removed[ACME_SWEEP_ORDERS], orders);
    assert_int_equal(sweep->removed[ACME_SWEEP_AUTHZS], authzs);
}

static bool order_is_there(struct fixture *f, const char *id)
{
    struct acme_order order;
    struct acme_err err = acme_store_order_get(f->store, f->arena, id, &order);
    assert_true(err.code == ACME_OK || err.code == ACME_E_NOT_FOUND);
    return !acme_failed(err);
}

static bool authz_is_there(struct fixture *f, const char *id)
{
    struct acme_authz authz;
    struct acme_err err = acme_store_authz_get(f->store, f->arena, id, &authz);
    assert_true(err.code == ACME_OK || err.code == ACME_E_NOT_FOUND);
    return !acme_failed(err);
}

static bool certificate_is_there(struct fixture *f, const char *id)
{
    struct acme_certificate certificate;
    struct acme_err err = acme_store_certificate_get(f->store, f->arena, id, &certificate);
    assert_true(err.code == ACME_OK || err.code == ACME_E_NOT_FOUND);
    return !acme_failed(err);
}

/* Finalize an order; *ret_job is the job that issues. */
static struct acme_order finalize(struct fixture *f, const struct acme_order *order, const char *key,
                                  struct acme_job *ret_job)
{
    struct acme_issuance issuance = fixture_issuance(f, order, key, key);
    struct acme_order finalized;
    enum acme_finalize_outcome outcome;
    *ret_job = fixture_job(f, "lab");
    assert_ok(acme_store_order_finalize(f->store, f->arena, &issuance, ret_job, &fixture_lease,
                                        &(struct acme_finalize_rules){.now_ms = NOW, .adopt_since_ms = 0},
                                        &finalized, &outcome, NULL));
    return finalized;
}

/* An order with its certificate. */
static struct acme_order issued_order(struct fixture *f, const char *account, const char *name,
                                      int64_t not_after_ms, const char **ret_certificate)
{
    struct acme_order order = fixture_ready_order(f, account, name);
    struct acme_job job;
    struct acme_order finalized = finalize(f, &order, name, &job);
    struct acme_certificate certificate = fixture_certificate(f, account);
    static const char *const alternates[] = {"other chain"};
    certificate.not_after_ms = not_after_ms;
    certificate.alternates = alternates;
    certificate.alternate_count = 1;
    assert_ok(acme_store_issuance_issued(f->store, finalized.issuance_id, job.id, "me", NULL, &certificate));
    *ret_certificate = certificate.id;
    return order;
}

static void orders_that_were_left(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct acme_order pending = fixture_order(f, account, (const char *const[]){"a.test", "b.test", NULL});
    struct acme_order ready = fixture_ready_order(f, account, "c.test");
    struct acme_order failed = fixture_order(f, account, (const char *const[]){"d.test", NULL});
    fixture_validate(f, failed.authz_ids[0], "{\"type\":\"x\"}");
    struct acme_sweep sweep = run_round(f, NOW, 100); /* nothing is older than that */
    assert_removed(&sweep, 0, 0, 0, 0);
    sweep = run_round(f, cutoff(), 100);
    assert_removed(&sweep, 0, 0, 3, 4);
    assert_false(order_is_there(f, pending.id));
    assert_false(order_is_there(f, ready.id));
    assert_false(order_is_there(f, failed.id));
    assert_false(authz_is_there(f, pending.authz_ids[0]));
    assert_false(authz_is_there(f, ready.authz_ids[0]));
    sweep = run_round(f, cutoff(), 100);
    assert_removed(&sweep, 0, 0, 0, 0);
    struct acme_account still;
    assert_ok(acme_store_account_get(f->store, f->arena, account, &still));
}

static void certificates_with_all_that_is_theirs(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    const char *old = NULL;
    const char *live = NULL;
    struct acme_order gone = issued_order(f, account, "old.test", NOW + 90 * (int64_t)DAY, &old);
    struct acme_order stays = issued_order(f, account, "live.test", cutoff() + DAY, &live);
    struct acme_order adopted = fixture_ready_order(f, account, "old.test"); /* a later order with the same */
    struct acme_job job;
    assert_string_equal(finalize(f, &adopted, "old.test", &job).certificate_id, old);

    struct acme_sweep sweep = run_round(f, cutoff(), 100);
    assert_removed(&sweep, 1, 0, 0, 1);
    assert_false(certificate_is_there(f, old));
    assert_false(order_is_there(f, gone.id));
    assert_false(order_is_there(f, adopted.id));
    assert_false(authz_is_there(f, gone.authz_ids[0]));
    struct acme_issuance issuance;
    assert_code(acme_store_issuance_get(f->store, f->arena, "none", &issuance), ACME_E_NOT_FOUND);

    /* The live one keeps its order, and that the authorization, though it is over. */
    assert_true(certificate_is_there(f, live));
    assert_true(order_is_there(f, stays.id));
    assert_true(authz_is_there(f, stays.authz_ids[0]));
    struct acme_certificate kept;
    assert_ok(acme_store_certificate_get(f->store, f->arena, live, &kept));
    assert_int_equal(kept.alternate_count, 1);
}

static void revoked_certificates(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    const char *id = NULL;
    (void)issued_order(f, account, "a.test", NOW + DAY, &id);
    struct acme_certificate certificate;
    assert_ok(acme_store_certificate_get(f->store, f->arena, id, &certificate));
    struct acme_job job = fixture_job(f, "lab");
    enum acme_revoke_outcome outcome;
    assert_ok(acme_store_revocation_start(f->store, f->arena, &certificate, 1, &job, &fixture_lease, NOW,
                                          &outcome));
    assert_ok(acme_store_revocation_end(f->store, id, job.id, "me", NOW, NULL));
    struct acme_sweep sweep = run_round(f, cutoff(), 100);
    assert_removed(&sweep, 1, 0, 0, 1);
    struct acme_revocation revocation;
    assert_code(acme_store_revocation_get(f->store, f->arena, id, &revocation), ACME_E_NOT_FOUND);
}

static void failed_issuances(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct acme_order order = fixture_ready_order(f, account, "a.test");
    struct acme_job job;
    struct acme_order finalized = finalize(f, &order, "key", &job);
    struct acme_sweep sweep = run_round(f, cutoff(), 100); /* under way: whatever its age */
    assert_removed(&sweep, 0, 0, 0, 0);
    assert_ok(acme_store_issuance_failed(f->store, finalized.issuance_id, job.id, "me", NULL, "{}"));
    sweep = run_round(f, NOW + 6 * (int64_t)DAY, 100);
    assert_removed(&sweep, 0, 0, 0, 0);
    sweep = run_round(f, cutoff(), 100);
    assert_removed(&sweep, 0, 1, 0, 1);
    assert_false(order_is_there(f, order.id));
    struct acme_issuance issuance;
    assert_code(acme_store_issuance_get(f->store, f->arena, finalized.issuance_id, &issuance),
                ACME_E_NOT_FOUND);
}

static void validations_under_way(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct acme_authz authz = fixture_authz(f, "a.test", false, 1);
    authz.account_id = account;
    assert_ok(acme_store_authz_create(f->store, &authz, NOW, 10));
    struct acme_job job = fixture_job(f, "validation");
    assert_ok(acme_store_challenge_start(f->store, authz.challenges[0].id, &job, &fixture_lease, NOW));
    struct acme_sweep sweep = run_round(f, cutoff(), 100);
    assert_removed(&sweep, 0, 0, 0, 0);
    assert_ok(
        acme_store_challenge_finish(f->store, authz.challenges[0].id, job.id, "me", NULL, NOW, NOW + DAY));
    sweep = run_round(f, cutoff(), 100);
    assert_removed(&sweep, 0, 0, 0, 1);
    assert_false(authz_is_there(f, authz.id));
}

static void small_steps(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    const char *ids[9];
    for (size_t i = 0; i < 9; i++)
        ids[i] = fixture_order(f, account, (const char *const[]){"a.test", NULL}).id;
    struct acme_sweep sweep = {.ended_before_ms = cutoff(), .batch = 4};
    int steps = 0;
    while (sweep.stage < ACME_SWEEP_STAGES) {
        size_t before = sweep.removed[ACME_SWEEP_ORDERS] + sweep.removed[ACME_SWEEP_AUTHZS];
        assert_ok(acme_store_sweep(f->store, &sweep));
        assert_true(sweep.removed[ACME_SWEEP_ORDERS] + sweep.removed[ACME_SWEEP_AUTHZS] - before <= 4);
        steps++;
    }
    assert_int_equal(steps, 1 + 1 + 3 + 3);
    assert_removed(&sweep, 0, 0, 9, 9);
    for (size_t i = 0; i < 9; i++)
        assert_false(order_is_there(f, ids[i]));
    sweep = (struct acme_sweep){.ended_before_ms = cutoff(), .batch = 0};
    assert_code(acme_store_sweep(f->store, &sweep), ACME_E_INTERNAL);
    sweep = (struct acme_sweep){.batch = 4, .stage = ACME_SWEEP_STAGES};
    assert_code(acme_store_sweep(f->store, &sweep), ACME_E_INTERNAL);
}

/* Rows made after the cut-off are not even looked at. */
static void young_rows(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    char id[ACME_ID_SIZE];
    assert_ok(acme_id_new(&acme_clock_system, id));
    struct acme_identifier name = {.type = ACME_IDENTIFIER_DNS, .value = "a.test"};
    struct acme_authz authz = fixture_authz(f, "a.test", false, 1);
    struct acme_order order = {.id = id,
                               .account_id = account,
                               .profile = "default",
                               .identifiers = &name,
                               .identifier_count = 1,
                               .expires_ms = NOW + DAY};
    assert_ok(acme_store_order_create(f->store, f->arena, &order, &authz, NOW, NOW, &order));
    struct acme_sweep sweep = run_round(f, cutoff() - 2 * (int64_t)DAY, 100);
    assert_removed(&sweep, 0, 0, 0, 0);
    assert_true(order_is_there(f, order.id));
    sweep = run_round(f, cutoff(), 100);
    assert_removed(&sweep, 0, 0, 1, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(orders_that_were_left, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(certificates_with_all_that_is_theirs, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(revoked_certificates, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(failed_issuances, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(validations_under_way, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(small_steps, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(young_rows, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
