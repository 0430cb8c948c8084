#include "protocol/wanted.h"

#include <string.h>

/* Go's and others' zero values mean that nothing was asked for. */
static struct acme_err refuse_time(struct acme_exchange *x, const char *name)
{
    const cJSON *member = acme_json_get(x->payload, name);
    if (member == NULL || (cJSON_IsString(member) && (*member->valuestring == '\0' ||
                                                      strncmp(member->valuestring, "0001-01-01T", 11) == 0)))
        return acme_ok();
    return acme_exchange_refuse(
        x, ACME_PROBLEM_MALFORMED,
        "The profile \"%s\" does not allow %s; leave it out, the server chooses the validity",
        x->profile->name, name);
}

static struct acme_err create(struct acme_exchange *x, struct acme_identifier *identifiers, size_t count,
                              struct acme_order *ret)
{
    const struct acme_service_config *config = x->service->config;
    const struct acme_order candidate = {
        .id = acme_exchange_new_id(x),
        .account_id = x->account.id,
        .profile = x->profile->name,
        .status = ACME_ORDER_PENDING,
        .identifiers = identifiers,
        .identifier_count = count,
        .expires_ms = x->now_ms + config->order_lifetime_ms,
        .created_ms = x->now_ms,
    };
    ENSURE(candidate.id != NULL, ACME_E_NOMEM);
    struct acme_authz *authzs = acme_arena_alloc(x->arena, count * sizeof *authzs);
    ENSURE(authzs != NULL, ACME_E_NOMEM);
    for (size_t i = 0; i < count; i++)
        TRY(acme_authz_make(x, &identifiers[i], candidate.expires_ms, &authzs[i]));
    /* An authorization is used again when it leaves time to finalize; short-lived ones during their first
     * half. */
    int64_t reuse_ms =
        config->authz_lifetime_ms / 2 < ACME_HOUR_MS ? config->authz_lifetime_ms / 2 : ACME_HOUR_MS;
    return acme_store_order_create(x->service->store, x->arena, &candidate, authzs, x->now_ms,
                                   x->now_ms + reuse_ms, ret);
}

struct acme_err acme_order_new(struct acme_exchange *x)
{
    if (x->payload == NULL)
        return acme_exchange_refuse(x, ACME_PROBLEM_MALFORMED,
                                    "newOrder needs a JSON object with identifiers as payload");
    TRY(acme_wanted_profile(x));
    TRY(refuse_time(x, "notBefore"));
    TRY(refuse_time(x, "notAfter"));
    struct acme_identifier *identifiers = NULL;
    size_t count = 0;
    TRY(acme_wanted_identifiers(x, &identifiers, &count));
    struct acme_order order;
    TRY(create(x, identifiers, count, &order));
    acme_log(INFO, "order created", LOG_STR("account", x->account.id), LOG_STR("order", order.id),
             LOG_STR("profile", order.profile), LOG_STR("name", identifiers[0].value),
             LOG_INT("names", count));
    return acme_order_respond(x, 201, &order);
}
