#include "server/upstream.h"

#include "base/clock.h"
#include "base/log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A 429 that does not say for how long. */
#define THROTTLED_MS (10 * ACME_SECOND_MS)

struct acme_upstream {
    const char *name;
    pthread_mutex_t lock;
    struct acme_gate gate;
    bool down;                /* the gate has closed because of failures and no answer has come since */
    struct acme_store *store; /* NULL: refusals are not kept */
    char *value;              /* its name */
    int mark;                 /* of the login */
    bool kept;                /* the store has a refusal */
    bool changed;             /* and is to learn of another, or of none */
    int64_t refused_until_ms; /* of the calendar; 0: none */
};

enum { ARENA_BYTES = 16 * 1024, VALUE_SIZE = 64, REFUSALS_MAX = 1000000 };

static int64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct acme_upstream *acme_upstream_create(const char *name, const struct acme_gate_limits *limits)
{
    struct acme_upstream *upstream = calloc(1, sizeof *upstream);
    if (upstream == NULL)
        return NULL;
    upstream->name = name;
    acme_gate_init(&upstream->gate, limits);
    pthread_mutex_init(&upstream->lock, NULL);
    return upstream;
}

void acme_upstream_destroy(struct acme_upstream *upstream)
{
    if (upstream == NULL)
        return;
    pthread_mutex_destroy(&upstream->lock);
    free(upstream->value);
    free(upstream);
}

void acme_upstream_tighten(struct acme_upstream *upstream, const struct acme_gate_limits *limits)
{
    struct acme_gate_limits *kept = &upstream->gate.limits;
    if (limits->per_minute < kept->per_minute)
        kept->per_minute = limits->per_minute;
    if (limits->burst >= 1 && limits->burst < kept->burst)
        kept->burst = limits->burst;
    if (limits->refused_pause_ms > kept->refused_pause_ms)
        kept->refused_pause_ms = limits->refused_pause_ms;
}

/* "<until> <refusals> <mark>". A value that cannot be read is as good as none. */
static void take_up(struct acme_upstream *upstream, struct acme_bytes value, int64_t now_ms)
{
    char text[VALUE_SIZE];
    char *end = NULL;
    if (value.len == 0 || value.len >= sizeof text)
        return;
    memcpy(text, value.data, value.len);
    text[value.len] = '\0';
    int64_t until_ms = strtoll(text, &end, 10);
    int64_t refusals = strtoll(end, &end, 10);
    int64_t mark = strtoll(end, NULL, 10);
    if (mark != upstream->mark || until_ms <= 0 || until_ms == INT64_MAX || refusals <= 0 ||
        refusals > REFUSALS_MAX)
        return;
    acme_gate_refuse(&upstream->gate, monotonic_ms(), until_ms - now_ms, (int)refusals);
    if (until_ms > now_ms)
        acme_log(WARN, "the upstream refused the login in an earlier run, it is left alone for a while",
                 LOG_STR("issuer", upstream->name),
                 LOG_INT("pause_ms", acme_gate_closed_ms(&upstream->gate, monotonic_ms())));
}

struct acme_err acme_upstream_remember(struct acme_upstream *upstream, struct acme_store *store,
                                       const struct acme_backend *backend, int64_t now_ms)
{
    static const char prefix[] = "refused login ";
    size_t size = sizeof prefix + strlen(backend->account);
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(ARENA_BYTES);
    upstream->value = malloc(size);
    ENSURE(arena != NULL && upstream->value != NULL, ACME_E_NOMEM);
    (void)snprintf(upstream->value, size, "%s%s", prefix, backend->account);
    upstream->store = store;
    upstream->mark = backend->login_mark;
    struct acme_bytes value;
    struct acme_err err = acme_store_value_get(store, arena, upstream->value, &value);
    if (err.code == ACME_E_NOT_FOUND)
        return acme_ok();
    TRY(err);
    upstream->kept = true;
    take_up(upstream, value, now_ms);
    return acme_ok();
}

void acme_upstream_keep(struct acme_upstream *upstream)
{
    if (upstream == NULL || upstream->store == NULL)
        return;
    char text[VALUE_SIZE];
    struct acme_bytes value = {.data = NULL};
    pthread_mutex_lock(&upstream->lock);
    bool changed = upstream->changed;
    if (upstream->refused_until_ms != 0) {
        int len = snprintf(text, sizeof text, "%lld %d %d", (long long)upstream->refused_until_ms,
                           upstream->gate.refusals, upstream->mark);
        value = (struct acme_bytes){.data = (const uint8_t *)text, .len = (size_t)len};
    }
    upstream->changed = false;
    upstream->kept = changed ? value.data != NULL : upstream->kept;
    pthread_mutex_unlock(&upstream->lock);
    struct acme_err err = changed ? acme_store_value_set(upstream->store, upstream->value, value) : acme_ok();
    if (acme_failed(err))
        acme_log(ERROR, "it could not be kept that the upstream refuses the login, or does so no more",
                 LOG_STR("issuer", upstream->name), LOG_STR("code", acme_code_name(err.code)));
}

