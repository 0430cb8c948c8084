#include "server/upstream_watch.h"

#include "base/log.h"
#include "server/thread.h"
#include "server/upstream_inspect.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KEYS_EVERY_MS (10 * ACME_SECOND_MS) /* at most */

enum { LIST_ARENA_BYTES = 64 * 1024 * 1024 };

#define CHECK_EVERY_MS   ACME_DAY_MS
#define CHECK_AGAIN_MS   (10 * ACME_MINUTE_MS) /* after one that ended early */
#define REFRESH_EVERY_MS (5 * ACME_MINUTE_MS)
#define RETRY_MS         (30 * ACME_SECOND_MS) /* after a list that could not be read */
#define EARLIEST_MS      (15 * ACME_SECOND_MS) /* after a refusal: the domain may be validated by now */

/* What is known of one upstream. */
struct watched {
    const struct acme_backend *backend;
    const struct acme_issuer *issuer; /* NULL: it is a deployer's */
    struct acme_arena *arena;         /* of the list; NULL: none has been read */
    const struct acme_upstream_domain *domains;
    size_t domain_count;
    int64_t check_due_ms;
    int64_t list_due_ms;           /* INT64_MAX: it is not needed */
    int64_t looked_ms;             /* when the last look ended */
    bool unknown_told;             /* the log has it that the list is not known */
    struct acme_arena *keys_arena; /* likewise of the keys */
    const struct acme_upstream_key *keys;
    size_t key_count;
    int64_t keys_since_ms; /* wall time when the reading of that list began */
    int64_t keys_due_ms;   /* INT64_MAX: nobody wants it */
    int64_t keys_looked_ms;
};

struct acme_upstream_watch {
    struct acme_upstream_watch_options options;
    struct watched *watched;
    size_t count;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* of everything that changes */
    pthread_cond_t wake;
    bool stopping;
};

static bool is_stopping(void *context)
{
    struct acme_upstream_watch *watch = context;
    pthread_mutex_lock(&watch->lock);
    bool stopping = watch->stopping;
    pthread_mutex_unlock(&watch->lock);
    return stopping;
}

/* Wall time decides about what expires, this one about pauses. */
static int64_t ticks_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static const char *role_of(const struct watched *watched)
{
    return watched->issuer != NULL ? "issuer" : "deployer";
}

static void log_findings(const struct watched *watched, const struct acme_inspection *inspection)
{
    for (size_t i = 0; i < inspection->finding_count; i++) {
        const struct acme_finding *finding = &inspection->findings[i];
        switch (finding->level) {
        case ACME_FINDING_GOOD:
            acme_log(INFO, "upstream", LOG_STR("finding", finding->text),
                     LOG_STR(role_of(watched), watched->backend->name));
            break;
        case ACME_FINDING_WARNING:
            acme_log(WARN, "upstream", LOG_STR("finding", finding->text),
                     LOG_STR(role_of(watched), watched->backend->name));
            break;
        case ACME_FINDING_ERROR:
            acme_log(ERROR, "upstream", LOG_STR("finding", finding->text),
                     LOG_STR(role_of(watched), watched->backend->name));
            break;
        }
    }
}

/* Takes `arena`, in which the list is. */
static void keep_list(struct acme_upstream_watch *watch, struct watched *watched, struct acme_arena *arena,
                      const struct acme_inspection *inspection)
{
    pthread_mutex_lock(&watch->lock);
    struct acme_arena *old = watched->arena;
    watched->arena = arena;
    watched->domains = inspection->domains;
    watched->domain_count = inspection->domain_count;
    watched->unknown_told = false;
    pthread_mutex_unlock(&watch->lock);
    acme_arena_destroy(old);
}

