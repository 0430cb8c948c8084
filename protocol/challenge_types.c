#include "protocol/challenge_types.h"

#include <string.h>

static const struct acme_challenge_type types[] = {
    {.name = "http-01", .bit = ACME_CHALLENGE_HTTP_01, .ip = true},
    {.name = "dns-01", .bit = ACME_CHALLENGE_DNS_01, .wildcard = true},
    {.name = "tls-alpn-01", .bit = ACME_CHALLENGE_TLS_ALPN_01, .ip = true},
    {.name = "dns-account-01", .bit = ACME_CHALLENGE_DNS_ACCOUNT_01, .wildcard = true},
    {.name = "dns-persist-01", .bit = ACME_CHALLENGE_DNS_PERSIST_01, .wildcard = true, .of_issuer = true},
};

const struct acme_challenge_type *acme_challenge_type_at(size_t index)
{
    return index < sizeof types / sizeof *types ? &types[index] : NULL;
}

const struct acme_challenge_type *acme_challenge_type_find(const char *name)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    return NULL;
}

bool acme_challenge_type_proves(const struct acme_challenge_type *type,
                                const struct acme_identifier *identifier)
{
    if (identifier->type == ACME_IDENTIFIER_IP)
        return type->ip;
    return type->wildcard || !acme_identifier_is_wildcard(identifier);
}
