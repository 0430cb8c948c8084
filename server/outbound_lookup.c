/* Lookups of records for validations: one query, with a time limit of our own, since libunbound keeps asking
 * servers that do not answer. */
#include "server/outbound_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NXDOMAIN = 3, MAX_NAME = 253 };

struct record_lookup {
    struct acme_outbound_task task;
    struct acme_query *query; /* not NULL while under way */
    struct event *timer;
    int type;
    int timeout_ms;
    char *name;
};

static void destroy_lookup(struct acme_outbound_task *task)
{
    struct record_lookup *lookup = (struct record_lookup *)task;
    acme_query_cancel(lookup->query);
    if (lookup->timer != NULL)
        event_free(lookup->timer);
    free(lookup->name);
    free(lookup);
}

/* "<what> TXT for a.test" */
static void end(struct record_lookup *lookup, enum acme_outbound_failure failure, const char *what,
                const struct acme_dns_records *records)
{
    char detail[ACME_TRANSFER_DETAIL_SIZE];
    (void)snprintf(detail, sizeof detail, "%s %s for %s", what, acme_dns_type_name(lookup->type),
                   lookup->name);
    struct acme_outbound_result result = {.failure = failure, .detail = detail, .records = records};
    acme_outbound_finish(&lookup->task, &result);
}

static void on_answer(void *context, const struct acme_dns_answer *answer)
{
    struct record_lookup *lookup = context;
    struct acme_dns_records records = {.count = 0};
    char what[64];
    lookup->query = NULL;
    (void)snprintf(what, sizeof what, "%s looking up", acme_dns_rcode_name(answer->rcode));
    if (answer->bogus) {
        end(lookup, ACME_OUTBOUND_DNS, "DNSSEC validation failed (the answer is bogus) looking up", NULL);
        return;
    }
    if (answer->rcode != 0) {
        end(lookup, answer->rcode == NXDOMAIN ? ACME_OUTBOUND_OK : ACME_OUTBOUND_DNS, what,
            answer->rcode == NXDOMAIN ? &records : NULL);
        return;
    }
    struct acme_err err = acme_err(ACME_E_FORMAT);
    if (answer->packet != NULL)
        err = acme_dns_read_records(answer->packet, answer->len, lookup->type, &records);
    if (acme_failed(err))
        end(lookup, ACME_OUTBOUND_DNS,
            err.code == ACME_E_LIMIT ? "too many records looking up" : "a malformed answer looking up", NULL);
    else
        end(lookup, ACME_OUTBOUND_OK, records.count == 0 ? "no records looking up" : "found", &records);
}

static void on_timeout(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    end(context, ACME_OUTBOUND_DNS, "timed out looking up", NULL);
}

static void start_lookup(struct acme_outbound_task *task)
{
    struct record_lookup *lookup = (struct record_lookup *)task;
    const struct timeval limit = {.tv_sec = lookup->timeout_ms / 1000,
                                  .tv_usec = lookup->timeout_ms % 1000 * 1000L};
    if (strlen(lookup->name) >
        MAX_NAME) { /* a label in front of the longest names makes one that cannot be */
        end(lookup, ACME_OUTBOUND_DNS, "the name is longer than 253 characters, looking up", NULL);
        return;
    }
    lookup->timer = event_new(task->outbound->base, -1, 0, on_timeout, lookup);
    if (lookup->timer == NULL || event_add(lookup->timer, &limit) != 0 ||
        acme_failed(acme_resolver_query(task->outbound->resolver, lookup->name, lookup->type, on_answer,
                                        lookup, &lookup->query)))
        end(lookup, ACME_OUTBOUND_DNS, "the DNS resolver of this server does not work, looking up", NULL);
}

struct acme_err acme_outbound_lookup(struct acme_outbound *outbound, const char *name, int type,
                                     int timeout_ms, acme_outbound_done done, void *context)
{
    static const struct acme_outbound_task_class class = {
        .start = start_lookup, .destroy = destroy_lookup, .limited = true};
    struct record_lookup *lookup = calloc(1, sizeof *lookup);
    ENSURE(lookup != NULL, ACME_E_NOMEM);
    lookup->task =
        (struct acme_outbound_task){.class = &class, .outbound = outbound, .done = done, .context = context};
    lookup->type = type;
    lookup->timeout_ms = timeout_ms;
    lookup->name = strdup(name);
    struct acme_err err = acme_err(ACME_E_NOMEM);
    if (lookup->name != NULL)
        err = acme_outbound_submit(&lookup->task);
    if (acme_failed(err))
        destroy_lookup(&lookup->task);
    return err;
}
