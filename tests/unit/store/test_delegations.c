/* store/delegations.c: issuances for other issuances, from their start to the sweep. */
#include "fixture.h"

struct parent {
    struct acme_order order;
    struct acme_issuance issuance;
    struct acme_job job;
};

static enum acme_finalize_outcome finalize(struct fixture *f, const char *account, const char *key,
                                           struct parent *ret)
{
    enum acme_finalize_outcome outcome;
    struct acme_order order = fixture_ready_order(f, account, "a.example.com");
    ret->issuance = fixture_issuance(f, &order, key, key);
    ret->issuance.issuer = "edge";
    ret->job = fixture_job(f, "edge");
    ret->job.share = account;
    assert_ok(acme_store_order_finalize(f->store, f->arena, &ret->issuance, &ret->job, &fixture_lease,
                                        &(struct acme_finalize_rules){.now_ms = NOW}, &ret->order, &outcome,
                                        NULL));
    return outcome;
}

struct child {
    struct acme_issuance issuance;
    struct acme_job job;
    bool started;
};

static struct acme_err delegate(struct fixture *f, const struct parent *parent, const char *label,
                                const char *owner, struct child *ret)
{
    ret->issuance = fixture_issuance(f, &parent->order, label, label);
    ret->issuance.parent_id = parent->issuance.id;
    ret->issuance.label = label;
    ret->job = fixture_job(f, "lab");
    ret->job.share = parent->job.share;
    const struct acme_job_remark remark = {.note = "signing", .noted_ms = NOW};
    const struct acme_delegation delegation = {.child = &ret->issuance,
                                               .child_job = &ret->job,
                                               .child_lease = &fixture_lease,
                                               .job_id = parent->job.id,
                                               .owner = owner,
                                               .state = "{\"delegated\":1}",
                                               .run_at_ms = NOW + 300000,
                                               .remark = &remark};
    return acme_store_delegate(f->store, f->arena, &delegation, &ret->started);
}

static struct acme_job_report job_of(struct fixture *f, const struct acme_issuance *issuance)
{
    struct acme_job_report report;
    assert_ok(acme_store_job_find(f->store, f->arena, issuance->issuer, issuance->account_id, issuance->id,
                                  &report));
    return report;
}

static void lease(struct fixture *f, const char *queue, int64_t now_ms)
{
    struct acme_job *jobs = NULL;
    size_t count = 0;
    const struct acme_lease again = {.owner = "me", .until_ms = now_ms + 60000};
    assert_ok(acme_store_jobs_claim(f->store, f->arena, queue, now_ms, &again, 9,
                                    &(struct acme_turns){.last = ""}, &jobs, &count));
    assert_int_equal(count, 1);
}

static size_t children_of(struct fixture *f, const struct parent *parent)
{
    const char **ids = NULL;
    size_t count = 0;
    assert_ok(acme_store_issuance_children(f->store, f->arena, parent->issuance.id, &ids, &count));
    return count;
}

static struct acme_certificate certificate_of(struct fixture *f, const char *account, const char *sha256,
                                              int64_t not_after_ms)
{
    struct acme_certificate certificate = fixture_certificate(f, account);
    certificate.sha256_hex = sha256;
    certificate.not_after_ms = not_after_ms;
    return certificate;
}

/* With the parent's state in one step, and once. */
static void started_once(void **state)
{
    struct fixture *f = *state;
    struct parent parent;
    struct child child;
    struct child again;
    assert_int_equal(finalize(f, fixture_account(f), "edge-key", &parent), ACME_FINALIZE_STARTED);
    assert_code(delegate(f, &parent, "rsa", "another", &child), ACME_E_STATE); /* lost lease */
    assert_int_equal(children_of(f, &parent), 0);

    assert_ok(delegate(f, &parent, "rsa", "me", &child));
    assert_true(child.started);
    assert_int_equal(children_of(f, &parent), 1);
    struct acme_job_report report = job_of(f, &parent.issuance);
    assert_false(report.leased);
    assert_string_equal(report.job.state, "{\"delegated\":1}");
    assert_int_equal(report.due_ms, NOW + 300000);
    assert_true(job_of(f, &child.issuance).leased);

    fixture_reopen(f); /* as after a kill: the parent comes again with the same wish */
    lease(f, "edge", NOW + 300000);
    assert_ok(delegate(f, &parent, "rsa", "me", &again));
    assert_false(again.started);
    assert_int_equal(children_of(f, &parent), 1);
    struct acme_issuance found;
    assert_ok(acme_store_issuance_get(f->store, f->arena, child.issuance.id, &found));
    assert_string_equal(found.parent_id, parent.issuance.id);
    assert_string_equal(found.label, "rsa");
    assert_int_equal(found.status, ACME_ISSUANCE_PENDING);
}

