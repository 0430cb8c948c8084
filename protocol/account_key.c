/* Keys of accounts, beyond their form (jwk.c). */
#include "protocol/exchange.h"

struct acme_err acme_account_key_check(struct acme_exchange *x, const struct acme_jwk *jwk)
{
    const char *why = "it cannot be used";
    struct acme_err err = acme_key_weakness(jwk->key, &why);
    if (!acme_failed(err))
        err = acme_blocked_keys_check(x->service->config->blocked_keys, jwk->key, &why);
    if (err.code == ACME_E_DENIED)
        return acme_exchange_refuse(x, ACME_PROBLEM_BAD_PUBLIC_KEY,
                                    "The account key cannot be accepted: %s; make a new one", why);
    return err;
}

struct acme_err acme_account_key_is_taken(struct acme_exchange *x, EVP_PKEY *key, struct acme_bytes octets,
                                          bool *ret)
{
    struct acme_jwk jwk;
    struct acme_account account;
    struct acme_err err = acme_jwk_of_key(x->arena, key, octets, &jwk);
    if (err.code == ACME_E_UNSUPPORTED) { /* no account can have it */
        *ret = false;
        return acme_ok();
    }
    TRY(err);
    err = acme_store_account_find(x->service->store, x->arena, jwk.thumbprint, &account);
    if (acme_failed(err) && err.code != ACME_E_NOT_FOUND)
        return err;
    *ret = !acme_failed(err);
    return acme_ok();
}
