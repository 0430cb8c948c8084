#include "server/outbound_token.h"

#include "base/json.h"
#include "base/log.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum {
    TOKEN_TIMEOUT_MS = 30 * 1000,
    MAX_REPLY_BYTES = 64 * 1024,
    MAX_TOKEN_CHARS = 16 * 1024,
    MAX_BODY_BYTES = 16 * 1024,
    DEFAULT_LIFE_S = 300, /* an answer without expires_in, which RFC 6749 section 5.1 only recommends */
    MAX_LIFE_S = 24 * 3600,
    MARGIN_S = 60, /* renewed this long before the end, or a tenth of its life when that is less */
};

struct acme_token {
    struct acme_token *next;
    struct acme_outbound *outbound;
    const struct acme_oauth *oauth; /* its address tells tokens apart */
    char *bearer;                   /* NULL: none yet */
    int64_t renew_at_s;             /* monotonic */
    bool fetching;
    struct acme_token_waiter *waiters;
};

static int64_t monotonic_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static void wipe_bearer(struct acme_token *token)
{
    if (token->bearer != NULL)
        OPENSSL_cleanse(token->bearer, strlen(token->bearer));
    free(token->bearer);
    token->bearer = NULL;
}

static struct acme_token *token_of(struct acme_outbound *outbound, const struct acme_oauth *oauth)
{
    struct acme_token *token = outbound->tokens;
    while (token != NULL && token->oauth != oauth)
        token = token->next;
    return token;
}

/* Everybody who waits is told; a waiter may ask anew while it is being told. */
static void tell(struct acme_token *token, enum acme_outbound_failure kind, const char *failure)
{
    struct acme_token_waiter *waiter = token->waiters;
    token->waiters = NULL;
    while (waiter != NULL) {
        struct acme_token_waiter *next = waiter->next;
        waiter->token = NULL;
        waiter->ready(waiter, failure == NULL ? token->bearer : NULL, kind, failure);
        waiter = next;
    }
}

/* A token goes into a header field as it is (RFC 6750 section 2.1). */
static bool is_bearer(const char *text)
{
    size_t len = text != NULL ? strlen(text) : 0;
    if (len == 0 || len > MAX_TOKEN_CHARS)
        return false;
    for (; *text != '\0'; text++)
        if (*text <= 0x20 || *text >= 0x7f)
            return false;
    return true;
}

/* NULL: the token was taken; else why not, in words without the answer's text but for OAuth's own error code.
 */
static const char *read_token(struct acme_token *token, struct acme_arena *arena,
                              const struct acme_http_reply *reply)
{
    cJSON *json = NULL;
    struct acme_err err = acme_json_parse(arena, (const char *)reply->body.data, reply->body.len, &json);
    const char *type = acme_failed(err) ? NULL : acme_json_str(json, "token_type");
    const char *bearer = acme_failed(err) ? NULL : acme_json_str(json, "access_token");
    if (reply->status != 200) {
        const char *code = acme_failed(err) ? NULL : acme_json_str(json, "error");
        bool plain =
            code != NULL && strlen(code) < 64 && strspn(code, "abcdefghijklmnopqrstuvwxyz_") == strlen(code);
        return acme_arena_printf(arena, "HTTP status %d%s%s", reply->status, plain ? ", " : "",
                                 plain ? code : "");
    }
    if (!is_bearer(bearer) || (type != NULL && strcasecmp(type, "Bearer") != 0))
        return "the answer holds no bearer token";
    const cJSON *life = acme_json_get(json, "expires_in");
    int64_t seconds = DEFAULT_LIFE_S;
    if (cJSON_IsNumber(life) && life->valuedouble >= 0)
        seconds = life->valuedouble < MAX_LIFE_S ? (int64_t)life->valuedouble : MAX_LIFE_S;
    int64_t margin = seconds / 10 < MARGIN_S ? seconds / 10 : MARGIN_S;
    char *copy = strdup(bearer);
    if (copy == NULL)
        return "out of memory";
    wipe_bearer(token);
    token->bearer = copy;
    token->renew_at_s = monotonic_s() + seconds - margin;
    return NULL;
}

