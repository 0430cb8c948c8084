/* What the files of the Keyfactor issuer share. One step: load the saved state, let the phase decide, store
 * the state.
 *
 *   enroll --certificates--> ISSUED
 *     | |--a number of a certificate--> collect --> ISSUED
 *     | |--pending, a request's number or a workflow's--> follow --issued--> collect
 *     | ^
 *     | +-- nothing found for long enough
 *     +--outcome unknown--> recover --found--> follow, collect
 *
 * The first call may also be a renewal (kf_renew.c), which has a question of its own before it. Where Command
 * does not renew, or comes back with another key, an enroll follows. What nobody waits for any more is denied
 * (kf_withdraw.c) instead of followed. A revocation (kf_revoke.c) is another job with one phase of its own.
 */
#ifndef ACME_BACKENDS_KEYFACTOR_KF_INTERNAL_H
#define ACME_BACKENDS_KEYFACTOR_KF_INTERNAL_H

#include "backends/keyfactor/keyfactor.h"

#include "backends/pace.h"
#include "backends/saved.h"
#include "backends/upstream_text.h"
#include "base/json_writer.h"

struct kf_issuer {
    struct acme_issuer base;
    struct acme_keyfactor_config config; /* every string is this object's own */
    const char *basic;                   /* the value of Authorization; NULL with OAuth 2; wiped */
    struct acme_arena *arena;            /* has the strings that are no secrets */
};

enum kf_phase {
    KF_PHASE_ENROLL,
    KF_PHASE_RECOVER,
    KF_PHASE_FOLLOW,
    KF_PHASE_COLLECT,
    KF_PHASE_REVOKE,
    KF_PHASE_COUNT
};

/* The call under way: tells whose reply arrives. */
enum kf_call {
    KF_CALL_NONE,
    KF_CALL_ENROLL,
    KF_CALL_AVAILABLE, /* may the earlier certificate be renewed? */
    KF_CALL_RENEW,
    KF_CALL_SEARCH,   /* a page of one of the lists of a search */
    KF_CALL_INSTANCE, /* a workflow that a search has found */
    KF_CALL_WORKFLOW, /* the workflow that is followed */
    KF_CALL_REQUEST,  /* the request at the CA that is followed */
    KF_CALL_FIND,     /* its certificate */
    KF_CALL_DOWNLOAD,
    KF_CALL_DENY,
    KF_CALL_WITHDRAW,
    KF_CALL_UNDO, /* revoke a duplicate */
    KF_CALL_LOOK, /* the certificate to be revoked */
    KF_CALL_REVOKE,
    KF_CALL_COUNT
};

enum { KF_MATCHES_MAX = 16, KF_INSTANCES_MAX = 16, KF_GUID_SIZE = 37 };

/* Something in Command that is, or may be, this issuance's. */
struct kf_match {
    int64_t cert_id;             /* 0: not issued yet */
    int64_t request_id;          /* 0: none */
    char workflow[KF_GUID_SIZE]; /* "": none */
    bool tagged; /* carries our tag, so it is this issuance's; else only the key is the same */
    bool failed;
};

/* Why a request is taken back. */
enum kf_withdrawal { KF_KEEP, KF_SUPERSEDED, KF_TOO_LATE };

/* The saved state. */
struct kf_state {
    enum kf_phase phase;
    enum kf_call call;
    int64_t cert_id;          /* Command's number of the certificate; 0: not known */
    int64_t request_id;       /* of the request at the CA; 0: none */
    const char *workflow;     /* the workflow instance; NULL: none */
    const char *thumbprint;   /* of a certificate without a known number; NULL: none */
    int64_t sent_ms;          /* 0: no enroll or renew whose outcome is open */
    int64_t attempts;         /* enrolls and renewals sent so far */
    int64_t refusals;         /* in a row, by answers that are worth a few tries only */
    int64_t accepted_ms;      /* when something to follow became known */
    int64_t unknown_since_ms; /* since when the outcome of a call is open */
    int64_t search_started_ms;
    int64_t search_rounds;
    int64_t unjudged; /* what may be ours and cannot be told in this round */
    int64_t polls;
    int64_t failures; /* in a row */
    int64_t gone_since_ms;
    int64_t collect_since_ms; /* since when Command says it is issued */
    int64_t available;        /* AvailableRenewalType */
    int64_t withdrawing;      /* enum kf_withdrawal */
    int64_t variant;          /* of the search */
    int64_t page;
    bool renewing;              /* the call that was made last is a renewal */
    bool refused;               /* renewal: enroll instead */
    bool workflow_over;         /* the workflow is complete: look for what it made */
    bool unlisted;              /* the login may not read requests at the CA */
    bool locked_in;             /* cannot be taken back any more: what comes is taken */
    bool by_key;                /* found by its key alone, perhaps made by somebody else: never taken back */
    bool plain_format;          /* this Command gives no PKCS#7 */
    bool suspended;             /* the revocation waits for an approval */
    bool revoked_it;            /* the revocation was accepted, or waits for approval */
    struct acme_ids duplicates; /* requests to be denied */
    struct acme_ids surplus;    /* certificates to be revoked */
    struct kf_match matches[KF_MATCHES_MAX];
    size_t match_count;
    char instances[KF_INSTANCES_MAX][KF_GUID_SIZE]; /* workflows still to be looked at */
    size_t instance_count;
    const char *certificates; /* PEM of what came already, while the rest is fetched; NULL: none */
};

