/* An update was sent and its outcome is not known: a change that was not there before, for the order's names,
 * is ours, because nobody else of this server may touch the enrollment meanwhile. */
#include "backends/cps/cps_issue.h"

#include <strings.h>

#define QUIET_MS  (2 * ACME_MINUTE_MS) /* when the update would show, had it been made */
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
    if (ctx->input->now_ms < state->sent_ms + QUIET_MS)
        return acme_cps_wait_ms(ctx, LOOK_MS, "CPS shows no trace of the update yet; looking again.");
    state->sent_ms = 0;
    return acme_cps_read_begin(issue);
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
    const cJSON *entry = entry_since(json, since_ms);
    const char *status = acme_json_str(entry, "status");
    if (status != NULL && (strcasecmp(status, "cancelled") == 0 || strcasecmp(status, "canceled") == 0))
        return cancelled(issue);
    if (collecting)
        return acme_cps_wait_ms(ctx, ctx->config->poll_max_ms,
                                "The change has ended, and its certificate is not deployed yet.");
    if (entry == NULL)
        return not_made(issue);
    if (status != NULL && strcasecmp(status, "completed") == 0) {
        state->sent_ms = 0;
        return acme_cps_collect_begin(issue, "The change has ended meanwhile; reading its certificate.");
    }
    return acme_cps_wait_ms(ctx, LOOK_MS, "The history shows the update, but its change is not listed yet.");
}
