/* Domain validation: what has to be published where, as CPS says it. */
#include "backends/cps/cps_internal.h"

#include "base/buf.h"

#include <string.h>
#include <strings.h>

enum { DOMAINS_MAX = 200, SHOWN_MAX = 3, NOTE_BYTES = 32 * 1024, TEXT_CHARS = 500 };

static bool add_text(struct cps_context *ctx, cJSON *object, const char *name, const char *text)
{
    if (text == NULL || *text == '\0')
        return true;
    const char *shown = acme_cps_shown(ctx, text, TEXT_CHARS);
    return shown != NULL && cJSON_AddStringToObject(object, name, shown) != NULL;
}

/* {"url"|"name": where, "body"|"value": what, "token", "redirect"} */
static bool add_answer(struct cps_context *ctx, cJSON *domain, const cJSON *challenge, bool http)
{
    cJSON *answer = cJSON_AddObjectToObject(domain, http ? "http" : "dns");
    return answer != NULL &&
           add_text(ctx, answer, http ? "url" : "name", acme_json_str(challenge, "fullPath")) &&
           add_text(ctx, answer, http ? "body" : "value", acme_json_str(challenge, "responseBody")) &&
           add_text(ctx, answer, "token", acme_json_str(challenge, "token")) &&
           add_text(ctx, answer, "redirect", acme_json_str(challenge, "redirectFullPath"));
}

static bool add_domain(struct cps_context *ctx, cJSON *list, const cJSON *json)
{
    cJSON *domain = cJSON_CreateObject();
    if (domain == NULL || !cJSON_AddItemToArray(list, domain))
        return false;
    const char *error = acme_json_str(json, "error");
    bool ok = add_text(ctx, domain, "domain", acme_json_str(json, "domain")) &&
              add_text(ctx, domain, "status", acme_json_str(json, "status")) &&
              add_text(ctx, domain, "error", error != NULL ? error : acme_json_str(json, "validationStatus"));
    const cJSON *challenge;
    const cJSON *challenges = acme_json_get(json, "challenges");
    cJSON_ArrayForEach(challenge, (cJSON_IsArray(challenges) ? challenges : NULL))
    {
        const char *type = acme_json_str(challenge, "type");
        bool http = type != NULL && strcasecmp(type, "http-01") == 0;
        bool dns = type != NULL && strcasecmp(type, "dns-01") == 0;
        if ((http || dns) && cJSON_GetObjectItemCaseSensitive(domain, http ? "http" : "dns") == NULL)
            ok = ok && add_answer(ctx, domain, challenge, http);
    }
    /* v1 has the one answer beside the domain. */
    if (ok && challenges == NULL && acme_json_str(json, "fullPath") != NULL)
        ok = add_answer(ctx, domain, json, true);
    return ok;
}

bool acme_cps_dv_is_done(const cJSON *domain)
{
    const char *status = acme_json_str(domain, "status");
    return status != NULL && (strcasecmp(status, "valid") == 0 || strcasecmp(status, "validated") == 0);
}

static const char *note_of(struct cps_context *ctx, const cJSON *list)
{
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, NOTE_BYTES);
    acme_buf_printf(&out, "Change %lld waits for the validation of its domains",
                    (long long)ctx->state->change);
    const cJSON *domain;
    int open = 0;
    cJSON_ArrayForEach(domain, list)
    {
        if (acme_cps_dv_is_done(domain) || open++ >= SHOWN_MAX)
            continue;
        const cJSON *http = acme_json_get(domain, "http");
        const cJSON *dns = acme_json_get(domain, "dns");
        const char *name = acme_json_str(domain, "domain");
        const char *url = acme_json_str(http, "url");
        const char *record = acme_json_str(dns, "name");
        const char *status = acme_json_str(domain, "status");
        acme_buf_printf(&out, "%s%s (%s)", open == 1 ? ": " : "; ", name != NULL ? name : "?",
                        status != NULL ? status : "?");
        if (url != NULL)
            acme_buf_printf(&out, " at %s", url);
        if (record != NULL)
            acme_buf_printf(&out, "%s TXT %s", url != NULL ? " or" : "", record);
    }
    if (open > SHOWN_MAX)
        acme_buf_printf(&out, "; and %d more", open - SHOWN_MAX);
    acme_buf_str(&out, open == 0 ? "; all are validated." : ".");
    const char *text = acme_buf_cstr(&out);
    return text != NULL ? acme_arena_strdup(ctx->arena, text) : NULL;
}

struct acme_err acme_cps_dv_reply(struct cps_context *ctx)
{
    cJSON *json = NULL;
    struct acme_err err = acme_cps_json(ctx, &json);
    ENSURE(err.code != ACME_E_NOMEM, ACME_E_NOMEM);
    if (acme_failed(err))
        return acme_cps_wait_failure(ctx, ctx->config->poll_ms, ACME_BACKOFF_MAX_MS,
                                     "CPS sent challenges that cannot be read; asking again.");
    cJSON *list = acme_cps_keep(ctx, cJSON_CreateArray());
    ENSURE(list != NULL, ACME_E_NOMEM);
    const cJSON *domain;
    const cJSON *domains = acme_json_get(json, "dv");
    bool ok = true;
    int count = 0;
    cJSON_ArrayForEach(domain, (cJSON_IsArray(domains) ? domains : NULL))
    {
        if (ok && count++ < DOMAINS_MAX)
            ok = add_domain(ctx, list, domain);
    }
    ENSURE(ok, ACME_E_NOMEM);
    ctx->state->failures = 0;
    ctx->state->dv = list;
    return acme_cps_publish(ctx);
}

struct acme_err acme_cps_dv_wait(struct cps_context *ctx)
{
    int64_t pause_ms = ctx->config->poll_ms > ACME_MINUTE_MS ? ctx->config->poll_ms : ACME_MINUTE_MS;
    if (pause_ms > ctx->config->poll_max_ms)
        pause_ms = ctx->config->poll_max_ms;
    return acme_cps_wait_ms(ctx, pause_ms, note_of(ctx, ctx->state->dv));
}
