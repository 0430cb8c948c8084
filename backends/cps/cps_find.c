/* The enrollment of the profile: named by its number, or by its common name. */
#include "backends/cps/cps_issue.h"

static const char config_detail[] = "This certificate authority's connection to Akamai CPS is not set up for "
                                    "this profile; its operator has to "
                                    "look into it.";

struct acme_err acme_cps_find_begin(struct cps_issue *issue)
{
    struct cps_context *ctx = &issue->ctx;
    const struct acme_issue_request *request = issue->request;
    if (request->withdraw)
        return acme_cps_withdrawn(issue);
    for (size_t i = 0; i < request->identifier_count; i++) {
        if (request->identifiers[i].type != ACME_IDENTIFIER_DNS)
            return acme_cps_fail(
                ctx, ACME_PROBLEM_UNSUPPORTED_IDENTIFIER,
                "This certificate authority issues for DNS names only.",
                "The order holds an identifier that is no DNS name; nothing was sent to CPS.");
    }
    if (issue->profile->enrollment_id > 0) {
        ctx->state->enrollment = issue->profile->enrollment_id;
        return acme_cps_read_begin(issue);
    }
    if (issue->profile->common_name == NULL)
        return acme_cps_fail(ctx, ACME_PROBLEM_SERVER_INTERNAL, config_detail,
                             "The order's profile names no enrollment (key 'enrollment').");
    return acme_cps_call_list(ctx);
}

struct acme_err acme_cps_find_reply(struct cps_issue *issue)
{
    struct cps_context *ctx = &issue->ctx;
    const char *wanted = issue->profile->common_name;
    cJSON *json = NULL;
    struct acme_err err = acme_cps_json(ctx, &json);
    ENSURE(err.code != ACME_E_NOMEM, ACME_E_NOMEM);
    const cJSON *list = acme_json_get(json, "enrollments");
    if (acme_failed(err) || ctx->input->reply->status != 200 || !cJSON_IsArray(list) || wanted == NULL) {
        struct cps_verdict verdict;
        TRY(acme_cps_judge(ctx, &verdict));
        return acme_cps_trouble(ctx, &verdict);
    }
    ctx->state->failures = 0;
    int64_t found = 0;
    size_t count = acme_cps_list_find(list, wanted, &found);
    if (count != 1)
        return acme_cps_fail(
            ctx, ACME_PROBLEM_SERVER_INTERNAL, config_detail,
            count == 0
                ? acme_arena_printf(ctx->arena, "CPS has no enrollment with the common name %s.", wanted)
                : acme_arena_printf(ctx->arena,
                                    "CPS has %zu enrollments with the common name %s: name the right one "
                                    "by its id.",
                                    count, wanted));
    ctx->state->enrollment = found;
    return acme_cps_read_begin(issue);
}
