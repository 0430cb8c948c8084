/* What all files about CPS share: calls, waits, the saved state, what replies mean, enrollments, changes.
 * Nothing here knows why a change is followed: an issuer made it to get a certificate (cps_issue.h), a
 * deployer has a certificate for it. */
#ifndef ACME_BACKENDS_CPS_CPS_INTERNAL_H
#define ACME_BACKENDS_CPS_CPS_INTERNAL_H

#include "backends/cps/cps.h"
#include "backends/pace.h"
#include "backends/upstream_text.h"

/* The call under way: tells whose reply arrives. */
enum cps_call {
    CPS_CALL_NONE,
    CPS_CALL_LIST,
    CPS_CALL_BASELINE, /* what is deployed before anything is changed */
    CPS_CALL_ENROLLMENT,
    CPS_CALL_MATCH, /* the CSR of a pending change, to see whether it is the order's */
    CPS_CALL_UPDATE,
    CPS_CALL_HISTORY,
    CPS_CALL_DEPLOYMENTS,
    CPS_CALL_CANCEL,
    /* of a change that is followed */
    CPS_CALL_CHANGE,
    CPS_CALL_CSR,
    CPS_CALL_UPLOAD,
    CPS_CALL_CHALLENGES,
    CPS_CALL_PUBLISH,   /* a program */
    CPS_CALL_UNPUBLISH, /* likewise */
    CPS_CALL_HURRY,
    CPS_CALL_PRE_WARNINGS,
    CPS_CALL_POST_WARNINGS,
    CPS_CALL_MANAGEMENT,
    CPS_CALL_ACK,
    CPS_CALL_COUNT
};

enum cps_phase {
    CPS_PHASE_FIND,    /* which enrollment it is */
    CPS_PHASE_READ,    /* read it, perhaps update it */
    CPS_PHASE_FOLLOW,  /* a change */
    CPS_PHASE_COLLECT, /* the certificate it has deployed */
    CPS_PHASE_CANCEL,  /* the change; then the job fails */
    CPS_PHASE_CLEAN,   /* take back what was published; then the job fails */
    CPS_PHASE_COUNT
};

enum { CPS_PENDING_MAX = 16, CPS_OLD_MAX = 8, CPS_CSRS_MAX = 4, CPS_LABEL_MAX = 16, CPS_NAMES_MAX = 1000 };

/* The saved state. Texts are borrowed from what was loaded, or live in the step's arena. */
struct cps_state {
    enum cps_phase phase;
    enum cps_call call;
    int64_t enrollment;             /* 0: not known yet */
    int64_t change;                 /* likewise */
    int64_t sent_ms;                /* 0: no update whose outcome is open */
    int64_t updates;                /* sent so far */
    int64_t refusals;               /* in a row */
    int64_t failures;               /* in a row */
    int64_t began_ms;               /* when the change became known */
    int64_t uploaded_ms;            /* when CPS took our certificate */
    int64_t collect_ms;             /* since when the certificate is looked for */
    int64_t fail_type;              /* CANCEL, CLEAN: how the job ends then */
    bool baseline;                  /* `old` is known */
    bool adopted;                   /* the change is not of our making: never cancelled */
    bool safe;                      /* when last looked at, nothing had been issued or uploaded */
    bool forced;                    /* the last update asked for a new certificate */
    bool delegated;                 /* every CSR is with the other issuer: `labels` */
    bool denied;                    /* the operator said no, and CPS was told */
    bool answer_denies;             /* of `answer_key` */
    const char *answer_key;         /* the operator's answer that is to be passed on */
    const char *labels;             /* separated by commas */
    const char *body_sha256;        /* of the last update */
    const char *fail_detail;        /* CANCEL, CLEAN */
    const char *fail_note;          /* CANCEL, CLEAN */
    bool hurry;                     /* answers were published that CPS was not told of */
    const cJSON *published;         /* a list of answers that are to be taken back; NULL: none */
    const cJSON *publishing;        /* the answer that a program is about; NULL: none */
    const cJSON *dv;                /* what proves domains, for the operator; NULL: nothing asked for */
    int64_t known[CPS_PENDING_MAX]; /* changes that were pending before the update */
    size_t known_count;
    const char *old[CPS_OLD_MAX]; /* SHA-256 of the certificates that were deployed before it */
    size_t old_count;
};

