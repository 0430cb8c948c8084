/* The issuer object and the way through one step. */
#include "backends/keyfactor/kf_internal.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_POLL_MAX_MS (15 * ACME_MINUTE_MS)
#define DEFAULT_DEADLINE_MS (7 * ACME_DAY_MS)
#define TOKEN_MS            (30 * ACME_SECOND_MS) /* the transport's time for getting one */
enum {
    DEFAULT_MAX_CONCURRENCY = 4,
    DEFAULT_CONNECT_MS = 10 * 1000,
    DEFAULT_CALL_MS = 120 * 1000, /* the CA is asked while Command's caller waits */
    STRINGS_BYTES = 512 * 1024
};

/* A call with a token waits for that first, and is made once more, with another, when the token is refused.
 */
static int64_t longest_call_ms(const struct kf_issuer *kf)
{
    int64_t call_ms = kf->config.call_timeout_ms;
    return kf->config.oauth.token_url != NULL ? 2 * (call_ms + TOKEN_MS) : call_ms;
}

/* After a wait, and whenever what came does not fit what was asked. A call whose outcome is open is never
 * simply made again, whatever the event says. */
static struct acme_err resume(struct kf_context *ctx)
{
    struct kf_state *state = ctx->state;
    bool sent = state->sent_ms != 0 || ctx->input->event == ACME_EVENT_RECOVER;
    if (state->phase == KF_PHASE_ENROLL && sent)
        /* A process that died may have left the call to Command at the very end of its time: quiet counts
         * from there. */
        acme_kf_recover_enter(ctx, (state->sent_ms != 0 ? state->sent_ms : ctx->input->now_ms) +
                                       longest_call_ms(ctx->kf));
    switch (state->phase) {
    case KF_PHASE_RECOVER:
    case KF_PHASE_REVOKE: /* not of an issuance: nothing is bought on such a state without a look */
        return acme_kf_recover_begin(ctx);
    case KF_PHASE_FOLLOW:
    case KF_PHASE_COLLECT:
        return acme_kf_tidy(ctx);
    case KF_PHASE_ENROLL:
    case KF_PHASE_COUNT:
        break;
    }
    return acme_kf_enroll_begin(ctx);
}

static struct acme_err on_reply(struct kf_context *ctx)
{
    switch (ctx->state->call) {
    case KF_CALL_ENROLL:
    case KF_CALL_RENEW:
        return acme_kf_enroll_reply(ctx);
    case KF_CALL_AVAILABLE:
        return acme_kf_available_reply(ctx);
    case KF_CALL_SEARCH:
        return acme_kf_search_reply(ctx);
    case KF_CALL_INSTANCE:
        return acme_kf_instance_reply(ctx);
    case KF_CALL_WORKFLOW:
        return acme_kf_workflow_reply(ctx);
    case KF_CALL_REQUEST:
        return acme_kf_request_reply(ctx);
    case KF_CALL_FIND:
        return acme_kf_find_reply(ctx);
    case KF_CALL_DOWNLOAD:
        return acme_kf_download_reply(ctx);
    case KF_CALL_WITHDRAW:
        return acme_kf_withdraw_done(ctx);
    case KF_CALL_DENY:
    case KF_CALL_UNDO:
        return acme_kf_tidy_done(ctx);
    case KF_CALL_NONE:
    case KF_CALL_LOOK:
    case KF_CALL_REVOKE:
    case KF_CALL_COUNT:
        break;
    }
    return resume(ctx);
}

static struct acme_err on_call_failed(struct kf_context *ctx)
{
    switch (ctx->state->call) {
    case KF_CALL_ENROLL:
    case KF_CALL_RENEW:
        return acme_kf_enroll_failed(ctx);
    case KF_CALL_WITHDRAW:
        return acme_kf_withdraw_done(ctx);
    case KF_CALL_DENY:
    case KF_CALL_UNDO:
        return acme_kf_tidy_done(ctx);
    case KF_CALL_NONE:
        return resume(ctx);
    default:
        return acme_kf_call_failed(ctx);
    }
}

