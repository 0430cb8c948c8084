/* Starting threads the way all of ours start. */
#ifndef ACME_SERVER_THREAD_H
#define ACME_SERVER_THREAD_H

#include "base/err.h"

#include <pthread.h>

/** acme_thread_start(name, run, argument, ret): a joinable thread named `name` (cut to 15 characters) with
 * every signal blocked, so that signals reach the main thread only and a write to a closed socket returns
 * EPIPE. Errors: IO. Thread: any. */
struct acme_err acme_thread_start(const char *name, void *(*run)(void *argument), void *argument,
                                  pthread_t *ret) ACME_MUST_USE;

#endif
