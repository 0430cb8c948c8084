/* store/revocations.c, counters, and who may revoke. */
#include "fixture.h"

#include <stdlib.h>

static struct acme_certificate issue(struct fixture *f, const char *account_id, const char *serial)
{
    struct acme_order order = fixture_ready_order(f, account_id, "a.example.com");
    struct acme_issuance issuance = fixture_issuance(f, &order, serial, serial);
    struct acme_job job = fixture_job(f, "lab");
    enum acme_finalize_outcome outcome;
    assert_ok(acme_store_order_finalize(f->store, f->arena, &issuance, &job, &fixture_lease,
                                        &(struct acme_finalize_rules){.now_ms = NOW, .adopt_since_ms = 0},
                                        &order, &outcome, NULL));
    assert_int_equal(outcome, ACME_FINALIZE_STARTED);
    struct acme_certificate certificate = fixture_certificate(f, account_id);
    certificate.serial_hex = serial;
    certificate.sha256_hex = serial;
    certificate.issuance_id = issuance.id;
    assert_ok(acme_store_issuance_issued(f->store, issuance.id, job.id, "me", "12", &certificate));
    return certificate;
}

static enum acme_revoke_outcome start(struct fixture *f, const struct acme_certificate *certificate,
                                      int reason, struct acme_job *ret_job)
{
    enum acme_revoke_outcome outcome = ACME_REVOKE_ALREADY;
    *ret_job = fixture_job(f, certificate->issuer);
    assert_ok(acme_store_revocation_start(f->store, f->arena, certificate, reason, ret_job, &fixture_lease,
                                          NOW + 1, &outcome));
    return outcome;
}

static size_t jobs_due_later(struct fixture *f)
{
    struct acme_job *jobs = NULL;
    size_t count = 0;
    const struct acme_lease lease = {.owner = "other", .until_ms = NOW + DAY};
    assert_ok(acme_store_jobs_claim(f->store, f->arena, "lab", NOW + 2 * 60000, &lease, 10,
                                    &(struct acme_turns){.last = ""}, &jobs, &count));
    for (size_t i = 0; i < count; i++)
        assert_int_equal(jobs[i].kind, ACME_JOB_REVOKE);
    return count;
}

static void one_way(void **state)
{
    struct fixture *f = *state;
    struct acme_certificate certificate = issue(f, fixture_account(f), "0A01");
    struct acme_revocation revocation;
    struct acme_job job;
    struct acme_job second;
    assert_code(acme_store_revocation_get(f->store, f->arena, certificate.id, &revocation), ACME_E_NOT_FOUND);
    assert_int_equal(start(f, &certificate, 4, &job), ACME_REVOKE_STARTED);
    assert_ok(acme_store_revocation_get(f->store, f->arena, certificate.id, &revocation));
    assert_int_equal(revocation.status, ACME_REVOCATION_UNDER_WAY);
    assert_int_equal(revocation.reason, 4);
    assert_int_equal(revocation.requested_ms, NOW + 1);
    assert_int_equal(revocation.revoked_ms, 0);

    /* Repetitions change nothing and make no second job. */
    assert_int_equal(start(f, &certificate, 1, &second), ACME_REVOKE_UNDER_WAY);
    assert_code(acme_store_revocation_end(f->store, certificate.id, job.id, "stranger", NOW + 2, NULL),
                ACME_E_STATE);
    assert_ok(acme_store_revocation_end(f->store, certificate.id, job.id, "me", NOW + 2, NULL));
    assert_code(acme_store_revocation_end(f->store, certificate.id, job.id, "me", NOW + 3, NULL),
                ACME_E_STATE);
    fixture_reopen(f);
    assert_ok(acme_store_revocation_get(f->store, f->arena, certificate.id, &revocation));
    assert_int_equal(revocation.status, ACME_REVOCATION_DONE);
    assert_int_equal(revocation.reason, 4);
    assert_int_equal(revocation.revoked_ms, NOW + 2);
    assert_null(revocation.error);
    assert_int_equal(start(f, &certificate, 1, &second), ACME_REVOKE_ALREADY);
    assert_int_equal(jobs_due_later(f), 0);
}

