#include "server/outbound.h"

#include "base/log.h"
#include "server/outbound_internal.h"
#include "server/outbound_token.h"
#include "server/thread.h"

#include <stdlib.h>

static void append(struct acme_task_list *list, struct acme_outbound_task *task)
{
    task->next = NULL;
    task->prev = list->last;
    if (list->last != NULL)
        list->last->next = task;
    else
        list->first = task;
    list->last = task;
}

static void remove_task(struct acme_task_list *list, struct acme_outbound_task *task)
{
    if (task->prev != NULL)
        task->prev->next = task->next;
    else
        list->first = task->next;
    if (task->next != NULL)
        task->next->prev = task->prev;
    else
        list->last = task->prev;
}

static void run_task(struct acme_outbound *outbound, struct acme_outbound_task *task)
{
    append(&outbound->running, task);
    if (task->class->limited)
        outbound->fetches++;
    task->class->start(task);
}

/* Not from within acme_outbound_finish: a task that ends at once would start the next one inside itself. */
static void run_waiting(struct acme_outbound *outbound)
{
    while (outbound->waiting.first != NULL && outbound->fetches < outbound->max_fetches) {
        struct acme_outbound_task *task = outbound->waiting.first;
        remove_task(&outbound->waiting, task);
        run_task(outbound, task);
    }
}

static void end_task(struct acme_outbound_task *task, const struct acme_outbound_result *result)
{
    task->done(task->context, result);
    task->class->destroy(task);
}

void acme_outbound_finish(struct acme_outbound_task *task, const struct acme_outbound_result *result)
{
    struct acme_outbound *outbound = task->outbound;
    remove_task(&outbound->running, task);
    if (task->class->limited) {
        outbound->fetches--;
        if (outbound->waiting.first != NULL)
            acme_inbox_wake(&outbound->inbox);
    }
    end_task(task, result);
}

static void cancel_all(struct acme_outbound *outbound)
{
    static const struct acme_outbound_result cancelled = {.failure = ACME_OUTBOUND_CANCELLED,
                                                          .detail = "the server is stopping"};
    struct acme_task_list *lists[] = {&outbound->waiting, &outbound->running};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        while (lists[i]->first != NULL) {
            struct acme_outbound_task *task = lists[i]->first;
            remove_task(lists[i], task);
            end_task(task, &cancelled);
        }
    }
}

static void take_new(struct acme_outbound *outbound)
{
    struct acme_inbox_item *item = acme_inbox_take(&outbound->inbox);
    while (item != NULL) {
        struct acme_outbound_task *task = (struct acme_outbound_task *)item;
        item = item->next;
        if (task->class->limited)
            append(&outbound->waiting, task);
        else
            run_task(outbound, task);
    }
}

static void on_wake(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct acme_outbound *outbound = context;
    take_new(outbound);
    if (atomic_load(&outbound->stopping)) {
        take_new(outbound); /* what came until the inbox was closed, which was before `stopping` was set */
        cancel_all(outbound);
        event_base_loopbreak(outbound->base);
        return;
    }
    run_waiting(outbound);
}

struct acme_err acme_outbound_submit(struct acme_outbound_task *task)
{
    ENSURE(acme_inbox_push(&task->outbound->inbox, &task->item), ACME_E_STATE);
    return acme_ok();
}

static void *run(void *context)
{
    struct acme_outbound *outbound = context;
    (void)event_base_dispatch(outbound->base);
    return NULL;
}

static struct acme_err init(struct acme_outbound *outbound, const struct acme_outbound_options *options)
{
    outbound->inbox.fd = -1;
    TRY(acme_inbox_init(&outbound->inbox));
    outbound->base = event_base_new();
    ENSURE(outbound->base != NULL, ACME_E_NOMEM);
    outbound->wake = event_new(outbound->base, outbound->inbox.fd, EV_READ | EV_PERSIST, on_wake, outbound);
    ENSURE(outbound->wake != NULL && event_add(outbound->wake, NULL) == 0, ACME_E_NOMEM);
    TRY(acme_outbound_multi_init(outbound));
    TRY(acme_outbound_tls_init(outbound));
    const struct acme_resolver_options resolver = {.servers = options->resolvers,
                                                   .server_count = options->resolver_count,
                                                   .trust_anchor_file = options->trust_anchor_file};
    TRY(acme_resolver_create(outbound->base, &resolver, &outbound->resolver));
    return acme_thread_start("outbound", run, outbound, &outbound->thread);
}

static void finish(struct acme_outbound *outbound)
{
    acme_tokens_finish(outbound);
    acme_resolver_destroy(outbound->resolver);
    acme_outbound_multi_finish(outbound);
    acme_outbound_tls_finish(outbound);
    if (outbound->wake != NULL)
        event_free(outbound->wake);
    if (outbound->base != NULL)
        event_base_free(outbound->base);
    if (outbound->inbox.fd >= 0)
        acme_inbox_finish(&outbound->inbox);
    free(outbound);
    curl_global_cleanup();
}

struct acme_err acme_outbound_start(const struct acme_outbound_options *options, struct acme_outbound **ret)
{
    ENSURE(options->max_fetches > 0 && options->policy != NULL, ACME_E_INTERNAL);
    ENSURE(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK, ACME_E_NOMEM);
    struct acme_outbound *outbound = calloc(1, sizeof *outbound);
    if (outbound == NULL) {
        curl_global_cleanup();
        return acme_err(ACME_E_NOMEM);
    }
    outbound->policy = options->policy;
    outbound->max_fetches = options->max_fetches;
    struct acme_err err = init(outbound, options);
    if (acme_failed(err)) {
        finish(outbound);
        return err;
    }
    *ret = outbound;
    return acme_ok();
}

void acme_outbound_stop(struct acme_outbound *outbound)
{
    if (outbound == NULL)
        return;
    acme_inbox_close(&outbound->inbox);
    atomic_store(&outbound->stopping, true);
    acme_inbox_wake(&outbound->inbox);
    pthread_join(outbound->thread, NULL);
    finish(outbound);
}