/** acme_cps_state_load(saved, ret): Errors: none; unknown members are dropped, missing ones are zero. */
void acme_cps_state_load(const cJSON *saved, struct cps_state *ret);

/** acme_cps_state_store(state, saved): replace the members of `saved`. Errors: NOMEM, `saved` is then
 * unchanged. */
struct acme_err acme_cps_state_store(const struct cps_state *state, cJSON *saved) ACME_MUST_USE;

/* A CSR that CPS made. */
struct cps_csr {
    const char *label; /* its key algorithm: "RSA", "ECDSA" */
    struct acme_csr csr;
};

/* Why a change cannot go on. */
struct cps_fault {
    enum acme_problem_type type;
    const char *text; /* printable; completes "CPS ended the change: ..." */
};

/* One step being decided. */
struct cps_context {
    const struct acme_cps_config *config;
    const struct acme_cps_policy *policy;
    struct acme_arena *arena;
    const struct acme_step_input *input;
    struct cps_state *state;
    struct acme_step *step;            /* being built */
    struct cps_csr csrs[CPS_CSRS_MAX]; /* with CPS_WANTS_CERTIFICATES */
    size_t csr_count;
    struct cps_fault fault; /* with CPS_BROKEN */
    const char *aside;      /* for the operator, besides the step's note; NULL: nothing */
};

/* ---- cps_step.c ---- */

/* A call of CPS; media types without "application/vnd.akamai.cps." and "+json". */
struct cps_request {
    enum cps_call call;
    const char *method;
    const char *path; /* behind "/cps/v2", with its query; NULL: no memory */
    const char *accept;
    const char *content_type; /* NULL: no body */
    const char *body;
    const char *note; /* NULL: no memory */
};

/** acme_cps_call(ctx, request): the step is this call, signed. Errors: NOMEM, CRYPTO. */
struct acme_err acme_cps_call(struct cps_context *ctx, const struct cps_request *request) ACME_MUST_USE;

/** acme_cps_wait_ms(ctx, delay_ms, note): wait without having failed; a Retry-After in the reply lengthens
 * it. */
struct acme_err acme_cps_wait_ms(struct cps_context *ctx, int64_t delay_ms, const char *note) ACME_MUST_USE;

/** acme_cps_wait_failure(ctx, first_ms, max_ms, note): wait after a failure: first_ms, doubled per failure in
 * a row, at most max_ms; a Retry-After in the reply lengthens it. */
struct acme_err acme_cps_wait_failure(struct cps_context *ctx, int64_t first_ms, int64_t max_ms,
                                      const char *note) ACME_MUST_USE;

/** acme_cps_fail(ctx, type, detail, note): the end. detail and note: NULL: no memory. */
struct acme_err acme_cps_fail(struct cps_context *ctx, enum acme_problem_type type, const char *detail,
                              const char *note) ACME_MUST_USE;

/** acme_cps_poll_ms(ctx): the pause until the change is looked at again: longer the longer it takes. */
int64_t acme_cps_poll_ms(const struct cps_context *ctx);

/** acme_cps_claim(ctx, ret_ahead): get in line for the enrollment of the state; 0 without services. */
struct acme_err acme_cps_claim(struct cps_context *ctx, size_t *ret_ahead) ACME_MUST_USE;

/* ---- cps_config.c: the copy that a backend keeps ---- */

/** acme_cps_config_copy(arena, config, ret): with defaults for what is zero; secrets lie outside of the
 * arena. Release: acme_cps_config_wipe, and the arena. Errors: NOMEM, FORMAT; *ret is then empty. */
struct acme_err acme_cps_config_copy(struct acme_arena *arena, const struct acme_cps_config *config,
                                     struct acme_cps_config *ret) ACME_MUST_USE;
void acme_cps_config_wipe(struct acme_cps_config *config);

/** acme_cps_backend_fill(arena, name, config, ret): what the runner has to know; `config` is such a copy and
 * is borrowed. Errors: NOMEM. */