/* How long Command is asked to take back what belongs to an order whose time is over. */
#define WITHDRAW_PATIENCE_MS (10 * ACME_MINUTE_MS)

/* What stays in Command when the order has ended. */
static const char *left_there(struct kf_context *ctx)
{
    const struct kf_state *state = ctx->state;
    const char *subject = acme_kf_subject(ctx);
    if (subject == NULL)
        return NULL;
    bool known =
        state->cert_id > 0 || state->thumbprint != NULL || state->request_id > 0 || state->workflow != NULL;
    if (known)
        return acme_arena_printf(ctx->arena,
                                 " Keyfactor %s is still there: deny or reject it, or revoke what it yields.",
                                 subject);
    if (state->phase == KF_PHASE_RECOVER)
        return " It is not known whether Keyfactor holds a request for it: look for the order's names there.";
    return "";
}

/* The request goes with its order, as long as Command lets it. */
static struct acme_err withdraw_late(struct kf_context *ctx)
{
    const char *last = ctx->step->note;
    *ctx->step = (struct acme_step){0};
    ctx->state->failures = 0;
    TRY(acme_kf_withdraw_begin(ctx, KF_TOO_LATE));
    ctx->step->note = acme_arena_printf(ctx->arena, "%s Last: %s", ctx->step->note, last);
    ENSURE(ctx->step->note != NULL, ACME_E_NOMEM);
    return acme_ok();
}

/* At the deadline nothing new is begun: no wait, no enrollment. A look that is under way is finished, so a
 * certificate that is there at the last moment is still taken. */
static struct acme_err keep_deadline(struct kf_context *ctx)
{
    const struct acme_step *step = ctx->step;
    int64_t deadline_ms = ctx->request->deadline_ms;
    if (!acme_pace_is_over(ctx->step, ctx->input, deadline_ms))
        return acme_ok();
    const struct kf_state *state = ctx->state;
    if (acme_kf_withdrawable(ctx) && state->withdrawing != KF_TOO_LATE)
        return withdraw_late(ctx);
    if (step->kind == ACME_STEP_WAIT && state->withdrawing == KF_TOO_LATE && !state->locked_in &&
        ctx->input->now_ms < deadline_ms + WITHDRAW_PATIENCE_MS)
        return acme_ok();
    const char *left = left_there(ctx);
    ENSURE(left != NULL, ACME_E_NOMEM);
    const char *last = step->kind == ACME_STEP_WAIT ? step->note : "A request was about to be made.";
    const char *note = acme_arena_printf(
        ctx->arena, "Gave up because the order's deadline has passed. Last: %s%s", last, left);
    *ctx->step = (struct acme_step){0};
    ctx->state->withdrawing = KF_TOO_LATE;
    return acme_kf_withdrawn_fail(ctx, note);
}

static struct acme_err kf_step(const struct acme_issuer *issuer, struct acme_arena *arena,
                               const struct acme_issue_request *request, cJSON *saved,
                               const struct acme_step_input *input, struct acme_step *ret)
{
    struct kf_state *state = acme_arena_alloc(arena, sizeof *state);
    ENSURE(state != NULL, ACME_E_NOMEM);
    acme_kf_state_load(saved, state);
    struct acme_step step = {0};
    const struct kf_issuer *kf = (const struct kf_issuer *)issuer;
    struct kf_context ctx = {.kf = kf,
                             .arena = arena,
                             .request = request,
                             .input = input,
                             .state = state,
                             .step = &step,
                             .secrets = acme_kf_secrets(kf)};
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
    TRY(acme_kf_ref(&ctx, &step.upstream_ref));
    TRY(acme_kf_state_store(state, saved));
    *ret = step;
    return acme_ok();
}

/* ---- the object ---- */

