/* External account binding (RFC 8555 section 7.3.4): a new account shows that somebody who is known
 * elsewhere, and was given a MAC key, wants it. */
#include "protocol/exchange.h"

#include "base/b64url.h"

#include <openssl/crypto.h>
#include <string.h>

enum { MAX_BINDING = 16 * 1024 };

static const struct acme_external_key *find_key(const struct acme_service_config *config, const char *kid)
{
    for (size_t i = 0; i < config->external_key_count; i++)
        if (strcmp(config->external_keys[i].kid, kid) == 0)
            return &config->external_keys[i];
    return NULL;
}

/* Unknown kids and wrong MACs are one answer: which kids exist is nobody's business. */
static struct acme_err unauthorized(struct acme_exchange *x, const char *kid)
{
    return acme_exchange_refuse(
        x, ACME_PROBLEM_UNAUTHORIZED,
        "The externalAccountBinding does not verify: either this server has no external account \"%s\", or "
        "the "
        "client's HMAC key is not the one that belongs to it; check both (the key is given in unpadded "
        "base64url)",
        acme_exchange_show(x, kid));
}

static struct acme_err verify(struct acme_exchange *x, const struct acme_jws *jws,
                              const struct acme_external_key **ret)
{
    const struct acme_external_key *external = find_key(x->service->config, jws->kid);
    if (external == NULL)
        return unauthorized(x, jws->kid);
    uint8_t key[ACME_EXTERNAL_KEY_MAX];
    size_t len = 0;
    struct acme_err err =
        acme_b64url_decode_into(external->key, strlen(external->key), key, sizeof key, &len);
    if (acme_failed(err)) /* it was checked when it was configured */
        err = acme_err(ACME_E_INTERNAL);
    else
        err = acme_jws_verify_mac(jws, key, len);
    OPENSSL_cleanse(key, sizeof key);
    if (err.code == ACME_E_SIGNATURE)
        return unauthorized(x, jws->kid);
    if (err.code == ACME_E_UNSUPPORTED)
        return acme_exchange_refuse(
            x, ACME_PROBLEM_MALFORMED,
            "The HMAC key of this external account is too short for %s; let the client "
            "use HS256 (RFC 7518 section 3.2)",
            acme_jws_alg_name(jws));
    TRY(err);
    *ret = external;
    return acme_ok();
}

static struct acme_err check_payload(struct acme_exchange *x, struct acme_bytes payload)
{
    cJSON *tree = NULL;
    struct acme_jwk jwk = {.key = NULL};
    const char *why = NULL;
    struct acme_err err = acme_json_parse(x->arena, (const char *)payload.data, payload.len, &tree);
    if (!acme_failed(err))
        err = acme_jwk_parse(x->arena, tree, &jwk, &why);
    if (err.code == ACME_E_NOMEM || err.code == ACME_E_CRYPTO)
        return err;
    /* As keys: their spelling is the client's business. */
    if (!acme_failed(err) && EVP_PKEY_eq(jwk.key, x->key) == 1)
        return acme_ok();
    return acme_exchange_refuse(
        x, ACME_PROBLEM_MALFORMED,
        "The payload of the externalAccountBinding is not the account key in the newAccount request's jwk");
}

static struct acme_err read_binding(struct acme_exchange *x, const cJSON *binding,
                                    struct acme_account *account)
{
    struct acme_jws jws;
    struct acme_problem problem = {.detail = NULL};
    struct acme_err err = acme_jws_parse_inner(x->arena, binding, ACME_JWS_BINDING, &jws, &problem);
    if (err.code == ACME_E_PROBLEM)
        return acme_exchange_refuse(x, problem.type, "The externalAccountBinding is not usable: %s",
                                    problem.detail);
    TRY(err);
    if (strcmp(jws.url, x->url) != 0)
        return acme_exchange_refuse(
            x, ACME_PROBLEM_MALFORMED,
            "The url in the externalAccountBinding is \"%s\", but it must be that of the request, \"%s\"",
            acme_exchange_show(x, jws.url), x->url);
    const struct acme_external_key *external = NULL;
    TRY(verify(x, &jws, &external));
    TRY(check_payload(x, jws.payload));
    const char *text = acme_json_print(x->arena, binding);
    ENSURE(text != NULL, ACME_E_NOMEM);
    if (strlen(text) > MAX_BINDING)
        return acme_exchange_refuse(x, ACME_PROBLEM_MALFORMED,
                                    "The externalAccountBinding is longer than %d characters", MAX_BINDING);
    account->external_kid = external->kid;
    account->external_binding = text;
    account->external_once = external->single_use;
    return acme_ok();
}

struct acme_err acme_external_account_check(struct acme_exchange *x, struct acme_account *account)
{
    const struct acme_service_config *config = x->service->config;
    const cJSON *binding = acme_json_get(x->payload, "externalAccountBinding");
    if (binding != NULL && config->external_key_count > 0)
        return read_binding(x, binding, account);
    if (!config->external_account_required)
        return acme_ok();
    return acme_exchange_refuse(
        x, ACME_PROBLEM_EXTERNAL_ACCOUNT_REQUIRED,
        "New accounts here need an external account binding: ask the operator of this server for a key "
        "identifier and an HMAC key, and give both to the client (often called EAB kid and EAB HMAC key)");
}
