/* store/issuances.c, store/certificates.c */
#include "fixture.h"

struct outcome {
    struct acme_err err;
    enum acme_finalize_outcome outcome;
    struct acme_order order;
    struct acme_job job;
    struct acme_issuance issuance;
};

static struct outcome finalize(struct fixture *f, const struct acme_order *order, const char *key,
                               const char *csr, int64_t adopt_since_ms)
{
    struct outcome result = {.job = fixture_job(f, "lab"), .issuance = fixture_issuance(f, order, key, csr)};
    result.err = acme_store_order_finalize(
        f->store, f->arena, &result.issuance, &result.job, &fixture_lease,
        &(struct acme_finalize_rules){.now_ms = NOW + 10, .adopt_since_ms = adopt_since_ms}, &result.order,
        &result.outcome, NULL);
    return result;
}

static struct acme_order order_of(struct fixture *f, const char *id)
{
    struct acme_order order;
    assert_ok(acme_store_order_get(f->store, f->arena, id, &order));
    return order;
}

static size_t jobs_of(struct fixture *f, const char *queue)
{
    int64_t count = 0;
    assert_ok(acme_store_jobs_count(f->store, queue, &count));
    return (size_t)count;
}

static struct outcome issue(struct fixture *f, const struct acme_order *order, const char *key,
                            struct acme_certificate *certificate)
{
    struct outcome result = {.issuance = fixture_issuance(f, order, key, key)};
    certificate->issuance_id = result.issuance.id;
    result.err = acme_store_order_issue(f->store, f->arena, &result.issuance, certificate,
                                        &(struct acme_finalize_rules){.now_ms = NOW + 10}, &result.order,
                                        &result.outcome, NULL);
    return result;
}

static void issued_in_one_step(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct acme_order order = fixture_ready_order(f, account, "a.example.com");
    struct acme_certificate certificate = fixture_certificate(f, account);
    const struct acme_deployment deployment = {.id = fixture_id(f),
                                               .job_id = fixture_id(f),
                                               .deployer = "edge",
                                               .queue = ACME_DEPLOY_QUEUE "edge",
                                               .deadline_ms = NOW + DAY};
    certificate.deployments = &deployment;
    certificate.deployment_count = 1;
    struct outcome done = issue(f, &order, "key1", &certificate);
    assert_ok(done.err);
    assert_int_equal(done.outcome, ACME_FINALIZE_ISSUED);
    assert_int_equal(done.order.status, ACME_ORDER_VALID);
    assert_string_equal(done.order.certificate_id, certificate.id);
    struct acme_order got = order_of(f, order.id);
    assert_int_equal(got.status, ACME_ORDER_VALID);
    assert_int_equal(got.finalized_ms, NOW + 10);
    assert_string_equal(got.certificate_id, certificate.id);
    struct acme_issuance issuance;
    assert_ok(acme_store_issuance_get(f->store, f->arena, got.issuance_id, &issuance));
    assert_int_equal(issuance.status, ACME_ISSUANCE_ISSUED);
    assert_string_equal(issuance.certificate_id, certificate.id);
    struct acme_certificate stored;
    assert_ok(acme_store_certificate_get(f->store, f->arena, certificate.id, &stored));
    assert_string_equal(stored.chain, certificate.chain);
    assert_string_equal(stored.issuance_id, issuance.id);
    struct acme_deployment made;
    assert_ok(acme_store_deployment_get(f->store, f->arena, deployment.id, &made));
    assert_int_equal(made.status, ACME_DEPLOYMENT_PENDING);
    assert_int_equal(jobs_of(f, "lab"), 0);
    assert_int_equal(jobs_of(f, deployment.queue), 1);

    /* the same once more changes nothing */
    struct acme_certificate again = fixture_certificate(f, account);
    assert_int_equal(issue(f, &order, "key1", &again).outcome, ACME_FINALIZE_REPEATED);
    assert_code(acme_store_certificate_get(f->store, f->arena, again.id, &stored), ACME_E_NOT_FOUND);
}

static void what_is_under_way_comes_first(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct acme_order one = fixture_ready_order(f, account, "a.example.com");
    struct outcome first = finalize(f, &one, "key1", "csr1", 0);
    assert_int_equal(first.outcome, ACME_FINALIZE_STARTED);
    struct acme_order two = fixture_ready_order(f, account, "a.example.com");
    struct acme_certificate certificate = fixture_certificate(f, account);
    struct outcome second = issue(f, &two, "key1", &certificate);
    assert_ok(second.err);
    assert_int_equal(second.outcome, ACME_FINALIZE_JOINED);
    assert_int_equal(second.order.status, ACME_ORDER_PROCESSING);
    assert_string_equal(second.order.issuance_id, first.issuance.id);
    struct acme_certificate stored;
    assert_code(acme_store_certificate_get(f->store, f->arena, certificate.id, &stored), ACME_E_NOT_FOUND);
}

