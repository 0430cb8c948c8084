/* notBefore and notAfter of orders (RFC 8555 section 7.4). */
#include "client.h"

#include <string.h>

static int open_with_dates(void **state)
{
    if (fixture_open(state) != 0)
        return -1;
    struct fixture *f = *state;
    f->profiles[0].allow_requested_dates = true;
    f->profiles[0].validity_ms = 30 * ACME_DAY_MS;
    return 0;
}

static const char *time_text(struct fixture *f, int64_t from_now_ms)
{
    char text[ACME_RFC3339_SIZE];
    acme_rfc3339_format(f->now_ms + from_now_ms, text);
    return acme_arena_strdup(f->arena, text);
}

static struct reply order_with(struct fixture *f, const struct client *client, const char *members)
{
    return post(f, client, BASE "/new-order",
                acme_arena_printf(f->arena, "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.test\"}]%s}",
                                  members));
}

static struct reply order_between(struct fixture *f, const struct client *client, int64_t begin_ms,
                                  int64_t end_ms)
{
    const char *members = "";
    if (begin_ms != INT64_MIN)
        members = acme_arena_printf(f->arena, ",\"notBefore\":\"%s\"", time_text(f, begin_ms));
    if (end_ms != INT64_MIN)
        members = acme_arena_printf(f->arena, "%s,\"notAfter\":\"%s\"", members, time_text(f, end_ms));
    return order_with(f, client, members);
}

