/* store/account_cache.c: what is remembered, and above all what is not. */
#include "fixture.h"

#include "store/account_cache.h"

#include <stdio.h>

static struct acme_account sample(const char *id, const char *contacts)
{
    return (struct acme_account){.id = id,
                                 .thumbprint = "t",
                                 .jwk = "{}",
                                 .contacts = contacts,
                                 .terms = NULL,
                                 .external_kid = "kid-1",
                                 .tos_agreed = true,
                                 .created_ms = NOW};
}

static bool look(struct fixture *f, struct acme_account_cache *cache, const char *id,
                 struct acme_account *ret)
{
    bool found = false;
    assert_ok(acme_account_cache_get(cache, f->arena, id, ret, &found));
    return found;
}

static void remembers_all_of_it(void **state)
{
    struct fixture *f = *state;
    struct acme_account_cache *cache = acme_account_cache_create();
    struct acme_account got;
    char contacts[] = "[\"mailto:a@example.com\"]";
    struct acme_account account = sample("a1", contacts);
    assert_false(look(f, cache, "a1", &got));
    acme_account_cache_put(cache, acme_account_cache_mark(cache), &account);
    contacts[0] = 'x'; /* a copy was made */
    assert_true(look(f, cache, "a1", &got));
    acme_account_cache_destroy(cache); /* and another one to hand out */
    assert_string_equal(got.id, "a1");
    assert_string_equal(got.contacts, "[\"mailto:a@example.com\"]");
    assert_string_equal(got.external_kid, "kid-1");
    assert_null(got.terms);
    assert_null(got.external_binding);
    assert_true(got.tos_agreed);
    assert_int_equal(got.created_ms, NOW);
}

/* A reader that began before a change must not bring the old account back. */
static void forgets_what_was_read_before_a_change(void **state)
{
    struct fixture *f = *state;
    struct acme_account_cache *cache = acme_account_cache_create();
    struct acme_account got;
    struct acme_account account = sample("a1", "[]");
    uint64_t mark = acme_account_cache_mark(cache);
    acme_account_cache_forget(cache, "a1");
    acme_account_cache_put(cache, mark, &account);
    assert_false(look(f, cache, "a1", &got));
    acme_account_cache_put(cache, acme_account_cache_mark(cache), &account);
    assert_true(look(f, cache, "a1", &got));
    acme_account_cache_forget(cache, "a1");
    assert_false(look(f, cache, "a1", &got));
    acme_account_cache_destroy(cache);
}

static void many_and_large_ones(void **state)
{
    struct fixture *f = *state;
    struct acme_account_cache *cache = acme_account_cache_create();
    struct acme_account got;
    int found = 0;
    for (int i = 0; i < 5000; i++) {
        char id[32];
        snprintf(id, sizeof id, "account-%d", i);
        struct acme_account account = sample(id, "[]");
        acme_account_cache_put(cache, acme_account_cache_mark(cache), &account);
        assert_true(look(f, cache, id, &got));
        assert_string_equal(got.id, id);
    }
    for (int i = 0; i < 5000; i++) {
        char id[32];
        snprintf(id, sizeof id, "account-%d", i);
        found += look(f, cache, id, &got);
    }
    assert_in_range(found, 1, 512);
    static char huge[8192];
    memset(huge, 'x', sizeof huge - 1);
    struct acme_account account = sample("huge", huge);
    acme_account_cache_put(cache, acme_account_cache_mark(cache), &account);
    assert_false(look(f, cache, "huge", &got));
    acme_account_cache_destroy(cache);
}

/* Through the store: every change shows at once. */
static void changes_show(void **state)
{
    struct fixture *f = *state;
    struct acme_account wanted = sample("a1", "[]");
    struct acme_account got;
    const char *holder = NULL;
    bool created = false;
    assert_ok(acme_store_account_create(f->store, f->arena, &wanted, &got, &created));
    assert_ok(acme_store_account_get(f->store, f->arena, "a1", &got));
    assert_ok(acme_store_account_update(f->store, "a1", "[\"mailto:b@example.com\"]", NULL));
    assert_ok(acme_store_account_get(f->store, f->arena, "a1", &got));
    assert_string_equal(got.contacts, "[\"mailto:b@example.com\"]");
    assert_ok(acme_store_account_rekey(f->store, f->arena, &got, "t2", "{\"new\":1}", &holder));
    assert_ok(acme_store_account_get(f->store, f->arena, "a1", &got));
    assert_string_equal(got.thumbprint, "t2");
    assert_string_equal(got.jwk, "{\"new\":1}");
    assert_ok(acme_store_account_deactivate(f->store, "a1", "{}"));
    assert_ok(acme_store_account_get(f->store, f->arena, "a1", &got));
    assert_int_equal(got.status, ACME_ACCOUNT_DEACTIVATED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(remembers_all_of_it, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(forgets_what_was_read_before_a_change, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(many_and_large_ones, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(changes_show, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
