#include "protocol/dns_persist.h"

#include "base/b64url.h"
#include "base/clock.h"
#include "base/sha256.h"
#include "protocol/issue_value.h"
#include "protocol/txt.h"

#include <string.h>
#include <strings.h>

enum { MAX_DOMAIN = 255, MAX_SHOWN = 200 };

/* What is wrong with a record that names us; `why` NULL: nothing. */
struct finding {
    enum acme_problem_type type;
    const char *why;
};

char *acme_dns_persist_name(struct acme_arena *arena, const struct acme_identifier *identifier)
{
    return acme_arena_printf(arena, "_validation-persist.%s", identifier->value);
}

struct acme_err acme_dns_persist_account(struct acme_arena *arena, const char *prefix, const char *domain,
                                         const char *thumbprint, const char *account_url, char **ret)
{
    size_t len = strlen(domain);
    uint8_t digest[ACME_SHA256_SIZE];
    ENSURE(len > 0 && len <= MAX_DOMAIN, ACME_E_LIMIT);
    /* The length stands for itself: no octet of it is 0. */
    const char *text = acme_arena_printf(arena, "%c%s%s%s", (int)len, domain, thumbprint, account_url);
    ENSURE(text != NULL, ACME_E_NOMEM);
    TRY(acme_sha256(text, strlen(text), digest));
    const char *hash = acme_b64url_encode(arena, digest, sizeof digest);
    ENSURE(hash != NULL, ACME_E_NOMEM);
    *ret = acme_arena_printf(arena, "%ssha-256/%s", prefix, hash);
    ENSURE(*ret != NULL, ACME_E_NOMEM);
    return acme_ok();
}

static struct acme_err is_account(struct acme_arena *arena, const struct acme_dns_persist_request *request,
                                  const char *uri, bool *ret)
{
    const char *const domains[] = {request->identifier->value, "*"};
    *ret = strcmp(uri, request->account_url) == 0;
    for (size_t i = 0; i < request->thumbprint_count && !*ret; i++) {
        for (size_t j = 0; j < sizeof domains / sizeof *domains && !*ret; j++) {
            char *hashed = NULL;
            TRY(acme_dns_persist_account(arena, request->hash_prefix, domains[j], request->thumbprints[i],
                                         request->account_url, &hashed));
            *ret = strcmp(uri, hashed) == 0;
        }
    }
    return acme_ok();
}

static bool names_us(const struct acme_dns_persist_request *request, const char *issuer)
{
    for (size_t i = 0; i < request->issuer_count; i++)
        if (strcmp(issuer, request->issuers[i]) == 0)
            return true;
    return false;
}

static bool read_seconds(const char *text, int64_t *ret)
{
    size_t len = strlen(text);
    int64_t seconds = 0;
    if (len == 0 || strspn(text, "0123456789") < len)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (seconds > INT64_MAX / ACME_SECOND_MS / 100) { /* far beyond every clock: as good as for ever */
            seconds = INT64_MAX / ACME_SECOND_MS;
            break;
        }
        seconds = seconds * 10 + (text[i] - '0');
    }
    *ret = seconds;
    return true;
}

