#include "protocol/object_json.h"

#include "base/id.h"

#include <string.h>

enum { MAX_ACCOUNT = 128 * 1024, MAX_ORDERS_PAGE = 64 * 1024, PAGE = 100 };

static struct acme_err respond(struct acme_exchange *x, int status, const struct acme_account *account)
{
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, MAX_ACCOUNT);
    acme_account_write(x, account, &out);
    TRY(acme_respond_header(x, "Location", acme_exchange_url(x, "/account/", account->id, "")));
    return acme_respond_json(x, status, &out);
}

static struct acme_err respond_existing(struct acme_exchange *x, const struct acme_account *account)
{
    if (account->status != ACME_ACCOUNT_VALID)
        return acme_exchange_refuse(x, ACME_PROBLEM_UNAUTHORIZED,
                                    "The account of this key has been deactivated; register with a new key");
    return respond(x, 200, account);
}

static struct acme_err create(struct acme_exchange *x, bool agreed, const char *contacts)
{
    char id[ACME_ID_SIZE];
    TRY(acme_id_new(x->service->clock, id));
    const struct acme_account candidate = {
        .id = id,
        .status = ACME_ACCOUNT_VALID,
        .thumbprint = x->jwk.thumbprint,
        .jwk = x->jwk.canonical,
        .contacts = contacts != NULL ? contacts : "[]",
        .tos_agreed = agreed,
        .created_ms = x->now_ms,
    };
    struct acme_account account;
    bool created = false;
    TRY(acme_store_account_create(x->service->store, x->arena, &candidate, &account, &created));
    if (!created) /* a request with the same key was quicker */
        return respond_existing(x, &account);
    acme_key_cache_put(x->service->keys, &x->jwk);
    acme_log(INFO, "account created", LOG_STR("account", account.id), LOG_STR("contacts", account.contacts));
    return respond(x, 201, &account);
}

struct acme_err acme_account_new(struct acme_exchange *x)
{
    if (x->payload == NULL)
        return acme_exchange_refuse(x, ACME_PROBLEM_MALFORMED,
                                    "newAccount needs a JSON object as payload, if only {}");
    struct acme_account existing;
    struct acme_err err = acme_store_account_find(x->service->store, x->arena, x->jwk.thumbprint, &existing);
    if (!acme_failed(err))
        return respond_existing(x, &existing);
    if (err.code != ACME_E_NOT_FOUND)
        return err;
    /* Before everything a new account would need: clients ask this way for their account's URL. */
    if (acme_json_bool(x->payload, "onlyReturnExisting", false))
        return acme_exchange_refuse(
            x, ACME_PROBLEM_ACCOUNT_DOES_NOT_EXIST,
            "There is no account with this key here; register (newAccount) at this server");
    TRY(acme_account_key_check(x, &x->jwk));
    const char *terms = x->service->config->terms_of_service;
    bool agreed = acme_json_bool(x->payload, "termsOfServiceAgreed", false);
    if (terms != NULL && !agreed)
        return acme_exchange_refuse(x, ACME_PROBLEM_USER_ACTION_REQUIRED,
                                    "Agree to the terms of service at %s (termsOfServiceAgreed) to register",
                                    terms);
    const char *contacts = NULL;
    TRY(acme_contacts_check(x, x->payload, &contacts));
    return create(x, agreed && terms != NULL, contacts);
}

static struct acme_err check_own(struct acme_exchange *x)
{
    if (strcmp(x->id, x->account.id) == 0)
        return acme_ok();
    return acme_exchange_refuse(
        x, ACME_PROBLEM_UNAUTHORIZED,
        "This is not the URL of the account which signed the request; use the Location "
        "that newAccount returned for this key");
}

static struct acme_err update(struct acme_exchange *x, const char *contacts, bool deactivate)
{
    enum acme_account_status status = deactivate ? ACME_ACCOUNT_DEACTIVATED : ACME_ACCOUNT_VALID;
    struct acme_err err = acme_store_account_update(x->service->store, x->account.id, contacts, status);
    if (err.code == ACME_E_NOT_FOUND) /* deactivated since this request was authenticated */
        return acme_exchange_refuse(x, ACME_PROBLEM_UNAUTHORIZED, ACME_DEACTIVATED_DETAIL);
    TRY(err);
    acme_log(INFO, deactivate ? "account deactivated" : "account updated", LOG_STR("account", x->account.id),
             LOG_STR("contacts", contacts));
    return acme_store_account_get(x->service->store, x->arena, x->account.id, &x->account);
}

struct acme_err acme_account_post(struct acme_exchange *x)
{
    TRY(check_own(x));
    const char *contacts = NULL;
    TRY(acme_contacts_check(x, x->payload, &contacts));
    const char *status = acme_json_str(x->payload, "status");
    bool deactivate = status != NULL && strcmp(status, "deactivated") == 0;
    /* Some clients send their whole account object back. */
    if (status != NULL && !deactivate && *status != '\0' && strcmp(status, "valid") != 0)
        return acme_exchange_refuse(x, ACME_PROBLEM_MALFORMED,
                                    "The only status an account can be given is \"deactivated\"");
    if (contacts != NULL || deactivate)
        TRY(update(x, contacts, deactivate));
    return respond(x, 200, &x->account);
}

static struct acme_err read_cursor(struct acme_exchange *x, const char **ret)
{
    static const char name[] = "cursor=";
    const char *query = x->request->query;
    *ret = NULL;
    if (query == NULL)
        return acme_ok();
    if (strncmp(query, name, sizeof name - 1) != 0 || !acme_id_valid(query + sizeof name - 1))
        return acme_exchange_refuse(
            x, ACME_PROBLEM_MALFORMED,
            "The query is not one of this server's; follow the Link rel=\"next\" as it is");
    *ret = query + sizeof name - 1;
    return acme_ok();
}

struct acme_err acme_account_orders(struct acme_exchange *x)
{
    TRY(check_own(x));
    TRY(acme_exchange_read_only(x));
    const char *cursor = NULL;
    TRY(read_cursor(x, &cursor));
    const char **ids = NULL;
    size_t count = 0;
    TRY(acme_store_orders_list(x->service->store, x->arena, x->account.id, cursor, PAGE + 1, &ids, &count));
    bool more = count > PAGE;
    if (more) {
        count = PAGE;
        const char *suffix = acme_arena_printf(x->arena, "/orders?cursor=%s", ids[PAGE - 1]);
        ENSURE(suffix != NULL, ACME_E_NOMEM);
        TRY(acme_respond_link(x, acme_exchange_url(x, "/account/", x->account.id, suffix), "next"));
    }
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, MAX_ORDERS_PAGE);
    struct acme_json_writer writer;
    acme_jw_init(&writer, &out);
    acme_jw_object(&writer, NULL);
    acme_jw_array(&writer, "orders");
    for (size_t i = 0; i < count; i++) {
        const char *url = acme_exchange_url(x, "/order/", ids[i], "");
        ENSURE(url != NULL, ACME_E_NOMEM);
        acme_jw_str(&writer, NULL, url);
    }
    acme_jw_array_end(&writer);
    acme_jw_object_end(&writer);
    return acme_respond_json(x, 200, &out);
}
