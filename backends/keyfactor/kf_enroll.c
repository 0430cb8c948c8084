/* The enrollment: the one call that makes something and must not be repeated on a guess. */
#include "backends/keyfactor/kf_internal.h"

#include <openssl/crypto.h>
#include <string.h>

static void write_names(const struct acme_issue_request *request, struct acme_json_writer *writer,
                        const char *member, bool (*wanted)(const struct acme_identifier *))
{
    bool begun = false;
    for (size_t i = 0; i < request->identifier_count; i++) {
        if (!wanted(&request->identifiers[i]))
            continue;
        if (!begun)
            acme_jw_array(writer, member);
        begun = true;
        acme_jw_str(writer, NULL, request->identifiers[i].value);
    }
    if (begun)
        acme_jw_array_end(writer);
}

static bool is_dns(const struct acme_identifier *identifier)
{
    return identifier->type == ACME_IDENTIFIER_DNS;
}

static bool is_ip4(const struct acme_identifier *identifier)
{
    return identifier->type == ACME_IDENTIFIER_IP && strchr(identifier->value, ':') == NULL;
}

static bool is_ip6(const struct acme_identifier *identifier)
{
    return identifier->type == ACME_IDENTIFIER_IP && strchr(identifier->value, ':') != NULL;
}

/* The tag, and what the operator wants to see there. */
static bool write_metadata(struct kf_context *ctx, struct acme_json_writer *writer)
{
    const struct acme_keyfactor_config *config = &ctx->kf->config;
    acme_jw_object(writer, "Metadata");
    acme_jw_str(writer, config->tag_field, ctx->request->tag);
    for (size_t i = 0; i < config->metadata_count; i++) {
        const char *value = acme_placeholders_fill(ctx->arena, config->metadata[i].value, ctx->request);
        if (value == NULL)
            return false;
        acme_jw_str(writer, config->metadata[i].name, value);
    }
    acme_jw_object_end(writer);
    return true;
}

static const char *enroll_body(struct kf_context *ctx)
{
    const struct acme_keyfactor_config *config = &ctx->kf->config;
    char *csr = acme_csr_pem(ctx->arena, ctx->request->csr);
    if (csr == NULL)
        return NULL;
    struct kf_body body;
    acme_kf_body_init(&body);
    struct acme_json_writer *writer = &body.writer;
    acme_jw_str(writer, "CSR", csr);
    acme_jw_str(writer, "CertificateAuthority", config->certificate_authority);
    acme_jw_str(writer, "Template", config->template);
    if (config->enrollment_pattern_id > 0)
        acme_jw_int(writer, "EnrollmentPatternId", config->enrollment_pattern_id);
    if (config->owner_role_id > 0)
        acme_jw_int(writer, "OwnerRoleId", config->owner_role_id);
    acme_jw_str(writer, "OwnerRoleName", config->owner_role);
    acme_jw_time(writer, "Timestamp", ctx->input->now_ms);
    acme_jw_bool(writer, "IncludeChain", true);
    acme_jw_object(writer, "SANs");
    write_names(ctx->request, writer, "dns", is_dns);
    write_names(ctx->request, writer, "ip4", is_ip4);
    write_names(ctx->request, writer, "ip6", is_ip6);
    acme_jw_object_end(writer);
    bool ok = write_metadata(ctx, writer);
    acme_jw_object(writer, "AdditionalEnrollmentFields");
    for (size_t i = 0; i < config->enrollment_field_count; i++)
        acme_jw_str(writer, config->enrollment_fields[i].name, config->enrollment_fields[i].value);
    acme_jw_object_end(writer);
    const char *text = acme_kf_body_done(ctx, &body);
    return ok ? text : NULL;
}

void acme_kf_once(struct kf_context *ctx, bool renewing)
{
    struct kf_state *state = ctx->state;
    state->phase = KF_PHASE_ENROLL;
    state->renewing = renewing;
    state->sent_ms = ctx->input->now_ms;
    state->attempts++;
    state->unknown_since_ms = 0;
    state->search_rounds = 0;
    ctx->step->once = true;
}

static struct acme_err enroll_call(struct kf_context *ctx)
{
    const char *body = enroll_body(ctx);
    ENSURE(body != NULL, ACME_E_NOMEM);
    const char *note = "Requesting the certificate from Keyfactor.";
    if (ctx->state->attempts > 0)
        note = acme_arena_printf(ctx->arena, "Requesting the certificate from Keyfactor (attempt %lld).",
                                 (long long)ctx->state->attempts + 1);
    TRY(acme_kf_call(ctx, KF_CALL_ENROLL, "POST", "Enrollment/CSR", body, note));
    acme_kf_once(ctx, false);
    return acme_kf_format(ctx, "PEM");
}

