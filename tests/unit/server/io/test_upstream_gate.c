/* The pace and the pauses of calls to an upstream account. */
#include "cmocka_all.h"
#include "server/upstream_gate.h"

#define START_MS INT64_C(1000000000)

static struct acme_gate make(int per_minute, int burst)
{
    struct acme_gate gate;
    const struct acme_gate_limits limits = {.per_minute = per_minute, .burst = burst};
    acme_gate_init(&gate, &limits);
    return gate;
}

static bool pass(struct acme_gate *gate, int64_t now_ms)
{
    struct acme_gate_slot slot;
    if (!acme_gate_book(gate, now_ms, 0, &slot))
        return false;
    assert_int_equal(slot.at_ms, now_ms);
    return true;
}

static void answered(struct acme_gate *gate, int64_t now_ms)
{
    assert_false(acme_gate_report(gate, now_ms, ACME_GATE_ANSWERED, 0));
}

static void test_pace(void **state)
{
    (void)state;
    struct acme_gate gate = make(30, 3); /* one in 2 s */
    for (int i = 0; i < 3; i++)
        assert_true(pass(&gate, START_MS));
    assert_false(pass(&gate, START_MS));
    assert_int_equal(acme_gate_wait_ms(&gate, START_MS), 2000);
    assert_int_equal(acme_gate_wait_ms(&gate, START_MS + 500), 1500);
    assert_false(pass(&gate, START_MS + 1999));
    assert_true(pass(&gate, START_MS + 2000));
    assert_false(pass(&gate, START_MS + 2000));
}

/* However often it is asked, an hour holds what it may and no more. */
static void test_pace_over_an_hour(void **state)
{
    (void)state;
    static const int steps_ms[] = {1, 7, 333, 5000};
    for (size_t i = 0; i < sizeof steps_ms / sizeof *steps_ms; i++) {
        struct acme_gate gate = make(35, 5);
        int calls = 0;
        for (int64_t at = 0; at < 3600 * 1000; at += steps_ms[i])
            while (pass(&gate, START_MS + at)) {
                answered(&gate, START_MS + at);
                calls++;
            }
        assert_in_range(calls, 35 * 60 - 10, 35 * 60 + 5);
    }
}

static void test_a_long_pause_gives_one_burst(void **state)
{
    (void)state;
    struct acme_gate gate = make(60, 4);
    int64_t later = START_MS + (int64_t)30 * 24 * 3600 * 1000;
    int calls = 0;
    while (pass(&gate, later))
        calls++;
    assert_int_equal(calls, 4);
}

static void test_no_limit(void **state)
{
    (void)state;
    struct acme_gate gate = make(0, 0);
    for (int i = 0; i < 1000; i++)
        assert_true(pass(&gate, START_MS));
}

static void test_a_cancelled_call_is_given_back(void **state)
{
    (void)state;
    struct acme_gate gate = make(1, 1);
    struct acme_gate_slot slot;
    assert_true(acme_gate_book(&gate, START_MS, 0, &slot));
    assert_false(pass(&gate, START_MS));
    acme_gate_cancel(&gate, &slot);
    assert_true(pass(&gate, START_MS));
}

static void fail_times(struct acme_gate *gate, int count, int64_t now_ms)
{
    for (int i = 0; i < count; i++)
        (void)acme_gate_report(gate, now_ms, ACME_GATE_FAILED, 0);
}

