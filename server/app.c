#include "server/app.h"

#include "base/id.h"
#include "base/log.h"
#include "certs/key_check.h"
#include "server/admin.h"
#include "server/ca_publisher.h"
#include "server/deployer_open.h"
#include "server/frontend.h"
#include "server/identity.h"
#include "server/issuer_open.h"
#include "server/notify.h"
#include "server/outbound.h"
#include "server/sweeper.h"
#include "server/upstream_watch.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    VALUES_ARENA_BYTES = 2 * 1024 * 1024,  /* the saved nonce window is the largest: half a megabyte */
    REQUEST_ARENA_BYTES = 8 * 1024 * 1024, /* a cap: an order for a thousand names takes about 4 MiB */
    HOUSEKEEPING_SECONDS = 60,
    JOB_THREADS = 8,
    PROGRAMS_AT_ONCE = 16,
    DRAIN_JOBS_MS = 2000, /* of the 5 s an orderly stop may take */
    DRAIN_HTTP_MS = 1500,
    DIR_SIZE = 4096,
    URLS_ARENA_BYTES = 64 * 1024,
    PLAIN_ARENA_BYTES = 128 * 1024,
    PLAIN_BODY_BYTES = 4096,
    FILES_BESIDE_CLIENTS = 3072 + 512 /* libunbound's sockets at most, the database, kept connections */
};

#define LEASE_MS                                                                                             \
    (4 * ACME_MINUTE_MS) /* longer than any call; a job dropped for a broken store rests that long */
#define NONCES_VALUE "nonces"

/* Everything that runs, in the order it is started; stopped in reverse. */
struct app {
    const struct acme_config *config;
    char owner[ACME_ID_SIZE];
    char quarantine_dir[DIR_SIZE];
    char ca_dir[DIR_SIZE];
    struct acme_blocked_keys *blocked_keys;
    struct acme_store *store;
    struct acme_local_ca **cas; /* one per issuer, NULL where it is not local */
    struct acme_issuer **issuers;
    struct acme_deployer **deployers;
    struct acme_identity *identity;
    struct acme_nonces *nonces;
    struct acme_service *service;
    struct acme_outbound *outbound;
    struct acme_processes *processes; /* NULL: nothing runs programs */
    struct acme_upstream_watch *watch;
    struct acme_runner *runner;
    struct acme_pool *workers;
    struct acme_holds *holds;
    struct acme_http_server *http;
    struct acme_sweeper *sweeper;
    struct acme_admin *admin;
    struct acme_publisher *publisher; /* NULL: nothing is published */
    struct acme_http_server *plain_http;
    struct acme_service_config service_config;
    struct acme_frontend frontend;
};

static const struct acme_profile *find_profile(void *context, const char *profile)
{
    const struct app *app = context;
    const struct acme_config *config = app->config;
    for (size_t i = 0; i < config->profile_count; i++) {
        if (strcmp(config->profiles[i].name, profile) == 0)
            return &config->profiles[i];
    }
    return NULL;
}

static int64_t profile_validity_ms(void *context, const char *name)
{
    const struct acme_profile *profile = find_profile(context, name);
    return profile != NULL ? profile->validity_ms : 90 * ACME_DAY_MS; /* the default's */
}

static bool deployer_takes(void *context, const char *deployer, const struct acme_identifier *identifiers,
                           size_t count)
{
    const struct app *app = context;
    return acme_deployer_takes(app->config, deployer, identifiers, count);
}

static void challenge_decided(void *context, const char *challenge_id, const struct acme_authz *authz)
{
    struct app *app = context;
    if (app->holds != NULL)
        acme_holds_release(app->holds, challenge_id, authz);
}

static void order_changed(void *context, const char *order_id)
{
    struct app *app = context;
    if (app->holds != NULL)
        acme_holds_release(app->holds, order_id, NULL);
}

static void revocation_ended(void *context, const char *certificate_id, const char *issuer)
{
    struct app *app = context;
    if (app->publisher != NULL)
        acme_publisher_refresh(app->publisher, issuer);
    if (app->holds != NULL)
        acme_holds_release(app->holds, certificate_id, NULL);
}

static bool failed_to(const char *what, struct acme_err err)
{
    if (acme_failed(err))
        acme_log(ERROR, what, LOG_STR("code", acme_code_name(err.code)));
    return acme_failed(err);
}

static int online_cores(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1 ? 1 : cores > 64 ? 64 : (int)cores;
}