struct acme_err acme_kf_enroll_begin(struct kf_context *ctx)
{
    ctx->state->phase = KF_PHASE_ENROLL;
    if (ctx->state->surplus.count > 0)
        return acme_kf_tidy(ctx);
    if (ctx->request->withdraw)
        return acme_kf_nothing_begun(ctx);
    return acme_kf_renews(ctx) ? acme_kf_available_begin(ctx) : enroll_call(ctx);
}

/* Begin the search, and say in the note why it is made. */
static struct acme_err search_because(struct kf_context *ctx, const char *why)
{
    TRY(acme_kf_recover_begin(ctx));
    ctx->step->note = acme_arena_printf(ctx->arena, "%s Searching Keyfactor for what it made.", why);
    ENSURE(ctx->step->note != NULL, ACME_E_NOMEM);
    return acme_ok();
}

/* Command refused in so many words: nothing was made there. */
static struct acme_err refused(struct kf_context *ctx, const struct kf_verdict *verdict)
{
    ctx->state->sent_ms = 0;
    /* Renewing takes permissions of its own, which a login for enrollments may well lack. */
    bool forbidden = ctx->state->renewing && ctx->input->reply->status == 403;
    if (verdict->class == KF_VERDICT_ANEW || forbidden)
        return acme_kf_renew_instead(ctx, verdict->note, false);
    if (verdict->class == KF_VERDICT_CREDENTIALS)
        return acme_kf_wait_failure(ctx, ACME_LOGIN_FIRST_MS, ACME_LOGIN_MAX_MS, verdict->note);
    return acme_kf_fail(ctx, verdict->problem, verdict->detail, verdict->note);
}

static struct acme_err open_outcome(struct kf_context *ctx, const char *note, int tries)
{
    struct kf_state *state = ctx->state;
    int status = ctx->input->reply->status;
    /* Counted here, acted upon when the search has shown that there really is nothing. */
    state->refusals = tries > 0 ? state->refusals + 1 : 0;
    acme_kf_recover_enter(ctx, ctx->input->now_ms);
    if (status == 429 || status >= 500) /* not in a state to be searched right now */
        return acme_kf_wait_failure(ctx, ACME_BACKOFF_FIRST_MS, ACME_BACKOFF_MAX_MS, note);
    return search_because(ctx, note);
}

/* ---- a reply under a good status ---- */

struct enrolled {
    struct kf_match match;
    const char *thumbprint;
    const struct kf_status *status; /* of RequestDisposition */
    const char *words;              /* DispositionMessage, quoted */
    struct acme_cert_list certs;
};

static struct acme_err read_certs(struct kf_context *ctx, const cJSON *info, struct acme_cert_list *certs)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, acme_kf_get(info, "Certificates"))
    {
        if (!cJSON_IsString(item))
            continue;
        struct acme_err err = acme_kf_certs_add(ctx->arena, item->valuestring, certs);
        if (err.code == ACME_E_NOMEM)
            return err; /* what cannot be read is downloaded */
    }
    return acme_ok();
}

/* The Password, or a message that repeats it, is not left in memory that is used again. */
static void wipe_texts(void *object)
{
    cJSON *item;
    cJSON_ArrayForEach(item, (cJSON *)object)
    {
        if (cJSON_IsString(item))
            OPENSSL_cleanse(item->valuestring, strlen(item->valuestring));
        wipe_texts(item);
    }
}

static struct acme_err read_enrolled(struct kf_context *ctx, const cJSON *info, struct enrolled *ret)
{
    const char *disposition = acme_kf_str(info, "RequestDisposition");
    const char *workflow = acme_kf_guid(info, "WorkflowInstanceId");
    const char *thumbprint = acme_kf_str(info, "Thumbprint");
    const cJSON *password = acme_kf_get(info, "Password");
    if (cJSON_IsString(password)) /* of a renewal, for certificate stores: nothing for us, nor for the log */
        ctx->secrets.text[3] = password->valuestring;
    *ret = (struct enrolled){
        .match = {.cert_id = acme_kf_int(info, "KeyfactorID"),
                  .request_id = acme_kf_int(info, "KeyfactorRequestId"),
                  .tagged = true},
        .status = acme_kf_status_of(disposition != NULL ? disposition : ""),
        .words = acme_upstream_quoted(ctx->arena, &ctx->secrets, acme_kf_str(info, "DispositionMessage")),
    };
    ENSURE(ret->words != NULL, ACME_E_NOMEM);
    if (workflow != NULL)
        memcpy(ret->match.workflow, workflow, KF_GUID_SIZE);
    if (thumbprint != NULL && strlen(thumbprint) == 40 && strspn(thumbprint, "0123456789abcdefABCDEF") == 40)
        ret->thumbprint = thumbprint;
    if (ret->match.cert_id < 0)
        ret->match.cert_id = 0;
    if (ret->match.request_id < 0)
        ret->match.request_id = 0;
    return read_certs(ctx, info, &ret->certs);
}

