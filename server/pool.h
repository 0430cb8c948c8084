/* A bounded pool of worker threads. */
#ifndef ACME_SERVER_POOL_H
#define ACME_SERVER_POOL_H

#include "base/err.h"

#include <stddef.h>

struct acme_pool;

/** acme_pool_create(name, threads, places, max_queue, ret): `threads` workers named after `name` (at most 15
 * characters) over one queue of at most `max_queue` waiting tasks. About `places` of them work at a time;
 * those that wait for something slow (base/blocking.h) do not count. Errors: NOMEM, IO. */
struct acme_err acme_pool_create(const char *name, int threads, int places, size_t max_queue,
                                 struct acme_pool **ret) ACME_MUST_USE;

/** acme_pool_submit(pool, run, task): run(task) on a worker. `task` belongs to run from then on. Errors: BUSY
 * (queue full), STATE (pool is ending); the task then stays the caller's. Thread: any. */
struct acme_err acme_pool_submit(struct acme_pool *pool, void (*run)(void *task), void *task) ACME_MUST_USE;

/** acme_pool_end(pool): take no more tasks (acme_pool_submit answers STATE), finish the queued ones, join the
 * threads. NULL is allowed. */
void acme_pool_end(struct acme_pool *pool);

/** acme_pool_destroy(pool): end it and release it; nobody may be submitting any more. NULL is allowed. */
void acme_pool_destroy(struct acme_pool *pool);

#endif
