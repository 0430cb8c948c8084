/* Change management: a certificate is on the staging network, and goes to production when somebody agrees. */
#include "backends/cps/cps_internal.h"

#include "base/buf.h"

#include <string.h>

enum { SHOWN_CHARS = 300, NAME_CHARS = 300 };

struct judged {
    struct acme_buf *out;
    size_t errors;
    size_t warnings;
    size_t left_out; /* of the lines */
    bool all_allowed;
};

static struct acme_err write_message(struct cps_context *ctx, struct judged *judged, const cJSON *item,
                                     bool error)
{
    const char *message = cJSON_IsString(item) ? item->valuestring : acme_json_str(item, "message");
    const char *code = acme_json_str(item, "messageCode");
    bool allowed = !error && ((message != NULL && acme_cps_warning_allowed(ctx->policy, message)) ||
                              (code != NULL && acme_cps_warning_allowed(ctx->policy, code)));
    judged->errors += error;
    judged->warnings += !error;
    judged->all_allowed = judged->all_allowed && allowed;
    if (!acme_cps_details_room(judged->out)) {
        judged->left_out++;
        return acme_ok();
    }
    const char *shown = acme_cps_shown(ctx, message != NULL ? message : "(no text)", SHOWN_CHARS);
    const char *shown_code = acme_cps_shown(ctx, code, 80);
    ENSURE(shown != NULL && shown_code != NULL, ACME_E_NOMEM);
    acme_buf_printf(judged->out, "%s %s%s%s%s\n", allowed ? "-" : "*", shown, *shown_code != '\0' ? " (" : "",
                    shown_code, *shown_code != '\0' ? ")" : "");
    return acme_ok();
}

static struct acme_err write_messages(struct cps_context *ctx, struct judged *judged, const cJSON *list,
                                      bool error)
{
    if (list == NULL || (cJSON_IsArray(list) && list->child == NULL))
        return acme_ok();
    acme_buf_str(judged->out,
                 error ? "Errors:\n" : "Warnings (those marked * are not on the profile's list):\n");
    if (!cJSON_IsArray(list))
        return write_message(ctx, judged, list, error);
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        TRY(write_message(ctx, judged, item, error));
    }
    return acme_ok();
}

/* As many as fit into one line. */
static void write_names(struct acme_buf *out, const struct acme_identifier *names, size_t count)
{
    size_t begin = out->len;
    for (size_t i = 0; i < count; i++) {
        if (out->len - begin > CPS_DETAILS_LINE / 2) {
            acme_buf_printf(out, " and %zu more", count - i);
            return;
        }
        acme_buf_printf(out, "%s%.*s", i == 0 ? ", for " : " ", NAME_CHARS, names[i].value);
    }
}

static struct acme_err write_certificate(struct cps_context *ctx, struct judged *judged, const cJSON *json)
{
    struct acme_buf *out = judged->out;
    if (!acme_cps_details_room(out)) {
        judged->left_out++;
        return acme_ok();
    }
    const char *pem = acme_json_str(json, "fullCertificate");
    const char *algorithm = acme_cps_shown(ctx, acme_json_str(json, "keyAlgorithm"), 20);
    struct acme_cert_list certs = {.count = 0};
    struct acme_err err = acme_err(ACME_E_FORMAT);
    if (pem != NULL)
        err = acme_certs_read(ctx->arena,
                              (struct acme_bytes){.data = (const uint8_t *)pem, .len = strlen(pem)}, &certs);
    ENSURE(err.code != ACME_E_NOMEM && algorithm != NULL, ACME_E_NOMEM);
    acme_buf_printf(out, "- certificate%s%s", *algorithm != '\0' ? " " : "", algorithm);
    struct acme_cert_info info;
    if (!acme_failed(err) && certs.count > 0) {
        struct acme_identifier *names = NULL;
        size_t count = 0;
        err = acme_cert_info_read(ctx->arena, certs.certs[0], &info);
        ENSURE(err.code != ACME_E_NOMEM, ACME_E_NOMEM);
        if (!acme_failed(err)) {
            char until[ACME_RFC3339_SIZE];
            acme_rfc3339_format(info.not_after_ms, until);
            acme_buf_printf(out, ", serial %s, until %s", info.serial_hex, until);
            err = acme_cert_names(ctx->arena, certs.certs[0], &names, &count);
            ENSURE(err.code != ACME_E_NOMEM, ACME_E_NOMEM);
        }
        if (!acme_failed(err))
            write_names(out, names, count);
    }
    acme_buf_str(out, "\n");
    return acme_ok();
}

