#include "protocol/exchange.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MAX_BODY = 1024 * 1024, MAX_DETAIL = 2048, MAX_SHOWN = 260, BUSY_RETRY_AFTER_S = 5 };

static const char problem_content_type[] = "application/problem+json";

struct acme_err acme_exchange_refuse(struct acme_exchange *x, enum acme_problem_type type, const char *format,
                                     ...)
{
    char detail[MAX_DETAIL];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(detail, sizeof detail, format, args);
    va_end(args);
    ENSURE(len >= 0, ACME_E_INTERNAL);
    const char *copy = acme_arena_strdup(x->arena, detail);
    ENSURE(copy != NULL, ACME_E_NOMEM);
    x->problem = (struct acme_problem){.type = type, .detail = copy};
    return acme_err(ACME_E_PROBLEM);
}

struct acme_err acme_exchange_no_such(struct acme_exchange *x, const char *what)
{
    struct acme_err err = acme_exchange_refuse(
        x, ACME_PROBLEM_MALFORMED,
        "There is no %s at this URL that belongs to the account which signed the request; "
        "check the URL and the account",
        what);
    x->problem.status = 404;
    return err;
}

struct acme_err acme_exchange_deactivated(struct acme_exchange *x)
{
    struct acme_err err = acme_exchange_refuse(x, ACME_PROBLEM_UNAUTHORIZED,
                                               "This account has been deactivated; register with a new key");
    x->problem.status = 401;
    return err;
}

struct acme_err acme_exchange_read_only(struct acme_exchange *x)
{
    if (x->payload == NULL || x->payload->child == NULL)
        return acme_ok();
    return acme_exchange_refuse(x, ACME_PROBLEM_MALFORMED,
                                "This resource can only be read: send an empty payload (POST-as-GET)");
}

const char *acme_exchange_show(struct acme_exchange *x, const char *text)
{
    const char *shown = acme_printable(x->arena, text, strlen(text), MAX_SHOWN);
    return shown != NULL ? shown : "(...)";
}

char *acme_exchange_url(const struct acme_exchange *x, const char *path, const char *id, const char *suffix)
{
    return acme_arena_printf(x->arena, "%s%s%s%s", x->service->config->base_url, path, id, suffix);
}

char *acme_account_url(struct acme_arena *arena, const char *base_url, const char *account_id)
{
    return acme_arena_printf(arena, "%s/account/%s", base_url, account_id);
}

struct acme_err acme_respond_header(struct acme_exchange *x, const char *name, const char *value)
{
    struct acme_response *response = x->response;
    ENSURE(value != NULL, ACME_E_NOMEM);
    ENSURE(response->header_count < ACME_RESPONSE_MAX_HEADERS, ACME_E_INTERNAL);
    response->headers[response->header_count++] = (struct acme_header){.name = name, .value = value};
    return acme_ok();
}

struct acme_err acme_respond_link(struct acme_exchange *x, const char *url, const char *rel)
{
    ENSURE(url != NULL, ACME_E_NOMEM);
    return acme_respond_header(x, "Link", acme_arena_printf(x->arena, "<%s>;rel=\"%s\"", url, rel));
}

struct acme_err acme_respond_retry_after(struct acme_exchange *x, int64_t seconds)
{
    return acme_respond_header(x, "Retry-After", acme_arena_printf(x->arena, "%lld", (long long)seconds));
}

void acme_respond_body(struct acme_exchange *x, int status, const char *content_type, struct acme_bytes body)
{
    x->response->status = status;
    x->response->content_type = content_type;
    x->response->body = body;
}

struct acme_err acme_respond_json(struct acme_exchange *x, int status, const struct acme_buf *out)
{
    const char *text = acme_buf_cstr(out);
    ENSURE(text != NULL, ACME_E_NOMEM);
    const void *copy = acme_arena_memdup(x->arena, text, out->len);
    ENSURE(copy != NULL, ACME_E_NOMEM);
    acme_respond_body(x, status, "application/json", (struct acme_bytes){.data = copy, .len = out->len});
    return acme_ok();
}

struct acme_err acme_respond_common(struct acme_exchange *x, bool with_nonce, bool with_index)
{
    TRY(acme_respond_header(x, "Cache-Control", "no-store"));
    if (with_index)
        TRY(acme_respond_header(x, "Link", x->service->index_link));
    if (with_nonce) {
        char *nonce = acme_arena_alloc(x->arena, ACME_NONCE_SIZE);
        ENSURE(nonce != NULL, ACME_E_NOMEM);
        TRY(acme_nonces_issue(x->service->nonces, nonce));
        TRY(acme_respond_header(x, "Replay-Nonce", nonce));
    }
    return acme_ok();
}

static struct acme_err write_problem(struct acme_exchange *x)
{
    const struct acme_problem *problem = &x->problem;
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, MAX_BODY);
    struct acme_json_writer writer;
    acme_jw_init(&writer, &out);
    acme_jw_object(&writer, NULL);
    acme_jw_str(&writer, "type", acme_problem_urn(problem->type));
    acme_jw_str(&writer, "detail", problem->detail);
    acme_jw_int(&writer, "status", acme_problem_status(problem));
    acme_jw_str(&writer, "instance", problem->instance);
    if (problem->type == ACME_PROBLEM_BAD_SIGNATURE_ALGORITHM)
        acme_jw_raw(&writer, "algorithms", acme_jws_algorithms_json());
    acme_jw_raw(&writer, "subproblems", x->subproblems);
    acme_jw_object_end(&writer);
    if (x->problem_header.name != NULL)
        TRY(acme_respond_header(x, x->problem_header.name, x->problem_header.value));
    TRY(acme_respond_json(x, acme_problem_status(problem), &out));
    x->response->content_type = problem_content_type;
    if (x->response->status == 503)
        TRY(acme_respond_retry_after(x, BUSY_RETRY_AFTER_S));
    return acme_ok();
}

/* What a client may know about our own failures. */
static struct acme_problem own_failure(struct acme_err err)
{
    struct acme_problem problem = {
        .type = ACME_PROBLEM_SERVER_INTERNAL,
        .detail = "The server failed to process this request; its log says why. Try again later",
    };
    if (err.code == ACME_E_BUSY) {
        problem.status = 503;
        problem.detail = "The server is overloaded; try again in a few seconds";
    }
    return problem;
}

void acme_respond_failure(struct acme_exchange *x, struct acme_err err, size_t headers_kept)
{
    static const char last_resort[] =
        "{\"type\":\"urn:ietf:params:acme:error:serverInternal\","
        "\"detail\":\"The server is out of memory; try again later\",\"status\":500}";
    const char *path = x->request != NULL ? x->request->path : NULL;
    if (err.code != ACME_E_PROBLEM) {
        acme_log(ERROR, "request failed", LOG_STR("code", acme_code_name(err.code)), LOG_STR("path", path),
                 LOG_STR("account", x->account.id));
        x->problem = own_failure(err);
        x->problem_header = (struct acme_header){.name = NULL};
        x->subproblems = NULL;
    }
    x->response->header_count = headers_kept;
    x->response->hold = ACME_HOLD_NONE;
    x->response->hold_id = NULL;
    x->response->hold_ms = 0;
    if (acme_failed(write_problem(x))) {
        x->response->header_count = headers_kept;
        acme_respond_body(
            x, 500, problem_content_type,
            (struct acme_bytes){.data = (const uint8_t *)last_resort, .len = strlen(last_resort)});
    }
}