static void authorization_has_ended(void **state)
{
    struct fixture *f = *state;
    struct acme_order order = fixture_ready_order(f, fixture_account(f), "a.example.com");
    struct acme_job job = fixture_job(f, "lab");
    struct acme_issuance issuance = fixture_issuance(f, &order, "key1", "csr1");
    struct acme_authz authz;
    struct acme_order unused;
    enum acme_finalize_outcome outcome;
    assert_ok(acme_store_authz_get(f->store, f->arena, order.authz_ids[0], &authz));
    struct acme_finalize_rules rules = {.now_ms = authz.expires_ms};
    assert_code(acme_store_order_finalize(f->store, f->arena, &issuance, &job, &fixture_lease, &rules,
                                          &unused, &outcome, NULL),
                ACME_E_DENIED);
    assert_int_equal(order_of(f, order.id).status, ACME_ORDER_READY);
    rules.now_ms--;
    assert_ok(acme_store_order_finalize(f->store, f->arena, &issuance, &job, &fixture_lease, &rules, &unused,
                                        &outcome, NULL));
}

static void started(void **state)
{
    struct fixture *f = *state;
    struct acme_order order = fixture_ready_order(f, fixture_account(f), "a.example.com");
    struct outcome done = finalize(f, &order, "key1", "csr1", 0);
    assert_ok(done.err);
    assert_int_equal(done.outcome, ACME_FINALIZE_STARTED);
    assert_int_equal(done.order.status, ACME_ORDER_PROCESSING);
    assert_string_equal(done.order.csr_sha256, "csr1");
    assert_int_equal(done.order.authz_count, 1);

    struct acme_order got = order_of(f, order.id);
    assert_int_equal(got.status, ACME_ORDER_PROCESSING);
    assert_int_equal(got.finalized_ms, NOW + 10);
    assert_string_equal(got.csr_sha256, "csr1");
    assert_string_equal(got.issuance_id, done.issuance.id);
    assert_null(got.certificate_id);

    struct acme_issuance issuance;
    assert_ok(acme_store_issuance_get(f->store, f->arena, got.issuance_id, &issuance));
    assert_int_equal(issuance.status, ACME_ISSUANCE_PENDING);
    assert_string_equal(issuance.order_id, order.id);
    assert_string_equal(issuance.account_id, order.account_id);
    assert_string_equal(issuance.issuer, "lab");
    assert_string_equal(issuance.profile, "default");
    assert_string_equal(issuance.spki_sha256, "key1");
    assert_int_equal(issuance.csr.len, 3);
    assert_memory_equal(issuance.csr.data, "\x30\x00\x01", 3);
    assert_int_equal(issuance.identifier_count, 1);
    assert_string_equal(issuance.identifiers[0].value, "a.example.com");
    assert_int_equal(issuance.deadline_ms, NOW + 7 * (int64_t)DAY);
    assert_null(issuance.upstream_ref);
    assert_code(acme_store_issuance_get(f->store, f->arena, "none", &issuance), ACME_E_NOT_FOUND);

    struct acme_job *jobs = NULL;
    size_t count = 0;
    struct acme_lease later = {.owner = "later", .until_ms = NOW + 200000};
    assert_ok(acme_store_jobs_claim(f->store, f->arena, "lab", fixture_lease.until_ms, &later, 9,
                                    &(struct acme_turns){.last = ""}, &jobs, &count));
    assert_int_equal(count, 1);
    assert_int_equal(jobs[0].kind, ACME_JOB_ISSUE);
    assert_string_equal(jobs[0].subject_id, issuance.id);
}

static void not_ready(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct acme_order order = fixture_order(f, account, (const char *const[]){"a.example.com", NULL});
    struct outcome done = finalize(f, &order, "key1", "csr1", 0);
    assert_code(done.err, ACME_E_STATE);
    assert_string_equal(done.order.id, order.id);
    assert_int_equal(done.order.status, ACME_ORDER_PENDING);

    fixture_validate(f, order.authz_ids[0], "{\"e\":1}");
    done = finalize(f, &order, "key1", "csr1", 0);
    assert_code(done.err, ACME_E_STATE);
    assert_int_equal(done.order.status, ACME_ORDER_INVALID);
    assert_string_equal(done.order.error, "{\"e\":1}");

    order.id = "none";
    assert_code(finalize(f, &order, "key1", "csr1", 0).err, ACME_E_NOT_FOUND);
}

