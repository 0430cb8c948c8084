/* store/deployments.c: made with the certificate, superseded, in line, remembered, retried, swept. */
#include "fixture.h"

static struct acme_deployment candidate(struct fixture *f, const char *deployer, bool one_target)
{
    return (struct acme_deployment){.id = fixture_id(f),
                                    .job_id = fixture_id(f),
                                    .deployer = deployer,
                                    .queue = acme_arena_printf(f->arena, ACME_DEPLOY_QUEUE "%s", deployer),
                                    .one_target = one_target,
                                    .deadline_ms = NOW + DAY};
}

/* A certificate for `name` with one deployment. */
static struct acme_deployment deploy(struct fixture *f, const char *account, const char *name,
                                     const char *deployer, bool one_target)
{
    struct acme_order order = fixture_ready_order(f, account, name);
    const char *key = fixture_id(f);
    struct acme_issuance issuance = fixture_issuance(f, &order, key, key);
    struct acme_job job = fixture_job(f, "lab");
    enum acme_finalize_outcome outcome;
    assert_ok(acme_store_order_finalize(f->store, f->arena, &issuance, &job, &fixture_lease,
                                        &(struct acme_finalize_rules){.now_ms = NOW}, &order, &outcome,
                                        NULL));
    struct acme_deployment made = candidate(f, deployer, one_target);
    struct acme_certificate certificate = fixture_certificate(f, account);
    certificate.issuance_id = issuance.id;
    certificate.deployments = &made;
    certificate.deployment_count = 1;
    assert_ok(acme_store_issuance_issued(f->store, issuance.id, job.id, "me", NULL, &certificate));
    assert_ok(acme_store_deployment_get(f->store, f->arena, made.id, &made));
    assert_int_equal(made.status, ACME_DEPLOYMENT_PENDING);
    return made;
}

static enum acme_deployment_status status_of(struct fixture *f, const struct acme_deployment *deployment)
{
    struct acme_deployment now;
    assert_ok(acme_store_deployment_get(f->store, f->arena, deployment->id, &now));
    return now.status;
}

/* Lease what is due; returns how many. */
static size_t claim(struct fixture *f, const char *queue, int64_t now_ms, struct acme_job **ret)
{
    size_t count = 0;
    const struct acme_lease lease = {.owner = "me", .until_ms = now_ms + 60000};
    assert_ok(acme_store_jobs_claim(f->store, f->arena, queue, now_ms, &lease, 10,
                                    &(struct acme_turns){.last = ""}, ret, &count));
    return count;
}

static void end(struct fixture *f, const struct acme_deployment *deployment,
                enum acme_deployment_status status)
{
    assert_ok(acme_store_deployment_end(f->store, deployment->id, deployment->job_id, "me", NOW + 9, status,
                                        status == ACME_DEPLOYMENT_FAILED ? "{\"detail\":\"no\"}" : NULL));
}

static void made_with_the_certificate(void **state)
{
    struct fixture *f = *state;
    struct acme_deployment made = deploy(f, fixture_account(f), "a.example.com", "web", false);
    struct acme_job *jobs = NULL;
    fixture_reopen(f);
    assert_string_equal(made.deployer, "web");
    assert_string_equal(made.profile, "default");
    assert_int_equal(made.deadline_ms, NOW + DAY);
    assert_int_equal(claim(f, ACME_DEPLOY_QUEUE "web", NOW, &jobs), 1);
    assert_int_equal(jobs[0].kind, ACME_JOB_DEPLOY);
    assert_string_equal(jobs[0].subject_id, made.id);
    assert_code(acme_store_deployment_end(f->store, made.id, made.job_id, "stranger", NOW,
                                          ACME_DEPLOYMENT_DEPLOYED, NULL),
                ACME_E_STATE);
    end(f, &made, ACME_DEPLOYMENT_DEPLOYED);
    struct acme_deployment *list = NULL;
    size_t count = 0;
    assert_ok(acme_store_deployments_of(f->store, f->arena, made.certificate_id, &list, &count));
    assert_int_equal(count, 1);
    assert_true(list[0].in_place);
    assert_int_equal(list[0].ended_ms, NOW + 9);
    assert_int_equal(claim(f, ACME_DEPLOY_QUEUE "web", NOW + DAY, &jobs), 0);
}

