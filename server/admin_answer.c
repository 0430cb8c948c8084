/* From a line to its answer: who handles it, and what becomes of refusals. */
#include "server/admin_internal.h"

#include "base/id.h"
#include "base/log.h"
#include "base/problem.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { ARENA_BYTES = 64 * 1024 * 1024, DETAIL_SIZE = 512, SERIAL_MAX = 64, SHOWN_MAX = 100 };

static const acme_admin_handler handlers[ACME_ADMIN_COMMAND_COUNT] = {
    [ACME_ADMIN_ORDER_LIST] = acme_admin_order_list,
    [ACME_ADMIN_ORDER_SHOW] = acme_admin_order_show,
    [ACME_ADMIN_ORDER_EXPLAIN] = acme_admin_order_explain,
    [ACME_ADMIN_ORDER_ACKNOWLEDGE] = acme_admin_order_acknowledge,
    [ACME_ADMIN_ACCOUNT_LIST] = acme_admin_account_list,
    [ACME_ADMIN_ACCOUNT_SHOW] = acme_admin_account_show,
    [ACME_ADMIN_ACCOUNT_DEACTIVATE] = acme_admin_account_deactivate,
    [ACME_ADMIN_CERTIFICATE_LIST] = acme_admin_certificate_list,
    [ACME_ADMIN_CERTIFICATE_SHOW] = acme_admin_certificate_show,
    [ACME_ADMIN_ISSUER_LIST] = acme_admin_issuer_list,
    [ACME_ADMIN_DEPLOY_LIST] = acme_admin_deploy_list,
    [ACME_ADMIN_DEPLOY_SHOW] = acme_admin_deploy_show,
    [ACME_ADMIN_DEPLOY_RETRY] = acme_admin_deploy_retry,
    [ACME_ADMIN_DEPLOY_ACKNOWLEDGE] = acme_admin_deploy_acknowledge,
    [ACME_ADMIN_DEPLOYER_LIST] = acme_admin_deployer_list,
};

void acme_admin_refuse(const char *code, const char *detail, struct acme_buf *out)
{
    struct acme_json_writer writer;
    acme_jw_init(&writer, out);
    acme_jw_object(&writer, NULL);
    acme_jw_object(&writer, "error");
    acme_jw_str(&writer, "code", code);
    acme_jw_str(&writer, "detail", detail);
    acme_jw_object_end(&writer);
    acme_jw_object_end(&writer);
    acme_buf_str(out, "\n");
}

struct acme_err acme_admin_refused(struct admin_call *call, const char *code, const char *format, ...)
{
    char detail[DETAIL_SIZE];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);
    ENSURE(len >= 0, ACME_E_INTERNAL);
    call->refusal = code;
    call->detail = acme_arena_strdup(call->arena, detail);
    ENSURE(call->detail != NULL, ACME_E_NOMEM);
    return acme_err(ACME_E_PROBLEM);
}

static struct acme_err answer(struct admin_call *call, struct acme_buf *out)
{
    struct acme_json_writer writer;
    call->writer = &writer;
    acme_jw_init(&writer, out);
    acme_jw_object(&writer, NULL);
    acme_jw_object(&writer, "result");
    TRY(handlers[call->request->command](call));
    acme_jw_object_end(&writer);
    acme_jw_object_end(&writer);
    acme_buf_str(out, "\n");
    ENSURE(!out->failed, ACME_E_NOMEM);
    return acme_ok();
}

