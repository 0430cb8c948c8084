/* The update of the enrollment: it makes CPS request a certificate. */
#include "backends/cps/cps_issue.h"

#include "base/b64url.h"
#include "base/buf.h"

#include <openssl/evp.h>
#include <string.h>
#include <strings.h>

enum { UPDATES_MAX = 5, UNCHANGED_TRIES = 3, SETTLE_MS = 10 * 1000 };
#define PENDING_MS (2 * ACME_MINUTE_MS)

static bool is_ordered(const struct cps_issue *issue, const char *name)
{
    for (size_t i = 0; i < issue->request->identifier_count; i++)
        if (strcasecmp(issue->request->identifiers[i].value, name) == 0)
            return true;
    return false;
}

static bool add_name(cJSON *list, const char *name)
{
    cJSON *item = cJSON_CreateString(name);
    return item != NULL && cJSON_AddItemToArray(list, item);
}

/* The object as it was read, with other SANs. */
static const char *update_body(struct cps_issue *issue)
{
    const struct cps_enrollment *enrollment = &issue->enrollment;
    cJSON *sans = cJSON_CreateArray();
    bool ok = sans != NULL;
    for (size_t i = 0; ok && i < enrollment->san_count; i++)
        if (is_ordered(issue, enrollment->sans[i]) ||
            strcasecmp(enrollment->sans[i], enrollment->common_name) == 0)
            ok = add_name(sans, enrollment->sans[i]);
    for (size_t i = 0; ok && i < issue->request->identifier_count; i++)
        if (!acme_cps_enrollment_has(enrollment, issue->request->identifiers[i].value))
            ok = add_name(sans, issue->request->identifiers[i].value);
    cJSON *csr = cJSON_GetObjectItemCaseSensitive(enrollment->json, "csr");
    if (!ok) {
        cJSON_Delete(sans);
        return NULL;
    }
    if (cJSON_GetObjectItemCaseSensitive(csr, "sans") != NULL)
        ok = cJSON_ReplaceItemInObjectCaseSensitive(csr, "sans", sans);
    else
        ok = cJSON_AddItemToObject(csr, "sans", sans);
    return ok ? acme_json_print(issue->ctx.arena, enrollment->json) : NULL;
}

static void add_parameter(struct acme_buf *out, const char *name, const char *value)
{
    if (value != NULL)
        acme_buf_printf(out, "%s%s=%s", memchr(out->data, '?', out->len) != NULL ? "&" : "?", name, value);
}

static const char *update_path(struct cps_issue *issue, bool force)
{
    struct acme_arena *arena = issue->ctx.arena;
    const struct acme_cps_profile *profile = issue->profile;
    const char *before = profile->deploy_not_before;
    const char *after = profile->deploy_not_after;
    const char *yes = "true";
    if ((before != NULL && (before = acme_urlencode(arena, before)) == NULL) ||
        (after != NULL && (after = acme_urlencode(arena, after)) == NULL))
        return NULL;
    bool cancels = profile->allow_cancel_pending_changes && issue->enrollment.pending_count > 0;
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, 2048);
    acme_buf_printf(&out, "/enrollments/%lld", (long long)issue->ctx.state->enrollment);
    if (acme_buf_cstr(&out) == NULL)
        return NULL;
    add_parameter(&out, "force-renewal", force ? yes : NULL);
    add_parameter(&out, "allow-cancel-pending-changes", cancels ? yes : NULL);
    add_parameter(&out, "allow-staging-bypass", profile->allow_staging_bypass ? yes : NULL);
    add_parameter(&out, "renewal-date-check-override", profile->renewal_date_check_override ? yes : NULL);
    add_parameter(&out, "allow-missing-certificate-addition",
                  profile->allow_missing_certificate_addition && issue->enrollment.third_party ? yes : NULL);
    add_parameter(&out, "deploy-not-before", before);
    add_parameter(&out, "deploy-not-after", after);
    const char *text = acme_buf_cstr(&out);
    return text != NULL ? acme_arena_strdup(arena, text) : NULL;
}

