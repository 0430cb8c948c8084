#include "protocol/exchange.h"

#include <stdlib.h>

enum { MAX_SERVICE_TEXT = 4 * 1024 * 1024 };

static struct acme_err start(struct acme_service *service)
{
    service->default_profile = acme_profile_find(service, service->config->default_profile);
    ENSURE(service->default_profile != NULL, ACME_E_NOT_FOUND);
    service->arena = acme_arena_create(MAX_SERVICE_TEXT);
    service->keys = acme_key_cache_create();
    ENSURE(service->arena != NULL && service->keys != NULL, ACME_E_NOMEM);
    service->index_link =
        acme_arena_printf(service->arena, "<%s/directory>;rel=\"index\"", service->config->base_url);
    ENSURE(service->index_link != NULL, ACME_E_NOMEM);
    return acme_directory_build(service);
}

struct acme_err acme_service_create(const struct acme_service_config *config, struct acme_store *store,
                                    struct acme_nonces *nonces, const struct acme_clock *clock,
                                    const struct acme_service_hooks *hooks, struct acme_service **ret)
{
    struct acme_service *service = calloc(1, sizeof *service);
    ENSURE(service != NULL, ACME_E_NOMEM);
    service->config = config;
    service->store = store;
    service->nonces = nonces;
    service->clock = clock;
    service->hooks = *hooks;
    struct acme_err err = start(service);
    if (acme_failed(err)) {
        acme_service_destroy(service);
        return err;
    }
    *ret = service;
    return acme_ok();
}

void acme_service_destroy(struct acme_service *service)
{
    if (service == NULL)
        return;
    acme_key_cache_destroy(service->keys);
    acme_arena_destroy(service->arena);
    free(service);
}

static struct acme_exchange exchange(const struct acme_service *service, struct acme_arena *arena,
                                     struct acme_response *response)
{
    *response = (struct acme_response){.status = 0};
    return (struct acme_exchange){
        .service = service,
        .arena = arena,
        .response = response,
        .now_ms = service != NULL ? acme_clock_now_ms(service->clock) : 0,
        .id = "",
        .profile = service != NULL ? service->default_profile : NULL,
    };
}

void acme_service_handle(struct acme_service *service, const struct acme_request *request,
                         struct acme_response *response)
{
    struct acme_exchange x = exchange(service, request->arena, response);
    x.request = request;
    size_t headers_kept = 0;
    struct acme_err err = acme_exchange_dispatch(&x, &headers_kept);
    if (acme_failed(err))
        acme_respond_failure(&x, err, headers_kept);
}

static struct acme_err held(struct acme_exchange *x, enum acme_hold hold, const char *hold_id,
                            const struct acme_authz *decided, size_t *ret_headers_kept)
{
    TRY(acme_respond_common(x, true, true));
    *ret_headers_kept = x->response->header_count;
    if (hold == ACME_HOLD_REVOCATION)
        return acme_revocation_respond(x, hold_id);
    if (hold == ACME_HOLD_CHALLENGE)
        return acme_challenge_respond(x, hold_id, decided);
    struct acme_order order;
    TRY(acme_store_order_get(x->service->store, x->arena, hold_id, &order));
    TRY(acme_order_as_of_now(x, &order));
    return acme_order_respond(x, 200, &order);
}

void acme_service_held_response(struct acme_service *service, struct acme_arena *arena, enum acme_hold hold,
                                const char *hold_id, const struct acme_authz *decided,
                                struct acme_response *response)
{
    struct acme_exchange x = exchange(service, arena, response);
    size_t headers_kept = 0;
    struct acme_err err = held(&x, hold, hold_id, decided, &headers_kept);
    if (acme_failed(err))
        acme_respond_failure(&x, err, headers_kept);
}

bool acme_service_is_undecided(struct acme_service *service, struct acme_arena *arena, enum acme_hold hold,
                               const char *hold_id)
{
    struct acme_order order;
    struct acme_revocation revocation;
    if (hold == ACME_HOLD_REVOCATION)
        return !acme_failed(acme_store_revocation_get(service->store, arena, hold_id, &revocation)) &&
               revocation.status == ACME_REVOCATION_UNDER_WAY;
    return hold == ACME_HOLD_ORDER &&
           !acme_failed(acme_store_order_get(service->store, arena, hold_id, &order)) &&
           order.status == ACME_ORDER_PROCESSING;
}

void acme_service_problem_response(struct acme_service *service, struct acme_arena *arena, int problem_type,
                                   int status, const char *detail, struct acme_response *response)
{
    struct acme_exchange x = exchange(service, arena, response);
    struct acme_err err = service != NULL ? acme_respond_common(&x, true, true)
                                          : acme_respond_header(&x, "Cache-Control", "no-store");
    x.problem = (struct acme_problem){
        .type = (enum acme_problem_type)problem_type, .status = status, .detail = detail};
    acme_respond_failure(&x, acme_failed(err) ? err : acme_err(ACME_E_PROBLEM), response->header_count);
}
