/* The outcome of an enrollment or renewal is open (crash, time-out, 5xx, garbage), or a workflow is over and
 * does not say what it made: look for it before making another.
 *
 * A round reads the lists of enum kf_variant one after the other. Rounds repeat until Command has had long
 * enough to show what it may have accepted; only then the call is made again. */
#include "backends/keyfactor/kf_internal.h"

#include <string.h>
#include <strings.h>

enum { PAGE_SIZE = 50, MAX_PAGES = 40, MAX_REFUSALS = 5 };

/* Command gets this long to show what it accepted; doubled with every call made, so that a service which
 * answers 500 to each is not showered with requests. */
#define QUIET_FIRST_MS ACME_MINUTE_MS
#define QUIET_MAX_MS   (30 * ACME_MINUTE_MS)

/* A workflow that is complete shows its certificate after the next synchronization. */
#define COMPLETE_PATIENCE_MS ACME_DAY_MS

void acme_kf_recover_enter(struct kf_context *ctx, int64_t since_ms)
{
    struct kf_state *state = ctx->state;
    state->phase = KF_PHASE_RECOVER;
    state->call = KF_CALL_NONE;
    state->sent_ms = 0;
    state->unknown_since_ms = since_ms;
    state->search_rounds = 0;
}

/* Found by something to follow, not after an open outcome. */
static bool is_following(const struct kf_state *state)
{
    return state->workflow != NULL;
}

static bool applies(const struct kf_context *ctx, int64_t variant)
{
    bool following = is_following(ctx->state);
    switch (variant) {
    case KF_BY_TAG: /* a renewal has no metadata of its own */
    case KF_DENIED:
        return !ctx->state->renewing;
    case KF_BY_NEWEST:
        return ctx->request->csr->common_name == NULL;
    case KF_WORKFLOWS:
        return !following && !ctx->state->renewing;
    default:
        return true;
    }
}

static const char *query_of(struct kf_context *ctx)
{
    const struct acme_issue_request *request = ctx->request;
    struct acme_arena *arena = ctx->arena;
    const char *text = NULL;
    switch (ctx->state->variant) {
    case KF_BY_TAG:
        text = acme_arena_printf(arena, "%s -eq \"%s\"", ctx->kf->config.tag_field, request->tag);
        break;
    case KF_BY_NAME:
        text = acme_arena_printf(arena, "IssuedCN -eq \"%s\"", acme_request_common_name(request));
        break;
    case KF_PENDING:
    case KF_EXTERNAL:
    case KF_DENIED:
        if (request->csr->common_name == NULL)
            return "";
        text = acme_arena_printf(arena, "CommonName -eq \"%s\"", request->csr->common_name);
        break;
    default:
        return "";
    }
    return text != NULL ? acme_urlencode(arena, text) : NULL;
}

static const char *path_of(struct kf_context *ctx)
{
    static const char *const lists[KF_VARIANT_COUNT] = {
        [KF_PENDING] = "Pending", [KF_EXTERNAL] = "ExternalValidation", [KF_DENIED] = "Denied"};
    const struct kf_state *state = ctx->state;
    const char *query = query_of(ctx);
    const char *collection = acme_kf_collection(ctx, false);
    if (query == NULL || collection == NULL)
        return NULL;
    long long page = (long long)state->page;
    switch (state->variant) {
    case KF_BY_TAG:
    case KF_BY_NAME:
    case KF_BY_NEWEST:
        return acme_arena_printf(ctx->arena,
                                 "Certificates?%s%s%spq.includeRevoked=true&pq.includeExpired=true"
                                 "&includeMetadata=true&pq.sortField=Id&pq.sortAscending=1"
                                 "&pq.returnLimit=%d&pq.pageReturned=%lld%s",
                                 *query != '\0' ? "pq.queryString=" : "", query, *query != '\0' ? "&" : "",
                                 PAGE_SIZE, page, collection);
    case KF_WORKFLOWS:
        return acme_arena_printf(ctx->arena,
                                 "Workflow/Instances/My?SortField=StartDate&SortAscending=1"
                                 "&ReturnLimit=%d&PageReturned=%lld",
                                 PAGE_SIZE, page);
    default:
        return acme_arena_printf(ctx->arena,
                                 "Workflow/Certificates/%s?%s%s%spagedQuery.returnLimit=%d"
                                 "&pagedQuery.pageReturned=%lld",
                                 lists[state->variant], *query != '\0' ? "pagedQuery.queryString=" : "",
                                 query, *query != '\0' ? "&" : "", PAGE_SIZE, page);
    }
}

