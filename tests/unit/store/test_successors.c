/* store/successors.c: what a client's new key means for its earlier wishes. */
#include "fixture.h"

#define MINUTE INT64_C(60000)
#define LATER  (NOW + 20 * MINUTE)

struct outcome {
    enum acme_finalize_outcome outcome;
    struct acme_finalize_effects effects;
    struct acme_order order;
    struct acme_issuance issuance;
    struct acme_job job;
};

static const struct acme_finalize_rules rules_of_scm = {
    .adopt_since_ms = 0,
    .supersede_before_ms = NOW + 10 * MINUTE,
    .replace = true,
    .superseded_error = "{\"superseded\":1}",
};

static struct outcome finalize_at(struct fixture *f, const char *account, const char *key, int64_t now_ms,
                                  const struct acme_finalize_rules *rules)
{
    struct acme_order order = fixture_ready_order(f, account, "a.example.com");
    struct outcome done = {.job = fixture_job(f, "lab"), .issuance = fixture_issuance(f, &order, key, key)};
    struct acme_finalize_rules now = *rules;
    now.now_ms = now_ms;
    assert_ok(acme_store_order_finalize(f->store, f->arena, &done.issuance, &done.job, &fixture_lease, &now,
                                        &done.order, &done.outcome, &done.effects));
    return done;
}

static struct acme_order order_of(struct fixture *f, const struct outcome *done)
{
    struct acme_order order;
    assert_ok(acme_store_order_get(f->store, f->arena, done->order.id, &order));
    return order;
}

static struct acme_issuance issuance_of(struct fixture *f, const char *id)
{
    struct acme_issuance issuance;
    assert_ok(acme_store_issuance_get(f->store, f->arena, id, &issuance));
    return issuance;
}

static struct acme_certificate issue(struct fixture *f, const struct outcome *done, const char *ref)
{
    struct acme_certificate certificate = fixture_certificate(f, done->order.account_id);
    assert_ok(acme_store_issuance_issued(f->store, done->issuance.id, done->job.id, "me", ref, &certificate));
    return certificate;
}

static void superseded(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct outcome first = finalize_at(f, account, "key1", NOW, &rules_of_scm);
    assert_ok(acme_store_job_wait(f->store, first.job.id, "me", "{}", NOW + 90 * MINUTE, 0, NULL));
    struct outcome second = finalize_at(f, account, "key2", LATER, &rules_of_scm);
    assert_int_equal(second.outcome, ACME_FINALIZE_STARTED);
    assert_int_equal(second.effects.superseded_count, 1);
    assert_string_equal(second.effects.superseded[0], first.issuance.id);
    assert_int_equal(second.effects.continuation, ACME_CONTINUE_NOTHING);

    struct acme_order old = order_of(f, &first);
    assert_int_equal(old.status, ACME_ORDER_INVALID);
    assert_string_equal(old.error, "{\"superseded\":1}");
    assert_int_equal(issuance_of(f, first.issuance.id).status, ACME_ISSUANCE_WITHDRAWN);
    assert_int_equal(order_of(f, &second).status, ACME_ORDER_PROCESSING);

    /* its job is due at once */
    int64_t next = 0;
    assert_ok(acme_store_jobs_next(f->store, "lab", NOW + 1, &next));
    struct acme_job *jobs = NULL;
    size_t count = 0;
    struct acme_lease lease = {.owner = "me", .until_ms = LATER + 60000};
    assert_ok(acme_store_jobs_claim(f->store, f->arena, "lab", LATER, &lease, 9,
                                    &(struct acme_turns){.last = ""}, &jobs, &count));
    bool found = false;
    for (size_t i = 0; i < count; i++)
        found = found || strcmp(jobs[i].subject_id, first.issuance.id) == 0;
    assert_true(found);

    /* the key comes back once more: what is being withdrawn is not joined */
    struct acme_finalize_rules never = rules_of_scm;
    never.supersede_before_ms = 0;
    struct outcome third = finalize_at(f, account, "key1", LATER + 1, &never);
    assert_int_equal(third.outcome, ACME_FINALIZE_STARTED);
    assert_string_not_equal(third.order.issuance_id, first.issuance.id);

    assert_ok(acme_store_issuance_failed(f->store, first.issuance.id, first.job.id, "me", "17", "{}"));
    assert_int_equal(issuance_of(f, first.issuance.id).status, ACME_ISSUANCE_FAILED);
    assert_string_equal(order_of(f, &first).error, "{\"superseded\":1}");
}

