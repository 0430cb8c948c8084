/* Making authorizations: which challenges, which tokens. */
#include "protocol/wanted.h"

#include "base/b64url.h"
#include "base/id.h"

#include <openssl/rand.h>
#include <string.h>

enum { TOKEN_OCTETS = 32 };

/* The challenges of an authorization for this identifier under the order's profile. */
static bool is_offered(const struct acme_challenge_type *type, const struct acme_profile *profile,
                       const struct acme_identifier *identifier)
{
    return (profile->challenges & (unsigned)type->bit) != 0 && acme_challenge_type_proves(type, identifier);
}

bool acme_authz_provable(const struct acme_profile *profile, const struct acme_identifier *identifier)
{
    const struct acme_challenge_type *type = NULL;
    for (size_t i = 0; (type = acme_challenge_type_at(i)) != NULL; i++)
        if (is_offered(type, profile, identifier))
            return true;
    return false;
}

const char *acme_exchange_new_id(struct acme_exchange *x)
{
    char id[ACME_ID_SIZE];
    return acme_failed(acme_id_new(x->service->clock, id)) ? NULL : acme_arena_strdup(x->arena, id);
}

static const char *new_token(struct acme_exchange *x)
{
    uint8_t octets[TOKEN_OCTETS];
    return RAND_bytes(octets, TOKEN_OCTETS) == 1 ? acme_b64url_encode(x->arena, octets, TOKEN_OCTETS) : NULL;
}

struct acme_err acme_authz_make(struct acme_exchange *x, const struct acme_identifier *identifier,
                                int64_t expires_ms, struct acme_authz *ret)
{
    bool wildcard = acme_identifier_is_wildcard(identifier);
    *ret = (struct acme_authz){
        .id = acme_exchange_new_id(x), .account_id = x->account.id, .profile = x->profile->name};
    ENSURE(ret->id != NULL, ACME_E_NOMEM);
    ret->identifier = *identifier;
    if (wildcard)
        ret->identifier.value += strlen("*.");
    ret->wildcard = wildcard;
    ret->status = ACME_AUTHZ_PENDING;
    ret->expires_ms = expires_ms;
    const struct acme_challenge_type *type = NULL;
    for (size_t i = 0; (type = acme_challenge_type_at(i)) != NULL; i++) {
        if (!is_offered(type, x->profile, identifier))
            continue;
        struct acme_challenge *challenge = &ret->challenges[ret->challenge_count++];
        challenge->id = acme_exchange_new_id(x);
        challenge->token = new_token(x);
        ENSURE(challenge->id != NULL && challenge->token != NULL, ACME_E_NOMEM);
        challenge->authz_id = ret->id;
        challenge->type = type->name;
        challenge->status = ACME_CHALLENGE_PENDING;
        challenge->of_profile = type->of_issuer;
    }
    return acme_ok();
}