static struct acme_err call_list(struct kf_context *ctx)
{
    return acme_kf_call(ctx, KF_CALL_SEARCH, "GET", path_of(ctx), NULL,
                        is_following(ctx->state)
                            ? "Looking for what the Keyfactor workflow has made."
                            : "It is not known whether Keyfactor took the request; searching for it there.");
}

struct acme_err acme_kf_recover_begin(struct kf_context *ctx)
{
    struct kf_state *state = ctx->state;
    state->phase = KF_PHASE_RECOVER;
    state->variant = KF_BY_TAG;
    while (!applies(ctx, state->variant))
        state->variant++;
    state->page = 1;
    state->duplicates.count = 0;
    state->surplus.count = 0;
    state->match_count = 0;
    state->instance_count = 0;
    state->unjudged = 0;
    state->search_started_ms = ctx->input->now_ms;
    state->search_rounds++;
    return call_list(ctx);
}

/* ---- the end of a round ---- */

/* Nothing there of what a workflow has made. */
static struct acme_err not_shown(struct kf_context *ctx)
{
    struct kf_state *state = ctx->state;
    const char *subject = acme_kf_subject(ctx);
    ENSURE(subject != NULL, ACME_E_NOMEM);
    int64_t now_ms = ctx->input->now_ms;
    if (state->workflow_over && state->collect_since_ms == 0)
        state->collect_since_ms = now_ms;
    if (state->workflow_over && now_ms - state->collect_since_ms >= COMPLETE_PATIENCE_MS)
        return acme_kf_fail(ctx, ACME_PROBLEM_SERVER_INTERNAL,
                            "The certificate service completed the request but shows no certificate for it.",
                            acme_arena_printf(ctx->arena,
                                              "Keyfactor %s is complete, but no certificate came of it.",
                                              subject));
    return acme_kf_follow_wait(ctx, acme_arena_printf(ctx->arena,
                                                      "Keyfactor shows no certificate of %s yet; it may come "
                                                      "with its next synchronization with the CA.",
                                                      subject));
}

static struct acme_err search_over(struct kf_context *ctx)
{
    struct kf_state *state = ctx->state;
    if (is_following(state))
        return not_shown(ctx);
    int64_t quiet_ms = acme_pace_backoff_ms(QUIET_FIRST_MS, QUIET_MAX_MS, state->attempts - 1);
    if (state->unjudged > 0) /* one of them may be ours: that is worth a longer wait than an empty list */
        quiet_ms = QUIET_MAX_MS;
    if (state->search_started_ms - state->unknown_since_ms >= quiet_ms) {
        if (state->renewing)
            return acme_kf_renew_instead(ctx, "Keyfactor shows no trace of the renewal.", false);
        if (state->refusals >= MAX_REFUSALS)
            return acme_kf_fail(
                ctx, ACME_PROBLEM_SERVER_INTERNAL,
                "The certificate service has an internal problem; please try again later.",
                "Keyfactor answered every enrollment with an error and holds no request; gave up.");
        return acme_kf_enroll_begin(ctx);
    }
    TRY(acme_kf_wait_ms(ctx, acme_pace_search_ms(ctx->input->now_ms - state->unknown_since_ms, quiet_ms),
                        "Keyfactor shows nothing for this order so far; it will be searched again before "
                        "another request is made."));
    ctx->step->failure = state->search_rounds == 1;
    return acme_ok();
}

