/* The names of an order against those of the enrollment. */
#include "backends/cps/cps_issue.h"

#include <strings.h>

static bool is_ordered(const struct cps_issue *issue, const char *name)
{
    for (size_t i = 0; i < issue->request->identifier_count; i++)
        if (strcasecmp(issue->request->identifiers[i].value, name) == 0)
            return true;
    return false;
}

void acme_cps_names_compare(const struct cps_issue *issue, struct cps_names *ret)
{
    const struct cps_enrollment *enrollment = &issue->enrollment;
    *ret = (struct cps_names){.without_common_name = !is_ordered(issue, enrollment->common_name)};
    for (size_t i = 0; i < issue->request->identifier_count; i++) {
        const char *name = issue->request->identifiers[i].value;
        if (acme_cps_enrollment_has(enrollment, name))
            continue;
        if (ret->added++ == 0)
            ret->first_added = name;
    }
    for (size_t i = 0; i < enrollment->san_count; i++) {
        if (is_ordered(issue, enrollment->sans[i]))
            continue;
        if (ret->removed++ == 0)
            ret->first_removed = enrollment->sans[i];
    }
}

static bool is_wildcard(const char *name)
{
    return name[0] == '*' && name[1] == '.';
}

/* How many SANs there would be. */
static void count_sans(const struct cps_issue *issue, int64_t *sans, int64_t *wildcards)
{
    const struct cps_enrollment *enrollment = &issue->enrollment;
    for (size_t i = 0; i < enrollment->san_count; i++) {
        if (!is_ordered(issue, enrollment->sans[i]) &&
            strcasecmp(enrollment->sans[i], enrollment->common_name) != 0)
            continue;
        *sans += 1;
        *wildcards += is_wildcard(enrollment->sans[i]);
    }
    for (size_t i = 0; i < issue->request->identifier_count; i++) {
        const char *name = issue->request->identifiers[i].value;
        if (acme_cps_enrollment_has(enrollment, name))
            continue;
        *sans += 1;
        *wildcards += is_wildcard(name);
    }
}

static const char *over_quota(struct cps_issue *issue)
{
    const struct cps_enrollment *enrollment = &issue->enrollment;
    int64_t sans = 0;
    int64_t wildcards = 0;
    count_sans(issue, &sans, &wildcards);
    if (enrollment->max_sans >= 0 && sans > enrollment->max_sans)
        return acme_arena_printf(issue->ctx.arena,
                                 "With the names of this order the enrollment would have %lld alternative "
                                 "names; Akamai allows it %lld.",
                                 (long long)sans, (long long)enrollment->max_sans);
    if (wildcards > 0 && enrollment->max_wildcards >= 0 && wildcards > enrollment->max_wildcards)
        return acme_arena_printf(
            issue->ctx.arena,
            "With the names of this order the enrollment would have %lld wildcard names; "
            "Akamai allows it %lld.",
            (long long)wildcards, (long long)enrollment->max_wildcards);
    return "";
}

struct acme_err acme_cps_names_refused(struct cps_issue *issue, const struct cps_names *names,
                                       const char **ret_detail)
{
    struct cps_context *ctx = &issue->ctx;
    *ret_detail = NULL;
    if (names->without_common_name) {
        *ret_detail = acme_arena_printf(
            ctx->arena,
            "The enrollment's common name %s cannot be removed: order it together with the other names.",
            acme_cps_shown(ctx, issue->enrollment.common_name, 253));
        return acme_err(*ret_detail != NULL ? ACME_OK : ACME_E_NOMEM);
    }
    if (names->removed > 0 && !issue->profile->allow_san_removal) {
        *ret_detail = acme_arena_printf(ctx->arena,
                                        "The certificate on the edge also has %s%s, and this profile does "
                                        "not allow to remove names: order all "
                                        "of them together.",
                                        acme_cps_shown(ctx, names->first_removed, 253),
                                        names->removed > 1 ? " and other names" : "");
        return acme_err(*ret_detail != NULL ? ACME_OK : ACME_E_NOMEM);
    }
    if (names->added == 0)
        return acme_ok();
    const char *over = over_quota(issue);
    ENSURE(over != NULL, ACME_E_NOMEM);
    *ret_detail = *over != '\0' ? over : NULL;
    return acme_ok();
}