static void test_accepted(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    const struct {
        int64_t begin_ms;
        int64_t end_ms;
    } cases[] = {
        {INT64_MIN, 30 * ACME_DAY_MS}, {INT64_MIN, ACME_SECOND_MS}, {-ACME_HOUR_MS, INT64_MIN},
        {7 * ACME_DAY_MS, INT64_MIN},  {0, 30 * ACME_DAY_MS},       {7 * ACME_DAY_MS, 37 * ACME_DAY_MS},
        {INT64_MIN, INT64_MIN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reply reply = order_between(f, &client, cases[i].begin_ms, cases[i].end_ms);
        if (reply.status != 201)
            fail_msg("%zu: %s", i, text_of(&reply, "detail"));
        struct reply now = post(f, &client, reply.location, "");
        const char *begin = cases[i].begin_ms != INT64_MIN ? time_text(f, cases[i].begin_ms) : "";
        const char *end = cases[i].end_ms != INT64_MIN ? time_text(f, cases[i].end_ms) : "";
        assert_string_equal(text_of(&reply, "notBefore"), begin);
        assert_string_equal(text_of(&now, "notBefore"), begin);
        assert_string_equal(text_of(&reply, "notAfter"), end);
        assert_string_equal(text_of(&now, "notAfter"), end);
    }
}

static void test_forms(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    f->now_ms = INT64_C(1893456000000); /* 2030-01-01T00:00:00Z */
    client = join(f);
    static const struct {
        const char *written;
        const char *understood; /* NULL: refused */
    } cases[] = {
        {"\"2030-01-05T06:00:00Z\"", "2030-01-05T06:00:00Z"},
        {"\"2030-01-05T06:00:00.75Z\"", "2030-01-05T06:00:00Z"},
        {"\"2030-01-05T06:00:00.123456789+02:30\"", "2030-01-05T03:30:00Z"},
        {"\"2030-01-05t06:00:00-02:00\"", "2030-01-05T08:00:00Z"},
        {"\"2030-01-05 06:00:00Z\"", NULL},
        {"\"2030-01-05T06:00:00\"", NULL},
        {"\"2030-01-05\"", NULL},
        {"\"2030-02-30T06:00:00Z\"", NULL},
        {"\"2030-01-05T24:00:00Z\"", NULL},
        {"\"2030-01-05T06:00:00.Z\"", NULL},
        {"\"2030-01-05T06:00:00+24:00\"", NULL},
        {"\"2030-01-05T06:00:00Zx\"", NULL},
        {"\"1969-12-31T23:59:59Z\"", NULL},
        {"\"tomorrow\"", NULL},
        {"1893888000", NULL},
        {"{}", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reply reply =
            order_with(f, &client, acme_arena_printf(f->arena, ",\"notAfter\":%s", cases[i].written));
        if (cases[i].understood == NULL)
            assert_problem(&reply, 400, "malformed", "notAfter");
        else
            assert_string_equal(text_of(&reply, "notAfter"), cases[i].understood);
    }
}

static void test_refused(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    const struct {
        int64_t begin_ms;
        int64_t end_ms;
        const char *part;
    } cases[] = {
        {-ACME_HOUR_MS - 2 * ACME_SECOND_MS, INT64_MIN, "one hour ago"},
        {7 * ACME_DAY_MS + ACME_SECOND_MS, INT64_MIN, "seven days"},
        {INT64_MIN, 0, "future"},
        {INT64_MIN, -ACME_DAY_MS, "future"},
        {2 * ACME_DAY_MS, ACME_DAY_MS, "behind notBefore"},
        {ACME_DAY_MS, ACME_DAY_MS, "behind notBefore"},
        {INT64_MIN, 30 * ACME_DAY_MS + ACME_SECOND_MS, "720 hours"},
        {-ACME_HOUR_MS, 30 * ACME_DAY_MS, "720 hours"},
        {INT64_MIN, INT64_C(7000) * 365 * ACME_DAY_MS, "720 hours"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reply reply = order_between(f, &client, cases[i].begin_ms, cases[i].end_ms);
        assert_problem(&reply, 400, "malformed", cases[i].part);
    }
    struct reply other =
        post(f, &client, BASE "/profile/other/new-order",
             acme_arena_printf(
                 f->arena, "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.test\"}],\"notAfter\":\"%s\"}",
                 time_text(f, ACME_DAY_MS)));
    assert_problem(&other, 400, "malformed", "does not allow notAfter");
}

/* An order for other dates wants another certificate, whatever else is the same. */
static void test_dates_reach_the_issuer(void **state)
{
    struct fixture *f = *state;
    struct client client = join(f);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    const char *csr = csr_payload(f, key, "a.test");
    EVP_PKEY_free(key);
    (void)ready_order(f, &client, "a.test");
    const int64_t begin_ms[] = {INT64_MIN, 0, 0, ACME_HOUR_MS, INT64_MIN};
    const int64_t end_ms[] = {ACME_DAY_MS, ACME_DAY_MS, 2 * ACME_DAY_MS, 2 * ACME_DAY_MS, INT64_MIN};
    for (size_t i = 0; i < 5; i++) {
        struct reply order = order_between(f, &client, begin_ms[i], end_ms[i]);
        assert_string_equal(text_of(&order, "status"), "ready");
        f->job_count = 0;
        struct reply reply = post(f, &client, text_of(&order, "finalize"), csr);
        assert_int_equal(reply.status, 200);
        assert_int_equal(f->job_count, 1); /* an issuance of its own, not one joined */
        struct acme_issuance issuance;
        assert_int_equal(acme_store_issuance_get(f->store, f->arena, f->jobs[0].subject_id, &issuance).code,
                         ACME_OK);
        assert_int_equal(issuance.not_before_ms,
                         begin_ms[i] != INT64_MIN ? (f->now_ms + begin_ms[i]) / 1000 * 1000 : 0);
        assert_int_equal(issuance.not_after_ms,
                         end_ms[i] != INT64_MIN ? (f->now_ms + end_ms[i]) / 1000 * 1000 : 0);
    }
    /* The same dates join. */
    struct reply order = order_between(f, &client, begin_ms[3], end_ms[3]);
    f->job_count = 0;
    assert_int_equal(post(f, &client, text_of(&order, "finalize"), csr).status, 200);
    assert_int_equal(f->job_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_accepted, open_with_dates, fixture_close),
        cmocka_unit_test_setup_teardown(test_forms, open_with_dates, fixture_close),
        cmocka_unit_test_setup_teardown(test_refused, open_with_dates, fixture_close),
        cmocka_unit_test_setup_teardown(test_dates_reach_the_issuer, open_with_dates, fixture_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
