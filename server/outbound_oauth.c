/* Bearer tokens by OAuth 2 (RFC 6749 section 4.4, client credentials). */
#include "server/outbound_token.h"

#include "base/json.h"

#include <openssl/crypto.h>
#include <string.h>
#include <strings.h>

enum {
    TOKEN_TIMEOUT_MS = 30 * 1000,
    MAX_REPLY_BYTES = 64 * 1024,
    DEFAULT_LIFE_S = 300, /* an answer without expires_in, which RFC 6749 section 5.1 only recommends */
    MAX_LIFE_S = 24 * 3600,
    MARGIN_S = 60
};

/* One object is one token. */
static bool same(const struct acme_token_login *a, const struct acme_token_login *b)
{
    return a->oauth == b->oauth;
}

static const char *describe(const struct acme_token_login *login, const char **ret_user)
{
    *ret_user = login->oauth->client_id;
    return login->oauth->token_url;
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

static bool ask(const struct acme_token_login *login, struct acme_buf *body, struct acme_http_call *call)
{
    const struct acme_oauth *oauth = login->oauth;
    acme_buf_str(body, "grant_type=client_credentials");
    append_field(body, "client_id", oauth->client_id);
    append_field(body, "client_secret", oauth->client_secret);
    append_field(body, "scope", oauth->scope);
    append_field(body, "audience", oauth->audience);
    *call = (struct acme_http_call){.method = "POST",
                                    .url = oauth->token_url,
                                    .total_timeout_ms = TOKEN_TIMEOUT_MS,
                                    .max_reply_bytes = MAX_REPLY_BYTES};
    return acme_http_call_header(call, "Content-Type", "application/x-www-form-urlencoded") &&
           acme_http_call_header(call, "Accept", "application/json");
}

static const char *read(struct acme_arena *arena, const struct acme_http_reply *reply,
                        struct acme_token_grant *ret)
{
    cJSON *json = NULL;
    struct acme_err err = acme_json_parse(arena, (const char *)reply->body.data, reply->body.len, &json);
    if (reply->status != 200) {
        const char *code = acme_failed(err) ? NULL : acme_json_str(json, "error");
        bool plain =
            code != NULL && strlen(code) < 64 && strspn(code, "abcdefghijklmnopqrstuvwxyz_") == strlen(code);
        return acme_arena_printf(arena, "HTTP status %d%s%s", reply->status, plain ? ", " : "",
                                 plain ? code : "");
    }
    const char *type = acme_failed(err) ? NULL : acme_json_str(json, "token_type");
    const char *bearer = acme_failed(err) ? NULL : acme_json_str(json, "access_token");
    if (bearer == NULL || (type != NULL && strcasecmp(type, "Bearer") != 0))
        return "the answer holds no bearer token";
    const cJSON *life = acme_json_get(json, "expires_in");
    int64_t seconds = DEFAULT_LIFE_S;
    if (cJSON_IsNumber(life) && life->valuedouble >= 0)
        seconds = life->valuedouble < MAX_LIFE_S ? (int64_t)life->valuedouble : MAX_LIFE_S;
    *ret = (struct acme_token_grant){.text = bearer, .life_s = seconds, .margin_s = MARGIN_S};
    return NULL;
}

const struct acme_token_kind acme_token_oauth = {.field = "Authorization",
                                                 .prefix = "Bearer ",
                                                 .same = same,
                                                 .describe = describe,
                                                 .ask = ask,
                                                 .read = read};