/* Takes `arena`, in which they are. */
static void keep_keys(struct acme_upstream_watch *watch, struct watched *watched, struct acme_arena *arena,
                      const struct acme_inspection *inspection, int64_t since_ms)
{
    pthread_mutex_lock(&watch->lock);
    struct acme_arena *old = watched->keys_arena;
    watched->keys_arena = arena;
    watched->keys = inspection->keys;
    watched->key_count = inspection->key_count;
    watched->keys_since_ms = since_ms;
    pthread_mutex_unlock(&watch->lock);
    acme_arena_destroy(old);
}

/* What one look at one upstream is for, and came to. */
struct look {
    bool whole;     /* at everything; else */
    bool only_keys; /* at the keys, or at the domains */
    bool complete;
    bool list; /* there is a new one */
};

static struct acme_err look(struct acme_upstream_watch *watch, struct watched *watched, struct look *look)
{
    struct acme_arena *arena = acme_arena_create(LIST_ARENA_BYTES);
    ENSURE(arena != NULL, ACME_E_NOMEM);
    struct acme_inspect_request request = {.domains_only = !look->whole && !look->only_keys,
                                           .keys_only = look->only_keys};
    struct acme_inspect_profile *profiles = NULL;
    struct acme_inspection *inspection = NULL;
    int64_t since_ms = acme_clock_now_ms(&acme_clock_system);
    struct acme_err err = acme_ok();
    if (watched->issuer != NULL)
        err = acme_upstream_profiles(watch->options.config, arena, watched->backend->name, &profiles,
                                     &request.profile_count);
    request.profiles = profiles;
    if (!acme_failed(err))
        err = acme_upstream_inspect(watch->options.outbound, watched->backend, &request, arena, is_stopping,
                                    watch, &inspection);
    if (acme_failed(err)) {
        acme_arena_destroy(arena);
        return err;
    }
    log_findings(watched, inspection);
    look->complete = !inspection->incomplete;
    look->list = inspection->domains_known && !look->only_keys;
    if (look->list)
        keep_list(watch, watched, arena, inspection);
    else if (look->only_keys && inspection->keys_known)
        keep_keys(watch, watched, arena, inspection, since_ms);
    else
        acme_arena_destroy(arena);
    return acme_ok();
}

static int64_t look_or_log(struct acme_upstream_watch *watch, struct watched *watched, struct look *found)
{
    struct acme_err err = look(watch, watched, found);
    if (acme_failed(err) && err.code != ACME_E_STATE)
        acme_log(ERROR, "the look at an upstream failed", LOG_STR(role_of(watched), watched->backend->name),
                 LOG_STR("code", acme_code_name(err.code)));
    return ticks_ms();
}

/* At the keys, which somebody waits for. */
static void look_at_keys(struct acme_upstream_watch *watch, struct watched *watched)
{
    pthread_mutex_lock(&watch->lock);
    bool due = watched->keys_due_ms <= ticks_ms();
    if (due)
        watched->keys_due_ms = INT64_MAX; /* who asks from here on wants a newer list */
    pthread_mutex_unlock(&watch->lock);
    if (!due)
        return;
    struct look found = {.only_keys = true};
    int64_t ended_ms = look_or_log(watch, watched, &found);
    pthread_mutex_lock(&watch->lock);
    watched->keys_looked_ms = ended_ms;
    pthread_mutex_unlock(&watch->lock);
}

/* With the lock. Upstreams may lock an account after several refused logins: when one look came to no end,
 * the others of its account are not due before it is tried again. */
static void postpone_others(struct acme_upstream_watch *watch, const struct watched *failed)
{
    for (size_t i = 0; i < watch->count; i++) {
        struct watched *other = &watch->watched[i];
        const char *account = other->backend->account;
        if (other == failed || account == NULL || failed->backend->account == NULL ||
            strcmp(account, failed->backend->account) != 0 || other->check_due_ms >= failed->check_due_ms)
            continue;
        other->check_due_ms = failed->check_due_ms;
        acme_log(WARN, "not looked at for now: the same login has just failed for another",
                 LOG_STR(role_of(other), other->backend->name), LOG_STR("other", failed->backend->name));
    }
}

