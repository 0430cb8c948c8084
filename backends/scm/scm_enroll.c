/* The enroll: the one call that costs money and must not be repeated on a guess. */
#include "backends/scm/scm_internal.h"

#include "base/buf.h"
#include "base/json_writer.h"

#include <string.h>

enum { CSR_MAX_CHARS = 32767, BODY_MAX_BYTES = 256 * 1024 }; /* API document: length of "csr" */

/* SCM wants the names as one string and does not promise to take them from the CSR. */
static char *alt_names(struct acme_arena *arena, const struct acme_issue_request *request)
{
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, BODY_MAX_BYTES);
    for (size_t i = 0; i < request->identifier_count; i++) {
        if (out.len > 0)
            acme_buf_str(&out, ",");
        acme_buf_str(&out, request->identifiers[i].value);
    }
    const char *text = acme_buf_cstr(&out);
    return text != NULL ? acme_arena_strdup(arena, text) : NULL;
}

static void write_fields(struct acme_json_writer *writer, const struct acme_scm_config *config)
{
    acme_jw_array(writer, "customFields");
    for (size_t i = 0; i < config->custom_field_count; i++) {
        acme_jw_object(writer, NULL);
        acme_jw_str(writer, "name", config->custom_fields[i].name);
        acme_jw_str(writer, "value", config->custom_fields[i].value);
        acme_jw_object_end(writer);
    }
    acme_jw_array_end(writer);
}

static char *enroll_body(struct scm_context *ctx, const char *csr_pem)
{
    const struct acme_scm_config *config = &ctx->scm->config;
    const struct scm_class *class = acme_scm_class_of(ctx->scm);
    const char *names = alt_names(ctx->arena, ctx->request);
    const char *comments = acme_scm_comments(ctx);
    if (names == NULL || comments == NULL)
        return NULL;
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, BODY_MAX_BYTES);
    struct acme_json_writer writer;
    acme_jw_init(&writer, &out);
    acme_jw_object(&writer, NULL);
    acme_jw_int(&writer, "orgId", config->org_id);
    if (class->takes_names)
        acme_jw_str(&writer, "subjAltNames", names);
    acme_jw_int(&writer, "certType", config->profile_id);
    acme_jw_int(&writer, "term", config->term_days);
    acme_jw_str(&writer, "comments", comments);
    if (class->takes_names)
        acme_jw_str(&writer, "externalRequester", config->external_requester);
    acme_scm_dcv_write(ctx, &writer);
    if (config->custom_field_count > 0)
        write_fields(&writer, config);
    acme_jw_str(&writer, "csr", csr_pem);
    acme_jw_object_end(&writer);
    const char *text = acme_buf_cstr(&out);
    return text != NULL ? acme_arena_strdup(ctx->arena, text) : NULL;
}

static struct acme_err enroll_call(struct scm_context *ctx, const char *csr_pem)
{
    const char *body = enroll_body(ctx, csr_pem);
    ENSURE(body != NULL, ACME_E_NOMEM);
    return acme_scm_call(ctx, SCM_CALL_ENROLL, "POST", "/enroll", body,
                         "Requesting the certificate from SCM.");
}

static struct acme_err make_call(struct scm_context *ctx, const char *csr_pem)
{
    struct scm_state *state = ctx->state;
    state->phase = SCM_PHASE_ENROLL;
    state->enroll_sent_ms = ctx->input->now_ms;
    state->enroll_attempts++;
    state->unknown_since_ms = 0;
    state->search_rounds = 0;
    if (ctx->request->earlier.too_late)
        state->refused = true;
    switch (acme_scm_earlier_use(ctx)) {
    case ACME_EARLIER_RENEW:
        TRY(acme_scm_renew_call(ctx, csr_pem));
        break;
    case ACME_EARLIER_REPLACE:
        TRY(acme_scm_replace_call(ctx, csr_pem));
        break;
    case ACME_EARLIER_NONE:
        TRY(enroll_call(ctx, csr_pem));
        break;
    }
    struct acme_step *step = ctx->step;
    step->once = true;
    if (state->enroll_attempts > 1) {
        step->note = acme_arena_printf(ctx->arena, "%.*s (attempt %lld).", (int)strlen(step->note) - 1,
                                       step->note, (long long)state->enroll_attempts);
        ENSURE(step->note != NULL, ACME_E_NOMEM);
    }
    return acme_ok();
}

struct acme_err acme_scm_enroll_begin(struct scm_context *ctx)
{
    const struct acme_issue_request *request = ctx->request;
    if (request->withdraw)
        return acme_scm_nothing_begun(ctx);
    for (size_t i = 0; i < request->identifier_count; i++) {
        if (request->identifiers[i].type != ACME_IDENTIFIER_DNS)
            return acme_scm_fail(
                ctx, ACME_PROBLEM_UNSUPPORTED_IDENTIFIER,
                "This certificate authority issues for DNS names only.",
                "The order holds an identifier that is no DNS name; nothing was sent to SCM.");
    }
    char *pem = acme_csr_pem(ctx->arena, request->csr);
    ENSURE(pem != NULL, ACME_E_NOMEM);
    size_t len = strlen(pem);
    while (len > 0 && strchr(" \t\r\n", pem[len - 1]) != NULL)
        pem[--len] = '\0';
    if (len > CSR_MAX_CHARS)
        return acme_scm_fail(ctx, ACME_PROBLEM_BAD_CSR,
                             "The CSR is longer than the certificate service takes.",
                             "The CSR is longer than SCM takes; nothing was sent to SCM.");
    return make_call(ctx, pem);
}

