/* Durable state: typed operations, each atomic and committed to disk when it returns (SQLite WAL,
 * synchronous=FULL, many callers' writes gathered into one transaction).
 *
 * Everything a function returns through `ret_` lives in the arena handed in. Texts are NUL-terminated; absent
 * optional texts are NULL, absent times 0. Errors of every operation, besides those named: IO, NOMEM; writes
 * also BUSY (too many are queued; nothing happened) and INTERNAL (the caller broke a constraint: an id used
 * twice, an unknown account). Outputs are untouched on error. Thread: any, except where noted; calls block
 * for the disk, so never on a loop. */
#ifndef ACME_STORE_STORE_H
#define ACME_STORE_STORE_H

#include "base/clock.h"
#include "base/id.h"
#include "base/identifier.h"

struct acme_store;

struct acme_store_options {
    const char *path; /* database file, made (0600) when absent */
    int reader_count; /* read connections; about the number of worker threads */
};

/** acme_store_open(options, clock, ret): open and migrate to this program's schema.
 *  Errors: IO; UNSUPPORTED when the schema is newer than this program; BUSY when another process has it open.
 */
struct acme_err acme_store_open(const struct acme_store_options *options, const struct acme_clock *clock,
                                struct acme_store **ret) ACME_MUST_USE;

/** acme_store_close(store): finish queued writes, checkpoint, close. No other call may be running. NULL
 * allowed. */
void acme_store_close(struct acme_store *store);

/* ---- small named values: nonce state and the like ---- */

/** acme_store_value_get: Errors: NOT_FOUND. */
struct acme_err acme_store_value_get(struct acme_store *store, struct acme_arena *arena, const char *name,
                                     struct acme_bytes *ret) ACME_MUST_USE;
/** acme_store_value_set(store, name, value): insert or replace; value.data NULL deletes. */
struct acme_err acme_store_value_set(struct acme_store *store, const char *name,
                                     struct acme_bytes value) ACME_MUST_USE;

/** acme_store_counter_next(store, name, at_least, ret): count a named number up, from 0, and return it: no
 * number twice and none below an earlier one, whatever happens in between. It is raised to `at_least` where
 * it would be lower. A name is a value or a counter, not both. */
struct acme_err acme_store_counter_next(struct acme_store *store, const char *name, int64_t at_least,
                                        int64_t *ret) ACME_MUST_USE;

/* ---- accounts (RFC 8555 section 7.1.2) ---- */

enum acme_account_status { ACME_ACCOUNT_VALID, ACME_ACCOUNT_DEACTIVATED, ACME_ACCOUNT_REVOKED };

struct acme_account {
    const char *id;
    enum acme_account_status status;
    const char *thumbprint; /* RFC 7638, base64url; unique */
    const char *jwk;        /* canonical public JWK, JSON text */
    const char *contacts;   /* JSON array text, "[]" when none */
    bool tos_agreed;
    int64_t created_ms;
    const char *terms;            /* URL of the terms last agreed to; NULL: none known */
    const char *external_kid;     /* of the external account (section 7.3.4); NULL: none */
    const char *external_binding; /* the binding as it was sent, JSON text; NULL: none */
    bool external_once;           /* only for _create: external_kid must not be another account's */
};

/** acme_store_account_create(store, arena, account, ret, ret_created): insert, or find the account that has
 * this thumbprint already (two racing registrations make one account). Errors: CONFLICT (external_once, and
 * an account of another key has this external_kid). */
struct acme_err acme_store_account_create(struct acme_store *store, struct acme_arena *arena,
                                          const struct acme_account *account, struct acme_account *ret,
                                          bool *ret_created) ACME_MUST_USE;
/** acme_store_account_get / _find: by id / by key thumbprint. Errors: NOT_FOUND. */
struct acme_err acme_store_account_get(struct acme_store *store, struct acme_arena *arena, const char *id,
                                       struct acme_account *ret) ACME_MUST_USE;
struct acme_err acme_store_account_find(struct acme_store *store, struct acme_arena *arena,
                                        const char *thumbprint, struct acme_account *ret) ACME_MUST_USE;
/** acme_store_account_update(store, id, contacts, terms): set new contacts (NULL: keep) and the terms now
 * agreed to (NULL: keep) of a valid account. Errors: NOT_FOUND (also: no longer valid). */
struct acme_err acme_store_account_update(struct acme_store *store, const char *id, const char *contacts,
                                          const char *terms) ACME_MUST_USE;

/** acme_store_account_rekey(store, arena, account, thumbprint, jwk, ret_holder): give a valid account a new
 * key (section 7.3.5). `account` is as it was read: its id, and the thumbprint that is to be replaced.
 * Errors: CONFLICT (an account has the new key: its id is *ret_holder, which is set then only); STATE (the
 * account is no longer valid, or has another key than `account` says). */
struct acme_err acme_store_account_rekey(struct acme_store *store, struct acme_arena *arena,
                                         const struct acme_account *account, const char *thumbprint,
                                         const char *jwk, const char **ret_holder) ACME_MUST_USE;

/** acme_store_account_former_keys(store, arena, account_id, limit, ret, ret_count): the thumbprints of the
 * keys that an account had before its present one, the latest first. */
struct acme_err acme_store_account_former_keys(struct acme_store *store, struct acme_arena *arena,
                                               const char *account_id, size_t limit, const char ***ret,
                                               size_t *ret_count) ACME_MUST_USE;

/** acme_store_account_deactivate(store, id, error): a valid account ends (section 7.3.6), in one step with
 * what hangs on it: its pending and ready orders become invalid with `error`, and the pending authorizations
 * of its orders and all its valid ones deactivated. Jobs are left alone: who runs them looks at the account.
 * Errors: NOT_FOUND (also: no longer valid). */
