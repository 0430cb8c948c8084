/* store/reports.c: what server/admin does not show (tests/unit/server/admin): the bounds of the walk. */
#include "fixture.h"

#include <sqlite3.h>
#include <stdio.h>

/* So many orders that making them one by one would take minutes; the first and the last are pending. */
static void insert_orders(struct fixture *f, const char *account_id, int count)
{
    sqlite3 *db = NULL;
    acme_store_close(f->store);
    f->store = NULL;
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    char *sql = acme_arena_printf(
        f->arena,
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
        " INSERT INTO orders (id, account_id, profile, status, identifiers, not_before_ms, not_after_ms,"
        " expires_ms, created_ms, finalized_ms) SELECT printf('10000000-%%08d', i), '%s', 'default',"
        " CASE WHEN i = 1 OR i = %d THEN 'pending' ELSE 'valid' END, '[]', 0, 0, 0, 0, 0 FROM n",
        count, account_id, count);
    assert_non_null(sql);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    fixture_reopen(f);
}

static size_t find(struct fixture *f, const char *account_id, const char *status, size_t limit,
                   const char **ret_first, const char **ret_looked_back)
{
    struct acme_order_filter filter = {.account_id = account_id, .status = status};
    const char **ids = NULL;
    size_t count = 0;
    assert_ok(acme_store_orders_newest(f->store, f->arena, &filter, limit, &ids, &count, ret_looked_back));
    *ret_first = count > 0 ? ids[0] : NULL;
    return count;
}

static void looks_back_so_far_and_says_so(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    const char *other = fixture_account(f);
    const char *first = NULL;
    const char *looked_back = "unset";
    insert_orders(f, account, ACME_ORDERS_LOOKED_AT);
    assert_int_equal(find(f, NULL, "pending", 10, &first, &looked_back), 2); /* all are looked at */
    assert_null(looked_back);
    assert_int_equal(find(f, account, "pending", 10, &first, &looked_back), 2);
    assert_null(looked_back);

    struct acme_order last = fixture_order(f, other, (const char *const[]){"a.example", NULL});
    assert_string_not_equal(last.id, "");
    assert_int_equal(find(f, NULL, "pending", 10, &first, &looked_back), 2); /* the older one is last.id */
    assert_string_equal(first, "10000000-00100000");
    assert_string_equal(looked_back, "10000000-00000001");
    assert_int_equal(find(f, NULL, "pending", 1, &first, &looked_back), 1); /* found in time */
    assert_null(looked_back);
    assert_int_equal(find(f, other, NULL, 10, &first, &looked_back), 1);
    assert_string_equal(first, last.id);
    assert_null(looked_back);
    assert_int_equal(find(f, NULL, NULL, 3, &first, &looked_back), 3);
    assert_string_equal(first, "10000000-00100000");
    assert_null(looked_back);
}

/* Those that wait are found however old they are. */
static void finds_processing_orders_of_any_age(void **state)
{
    struct fixture *f = *state;
    const char *account = fixture_account(f);
    struct acme_order order = fixture_ready_order(f, account, "a.example");
    struct acme_issuance issuance = fixture_issuance(f, &order, "key", "csr");
    struct acme_job job = fixture_job(f, "lab");
    enum acme_finalize_outcome outcome;
    assert_ok(acme_store_order_finalize(f->store, f->arena, &issuance, &job, &fixture_lease,
                                        &(struct acme_finalize_rules){.now_ms = NOW}, &order, &outcome,
                                        NULL));
    insert_orders(f, account, ACME_ORDERS_LOOKED_AT + 5);
    const char *first = NULL;
    const char *looked_back = "unset";
    assert_int_equal(find(f, NULL, "processing", 10, &first, &looked_back), 1);
    assert_string_equal(first, order.id);
    assert_null(looked_back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(looks_back_so_far_and_says_so, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(finds_processing_orders_of_any_age, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
