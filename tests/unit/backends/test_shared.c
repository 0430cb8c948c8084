/* What all backends share: pace, texts, saved states. */
#include "cmocka_all.h"

#include "backends/pace.h"
#include "backends/saved.h"
#include "backends/upstream_text.h"

#include <stddef.h>
#include <string.h>

static void test_backoff(void **state)
{
    (void)state;
    assert_int_equal(acme_pace_backoff_ms(5000, 300000, 0), 5000);
    assert_int_equal(acme_pace_backoff_ms(5000, 300000, 3), 40000);
    assert_int_equal(acme_pace_backoff_ms(5000, 300000, 1000), 300000);
    assert_int_equal(acme_pace_backoff_ms(5000, 1000, 0), 1000);
}

static void test_polls(void **state)
{
    static const int64_t paces[] = {3, 5, 8, 13, 21, 30, 60, 60};
    (void)state;
    for (int64_t i = 0; i < 8; i++) {
        int64_t ms = acme_pace_poll_ms("tag", i, 0, ACME_DAY_MS);
        assert_in_range(ms, paces[i] * 900, paces[i] * 1100);
        assert_int_equal(ms, acme_pace_poll_ms("tag", i, 0, ACME_DAY_MS));
    }
    assert_in_range(acme_pace_poll_ms("tag", 50, 12 * ACME_HOUR_MS, ACME_DAY_MS), 54 * ACME_MINUTE_MS,
                    66 * ACME_MINUTE_MS);
    assert_in_range(acme_pace_poll_ms("tag", 50, 12 * ACME_HOUR_MS, 1000), 900, 1100);
    assert_in_range(acme_pace_poll_ms("tag", -1, -5, ACME_DAY_MS), 54000, 66000);
}

static void test_searches(void **state)
{
    (void)state;
    assert_int_equal(acme_pace_search_ms(-100, 60000), 5000);
    assert_int_equal(acme_pace_search_ms(5000, 60000), 10000);
    assert_int_equal(acme_pace_search_ms(20000, 60000), 10000);
    assert_int_equal(acme_pace_search_ms(59000, 60000), 1000);
    assert_int_equal(acme_pace_search_ms(60000, 60000), 0);
}

static void test_deadlines(void **state)
{
    (void)state;
    const struct acme_step_input before = {.event = ACME_EVENT_TIMER, .now_ms = 1000};
    const struct acme_step_input after = {.event = ACME_EVENT_TIMER, .now_ms = 5000};
    struct acme_step step = {0};
    acme_pace_wait(&step, &before, 90000, true, "a note");
    assert_int_equal(step.kind, ACME_STEP_WAIT);
    assert_true(step.failure);
    assert_false(acme_pace_is_over(&step, &before, 0));
    assert_int_equal(step.wait_until_ms, 91000);
    assert_false(acme_pace_is_over(&step, &before, 5000));
    assert_int_equal(step.wait_until_ms, 5000);
    assert_true(acme_pace_is_over(&step, &after, 5000));
    step.kind = ACME_STEP_CALL;
    assert_false(acme_pace_is_over(&step, &after, 5000));
    step.once = true;
    assert_true(acme_pace_is_over(&step, &after, 5000));
    step = (struct acme_step){.kind = ACME_STEP_ISSUED};
    assert_false(acme_pace_is_over(&step, &after, 5000));
}

static void test_texts(void **state)
{
    (void)state;
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(1 << 20);
    assert_string_equal(acme_urlencode(arena, "a -eq \"x/y\"~"), "a%20-eq%20%22x%2Fy%22~");
    assert_true(acme_is_header_text("D\\u"));
    assert_false(acme_is_header_text("x\n"));
    assert_false(acme_is_header_text(""));
    assert_false(acme_is_header_text(NULL));
    const struct acme_secrets secrets = {{"hunter2", NULL, ""}};
    assert_string_equal(acme_upstream_quoted(arena, &secrets, "it is hunter2!"), "");
    assert_string_equal(acme_upstream_quoted(arena, &secrets, NULL), "");
    assert_string_equal(acme_upstream_quoted(arena, &secrets, "a\nb"), ": \"a\\x0ab\"");
    assert_string_equal(acme_upstream_shown(arena, &secrets, "hunter2"), "(not shown)");
    assert_null(acme_placeholders_wrong("of {order} {account} {eab}"));
    assert_non_null(acme_placeholders_wrong("{host}"));
    assert_non_null(acme_placeholders_wrong("a }"));
    const struct acme_issue_request request = {.order_id = "o", .account_id = "a"};
    assert_string_equal(acme_placeholders_fill(arena, "{order}/{account}/{eab}{", &request), "o/a/-{");
}

