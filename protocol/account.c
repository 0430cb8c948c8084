#include "protocol/object_json.h"

#include "base/id.h"

#include <string.h>

enum { MAX_ACCOUNT = 128 * 1024, MAX_ORDERS_PAGE = 64 * 1024, PAGE = 100 };

struct acme_err acme_account_respond(struct acme_exchange *x, int status, const struct acme_account *account)
{
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, MAX_ACCOUNT);
    acme_account_write(x, account, &out);
    TRY(acme_respond_header(x, "Location", acme_exchange_url(x, "/account/", account->id, "")));
    return acme_respond_json(x, status, &out);
}

/* ---- newAccount ---- */

static struct acme_err update(struct acme_exchange *x, const char *contacts, const char *terms,
                              struct acme_account *account)
{
    struct acme_err err = acme_store_account_update(x->service->store, account->id, contacts, terms);
    if (err.code == ACME_E_NOT_FOUND) /* deactivated since this request was authenticated */
        return acme_exchange_deactivated(x);
    TRY(err);
    acme_log(INFO, "account updated", LOG_STR("account", account->id), LOG_STR("contacts", contacts),
             LOG_STR("terms", terms));
    return acme_store_account_get(x->service->store, x->arena, account->id, account);
}

/* The terms this request agrees to, when they are not those agreed to before. */
static const char *new_terms(const struct acme_exchange *x, const struct acme_account *account)
{
    const char *terms = acme_terms_agreed(x);
    return terms != NULL && (account->terms == NULL || strcmp(terms, account->terms) != 0) ? terms : NULL;
}

/* The account as it is: nothing but an agreement to new terms changes it from here (RFC 8555 section 7.3.1).
 */
static struct acme_err respond_existing(struct acme_exchange *x, struct acme_account *account)
{
    if (account->status != ACME_ACCOUNT_VALID)
        return acme_exchange_deactivated(x);
    const char *terms = new_terms(x, account);
    if (terms != NULL && !acme_json_bool(x->payload, "onlyReturnExisting", false))
        TRY(update(x, NULL, terms, account));
    return acme_account_respond(x, 200, account);
}

static struct acme_err create(struct acme_exchange *x, const struct acme_account *wanted)
{
    char id[ACME_ID_SIZE];
    TRY(acme_id_new(x->service->clock, id));
    struct acme_account candidate = *wanted;
    candidate.id = id;
    candidate.status = ACME_ACCOUNT_VALID;
    candidate.thumbprint = x->jwk.thumbprint;
    candidate.jwk = x->jwk.canonical;
    candidate.created_ms = x->now_ms;
    struct acme_account account;
    bool created = false;
    struct acme_err err =
        acme_store_account_create(x->service->store, x->arena, &candidate, &account, &created);
    if (err.code == ACME_E_CONFLICT)
        return acme_exchange_refuse(
            x, ACME_PROBLEM_UNAUTHORIZED,
            "The external account \"%s\" is good for one account, which exists already; ask the operator of "
            "this server for another one",
            wanted->external_kid);
    TRY(err);
    if (!created) /* a request with the same key was quicker */
        return respond_existing(x, &account);
    acme_key_cache_put(x->service->keys, &x->jwk);
    acme_log(INFO, "account created", LOG_STR("account", account.id), LOG_STR("contacts", account.contacts),
             LOG_STR("external_kid", account.external_kid));
    return acme_account_respond(x, 201, &account);
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
    struct acme_account wanted = {.contacts = "[]", .terms = acme_terms_agreed(x)};
    wanted.tos_agreed = wanted.terms != NULL;
    if (x->service->config->terms_of_service != NULL && !wanted.tos_agreed)
        return acme_terms_refuse(x);
    TRY(acme_external_account_check(x, &wanted));
    const char *contacts = NULL;
    TRY(acme_contacts_check(x, x->payload, &contacts));
    if (contacts != NULL)
        wanted.contacts = contacts;
    return create(x, &wanted);
}

/* ---- the account's own URL ---- */

static struct acme_err check_own(struct acme_exchange *x)
{
    if (strcmp(x->id, x->account.id) == 0)
        return acme_ok();
    return acme_exchange_refuse(
        x, ACME_PROBLEM_UNAUTHORIZED,
        "This is not the URL of the account which signed the request; use the Location "
        "that newAccount returned for this key");
}

static struct acme_err deactivate(struct acme_exchange *x)
{
    const struct acme_problem problem = {
        .type = ACME_PROBLEM_UNAUTHORIZED,
        .detail = "The account was deactivated before the order was finalized",
    };
    const char *error = acme_problem_json(x->arena, &problem);
    ENSURE(error != NULL, ACME_E_NOMEM);
    struct acme_err err = acme_store_account_deactivate(x->service->store, x->account.id, error);
    if (err.code == ACME_E_NOT_FOUND) /* another request was quicker */
        return acme_exchange_deactivated(x);
    TRY(err);
    acme_log(INFO, "account deactivated", LOG_STR("account", x->account.id));
    return acme_store_account_get(x->service->store, x->arena, x->account.id, &x->account);
}

struct acme_err acme_account_post(struct acme_exchange *x)
{
    TRY(check_own(x));
    const char *contacts = NULL;
    TRY(acme_contacts_check(x, x->payload, &contacts));
    const char *status = acme_json_str(x->payload, "status");
    bool is_end = status != NULL && strcmp(status, "deactivated") == 0;
    /* Some clients send their whole account object back. */
    if (status != NULL && !is_end && *status != '\0' && strcmp(status, "valid") != 0)
        return acme_exchange_refuse(x, ACME_PROBLEM_MALFORMED,
                                    "The only status an account can be given is \"deactivated\"");
    const char *terms = new_terms(x, &x->account);
    if (is_end)
        TRY(deactivate(x));
    else if (contacts != NULL || terms != NULL)
        TRY(update(x, contacts, terms, &x->account));
    return acme_account_respond(x, 200, &x->account);
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
    struct acme_order_page page = {.count = 0};
    TRY(acme_store_orders_list(x->service->store, x->arena, x->account.id, cursor, x->now_ms, PAGE, &page));
    if (page.next != NULL) {
        const char *suffix = acme_arena_printf(x->arena, "/orders?cursor=%s", page.next);
        ENSURE(suffix != NULL, ACME_E_NOMEM);
        TRY(acme_respond_link(x, acme_exchange_url(x, "/account/", x->account.id, suffix), "next"));
    }
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, MAX_ORDERS_PAGE);
    struct acme_json_writer writer;
    acme_jw_init(&writer, &out);
    acme_jw_object(&writer, NULL);
    acme_jw_array(&writer, "orders");
    for (size_t i = 0; i < page.count; i++) {
        const char *url = acme_exchange_url(x, "/order/", page.ids[i], "");
        ENSURE(url != NULL, ACME_E_NOMEM);
        acme_jw_str(&writer, NULL, url);
    }
    acme_jw_array_end(&writer);
    acme_jw_object_end(&writer);
    return acme_respond_json(x, 200, &out);
}
