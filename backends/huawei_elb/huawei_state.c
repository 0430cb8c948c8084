/* The saved state as JSON. */
#include "backends/huawei_elb/huawei_internal.h"
#include "backends/saved.h"

#include <stddef.h>

static const char *const call_names[HUAWEI_CALL_COUNT] = {"", "show", "put", "verify", "create", "list"};

#define MEMBER(member, kind, json)                                                                           \
    {                                                                                                        \
        .name = json, .type = ACME_SAVED_##kind, .offset = offsetof(struct huawei_state, member)             \
    }
static const struct acme_saved_member members[] = {
    MEMBER(certificate_id, TEXT, "certificateId"),
    MEMBER(create_sent_ms, NUMBER, "createSentAt"),
    MEMBER(rounds, NUMBER, "rounds"),
    MEMBER(marker, TEXT, "marker"),
    MEMBER(pages, NUMBER, "pages"),
    MEMBER(put, FLAG, "put"),
    MEMBER(throttled, NUMBER, "throttled"),
    MEMBER(seen_ms, NUMBER, "seenAt"),
    MEMBER(misses, NUMBER, "misses"),
    MEMBER(failures, NUMBER, "failures"),
    MEMBER(refusals, NUMBER, "refusals"),
    MEMBER(tries, NUMBER, "tries"),
    MEMBER(queued, NUMBER, "queued"),
    MEMBER(key_trouble_ms, NUMBER, "keyTroubleSince"),
    MEMBER(key_looks, NUMBER, "keyLooks"),
};
enum { MEMBER_COUNT = sizeof members / sizeof members[0] };

void acme_huawei_state_load(const cJSON *saved, struct huawei_state *ret)
{
    *ret = (struct huawei_state){.call = (enum huawei_call)acme_saved_word(acme_json_str(saved, "call"),
                                                                           call_names, HUAWEI_CALL_COUNT)};
    acme_saved_load(saved, members, MEMBER_COUNT, ret);
}

struct acme_err acme_huawei_state_store(const struct huawei_state *state, cJSON *saved)
{
    cJSON *fresh = cJSON_CreateObject();
    bool ok = fresh != NULL;
    if (ok && state->call != HUAWEI_CALL_NONE)
        ok = cJSON_AddStringToObject(fresh, "call", call_names[state->call]) != NULL;
    ok = ok && acme_saved_add(fresh, members, MEMBER_COUNT, state);
    return acme_saved_swap(saved, fresh, ok);
}
