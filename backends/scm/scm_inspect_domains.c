/* The domains SCM has, and whether they are validated. */
#include "backends/scm/scm_inspect.h"

#include <string.h>
#include <strings.h>

enum { SOON_MAX = 20 };

static struct acme_err find_domains(struct scm_inspecting *in)
{
    const struct acme_inspection *inspection = in->inspection;
    int64_t now_ms = in->ctx->input->now_ms;
    for (size_t i = 0; i < in->request->domain_count; i++) {
        const char *name = in->request->domains[i];
        const struct acme_upstream_domain *domain = NULL;
        switch (
            acme_upstream_domain_find(inspection->domains, inspection->domain_count, name, now_ms, &domain)) {
        case ACME_DOMAIN_VALIDATED:
            TRY(FIND(in, GOOD, "Names like %s may be ordered: %s is validated.", name,
                     acme_scm_inspect_shown(in, domain->name)));
            break;
        case ACME_DOMAIN_EXPIRED:
            TRY(FIND(in, ERROR, "The validation of %s has expired, which %s needs.",
                     acme_scm_inspect_shown(in, domain->name), name));
            break;
        case ACME_DOMAIN_NOT_VALIDATED:
            TRY(FIND(in, ERROR, "%s is not validated in SCM, which %s needs.",
                     acme_scm_inspect_shown(in, domain->name), name));
            break;
        case ACME_DOMAIN_UNKNOWN:
            TRY(FIND(in, ERROR, "SCM has no domain for %s.", name));
            break;
        }
    }
    return acme_ok();
}

static struct acme_err judge_domains(struct scm_inspecting *in)
{
    struct acme_inspection *inspection = in->inspection;
    int64_t now_ms = in->ctx->input->now_ms;
    size_t validated = 0;
    size_t soon = 0;
    acme_upstream_domains_sort(inspection->domains, inspection->domain_count);
    inspection->domains_known = true;
    if (in->request->domains_only)
        return acme_ok();
    for (size_t i = 0; i < inspection->domain_count; i++) {
        const struct acme_upstream_domain *domain = &inspection->domains[i];
        if (!domain->validated || (domain->until_ms != 0 && domain->until_ms <= now_ms))
            continue;
        validated++;
        if (domain->until_ms != 0 && domain->until_ms - now_ms < SCM_SOON_MS && soon++ < SOON_MAX)
            TRY(FIND(in, WARNING, "The validation of %s ends within %lld days.",
                     acme_scm_inspect_shown(in, domain->name),
                     (long long)((domain->until_ms - now_ms + ACME_DAY_MS - 1) / ACME_DAY_MS)));
    }
    TRY(acme_finding_add(inspection, validated > 0 ? ACME_FINDING_GOOD : ACME_FINDING_WARNING,
                         acme_arena_printf(in->ctx->arena, "Validated domains: %zu of %zu.", validated,
                                           inspection->domain_count)));
    return find_domains(in);
}

/* *ret_more: another page follows. */
struct acme_err acme_scm_inspect_domains(struct scm_inspecting *in, const cJSON *json, bool *ret_more)
{
    struct acme_inspection *inspection = in->inspection;
    const cJSON *item;
    cJSON_ArrayForEach(item, json)
    {
        const char *name = acme_json_str(item, "domain");
        int64_t until_ms = acme_scm_day_ms(acme_json_str(item, "expirationDate"));
        if (name == NULL || strlen(name) > 255)
            continue;
        const char *status = acme_json_str(item, "dcvStatus");
        /* The newer API writes "Validated". */
        bool validated = status != NULL && strcasecmp(status, "VALIDATED") == 0;
        bool expired = status != NULL && strcasecmp(status, "EXPIRED") == 0;
        /* The day itself still counts, unless SCM says that it is over. */
        until_ms = until_ms != 0 ? until_ms + ACME_DAY_MS : 0;
        if (expired && (until_ms == 0 || until_ms > in->ctx->input->now_ms))
            until_ms = in->ctx->input->now_ms;
        const struct acme_upstream_domain domain = {
            .name = name, .validated = expired || validated, .until_ms = until_ms};
        struct acme_err err = acme_upstream_domain_add(in->ctx->arena, inspection, &domain);
        if (err.code == ACME_E_LIMIT)
            return FIND(in, WARNING, "SCM has more domains than this server keeps: %d.",
                        (int)ACME_UPSTREAM_DOMAINS_MAX);
        TRY(err);
    }
    int count = cJSON_GetArraySize(json);
    int64_t total = acme_scm_total_count(in->ctx->input->reply);
    inspection->position += count;
    *ret_more = count > 0 && (total >= 0 ? inspection->position < total : count >= SCM_DOMAIN_PAGE);
    return *ret_more ? acme_ok() : judge_domains(in);
}
