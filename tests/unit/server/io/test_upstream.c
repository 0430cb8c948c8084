/* An upstream account: what results of calls mean for its gate. */
#include "cmocka_all.h"
#include "server/upstream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct acme_upstream *upstream;
static struct acme_http_header retry_after = {.name = "retry-after"};

static struct acme_gate_limits limits(int per_minute, int burst)
{
    return (struct acme_gate_limits){.per_minute = per_minute, .burst = burst};
}

static int start(void **state)
{
    (void)state;
    struct acme_gate_limits wide = limits(60000, 1000);
    upstream = acme_upstream_create("sectigo", &wide);
    return upstream == NULL;
}

static int stop(void **state)
{
    (void)state;
    acme_upstream_destroy(upstream);
    return 0;
}

static struct acme_gate_slot book(void)
{
    struct acme_gate_slot slot;
    assert_int_equal(acme_upstream_book(upstream, 0, &slot), 0);
    return slot;
}

static void call(enum acme_outbound_failure failure, int status, const char *seconds)
{
    (void)book();
    retry_after.value = seconds;
    const struct acme_http_reply reply = {
        .status = status, .headers = &retry_after, .header_count = seconds != NULL};
    const struct acme_outbound_result result = {
        .failure = failure, .reply = failure == ACME_OUTBOUND_OK ? &reply : NULL, .detail = "x"};
    acme_upstream_called(upstream, &result, 0);
}

static int64_t closed_ms(void)
{
    static const struct acme_gate_slot slot = {.at_ms = 0};
    return acme_upstream_closed_ms(upstream, &slot);
}

static void test_refusals_are_answers(void **state)
{
    (void)state;
    static const int statuses[] = {200, 400, 401, 404};
    for (size_t i = 0; i < 20; i++)
        call(ACME_OUTBOUND_OK, statuses[i % 4], "30"); /* nor does it ask for a pause */
    assert_int_equal(closed_ms(), 0);
}

static void test_refused_logins_close_where_that_is_asked_for(void **state)
{
    (void)state;
    struct acme_gate_limits careful = limits(60000, 1000);
    careful.refused_pause_ms = 600 * 1000;
    acme_upstream_tighten(upstream, &careful);
    call(ACME_OUTBOUND_OK, 403, NULL);
    assert_int_equal(closed_ms(), 0);
    call(ACME_OUTBOUND_OK, 401, NULL);
    assert_in_range(closed_ms(), 599000, 600000);
    stop(state);
    start(state);
    acme_upstream_tighten(upstream, &careful);
    call(ACME_OUTBOUND_CONNECT, 0, NULL);
    assert_int_equal(closed_ms(), 0);
    call(ACME_OUTBOUND_LOGIN, 0, NULL); /* by the identity service, which locks users */
    assert_in_range(closed_ms(), 599000, 600000);
}

static void test_failures_close(void **state)
{
    (void)state;
    for (int i = 0; i < ACME_GATE_FAILURES_ALLOWED; i++) {
        assert_int_equal(closed_ms(), 0);
        call(i % 2 == 0 ? ACME_OUTBOUND_TIMEOUT : ACME_OUTBOUND_OK, 502, NULL);
    }
    assert_in_range(closed_ms(), 4000, 5000);
    struct acme_gate_slot slot;
    assert_in_range(acme_upstream_book(upstream, 60000, &slot), 4000, 5000);
    static const struct acme_gate_slot probe = {.probe = true};
    assert_int_equal(acme_upstream_closed_ms(upstream, &probe), 0);
}

static void test_pauses_that_are_asked_for(void **state)
{
    (void)state;
    call(ACME_OUTBOUND_OK, 503, "20");
    assert_in_range(closed_ms(), 19000, 20000);
    stop(state);
    start(state);
    call(ACME_OUTBOUND_OK, 429, NULL);
    assert_in_range(closed_ms(), 9000, 10000);
}

static void test_sharing_and_ahead(void **state)
{
    (void)state;
    struct acme_gate_limits other = limits(120, 2000);
    acme_upstream_tighten(upstream, &other);
    assert_int_equal(acme_upstream_interval_ms(upstream), 500);
    other = limits(600, 1);
    acme_upstream_tighten(upstream, &other);
    assert_int_equal(acme_upstream_interval_ms(upstream), 500);

    struct acme_gate_slot slot = book();
    assert_int_equal(acme_upstream_slot_ms(&slot), 0);
    assert_in_range(acme_upstream_book(upstream, 100, &slot), 300, 400);
    assert_int_equal(acme_upstream_book(upstream, 500, &slot), 0);
    assert_in_range(acme_upstream_slot_ms(&slot), 400, 500);
    acme_upstream_cancel(upstream, &slot);
    assert_int_equal(acme_upstream_book(upstream, 500, &slot), 0);
}

