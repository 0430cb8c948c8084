/* The outcome of an enroll is open (crash, timeout, 5xx, garbage): look for the request before making
 * another.
 *
 * A round lists the certificates with our common name, reads the details of each not seen before, and takes
 * what carries our tag, or our very CSR. Rounds repeat until SCM has had long enough to show what it may have
 * accepted; only then the enroll is sent again. The list cannot be filtered by comments. */
#include "backends/scm/scm_internal.h"

#include "base/b64url.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { PAGE_SIZE = 200, MAX_POSITION = 100000, MAX_REFUSALS = 5, TIDY_TRIES = 5 };

/* SCM gets this long to show an accepted request; doubled with every enroll sent, so that a service which
 * answers 500 to each is not showered with requests. */
#define QUIET_FIRST_MS ACME_MINUTE_MS
#define QUIET_MAX_MS   (30 * ACME_MINUTE_MS)

/* The searches, narrow to wide. The next one is made when the one before found nothing of ours. */
enum variant {
    BY_NAME_VIA_REST, /* the usual one, where the class's lists know sources */
    BY_NAME,          /* in case this tenant calls the API by another name */
    BY_ALT_NAME,      /* for a CSR without CN, where SCM chose the common name itself */
    BY_PROFILE,       /* the same, where lists know no alternative names: the newest of the profile */
    BY_UNICODE_NAME,  /* for an internationalised name, in case SCM keeps it as people read it */
    VARIANT_COUNT
};

/* SCM may show such a name in another form; then the details alone tell. */
static bool is_internationalised(const char *name)
{
    return strncasecmp(name, "xn--", 4) == 0 || strcasestr(name, ".xn--") != NULL;
}

static bool applies(const struct scm_context *ctx, int64_t variant)
{
    bool names = acme_scm_class_of(ctx->scm)->lists_names;
    bool unnamed = ctx->request->csr->common_name == NULL && ctx->request->identifier_count > 0;
    switch (variant) {
    case BY_NAME_VIA_REST:
        return names;
    case BY_ALT_NAME:
        return names && unnamed;
    case BY_PROFILE:
        return !names && unnamed;
    case BY_UNICODE_NAME:
        return is_internationalised(acme_request_common_name(ctx->request));
    default:
        return true;
    }
}

void acme_scm_recover_enter(struct scm_context *ctx, int64_t since_ms)
{
    struct scm_state *state = ctx->state;
    state->phase = SCM_PHASE_RECOVER;
    state->call = SCM_CALL_NONE;
    state->enroll_sent_ms = 0;
    state->unknown_since_ms = since_ms;
    state->search_rounds = 0;
}

/* What the list is filtered by. */
static const char *filter(struct scm_context *ctx)
{
    const struct acme_scm_config *config = &ctx->scm->config;
    if (ctx->state->variant == BY_PROFILE)
        return acme_arena_printf(ctx->arena, "certTypeId=%lld", (long long)config->profile_id);
    bool by_alt_name = ctx->state->variant == BY_ALT_NAME;
    const char *name =
        by_alt_name ? ctx->request->identifiers[0].value : acme_request_common_name(ctx->request);
    if (ctx->state->variant == BY_UNICODE_NAME)
        name = acme_name_to_unicode(ctx->arena, name);
    const char *escaped = name != NULL ? acme_urlencode(ctx->arena, name) : NULL;
    if (escaped == NULL)
        return NULL;
    return acme_arena_printf(ctx->arena, "%s=%s", by_alt_name ? "subjectAlternativeName" : "commonName",
                             escaped);
}

static struct acme_err call_list(struct scm_context *ctx)
{
    const struct scm_state *state = ctx->state;
    const char *filtered = filter(ctx);
    ENSURE(filtered != NULL, ACME_E_NOMEM);
    const char *path = acme_arena_printf(ctx->arena, "?%s&orgId=%lld%s&size=%d&position=%lld", filtered,
                                         (long long)ctx->scm->config.org_id,
                                         state->variant == BY_NAME_VIA_REST ? "&requestedVia=REST" : "",
                                         PAGE_SIZE, (long long)state->position);
    return acme_scm_call(ctx, SCM_CALL_LIST, "GET", path, NULL,
                         "It is not known whether SCM took the enroll; searching for the request there.");
}