static void test_breaker(void **state)
{
    (void)state;
    struct acme_gate gate = make(0, 1);
    fail_times(&gate, ACME_GATE_FAILURES_ALLOWED - 1, START_MS);
    assert_int_equal(acme_gate_wait_ms(&gate, START_MS), 0);
    answered(&gate, START_MS); /* any answer ends the row */
    fail_times(&gate, ACME_GATE_FAILURES_ALLOWED - 1, START_MS);
    assert_true(acme_gate_report(&gate, START_MS, ACME_GATE_FAILED, 0));
    assert_int_equal(acme_gate_wait_ms(&gate, START_MS), 5000);
    fail_times(&gate, 3, START_MS + 10); /* were under way: not worse for that */
    assert_int_equal(acme_gate_wait_ms(&gate, START_MS), 5000);

    int64_t now = START_MS + 5000;
    static const int pauses_ms[] = {10000, 20000, 40000, 80000, 160000, 300000, 300000};
    for (size_t i = 0; i < sizeof pauses_ms / sizeof *pauses_ms; i++) {
        assert_true(pass(&gate, now)); /* one probe */
        assert_false(pass(&gate, now));
        assert_false(acme_gate_report(&gate, now, ACME_GATE_FAILED, 0));
        assert_int_equal(acme_gate_wait_ms(&gate, now), pauses_ms[i]);
        now += pauses_ms[i];
    }
    assert_true(pass(&gate, now));
    answered(&gate, now);
    assert_true(pass(&gate, now));
    assert_true(pass(&gate, now));
}

/* Calls may be booked before the pace has room for them, each for its own time. */
static void test_booking_ahead(void **state)
{
    (void)state;
    struct acme_gate gate = make(60, 2);
    static const int at_ms[] = {0, 0, 1000, 2000, 3000};
    struct acme_gate_slot slot = {.at_ms = 0};
    for (size_t i = 0; i < sizeof at_ms / sizeof *at_ms; i++) {
        assert_true(acme_gate_book(&gate, START_MS, 3000, &slot));
        assert_int_equal(slot.at_ms, START_MS + at_ms[i]);
        assert_false(slot.probe);
    }
    assert_false(acme_gate_book(&gate, START_MS, 3000, &slot));
    assert_int_equal(acme_gate_wait_ms(&gate, START_MS), 4000);
    acme_gate_cancel(&gate, &slot);
    assert_true(acme_gate_book(&gate, START_MS + 500, 3000, &slot));
    assert_int_equal(slot.at_ms, START_MS + 3000);
}

static void test_one_probe(void **state)
{
    (void)state;
    struct acme_gate gate = make(60, 5);
    struct acme_gate_slot before;
    struct acme_gate_slot probe;
    assert_true(acme_gate_book(&gate, START_MS, 0, &before));
    fail_times(&gate, ACME_GATE_FAILURES_ALLOWED, START_MS);
    assert_int_equal(acme_gate_closed_ms(&gate, START_MS + 4000), 1000);
    assert_false(acme_gate_book(&gate, START_MS + 4000, 60 * 1000, &probe)); /* not ahead of the opening */
    assert_true(acme_gate_book(&gate, START_MS + 5000, 0, &probe));
    assert_true(probe.probe);
    acme_gate_cancel(&gate, &before); /* another one: the probe is still under way */
    assert_false(pass(&gate, START_MS + 5000));
    acme_gate_cancel(&gate, &probe);
    assert_true(pass(&gate, START_MS + 5000));
}

static void test_throttled(void **state)
{
    (void)state;
    struct acme_gate gate = make(0, 1);
    assert_true(pass(&gate, START_MS));
    assert_false(acme_gate_report(&gate, START_MS, ACME_GATE_THROTTLED, 30 * 1000));
    assert_int_equal(acme_gate_wait_ms(&gate, START_MS), 30 * 1000);
    answered(&gate, START_MS); /* one that was under way when the other was throttled */
    assert_true(acme_gate_report(&gate, START_MS, ACME_GATE_THROTTLED, (int64_t)24 * 3600 * 1000) == false);
    assert_int_equal(acme_gate_wait_ms(&gate, START_MS), 3600 * 1000);
}

static void test_refused_logins(void **state)
{
    (void)state;
    struct acme_gate gate = make(60, 10);
    gate.limits.refused_pause_ms = 600 * 1000;
    int64_t now_ms = START_MS;
    static const int64_t pauses_s[] = {600, 1200, 2400, 3600, 3600};
    for (size_t i = 0; i < sizeof pauses_s / sizeof *pauses_s; i++) {
        assert_true(pass(&gate, now_ms));
        assert_false(acme_gate_report(&gate, now_ms, ACME_GATE_REFUSED, 0));
        assert_int_equal(acme_gate_closed_ms(&gate, now_ms), pauses_s[i] * 1000);
        now_ms += pauses_s[i] * 1000;
        assert_int_equal(acme_gate_closed_ms(&gate, now_ms), 0);
    }
    assert_true(pass(&gate, now_ms));
    acme_gate_report(&gate, now_ms, ACME_GATE_ANSWERED, 0);
    assert_int_equal(acme_gate_closed_ms(&gate, now_ms), 0);
    acme_gate_report(&gate, now_ms, ACME_GATE_REFUSED, 0);
    assert_int_equal(acme_gate_closed_ms(&gate, now_ms), 600 * 1000); /* from the beginning */
}

