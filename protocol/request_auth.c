#include "protocol/exchange.h"

#include "base/id.h"

#include <string.h>
#include <strings.h>

static bool is_jose(const char *content_type)
{
    static const char jose[] = "application/jose+json";
    const size_t len = sizeof jose - 1;
    if (content_type == NULL || strncasecmp(content_type, jose, len) != 0)
        return false;
    const char *rest = content_type + len;
    rest += strspn(rest, " \t");
    return *rest == '\0' || *rest == ';';
}

static struct acme_err check_content_type(struct acme_exchange *x)
{
    if (is_jose(x->request->content_type))
        return acme_ok();
    struct acme_err err = acme_exchange_refuse(
        x, ACME_PROBLEM_MALFORMED, "Requests must be sent with Content-Type: application/jose+json");
    x->problem.status = 415;
    return err;
}

/* The configured base URL is the only truth: neither Host nor a proxy's headers take part (RFC 8555
 * section 6.4). */
static struct acme_err check_url(struct acme_exchange *x, const char *url)
{
    const char *query = x->request->query;
    const char *wanted =
        acme_arena_printf(x->arena, "%s%s%s%s", x->service->config->base_url, x->request->path,
                          query != NULL ? "?" : "", query != NULL ? query : "");
    ENSURE(wanted != NULL, ACME_E_NOMEM);
    if (strcmp(url, wanted) == 0)
        return acme_ok();
    return acme_exchange_refuse(
        x, ACME_PROBLEM_UNAUTHORIZED,
        "The JWS was signed for url \"%s\", but this request is for \"%s\"; use URLs exactly "
        "as the server gives them",
        acme_exchange_show(x, url), acme_exchange_show(x, wanted));
}

static struct acme_err bad_key(struct acme_exchange *x, struct acme_err err, const char *why)
{
    if (err.code != ACME_E_FORMAT && err.code != ACME_E_DENIED && err.code != ACME_E_UNSUPPORTED)
        return err;
    return acme_exchange_refuse(x, ACME_PROBLEM_BAD_PUBLIC_KEY, "The key in jwk cannot be used: %s", why);
}

struct acme_err acme_request_read_key(struct acme_exchange *x, const cJSON *jwk, struct acme_jwk *ret)
{
    const char *why = "";
    struct acme_err err = acme_jwk_parse(x->arena, jwk, ret, &why);
    return acme_failed(err) ? bad_key(x, err, why) : err;
}

static struct acme_err load_account(struct acme_exchange *x, const char *kid)
{
    const char *prefix = acme_exchange_url(x, "/account/", "", "");
    ENSURE(prefix != NULL, ACME_E_NOMEM);
    const size_t len = strlen(prefix);
    struct acme_err err = acme_err(ACME_E_NOT_FOUND);
    if (strncmp(kid, prefix, len) == 0 && acme_id_valid(kid + len))
        err = acme_store_account_get(x->service->store, x->arena, kid + len, &x->account);
    if (err.code != ACME_E_NOT_FOUND)
        return err;
    return acme_exchange_refuse(x, ACME_PROBLEM_ACCOUNT_DOES_NOT_EXIST,
                                "There is no account \"%s\" here; register (newAccount) at this server",
                                acme_exchange_show(x, kid));
}

static struct acme_err account_key(struct acme_exchange *x, const struct acme_jws *jws,
                                   struct acme_cached_key *ret)
{
    struct acme_key_cache *cache = x->service->keys;
    struct acme_cached_key found = acme_key_cache_get(cache, x->arena, x->account.thumbprint, jws->alg);
    if (found.key != NULL) {
        *ret = found;
        return acme_ok();
    }
    cJSON *jwk = NULL;
    const char *why = NULL;
    struct acme_jwk parsed;
    struct acme_err err = acme_json_parse(x->arena, x->account.jwk, strlen(x->account.jwk), &jwk);
    if (!acme_failed(err))
        err = acme_jwk_parse(x->arena, jwk, &parsed, &why);
    if (acme_failed(err))
        return err.code == ACME_E_NOMEM ? err : acme_err(ACME_E_INTERNAL); /* we wrote it: it must be good */
    acme_key_cache_put(cache, &parsed);
    *ret = (struct acme_cached_key){.key = parsed.key, .kind = parsed.kind};
    return acme_ok();
}