static struct acme_err remember(struct cps_issue *issue, const char *body)
{
    struct cps_state *state = issue->ctx.state;
    uint8_t digest[EVP_MAX_MD_SIZE];
    ENSURE(EVP_Digest(body, strlen(body), digest, NULL, EVP_sha256(), NULL) == 1, ACME_E_CRYPTO);
    state->body_sha256 = acme_hex_encode(issue->ctx.arena, digest, ACME_SHA256_SIZE, false);
    ENSURE(state->body_sha256 != NULL, ACME_E_NOMEM);
    state->known_count = 0;
    for (size_t i = 0; i < issue->enrollment.pending_count; i++)
        if (issue->enrollment.pending[i].id != 0)
            state->known[state->known_count++] = issue->enrollment.pending[i].id;
    state->sent_ms = issue->ctx.input->now_ms;
    state->missed_ms = 0;
    state->updates++;
    return acme_ok();
}

static struct acme_err gave_up(struct cps_issue *issue, const char *note)
{
    return acme_cps_fail(&issue->ctx, ACME_PROBLEM_SERVER_INTERNAL,
                         "Akamai CPS did not begin to issue a certificate although it was asked to.", note);
}

struct acme_err acme_cps_update_call(struct cps_issue *issue, const struct cps_names *names)
{
    struct cps_context *ctx = &issue->ctx;
    struct cps_state *state = ctx->state;
    if (state->updates >= UPDATES_MAX)
        return gave_up(issue,
                       acme_arena_printf(ctx->arena,
                                         "Enrollment %lld was updated %d times without a change that could "
                                         "be followed.",
                                         (long long)state->enrollment, UPDATES_MAX));
    bool force = names->added == 0 && names->removed == 0;
    const char *body = update_body(issue);
    ENSURE(body != NULL, ACME_E_NOMEM);
    TRY(remember(issue, body));
    state->forced = force;
    const char *what = force ? "for a new certificate with the same names"
                             : acme_arena_printf(ctx->arena, "with %zu name%s more and %zu less",
                                                 names->added, names->added == 1 ? "" : "s", names->removed);
    ENSURE(what != NULL, ACME_E_NOMEM);
    const struct cps_request request = {.call = CPS_CALL_UPDATE,
                                        .method = "PUT",
                                        .path = update_path(issue, force),
                                        .accept = "enrollment-status.v1",
                                        .content_type = "enrollment.v11",
                                        .body = body,
                                        .note = acme_arena_printf(ctx->arena, "Updating enrollment %lld %s.",
                                                                  (long long)state->enrollment, what)};
    TRY(acme_cps_call(ctx, &request));
    ctx->step->once = true;
    return acme_ok();
}

/* ---- what came of it ---- */

static bool is_known(const struct cps_state *state, int64_t change)
{
    for (size_t i = 0; i < state->known_count; i++)
        if (state->known[i] == change)
            return true;
    return false;
}

/* The change that a good reply names; 0: none. */
static int64_t change_of(const struct cps_state *state, const cJSON *json)
{
    int64_t change = 0;
    const cJSON *item;
    const cJSON *list = acme_json_get(json, "changes");
    cJSON_ArrayForEach(item, (cJSON_IsArray(list) ? list : NULL))
    {
        const char *location = cJSON_IsString(item) ? item->valuestring : acme_json_str(item, "location");
        int64_t id = acme_cps_last_id(location);
        if (id != 0 && !is_known(state, id))
            change = id;
    }
    return change;
}

