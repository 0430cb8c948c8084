#include "server/upstream_gate.h"

#define MINUTE_US INT64_C(60000000)

enum {
    LOGIN_MS = 500, /* what a first call takes, roughly */
    PAUSE_FIRST_MS = 5 * 1000,
    PAUSE_MAX_MS = 5 * 60 * 1000,
    CLOSED_MAX_MS = 60 * 60 * 1000, /* a mistaken header must not silence an upstream for a day */
};

void acme_gate_init(struct acme_gate *gate, const struct acme_gate_limits *limits)
{
    *gate = (struct acme_gate){.limits = *limits};
    if (gate->limits.burst < 1)
        gate->limits.burst = 1;
}

static bool is_down(const struct acme_gate *gate)
{
    return gate->failures >= ACME_GATE_FAILURES_ALLOWED;
}

static bool is_login_doubtful(const struct acme_gate *gate)
{
    return gate->limits.refused_pause_ms > 0 && !gate->accepted;
}

static int64_t interval_us(const struct acme_gate *gate)
{
    return MINUTE_US / gate->limits.per_minute;
}

/* The bucket as the time at which it would be full again (ITU-T I.371's virtual scheduling): nothing is lost
 * by rounding, however often it is asked. */
static int64_t pace_wait_us(struct acme_gate *gate, int64_t now_ms)
{
    if (gate->limits.per_minute <= 0)
        return 0;
    int64_t room_us = (gate->limits.burst - 1) * interval_us(gate);
    int64_t wait_us = gate->full_at_us - room_us - now_ms * 1000;
    if (wait_us > gate->ahead_us + interval_us(gate)) { /* the clock went back: begin from here */
        gate->full_at_us = now_ms * 1000 + room_us + interval_us(gate);
        gate->ahead_us = 0;
        wait_us = interval_us(gate);
    }
    if (wait_us <= 0)
        gate->ahead_us = 0;
    return wait_us > 0 ? wait_us : 0;
}

static int64_t ms_of(int64_t us)
{
    return (us + 999) / 1000;
}

int64_t acme_gate_closed_ms(struct acme_gate *gate, int64_t now_ms)
{
    int64_t closed_ms = gate->closed_until_ms - now_ms;
    if (closed_ms > CLOSED_MAX_MS) /* the clock went back */
        gate->closed_until_ms = closed_ms = 0;
    if (closed_ms <= 0 && gate->probing)
        closed_ms = is_down(gate) ? PAUSE_FIRST_MS : LOGIN_MS;
    return closed_ms > 0 ? closed_ms : 0;
}

int64_t acme_gate_wait_ms(struct acme_gate *gate, int64_t now_ms)
{
    int64_t pace_ms = ms_of(pace_wait_us(gate, now_ms));
    int64_t closed_ms = acme_gate_closed_ms(gate, now_ms);
    return closed_ms > pace_ms ? closed_ms : pace_ms;
}

bool acme_gate_book(struct acme_gate *gate, int64_t now_ms, int64_t max_wait_ms, struct acme_gate_slot *ret)
{
    int64_t wait_us = pace_wait_us(gate, now_ms);
    if (acme_gate_closed_ms(gate, now_ms) > 0 || ms_of(wait_us) > max_wait_ms)
        return false;
    if (gate->limits.per_minute > 0) {
        int64_t from_us = now_ms * 1000 > gate->full_at_us ? now_ms * 1000 : gate->full_at_us;
        gate->full_at_us = from_us + interval_us(gate);
        if (wait_us > gate->ahead_us)
            gate->ahead_us = wait_us;
    }
    gate->probing = is_down(gate) || is_login_doubtful(gate);
    *ret = (struct acme_gate_slot){.at_ms = now_ms + ms_of(wait_us), .probe = gate->probing};
    return true;
}

void acme_gate_cancel(struct acme_gate *gate, const struct acme_gate_slot *slot)
{
    if (slot->probe)
        gate->probing = false;
    if (gate->limits.per_minute > 0)
        gate->full_at_us -= interval_us(gate);
}

static void close_until(struct acme_gate *gate, int64_t until_ms)
{
    if (until_ms > gate->closed_until_ms)
        gate->closed_until_ms = until_ms;
}

/* Doubled `times` times. */
static int64_t doubled(int64_t first_ms, int times, int64_t max_ms)
{
    int64_t pause_ms = first_ms;
    for (int i = 0; i < times && pause_ms < max_ms; i++)
        pause_ms *= 2;
    return pause_ms < max_ms ? pause_ms : max_ms;
}

bool acme_gate_report(struct acme_gate *gate, int64_t now_ms, enum acme_gate_outcome outcome,
                      int64_t retry_after_ms)
{
    gate->probing = false;
    if (retry_after_ms > 0)
        close_until(gate, now_ms + (retry_after_ms < CLOSED_MAX_MS ? retry_after_ms : CLOSED_MAX_MS));
    if (outcome != ACME_GATE_FAILED) {
        /* Calls that were under way at the same time may still end well after others have closed the gate. */
        gate->failures = 0;
        if (outcome == ACME_GATE_REFUSED) {
            close_until(gate, now_ms + doubled(gate->limits.refused_pause_ms, gate->refusals, CLOSED_MAX_MS));
            gate->refusals++;
            gate->accepted = false;
            return false;
        }
        if (outcome == ACME_GATE_ANSWERED) {
            gate->refusals = 0;
            gate->accepted = true;
        }
        if (outcome == ACME_GATE_ANSWERED && retry_after_ms <= 0)
            gate->closed_until_ms = 0;
        return false;
    }
    /* Several that fail together are one reason to wait, not several. */
    if (gate->failures >= ACME_GATE_FAILURES_ALLOWED && now_ms < gate->closed_until_ms)
        return false;
    gate->failures++;
    if (gate->failures < ACME_GATE_FAILURES_ALLOWED)
        return false;
    close_until(gate,
                now_ms + doubled(PAUSE_FIRST_MS, gate->failures - ACME_GATE_FAILURES_ALLOWED, PAUSE_MAX_MS));
    return gate->failures == ACME_GATE_FAILURES_ALLOWED;
}

void acme_gate_refuse(struct acme_gate *gate, int64_t now_ms, int64_t closed_ms, int refusals)
{
    close_until(gate, now_ms + (closed_ms < CLOSED_MAX_MS ? closed_ms : CLOSED_MAX_MS));
    gate->refusals = refusals;
    gate->accepted = false;
}
