/* The issuer object and the way through one step. */
#include "backends/scm/scm.h"
#include "backends/scm/scm_internal.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_POLL_MAX_MS (15 * ACME_MINUTE_MS)
#define DEFAULT_DEADLINE_MS (7 * ACME_DAY_MS)
#define TOKEN_MS            (30 * ACME_SECOND_MS) /* the transport's time for getting one */
enum {
    DEFAULT_MAX_CONCURRENCY = 4,
    DEFAULT_CONNECT_MS = 10 * 1000,
    DEFAULT_CALL_MS = 90 * 1000,
    STRINGS_BYTES = 256 * 1024
};

/* A call with a token waits for that first, and is made once more, with another, when the token is refused.
 */
static int64_t longest_call_ms(const struct scm_issuer *scm)
{
    int64_t call_ms = scm->config.call_timeout_ms;
    return scm->config.oauth.token_url != NULL ? 2 * (call_ms + TOKEN_MS) : call_ms;
}

/* After a wait, and whenever what came does not fit what was asked. An enroll whose outcome is open is never
 * simply sent again, whatever the event says. */
static struct acme_err resume(struct scm_context *ctx)
{
    struct scm_state *state = ctx->state;
    bool sent = state->enroll_sent_ms != 0 || ctx->input->event == ACME_EVENT_RECOVER;
    if (state->phase == SCM_PHASE_ENROLL && sent)
        /* A process that died may have left the enroll to SCM at the very end of its time: quiet counts from
         * there. */
        acme_scm_recover_enter(ctx,
                               (state->enroll_sent_ms != 0 ? state->enroll_sent_ms : ctx->input->now_ms) +
                                   longest_call_ms(ctx->scm));
    switch (state->phase) {
    case SCM_PHASE_RECOVER:
    case SCM_PHASE_REVOKE: /* not of an issuance: nothing is bought on such a state without a look */
        return acme_scm_recover_begin(ctx);
    case SCM_PHASE_FOLLOW:
    case SCM_PHASE_COLLECT:                                       /* the status may have changed meanwhile */
        if (state->call == SCM_CALL_COMMENT && state->ssl_id > 0) /* perhaps decided upon, but never sent */
            return acme_scm_comment_begin(ctx, state->ssl_id);
        return acme_scm_recover_tidy(ctx);
    case SCM_PHASE_ENROLL:
    case SCM_PHASE_COUNT:
        break;
    }
    return acme_scm_enroll_begin(ctx);
}

static struct acme_err on_reply(struct scm_context *ctx)
{
    switch (ctx->state->call) {
    case SCM_CALL_ENROLL:
    case SCM_CALL_RENEW:
    case SCM_CALL_REPLACE:
        return acme_scm_enroll_reply(ctx);
    case SCM_CALL_REPLACED:
        return acme_scm_replaced_reply(ctx);
    case SCM_CALL_COMMENT:
        return acme_scm_comment_done(ctx);
    case SCM_CALL_WITHDRAW:
        return acme_scm_withdraw_done(ctx);
    case SCM_CALL_LIST:
        return acme_scm_recover_list_reply(ctx);
    case SCM_CALL_CANDIDATE:
        return acme_scm_recover_candidate_reply(ctx);
    case SCM_CALL_DECLINE:
    case SCM_CALL_UNDO:
        return acme_scm_recover_declined(ctx);
    case SCM_CALL_DETAILS:
        return acme_scm_follow_reply(ctx);
    case SCM_CALL_COLLECT:
        return acme_scm_collect_reply(ctx);
    case SCM_CALL_ISSUERS:
        return acme_scm_collect_issuers_reply(ctx);
    case SCM_CALL_DCV:
        return acme_scm_dcv_reply(ctx);
    case SCM_CALL_NONE:
    case SCM_CALL_REVOKE:
    case SCM_CALL_COUNT:
        break;
    }
    return resume(ctx);
}

static struct acme_err on_call_failed(struct scm_context *ctx)
{
    switch (ctx->state->call) {
    case SCM_CALL_ENROLL:
    case SCM_CALL_RENEW:
    case SCM_CALL_REPLACE:
        return acme_scm_enroll_failed(ctx);
    case SCM_CALL_COMMENT:
        return acme_scm_comment_done(ctx);
    case SCM_CALL_WITHDRAW:
        return acme_scm_withdraw_done(ctx);
    case SCM_CALL_DECLINE:
    case SCM_CALL_UNDO:
        return acme_scm_recover_declined(ctx);
    case SCM_CALL_DCV:
        return acme_scm_dcv_reply(ctx);
    case SCM_CALL_NONE:
        return resume(ctx);
    default:
        return acme_scm_call_failed(ctx);
    }
}

