/* Tokens of a Keystone v3 identity service, for a user's password (Huawei Cloud IAM, "Obtaining a User Token
 * Through Password Authentication"): the token comes in a header field, when it ends in the body. */
#include "server/outbound_token.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/json_writer.h"

#include <string.h>

enum {
    TOKEN_TIMEOUT_MS = 30 * 1000,
    MAX_REPLY_BYTES = 256 * 1024, /* with the catalogue of services, should it come unasked */
    DEFAULT_LIFE_S = 300,
    MAX_LIFE_S = 24 * 3600,
    MARGIN_S = 15 * 60,
    REFUSED_PAUSE_S = 10 * 60 /* identity services lock who fails to log in several times */
};

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same(const struct acme_token_login *a, const struct acme_token_login *b)
{
    const struct acme_keystone *left = a->keystone;
    const struct acme_keystone *right = b->keystone;
    return left == right ||
           (same_text(left->token_url, right->token_url) && same_text(left->domain, right->domain) &&
            same_text(left->user, right->user) && same_text(left->password, right->password) &&
            same_text(left->project, right->project) && same_text(left->project_id, right->project_id));
}

static const char *describe(const struct acme_token_login *login, const char **ret_user)
{
    *ret_user = login->keystone->user;
    return login->keystone->token_url;
}

static bool ask(const struct acme_token_login *login, struct acme_buf *body, struct acme_http_call *call)
{
    const struct acme_keystone *keystone = login->keystone;
    struct acme_json_writer writer;
    acme_jw_init(&writer, body);
    acme_jw_object(&writer, NULL);
    acme_jw_object(&writer, "auth");
    acme_jw_object(&writer, "identity");
    acme_jw_array(&writer, "methods");
    acme_jw_str(&writer, NULL, "password");
    acme_jw_array_end(&writer);
    acme_jw_object(&writer, "password");
    acme_jw_object(&writer, "user");
    acme_jw_str(&writer, "name", keystone->user);
    acme_jw_str(&writer, "password", keystone->password);
    acme_jw_object(&writer, "domain");
    acme_jw_str(&writer, "name", keystone->domain);
    acme_jw_object_end(&writer);
    acme_jw_object_end(&writer);
    acme_jw_object_end(&writer);
    acme_jw_object_end(&writer);
    acme_jw_object(&writer, "scope");
    acme_jw_object(&writer, "project");
    if (keystone->project != NULL)
        acme_jw_str(&writer, "name", keystone->project);
    else
        acme_jw_str(&writer, "id", keystone->project_id);
    acme_jw_object_end(&writer);
    acme_jw_object_end(&writer);
    acme_jw_object_end(&writer);
    acme_jw_object_end(&writer);
    *call = (struct acme_http_call){.method = "POST",
                                    .url = keystone->token_url,
                                    .total_timeout_ms = TOKEN_TIMEOUT_MS,
                                    .max_reply_bytes = MAX_REPLY_BYTES};
    return acme_http_call_header(call, "Content-Type", "application/json;charset=utf8") &&
           acme_http_call_header(call, "Accept", "application/json");
}

/* By the service's own two times where it tells both, so that a clock that is wrong here does no harm. */
static int64_t life_of(const cJSON *token)
{
    const char *expires = acme_json_str(token, "expires_at");
    const char *issued = acme_json_str(token, "issued_at");
    int64_t end_ms = 0;
    int64_t begin_ms = 0;
    if (expires == NULL || acme_failed(acme_rfc3339_parse(expires, &end_ms)))
        return DEFAULT_LIFE_S;
    if (issued == NULL || acme_failed(acme_rfc3339_parse(issued, &begin_ms)))
        begin_ms = acme_clock_now_ms(&acme_clock_system);
    int64_t seconds = (end_ms - begin_ms) / ACME_SECOND_MS;
    if (seconds < 0)
        return 0;
    return seconds < MAX_LIFE_S ? seconds : MAX_LIFE_S;
}

static const char *read(struct acme_arena *arena, const struct acme_http_reply *reply,
                        struct acme_token_grant *ret)
{
    if (reply->status != 200 && reply->status != 201) {
        ret->refused = reply->status == 401 || reply->status == 403;
        const char *text = acme_arena_printf(arena, "HTTP status %d%s", reply->status,
                                             ret->refused ? ", the login is refused" : "");
        return text != NULL ? text : "out of memory";
    }
    const char *text = acme_http_reply_header(reply, "x-subject-token");
    if (text == NULL)
        return "the answer holds no token";
    cJSON *json = NULL;
    if (reply->body.len == 0 ||
        acme_failed(acme_json_parse(arena, (const char *)reply->body.data, reply->body.len, &json)))
        json = NULL;
    *ret = (struct acme_token_grant){
        .text = text, .life_s = life_of(acme_json_get(json, "token")), .margin_s = MARGIN_S};
    return NULL;
}

const struct acme_token_kind acme_token_keystone = {.field = "X-Auth-Token",
                                                    .prefix = "",
                                                    .refused_pause_s = REFUSED_PAUSE_S,
                                                    .same = same,
                                                    .describe = describe,
                                                    .ask = ask,
                                                    .read = read};