/* ---- start ---- */

/* Sockets of clients, validations, DNS and upstreams: with a limit of 1024, which is usual, idle clients
 * alone could use them up. */
static void raise_file_limit(const struct acme_config *config)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    rlim_t needed =
        config->server.max_connections + (rlim_t)config->validation.max_concurrency + FILES_BESIDE_CLIENTS;
    if (config->server.http_listen != NULL)
        needed += config->server.max_connections;
    if (limit.rlim_cur < needed) {
        limit.rlim_cur = limit.rlim_max < needed ? limit.rlim_max : needed;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur < needed)
        acme_log(WARN, "few open files are allowed; raise the limit or lower server.max_connections",
                 LOG_INT("allowed", limit.rlim_cur), LOG_INT("needed", needed));
}

static bool make_dir(const char *path)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return true;
    acme_log(ERROR, "cannot make a directory", LOG_STR("path", path), LOG_STR("error", strerror(errno)));
    return false;
}

static bool make_dirs(struct app *app)
{
    const char *dir = app->config->data_dir;
    if (snprintf(app->quarantine_dir, sizeof app->quarantine_dir, "%s/quarantine", dir) >=
            (int)sizeof app->quarantine_dir ||
        snprintf(app->ca_dir, sizeof app->ca_dir, "%s/ca", dir) >= (int)sizeof app->ca_dir) {
        acme_log(ERROR, "the data directory's path is too long", LOG_STR("path", dir));
        return false;
    }
    return make_dir(dir) && make_dir(app->ca_dir);
}

/* From now on the CA's certificates say where its list and its own certificate are. */
static struct acme_err publish(struct acme_local_ca *ca, const char *http_url, const char *name)
{
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(URLS_ARENA_BYTES);
    ENSURE(arena != NULL, ACME_E_NOMEM);
    const char *list = acme_arena_printf(arena, "%s" ACME_PUBLISHER_CRL_PATH "%s.crl", http_url, name);
    const char *cert = acme_arena_printf(arena, "%s" ACME_PUBLISHER_CERT_PATH "%s.cer", http_url, name);
    ENSURE(list != NULL && cert != NULL, ACME_E_NOMEM);
    return acme_local_ca_publish(ca, list, cert);
}

static bool open_issuer(struct app *app, size_t index)
{
    const struct acme_issuer_config *config = &app->config->issuers[index];
    struct acme_err err;
    if (config->type == ACME_ISSUER_LOCAL) {
        char directory[DIR_SIZE + 64];
        char name[128];
        if (snprintf(directory, sizeof directory, "%s/%s", app->ca_dir, config->name) >=
                (int)sizeof directory ||
            snprintf(name, sizeof name, "acmebridge %s", config->name) >= (int)sizeof name)
            return false;
        err = acme_local_ca_open(directory, name, &acme_clock_system, &app->cas[index]);
        if (!acme_failed(err) && config->cross_certificates_file != NULL)
            err = acme_local_ca_cross(app->cas[index], config->cross_certificates_file);
        if (!acme_failed(err) && app->config->server.http_url != NULL)
            err = publish(app->cas[index], app->config->server.http_url, config->name);
        if (!acme_failed(err))
            err = acme_issuer_open(config, app->cas[index], &app->issuers[index]);
    } else {
        err = acme_issuer_open(config, NULL, &app->issuers[index]);
    }
    if (acme_failed(err)) {
        acme_log(ERROR, "issuer cannot be opened", LOG_STR("issuer", config->name),
                 LOG_STR("code", acme_code_name(err.code)));
        return false;
    }
    return true;
}

static bool open_issuers(struct app *app)
{
    app->cas = calloc(app->config->issuer_count, sizeof *app->cas);
    app->issuers = calloc(app->config->issuer_count, sizeof *app->issuers);
    if (app->cas == NULL || app->issuers == NULL)
        return !failed_to("issuers", acme_err(ACME_E_NOMEM));
    for (size_t i = 0; i < app->config->issuer_count; i++) {
        if (!open_issuer(app, i))
            return false;
    }
    return !failed_to("deployers", acme_deployers_open(app->config, &app->deployers));
}

/* The CA that may certify this server: the first local one. */
static const struct acme_local_ca *server_ca(const struct app *app)
{
    for (size_t i = 0; i < app->config->issuer_count; i++) {
        if (app->cas[i] != NULL)
            return app->cas[i];
    }
    return NULL;
}