struct acme_err acme_scm_recover_begin(struct scm_context *ctx)
{
    struct scm_state *state = ctx->state;
    if (acme_scm_earlier_use(ctx) == ACME_EARLIER_REPLACE) /* its number is known */
        return acme_scm_replaced_begin(ctx);
    state->variant = applies(ctx, BY_NAME_VIA_REST) ? BY_NAME_VIA_REST : BY_NAME;
    state->position = 0;
    state->current = 0;
    state->candidates.count = 0;
    state->duplicates.count = 0;
    state->surplus.count = 0;
    state->match_count = 0;
    state->unjudged = 0;
    state->search_started_ms = ctx->input->now_ms;
    state->search_rounds++;
    return call_list(ctx);
}

/* ---- the end of a round ---- */

struct acme_err acme_scm_recover_search_over(struct scm_context *ctx)
{
    struct scm_state *state = ctx->state;
    int64_t quiet_ms = acme_pace_backoff_ms(QUIET_FIRST_MS, QUIET_MAX_MS, state->enroll_attempts - 1);
    if (state->unjudged > 0) /* one of them may be ours: that is worth a longer wait than an empty list */
        quiet_ms = QUIET_MAX_MS;
    if (state->search_started_ms - state->unknown_since_ms >= quiet_ms) {
        bool continued = acme_scm_earlier_use(ctx) != ACME_EARLIER_NONE;
        if (state->refusals >= MAX_REFUSALS && continued) {
            state->refused = true;
            state->refusals = 0;
        }
        if (state->refusals >= MAX_REFUSALS)
            return acme_scm_fail(ctx, ACME_PROBLEM_SERVER_INTERNAL,
                                 "The certificate service has an internal problem; please try again later.",
                                 "SCM answered every enroll with an error and holds no request; gave up.");
        return acme_scm_enroll_begin(ctx);
    }
    int64_t delay_ms = acme_pace_search_ms(ctx->input->now_ms - state->unknown_since_ms, quiet_ms);
    TRY(acme_scm_wait_ms(
        ctx, delay_ms,
        "SCM shows no request for this order so far; it will be searched again before another "
        "enroll is sent."));
    ctx->step->failure = state->search_rounds == 1;
    return acme_ok();
}

/* What waits is declined, what is issued revoked. A number leaves its list with the answer. */
static struct acme_err call_decline(struct scm_context *ctx, const char *note)
{
    const struct scm_state *state = ctx->state;
    if (state->duplicates.count == 0)
        return acme_scm_call(
            ctx, SCM_CALL_UNDO, "POST",
            acme_arena_printf(ctx->arena, "%s%lld", acme_scm_class_of(ctx->scm)->revoke,
                              (long long)state->surplus.id[0]),
            "{\"reasonCode\":4,\"reason\":\"Duplicate of another request by the same ACME order.\"}", note);
    return acme_scm_call(ctx, SCM_CALL_DECLINE, "POST",
                         acme_arena_printf(ctx->arena, "/decline/%lld", (long long)state->duplicates.id[0]),
                         "{\"message\":\"Duplicate of another request by the same ACME order.\"}", note);
}

struct acme_err acme_scm_recover_tidy(struct scm_context *ctx)
{
    if (ctx->state->duplicates.count + ctx->state->surplus.count == 0)
        return acme_scm_follow_begin(ctx);
    return call_decline(ctx, acme_arena_printf(ctx->arena, "SCM holds duplicates of request %lld.",
                                               (long long)ctx->state->ssl_id));
}

static bool is_better(const struct scm_match *match, const struct scm_match *than)
{
    if (match->failed != than->failed)
        return than->failed;
    if (match->issued != than->issued)
        return match->issued;
    return match->ssl_id < than->ssl_id;
}

/* Several requests are possible when an enroll surfaced only after the next one was sent. Kept is the oldest
 * that is issued, for that is paid, else the oldest that is still good. A request that merely has the same
 * CSR may belong to another order of the client: never declined. */
