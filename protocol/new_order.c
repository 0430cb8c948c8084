#include "protocol/wanted.h"

/* `wanted`: identifiers and dates. */
static struct acme_err create(struct acme_exchange *x, const struct acme_order *wanted,
                              struct acme_order *ret)
{
    const struct acme_service_config *config = x->service->config;
    size_t count = wanted->identifier_count;
    const struct acme_order candidate = {
        .id = acme_exchange_new_id(x),
        .account_id = x->account.id,
        .profile = x->profile->name,
        .status = ACME_ORDER_PENDING,
        .identifiers = wanted->identifiers,
        .identifier_count = count,
        .not_before_ms = wanted->not_before_ms,
        .not_after_ms = wanted->not_after_ms,
        .expires_ms = x->now_ms + config->order_lifetime_ms,
        .created_ms = x->now_ms,
    };
    ENSURE(candidate.id != NULL, ACME_E_NOMEM);
    struct acme_authz *authzs = acme_arena_alloc(x->arena, count * sizeof *authzs);
    ENSURE(authzs != NULL, ACME_E_NOMEM);
    for (size_t i = 0; i < count; i++)
        TRY(acme_authz_make(x, &wanted->identifiers[i], candidate.expires_ms, &authzs[i]));
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
    struct acme_order wanted = {.id = NULL};
    TRY(acme_wanted_dates(x, &wanted.not_before_ms, &wanted.not_after_ms));
    TRY(acme_wanted_identifiers(x, &wanted.identifiers, &wanted.identifier_count));
    struct acme_order order;
    TRY(create(x, &wanted, &order));
    acme_log(INFO, "order created", LOG_STR("account", x->account.id), LOG_STR("order", order.id),
             LOG_STR("profile", order.profile), LOG_STR("name", wanted.identifiers[0].value),
             LOG_INT("names", wanted.identifier_count));
    const struct acme_service_hooks *hooks = &x->service->hooks;
    if (hooks->order_made != NULL)
        hooks->order_made(hooks->context, x->profile);
    return acme_order_respond(x, 201, &order);
}