struct acme_err acme_store_account_deactivate(struct acme_store *store, const char *id,
                                              const char *error) ACME_MUST_USE;

/* ---- jobs: durable work (docs/architecture.md, "Jobs") ---- */

enum acme_job_kind {
    ACME_JOB_VALIDATE,
    ACME_JOB_ISSUE,
    ACME_JOB_REVOKE,
    ACME_JOB_DEPLOY,
    ACME_JOB_KIND_COUNT
};

/* The queue of validations; no issuer can have this name. */
#define ACME_VALIDATION_QUEUE "~validation"

/* The queue of a deployer is this and its name; no issuer can have such a name either. */
#define ACME_DEPLOY_QUEUE "deploy/"

struct acme_job {
    const char *id;
    enum acme_job_kind kind;
    const char *subject_id; /* challenge id, issuance id, certificate id, or deployment id */
    const char *queue;      /* ACME_VALIDATION_QUEUE, the issuer's name, or ACME_DEPLOY_QUEUE and the
                               deployer's: what limits apply */
    const char *share;      /* whose share of the queue it takes: the account's id; NULL: nobody's */
    const char *state;      /* the backend's saved JSON object; NULL before its first step */
    bool intent;  /* a call that must not happen twice has been announced, its outcome is not known */
    int attempts; /* real failures so far; waiting does not count */
    int64_t run_at_ms;
    int64_t created_ms;
    bool asked; /* the operator is asked something: acme_store_question_get */
};

/* Who works on a job. A job carries its owner and the end of the lease; every change of a job names the owner
 * and fails with STATE when the job has meanwhile gone to another. */
struct acme_lease {
    const char *owner;
    int64_t until_ms;
};

/** acme_store_jobs_recover(store): at start, by the only process: end all leases, so that every unfinished
 * job is due. */
struct acme_err acme_store_jobs_recover(struct acme_store *store, size_t *ret_count) ACME_MUST_USE;

/* How a claim deals with the shares of a queue: they take turns, so that nobody waits behind another's crowd.
 */
struct acme_turns {
    /** may_take(context, share, taken, taken_in_all): may one more job of `share` be claimed, beyond the
     * `taken` of it and the `taken_in_all` claimed already? NULL: any. Must not call the store. Thread: any.
     */
    bool (*may_take)(void *context, const char *share, size_t taken, size_t taken_in_all);
    void *context;
    char last[ACME_ID_SIZE]; /* in and out: whose turn was last; "" at first */
    bool latest_first;       /* instead of turns: those of all shares that became due last */
    bool left_due;           /* out: there may be more jobs that are due */
    int64_t leases_seen_ms;  /* in and out: when leases that have ended were last looked for; 0 at first */
};

/** acme_store_jobs_claim(store, arena, queue, now_ms, lease, limit, turns, ret, ret_count): lease up to
 * `limit` jobs of one queue that are due (run_at_ms <= now, no running lease), the shares in turn, of each
 * its oldest (but see acme_turns.latest_first); returned oldest first. Jobs that were dropped, whose leases
 * have ended, come before all others, and are looked for every 15 s at most. */
struct acme_err acme_store_jobs_claim(struct acme_store *store, struct acme_arena *arena, const char *queue,
                                      int64_t now_ms, const struct acme_lease *lease, size_t limit,
                                      struct acme_turns *turns, struct acme_job **ret,
                                      size_t *ret_count) ACME_MUST_USE;

/** acme_store_jobs_next(store, queue, after_ms, ret_ms): when the next job of the queue beyond after_ms that
 * nobody works on is due, 0 for none. Whoever waits for leases to end looks again now and then. A read: costs
 * no commit. */
struct acme_err acme_store_jobs_next(struct acme_store *store, const char *queue, int64_t after_ms,
                                     int64_t *ret_ms) ACME_MUST_USE;

/** acme_store_jobs_count(store, queue, ret): the jobs of the queue that nobody works on, due or not. A read,
 * in time that grows with their number. */
struct acme_err acme_store_jobs_count(struct acme_store *store, const char *queue,
                                      int64_t *ret) ACME_MUST_USE;

/** acme_store_jobs_queues(store, arena, ret, ret_count): the names of all queues that have jobs. A read. */
struct acme_err acme_store_jobs_queues(struct acme_store *store, struct acme_arena *arena, const char ***ret,
                                       size_t *ret_count) ACME_MUST_USE;

/** acme_store_job_release(store, job_id, owner, run_at_ms): give the job back until run_at_ms as it stands in
 * the store: state, intent and attempts stay. Errors: STATE. */
struct acme_err acme_store_job_release(struct acme_store *store, const char *job_id, const char *owner,
                                       int64_t run_at_ms) ACME_MUST_USE;

enum acme_job_answer { ACME_ANSWER_NONE, ACME_ANSWER_ACKNOWLEDGE, ACME_ANSWER_DENY };

/* What only the operator can decide about a job. */
struct acme_job_question {
    const char *key;     /* changes with what is asked */
    const char *text;    /* a sentence */
    const char *details; /* lines; NULL: none */
    int64_t deadline_ms; /* when it decides itself; 0: never */
    int64_t asked_ms;    /* when this question was asked first */
    /* Ignored when it is asked: */
    enum acme_job_answer answer; /* that no step has seen yet */
    int64_t answered_ms;         /* the last answer, seen or not; 0: none */
    const char *answered_by;
};

