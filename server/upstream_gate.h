/* Protection of one upstream account: how often it is called, and that it is left alone while it has trouble.
 * A token bucket for the pace and a circuit breaker for outages; a function of the times given to it. Not
 * locked: the caller is. */
#ifndef ACME_SERVER_UPSTREAM_GATE_H
#define ACME_SERVER_UPSTREAM_GATE_H

#include <stdbool.h>
#include <stdint.h>

struct acme_gate_limits {
    int per_minute;           /* calls; 0: no limit */
    int burst;                /* calls at once after a pause; at least 1 */
    int64_t refused_pause_ms; /* after a refused login; 0: none */
};

struct acme_gate {
    struct acme_gate_limits limits;
    int64_t full_at_us;      /* when the whole burst is there again */
    int64_t ahead_us;        /* how far ahead calls have been booked */
    int failures;            /* in a row */
    int refusals;            /* of the login, in a row */
    int64_t closed_until_ms; /* nothing passes before; 0: open */
    bool probing;  /* one call is under way to see whether the upstream is back, or takes the login */
    bool accepted; /* the login, by the last answer; counts only where refusals have a pause */
};

/* The right to make one call. */
struct acme_gate_slot {
    int64_t at_ms; /* not before */
    bool probe;    /* the only one while the upstream is suspected to be down, or to refuse the login */
};

enum acme_gate_outcome {
    ACME_GATE_ANSWERED,  /* any answer that shows a working upstream, refusals too */
    ACME_GATE_THROTTLED, /* 429, or 503 with Retry-After: it names the time itself */
    ACME_GATE_REFUSED,   /* the login, where the limits have a pause for that */
    ACME_GATE_FAILED     /* no answer, or 5xx */
};

enum { ACME_GATE_FAILURES_ALLOWED = 5 };

void acme_gate_init(struct acme_gate *gate, const struct acme_gate_limits *limits);

/** acme_gate_wait_ms(gate, now_ms): 0 when a call may be made now, else how long none may. Takes nothing. */
int64_t acme_gate_wait_ms(struct acme_gate *gate, int64_t now_ms);

/** acme_gate_closed_ms(gate, now_ms): how long nothing passes whatever the pace; 0: open. */
int64_t acme_gate_closed_ms(struct acme_gate *gate, int64_t now_ms);

/** acme_gate_book(gate, now_ms, max_wait_ms, ret): a call that is made at ret->at_ms, at most max_wait_ms
 * from now, for which the pace then has room: true; or false: `*ret` is untouched. While the gate is closed
 * nothing is booked. Each slot ends in one acme_gate_report or acme_gate_cancel. */
bool acme_gate_book(struct acme_gate *gate, int64_t now_ms, int64_t max_wait_ms, struct acme_gate_slot *ret);

/** acme_gate_report(gate, now_ms, outcome, retry_after_ms): how a call ended. After
 * ACME_GATE_FAILURES_ALLOWED failures in a row nothing passes for 5 s, then a single call as a probe; while
 * probes fail the pauses double up to 5 minutes. A refused login closes it for refused_pause_ms, doubled for
 * each further one in a row, at most an hour: whoever shares the account must not add to the failures that
 * make the upstream lock it. For the same reason a
 * login that has not been accepted yet is tried by one call at a time. retry_after_ms (0: none) closes the
 * gate for that long, whatever came. Returns true when the gate has just closed because of failures: worth a
 * line in the log. */
bool acme_gate_report(struct acme_gate *gate, int64_t now_ms, enum acme_gate_outcome outcome,
                      int64_t retry_after_ms);

/** acme_gate_refuse(gate, now_ms, closed_ms, refusals): the login was refused so often in a row, by an
 * earlier run: closed for so long from now on, an hour at most. */
void acme_gate_refuse(struct acme_gate *gate, int64_t now_ms, int64_t closed_ms, int refusals);

/** acme_gate_cancel(gate, slot): the call is not made after all. */
void acme_gate_cancel(struct acme_gate *gate, const struct acme_gate_slot *slot);

#endif