/* SCM was faster than the withdrawal: the certificate is kept, its orders stay as they are. */
static void superseded_and_issued(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct outcome first = finalize_at(f, account, "key1", NOW, &rules_of_scm);
    (void)finalize_at(f, account, "key2", LATER, &rules_of_scm);
    issue(f, &first, "17");
    assert_int_equal(order_of(f, &first).status, ACME_ORDER_INVALID);
    assert_int_equal(issuance_of(f, first.issuance.id).status, ACME_ISSUANCE_ISSUED);
    struct outcome third = finalize_at(f, account, "key1", LATER + 5, &rules_of_scm);
    assert_int_equal(third.outcome, ACME_FINALIZE_ADOPTED);
}

/* Two hosts with one account: each looks at its order, each gets its certificate. */
static void seen_is_left_alone(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct outcome first = finalize_at(f, account, "key1", NOW, &rules_of_scm);
    acme_store_order_seen(f->store, first.order.id, NOW + 15 * MINUTE);
    struct outcome second = finalize_at(f, account, "key2", LATER, &rules_of_scm);
    assert_int_equal(second.effects.superseded_count, 0);
    assert_int_equal(order_of(f, &first).status, ACME_ORDER_PROCESSING);
    assert_true(order_of(f, &first).seen_ms == NOW + 15 * MINUTE);

    issue(f, &first, "17");
    struct outcome third = finalize_at(f, account, "key3", LATER, &rules_of_scm);
    assert_int_equal(third.effects.continuation, ACME_CONTINUE_NOTHING);
    /* the second, finalized in time, is not superseded either */
    assert_int_equal(third.effects.superseded_count, 0);
}

static void never_superseded(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct acme_finalize_rules never = rules_of_scm;
    never.supersede_before_ms = 0;
    struct outcome first = finalize_at(f, account, "key1", NOW, &never);
    struct outcome second = finalize_at(f, account, "key2", LATER, &never);
    assert_int_equal(second.effects.superseded_count, 0);
    assert_int_equal(order_of(f, &first).status, ACME_ORDER_PROCESSING);
    issue(f, &first, "17");
    struct outcome third = finalize_at(f, account, "key3", LATER, &never);
    assert_null(third.effects.predecessor_id);
    struct outcome foreign = finalize_at(f, fixture_account(f), "key4", LATER, &rules_of_scm);
    assert_int_equal(foreign.effects.superseded_count, 0);
    assert_null(foreign.effects.predecessor_id);
}

static void replaced(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct outcome first = finalize_at(f, account, "key1", NOW, &rules_of_scm);
    issue(f, &first, "17");
    struct outcome second = finalize_at(f, account, "key2", LATER, &rules_of_scm);
    assert_int_equal(second.outcome, ACME_FINALIZE_STARTED);
    assert_int_equal(second.effects.continuation, ACME_CONTINUE_REPLACE);
    assert_string_equal(second.effects.predecessor_id, first.issuance.id);
    fixture_reopen(f);
    struct acme_issuance issuance = issuance_of(f, second.issuance.id);
    assert_int_equal(issuance.continuation, ACME_CONTINUE_REPLACE);
    assert_string_equal(issuance.predecessor_id, first.issuance.id);
    bool is_replaced = false;
    assert_ok(acme_store_issuance_replaced(f->store, first.issuance.id, &is_replaced));
    assert_true(is_replaced);
    assert_ok(acme_store_issuance_replaced(f->store, second.issuance.id, &is_replaced));
    assert_false(is_replaced);

    /* once only, and what is replaced is not adopted any more */
    struct acme_finalize_rules rules = rules_of_scm;
    rules.supersede_before_ms = NOW + 15 * MINUTE;
    struct outcome third = finalize_at(f, account, "key3", LATER, &rules);
    assert_null(third.effects.predecessor_id);
    struct outcome again = finalize_at(f, account, "key1", LATER, &rules);
    assert_int_equal(again.outcome, ACME_FINALIZE_STARTED);

    /* after a failure it is free again */
    assert_ok(acme_store_issuance_failed(f->store, second.issuance.id, second.job.id, "me", NULL, "{}"));
    struct outcome fifth = finalize_at(f, account, "key5", LATER, &rules);
    assert_int_equal(fifth.effects.continuation, ACME_CONTINUE_REPLACE);
}