/* How long SCM is asked to decline a request whose order's time is over. */
#define WITHDRAW_PATIENCE_MS (10 * ACME_MINUTE_MS)

/* What stays in SCM when the order has ended. */
static const char *left_there(struct scm_context *ctx)
{
    const struct scm_state *state = ctx->state;
    long long ssl_id = (long long)state->ssl_id;
    if (state->replacing)
        return acme_arena_printf(ctx->arena, " The key of SCM request %lld was to be replaced: look there.",
                                 ssl_id);
    if (state->locked_in)
        return acme_arena_printf(
            ctx->arena, " SCM does not decline request %lld any more: revoke what it yields.", ssl_id);
    if (ssl_id > 0)
        return acme_arena_printf(
            ctx->arena, " Request %lld is still open in SCM: decline it there, or revoke what it yields.",
            ssl_id);
    if (state->phase == SCM_PHASE_RECOVER)
        return " It is not known whether SCM holds a request for it: look for the order's names there.";
    return "";
}

/* The request goes with its order, as long as SCM lets it. */
static struct acme_err withdraw_late(struct scm_context *ctx)
{
    const char *last = ctx->step->note;
    *ctx->step = (struct acme_step){0};
    ctx->state->locked_in = false;
    ctx->state->failures = 0;
    TRY(acme_scm_withdraw_begin(ctx, SCM_TOO_LATE));
    ctx->step->note = acme_arena_printf(ctx->arena, "%s Last: %s", ctx->step->note, last);
    ENSURE(ctx->step->note != NULL, ACME_E_NOMEM);
    return acme_ok();
}

/* At the deadline nothing new is begun: no wait, no enroll. A look at the status that is under way is
 * finished, so a certificate that is there at the last moment is still taken. */
static struct acme_err keep_deadline(struct scm_context *ctx)
{
    const struct acme_step *step = ctx->step;
    int64_t deadline_ms = ctx->request->deadline_ms;
    if (!acme_pace_is_over(ctx->step, ctx->input, deadline_ms))
        return acme_ok();
    const struct scm_state *state = ctx->state;
    if (state->ssl_id > 0 && !state->replacing && !state->by_csr && state->withdrawing != SCM_TOO_LATE)
        return withdraw_late(ctx);
    if (step->kind == ACME_STEP_WAIT && state->withdrawing == SCM_TOO_LATE && !state->locked_in &&
        ctx->input->now_ms < deadline_ms + WITHDRAW_PATIENCE_MS)
        return acme_ok();
    const char *left = left_there(ctx);
    ENSURE(left != NULL, ACME_E_NOMEM);
    const char *last = step->kind == ACME_STEP_WAIT ? step->note : "The enroll was about to be sent.";
    const char *note = acme_arena_printf(
        ctx->arena, "Gave up because the order's deadline has passed. Last: %s%s", last, left);
    *ctx->step = (struct acme_step){0};
    ctx->state->withdrawing = SCM_TOO_LATE;
    return acme_scm_withdrawn_fail(ctx, note);
}

static struct acme_err scm_step(const struct acme_issuer *issuer, struct acme_arena *arena,
                                const struct acme_issue_request *request, cJSON *saved,
                                const struct acme_step_input *input, struct acme_step *ret)
{
    struct scm_state *state = acme_arena_alloc(arena, sizeof *state);
    ENSURE(state != NULL, ACME_E_NOMEM);
    acme_scm_state_load(saved, state);
    struct acme_step step = {0};
    struct scm_context ctx = {.scm = (const struct scm_issuer *)issuer,
                              .arena = arena,
                              .request = request,
                              .input = input,
                              .state = state,
                              .step = &step};
    switch (input->event) {
    case ACME_EVENT_REPLY:
        ENSURE(input->reply != NULL, ACME_E_INTERNAL);
        TRY(on_reply(&ctx));
        break;
    case ACME_EVENT_CALL_FAILED:
        TRY(on_call_failed(&ctx));
        break;
    case ACME_EVENT_START:
    case ACME_EVENT_TIMER:
    case ACME_EVENT_RECOVER:
        TRY(resume(&ctx));
        break;
    }
    TRY(keep_deadline(&ctx));
    if (state->ssl_id > 0) {
        step.upstream_ref = acme_arena_printf(arena, "%lld", (long long)state->ssl_id);
        ENSURE(step.upstream_ref != NULL, ACME_E_NOMEM);
    }
    TRY(acme_scm_state_store(state, saved));
    *ret = step;
    return acme_ok();
}

/* ---- the object ---- */

static void scm_destroy(struct acme_issuer *issuer)
{
    struct scm_issuer *scm = (struct scm_issuer *)issuer;
    acme_free_secret(scm->config.password);
    acme_free_secret(scm->config.oauth.client_secret);
    acme_arena_destroy(scm->arena);
    free(scm);
}