static struct acme_err issued(struct kf_context *ctx, struct enrolled *enrolled)
{
    struct kf_state *state = ctx->state;
    X509 *leaf = acme_kf_certs_leaf(&enrolled->certs, ctx->request->csr->spki_sha256);
    enrolled->match.request_id = 0;
    enrolled->match.workflow[0] = '\0';
    TRY(acme_kf_follow_enter(ctx, &enrolled->match));
    if (state->cert_id == 0)
        state->thumbprint = enrolled->thumbprint != NULL || leaf == NULL
                                ? enrolled->thumbprint
                                : acme_kf_thumbprint(ctx->arena, leaf);
    state->collect_since_ms = ctx->input->now_ms;
    if (enrolled->certs.count == 0)
        return acme_kf_collect_begin(ctx);
    return acme_kf_collect_take(ctx, &enrolled->certs);
}

static struct acme_err pending(struct kf_context *ctx, const struct enrolled *enrolled)
{
    TRY(acme_kf_follow_enter(ctx, &enrolled->match));
    const char *subject = acme_kf_subject(ctx);
    ENSURE(subject != NULL, ACME_E_NOMEM);
    return acme_kf_follow_wait(ctx, acme_arena_printf(ctx->arena, "Keyfactor %s %s%s.", subject,
                                                      enrolled->status->gist, enrolled->words));
}

/* A leaf with the CSR's key is a certificate whatever the disposition says. */
static struct acme_err take_reply(struct kf_context *ctx, const cJSON *info, bool *ret_taken)
{
    struct enrolled enrolled;
    TRY(read_enrolled(ctx, info, &enrolled));
    const struct kf_match *match = &enrolled.match;
    bool known = match->cert_id > 0 || enrolled.thumbprint != NULL || enrolled.certs.count > 0;
    bool waits = match->request_id > 0 || match->workflow[0] != '\0';
    bool ours = acme_kf_certs_leaf(&enrolled.certs, ctx->request->csr->spki_sha256) != NULL;
    *ret_taken = true;
    ctx->state->failures = 0;
    if (!ours && enrolled.status->class == KF_STATUS_FAILED)
        return acme_kf_fail(ctx, enrolled.status->problem, enrolled.status->detail,
                            acme_arena_printf(ctx->arena, "The request to Keyfactor %s%s.",
                                              enrolled.status->gist, enrolled.words));
    if (ours || (known && !(waits && match->cert_id == 0 && enrolled.certs.count == 0)))
        return issued(ctx, &enrolled);
    if (waits)
        return pending(ctx, &enrolled);
    *ret_taken = false;
    return acme_ok();
}

struct acme_err acme_kf_enroll_reply(struct kf_context *ctx)
{
    const struct acme_http_reply *reply = ctx->input->reply;
    bool renewal = ctx->state->call == KF_CALL_RENEW;
    cJSON *json = NULL;
    struct acme_err err = acme_reply_json(ctx->arena, reply, &json);
    if (err.code == ACME_E_NOMEM)
        return err;
    if (!acme_failed(err)) {
        const cJSON *info = acme_kf_get(json, "CertificateInformation");
        bool taken = false;
        if (renewal) /* before the tree itself is released */
            ENSURE(acme_arena_defer(ctx->arena, wipe_texts, json), ACME_E_NOMEM);
        TRY(take_reply(ctx, info != NULL ? info : json, &taken));
        if (taken)
            return acme_ok();
    }
    struct kf_verdict verdict;
    TRY(acme_kf_judge(ctx, renewal ? KF_AT_RENEW : KF_AT_ENROLL, &verdict));
    if (verdict.class != KF_VERDICT_UNKNOWN)
        return refused(ctx, &verdict);
    return open_outcome(ctx, verdict.note, verdict.tries);
}

struct acme_err acme_kf_enroll_failed(struct kf_context *ctx)
{
    struct kf_state *state = ctx->state;
    if (ctx->input->reached) {
        const char *sent = state->call == KF_CALL_RENEW ? "The renewal" : "The enrollment";
        const char *why = ctx->input->failure != NULL ? ctx->input->failure : "no answer";
        acme_kf_recover_enter(ctx, ctx->input->now_ms);
        why = acme_arena_printf(ctx->arena, "%s was sent but its outcome is not known: %s.", sent, why);
        ENSURE(why != NULL, ACME_E_NOMEM);
        return search_because(ctx, why);
    }
    state->sent_ms = 0;
    state->attempts--; /* nothing left this machine */
    return acme_kf_call_failed(ctx);
}