void acme_admin_answer(const struct acme_admin_options *options, const char *line, size_t len,
                       struct acme_buf *out)
{
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(ARENA_BYTES);
    struct acme_admin_request request;
    const char *why = NULL;
    acme_buf_init(out, ACME_ADMIN_MAX_ANSWER);
    if (arena == NULL) {
        acme_admin_refuse("internal", "memory is short", out);
        return;
    }
    struct acme_err err = acme_admin_request_parse(arena, line, len, &request, &why);
    if (acme_failed(err)) {
        const char *detail = acme_arena_printf(arena, "the question cannot be read: %s", why);
        acme_admin_refuse("malformed", detail != NULL ? detail : why, out);
        return;
    }
    struct admin_call call = {
        .options = options, .request = &request, .arena = arena, .now_ms = acme_clock_now_ms(options->clock)};
    err = answer(&call, out);
    if (!acme_failed(err))
        return;
    acme_buf_finish(out);
    acme_buf_init(out, ACME_ADMIN_MAX_ANSWER);
    if (err.code == ACME_E_PROBLEM) {
        acme_admin_refuse(call.refusal, call.detail, out);
        return;
    }
    acme_log(ERROR, "question of the operator could not be answered",
             LOG_STR("command", acme_admin_command_name(request.command)),
             LOG_STR("code", acme_code_name(err.code)));
    acme_admin_refuse("internal", "the server could not answer; its log has the reason", out);
}

/* ---- which object is meant ---- */

static const struct {
    const char *name;
    const char *path;
} kinds[] = {
    [ACME_OBJECT_ACCOUNT] = {"account", "/account/"},
    [ACME_OBJECT_ORDER] = {"order", "/order/"},
    [ACME_OBJECT_CERTIFICATE] = {"certificate", "/certificate/"},
    [ACME_OBJECT_DEPLOYMENT] = {"deployment", NULL}, /* clients do not know of it: it has no URL */
};

/* The id in a URL of an object of this kind; NULL when it is none. */
static const char *id_in_url(struct acme_arena *arena, const char *url, const char *path)
{
    const char *found = NULL;
    for (const char *at = strstr(url, path); at != NULL; at = strstr(at + 1, path))
        found = at + strlen(path);
    return found == NULL ? NULL : acme_arena_strndup(arena, found, strcspn(found, "/?#"));
}

static bool is_hex(const char *text, const char *also)
{
    for (; *text != '\0'; text++) {
        if (!isxdigit((unsigned char)*text) && strchr(also, *text) == NULL)
            return false;
    }
    return true;
}

/* 01:ab:... or 01AB..., as certificates are stored under it. */
static struct acme_err find_serial(struct admin_call *call, const char *text, const char ***ret_ids,
                                   size_t *ret_count)
{
    char serial[SERIAL_MAX + 1];
    size_t len = 0;
    if (!is_hex(text, ":"))
        return acme_ok();
    for (; *text != '\0' && len < SERIAL_MAX; text++) {
        if (*text != ':')
            serial[len++] = (char)toupper((unsigned char)*text);
    }
    serial[len] = '\0';
    return acme_store_certificates_by_serial(call->options->store, call->arena, serial, 2, ret_ids,
                                             ret_count);
}

struct acme_err acme_admin_resolve(struct admin_call *call, enum acme_object_kind kind, const char *text,
                                   const char **ret)
{
    const char *name = kinds[kind].name;
    const char **ids = NULL;
    size_t count = 0;
    bool url = kinds[kind].path != NULL && strstr(text, "://") != NULL;
    const char *given = url ? id_in_url(call->arena, text, kinds[kind].path) : text;
    const char *shown = acme_printable(call->arena, text, strlen(text), SHOWN_MAX);
    ENSURE(shown != NULL, ACME_E_NOMEM);
    if (given == NULL)
        return acme_admin_refused(call, "not-found", "'%s' is not a URL with \"%s\"", shown,
                                  kinds[kind].path);
    if (given[0] != '\0' && strlen(given) < ACME_ID_SIZE && is_hex(given, "-"))
        TRY(acme_store_ids_find(call->options->store, call->arena, kind, given, 2, &ids, &count));
    if (count == 0 && kind == ACME_OBJECT_CERTIFICATE && given[0] != '\0')
        TRY(find_serial(call, given, &ids, &count));
    if (count == 0)
        return acme_admin_refused(call, "not-found", "there is no %s '%s'", name, shown);
    if (count > 1 && strcmp(ids[0], given) != 0)
        return acme_admin_refused(call, "ambiguous", "several %ss begin with '%s', among them %s and %s",
                                  name, shown, ids[0], ids[1]);
    *ret = ids[0];
    return acme_ok();
}
