/* A change on its way: looked at again and again, given the input it asks for. What it says in `status` is
 * for people; what is done follows from `state` and `allowedInput` alone, whose lists are closed. */
#include "backends/cps/cps_internal.h"

#include "base/buf.h"
#include "base/json_writer.h"

#include <string.h>
#include <strings.h>

/* How long CPS may still ask for what it was given. */
#define DIGESTION_MS (2 * ACME_MINUTE_MS)
enum { STATUS_CHARS = 120, UPLOAD_MAX_BYTES = 512 * 1024 };

static const struct input {
    const char *type;
    const char *info; /* segment where it is read */
    const char *accept;
    enum cps_call call;
    bool early; /* asked for before anything is issued */
} inputs[] = {
    {"third-party-certificate", "third-party-csr", "csr.v2", CPS_CALL_CSR, true},
    {"pre-verification-warnings-acknowledgement", "pre-verification-warnings", "warnings.v1",
     CPS_CALL_PRE_WARNINGS, true},
    {"post-verification-warnings-acknowledgement", "post-verification-warnings", "warnings.v1",
     CPS_CALL_POST_WARNINGS, false},
    {"change-management", "change-management-info", "change-management-info.v5", CPS_CALL_MANAGEMENT, false},
    {"lets-encrypt-challenges", "lets-encrypt-challenges", "dv-challenges.v2", CPS_CALL_CHALLENGES, true},
};

static const struct input *input_of(const cJSON *allowed)
{
    const char *type = acme_json_str(allowed, "type");
    const char *info = acme_cps_last_segment(acme_json_str(allowed, "info"));
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        if ((type != NULL && strcasecmp(type, inputs[i].type) == 0) ||
            (info != NULL && strcmp(info, inputs[i].info) == 0))
            return &inputs[i];
    }
    return NULL;
}

static const char *change_path(struct cps_context *ctx, const char *rest)
{
    return acme_arena_printf(ctx->arena, "/enrollments/%lld/changes/%lld%s",
                             (long long)ctx->state->enrollment, (long long)ctx->state->change, rest);
}

bool acme_cps_is_change_call(enum cps_call call)
{
    return call >= CPS_CALL_CHANGE && call <= CPS_CALL_ACK;
}

struct acme_err acme_cps_change_begin(struct cps_context *ctx, enum cps_outcome *ret)
{
    const struct acme_answer *answer = ctx->input->answer;
    if (answer != NULL && answer->key != NULL) {
        ctx->state->answer_key = acme_arena_strdup(ctx->arena, answer->key);
        ENSURE(ctx->state->answer_key != NULL, ACME_E_NOMEM);
        ctx->state->answer_denies = answer->decision == ACME_DECISION_DENY;
    }
    if (ctx->state->began_ms == 0)
        ctx->state->began_ms = ctx->input->now_ms;
    *ret = CPS_GOES_ON;
    const struct cps_request request = {
        .call = CPS_CALL_CHANGE,
        .method = "GET",
        .path = change_path(ctx, ""),
        .accept = "change.v2",
        .note = acme_arena_printf(ctx->arena, "Looking at change %lld.", (long long)ctx->state->change)};
    return acme_cps_call(ctx, &request);
}

static struct acme_err call_info(struct cps_context *ctx, const struct input *input)
{
    const char *rest = acme_arena_printf(ctx->arena, "/input/info/%s", input->info);
    ENSURE(rest != NULL, ACME_E_NOMEM);
    const struct cps_request request = {.call = input->call,
                                        .method = "GET",
                                        .path = change_path(ctx, rest),
                                        .accept = input->accept,
                                        .note =
                                            acme_arena_printf(ctx->arena, "Change %lld asks for input: %s.",
                                                              (long long)ctx->state->change, input->type)};
    return acme_cps_call(ctx, &request);
}

/* ---- what it says about itself ---- */

struct look {
    const char *state;       /* never NULL */
    const char *status;      /* printable */
    const char *description; /* printable */
    const struct input *input;
    const char *foreign; /* required input that we do not know, printable; NULL: none */
};

