/* A look at SCM without an order: login, organization, profile, fields, domains. Every stage is one kind of
 * GET; a stage that cannot be read is a finding, and the next one follows. */
#include "backends/scm/scm_inspect.h"

#include <string.h>

/* In the order they are made. */
enum stage {
    STAGE_PROFILE, /* the first call shows, too, whether the login is good */
    STAGE_PASSWORD,
    STAGE_ORGANIZATION,
    STAGE_FIELDS,
    STAGE_DOMAINS,
    STAGE_COUNT
};

const char *acme_scm_inspect_shown(const struct scm_inspecting *in, const char *text)
{
    const struct acme_secrets secrets = acme_scm_secrets(in->ctx->scm);
    return acme_upstream_shown(in->ctx->arena, &secrets, text);
}

static bool applies(const struct scm_inspecting *in, int stage)
{
    const struct scm_class *class = acme_scm_class_of(in->ctx->scm);
    bool domains =
        in->request->domains_only || in->ctx->scm->config.dcv_required || in->request->domain_count > 0;
    if (stage == STAGE_DOMAINS)
        return domains && class->takes_dcv_mode;
    if (in->request->domains_only)
        return false;
    return stage != STAGE_PASSWORD || in->ctx->scm->config.password != NULL;
}

static const char *path_of(const struct scm_inspecting *in)
{
    struct acme_arena *arena = in->ctx->arena;
    switch (in->inspection->stage) {
    case STAGE_PROFILE:
        return acme_arena_printf(arena, "/types?organizationId=%lld", (long long)in->ctx->scm->config.org_id);
    case STAGE_PASSWORD:
        return "/api/admin/v1/password";
    case STAGE_ORGANIZATION:
        return "/api/organization/v1";
    case STAGE_FIELDS:
        return acme_arena_printf(arena, "/api/customField/v2/?certType=%s",
                                 acme_scm_class_of(in->ctx->scm)->field_type);
    default:
        return acme_arena_printf(arena, "/api/dcv/v1/validation?size=%d&position=%lld", SCM_DOMAIN_PAGE,
                                 (long long)in->inspection->position);
    }
}

static struct acme_err call_stage(struct scm_inspecting *in, struct acme_inspect_step *ret)
{
    TRY(acme_scm_call(in->ctx, SCM_CALL_NONE, "GET", path_of(in), NULL, ""));
    ret->done = false;
    ret->call = in->ctx->step->call;
    return acme_ok();
}

static const char *topic_of(int stage)
{
    static const char *const topics[STAGE_COUNT] = {"the certificate profiles", "the password's state",
                                                    "the organizations", "the custom fields", "the domains"};
    return topics[stage];
}

/* *ret_over: without this the rest cannot be read either. */
static struct acme_err find_failure(struct scm_inspecting *in, bool *ret_over)
{
    const struct acme_step_input *input = in->ctx->input;
    const char *topic = topic_of(in->inspection->stage);
    *ret_over = in->inspection->stage == STAGE_PROFILE;
    if (input->event != ACME_EVENT_REPLY) {
        *ret_over = true;
        return FIND(in, ERROR, "SCM cannot be reached to read %s: %s.", topic,
                    input->failure != NULL ? input->failure : "no answer");
    }
    struct scm_verdict verdict;
    TRY(acme_scm_judge(in->ctx, SCM_AT_LIST, &verdict));
    cJSON *json = NULL;
    const struct acme_http_reply *reply = input->reply;
    if (reply->body.len > 0 &&
        acme_failed(acme_json_parse(in->ctx->arena, (const char *)reply->body.data, reply->body.len, &json)))
        json = NULL;
    const char *words = acme_json_str(json, "description");
    if (*ret_over && verdict.class == SCM_VERDICT_CREDENTIALS)
        return FIND(in, ERROR, "SCM refuses the login (HTTP %d: %s).", reply->status,
                    words != NULL ? acme_scm_inspect_shown(in, words) : "no reason given");
    return acme_finding_add(
        in->inspection, *ret_over ? ACME_FINDING_ERROR : ACME_FINDING_WARNING,
        acme_arena_printf(in->ctx->arena, "SCM does not show %s (HTTP %d: %s).", topic, reply->status,
                          words != NULL ? acme_scm_inspect_shown(in, words) : "not an answer of its API"));
}

static struct acme_err read_reply(struct scm_inspecting *in, const cJSON *json, bool *ret_more)
{
    switch (in->inspection->stage) {
    case STAGE_PROFILE:
        return acme_scm_inspect_profiles(in, json);
    case STAGE_PASSWORD:
        return acme_scm_inspect_password(in, json);
    case STAGE_ORGANIZATION:
        return acme_scm_inspect_organizations(in, json);
    case STAGE_FIELDS:
        return acme_scm_inspect_fields(in, json);
    default:
        return acme_scm_inspect_domains(in, json, ret_more);
    }
}

/* What came for the stage. *ret_more: the stage goes on; *ret_over: everything ends. */
static struct acme_err take(struct scm_inspecting *in, bool *ret_more, bool *ret_over)
{
    const struct acme_http_reply *reply = in->ctx->input->reply;
    cJSON *json = NULL;
    struct acme_err err = acme_err(ACME_E_FORMAT);
    bool good = in->ctx->input->event == ACME_EVENT_REPLY && reply->status == 200 && reply->body.len > 0;
    if (good)
        err = acme_json_parse(in->ctx->arena, (const char *)reply->body.data, reply->body.len, &json);
    if (err.code == ACME_E_NOMEM)
        return err;
    bool object = in->inspection->stage == STAGE_PASSWORD;
    if (acme_failed(err) || (object ? !cJSON_IsObject(json) : !cJSON_IsArray(json)))
        return find_failure(in, ret_over);
    return read_reply(in, json, ret_more);
}

struct acme_err acme_scm_inspect(const struct acme_backend *backend, struct acme_arena *arena,
                                 const struct acme_inspect_request *request,
                                 struct acme_inspection *inspection, const struct acme_step_input *input,
                                 struct acme_inspect_step *ret)
{
    struct scm_state *state = acme_arena_alloc(arena, sizeof *state);
    ENSURE(state != NULL, ACME_E_NOMEM);
    struct acme_step step = {0};
    struct scm_context ctx = {.scm = (const struct scm_issuer *)backend,
                              .arena = arena,
                              .input = input,
                              .state = state,
                              .step = &step};
    struct scm_inspecting in = {.ctx = &ctx, .request = request, .inspection = inspection};
    bool over = false;
    if (input->event != ACME_EVENT_START) {
        bool more = false;
        ENSURE(inspection->stage >= 0 && inspection->stage < STAGE_COUNT, ACME_E_INTERNAL);
        ENSURE(input->event != ACME_EVENT_REPLY || input->reply != NULL, ACME_E_INTERNAL);
        TRY(take(&in, &more, &over));
        if (more)
            return call_stage(&in, ret);
        inspection->stage++;
    }
    while (inspection->stage < STAGE_COUNT && !applies(&in, inspection->stage))
        inspection->stage++;
    if (!over && inspection->stage < STAGE_COUNT)
        return call_stage(&in, ret);
    inspection->incomplete = over;
    *ret = (struct acme_inspect_step){.done = true};
    return acme_ok();
}
