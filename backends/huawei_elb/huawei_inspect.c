/* A look at ELB without a deployment: is the login good, is the object there and fit, may the key be used,
 * and does ELB show private keys? */
#include "backends/huawei_elb/huawei_internal.h"

#include <string.h>

#define SOON_MS (14 * ACME_DAY_MS)

/* In the order they are made. */
enum stage { STAGE_OBJECT, STAGE_ECHO, STAGE_COUNT };

#define FIND(ctx, in, level, ...)                                                                            \
    acme_finding_add((in), ACME_FINDING_##level, acme_arena_printf((ctx)->arena, __VA_ARGS__))

static struct acme_err call_stage(const struct huawei_context *ctx, int stage, struct acme_inspect_step *ret)
{
    const struct acme_huawei_elb_config *config = &ctx->huawei->config;
    const char *path = acme_huawei_path(ctx, stage == STAGE_OBJECT ? config->certificate_id : NULL);
    const char *query = "";
    ENSURE(path != NULL, ACME_E_NOMEM);
    if (stage == STAGE_ECHO)
        path = acme_arena_printf(ctx->arena, "%s/settings/private-key-echo", path);
    else if (config->create) {
        const struct acme_huawei_pair pairs[] = {{"name", config->name}, {"limit", "2"}};
        query = acme_huawei_query(ctx->arena, pairs, 2);
    }
    ret->done = false;
    return acme_huawei_request(ctx, "GET", path, query, NULL, &ret->call);
}

static struct acme_err find_expiry(const struct huawei_context *ctx, struct acme_inspection *in,
                                   const struct huawei_object *object)
{
    char date[ACME_RFC3339_SIZE];
    if (object->expires_ms == 0)
        return acme_ok();
    acme_rfc3339_format(object->expires_ms, date);
    if (object->expires_ms <= ctx->input->now_ms)
        return FIND(ctx, in, WARNING, "Its certificate expired on %s.", date);
    if (object->expires_ms - ctx->input->now_ms < SOON_MS)
        return FIND(ctx, in, WARNING, "Its certificate expires on %s.", date);
    return FIND(ctx, in, GOOD, "Its certificate is good until %s.", date);
}

static struct acme_err find_key(const struct huawei_context *ctx, struct acme_inspection *in,
                                const struct huawei_object *object)
{
    const char *pem = NULL;
    const char *why = NULL;
    const X509 *leaf = object != NULL && object->readable ? object->certs.certs[0] : NULL;
    if (ctx->huawei->config.private_key_file == NULL)
        return leaf != NULL ? FIND(ctx, in, GOOD,
                                   "Its key is kept: only certificates for this very key can be deployed.")
                            : FIND(ctx, in, ERROR,
                                   "It shows no certificate that could be read, so nothing can be deployed "
                                   "with private_key: keep.");
    struct acme_err err = acme_huawei_key_read(ctx, NULL, &pem, &why);
    if (err.code == ACME_E_DENIED)
        return FIND(ctx, in, WARNING, "%s. Deployments wait for it.", why); /* perhaps made later */
    TRY(err);
    if (leaf == NULL)
        return FIND(ctx, in, GOOD, "private_key_file holds a private key.");
    err = acme_huawei_key_read(ctx, leaf, &pem, &why);
    ENSURE(!acme_failed(err) || err.code == ACME_E_DENIED, err.code);
    return acme_failed(err)
               ? FIND(ctx, in, GOOD,
                      "private_key_file holds a private key, another one than the object has now.")
               : FIND(ctx, in, GOOD, "private_key_file holds the key that the object has now.");
}

static struct acme_err find_object(const struct huawei_context *ctx, struct acme_inspection *in,
                                   const struct huawei_object *object)
{
    TRY(FIND(ctx, in, GOOD, "Certificate object %s (%s) is there.", object->id,
             acme_huawei_shown(ctx, object->name)));
    if (strcmp(object->type, "server") != 0)
        TRY(FIND(ctx, in, ERROR, "It is of type %s: certificates can be deployed to one of type server only.",
                 acme_huawei_shown(ctx, object->type)));
    if (strcmp(object->protection, "nonProtection") != 0)
        TRY(FIND(ctx, in, WARNING, "It is protected against changes (%s).",
                 acme_huawei_shown(ctx, object->protection)));
    TRY(find_expiry(ctx, in, object));
    return find_key(ctx, in, object);
}

static struct acme_err read_object(const struct huawei_context *ctx, struct acme_inspection *in,
                                   const cJSON *json)
{
    struct huawei_object object;
    const struct acme_huawei_elb_config *config = &ctx->huawei->config;
    TRY(FIND(ctx, in, GOOD, "ELB accepts the login for project %s.", config->project_id));
    const cJSON *item = acme_json_get(json, "certificate");
    if (config->create) {
        const cJSON *list = acme_json_get(json, "certificates");
        int count = cJSON_GetArraySize(list);
        if (count == 0) {
            TRY(FIND(ctx, in, GOOD,
                     "There is no certificate object called \"%s\": the first deployment makes "
                     "it.",
                     config->name));
            return find_key(ctx, in, NULL);
        }
        if (count > 1)
            TRY(FIND(ctx, in, WARNING,
                     "There is more than one certificate object called \"%s\": see which one listeners use.",
                     config->name));
        item = cJSON_GetArrayItem(list, 0);
    }
    struct acme_err err = acme_huawei_object_read(ctx->arena, item, &object);
    if (err.code == ACME_E_FORMAT)
        return FIND(ctx, in, ERROR, "ELB shows no certificate object of a known form.");
    TRY(err);
    return find_object(ctx, in, &object);
}

static struct acme_err read_echo(const struct huawei_context *ctx, struct acme_inspection *in,
                                 const cJSON *json)
{
    if (!cJSON_IsBool(acme_json_get(json, "private_key_echo")))
        return FIND(ctx, in, WARNING, "ELB does not say whether it shows private keys.");
    if (!acme_json_bool(json, "private_key_echo", true))
        return FIND(ctx, in, GOOD, "ELB does not show private keys in this project.");
    return FIND(
        ctx, in, WARNING,
        "ELB shows private keys in clear to everybody who may read certificates of this project: switch "
        "that off (POST .../elb/certificates/settings/private-key-echo with {\"private_key_echo\": "
        "false}), unless something relies on it.");
}

/* *ret_over: without this the rest cannot be read either. What is wrong with the object alone leaves nothing
 * open that another try would tell. */
static struct acme_err find_failure(const struct huawei_context *ctx, struct acme_inspection *in,
                                    bool *ret_over)
{
    const struct acme_step_input *input = ctx->input;
    *ret_over = in->stage == STAGE_OBJECT;
    in->incomplete = *ret_over;
    if (input->event != ACME_EVENT_REPLY)
        return *ret_over ? FIND(ctx, in, ERROR, "ELB cannot be reached: %s.",
                                input->failure != NULL ? input->failure : "no answer")
                         : FIND(ctx, in, WARNING, "ELB does not say whether it shows private keys.");
    struct huawei_verdict verdict;
    TRY(acme_huawei_judge(ctx, &verdict));
    if (verdict.class == HUAWEI_VERDICT_GONE || verdict.class == HUAWEI_VERDICT_FINAL)
        in->incomplete = false;
    return *ret_over
               ? FIND(ctx, in, ERROR, "%s", verdict.text)
               : FIND(ctx, in, WARNING, "It is not known whether ELB shows private keys: %s", verdict.text);
}

static struct acme_err take(const struct huawei_context *ctx, struct acme_inspection *in, bool *ret_over)
{
    cJSON *json = NULL;
    struct acme_err err = acme_err(ACME_E_FORMAT);
    if (ctx->input->event == ACME_EVENT_REPLY && ctx->input->reply->status == 200)
        err = acme_huawei_reply_json(ctx, &json, NULL);
    if (err.code == ACME_E_FORMAT)
        return find_failure(ctx, in, ret_over);
    TRY(err);
    return in->stage == STAGE_OBJECT ? read_object(ctx, in, json) : read_echo(ctx, in, json);
}

struct acme_err acme_huawei_inspect(const struct acme_backend *backend, struct acme_arena *arena,
                                    const struct acme_inspect_request *request,
                                    struct acme_inspection *inspection, const struct acme_step_input *input,
                                    struct acme_inspect_step *ret)
{
    struct huawei_state state = {.call = HUAWEI_CALL_NONE};
    const struct huawei_context ctx = {
        .huawei = (const struct huawei_deployer *)backend, .arena = arena, .input = input, .state = &state};
    bool over = request->domains_only || request->keys_only; /* it has neither */
    if (input->event == ACME_EVENT_START) {
        acme_arena_wipe_at_end(arena);
    } else {
        ENSURE(inspection->stage >= 0 && inspection->stage < STAGE_COUNT, ACME_E_INTERNAL);
        ENSURE(input->event != ACME_EVENT_REPLY || input->reply != NULL, ACME_E_INTERNAL);
        TRY(take(&ctx, inspection, &over));
        inspection->stage++;
    }
    if (!over && inspection->stage < STAGE_COUNT)
        return call_stage(&ctx, inspection->stage, ret);
    *ret = (struct acme_inspect_step){.done = true};
    return acme_ok();
}
