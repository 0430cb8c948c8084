#include "base/http_call.h"

#include "base/clock.h"

#include <string.h>
#include <time.h>

bool acme_http_call_header(struct acme_http_call *call, const char *name, const char *value)
{
    if (call->header_count >= ACME_HTTP_MAX_HEADERS)
        return false;
    call->headers[call->header_count++] = (struct acme_http_header){.name = name, .value = value};
    return true;
}

const char *acme_http_reply_header(const struct acme_http_reply *reply, const char *name)
{
    for (size_t i = 0; i < reply->header_count; i++)
        if (strcmp(reply->headers[i].name, name) == 0)
            return reply->headers[i].value;
    return NULL;
}

/* The three forms of RFC 9110 section 5.6.7. No locale is ever set, so the names are English. */
static bool parse_http_date(const char *text, int64_t *ret_s)
{
    static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                        "%a %b %e %H:%M:%S %Y"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct tm tm = {0};
        const char *end = strptime(text, forms[i], &tm);
        if (end != NULL && *end == '\0') {
            tm.tm_isdst = 0;
            *ret_s = (int64_t)timegm(&tm);
            return true;
        }
    }
    return false;
}

int64_t acme_http_reply_retry_after_s(const struct acme_http_reply *reply, int64_t now_ms)
{
    const int64_t max_s = ACME_DAY_MS / 1000;
    const char *text = acme_http_reply_header(reply, "retry-after");
    if (text == NULL || *text == '\0')
        return -1;
    if (text[strspn(text, "0123456789")] == '\0') {
        int64_t seconds = 0;
        for (; *text != '\0' && seconds < max_s; text++)
            seconds = seconds * 10 + (*text - '0');
        return seconds < max_s ? seconds : max_s;
    }
    int64_t at_s = 0;
    if (!parse_http_date(text, &at_s))
        return -1;
    int64_t wait_s = at_s - now_ms / 1000;
    if (wait_s < 0)
        return 0; /* a moment that has passed: now */
    return wait_s < max_s ? wait_s : max_s;
}

int64_t acme_http_reply_date_ms(const struct acme_http_reply *reply)
{
    int64_t at_s = 0;
    const char *text = acme_http_reply_header(reply, "date");
    return text != NULL && parse_http_date(text, &at_s) ? at_s * ACME_SECOND_MS : 0;
}

const struct acme_http_reply *acme_http_reply_copy(struct acme_arena *arena,
                                                   const struct acme_http_reply *reply)
{
    struct acme_http_reply *copy = acme_arena_alloc(arena, sizeof *copy);
    if (copy == NULL)
        return NULL;
    copy->status = reply->status;
    copy->headers = acme_arena_alloc(arena, sizeof *copy->headers * (reply->header_count + 1));
    copy->body.data = acme_arena_memdup(arena, reply->body.data, reply->body.len);
    copy->body.len = reply->body.len;
    if (copy->headers == NULL || (copy->body.data == NULL && copy->body.len > 0))
        return NULL;
    for (size_t i = 0; i < reply->header_count; i++) {
        copy->headers[i].name = acme_arena_strdup(arena, reply->headers[i].name);
        copy->headers[i].value = acme_arena_strdup(arena, reply->headers[i].value);
        if (copy->headers[i].name == NULL || copy->headers[i].value == NULL)
            return NULL;
    }
    copy->header_count = reply->header_count;
    return copy;
}
