#include "backends/pace.h"

/* What upstreams issue without a person is ready within a minute; those requests that wait for a person are
 * not worth asking about often: a twelfth of their age then, every five minutes after an hour, and so on. */
static const int64_t pace_s[] = {3, 5, 8, 13, 21, 30, 60};
enum { AGE_PARTS = 12, SPREAD_PARTS = 10 };

int64_t acme_pace_backoff_ms(int64_t first_ms, int64_t max_ms, int64_t failures)
{
    int64_t delay_ms = first_ms;
    for (int64_t i = 0; i < failures && delay_ms < max_ms; i++)
        delay_ms *= 2;
    return delay_ms < max_ms ? delay_ms : max_ms;
}

/* Different for each issuance and each poll, and always the same for these. */
static int64_t spread(const char *tag, int64_t polls, int64_t delay_ms)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (const char *p = tag; *p != '\0'; p++)
        hash = (hash ^ (uint8_t)*p) * 16777619u;
    hash = (hash ^ (uint8_t)polls) * 16777619u;
    hash ^= hash >> 15; /* its low bits are the worst */
    return delay_ms - delay_ms / SPREAD_PARTS + (int64_t)(hash % 2001) * (delay_ms / SPREAD_PARTS) / 1000;
}

int64_t acme_pace_poll_ms(const char *tag, int64_t polls, int64_t age_ms, int64_t max_ms)
{
    const int64_t last = (int64_t)(sizeof pace_s / sizeof pace_s[0]) - 1;
    int64_t delay_ms = pace_s[polls >= 0 && polls < last ? polls : last] * ACME_SECOND_MS;
    if (polls > last && delay_ms < age_ms / AGE_PARTS)
        delay_ms = age_ms / AGE_PARTS;
    return spread(tag, polls + 1, delay_ms < max_ms ? delay_ms : max_ms);
}

/* What the reply of this step asks for; 0: nothing. */
static int64_t retry_after_ms(const struct acme_step_input *input)
{
    if (input->event != ACME_EVENT_REPLY || input->reply == NULL)
        return 0;
    int64_t seconds = acme_http_reply_retry_after_s(input->reply, input->now_ms);
    return seconds > 0 ? seconds * ACME_SECOND_MS : 0;
}

int64_t acme_pace_search_ms(int64_t elapsed_ms, int64_t quiet_ms)
{
    const int64_t first_ms = 5 * ACME_SECOND_MS;
    if (elapsed_ms < 0)
        elapsed_ms = 0;
    int64_t next_ms = first_ms;
    while (next_ms <= elapsed_ms)
        next_ms = next_ms == first_ms ? 3 * first_ms : 2 * next_ms;
    if (next_ms > quiet_ms)
        next_ms = quiet_ms;
    return next_ms > elapsed_ms ? next_ms - elapsed_ms : 0;
}

void acme_pace_wait(struct acme_step *step, const struct acme_step_input *input, int64_t delay_ms,
                    bool failure, const char *note)
{
    int64_t asked_ms = retry_after_ms(input);
    step->kind = ACME_STEP_WAIT;
    step->wait_until_ms = input->now_ms + (delay_ms < asked_ms ? asked_ms : delay_ms);
    step->failure = failure;
    step->note = note;
}

bool acme_pace_is_over(struct acme_step *step, const struct acme_step_input *input, int64_t deadline_ms)
{
    if (deadline_ms <= 0)
        return false;
    if (input->now_ms >= deadline_ms)
        return step->kind == ACME_STEP_WAIT || (step->kind == ACME_STEP_CALL && step->once);
    if (step->kind == ACME_STEP_WAIT && step->wait_until_ms > deadline_ms)
        step->wait_until_ms = deadline_ms;
    return false;
}
