#include "backends/cps/cps_internal.h"

#include <string.h>
#include <strings.h>

#define ID_MAX INT64_C(9007199254740991) /* what the saved state keeps exactly */

struct acme_err acme_cps_json(struct cps_context *ctx, cJSON **ret)
{
    const struct acme_http_reply *reply = ctx->input->reply;
    ENSURE(ctx->input->event == ACME_EVENT_REPLY && reply != NULL && reply->body.len > 0, ACME_E_FORMAT);
    cJSON *json = NULL;
    TRY(acme_json_parse(ctx->arena, (const char *)reply->body.data, reply->body.len, &json));
    ENSURE(cJSON_IsObject(json), ACME_E_FORMAT);
    *ret = json;
    return acme_ok();
}

bool acme_cps_flag(const cJSON *object, const char *name)
{
    const char *text = acme_json_str(object, name);
    return text != NULL ? strcasecmp(text, "true") == 0 : acme_json_bool(object, name, false);
}

bool acme_cps_id(const cJSON *object, const char *name, int64_t *ret)
{
    int64_t value = 0;
    if (!acme_json_number_or_text(acme_json_get(object, name), &value) || value <= 0 || value > ID_MAX)
        return false;
    *ret = value;
    return true;
}

const char *acme_cps_last_segment(const char *location)
{
    const char *slash = location != NULL ? strrchr(location, '/') : NULL;
    return slash != NULL ? slash + 1 : location;
}

int64_t acme_cps_last_id(const char *location)
{
    int64_t id = 0;
    bool good = acme_decimal(acme_cps_last_segment(location), &id) && id <= ID_MAX;
    return good ? id : 0;
}

static void release(void *tree)
{
    cJSON_Delete(tree);
}

cJSON *acme_cps_keep(struct cps_context *ctx, cJSON *tree)
{
    return tree != NULL && acme_arena_defer(ctx->arena, release, tree) ? tree : NULL;
}
