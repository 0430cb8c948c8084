/* Waiting on the loop, for jobs whose call may not be made yet. */
#include "server/outbound_internal.h"

#include <stdlib.h>

struct timer {
    struct acme_outbound_task task;
    struct event *event;
    int64_t at_ms; /* of acme_outbound_now_ms */
};

static void destroy_timer(struct acme_outbound_task *task)
{
    struct timer *timer = (struct timer *)task;
    if (timer->event != NULL)
        event_free(timer->event);
    free(timer);
}

static void end(struct timer *timer)
{
    const struct acme_outbound_result result = {.failure = ACME_OUTBOUND_OK};
    acme_outbound_finish(&timer->task, &result);
}

static void on_time(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    end(context);
}

static void start_timer(struct acme_outbound_task *task)
{
    struct timer *timer = (struct timer *)task;
    const struct timeval left = acme_outbound_delay(timer->at_ms - acme_outbound_now_ms());
    timer->event = event_new(task->outbound->base, -1, 0, on_time, timer);
    if (timer->event == NULL || event_add(timer->event, &left) != 0)
        end(timer); /* early, then */
}

struct acme_err acme_outbound_wait(struct acme_outbound *outbound, int64_t delay_ms, acme_outbound_done done,
                                   void *context)
{
    static const struct acme_outbound_task_class class = {.start = start_timer, .destroy = destroy_timer};
    struct timer *timer = calloc(1, sizeof *timer);
    ENSURE(timer != NULL, ACME_E_NOMEM);
    timer->task =
        (struct acme_outbound_task){.class = &class, .outbound = outbound, .done = done, .context = context};
    timer->at_ms = acme_outbound_now_ms() + delay_ms;
    struct acme_err err = acme_outbound_submit(&timer->task);
    if (acme_failed(err))
        destroy_timer(&timer->task);
    return err;
}
