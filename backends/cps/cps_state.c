/* The saved state as JSON. */
#include "backends/cps/cps_internal.h"

#include "backends/saved.h"

#include <stddef.h>

static const char *const phase_names[CPS_PHASE_COUNT] = {"find",    "read",   "follow",
                                                         "collect", "cancel", "clean"};
static const char *const call_names[CPS_CALL_COUNT] = {
    "",       "list",         "baseline",      "enrollment", "match",
    "update", "history",      "deployments",   "cancel",     "change",
    "csr",    "upload",       "challenges",    "publish",    "unpublish",
    "hurry",  "pre-warnings", "post-warnings", "management", "ack"};

#define MEMBER(member, json, type)                                                                           \
    {                                                                                                        \
        json, ACME_SAVED_##type, offsetof(struct cps_state, member)                                          \
    }
static const struct acme_saved_member members[] = {
    MEMBER(enrollment, "enrollment", NUMBER),
    MEMBER(change, "change", NUMBER),
    MEMBER(sent_ms, "sentAt", NUMBER),
    MEMBER(missed_ms, "missedSince", NUMBER),
    MEMBER(updates, "updates", NUMBER),
    MEMBER(refusals, "refusals", NUMBER),
    MEMBER(failures, "failures", NUMBER),
    MEMBER(began_ms, "beganAt", NUMBER),
    MEMBER(uploaded_ms, "uploadedAt", NUMBER),
    MEMBER(collect_ms, "collectSince", NUMBER),
    MEMBER(fail_type, "failType", NUMBER),
    MEMBER(baseline, "baseline", FLAG),
    MEMBER(adopted, "adopted", FLAG),
    MEMBER(safe, "safe", FLAG),
    MEMBER(forced, "forced", FLAG),
    MEMBER(denied, "denied", FLAG),
    MEMBER(answer_denies, "answerDenies", FLAG),
    MEMBER(delegated, "delegated", FLAG),
    MEMBER(hurry, "hurry", FLAG),
    MEMBER(answer_key, "answerKey", TEXT),
    MEMBER(labels, "labels", TEXT),
    MEMBER(body_sha256, "bodySha256", TEXT),
    MEMBER(fail_detail, "failDetail", TEXT),
    MEMBER(fail_note, "failNote", TEXT),
};
enum { MEMBER_COUNT = sizeof members / sizeof members[0] };

void acme_cps_state_load(const cJSON *saved, struct cps_state *ret)
{
    *ret = (struct cps_state){
        .phase = (enum cps_phase)acme_saved_word(acme_json_str(saved, "phase"), phase_names, CPS_PHASE_COUNT),
        .call = (enum cps_call)acme_saved_word(acme_json_str(saved, "call"), call_names, CPS_CALL_COUNT),
        .dv = acme_json_get(saved, "dv"),
        .published = acme_json_get(saved, "published"),
        .publishing = acme_json_get(saved, "publishing"),
    };
    acme_saved_load(saved, members, MEMBER_COUNT, ret);
    const cJSON *item;
    cJSON_ArrayForEach(item, acme_json_get(saved, "known"))
    {
        if (cJSON_IsNumber(item) && item->valuedouble >= 1 && item->valuedouble <= 9007199254740992.0 &&
            ret->known_count < CPS_PENDING_MAX)
            ret->known[ret->known_count++] = (int64_t)item->valuedouble;
    }
    cJSON_ArrayForEach(item, acme_json_get(saved, "old"))
    {
        if (cJSON_IsString(item) && ret->old_count < CPS_OLD_MAX)
            ret->old[ret->old_count++] = item->valuestring;
    }
}

static bool store_lists(const struct cps_state *state, cJSON *object)
{
    cJSON *known = state->known_count > 0 ? cJSON_AddArrayToObject(object, "known") : NULL;
    bool ok = known != NULL || state->known_count == 0;
    for (size_t i = 0; ok && i < state->known_count; i++) {
        cJSON *item = cJSON_CreateNumber((double)state->known[i]);
        ok = item != NULL && cJSON_AddItemToArray(known, item);
    }
    cJSON *old = state->old_count > 0 ? cJSON_AddArrayToObject(object, "old") : NULL;
    ok = ok && (old != NULL || state->old_count == 0);
    for (size_t i = 0; ok && i < state->old_count; i++) {
        cJSON *item = cJSON_CreateString(state->old[i]);
        ok = item != NULL && cJSON_AddItemToArray(old, item);
    }
    return ok;
}

static bool store_tree(const cJSON *tree, const char *name, cJSON *object)
{
    cJSON *copy = tree != NULL ? cJSON_Duplicate(tree, true) : NULL;
    return tree == NULL || (copy != NULL && cJSON_AddItemToObject(object, name, copy));
}

struct acme_err acme_cps_state_store(const struct cps_state *state, cJSON *saved)
{
    cJSON *fresh = cJSON_CreateObject();
    ENSURE(fresh != NULL, ACME_E_NOMEM);
    bool ok = cJSON_AddStringToObject(fresh, "phase", phase_names[state->phase]) != NULL;
    if (state->call != CPS_CALL_NONE)
        ok = ok && cJSON_AddStringToObject(fresh, "call", call_names[state->call]) != NULL;
    ok = ok && acme_saved_add(fresh, members, MEMBER_COUNT, state) && store_tree(state->dv, "dv", fresh) &&
         store_tree(state->published, "published", fresh) &&
         store_tree(state->publishing, "publishing", fresh) && store_lists(state, fresh);
    return acme_saved_swap(saved, fresh, ok);
}