/* ---- over restarts ---- */

#define NOW_MS  INT64_C(1800000000000)
#define ACCOUNT "huawei-elb https://elb.test AK"

static char folder[64];
static struct acme_store *store;

static int open_store(void **state)
{
    char path[96];
    snprintf(folder, sizeof folder, "/tmp/acme-unit-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(path, sizeof path, "%s/db", folder);
    const struct acme_store_options options = {.path = path, .reader_count = 1};
    return acme_failed(acme_store_open(&options, &acme_clock_system, &store)) || start(state) != 0;
}

static int close_store(void **state)
{
    static const char *const files[] = {"db", "db-wal", "db-shm", "db.lock", "db-journal"};
    (void)stop(state);
    acme_store_close(store);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[96];
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        (void)unlink(path);
    }
    return rmdir(folder);
}

/* Another process, so many milliseconds later. */
static struct acme_backend backend = {.account = ACCOUNT, .login_mark = 7};

static void run_anew(void **state, int64_t later_ms)
{
    struct acme_gate_limits careful = limits(60000, 1000);
    careful.refused_pause_ms = 600 * 1000;
    (void)stop(state);
    (void)start(state);
    acme_upstream_tighten(upstream, &careful);
    assert_false(acme_failed(acme_upstream_remember(upstream, store, &backend, NOW_MS + later_ms)));
}

static void call_at(int status, int64_t later_ms)
{
    const struct acme_http_reply reply = {.status = status};
    const struct acme_outbound_result result = {.failure = ACME_OUTBOUND_OK, .reply = &reply};
    (void)book();
    acme_upstream_called(upstream, &result, NOW_MS + later_ms);
    acme_upstream_keep(upstream);
}

static void test_a_refusal_outlives_the_process(void **state)
{
    run_anew(state, 0);
    assert_int_equal(closed_ms(), 0);
    call_at(401, 0);
    run_anew(state, 100 * 1000);
    assert_in_range(closed_ms(), 499000, 500000);
    backend.login_mark = 8; /* the operator has seen to it */
    run_anew(state, 100 * 1000);
    assert_int_equal(closed_ms(), 0);
    backend.login_mark = 7;
    run_anew(state, 600 * 1000);
    assert_int_equal(closed_ms(), 0);
    call_at(401, 600 * 1000);
    run_anew(state, 700 * 1000);
    assert_in_range(closed_ms(), 1099000, 1100000); /* the second in a row */
    run_anew(state, 1800 * 1000);
    call_at(200, 1800 * 1000);
    run_anew(state, 1801 * 1000);
    call_at(401, 1801 * 1000);
    assert_in_range(closed_ms(), 599000, 600000); /* from the beginning */
}

static void test_a_damaged_note_is_none(void **state)
{
    static const char *const notes[] = {"",
                                        "x",
                                        "-5 1 7",
                                        "1800000500000",
                                        "1800000500000 0",
                                        "99999999999999999999 1 7",
                                        "1800000500000 99999999999 7"};
    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++) {
        const struct acme_bytes value = {.data = (const uint8_t *)notes[i], .len = strlen(notes[i])};
        assert_false(acme_failed(acme_store_value_set(store, "refused login " ACCOUNT, value)));
        run_anew(state, 0);
        assert_int_equal(closed_ms(), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_refusals_are_answers, start, stop),
        cmocka_unit_test_setup_teardown(test_refused_logins_close_where_that_is_asked_for, start, stop),
        cmocka_unit_test_setup_teardown(test_failures_close, start, stop),
        cmocka_unit_test_setup_teardown(test_pauses_that_are_asked_for, start, stop),
        cmocka_unit_test_setup_teardown(test_sharing_and_ahead, start, stop),
        cmocka_unit_test_setup_teardown(test_a_refusal_outlives_the_process, open_store, close_store),
        cmocka_unit_test_setup_teardown(test_a_damaged_note_is_none, open_store, close_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
