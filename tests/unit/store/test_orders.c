/* store/orders.c */
#include "fixture.h"

static void create_and_get(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct acme_order made =
        fixture_order(f, account, (const char *const[]){"a.example.com", "*.example.com", NULL});
    struct acme_order got;
    assert_int_equal(made.status, ACME_ORDER_PENDING);
    assert_ok(acme_store_order_get(f->store, f->arena, made.id, &got));
    assert_string_equal(got.account_id, account);
    assert_string_equal(got.profile, "default");
    assert_int_equal(got.status, ACME_ORDER_PENDING);
    assert_int_equal(got.identifier_count, 2);
    assert_string_equal(got.identifiers[0].value, "a.example.com");
    assert_string_equal(got.identifiers[1].value, "*.example.com");
    assert_int_equal(got.authz_count, 2);
    for (size_t i = 0; i < 2; i++)
        assert_string_equal(got.authz_ids[i], made.authz_ids[i]);
    assert_int_equal(got.expires_ms, NOW + 7 * DAY);
    assert_int_equal(got.created_ms, NOW);
    assert_int_equal(got.finalized_ms, 0);
    assert_null(got.csr_sha256);
    assert_null(got.issuance_id);
    assert_null(got.certificate_id);
    assert_null(got.error);
    assert_code(acme_store_order_get(f->store, f->arena, "none", &got), ACME_E_NOT_FOUND);

    struct acme_authz authz;
    assert_ok(acme_store_authz_get(f->store, f->arena, got.authz_ids[1], &authz));
    assert_string_equal(authz.identifier.value, "example.com");
    assert_true(authz.wildcard);
}

static void unknown_account_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct acme_identifier name = {.type = ACME_IDENTIFIER_DNS, .value = "a.example.com"};
    struct acme_authz authz = fixture_authz(f, "a.example.com", false, 1);
    struct acme_order order = {.id = "o1",
                               .account_id = "nobody",
                               .profile = "default",
                               .identifiers = &name,
                               .identifier_count = 1,
                               .expires_ms = NOW + DAY};
    struct acme_authz found;
    assert_code(acme_store_order_create(f->store, f->arena, &order, &authz, NOW, NOW, &order),
                ACME_E_INTERNAL);
    assert_code(acme_store_authz_get(f->store, f->arena, authz.id, &found), ACME_E_NOT_FOUND);
}

static void reuses_valid_authorizations(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct acme_order first = fixture_ready_order(f, account, "a.example.com");

    struct acme_order second = fixture_order(f, account, (const char *const[]){"a.example.com", NULL});
    assert_int_equal(second.status, ACME_ORDER_READY);
    assert_string_equal(second.authz_ids[0], first.authz_ids[0]);
    assert_string_not_equal(second.id, first.id);

    struct acme_order mixed =
        fixture_order(f, account, (const char *const[]){"b.example.com", "a.example.com", NULL});
    assert_int_equal(mixed.status, ACME_ORDER_PENDING);
    assert_string_equal(mixed.authz_ids[1], first.authz_ids[0]);
    fixture_validate(f, mixed.authz_ids[0], NULL);
    assert_ok(acme_store_order_get(f->store, f->arena, mixed.id, &mixed));
    assert_int_equal(mixed.status, ACME_ORDER_READY);
}

/* What proved the name must be among what the new order would offer. */
static void reuse_by_type_of_challenge(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct acme_order first = fixture_ready_order(f, account, "a.example.com"); /* by http-01 */
    struct acme_identifier name = {.type = ACME_IDENTIFIER_DNS, .value = "a.example.com"};
    static const char *const types[] = {"dns-01", "http-01"};
    for (size_t i = 0; i < 2; i++) {
        struct acme_authz authz = fixture_authz(f, "a.example.com", false, 1);
        authz.challenges[0].type = types[i];
        struct acme_order order = {.id = fixture_id(f),
                                   .account_id = account,
                                   .profile = "strict",
                                   .identifiers = &name,
                                   .identifier_count = 1,
                                   .expires_ms = NOW + 7 * DAY};
        assert_ok(acme_store_order_create(f->store, f->arena, &order, &authz, NOW, NOW, &order));
        assert_int_equal(order.status, i == 1 ? ACME_ORDER_READY : ACME_ORDER_PENDING);
        assert_int_equal(strcmp(order.authz_ids[0], first.authz_ids[0]) == 0, i == 1);
    }
}

/* What names the CA of one profile says nothing about another's. */
static void reuse_within_the_profile(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct acme_order first = fixture_ready_order(f, account, "a.example.com"); /* under "default" */
    struct acme_identifier name = {.type = ACME_IDENTIFIER_DNS, .value = "a.example.com"};
    static const char *const profiles[] = {"strict", "default"};
    for (size_t i = 0; i < 2; i++) {
        struct acme_authz authz = fixture_authz(f, "a.example.com", false, 1);
        authz.challenges[0].of_profile = true;
        authz.profile = profiles[i];
        struct acme_order order = {.id = fixture_id(f),
                                   .account_id = account,
                                   .profile = profiles[i],
                                   .identifiers = &name,
                                   .identifier_count = 1,
                                   .expires_ms = NOW + 7 * DAY};
        assert_ok(acme_store_order_create(f->store, f->arena, &order, &authz, NOW, NOW, &order));
        assert_int_equal(order.status, i == 1 ? ACME_ORDER_READY : ACME_ORDER_PENDING);
        assert_int_equal(strcmp(order.authz_ids[0], first.authz_ids[0]) == 0, i == 1);
    }
}

