/* server/upstream_watch.c: keys that an upstream has made, and orders that need one of them. */
#include "server/upstream_watch.h"

#include "cmocka_all.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct rig {
    struct acme_issuer issuer; /* first */
    struct acme_issuer *issuers[1];
    struct acme_profile profiles[2]; /* "client" and "edge" */
    struct acme_config config;
    struct acme_outbound *outbound;
    struct acme_upstream_watch *watch;
    struct acme_arena *arena;
    atomic_int key_looks;
    atomic_int other_looks;
    atomic_bool unreadable;
};

static const uint8_t made[ACME_SHA256_SIZE] = {1, 2, 3};
static const uint8_t foreign[ACME_SHA256_SIZE] = {4, 5, 6};

/* Nothing is called: the answer is there at once. */
static struct acme_err inspect(const struct acme_backend *backend, struct acme_arena *arena,
                               const struct acme_inspect_request *request, struct acme_inspection *inspection,
                               const struct acme_step_input *input, struct acme_inspect_step *ret)
{
    struct rig *r = (struct rig *)(uintptr_t)backend;
    (void)input;
    ret->done = true;
    if (!request->keys_only) {
        r->other_looks++;
        return acme_ok();
    }
    struct acme_upstream_key *key = acme_arena_alloc(arena, sizeof *key);
    ENSURE(key != NULL, ACME_E_NOMEM);
    key->profile = "client";
    memcpy(key->spki_sha256, made, sizeof made);
    inspection->keys = key;
    inspection->key_count = 1;
    inspection->keys_known = !r->unreadable;
    r->key_looks++;
    return acme_ok();
}

static int setup(void **state)
{
    struct rig *r = calloc(1, sizeof *r);
    assert_non_null(r);
    static const struct acme_address_policy policy;
    static struct acme_issuer_config issuer_config = {.name = "cps"};
    r->issuer.backend = (struct acme_backend){.name = "cps", .inspect = inspect};
    r->issuer.needs_keys = true;
    r->issuers[0] = &r->issuer;
    r->profiles[0] = (struct acme_profile){.name = "client", .issuer = "cps"};
    r->profiles[1] = (struct acme_profile){.name = "edge", .issuer = "cps", .key_at_edge = true};
    r->config = (struct acme_config){
        .issuers = &issuer_config, .issuer_count = 1, .profiles = r->profiles, .profile_count = 2};
    r->arena = acme_arena_create(1024 * 1024);
    assert_non_null(r->arena);
    const struct acme_outbound_options outbound = {.policy = &policy, .max_fetches = 1};
    assert_int_equal(acme_outbound_start(&outbound, &r->outbound).code, ACME_OK);
    *state = r;
    return 0;
}

static void start(struct rig *r)
{
    const struct acme_upstream_watch_options options = {
        .config = &r->config, .outbound = r->outbound, .issuers = r->issuers};
    assert_int_equal(acme_upstream_watch_start(&options, &r->watch).code, ACME_OK);
}

static int teardown(void **state)
{
    struct rig *r = *state;
    acme_upstream_watch_stop(r->watch);
    acme_outbound_stop(r->outbound);
    acme_upstream_watch_destroy(r->watch);
    acme_arena_destroy(r->arena);
    free(r);
    return 0;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* Wait until the keys have been looked at so often, and what was found is known. */
static void wait_looks(struct rig *r, int count)
{
    for (int i = 0; i < 500 && r->key_looks < count; i++)
        pause_ms(10);
    assert_int_equal(r->key_looks, count);
    pause_ms(50);
}

static bool allows(struct rig *r, size_t profile, const uint8_t *spki, int64_t order_created_ms,
                   const char **ret_why)
{
    *ret_why = NULL;
    return acme_upstream_watch_allows_key(r->watch, r->arena, &r->profiles[profile], spki, order_created_ms,
                                          ret_why);
}

static void a_miss_is_refused(void **state)
{
    struct rig *r = *state;
    const char *why = NULL;
    start(r);
    int64_t created_ms = acme_clock_now_ms(&acme_clock_system);
    assert_true(allows(r, 0, foreign, created_ms, &why)); /* nothing is known: the issuer decides */
    acme_upstream_watch_want_keys(r->watch, "cps");
    wait_looks(r, 1);
    assert_true(allows(r, 0, made, created_ms, &why));
    assert_true(allows(r, 1, foreign, created_ms, &why)); /* its key stays at the edge */
    assert_false(allows(r, 0, foreign, created_ms, &why));
    assert_non_null(strstr(why, "key_holder: edge"));
    assert_non_null(strstr(why, "\"client\""));

    /* an order that is younger than the list: perhaps the upstream has made a key since */
    assert_true(allows(r, 0, foreign, acme_clock_now_ms(&acme_clock_system) + 1000, &why));
    /* and a crowd of orders does not make a crowd of looks */
    for (int i = 0; i < 100; i++)
        acme_upstream_watch_want_keys(r->watch, "cps");
    pause_ms(200);
    assert_int_equal(r->key_looks, 1);
}

static void a_list_that_cannot_be_read(void **state)
{
    struct rig *r = *state;
    const char *why = NULL;
    r->unreadable = true;
    start(r);
    int64_t created_ms = acme_clock_now_ms(&acme_clock_system);
    acme_upstream_watch_want_keys(r->watch, "cps");
    wait_looks(r, 1);
    assert_true(allows(r, 0, foreign, created_ms, &why));
}

static void looks_keep_to_half_of_the_pace(void **state)
{
    (void)state;
    assert_int_equal(acme_upstream_watch_keys_pause_ms(1, 0), 10000);
    assert_int_equal(acme_upstream_watch_keys_pause_ms(1, 35), 10000);
    assert_int_equal(acme_upstream_watch_keys_pause_ms(7, 35), 48000); /* 14 calls of 17.5 a minute */
    assert_int_equal(acme_upstream_watch_keys_pause_ms(1, 1), 240000);
}

static void other_issuers_are_left_alone(void **state)
{
    struct rig *r = *state;
    const char *why = NULL;
    r->issuer.needs_keys = false;
    start(r);
    acme_upstream_watch_want_keys(r->watch, "cps");
    acme_upstream_watch_want_keys(r->watch, "unknown");
    for (int i = 0; i < 500 && r->other_looks < 1; i++)
        pause_ms(10);
    assert_int_equal(r->other_looks, 1); /* the one at start */
    assert_int_equal(r->key_looks, 0);
    assert_true(allows(r, 0, foreign, acme_clock_now_ms(&acme_clock_system), &why));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_miss_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_list_that_cannot_be_read, setup, teardown),
        cmocka_unit_test(looks_keep_to_half_of_the_pace),
        cmocka_unit_test_setup_teardown(other_issuers_are_left_alone, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