/* Several jobs with one login: as long as it is not known to be good one of them tries it. */
static void test_a_login_is_tried_once(void **state)
{
    (void)state;
    struct acme_gate gate = make(600, 10);
    gate.limits.refused_pause_ms = 600 * 1000;
    struct acme_gate_slot slot;
    struct acme_gate_slot other;
    assert_true(acme_gate_book(&gate, START_MS, 0, &slot));
    assert_true(slot.probe);
    assert_false(acme_gate_book(&gate, START_MS, 0, &other));
    assert_int_equal(acme_gate_closed_ms(&gate, START_MS), 500);
    acme_gate_cancel(&gate, &slot);
    assert_true(acme_gate_book(&gate, START_MS, 0, &slot));
    acme_gate_report(&gate, START_MS, ACME_GATE_REFUSED, 0);
    assert_int_equal(acme_gate_closed_ms(&gate, START_MS), 600 * 1000);
    int64_t now_ms = START_MS + 600 * 1000;
    assert_true(acme_gate_book(&gate, now_ms, 0, &slot));
    assert_false(acme_gate_book(&gate, now_ms, 0, &other));
    acme_gate_report(&gate, now_ms, ACME_GATE_ANSWERED, 0);
    assert_true(acme_gate_book(&gate, now_ms, 0, &slot));
    assert_true(acme_gate_book(&gate, now_ms, 0, &other));
    assert_false(other.probe);
}

static void test_refused_by_an_earlier_run(void **state)
{
    (void)state;
    struct acme_gate gate = make(600, 10);
    gate.limits.refused_pause_ms = 600 * 1000;
    acme_gate_refuse(&gate, START_MS, 300 * 1000, 2);
    assert_int_equal(acme_gate_closed_ms(&gate, START_MS), 300 * 1000);
    int64_t now_ms = START_MS + 300 * 1000;
    struct acme_gate_slot slot;
    assert_true(acme_gate_book(&gate, now_ms, 0, &slot));
    acme_gate_report(&gate, now_ms, ACME_GATE_REFUSED, 0);
    assert_int_equal(acme_gate_closed_ms(&gate, now_ms), 2400 * 1000); /* the third in a row */
    acme_gate_refuse(&gate, now_ms, (int64_t)24 * 3600 * 1000, 0);
    assert_int_equal(acme_gate_closed_ms(&gate, now_ms), 3600 * 1000);
}

static void test_the_clock_goes_back(void **state)
{
    (void)state;
    struct acme_gate gate = make(60, 1);
    assert_true(pass(&gate, START_MS));
    assert_int_equal(acme_gate_wait_ms(&gate, START_MS - 500 * 1000), 1000);
    assert_true(pass(&gate, START_MS - 499 * 1000));
    gate.closed_until_ms = START_MS + 5000;
    assert_true(acme_gate_wait_ms(&gate, START_MS - 400 * (int64_t)3600 * 1000) <= 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pace),
        cmocka_unit_test(test_pace_over_an_hour),
        cmocka_unit_test(test_a_long_pause_gives_one_burst),
        cmocka_unit_test(test_no_limit),
        cmocka_unit_test(test_a_cancelled_call_is_given_back),
        cmocka_unit_test(test_breaker),
        cmocka_unit_test(test_booking_ahead),
        cmocka_unit_test(test_one_probe),
        cmocka_unit_test(test_throttled),
        cmocka_unit_test(test_refused_logins),
        cmocka_unit_test(test_a_login_is_tried_once),
        cmocka_unit_test(test_refused_by_an_earlier_run),
        cmocka_unit_test(test_the_clock_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