static void test_numbers(void **state)
{
    static const struct {
        const char *json;
        bool good;
        int64_t value;
    } rows[] = {{"7", true, 7},
                {"\"-7\"", true, -7},
                {"\"\"", false, 0},
                {"\"-\"", false, 0},
                {"1.5", false, 0},
                {"1e309", false, 0},
                {"null", false, 0},
                {"\"7 \"", false, 0},
                {"\"1-2\"", false, 0},
                {"1e300", false, 0},
                {"\"1234567890123456\"", false, 0}};
    (void)state;
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(1 << 20);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cJSON *json = NULL;
        int64_t value = 0;
        if (acme_failed(acme_json_parse(arena, rows[i].json, strlen(rows[i].json), &json)))
            continue; /* refused even before */
        assert_int_equal(acme_json_number_or_text(json, &value), rows[i].good);
        assert_int_equal(value, rows[i].value);
    }
    int64_t number = 0;
    assert_true(acme_decimal("1207", &number));
    assert_int_equal(number, 1207);
    assert_false(acme_decimal("0", &number));
    assert_false(acme_decimal("-1", &number));
    assert_false(acme_decimal("request-1", &number));
    assert_false(acme_decimal(NULL, &number));
}

struct thing {
    int64_t number;
    bool flag;
    const char *text;
    struct acme_ids ids;
};

static void test_saved(void **state)
{
    static const struct acme_saved_member members[] = {
        {"number", ACME_SAVED_NUMBER, offsetof(struct thing, number)},
        {"flag", ACME_SAVED_FLAG, offsetof(struct thing, flag)},
        {"text", ACME_SAVED_TEXT, offsetof(struct thing, text)},
        {"ids", ACME_SAVED_IDS, offsetof(struct thing, ids)},
    };
    (void)state;
    struct thing thing = {.number = -5, .flag = true, .text = "x"};
    acme_ids_add(&thing.ids, 3);
    acme_ids_add(&thing.ids, 9);
    acme_ids_add(&thing.ids, 3);
    assert_int_equal(thing.ids.count, 2);
    cJSON *saved = cJSON_CreateObject();
    cJSON *fresh = cJSON_CreateObject();
    assert_false(acme_failed(acme_saved_swap(saved, fresh, acme_saved_add(fresh, members, 4, &thing))));
    struct thing loaded = {0};
    acme_saved_load(saved, members, 4, &loaded);
    assert_int_equal(loaded.number, -5);
    assert_true(loaded.flag);
    assert_string_equal(loaded.text, "x");
    assert_true(acme_ids_have(&loaded.ids, 3));
    assert_int_equal(acme_ids_pop(&loaded.ids), 9);
    assert_int_equal(acme_ids_pop(&loaded.ids), 3);
    assert_int_equal(acme_ids_pop(&loaded.ids), 0);

    const struct thing nothing = {0}; /* leaves nothing */
    fresh = cJSON_CreateObject();
    assert_false(acme_failed(acme_saved_swap(saved, fresh, acme_saved_add(fresh, members, 4, &nothing))));
    assert_null(saved->child);
    assert_int_equal(acme_saved_swap(saved, cJSON_CreateObject(), false).code, ACME_E_NOMEM);
    cJSON_Delete(saved);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backoff),   cmocka_unit_test(test_polls), cmocka_unit_test(test_searches),
        cmocka_unit_test(test_deadlines), cmocka_unit_test(test_texts), cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_saved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