/* Nonces of an orderly stop stay good; the saved copy is deleted before the first use, so that a crash cannot
 * bring used ones back. */
static bool load_nonces(struct app *app)
{
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(VALUES_ARENA_BYTES);
    if (arena == NULL)
        return !failed_to("nonces", acme_err(ACME_E_NOMEM));
    struct acme_bytes saved = {.data = NULL};
    struct acme_err err = acme_store_value_get(app->store, arena, NONCES_VALUE, &saved);
    if (acme_failed(err) && err.code != ACME_E_NOT_FOUND)
        return !failed_to("nonces cannot be read", err);
    if (!acme_failed(err) &&
        failed_to("nonces cannot be taken over",
                  acme_store_value_set(app->store, NONCES_VALUE, (struct acme_bytes){.data = NULL})))
        return false;
    err = acme_nonces_create(saved, &app->nonces);
    if (err.code == ACME_E_FORMAT) {
        acme_log(WARN, "saved nonces are damaged, starting with new ones");
        err = acme_nonces_create((struct acme_bytes){.data = NULL}, &app->nonces);
    }
    return !failed_to("nonces", err);
}

static bool load_blocked_keys(struct app *app)
{
    const char *path = app->config->blocked_keys_file;
    size_t line = 0;
    if (path == NULL)
        return true;
    struct acme_err err = acme_blocked_keys_load(path, &app->blocked_keys, &line);
    if (acme_failed(err)) {
        acme_log(ERROR, "list of compromised keys cannot be read", LOG_STR("path", path),
                 LOG_INT("line", line), LOG_STR("code", acme_code_name(err.code)));
        return false;
    }
    acme_log(INFO, "compromised keys", LOG_INT("keys", acme_blocked_keys_count(app->blocked_keys)));
    return true;
}

static bool start_service(struct app *app)
{
    const struct acme_config *config = app->config;
    app->service_config = (struct acme_service_config){
        .base_url = config->server.url,
        .profiles = config->profiles,
        .profile_count = config->profile_count,
        .default_profile = config->default_profile,
        .terms_of_service = config->server.terms_of_service,
        .terms_must_agree = config->server.terms_must_agree,
        .website = config->server.website,
        .external_keys = config->external_keys,
        .external_key_count = config->external_key_count,
        .external_account_required = config->external_account_required,
        .order_lifetime_ms = config->order_lifetime_ms,
        .authz_lifetime_ms = config->authz_lifetime_ms,
        .adopt_window_ms = config->adopt_window_ms,
        .challenge_hold_ms = config->challenge_hold_ms,
        .finalize_hold_ms = config->finalize_hold_ms,
        .retry_after_quiet_ms = config->retry_after_quiet_ms,
        .retry_after_processing_s = config->retry_after_processing_s,
        .max_identifiers = config->max_identifiers,
        .max_contacts = config->max_contacts,
        .max_pending_authzs = config->max_pending_authzs,
        .blocked_keys = app->blocked_keys,
        .job_owner = app->owner,
        .job_lease_ms = LEASE_MS,
    };
    struct acme_service_hooks hooks = {.context = &app->frontend,
                                       .job_created = acme_frontend_job_created,
                                       .name_allowed = acme_frontend_name_allowed,
                                       .csr_key_allowed = acme_frontend_csr_key_allowed,
                                       .issue_at_once = acme_frontend_issue_at_once,
                                       .jobs_due = acme_frontend_jobs_due,
                                       .order_made = acme_frontend_order_made};
    return !failed_to("service", acme_service_create(&app->service_config, app->store, app->nonces,
                                                     &acme_clock_system, &hooks, &app->service));
}

/* Programs wait in line for as many places as their deployers have, so that none is refused. */
/* An issuer whose profiles have answers to challenges published by programs. */
static bool publishes(const struct acme_config *config, const struct acme_issuer_config *issuer)
{
    if (issuer->type != ACME_ISSUER_CPS)
        return false;
    for (size_t i = 0; i < config->profile_count; i++) {
        const struct acme_cps_profile *settings = config->profiles[i].issuer_settings;
        if (strcmp(config->profiles[i].issuer, issuer->name) == 0 && settings != NULL &&
            settings->policy.dv.publication != ACME_DV_MANUAL)
            return true;
    }
    return false;
}

