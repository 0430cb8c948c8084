/* Nonces: used once whatever happens, remembered within the window, saved and restored, not to be forged. */
#include "cmocka_all.h"
#include "protocol/nonces.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

static const struct acme_bytes nothing = {.data = NULL};

static struct acme_nonces *make(void)
{
    struct acme_nonces *nonces = NULL;
    assert_int_equal(acme_nonces_create(nothing, &nonces).code, ACME_OK);
    return nonces;
}

static void issue(struct acme_nonces *nonces, char out[ACME_NONCE_SIZE])
{
    assert_int_equal(acme_nonces_issue(nonces, out).code, ACME_OK);
}

static void test_single_use(void **state)
{
    (void)state;
    struct acme_nonces *nonces = make();
    char first[ACME_NONCE_SIZE];
    char second[ACME_NONCE_SIZE];
    issue(nonces, first);
    issue(nonces, second);
    assert_int_equal(strlen(first), ACME_NONCE_SIZE - 1);
    assert_int_equal(strspn(first, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
                     ACME_NONCE_SIZE - 1);
    assert_string_not_equal(first, second);
    assert_true(acme_nonces_use(nonces, second));
    assert_true(acme_nonces_use(nonces, first));
    assert_false(acme_nonces_use(nonces, first));
    assert_false(acme_nonces_use(nonces, second));
    acme_nonces_destroy(nonces);
}

static void test_every_changed_character_is_noticed(void **state)
{
    (void)state;
    struct acme_nonces *nonces = make();
    char good[ACME_NONCE_SIZE];
    issue(nonces, good);
    for (size_t i = 0; i < ACME_NONCE_SIZE - 1; i++) {
        char bad[ACME_NONCE_SIZE];
        memcpy(bad, good, sizeof bad);
        bad[i] = good[i] == 'A' ? 'B' : 'A';
        assert_false(acme_nonces_use(nonces, bad));
        bad[i] = '=';
        assert_false(acme_nonces_use(nonces, bad));
        bad[i] = '\0';
        assert_false(acme_nonces_use(nonces, bad));
    }
    char longer[ACME_NONCE_SIZE + 1];
    memcpy(longer, good, ACME_NONCE_SIZE - 1);
    memcpy(longer + ACME_NONCE_SIZE - 1, "A", 2);
    assert_false(acme_nonces_use(nonces, longer));
    assert_false(acme_nonces_use(nonces, ""));
    assert_true(acme_nonces_use(nonces, good));
    acme_nonces_destroy(nonces);
}

static void test_foreign_nonces(void **state)
{
    (void)state;
    struct acme_nonces *ours = make();
    struct acme_nonces *theirs = make();
    char nonce[ACME_NONCE_SIZE];
    char own[ACME_NONCE_SIZE];
    issue(theirs, nonce);
    issue(ours, own);
    assert_false(acme_nonces_use(ours, nonce));
    memcpy(nonce, own, 12); /* the epoch is 9 octets */
    assert_false(acme_nonces_use(ours, nonce));
    acme_nonces_destroy(ours);
    acme_nonces_destroy(theirs);
}

static void test_window_slides(void **state)
{
    (void)state;
    struct acme_nonces *nonces = make();
    char used[ACME_NONCE_SIZE];
    char oldest[ACME_NONCE_SIZE];
    char next_oldest[ACME_NONCE_SIZE];
    char other[ACME_NONCE_SIZE];
    issue(nonces, used);
    issue(nonces, oldest);
    issue(nonces, next_oldest);
    assert_true(acme_nonces_use(nonces, used));
    for (int i = 0; i < ACME_NONCE_WINDOW - 2; i++)
        issue(nonces, other);
    assert_false(acme_nonces_use(nonces, used)); /* forgotten, not free again */
    assert_true(acme_nonces_use(nonces, oldest));
    issue(nonces, other); /* takes the place of `oldest` */
    assert_false(acme_nonces_use(nonces, oldest));
    issue(nonces, other);
    assert_false(acme_nonces_use(nonces, next_oldest)); /* never used, but out of the window */
    assert_true(acme_nonces_use(nonces, other));
    assert_false(acme_nonces_use(nonces, other));
    acme_nonces_destroy(nonces);
}

static void test_save_and_restore(void **state)
{
    (void)state;
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(4 * 1024 * 1024);
    struct acme_nonces *before = make();
    char used[ACME_NONCE_SIZE];
    char unused[ACME_NONCE_SIZE];
    issue(before, used);
    issue(before, unused);
    assert_true(acme_nonces_use(before, used));
    struct acme_bytes saved;
    assert_int_equal(acme_nonces_save(before, arena, &saved).code, ACME_OK);
    acme_nonces_destroy(before);

    struct acme_nonces *after = NULL;
    assert_int_equal(acme_nonces_create(saved, &after).code, ACME_OK);
    char fresh[ACME_NONCE_SIZE];
    issue(after, fresh);
    assert_string_not_equal(fresh, used);
    assert_string_not_equal(fresh, unused);
    assert_false(acme_nonces_use(after, used));
    assert_true(acme_nonces_use(after, unused));
    assert_false(acme_nonces_use(after, unused));
    assert_true(acme_nonces_use(after, fresh));
    acme_nonces_destroy(after);

    after = NULL;
    struct acme_bytes cut = {.data = saved.data, .len = saved.len - 1};
    assert_int_equal(acme_nonces_create(cut, &after).code, ACME_E_FORMAT);
    cut.len = 3;
    assert_int_equal(acme_nonces_create(cut, &after).code, ACME_E_FORMAT);
    uint8_t *damaged = acme_arena_memdup(arena, saved.data, saved.len);
    damaged[0] ^= 1;
    cut = (struct acme_bytes){.data = damaged, .len = saved.len};
    assert_int_equal(acme_nonces_create(cut, &after).code, ACME_E_FORMAT);
    assert_null(after);
}

static void test_full_window_is_saved(void **state)
{
    (void)state;
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(4 * 1024 * 1024);
    struct acme_nonces *nonces = make();
    char nonce[ACME_NONCE_SIZE];
    for (int i = 0; i < ACME_NONCE_WINDOW + 3; i++)
        issue(nonces, nonce);
    assert_true(acme_nonces_use(nonces, nonce));
    struct acme_bytes saved;
    assert_int_equal(acme_nonces_save(nonces, arena, &saved).code, ACME_OK);
    acme_nonces_destroy(nonces);
    assert_in_range(saved.len, ACME_NONCE_WINDOW / 8, ACME_NONCE_WINDOW / 8 + 128);
    assert_int_equal(acme_nonces_create(saved, &nonces).code, ACME_OK);
    assert_false(acme_nonces_use(nonces, nonce));
    acme_nonces_destroy(nonces);
}

enum { THREADS = 8, SHARED = 2000 };

struct race {
    struct acme_nonces *nonces;
    char shared[SHARED][ACME_NONCE_SIZE];
    atomic_int wins;
    atomic_int own;
    pthread_barrier_t start;
};

static void *race_thread(void *arg)
{
    struct race *race = arg;
    pthread_barrier_wait(&race->start);
    for (int i = 0; i < SHARED; i++) {
        if (acme_nonces_use(race->nonces, race->shared[i]))
            atomic_fetch_add(&race->wins, 1);
        char mine[ACME_NONCE_SIZE];
        if (!acme_failed(acme_nonces_issue(race->nonces, mine)) && acme_nonces_use(race->nonces, mine))
            atomic_fetch_add(&race->own, 1);
    }
    return NULL;
}

static void test_single_use_among_threads(void **state)
{
    (void)state;
    static struct race race;
    race.nonces = make();
    for (int i = 0; i < SHARED; i++)
        issue(race.nonces, race.shared[i]);
    pthread_barrier_init(&race.start, NULL, THREADS);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, race_thread, &race), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&race.wins), SHARED);
    assert_int_equal(atomic_load(&race.own), THREADS * SHARED);
    pthread_barrier_destroy(&race.start);
    acme_nonces_destroy(race.nonces);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single_use),
        cmocka_unit_test(test_every_changed_character_is_noticed),
        cmocka_unit_test(test_foreign_nonces),
        cmocka_unit_test(test_window_slides),
        cmocka_unit_test(test_save_and_restore),
        cmocka_unit_test(test_full_window_is_saved),
        cmocka_unit_test(test_single_use_among_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