static struct acme_err choose_match(struct scm_context *ctx)
{
    struct scm_state *state = ctx->state;
    bool tagged = false;
    for (size_t i = 0; i < state->match_count; i++)
        tagged = tagged || state->matches[i].tagged;
    const struct scm_match *kept = NULL;
    for (size_t i = 0; i < state->match_count; i++) {
        const struct scm_match *match = &state->matches[i];
        if (match->tagged != tagged)
            continue;
        if (kept == NULL || is_better(match, kept))
            kept = match;
    }
    ENSURE(kept != NULL, ACME_E_INTERNAL);

    const char *note =
        acme_arena_printf(ctx->arena, "Found the request in SCM as number %lld", (long long)kept->ssl_id);
    for (size_t i = 0; i < state->match_count; i++) {
        const struct scm_match *match = &state->matches[i];
        if (match == kept || !match->tagged || match->failed)
            continue;
        acme_ids_add(match->issued ? &state->surplus : &state->duplicates, match->ssl_id);
        ENSURE(note != NULL, ACME_E_NOMEM);
        note = acme_arena_printf(
            ctx->arena, "%s; number %lld is a duplicate and %s", note, (long long)match->ssl_id,
            match->issued ? "issued already, so it is being revoked" : "is being declined");
    }
    ENSURE(note != NULL, ACME_E_NOMEM);
    note = acme_arena_printf(ctx->arena, "%s.", note);
    ENSURE(note != NULL, ACME_E_NOMEM);

    bool by_csr = !kept->tagged && acme_scm_earlier_use(ctx) == ACME_EARLIER_NONE;
    acme_scm_follow_enter(ctx, kept->ssl_id);
    state->by_csr = by_csr;
    if (state->duplicates.count + state->surplus.count > 0)
        return call_decline(ctx, note);
    TRY(acme_scm_follow_begin(ctx));
    ctx->step->note = note;
    return acme_ok();
}

struct acme_err acme_scm_recover_declined(struct scm_context *ctx)
{
    struct scm_state *state = ctx->state;
    bool undo = state->call == SCM_CALL_UNDO;
    const struct acme_http_reply *reply = ctx->input->event == ACME_EVENT_REPLY ? ctx->input->reply : NULL;
    bool passing = reply == NULL || reply->status == 429 || reply->status >= 500;
    if (passing && state->failures < TIDY_TRIES - 1)
        return acme_scm_wait_failure(ctx, ACME_BACKOFF_FIRST_MS, ACME_BACKOFF_MAX_MS,
                                     undo ? "SCM did not revoke a duplicate certificate yet."
                                          : "SCM did not decline a duplicate request yet.");
    state->failures = 0;
    (void)acme_ids_pop(undo ? &state->surplus : &state->duplicates);
    const char *note =
        undo ? "A duplicate certificate was revoked in SCM." : "A duplicate request was declined in SCM.";
    if (reply == NULL || reply->status < 200 || reply->status > 299)
        note = undo ? "SCM did not revoke a duplicate certificate; revoke it there by hand."
                    : "SCM did not decline a duplicate request; decline or revoke it there by hand.";
    if (state->duplicates.count + state->surplus.count > 0)
        return call_decline(ctx, note);
    TRY(acme_scm_follow_begin(ctx));
    ctx->step->note = note;
    return acme_ok();
}

/* The next candidate's details, else the next variant, else the round is over. */
static struct acme_err proceed(struct scm_context *ctx)
{
    struct scm_state *state = ctx->state;
    state->current = acme_ids_pop(&state->candidates);
    if (state->current > 0)
        return acme_scm_call(ctx, SCM_CALL_CANDIDATE, "GET",
                             acme_arena_printf(ctx->arena, "/%lld", (long long)state->current), NULL,
                             acme_arena_printf(ctx->arena,
                                               "Looking whether SCM request %lld is this order's.",
                                               (long long)state->current));
    if (state->match_count > 0)
        return choose_match(ctx);
    state->position = 0;
    do
        state->variant++;
    while (state->variant < VARIANT_COUNT && !applies(ctx, state->variant));
    if (state->variant >= VARIANT_COUNT)
        return acme_scm_recover_search_over(ctx);
    return call_list(ctx);
}