static bool start_processes(struct app *app)
{
    size_t places = 0;
    for (size_t i = 0; i < app->config->issuer_count; i++) {
        if (publishes(app->config, &app->config->issuers[i]))
            places += (size_t)app->config->issuers[i].max_concurrency;
    }
    for (size_t i = 0; i < app->config->deployer_count; i++) {
        if (app->config->deployers[i].type == ACME_DEPLOYER_COMMAND)
            places += (size_t)app->config->deployers[i].max_concurrency;
    }
    if (places == 0)
        return true;
    int at_once = places < PROGRAMS_AT_ONCE ? (int)places : PROGRAMS_AT_ONCE;
    return !failed_to("programs", acme_processes_start(at_once, places, &app->processes));
}

/* Each job asks for one thing at a time. Issuances ask for CAA records, and must not stand in line behind
 * validations that hang. */
static size_t outbound_at_once(const struct acme_config *config)
{
    size_t count = (size_t)config->validation.max_concurrency;
    for (size_t i = 0; i < config->issuer_count; i++)
        count += (size_t)config->issuers[i].max_concurrency;
    for (size_t i = 0; i < config->deployer_count; i++)
        count += (size_t)config->deployers[i].max_concurrency;
    return count;
}

static bool start_jobs(struct app *app)
{
    const struct acme_config *config = app->config;
    struct acme_outbound_options outbound = {.resolvers = config->validation.resolvers,
                                             .resolver_count = config->validation.resolver_count,
                                             .trust_anchor_file = config->validation.trust_anchor_file,
                                             .policy = &config->validation.policy,
                                             .max_fetches = outbound_at_once(config)};
    if (failed_to("outbound loop", acme_outbound_start(&outbound, &app->outbound)) || !start_processes(app))
        return false;
    struct acme_upstream_watch_options watch = {.config = config,
                                                .outbound = app->outbound,
                                                .issuers = app->issuers,
                                                .deployers = app->deployers,
                                                .deployer_count = config->deployer_count};
    if (failed_to("look at the upstreams", acme_upstream_watch_start(&watch, &app->watch)))
        return false;
    struct acme_runner_options runner = {.store = app->store,
                                         .outbound = app->outbound,
                                         .clock = &acme_clock_system,
                                         .owner = app->owner,
                                         .lease_ms = LEASE_MS,
                                         .issuers = app->issuers,
                                         .issuer_count = config->issuer_count,
                                         .processes = app->processes,
                                         .deployers = app->deployers,
                                         .deployer_count = config->deployer_count,
                                         .validation_max_concurrency = config->validation.max_concurrency,
                                         .http_port = config->validation.http_port,
                                         .https_port = config->validation.tls_port,
                                         .base_url = config->server.url,
                                         .authz_lifetime_ms = config->authz_lifetime_ms,
                                         .quarantine_dir = app->quarantine_dir,
                                         .threads = JOB_THREADS,
                                         .challenge_decided = challenge_decided,
                                         .order_changed = order_changed,
                                         .revocation_ended = revocation_ended,
                                         .profile_validity_ms = profile_validity_ms,
                                         .find_profile = find_profile,
                                         .deployer_takes = deployer_takes,
                                         .context = app};
    return !failed_to("job runner", acme_runner_start(&runner, &app->runner));
}

/* The path of https://host[:port]/path, "" when there is none. */
static const char *path_of(const char *url)
{
    const char *authority = strstr(url, "://");
    const char *path = authority == NULL ? NULL : strchr(authority + 3, '/');
    return path == NULL ? "" : path;
}

static bool start_http(struct app *app)
{
    const struct acme_server_config *config = &app->config->server;
    int cores = online_cores();
    /* Most of the time they wait for commits, which as many writes share as there are workers at it. */
    int threads = config->worker_threads > 0 ? config->worker_threads : cores * 4 < 16 ? 16 : cores * 4;
    if (failed_to("worker pool", acme_pool_create("worker", threads, cores * 2, 1024, &app->workers)))
        return false;
    app->frontend = (struct acme_frontend){.base_path = path_of(config->url),
                                           .service = app->service,
                                           .workers = app->workers,
                                           .holds = app->holds,
                                           .runner = app->runner,
                                           .watch = app->watch};
    struct acme_http_options options = {.listen = config->listen,
                                        .loops =
                                            config->io_threads > 0 ? config->io_threads : (cores + 1) / 2,
                                        .max_connections = config->max_connections,
                                        .max_connections_per_address = config->max_connections_per_address,
                                        .max_body_bytes = config->max_body_bytes,
                                        .request_deadline_ms = config->request_deadline_ms,
                                        .idle_timeout_ms = config->idle_timeout_ms,
                                        .arena_bytes = REQUEST_ARENA_BYTES};
    struct acme_http_callbacks callbacks = {.context = &app->frontend,
                                            .on_request = acme_frontend_on_request,
                                            .on_problem = acme_frontend_on_problem};
    return !failed_to("HTTP front",
                      acme_http_start(&options, &callbacks, acme_identity_tls(app->identity), &app->http));
}

