/* What the files of the SCM issuer share. One step: load the saved state, let the phase decide, store the
 * state.
 *
 *   enroll  --answered with a number-->  follow  --Issued-->  collect  --certificates-->  ISSUED
 *     |  ^                                 ^  ^                  |
 *     |  +-- nothing found for long enough |  +---- not yet -----+
 *     +--outcome unknown-->  recover  --found
 *
 * The first call may also be a renew or a replace (scm_renew.c): where SCM refuses that, an enroll follows.
 * What nobody waits for any more is declined (scm_withdraw.c) instead of followed.
 *
 * A revocation (scm_revoke.c) is another job with one phase of its own. The calls, the state and the
 * catalogue are common to all. */
#ifndef ACME_BACKENDS_SCM_SCM_INTERNAL_H
#define ACME_BACKENDS_SCM_SCM_INTERNAL_H

#include "backends/scm/scm.h"

#include "backends/pace.h"
#include "backends/saved.h"
#include "backends/upstream_text.h"
#include "base/json_writer.h"

struct scm_issuer {
    struct acme_issuer base;
    struct acme_scm_config config; /* every string is this object's own */
    struct acme_arena *arena;      /* has the strings that are no secrets */
};

/* What is special about a class of certificates. */
struct scm_class {
    const char *root;        /* of the paths of its API */
    const char *id_enrolled; /* what enroll's reply calls the number */
    const char *id_listed;   /* what lists call it */
    const char *revoke;      /* path of a revocation by number, up to the number */
    const char *field_type;  /* in the filter of custom fields */
    bool takes_names;        /* enroll has subjAltNames and externalRequester */
    bool takes_dcv_mode;     /* enroll has dcvMode, and requests have instructions */
    bool continues;          /* requests can be renewed and replaced with a new CSR */
    bool lists_names;        /* lists show common names, and can be filtered by source and alternative name */
};

/** acme_scm_class_of(scm): static. */
const struct scm_class *acme_scm_class_of(const struct scm_issuer *scm);

enum scm_phase {
    SCM_PHASE_ENROLL,
    SCM_PHASE_RECOVER,
    SCM_PHASE_FOLLOW,
    SCM_PHASE_COLLECT,
    SCM_PHASE_REVOKE,
    SCM_PHASE_COUNT
};

/* The call under way: tells whose reply arrives. */
enum scm_call {
    SCM_CALL_NONE,
    SCM_CALL_ENROLL,
    SCM_CALL_LIST,
    SCM_CALL_CANDIDATE,
    SCM_CALL_DECLINE,
    SCM_CALL_DETAILS,
    SCM_CALL_COLLECT,
    SCM_CALL_ISSUERS,
    SCM_CALL_REVOKE,
    SCM_CALL_RENEW,
    SCM_CALL_REPLACE,
    SCM_CALL_REPLACED, /* details, after a replace with an open outcome */
    SCM_CALL_COMMENT,  /* our tag onto a renewed request */
    SCM_CALL_WITHDRAW,
    SCM_CALL_UNDO, /* revoke a duplicate */
    SCM_CALL_DCV,
    SCM_CALL_COUNT
};

enum { SCM_MAX_MATCHES = 16 };

struct scm_match {
    int64_t ssl_id;
    bool tagged; /* carries our tag, so it is this issuance's; else only the CSR is the same */
    bool failed;
    bool issued;
};

/* Why a request is taken back. */
enum scm_withdrawal { SCM_KEEP, SCM_SUPERSEDED, SCM_TOO_LATE };

