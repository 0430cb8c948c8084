/* Pre-authorization (RFC 8555 section 7.4.1): an account proves a name before it orders anything for it. */
#include "protocol/object_json.h"
#include "protocol/wanted.h"

enum { MAX_AUTHZ = 256 * 1024 };

/* Nobody knows when one of them is completed; ten minutes are when a client may ask again without being a
 * nuisance. */
static const char limit_retry_after_s[] = "600";

static struct acme_err refuse_wildcard(struct acme_exchange *x, const char *value)
{
    struct acme_err err = acme_exchange_refuse(
        x, ACME_PROBLEM_MALFORMED,
        "\"%s\" cannot be authorized in advance: RFC 8555 section 7.4.1 has newAuthz only for "
        "names without a wildcard; make an order for it",
        acme_exchange_show(x, value));
    x->problem.status = 403;
    return err;
}

static struct acme_err read_identifier(struct acme_exchange *x, struct acme_identifier *ret)
{
    const cJSON *item = acme_json_get(x->payload, "identifier");
    if (!cJSON_IsObject(item))
        return acme_exchange_refuse(x, ACME_PROBLEM_MALFORMED,
                                    "newAuthz needs a JSON object with one identifier as payload");
    const char *value = acme_json_str(item, "value");
    if (value != NULL && value[0] == '*')
        return refuse_wildcard(x, value);
    ACME_CLEANUP_COMPLAINTS struct acme_complaints complaints;
    acme_complaints_init(&complaints);
    struct acme_identifier identifier = {.value = ""};
    TRY(acme_wanted_identifier(x, item, &complaints, &identifier));
    struct acme_err err = acme_complaints_settle(x, &complaints);
    if (err.code == ACME_E_PROBLEM && x->problem.type != ACME_PROBLEM_MALFORMED)
        x->problem.status = 403; /* the section's own status for identifiers nobody issues for */
    TRY(err);
    *ret = identifier;
    return acme_ok();
}

/* Always a new pending one, as the section has it: who asks while an older one is valid wants to prove the
 * name anew before that one ends. Orders take the valid one that lives longest. */
struct acme_err acme_authz_new(struct acme_exchange *x)
{
    const struct acme_service_config *config = x->service->config;
    struct acme_identifier identifier;
    struct acme_authz authz;
    TRY(acme_wanted_profile(x));
    TRY(read_identifier(x, &identifier));
    TRY(acme_authz_make(x, &identifier, x->now_ms + config->order_lifetime_ms, &authz));
    struct acme_err err =
        acme_store_authz_create(x->service->store, &authz, x->now_ms, config->max_pending_authzs);
    if (err.code == ACME_E_LIMIT) {
        err = acme_exchange_refuse(x, ACME_PROBLEM_RATE_LIMITED,
                                   "The account has %zu authorizations in advance that wait for a "
                                   "challenge, and no more are allowed; "
                                   "complete or deactivate some",
                                   config->max_pending_authzs);
        x->problem_header = (struct acme_header){.name = "Retry-After", .value = limit_retry_after_s};
    }
    TRY(err);
    acme_log(INFO, "authorization created", LOG_STR("account", x->account.id), LOG_STR("authz", authz.id),
             LOG_STR("profile", x->profile->name), LOG_STR("name", identifier.value));
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, MAX_AUTHZ);
    acme_authz_write(x, &authz, &out);
    TRY(acme_respond_header(x, "Location", acme_exchange_url(x, "/authz/", authz.id, "")));
    return acme_respond_json(x, 201, &out);
}
