/* Names to addresses: AAAA and A, asked for at the same time. */
#include "server/resolver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NAME = 253, EACH_FAMILY = ACME_DNS_MAX_ADDRESSES / 2 };

struct one_type {
    struct acme_lookup *lookup;
    int type;
    struct acme_query *query; /* NULL: it is over */
    int rcode;
    bool bogus;
    bool malformed;
    struct acme_ip_list addresses;
};

struct acme_lookup {
    acme_lookup_done done;
    void *context;
    struct one_type v6;
    struct one_type v4;
    char name[MAX_NAME + 1];
};

static void explain(const struct acme_lookup *lookup, char *out, size_t size)
{
    if (lookup->v6.bogus || lookup->v4.bogus)
        (void)snprintf(out, size, "the DNSSEC signatures for %s are bogus", lookup->name);
    else if (lookup->v4.rcode != 0)
        (void)snprintf(out, size, "%s looking up A for %s", acme_dns_rcode_name(lookup->v4.rcode),
                       lookup->name);
    else if (lookup->v6.rcode != 0)
        (void)snprintf(out, size, "%s looking up AAAA for %s", acme_dns_rcode_name(lookup->v6.rcode),
                       lookup->name);
    else if (lookup->v6.malformed || lookup->v4.malformed)
        (void)snprintf(out, size, "a malformed DNS answer for %s", lookup->name);
    else
        (void)snprintf(out, size, "no A or AAAA records for %s", lookup->name);
}

static void finish(struct acme_lookup *lookup)
{
    struct acme_ip_list all = lookup->v6.addresses;
    for (size_t i = 0; i < lookup->v4.addresses.count; i++)
        all.ip[all.count++] = lookup->v4.addresses.ip[i];
    char why[MAX_NAME + 64] = "";
    if (all.count == 0)
        explain(lookup, why, sizeof why);
    acme_lookup_done done = lookup->done;
    void *context = lookup->context;
    free(lookup);
    done(context, &all, why);
}

static void on_answer(void *context, const struct acme_dns_answer *answer)
{
    struct one_type *one = context;
    one->query = NULL;
    one->rcode = answer->rcode;
    one->bogus = answer->bogus;
    if (answer->rcode == 0 && !answer->bogus)
        one->malformed = answer->packet == NULL ||
                         acme_failed(acme_dns_read_addresses(answer->packet, answer->len, one->type,
                                                             EACH_FAMILY, &one->addresses));
    if (one->lookup->v6.query == NULL && one->lookup->v4.query == NULL)
        finish(one->lookup);
}

struct acme_err acme_resolver_lookup(struct acme_resolver *resolver, const char *name, acme_lookup_done done,
                                     void *context, struct acme_lookup **ret)
{
    ENSURE(strlen(name) <= MAX_NAME, ACME_E_NOMEM);
    struct acme_lookup *lookup = calloc(1, sizeof *lookup);
    ENSURE(lookup != NULL, ACME_E_NOMEM);
    memcpy(lookup->name, name, strlen(name) + 1);
    lookup->done = done;
    lookup->context = context;
    lookup->v6 = (struct one_type){.lookup = lookup, .type = ACME_DNS_TYPE_AAAA};
    lookup->v4 = (struct one_type){.lookup = lookup, .type = ACME_DNS_TYPE_A};
    struct acme_err err =
        acme_resolver_query(resolver, name, ACME_DNS_TYPE_AAAA, on_answer, &lookup->v6, &lookup->v6.query);
    if (!acme_failed(err))
        err = acme_resolver_query(resolver, name, ACME_DNS_TYPE_A, on_answer, &lookup->v4, &lookup->v4.query);
    if (acme_failed(err)) {
        acme_lookup_cancel(lookup);
        return err;
    }
    *ret = lookup;
    return acme_ok();
}

void acme_lookup_cancel(struct acme_lookup *lookup)
{
    acme_query_cancel(lookup->v6.query);
    acme_query_cancel(lookup->v4.query);
    free(lookup);
}