static struct acme_err weigh(struct acme_arena *arena, const struct acme_dns_persist_request *request,
                             const struct acme_issue_value *value, int64_t *ret_until_ms, struct finding *ret)
{
    const char *uri = NULL;
    const char *policy = "";
    const char *until = NULL;
    int64_t seconds = INT64_MAX / ACME_SECOND_MS;
    bool ours = false;
    *ret = (struct finding){.type = ACME_PROBLEM_MALFORMED};
    size_t uris = acme_issue_value_get(value, "accounturi", &uri);
    if (uris != 1) {
        ret->why = uris == 0 ? "it has no accounturi" : "it has more than one accounturi";
        return acme_ok();
    }
    if (acme_issue_value_get(value, "policy", &policy) > 1) {
        ret->why = "it has more than one policy";
        return acme_ok();
    }
    size_t untils = acme_issue_value_get(value, "persistuntil", &until);
    if (untils > 1 || (untils == 1 && !read_seconds(until, &seconds))) {
        ret->why = "its persistUntil is not one number of seconds since 1970";
        return acme_ok();
    }
    ret->type = ACME_PROBLEM_UNAUTHORIZED;
    TRY(is_account(arena, request, uri, &ours));
    if (!ours)
        ret->why = "its accounturi is not this account's";
    else if (seconds < INT64_MAX / ACME_SECOND_MS && seconds * ACME_SECOND_MS <= request->now_ms)
        ret->why = "its persistUntil is over";
    else if (request->wildcard && strcasecmp(policy, "wildcard") != 0)
        ret->why = "a wildcard needs policy=wildcard in it";
    *ret_until_ms =
        seconds < INT64_MAX / ACME_SECOND_MS ? seconds * ACME_SECOND_MS : INT64_MAX; /* none, or no end */
    return acme_ok();
}

static struct acme_err refuse(struct acme_problem *ret, enum acme_problem_type type, const char *detail)
{
    ENSURE(detail != NULL, ACME_E_NOMEM);
    *ret = (struct acme_problem){.type = type, .detail = detail};
    return acme_err(ACME_E_PROBLEM);
}

static struct acme_err explain(struct acme_arena *arena, const struct acme_dns_persist_request *request,
                               const char *name, const struct acme_bytes *records, size_t count,
                               struct acme_problem *ret)
{
    const char *policy = request->wildcard ? "; policy=wildcard" : "";
    if (count == 0)
        return refuse(ret, ACME_PROBLEM_UNAUTHORIZED,
                      acme_arena_printf(
                          arena, "There is no TXT record at %s; publish one such as \"%s; accounturi=%s%s\"",
                          name, request->issuers[0], request->account_url, policy));
    const char *seen = acme_txt_show(arena, records, count);
    ENSURE(seen != NULL, ACME_E_NOMEM);
    return refuse(ret, ACME_PROBLEM_UNAUTHORIZED,
                  acme_arena_printf(arena,
                                    "No TXT record at %s names this CA: %s; publish one such as \"%s; "
                                    "accounturi=%s%s\"",
                                    name, seen, request->issuers[0], request->account_url, policy));
}

struct acme_err acme_dns_persist_judge(struct acme_arena *arena,
                                       const struct acme_dns_persist_request *request, const char *name,
                                       const struct acme_bytes *records, size_t count, int64_t *ret_until_ms,
                                       struct acme_problem *ret)
{
    struct finding worst = {.why = NULL};
    const char *shown = NULL;
    ENSURE(request->issuer_count > 0, ACME_E_INTERNAL);
    for (size_t i = 0; i < count; i++) {
        struct acme_bytes text = {.data = NULL, .len = 0};
        struct acme_issue_value value;
        struct acme_err err = acme_txt_read(arena, records[i], &text);
        if (!acme_failed(err))
            err = acme_issue_value_parse(arena, text, &value);
        if (err.code == ACME_E_FORMAT || err.code == ACME_E_LIMIT) /* whoever it is meant for */
            continue;
        TRY(err);
        struct finding finding = {.why = NULL};
        int64_t until_ms = 0;
        if (!names_us(request, value.issuer))
            continue;
        TRY(weigh(arena, request, &value, &until_ms, &finding));
        if (finding.why == NULL) {
            *ret_until_ms = until_ms;
            return acme_ok();
        }
        if (worst.why != NULL)
            continue;
        worst = finding;
        shown = acme_printable(arena, text.data, text.len, MAX_SHOWN);
        ENSURE(shown != NULL, ACME_E_NOMEM);
    }
    if (worst.why == NULL)
        return explain(arena, request, name, records, count, ret);
    return refuse(ret, worst.type,
                  acme_arena_printf(arena, "The TXT record \"%s\" at %s does not do: %s; this account is %s",
                                    shown, name, worst.why, request->account_url));
}
