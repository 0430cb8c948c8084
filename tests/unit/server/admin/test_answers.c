/* server/admin_answer.c, admin_orders.c, admin_accounts.c, store/reports.c: lists and single objects. */
#include "rig.h"

#include <stdio.h>

static const cJSON *about(struct rig *r, const char *command, const char *id)
{
    return rig_ask(r, acme_arena_printf(r->f->arena, "{\"command\":\"%s\",\"id\":\"%s\"}", command, id));
}

static const char *refused(struct rig *r, const char *command, const char *id)
{
    return rig_refusal(r, acme_arena_printf(r->f->arena, "{\"command\":\"%s\",\"id\":\"%s\"}", command, id));
}

static const char *item_id(const cJSON *result, const char *list, int at)
{
    return acme_json_str(cJSON_GetArrayItem(acme_json_get(result, list), at), "id");
}

static void lists_orders(void **state)
{
    struct rig *r = *state;
    struct fixture *f = r->f;
    const char *first = fixture_account(f);
    const char *second = fixture_account(f);
    struct acme_order pending =
        fixture_order(f, first, (const char *const[]){"a.example", "b.example", NULL});
    struct acme_order ready = fixture_ready_order(f, second, "c.example");
    struct acme_order processing = fixture_ready_order(f, first, "d.example");
    rig_finalize(r, &processing, "k1", fixture_id(f));

    const cJSON *all = rig_ask(r, "{\"command\":\"order list\"}");
    assert_int_equal(cJSON_GetArraySize(acme_json_get(all, "orders")), 3);
    assert_string_equal(item_id(all, "orders", 0), processing.id); /* the newest first */
    assert_string_equal(item_id(all, "orders", 2), pending.id);
    assert_false(acme_json_bool(all, "more", true));
    assert_null(acme_json_str(all, "looked_back_to"));

    const cJSON *some = rig_ask(r, "{\"command\":\"order list\",\"limit\":2}");
    assert_int_equal(cJSON_GetArraySize(acme_json_get(some, "orders")), 2);
    assert_true(acme_json_bool(some, "more", false));

    static const char *const words[] = {"pending", "ready", "processing", "valid", "invalid"};
    const char *const expected[] = {pending.id, ready.id, processing.id, NULL, NULL};
    for (size_t i = 0; i < 5; i++) {
        const cJSON *found = rig_ask(
            r, acme_arena_printf(f->arena, "{\"command\":\"order list\",\"status\":\"%s\"}", words[i]));
        assert_int_equal(cJSON_GetArraySize(acme_json_get(found, "orders")), expected[i] == NULL ? 0 : 1);
        if (expected[i] != NULL)
            assert_string_equal(item_id(found, "orders", 0), expected[i]);
    }

    const cJSON *of_first =
        rig_ask(r, acme_arena_printf(f->arena, "{\"command\":\"order list\",\"account\":\"%s\"}", first));
    assert_int_equal(cJSON_GetArraySize(acme_json_get(of_first, "orders")), 2);
    const cJSON *both = rig_ask(
        r, acme_arena_printf(
               f->arena, "{\"command\":\"order list\",\"account\":\"%s\",\"status\":\"pending\"}", first));
    assert_int_equal(cJSON_GetArraySize(acme_json_get(both, "orders")), 1);
    assert_string_equal(rig_refusal(r, "{\"command\":\"order list\",\"account\":\"fff\"}"), "not-found");
}

static void tells_expired_from_pending(void **state)
{
    struct rig *r = *state;
    struct acme_order order =
        fixture_order(r->f, fixture_account(r->f), (const char *const[]){"a.example", NULL});
    assert_string_equal(acme_json_str(acme_json_get(about(r, "order show", order.id), "order"), "status"),
                        "pending");
    r->now_ms = NOW + 7 * (int64_t)DAY;
    assert_string_equal(acme_json_str(acme_json_get(about(r, "order show", order.id), "order"), "status"),
                        "expired");
}