/* The saved state. */
struct scm_state {
    enum scm_phase phase;
    enum scm_call call;
    int64_t ssl_id;           /* 0: not known */
    int64_t enroll_sent_ms;   /* 0: no enroll whose outcome is open */
    int64_t enroll_attempts;  /* sent so far */
    int64_t refusals;         /* in a row, by codes that are worth a few tries only */
    int64_t accepted_ms;      /* when the number became known */
    int64_t unknown_since_ms; /* since when the outcome of an enroll is open */
    int64_t search_started_ms;
    int64_t search_rounds;
    int64_t unjudged; /* candidates of this round that could not be read */
    int64_t polls;    /* status polls since the request was accepted */
    int64_t failures; /* in a row */
    int64_t gone_since_ms;
    int64_t collect_since_ms; /* since when SCM says Issued */
    bool replaced;            /* collecting for status Replaced: only a matching key will do */
    bool refused;             /* renew or replace: enroll instead */
    bool replacing;           /* the request was another issuance's until we replaced its certificate */
    bool locked_in;           /* SCM would not decline it: what comes is taken */
    bool by_csr;              /* found by its CSR alone, perhaps made by somebody else: never declined */
    int64_t withdrawing;      /* enum scm_withdrawal */
    int64_t variant;          /* of the search */
    int64_t position;
    int64_t current; /* the candidate whose details are asked for */
    struct acme_ids candidates;
    struct acme_ids ruled_out;  /* looked at, not ours: later rounds skip them */
    struct acme_ids duplicates; /* to be declined */
    struct acme_ids surplus;    /* duplicates that are issued, to be revoked */
    struct scm_match matches[SCM_MAX_MATCHES];
    size_t match_count;
    int64_t dcv_asked_ms;     /* when the instructions of this request were asked for last */
    const cJSON *dcv;         /* what has to be published, for the operator; NULL: nothing */
    const char *certificates; /* PEM collected while the issuers are still being fetched, NULL: none */
};

/** acme_scm_state_load(saved, ret): Errors: none; unknown members are dropped, missing ones are zero. Strings
 * are borrowed from `saved`. */
void acme_scm_state_load(const cJSON *saved, struct scm_state *ret);

/** acme_scm_state_store(state, saved): replace the members of `saved`. Errors: NOMEM, `saved` is then
 * unchanged. */
struct acme_err acme_scm_state_store(const struct scm_state *state, cJSON *saved) ACME_MUST_USE;

/* One step being decided. */
struct scm_context {
    const struct scm_issuer *scm;
    struct acme_arena *arena;
    const struct acme_issue_request *request;     /* of an issuance, else NULL */
    const struct acme_revoke_request *revocation; /* of a revocation, else NULL */
    const struct acme_step_input *input;
    struct scm_state *state;
    struct acme_step *step; /* being built */
};

/* ---- scm_step.c: the four outcomes ---- */

/** acme_scm_call(ctx, call, method, path, body, note): the step is this request. `path` goes on from the root
 * of the class's API, unless it starts with "/api/"; body NULL: none. */
struct acme_err acme_scm_call(struct scm_context *ctx, enum scm_call call, const char *method,
                              const char *path, const char *body, const char *note) ACME_MUST_USE;

/** acme_scm_wait_ms(ctx, delay_ms, note): wait without having failed; a Retry-After in the reply lengthens
 * it. */
struct acme_err acme_scm_wait_ms(struct scm_context *ctx, int64_t delay_ms, const char *note) ACME_MUST_USE;

/** acme_scm_wait_failure(ctx, first_ms, max_ms, note): wait after a failure: first_ms, doubled per failure in
 * a row, at most max_ms; a Retry-After in the reply lengthens it. */
struct acme_err acme_scm_wait_failure(struct scm_context *ctx, int64_t first_ms, int64_t max_ms,
                                      const char *note) ACME_MUST_USE;

struct acme_err acme_scm_fail(struct scm_context *ctx, enum acme_problem_type type, const char *detail,
                              const char *note) ACME_MUST_USE;

/* How long a gateway's bare 404 is not taken for SCM's word. */
#define SCM_BARE_404_MS (10 * ACME_MINUTE_MS)

/** acme_scm_call_failed(ctx): CALL_FAILED on anything but enroll: wait and do it again. */
struct acme_err acme_scm_call_failed(struct scm_context *ctx) ACME_MUST_USE;

/* ---- scm_errors.c: what a reply other than the hoped-for one means ---- */

enum scm_endpoint {
    SCM_AT_ENROLL = 1,
    SCM_AT_LIST = 2,
    SCM_AT_DETAILS = 4,
    SCM_AT_COLLECT = 8,
    SCM_AT_DECLINE = 16,
    SCM_AT_REVOKE = 32,
    SCM_AT_RENEW = 64,
    SCM_AT_REPLACE = 128,
    SCM_AT_ALL = 255
};
/* What must not be done twice. */
#define SCM_AT_ONCE (SCM_AT_ENROLL | SCM_AT_RENEW | SCM_AT_REPLACE)

