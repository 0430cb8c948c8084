/* Whose is it? Rows of Command's lists, held against the issuance. The key in the certificate decides; the
 * tag says so where there is no certificate yet. */
#include "backends/keyfactor/kf_internal.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* Clocks differ, and CAs date certificates back. */
#define CLOCK_SLACK_MS ACME_HOUR_MS
#define BACKDATED_MS   ACME_DAY_MS

struct acme_err acme_kf_row_key(struct kf_context *ctx, const cJSON *row, struct acme_cert_list *ret_certs,
                                int *ret)
{
    const char *content = acme_kf_str(row, "ContentBytes");
    struct acme_cert_list certs = {.count = 0};
    *ret = 0;
    if (content == NULL || *content == '\0')
        return acme_ok();
    struct acme_err err = acme_kf_certs_add(ctx->arena, content, &certs);
    if (err.code == ACME_E_NOMEM)
        return err;
    if (acme_failed(err) || certs.count == 0)
        return acme_ok();
    *ret = acme_cert_has_spki(certs.certs[0], ctx->request->csr->spki_sha256) ? 1 : -1;
    if (ret_certs != NULL)
        *ret_certs = certs;
    return acme_ok();
}

bool acme_kf_row_revoked(const cJSON *row)
{
    const char *text = acme_kf_str(row, "CertStateString");
    if (text != NULL)
        return strcasecmp(text, "Revoked") == 0;
    return acme_kf_str(row, "RevocationEffDate") != NULL;
}

/* The tag in a row: NULL when it has none. */
static const char *tag_of(const struct kf_context *ctx, const cJSON *row)
{
    const char *tag = acme_kf_str(acme_kf_get(row, "Metadata"), ctx->kf->config.tag_field);
    return tag != NULL && *tag != '\0' ? tag : NULL;
}

/* Since when something that the open call made can be there. */
static int64_t since_ms(const struct kf_context *ctx)
{
    int64_t created_ms = ctx->request->created_ms;
    return created_ms > 0 ? created_ms : ctx->state->unknown_since_ms;
}

static struct acme_err is_taken(struct kf_context *ctx, const char *ref, bool *ret)
{
    const struct acme_issue_request *request = ctx->request;
    ENSURE(ref != NULL, ACME_E_NOMEM);
    *ret = request->is_taken != NULL && request->is_taken(request->is_taken_context, ref);
    return acme_ok();
}

static void add_match(struct kf_context *ctx, struct kf_match match)
{
    struct kf_state *state = ctx->state;
    for (size_t i = 0; i < state->match_count; i++) {
        const struct kf_match *known = &state->matches[i];
        if ((match.cert_id > 0 && known->cert_id == match.cert_id) ||
            (match.cert_id == 0 && match.request_id > 0 && known->request_id == match.request_id))
            return;
    }
    if (state->match_count < KF_MATCHES_MAX)
        state->matches[state->match_count++] = match;
}

static bool is_recent(const struct kf_context *ctx, const cJSON *row)
{
    int64_t imported_ms = acme_kf_time(row, "ImportDate");
    int64_t begins_ms = acme_kf_time(row, "NotBefore");
    if (imported_ms != 0 && imported_ms < since_ms(ctx) - CLOCK_SLACK_MS)
        return false;
    return begins_ms == 0 || begins_ms >= since_ms(ctx) - BACKDATED_MS;
}

/* A renewal has no tag of its own: Command may give it that of the certificate before. */
static bool is_inherited(const struct kf_context *ctx, const char *tag)
{
    const char *earlier = ctx->request->earlier.tag;
    return ctx->state->renewing && tag != NULL && earlier != NULL && strcmp(tag, earlier) == 0;
}