static void resolves_ids(void **state)
{
    struct rig *r = *state;
    struct fixture *f = r->f;
    const char *account = fixture_account(f);
    struct acme_order order = fixture_order(f, account, (const char *const[]){"a.example", NULL});
    struct acme_order other = fixture_order(f, account, (const char *const[]){"b.example", NULL});
    assert_string_not_equal(order.id, other.id);
    const char *const names[] = {
        order.id,
        acme_arena_printf(f->arena, "https://ca.example/acme/order/%s", order.id),
        acme_arena_printf(f->arena, "https://ca.example/order/%s/finalize", order.id),
        acme_arena_printf(f->arena, "https://ca.example/order/%s?x=1", order.id),
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_string_equal(acme_json_str(acme_json_get(about(r, "order show", names[i]), "order"), "id"),
                            order.id);
    assert_string_equal(refused(r, "order show", "0000"), "ambiguous");
    const char *const wrong[] = {"1",
                                 "00000000-99999999",
                                 "https://ca.example/order/",
                                 "https://ca.example/x",
                                 account,
                                 "%",
                                 "_",
                                 "*",
                                 "0000~",
                                 "../0",
                                 "\\u001b[2J",
                                 "00000000-0000000000000000000000000000"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_string_equal(refused(r, "order show", wrong[i]), "not-found");
}

static void shows_and_ends_accounts(void **state)
{
    struct rig *r = *state;
    struct fixture *f = r->f;
    const char *account = fixture_account(f);
    struct acme_order order = fixture_order(f, account, (const char *const[]){"a.example", NULL});
    const cJSON *shown = about(r, "account show", account);
    assert_string_equal(acme_json_str(acme_json_get(shown, "account"), "status"), "valid");
    assert_string_equal(cJSON_GetArrayItem(acme_json_get(shown, "recent_orders"), 0)->valuestring, order.id);
    assert_int_equal(
        cJSON_GetArraySize(acme_json_get(rig_ask(r, "{\"command\":\"account list\"}"), "accounts")), 1);

    const cJSON *ended = about(r, "account deactivate", account);
    assert_string_equal(acme_json_str(acme_json_get(ended, "account"), "status"), "deactivated");
    assert_string_equal(refused(r, "account deactivate", account), "refused");
    const cJSON *after = acme_json_get(about(r, "order show", order.id), "order");
    assert_string_equal(acme_json_str(after, "status"), "invalid");
    assert_non_null(strstr(acme_json_str(acme_json_get(after, "error"), "detail"), "operator"));
}

static void shows_certificates(void **state)
{
    struct rig *r = *state;
    struct fixture *f = r->f;
    const char *account = fixture_account(f);
    struct acme_order order = fixture_ready_order(f, account, "a.example");
    const char *job = fixture_id(f);
    struct acme_issuance issuance = rig_finalize(r, &order, "k1", job);
    struct acme_certificate certificate = fixture_certificate(f, account);
    certificate.serial_hex = "0A0B";
    assert_ok(acme_store_issuance_issued(f->store, issuance.id, job, "me", "4242", &certificate));

    const char *const names[] = {certificate.id, "0A0B", "0a:0b", "0a0b"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const cJSON *shown = acme_json_get(about(r, "certificate show", names[i]), "certificate");
        assert_string_equal(acme_json_str(shown, "id"), certificate.id);
        assert_string_equal(acme_json_str(shown, "status"), "good");
        assert_string_equal(acme_json_str(shown, "upstream"), "4242");
        assert_string_equal(cJSON_GetArrayItem(acme_json_get(shown, "orders"), 0)->valuestring, order.id);
    }
    assert_string_equal(refused(r, "certificate show", "0A0C"), "not-found");
    static const struct {
        int days;
        int found;
    } lists[] = {{89, 0}, {90, 1}, {3650, 1}};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        const cJSON *found =
            rig_ask(r, acme_arena_printf(f->arena, "{\"command\":\"certificate list\",\"expiring_days\":%d}",
                                         lists[i].days));
        assert_int_equal(cJSON_GetArraySize(acme_json_get(found, "certificates")), lists[i].found);
    }
    r->now_ms = NOW + 91 * (int64_t)DAY;
    const cJSON *old = acme_json_get(about(r, "certificate show", "0A0B"), "certificate");
    assert_string_equal(acme_json_str(old, "status"), "expired");
    assert_int_equal(
        cJSON_GetArraySize(acme_json_get(
            rig_ask(r, "{\"command\":\"certificate list\",\"expiring_days\":3650}"), "certificates")),
        0);
    assert_int_equal(
        cJSON_GetArraySize(acme_json_get(rig_ask(r, "{\"command\":\"certificate list\"}"), "certificates")),
        1);
}

static int64_t number(const cJSON *issuer, const char *object, const char *name)
{
    int64_t value = -1;
    assert_true(acme_json_int(object == NULL ? issuer : acme_json_get(issuer, object), name, &value));
    return value;
}

static void counts_jobs_of_issuers(void **state)
{
    struct rig *r = *state;
    struct fixture *f = r->f;
    const char *account = fixture_account(f);
    const char *jobs[4];
    for (int i = 0; i < 4; i++) {
        struct acme_order order =
            fixture_ready_order(f, account, acme_arena_printf(f->arena, "%d.example", i));
        jobs[i] = fixture_id(f);
        rig_finalize(r, &order, acme_arena_printf(f->arena, "key-%d", i), jobs[i]);
    }
    assert_ok(acme_store_job_save(f->store, jobs[0], &fixture_lease, "{}", true, NULL));
    assert_ok(acme_store_job_wait(f->store, jobs[1], "me", "{}", r->now_ms, 0, NULL));
    assert_ok(acme_store_job_wait(f->store, jobs[2], "me", "{}", r->now_ms + 5000, 3, NULL));
    assert_ok(acme_store_job_wait(f->store, jobs[3], "me", "{}", r->now_ms + 9000, 0, NULL));
    const cJSON *issuers = acme_json_get(rig_ask(r, "{\"command\":\"issuer list\"}"), "issuers");
    assert_int_equal(cJSON_GetArraySize(issuers), 1);
    const cJSON *lab = cJSON_GetArrayItem(issuers, 0);
    assert_string_equal(acme_json_str(lab, "type"), "scm");
    assert_int_equal(number(lab, "issue", "under_way"), 1);
    assert_int_equal(number(lab, "issue", "due"), 1);
    assert_int_equal(number(lab, "issue", "waiting"), 2);
    assert_int_equal(number(lab, "revoke", "waiting"), 0);
    assert_int_equal(number(lab, NULL, "intents"), 1);
    assert_int_equal(number(lab, NULL, "failing"), 1);
    assert_string_equal(acme_json_str(lab, "next_due"), "1970-01-01T00:17:45Z");
    assert_string_equal(acme_json_str(lab, "oldest"), "1970-01-01T00:16:40Z");

    r->config.issuer_count = 0; /* its jobs are shown all the same */
    issuers = acme_json_get(rig_ask(r, "{\"command\":\"issuer list\"}"), "issuers");
    assert_string_equal(acme_json_str(cJSON_GetArrayItem(issuers, 0), "type"), "not configured");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lists_orders, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(tells_expired_from_pending, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(resolves_ids, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(shows_and_ends_accounts, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(shows_certificates, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(counts_jobs_of_issuers, rig_setup, rig_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
