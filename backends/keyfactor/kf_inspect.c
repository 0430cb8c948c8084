/* A look at Command without an order: does it answer, is the login good, may it enroll what is configured,
 * are the metadata fields there, may it read what a search needs. Every stage is one kind of GET; a stage
 * that cannot be read is a finding, and the next one follows. */
#include "backends/keyfactor/kf_internal.h"

#include "base/buf.h"

#include <string.h>
#include <strings.h>

/* In the order they are made. */
enum stage {
    STAGE_ENDPOINTS, /* the first call shows, too, whether the login is good */
    STAGE_CONTEXT,
    STAGE_PATTERN,
    STAGE_METADATA,
    STAGE_CERTIFICATES,
    STAGE_PENDING,
    STAGE_COUNT
};

enum { LIST_MAX_BYTES = 512, METADATA_REQUIRED = 1 };

struct inspecting {
    struct kf_context *ctx;
    struct acme_inspection *inspection;
};

#define FIND(in, level, ...)                                                                                 \
    acme_finding_add((in)->inspection, ACME_FINDING_##level, acme_arena_printf((in)->ctx->arena, __VA_ARGS__))

static const char *shown(const struct inspecting *in, const char *text)
{
    return acme_upstream_shown(in->ctx->arena, &in->ctx->secrets, text);
}

static bool applies(const struct inspecting *in, int stage)
{
    const struct acme_keyfactor_config *config = &in->ctx->kf->config;
    if (stage == STAGE_CONTEXT)
        return config->template != NULL;
    return stage != STAGE_PATTERN || config->enrollment_pattern_id > 0;
}

static const char *path_of(const struct inspecting *in)
{
    struct acme_arena *arena = in->ctx->arena;
    const char *collection = acme_kf_collection(in->ctx, false);
    switch (in->inspection->stage) {
    case STAGE_ENDPOINTS:
        return "Status/Endpoints";
    case STAGE_CONTEXT:
        return "Enrollment/CSR/Context/My";
    case STAGE_PATTERN:
        return acme_arena_printf(arena, "EnrollmentPatterns/%lld",
                                 (long long)in->ctx->kf->config.enrollment_pattern_id);
    case STAGE_METADATA:
        return "MetadataFields";
    case STAGE_CERTIFICATES:
        return collection == NULL
                   ? NULL
                   : acme_arena_printf(arena, "Certificates?pq.returnLimit=1&pq.pageReturned=1%s",
                                       collection);
    default:
        return "Workflow/Certificates/Pending?pagedQuery.returnLimit=1&pagedQuery.pageReturned=1";
    }
}

static struct acme_err call_stage(struct inspecting *in, struct acme_inspect_step *ret)
{
    TRY(acme_kf_call(in->ctx, KF_CALL_NONE, "GET", path_of(in), NULL, ""));
    ret->done = false;
    ret->call = in->ctx->step->call;
    return acme_ok();
}

/* ---- what may be read badly ---- */

static const char *topic_of(int stage)
{
    static const char *const topics[STAGE_COUNT] = {
        "its endpoints",          "the templates and CAs the login may use",
        "the enrollment pattern", "the metadata fields",
        "certificates",           "requests that wait at the CA"};
    return topics[stage];
}

/* *ret_over: without this the rest cannot be read either. */
static struct acme_err find_failure(struct inspecting *in, bool *ret_over)
{
    const struct acme_step_input *input = in->ctx->input;
    int stage = in->inspection->stage;
    const char *topic = topic_of(stage);
    *ret_over = stage == STAGE_ENDPOINTS;
    if (input->event != ACME_EVENT_REPLY) {
        *ret_over = true;
        return FIND(in, ERROR, "Keyfactor cannot be reached to read %s: %s.", topic,
                    input->failure != NULL ? input->failure : "no answer");
    }
    const struct acme_http_reply *reply = input->reply;
    cJSON *json = NULL;
    if (reply->body.len > 0 &&
        acme_failed(acme_json_parse(in->ctx->arena, (const char *)reply->body.data, reply->body.len, &json)))
        json = NULL;
    const char *words = acme_kf_words(in->ctx->arena, json);
    if (reply->status == 401) {
        *ret_over = true;
        return FIND(in, ERROR, "Keyfactor refuses the login (HTTP 401: %s).",
                    words != NULL ? shown(in, words) : "no reason given");
    }
    if (stage == STAGE_PATTERN && reply->status == 404)
        return FIND(in, ERROR, "enrollment_pattern_id %lld is none this Keyfactor has.",
                    (long long)in->ctx->kf->config.enrollment_pattern_id);
    bool needed = stage == STAGE_ENDPOINTS || stage == STAGE_CERTIFICATES;
    return acme_finding_add(
        in->inspection, needed ? ACME_FINDING_ERROR : ACME_FINDING_WARNING,
        acme_arena_printf(in->ctx->arena, "Keyfactor does not show %s (HTTP %d: %s)%s.", topic, reply->status,
                          words != NULL ? shown(in, words) : "not an answer of its API",
                          stage == STAGE_PENDING ? "; orders that wait there are noticed when they are issued"
                          : stage == STAGE_CERTIFICATES
                              ? "; nothing can be found again, downloaded or revoked"
                              : ""));
}

/* ---- good answers ---- */

static struct acme_err read_endpoints(struct inspecting *in)
{
    const char *version = acme_http_reply_header(in->ctx->input->reply, "x-keyfactor-product-version");
    if (version == NULL)
        return FIND(in, GOOD, "Keyfactor accepts the login.");
    return FIND(in, GOOD, "Keyfactor %s accepts the login.", shown(in, version));
}

/* "host\logical" and "logical" are one CA. */
static bool same_ca(const char *one, const char *other)
{
    const char *one_logical = strrchr(one, '\\');
    const char *other_logical = strrchr(other, '\\');
    if ((one_logical == NULL) != (other_logical == NULL)) {
        one = one_logical != NULL ? one_logical + 1 : one;
        other = other_logical != NULL ? other_logical + 1 : other;
    }
    return strcasecmp(one, other) == 0;
}

static struct acme_err check_ca(struct inspecting *in, const cJSON *template)
{
    const struct acme_keyfactor_config *config = &in->ctx->kf->config;
    ACME_CLEANUP_BUF struct acme_buf list;
    acme_buf_init(&list, LIST_MAX_BYTES);
    if (config->certificate_authority == NULL)
        return acme_ok();
    const cJSON *item;
    cJSON_ArrayForEach(item, acme_kf_get(template, "CAs"))
    {
        const char *name = acme_kf_str(item, "Name");
        if (name == NULL)
            continue;
        if (same_ca(name, config->certificate_authority))
            return FIND(in, GOOD, "The login may use CA %s for it.", shown(in, name));
        acme_words_add(&list, shown(in, name));
    }
    return FIND(in, ERROR,
                "certificate_authority %s is none of the CAs the login may use for template %s: %s.",
                config->certificate_authority, config->template, acme_words_text(&list));
}

static struct acme_err read_context(struct inspecting *in, const cJSON *json)
{
    const char *wanted = in->ctx->kf->config.template;
    ACME_CLEANUP_BUF struct acme_buf list;
    acme_buf_init(&list, LIST_MAX_BYTES);
    const cJSON *item;
    cJSON_ArrayForEach(item, acme_kf_get(json, "Templates"))
    {
        const char *name = acme_kf_str(item, "Name");
        if (name == NULL)
            name = acme_kf_str(item, "TemplateName");
        if (name == NULL)
            continue;
        if (strcasecmp(name, wanted) == 0) {
            TRY(FIND(in, GOOD, "The login may use template %s.", shown(in, name)));
            return check_ca(in, item);
        }
        acme_words_add(&list, shown(in, name));
    }
    return FIND(in, ERROR, "template %s is none of those the login may enroll CSRs with: %s.", wanted,
                acme_words_text(&list));
}

static struct acme_err read_pattern(struct inspecting *in, const cJSON *json)
{
    const char *name = acme_kf_str(json, "Name");
    return FIND(in, GOOD, "Enrollment pattern %lld (%s) is there.",
                (long long)in->ctx->kf->config.enrollment_pattern_id, shown(in, name));
}

static const cJSON *find_field(const cJSON *json, const char *wanted)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, json)
    {
        const char *name = acme_kf_str(item, "Name");
        if (name != NULL && strcasecmp(name, wanted) == 0)
            return item;
    }
    return NULL;
}

