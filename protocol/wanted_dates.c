/* The validity period a client asks for (RFC 8555 section 7.4, notBefore and notAfter). What cannot be
 * honoured exactly is refused here, where the client can still be told; nothing is cut to fit. */
#include "protocol/wanted.h"

#include <string.h>

enum { BACK_HOURS = 1, AHEAD_DAYS = 7 };

/* Go's and others' zero values mean that nothing was asked for. */
static bool is_absent(const cJSON *member)
{
    return member == NULL ||
           (cJSON_IsString(member) &&
            (*member->valuestring == '\0' || strncmp(member->valuestring, "0001-01-01T", 11) == 0));
}

static struct acme_err read_time(struct acme_exchange *x, const char *name, int64_t *ret_ms)
{
    const cJSON *member = acme_json_get(x->payload, name);
    if (is_absent(member))
        return acme_ok();
    if (!x->profile->allow_requested_dates)
        return acme_exchange_refuse(
            x, ACME_PROBLEM_MALFORMED,
            "The profile \"%s\" does not allow %s; leave it out, the server chooses the validity",
            x->profile->name, name);
    int64_t ms = 0;
    if (!cJSON_IsString(member) || acme_failed(acme_rfc3339_parse(member->valuestring, &ms)))
        return acme_exchange_refuse(x, ACME_PROBLEM_MALFORMED,
                                    "%s must be an RFC 3339 time such as 2030-01-31T12:00:00Z", name);
    if (ms <= 0) /* 0 stands for none, and nobody means times before 1970 */
        return acme_exchange_refuse(x, ACME_PROBLEM_MALFORMED, "%s lies before 1970", name);
    *ret_ms =
        ms - ms % ACME_SECOND_MS; /* certificates know whole seconds; the order shows what was understood */
    return acme_ok();
}

static struct acme_err refuse_limit(struct acme_exchange *x, const char *name, const char *rule,
                                    int64_t limit_ms)
{
    char when[ACME_RFC3339_SIZE];
    acme_rfc3339_format(limit_ms, when);
    return acme_exchange_refuse(x, ACME_PROBLEM_MALFORMED, "%s must %s %s", name, rule, when);
}

static struct acme_err check(struct acme_exchange *x, int64_t not_before_ms, int64_t not_after_ms)
{
    if (not_before_ms != 0 && not_before_ms < x->now_ms - BACK_HOURS * ACME_HOUR_MS - ACME_SECOND_MS)
        return refuse_limit(x, "notBefore", "be at most one hour ago, not before",
                            x->now_ms - BACK_HOURS * ACME_HOUR_MS);
    if (not_before_ms > x->now_ms + AHEAD_DAYS * ACME_DAY_MS)
        return refuse_limit(x, "notBefore", "lie at most seven days ahead, until",
                            x->now_ms + AHEAD_DAYS * ACME_DAY_MS);
    if (not_after_ms == 0)
        return acme_ok();
    if (not_after_ms <= x->now_ms)
        return refuse_limit(x, "notAfter", "lie in the future; it is now", x->now_ms);
    if (not_after_ms <= not_before_ms)
        return refuse_limit(x, "notAfter", "lie behind notBefore, which is", not_before_ms);
    int64_t from_ms = not_before_ms != 0 ? not_before_ms : x->now_ms;
    if (not_after_ms - from_ms > x->profile->validity_ms)
        return acme_exchange_refuse(
            x, ACME_PROBLEM_MALFORMED,
            "The profile \"%s\" allows a validity of at most %lld hours, %s to notAfter are more",
            x->profile->name, (long long)(x->profile->validity_ms / ACME_HOUR_MS),
            not_before_ms != 0 ? "notBefore" : "from now");
    return acme_ok();
}

struct acme_err acme_wanted_dates(struct acme_exchange *x, int64_t *ret_not_before_ms,
                                  int64_t *ret_not_after_ms)
{
    int64_t not_before_ms = 0;
    int64_t not_after_ms = 0;
    TRY(read_time(x, "notBefore", &not_before_ms));
    TRY(read_time(x, "notAfter", &not_after_ms));
    TRY(check(x, not_before_ms, not_after_ms));
    *ret_not_before_ms = not_before_ms;
    *ret_not_after_ms = not_after_ms;
    return acme_ok();
}
