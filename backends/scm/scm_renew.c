/* Going on from an earlier certificate: renewing it, or giving it another key. Both are calls that must not
 * happen twice; what SCM refuses is enrolled anew. */
#include "backends/scm/scm_internal.h"

#include "base/b64url.h"
#include "base/buf.h"
#include "base/json_writer.h"

#include <string.h>
#include <strings.h>

enum { BODY_MAX_BYTES = 256 * 1024 };

int64_t acme_scm_earlier_id(const struct scm_context *ctx)
{
    int64_t ssl_id = 0;
    (void)acme_decimal(ctx->request->earlier.upstream_ref, &ssl_id);
    return ssl_id;
}

enum acme_earlier_use acme_scm_earlier_use(const struct scm_context *ctx)
{
    if (ctx->state->refused || !acme_scm_class_of(ctx->scm)->continues || acme_scm_earlier_id(ctx) == 0)
        return ACME_EARLIER_NONE;
    return ctx->request->earlier.use;
}

static char *finish_body(struct scm_context *ctx, const struct acme_buf *out)
{
    const char *text = acme_buf_cstr(out);
    return text != NULL ? acme_arena_strdup(ctx->arena, text) : NULL;
}

struct acme_err acme_scm_renew_call(struct scm_context *ctx, const char *csr_pem)
{
    long long ssl_id = (long long)acme_scm_earlier_id(ctx);
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, BODY_MAX_BYTES);
    struct acme_json_writer writer;
    acme_jw_init(&writer, &out);
    acme_jw_object(&writer, NULL);
    acme_jw_str(&writer, "csr", csr_pem);
    acme_scm_dcv_write(ctx, &writer);
    acme_jw_object_end(&writer);
    const char *body = finish_body(ctx, &out);
    ENSURE(body != NULL, ACME_E_NOMEM);
    return acme_scm_call(
        ctx, SCM_CALL_RENEW, "POST", acme_arena_printf(ctx->arena, "/renewById/%lld", ssl_id), body,
        acme_arena_printf(ctx->arena, "Renewing the certificate of SCM request %lld.", ssl_id));
}

struct acme_err acme_scm_replace_call(struct scm_context *ctx, const char *csr_pem)
{
    const struct acme_issue_request *request = ctx->request;
    long long ssl_id = (long long)acme_scm_earlier_id(ctx);
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, BODY_MAX_BYTES);
    struct acme_json_writer writer;
    acme_jw_init(&writer, &out);
    acme_jw_object(&writer, NULL);
    acme_jw_str(&writer, "csr", csr_pem);
    acme_jw_str(&writer, "reason", "The ACME client lost the key before it fetched the certificate.");
    acme_jw_str(&writer, "commonName", acme_request_common_name(request));
    acme_jw_array(&writer, "subjectAlternativeNames");
    for (size_t i = 0; i < request->identifier_count; i++)
        acme_jw_str(&writer, NULL, request->identifiers[i].value);
    acme_jw_array_end(&writer);
    acme_scm_dcv_write(ctx, &writer);
    acme_jw_object_end(&writer);
    const char *body = finish_body(ctx, &out);
    ENSURE(body != NULL, ACME_E_NOMEM);
    return acme_scm_call(
        ctx, SCM_CALL_REPLACE, "POST", acme_arena_printf(ctx->arena, "/replace/%lld", ssl_id), body,
        acme_arena_printf(
            ctx->arena, "Replacing the key of SCM request %lld, whose certificate nobody fetched.", ssl_id));
}

/* ---- the tag ---- */

