/* Removes from the store what has ended long ago, once an hour, on a thread of its own. */
#ifndef ACME_SERVER_SWEEPER_H
#define ACME_SERVER_SWEEPER_H

#include "store/store.h"

struct acme_sweeper;

/** acme_sweeper_start(store, clock, keep_ms, ret): from now on. `keep_ms` is how long what has ended stays.
 * The first round begins after some seconds. Owns: *ret, release with acme_sweeper_stop, before the store is
 * closed. Errors: NOMEM, IO. */
struct acme_err acme_sweeper_start(struct acme_store *store, const struct acme_clock *clock, int64_t keep_ms,
                                   struct acme_sweeper **ret) ACME_MUST_USE;

/** acme_sweeper_stop(sweeper): waits for the batch under way at most. NULL is allowed. */
void acme_sweeper_stop(struct acme_sweeper *sweeper);

#endif
