/* server/shares.c */
#include "cmocka_all.h"

#include "server/shares.h"

#include <stdio.h>

static void counts_by_name(void **state)
{
    (void)state;
    struct acme_shares *shares = acme_shares_create();
    assert_non_null(shares);
    enum { NAMES = 1000 };
    static struct acme_share *first[NAMES];
    static struct acme_share *second[NAMES];
    char name[32];
    for (int i = 0; i < NAMES; i++) {
        (void)snprintf(name, sizeof name, "account-%d", i);
        assert_int_equal(acme_shares_count(shares, name), 0);
        assert_int_equal(acme_shares_enter(shares, name, &first[i]).code, ACME_OK);
        assert_int_equal(acme_shares_enter(shares, name, &second[i]).code, ACME_OK);
        assert_ptr_equal(first[i], second[i]);
        assert_int_equal(acme_shares_count(shares, name), 2);
    }
    for (int i = 0; i < NAMES; i++) {
        (void)snprintf(name, sizeof name, "account-%d", i);
        acme_shares_leave(shares, first[i]);
        assert_int_equal(acme_shares_count(shares, name), 1);
        acme_shares_leave(shares, second[i]);
        assert_int_equal(acme_shares_count(shares, name), 0);
    }
    struct acme_share *none = NULL;
    assert_int_equal(acme_shares_enter(shares, "a name that is longer than any id is", &none).code, ACME_OK);
    acme_shares_leave(shares, none);
    assert_int_equal(acme_shares_enter(shares, "a name that is longer than any id is!", &none).code,
                     ACME_E_LIMIT);
    acme_shares_destroy(shares);
}

/* `crowd` shares that want everything, dealt in turns: how many each gets. */
static size_t each_of(size_t crowd, size_t places, size_t *ret_used)
{
    size_t each = 0;
    *ret_used = 0;
    for (;;) {
        for (size_t i = 0; i < crowd; i++) {
            if (!acme_shares_allow(each, places, *ret_used))
                return each;
            ++*ret_used;
        }
        each++;
    }
}

static void leaves_places_for_newcomers(void **state)
{
    (void)state;
    size_t used = 0;
    assert_int_equal(each_of(1, 1024, &used), 512);
    assert_true(acme_shares_allow(0, 1024, used));
    assert_int_equal(each_of(2, 1024, &used), 341);
    assert_true(acme_shares_allow(0, 1024, used));
    assert_int_equal(each_of(50, 1024, &used), 20);
    assert_true(acme_shares_allow(0, 1024, used));
    assert_int_equal(each_of(1, 1, &used), 1); /* the only place is for everybody */
    assert_int_equal(used, 1);
    assert_false(acme_shares_allow(0, 1, used));
    assert_int_equal(each_of(2000, 1024, &used), 0);
    assert_int_equal(used, 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_by_name),
        cmocka_unit_test(leaves_places_for_newcomers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
