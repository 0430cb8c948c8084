/* The saved state as JSON. */
#include "backends/scm/scm_internal.h"

#include <stddef.h>

static const char *const phase_names[SCM_PHASE_COUNT] = {"enroll", "recover", "follow", "collect", "revoke"};
static const char *const call_names[SCM_CALL_COUNT] = {
    "",       "enroll", "list",    "candidate", "decline", "details",  "collect", "issuers",
    "revoke", "renew",  "replace", "replaced",  "comment", "withdraw", "undo",    "dcv"};

#define MEMBER(kind, member, json)                                                                           \
    {                                                                                                        \
        json, ACME_SAVED_##kind, offsetof(struct scm_state, member)                                          \
    }
static const struct acme_saved_member members[] = {
    MEMBER(NUMBER, ssl_id, "sslId"),
    MEMBER(NUMBER, enroll_sent_ms, "enrollSentAt"),
    MEMBER(NUMBER, enroll_attempts, "enrollAttempts"),
    MEMBER(NUMBER, refusals, "refusals"),
    MEMBER(NUMBER, accepted_ms, "acceptedAt"),
    MEMBER(NUMBER, unknown_since_ms, "unknownSince"),
    MEMBER(NUMBER, search_started_ms, "searchStartedAt"),
    MEMBER(NUMBER, search_rounds, "searchRounds"),
    MEMBER(NUMBER, unjudged, "unjudged"),
    MEMBER(NUMBER, polls, "polls"),
    MEMBER(NUMBER, failures, "failures"),
    MEMBER(NUMBER, gone_since_ms, "goneSince"),
    MEMBER(NUMBER, collect_since_ms, "collectSince"),
    MEMBER(NUMBER, dcv_asked_ms, "dcvAskedAt"),
    MEMBER(NUMBER, variant, "variant"),
    MEMBER(NUMBER, position, "position"),
    MEMBER(NUMBER, current, "current"),
    MEMBER(NUMBER, withdrawing, "withdrawing"),
    MEMBER(IDS, candidates, "candidates"),
    MEMBER(IDS, ruled_out, "ruledOut"),
    MEMBER(IDS, duplicates, "duplicates"),
    MEMBER(IDS, surplus, "surplus"),
    MEMBER(FLAG, replaced, "replaced"),
    MEMBER(FLAG, refused, "refused"),
    MEMBER(FLAG, replacing, "replacing"),
    MEMBER(FLAG, locked_in, "lockedIn"),
    MEMBER(FLAG, by_csr, "byCsr"),
    MEMBER(TEXT, certificates, "certificates"),
};
enum { MEMBER_COUNT = sizeof members / sizeof members[0] };

static void load_matches(const cJSON *array, struct scm_state *state)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, array)
    {
        struct scm_match match = {.tagged = acme_json_bool(item, "tagged", false),
                                  .failed = acme_json_bool(item, "failed", false),
                                  .issued = acme_json_bool(item, "issued", false)};
        if (acme_json_int(item, "sslId", &match.ssl_id) && state->match_count < SCM_MAX_MATCHES)
            state->matches[state->match_count++] = match;
    }
}

void acme_scm_state_load(const cJSON *saved, struct scm_state *ret)
{
    *ret = (struct scm_state){
        .phase = (enum scm_phase)acme_saved_word(acme_json_str(saved, "phase"), phase_names, SCM_PHASE_COUNT),
        .call = (enum scm_call)acme_saved_word(acme_json_str(saved, "call"), call_names, SCM_CALL_COUNT),
        .dcv = acme_json_get(saved, "dcv"),
    };
    acme_saved_load(saved, members, MEMBER_COUNT, ret);
    load_matches(acme_json_get(saved, "matches"), ret);
}

static bool store_matches(const struct scm_state *state, cJSON *object)
{
    if (state->match_count == 0)
        return true;
    cJSON *array = cJSON_AddArrayToObject(object, "matches");
    bool ok = array != NULL;
    for (size_t i = 0; ok && i < state->match_count; i++) {
        const struct scm_match *match = &state->matches[i];
        cJSON *item = cJSON_CreateObject();
        ok = item != NULL && cJSON_AddItemToArray(array, item) &&
             cJSON_AddNumberToObject(item, "sslId", (double)match->ssl_id) != NULL &&
             cJSON_AddBoolToObject(item, "tagged", match->tagged) != NULL &&
             cJSON_AddBoolToObject(item, "failed", match->failed) != NULL &&
             cJSON_AddBoolToObject(item, "issued", match->issued) != NULL;
    }
    return ok;
}

struct acme_err acme_scm_state_store(const struct scm_state *state, cJSON *saved)
{
    cJSON *fresh = cJSON_CreateObject();
    ENSURE(fresh != NULL, ACME_E_NOMEM);
    bool ok = cJSON_AddStringToObject(fresh, "phase", phase_names[state->phase]) != NULL;
    if (state->call != SCM_CALL_NONE)
        ok = ok && cJSON_AddStringToObject(fresh, "call", call_names[state->call]) != NULL;
    ok = ok && acme_saved_add(fresh, members, MEMBER_COUNT, state);
    if (state->dcv != NULL) {
        cJSON *copy = cJSON_Duplicate(state->dcv, true);
        ok = copy != NULL && cJSON_AddItemToObject(fresh, "dcv", copy) && ok;
    }
    ok = ok && store_matches(state, fresh);
    return acme_saved_swap(saved, fresh, ok);
}