static struct acme_err wait_and_search_again(struct scm_context *ctx, const struct scm_verdict *verdict)
{
    if (verdict->class == SCM_VERDICT_CREDENTIALS)
        return acme_scm_wait_failure(ctx, ACME_LOGIN_FIRST_MS, ACME_LOGIN_MAX_MS, verdict->note);
    return acme_scm_wait_failure(ctx, ACME_BACKOFF_FIRST_MS, ACME_BACKOFF_MAX_MS, verdict->note);
}

/* ---- the list ---- */

int64_t acme_scm_total_count(const struct acme_http_reply *reply)
{
    const char *text = acme_http_reply_header(reply, "x-total-count");
    if (text == NULL || *text == '\0' || strlen(text) > 12 || strspn(text, "0123456789") != strlen(text))
        return -1;
    return strtoll(text, NULL, 10);
}

static void take_candidates(struct scm_context *ctx, const cJSON *list)
{
    struct scm_state *state = ctx->state;
    const char *wanted = acme_request_common_name(ctx->request);
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        int64_t ssl_id = 0;
        const char *name = acme_json_str(item, "commonName");
        if (!acme_scm_json_int(item, acme_scm_class_of(ctx->scm)->id_listed, &ssl_id) || ssl_id <= 0)
            continue;
        /* The filter may be a substring match. */
        if (state->variant < BY_ALT_NAME && name != NULL && !is_internationalised(wanted) &&
            strcasecmp(name, wanted) != 0)
            continue;
        if (!acme_ids_have(&state->ruled_out, ssl_id))
            acme_ids_add(&state->candidates, ssl_id);
    }
}

struct acme_err acme_scm_recover_list_reply(struct scm_context *ctx)
{
    const struct acme_http_reply *reply = ctx->input->reply;
    struct scm_state *state = ctx->state;
    cJSON *list = NULL;
    struct acme_err err = acme_err(ACME_E_FORMAT);
    if (reply->status >= 200 && reply->status <= 299 && reply->body.len > 0)
        err = acme_json_parse(ctx->arena, (const char *)reply->body.data, reply->body.len, &list);
    if (err.code == ACME_E_NOMEM)
        return err;
    if (acme_failed(err) || !cJSON_IsArray(list)) {
        struct scm_verdict verdict;
        TRY(acme_scm_judge(ctx, SCM_AT_LIST, &verdict));
        /* SCM itself refuses a filter: the search by plain name is the one that counts. */
        bool optional = state->variant != BY_NAME && verdict.coded && verdict.class == SCM_VERDICT_RETRY;
        if (optional && reply->status >= 400 && reply->status <= 499 && reply->status != 429) {
            if (state->variant >= BY_ALT_NAME) /* of a CSR without CN: the one search that surely finds it */
                state->unjudged++;
            return proceed(ctx);
        }
        return wait_and_search_again(ctx, &verdict);
    }
    state->failures = 0;
    take_candidates(ctx, list);

    int count = cJSON_GetArraySize(list);
    int64_t total = acme_scm_total_count(reply);
    state->position += count;
    bool more = count > 0 && (total >= 0 ? state->position < total : count >= PAGE_SIZE);
    if (!more)
        return proceed(ctx);
    if (state->position < MAX_POSITION)
        return call_list(ctx);
    return acme_scm_wait_failure(
        ctx, ACME_BACKOFF_MAX_MS, ACME_BACKOFF_MAX_MS,
        "SCM lists too many certificates for this name to be searched; no other enroll "
        "is sent. Decline or remove what is not needed there.");
}

/* ---- candidates ---- */

/* Clients re-use CSRs, so one may have been sent weeks ago: adopting that would hand out an old certificate.
 * The day has to fit, as far as it is shown; of an issued one it must be. The time zone of that day is not
 * known.
 */
