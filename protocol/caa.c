#include "protocol/caa.h"

#include "protocol/issue_value.h"

#include <string.h>

enum { CRITICAL = 0x80, MAX_SHOWN = 160, MAX_SHOWN_PROPERTIES = 3 };

struct property {
    bool critical;
    const char *tag;
    struct acme_bytes value;
};

/* Why an issue property does not let us issue. */
static const char other_issuer[] = "it names another CA";
static const char nobody[] = "it names no CA";

const char *acme_caa_parent(const char *name)
{
    const char *dot = strchr(name, '.');
    return dot == NULL || dot[1] == '\0' ? NULL : dot + 1;
}

static struct acme_err read_property(struct acme_arena *arena, struct acme_bytes rdata, struct property *ret)
{
    ENSURE(rdata.len >= 2 && rdata.data[1] > 0 && rdata.data[1] <= rdata.len - 2U, ACME_E_FORMAT);
    size_t tag_len = rdata.data[1];
    char *tag = acme_arena_alloc(arena, tag_len + 1);
    ENSURE(tag != NULL, ACME_E_NOMEM);
    for (size_t i = 0; i < tag_len; i++) {
        char c = (char)rdata.data[2 + i];
        bool upper = c >= 'A' && c <= 'Z';
        ENSURE(upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'), ACME_E_FORMAT);
        tag[i] = (char)(upper ? c - 'A' + 'a' : c);
    }
    *ret = (struct property){
        .critical = (rdata.data[0] & CRITICAL) != 0,
        .tag = tag,
        .value = {.data = rdata.data + 2 + tag_len, .len = rdata.len - 2 - tag_len},
    };
    return acme_ok();
}

/* Properties that are defined, including those that say nothing about certificates for servers. */
static bool is_known(const char *tag)
{
    static const char *const known[] = {"issue",        "issuewild",    "iodef",   "issuemail",
                                        "contactemail", "contactphone", "issuevmc"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(tag, known[i]) == 0)
            return true;
    return false;
}

/* value = [*(label ",") label] (RFC 8657 section 4): is `method` one of them? */
static bool lists_method(const char *list, const char *method)
{
    bool found = false;
    for (const char *at = list;; at++) {
        size_t len = strcspn(at, ",");
        if (len == 0 || strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-") < len)
            return false; /* not such a list: nothing satisfies it */
        found = found || (len == strlen(method) && strncmp(at, method, len) == 0);
        at += len;
        if (*at == '\0')
            return found;
    }
}

/* NULL when this property lets us issue, else why not. */
static struct acme_err weigh(struct acme_arena *arena, const struct acme_caa_request *request,
                             struct acme_bytes text, const char **ret_why)
{
    struct acme_issue_value value;
    struct acme_err err = acme_issue_value_parse(arena, text, &value);
    if (err.code == ACME_E_FORMAT || err.code == ACME_E_LIMIT) {
        *ret_why = "it is malformed";
        return acme_ok();
    }
    TRY(err);
    *ret_why = *value.issuer == '\0' ? nobody : other_issuer;
    for (size_t i = 0; i < request->issuer_count; i++)
        if (strcmp(value.issuer, request->issuers[i]) == 0)
            *ret_why = NULL;
    const char *parameter = NULL;
    size_t times = acme_issue_value_get(&value, "accounturi", &parameter);
    if (*ret_why == NULL && times > 0 && (times > 1 || strcmp(parameter, request->account_url) != 0))
        *ret_why = acme_arena_printf(arena, "its accounturi is not this account, %s", request->account_url);
    times = acme_issue_value_get(&value, "validationmethods", &parameter);
    if (*ret_why == NULL && times > 0 && (times > 1 || !lists_method(parameter, request->method)))
        *ret_why = acme_arena_printf(arena, "its validationmethods do not have %s", request->method);
    return acme_ok();
}

static struct acme_err refuse(struct acme_problem *ret, const char *detail)
{
    ENSURE(detail != NULL, ACME_E_NOMEM);
    *ret = (struct acme_problem){.type = ACME_PROBLEM_CAA, .detail = detail};
    return acme_err(ACME_E_PROBLEM);
}

static const char *names(struct acme_arena *arena, const struct acme_caa_request *request)
{
    const char *list = "";
    for (size_t i = 0; i < request->issuer_count && list != NULL; i++)
        list = acme_arena_printf(arena, "%s%s%s", list, i > 0 ? " or " : "", request->issuers[i]);
    return list;
}

/* Of the properties `tag` one must let us issue. */
static struct acme_err judge_tag(struct acme_arena *arena, const struct acme_caa_request *request,
                                 const char *found_at, const struct property *properties, size_t count,
                                 const char *tag, struct acme_problem *ret)
{
    const char *seen = "";
    size_t refused = 0;
    for (size_t i = 0; i < count; i++) {
        const char *why = NULL;
        if (strcmp(properties[i].tag, tag) != 0)
            continue;
        TRY(weigh(arena, request, properties[i].value, &why));
        if (why == NULL)
            return acme_ok();
        if (refused++ >= MAX_SHOWN_PROPERTIES)
            continue;
        const char *shown = acme_printable(
            arena, properties[i].value.len > 0 ? properties[i].value.data : (const uint8_t *)"",
            properties[i].value.len, MAX_SHOWN);
        ENSURE(shown != NULL, ACME_E_NOMEM);
        seen = acme_arena_printf(arena, "%s%s%s \"%s\" (%s)", seen, refused > 1 ? ", " : "", tag, shown, why);
        ENSURE(seen != NULL, ACME_E_NOMEM);
    }
    if (refused > MAX_SHOWN_PROPERTIES)
        seen = acme_arena_printf(arena, "%s and %zu more", seen, refused - MAX_SHOWN_PROPERTIES);
    const char *ours = names(arena, request);
    ENSURE(seen != NULL && ours != NULL, ACME_E_NOMEM);
    return refuse(ret, acme_arena_printf(arena,
                                         "The CAA records of %s forbid this CA to issue for %s%s: %s; allow "
                                         "\"%s\" there",
                                         found_at, request->wildcard ? "*." : "", request->name, seen, ours));
}

static bool has(const struct property *properties, size_t count, const char *tag)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(properties[i].tag, tag) == 0)
            return true;
    return false;
}

struct acme_err acme_caa_judge(struct acme_arena *arena, const struct acme_caa_request *request,
                               const char *found_at, const struct acme_bytes *records, size_t count,
                               struct acme_problem *ret)
{
    struct property *properties = acme_arena_alloc(arena, (count + 1) * sizeof *properties);
    ENSURE(properties != NULL, ACME_E_NOMEM);
    for (size_t i = 0; i < count; i++) {
        struct acme_err err = read_property(arena, records[i], &properties[i]);
        if (err.code == ACME_E_FORMAT)
            return refuse(
                ret,
                acme_arena_printf(arena, "A CAA record of %s is malformed, so nothing may be issued for %s%s",
                                  found_at, request->wildcard ? "*." : "", request->name));
        TRY(err);
        if (properties[i].critical && !is_known(properties[i].tag))
            return refuse(ret,
                          acme_arena_printf(arena,
                                            "A CAA record of %s has the critical property \"%.40s\", which "
                                            "this CA does not know, so nothing may be issued for %s%s",
                                            found_at, properties[i].tag, request->wildcard ? "*." : "",
                                            request->name));
    }
    if (request->wildcard && has(properties, count, "issuewild"))
        return judge_tag(arena, request, found_at, properties, count, "issuewild", ret);
    if (has(properties, count, "issue"))
        return judge_tag(arena, request, found_at, properties, count, "issue", ret);
    return acme_ok();
}