/** acme_kf_state_load(saved, ret): Errors: none; unknown members are dropped, missing ones are zero. Strings
 * are borrowed from `saved`. */
void acme_kf_state_load(const cJSON *saved, struct kf_state *ret);

/** acme_kf_state_store(state, saved): replace the members of `saved`. Errors: NOMEM, `saved` is then
 * unchanged. */
struct acme_err acme_kf_state_store(const struct kf_state *state, cJSON *saved) ACME_MUST_USE;

/* One step being decided. */
struct kf_context {
    const struct kf_issuer *kf;
    struct acme_arena *arena;
    const struct acme_issue_request *request;     /* of an issuance, else NULL */
    const struct acme_revoke_request *revocation; /* of a revocation, else NULL */
    const struct acme_step_input *input;
    struct kf_state *state;
    struct acme_step *step;      /* being built */
    struct acme_secrets secrets; /* that must not be shown, those of the reply among them */
};

/** acme_kf_secrets(kf): those of the login. Borrowed. */
struct acme_secrets acme_kf_secrets(const struct kf_issuer *kf);

/* ---- kf_json.c: replies, whose members differ in case between endpoints and releases ---- */

/** acme_kf_get(object, name): the first member with this name without regard to case that is not null; NULL
 * when there is none. */
const cJSON *acme_kf_get(const cJSON *object, const char *name);
/** acme_kf_str, _int: likewise; NULL and 0 when it is absent or no text, or no number. */
const char *acme_kf_str(const cJSON *object, const char *name);
int64_t acme_kf_int(const cJSON *object, const char *name);
/** acme_kf_guid(object, name): the text of a GUID that is not all zeros, else NULL. */
const char *acme_kf_guid(const cJSON *object, const char *name);
/** acme_kf_time(object, name): a date in milliseconds, of UTC when it has no zone; 0: absent or unreadable.
 */
int64_t acme_kf_time(const cJSON *object, const char *name);

/* ---- kf_certs.c ---- */

/** acme_kf_certs_add(arena, text, certs): the certificates in `text`, one or several as PEM with or without
 * armour or text before, or as base64 of PEM, PKCS#7 or DER. Those that are there already are not added
 * again. Errors: FORMAT (none readable), LIMIT, NOMEM. */
struct acme_err acme_kf_certs_add(struct acme_arena *arena, const char *text,
                                  struct acme_cert_list *certs) ACME_MUST_USE;

/** acme_kf_certs_leaf(certs, spki_sha256): the certificate with this key that is no CA; NULL: none. */
X509 *acme_kf_certs_leaf(const struct acme_cert_list *certs, const uint8_t spki_sha256[ACME_SHA256_SIZE]);

/** acme_kf_thumbprint(arena, cert): SHA-1 of the DER, upper-case hex, as Command names it; NULL without
 * memory. */
const char *acme_kf_thumbprint(struct acme_arena *arena, const X509 *cert);

/* ---- kf_step.c: the outcomes a step can have ---- */

/** acme_kf_call(ctx, call, method, path, body, note): the step is this request; `path` goes on from the API's
 * root; body NULL: none. */
struct acme_err acme_kf_call(struct kf_context *ctx, enum kf_call call, const char *method, const char *path,
                             const char *body, const char *note) ACME_MUST_USE;

/** acme_kf_format(ctx, format): what certificates of the call shall come as. Errors: INTERNAL. */
struct acme_err acme_kf_format(struct kf_context *ctx, const char *format) ACME_MUST_USE;

/** acme_kf_wait_ms(ctx, delay_ms, note): wait without having failed; a Retry-After in the reply lengthens it.
 */
struct acme_err acme_kf_wait_ms(struct kf_context *ctx, int64_t delay_ms, const char *note) ACME_MUST_USE;

