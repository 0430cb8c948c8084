/* An update was sent and its outcome is not known: a change that was not there before, for the order's names,
 * is ours, because nobody else of this server may touch the enrollment meanwhile. */
#include "backends/cps/cps_issue.h"

#include <string.h>
#include <strings.h>

#define QUIET_MS                                                                                             \
    (2 * ACME_MINUTE_MS) /* from the first look: when the update would show, had it been made                \
                          */
#define LOOK_MS   (20 * ACME_SECOND_MS)
#define LEEWAY_MS (30 * ACME_SECOND_MS) /* of clocks whose signatures are accepted */

static bool is_known(const struct cps_state *state, int64_t change)
{
    for (size_t i = 0; i < state->known_count; i++)
        if (state->known[i] == change)
            return true;
    return false;
}

struct acme_err acme_cps_recover(struct cps_issue *issue)
{
    struct cps_context *ctx = &issue->ctx;
    const struct cps_enrollment *enrollment = &issue->enrollment;
    struct cps_names names;
    acme_cps_names_compare(issue, &names);
    bool fits = names.added == 0 && names.removed == 0 && !names.without_common_name;
    for (size_t i = enrollment->pending_count; fits && i > 0; i--) {
        int64_t change = enrollment->pending[i - 1].id;
        if (change == 0 || is_known(ctx->state, change))
            continue;
        acme_cps_follow_enter(issue, change, false);
        return acme_cps_follow_begin(issue);
    }
    const struct cps_request request = {.call = CPS_CALL_HISTORY,
                                        .method = "GET",
                                        .path =
                                            acme_arena_printf(ctx->arena, "/enrollments/%lld/history/changes",
                                                              (long long)ctx->state->enrollment),
                                        .accept = "change-history.v5",
                                        .note = "Looking into the history of the enrollment for the change."};
    return acme_cps_call(ctx, &request);
}

/* The newest entry since then; NULL: none. */
static const cJSON *entry_since(const cJSON *json, int64_t since_ms)
{
    const cJSON *found = NULL;
    int64_t found_ms = 0;
    const cJSON *item;
    const cJSON *list = acme_json_get(json, "changes");
    cJSON_ArrayForEach(item, (cJSON_IsArray(list) ? list : NULL))
    {
        const char *text = acme_json_str(item, "createdOn");
        int64_t created_ms = 0;
        if (text == NULL || acme_failed(acme_rfc3339_parse(text, &created_ms)))
            continue;
        if (created_ms >= since_ms && created_ms >= found_ms) {
            found = item;
            found_ms = created_ms;
        }
    }
    return found;
}

static struct acme_err cancelled(struct cps_issue *issue)
{
    return acme_cps_fail(
        &issue->ctx, ACME_PROBLEM_SERVER_INTERNAL,
        "The change of the enrollment was cancelled at Akamai before a certificate was deployed.",
        "The history of the enrollment shows that the change was cancelled.");
}

/* Nothing is to be seen of the update. */
static struct acme_err not_made(struct cps_issue *issue)
{
    struct cps_context *ctx = &issue->ctx;
    struct cps_state *state = ctx->state;
    /* How long it was on its way, and CPS works on what we gave up, is not known. */
    if (state->missed_ms == 0)
        state->missed_ms = ctx->input->now_ms;
    if (ctx->input->now_ms < state->missed_ms + QUIET_MS)
        return acme_cps_wait_ms(ctx, LOOK_MS, "CPS shows no trace of the update yet; looking again.");
    state->sent_ms = 0;
    state->baseline = false; /* others may have changed it since */
    return acme_cps_read_begin(issue);
}

/* An adopted change may have been deployed before we saw what is: its certificates are not old ones then. */
static struct acme_err forget_own(struct cps_issue *issue, const cJSON *entry, bool *ret)
{
    struct cps_state *state = issue->ctx.state;
    struct cps_deployed own[CPS_OLD_MAX];
    size_t count = 0;
    TRY(acme_cps_certificates_read(&issue->ctx, entry, own, CPS_OLD_MAX, &count));
    size_t kept = 0;
    for (size_t i = 0; i < state->old_count; i++) {
        bool is_own = false;
        for (size_t k = 0; k < count; k++)
            is_own = is_own || strcmp(state->old[i], own[k].sha256) == 0;
        if (!is_own)
            state->old[kept++] = state->old[i];
    }
    *ret = kept < state->old_count;
    state->old_count = kept;
    return acme_ok();
}

static struct acme_err still_collecting(struct cps_issue *issue, const cJSON *entry, const char *status)
{
    struct cps_context *ctx = &issue->ctx;
    bool is_there = false;
    bool completed = status != NULL && strcasecmp(status, "completed") == 0;
    if (ctx->state->adopted && completed)
        TRY(forget_own(issue, entry, &is_there));
    if (is_there)
        return acme_cps_collect_begin(issue, "The change had been deployed when this server first looked.");
    /* Perhaps CPS had only mislaid the change, which then may ask for something. */
    if (!completed && ctx->state->change > 0)
        ctx->state->phase = CPS_PHASE_FOLLOW;
    return acme_cps_wait_ms(ctx, ctx->config->poll_max_ms,
                            "The change has ended, and its certificate is not deployed yet.");
}

/* The longer it takes, the rarer. */
static int64_t look_ms(const struct cps_context *ctx)
{
    int64_t delay_ms = (ctx->input->now_ms - ctx->state->sent_ms) / 10;
    if (delay_ms > ctx->config->poll_max_ms)
        delay_ms = ctx->config->poll_max_ms;
    return delay_ms > LOOK_MS ? delay_ms : LOOK_MS;
}

struct acme_err acme_cps_history_reply(struct cps_issue *issue)
{
    struct cps_context *ctx = &issue->ctx;
    struct cps_state *state = ctx->state;
    bool collecting = state->phase == CPS_PHASE_COLLECT;
    cJSON *json = NULL;
    struct acme_err err = acme_cps_json(ctx, &json);
    ENSURE(err.code != ACME_E_NOMEM, ACME_E_NOMEM);
    if (acme_failed(err) || ctx->input->reply->status != 200) {
        struct cps_verdict verdict;
        TRY(acme_cps_judge(ctx, &verdict));
        if (verdict.class != CPS_VERDICT_MISSING)
            return acme_cps_trouble(ctx, &verdict);
        json = NULL;
    }
    state->failures = 0;
    int64_t since_ms = (state->sent_ms != 0 ? state->sent_ms : state->began_ms) - LEEWAY_MS;
    if (collecting && state->adopted) /* began before we knew of it; it has ended, so it is the newest */
        since_ms = 0;
    const cJSON *entry = entry_since(json, since_ms);
    const char *status = acme_json_str(entry, "status");
    if (status != NULL && (strcasecmp(status, "cancelled") == 0 || strcasecmp(status, "canceled") == 0))
        return cancelled(issue);
    if (collecting)
        return still_collecting(issue, entry, status);
    if (entry == NULL)
        return not_made(issue);
    if (status != NULL && strcasecmp(status, "completed") == 0) {
        state->sent_ms = 0;
        return acme_cps_collect_begin(issue, "The change has ended meanwhile; reading its certificate.");
    }
    state->missed_ms = 0;
    return acme_cps_wait_ms(ctx, look_ms(ctx),
                            "The history shows the update, but its change is not listed yet.");
}
