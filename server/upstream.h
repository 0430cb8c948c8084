/* One upstream account as the job runner sees it: its gate (upstream_gate.h) behind a lock, on the monotonic
 * clock, with lines in the log when it closes and opens. */
#ifndef ACME_SERVER_UPSTREAM_H
#define ACME_SERVER_UPSTREAM_H

#include "backends/backend.h"
#include "base/err.h"
#include "server/outbound.h"
#include "server/upstream_gate.h"
#include "store/store.h"

struct acme_upstream;

/** acme_upstream_create(name, limits): `name` is for the log, borrowed. NULL without memory. Thread: of all
 * functions: any. */
struct acme_upstream *acme_upstream_create(const char *name, const struct acme_gate_limits *limits);
void acme_upstream_destroy(struct acme_upstream *upstream); /* NULL is allowed */

/** acme_upstream_tighten(upstream, limits): another user of the account wants these: the stricter ones count.
 * Thread: before the first booking. */
void acme_upstream_tighten(struct acme_upstream *upstream, const struct acme_gate_limits *limits);

/** acme_upstream_remember(upstream, store, backend, now_ms): from now on the store keeps that the login of
 * this account was refused (value "refused login <account>"), and what an earlier run noted there counts: a
 * server that is started again and again must not lock the account. `store` and `account` are borrowed.
 * Errors: as the store's. Thread: before the first booking. */
struct acme_err acme_upstream_remember(struct acme_upstream *upstream, struct acme_store *store,
                                       const struct acme_backend *backend, int64_t now_ms) ACME_MUST_USE;

/** acme_upstream_keep(upstream): write what the last calls have changed in that, if anything; failures are
 * logged. Waits for the store: not on the outbound thread. NULL is allowed. */
void acme_upstream_keep(struct acme_upstream *upstream);

/** acme_upstream_book(upstream, max_wait_ms, ret): take a slot for one call, at most max_wait_ms from now:
 * returns 0. Else returns after how many milliseconds it is worth another try (at least 1), and *ret is
 * untouched. Each slot ends in one acme_upstream_cancel or acme_upstream_called. */
int64_t acme_upstream_book(struct acme_upstream *upstream, int64_t max_wait_ms, struct acme_gate_slot *ret);

/** acme_upstream_slot_ms(slot): how long it is until this slot; 0: now. */
int64_t acme_upstream_slot_ms(const struct acme_gate_slot *slot);

/** acme_upstream_closed_ms(upstream, slot): how long a call with this slot, booked when the gate was open,
 * may not be made because it has closed meanwhile; 0: make it. */
int64_t acme_upstream_closed_ms(struct acme_upstream *upstream, const struct acme_gate_slot *slot);

/** acme_upstream_cancel(upstream, slot): the call is not made. */
void acme_upstream_cancel(struct acme_upstream *upstream, const struct acme_gate_slot *slot);

/** acme_upstream_called(upstream, result, now_ms): how the call ended; now_ms, of the calendar, is for dates
 * in Retry-After. */
void acme_upstream_called(struct acme_upstream *upstream, const struct acme_outbound_result *result,
                          int64_t now_ms);

/** acme_upstream_interval_ms(upstream): the mean time from one call to the next at full pace. */
int64_t acme_upstream_interval_ms(const struct acme_upstream *upstream);

#endif