/** acme_kf_wait_failure(ctx, first_ms, max_ms, note): wait after a failure: first_ms, doubled per failure in
 * a row, at most max_ms; a Retry-After in the reply lengthens it. */
struct acme_err acme_kf_wait_failure(struct kf_context *ctx, int64_t first_ms, int64_t max_ms,
                                     const char *note) ACME_MUST_USE;

struct acme_err acme_kf_fail(struct kf_context *ctx, enum acme_problem_type type, const char *detail,
                             const char *note) ACME_MUST_USE;

/** acme_kf_call_failed(ctx): CALL_FAILED on anything that may be done twice: wait and do it again. */
struct acme_err acme_kf_call_failed(struct kf_context *ctx) ACME_MUST_USE;

/** acme_kf_collection(ctx, first): "?collectionId=7" (first) or "&collectionId=7"; "" without one; NULL
 * without memory. */
const char *acme_kf_collection(struct kf_context *ctx, bool first);

/* A body being written. */
struct kf_body {
    struct acme_buf out;
    struct acme_json_writer writer;
};

/** acme_kf_body_init(body) begins an object; acme_kf_body_done(ctx, body) ends it and returns the text in the
 * arena, NULL without memory; the buffer is released in any case. */
void acme_kf_body_init(struct kf_body *body);
const char *acme_kf_body_done(struct kf_context *ctx, struct kf_body *body);

/* ---- kf_errors.c: what a reply other than the hoped-for one means ---- */

enum kf_endpoint {
    KF_AT_ENROLL = 1,
    KF_AT_RENEW = 2,
    KF_AT_AVAILABLE = 4,
    KF_AT_LIST = 8,
    KF_AT_REQUEST = 16,
    KF_AT_DOWNLOAD = 32,
    KF_AT_WITHDRAW = 64,
    KF_AT_REVOKE = 128,
    KF_AT_ALL = 255
};
/* What must not be done twice. */
#define KF_AT_ONCE (KF_AT_ENROLL | KF_AT_RENEW)

enum kf_verdict_class {
    KF_VERDICT_RETRY,       /* a passing trouble; nothing was done */
    KF_VERDICT_UNKNOWN,     /* enroll, renew: it may have been done; recover */
    KF_VERDICT_ANEW,        /* renew: not possible, enroll instead */
    KF_VERDICT_CREDENTIALS, /* our login is refused, or may not do this: waits for the operator */
    KF_VERDICT_GONE,        /* Command does not know it */
    KF_VERDICT_REFUSED,     /* Command understood, and does not do it */
    KF_VERDICT_DONE,        /* revoke: it is so already */
    KF_VERDICT_FINAL        /* the order, or the revocation, fails with `problem` and `detail` */
};

struct kf_verdict {
    enum kf_verdict_class class;
    enum acme_problem_type problem; /* for FINAL, and for the others once patience ends */
    const char *detail;             /* for the client */
    const char *note;               /* for the operator */
    int tries;                      /* UNKNOWN: fail after so many in a row; 0: no limit */
    bool coded;                     /* Command's own error body, not a gateway's */
};

/** acme_kf_judge(ctx, endpoint, ret): the meaning of ctx->input->reply, which is not a usable success.
 * Errors: NOMEM. */
struct acme_err acme_kf_judge(struct kf_context *ctx, enum kf_endpoint endpoint,
                              struct kf_verdict *ret) ACME_MUST_USE;

/** acme_kf_words(arena, json): Command's own words in an error body: Message, then the reasons of
 * FailedOperations; NULL when it has none, or without memory. */
const char *acme_kf_words(struct acme_arena *arena, const cJSON *json);

/* One entry of the catalogue. */
struct kf_rule {
    unsigned endpoints; /* of enum kf_endpoint */
    const char *text;   /* must stand in the message as whole words, whatever their case */
    enum kf_verdict_class class;
    enum acme_problem_type problem;
    const char *detail;
    const char *gist; /* for the operator */
};

/** acme_kf_rule_at(index): the catalogue in its order (the first match counts), NULL behind its end. Static.
 * Exists so that a test can hold docs/upstream-keyfactor.md against it. Thread: any. */
const struct kf_rule *acme_kf_rule_at(size_t index);

/* ---- kf_status.c: what Command calls the states of requests, workflows and certificates ---- */

enum kf_status_class { KF_STATUS_WAITING, KF_STATUS_ISSUED, KF_STATUS_FAILED };

struct kf_status {
    const char *name; /* letters and digits only; NULL for the entry that stands for all unknown ones */
    enum kf_status_class class;
    enum acme_problem_type problem; /* FAILED */
    const char *detail;             /* FAILED: for the client */
    const char *gist;               /* completes "Keyfactor request 12 ..." for the operator */
};

