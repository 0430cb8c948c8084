/* Reading what Command says. The same member is spelled KeyfactorID here and KeyfactorId there, and newer
 * models begin with small letters. */
#include "backends/keyfactor/kf_internal.h"

#include <string.h>
#include <strings.h>

const cJSON *acme_kf_get(const cJSON *object, const char *name)
{
    const cJSON *item;
    if (!cJSON_IsObject(object))
        return NULL;
    cJSON_ArrayForEach(item, object)
    {
        if (!cJSON_IsNull(item) && strcasecmp(item->string, name) == 0)
            return item;
    }
    return NULL;
}

const char *acme_kf_str(const cJSON *object, const char *name)
{
    const cJSON *item = acme_kf_get(object, name);
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

int64_t acme_kf_int(const cJSON *object, const char *name)
{
    int64_t value = 0;
    (void)acme_json_number_or_text(acme_kf_get(object, name), &value);
    return value;
}

const char *acme_kf_guid(const cJSON *object, const char *name)
{
    const char *text = acme_kf_str(object, name);
    if (text == NULL || strlen(text) != KF_GUID_SIZE - 1 ||
        strspn(text, "0123456789abcdefABCDEF-") != KF_GUID_SIZE - 1 || strspn(text, "0-") == KF_GUID_SIZE - 1)
        return NULL;
    return text;
}

int64_t acme_kf_time(const cJSON *object, const char *name)
{
    char zoned[ACME_RFC3339_SIZE + 16];
    const char *text = acme_kf_str(object, name);
    size_t len = text != NULL ? strlen(text) : 0;
    int64_t ms = 0;
    if (len == 0 || len >= sizeof zoned - 1)
        return 0;
    if (!acme_failed(acme_rfc3339_parse(text, &ms)))
        return ms;
    memcpy(zoned, text, len);
    zoned[len] = 'Z';
    zoned[len + 1] = '\0';
    return acme_failed(acme_rfc3339_parse(zoned, &ms)) ? 0 : ms;
}