/* Look when something is due; returns when something is again. */
static int64_t look_if_due(struct acme_upstream_watch *watch, struct watched *watched)
{
    look_at_keys(watch, watched);
    pthread_mutex_lock(&watch->lock);
    struct look found = {.whole = watched->check_due_ms <= ticks_ms()};
    bool due = found.whole || watched->list_due_ms <= ticks_ms();
    pthread_mutex_unlock(&watch->lock);
    int64_t ended_ms = due ? look_or_log(watch, watched, &found) : 0;
    pthread_mutex_lock(&watch->lock);
    if (due)
        watched->looked_ms = ended_ms;
    if (found.whole)
        watched->check_due_ms = ended_ms + (found.complete ? CHECK_EVERY_MS : CHECK_AGAIN_MS);
    if (found.whole && !found.complete)
        postpone_others(watch, watched);
    if (due && watched->issuer != NULL && watched->issuer->needs_domains)
        watched->list_due_ms = ended_ms + (found.list ? REFRESH_EVERY_MS : RETRY_MS);
    int64_t next_ms =
        watched->check_due_ms < watched->list_due_ms ? watched->check_due_ms : watched->list_due_ms;
    if (watched->keys_due_ms < next_ms)
        next_ms = watched->keys_due_ms;
    pthread_mutex_unlock(&watch->lock);
    return next_ms;
}

static int64_t look_at_all(struct acme_upstream_watch *watch)
{
    int64_t next_ms = INT64_MAX;
    for (size_t i = 0; i < watch->count && !is_stopping(watch); i++) {
        int64_t due_ms = look_if_due(watch, &watch->watched[i]);
        if (due_ms < next_ms)
            next_ms = due_ms;
    }
    return next_ms;
}

static void *watch_main(void *argument)
{
    struct acme_upstream_watch *watch = argument;
    while (!is_stopping(watch)) {
        int64_t next_ms = look_at_all(watch);
        struct timespec until = {.tv_sec = next_ms / 1000, .tv_nsec = next_ms % 1000 * 1000000};
        pthread_mutex_lock(&watch->lock);
        bool sooner = false; /* asked for while we looked */
        for (size_t i = 0; i < watch->count; i++)
            sooner =
                sooner || watch->watched[i].list_due_ms < next_ms || watch->watched[i].keys_due_ms < next_ms;
        if (!watch->stopping && !sooner)
            pthread_cond_timedwait(&watch->wake, &watch->lock, &until);
        pthread_mutex_unlock(&watch->lock);
    }
    return NULL;
}

static struct watched *find_watched(struct acme_upstream_watch *watch, const char *issuer)
{
    for (size_t i = 0; i < watch->count; i++) {
        if (watch->watched[i].issuer != NULL && strcmp(watch->watched[i].backend->name, issuer) == 0)
            return &watch->watched[i];
    }
    return NULL;
}

/* Somebody wants a name that is not in the list: it is read anew soon, in case it was too old. */
static void refresh_soon(struct acme_upstream_watch *watch, struct watched *watched)
{
    int64_t soon_ms = watched->looked_ms + EARLIEST_MS;
    if (soon_ms < watched->list_due_ms) {
        watched->list_due_ms = soon_ms;
        pthread_cond_signal(&watch->wake);
    }
}

