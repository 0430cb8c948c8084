#include "backends/upstream_text.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DIGITS = 15, FILLED_MAX_BYTES = 64 * 1024, QUOTE_MAX_CHARS = 200, SHOWN_MAX_CHARS = 80 };

char *acme_urlencode(struct acme_arena *arena, const char *text)
{
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, 4096);
    for (const char *c = text; *c != '\0'; c++) {
        bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
                     strchr("-._~", *c) != NULL;
        if (plain)
            acme_buf_append(&out, c, 1);
        else
            acme_buf_printf(&out, "%%%02X", (unsigned)(unsigned char)*c);
    }
    const char *done = acme_buf_cstr(&out);
    return done != NULL ? acme_arena_strdup(arena, done) : NULL;
}

bool acme_is_header_text(const char *text)
{
    if (text == NULL || *text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || (unsigned char)*text == 0x7f)
            return false;
    }
    return true;
}

struct acme_err acme_reply_json(struct acme_arena *arena, const struct acme_http_reply *reply, cJSON **ret)
{
    ENSURE(reply->status >= 200 && reply->status <= 299 && reply->body.len > 0, ACME_E_FORMAT);
    return acme_json_parse(arena, (const char *)reply->body.data, reply->body.len, ret);
}

bool acme_json_number_or_text(const cJSON *item, int64_t *ret)
{
    if (cJSON_IsNumber(item)) {
        double value = item->valuedouble;
        if (value < -9007199254740992.0 || value > 9007199254740992.0 || value != (double)(int64_t)value)
            return false;
        *ret = (int64_t)value;
        return true;
    }
    const char *text = cJSON_IsString(item) ? item->valuestring : "";
    const char *digits = *text == '-' ? text + 1 : text;
    if (*digits == '\0' || strlen(text) > MAX_DIGITS || strspn(digits, "0123456789") != strlen(digits))
        return false;
    *ret = strtoll(text, NULL, 10);
    return true;
}

bool acme_decimal(const char *text, int64_t *ret)
{
    if (text == NULL || *text == '\0' || strlen(text) > MAX_DIGITS ||
        strspn(text, "0123456789") != strlen(text))
        return false;
    int64_t value = strtoll(text, NULL, 10);
    if (value == 0)
        return false;
    *ret = value;
    return true;
}

bool acme_secrets_echoed(const struct acme_secrets *secrets, const char *text)
{
    for (size_t i = 0; i < sizeof secrets->text / sizeof secrets->text[0]; i++) {
        if (secrets->text[i] != NULL && *secrets->text[i] != '\0' && strstr(text, secrets->text[i]) != NULL)
            return true;
    }
    return false;
}

const char *acme_upstream_quoted(struct acme_arena *arena, const struct acme_secrets *secrets,
                                 const char *text)
{
    if (text == NULL || *text == '\0' || acme_secrets_echoed(secrets, text))
        return "";
    const char *printable = acme_printable(arena, text, strlen(text), QUOTE_MAX_CHARS);
    return printable != NULL ? acme_arena_printf(arena, ": \"%s\"", printable) : NULL;
}

const char *acme_upstream_shown(struct acme_arena *arena, const struct acme_secrets *secrets,
                                const char *text)
{
    if (text == NULL || acme_secrets_echoed(secrets, text))
        return "(not shown)";
    const char *printable = acme_printable(arena, text, strlen(text), SHOWN_MAX_CHARS);
    return printable != NULL ? printable : "(not shown)";
}

void acme_words_add(struct acme_buf *list, const char *text)
{
    if (list->len + strlen(text) + 8 < list->max)
        acme_buf_printf(list, "%s%s", list->len > 0 ? ", " : "", text);
}

const char *acme_words_text(const struct acme_buf *list)
{
    const char *text = acme_buf_cstr(list);
    return text != NULL && *text != '\0' ? text : "none";
}

/* ---- placeholders ---- */

struct placeholder {
    const char *name; /* with its braces */
    const char *value;
};

const char *acme_placeholders_wrong(const char *text)
{
    static const char *const names[] = {"{order}", "{account}", "{eab}"};
    for (const char *c = text; *c != '\0'; c++) {
        if (*c != '{' && *c != '}')
            continue;
        size_t i = 0;
        while (i < 3 && strncmp(c, names[i], strlen(names[i])) != 0)
            i++;
        if (i == 3)
            return "a text whose only braces are those of {order}, {account} and {eab}";
        c += strlen(names[i]) - 1;
    }
    return NULL;
}

char *acme_placeholders_fill(struct acme_arena *arena, const char *text,
                             const struct acme_issue_request *request)
{
    const struct placeholder list[] = {
        {"{order}", request->order_id},
        {"{account}", request->account_id},
        {"{eab}", request->external_kid != NULL ? request->external_kid : "-"},
    };
    const size_t count = sizeof list / sizeof list[0];
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, FILLED_MAX_BYTES);
    while (*text != '\0') {
        size_t plain = strcspn(text, "{");
        acme_buf_append(&out, text, plain);
        text += plain;
        size_t i = 0;
        while (i < count && strncmp(text, list[i].name, strlen(list[i].name)) != 0)
            i++;
        if (i < count) {
            acme_buf_str(&out, list[i].value);
            text += strlen(list[i].name);
        } else if (*text != '\0') {
            acme_buf_append(&out, text++, 1);
        }
    }
    const char *done = acme_buf_cstr(&out);
    return done != NULL ? acme_arena_strdup(arena, done) : NULL;
}

const char *acme_request_common_name(const struct acme_issue_request *request)
{
    if (request->csr->common_name != NULL)
        return request->csr->common_name;
    return request->identifier_count > 0 ? request->identifiers[0].value : "";
}

/* ---- copies ---- */

bool acme_copy_text(struct acme_arena *arena, const char **member)
{
    if (*member == NULL)
        return true;
    *member = acme_arena_strdup(arena, *member);
    return *member != NULL;
}

bool acme_copy_secret(const char **member)
{
    if (*member == NULL)
        return true;
    *member = OPENSSL_strdup(*member);
    return *member != NULL;
}

void acme_free_secret(const char *text)
{
    union { /* these strings are ours although the configuration's type makes them const */
        const char *given;
        char *owned;
    } view = {.given = text};
    if (view.owned != NULL)
        OPENSSL_clear_free(view.owned, strlen(view.owned) + 1);
}