static struct acme_err read_look(struct cps_context *ctx, const cJSON *json, struct look *ret)
{
    const cJSON *info = acme_json_get(json, "statusInfo");
    const char *state = acme_json_str(info, "state");
    *ret = (struct look){.state = state != NULL ? state : "",
                         .status = acme_cps_shown(ctx, acme_json_str(info, "status"), STATUS_CHARS),
                         .description = acme_cps_shown(ctx, acme_json_str(info, "description"), 200)};
    ENSURE(ret->status != NULL && ret->description != NULL, ACME_E_NOMEM);
    const struct input *optional = NULL;
    const cJSON *allowed = acme_json_get(json, "allowedInput");
    const cJSON *item;
    cJSON_ArrayForEach(item, (cJSON_IsArray(allowed) ? allowed : NULL))
    {
        const struct input *input = input_of(item);
        bool required = acme_cps_flag(item, "requiredToProceed");
        if (required && input == NULL && ret->foreign == NULL)
            ret->foreign = acme_cps_shown(ctx, acme_json_str(item, "type"), STATUS_CHARS);
        if (required && input != NULL && ret->input == NULL)
            ret->input = input;
        if (input != NULL && input->call == CPS_CALL_CHALLENGES) /* CPS looks for the answers by itself */
            optional = input;
    }
    if (ret->input == NULL)
        ret->input = optional;
    return acme_ok();
}

static bool is_any(const char *text, const char *a, const char *b)
{
    return strcasecmp(text, a) == 0 || strcasecmp(text, b) == 0;
}

static struct acme_err broken(struct cps_context *ctx, const cJSON *json, const struct look *look,
                              enum cps_outcome *ret)
{
    const cJSON *error = acme_json_get(acme_json_get(json, "statusInfo"), "error");
    const char *code = acme_cps_shown(ctx, acme_json_str(error, "code"), 80);
    const char *text = acme_cps_shown(ctx, acme_json_str(error, "description"), 300);
    ENSURE(code != NULL && text != NULL, ACME_E_NOMEM);
    if (*text == '\0')
        text = *look->description != '\0' ? look->description : "no reason given";
    const char *both = *code != '\0' ? acme_arena_printf(ctx->arena, "%s (%s)", text, code) : text;
    ENSURE(both != NULL, ACME_E_NOMEM);
    ctx->fault = (struct cps_fault){.type = acme_cps_fault_type(both), .text = both};
    ctx->state->safe = true; /* what is broken only blocks the enrollment */
    *ret = CPS_BROKEN;
    return acme_ok();
}

/* Whether cancelling it now could undo anything that is issued or deployed. */
static bool is_early(const struct cps_state *state, const struct look *look)
{
    if (state->uploaded_ms != 0)
        return false;
    if (look->input != NULL)
        return look->input->early;
    return strcasecmp(look->state, "new") == 0 || strcasestr(look->status, "domain-validation") != NULL ||
           strcasestr(look->status, "pre-verification") != NULL ||
           strcasestr(look->status, "wait-upload") != NULL;
}

static struct acme_err act(struct cps_context *ctx, const struct look *look)
{
    struct cps_state *state = ctx->state;
    long long change = (long long)state->change;
    if (look->input != NULL && !(look->input->call == CPS_CALL_CSR && state->uploaded_ms != 0 &&
                                 ctx->input->now_ms < state->uploaded_ms + DIGESTION_MS))
        return call_info(ctx, look->input);
    if (look->foreign != NULL)
        return acme_cps_wait_ms(
            ctx, ctx->config->poll_max_ms,
            acme_arena_printf(
                ctx->arena,
                "Change %lld asks for input that only Akamai Control Center can give: %s (%s). %s", change,
                look->foreign, look->status, look->description));
    return acme_cps_wait_ms(
        ctx, acme_cps_poll_ms(ctx),
        acme_arena_printf(ctx->arena, "Change %lld is %s (%s)%s%s", change,
                          *look->state != '\0' ? acme_cps_shown(ctx, look->state, STATUS_CHARS)
                                               : "in an unknown state",
                          look->status, *look->description != '\0' ? ": " : ".", look->description));
}

