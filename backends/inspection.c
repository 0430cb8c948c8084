/* What a look at an upstream yields: findings, and the domains it has. */
#include "backends/issuer.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 64 };

struct acme_err acme_finding_add(struct acme_inspection *inspection, enum acme_finding_level level,
                                 const char *text)
{
    ENSURE(text != NULL, ACME_E_NOMEM);
    if (inspection->finding_count < ACME_FINDINGS_MAX)
        inspection->findings[inspection->finding_count++] =
            (struct acme_finding){.level = level, .text = text};
    return acme_ok();
}

struct acme_err acme_upstream_domain_add(struct acme_arena *arena, struct acme_inspection *inspection,
                                         const struct acme_upstream_domain *domain)
{
    ENSURE(inspection->domain_count < ACME_UPSTREAM_DOMAINS_MAX, ACME_E_LIMIT);
    if (inspection->domain_count == inspection->domain_room) {
        size_t room = inspection->domain_room == 0 ? FIRST_ROOM : 2 * inspection->domain_room;
        struct acme_upstream_domain *more = acme_arena_alloc(arena, room * sizeof *more);
        ENSURE(more != NULL, ACME_E_NOMEM);
        if (inspection->domain_count > 0)
            memcpy(more, inspection->domains, inspection->domain_count * sizeof *more);
        inspection->domains = more;
        inspection->domain_room = room;
    }
    const char *given = strncmp(domain->name, "*.", 2) == 0 ? domain->name + 2 : domain->name;
    char *name = acme_arena_strdup(arena, given);
    ENSURE(name != NULL, ACME_E_NOMEM);
    for (char *c = name; *c != '\0'; c++) {
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    }
    struct acme_upstream_domain *kept = &inspection->domains[inspection->domain_count++];
    *kept = *domain;
    kept->name = name;
    return acme_ok();
}

/* Of entries for the same name the best comes first. */
static int compare(const void *left, const void *right)
{
    const struct acme_upstream_domain *a = left;
    const struct acme_upstream_domain *b = right;
    int order = strcmp(a->name, b->name);
    if (order != 0)
        return order;
    if (a->validated != b->validated)
        return a->validated ? -1 : 1;
    int64_t until_a = a->until_ms == 0 ? INT64_MAX : a->until_ms;
    int64_t until_b = b->until_ms == 0 ? INT64_MAX : b->until_ms;
    return until_a > until_b ? -1 : until_a < until_b ? 1 : 0;
}

void acme_upstream_domains_sort(struct acme_upstream_domain *domains, size_t count)
{
    if (count > 1)
        qsort(domains, count, sizeof *domains, compare);
}

/* The first entry with exactly this name. */
static const struct acme_upstream_domain *find(const struct acme_upstream_domain *domains, size_t count,
                                               const char *name)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(domains[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && strcmp(domains[low].name, name) == 0 ? &domains[low] : NULL;
}

enum acme_domain_state acme_upstream_domain_find(const struct acme_upstream_domain *domains, size_t count,
                                                 const char *name, int64_t now_ms,
                                                 const struct acme_upstream_domain **ret)
{
    enum acme_domain_state best = ACME_DOMAIN_UNKNOWN;
    *ret = NULL;
    if (strncmp(name, "*.", 2) == 0)
        name += 2;
    for (;;) {
        const struct acme_upstream_domain *found = find(domains, count, name);
        enum acme_domain_state state = ACME_DOMAIN_UNKNOWN;
        if (found != NULL && !found->validated)
            state = ACME_DOMAIN_NOT_VALIDATED;
        else if (found != NULL)
            state = found->until_ms != 0 && found->until_ms <= now_ms ? ACME_DOMAIN_EXPIRED
                                                                      : ACME_DOMAIN_VALIDATED;
        if (state > best) {
            best = state;
            *ret = found;
        }
        const char *dot = strchr(name, '.');
        if (best == ACME_DOMAIN_VALIDATED || dot == NULL)
            return best;
        name = dot + 1;
    }
}
