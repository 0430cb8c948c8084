/* The catalogue: what an error reply means, by HTTP status, ELB's or the gateway's code and, where these
 * leave it open, a word of the message. */
#include "backends/huawei_elb/huawei_internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Five refused logins lock an access key for five minutes: one of ours in ten minutes never gets there. */
#define REFUSED_FIRST_MS (10 * ACME_MINUTE_MS)
#define REFUSED_MAX_MS   ACME_HOUR_MS
#define SKEW_MS          (5 * ACME_MINUTE_MS)

enum { TRIES_MAX = 5, QUOTE_SAFE_RUN = 40, CODE_MAX = 32 };

/* First match wins. */
static const struct huawei_rule rules[] = {
    {401, NULL, NULL, HUAWEI_VERDICT_LOGIN, "ELB refuses the login"},
    {429, NULL, NULL, HUAWEI_VERDICT_RETRY, "ELB asks for fewer calls"},
    {0, NULL, "quota", HUAWEI_VERDICT_FINAL,
     "the project's quota of certificates is used up: delete some, or have it raised"},
    {403, NULL, NULL, HUAWEI_VERDICT_FINAL,
     "the login may not do this in this project: it needs elb:certificates:get, :list, :create and :put, and "
     "a "
     "project_id that is its own"},
    {404, "0101", NULL, HUAWEI_VERDICT_FINAL,
     "there is no such API at this address: see whether url or region is right"},
    {404, "8904", NULL, HUAWEI_VERDICT_GONE, "there is no certificate object with this id in the project"},
    {404, NULL, NULL, HUAWEI_VERDICT_FEW_TRIES, "ELB was not found at this address"},
    {409, NULL, "domain", HUAWEI_VERDICT_FINAL,
     "a listener needs the object's domains, so they cannot be emptied: set domains"},
    {409, NULL, NULL, HUAWEI_VERDICT_FEW_TRIES, "something else is changing the object"},
    {413, NULL, NULL, HUAWEI_VERDICT_FINAL, "the request is too large for ELB"},
    {400, "1011", NULL, HUAWEI_VERDICT_FINAL,
     "ELB does not take the certificate or its private key, or they do not belong together there"},
    {400, "5020", NULL, HUAWEI_VERDICT_FINAL, "certificate_id has not the form ELB wants"},
    {400, "0230", NULL, HUAWEI_VERDICT_FINAL, "project_id has not the form ELB wants"},
    {400, "5033", NULL, HUAWEI_VERDICT_FEW_TRIES, "ELB could not update the object"},
    {400, NULL, NULL, HUAWEI_VERDICT_FINAL, "ELB does not take the request"},
    {408, NULL, NULL, HUAWEI_VERDICT_RETRY, "ELB has waited too long for the request"},
};

const struct huawei_rule *acme_huawei_rule_at(size_t index)
{
    return index < sizeof rules / sizeof rules[0] ? &rules[index] : NULL;
}

static const char *number_text(struct acme_arena *arena, const cJSON *item)
{
    if (cJSON_IsString(item))
        return item->valuestring;
    return cJSON_IsNumber(item) ? acme_arena_printf(arena, "%.0f", item->valuedouble) : NULL;
}

/* The three shapes of error bodies; the code may be a number (IAM). */
static void read_error(struct acme_arena *arena, const cJSON *json, const char **ret_code,
                       const char **ret_message)
{
    const cJSON *inner = acme_json_get(json, "error");
    if (cJSON_IsObject(inner))
        json = inner;
    const cJSON *code = acme_json_get(json, "error_code");
    *ret_code = number_text(arena, code != NULL ? code : acme_json_get(json, "code"));
    *ret_message = acme_json_str(json, "error_msg");
    if (*ret_message == NULL)
        *ret_message = acme_json_str(json, "message");
}