static struct acme_err change_reply(struct cps_context *ctx, enum cps_outcome *ret)
{
    const struct acme_step_input *input = ctx->input;
    struct cps_state *state = ctx->state;
    cJSON *json = NULL;
    struct acme_err err = acme_cps_json(ctx, &json);
    ENSURE(err.code != ACME_E_NOMEM, ACME_E_NOMEM);
    if (acme_failed(err) || input->reply->status != 200) {
        struct cps_verdict verdict;
        TRY(acme_cps_judge(ctx, &verdict));
        if (verdict.class != CPS_VERDICT_MISSING)
            return acme_cps_trouble(ctx, &verdict);
        bool taking_back = false;
        TRY(acme_cps_unpublish(ctx, &taking_back));
        if (!taking_back)
            *ret = CPS_VANISHED;
        return acme_ok();
    }
    state->failures = 0;
    struct look look;
    TRY(read_look(ctx, json, &look));
    bool validating = look.input != NULL && look.input->call == CPS_CALL_CHALLENGES;
    bool decided = false;
    if (!validating)
        TRY(acme_cps_unpublish(ctx, &decided));
    if (decided)
        return acme_ok();
    if (is_any(look.state, "completed", "complete"))
        *ret = CPS_FINISHED;
    else if (is_any(look.state, "cancelled", "canceled"))
        *ret = CPS_CANCELLED;
    else if (is_any(look.state, "error", "failed"))
        return broken(ctx, json, &look, ret);
    if (*ret != CPS_GOES_ON)
        return acme_ok();
    state->safe = is_early(state, &look);
    if (!validating)
        state->dv = NULL;
    return act(ctx, &look);
}

/* ---- what it asks for ---- */

/* Information that is not offered (any more): the change has moved on. */
static struct acme_err info_trouble(struct cps_context *ctx)
{
    struct cps_verdict verdict;
    TRY(acme_cps_judge(ctx, &verdict));
    if (verdict.class != CPS_VERDICT_MISSING && verdict.class != CPS_VERDICT_CONFLICT)
        return acme_cps_trouble(ctx, &verdict);
    return acme_cps_wait_ms(
        ctx, acme_cps_poll_ms(ctx),
        acme_arena_printf(ctx->arena, "CPS does not offer what change %lld asks for yet; asking again.",
                          (long long)ctx->state->change));
}

static struct acme_err csr_reply(struct cps_context *ctx, enum cps_outcome *ret)
{
    cJSON *json = NULL;
    struct acme_err err = acme_cps_json(ctx, &json);
    if (!acme_failed(err))
        err = acme_cps_csrs_read(ctx, json);
    ENSURE(err.code != ACME_E_NOMEM, ACME_E_NOMEM);
    if (acme_failed(err))
        return acme_cps_wait_failure(ctx, ctx->config->poll_ms, ACME_BACKOFF_MAX_MS,
                                     "CPS sent no CSR that can be read; asking again.");
    ctx->state->failures = 0;
    *ret = CPS_WANTS_CERTIFICATES;
    return acme_ok();
}

struct acme_err acme_cps_upload(struct cps_context *ctx, const struct cps_signed *list, size_t count)
{
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, UPLOAD_MAX_BYTES);
    struct acme_json_writer writer;
    acme_jw_init(&writer, &out);
    acme_jw_object(&writer, NULL);
    acme_jw_array(&writer, "certificatesAndTrustChains");
    for (size_t i = 0; i < count; i++) {
        struct acme_cert_list leaf = {.certs = {list[i].chain.certs[0]}, .count = 1};
        struct acme_cert_list issuers = {.count = list[i].chain.count - 1};
        memcpy(issuers.certs, &list[i].chain.certs[1], issuers.count * sizeof issuers.certs[0]);
        const char *leaf_pem = acme_chain_pem(ctx->arena, &leaf);
        const char *issuers_pem = acme_chain_pem(ctx->arena, &issuers);
        ENSURE(leaf_pem != NULL && issuers_pem != NULL, ACME_E_NOMEM);
        acme_jw_object(&writer, NULL);
        acme_jw_str(&writer, "certificate", leaf_pem);
        acme_jw_str(&writer, "trustChain", issuers_pem);
        acme_jw_str(&writer, "keyAlgorithm", list[i].label);
        acme_jw_object_end(&writer);
    }
    acme_jw_array_end(&writer);
    acme_jw_object_end(&writer);
    const char *text = acme_buf_cstr(&out);
    const char *body = text != NULL ? acme_arena_strdup(ctx->arena, text) : NULL;
    ENSURE(body != NULL, ACME_E_NOMEM);
    const struct cps_request request = {
        .call = CPS_CALL_UPLOAD,
        .method = "POST",
        .path = change_path(ctx, "/input/update/third-party-cert-and-trust-chain"),
        .accept = "change-id.v1",
        .content_type = "certificate-and-trust-chain.v2",
        .body = body,
        .note = acme_arena_printf(ctx->arena, "Uploading %zu certificate%s to change %lld.", count,
                                  count == 1 ? "" : "s", (long long)ctx->state->change)};
    return acme_cps_call(ctx, &request);
}