static struct acme_err accepted(struct cps_issue *issue)
{
    struct cps_context *ctx = &issue->ctx;
    struct cps_state *state = ctx->state;
    cJSON *json = NULL;
    struct acme_err err = acme_cps_json(ctx, &json);
    ENSURE(err.code != ACME_E_NOMEM, ACME_E_NOMEM);
    int64_t change = acme_failed(err) ? 0 : change_of(state, json);
    state->failures = 0;
    if (change != 0) {
        acme_cps_follow_enter(issue, change, false);
        return acme_cps_wait_ms(ctx, ctx->config->poll_ms,
                                acme_arena_printf(ctx->arena, "CPS began change %lld.", (long long)change));
    }
    if (ctx->input->reply->status != 200 || acme_failed(err)) /* it shows among the pending ones */
        return acme_cps_wait_ms(ctx, SETTLE_MS,
                                "CPS took the update, but did not say which change it began.");
    state->sent_ms = 0;
    if (!state->forced) /* the names are there now; the certificate still has to be asked for */
        return acme_cps_wait_ms(ctx, SETTLE_MS,
                                "CPS took the names without a new certificate; asking for one now.");
    if (++state->refusals >= UNCHANGED_TRIES)
        return gave_up(issue, "CPS answered a forced renewal without beginning a change, several times.");
    return acme_cps_wait_failure(ctx, ACME_MINUTE_MS, ACME_BACKOFF_MAX_MS,
                                 "CPS answered a forced renewal without beginning a change.");
}

/* Does the refusal speak of a name of the order, or of names at all? */
static bool blames_names(const struct cps_issue *issue, const char *words)
{
    for (size_t i = 0; i < issue->request->identifier_count; i++)
        if (strcasestr(words, issue->request->identifiers[i].value) != NULL)
            return true;
    return strcasestr(words, "csr.sans") != NULL || strcasestr(words, "SAN ") != NULL;
}

static struct acme_err refused(struct cps_issue *issue, const struct cps_verdict *verdict)
{
    struct cps_context *ctx = &issue->ctx;
    const char *words = *verdict->words != '\0' ? verdict->words : "no reason given";
    return acme_cps_fail(
        ctx, blames_names(issue, words) ? ACME_PROBLEM_REJECTED_IDENTIFIER : ACME_PROBLEM_SERVER_INTERNAL,
        acme_arena_printf(ctx->arena, "Akamai CPS refuses the change of its enrollment: %s", words),
        verdict->note);
}

static struct acme_err unknown(struct cps_issue *issue, const char *note)
{
    return acme_cps_wait_failure(
        &issue->ctx, ACME_BACKOFF_FIRST_MS, ACME_BACKOFF_MAX_MS,
        acme_arena_printf(issue->ctx.arena, "%s Whether the update was made will be looked up.", note));
}

struct acme_err acme_cps_update_reply(struct cps_issue *issue)
{
    struct cps_context *ctx = &issue->ctx;
    struct cps_state *state = ctx->state;
    int status = ctx->input->reply->status;
    if (status >= 200 && status <= 299)
        return accepted(issue);
    struct cps_verdict verdict;
    TRY(acme_cps_judge(ctx, &verdict));
    if (verdict.class == CPS_VERDICT_TROUBLE)
        return unknown(issue, verdict.note);
    state->sent_ms = 0; /* refused in so many words: nothing was begun */
    state->updates--;
    switch (verdict.class) {
    case CPS_VERDICT_CONFLICT:
        return acme_cps_wait_failure(
            ctx, strcasestr(verdict.words, "invalid-enrollment-state") != NULL ? SETTLE_MS : PENDING_MS,
            2 * ACME_BACKOFF_MAX_MS, verdict.note);
    case CPS_VERDICT_REFUSED:
    case CPS_VERDICT_MISSING:
        return refused(issue, &verdict);
    default:
        return acme_cps_trouble(ctx, &verdict);
    }
}

struct acme_err acme_cps_update_failed(struct cps_issue *issue)
{
    struct cps_context *ctx = &issue->ctx;
    struct cps_verdict verdict;
    TRY(acme_cps_judge(ctx, &verdict));
    if (ctx->input->reached)
        return unknown(issue, verdict.note);
    ctx->state->sent_ms = 0; /* nothing left this machine */
    ctx->state->updates--;
    return acme_cps_trouble(ctx, &verdict);
}
