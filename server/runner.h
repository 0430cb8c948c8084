/* The job runner: starts durable jobs when they are due, within each queue's limit, and drives them to their
 * next committed state. One scheduler thread decides what starts; job threads do the steps (store, backends),
 * the outbound loop the waiting: a job that waits for the network or for time holds no thread. */
#ifndef ACME_SERVER_RUNNER_H
#define ACME_SERVER_RUNNER_H

#include "backends/deployer.h"
#include "backends/issuer.h"
#include "protocol/service.h"
#include "server/outbound.h"
#include "server/process.h"
#include "store/store.h"

struct acme_runner;

struct acme_runner_options {
    struct acme_store *store;
    struct acme_outbound *outbound;
    struct acme_processes *processes; /* NULL: no backend runs programs */
    const struct acme_clock *clock;
    const char *owner; /* lease owner, unique to this process */
    int64_t lease_ms;
    struct acme_issuer *const *issuers;
    size_t issuer_count;
    struct acme_deployer *const *deployers;
    size_t deployer_count;
    int validation_max_concurrency;
    int http_port;        /* of http-01 */
    int https_port;       /* of redirects to https, and of tls-alpn-01 */
    const char *base_url; /* of the accounts' URLs, which dns-account-01 and CAA records name */
    int64_t authz_lifetime_ms;
    const char *quarantine_dir; /* certificates that failed their check are kept there */
    int threads;
    /** challenge_decided(context, challenge_id, authz): it is valid or invalid now, as in `authz`. Thread: a
     * job thread. */
    void (*challenge_decided)(void *context, const char *challenge_id, const struct acme_authz *authz);
    /** order_changed(context, order_id): an order left `processing`. Thread: a job thread. */
    void (*order_changed)(void *context, const char *order_id);
    /** revocation_ended(context, certificate_id, issuer): it is revoked, or the issuer has refused. Thread: a
     * job thread. */
    void (*revocation_ended)(void *context, const char *certificate_id, const char *issuer);
    /** profile_validity_ms(context, profile): the profile's validity. Thread: a job thread. */
    int64_t (*profile_validity_ms)(void *context, const char *profile);
    /** find_profile(context, profile): NULL when the configuration has it no longer. Thread: a job thread. */
    const struct acme_profile *(*find_profile)(void *context, const char *profile);
    /** deployer_takes(context, deployer, identifiers, count): whether a certificate with these names is for
     * this deployer of its profile. Thread: a job thread. */
    bool (*deployer_takes)(void *context, const char *deployer, const struct acme_identifier *identifiers,
                           size_t count);
    void *context;
};

/** acme_runner_start(options, ret): take over every unfinished job of an earlier run and begin. Everything in
 * `options` is borrowed until acme_runner_destroy. Errors: IO, NOMEM. */
struct acme_err acme_runner_start(const struct acme_runner_options *options,
                                  struct acme_runner **ret) ACME_MUST_USE;

/** acme_runner_options_of(runner): what it was started with. Thread: any. */
const struct acme_runner_options *acme_runner_options_of(const struct acme_runner *runner);

/** acme_runner_hand(runner, job): run a job that was just committed with a lease of ours, at once when there
 * is a place for it; else it goes back to the store (a write), to be claimed when its turn comes. The job is
 * copied. When memory is short it is left to the end of its lease. Thread: any that may write to the store.
 */
void acme_runner_hand(struct acme_runner *runner, const struct acme_job *job);

/** acme_runner_run(runner, job): the same, but when there is a place for it the caller's thread does the
 * steps that are possible now: that saves the change of threads. Thread: any that may write to the store and
 * holds nothing; it ends before the runner is stopped. */
void acme_runner_run(struct acme_runner *runner, const struct acme_job *job);

/** acme_runner_has_others(runner, job): are jobs of the same queue and account at work (the job itself not
 * being handed over yet)? Thread: any. */
bool acme_runner_has_others(struct acme_runner *runner, const struct acme_job *job);

/** acme_runner_look(runner): jobs may have become due in the store: look now. Thread: any. */
void acme_runner_look(struct acme_runner *runner);

/** acme_runner_wake(runner, queue_name): jobs of this queue have become due in the store: look at once. A
 * queue nobody knows is passed over. Thread: any. */
void acme_runner_wake(struct acme_runner *runner, const char *queue_name);

/** acme_runner_quiesce(runner): start nothing more; what runs may end. */
void acme_runner_quiesce(struct acme_runner *runner);
bool acme_runner_is_idle(struct acme_runner *runner);

/** acme_runner_stop(runner): end the threads; steps under way are finished, what waits for the network is
 * dropped when its answer comes. What was under way is taken up by the next start. NULL is allowed. */
void acme_runner_stop(struct acme_runner *runner);

/** acme_runner_destroy(runner): release it: after acme_runner_stop, and after acme_outbound_stop, whose
 * callbacks still reach it. NULL is allowed. */
void acme_runner_destroy(struct acme_runner *runner);

#endif
