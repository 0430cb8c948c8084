/* The http-01 side of the load generator: answers validations from a table of tokens, in one thread of its
 * own. */
#ifndef ACME_BENCH_RESPONDER_H
#define ACME_BENCH_RESPONDER_H

#include "base/err.h"

#include <stdint.h>

struct acme_bench_responder;

/** acme_bench_responder_start(address, port, ret): listen on `address` (NULL: 127.0.0.1 and, where there is
 * one, ::1) and answer until stopped. Owns: the caller, acme_bench_responder_stop. Errors: IO (errno tells
 * why), NOMEM. */
struct acme_err acme_bench_responder_start(const char *address, uint16_t port,
                                           struct acme_bench_responder **ret) ACME_MUST_USE;

/** acme_bench_responder_stop(responder): end the thread, close everything. NULL is allowed. */
void acme_bench_responder_stop(struct acme_bench_responder *responder);

/** acme_bench_responder_add / _remove(responder, token, ...): from now on `token` is answered with
 *  "token.thumbprint" (RFC 8555 section 8.3), or no longer. Copies. Errors: NOMEM. Thread: any. */
struct acme_err acme_bench_responder_add(struct acme_bench_responder *responder, const char *token,
                                         const char *thumbprint) ACME_MUST_USE;
void acme_bench_responder_remove(struct acme_bench_responder *responder, const char *token);

/** acme_bench_responder_answered(responder): validations answered so far. Thread: any. */
uint64_t acme_bench_responder_answered(struct acme_bench_responder *responder);

#endif