/** acme_kf_status_of(text): by its letters and digits, whatever their case; never NULL. Static. */
const struct kf_status *acme_kf_status_of(const char *text);
/** acme_kf_status_at(index): as acme_kf_rule_at. */
const struct kf_status *acme_kf_status_at(size_t index);

/* ---- the phases: `begin` acts at the start or after a wait, the others judge an outcome ---- */

struct acme_err acme_kf_enroll_begin(struct kf_context *ctx) ACME_MUST_USE;
/** acme_kf_enroll_reply, _failed: of the enroll and of the renewal. */
struct acme_err acme_kf_enroll_reply(struct kf_context *ctx) ACME_MUST_USE;
struct acme_err acme_kf_enroll_failed(struct kf_context *ctx) ACME_MUST_USE;
/** acme_kf_once(ctx, renewing): the call just made must not happen twice: note it in the state. */
void acme_kf_once(struct kf_context *ctx, bool renewing);

/* ---- kf_renew.c ---- */

/** acme_kf_renews(ctx): this issuance is to be a renewal, as things stand. */
bool acme_kf_renews(const struct kf_context *ctx);
/** acme_kf_earlier_id(ctx): Command's number of the certificate that is renewed; 0: only its thumbprint is
 * known, or nothing. */
int64_t acme_kf_earlier_id(const struct kf_context *ctx);
/** acme_kf_available_begin(ctx): ask whether it can be renewed. */
struct acme_err acme_kf_available_begin(struct kf_context *ctx) ACME_MUST_USE;
struct acme_err acme_kf_available_reply(struct kf_context *ctx) ACME_MUST_USE;
/** acme_kf_renew_instead(ctx, why, failure): there will be no renewal: enroll; at once, or (failure: what was
 * made is of no use) after a wait whose note is a warning. */
struct acme_err acme_kf_renew_instead(struct kf_context *ctx, const char *why, bool failure) ACME_MUST_USE;

/* ---- kf_follow.c ---- */

/** acme_kf_follow_enter(ctx, match): from now on the issuance is this. */
struct acme_err acme_kf_follow_enter(struct kf_context *ctx, const struct kf_match *match) ACME_MUST_USE;
struct acme_err acme_kf_follow_begin(struct kf_context *ctx) ACME_MUST_USE;
struct acme_err acme_kf_workflow_reply(struct kf_context *ctx) ACME_MUST_USE;
struct acme_err acme_kf_request_reply(struct kf_context *ctx) ACME_MUST_USE;
struct acme_err acme_kf_find_reply(struct kf_context *ctx) ACME_MUST_USE;
/** acme_kf_follow_wait(ctx, note): wait at the polling pace, then look (again). */
struct acme_err acme_kf_follow_wait(struct kf_context *ctx, const char *note) ACME_MUST_USE;
/** acme_kf_subject(ctx): what is followed, as "request 881"; NULL without memory. */
const char *acme_kf_subject(struct kf_context *ctx);
/** acme_kf_ref(ctx): the same as the number that is kept for the issuance; NULL: none. Errors: NOMEM. */
struct acme_err acme_kf_ref(struct kf_context *ctx, const char **ret) ACME_MUST_USE;

/* ---- kf_collect.c ---- */

/** acme_kf_collect_take(ctx, certs): what came so far, with the certificate of the CSR's key or without: the
 * step is ISSUED when that is whole, else the call for the rest. */
struct acme_err acme_kf_collect_take(struct kf_context *ctx,
                                     const struct acme_cert_list *certs) ACME_MUST_USE;
struct acme_err acme_kf_collect_begin(struct kf_context *ctx) ACME_MUST_USE;
struct acme_err acme_kf_download_reply(struct kf_context *ctx) ACME_MUST_USE;

/* ---- kf_recover.c, kf_rows.c ---- */

/* The lists of a search, in this order. */
enum kf_variant {
    KF_BY_TAG,    /* certificates by the metadata field */
    KF_BY_NAME,   /* certificates by common name, newest first */
    KF_BY_NEWEST, /* all certificates, newest first: for a CSR without CN, where the CA may choose one */
    KF_PENDING,   /* requests that wait for the CA's approval */
    KF_EXTERNAL,  /* requests that wait for an external validation */
    KF_DENIED,    /* requests that were denied */
    KF_WORKFLOWS, /* workflows this login has started */
    KF_VARIANT_COUNT
};

/** acme_kf_recover_enter(ctx, since_ms): the outcome is open since then. The caller goes on with _begin or a
 * wait. */