static const struct acme_issuer_class scm_class = {
    .type = "scm", .step = scm_step, .revoke = acme_scm_revoke, .destroy = scm_destroy};

/* Replaces the caller's strings by copies. */
static bool copy_strings(struct scm_issuer *scm, const char *name)
{
    struct acme_scm_config *config = &scm->config;
    const char **texts[] = {&config->url,
                            &config->customer_uri,
                            &config->login,
                            &config->client_cert_file,
                            &config->client_key_file,
                            &config->oauth.token_url,
                            &config->oauth.client_id,
                            &config->oauth.scope,
                            &config->oauth.audience,
                            &config->external_requester,
                            &config->comments,
                            &config->dcv_mode,
                            &config->dcv_email,
                            &config->ca_file,
                            &config->proxy};
    scm->base.backend.name = acme_arena_strdup(scm->arena, name);
    bool ok = scm->base.backend.name != NULL;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        ok = acme_copy_text(scm->arena, texts[i]) && ok;
    struct acme_scm_field *fields =
        acme_arena_alloc(scm->arena, (config->custom_field_count + 1) * sizeof *fields);
    ok = ok && fields != NULL;
    for (size_t i = 0; ok && i < config->custom_field_count; i++) {
        fields[i] = config->custom_fields[i];
        ok = acme_copy_text(scm->arena, &fields[i].name) && acme_copy_text(scm->arena, &fields[i].value);
    }
    config->custom_fields = fields;
    const char *login = config->login != NULL ? config->login : config->oauth.client_id;
    scm->base.backend.account = acme_arena_printf(scm->arena, "scm %s %s", config->url, login);
    return ok && scm->base.backend.account != NULL;
}

static bool fields_right(const struct acme_scm_config *config)
{
    if (config->custom_field_count > ACME_SCM_FIELDS_MAX)
        return false;
    for (size_t i = 0; i < config->custom_field_count; i++) {
        const struct acme_scm_field *field = &config->custom_fields[i];
        if (field->name == NULL || field->value == NULL || *field->name == '\0' ||
            strlen(field->name) > ACME_SCM_FIELD_MAX || strlen(field->value) > ACME_SCM_FIELD_MAX)
            return false;
    }
    return true;
}

struct acme_err acme_scm_issuer_create(const char *name, const struct acme_scm_config *config,
                                       struct acme_issuer **ret)
{
    ENSURE(acme_scm_login_right(config) && fields_right(config), ACME_E_FORMAT);
    ENSURE(config->org_id > 0 && config->profile_id > 0 && config->term_days > 0, ACME_E_FORMAT);
    ENSURE(config->comments == NULL || acme_scm_comments_wrong(config->comments) == NULL, ACME_E_FORMAT);
    struct scm_issuer *scm = calloc(1, sizeof *scm);
    ENSURE(scm != NULL, ACME_E_NOMEM);
    scm->base.class = &scm_class;
    scm->config = *config;
    /* The secrets first: what is destroyed below must be this object's. */
    bool have_password = acme_copy_secret(&scm->config.password);
    bool have_secret = acme_copy_secret(&scm->config.oauth.client_secret);
    scm->arena = acme_arena_create(STRINGS_BYTES);
    if (!have_password || !have_secret || scm->arena == NULL || !copy_strings(scm, name)) {
        scm_destroy(&scm->base);
        return acme_err(ACME_E_NOMEM);
    }
    if (scm->config.poll_max_ms <= 0)
        scm->config.poll_max_ms = DEFAULT_POLL_MAX_MS;
    if (scm->config.connect_timeout_ms <= 0)
        scm->config.connect_timeout_ms = DEFAULT_CONNECT_MS;
    if (scm->config.call_timeout_ms <= 0)
        scm->config.call_timeout_ms = DEFAULT_CALL_MS;
    scm->base.backend.deadline_ms = config->deadline_ms > 0 ? config->deadline_ms : DEFAULT_DEADLINE_MS;
    scm->base.backend.inspect = acme_scm_inspect;
    scm->base.needs_domains = config->dcv_required && config->class == ACME_SCM_SSL;
    scm->base.backend.max_concurrency =
        config->max_concurrency > 0 ? config->max_concurrency : DEFAULT_MAX_CONCURRENCY;
    scm->base.backend.transport =
        (struct acme_transport){.oauth = scm->config.oauth.token_url != NULL ? &scm->config.oauth : NULL,
                                .ca_file = scm->config.ca_file,
                                .proxy = scm->config.proxy,
                                .client_cert_file = scm->config.client_cert_file,
                                .client_key_file = scm->config.client_key_file};
    *ret = &scm->base;
    return acme_ok();
}