/* The end of the child makes the parent due; its certificate is the order's. */
static void adopted(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct parent parent;
    struct child child;
    finalize(f, account, "edge-key", &parent);
    assert_ok(delegate(f, &parent, "rsa", "me", &child));
    struct acme_certificate theirs = certificate_of(f, account, "aa", NOW + DAY);
    theirs.serial_hex = "AA";
    assert_ok(acme_store_issuance_issued(f->store, child.issuance.id, child.job.id, "me", "17", &theirs));
    assert_int_equal(job_of(f, &parent.issuance).due_ms, NOW);
    struct acme_order order;
    assert_ok(acme_store_order_get(f->store, f->arena, parent.order.id, &order));
    assert_int_equal(order.status, ACME_ORDER_PROCESSING);

    lease(f, "edge", NOW + 1);
    struct acme_certificate ours = certificate_of(f, account, "aa", NOW + DAY);
    ours.issuer = "edge";
    assert_ok(acme_store_issuance_issued(f->store, parent.issuance.id, parent.job.id, "me", "e1", &ours));
    assert_ok(acme_store_order_get(f->store, f->arena, parent.order.id, &order));
    assert_int_equal(order.status, ACME_ORDER_VALID);
    assert_string_equal(order.certificate_id, theirs.id);
    struct acme_certificate stored;
    assert_code(acme_store_certificate_get(f->store, f->arena, ours.id, &stored), ACME_E_NOT_FOUND);
    assert_ok(acme_store_certificate_get(f->store, f->arena, order.certificate_id, &stored));
    assert_string_equal(stored.issuer, "lab"); /* that is who revokes it */
    assert_string_equal(stored.issuance_id, child.issuance.id);
}

static void another_certificate_is_its_own(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct parent parent;
    struct child child;
    finalize(f, account, "edge-key", &parent);
    assert_ok(delegate(f, &parent, "rsa", "me", &child));
    struct acme_certificate theirs = certificate_of(f, account, "aa", NOW + DAY);
    assert_ok(acme_store_issuance_issued(f->store, child.issuance.id, child.job.id, "me", "17", &theirs));
    lease(f, "edge", NOW + 1);
    struct acme_certificate ours = certificate_of(f, account, "bb", NOW + DAY);
    assert_ok(acme_store_issuance_issued(f->store, parent.issuance.id, parent.job.id, "me", "e1", &ours));
    struct acme_order order;
    assert_ok(acme_store_order_get(f->store, f->arena, parent.order.id, &order));
    assert_string_equal(order.certificate_id, ours.id);
}

/* Clients' orders for the same names and the child's key do not get hold of it. */
static void not_for_orders(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct parent parent;
    struct parent other;
    struct child child;
    enum acme_finalize_outcome outcome;
    finalize(f, account, "edge-key", &parent);
    assert_ok(delegate(f, &parent, "rsa", "me", &child));
    struct acme_order order = fixture_ready_order(f, account, "a.example.com");
    other.issuance = fixture_issuance(f, &order, "rsa", "another-csr"); /* of "lab", with the child's key */
    other.job = fixture_job(f, "lab");
    struct acme_finalize_effects effects = {.superseded_count = 0};
    const struct acme_finalize_rules rules = {.now_ms = NOW + 1000,
                                              .supersede_before_ms = NOW + 999,
                                              .superseded_error = "{}",
                                              .replace = true,
                                              .renew_since_ms = 1};
    assert_ok(acme_store_order_finalize(f->store, f->arena, &other.issuance, &other.job, &fixture_lease,
                                        &rules, &other.order, &outcome, &effects));
    assert_int_equal(outcome, ACME_FINALIZE_STARTED);
    assert_string_equal(other.order.issuance_id, other.issuance.id);
    assert_int_equal(effects.superseded_count, 0);

    struct acme_certificate theirs = certificate_of(f, account, "aa", NOW + DAY);
    assert_ok(acme_store_issuance_issued(f->store, child.issuance.id, child.job.id, "me", "17", &theirs));
    assert_ok(acme_store_issuance_failed(f->store, other.issuance.id, other.job.id, "me", NULL, "{}"));
    order = fixture_ready_order(f, account, "a.example.com");
    other.issuance = fixture_issuance(f, &order, "rsa", "third-csr");
    other.job = fixture_job(f, "lab");
    effects = (struct acme_finalize_effects){.superseded_count = 0};
    assert_ok(acme_store_order_finalize(f->store, f->arena, &other.issuance, &other.job, &fixture_lease,
                                        &rules, &other.order, &outcome, &effects));
    assert_int_equal(outcome, ACME_FINALIZE_STARTED); /* not adopted */
    assert_null(effects.predecessor_id);              /* nor renewed */
}