struct acme_secrets acme_kf_secrets(const struct kf_issuer *kf)
{
    const char *basic = kf->basic != NULL ? kf->basic + strlen("Basic ") : NULL;
    return (struct acme_secrets){{kf->config.password, kf->config.oauth.client_secret, basic}};
}

static void kf_destroy(struct acme_issuer *issuer)
{
    struct kf_issuer *kf = (struct kf_issuer *)issuer;
    acme_free_secret(kf->config.password);
    acme_free_secret(kf->config.oauth.client_secret);
    acme_free_secret(kf->basic);
    acme_arena_destroy(kf->arena);
    free(kf);
}

static const struct acme_issuer_class kf_class = {
    .type = "keyfactor", .step = kf_step, .revoke = acme_kf_revoke, .destroy = kf_destroy};

/* RFC 7617. */
static bool make_basic(struct kf_issuer *kf)
{
    const struct acme_keyfactor_config *config = &kf->config;
    static const char prefix[] = "Basic ";
    if (config->password == NULL)
        return true;
    size_t login_len = strlen(config->login);
    size_t len = login_len + 1 + strlen(config->password);
    size_t size = sizeof prefix + 4 * ((len + 2) / 3);
    char *pair = OPENSSL_malloc(len + 1);
    char *text = OPENSSL_malloc(size);
    bool ok = pair != NULL && text != NULL;
    if (ok) {
        memcpy(pair, config->login, login_len);
        pair[login_len] = ':';
        memcpy(pair + login_len + 1, config->password, len - login_len);
        memcpy(text, prefix, sizeof prefix - 1);
        (void)EVP_EncodeBlock((unsigned char *)text + sizeof prefix - 1, (const unsigned char *)pair,
                              (int)len);
        kf->basic = text;
        text = NULL;
    }
    OPENSSL_clear_free(pair, pair != NULL ? len + 1 : 0);
    OPENSSL_free(text);
    return ok;
}

static bool copy_fields(struct acme_arena *arena, const struct acme_keyfactor_field **list, size_t count)
{
    struct acme_keyfactor_field *fields = acme_arena_alloc(arena, (count + 1) * sizeof *fields);
    bool ok = fields != NULL;
    for (size_t i = 0; ok && i < count; i++) {
        fields[i] = (*list)[i];
        ok = acme_copy_text(arena, &fields[i].name) && acme_copy_text(arena, &fields[i].value);
    }
    *list = fields;
    return ok;
}

/* Replaces the caller's strings by copies. */
static bool copy_strings(struct kf_issuer *kf, const char *name)
{
    struct acme_keyfactor_config *config = &kf->config;
    const char **texts[] = {&config->url,
                            &config->api_path,
                            &config->login,
                            &config->oauth.token_url,
                            &config->oauth.client_id,
                            &config->oauth.scope,
                            &config->oauth.audience,
                            &config->certificate_authority,
                            &config->template,
                            &config->owner_role,
                            &config->tag_field,
                            &config->ca_file,
                            &config->proxy};
    kf->base.backend.name = acme_arena_strdup(kf->arena, name);
    bool ok = kf->base.backend.name != NULL;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        ok = acme_copy_text(kf->arena, texts[i]) && ok;
    ok = ok && copy_fields(kf->arena, &config->metadata, config->metadata_count) &&
         copy_fields(kf->arena, &config->enrollment_fields, config->enrollment_field_count);
    const char *login = config->login != NULL ? config->login : config->oauth.client_id;
    kf->base.backend.account = acme_arena_printf(kf->arena, "keyfactor %s %s", config->url, login);
    return ok && kf->base.backend.account != NULL;
}

static bool login_right(const struct acme_keyfactor_config *config)
{
    bool password = config->password != NULL;
    bool token = config->oauth.token_url != NULL;
    if (password == token || !acme_is_header_text(config->url))
        return false;
    if (token)
        return acme_is_header_text(config->oauth.token_url) && acme_is_header_text(config->oauth.client_id) &&
               acme_is_header_text(config->oauth.client_secret);
    return acme_is_header_text(config->login) && strchr(config->login, ':') == NULL &&
           acme_is_header_text(config->password);
}