static void failure_is_not_the_end(void **state)
{
    struct fixture *f = *state;
    struct acme_certificate certificate = issue(f, fixture_account(f), "0A02");
    struct acme_revocation revocation;
    struct acme_job job;
    assert_int_equal(start(f, &certificate, 1, &job), ACME_REVOKE_STARTED);
    assert_ok(
        acme_store_revocation_end(f->store, certificate.id, job.id, "me", NOW + 2, "{\"detail\":\"no\"}"));
    assert_ok(acme_store_revocation_get(f->store, f->arena, certificate.id, &revocation));
    assert_int_equal(revocation.status, ACME_REVOCATION_FAILED);
    assert_int_equal(revocation.revoked_ms, 0);
    assert_string_equal(revocation.error, "{\"detail\":\"no\"}");
    assert_int_equal(start(f, &certificate, 3, &job), ACME_REVOKE_STARTED);
    assert_ok(acme_store_revocation_get(f->store, f->arena, certificate.id, &revocation));
    assert_int_equal(revocation.status, ACME_REVOCATION_UNDER_WAY);
    assert_int_equal(revocation.reason, 3);
    assert_null(revocation.error);
    assert_int_equal(jobs_due_later(f), 1);
}

/* What a list holds, in a form that can be compared. */
struct list {
    size_t count;
    bool seen[200];
};

static struct acme_err visit(void *context, const char *serial_hex, int64_t revoked_ms, int reason)
{
    struct list *list = context;
    long serial = strtol(serial_hex, NULL, 16);
    assert_in_range(serial, 0, 199);
    assert_false(list->seen[serial]);
    list->seen[serial] = true;
    list->count++;
    assert_int_equal(revoked_ms, NOW + 2);
    assert_int_equal(reason, 5);
    return acme_ok();
}

static struct acme_err stop_at_once(void *context, const char *serial_hex, int64_t revoked_ms, int reason)
{
    (void)serial_hex;
    (void)revoked_ms;
    (void)reason;
    ++*(int *)context;
    return acme_err(ACME_E_CRYPTO);
}

static void listing(void **state)
{
    enum { MANY = 120 }; /* more than are read in one piece */
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct acme_job job;
    for (int i = 0; i < MANY; i++) {
        struct acme_certificate certificate = issue(f, account, acme_arena_printf(f->arena, "%04X", i));
        assert_int_equal(start(f, &certificate, 5, &job), ACME_REVOKE_STARTED);
        if (i != 7) /* still under way */
            assert_ok(acme_store_revocation_end(f->store, certificate.id, job.id, "me", NOW + 2,
                                                i == 8 ? "{}" : NULL));
    }
    struct list list = {.count = 0};
    assert_ok(acme_store_revocations_each(f->store, "lab", NOW + 90 * (int64_t)DAY, visit, &list));
    assert_int_equal(list.count, MANY - 2);
    assert_false(list.seen[7] || list.seen[8]);
    list = (struct list){.count = 0};
    assert_ok(acme_store_revocations_each(f->store, "lab", NOW + 90 * (int64_t)DAY + 1, visit, &list));
    assert_ok(acme_store_revocations_each(f->store, "elsewhere", 0, visit, &list));
    assert_int_equal(list.count, 0);
    int calls = 0;
    assert_code(acme_store_revocations_each(f->store, "lab", 0, stop_at_once, &calls), ACME_E_CRYPTO);
    assert_int_equal(calls, 1);
}