bool acme_upstream_watch_allows(struct acme_upstream_watch *watch, struct acme_arena *arena,
                                const char *issuer, const struct acme_identifier *identifier,
                                const char **ret_why)
{
    struct watched *watched = find_watched(watch, issuer);
    if (watched == NULL || !watched->issuer->needs_domains || identifier->type != ACME_IDENTIFIER_DNS)
        return true;
    const struct acme_upstream_domain *domain = NULL;
    bool allowed = true;
    const char *why = NULL;
    pthread_mutex_lock(&watch->lock);
    if (watched->arena == NULL) {
        if (!watched->unknown_told)
            acme_log(WARN, "the upstream's domains are not known yet, names are not checked against them",
                     LOG_STR("issuer", issuer), LOG_STR("name", identifier->value));
        watched->unknown_told = true;
    } else {
        switch (acme_upstream_domain_find(watched->domains, watched->domain_count, identifier->value,
                                          acme_clock_now_ms(&acme_clock_system), &domain)) {
        case ACME_DOMAIN_VALIDATED:
            break;
        case ACME_DOMAIN_EXPIRED:
            allowed = false;
            why =
                acme_arena_printf(arena,
                                  "the certificate authority's validation of the domain %s has expired; the "
                                  "administrator of this server has to have it renewed",
                                  domain->name);
            break;
        case ACME_DOMAIN_NOT_VALIDATED:
            allowed = false;
            why = acme_arena_printf(arena,
                                    "the certificate authority has not validated the domain %s; the "
                                    "administrator of this server has to have that done",
                                    domain->name);
            break;
        case ACME_DOMAIN_UNKNOWN:
            allowed = false;
            why = acme_arena_strdup(arena, "its domain is not among those that are registered at the "
                                           "certificate authority; ask the administrator of this server");
            break;
        }
    }
    if (!allowed)
        refresh_soon(watch, watched);
    pthread_mutex_unlock(&watch->lock);
    *ret_why = why;
    return allowed;
}

/* ---- keys that the upstream has made ---- */

int64_t acme_upstream_watch_keys_pause_ms(size_t profiles, int requests_per_minute)
{
    enum { CALLS_PER_PROFILE = 2, PARTS = 2 }; /* half of the pace is for those who wait for certificates */
    if (requests_per_minute <= 0)
        return KEYS_EVERY_MS;
    int64_t pause_ms = (int64_t)profiles * CALLS_PER_PROFILE * PARTS * ACME_MINUTE_MS / requests_per_minute;
    return pause_ms > KEYS_EVERY_MS ? pause_ms : KEYS_EVERY_MS;
}

static int64_t keys_pause_ms(const struct acme_upstream_watch *watch, const struct watched *watched)
{
    const struct acme_config *config = watch->options.config;
    size_t count = 0;
    for (size_t i = 0; i < config->profile_count; i++) {
        const struct acme_profile *profile = &config->profiles[i];
        count += !profile->key_at_edge && strcmp(profile->issuer, watched->backend->name) == 0;
    }
    return acme_upstream_watch_keys_pause_ms(count, watched->backend->requests_per_minute);
}

/* With the lock. */
static void want_keys(struct acme_upstream_watch *watch, struct watched *watched)
{
    int64_t now_ms = ticks_ms();
    int64_t soon_ms =
        watched->keys_looked_ms == 0 ? now_ms : watched->keys_looked_ms + keys_pause_ms(watch, watched);
    if (soon_ms < now_ms)
        soon_ms = now_ms;
    if (soon_ms < watched->keys_due_ms) {
        watched->keys_due_ms = soon_ms;
        pthread_cond_signal(&watch->wake);
    }
}

void acme_upstream_watch_want_keys(struct acme_upstream_watch *watch, const char *issuer)
{
    struct watched *watched = find_watched(watch, issuer);
    if (watched == NULL || !watched->issuer->needs_keys)
        return;
    pthread_mutex_lock(&watch->lock);
    want_keys(watch, watched);
    pthread_mutex_unlock(&watch->lock);
}

static bool has_key(const struct watched *watched, const char *profile,
                    const uint8_t spki_sha256[ACME_SHA256_SIZE])
{
    for (size_t i = 0; i < watched->key_count; i++) {
        const struct acme_upstream_key *key = &watched->keys[i];
        if (memcmp(key->spki_sha256, spki_sha256, ACME_SHA256_SIZE) == 0 &&
            (key->profile == NULL || strcmp(key->profile, profile) == 0))
            return true;
    }
    return false;
}