static bool ends_with(const char *text, const char *end)
{
    if (text == NULL)
        return false;
    size_t len = strlen(text);
    size_t end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* Words that may be shown: no secret of ours in them, nor anything that could be a piece of a key. */
static bool is_harmless(const char *text)
{
    size_t run = 0;
    if (strcasestr(text, "private key") != NULL)
        return false;
    for (; *text != '\0'; text++) {
        bool base64 = isalnum((unsigned char)*text) || *text == '+' || *text == '/' || *text == '=';
        run = base64 ? run + 1 : 0;
        if (run >= QUOTE_SAFE_RUN)
            return false;
    }
    return true;
}

const char *acme_huawei_shown(const struct huawei_context *ctx, const char *text)
{
    return is_harmless(text) ? acme_upstream_shown(ctx->arena, &ctx->huawei->secrets, text) : "(not shown)";
}

/* A login that is signed with a time far from ELB's is refused for that. "" when the clocks agree. */
static const char *clock_hint(const struct huawei_context *ctx)
{
    int64_t theirs_ms = acme_http_reply_date_ms(ctx->input->reply);
    int64_t off_ms = ctx->input->now_ms - theirs_ms;
    if (theirs_ms == 0 || (off_ms < SKEW_MS && off_ms > -SKEW_MS))
        return "";
    return acme_arena_printf(ctx->arena,
                             " The clock of this server is %lld minutes %s that of ELB: set it right, a "
                             "signature is good for about 15 minutes.",
                             llabs((long long)off_ms) / ACME_MINUTE_MS, off_ms > 0 ? "ahead of" : "behind");
}

struct acme_err acme_huawei_judge(const struct huawei_context *ctx, struct huawei_verdict *ret)
{
    const struct acme_http_reply *reply = ctx->input->reply;
    const char *code = NULL;
    const char *message = NULL;
    cJSON *json = NULL;
    struct acme_err err = acme_huawei_reply_json(ctx, &json, NULL);
    ENSURE(err.code != ACME_E_NOMEM, ACME_E_NOMEM);
    if (!acme_failed(err))
        read_error(ctx->arena, json, &code, &message);

    const struct huawei_rule *rule = NULL;
    for (size_t i = 0; rule == NULL && i < sizeof rules / sizeof rules[0]; i++) {
        const struct huawei_rule *candidate = &rules[i];
        bool client = reply->status >= 400 && reply->status <= 499;
        if ((candidate->status == 0 ? client : candidate->status == reply->status) &&
            (candidate->code == NULL || ends_with(code, candidate->code)) &&
            (candidate->text == NULL || (message != NULL && strcasestr(message, candidate->text) != NULL)))
            rule = candidate;
    }
    bool passing = reply->status >= 500;
    bool success = reply->status >= 200 && reply->status <= 299;
    const char *gist = passing   ? "ELB has a problem of its own"
                       : success ? "the answer is not one of ELB's API"
                                 : "ELB does not take the request";
    ret->class = passing ? HUAWEI_VERDICT_RETRY : success ? HUAWEI_VERDICT_FEW_TRIES : HUAWEI_VERDICT_FINAL;
    if (rule != NULL) {
        gist = rule->gist;
        ret->class = rule->class;
    }
    const char *shown_code = code != NULL && strlen(code) <= CODE_MAX ? acme_huawei_shown(ctx, code) : NULL;
    const char *words = success || message == NULL || !is_harmless(message)
                            ? ""
                            : acme_upstream_quoted(ctx->arena, &ctx->huawei->secrets, message);
    const char *clock = ret->class == HUAWEI_VERDICT_LOGIN ? clock_hint(ctx) : "";
    ENSURE(words != NULL && clock != NULL, ACME_E_NOMEM);
    ret->text =
        acme_arena_printf(ctx->arena, "%s (HTTP %d%s%s)%s.%s", gist, reply->status,
                          shown_code != NULL ? ", " : "", shown_code != NULL ? shown_code : "", words, clock);
    ENSURE(ret->text != NULL, ACME_E_NOMEM);
    return acme_ok();
}

static const char *sentence(const struct huawei_context *ctx, const char *before, const char *text)
{
    return acme_arena_printf(ctx->arena, "%s%s", before, text);
}

struct acme_err acme_huawei_refused(struct huawei_context *ctx, const struct huawei_verdict *verdict)
{
    struct huawei_state *state = ctx->state;
    switch (verdict->class) {
    case HUAWEI_VERDICT_RETRY:
        return acme_huawei_wait(
            ctx, acme_pace_backoff_ms(ACME_BACKOFF_FIRST_MS, ACME_BACKOFF_MAX_MS, state->failures++), true,
            sentence(ctx, "Will be tried again: ", verdict->text));
    case HUAWEI_VERDICT_FEW_TRIES:
        if (++state->tries >= TRIES_MAX)
            return acme_huawei_fail(ctx, sentence(ctx, "Given up after several tries: ", verdict->text));
        return acme_huawei_wait(
            ctx, acme_pace_backoff_ms(ACME_BACKOFF_FIRST_MS, ACME_BACKOFF_MAX_MS, state->failures++), true,
            sentence(ctx, "Will be tried a few times more: ", verdict->text));
    case HUAWEI_VERDICT_LOGIN:
        return acme_huawei_wait(
            ctx, acme_pace_backoff_ms(REFUSED_FIRST_MS, REFUSED_MAX_MS, state->refusals++), true,
            sentence(ctx,
                     "Not tried again for a while, since refused logins lock the account: ", verdict->text));
    case HUAWEI_VERDICT_GONE:
    case HUAWEI_VERDICT_FINAL:
        break;
    }
    return acme_huawei_fail(ctx, sentence(ctx, "Not deployed: ", verdict->text));
}