/* What people are told of a job beside its state. */
struct acme_job_remark {
    const char
        *note; /* one sentence: what happened last, or what is waited for; NULL keeps the earlier one */
    int64_t noted_ms;         /* when; only with a note */
    const char *upstream_ref; /* the upstream's number for the request; NULL keeps the earlier one */
    /* Of acme_store_job_wait: */
    bool asks; /* `question` takes the place of the earlier one; else all stays as it is */
    const struct acme_job_question *question; /* NULL: nothing is asked any more */
    int64_t answer_seen_ms;                   /* answered_ms of the answer that the step has seen; 0: none */
};

/** acme_store_job_save(store, job_id, lease, state, intent, remark): keep the job, renew its lease, save the
 * state and the announced intent, durable on return. `remark` NULL: keep what is there. Errors: STATE. */
struct acme_err acme_store_job_save(struct acme_store *store, const char *job_id,
                                    const struct acme_lease *lease, const char *state, bool intent,
                                    const struct acme_job_remark *remark) ACME_MUST_USE;

/** acme_store_job_wait(store, job_id, owner, state, run_at_ms, attempts, remark): give the job back until
 * run_at_ms; clears intent. `remark` as above. Errors: STATE. */
struct acme_err acme_store_job_wait(struct acme_store *store, const char *job_id, const char *owner,
                                    const char *state, int64_t run_at_ms, int attempts,
                                    const struct acme_job_remark *remark) ACME_MUST_USE;

/* ---- what only the operator can decide ---- */

/** acme_store_question_get(store, arena, job_id, ret): what is asked about a job. Errors: NOT_FOUND
 * (nothing). */
struct acme_err acme_store_question_get(struct acme_store *store, struct acme_arena *arena,
                                        const char *job_id, struct acme_job_question *ret) ACME_MUST_USE;

/** acme_store_question_answer(store, job_id, key, given, by, now_ms): answer the question with this key; a
 * later answer takes the place of one that no step has seen. The job is due at once. Errors: STATE when that
 * is not asked (any more). */
struct acme_err acme_store_question_answer(struct acme_store *store, const char *job_id, const char *key,
                                           enum acme_job_answer given, const char *by,
                                           int64_t now_ms) ACME_MUST_USE;

/* ---- lines: one job at a time changes an object of an upstream ---- */

/** acme_store_line_enter(store, object, job_id, ret_ahead): get in line for an object, or stay there:
 * *ret_ahead jobs come first. First come, first served. Jobs leave when they end, and the next one is due
 * then, unless it is being worked on. Errors: STATE (there is no such job). */
struct acme_err acme_store_line_enter(struct acme_store *store, const char *object, const char *job_id,
                                      size_t *ret_ahead) ACME_MUST_USE;

/* ---- authorizations and challenges (section 7.1.4, 7.5) ---- */

enum acme_authz_status {
    ACME_AUTHZ_PENDING,
    ACME_AUTHZ_VALID,
    ACME_AUTHZ_INVALID,
    ACME_AUTHZ_DEACTIVATED,
    ACME_AUTHZ_EXPIRED,
    ACME_AUTHZ_REVOKED
};
enum acme_challenge_status {
    ACME_CHALLENGE_PENDING,
    ACME_CHALLENGE_PROCESSING,
    ACME_CHALLENGE_VALID,
    ACME_CHALLENGE_INVALID
};

enum { ACME_MAX_CHALLENGES = 8 };

struct acme_challenge {
    const char *id;
    const char *authz_id;
    const char *type; /* "http-01" ... */
    const char *token;
    enum acme_challenge_status status;
    int64_t validated_ms;
    int64_t started_ms; /* when the client triggered it */
    const char *error;  /* problem document, JSON text */
    /* Of a candidate, not kept: what a challenge of this type has proved counts under the same profile alone.
     */
    bool of_profile;
};

struct acme_authz {
    const char *id;
    const char *account_id;
    struct acme_identifier identifier; /* without "*." */
    const char *profile; /* it was made under, though orders of others may use it; NULL: not known */
    bool wildcard;
    enum acme_authz_status status;
    int64_t expires_ms;
    struct acme_challenge challenges[ACME_MAX_CHALLENGES];
    size_t challenge_count;
};

/** acme_store_authz_get / acme_store_challenge_get: one authorization with all its challenges; the latter
 * finds it through a challenge. Not limited to an account: callers compare account_id. Errors: NOT_FOUND. */
struct acme_err acme_store_authz_get(struct acme_store *store, struct acme_arena *arena, const char *id,
                                     struct acme_authz *ret) ACME_MUST_USE;
struct acme_err acme_store_challenge_get(struct acme_store *store, struct acme_arena *arena,
                                         const char *challenge_id, struct acme_authz *ret) ACME_MUST_USE;

/** acme_store_authz_create(store, authz, now_ms, max_pending): a pre-authorization (RFC 8555 section 7.4.1),
 * with its challenges. Errors: LIMIT when the account has `max_pending` others that are pending and alive at
 * now_ms; authorizations made for orders do not count. */
struct acme_err acme_store_authz_create(struct acme_store *store, const struct acme_authz *authz,
                                        int64_t now_ms, size_t max_pending) ACME_MUST_USE;

/** acme_store_authz_covers(store, arena, account_id, identifiers, count, now_ms, ret): does the account hold
 * a valid authorization for each of these names (for "*.name" one with the wildcard flag)? false for none. */
struct acme_err acme_store_authz_covers(struct acme_store *store, struct acme_arena *arena,
                                        const char *account_id, const struct acme_identifier *identifiers,
                                        size_t count, int64_t now_ms, bool *ret) ACME_MUST_USE;

/** acme_store_authz_deactivate(store, id): pending or valid -> deactivated; pending or ready orders that need
 * it become invalid with `error`. Errors: NOT_FOUND, STATE (already final). */