int64_t acme_upstream_book(struct acme_upstream *upstream, int64_t max_wait_ms, struct acme_gate_slot *ret)
{
    int64_t retry_ms = 0;
    pthread_mutex_lock(&upstream->lock);
    int64_t now_ms = monotonic_ms();
    if (!acme_gate_book(&upstream->gate, now_ms, max_wait_ms, ret)) {
        retry_ms = acme_gate_wait_ms(&upstream->gate, now_ms);
        if (acme_gate_closed_ms(&upstream->gate, now_ms) == 0)
            retry_ms -= max_wait_ms;
        if (retry_ms < 1)
            retry_ms = 1;
    }
    pthread_mutex_unlock(&upstream->lock);
    return retry_ms;
}

int64_t acme_upstream_slot_ms(const struct acme_gate_slot *slot)
{
    int64_t left_ms = slot->at_ms - monotonic_ms();
    return left_ms > 0 ? left_ms : 0;
}

int64_t acme_upstream_closed_ms(struct acme_upstream *upstream, const struct acme_gate_slot *slot)
{
    if (slot->probe)
        return 0;
    pthread_mutex_lock(&upstream->lock);
    int64_t closed_ms = acme_gate_closed_ms(&upstream->gate, monotonic_ms());
    pthread_mutex_unlock(&upstream->lock);
    return closed_ms;
}

void acme_upstream_cancel(struct acme_upstream *upstream, const struct acme_gate_slot *slot)
{
    pthread_mutex_lock(&upstream->lock);
    acme_gate_cancel(&upstream->gate, slot);
    pthread_mutex_unlock(&upstream->lock);
}

/* What a result says about the upstream, and what it asks for: *ret_ms, 0 for nothing. */
static enum acme_gate_outcome judge(const struct acme_gate_limits *limits,
                                    const struct acme_outbound_result *result, int64_t now_ms,
                                    int64_t *ret_ms)
{
    *ret_ms = 0;
    if (result->failure == ACME_OUTBOUND_LOGIN && limits->refused_pause_ms > 0)
        return ACME_GATE_REFUSED;
    if (result->failure != ACME_OUTBOUND_OK)
        return ACME_GATE_FAILED;
    int status = result->reply->status;
    if (status == 401 && limits->refused_pause_ms > 0)
        return ACME_GATE_REFUSED;
    if (status != 429 && status < 500)
        return ACME_GATE_ANSWERED;
    int64_t seconds = acme_http_reply_retry_after_s(result->reply, now_ms);
    *ret_ms = seconds > 0 ? seconds * ACME_SECOND_MS : 0;
    if (status == 429 && *ret_ms == 0)
        *ret_ms = THROTTLED_MS;
    return status == 429 || (status == 503 && *ret_ms > 0) ? ACME_GATE_THROTTLED : ACME_GATE_FAILED;
}

void acme_upstream_called(struct acme_upstream *upstream, const struct acme_outbound_result *result,
                          int64_t now_ms)
{
    int64_t asked_ms = 0;
    enum acme_gate_outcome outcome = judge(&upstream->gate.limits, result, now_ms, &asked_ms);
    pthread_mutex_lock(&upstream->lock);
    int64_t at_ms = monotonic_ms();
    bool was_closed = acme_gate_closed_ms(&upstream->gate, at_ms) > 0;
    bool closes = acme_gate_report(&upstream->gate, at_ms, outcome, asked_ms);
    int64_t closed_ms = acme_gate_closed_ms(&upstream->gate, at_ms);
    if (outcome == ACME_GATE_REFUSED) {
        upstream->refused_until_ms = now_ms + closed_ms;
        upstream->changed = true;
    } else if (outcome == ACME_GATE_ANSWERED) {
        upstream->refused_until_ms = 0;
        upstream->changed = upstream->changed || upstream->kept;
    }
    bool opens = upstream->down && outcome != ACME_GATE_FAILED;
    upstream->down = (upstream->down || closes) && !opens;
    pthread_mutex_unlock(&upstream->lock);
    if (closes)
        acme_log(WARN, "the upstream does not work, it is asked only now and then until it does",
                 LOG_STR("issuer", upstream->name),
                 LOG_INT("status", result->failure == ACME_OUTBOUND_OK ? result->reply->status : 0),
                 LOG_STR("detail", result->detail), LOG_INT("pause_ms", closed_ms));
    else if (opens)
        acme_log(INFO, "the upstream works again", LOG_STR("issuer", upstream->name));
    if (outcome == ACME_GATE_REFUSED && !was_closed)
        acme_log(WARN, "the upstream refuses the login, it is left alone for a while",
                 LOG_STR("issuer", upstream->name), LOG_INT("pause_ms", closed_ms));
    if (asked_ms > 0 && !was_closed && !closes)
        acme_log(WARN, "the upstream asks for a pause", LOG_STR("issuer", upstream->name),
                 LOG_INT("status", result->reply->status), LOG_INT("pause_ms", closed_ms));
}

int64_t acme_upstream_interval_ms(const struct acme_upstream *upstream)
{
    int per_minute = upstream->gate.limits.per_minute;
    return per_minute > 0 ? ACME_MINUTE_MS / per_minute : 0;
}
