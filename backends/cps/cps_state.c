/* The saved state as JSON: members that are zero are left out, so that a glance at the job shows what
 * matters. */
#include "backends/cps/cps_internal.h"

#include <stddef.h>
#include <string.h>

static const char *const phase_names[CPS_PHASE_COUNT] = {"find", "read", "follow", "collect", "cancel"};
static const char *const call_names[CPS_CALL_COUNT] = {
    "",           "list",         "baseline",      "enrollment", "match", "update",
    "history",    "deployments",  "cancel",        "change",     "csr",   "upload",
    "challenges", "pre-warnings", "post-warnings", "management", "ack"};

#define PLACE(member, json)                                                                                  \
    {                                                                                                        \
        json, offsetof(struct cps_state, member)                                                             \
    }
struct place {
    const char *name;
    size_t offset;
};
static const struct place numbers[] = {
    PLACE(enrollment, "enrollment"), PLACE(change, "change"),          PLACE(sent_ms, "sentAt"),
    PLACE(updates, "updates"),       PLACE(refusals, "refusals"),      PLACE(failures, "failures"),
    PLACE(began_ms, "beganAt"),      PLACE(uploaded_ms, "uploadedAt"), PLACE(collect_ms, "collectSince"),
    PLACE(fail_type, "failType"),
};
static const struct place flags[] = {
    PLACE(baseline, "baseline"),   PLACE(adopted, "adopted"), PLACE(safe, "safe"),
    PLACE(forced, "forced"),       PLACE(denied, "denied"),   PLACE(answer_denies, "answerDenies"),
    PLACE(delegated, "delegated"),
};
static const struct place texts[] = {
    PLACE(answer_key, "answerKey"),   PLACE(labels, "labels"),      PLACE(body_sha256, "bodySha256"),
    PLACE(fail_detail, "failDetail"), PLACE(fail_note, "failNote"),
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static size_t index_of(const char *text, const char *const *names, size_t count)
{
    for (size_t i = 0; text != NULL && i < count; i++) {
        if (strcmp(text, names[i]) == 0)
            return i;
    }
    return 0;
}

void acme_cps_state_load(const cJSON *saved, struct cps_state *ret)
{
    *ret = (struct cps_state){
        .phase = (enum cps_phase)index_of(acme_json_str(saved, "phase"), phase_names, CPS_PHASE_COUNT),
        .call = (enum cps_call)index_of(acme_json_str(saved, "call"), call_names, CPS_CALL_COUNT),
        .dv = acme_json_get(saved, "dv"),
    };
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        int64_t value = 0;
        if (acme_json_int(saved, numbers[i].name, &value))
            memcpy((char *)ret + numbers[i].offset, &value, sizeof value);
    }
    for (size_t i = 0; i < COUNT_OF(flags); i++)
        *(bool *)((char *)ret + flags[i].offset) = acme_json_bool(saved, flags[i].name, false);
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        const char *text = acme_json_str(saved, texts[i].name);
        memcpy((char *)ret + texts[i].offset, &text, sizeof text);
    }
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

static bool store_members(const struct cps_state *state, cJSON *object)
{
    bool ok = cJSON_AddStringToObject(object, "phase", phase_names[state->phase]) != NULL;
    if (state->call != CPS_CALL_NONE)
        ok = ok && cJSON_AddStringToObject(object, "call", call_names[state->call]) != NULL;
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        int64_t value = 0;
        memcpy(&value, (const char *)state + numbers[i].offset, sizeof value);
        if (value != 0)
            ok = ok && cJSON_AddNumberToObject(object, numbers[i].name, (double)value) != NULL;
    }
    for (size_t i = 0; i < COUNT_OF(flags); i++) {
        if (*(const bool *)((const char *)state + flags[i].offset))
            ok = ok && cJSON_AddTrueToObject(object, flags[i].name) != NULL;
    }
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        const char *text = NULL;
        memcpy(&text, (const char *)state + texts[i].offset, sizeof text);
        if (text != NULL)
            ok = ok && cJSON_AddStringToObject(object, texts[i].name, text) != NULL;
    }
    if (state->dv != NULL) {
        cJSON *copy = cJSON_Duplicate(state->dv, true);
        ok = copy != NULL && cJSON_AddItemToObject(object, "dv", copy) && ok;
    }
    return ok && store_lists(state, object);
}

struct acme_err acme_cps_state_store(const struct cps_state *state, cJSON *saved)
{
    cJSON *fresh = cJSON_CreateObject();
    ENSURE(fresh != NULL, ACME_E_NOMEM);
    bool ok = store_members(state, fresh);
    if (ok) {
        cJSON *old = saved->child;
        saved->child = fresh->child;
        fresh->child = old;
    }
    cJSON_Delete(fresh);
    return acme_err(ok ? ACME_OK : ACME_E_NOMEM);
}