struct acme_err acme_store_authz_deactivate(struct acme_store *store, const char *id,
                                            const char *error) ACME_MUST_USE;

/** acme_store_challenge_start(store, challenge_id, job, lease, now_ms): pending -> processing, together with
 * its job, leased from the start to this process (which saves the claim). `job` gives id, queue, created_ms;
 * kind and subject are implied. Errors: NOT_FOUND; STATE when the challenge or its authorization is not
 * pending (nothing happens). */
struct acme_err acme_store_challenge_start(struct acme_store *store, const char *challenge_id,
                                           const struct acme_job *job, const struct acme_lease *lease,
                                           int64_t now_ms) ACME_MUST_USE;

/** acme_store_challenge_progress(store, challenge_id, job_id, owner, error, run_at_ms, attempts): a failed
 * try that will be repeated: the problem is kept on the processing challenge (RFC 8555 section 8.2), the job
 * waits until run_at_ms. Errors: STATE. */
struct acme_err acme_store_challenge_progress(struct acme_store *store, const char *challenge_id,
                                              const char *job_id, const char *owner, const char *error,
                                              int64_t run_at_ms, int attempts) ACME_MUST_USE;

/** acme_store_challenge_finish(store, challenge_id, job_id, owner, error, now_ms, authz_expires_ms): the
 * validation's end; error NULL means success. Challenge, authorization and every order that waits for it move
 * together (all valid -> ready, one invalid -> invalid with the error), and the job is gone. An authorization
 * that is no longer pending, or has expired, keeps its state. Errors: STATE (lost lease). */
struct acme_err acme_store_challenge_finish(struct acme_store *store, const char *challenge_id,
                                            const char *job_id, const char *owner, const char *error,
                                            int64_t now_ms, int64_t authz_expires_ms) ACME_MUST_USE;

/* ---- orders (section 7.1.3, 7.4) ---- */

enum acme_order_status {
    ACME_ORDER_PENDING,
    ACME_ORDER_READY,
    ACME_ORDER_PROCESSING,
    ACME_ORDER_VALID,
    ACME_ORDER_INVALID
};

struct acme_order {
    const char *id;
    const char *account_id;
    const char *profile;
    enum acme_order_status status;
    struct acme_identifier *identifiers;
    size_t identifier_count;
    const char **authz_ids; /* same order as the identifiers */
    size_t authz_count;
    int64_t not_before_ms; /* as asked for */
    int64_t not_after_ms;
    int64_t expires_ms;
    int64_t created_ms;
    int64_t finalized_ms;
    int64_t seen_ms;        /* when its client last looked, as noted by acme_store_order_seen; 0: not yet */
    const char *csr_sha256; /* lower-case hex, of the accepted finalize */
    const char *issuance_id;
    const char *certificate_id;
    const char *error;
};

/** acme_store_order_create(store, arena, order, authzs, now_ms, reuse_until_ms, ret): make the order (id,
 * account_id, profile, identifiers, times given) with one authorization per identifier: for each the
 * account's valid one for the same identifier and wildcard flag that lives beyond reuse_until_ms and was
 * validated by a challenge of a type authzs[i] has (of_profile: made under authzs[i]'s profile), if any, else
 * authzs[i] is inserted with its challenges.
 * The order is ready when all are valid, and expires with the first of the reused ones at the latest. */
struct acme_err acme_store_order_create(struct acme_store *store, struct acme_arena *arena,
                                        const struct acme_order *order, const struct acme_authz *authzs,
                                        int64_t now_ms, int64_t reuse_until_ms,
                                        struct acme_order *ret) ACME_MUST_USE;

/** acme_store_order_get: Errors: NOT_FOUND. Callers compare account_id. */
struct acme_err acme_store_order_get(struct acme_store *store, struct acme_arena *arena, const char *id,
                                     struct acme_order *ret) ACME_MUST_USE;

/** acme_store_order_seen(store, id, now_ms): remember that its client has looked at the order. Does not wait
 * for the commit: losing it in a crash makes the client look as if it had been away a little longer. */
void acme_store_order_seen(struct acme_store *store, const char *id, int64_t now_ms);

struct acme_order_page {
    const char **ids;
    size_t count;
    const char *next; /* what the next page comes behind; NULL: this is the last one */
};

/** acme_store_orders_list(store, arena, account_id, after_id, now_ms, limit, ret): ids of the account's
 * orders that are neither invalid nor expired before they were finalized, by id, those behind after_id (NULL:
 * from the start; any text will do). Limits: `limit` ids, and ten times as many orders looked at: a page of
 * an account that let many orders fail may be short, or empty, and not the last. */
struct acme_err acme_store_orders_list(struct acme_store *store, struct acme_arena *arena,
                                       const char *account_id, const char *after_id, int64_t now_ms,
                                       size_t limit, struct acme_order_page *ret) ACME_MUST_USE;

/* ---- issuances: one certificate wanted from one issuer. Orders of one account for the same names, profile,
 * dates and key share one (clients that gave up come back with a new order), so that nothing is bought twice.
 * ----
 */

enum acme_issuance_status {
    ACME_ISSUANCE_PENDING,
    ACME_ISSUANCE_ISSUED,
    ACME_ISSUANCE_FAILED,
    ACME_ISSUANCE_WITHDRAWN /* superseded: its orders have ended, its job takes back what is upstream */
};

/* What an issuance goes on from, where its issuer can do that. */
enum acme_continuation {
    ACME_CONTINUE_NOTHING,
    ACME_CONTINUE_RENEW,  /* the predecessor's certificate is renewed */
    ACME_CONTINUE_REPLACE /* the predecessor's, which nobody fetched, gets this issuance's key */
};