enum scm_verdict_class {
    SCM_VERDICT_NOT_YET,     /* nothing wrong, come back */
    SCM_VERDICT_RETRY,       /* a passing trouble; nothing was done */
    SCM_VERDICT_UNKNOWN,     /* enroll, renew, replace: it may have been done; recover */
    SCM_VERDICT_ANEW,        /* renew, replace: not possible, enroll instead */
    SCM_VERDICT_CREDENTIALS, /* our login is refused: waits for the operator */
    SCM_VERDICT_GONE,        /* SCM does not know the number */
    SCM_VERDICT_STATE,       /* the request is in another state than assumed: read it again */
    SCM_VERDICT_DONE,        /* revoke: it is so already */
    SCM_VERDICT_FINAL        /* the order, or the revocation, fails with `problem` and `detail` */
};

struct scm_verdict {
    enum scm_verdict_class class;
    enum acme_problem_type problem; /* for FINAL, and for the others once patience ends */
    const char *detail;             /* for the client */
    const char *note;               /* for the operator */
    int tries;  /* RETRY, UNKNOWN on SCM_AT_ONCE, STATE on revoke: fail after so many in a row;
                   0: no limit */
    bool coded; /* SCM's own error body, not a gateway's */
};

/** acme_scm_judge(ctx, endpoint, ret): the meaning of ctx->input->reply, which is not a usable success. Never
 * switches on an error number without the endpoint: several numbers have two meanings. Errors: NOMEM. */
struct acme_err acme_scm_judge(struct scm_context *ctx, enum scm_endpoint endpoint,
                               struct scm_verdict *ret) ACME_MUST_USE;

/* One entry of the catalogue of codes. */
struct scm_rule {
    int64_t code;
    unsigned endpoints; /* of enum scm_endpoint */
    const char *text;   /* must occur in the description; NULL: any */
    enum scm_verdict_class class;
    enum acme_problem_type problem;
    int tries;
    const char *detail;
    const char *gist; /* for the operator */
};

/** acme_scm_rule_at(index): the catalogue in its order (the first match counts), NULL behind its end. Static.
 * Exists so that a test can hold docs/upstream-scm.md against it. Thread: any. */
const struct scm_rule *acme_scm_rule_at(size_t index);

/** acme_scm_json_int(object, name, ret): a whole number, or the same as decimal text. */
bool acme_scm_json_int(const cJSON *object, const char *name, int64_t *ret);

/* ---- scm_login.c ---- */

/** acme_scm_login_right(config): there is exactly one login, and it is complete. */
bool acme_scm_login_right(const struct acme_scm_config *config);

/** acme_scm_login_prefix(scm): what stands before "/api" in every path. */
const char *acme_scm_login_prefix(const struct scm_issuer *scm);

/** acme_scm_login_headers(scm, call): false when the call has no room for them. */
bool acme_scm_login_headers(const struct scm_issuer *scm, struct acme_http_call *call);

/** acme_scm_secrets(scm): those of the login. Borrowed. */
struct acme_secrets acme_scm_secrets(const struct scm_issuer *scm);

/* ---- scm_comments.c ---- */

/** acme_scm_comments(ctx): for the request of ctx: its tag, then the configured text. NULL without memory. */
char *acme_scm_comments(struct scm_context *ctx);

/** acme_scm_comments_have_tag(comments, tag): the tag stands somewhere in them. */
bool acme_scm_comments_have_tag(const char *comments, const char *tag);

/** acme_scm_comments_have_other_tag(comments, tag): something of the same form with other hexadecimal digits
 * does: the tag of another issuance. */
bool acme_scm_comments_have_other_tag(const char *comments, const char *tag);

/* ---- scm_status.c: certificate details ---- */

enum scm_status_class { SCM_STATUS_IN_FLIGHT, SCM_STATUS_ISSUED, SCM_STATUS_REPLACED, SCM_STATUS_FAILED };

