#include "protocol/object_json.h"

#include "base/id.h"

#include <string.h>

enum { MAX_ORDER = 1024 * 1024 }; /* a thousand names, each with a subproblem */

struct acme_err acme_order_as_of_now(struct acme_exchange *x, struct acme_order *order)
{
    bool waits = order->status == ACME_ORDER_PENDING || order->status == ACME_ORDER_READY;
    if (!waits || x->now_ms < order->expires_ms)
        return acme_ok();
    char when[ACME_RFC3339_SIZE];
    acme_rfc3339_format(order->expires_ms, when);
    const struct acme_problem problem = {
        .type = ACME_PROBLEM_ORDER_NOT_READY,
        .detail = acme_arena_printf(x->arena,
                                    "The order, or an authorization it needs, expired at %s before the order "
                                    "was finalized; make a new one",
                                    when),
    };
    ENSURE(problem.detail != NULL, ACME_E_NOMEM);
    order->error = acme_problem_json(x->arena, &problem);
    ENSURE(order->error != NULL, ACME_E_NOMEM);
    order->status = ACME_ORDER_INVALID;
    return acme_ok();
}

struct acme_err acme_order_load(struct acme_exchange *x, struct acme_order *ret)
{
    struct acme_order order;
    struct acme_err err = acme_err(ACME_E_NOT_FOUND);
    if (acme_id_valid(x->id))
        err = acme_store_order_get(x->service->store, x->arena, x->id, &order);
    if (err.code == ACME_E_NOT_FOUND || (!acme_failed(err) && strcmp(order.account_id, x->account.id) != 0))
        return acme_exchange_no_such(x, "order");
    TRY(err);
    TRY(acme_order_as_of_now(x, &order));
    *ret = order;
    return acme_ok();
}

struct acme_err acme_order_respond(struct acme_exchange *x, int status, const struct acme_order *order)
{
    const struct acme_service_config *config = x->service->config;
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, MAX_ORDER);
    acme_order_write(x, order, &out);
    TRY(acme_respond_header(x, "Location", acme_exchange_url(x, "/order/", order->id, "")));
    /* Early or small values shorten the patience of some clients, so there is none at first. */
    if (order->status == ACME_ORDER_PROCESSING && config->retry_after_processing_s > 0 &&
        x->now_ms - order->finalized_ms >= config->retry_after_quiet_ms)
        TRY(acme_respond_retry_after(x, config->retry_after_processing_s));
    return acme_respond_json(x, status, &out);
}

/* So seldom that polling costs next to nothing; what it is for reckons in minutes. */
#define SEEN_EVERY_MS ACME_MINUTE_MS

void acme_order_note_seen(struct acme_exchange *x, const struct acme_order *order)
{
    if (order->status != ACME_ORDER_PROCESSING && order->status != ACME_ORDER_VALID)
        return;
    int64_t last_ms = order->seen_ms > order->finalized_ms ? order->seen_ms : order->finalized_ms;
    if (x->now_ms - last_ms >= SEEN_EVERY_MS)
        acme_store_order_seen(x->service->store, order->id, x->now_ms);
}

struct acme_err acme_order_get(struct acme_exchange *x)
{
    struct acme_order order;
    TRY(acme_order_load(x, &order));
    TRY(acme_exchange_read_only(x));
    acme_order_note_seen(x, &order);
    TRY(acme_order_explain(x, &order));
    return acme_order_respond(x, 200, &order);
}