#define ACME_KEY_AT_EDGE "edge"

struct acme_issuance {
    const char *id;
    const char *account_id;
    const char *order_id; /* the first order */
    const char *profile;
    const char *issuer;
    enum acme_issuance_status status;
    const char *names_digest; /* acme_identifiers_digest */
    const char *spki_sha256; /* lower-case hex; or ACME_KEY_AT_EDGE: it is not the CSR's key that is wanted */
    const char *csr_sha256;  /* lower-case hex */
    struct acme_bytes csr;   /* DER */
    struct acme_identifier *identifiers;
    size_t identifier_count;
    int64_t not_before_ms;
    int64_t not_after_ms;
    int64_t created_ms;
    int64_t deadline_ms;
    const char *upstream_ref; /* the issuer's own number (SCM sslId), from when it is known */
    const char *certificate_id;
    const char *error;
    enum acme_continuation continuation;
    const char *predecessor_id; /* of the issuance it continues; may have been swept since */
    const char *parent_id;      /* of the issuance it is made for (acme_store_delegate); NULL: for orders */
    const char *label;          /* what that calls it */
};

/* What finalize may do about earlier wishes of the account for the same names, profile and issuer. */
struct acme_finalize_rules {
    int64_t now_ms;
    /* Certificates made before that, or downloaded, are neither adopted nor replaced. */
    int64_t adopt_since_ms;
    /* An issuance for another key, none of whose clients was seen since, is superseded while it is pending
     * and replaced when it is issued; 0: never. */
    int64_t supersede_before_ms;
    bool replace;                 /* the issuer can replace */
    int64_t renew_since_ms;       /* certificates that end later than that are renewed; 0: never */
    bool renew_same_key;          /* only those with the key of this issuance are */
    const char *superseded_error; /* problem document for the orders that are superseded */
};

enum { ACME_SUPERSEDED_MAX = 8 };

/* What finalize did beside its outcome. */
struct acme_finalize_effects {
    const char *superseded[ACME_SUPERSEDED_MAX]; /* issuances */
    size_t superseded_count;
    enum acme_continuation continuation; /* of the issuance that was started */
    const char *predecessor_id;
};

enum acme_finalize_outcome {
    ACME_FINALIZE_STARTED, /* a new issuance and its leased job were made */
    ACME_FINALIZE_ISSUED,  /* a new issuance with the certificate handed in: the order is valid */
    ACME_FINALIZE_JOINED,  /* the order joined an issuance in flight */
    ACME_FINALIZE_ADOPTED, /* an issued, never downloaded certificate became this order's: the order is valid
                            */
    ACME_FINALIZE_REPEATED /* the same CSR was accepted for this order before: nothing changed */
};

/** acme_store_order_finalize(store, arena, issuance, job, lease, rules, ret_order, ret_outcome,
 * ret_effects): ready -> processing (or valid) with what it takes, in one step. `issuance` and `job` are
 * candidates, used only for STARTED; issuance->order_id names the order. ret_effects may be NULL. Errors:
 * NOT_FOUND; STATE when the order is neither ready nor finalized with this very CSR (*ret_order is then set
 * all the same, to tell the client its status); DENIED when one of its authorizations is no longer valid. */
struct acme_err acme_store_order_finalize(struct acme_store *store, struct acme_arena *arena,
                                          const struct acme_issuance *issuance, const struct acme_job *job,
                                          const struct acme_lease *lease,
                                          const struct acme_finalize_rules *rules,
                                          struct acme_order *ret_order,
                                          enum acme_finalize_outcome *ret_outcome,
                                          struct acme_finalize_effects *ret_effects) ACME_MUST_USE;

struct acme_certificate; /* below */

/** acme_store_order_issue(store, arena, issuance, certificate, rules, ret_order, ret_outcome, ret_effects):
 * the same with a certificate that is there already: ready -> valid, without a job. The candidates, and the
 * certificate's deployments, are used only for ISSUED; nothing earlier is continued. Errors: as above. */
struct acme_err acme_store_order_issue(struct acme_store *store, struct acme_arena *arena,
                                       const struct acme_issuance *issuance,
                                       const struct acme_certificate *certificate,
                                       const struct acme_finalize_rules *rules, struct acme_order *ret_order,
                                       enum acme_finalize_outcome *ret_outcome,
                                       struct acme_finalize_effects *ret_effects) ACME_MUST_USE;

/* A certificate that an issuance needs from another issuer. */
struct acme_delegation {
    /* Candidate, with parent_id and label; order_id is the parent's, though no order waits for it. */
    const struct acme_issuance *child;
    const struct acme_job *child_job; /* candidate: id, queue, share, created_ms */
    const struct acme_lease *child_lease;
    /* The parent's job is put back, as by acme_store_job_wait. */
    const char *job_id;
    const char *owner;
    const char *state;
    int64_t run_at_ms; /* at the latest: it is due when the child ends */
    int attempts;
    const struct acme_job_remark *remark;
};

/** acme_store_delegate(store, arena, delegation, ret_started): start an issuance for another one and put the
 * job of that back, in one step. The same label again starts nothing. Orders neither join nor adopt what was
 * made so, and nothing supersedes or continues it. When the parent is issued the very certificate that a
 * child got, it is the child's. Errors: STATE (lost lease). */
struct acme_err acme_store_delegate(struct acme_store *store, struct acme_arena *arena,
                                    const struct acme_delegation *delegation,
                                    bool *ret_started) ACME_MUST_USE;

/** acme_store_issuance_children(store, arena, parent_id, ret_ids, ret_count): what was started for it. */
struct acme_err acme_store_issuance_children(struct acme_store *store, struct acme_arena *arena,
                                             const char *parent_id, const char ***ret_ids,
                                             size_t *ret_count) ACME_MUST_USE;