static void on_answer(void *context, const struct acme_outbound_result *result)
{
    struct acme_token *token = context;
    token->fetching = false;
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create((size_t)4 * MAX_REPLY_BYTES);
    const char *why = "out of memory";
    if (arena != NULL && result->failure == ACME_OUTBOUND_OK)
        why = read_token(token, arena, result->reply);
    else if (arena != NULL)
        why = result->detail != NULL ? result->detail : "no answer";
    if (why == NULL) {
        tell(token, ACME_OUTBOUND_OK, NULL);
        return;
    }
    if (result->failure == ACME_OUTBOUND_CANCELLED) {
        tell(token, ACME_OUTBOUND_CANCELLED, why);
        return;
    }
    acme_log(WARN, "no access token", LOG_STR("url", token->oauth->token_url),
             LOG_STR("client_id", token->oauth->client_id), LOG_STR("why", why));
    char text[512];
    (void)snprintf(text, sizeof text, "no access token from %s: %s", token->oauth->token_url, why);
    /* Whatever happened there, the call itself was not made. */
    tell(token, ACME_OUTBOUND_CONNECT, text);
}

static void append_field(struct acme_buf *out, const char *name, const char *value)
{
    if (value == NULL)
        return;
    char *escaped = curl_easy_escape(NULL, value, 0);
    if (escaped == NULL) {
        out->failed = true;
        return;
    }
    acme_buf_printf(out, "&%s=%s", name, escaped);
    OPENSSL_cleanse(escaped, strlen(escaped));
    curl_free(escaped);
}

static struct acme_err fetch(struct acme_token *token, const struct acme_transport *transport)
{
    const struct acme_oauth *oauth = token->oauth;
    struct acme_transport own = *transport;
    own.oauth = NULL;
    struct acme_buf body;
    acme_buf_init(&body, MAX_BODY_BYTES);
    acme_buf_str(&body, "grant_type=client_credentials");
    append_field(&body, "client_id", oauth->client_id);
    append_field(&body, "client_secret", oauth->client_secret);
    append_field(&body, "scope", oauth->scope);
    append_field(&body, "audience", oauth->audience);
    struct acme_http_call call = {.method = "POST",
                                  .url = oauth->token_url,
                                  .body = {.data = (const uint8_t *)body.data, .len = body.len},
                                  .total_timeout_ms = TOKEN_TIMEOUT_MS,
                                  .max_reply_bytes = MAX_REPLY_BYTES};
    struct acme_err err = acme_err(ACME_E_NOMEM);
    if (!body.failed && acme_http_call_header(&call, "Content-Type", "application/x-www-form-urlencoded") &&
        acme_http_call_header(&call, "Accept", "application/json"))
        err = acme_outbound_call(token->outbound, &own, &call, on_answer, token);
    if (body.data != NULL)
        OPENSSL_cleanse(body.data, body.len);
    acme_buf_finish(&body);
    return err;
}

void acme_token_get(struct acme_outbound *outbound, const struct acme_transport *transport,
                    struct acme_token_waiter *waiter)
{
    struct acme_token *token = token_of(outbound, transport->oauth);
    if (token == NULL) {
        token = calloc(1, sizeof *token);
        if (token == NULL) {
            waiter->ready(waiter, NULL, ACME_OUTBOUND_CONNECT, "out of memory");
            return;
        }
        *token =
            (struct acme_token){.next = outbound->tokens, .outbound = outbound, .oauth = transport->oauth};
        outbound->tokens = token;
    }
    if (token->bearer != NULL && monotonic_s() < token->renew_at_s) {
        waiter->ready(waiter, token->bearer, ACME_OUTBOUND_OK, NULL);
        return;
    }
    waiter->token = token;
    waiter->next = token->waiters;
    token->waiters = waiter;
    if (token->fetching)
        return;
    token->fetching = true;
    struct acme_err err = fetch(token, transport);
    if (acme_failed(err)) {
        token->fetching = false;
        tell(token, err.code == ACME_E_STATE ? ACME_OUTBOUND_CANCELLED : ACME_OUTBOUND_CONNECT,
             "the access token could not be asked for");
    }
}

void acme_token_forget(struct acme_outbound *outbound, const struct acme_oauth *oauth, const char *bearer)
{
    struct acme_token *token = token_of(outbound, oauth);
    if (token != NULL && token->bearer != NULL && strcmp(token->bearer, bearer) == 0)
        wipe_bearer(token);
}

void acme_token_cancel(struct acme_token_waiter *waiter)
{
    if (waiter->token == NULL)
        return;
    struct acme_token_waiter **at = &waiter->token->waiters;
    while (*at != NULL && *at != waiter)
        at = &(*at)->next;
    if (*at != NULL)
        *at = waiter->next;
    waiter->token = NULL;
}

void acme_tokens_finish(struct acme_outbound *outbound)
{
    while (outbound->tokens != NULL) {
        struct acme_token *token = outbound->tokens;
        outbound->tokens = token->next;
        wipe_bearer(token);
        free(token);
    }
}