struct acme_err acme_scm_comment_begin(struct scm_context *ctx, int64_t ssl_id)
{
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, BODY_MAX_BYTES);
    struct acme_json_writer writer;
    acme_jw_init(&writer, &out);
    acme_jw_object(&writer, NULL);
    const char *comments = acme_scm_comments(ctx);
    ENSURE(comments != NULL, ACME_E_NOMEM);
    acme_jw_int(&writer, "sslId", ssl_id);
    acme_jw_str(&writer, "comments", comments);
    acme_jw_object_end(&writer);
    const char *body = finish_body(ctx, &out);
    ENSURE(body != NULL, ACME_E_NOMEM);
    return acme_scm_call(
        ctx, SCM_CALL_COMMENT, "PUT", "", body,
        acme_arena_printf(ctx->arena, "SCM accepted the renewal as request %lld.", (long long)ssl_id));
}

/* The number is known and saved: the tag is for people, and for a search that will not be needed any more. */
struct acme_err acme_scm_comment_done(struct scm_context *ctx)
{
    bool done = ctx->input->event == ACME_EVENT_REPLY && ctx->input->reply->status >= 200 &&
                ctx->input->reply->status <= 299;
    return acme_scm_follow_wait(
        ctx,
        acme_arena_printf(ctx->arena, "SCM request %lld %s.", (long long)ctx->state->ssl_id,
                          done ? "carries this order's tag now"
                               : "keeps the comments of the request it renews: SCM did not change them"));
}

/* ---- a replace whose outcome is open ---- */

struct acme_err acme_scm_replaced_begin(struct scm_context *ctx)
{
    long long ssl_id = (long long)acme_scm_earlier_id(ctx);
    struct scm_state *state = ctx->state;
    state->unjudged = 0;
    state->search_started_ms = ctx->input->now_ms;
    state->search_rounds++;
    return acme_scm_call(
        ctx, SCM_CALL_REPLACED, "GET", acme_arena_printf(ctx->arena, "/%lld", ssl_id), NULL,
        acme_arena_printf(ctx->arena, "Looking whether SCM request %lld was replaced.", ssl_id));
}

/* One issuance at a time replaces a request, so another certificate there is this one's. */
static bool is_replaced(const struct scm_context *ctx, const struct scm_details *details, const char *hash)
{
    const char *serial = ctx->request->earlier.serial_hex;
    if (details->csr_sha256 != NULL)
        return strcasecmp(details->csr_sha256, hash) == 0;
    return details->status->class == SCM_STATUS_IN_FLIGHT ||
           (details->serial != NULL && serial != NULL && !acme_scm_same_serial(details->serial, serial));
}

struct acme_err acme_scm_replaced_reply(struct scm_context *ctx)
{
    int64_t ssl_id = acme_scm_earlier_id(ctx);
    struct scm_details details;
    struct acme_err err = acme_scm_details_read(ctx, ssl_id, &details);
    if (err.code == ACME_E_FORMAT) {
        struct scm_verdict verdict;
        TRY(acme_scm_judge(ctx, SCM_AT_DETAILS, &verdict));
        if (verdict.class == SCM_VERDICT_GONE && verdict.coded) { /* then there is nothing to replace */
            ctx->state->refused = true;
            return acme_scm_enroll_begin(ctx);
        }
        if (verdict.class == SCM_VERDICT_CREDENTIALS)
            return acme_scm_wait_failure(ctx, ACME_LOGIN_FIRST_MS, ACME_LOGIN_MAX_MS, verdict.note);
        return acme_scm_wait_failure(ctx, ACME_BACKOFF_FIRST_MS, ACME_BACKOFF_MAX_MS, verdict.note);
    }
    TRY(err);
    ctx->state->failures = 0;
    const char *hash = acme_hex_encode(ctx->arena, ctx->request->csr->sha256, ACME_SHA256_SIZE, true);
    ENSURE(hash != NULL, ACME_E_NOMEM);
    if (!is_replaced(ctx, &details, hash))
        return acme_scm_recover_search_over(ctx);
    acme_scm_follow_enter(ctx, ssl_id);
    ctx->state->replacing = true;
    ctx->state->locked_in = true;
    return acme_scm_follow_wait(
        ctx, acme_arena_printf(ctx->arena, "SCM took the new key for request %lld.", (long long)ssl_id));
}