static void foreign_order_does_not_exist(void **state)
{
    struct fixture *f = *state;
    struct acme_order order = fixture_ready_order(f, fixture_account(f), "a.example.com");
    struct acme_order claimed = order;
    claimed.account_id = fixture_account(f);
    assert_code(finalize(f, &claimed, "key1", "csr1", 0).err, ACME_E_NOT_FOUND);
    assert_int_equal(order_of(f, order.id).status, ACME_ORDER_READY);
}

static void repeated(void **state)
{
    struct fixture *f = *state;
    struct acme_order order = fixture_ready_order(f, fixture_account(f), "a.example.com");
    struct outcome first = finalize(f, &order, "key1", "csr1", 0);
    struct outcome again = finalize(f, &order, "key1", "csr1", 0);
    assert_ok(again.err);
    assert_int_equal(again.outcome, ACME_FINALIZE_REPEATED);
    assert_int_equal(again.order.status, ACME_ORDER_PROCESSING);
    assert_string_equal(order_of(f, order.id).issuance_id, first.issuance.id);

    struct outcome other = finalize(f, &order, "key1", "csr2", 0);
    assert_code(other.err, ACME_E_STATE);
    assert_int_equal(other.order.status, ACME_ORDER_PROCESSING);

    struct acme_certificate certificate = fixture_certificate(f, order.account_id);
    assert_ok(
        acme_store_issuance_issued(f->store, first.issuance.id, first.job.id, "me", "17", &certificate));
    again = finalize(f, &order, "key1", "csr1", 0);
    assert_ok(again.err);
    assert_int_equal(again.outcome, ACME_FINALIZE_REPEATED);
    assert_int_equal(again.order.status, ACME_ORDER_VALID);
    assert_string_equal(again.order.certificate_id, certificate.id);
}

/* The profile points to another issuer now: what the old one does is of no use. */
static void another_issuer_is_not_joined(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct acme_order one = fixture_ready_order(f, account, "a.example.com");
    struct acme_order two = fixture_ready_order(f, account, "a.example.com");
    struct outcome first = finalize(f, &one, "key1", "csr1", 0);
    assert_int_equal(first.outcome, ACME_FINALIZE_STARTED);
    struct outcome second = {.job = fixture_job(f, "other"),
                             .issuance = fixture_issuance(f, &two, "key1", "csr2")};
    second.issuance.issuer = "other";
    assert_ok(
        acme_store_order_finalize(f->store, f->arena, &second.issuance, &second.job, &fixture_lease,
                                  &(struct acme_finalize_rules){.now_ms = NOW + 10, .adopt_since_ms = 0},
                                  &second.order, &second.outcome, NULL));
    assert_int_equal(second.outcome, ACME_FINALIZE_STARTED);
    assert_string_equal(second.order.issuance_id, second.issuance.id);
}

