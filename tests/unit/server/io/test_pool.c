#include "cmocka_all.h"
#include "server/pool.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

static void count_up(void *task)
{
    atomic_fetch_add((atomic_int *)task, 1);
}

static void test_runs_everything(void **state)
{
    (void)state;
    struct acme_pool *pool = NULL;
    atomic_int count = 0;
    assert_false(acme_failed(acme_pool_create("worker", 4, 4, 100, &pool)));
    int accepted = 0;
    while (accepted < 10000)
        if (!acme_failed(acme_pool_submit(pool, count_up, &count)))
            accepted++;
    acme_pool_destroy(pool); /* finishes what is queued */
    assert_int_equal(atomic_load(&count), 10000);
}

struct gate {
    sem_t entered;
    sem_t open;
};

static void wait_at_gate(void *task)
{
    struct gate *gate = task;
    sem_post(&gate->entered);
    sem_wait(&gate->open);
}

static void test_queue_is_bounded(void **state)
{
    (void)state;
    struct acme_pool *pool = NULL;
    struct gate gate;
    atomic_int count = 0;
    sem_init(&gate.entered, 0, 0);
    sem_init(&gate.open, 0, 0);
    assert_false(acme_failed(acme_pool_create("a name that is too long for a thread", 1, 1, 2, &pool)));
    assert_false(acme_failed(acme_pool_submit(pool, wait_at_gate, &gate)));
    sem_wait(&gate.entered); /* the only worker is busy */
    assert_false(acme_failed(acme_pool_submit(pool, count_up, &count)));
    assert_false(acme_failed(acme_pool_submit(pool, count_up, &count)));
    assert_int_equal(acme_pool_submit(pool, count_up, &count).code, ACME_E_BUSY);
    sem_post(&gate.open);
    acme_pool_destroy(pool);
    assert_int_equal(atomic_load(&count), 2);
    sem_destroy(&gate.entered);
    sem_destroy(&gate.open);
    acme_pool_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs_everything),
        cmocka_unit_test(test_queue_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