struct acme_err acme_cps_backend_fill(struct acme_arena *arena, const char *name,
                                      const struct acme_cps_config *config,
                                      struct acme_backend *ret) ACME_MUST_USE;

/* ---- cps_errors.c: what a reply other than the hoped-for one means ---- */

enum cps_verdict_class {
    CPS_VERDICT_LATER,    /* throttled */
    CPS_VERDICT_LOGIN,    /* signature, clock or credentials */
    CPS_VERDICT_DENIED,   /* a grant is missing, or we speak another version */
    CPS_VERDICT_MISSING,  /* not there, or not offered now */
    CPS_VERDICT_CONFLICT, /* the enrollment or the change is in another state */
    CPS_VERDICT_REFUSED,  /* the request itself is wrong */
    CPS_VERDICT_TROUBLE   /* no usable answer: it may have been done */
};

struct cps_verdict {
    enum cps_verdict_class class;
    const char *words; /* CPS's own, printable; "" when it gave none */
    const char *note;  /* for the operator */
};

/** acme_cps_judge(ctx, ret): the meaning of what came, which is not a usable success. Errors: NOMEM. */
struct acme_err acme_cps_judge(struct cps_context *ctx, struct cps_verdict *ret) ACME_MUST_USE;

/** acme_cps_trouble(ctx, verdict): the usual end of a step that got no usable answer to a question: it is
 * asked again, later. Before a change is under way CPS_VERDICT_DENIED and _REFUSED, and a login that stays
 * refused, fail the job; afterwards the operator is waited for. */
struct acme_err acme_cps_trouble(struct cps_context *ctx, const struct cps_verdict *verdict) ACME_MUST_USE;

/** acme_cps_fault_type(text): the ACME error behind the words with which a change ended. */
enum acme_problem_type acme_cps_fault_type(const char *text);

/** acme_cps_shown(ctx, text, max): foreign text made fit for notes and problems, without secrets; never NULL
 * unless memory ran out. text NULL: "". */
const char *acme_cps_shown(struct cps_context *ctx, const char *text, size_t max);

/* ---- cps_json.c: replies are read leniently ---- */

/** acme_cps_json(ctx, ret): the reply's body as an object. Errors: FORMAT (no reply, empty, no JSON object),
 * NOMEM. */
struct acme_err acme_cps_json(struct cps_context *ctx, cJSON **ret) ACME_MUST_USE;

/** acme_cps_keep(ctx, tree): `tree`, released with the arena; NULL without memory, or for NULL. */
cJSON *acme_cps_keep(struct cps_context *ctx, cJSON *tree);

/** acme_cps_flag(object, name): true, or "true". */
bool acme_cps_flag(const cJSON *object, const char *name);

/** acme_cps_id(object, name, ret): a positive number, or the same as text. */
bool acme_cps_id(const cJSON *object, const char *name, int64_t *ret);

/** acme_cps_last_id(location): the number that is the last segment of a path; 0: it is none. NULL is allowed.
 */
int64_t acme_cps_last_id(const char *location);

/** acme_cps_last_segment(location): what follows the last slash; NULL for NULL. */
const char *acme_cps_last_segment(const char *location);

/* ---- cps_enrollment.c ---- */

struct cps_pending {
    int64_t id;       /* 0: unreadable, but there */
    const char *type; /* printable, "" when not said */
};

struct cps_enrollment {
    cJSON *json; /* the whole of it */
    int64_t id;
    const char *common_name;             /* as it stands there; NULL: none */
    const char *sans[CPS_NAMES_MAX + 1]; /* as they stand there */
    size_t san_count;
    struct cps_pending pending[CPS_PENDING_MAX]; /* the last one is the newest */
    size_t pending_count;
    bool third_party;
    bool dv;
    bool excludes_sans;
    bool change_management;
    bool multi_stacked;
    int64_t max_sans; /* -1: not said */
    int64_t max_wildcards;
};

/** acme_cps_enrollment_read(ctx, json, ret): Errors: FORMAT (no csr.cn; more names than CPS_NAMES_MAX),
 * NOMEM.
 */
