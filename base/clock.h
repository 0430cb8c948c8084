/* Time as a dependency: protocol, certs and backends take a clock, so tests move it by hand.
 * All times are milliseconds since 1970-01-01T00:00:00Z unless a name says otherwise. */
#ifndef ACME_BASE_CLOCK_H
#define ACME_BASE_CLOCK_H

#include "base/err.h"

#include <stdint.h>

struct acme_clock {
    int64_t (*now_ms)(void *context);
    void *context;
};

extern const struct acme_clock acme_clock_system;

int64_t acme_clock_now_ms(const struct acme_clock *clock);

#define ACME_SECOND_MS INT64_C(1000)
#define ACME_MINUTE_MS (60 * ACME_SECOND_MS)
#define ACME_HOUR_MS   (60 * ACME_MINUTE_MS)
#define ACME_DAY_MS    (24 * ACME_HOUR_MS)

enum { ACME_RFC3339_SIZE = 32 };

/** acme_rfc3339_format(unix_ms, out): "2026-11-24T08:00:00Z" (whole seconds, UTC), NUL-terminated. */
void acme_rfc3339_format(int64_t unix_ms, char out[ACME_RFC3339_SIZE]);

/** acme_rfc3339_parse(text, ret_ms): any RFC 3339 date-time. Errors: FORMAT. */
struct acme_err acme_rfc3339_parse(const char *text, int64_t *ret_ms) ACME_MUST_USE;

#endif