/* One object up to v4, a list of them since. */
static struct acme_err write_pending(struct cps_context *ctx, struct judged *judged, const cJSON *pending)
{
    struct acme_buf *out = judged->out;
    acme_buf_str(out, "Pending:\n");
    const cJSON *one = acme_json_get(pending, "pendingCertificate");
    const cJSON *list = acme_json_get(pending, "pendingCertificates");
    if (one != NULL)
        TRY(write_certificate(ctx, judged, one));
    const cJSON *item;
    cJSON_ArrayForEach(item, (cJSON_IsArray(list) ? list : NULL))
    {
        TRY(write_certificate(ctx, judged, item));
    }
    const cJSON *network = acme_json_get(pending, "pendingNetworkConfiguration");
    cJSON_ArrayForEach(item, (cJSON_IsObject(network) ? network : NULL))
    {
        if (cJSON_IsNull(item) || item->string == NULL)
            continue;
        if (!acme_cps_details_room(out)) {
            judged->left_out++;
            continue;
        }
        const char *value = cJSON_IsString(item) ? item->valuestring : acme_json_print(ctx->arena, item);
        const char *shown = acme_cps_shown(ctx, value, SHOWN_CHARS);
        const char *name = acme_cps_shown(ctx, item->string, 80);
        ENSURE(shown != NULL && name != NULL, ACME_E_NOMEM);
        acme_buf_printf(out, "- %s: %s\n", name, shown);
    }
    return acme_ok();
}

/* CPS says what it found as an object, or nothing. */
static bool is_judgement(const cJSON *result)
{
    return result == NULL || cJSON_IsNull(result) || cJSON_IsObject(result);
}

static struct acme_err judge(struct cps_context *ctx, const cJSON *json, struct judged *judged,
                             const char **ret_details)
{
    const cJSON *result = acme_json_get(json, "validationResult");
    if (!is_judgement(result)) {
        judged->all_allowed = false;
        acme_buf_str(judged->out, "* what CPS found cannot be read\n");
    }
    TRY(write_messages(ctx, judged, acme_json_get(result, "errors"), true));
    TRY(write_messages(ctx, judged, acme_json_get(result, "warnings"), false));
    TRY(write_pending(ctx, judged, acme_json_get(json, "pendingState")));
    if (judged->left_out > 0)
        acme_buf_printf(judged->out, "and %zu lines more\n", judged->left_out);
    const char *text = acme_buf_cstr(judged->out);
    *ret_details = text != NULL ? acme_arena_strdup(ctx->arena, text) : NULL;
    return acme_err(*ret_details != NULL ? ACME_OK : ACME_E_NOMEM);
}

static struct acme_err blocked(struct cps_context *ctx, const struct judged *judged, const char *details)
{
    const char *first = strstr(details, "* ");
    size_t len = first != NULL ? strcspn(first + 2, "\n") : 0;
    return acme_cps_wait_ms(
        ctx, ctx->config->poll_max_ms,
        acme_arena_printf(
            ctx->arena,
            "CPS found %zu error%s in change %lld, which have to be resolved at Akamai before it "
            "can be deployed: %.*s",
            judged->errors, judged->errors == 1 ? "" : "s", (long long)ctx->state->change, (int)len,
            first != NULL ? first + 2 : ""));
}

static const char *question_text(struct cps_context *ctx, const struct judged *judged, int64_t deadline_ms)
{
    const char *until = "";
    char time[ACME_RFC3339_SIZE];
    if (deadline_ms > 0) {
        acme_rfc3339_format(deadline_ms, time);
        until = acme_arena_printf(ctx->arena, " Without an answer CPS deploys it by itself at %s.", time);
        if (until == NULL)
            return NULL;
    }
    return acme_arena_printf(
        ctx->arena, "Change %lld waits on the staging network for its deployment%s.%s",
        (long long)ctx->state->change,
        judged->all_allowed ? "" : ", with warnings that the profile's list does not cover", until);
}

struct acme_err acme_cps_management_reply(struct cps_context *ctx)
{
    cJSON *json = NULL;
    struct acme_err err = acme_cps_json(ctx, &json);
    ENSURE(err.code != ACME_E_NOMEM, ACME_E_NOMEM);
    if (acme_failed(err))
        return acme_cps_wait_failure(ctx, ctx->config->poll_ms, ACME_BACKOFF_MAX_MS,
                                     "CPS sent a pending state that cannot be read; asking again.");
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, CPS_DETAILS_BYTES);
    struct judged judged = {.out = &out, .all_allowed = true};
    const char *details = NULL;
    TRY(judge(ctx, json, &judged, &details));
    if (judged.errors > 0)
        return blocked(ctx, &judged, details);
    const char *hash = acme_json_str(json, "validationResultHash");
    struct cps_gate gate = {.update = "change-management-ack",
                            .content_type =
                                hash != NULL ? "acknowledgement-with-hash.v1" : "acknowledgement.v1",
                            .hash = hash,
                            .details = details,
                            .open = judged.all_allowed && ctx->policy->acknowledge_auto};
    const char *deadline = acme_json_str(json, "acknowledgementDeadline");
    if (deadline == NULL || acme_failed(acme_rfc3339_parse(deadline, &gate.deadline_ms)))
        gate.deadline_ms = 0;
    gate.text = question_text(ctx, &judged, gate.deadline_ms);
    return acme_cps_gate_decide(ctx, &gate);
}