struct scm_status {
    const char *name; /* as SCM spells it; NULL for the entry that stands for all unknown ones */
    enum scm_status_class class;
    enum acme_problem_type problem; /* FAILED */
    const char *detail;             /* FAILED: for the client */
    const char *gist;               /* completes "SCM request 12 ..." for the operator */
};

/** acme_scm_status_at(index): the statuses SCM is known to have, NULL behind the last. Static. Exists for the
 * same test as acme_scm_rule_at. Thread: any. */
const struct scm_status *acme_scm_status_at(size_t index);

/** acme_scm_day_ms(text): the start of a day, "01/15/2026" or "2026-01-15", in UTC; 0: NULL or unreadable. */
int64_t acme_scm_day_ms(const char *text);

struct scm_details {
    const char *status_text; /* printable, in the arena */
    const struct scm_status *status;
    const char *comments;     /* NULL: absent */
    const char *csr_sha256;   /* NULL: absent; upper-case hex over the CSR's DER */
    const char *serial;       /* NULL: absent; hexadecimal, perhaps with colons */
    int64_t requested_day_ms; /* start of the day of the request in UTC; 0: absent or unreadable */
};

/** acme_scm_details_read(ctx, ssl_id, ret): read the reply of GET /{sslId}. Strings live in the
 * arena. Errors: FORMAT (no success, not JSON, no status, another request's), NOMEM. */
struct acme_err acme_scm_details_read(struct scm_context *ctx, int64_t ssl_id,
                                      struct scm_details *ret) ACME_MUST_USE;

/** acme_scm_same_serial(a, b): "0A:1B" and "a1b" are the same number. */
bool acme_scm_same_serial(const char *a, const char *b);

/* ---- the phases: `begin` acts at the start or after a wait, the others judge an outcome ---- */

/** acme_scm_enroll_begin(ctx): the call that makes the request: renew or replace when the order continues a
 * certificate and SCM has not refused that, else enroll. _reply and _failed are for all three. */
struct acme_err acme_scm_enroll_begin(struct scm_context *ctx) ACME_MUST_USE;
struct acme_err acme_scm_enroll_reply(struct scm_context *ctx) ACME_MUST_USE;
struct acme_err acme_scm_enroll_failed(struct scm_context *ctx) ACME_MUST_USE;

/** acme_scm_earlier_use(ctx): what this issuance does with the earlier certificate, as things stand. */
enum acme_earlier_use acme_scm_earlier_use(const struct scm_context *ctx);
/** acme_scm_earlier_id(ctx): SCM's number of it; 0: none. */
int64_t acme_scm_earlier_id(const struct scm_context *ctx);

/* ---- scm_renew.c ---- */

/** acme_scm_renew_call(ctx, csr_pem) / _replace_call: the step is that call, not yet marked `once`. */
struct acme_err acme_scm_renew_call(struct scm_context *ctx, const char *csr_pem) ACME_MUST_USE;
struct acme_err acme_scm_replace_call(struct scm_context *ctx, const char *csr_pem) ACME_MUST_USE;
/** acme_scm_comment_begin(ctx): put our tag onto a renewed request, which carries that of the earlier one. */
struct acme_err acme_scm_comment_begin(struct scm_context *ctx, int64_t ssl_id) ACME_MUST_USE;
struct acme_err acme_scm_comment_done(struct scm_context *ctx) ACME_MUST_USE;
/** acme_scm_replaced_begin(ctx): has a replace with an open outcome happened? */
struct acme_err acme_scm_replaced_begin(struct scm_context *ctx) ACME_MUST_USE;
struct acme_err acme_scm_replaced_reply(struct scm_context *ctx) ACME_MUST_USE;

/* ---- scm_withdraw.c ---- */

/** acme_scm_withdraw_begin(ctx, why): decline the request that is followed. */
struct acme_err acme_scm_withdraw_begin(struct scm_context *ctx, enum scm_withdrawal why) ACME_MUST_USE;
/** acme_scm_withdraw_done(ctx): that was answered, or failed. */
struct acme_err acme_scm_withdraw_done(struct scm_context *ctx) ACME_MUST_USE;
/** acme_scm_withdrawn_fail(ctx, note): the issuance ends because of ctx->state->withdrawing. */
struct acme_err acme_scm_withdrawn_fail(struct scm_context *ctx, const char *note) ACME_MUST_USE;
/** acme_scm_nothing_begun(ctx): it ends before anything was requested. */
struct acme_err acme_scm_nothing_begun(struct scm_context *ctx) ACME_MUST_USE;