struct acme_err acme_cps_enrollment_read(struct cps_context *ctx, cJSON *json,
                                         struct cps_enrollment *ret) ACME_MUST_USE;

/** acme_cps_enrollment_has(enrollment, name): is it its common name or one of its SANs? */
bool acme_cps_enrollment_has(const struct cps_enrollment *enrollment, const char *name);

/** acme_cps_call_enrollment(ctx, note) / _csr / _list: the calls that read them. */
struct acme_err acme_cps_call_enrollment(struct cps_context *ctx, const char *note) ACME_MUST_USE;
struct acme_err acme_cps_call_list(struct cps_context *ctx) ACME_MUST_USE;
struct acme_err acme_cps_call_csr(struct cps_context *ctx, enum cps_call call, int64_t change) ACME_MUST_USE;

/** acme_cps_list_find(list, common_name, ret): how many enrollments of a list have that common name; *ret is
 * the last of them. */
size_t acme_cps_list_find(const cJSON *list, const char *common_name, int64_t *ret);

/** acme_cps_csrs_read(ctx, json): into ctx->csrs: those of csr.v2, or the one of v1. Errors: FORMAT (none
 * that can be used), NOMEM. */
struct acme_err acme_cps_csrs_read(struct cps_context *ctx, const cJSON *json) ACME_MUST_USE;

/* ---- cps_deployments.c ---- */

struct cps_deployed {
    X509 *leaf;
    const char *sha256;
    struct acme_cert_list certs; /* the leaf and its trust chain */
    bool primary;
};

struct acme_err acme_cps_call_deployments(struct cps_context *ctx, enum cps_call call,
                                          const char *note) ACME_MUST_USE;

/** acme_cps_deployed_read(ctx, json, ret, max, ret_count): the certificates of the production network.
 * Unreadable ones are passed over. Errors: NOMEM. */
struct acme_err acme_cps_deployed_read(struct cps_context *ctx, const cJSON *json, struct cps_deployed *ret,
                                       size_t max, size_t *ret_count) ACME_MUST_USE;

/* ---- cps_change.c: a change is followed by its state and the input it allows ---- */

enum cps_outcome {
    CPS_GOES_ON,           /* the step is decided */
    CPS_FINISHED,          /* completed */
    CPS_VANISHED,          /* CPS does not know it any more */
    CPS_CANCELLED,         /* somebody cancelled it, perhaps our operator (state.denied) */
    CPS_BROKEN,            /* it ended with ctx->fault, or CPS refuses what it needs */
    CPS_WANTS_CERTIFICATES /* for ctx->csrs: acme_cps_upload is the next step, as soon as there are some */
};

/** acme_cps_change_begin(ctx, ret): look at the change of the state; an answer of the operator is kept until
 * CPS can be told. */
struct acme_err acme_cps_change_begin(struct cps_context *ctx, enum cps_outcome *ret) ACME_MUST_USE;

/** acme_cps_change_reply(ctx, ret): what came for a call of a change that is followed: REPLY or CALL_FAILED.
 */
struct acme_err acme_cps_change_reply(struct cps_context *ctx, enum cps_outcome *ret) ACME_MUST_USE;

/** acme_cps_is_change_call(call): its outcome is for acme_cps_change_reply. */
bool acme_cps_is_change_call(enum cps_call call);

/* A certificate for one of the CSRs. */
struct cps_signed {
    const char *label;
    struct acme_cert_list chain; /* leaf first */
};

/** acme_cps_upload(ctx, list, count): the step is the upload. */
struct acme_err acme_cps_upload(struct cps_context *ctx, const struct cps_signed *list,
                                size_t count) ACME_MUST_USE;

/** acme_cps_cancel_call(ctx): the step is to cancel the change. */
struct acme_err acme_cps_cancel_call(struct cps_context *ctx) ACME_MUST_USE;

/* What a change asks to be acknowledged. */
struct cps_gate {
    const char *update;       /* segment of the acknowledgement */
    const char *content_type; /* of it */
    const char *hash;         /* of the state that is acknowledged; NULL: none */
    const char *text;         /* of the question */
    const char *details;
    int64_t deadline_ms;
    bool open; /* nothing speaks against it */
};

/* ---- cps_gate.c ---- */