/** acme_store_issuance_ref(store, id, upstream_ref): note the issuer's number as soon as it is known. */
struct acme_err acme_store_issuance_ref(struct acme_store *store, const char *id,
                                        const char *upstream_ref) ACME_MUST_USE;

/** acme_store_issuance_owns(store, issuer, upstream_ref, except_id, ret): whether an issuance other than
 * except_id has that number of the issuer. */
struct acme_err acme_store_issuance_owns(struct acme_store *store, const char *issuer,
                                         const char *upstream_ref, const char *except_id,
                                         bool *ret) ACME_MUST_USE;

/** acme_store_issuance_replaced(store, id, ret): whether another issuance has ever set out to replace its
 * certificate, and so may have taken over its number. */
struct acme_err acme_store_issuance_replaced(struct acme_store *store, const char *id,
                                             bool *ret) ACME_MUST_USE;

/** acme_store_issuance_status(store, id, ret): Errors: NOT_FOUND. */
struct acme_err acme_store_issuance_status(struct acme_store *store, const char *id,
                                           enum acme_issuance_status *ret) ACME_MUST_USE;

/** acme_store_issuance_get: Errors: NOT_FOUND. */
struct acme_err acme_store_issuance_get(struct acme_store *store, struct acme_arena *arena, const char *id,
                                        struct acme_issuance *ret) ACME_MUST_USE;

struct acme_deployment;

struct acme_certificate {
    const char *id;
    const char *issuance_id;
    const char *account_id;
    const char *issuer;            /* name of the issuer */
    const char *chain;             /* PEM, leaf first */
    const char *const *alternates; /* other chains, likewise; not from _find */
    size_t alternate_count;
    const struct acme_deployment *deployments; /* candidates, made with it; only when it is stored */
    size_t deployment_count;
    const char *serial_hex;
    const char *aki_hex;
    const char *sha256_hex;
    int64_t not_before_ms;
    int64_t not_after_ms;
    int64_t created_ms;
    int64_t downloaded_ms;
};

/** acme_store_issuance_issued(store, issuance_id, job_id, owner, upstream_ref, certificate): the end well:
 * the certificate is stored (unless a child got the same one: then it is that), every processing order of
 * the issuance becomes valid, its deployments are made and due, the job is gone. Errors: STATE (lost lease).
 */
struct acme_err acme_store_issuance_issued(struct acme_store *store, const char *issuance_id,
                                           const char *job_id, const char *owner, const char *upstream_ref,
                                           const struct acme_certificate *certificate) ACME_MUST_USE;

/** acme_store_issuance_failed(store, issuance_id, job_id, owner, upstream_ref, error): the end badly: every
 * processing order becomes invalid with `error` (problem document), the job is gone. Errors: STATE. */
struct acme_err acme_store_issuance_failed(struct acme_store *store, const char *issuance_id,
                                           const char *job_id, const char *owner, const char *upstream_ref,
                                           const char *error) ACME_MUST_USE;

/** acme_store_issuance_orders(store, arena, issuance_id, ret_ids, ret_count): the orders that share it. */
struct acme_err acme_store_issuance_orders(struct acme_store *store, struct acme_arena *arena,
                                           const char *issuance_id, const char ***ret_ids,
                                           size_t *ret_count) ACME_MUST_USE;

/** acme_store_certificate_get: Errors: NOT_FOUND. Callers compare account_id. */
struct acme_err acme_store_certificate_get(struct acme_store *store, struct acme_arena *arena, const char *id,
                                           struct acme_certificate *ret) ACME_MUST_USE;

/** acme_store_certificate_find(store, arena, serial_hex, sha256_hex, ret): by the leaf's serial number and
 * fingerprint. Errors: NOT_FOUND. */
struct acme_err acme_store_certificate_find(struct acme_store *store, struct acme_arena *arena,
                                            const char *serial_hex, const char *sha256_hex,
                                            struct acme_certificate *ret) ACME_MUST_USE;

/** acme_store_certificate_downloaded(store, id, now_ms): remember the first download. Does not wait for the
 * commit: losing it in a crash only means that a client that comes back gets the same certificate once more.
 */
void acme_store_certificate_downloaded(struct acme_store *store, const char *id, int64_t now_ms);

/* ---- revocations (section 7.6) ---- */

enum acme_revocation_status {
    ACME_REVOCATION_UNDER_WAY, /* accepted; its job is with the issuer */
    ACME_REVOCATION_DONE,
    ACME_REVOCATION_FAILED /* the issuer refused for good: the certificate is not revoked, a new try is free
                            */
};

struct acme_revocation {
    const char *certificate_id;
    enum acme_revocation_status status;
    int reason; /* RFC 5280 section 5.3.1 */
    int64_t requested_ms;
    int64_t revoked_ms;
    const char *error; /* FAILED: problem document, JSON text */
};

/** acme_store_revocation_get: the revocation of a certificate. Errors: NOT_FOUND. */
struct acme_err acme_store_revocation_get(struct acme_store *store, struct acme_arena *arena,
                                          const char *certificate_id,
                                          struct acme_revocation *ret) ACME_MUST_USE;

enum acme_revoke_outcome {
    ACME_REVOKE_STARTED,   /* a revocation and its leased job were made */
    ACME_REVOKE_UNDER_WAY, /* another request has started it: nothing changed */
    ACME_REVOKE_ALREADY    /* it is revoked: nothing changed */
};

/** acme_store_revocation_start(store, arena, certificate, reason, job, lease, now_ms, ret_outcome): begin to
 * revoke a certificate that is in the store. `job` is a candidate, used only for STARTED; kind and subject
 * are implied. From here on no order adopts the certificate. */