static bool is_better(const struct kf_match *match, const struct kf_match *than)
{
    if (match->failed != than->failed)
        return than->failed;
    if ((match->cert_id > 0) != (than->cert_id > 0))
        return match->cert_id > 0;
    return match->cert_id != than->cert_id ? match->cert_id < than->cert_id
                                           : match->request_id < than->request_id;
}

/* The rest goes: what is issued is revoked, what waits at the CA is denied. What only has the key may be
 * another order's of this client and is left alone; so is a workflow, whose approver will see two. */
static const char *sort_out(struct kf_context *ctx, const struct kf_match *kept, bool tagged)
{
    struct kf_state *state = ctx->state;
    const char *note = "";
    for (size_t i = 0; note != NULL && i < state->match_count; i++) {
        const struct kf_match *match = &state->matches[i];
        if (match == kept || !match->tagged || !tagged || match->failed)
            continue;
        if (match->cert_id > 0)
            acme_ids_add(&state->surplus, match->cert_id);
        else if (match->request_id > 0)
            acme_ids_add(&state->duplicates, match->request_id);
        if (match->cert_id > 0)
            note = acme_arena_printf(ctx->arena, "%s; certificate %lld is a duplicate and is being revoked",
                                     note, (long long)match->cert_id);
        else if (match->request_id > 0)
            note = acme_arena_printf(ctx->arena, "%s; request %lld is a duplicate and is being denied", note,
                                     (long long)match->request_id);
        else
            note = acme_arena_printf(ctx->arena, "%s; workflow %s is a duplicate: reject it there", note,
                                     match->workflow);
    }
    return note;
}

/* Several are possible when an enrollment surfaced only after the next one was sent. Kept is the oldest that
 * is issued, for that is paid, else the oldest that is still good. */
static struct acme_err choose_match(struct kf_context *ctx)
{
    struct kf_state *state = ctx->state;
    bool tagged = false;
    for (size_t i = 0; i < state->match_count; i++)
        tagged = tagged || state->matches[i].tagged;
    const struct kf_match *best = NULL;
    for (size_t i = 0; i < state->match_count; i++) {
        const struct kf_match *match = &state->matches[i];
        if (match->tagged == tagged && (best == NULL || is_better(match, best)))
            best = match;
    }
    ENSURE(best != NULL, ACME_E_INTERNAL);
    const char *others = sort_out(ctx, best, tagged);
    ENSURE(others != NULL, ACME_E_NOMEM);
    const struct kf_match kept = *best;
    TRY(acme_kf_follow_enter(ctx, &kept));
    const char *subject = acme_kf_subject(ctx);
    ENSURE(subject != NULL, ACME_E_NOMEM);
    if (kept.failed && kept.cert_id > 0)
        return acme_kf_fail(
            ctx, ACME_PROBLEM_SERVER_INTERNAL, "The certificate was revoked before it could be handed out.",
            acme_arena_printf(ctx->arena, "Keyfactor %s is this order's and was revoked.", subject));
    TRY(acme_kf_tidy(ctx));
    ctx->step->note = acme_arena_printf(ctx->arena, "Found it in Keyfactor as %s%s.", subject, others);
    ENSURE(ctx->step->note != NULL, ACME_E_NOMEM);
    return acme_ok();
}

/* ---- the lists ---- */

static struct acme_err look_at_instance(struct kf_context *ctx)
{
    const struct kf_state *state = ctx->state;
    const char *id = state->instances[state->instance_count - 1];
    return acme_kf_call(
        ctx, KF_CALL_INSTANCE, "GET", acme_arena_printf(ctx->arena, "Workflow/Instances/%s", id), NULL,
        acme_arena_printf(ctx->arena, "Looking whether Keyfactor workflow %s is this order's.", id));
}