bool acme_upstream_watch_allows_key(struct acme_upstream_watch *watch, struct acme_arena *arena,
                                    const struct acme_profile *profile,
                                    const uint8_t spki_sha256[ACME_SHA256_SIZE], int64_t order_created_ms,
                                    const char **ret_why)
{
    struct watched *watched = find_watched(watch, profile->issuer);
    if (watched == NULL || !watched->issuer->needs_keys || profile->key_at_edge)
        return true;
    pthread_mutex_lock(&watch->lock);
    bool known = watched->keys_arena != NULL && watched->keys_since_ms >= order_created_ms;
    bool allowed = !known || has_key(watched, profile->name, spki_sha256);
    if (!allowed)
        want_keys(watch, watched); /* by the next try the upstream may have made it */
    pthread_mutex_unlock(&watch->lock);
    if (!allowed)
        *ret_why = acme_arena_printf(
            arena,
            "certificates of the profile \"%s\" carry keys that their upstream makes and never gives away, "
            "and the key of this CSR is not one of them. Finalize with the CSR that the upstream has made "
            "and that still waits for its certificate, or have the administrator of this server set "
            "\"key_holder: edge\" in the profile's enrollment: the certificate then has another key than the "
            "CSR",
            profile->name);
    return allowed;
}

struct acme_err acme_upstream_watch_start(const struct acme_upstream_watch_options *options,
                                          struct acme_upstream_watch **ret)
{
    struct acme_upstream_watch *watch = calloc(1, sizeof *watch);
    ENSURE(watch != NULL, ACME_E_NOMEM);
    watch->options = *options;
    pthread_mutex_init(&watch->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&watch->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    watch->watched =
        calloc(options->config->issuer_count + options->deployer_count + 1, sizeof *watch->watched);
    struct acme_err err = acme_err(watch->watched != NULL ? ACME_OK : ACME_E_NOMEM);
    for (size_t i = 0; !acme_failed(err) && i < options->config->issuer_count; i++) {
        const struct acme_issuer *issuer = options->issuers[i];
        if (issuer->backend.inspect != NULL)
            watch->watched[watch->count++] =
                (struct watched){.backend = &issuer->backend,
                                 .issuer = issuer,
                                 .list_due_ms = issuer->needs_domains ? 0 : INT64_MAX,
                                 .keys_due_ms = INT64_MAX};
    }
    for (size_t i = 0; !acme_failed(err) && i < options->deployer_count; i++) {
        const struct acme_backend *backend = &options->deployers[i]->backend;
        /* Not at those that lock an account after several refused logins: our looks pass by the account's
         * gate, and several deployers that share a wrong login would lock it at every start. */
        if (backend->inspect != NULL && backend->refused_pause_ms == 0)
            watch->watched[watch->count++] =
                (struct watched){.backend = backend, .list_due_ms = INT64_MAX, .keys_due_ms = INT64_MAX};
    }
    if (!acme_failed(err) && watch->count > 0) {
        err = acme_thread_start("upstreams", watch_main, watch, &watch->thread);
        watch->started = !acme_failed(err);
    }
    if (acme_failed(err))
        acme_upstream_watch_destroy(watch);
    else
        *ret = watch;
    return err;
}

void acme_upstream_watch_stop(struct acme_upstream_watch *watch)
{
    if (watch == NULL || !watch->started)
        return;
    pthread_mutex_lock(&watch->lock);
    watch->stopping = true;
    pthread_cond_signal(&watch->wake);
    pthread_mutex_unlock(&watch->lock);
    pthread_join(watch->thread, NULL);
    watch->started = false;
}

void acme_upstream_watch_destroy(struct acme_upstream_watch *watch)
{
    if (watch == NULL)
        return;
    for (size_t i = 0; i < watch->count; i++) {
        acme_arena_destroy(watch->watched[i].arena);
        acme_arena_destroy(watch->watched[i].keys_arena);
    }
    pthread_cond_destroy(&watch->wake);
    pthread_mutex_destroy(&watch->lock);
    free(watch->watched);
    free(watch);
}
