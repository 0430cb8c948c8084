/* The saved state as JSON: members that are zero are left out, so that a glance at the job shows what
 * matters. */
#include "backends/scm/scm_internal.h"

#include <stddef.h>
#include <string.h>

static const char *const phase_names[SCM_PHASE_COUNT] = {"enroll", "recover", "follow", "collect", "revoke"};
static const char *const call_names[SCM_CALL_COUNT] = {
    "",       "enroll", "list",    "candidate", "decline", "details",  "collect", "issuers",
    "revoke", "renew",  "replace", "replaced",  "comment", "withdraw", "undo",    "dcv"};

#define NUMBER(member, json)                                                                                 \
    {                                                                                                        \
        json, offsetof(struct scm_state, member)                                                             \
    }
static const struct {
    const char *name;
    size_t offset;
} numbers[] = {
    NUMBER(ssl_id, "sslId"),
    NUMBER(enroll_sent_ms, "enrollSentAt"),
    NUMBER(enroll_attempts, "enrollAttempts"),
    NUMBER(refusals, "refusals"),
    NUMBER(accepted_ms, "acceptedAt"),
    NUMBER(unknown_since_ms, "unknownSince"),
    NUMBER(search_started_ms, "searchStartedAt"),
    NUMBER(search_rounds, "searchRounds"),
    NUMBER(unjudged, "unjudged"),
    NUMBER(polls, "polls"),
    NUMBER(failures, "failures"),
    NUMBER(gone_since_ms, "goneSince"),
    NUMBER(collect_since_ms, "collectSince"),
    NUMBER(dcv_asked_ms, "dcvAskedAt"),
    NUMBER(variant, "variant"),
    NUMBER(position, "position"),
    NUMBER(current, "current"),
    NUMBER(withdrawing, "withdrawing"),
};

#define IDS(member, json)                                                                                    \
    {                                                                                                        \
        json, offsetof(struct scm_state, member)                                                             \
    }
static const struct {
    const char *name;
    size_t offset;
} id_lists[] = {
    IDS(candidates, "candidates"),
    IDS(ruled_out, "ruledOut"),
    IDS(duplicates, "duplicates"),
    IDS(surplus, "surplus"),
};

#define FLAG(member, json)                                                                                   \
    {                                                                                                        \
        json, offsetof(struct scm_state, member)                                                             \
    }
static const struct {
    const char *name;
    size_t offset;
} flags[] = {
    FLAG(replaced, "replaced"),  FLAG(refused, "refused"), FLAG(replacing, "replacing"),
    FLAG(locked_in, "lockedIn"), FLAG(by_csr, "byCsr"),
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

bool acme_scm_ids_have(const struct scm_ids *ids, int64_t id)
{
    for (size_t i = 0; i < ids->count; i++) {
        if (ids->id[i] == id)
            return true;
    }
    return false;
}

void acme_scm_ids_add(struct scm_ids *ids, int64_t id)
{
    size_t at = 0;
    while (at < ids->count && ids->id[at] > id)
        at++;
    if (at == SCM_MAX_IDS || (at < ids->count && ids->id[at] == id))
        return;
    if (ids->count < SCM_MAX_IDS)
        ids->count++;
    memmove(&ids->id[at + 1], &ids->id[at], (ids->count - at - 1) * sizeof ids->id[0]);
    ids->id[at] = id;
}

int64_t acme_scm_ids_pop(struct scm_ids *ids)
{
    if (ids->count == 0)
        return 0;
    int64_t first = ids->id[0];
    ids->count--;
    memmove(&ids->id[0], &ids->id[1], ids->count * sizeof ids->id[0]);
    return first;
}

static size_t index_of(const char *text, const char *const *names, size_t count)
{
    for (size_t i = 0; text != NULL && i < count; i++) {
        if (strcmp(text, names[i]) == 0)
            return i;
    }
    return 0;
}

static void load_ids(const cJSON *array, struct scm_ids *ids)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, array)
    {
        if (cJSON_IsNumber(item) && item->valuedouble >= 1 && item->valuedouble <= 9007199254740992.0)
            acme_scm_ids_add(ids, (int64_t)item->valuedouble);
    }
}

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
        .phase = (enum scm_phase)index_of(acme_json_str(saved, "phase"), phase_names, SCM_PHASE_COUNT),
        .call = (enum scm_call)index_of(acme_json_str(saved, "call"), call_names, SCM_CALL_COUNT),
        .certificates = acme_json_str(saved, "certificates"),
        .dcv = acme_json_get(saved, "dcv"),
    };
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        int64_t value = 0;
        if (acme_json_int(saved, numbers[i].name, &value))
            memcpy((char *)ret + numbers[i].offset, &value, sizeof value);
    }
    for (size_t i = 0; i < COUNT_OF(flags); i++)
        *(bool *)((char *)ret + flags[i].offset) = acme_json_bool(saved, flags[i].name, false);
    for (size_t i = 0; i < COUNT_OF(id_lists); i++) {
        struct scm_ids *ids = (struct scm_ids *)((char *)ret + id_lists[i].offset);
        load_ids(acme_json_get(saved, id_lists[i].name), ids);
    }
    load_matches(acme_json_get(saved, "matches"), ret);
}

static bool store_ids(const struct scm_ids *ids, cJSON *object, const char *name)
{
    if (ids->count == 0)
        return true;
    cJSON *array = cJSON_AddArrayToObject(object, name);
    bool ok = array != NULL;
    for (size_t i = 0; ok && i < ids->count; i++) {
        cJSON *number = cJSON_CreateNumber((double)ids->id[i]);
        ok = number != NULL && cJSON_AddItemToArray(array, number);
    }
    return ok;
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
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        int64_t value = 0;
        memcpy(&value, (const char *)state + numbers[i].offset, sizeof value);
        if (value != 0)
            ok = ok && cJSON_AddNumberToObject(fresh, numbers[i].name, (double)value) != NULL;
    }
    for (size_t i = 0; i < COUNT_OF(flags); i++) {
        if (*(const bool *)((const char *)state + flags[i].offset))
            ok = ok && cJSON_AddTrueToObject(fresh, flags[i].name) != NULL;
    }
    if (state->certificates != NULL)
        ok = ok && cJSON_AddStringToObject(fresh, "certificates", state->certificates) != NULL;
    if (state->dcv != NULL) {
        cJSON *copy = cJSON_Duplicate(state->dcv, true);
        ok = copy != NULL && cJSON_AddItemToObject(fresh, "dcv", copy) && ok;
    }
    for (size_t i = 0; i < COUNT_OF(id_lists); i++) {
        const struct scm_ids *ids = (const struct scm_ids *)((const char *)state + id_lists[i].offset);
        ok = ok && store_ids(ids, fresh, id_lists[i].name);
    }
    ok = ok && store_matches(state, fresh);
    if (ok) {
        cJSON *old = saved->child;
        saved->child = fresh->child;
        fresh->child = old;
    }
    cJSON_Delete(fresh);
    return acme_err(ok ? ACME_OK : ACME_E_NOMEM);
}