struct acme_err acme_store_revocation_start(struct acme_store *store, struct acme_arena *arena,
                                            const struct acme_certificate *certificate, int reason,
                                            const struct acme_job *job, const struct acme_lease *lease,
                                            int64_t now_ms,
                                            enum acme_revoke_outcome *ret_outcome) ACME_MUST_USE;

/** acme_store_revocation_end(store, certificate_id, job_id, owner, now_ms, error): the certificate is
 * revoked, or with `error` (problem document) it is not; the job is gone. Errors: STATE (lost lease). */
struct acme_err acme_store_revocation_end(struct acme_store *store, const char *certificate_id,
                                          const char *job_id, const char *owner, int64_t now_ms,
                                          const char *error) ACME_MUST_USE;

/** visit(context, serial_hex, revoked_ms, reason): `serial_hex` is borrowed for the call. An error ends the
 * walk and is passed on. */
typedef struct acme_err (*acme_revocation_visit)(void *context, const char *serial_hex, int64_t revoked_ms,
                                                 int reason);

/** acme_store_revocations_each(store, issuer, not_after_ms, visit, context): all revoked certificates of an
 * issuer that end at not_after_ms or later, in no order. Holds a read connection meanwhile. */
struct acme_err acme_store_revocations_each(struct acme_store *store, const char *issuer,
                                            int64_t not_after_ms, acme_revocation_visit visit,
                                            void *context) ACME_MUST_USE;

/* ---- deployments: what is done with a certificate once it is there ---- */

enum acme_deployment_status {
    ACME_DEPLOYMENT_PENDING, /* it has a job */
    ACME_DEPLOYMENT_DEPLOYED,
    ACME_DEPLOYMENT_FAILED,
    ACME_DEPLOYMENT_SUPERSEDED /* a newer one for the same place came before its end */
};

struct acme_deployment {
    const char *id;
    const char *deployer;
    const char *job_id;
    int64_t deadline_ms;
    /* Of candidates only: */
    const char *queue;
    bool one_target; /* all of this deployer's go to one place; else that is one per set of names */
    /* What the store tells: */
    enum acme_deployment_status status;
    const char *place;
    const char *certificate_id;
    const char *issuance_id;
    const char *account_id;
    const char *order_id; /* the first one of its issuance */
    const char *profile;
    const char *identifiers_json; /* of the issuance */
    const char *serial_hex;       /* of the certificate */
    int64_t not_after_ms;         /* likewise */
    const char *target;           /* where it went, as the deployer has said; NULL: not said */
    int64_t created_ms;
    int64_t ended_ms;
    const char *error;  /* FAILED: problem document, JSON text */
    int64_t revoked_ms; /* of the certificate; 0: it is not revoked */
    bool in_place;      /* DEPLOYED, and no newer one is */
};

/** acme_deployment_status_name(status): as stored and shown. */
const char *acme_deployment_status_name(enum acme_deployment_status status);

/** acme_store_deployment_get: Errors: NOT_FOUND. */
struct acme_err acme_store_deployment_get(struct acme_store *store, struct acme_arena *arena, const char *id,
                                          struct acme_deployment *ret) ACME_MUST_USE;

/** acme_store_deployments_of(store, arena, certificate_id, ret, ret_count): those of one certificate. */
struct acme_err acme_store_deployments_of(struct acme_store *store, struct acme_arena *arena,
                                          const char *certificate_id, struct acme_deployment **ret,
                                          size_t *ret_count) ACME_MUST_USE;

struct acme_deployment_filter {
    const char *deployer; /* NULL: of all */
    const char *status;   /* a word of acme_deployment_status_name; NULL: any */
};

/** acme_store_deployments_newest(store, arena, filter, limit, ret, ret_count): the newest first. */
struct acme_err acme_store_deployments_newest(struct acme_store *store, struct acme_arena *arena,
                                              const struct acme_deployment_filter *filter, size_t limit,
                                              struct acme_deployment **ret, size_t *ret_count) ACME_MUST_USE;

/** acme_store_deployment_behind(store, arena, id, ret): an older one for the same place whose job has not
 * ended (somebody works on it, or something it did is in doubt), which has to end first; NULL: none. */
struct acme_err acme_store_deployment_behind(struct acme_store *store, struct acme_arena *arena,
                                             const char *id, const char **ret) ACME_MUST_USE;

/** acme_store_deploy_target(store, arena, deployer, place, ret): what acme_store_deployment_target has kept
 * last; NULL: nothing. */
struct acme_err acme_store_deploy_target(struct acme_store *store, struct acme_arena *arena,
                                         const char *deployer, const char *place,
                                         const char **ret) ACME_MUST_USE;

/** acme_store_deployment_target(store, id, target): keep it for this deployment and for later ones of its
 * deployer that go to the same place. */
struct acme_err acme_store_deployment_target(struct acme_store *store, const char *id,
                                             const char *target) ACME_MUST_USE;

/** acme_store_deployment_end(store, id, job_id, owner, now_ms, status, error): its job is gone; `error`
 * (FAILED only) is a problem document. One that was superseded meanwhile stays so. Errors: STATE (lost
 * lease). */
struct acme_err acme_store_deployment_end(struct acme_store *store, const char *id, const char *job_id,
                                          const char *owner, int64_t now_ms,
                                          enum acme_deployment_status status,
                                          const char *error) ACME_MUST_USE;

/** acme_store_deployment_retry(store, arena, deployment, now_ms): run it now: a failed one with the new job
 * (job_id, queue) and deadline of the candidate, a pending one with what it has. Errors: NOT_FOUND; STATE
 * (deployed or superseded); CONFLICT (there is a newer one for its place). */
