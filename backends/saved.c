#include "backends/saved.h"

#include <string.h>

bool acme_ids_have(const struct acme_ids *ids, int64_t id)
{
    for (size_t i = 0; i < ids->count; i++) {
        if (ids->id[i] == id)
            return true;
    }
    return false;
}

void acme_ids_add(struct acme_ids *ids, int64_t id)
{
    size_t at = 0;
    while (at < ids->count && ids->id[at] > id)
        at++;
    if (at == ACME_IDS_MAX || (at < ids->count && ids->id[at] == id))
        return;
    if (ids->count < ACME_IDS_MAX)
        ids->count++;
    memmove(&ids->id[at + 1], &ids->id[at], (ids->count - at - 1) * sizeof ids->id[0]);
    ids->id[at] = id;
}

int64_t acme_ids_pop(struct acme_ids *ids)
{
    if (ids->count == 0)
        return 0;
    int64_t first = ids->id[0];
    ids->count--;
    memmove(&ids->id[0], &ids->id[1], ids->count * sizeof ids->id[0]);
    return first;
}

size_t acme_saved_word(const char *text, const char *const *words, size_t count)
{
    for (size_t i = 0; text != NULL && i < count; i++) {
        if (strcmp(text, words[i]) == 0)
            return i;
    }
    return 0;
}

static void load_ids(const cJSON *array, struct acme_ids *ids)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, array)
    {
        if (cJSON_IsNumber(item) && item->valuedouble >= 1 && item->valuedouble <= 9007199254740992.0)
            acme_ids_add(ids, (int64_t)item->valuedouble);
    }
}

void acme_saved_load(const cJSON *saved, const struct acme_saved_member *members, size_t count, void *object)
{
    for (size_t i = 0; i < count; i++) {
        void *at = (char *)object + members[i].offset;
        const char *name = members[i].name;
        const char *text = NULL;
        switch (members[i].type) {
        case ACME_SAVED_NUMBER:
            (void)acme_json_int(saved, name, at);
            break;
        case ACME_SAVED_FLAG:
            *(bool *)at = acme_json_bool(saved, name, *(bool *)at);
            break;
        case ACME_SAVED_TEXT:
            text = acme_json_str(saved, name);
            if (text != NULL)
                *(const char **)at = text;
            break;
        case ACME_SAVED_IDS:
            load_ids(acme_json_get(saved, name), at);
            break;
        }
    }
}

static bool add_ids(cJSON *object, const char *name, const struct acme_ids *ids)
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

static bool add(cJSON *fresh, const struct acme_saved_member *member, const void *at)
{
    switch (member->type) {
    case ACME_SAVED_NUMBER:
        return *(const int64_t *)at == 0 ||
               cJSON_AddNumberToObject(fresh, member->name, (double)*(const int64_t *)at) != NULL;
    case ACME_SAVED_FLAG:
        return !*(const bool *)at || cJSON_AddTrueToObject(fresh, member->name) != NULL;
    case ACME_SAVED_TEXT:
        return *(const char *const *)at == NULL ||
               cJSON_AddStringToObject(fresh, member->name, *(const char *const *)at) != NULL;
    case ACME_SAVED_IDS:
        return add_ids(fresh, member->name, at);
    }
    return false;
}

bool acme_saved_add(cJSON *fresh, const struct acme_saved_member *members, size_t count, const void *object)
{
    bool ok = fresh != NULL;
    for (size_t i = 0; ok && i < count; i++)
        ok = add(fresh, &members[i], (const char *)object + members[i].offset);
    return ok;
}

struct acme_err acme_saved_swap(cJSON *saved, cJSON *fresh, bool ok)
{
    if (ok) {
        cJSON *old = saved->child;
        saved->child = fresh->child;
        fresh->child = old;
    }
    cJSON_Delete(fresh);
    return acme_err(ok ? ACME_OK : ACME_E_NOMEM);
}