static void not_replaced(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct outcome first = finalize_at(f, account, "key1", NOW, &rules_of_scm);
    struct acme_certificate certificate = issue(f, &first, "17");
    struct acme_finalize_rules rules = rules_of_scm;
    rules.adopt_since_ms = certificate.created_ms + 1;
    assert_null(finalize_at(f, account, "key2", LATER, &rules).effects.predecessor_id);
    rules = rules_of_scm;
    rules.replace = false;
    assert_null(finalize_at(f, account, "key3", LATER, &rules).effects.predecessor_id);
    acme_store_certificate_downloaded(f->store, certificate.id, NOW + 20);
    assert_null(finalize_at(f, account, "key4", LATER, &rules_of_scm).effects.predecessor_id);

    /* no number upstream */
    const char *other = fixture_account(f);
    struct outcome local = finalize_at(f, other, "key1", NOW, &rules_of_scm);
    issue(f, &local, NULL);
    assert_null(finalize_at(f, other, "key2", LATER, &rules_of_scm).effects.predecessor_id);
}

static void renewed(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct acme_finalize_rules rules = rules_of_scm;
    rules.renew_since_ms = 1;
    struct outcome first = finalize_at(f, account, "key1", NOW, &rules);
    assert_null(first.effects.predecessor_id);
    struct acme_certificate certificate = issue(f, &first, "17");
    acme_store_certificate_downloaded(f->store, certificate.id, NOW + 20);

    struct acme_finalize_rules too_old = rules;
    too_old.renew_since_ms = certificate.not_after_ms;
    assert_null(finalize_at(f, account, "key2", LATER, &too_old).effects.predecessor_id);

    /* whichever key; once */
    struct outcome second = finalize_at(f, account, "key1", LATER, &rules);
    assert_int_equal(second.effects.continuation, ACME_CONTINUE_RENEW);
    assert_string_equal(second.effects.predecessor_id, first.issuance.id);
    bool is_replaced = true;
    assert_ok(acme_store_issuance_replaced(f->store, first.issuance.id, &is_replaced));
    assert_false(is_replaced);
    assert_null(finalize_at(f, account, "key3", LATER, &rules).effects.predecessor_id);
    struct acme_certificate next = issue(f, &second, "18");
    acme_store_certificate_downloaded(f->store, next.id, NOW + 20);
    struct outcome fourth = finalize_at(f, account, "key4", LATER, &rules);
    assert_string_equal(fourth.effects.predecessor_id, second.issuance.id);
}

static void renewed_with_the_same_key(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct acme_finalize_rules rules = rules_of_scm;
    rules.supersede_before_ms = 0;
    rules.renew_since_ms = 1;
    rules.renew_same_key = true;
    struct outcome first = finalize_at(f, account, "key1", NOW, &rules);
    struct acme_certificate certificate = issue(f, &first, "17");
    acme_store_certificate_downloaded(f->store, certificate.id, NOW + 20);
    struct outcome second = finalize_at(f, account, "key2", LATER, &rules);
    assert_null(second.effects.predecessor_id);
    certificate = issue(f, &second, "18");
    acme_store_certificate_downloaded(f->store, certificate.id, LATER + 20);
    /* not the newest, but the one with this key */
    struct outcome third = finalize_at(f, account, "key1", LATER + 1, &rules);
    assert_int_equal(third.effects.continuation, ACME_CONTINUE_RENEW);
    assert_string_equal(third.effects.predecessor_id, first.issuance.id);
}

static void refs_are_owned(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct outcome first = finalize_at(f, account, "key1", NOW, &rules_of_scm);
    bool owned = true;
    assert_ok(acme_store_issuance_owns(f->store, "lab", "17", "none", &owned));
    assert_false(owned);
    assert_ok(acme_store_issuance_ref(f->store, first.issuance.id, "17"));
    assert_string_equal(issuance_of(f, first.issuance.id).upstream_ref, "17");
    assert_ok(acme_store_issuance_owns(f->store, "lab", "17", "none", &owned));
    assert_true(owned);
    assert_ok(acme_store_issuance_owns(f->store, "lab", "17", first.issuance.id, &owned));
    assert_false(owned);
    assert_ok(acme_store_issuance_owns(f->store, "other", "17", "none", &owned));
    assert_false(owned);
    issue(f, &first, "18");
    assert_ok(acme_store_issuance_ref(f->store, first.issuance.id, "19")); /* it has ended */
    assert_string_equal(issuance_of(f, first.issuance.id).upstream_ref, "18");
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(superseded),
        WITH_STORE(superseded_and_issued),
        WITH_STORE(seen_is_left_alone),
        WITH_STORE(never_superseded),
        WITH_STORE(replaced),
        WITH_STORE(not_replaced),
        WITH_STORE(renewed),
        WITH_STORE(renewed_with_the_same_key),
        WITH_STORE(refs_are_owned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