static void newer_ones_supersede(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct acme_deployment first = deploy(f, account, "a.example.com", "web", false);
    struct acme_deployment other = deploy(f, account, "b.example.com", "web", false);
    struct acme_deployment mail = deploy(f, account, "a.example.com", "mail", false);
    struct acme_deployment second = deploy(f, account, "a.example.com", "web", false);
    struct acme_job *jobs = NULL;
    assert_int_equal(status_of(f, &first), ACME_DEPLOYMENT_SUPERSEDED);
    assert_int_equal(status_of(f, &other), ACME_DEPLOYMENT_PENDING);
    assert_int_equal(status_of(f, &mail), ACME_DEPLOYMENT_PENDING);
    assert_int_equal(claim(f, ACME_DEPLOY_QUEUE "web", NOW, &jobs), 2);
    end(f, &other, ACME_DEPLOYMENT_DEPLOYED);
    end(f, &second, ACME_DEPLOYMENT_DEPLOYED);
    /* What was in place until then is not any more. */
    struct acme_deployment third = deploy(f, account, "a.example.com", "web", false);
    assert_int_equal(claim(f, ACME_DEPLOY_QUEUE "web", NOW, &jobs), 1);
    assert_ok(acme_store_deployment_get(f->store, f->arena, second.id, &second));
    assert_true(second.in_place);
    end(f, &third, ACME_DEPLOYMENT_DEPLOYED);
    assert_ok(acme_store_deployment_get(f->store, f->arena, second.id, &second));
    assert_false(second.in_place);
}

static void one_target_is_one_place(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct acme_deployment first = deploy(f, account, "a.example.com", "elb", true);
    struct acme_deployment second = deploy(f, account, "b.example.com", "elb", true);
    const char *target = "";
    assert_int_equal(status_of(f, &first), ACME_DEPLOYMENT_SUPERSEDED);
    assert_ok(acme_store_deploy_target(f->store, f->arena, "elb", second.place, &target));
    assert_null(target);
    assert_ok(acme_store_deployment_target(f->store, second.id, "object-1"));
    assert_ok(acme_store_deployment_target(f->store, second.id, "object-2"));
    struct acme_deployment third = deploy(f, account, "c.example.com", "elb", true);
    assert_ok(acme_store_deploy_target(f->store, f->arena, "elb", third.place, &target));
    assert_string_equal(target, "object-2");
    assert_ok(acme_store_deployment_get(f->store, f->arena, second.id, &second));
    assert_string_equal(second.target, "object-2");
    assert_null(third.target);
}

static void what_is_under_way_comes_first(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct acme_deployment first = deploy(f, account, "a.example.com", "web", false);
    struct acme_job *jobs = NULL;
    const char *before = NULL;
    const struct acme_lease lease = {.owner = "me", .until_ms = NOW + 60000};
    assert_int_equal(claim(f, ACME_DEPLOY_QUEUE "web", NOW, &jobs), 1);
    struct acme_deployment second = deploy(f, account, "a.example.com", "web", false);
    assert_int_equal(status_of(f, &first), ACME_DEPLOYMENT_SUPERSEDED);
    assert_ok(acme_store_deployment_behind(f->store, f->arena, second.id, &before));
    assert_string_equal(before, first.id);
    assert_ok(acme_store_deployment_behind(f->store, f->arena, first.id, &before));
    assert_null(before);
    /* The same when the process dies in a run whose end is not known then. */
    assert_ok(acme_store_job_save(f->store, first.job_id, &lease, "{}", true, NULL));
    fixture_reopen(f);
    size_t recovered = 0;
    assert_ok(acme_store_jobs_recover(f->store, &recovered));
    assert_ok(acme_store_deployment_behind(f->store, f->arena, second.id, &before));
    assert_string_equal(before, first.id);
    struct acme_deployment third = deploy(f, account, "a.example.com", "web", false);
    assert_int_equal(status_of(f, &second), ACME_DEPLOYMENT_SUPERSEDED);
    assert_int_equal(claim(f, ACME_DEPLOY_QUEUE "web", NOW, &jobs), 2);
    /* It got there, and stays in place if what supersedes it fails. */
    end(f, &first, ACME_DEPLOYMENT_DEPLOYED);
    assert_ok(acme_store_deployment_behind(f->store, f->arena, third.id, &before));
    assert_null(before);
    end(f, &third, ACME_DEPLOYMENT_FAILED);
    assert_ok(acme_store_deployment_get(f->store, f->arena, first.id, &first));
    assert_int_equal(first.status, ACME_DEPLOYMENT_DEPLOYED);
    assert_true(first.in_place);
}