static struct acme_err upload_reply(struct cps_context *ctx, enum cps_outcome *ret)
{
    const struct acme_step_input *input = ctx->input;
    if (input->event == ACME_EVENT_REPLY && input->reply->status >= 200 && input->reply->status <= 299) {
        ctx->state->failures = 0;
        ctx->state->uploaded_ms = input->now_ms;
        ctx->state->safe = false;
        return acme_cps_wait_ms(ctx, ctx->config->poll_ms,
                                acme_arena_printf(ctx->arena, "CPS took the certificate for change %lld.",
                                                  (long long)ctx->state->change));
    }
    struct cps_verdict verdict;
    TRY(acme_cps_judge(ctx, &verdict));
    if (verdict.class == CPS_VERDICT_REFUSED) {
        const char *words = *verdict.words != '\0' ? verdict.words : verdict.note;
        ctx->fault = (struct cps_fault){
            .type = acme_cps_fault_type(words),
            .text = acme_arena_printf(ctx->arena, "it refuses the certificate: %s", words)};
        ENSURE(ctx->fault.text != NULL, ACME_E_NOMEM);
        *ret = CPS_BROKEN;
        return acme_ok();
    }
    return info_trouble(ctx); /* whether it was taken shows in the change */
}

struct acme_err acme_cps_change_reply(struct cps_context *ctx, enum cps_outcome *ret)
{
    *ret = CPS_GOES_ON;
    enum cps_call call = ctx->state->call;
    if (call == CPS_CALL_CHANGE)
        return change_reply(ctx, ret);
    if (call == CPS_CALL_UPLOAD)
        return upload_reply(ctx, ret);
    if (call == CPS_CALL_ACK)
        return acme_cps_gate_answered(ctx);
    if (call == CPS_CALL_HURRY)
        return acme_cps_hurried(ctx);
    if (call == CPS_CALL_PUBLISH)
        return acme_cps_publish_ended(ctx);
    if (call == CPS_CALL_UNPUBLISH) {
        TRY(acme_cps_unpublish_ended(ctx));
        return acme_cps_change_begin(ctx, ret);
    }
    if (ctx->input->event != ACME_EVENT_REPLY || ctx->input->reply->status != 200)
        return info_trouble(ctx);
    switch (call) {
    case CPS_CALL_CSR:
        return csr_reply(ctx, ret);
    case CPS_CALL_PRE_WARNINGS:
    case CPS_CALL_POST_WARNINGS:
        return acme_cps_warnings_reply(ctx, call == CPS_CALL_POST_WARNINGS);
    case CPS_CALL_MANAGEMENT:
        return acme_cps_management_reply(ctx);
    case CPS_CALL_CHALLENGES:
        return acme_cps_dv_reply(ctx);
    default:
        return acme_err(ACME_E_INTERNAL);
    }
}

struct acme_err acme_cps_cancel_call(struct cps_context *ctx)
{
    const struct cps_request request = {
        .call = CPS_CALL_CANCEL,
        .method = "DELETE",
        .path = change_path(ctx, ""),
        .accept = "change-id.v1",
        .note = acme_arena_printf(ctx->arena, "Cancelling change %lld.", (long long)ctx->state->change)};
    return acme_cps_call(ctx, &request);
}