struct acme_err acme_store_deployment_retry(struct acme_store *store, struct acme_arena *arena,
                                            const struct acme_deployment *deployment,
                                            int64_t now_ms) ACME_MUST_USE;

/* ---- for the operator: reads over everything, bounded, by id or another index (reports.c) ---- */

enum acme_object_kind {
    ACME_OBJECT_ACCOUNT,
    ACME_OBJECT_ORDER,
    ACME_OBJECT_CERTIFICATE,
    ACME_OBJECT_DEPLOYMENT
};

/** acme_store_ids_find(store, arena, kind, prefix, limit, ret_ids, ret_count): the ids of this kind that
 * begin with `prefix`, which may be any text. */
struct acme_err acme_store_ids_find(struct acme_store *store, struct acme_arena *arena,
                                    enum acme_object_kind kind, const char *prefix, size_t limit,
                                    const char ***ret_ids, size_t *ret_count) ACME_MUST_USE;

/** acme_store_ids_newest(store, arena, kind, limit, ret_ids, ret_count): the newest first. */
struct acme_err acme_store_ids_newest(struct acme_store *store, struct acme_arena *arena,
                                      enum acme_object_kind kind, size_t limit, const char ***ret_ids,
                                      size_t *ret_count) ACME_MUST_USE;

enum { ACME_ORDERS_LOOKED_AT = 100 * 1000 };

struct acme_order_filter {
    const char *account_id; /* NULL: of all */
    const char *status;     /* a word of acme_order_status_name; NULL: any */
};

/** acme_store_orders_newest(store, arena, filter, limit, ret_ids, ret_count, ret_looked_back): the newest
 * first. Where no index helps, the newest ACME_ORDERS_LOOKED_AT orders are looked at and *ret_looked_back is
 * the id of the last of them; NULL when all were. */
struct acme_err acme_store_orders_newest(struct acme_store *store, struct acme_arena *arena,
                                         const struct acme_order_filter *filter, size_t limit,
                                         const char ***ret_ids, size_t *ret_count,
                                         const char **ret_looked_back) ACME_MUST_USE;

/** acme_store_certificates_ending(store, arena, from_ms, until_ms, limit, ret_ids, ret_count): those whose
 * notAfter lies between, the soonest first. */
struct acme_err acme_store_certificates_ending(struct acme_store *store, struct acme_arena *arena,
                                               int64_t from_ms, int64_t until_ms, size_t limit,
                                               const char ***ret_ids, size_t *ret_count) ACME_MUST_USE;

/** acme_store_certificates_by_serial(store, arena, serial_hex, limit, ret_ids, ret_count): upper-case, as
 * stored; issuers may use the same. */
struct acme_err acme_store_certificates_by_serial(struct acme_store *store, struct acme_arena *arena,
                                                  const char *serial_hex, size_t limit, const char ***ret_ids,
                                                  size_t *ret_count) ACME_MUST_USE;

struct acme_job_report {
    struct acme_job job;
    bool leased;    /* somebody works on it */
    int64_t due_ms; /* when it can be claimed: the lease's end, or run_at_ms */
    struct acme_job_remark remark;
};

/** acme_store_job_find(store, arena, queue, share, subject_id, ret): the job about this subject. Errors:
 * NOT_FOUND (it has ended). */
struct acme_err acme_store_job_find(struct acme_store *store, struct acme_arena *arena, const char *queue,
                                    const char *share, const char *subject_id,
                                    struct acme_job_report *ret) ACME_MUST_USE;

struct acme_queue_report {
    size_t under_way[ACME_JOB_KIND_COUNT]; /* leased */
    size_t due[ACME_JOB_KIND_COUNT];       /* not leased, and their time has come */
    size_t waiting[ACME_JOB_KIND_COUNT];   /* for a later time */
    size_t intents;                        /* calls announced whose outcome is not known yet */
    size_t failing;                        /* jobs that have spent attempts */
    int64_t next_ms;                       /* when the next waiting one is due; 0: none waits */
    int64_t oldest_ms;                     /* when the oldest was made; 0: none */
};

/** acme_store_queue_report(store, queue, now_ms, ret): the jobs of a queue, counted. */
struct acme_err acme_store_queue_report(struct acme_store *store, const char *queue, int64_t now_ms,
                                        struct acme_queue_report *ret) ACME_MUST_USE;

/* ---- what has ended ---- */

enum acme_sweep_stage {
    ACME_SWEEP_CERTIFICATES, /* that have expired, with chains, revocation, issuance and orders */
    ACME_SWEEP_ISSUANCES,    /* that have failed, with their orders */
    ACME_SWEEP_ORDERS,       /* that were never finalized */
    ACME_SWEEP_AUTHZS,       /* that no order refers to, with their challenges */
    ACME_SWEEP_STAGES
};

/* One round through the store. */
struct acme_sweep {
    int64_t ended_before_ms; /* what ended before goes */
    size_t batch;            /* rows looked at in one call, 1..1000 */
    unsigned stage;          /* ACME_SWEEP_STAGES: the round is over */
    char after[64];          /* the row of this stage where the last call stopped */
    size_t removed[ACME_SWEEP_STAGES];
};

/** acme_store_sweep(store, sweep): one bounded step of a round; begin with stage 0 and `after` empty, and
 * repeat until stage is ACME_SWEEP_STAGES. What is being validated or issued stays, and so does an
 * authorization while an order that stays refers to it. Deletes in at most one short transaction. Errors
 * leave *sweep where it was. */
struct acme_err acme_store_sweep(struct acme_store *store, struct acme_sweep *sweep) ACME_MUST_USE;

#endif
