#include "server/shares.h"

#include "base/id.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum { BUCKETS = 256 };

struct acme_share {
    LIST_ENTRY(acme_share) entry;
    char name[ACME_ID_SIZE];
    size_t count;
};

LIST_HEAD(share_bucket, acme_share);

struct acme_shares {
    struct share_bucket buckets[BUCKETS];
};

/* FNV-1a. Names are ids that the server itself has made: chains cannot be built from outside. */
static size_t bucket_of(const char *name)
{
    uint32_t hash = 2166136261u;
    for (const char *p = name; *p != '\0'; p++)
        hash = (hash ^ (uint8_t)*p) * 16777619u;
    return hash % BUCKETS;
}

static struct acme_share *find(const struct acme_shares *shares, const char *name)
{
    struct acme_share *share;
    LIST_FOREACH(share, &shares->buckets[bucket_of(name)], entry)
    {
        if (strcmp(share->name, name) == 0)
            return share;
    }
    return NULL;
}

struct acme_shares *acme_shares_create(void)
{
    return calloc(1, sizeof(struct acme_shares)); /* empty lists are zero */
}

void acme_shares_destroy(struct acme_shares *shares)
{
    free(shares);
}

struct acme_err acme_shares_enter(struct acme_shares *shares, const char *name, struct acme_share **ret)
{
    struct acme_share *share = find(shares, name);
    if (share == NULL) {
        size_t len = strlen(name);
        ENSURE(len < sizeof share->name, ACME_E_LIMIT);
        share = calloc(1, sizeof *share);
        ENSURE(share != NULL, ACME_E_NOMEM);
        memcpy(share->name, name, len + 1);
        LIST_INSERT_HEAD(&shares->buckets[bucket_of(name)], share, entry);
    }
    share->count++;
    *ret = share;
    return acme_ok();
}

void acme_shares_leave(struct acme_shares *shares, struct acme_share *share)
{
    (void)shares;
    if (--share->count > 0)
        return;
    LIST_REMOVE(share, entry);
    free(share);
}

size_t acme_shares_count(const struct acme_shares *shares, const char *name)
{
    const struct acme_share *share = find(shares, name);
    return share == NULL ? 0 : share->count;
}

bool acme_shares_allow(size_t under_way, size_t places, size_t used)
{
    return used < places && under_way < places - used;
}
