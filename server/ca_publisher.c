#include "server/ca_publisher.h"

#include "base/blob.h"
#include "base/log.h"
#include "base/problem.h"
#include "protocol/service.h"
#include "server/thread.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CERT_ARENA_BYTES = 256 * 1024, RETRY_MS = 15 * 1000 };

#define LIST_LIFE_MS (7 * ACME_DAY_MS)
#define RENEW_MS     (LIST_LIFE_MS / 2)
/* Clients whose clock is a little behind must accept the list at once: to most a list of the future is an
 * error, and the sites it is for would be out of reach. */
#define SKEW_MS      (5 * ACME_MINUTE_MS)

struct published {
    const char *name;
    const struct acme_local_ca *ca;
    struct acme_blob *cert;
    struct acme_blob *list; /* with the lock held; what is being sent stays when a new one takes its place */
    int64_t due_ms;         /* when a new list is to be made; of the thread */
    bool wanted;            /* with the lock held: at once */
    char *counter_name;     /* of the list's number, in the store */
};

struct acme_publisher {
    struct acme_store *store;
    const struct acme_clock *clock;
    char *base_path;
    struct published *issuers;
    size_t issuer_count;
    size_t next; /* whose turn it is; of the thread */
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stopping;
};

/* ---- making lists ---- */

struct filling {
    struct acme_local_crl *crl;
    size_t count;
};

static struct acme_err add_entry(void *context, const char *serial_hex, int64_t revoked_ms, int reason)
{
    struct filling *filling = context;
    filling->count++;
    return acme_local_crl_add(filling->crl, serial_hex, revoked_ms, reason);
}

/* A certificate that has expired stays for one more list, which may be the first one that names it (RFC 5280
 * section 3.3). The number is at least the time: it grows even when the database is lost and the CA is not.
 */
static struct acme_err fill_and_sign(struct acme_publisher *publisher, const struct published *issuer,
                                     struct filling *filling, int64_t *ret_number, struct acme_blob **ret)
{
    int64_t now_ms = acme_clock_now_ms(publisher->clock);
    uint8_t *der = NULL;
    size_t len = 0;
    TRY(acme_store_counter_next(publisher->store, issuer->counter_name, now_ms / ACME_SECOND_MS, ret_number));
    TRY(acme_store_revocations_each(publisher->store, issuer->name, now_ms - LIST_LIFE_MS, add_entry,
                                    filling));
    TRY(acme_local_crl_sign(filling->crl, *ret_number, now_ms - SKEW_MS, now_ms + LIST_LIFE_MS, &der, &len));
    *ret = acme_blob_create(der, len);
    ENSURE(*ret != NULL, ACME_E_NOMEM);
    return acme_ok();
}

/* Called without the lock: signing a long list takes a while. */
static struct acme_err renew(struct acme_publisher *publisher, struct published *issuer)
{
    struct filling filling = {.crl = NULL};
    struct acme_blob *list = NULL;
    int64_t number = 0;
    struct acme_err err = acme_local_crl_create(issuer->ca, &filling.crl);
    if (!acme_failed(err))
        err = fill_and_sign(publisher, issuer, &filling, &number, &list);
    acme_local_crl_destroy(filling.crl);
    if (acme_failed(err)) {
        acme_log(ERROR, "the list of revoked certificates could not be made, will be tried again",
                 LOG_STR("issuer", issuer->name), LOG_STR("code", acme_code_name(err.code)));
        issuer->due_ms = acme_clock_now_ms(publisher->clock) + RETRY_MS;
        return err;
    }
    acme_log(INFO, "list of revoked certificates made", LOG_STR("issuer", issuer->name),
             LOG_INT("number", number), LOG_INT("certificates", filling.count),
             LOG_INT("bytes", acme_blob_bytes(list).len));
    pthread_mutex_lock(&publisher->lock);
    struct acme_blob *before = issuer->list;
    issuer->list = list;
    issuer->due_ms = acme_clock_now_ms(publisher->clock) + RENEW_MS;
    pthread_mutex_unlock(&publisher->lock);
    acme_blob_release(before);
    return acme_ok();
}

/* With the lock held: the one to be made now; NULL, and for how long there will be none. A minute at most:
 * the clock may be set. */
