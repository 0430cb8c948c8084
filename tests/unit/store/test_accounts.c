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

static void keys_change_once(void **state)
{
    struct fixture *f = *state;
    struct acme_account first = sample("a1", "t1");
    struct acme_account second = sample("a2", "t2");
    struct acme_account got;
    const char *holder = "untouched";
    bool created = false;
    assert_ok(acme_store_account_create(f->store, f->arena, &first, &got, &created));
    assert_ok(acme_store_account_create(f->store, f->arena, &second, &got, &created));
    assert_ok(acme_store_account_rekey(f->store, f->arena, &first, "t3", "{}", &holder));
    assert_ok(acme_store_account_find(f->store, f->arena, "t3", &got));
    assert_string_equal(got.id, "a1");
    assert_string_equal(got.jwk, "{}");
    assert_code(acme_store_account_find(f->store, f->arena, "t1", &got), ACME_E_NOT_FOUND);

    const char **former = NULL;
    size_t count = 7;
    assert_ok(acme_store_account_former_keys(f->store, f->arena, "a2", 9, &former, &count));
    assert_int_equal(count, 0);
    assert_ok(acme_store_account_former_keys(f->store, f->arena, "a1", 9, &former, &count));
    assert_int_equal(count, 1);
    assert_string_equal(former[0], "t1");

    /* `first` says t1, as another request did that was read before. */
    assert_code(acme_store_account_rekey(f->store, f->arena, &first, "t4", "{}", &holder), ACME_E_STATE);
    assert_string_equal(holder, "untouched");
    assert_code(acme_store_account_rekey(f->store, f->arena, &second, "t3", "{}", &holder), ACME_E_CONFLICT);
    assert_string_equal(holder, "a1");
    assert_ok(acme_store_account_deactivate(f->store, "a2", "{}"));
    assert_code(acme_store_account_rekey(f->store, f->arena, &second, "t5", "{}", &holder), ACME_E_STATE);
    assert_ok(acme_store_account_get(f->store, f->arena, "a2", &got));
    assert_string_equal(got.thumbprint, "t2");
}

/* There and back: each key once, the latest first. */
static void former_keys(void **state)
{
    struct fixture *f = *state;
    struct acme_account account = sample("a1", "t1");
    struct acme_account got;
    const char **former = NULL;
    const char *holder = NULL;
    size_t count = 0;
    bool created = false;
    assert_ok(acme_store_account_create(f->store, f->arena, &account, &got, &created));
    static const char *const keys[] = {"t2", "t1", "t3", "t4"};
    for (size_t i = 0; i < 4; i++) {
        assert_ok(acme_store_account_rekey(f->store, f->arena, &account, keys[i], "{}", &holder));
        account.thumbprint = keys[i];
    }
    assert_ok(acme_store_account_former_keys(f->store, f->arena, "a1", 9, &former, &count));
    assert_int_equal(count, 3);
    assert_string_equal(former[0], "t3");
    assert_string_equal(former[1], "t1");
    assert_string_equal(former[2], "t2");
    assert_ok(acme_store_account_former_keys(f->store, f->arena, "a1", 2, &former, &count));
    assert_int_equal(count, 2);
}

static void external_accounts(void **state)
{
    struct fixture *f = *state;
    struct acme_account got;
    bool created = false;
    struct acme_account first = sample("a1", "t1");
    first.external_kid = "kid";
    first.external_binding = "{\"x\":1}";
    first.terms = "https://x.test/terms";
    assert_ok(acme_store_account_create(f->store, f->arena, &first, &got, &created));
    assert_ok(acme_store_account_get(f->store, f->arena, "a1", &got));
    assert_string_equal(got.external_kid, "kid");
    assert_string_equal(got.external_binding, "{\"x\":1}");
    assert_string_equal(got.terms, "https://x.test/terms");

    struct acme_account second = sample("a2", "t2");
    second.external_kid = "kid";
    assert_ok(acme_store_account_create(f->store, f->arena, &second, &got, &created));
    assert_true(created);
    struct acme_account third = sample("a3", "t3");
    third.external_kid = "kid";
    third.external_once = true;
    assert_code(acme_store_account_create(f->store, f->arena, &third, &got, &created), ACME_E_CONFLICT);
    third.external_kid = "other";
    assert_ok(acme_store_account_create(f->store, f->arena, &third, &got, &created));
    assert_true(created);
    third.id = "a4"; /* the same request once more */
    assert_ok(acme_store_account_create(f->store, f->arena, &third, &got, &created));
    assert_false(created);
    assert_string_equal(got.id, "a3");
}

static void deactivation_takes_all_along(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    const char *other = fixture_account(f);
    struct acme_order pending = fixture_order(f, account, (const char *const[]){"a.test", "b.test", NULL});
    struct acme_order ready = fixture_ready_order(f, account, "c.test");
    struct acme_order foreign = fixture_ready_order(f, other, "c.test");
    assert_ok(acme_store_account_deactivate(f->store, account, "{\"x\":1}"));
    assert_code(acme_store_account_deactivate(f->store, account, "{}"), ACME_E_NOT_FOUND);
    assert_code(acme_store_account_deactivate(f->store, "nobody", "{}"), ACME_E_NOT_FOUND);
    assert_code(acme_store_account_update(f->store, account, "[]", NULL), ACME_E_NOT_FOUND);

    struct acme_account got;
    struct acme_order order;
    struct acme_authz authz;
    assert_ok(acme_store_account_get(f->store, f->arena, account, &got));
    assert_int_equal(got.status, ACME_ACCOUNT_DEACTIVATED);
    const char *ids[] = {pending.authz_ids[0], pending.authz_ids[1], ready.authz_ids[0]};
    for (size_t i = 0; i < 3; i++) {
        assert_ok(acme_store_authz_get(f->store, f->arena, ids[i], &authz));
        assert_int_equal(authz.status, ACME_AUTHZ_DEACTIVATED);
    }
    assert_ok(acme_store_order_get(f->store, f->arena, pending.id, &order));
    assert_int_equal(order.status, ACME_ORDER_INVALID);
    assert_string_equal(order.error, "{\"x\":1}");
    assert_ok(acme_store_order_get(f->store, f->arena, ready.id, &order));
    assert_int_equal(order.status, ACME_ORDER_INVALID);
    assert_ok(acme_store_order_get(f->store, f->arena, foreign.id, &order));
    assert_int_equal(order.status, ACME_ORDER_READY);
    assert_ok(acme_store_authz_get(f->store, f->arena, foreign.authz_ids[0], &authz));
    assert_int_equal(authz.status, ACME_AUTHZ_VALID);
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
        cmocka_unit_test_setup_teardown(keys_change_once, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(former_keys, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(external_accounts, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(deactivation_takes_all_along, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(small_arena_is_nomem, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(values, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(persists, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
