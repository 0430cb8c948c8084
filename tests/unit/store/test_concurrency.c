/* Many threads on one store. */
#include "fixture.h"

#include <pthread.h>
#include <stdio.h>

enum { THREADS = 8, WRITES = 200 };

struct worker {
    struct fixture *f;
    pthread_t thread;
    int number;
    int failures;
    int created;
    char account_id[32];
};

static void run_all(struct fixture *f, struct worker workers[THREADS], void *(*body)(void *))
{
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.f = f, .number = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, body, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        assert_int_equal(workers[i].failures, 0);
    }
}

/* Each write is read back at once (a reader sees what has been answered) and once more after a restart. */
static void *write_values(void *arg)
{
    struct worker *worker = arg;
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(1 << 20);
    for (int i = 0; i < WRITES; i++) {
        char name[32];
        struct acme_bytes got = {.data = NULL};
        (void)snprintf(name, sizeof name, "v-%d-%d", worker->number, i);
        struct acme_bytes value = {.data = (const uint8_t *)name, .len = strlen(name)};
        if (acme_failed(acme_store_value_set(worker->f->store, name, value)) ||
            acme_failed(acme_store_value_get(worker->f->store, arena, name, &got)) || got.len != value.len ||
            memcmp(got.data, name, got.len) != 0)
            worker->failures++;
    }
    return NULL;
}

static void all_writes_are_durable(void **state)
{
    struct fixture *f = *state;
    struct worker workers[THREADS];
    run_all(f, workers, write_values);
    fixture_reopen(f);
    for (int t = 0; t < THREADS; t++) {
        for (int i = 0; i < WRITES; i++) {
            char name[32];
            struct acme_bytes got;
            (void)snprintf(name, sizeof name, "v-%d-%d", t, i);
            assert_ok(acme_store_value_get(f->store, f->arena, name, &got));
            assert_int_equal(got.len, strlen(name));
        }
    }
}

static void *register_same_key(void *arg)
{
    struct worker *worker = arg;
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(1 << 20);
    char id[32];
    (void)snprintf(id, sizeof id, "account-%d", worker->number);
    struct acme_account account = {
        .id = id, .thumbprint = "the same", .jwk = "{}", .contacts = "[]", .created_ms = NOW};
    struct acme_account made;
    bool created = false;
    if (acme_failed(acme_store_account_create(worker->f->store, arena, &account, &made, &created))) {
        worker->failures++;
        return NULL;
    }
    worker->created = created;
    (void)snprintf(worker->account_id, sizeof worker->account_id, "%s", made.id);
    return NULL;
}

static void racing_registrations_make_one_account(void **state)
{
    struct fixture *f = *state;
    struct worker workers[THREADS];
    int created = 0;
    run_all(f, workers, register_same_key);
    for (int i = 0; i < THREADS; i++) {
        created += workers[i].created;
        assert_string_equal(workers[i].account_id, workers[0].account_id);
    }
    assert_int_equal(created, 1);
}

/* Claims until nothing is left; each job must fall to one thread only. */
static void *claim_jobs(void *arg)
{
    struct worker *worker = arg;
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(1 << 20);
    char owner[16];
    size_t count = 0;
    (void)snprintf(owner, sizeof owner, "w%d", worker->number);
    struct acme_lease lease = {.owner = owner, .until_ms = NOW + DAY};
    do {
        struct acme_job *jobs = NULL;
        if (acme_failed(acme_store_jobs_claim(worker->f->store, arena, "q", NOW, &lease, 3,
                                              &(struct acme_turns){.last = ""}, &jobs, &count))) {
            worker->failures++;
            break;
        }
        worker->created += (int)count;
    } while (count > 0);
    return NULL;
}

static void each_job_has_one_owner(void **state)
{
    struct fixture *f = *state;
    struct worker workers[THREADS];
    const char *account = fixture_account(f);
    int claimed = 0;
    for (int i = 0; i < 50; i++) {
        struct acme_order order = fixture_order(f, account, (const char *const[]){"a.example.com", NULL});
        struct acme_authz authz;
        assert_ok(acme_store_authz_get(f->store, f->arena, order.authz_ids[0], &authz));
        struct acme_job job = fixture_job(f, "q");
        assert_ok(acme_store_challenge_start(f->store, authz.challenges[0].id, &job, &fixture_lease, NOW));
        assert_ok(acme_store_job_wait(f->store, job.id, "me", NULL, NOW, 0, NULL));
    }
    run_all(f, workers, claim_jobs);
    for (int i = 0; i < THREADS; i++)
        claimed += workers[i].created;
    assert_int_equal(claimed, 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_writes_are_durable, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(racing_registrations_make_one_account, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(each_job_has_one_owner, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