static bool is_recent(const struct scm_context *ctx, const struct scm_details *details)
{
    int64_t since_ms = ctx->request->created_ms > 0 ? ctx->request->created_ms : ctx->state->unknown_since_ms;
    if (details->requested_day_ms > 0)
        return (details->status->class == SCM_STATUS_IN_FLIGHT ||
                details->status->class == SCM_STATUS_ISSUED) &&
               details->requested_day_ms + 2 * ACME_DAY_MS > since_ms &&
               details->requested_day_ms < ctx->input->now_ms + 2 * ACME_DAY_MS;
    return details->status->class == SCM_STATUS_IN_FLIGHT;
}

static struct acme_err is_taken(const struct scm_context *ctx, int64_t ssl_id, bool *ret)
{
    const struct acme_issue_request *request = ctx->request;
    const char *ref = acme_arena_printf(ctx->arena, "%lld", (long long)ssl_id);
    ENSURE(ref != NULL, ACME_E_NOMEM);
    *ret = request->is_taken != NULL && request->is_taken(request->is_taken_context, ref);
    return acme_ok();
}

/* A renewed request carries the tag of the one it renews, until we change that. */
static bool is_renewed(const struct scm_context *ctx, const char *comments)
{
    const char *tag = ctx->request->earlier.tag;
    return acme_scm_earlier_use(ctx) == ACME_EARLIER_RENEW && tag != NULL &&
           ctx->state->current != acme_scm_earlier_id(ctx) && acme_scm_comments_have_tag(comments, tag);
}

/* The one it renews may carry the tag of one before it, if SCM did not let us change that. */
static bool may_inherit(const struct scm_context *ctx)
{
    return acme_scm_earlier_use(ctx) == ACME_EARLIER_RENEW && ctx->state->current > acme_scm_earlier_id(ctx);
}

struct acme_err acme_scm_recover_candidate_reply(struct scm_context *ctx)
{
    struct scm_state *state = ctx->state;
    struct scm_details details;
    struct acme_err err = acme_scm_details_read(ctx, state->current, &details);
    if (err.code == ACME_E_FORMAT) {
        struct scm_verdict verdict;
        TRY(acme_scm_judge(ctx, SCM_AT_DETAILS, &verdict));
        if (verdict.class == SCM_VERDICT_GONE) { /* not readable yet, or removed: the next round asks again */
            state->unjudged++;
            return proceed(ctx);
        }
        return wait_and_search_again(ctx, &verdict);
    }
    TRY(err);
    state->failures = 0;

    const char *hash = acme_hex_encode(ctx->arena, ctx->request->csr->sha256, ACME_SHA256_SIZE, true);
    ENSURE(hash != NULL, ACME_E_NOMEM);
    const char *comments = details.comments != NULL ? details.comments : "";
    bool tagged = acme_scm_comments_have_tag(comments, ctx->request->tag);
    bool same_csr = details.csr_sha256 != NULL && strcasecmp(details.csr_sha256, hash) == 0;
    if (is_renewed(ctx, comments) && is_recent(ctx, &details)) {
        tagged = same_csr;
        same_csr = details.csr_sha256 == NULL; /* an older SCM: nobody else renews that request */
    } else {
        bool others = acme_scm_comments_have_other_tag(comments, ctx->request->tag) && !may_inherit(ctx);
        same_csr = same_csr && !others && is_recent(ctx, &details);
    }
    if (same_csr && !tagged) {
        bool taken = false;
        TRY(is_taken(ctx, state->current, &taken));
        same_csr = !taken;
    }
    if ((tagged || same_csr) && state->match_count < SCM_MAX_MATCHES) {
        state->matches[state->match_count++] =
            (struct scm_match){.ssl_id = state->current,
                               .tagged = tagged,
                               .failed = details.status->class == SCM_STATUS_FAILED,
                               .issued = details.status->class == SCM_STATUS_ISSUED ||
                                         details.status->class == SCM_STATUS_REPLACED};
    } else if (comments[strspn(comments, " ")] != '\0' || details.csr_sha256 != NULL) {
        acme_ids_add(&state->ruled_out, state->current);
    } else { /* the record is still being filled in: look again */
        state->unjudged++;
    }
    return proceed(ctx);
}