/* Begin the search, and say in the note why it is made. */
static struct acme_err search_because(struct scm_context *ctx, const char *why)
{
    TRY(acme_scm_recover_begin(ctx));
    ctx->step->note = acme_arena_printf(ctx->arena, "%s Searching SCM for the request.", why);
    ENSURE(ctx->step->note != NULL, ACME_E_NOMEM);
    return acme_ok();
}

static struct acme_err accepted(struct scm_context *ctx, int64_t ssl_id)
{
    bool renewal = ctx->state->call == SCM_CALL_RENEW;
    acme_scm_follow_enter(ctx, ssl_id);
    if (renewal)
        return acme_scm_comment_begin(ctx, ssl_id);
    return acme_scm_follow_wait(
        ctx, acme_arena_printf(ctx->arena, "SCM accepted the enroll as request %lld.", (long long)ssl_id));
}

static struct acme_err replaced(struct scm_context *ctx)
{
    acme_scm_follow_enter(ctx, acme_scm_earlier_id(ctx));
    ctx->state->replacing = true;
    ctx->state->locked_in = true; /* to decline it would touch a certificate that is issued */
    return acme_scm_follow_wait(ctx, acme_arena_printf(ctx->arena, "SCM took the new key for request %lld.",
                                                       (long long)ctx->state->ssl_id));
}

/* What the earlier certificate cannot be used for is requested anew. */
static struct acme_err anew(struct scm_context *ctx, const struct scm_verdict *verdict)
{
    ctx->state->refused = true;
    ctx->state->refusals = 0;
    ctx->state->enroll_attempts = 0;
    TRY(acme_scm_enroll_begin(ctx));
    ctx->step->note =
        acme_arena_printf(ctx->arena, "%s Requesting a new certificate instead.", verdict->note);
    ENSURE(ctx->step->note != NULL, ACME_E_NOMEM);
    return acme_ok();
}

/* SCM refused in so many words: nothing was made there. */
static struct acme_err refused(struct scm_context *ctx, const struct scm_verdict *verdict)
{
    struct scm_state *state = ctx->state;
    state->enroll_sent_ms = 0;
    if (verdict->class == SCM_VERDICT_ANEW)
        return anew(ctx, verdict);
    if (verdict->class == SCM_VERDICT_CREDENTIALS)
        return acme_scm_wait_failure(ctx, ACME_LOGIN_FIRST_MS, ACME_LOGIN_MAX_MS, verdict->note);
    if (verdict->class == SCM_VERDICT_RETRY) {
        state->refusals++;
        if (verdict->tries == 0 || state->refusals < verdict->tries)
            return acme_scm_wait_failure(ctx, ACME_BACKOFF_FIRST_MS, ACME_BACKOFF_MAX_MS, verdict->note);
    }
    return acme_scm_fail(ctx, verdict->problem, verdict->detail, verdict->note);
}

struct acme_err acme_scm_enroll_reply(struct scm_context *ctx)
{
    const struct acme_http_reply *reply = ctx->input->reply;
    struct scm_state *state = ctx->state;
    bool replacing = state->call == SCM_CALL_REPLACE;
    if (replacing && (reply->status == 204 || (reply->status == 200 && reply->body.len == 0)))
        return replaced(ctx);
    if (!replacing && reply->status >= 200 && reply->status <= 299 && reply->body.len > 0) {
        cJSON *json = NULL;
        int64_t ssl_id = 0;
        struct acme_err err =
            acme_json_parse(ctx->arena, (const char *)reply->body.data, reply->body.len, &json);
        if (err.code == ACME_E_NOMEM)
            return err;
        const char *id = acme_scm_class_of(ctx->scm)->id_enrolled;
        bool named = !acme_failed(err) && acme_scm_json_int(json, id, &ssl_id) && ssl_id > 0;
        if (named && (state->call != SCM_CALL_RENEW || ssl_id != acme_scm_earlier_id(ctx)))
            return accepted(ctx, ssl_id);
    }

    struct scm_verdict verdict;
    TRY(acme_scm_judge(ctx,
                       replacing                       ? SCM_AT_REPLACE
                       : state->call == SCM_CALL_RENEW ? SCM_AT_RENEW
                                                       : SCM_AT_ENROLL,
                       &verdict));
    if (verdict.class != SCM_VERDICT_UNKNOWN)
        return refused(ctx, &verdict);
    /* Counted here, acted upon when the search has shown that there really is nothing. */
    state->refusals = verdict.tries > 0 ? state->refusals + 1 : 0;
    acme_scm_recover_enter(ctx, ctx->input->now_ms);
    if (reply->status == 429 || reply->status >= 500) /* not in a state to be searched right now */
        return acme_scm_wait_failure(ctx, ACME_BACKOFF_FIRST_MS, ACME_BACKOFF_MAX_MS, verdict.note);
    return search_because(ctx, verdict.note);
}

struct acme_err acme_scm_enroll_failed(struct scm_context *ctx)
{
    struct scm_state *state = ctx->state;
    if (ctx->input->reached) {
        const char *sent = state->call == SCM_CALL_RENEW     ? "The renewal"
                           : state->call == SCM_CALL_REPLACE ? "The replacement"
                                                             : "The enroll";
        acme_scm_recover_enter(ctx, ctx->input->now_ms);
        const char *why = ctx->input->failure != NULL ? ctx->input->failure : "no answer";
        why = acme_arena_printf(ctx->arena, "%s was sent but its outcome is not known: %s.", sent, why);
        ENSURE(why != NULL, ACME_E_NOMEM);
        return search_because(ctx, why);
    }
    state->enroll_sent_ms = 0;
    state->enroll_attempts--; /* nothing left this machine */
    return acme_scm_call_failed(ctx);
}