/** acme_scm_recover_enter(ctx, since_ms): the outcome of the enroll is open since then. The caller goes on
 * with _begin or a wait. */
void acme_scm_recover_enter(struct scm_context *ctx, int64_t since_ms);
struct acme_err acme_scm_recover_begin(struct scm_context *ctx) ACME_MUST_USE;
struct acme_err acme_scm_recover_list_reply(struct scm_context *ctx) ACME_MUST_USE;
struct acme_err acme_scm_recover_candidate_reply(struct scm_context *ctx) ACME_MUST_USE;
/** acme_scm_recover_search_over(ctx, note): what the search, or the look at the replaced request, did not
 * find: wait and look again, or make the call once more. */
struct acme_err acme_scm_recover_search_over(struct scm_context *ctx) ACME_MUST_USE;
/** acme_scm_recover_tidy(ctx): after a restart or a wait: see to what is left of the duplicates, then follow.
 */
struct acme_err acme_scm_recover_tidy(struct scm_context *ctx) ACME_MUST_USE;
/** acme_scm_recover_declined(ctx): the decline or revocation of a duplicate was answered or failed: a refusal
 * is taken, a passing trouble a few times not. */
struct acme_err acme_scm_recover_declined(struct scm_context *ctx) ACME_MUST_USE;

/** acme_scm_follow_enter(ctx, ssl_id): from now on the issuance is this request. */
void acme_scm_follow_enter(struct scm_context *ctx, int64_t ssl_id);
struct acme_err acme_scm_follow_begin(struct scm_context *ctx) ACME_MUST_USE;
struct acme_err acme_scm_follow_reply(struct scm_context *ctx) ACME_MUST_USE;
/** acme_scm_follow_wait(ctx, note): wait at the polling pace, then ask for the status (again). */
struct acme_err acme_scm_follow_wait(struct scm_context *ctx, const char *note) ACME_MUST_USE;

/** acme_scm_dcv_write(ctx, writer): into the body of a request: how its domains are validated, as configured.
 */
void acme_scm_dcv_write(const struct scm_context *ctx, struct acme_json_writer *writer);
/** acme_scm_dcv_due(ctx): it is time to ask for the domain validation of the waiting request. */
bool acme_scm_dcv_due(const struct scm_context *ctx);
struct acme_err acme_scm_dcv_begin(struct scm_context *ctx) ACME_MUST_USE;
/** acme_scm_dcv_reply(ctx): answered or failed, then the status is waited for. The state's member `dcv` is a
 * list of {domain, mode, host, point, url, file, email, status}, each text only when SCM gave it. */
struct acme_err acme_scm_dcv_reply(struct scm_context *ctx) ACME_MUST_USE;

struct acme_err acme_scm_collect_begin(struct scm_context *ctx, bool replaced) ACME_MUST_USE;
struct acme_err acme_scm_collect_reply(struct scm_context *ctx) ACME_MUST_USE;
struct acme_err acme_scm_collect_issuers_reply(struct scm_context *ctx) ACME_MUST_USE;

/** acme_scm_total_count(reply): the length of the whole list of which the reply is a page; -1: not said. */
int64_t acme_scm_total_count(const struct acme_http_reply *reply);

/** acme_scm_inspect(backend, arena, request, inspection, input, ret): the function `inspect` of struct
 * acme_backend. */
struct acme_err acme_scm_inspect(const struct acme_backend *backend, struct acme_arena *arena,
                                 const struct acme_inspect_request *request,
                                 struct acme_inspection *inspection, const struct acme_step_input *input,
                                 struct acme_inspect_step *ret) ACME_MUST_USE;

/** acme_scm_revoke(issuer, arena, request, saved, input, ret): the function `revoke` of the class. */
struct acme_err acme_scm_revoke(const struct acme_issuer *issuer, struct acme_arena *arena,
                                const struct acme_revoke_request *request, cJSON *saved,
                                const struct acme_step_input *input, struct acme_step *ret) ACME_MUST_USE;

#endif
