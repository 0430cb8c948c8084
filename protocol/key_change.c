/* Account key rollover (RFC 8555 section 7.3.5): a JWS by the old key around one by the new key, so that both
 * agree. The account, its URL, orders and authorizations stay; only who may sign for it changes. */
#include "protocol/exchange.h"

#include <string.h>

static struct acme_err malformed(struct acme_exchange *x, const char *what)
{
    return acme_exchange_refuse(x, ACME_PROBLEM_MALFORMED, "The key change is not possible: %s", what);
}

/* The JWS by the new key, verified; the key. */
static struct acme_err read_inner(struct acme_exchange *x, struct acme_jws *ret, struct acme_jwk *ret_jwk)
{
    struct acme_jws jws;
    struct acme_problem problem = {.detail = NULL};
    struct acme_err err = acme_jws_parse_inner(x->arena, x->payload, ACME_JWS_NEW_KEY, &jws, &problem);
    if (err.code == ACME_E_PROBLEM)
        return acme_exchange_refuse(x, problem.type,
                                    "The payload of keyChange must be a JWS signed by the new key: %s",
                                    problem.detail);
    TRY(err);
    struct acme_jwk jwk;
    TRY(acme_request_read_key(x, jws.jwk, &jwk));
    err = acme_jws_verify(&jws, jwk.key, jwk.kind);
    if (err.code == ACME_E_UNSUPPORTED)
        return malformed(x, "the algorithm of the inner JWS does not fit the type of the new key");
    if (err.code == ACME_E_SIGNATURE)
        return malformed(x, "the inner JWS does not verify with the new key in its jwk");
    TRY(err);
    *ret = jws;
    *ret_jwk = jwk;
    return acme_ok();
}

/* What the new key signed says the same as the old key's signature: this account, from this key. */
static struct acme_err check_claims(struct acme_exchange *x, const struct acme_jws *jws)
{
    if (strcmp(jws->url, x->url) != 0)
        return malformed(x, "the url of the inner JWS must be that of the outer one");
    cJSON *claims = NULL;
    struct acme_err err =
        acme_json_parse(x->arena, (const char *)jws->payload.data, jws->payload.len, &claims);
    if (err.code == ACME_E_FORMAT || (!acme_failed(err) && !cJSON_IsObject(claims)))
        return malformed(x, "the payload of the inner JWS must be a JSON object with account and oldKey");
    TRY(err);
    const char *account = acme_json_str(claims, "account");
    const char *own = acme_exchange_url(x, "/account/", x->account.id, "");
    ENSURE(own != NULL, ACME_E_NOMEM);
    if (account == NULL || strcmp(account, own) != 0)
        return malformed(x,
                         "account in the inner payload must be the account's URL, the kid of the outer JWS");
    struct acme_jwk old_key = {.key = NULL};
    const char *why = NULL;
    err = acme_jwk_parse(x->arena, acme_json_get(claims, "oldKey"), &old_key, &why);
    if (err.code == ACME_E_NOMEM || err.code == ACME_E_CRYPTO)
        return err;
    if (acme_failed(err) || EVP_PKEY_eq(old_key.key, x->key) != 1)
        return malformed(x, "oldKey in the inner payload must be the account's present key");
    return acme_ok();
}

static struct acme_err refuse_used_key(struct acme_exchange *x, const char *holder)
{
    struct acme_err err =
        strcmp(holder, x->account.id) == 0
            ? malformed(x, "the new key is the one the account has already; make another")
            : malformed(x, "an account (see Location) has the new key already; make another");
    x->problem.status = 409;
    x->problem_header = (struct acme_header){
        .name = "Location",
        .value = acme_exchange_url(x, "/account/", holder, ""),
    };
    ENSURE(x->problem_header.value != NULL, ACME_E_NOMEM);
    return err;
}

struct acme_err acme_key_change(struct acme_exchange *x)
{
    struct acme_jws jws = {.url = ""};
    struct acme_jwk jwk;
    TRY(read_inner(x, &jws, &jwk));
    TRY(check_claims(x, &jws));
    TRY(acme_account_key_check(x, &jwk));
    const char *holder = NULL;
    struct acme_err err = acme_store_account_rekey(x->service->store, x->arena, &x->account, jwk.thumbprint,
                                                   jwk.canonical, &holder);
    if (err.code == ACME_E_CONFLICT)
        return refuse_used_key(x, holder);
    if (err.code == ACME_E_STATE)
        return acme_exchange_refuse(x, ACME_PROBLEM_UNAUTHORIZED,
                                    "The account's key was changed, or the account deactivated, by another "
                                    "request meanwhile; the key that signed this one counts no more");
    TRY(err);
    acme_key_cache_put(x->service->keys, &jwk);
    acme_log(INFO, "account key changed", LOG_STR("account", x->account.id),
             LOG_STR("old", x->account.thumbprint), LOG_STR("new", jwk.thumbprint));
    TRY(acme_store_account_get(x->service->store, x->arena, x->account.id, &x->account));
    return acme_account_respond(x, 200, &x->account);
}
