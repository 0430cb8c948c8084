/* Warnings: what is on the allow-list passes, everything else is for the operator. */
#include "backends/cps/cps_internal.h"

#include "base/buf.h"

#include <string.h>

enum { SHOWN_CHARS = 300, PARTS_MAX = 64 };

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* The next character of a text whose white space is folded; 0 at its end. */
static char next_char(const char **at, const char *end)
{
    if (*at == end)
        return '\0';
    char c = *(*at)++;
    if (!is_space(c))
        return lower(c);
    while (*at < end && is_space(**at))
        (*at)++;
    return ' ';
}

/* A star that went on would take the next warning for a part of this one. */
static bool may_skip(const char *at, const char *end)
{
    for (; at < end; at++)
        if (*at == ',' || *at == '\r' || *at == '\n')
            return false;
    return true;
}

bool acme_cps_glob(const char *pattern, const char *text, size_t len)
{
    const char *end = text + len;
    const char *pattern_end = pattern + strlen(pattern);
    const char *star = NULL; /* behind the last one */
    const char *resume = NULL;
    while (text < end) {
        if (pattern < pattern_end && *pattern == '*') {
            star = ++pattern;
            resume = text;
            continue;
        }
        const char *p = pattern;
        const char *t = text;
        if (next_char(&p, pattern_end) == next_char(&t, end)) {
            pattern = p;
            text = t;
            continue;
        }
        if (star == NULL)
            return false;
        pattern = star;
        text = resume;
        next_char(&text, end);
        if (!may_skip(resume, text))
            return false;
        resume = text;
    }
    while (pattern < pattern_end && *pattern == '*')
        pattern++;
    return pattern == pattern_end;
}

static bool is_listed(const struct acme_cps_policy *policy, const char *text, size_t len)
{
    while (len > 0 && is_space(text[0])) {
        text++;
        len--;
    }
    while (len > 0 && is_space(text[len - 1]))
        len--;
    if (len == 0)
        return false;
    for (size_t i = 0; i < policy->warning_count; i++)
        if (acme_cps_glob(policy->warnings[i], text, len))
            return true;
    return false;
}

/* "[first, second]" or "first, second": commas also stand within warnings, so parts grow until one fits. */
static bool are_listed(const struct acme_cps_policy *policy, const char *text, size_t len)
{
    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    const char *end = text + len;
    for (int parts = 0; text < end && parts < PARTS_MAX; parts++) {
        const char *stop = text;
        bool fits = false;
        for (int commas = 0; !fits && stop != NULL && stop < end && commas < PARTS_MAX; commas++) {
            const char *comma = memchr(stop, ',', (size_t)(end - stop));
            const char *part_end = comma != NULL ? comma : end;
            fits = is_listed(policy, text, (size_t)(part_end - text));
            stop = comma != NULL ? comma + 1 : end;
        }
        if (!fits)
            return false;
        text = stop;
    }
    return text == end && len > 0;
}

bool acme_cps_warning_allowed(const struct acme_cps_policy *policy, const char *text)
{
    size_t len = strlen(text);
    return is_listed(policy, text, len) || are_listed(policy, text, len);
}

/* One warning a line. *ret_all: each one may pass. */
static struct acme_err list_lines(struct cps_context *ctx, const char *text, const char **ret_details,
                                  bool *ret_all)
{
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, CPS_DETAILS_BYTES);
    acme_buf_str(&out, "Warnings (those marked * are not on the profile's list):\n");
    bool all = true;
    size_t more = 0;
    while (*text != '\0') {
        size_t len = strcspn(text, "\r\n");
        const char *line = acme_arena_strndup(ctx->arena, text, len);
        ENSURE(line != NULL, ACME_E_NOMEM);
        text += len;
        text += strspn(text, "\r\n");
        if (line[strspn(line, " \t")] == '\0')
            continue;
        bool allowed = acme_cps_warning_allowed(ctx->policy, line);
        all = all && allowed;
        if (!acme_cps_details_room(&out)) {
            more++;
            continue;
        }
        const char *shown = acme_cps_shown(ctx, line, SHOWN_CHARS);
        ENSURE(shown != NULL, ACME_E_NOMEM);
        acme_buf_printf(&out, "%s %s\n", allowed ? "-" : "*", shown);
    }
    if (more > 0)
        acme_buf_printf(&out, "and %zu more\n", more);
    const char *details = acme_buf_cstr(&out);
    *ret_details = details != NULL ? acme_arena_strdup(ctx->arena, details) : NULL;
    *ret_all = all;
    return acme_err(*ret_details != NULL ? ACME_OK : ACME_E_NOMEM);
}

struct acme_err acme_cps_warnings_reply(struct cps_context *ctx, bool post)
{
    cJSON *json = NULL;
    struct acme_err err = acme_cps_json(ctx, &json);
    ENSURE(err.code != ACME_E_NOMEM, ACME_E_NOMEM);
    if (acme_failed(err))
        return acme_cps_wait_failure(ctx, ctx->config->poll_ms, ACME_BACKOFF_MAX_MS,
                                     "CPS sent warnings that cannot be read; asking again.");
    const char *text = acme_json_str(json, "warnings");
    struct cps_gate gate = {.update =
                                post ? "post-verification-warnings-ack" : "pre-verification-warnings-ack",
                            .content_type = "acknowledgement.v1",
                            .whole = text};
    TRY(list_lines(ctx, text != NULL ? text : "", &gate.details, &gate.open));
    /* Without a text nobody knows what would be acknowledged. */
    gate.open = gate.open && text != NULL && text[strspn(text, " \t\r\n")] != '\0';
    gate.text = acme_arena_printf(
        ctx->arena, "CPS warns %s its verification of change %lld, and the profile's list does not cover it.",
        post ? "after" : "before", (long long)ctx->state->change);
    return acme_cps_gate_decide(ctx, &gate);
}