/* The next list, else the round is over. One attempt can have left one thing only: the first is enough. */
static struct acme_err proceed(struct kf_context *ctx)
{
    struct kf_state *state = ctx->state;
    if (state->instance_count > 0)
        return look_at_instance(ctx);
    bool enough = state->match_count > 0 && state->attempts <= 1;
    state->page = 1;
    do
        state->variant++;
    while (state->variant < KF_VARIANT_COUNT && !applies(ctx, state->variant));
    if (!enough && state->variant < KF_VARIANT_COUNT)
        return call_list(ctx);
    return state->match_count > 0 ? choose_match(ctx) : search_over(ctx);
}

/* The login may see nothing of requests and workflows, and old releases know no workflows. */
static bool is_optional(const struct kf_context *ctx, const struct kf_verdict *verdict)
{
    int status = ctx->input->reply->status;
    if (ctx->state->variant < KF_PENDING)
        return ctx->state->variant == KF_BY_TAG && status == 400 && verdict->coded;
    return status == 403 || status == 404 || (status == 400 && verdict->coded);
}

static struct acme_err unreadable(struct kf_context *ctx)
{
    struct kf_verdict verdict;
    TRY(acme_kf_judge(ctx, KF_AT_LIST, &verdict));
    if (is_optional(ctx, &verdict)) {
        if (ctx->state->variant == KF_PENDING) /* what waits there cannot be seen */
            ctx->state->unjudged++;
        return proceed(ctx);
    }
    if (verdict.class == KF_VERDICT_CREDENTIALS)
        return acme_kf_wait_failure(ctx, ACME_LOGIN_FIRST_MS, ACME_LOGIN_MAX_MS, verdict.note);
    return acme_kf_wait_failure(ctx, ACME_BACKOFF_FIRST_MS, ACME_BACKOFF_MAX_MS, verdict.note);
}

struct acme_err acme_kf_search_reply(struct kf_context *ctx)
{
    struct kf_state *state = ctx->state;
    cJSON *list = NULL;
    struct acme_err err = acme_reply_json(ctx->arena, ctx->input->reply, &list);
    if (err.code == ACME_E_NOMEM)
        return err;
    if (acme_failed(err) || !cJSON_IsArray(list))
        return unreadable(ctx);
    state->failures = 0;
    int count = 0;
    bool old = false;
    const cJSON *row;
    cJSON_ArrayForEach(row, list)
    {
        TRY(acme_kf_row_take(ctx, row, &old));
        count++;
    }
    bool over = state->variant == KF_WORKFLOWS || (state->variant == KF_BY_NEWEST && old);
    if (count < PAGE_SIZE || over)
        return proceed(ctx);
    if (++state->page <= MAX_PAGES)
        return call_list(ctx);
    if (state->variant == KF_BY_NEWEST) /* what else is ours would have been found by its tag */
        return proceed(ctx);
    return acme_kf_wait_failure(ctx, ACME_BACKOFF_MAX_MS, ACME_BACKOFF_MAX_MS,
                                "Keyfactor lists too much for this name to be searched; no other request is "
                                "made. Remove what is not needed there.");
}

struct acme_err acme_kf_instance_reply(struct kf_context *ctx)
{
    struct kf_state *state = ctx->state;
    cJSON *json = NULL;
    struct acme_err err = acme_reply_json(ctx->arena, ctx->input->reply, &json);
    if (err.code == ACME_E_NOMEM)
        return err;
    if (state->instance_count == 0)
        return proceed(ctx);
    struct kf_match match = {.tagged = true};
    memcpy(match.workflow, state->instances[state->instance_count - 1], KF_GUID_SIZE);
    state->instance_count--;
    if (acme_failed(err)) {
        state->unjudged++;
        return proceed(ctx);
    }
    const char *text = acme_json_print(ctx->arena, json);
    ENSURE(text != NULL, ACME_E_NOMEM);
    const char *status = acme_kf_str(json, "Status");
    match.failed = status != NULL && acme_kf_status_of(status)->class == KF_STATUS_FAILED;
    if (strstr(text, ctx->request->tag) != NULL && state->match_count < KF_MATCHES_MAX)
        state->matches[state->match_count++] = match;
    return proceed(ctx);
}