static struct acme_err find_key(struct acme_exchange *x, enum acme_signer signer, const struct acme_jws *jws,
                                struct acme_cached_key *ret)
{
    if (signer == ACME_SIGNER_ACCOUNT || (signer == ACME_SIGNER_ACCOUNT_OR_KEY && jws->kid != NULL)) {
        if (jws->kid == NULL)
            return acme_exchange_refuse(
                x, ACME_PROBLEM_MALFORMED,
                "This request must name the account by kid (its URL, from newAccount), not by jwk");
        TRY(load_account(x, jws->kid));
        return account_key(x, jws, ret);
    }
    if (jws->jwk == NULL)
        return acme_exchange_refuse(x, ACME_PROBLEM_MALFORMED,
                                    "This request must carry the public key as jwk, not an account as kid");
    TRY(acme_request_read_key(x, jws->jwk, &x->jwk));
    *ret = (struct acme_cached_key){.key = x->jwk.key, .kind = x->jwk.kind};
    return acme_ok();
}

static struct acme_err check_signature(struct acme_exchange *x, const struct acme_jws *jws,
                                       const struct acme_cached_key *key)
{
    struct acme_err err = key->verifier != NULL ? acme_jws_verify_with(jws, key->verifier)
                                                : acme_jws_verify(jws, key->key, key->kind);
    if (err.code == ACME_E_UNSUPPORTED)
        return acme_exchange_refuse(x, ACME_PROBLEM_MALFORMED,
                                    "The JWS algorithm %s does not fit the type of the key",
                                    acme_jws_alg_name(jws));
    if (err.code == ACME_E_SIGNATURE)
        return acme_exchange_refuse(x, ACME_PROBLEM_MALFORMED,
                                    "The JWS signature does not verify with the key of its header; check "
                                    "that the client uses the key the account was made with");
    return err;
}

static struct acme_err parse_payload(struct acme_exchange *x, struct acme_bytes payload)
{
    if (payload.len == 0)
        return acme_ok();
    cJSON *tree = NULL;
    struct acme_err err = acme_json_parse(x->arena, (const char *)payload.data, payload.len, &tree);
    if (err.code == ACME_E_FORMAT || (!acme_failed(err) && !cJSON_IsObject(tree)))
        return acme_exchange_refuse(x, ACME_PROBLEM_MALFORMED, "The JWS payload is not a valid JSON object");
    TRY(err);
    x->payload = tree;
    return acme_ok();
}

struct acme_err acme_request_authenticate(struct acme_exchange *x, enum acme_signer signer)
{
    TRY(check_content_type(x));
    struct acme_jws jws;
    TRY(acme_jws_parse(x->arena, x->request->body, &jws, &x->problem));
    /* acme.sh recognises a bad nonce by these very words. */
    if (!acme_nonces_use(x->service->nonces, jws.nonce))
        return acme_exchange_refuse(x, ACME_PROBLEM_BAD_NONCE, "JWS has an invalid anti-replay nonce");
    TRY(check_url(x, jws.url));
    x->url = jws.url;
    struct acme_cached_key key = {.key = NULL};
    TRY(find_key(x, signer, &jws, &key));
    x->key = key.key;
    TRY(check_signature(x, &jws, &key));
    /* Only whoever holds the key learns the account's status. */
    if (x->account.id != NULL && x->account.status != ACME_ACCOUNT_VALID)
        return acme_exchange_deactivated(x);
    if (signer == ACME_SIGNER_ACCOUNT)
        TRY(acme_terms_check(x));
    return parse_payload(x, jws.payload);
}
