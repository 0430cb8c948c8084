#include "server/http_internal.h"
#include "server/http_write.h"

#include <stdlib.h>
#include <string.h>

static const char *copy(struct acme_arena *arena, const char *data, struct acme_http_span span)
{
    return acme_arena_strndup(arena, data + span.at, span.len);
}

static bool fill_request(struct acme_request *request, const char *data, const struct acme_http_head *head)
{
    struct acme_arena *arena = request->arena;
    request->method = copy(arena, data, head->method);
    request->path = copy(arena, data, head->path);
    if (request->method == NULL || request->path == NULL)
        return false;
    if (head->has_query && (request->query = copy(arena, data, head->query)) == NULL)
        return false;
    if (head->has_content_type && (request->content_type = copy(arena, data, head->content_type)) == NULL)
        return false;
    if (head->has_user_agent && (request->user_agent = copy(arena, data, head->user_agent)) == NULL)
        return false;
    if (head->content_length > 0) {
        request->body.data = acme_arena_memdup(arena, data + head->head_len, head->content_length);
        request->body.len = head->content_length;
        return request->body.data != NULL;
    }
    return true;
}

struct acme_err acme_http_exchange_create(const char *data, const struct acme_http_head *head,
                                          size_t max_arena, struct acme_http_exchange **ret)
{
    struct acme_http_exchange *exchange = calloc(1, sizeof *exchange);
    ENSURE(exchange != NULL, ACME_E_NOMEM);
    exchange->request.arena = acme_arena_create(max_arena);
    if (exchange->request.arena == NULL) {
        acme_http_exchange_destroy(exchange);
        return acme_err(ACME_E_NOMEM);
    }
    if (!fill_request(&exchange->request, data, head)) {
        acme_http_exchange_destroy(exchange);
        return acme_err(ACME_E_LIMIT);
    }
    exchange->is_head = strcmp(exchange->request.method, "HEAD") == 0;
    exchange->http_1_0 = head->http_1_0;
    exchange->close = !head->keep_alive;
    *ret = exchange;
    return acme_ok();
}

void acme_http_exchange_destroy(struct acme_http_exchange *exchange)
{
    if (exchange == NULL)
        return;
    acme_arena_destroy(exchange->request.arena);
    free(exchange->out);
    acme_blob_release(exchange->shared);
    free(exchange);
}

void acme_http_respond(struct acme_http_exchange *exchange, const struct acme_response *response)
{
    struct acme_http_loop *loop = exchange->loop;
    if (atomic_load(&loop->server->draining))
        exchange->close = true;
    unsigned flags = 0;
    if (exchange->is_head)
        flags |= ACME_HTTP_WRITE_NO_BODY;
    if (exchange->close)
        flags |= ACME_HTTP_WRITE_CLOSE;
    else if (exchange->http_1_0)
        flags |= ACME_HTTP_WRITE_KEEP_ALIVE;
    if (response->shared != NULL && !exchange->is_head) {
        flags |= ACME_HTTP_WRITE_NO_BODY;
        exchange->shared = acme_blob_hold(response->shared);
    }
    exchange->out = acme_http_write_response(response, flags, &exchange->out_len);
    acme_arena_destroy(exchange->request.arena);
    exchange->request = (struct acme_request){.arena = NULL};
    /* From within on_request the connection is on the stack below us: it looks for the answer when we return.
     */
    if (pthread_equal(pthread_self(), loop->thread) && loop->dispatching == exchange) {
        loop->answered_inline = true;
        return;
    }
    if (!acme_inbox_push(&loop->inbox, &exchange->item))
        acme_http_exchange_destroy(exchange);
}
