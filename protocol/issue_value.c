#include "protocol/issue_value.h"

#include <string.h>

enum { MAX_DOMAIN = 253, MAX_LABEL = 63 };

struct cursor {
    const uint8_t *at;
    const uint8_t *end;
};

static bool is_alnum(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void skip_space(struct cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t'))
        c->at++;
}

static char *lower(struct acme_arena *arena, const uint8_t *text, size_t len)
{
    char *copy = acme_arena_alloc(arena, len + 1);
    for (size_t i = 0; copy != NULL && i < len; i++)
        copy[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a' : text[i]);
    return copy;
}

/* (ALPHA / DIGIT) *( *("-") (ALPHA / DIGIT)): a parameter's tag and each label of a domain name. */
static size_t word(const struct cursor *c)
{
    const uint8_t *at = c->at;
    const uint8_t *last = c->at;
    while (at < c->end && (is_alnum(*at) || (*at == '-' && at > c->at))) {
        if (is_alnum(*at))
            last = at + 1;
        at++;
    }
    return last == at ? (size_t)(at - c->at) : 0; /* none ends with a hyphen */
}

static struct acme_err read_issuer(struct acme_arena *arena, struct cursor *c, const char **ret)
{
    const uint8_t *start = c->at;
    *ret = "";
    if (c->at == c->end || *c->at == ';')
        return acme_ok();
    for (;;) {
        size_t len = word(c);
        ENSURE(len > 0 && len <= MAX_LABEL, ACME_E_FORMAT);
        c->at += len;
        if (c->at == c->end || *c->at != '.')
            break;
        c->at++;
    }
    size_t len = (size_t)(c->at - start);
    ENSURE(len <= MAX_DOMAIN, ACME_E_FORMAT);
    *ret = lower(arena, start, len);
    ENSURE(*ret != NULL, ACME_E_NOMEM);
    return acme_ok();
}

static struct acme_err read_parameter(struct acme_arena *arena, struct cursor *c,
                                      struct acme_issue_parameter *ret)
{
    size_t len = word(c);
    ENSURE(len > 0, ACME_E_FORMAT);
    ret->tag = lower(arena, c->at, len);
    c->at += len;
    skip_space(c);
    ENSURE(c->at < c->end && *c->at == '=', ACME_E_FORMAT);
    c->at++;
    skip_space(c);
    const uint8_t *start = c->at;
    while (c->at < c->end && *c->at >= 0x21 && *c->at <= 0x7e && *c->at != ';')
        c->at++;
    ret->value = acme_arena_strndup(arena, (const char *)start, (size_t)(c->at - start));
    ENSURE(ret->tag != NULL && ret->value != NULL, ACME_E_NOMEM);
    skip_space(c);
    return acme_ok();
}

struct acme_err acme_issue_value_parse(struct acme_arena *arena, struct acme_bytes text,
                                       struct acme_issue_value *ret)
{
    ENSURE(text.len <= ACME_ISSUE_VALUE_MAX_BYTES, ACME_E_LIMIT);
    struct acme_issue_value value = {.issuer = "", .parameter_count = 0};
    static const uint8_t nothing[1];
    struct cursor c = {.at = text.len > 0 ? text.data : nothing};
    c.end = c.at + text.len;
    skip_space(&c);
    TRY(read_issuer(arena, &c, &value.issuer));
    skip_space(&c);
    bool more = c.at < c.end;
    while (more) {
        ENSURE(*c.at == ';', ACME_E_FORMAT);
        c.at++;
        skip_space(&c);
        if (c.at == c.end) /* the grammar has this behind the name only; behind a parameter it says nothing */
            break;
        ENSURE(value.parameter_count < ACME_ISSUE_VALUE_MAX_PARAMETERS, ACME_E_LIMIT);
        TRY(read_parameter(arena, &c, &value.parameters[value.parameter_count++]));
        more = c.at < c.end;
    }
    *ret = value;
    return acme_ok();
}

size_t acme_issue_value_get(const struct acme_issue_value *value, const char *tag, const char **ret)
{
    size_t count = 0;
    for (size_t i = 0; i < value->parameter_count; i++)
        if (strcmp(value->parameters[i].tag, tag) == 0 && count++ == 0)
            *ret = value->parameters[i].value;
    return count;
}