static struct published *next_due(struct acme_publisher *publisher, int64_t *ret_delay_ms)
{
    int64_t now_ms = acme_clock_now_ms(publisher->clock);
    int64_t delay_ms = ACME_MINUTE_MS;
    for (size_t i = 0; i < publisher->issuer_count; i++) {
        /* In turn: an issuer that always has revocations must not keep the others from a new list. */
        size_t at = (publisher->next + i) % publisher->issuer_count;
        struct published *issuer = &publisher->issuers[at];
        if (issuer->wanted || now_ms >= issuer->due_ms) {
            publisher->next = at + 1;
            return issuer;
        }
        if (issuer->due_ms - now_ms < delay_ms)
            delay_ms = issuer->due_ms - now_ms;
    }
    *ret_delay_ms = delay_ms;
    return NULL;
}

static struct timespec in_ms(int64_t delay_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(delay_ms / 1000) + 1; /* late rather than too early */
    return until;
}

/* A crowd of revocations shares the lists that are made in the meantime. */
static void pause_briefly(struct acme_publisher *publisher)
{
    const struct timespec until = in_ms(0);
    while (!publisher->stopping && pthread_cond_timedwait(&publisher->changed, &publisher->lock, &until) == 0)
        continue;
}

static void *publisher_main(void *argument)
{
    struct acme_publisher *publisher = argument;
    pthread_mutex_lock(&publisher->lock);
    while (!publisher->stopping) {
        int64_t delay_ms = 0;
        struct published *issuer = next_due(publisher, &delay_ms);
        if (issuer == NULL) {
            const struct timespec until = in_ms(delay_ms);
            pthread_cond_timedwait(&publisher->changed, &publisher->lock, &until);
            continue;
        }
        issuer->wanted = false;
        pthread_mutex_unlock(&publisher->lock);
        (void)acme_failed(renew(publisher, issuer)); /* it has logged, and set a time for the next try */
        pthread_mutex_lock(&publisher->lock);
        pause_briefly(publisher);
    }
    pthread_mutex_unlock(&publisher->lock);
    return NULL;
}

void acme_publisher_refresh(struct acme_publisher *publisher, const char *issuer)
{
    pthread_mutex_lock(&publisher->lock);
    for (size_t i = 0; i < publisher->issuer_count; i++) {
        if (strcmp(publisher->issuers[i].name, issuer) == 0)
            publisher->issuers[i].wanted = true;
    }
    pthread_cond_signal(&publisher->changed);
    pthread_mutex_unlock(&publisher->lock);
}

/* ---- life ---- */

static struct acme_err load_cert(struct published *issuer)
{
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(CERT_ARENA_BYTES);
    ENSURE(arena != NULL, ACME_E_NOMEM);
    struct acme_bytes der;
    TRY(acme_local_ca_issuer_der(issuer->ca, arena, &der));
    uint8_t *copy = malloc(der.len);
    ENSURE(copy != NULL, ACME_E_NOMEM);
    memcpy(copy, der.data, der.len);
    issuer->cert = acme_blob_create(copy, der.len);
    ENSURE(issuer->cert != NULL, ACME_E_NOMEM);
    return acme_ok();
}

static struct acme_err start(struct acme_publisher *publisher, const struct acme_publisher_options *options)
{
    publisher->base_path = strdup(options->base_path);
    publisher->issuers = calloc(options->issuer_count + 1, sizeof *publisher->issuers);
    ENSURE(publisher->base_path != NULL && publisher->issuers != NULL, ACME_E_NOMEM);
    for (size_t i = 0; i < options->issuer_count; i++) {
        struct published *issuer = &publisher->issuers[publisher->issuer_count++];
        issuer->name = options->issuers[i].name;
        issuer->ca = options->issuers[i].ca;
        if (asprintf(&issuer->counter_name, "crl-number/%s", issuer->name) < 0) {
            issuer->counter_name = NULL;
            return acme_err(ACME_E_NOMEM);
        }
        TRY(load_cert(issuer));
        TRY(renew(publisher, issuer));
    }
    TRY(acme_thread_start("crl", publisher_main, publisher, &publisher->thread));
    publisher->started = true;
    return acme_ok();
}