static void joined_and_issued_together(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct acme_order one = fixture_ready_order(f, account, "a.example.com");
    struct acme_order two = fixture_ready_order(f, account, "a.example.com");
    struct outcome first = finalize(f, &one, "key1", "csr1", 0);
    struct outcome second = finalize(f, &two, "key1", "csr2", 0);
    assert_ok(second.err);
    assert_int_equal(second.outcome, ACME_FINALIZE_JOINED);
    assert_string_equal(second.order.issuance_id, first.issuance.id);
    struct acme_issuance none;
    assert_code(acme_store_issuance_get(f->store, f->arena, second.issuance.id, &none), ACME_E_NOT_FOUND);

    const char **ids = NULL;
    size_t count = 0;
    assert_ok(acme_store_issuance_orders(f->store, f->arena, first.issuance.id, &ids, &count));
    assert_int_equal(count, 2);
    assert_string_equal(ids[0], one.id);
    assert_string_equal(ids[1], two.id);

    struct acme_certificate certificate = fixture_certificate(f, account);
    assert_code(
        acme_store_issuance_issued(f->store, first.issuance.id, first.job.id, "thief", "17", &certificate),
        ACME_E_STATE);
    assert_code(acme_store_certificate_get(f->store, f->arena, certificate.id, &certificate),
                ACME_E_NOT_FOUND);
    assert_ok(
        acme_store_issuance_issued(f->store, first.issuance.id, first.job.id, "me", "17", &certificate));
    for (size_t i = 0; i < 2; i++) {
        struct acme_order got = order_of(f, ids[i]);
        assert_int_equal(got.status, ACME_ORDER_VALID);
        assert_string_equal(got.certificate_id, certificate.id);
    }
    struct acme_issuance issuance;
    assert_ok(acme_store_issuance_get(f->store, f->arena, first.issuance.id, &issuance));
    assert_int_equal(issuance.status, ACME_ISSUANCE_ISSUED);
    assert_string_equal(issuance.upstream_ref, "17");
    assert_string_equal(issuance.certificate_id, certificate.id);
    int64_t next = -1;
    assert_ok(acme_store_jobs_next(f->store, "lab", 0, &next));
    assert_int_equal(next, 0);
    assert_code(
        acme_store_issuance_issued(f->store, first.issuance.id, first.job.id, "me", "17", &certificate),
        ACME_E_STATE);

    struct acme_certificate got;
    assert_ok(acme_store_certificate_get(f->store, f->arena, certificate.id, &got));
    assert_string_equal(got.issuance_id, first.issuance.id);
    assert_string_equal(got.account_id, account);
    assert_string_equal(got.issuer, "lab");
    assert_string_equal(got.chain, certificate.chain);
    assert_string_equal(got.serial_hex, "0102");
    assert_string_equal(got.aki_hex, "abcd");
    assert_string_equal(got.sha256_hex, "beef");
    assert_int_equal(got.not_after_ms, NOW + 90 * (int64_t)DAY);
    assert_int_equal(got.downloaded_ms, 0);
}

static void failed_together(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct acme_order one = fixture_ready_order(f, account, "a.example.com");
    struct acme_order two = fixture_ready_order(f, account, "a.example.com");
    struct outcome first = finalize(f, &one, "key1", "csr1", 0);
    (void)finalize(f, &two, "key1", "csr1", 0);
    assert_code(acme_store_issuance_failed(f->store, first.issuance.id, first.job.id, "thief", NULL, "{}"),
                ACME_E_STATE);
    assert_ok(acme_store_issuance_failed(f->store, first.issuance.id, first.job.id, "me", NULL, "{\"e\":1}"));
    const char *const ids[] = {one.id, two.id};
    for (size_t i = 0; i < 2; i++) {
        struct acme_order got = order_of(f, ids[i]);
        assert_int_equal(got.status, ACME_ORDER_INVALID);
        assert_string_equal(got.error, "{\"e\":1}");
    }
    struct acme_issuance issuance;
    assert_ok(acme_store_issuance_get(f->store, f->arena, first.issuance.id, &issuance));
    assert_int_equal(issuance.status, ACME_ISSUANCE_FAILED);
    assert_string_equal(issuance.error, "{\"e\":1}");

    /* a failure is not shared with orders that come later */
    struct acme_order three = fixture_ready_order(f, account, "a.example.com");
    assert_int_equal(finalize(f, &three, "key1", "csr1", 0).outcome, ACME_FINALIZE_STARTED);
}

static void adopted_until_downloaded(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct acme_order one = fixture_ready_order(f, account, "a.example.com");
    struct outcome first = finalize(f, &one, "key1", "csr1", 0);
    struct acme_certificate certificate = fixture_certificate(f, account);
    assert_ok(
        acme_store_issuance_issued(f->store, first.issuance.id, first.job.id, "me", NULL, &certificate));

    struct acme_order two = fixture_ready_order(f, account, "a.example.com");
    struct outcome adopted = finalize(f, &two, "key1", "csr2", NOW);
    assert_ok(adopted.err);
    assert_int_equal(adopted.outcome, ACME_FINALIZE_ADOPTED);
    assert_int_equal(adopted.order.status, ACME_ORDER_VALID);
    assert_string_equal(adopted.order.certificate_id, certificate.id);
    struct acme_order got = order_of(f, two.id);
    assert_int_equal(got.status, ACME_ORDER_VALID);
    assert_string_equal(got.certificate_id, certificate.id);
    assert_string_equal(got.csr_sha256, "csr2");

    struct acme_order old = fixture_ready_order(f, account, "a.example.com");
    assert_int_equal(finalize(f, &old, "key1", "csr3", certificate.created_ms + 1).outcome,
                     ACME_FINALIZE_STARTED);
}

