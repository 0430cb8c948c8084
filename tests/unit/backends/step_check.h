/* What the rigs of all backends have in common. */
#ifndef ACME_TESTS_STEP_CHECK_H
#define ACME_TESTS_STEP_CHECK_H

#include "backends/backend.h"

#include <stdarg.h>

/** check_step(step, now_ms): has what the contract asks of each kind of step (backend.h). */
void check_step(const struct acme_step *step, int64_t now_ms);

/** format_text(arena, format, args): as vprintf, at most 64 KiB, in the arena. */
const char *format_text(struct acme_arena *arena, const char *format, va_list args);

#endif