static struct acme_err start_publisher(struct app *app)
{
    struct acme_publisher_issuer *issuers = calloc(app->config->issuer_count, sizeof *issuers);
    ENSURE(issuers != NULL, ACME_E_NOMEM);
    const char *url = app->config->server.http_url;
    struct acme_publisher_options options = {.store = app->store,
                                             .clock = &acme_clock_system,
                                             .base_path = url != NULL ? path_of(url) : "",
                                             .issuers = issuers};
    for (size_t i = 0; i < app->config->issuer_count; i++) {
        if (app->cas[i] != NULL)
            issuers[options.issuer_count++] =
                (struct acme_publisher_issuer){.name = app->config->issuers[i].name, .ca = app->cas[i]};
    }
    struct acme_err err = acme_publisher_start(&options, &app->publisher);
    free(issuers);
    return err;
}

/* One loop is enough: nothing is computed, nobody waits. */
static bool start_plain_http(struct app *app)
{
    const struct acme_server_config *config = &app->config->server;
    if (config->http_listen == NULL)
        return true;
    struct acme_http_options options = {.listen = config->http_listen,
                                        .loops = 1,
                                        .max_connections = config->max_connections,
                                        .max_connections_per_address = config->max_connections_per_address,
                                        .max_body_bytes = PLAIN_BODY_BYTES,
                                        .request_deadline_ms = config->request_deadline_ms,
                                        .idle_timeout_ms = config->idle_timeout_ms,
                                        .arena_bytes = PLAIN_ARENA_BYTES};
    struct acme_http_callbacks callbacks = {.context = app->publisher,
                                            .on_request = acme_publisher_on_request,
                                            .on_problem = acme_publisher_on_problem};
    return !failed_to("plain HTTP front", acme_http_start(&options, &callbacks, NULL, &app->plain_http));
}

static void jobs_changed(void *context)
{
    const struct app *app = context;
    acme_runner_look(app->runner);
}

static bool start_admin(struct app *app)
{
    struct acme_admin_options options = {.store = app->store,
                                         .clock = &acme_clock_system,
                                         .config = app->config,
                                         .jobs_changed = jobs_changed,
                                         .context = app};
    return !failed_to("admin socket", acme_admin_start(&options, &app->admin));
}

static bool start(struct app *app)
{
    const struct acme_config *config = app->config;
    int cores = online_cores();
    raise_file_limit(config);
    if (!make_dirs(app) || failed_to("instance id", acme_id_new(&acme_clock_system, app->owner)))
        return false;
    struct acme_store_options store = {.path = config->store_path,
                                       .reader_count = cores * 2 < 4 ? 4 : cores * 2};
    struct acme_err err = acme_store_open(&store, &acme_clock_system, &app->store);
    if (err.code == ACME_E_BUSY)
        acme_log(ERROR, "another acmebridge uses this database", LOG_STR("path", config->store_path));
    if (failed_to("store cannot be opened", err) || !open_issuers(app))
        return false;
    if (failed_to("the server's own certificate",
                  acme_identity_create(&config->server, server_ca(app), &acme_clock_system, &app->identity)))
        return false;
    if (failed_to("held requests", acme_holds_create(acme_frontend_settle, &app->frontend, &app->holds)))
        return false;
    /* Before the jobs, which tell it of revocations. */
    if (config->server.http_listen != NULL &&
        failed_to("lists of revoked certificates", start_publisher(app)))
        return false;
    return load_blocked_keys(app) && load_nonces(app) && start_service(app) && start_jobs(app) &&
           start_plain_http(app) && start_http(app) && start_admin(app) &&
           !failed_to("sweeper",
                      acme_sweeper_start(app->store, &acme_clock_system, config->keep_ms, &app->sweeper));
}

/* ---- stop ---- */