static void reuse_keeps_its_bounds(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct acme_order first = fixture_ready_order(f, account, "example.com");

    /* another account */
    struct acme_order other =
        fixture_order(f, fixture_account(f), (const char *const[]){"example.com", NULL});
    assert_int_equal(other.status, ACME_ORDER_PENDING);
    /* a wildcard of the same name */
    struct acme_order wild = fixture_order(f, account, (const char *const[]){"*.example.com", NULL});
    assert_int_equal(wild.status, ACME_ORDER_PENDING);
    /* an address that reads the same */
    struct acme_identifier ip = {.type = ACME_IDENTIFIER_IP, .value = "example.com"};
    struct acme_authz authz = fixture_authz(f, "example.com", false, 1);
    authz.identifier.type = ACME_IDENTIFIER_IP;
    struct acme_order order = {.id = fixture_id(f),
                               .account_id = account,
                               .profile = "default",
                               .identifiers = &ip,
                               .identifier_count = 1,
                               .expires_ms = NOW + DAY};
    struct acme_order made;
    assert_ok(acme_store_order_create(f->store, f->arena, &order, &authz, NOW, NOW, &made));
    assert_int_equal(made.status, ACME_ORDER_PENDING);
    assert_int_equal(made.created_ms, NOW);

    /* one that does not live long enough */
    struct acme_authz got;
    assert_ok(acme_store_authz_get(f->store, f->arena, first.authz_ids[0], &got));
    order.id = fixture_id(f);
    ip.type = ACME_IDENTIFIER_DNS;
    authz = fixture_authz(f, "example.com", false, 1);
    assert_ok(acme_store_order_create(f->store, f->arena, &order, &authz, NOW, got.expires_ms, &made));
    assert_int_equal(made.status, ACME_ORDER_PENDING);
    order.id = fixture_id(f);
    authz = fixture_authz(f, "example.com", false, 1);
    assert_ok(acme_store_order_create(f->store, f->arena, &order, &authz, NOW, got.expires_ms - 1, &made));
    assert_int_equal(made.status, ACME_ORDER_READY);

    /* one that is no longer valid */
    assert_ok(acme_store_authz_deactivate(f->store, first.authz_ids[0], "{}"));
    struct acme_order again = fixture_order(f, account, (const char *const[]){"example.com", NULL});
    assert_int_equal(again.status, ACME_ORDER_PENDING);
}

static void lists_by_id_without_invalid(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    const char *made[12];
    for (size_t i = 0; i < 12; i++)
        made[i] = fixture_order(f, account, (const char *const[]){"a.example.com", NULL}).id;
    struct acme_order bad = fixture_order(f, account, (const char *const[]){"bad.example.com", NULL});
    fixture_validate(f, bad.authz_ids[0], "{}");
    (void)fixture_order(f, fixture_account(f), (const char *const[]){"a.example.com", NULL});

    struct acme_order_page page;
    assert_ok(acme_store_orders_list(f->store, f->arena, account, NULL, NOW, 100, &page));
    assert_int_equal(page.count, 12);
    for (size_t i = 0; i < 12; i++)
        assert_string_equal(page.ids[i], made[i]);
    assert_null(page.next);
    assert_ok(acme_store_orders_list(f->store, f->arena, account, NULL, NOW, 12, &page));
    assert_int_equal(page.count, 12);
    assert_null(page.next); /* behind it is only what is not shown */
    assert_ok(acme_store_orders_list(f->store, f->arena, account, made[3], NOW, 5, &page));
    assert_int_equal(page.count, 5);
    assert_string_equal(page.ids[0], made[4]);
    assert_string_equal(page.next, made[8]);
    assert_ok(acme_store_orders_list(f->store, f->arena, account, made[11], NOW, 5, &page));
    assert_int_equal(page.count, 0);
    assert_ok(acme_store_orders_list(f->store, f->arena, "nobody", NULL, NOW, 5, &page));
    assert_int_equal(page.count, 0);
    assert_null(page.next);

    /* Expired, all of them: a page does not walk through any number of such. */
    assert_ok(acme_store_orders_list(f->store, f->arena, account, NULL, bad.expires_ms, 1, &page));
    assert_int_equal(page.count, 0);
    assert_string_equal(page.next, made[9]);
    assert_ok(acme_store_orders_list(f->store, f->arena, account, page.next, bad.expires_ms, 1, &page));
    assert_int_equal(page.count, 0);
    assert_null(page.next);
}

static void persists(void **state)
{
    struct fixture *f = *state;
    struct acme_order made = fixture_ready_order(f, fixture_account(f), "a.example.com");
    fixture_reopen(f);
    struct acme_order got;
    struct acme_authz authz;
    assert_ok(acme_store_order_get(f->store, f->arena, made.id, &got));
    assert_int_equal(got.status, ACME_ORDER_READY);
    assert_ok(acme_store_authz_get(f->store, f->arena, made.authz_ids[0], &authz));
    assert_int_equal(authz.status, ACME_AUTHZ_VALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(create_and_get, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(unknown_account_leaves_nothing, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(reuses_valid_authorizations, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(reuse_by_type_of_challenge, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(reuse_within_the_profile, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(reuse_keeps_its_bounds, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(lists_by_id_without_invalid, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(persists, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
