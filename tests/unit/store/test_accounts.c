/* store/accounts.c, store/values.c */
#include "fixture.h"

#include <stdlib.h>

static struct acme_account sample(const char *id, const char *thumbprint)
{
    return (struct acme_account){
        .id = id,
        .thumbprint = thumbprint,
        .jwk = "{\"kty\":\"EC\"}",
        .contacts = "[\"mailto:a@example.com\"]",
        .tos_agreed = true,
        .created_ms = NOW,
    };
}

static void create_get_find(void **state)
{
    struct fixture *f = *state;
    struct acme_account wanted = sample("a1", "t1");
    struct acme_account made;
    struct acme_account got;
    bool created = false;
    assert_ok(acme_store_account_create(f->store, f->arena, &wanted, &made, &created));
    assert_true(created);
    assert_string_equal(made.id, "a1");

    assert_ok(acme_store_account_get(f->store, f->arena, "a1", &got));
    assert_string_equal(got.thumbprint, "t1");
    assert_string_equal(got.jwk, "{\"kty\":\"EC\"}");
    assert_string_equal(got.contacts, "[\"mailto:a@example.com\"]");
    assert_true(got.tos_agreed);
    assert_int_equal(got.created_ms, NOW);
    assert_int_equal(got.status, ACME_ACCOUNT_VALID);

    assert_ok(acme_store_account_find(f->store, f->arena, "t1", &got));
    assert_string_equal(got.id, "a1");
}

static void same_key_finds_the_first(void **state)
{
    struct fixture *f = *state;
    struct acme_account first = sample("a1", "t1");
    struct acme_account second = sample("a2", "t1");
    struct acme_account made;
    bool created = false;
    assert_ok(acme_store_account_create(f->store, f->arena, &first, &made, &created));
    assert_ok(acme_store_account_create(f->store, f->arena, &second, &made, &created));
    assert_false(created);
    assert_string_equal(made.id, "a1");
    assert_code(acme_store_account_get(f->store, f->arena, "a2", &made), ACME_E_NOT_FOUND);
}

static void used_id_is_a_bug(void **state)
{
    struct fixture *f = *state;
    struct acme_account first = sample("a1", "t1");
    struct acme_account second = sample("a1", "t2");
    struct acme_account made;
    bool created = false;
    assert_ok(acme_store_account_create(f->store, f->arena, &first, &made, &created));
    assert_code(acme_store_account_create(f->store, f->arena, &second, &made, &created), ACME_E_INTERNAL);
    assert_true(created); /* untouched */
}

static void unknown_is_not_found(void **state)
{
    struct fixture *f = *state;
    struct acme_account got = {.id = "untouched"};
    assert_code(acme_store_account_get(f->store, f->arena, "nobody", &got), ACME_E_NOT_FOUND);
    assert_code(acme_store_account_find(f->store, f->arena, "nobody", &got), ACME_E_NOT_FOUND);
    assert_code(acme_store_account_update(f->store, "nobody", NULL, NULL), ACME_E_NOT_FOUND);
    assert_string_equal(got.id, "untouched");
}

static void update_keeps_or_replaces_contacts(void **state)
{
    struct fixture *f = *state;
    struct acme_account wanted = sample("a1", "t1");
    struct acme_account got;
    bool created = false;
    assert_ok(acme_store_account_create(f->store, f->arena, &wanted, &got, &created));
    assert_ok(acme_store_account_update(f->store, "a1", "[]", NULL));
    assert_ok(acme_store_account_update(f->store, "a1", NULL, "https://x.test/terms"));
    assert_ok(acme_store_account_get(f->store, f->arena, "a1", &got));
    assert_string_equal(got.contacts, "[]");
    assert_string_equal(got.terms, "https://x.test/terms");
    assert_int_equal(got.status, ACME_ACCOUNT_VALID);
}

static void small_arena_is_nomem(void **state)
{
    struct fixture *f = *state;
    struct acme_account wanted = sample("a1", "t1");
    char *jwk = malloc(100000);
    assert_non_null(jwk);
    memset(jwk, 'x', 99999);
    jwk[99999] = '\0';
    wanted.jwk = jwk;
    struct acme_account got = {.id = "untouched"};
    bool created = false;
    ACME_CLEANUP_ARENA struct acme_arena *small = acme_arena_create(50000);
    assert_ok(acme_store_account_create(f->store, f->arena, &wanted, &got, &created));
    got.id = "untouched";
    assert_code(acme_store_account_get(f->store, small, "a1", &got), ACME_E_NOMEM);
    assert_string_equal(got.id, "untouched");

    /* A write whose answer does not fit is taken back. */
    wanted.id = "a2";
    wanted.thumbprint = "t2";
    assert_code(acme_store_account_create(f->store, small, &wanted, &got, &created), ACME_E_NOMEM);
    assert_code(acme_store_account_get(f->store, f->arena, "a2", &got), ACME_E_NOT_FOUND);
    free(jwk);
}

static void values(void **state)
{
    struct fixture *f = *state;
    const struct acme_bytes first = {.data = (const uint8_t *)"a\0b", .len = 3};
    const struct acme_bytes empty = {.data = (const uint8_t *)"", .len = 0};
    struct acme_bytes got = {.data = NULL};
    assert_code(acme_store_value_get(f->store, f->arena, "nonce", &got), ACME_E_NOT_FOUND);
    assert_ok(acme_store_value_set(f->store, "nonce", first));
    assert_ok(acme_store_value_get(f->store, f->arena, "nonce", &got));
    assert_int_equal(got.len, 3);
    assert_memory_equal(got.data, "a\0b", 3);

    assert_ok(acme_store_value_set(f->store, "nonce", empty));
    assert_ok(acme_store_value_get(f->store, f->arena, "nonce", &got));
    assert_int_equal(got.len, 0);
    assert_non_null(got.data);

    assert_ok(acme_store_value_set(f->store, "nonce", (struct acme_bytes){.data = NULL}));
    assert_code(acme_store_value_get(f->store, f->arena, "nonce", &got), ACME_E_NOT_FOUND);
}

static void persists(void **state)
{
    struct fixture *f = *state;
    struct acme_account wanted = sample("a1", "t1");
    struct acme_account got;
    struct acme_bytes value;
    bool created = false;
    assert_ok(acme_store_account_create(f->store, f->arena, &wanted, &got, &created));
    assert_ok(
        acme_store_value_set(f->store, "v", (struct acme_bytes){.data = (const uint8_t *)"x", .len = 1}));
    fixture_reopen(f);
    assert_ok(acme_store_account_get(f->store, f->arena, "a1", &got));
    assert_ok(acme_store_value_get(f->store, f->arena, "v", &value));
    assert_int_equal(value.len, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(create_get_find, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(same_key_finds_the_first, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(used_id_is_a_bug, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(unknown_is_not_found, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(update_keeps_or_replaces_contacts, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(small_arena_is_nomem, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(values, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(persists, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