static void sleep_ms(long ms)
{
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

static void save_nonces(struct app *app)
{
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(VALUES_ARENA_BYTES);
    struct acme_bytes saved;
    struct acme_err err =
        arena == NULL ? acme_err(ACME_E_NOMEM) : acme_nonces_save(app->nonces, arena, &saved);
    if (!acme_failed(err))
        err = acme_store_value_set(app->store, NONCES_VALUE, saved);
    (void)failed_to("nonces could not be saved, clients will have to fetch new ones", err);
}

/* Let requests and calls under way end by themselves for a moment, then end everything from the outside in.
 */
static void stop(struct app *app)
{
    acme_admin_stop(app->admin);
    acme_sweeper_stop(app->sweeper);
    if (app->runner != NULL)
        acme_runner_quiesce(app->runner);
    if (app->http != NULL)
        acme_http_drain(app->http);
    if (app->plain_http != NULL)
        acme_http_drain(app->plain_http);
    for (int waited = 0; app->runner != NULL && waited < DRAIN_JOBS_MS && !acme_runner_is_idle(app->runner);
         waited += 20)
        sleep_ms(20);
    acme_processes_cancel(app->processes); /* their second to end in runs while HTTP drains */
    if (app->holds != NULL)
        acme_holds_flush(app->holds);
    for (int waited = 0; app->http != NULL && waited < DRAIN_HTTP_MS && !acme_http_is_drained(app->http);
         waited += 20)
        sleep_ms(20);
    acme_pool_end(app->workers); /* requests that still come are answered 503 by the I/O loops */
    acme_upstream_watch_stop(app->watch);
    acme_runner_stop(app->runner);
    acme_processes_stop(app->processes);
    acme_outbound_stop(app->outbound);
    acme_http_stop(app->http);
    acme_http_stop(app->plain_http);
    acme_pool_destroy(app->workers);
    acme_holds_destroy(app->holds);
    acme_runner_destroy(app->runner);
    acme_upstream_watch_destroy(app->watch);
    acme_publisher_stop(app->publisher);
    acme_service_destroy(app->service);
    if (app->nonces != NULL) /* also when the start failed later: the saved copy is gone already */
        save_nonces(app);
    acme_nonces_destroy(app->nonces);
    acme_identity_destroy(app->identity);
    for (size_t i = 0; app->issuers != NULL && i < app->config->issuer_count; i++) {
        acme_issuer_destroy(app->issuers[i]);
        acme_local_ca_close(app->cas[i]);
    }
    acme_deployers_close(app->deployers, app->config->deployer_count);
    acme_blocked_keys_destroy(app->blocked_keys);
    free(app->issuers);
    free(app->cas);
    acme_store_close(app->store);
}

/* ---- while serving ---- */

static void serve_until_signal(struct app *app, const sigset_t *signals)
{
    struct timespec period = {.tv_sec = HOUSEKEEPING_SECONDS};
    for (;;) {
        int signal_number = sigtimedwait(signals, NULL, &period);
        if (signal_number == SIGTERM || signal_number == SIGINT) {
            acme_log(INFO, "stopping", LOG_STR("signal", strsignal(signal_number)));
            return;
        }
        if (signal_number == SIGHUP)
            acme_log(WARN, "SIGHUP: this version does not reload its configuration; restart it for changes");
        if (acme_identity_refresh(app->identity))
            acme_http_set_tls(app->http, acme_identity_tls(app->identity));
    }
}

int acme_app_run(const struct acme_config *config)
{
    /* Few malloc arenas: threads here pass memory to each other, and many arenas only keep more of it. */
    mallopt(M_ARENA_MAX, 2);
    umask(077);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL); /* a parent may have left it ignored: the ends of programs would be lost */
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); /* before any thread: they inherit it */
    struct app app = {.config = config};
    bool serving = start(&app);
    if (serving) {
        acme_log(INFO, "serving", LOG_STR("directory", config->server.url),
                 LOG_STR("listen", config->server.listen), LOG_INT("port", acme_http_port(app.http)),
                 LOG_STR("version", ACME_VERSION), LOG_STR("config", config->file),
                 LOG_STR("store", config->store_path));
        acme_notify("READY=1");
        serve_until_signal(&app, &signals);
        acme_notify("STOPPING=1");
    }
    stop(&app);
    if (serving)
        acme_log(INFO, "stopped");
    return serving ? 0 : 1;
}