static void not_adopted(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct acme_certificate certificate = issue(f, account, "0A03");
    struct acme_job job;
    enum acme_finalize_outcome outcome;
    struct acme_order order = fixture_ready_order(f, account, "a.example.com");
    struct acme_issuance issuance = fixture_issuance(f, &order, "0A03", "other-csr");
    struct acme_job issue_job = fixture_job(f, "lab");
    assert_ok(acme_store_order_finalize(f->store, f->arena, &issuance, &issue_job, &fixture_lease,
                                        &(struct acme_finalize_rules){.now_ms = NOW, .adopt_since_ms = 0},
                                        &order, &outcome, NULL));
    assert_int_equal(outcome, ACME_FINALIZE_ADOPTED); /* before it is revoked it would be */

    assert_int_equal(start(f, &certificate, 0, &job), ACME_REVOKE_STARTED);
    order = fixture_ready_order(f, account, "a.example.com");
    issuance = fixture_issuance(f, &order, "0A03", "third-csr");
    issue_job = fixture_job(f, "lab");
    assert_ok(acme_store_order_finalize(f->store, f->arena, &issuance, &issue_job, &fixture_lease,
                                        &(struct acme_finalize_rules){.now_ms = NOW, .adopt_since_ms = 0},
                                        &order, &outcome, NULL));
    assert_int_equal(outcome, ACME_FINALIZE_STARTED);
}

static void found_by_fingerprint(void **state)
{
    struct fixture *f = *state;
    struct acme_certificate certificate = issue(f, fixture_account(f), "0A04");
    struct acme_certificate found;
    assert_ok(acme_store_certificate_find(f->store, f->arena, "0A04", "0A04", &found));
    assert_string_equal(found.id, certificate.id);
    assert_code(acme_store_certificate_find(f->store, f->arena, "0A04", "0A05", &found), ACME_E_NOT_FOUND);
    assert_code(acme_store_certificate_find(f->store, f->arena, "0A05", "0A04", &found), ACME_E_NOT_FOUND);
}

static bool covers(struct fixture *f, const char *account, int64_t now_ms, const char *first,
                   const char *second)
{
    const struct acme_identifier names[] = {{.type = ACME_IDENTIFIER_DNS, .value = first},
                                            {.type = ACME_IDENTIFIER_DNS, .value = second}};
    bool all = false;
    assert_ok(acme_store_authz_covers(f->store, f->arena, account, names, second != NULL ? 2 : first != NULL,
                                      now_ms, &all));
    return all;
}

static void authorizations_for_all_names(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    (void)fixture_ready_order(f, account, "a.example.com");
    assert_true(covers(f, account, NOW, "a.example.com", NULL));
    assert_false(covers(f, account, NOW, "a.example.com", "b.example.com"));
    assert_false(covers(f, account, NOW, "*.a.example.com", NULL));
    assert_false(covers(f, account, NOW + 31 * (int64_t)DAY, "a.example.com", NULL));
    assert_false(covers(f, fixture_account(f), NOW, "a.example.com", NULL));
    assert_false(covers(f, account, NOW, NULL, NULL));
    (void)fixture_ready_order(f, account, "*.b.example.com");
    assert_true(covers(f, account, NOW, "a.example.com", "*.b.example.com"));
    assert_false(covers(f, account, NOW, "a.example.com", "b.example.com"));
}

static void counting(void **state)
{
    struct fixture *f = *state;
    int64_t number = 0;
    assert_ok(acme_store_counter_next(f->store, "a", 0, &number));
    assert_int_equal(number, 1);
    assert_ok(acme_store_counter_next(f->store, "a", 1, &number));
    assert_int_equal(number, 2);
    assert_ok(acme_store_counter_next(f->store, "b", INT64_C(1790000000), &number));
    assert_int_equal(number, INT64_C(1790000000));
    fixture_reopen(f);
    assert_ok(acme_store_counter_next(f->store, "b", 5, &number));
    assert_int_equal(number, INT64_C(1790000001));
    assert_ok(acme_store_counter_next(f->store, "a", 0, &number));
    assert_int_equal(number, 3);
    const struct acme_bytes text = {.data = (const uint8_t *)"x", .len = 1};
    assert_ok(acme_store_value_set(f->store, "text", text));
    assert_code(acme_store_counter_next(f->store, "text", 0, &number), ACME_E_INTERNAL);
}

#define T(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(one_way),     T(failure_is_not_the_end), T(listing),
        T(not_adopted), T(found_by_fingerprint),   T(authorizations_for_all_names),
        T(counting),
    };
    return cmocka_run_group_tests_name("store/revocations", tests, NULL, NULL);
}