static void downloaded_is_not_adopted(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct acme_order one = fixture_ready_order(f, account, "a.example.com");
    struct outcome first = finalize(f, &one, "key1", "csr1", 0);
    struct acme_certificate certificate = fixture_certificate(f, account);
    assert_ok(
        acme_store_issuance_issued(f->store, first.issuance.id, first.job.id, "me", NULL, &certificate));
    acme_store_certificate_downloaded(f->store, certificate.id, NOW + 20);
    acme_store_certificate_downloaded(f->store, certificate.id, NOW + 30);

    /* order is kept: the finalize below comes behind it */
    struct acme_order two = fixture_ready_order(f, account, "a.example.com");
    struct outcome second = finalize(f, &two, "key1", "csr2", 0);
    assert_int_equal(second.outcome, ACME_FINALIZE_STARTED);
    assert_ok(acme_store_certificate_get(f->store, f->arena, certificate.id, &certificate));
    assert_int_equal(certificate.downloaded_ms, NOW + 20);
}

static void expired_is_not_adopted(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct acme_order one = fixture_ready_order(f, account, "a.example.com");
    struct outcome first = finalize(f, &one, "key1", "csr1", 0);
    struct acme_certificate certificate = fixture_certificate(f, account);
    certificate.not_after_ms = NOW + 10;
    assert_ok(
        acme_store_issuance_issued(f->store, first.issuance.id, first.job.id, "me", NULL, &certificate));
    struct acme_order two = fixture_ready_order(f, account, "a.example.com");
    assert_int_equal(finalize(f, &two, "key1", "csr2", 0).outcome, ACME_FINALIZE_STARTED);
}

static void different_wishes_do_not_share(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    const char *other_account = fixture_account(f);
    struct acme_order one = fixture_ready_order(f, account, "a.example.com");
    struct acme_order key = fixture_ready_order(f, account, "a.example.com");
    struct acme_order name = fixture_ready_order(f, account, "b.example.com");
    struct acme_order foreign = fixture_ready_order(f, other_account, "a.example.com");
    assert_int_equal(finalize(f, &one, "key1", "csr1", 0).outcome, ACME_FINALIZE_STARTED);
    assert_int_equal(finalize(f, &key, "key2", "csr2", 0).outcome, ACME_FINALIZE_STARTED);
    assert_int_equal(finalize(f, &name, "key1", "csr3", 0).outcome, ACME_FINALIZE_STARTED);
    assert_int_equal(finalize(f, &foreign, "key1", "csr1", 0).outcome, ACME_FINALIZE_STARTED);

    struct acme_identifier identifier = {.type = ACME_IDENTIFIER_DNS, .value = "a.example.com"};
    struct acme_authz authz = fixture_authz(f, "a.example.com", false, 1);
    struct acme_order wanted = {.id = fixture_id(f),
                                .account_id = account,
                                .profile = "public-ov",
                                .identifiers = &identifier,
                                .identifier_count = 1,
                                .expires_ms = NOW + DAY};
    struct acme_order profile;
    assert_ok(acme_store_order_create(f->store, f->arena, &wanted, &authz, NOW, NOW, &profile));
    assert_int_equal(finalize(f, &profile, "key1", "csr1", 0).outcome, ACME_FINALIZE_STARTED);
}

static void persists(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct acme_order one = fixture_ready_order(f, account, "a.example.com");
    struct outcome first = finalize(f, &one, "key1", "csr1", 0);
    fixture_reopen(f);
    struct acme_certificate certificate = fixture_certificate(f, account);
    assert_ok(
        acme_store_issuance_issued(f->store, first.issuance.id, first.job.id, "me", NULL, &certificate));
    acme_store_certificate_downloaded(f->store, certificate.id, NOW + 20);
    fixture_reopen(f); /* closing does what is queued, also what nobody waits for */
    assert_ok(acme_store_certificate_get(f->store, f->arena, certificate.id, &certificate));
    assert_int_equal(certificate.downloaded_ms, NOW + 20);
    assert_int_equal(order_of(f, one.id).status, ACME_ORDER_VALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(authorization_has_ended, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(issued_in_one_step, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(what_is_under_way_comes_first, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(started, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(not_ready, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(foreign_order_does_not_exist, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(repeated, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(joined_and_issued_together, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(another_issuer_is_not_joined, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(failed_together, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(adopted_until_downloaded, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(downloaded_is_not_adopted, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(expired_is_not_adopted, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(different_wishes_do_not_share, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(persists, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