static bool is_given(const struct acme_keyfactor_config *config, const char *name)
{
    for (size_t i = 0; i < config->metadata_count; i++) {
        if (strcasecmp(config->metadata[i].name, name) == 0)
            return true;
    }
    return strcasecmp(config->tag_field, name) == 0;
}

static struct acme_err read_metadata(struct inspecting *in, const cJSON *json)
{
    const struct acme_keyfactor_config *config = &in->ctx->kf->config;
    bool good = true;
    if (find_field(json, config->tag_field) == NULL) {
        good = false;
        TRY(FIND(in, ERROR,
                 "Keyfactor has no metadata field %s: an administrator has to make it, as text, or "
                 "tag_field has to name another.",
                 config->tag_field));
    }
    for (size_t i = 0; i < config->metadata_count; i++) {
        if (find_field(json, config->metadata[i].name) != NULL)
            continue;
        good = false;
        TRY(FIND(in, ERROR, "Keyfactor has no metadata field \"%s\".", config->metadata[i].name));
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, json)
    {
        const char *name = acme_kf_str(item, "Name");
        /* A template may have other rules, so that this is no more than a hint. */
        if (name == NULL || acme_kf_int(item, "Enrollment") != METADATA_REQUIRED || is_given(config, name))
            continue;
        good = false;
        TRY(FIND(in, WARNING, "Keyfactor demands the metadata field \"%s\": add it to metadata.",
                 shown(in, name)));
    }
    return good ? FIND(in, GOOD, "The metadata fields are there, %s among them.", config->tag_field)
                : acme_ok();
}