/* Only the key is ours: so is every certificate this client ever had with it. */
static struct acme_err is_ours_by_key(struct kf_context *ctx, const cJSON *row, int64_t cert_id, bool *ret)
{
    const struct acme_earlier *earlier = &ctx->request->earlier;
    const char *tag = tag_of(ctx, row);
    const char *serial = acme_kf_str(row, "SerialNumber");
    *ret = false;
    if ((tag != NULL && !is_inherited(ctx, tag)) || !is_recent(ctx, row) ||
        cert_id == acme_kf_earlier_id(ctx))
        return acme_ok();
    if (serial != NULL && earlier->serial_hex != NULL && strcasecmp(serial, earlier->serial_hex) == 0)
        return acme_ok();
    bool taken = false;
    TRY(is_taken(ctx, acme_arena_printf(ctx->arena, "%lld", (long long)cert_id), &taken));
    *ret = !taken;
    return acme_ok();
}

static struct acme_err take_certificate(struct kf_context *ctx, const cJSON *row, bool *ret_old)
{
    int64_t cert_id = acme_kf_int(row, "Id");
    const char *tag = tag_of(ctx, row);
    bool tagged = tag != NULL && strcmp(tag, ctx->request->tag) == 0;
    bool ours = false;
    int key = 0;
    if (cert_id <= 0)
        return acme_ok();
    *ret_old = !is_recent(ctx, row);
    TRY(acme_kf_row_key(ctx, row, NULL, &key));
    /* A renewal by somebody else, with another key, may carry on our tag. */
    tagged = tagged && key >= 0;
    if (!tagged && key > 0)
        TRY(is_ours_by_key(ctx, row, cert_id, &ours));
    if (tagged || ours)
        add_match(ctx, (struct kf_match){.cert_id = cert_id,
                                         .tagged = tagged || ctx->state->renewing,
                                         .failed = acme_kf_row_revoked(row)});
    return acme_ok();
}

static struct acme_err take_request(struct kf_context *ctx, const cJSON *row)
{
    struct kf_state *state = ctx->state;
    int64_t request_id = acme_kf_int(row, "Id");
    const char *tag = tag_of(ctx, row);
    if (request_id <= 0)
        return acme_ok();
    if (tag != NULL && strcmp(tag, ctx->request->tag) == 0) {
        add_match(ctx, (struct kf_match){
                           .request_id = request_id, .tagged = true, .failed = state->variant == KF_DENIED});
        return acme_ok();
    }
    const char *name = acme_kf_str(row, "CommonName");
    int64_t submitted_ms = acme_kf_time(row, "SubmissionDate");
    bool inherits = is_inherited(ctx, tag);
    if ((tag != NULL && !inherits) || state->variant == KF_DENIED || name == NULL ||
        strcasecmp(name, acme_request_common_name(ctx->request)) != 0 ||
        (submitted_ms != 0 && submitted_ms < since_ms(ctx) - CLOCK_SLACK_MS))
        return acme_ok();
    bool taken = false;
    TRY(is_taken(ctx, acme_arena_printf(ctx->arena, "request-%lld", (long long)request_id), &taken));
    if (!taken && inherits) /* perhaps somebody else's renewal: its key will tell */
        add_match(ctx, (struct kf_match){.request_id = request_id});
    else if (!taken) /* its metadata may be written later, and its key is not shown */
        state->unjudged++;
    return acme_ok();
}

static void take_workflow(struct kf_context *ctx, const cJSON *row)
{
    struct kf_state *state = ctx->state;
    const char *id = acme_kf_guid(row, "Id");
    int64_t started_ms = acme_kf_time(row, "StartDate");
    if (id == NULL || (started_ms != 0 && started_ms < since_ms(ctx) - CLOCK_SLACK_MS))
        return;
    if (state->instance_count == KF_INSTANCES_MAX)
        state->unjudged++;
    else
        memcpy(state->instances[state->instance_count++], id, KF_GUID_SIZE);
}

struct acme_err acme_kf_row_take(struct kf_context *ctx, const cJSON *row, bool *ret_old)
{
    *ret_old = false;
    switch (ctx->state->variant) {
    case KF_BY_TAG:
    case KF_BY_NAME:
    case KF_BY_NEWEST:
        return take_certificate(ctx, row, ret_old);
    case KF_WORKFLOWS:
        take_workflow(ctx, row);
        return acme_ok();
    default:
        return take_request(ctx, row);
    }
}