static size_t sweep(struct fixture *f, int64_t ended_before_ms)
{
    struct acme_sweep round = {.ended_before_ms = ended_before_ms, .batch = 2};
    size_t removed = 0;
    while (round.stage < ACME_SWEEP_STAGES)
        assert_ok(acme_store_sweep(f->store, &round));
    for (size_t i = 0; i < ACME_SWEEP_STAGES; i++)
        removed += round.removed[i];
    return removed;
}

static bool issuance_is_there(struct fixture *f, const char *id)
{
    struct acme_issuance issuance;
    struct acme_err err = acme_store_issuance_get(f->store, f->arena, id, &issuance);
    assert_true(err.code == ACME_OK || err.code == ACME_E_NOT_FOUND);
    return !acme_failed(err);
}

/* Two children, of which one lives longer: the order refers to the first one's certificate, and goes last. */
static void swept(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    const int64_t now_ms = acme_clock_now_ms(&acme_clock_system) + DAY;
    struct parent parent;
    struct child rsa;
    struct child ecdsa;
    struct child failed;
    finalize(f, account, "edge-key", &parent);
    assert_ok(delegate(f, &parent, "rsa", "me", &rsa));
    lease(f, "edge", NOW + 300000);
    assert_ok(delegate(f, &parent, "ecdsa", "me", &ecdsa));
    lease(f, "edge", NOW + 300000);
    assert_ok(delegate(f, &parent, "failed", "me", &failed));
    struct acme_certificate first = certificate_of(f, account, "aa", NOW + DAY);
    struct acme_certificate second = certificate_of(f, account, "bb", now_ms + DAY);
    assert_ok(acme_store_issuance_issued(f->store, rsa.issuance.id, rsa.job.id, "me", "1", &first));
    assert_ok(acme_store_issuance_issued(f->store, ecdsa.issuance.id, ecdsa.job.id, "me", "2", &second));
    assert_ok(acme_store_issuance_failed(f->store, failed.issuance.id, failed.job.id, "me", NULL, "{}"));
    lease(f, "edge", NOW + 1);
    struct acme_certificate ours = certificate_of(f, account, "aa", NOW + DAY);
    assert_ok(acme_store_issuance_issued(f->store, parent.issuance.id, parent.job.id, "me", "e1", &ours));

    (void)sweep(f, now_ms);
    assert_false(issuance_is_there(f, rsa.issuance.id));
    assert_false(issuance_is_there(f, failed.issuance.id));
    assert_true(issuance_is_there(f, ecdsa.issuance.id));
    assert_true(issuance_is_there(f, parent.issuance.id));
    (void)sweep(f, now_ms + 2 * (int64_t)DAY);
    assert_false(issuance_is_there(f, ecdsa.issuance.id));
    assert_false(issuance_is_there(f, parent.issuance.id));
    struct acme_order order;
    assert_code(acme_store_order_get(f->store, f->arena, parent.order.id, &order), ACME_E_NOT_FOUND);
}

/* A failed parent waits for its children, however they end. */
static void failed_parent_swept(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    const int64_t now_ms = acme_clock_now_ms(&acme_clock_system) + DAY;
    struct parent parent;
    struct child child;
    finalize(f, account, "edge-key", &parent);
    assert_ok(delegate(f, &parent, "rsa", "me", &child));
    lease(f, "edge", NOW + 300000);
    assert_ok(acme_store_issuance_failed(f->store, parent.issuance.id, parent.job.id, "me", NULL, "{}"));
    (void)sweep(f, now_ms);
    assert_true(issuance_is_there(f, parent.issuance.id));
    struct acme_certificate certificate = certificate_of(f, account, "aa", NOW + DAY);
    assert_ok(acme_store_issuance_issued(f->store, child.issuance.id, child.job.id, "me", "1", &certificate));
    (void)sweep(f, now_ms);
    (void)sweep(f, now_ms);
    assert_false(issuance_is_there(f, child.issuance.id));
    assert_false(issuance_is_there(f, parent.issuance.id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(started_once, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(adopted, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(another_certificate_is_its_own, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(not_for_orders, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(swept, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(failed_parent_swept, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