static void retries(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct acme_deployment first = deploy(f, account, "a.example.com", "web", false);
    struct acme_deployment again = candidate(f, "web", false);
    struct acme_job *jobs = NULL;
    again.id = first.id;
    again.deadline_ms = NOW + 2 * (int64_t)DAY;
    assert_int_equal(claim(f, ACME_DEPLOY_QUEUE "web", NOW, &jobs), 1);
    assert_ok(acme_store_job_wait(f->store, first.job_id, "me", "{}", NOW + DAY, 1, NULL));
    assert_int_equal(claim(f, ACME_DEPLOY_QUEUE "web", NOW, &jobs), 0);
    assert_ok(acme_store_deployment_retry(f->store, f->arena, &again, NOW)); /* pending: at once */
    assert_int_equal(claim(f, ACME_DEPLOY_QUEUE "web", NOW, &jobs), 1);
    assert_int_equal(jobs[0].attempts, 1);
    end(f, &first, ACME_DEPLOYMENT_FAILED);
    assert_ok(acme_store_deployment_get(f->store, f->arena, first.id, &first));
    assert_string_equal(first.error, "{\"detail\":\"no\"}");
    assert_ok(acme_store_deployment_retry(f->store, f->arena, &again, NOW));
    assert_ok(acme_store_deployment_get(f->store, f->arena, first.id, &first));
    assert_int_equal(first.status, ACME_DEPLOYMENT_PENDING);
    assert_int_equal(first.deadline_ms, again.deadline_ms);
    assert_string_equal(first.job_id, again.job_id);
    assert_null(first.error);
    assert_int_equal(claim(f, ACME_DEPLOY_QUEUE "web", NOW, &jobs), 1);
    assert_int_equal(jobs[0].attempts, 0);
    end(f, &first, ACME_DEPLOYMENT_FAILED);
    struct acme_deployment second = deploy(f, account, "a.example.com", "web", false);
    assert_code(acme_store_deployment_retry(f->store, f->arena, &again, NOW), ACME_E_CONFLICT);
    assert_int_equal(claim(f, ACME_DEPLOY_QUEUE "web", NOW, &jobs), 1);
    end(f, &second, ACME_DEPLOYMENT_DEPLOYED);
    again.id = second.id;
    assert_code(acme_store_deployment_retry(f->store, f->arena, &again, NOW), ACME_E_STATE);
    again.id = fixture_id(f);
    assert_code(acme_store_deployment_retry(f->store, f->arena, &again, NOW), ACME_E_NOT_FOUND);
}

static void lists(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct acme_deployment web = deploy(f, account, "a.example.com", "web", false);
    struct acme_deployment mail = deploy(f, account, "a.example.com", "mail", false);
    struct acme_deployment *list = NULL;
    size_t count = 0;
    struct acme_deployment_filter filter = {.deployer = NULL};
    assert_ok(acme_store_deployments_newest(f->store, f->arena, &filter, 10, &list, &count));
    assert_int_equal(count, 2);
    assert_string_equal(list[0].id, mail.id);
    filter.deployer = "web";
    assert_ok(acme_store_deployments_newest(f->store, f->arena, &filter, 10, &list, &count));
    assert_int_equal(count, 1);
    assert_string_equal(list[0].id, web.id);
    filter.status = "deployed";
    assert_ok(acme_store_deployments_newest(f->store, f->arena, &filter, 10, &list, &count));
    assert_int_equal(count, 0);
    for (int i = 0; i < 20; i++)
        (void)deploy(f, account, "b.example.com", "many", false);
    filter = (struct acme_deployment_filter){.deployer = "many", .status = "superseded"};
    assert_ok(acme_store_deployments_newest(f->store, f->arena, &filter, 100, &list, &count));
    assert_int_equal(count, 19);
}

static void swept_with_the_certificate(void **state)
{
    struct fixture *f = *state;
    struct acme_deployment made = deploy(f, fixture_account(f), "a.example.com", "web", false);
    struct acme_sweep sweep = {.ended_before_ms = acme_clock_now_ms(&acme_clock_system) + DAY, .batch = 10};
    while (sweep.stage < ACME_SWEEP_STAGES)
        assert_ok(acme_store_sweep(f->store, &sweep));
    struct acme_job *jobs = NULL;
    assert_int_equal(sweep.removed[ACME_SWEEP_CERTIFICATES], 1);
    assert_code(acme_store_deployment_get(f->store, f->arena, made.id, &made), ACME_E_NOT_FOUND);
    assert_int_equal(claim(f, ACME_DEPLOY_QUEUE "web", NOW + DAY, &jobs), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(made_with_the_certificate),
        TEST(newer_ones_supersede),
        TEST(one_target_is_one_place),
        TEST(what_is_under_way_comes_first),
        TEST(retries),
        TEST(lists),
        TEST(swept_with_the_certificate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