static bool fields_right(const struct acme_keyfactor_field *fields, size_t count)
{
    if (count > ACME_KEYFACTOR_FIELDS_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (fields[i].name == NULL || fields[i].value == NULL || *fields[i].name == '\0' ||
            strlen(fields[i].name) > ACME_KEYFACTOR_NAME_MAX ||
            strlen(fields[i].value) > ACME_KEYFACTOR_VALUE_MAX)
            return false;
    }
    return true;
}

const char *acme_keyfactor_field_wrong(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    size_t len = strlen(name);
    if (len == 0 || len > ACME_KEYFACTOR_NAME_MAX || strspn(name, letters) != len)
        return "the name of a metadata field, of 1 to 64 letters, digits, _ and -";
    return NULL;
}

static bool target_right(const struct acme_keyfactor_config *config)
{
    if (config->enrollment_pattern_id < 0 || config->owner_role_id < 0 || config->collection_id < 0)
        return false;
    return config->enrollment_pattern_id > 0 ||
           (config->template != NULL && config->certificate_authority != NULL);
}

struct acme_err acme_keyfactor_issuer_create(const char *name, const struct acme_keyfactor_config *config,
                                             struct acme_issuer **ret)
{
    ENSURE(login_right(config) && target_right(config), ACME_E_FORMAT);
    ENSURE(fields_right(config->metadata, config->metadata_count), ACME_E_FORMAT);
    ENSURE(fields_right(config->enrollment_fields, config->enrollment_field_count), ACME_E_FORMAT);
    ENSURE(config->tag_field == NULL || acme_keyfactor_field_wrong(config->tag_field) == NULL, ACME_E_FORMAT);
    struct kf_issuer *kf = calloc(1, sizeof *kf);
    ENSURE(kf != NULL, ACME_E_NOMEM);
    kf->base.class = &kf_class;
    kf->config = *config;
    if (kf->config.api_path == NULL)
        kf->config.api_path = ACME_KEYFACTOR_API_PATH;
    if (kf->config.tag_field == NULL)
        kf->config.tag_field = ACME_KEYFACTOR_TAG_FIELD;
    /* The secrets first: what is destroyed below must be this object's. */
    bool have_password = acme_copy_secret(&kf->config.password);
    bool have_secret = acme_copy_secret(&kf->config.oauth.client_secret);
    kf->arena = acme_arena_create(STRINGS_BYTES);
    if (!have_password || !have_secret || kf->arena == NULL || !copy_strings(kf, name) || !make_basic(kf)) {
        kf_destroy(&kf->base);
        return acme_err(ACME_E_NOMEM);
    }
    if (kf->config.poll_max_ms <= 0)
        kf->config.poll_max_ms = DEFAULT_POLL_MAX_MS;
    if (kf->config.connect_timeout_ms <= 0)
        kf->config.connect_timeout_ms = DEFAULT_CONNECT_MS;
    if (kf->config.call_timeout_ms <= 0)
        kf->config.call_timeout_ms = DEFAULT_CALL_MS;
    struct acme_backend *backend = &kf->base.backend;
    backend->deadline_ms = config->deadline_ms > 0 ? config->deadline_ms : DEFAULT_DEADLINE_MS;
    backend->inspect = acme_kf_inspect;
    backend->max_concurrency =
        config->max_concurrency > 0 ? config->max_concurrency : DEFAULT_MAX_CONCURRENCY;
    backend->transport =
        (struct acme_transport){.oauth = kf->config.oauth.token_url != NULL ? &kf->config.oauth : NULL,
                                .ca_file = kf->config.ca_file,
                                .proxy = kf->config.proxy};
    *ret = &kf->base;
    return acme_ok();
}