struct acme_err acme_publisher_start(const struct acme_publisher_options *options,
                                     struct acme_publisher **ret)
{
    struct acme_publisher *publisher = calloc(1, sizeof *publisher);
    ENSURE(publisher != NULL, ACME_E_NOMEM);
    publisher->store = options->store;
    publisher->clock = options->clock;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&publisher->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&publisher->lock, NULL);
    struct acme_err err = start(publisher, options);
    if (acme_failed(err)) {
        acme_publisher_stop(publisher);
        return err;
    }
    *ret = publisher;
    return acme_ok();
}

void acme_publisher_stop(struct acme_publisher *publisher)
{
    if (publisher == NULL)
        return;
    pthread_mutex_lock(&publisher->lock);
    publisher->stopping = true;
    pthread_cond_signal(&publisher->changed);
    pthread_mutex_unlock(&publisher->lock);
    if (publisher->started)
        pthread_join(publisher->thread, NULL);
    for (size_t i = 0; i < publisher->issuer_count; i++) {
        acme_blob_release(publisher->issuers[i].cert);
        acme_blob_release(publisher->issuers[i].list);
        free(publisher->issuers[i].counter_name);
    }
    free(publisher->issuers);
    free(publisher->base_path);
    pthread_cond_destroy(&publisher->changed);
    pthread_mutex_destroy(&publisher->lock);
    free(publisher);
}

/* ---- serving ---- */

/* Is it <prefix><name><suffix>? */
static bool names(const char *path, const char *prefix, const char *name, const char *suffix)
{
    size_t prefix_len = strlen(prefix);
    size_t name_len = strlen(name);
    return strncmp(path, prefix, prefix_len) == 0 && strncmp(path + prefix_len, name, name_len) == 0 &&
           strcmp(path + prefix_len + name_len, suffix) == 0;
}

/* What stands at `path`, held for the caller; NULL: nothing. */
static struct acme_blob *find(struct acme_publisher *publisher, const char *path, bool *ret_list)
{
    struct acme_blob *found = NULL;
    pthread_mutex_lock(&publisher->lock);
    for (size_t i = 0; i < publisher->issuer_count && found == NULL; i++) {
        const struct published *issuer = &publisher->issuers[i];
        *ret_list = names(path, ACME_PUBLISHER_CRL_PATH, issuer->name, ".crl");
        if (*ret_list)
            found = issuer->list;
        else if (names(path, ACME_PUBLISHER_CERT_PATH, issuer->name, ".cer"))
            found = issuer->cert;
    }
    if (found != NULL)
        (void)acme_blob_hold(found);
    pthread_mutex_unlock(&publisher->lock);
    return found;
}

static void refuse(struct acme_http_exchange *exchange, const struct acme_request *request, int status,
                   const char *detail)
{
    struct acme_response response = {.status = 0};
    acme_service_problem_response(NULL, request->arena, ACME_PROBLEM_MALFORMED, status, detail, &response);
    if (status == 405)
        response.headers[response.header_count++] =
            (struct acme_header){.name = "Allow", .value = "GET, HEAD"};
    acme_http_respond(exchange, &response);
}

void acme_publisher_on_request(void *context, struct acme_http_exchange *exchange,
                               const struct acme_request *request)
{
    struct acme_publisher *publisher = context;
    size_t base_len = strlen(publisher->base_path);
    bool list = false;
    struct acme_blob *blob = NULL;
    if (strncmp(request->path, publisher->base_path, base_len) == 0)
        blob = find(publisher, request->path + base_len, &list);
    if (blob == NULL) {
        refuse(exchange, request, 404, "There is no such resource on this server.");
        return;
    }
    if (strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0) {
        refuse(exchange, request, 405, "This resource can only be read: use GET or HEAD.");
        acme_blob_release(blob);
        return;
    }
    const struct acme_response response = {
        .status = 200,
        .content_type = list ? "application/pkix-crl" : "application/pkix-cert",
        .body = acme_blob_bytes(blob),
        .shared = blob,
        .headers = {{.name = "Cache-Control", .value = list ? "max-age=300" : "max-age=86400"}},
        .header_count = 1,
    };
    acme_http_respond(exchange, &response);
    acme_blob_release(blob);
}

void acme_publisher_on_problem(void *context, struct acme_arena *arena, int problem_type, int status,
                               const char *detail, struct acme_response *response)
{
    (void)context;
    acme_service_problem_response(NULL, arena, problem_type, status, detail, response);
}