void acme_kf_recover_enter(struct kf_context *ctx, int64_t since_ms);
struct acme_err acme_kf_recover_begin(struct kf_context *ctx) ACME_MUST_USE;
struct acme_err acme_kf_search_reply(struct kf_context *ctx) ACME_MUST_USE;
struct acme_err acme_kf_instance_reply(struct kf_context *ctx) ACME_MUST_USE;
/** acme_kf_row_take(ctx, row): judge a row of the list that is searched; what is ours becomes a match.
 * *ret_old: the row, and what follows it in a list with the newest first, is too old to be ours.
 * Errors: NOMEM. */
struct acme_err acme_kf_row_take(struct kf_context *ctx, const cJSON *row, bool *ret_old) ACME_MUST_USE;
/** acme_kf_row_key(ctx, row, ret_certs): the certificate in a row: 1 with the CSR's key, -1 with another, 0
 * when there is none that can be read. *ret_certs may be NULL. Errors: NOMEM. */
struct acme_err acme_kf_row_key(struct kf_context *ctx, const cJSON *row, struct acme_cert_list *ret_certs,
                                int *ret) ACME_MUST_USE;
/** acme_kf_row_revoked(row): it is a certificate that is revoked. */
bool acme_kf_row_revoked(const cJSON *row);

/* ---- kf_tidy.c ---- */

/** acme_kf_tidy(ctx): see to what is left of the duplicates and of what is not needed, then go on with the
 * phase: enroll or follow. _done: a call for that was answered or failed: a refusal is taken, a passing
 * trouble a few times not. */
struct acme_err acme_kf_tidy(struct kf_context *ctx) ACME_MUST_USE;
struct acme_err acme_kf_tidy_done(struct kf_context *ctx) ACME_MUST_USE;

/* ---- kf_withdraw.c ---- */

/** acme_kf_deny_failed(json, request_id): under a good status the request is among those that could not be
 * denied. json NULL: it has no words. */
bool acme_kf_deny_failed(const cJSON *json, int64_t request_id);

/** acme_kf_withdraw_begin(ctx, why): take back what is followed. */
struct acme_err acme_kf_withdraw_begin(struct kf_context *ctx, enum kf_withdrawal why) ACME_MUST_USE;
struct acme_err acme_kf_withdraw_done(struct kf_context *ctx) ACME_MUST_USE;
/** acme_kf_withdrawn_fail(ctx, note): the issuance ends because of ctx->state->withdrawing. */
struct acme_err acme_kf_withdrawn_fail(struct kf_context *ctx, const char *note) ACME_MUST_USE;
/** acme_kf_nothing_begun(ctx): it ends before anything was requested. */
struct acme_err acme_kf_nothing_begun(struct kf_context *ctx) ACME_MUST_USE;
/** acme_kf_withdrawable(ctx): there is something to take back, it is surely ours and not issued. */
bool acme_kf_withdrawable(const struct kf_context *ctx);
/** acme_kf_deny_call(ctx, call, request_id, comment, note): deny a request at the CA. */
struct acme_err acme_kf_deny_call(struct kf_context *ctx, enum kf_call call, int64_t request_id,
                                  const char *comment, const char *note) ACME_MUST_USE;

/* ---- kf_revoke.c ---- */

/* What the answer to a revocation says of one certificate. */
enum kf_revoked { KF_REVOKED_NOT, KF_REVOKED_SUSPENDED, KF_REVOKED_DONE };

/** acme_kf_revoked(json, cert_id): json NULL: it has no words. */
enum kf_revoked acme_kf_revoked(const cJSON *json, int64_t cert_id);

/** acme_kf_revoke_call(ctx, call, cert_id, reason, comment, note): the step is the revocation. */
struct acme_err acme_kf_revoke_call(struct kf_context *ctx, enum kf_call call, int64_t cert_id, int reason,
                                    const char *comment, const char *note) ACME_MUST_USE;

/** acme_kf_revoke: the function `revoke` of the class. */
struct acme_err acme_kf_revoke(const struct acme_issuer *issuer, struct acme_arena *arena,
                               const struct acme_revoke_request *request, cJSON *saved,
                               const struct acme_step_input *input, struct acme_step *ret) ACME_MUST_USE;

/* ---- kf_inspect.c ---- */

/** acme_kf_inspect: the function `inspect` of struct acme_backend. */
struct acme_err acme_kf_inspect(const struct acme_backend *backend, struct acme_arena *arena,
                                const struct acme_inspect_request *request,
                                struct acme_inspection *inspection, const struct acme_step_input *input,
                                struct acme_inspect_step *ret) ACME_MUST_USE;

#endif
