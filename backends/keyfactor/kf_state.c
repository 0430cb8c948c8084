/* The saved state as JSON. */
#include "backends/keyfactor/kf_internal.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char *const phase_names[KF_PHASE_COUNT] = {"enroll", "recover", "follow", "collect", "revoke"};
static const char *const call_names[KF_CALL_COUNT] = {
    "",     "enroll",   "available", "renew",    "search", "instance", "workflow", "request",
    "find", "download", "deny",      "withdraw", "undo",   "look",     "revoke"};

#define MEMBER(kind, member, json)                                                                           \
    {                                                                                                        \
        json, ACME_SAVED_##kind, offsetof(struct kf_state, member)                                           \
    }
static const struct acme_saved_member members[] = {
    MEMBER(NUMBER, cert_id, "certId"),
    MEMBER(NUMBER, request_id, "requestId"),
    MEMBER(TEXT, workflow, "workflow"),
    MEMBER(TEXT, thumbprint, "thumbprint"),
    MEMBER(NUMBER, sent_ms, "sentAt"),
    MEMBER(NUMBER, attempts, "attempts"),
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
    MEMBER(NUMBER, available, "available"),
    MEMBER(NUMBER, withdrawing, "withdrawing"),
    MEMBER(NUMBER, variant, "variant"),
    MEMBER(NUMBER, page, "page"),
    MEMBER(FLAG, renewing, "renewing"),
    MEMBER(FLAG, refused, "refused"),
    MEMBER(FLAG, workflow_over, "workflowOver"),
    MEMBER(FLAG, unlisted, "unlisted"),
    MEMBER(FLAG, locked_in, "lockedIn"),
    MEMBER(FLAG, by_key, "byKey"),
    MEMBER(FLAG, plain_format, "plainFormat"),
    MEMBER(FLAG, suspended, "suspended"),
    MEMBER(FLAG, revoked_it, "revokedIt"),
    MEMBER(IDS, duplicates, "duplicates"),
    MEMBER(IDS, surplus, "surplus"),
    MEMBER(TEXT, certificates, "certificates"),
};
enum { MEMBER_COUNT = sizeof members / sizeof members[0] };

static const struct acme_saved_member match_members[] = {
    {"certId", ACME_SAVED_NUMBER, offsetof(struct kf_match, cert_id)},
    {"requestId", ACME_SAVED_NUMBER, offsetof(struct kf_match, request_id)},
    {"tagged", ACME_SAVED_FLAG, offsetof(struct kf_match, tagged)},
    {"failed", ACME_SAVED_FLAG, offsetof(struct kf_match, failed)},
};
enum { MATCH_MEMBER_COUNT = sizeof match_members / sizeof match_members[0] };

static void load_guid(const char *text, char ret[KF_GUID_SIZE])
{
    if (text != NULL && strlen(text) < KF_GUID_SIZE)
        memcpy(ret, text, strlen(text) + 1);
}

void acme_kf_state_load(const cJSON *saved, struct kf_state *ret)
{
    *ret = (struct kf_state){
        .phase = (enum kf_phase)acme_saved_word(acme_json_str(saved, "phase"), phase_names, KF_PHASE_COUNT),
        .call = (enum kf_call)acme_saved_word(acme_json_str(saved, "call"), call_names, KF_CALL_COUNT),
    };
    acme_saved_load(saved, members, MEMBER_COUNT, ret);
    const cJSON *item;
    cJSON_ArrayForEach(item, acme_json_get(saved, "matches"))
    {
        if (ret->match_count == KF_MATCHES_MAX)
            break;
        struct kf_match *match = &ret->matches[ret->match_count++];
        acme_saved_load(item, match_members, MATCH_MEMBER_COUNT, match);
        load_guid(acme_json_str(item, "workflow"), match->workflow);
    }
    cJSON_ArrayForEach(item, acme_json_get(saved, "instances"))
    {
        if (ret->instance_count < KF_INSTANCES_MAX && cJSON_IsString(item))
            load_guid(item->valuestring, ret->instances[ret->instance_count++]);
    }
}

static bool store_matches(const struct kf_state *state, cJSON *object)
{
    cJSON *array = state->match_count > 0 ? cJSON_AddArrayToObject(object, "matches") : NULL;
    bool ok = array != NULL || state->match_count == 0;
    for (size_t i = 0; ok && i < state->match_count; i++) {
        const struct kf_match *match = &state->matches[i];
        cJSON *item = cJSON_CreateObject();
        ok = item != NULL && cJSON_AddItemToArray(array, item) &&
             acme_saved_add(item, match_members, MATCH_MEMBER_COUNT, match) &&
             cJSON_AddStringToObject(item, "workflow", match->workflow) != NULL;
    }
    return ok;
}

static bool store_instances(const struct kf_state *state, cJSON *object)
{
    cJSON *array = state->instance_count > 0 ? cJSON_AddArrayToObject(object, "instances") : NULL;
    bool ok = array != NULL || state->instance_count == 0;
    for (size_t i = 0; ok && i < state->instance_count; i++) {
        cJSON *item = cJSON_CreateString(state->instances[i]);
        ok = item != NULL && cJSON_AddItemToArray(array, item);
    }
    return ok;
}

struct acme_err acme_kf_state_store(const struct kf_state *state, cJSON *saved)
{
    cJSON *fresh = cJSON_CreateObject();
    ENSURE(fresh != NULL, ACME_E_NOMEM);
    bool ok = cJSON_AddStringToObject(fresh, "phase", phase_names[state->phase]) != NULL;
    if (state->call != KF_CALL_NONE)
        ok = ok && cJSON_AddStringToObject(fresh, "call", call_names[state->call]) != NULL;
    ok = ok && acme_saved_add(fresh, members, MEMBER_COUNT, state) && store_matches(state, fresh) &&
         store_instances(state, fresh);
    return acme_saved_swap(saved, fresh, ok);
}
