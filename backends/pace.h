/* How long backends wait: after failures, and between two looks at something that waits upstream. */
#ifndef ACME_BACKENDS_PACE_H
#define ACME_BACKENDS_PACE_H

#include "backends/backend.h"

/* After an ordinary failure, and after a refused login, which a person has to see to. */
#define ACME_BACKOFF_FIRST_MS (5 * ACME_SECOND_MS)
#define ACME_BACKOFF_MAX_MS   (5 * ACME_MINUTE_MS)
#define ACME_LOGIN_FIRST_MS   ACME_MINUTE_MS
#define ACME_LOGIN_MAX_MS     (15 * ACME_MINUTE_MS)

/** acme_pace_backoff_ms(first_ms, max_ms, failures): first_ms, doubled for each of `failures` in a row
 * before, at most max_ms. Thread: any. */
int64_t acme_pace_backoff_ms(int64_t first_ms, int64_t max_ms, int64_t failures);

/** acme_pace_poll_ms(tag, polls, age_ms, max_ms): until the next look, when there have been `polls`: 3 s at
 * first, a minute later on, then a twelfth of the age, at most max_ms; up to a tenth more or less by a hash
 * of tag and poll, so that requests made together are not asked about together for ever. Thread: any. */
int64_t acme_pace_poll_ms(const char *tag, int64_t polls, int64_t age_ms, int64_t max_ms);

/** acme_pace_search_ms(elapsed_ms, quiet_ms): until the next round of a search for what an open call may have
 * made: rounds begin 5, 15, 30, 60 s ... after the outcome became open, the last one after quiet_ms. 0: now.
 * Thread: any. */
int64_t acme_pace_search_ms(int64_t elapsed_ms, int64_t quiet_ms);

/** acme_pace_wait(step, input, delay_ms, failure, note): *step is that wait; a Retry-After in the reply of
 * this step lengthens it. Thread: any. */
void acme_pace_wait(struct acme_step *step, const struct acme_step_input *input, int64_t delay_ms,
                    bool failure, const char *note);

/** acme_pace_is_over(step, input, deadline_ms): the deadline (0: none) has passed, and *step would wait or
 * make a call that must not happen twice: the issuance is to end instead. A look that is under way is
 * finished. Before the deadline a wait is cut so that it ends there. Thread: any. */
bool acme_pace_is_over(struct acme_step *step, const struct acme_step_input *input, int64_t deadline_ms);

#endif