static struct acme_err read_reply(struct inspecting *in, const cJSON *json)
{
    switch (in->inspection->stage) {
    case STAGE_ENDPOINTS:
        return read_endpoints(in);
    case STAGE_CONTEXT:
        return read_context(in, json);
    case STAGE_PATTERN:
        return read_pattern(in, json);
    case STAGE_METADATA:
        return read_metadata(in, json);
    case STAGE_CERTIFICATES:
        return FIND(in, GOOD, "The login may read certificates.");
    default:
        return FIND(in, GOOD, "The login may read requests that wait at the CA.");
    }
}

static struct acme_err take(struct inspecting *in, bool *ret_over)
{
    cJSON *json = NULL;
    struct acme_err err = acme_err(ACME_E_FORMAT);
    if (in->ctx->input->event == ACME_EVENT_REPLY)
        err = acme_reply_json(in->ctx->arena, in->ctx->input->reply, &json);
    if (err.code == ACME_E_NOMEM)
        return err;
    int stage = in->inspection->stage;
    bool object = stage == STAGE_CONTEXT || stage == STAGE_PATTERN;
    if (acme_failed(err) || (object ? !cJSON_IsObject(json) : !cJSON_IsArray(json)))
        return find_failure(in, ret_over);
    return read_reply(in, json);
}

struct acme_err acme_kf_inspect(const struct acme_backend *backend, struct acme_arena *arena,
                                const struct acme_inspect_request *request,
                                struct acme_inspection *inspection, const struct acme_step_input *input,
                                struct acme_inspect_step *ret)
{
    struct kf_state *state = acme_arena_alloc(arena, sizeof *state);
    ENSURE(state != NULL, ACME_E_NOMEM);
    struct acme_step step = {0};
    const struct kf_issuer *kf = (const struct kf_issuer *)backend;
    struct kf_context ctx = {.kf = kf,
                             .arena = arena,
                             .input = input,
                             .state = state,
                             .step = &step,
                             .secrets = acme_kf_secrets(kf)};
    struct inspecting in = {.ctx = &ctx, .inspection = inspection};
    bool over = request->domains_only || request->keys_only; /* Command has neither list */
    if (!over && input->event != ACME_EVENT_START) {
        ENSURE(inspection->stage >= 0 && inspection->stage < STAGE_COUNT, ACME_E_INTERNAL);
        ENSURE(input->event != ACME_EVENT_REPLY || input->reply != NULL, ACME_E_INTERNAL);
        TRY(take(&in, &over));
        inspection->incomplete = over;
        inspection->stage++;
    }
    while (inspection->stage < STAGE_COUNT && !applies(&in, inspection->stage))
        inspection->stage++;
    if (!over && inspection->stage < STAGE_COUNT)
        return call_stage(&in, ret);
    *ret = (struct acme_inspect_step){.done = true};
    return acme_ok();
}
