/* Terms of service (RFC 8555 sections 7.3, 7.3.3): who has agreed to which, and what happens without. */
#include "protocol/exchange.h"

#include <string.h>

struct acme_err acme_terms_refuse(struct acme_exchange *x)
{
    const char *terms = x->service->config->terms_of_service;
    struct acme_err err = acme_exchange_refuse(
        x, ACME_PROBLEM_USER_ACTION_REQUIRED,
        "Read the terms of service at %s and agree to them: send newAccount, or an update of the account, "
        "with "
        "\"termsOfServiceAgreed\": true (clients do so when they register)",
        terms);
    x->problem.instance = terms;
    x->problem_header = (struct acme_header){
        .name = "Link",
        .value = acme_arena_printf(x->arena, "<%s>;rel=\"terms-of-service\"", terms),
    };
    ENSURE(x->problem_header.value != NULL, ACME_E_NOMEM);
    return err;
}

const char *acme_terms_agreed(const struct acme_exchange *x)
{
    return acme_json_bool(x->payload, "termsOfServiceAgreed", false) ? x->service->config->terms_of_service
                                                                     : NULL;
}

bool acme_terms_are_current(const struct acme_exchange *x, const struct acme_account *account)
{
    const struct acme_service_config *config = x->service->config;
    if (config->terms_of_service == NULL || !config->terms_must_agree)
        return account->tos_agreed;
    return account->terms != NULL && strcmp(account->terms, config->terms_of_service) == 0;
}

/* How an account learns what to agree to, and agrees; and what protects others: a stolen key must be replaced
 * and a certificate revoked whatever is agreed. */
static bool is_always_open(const char *path)
{
    static const char directory[] = "/directory"; /* of any profile */
    size_t len = strlen(path);
    if (len >= strlen(directory) && strcmp(path + len - strlen(directory), directory) == 0)
        return true;
    return strcmp(path, "/new-nonce") == 0 || strncmp(path, "/account/", strlen("/account/")) == 0 ||
           strcmp(path, "/key-change") == 0 || strcmp(path, "/revoke-cert") == 0;
}

struct acme_err acme_terms_check(struct acme_exchange *x)
{
    const struct acme_service_config *config = x->service->config;
    if (config->terms_of_service == NULL || !config->terms_must_agree ||
        acme_terms_are_current(x, &x->account) || is_always_open(x->request->path))
        return acme_ok();
    return acme_terms_refuse(x);
}