/** acme_cps_gate_decide(ctx, gate): pass it, pass the operator's answer on, or ask. */
struct acme_err acme_cps_gate_decide(struct cps_context *ctx, const struct cps_gate *gate) ACME_MUST_USE;

/** acme_cps_gate_answered(ctx): the acknowledgement was answered or failed. */
struct acme_err acme_cps_gate_answered(struct cps_context *ctx) ACME_MUST_USE;

/* ---- cps_warnings.c ---- */

/** acme_cps_warning_allowed(policy, text): the whole warning is on the allow-list, or every part of it is
 * when it is a list. */
bool acme_cps_warning_allowed(const struct acme_cps_policy *policy, const char *text);

/** acme_cps_warnings_reply(ctx, post): what CPS warns of before or after its verification (warnings.v1). */
struct acme_err acme_cps_warnings_reply(struct cps_context *ctx, bool post) ACME_MUST_USE;

/* ---- cps_management.c ---- */

/** acme_cps_management_reply(ctx): change-management-info, v5 or an older shape. */
struct acme_err acme_cps_management_reply(struct cps_context *ctx) ACME_MUST_USE;

/* ---- cps_dv.c ---- */

/** acme_cps_dv_reply(ctx): the challenges by which the names are validated: shown to the operator, and
 * published where the policy says how. The state's member `dv` is a list of {domain, status, error, http
 * {url, body, token, redirect}, dns {name, value, token}}, each only when CPS gave it. */
struct acme_err acme_cps_dv_reply(struct cps_context *ctx) ACME_MUST_USE;

/** acme_cps_dv_wait(ctx): nothing more to publish: wait for CPS. */
struct acme_err acme_cps_dv_wait(struct cps_context *ctx) ACME_MUST_USE;

/** acme_cps_dv_is_done(domain): is this member of `dv` validated? */
bool acme_cps_dv_is_done(const cJSON *domain);

/* ---- cps_publish.c: answers to challenges, published and taken back by programs ---- */

/** acme_cps_publish(ctx): the next thing to do about state.dv: a program, telling CPS, or the wait. */
struct acme_err acme_cps_publish(struct cps_context *ctx) ACME_MUST_USE;

/** acme_cps_publish_ended(ctx): a program of it has ended, or could not be started. */
struct acme_err acme_cps_publish_ended(struct cps_context *ctx) ACME_MUST_USE;

/** acme_cps_hurried(ctx): CPS was told that answers are there. */
struct acme_err acme_cps_hurried(struct cps_context *ctx) ACME_MUST_USE;

/** acme_cps_unpublish(ctx): the step is the program that takes the first answer back that is still published.
 * *ret: false: none is, and no step is decided. What cannot be taken back is forgotten, and said. */
struct acme_err acme_cps_unpublish(struct cps_context *ctx, bool *ret) ACME_MUST_USE;

/** acme_cps_unpublish_ended(ctx): its outcome: the answer is off the list. */
struct acme_err acme_cps_unpublish_ended(struct cps_context *ctx) ACME_MUST_USE;

/* ---- cps_inspect.c ---- */

/** acme_cps_inspect(backend, arena, request, inspection, input, ret): the function `inspect` of struct
 * acme_backend. */
struct acme_err acme_cps_inspect(const struct acme_backend *backend, struct acme_arena *arena,
                                 const struct acme_inspect_request *request,
                                 struct acme_inspection *inspection, const struct acme_step_input *input,
                                 struct acme_inspect_step *ret) ACME_MUST_USE;

/** acme_cps_inspect_target(config, name, target, ...): likewise for the deployer `name`. */
struct acme_err acme_cps_inspect_target(const struct acme_cps_config *config, const char *name,
                                        const struct acme_cps_target *target, struct acme_arena *arena,
                                        const struct acme_inspect_request *request,
                                        struct acme_inspection *inspection,
                                        const struct acme_step_input *input,
                                        struct acme_inspect_step *ret) ACME_MUST_USE;

struct cps_issuer {
    struct acme_issuer base;
    struct acme_cps_config config;
    struct acme_arena *arena; /* has the strings that are no secrets */
};

#endif
