/* Accounts and certificates as the operator sees them. */
#include "server/admin_internal.h"

#include "base/log.h"
#include "base/problem.h"
#include "protocol/object_json.h"

enum { RECENT_ORDERS = 10 };

static void write_account(struct acme_json_writer *writer, const char *name,
                          const struct acme_account *account)
{
    acme_jw_object(writer, name);
    acme_jw_str(writer, "id", account->id);
    acme_jw_str(writer, "status", acme_account_status_name(account->status));
    acme_jw_raw(writer, "contacts", account->contacts);
    acme_jw_time(writer, "created", account->created_ms);
    acme_jw_str(writer, "external_account", account->external_kid);
    acme_jw_str(writer, "thumbprint", account->thumbprint);
    acme_jw_str(writer, "terms", account->terms);
    acme_jw_object_end(writer);
}

struct acme_err acme_admin_account_list(struct admin_call *call)
{
    const char **ids = NULL;
    size_t count = 0;
    TRY(acme_store_ids_newest(call->options->store, call->arena, ACME_OBJECT_ACCOUNT, call->request->limit,
                              &ids, &count));
    acme_jw_array(call->writer, "accounts");
    for (size_t i = 0; i < count; i++) {
        struct acme_account account;
        TRY(acme_store_account_get(call->options->store, call->arena, ids[i], &account));
        write_account(call->writer, NULL, &account);
    }
    acme_jw_array_end(call->writer);
    acme_jw_bool(call->writer, "more", count == call->request->limit);
    return acme_ok();
}

static struct acme_err load_account(struct admin_call *call, struct acme_account *ret)
{
    const char *id = NULL;
    TRY(acme_admin_resolve(call, ACME_OBJECT_ACCOUNT, call->request->id, &id));
    return acme_store_account_get(call->options->store, call->arena, id, ret);
}

struct acme_err acme_admin_account_show(struct admin_call *call)
{
    struct acme_account account;
    const char **ids = NULL;
    const char *looked_back = NULL;
    size_t count = 0;
    TRY(load_account(call, &account));
    struct acme_order_filter filter = {.account_id = account.id};
    TRY(acme_store_orders_newest(call->options->store, call->arena, &filter, RECENT_ORDERS, &ids, &count,
                                 &looked_back));
    write_account(call->writer, "account", &account);
    acme_jw_array(call->writer, "recent_orders");
    for (size_t i = 0; i < count; i++)
        acme_jw_str(call->writer, NULL, ids[i]);
    acme_jw_array_end(call->writer);
    return acme_ok();
}

struct acme_err acme_admin_account_deactivate(struct admin_call *call)
{
    struct acme_account account;
    const struct acme_problem problem = {
        .type = ACME_PROBLEM_UNAUTHORIZED,
        .detail = "The operator of this server deactivated the account before the order was finalized",
    };
    TRY(load_account(call, &account));
    const char *error = acme_problem_json(call->arena, &problem);
    ENSURE(error != NULL, ACME_E_NOMEM);
    struct acme_err err = acme_store_account_deactivate(call->options->store, account.id, error);
    if (err.code == ACME_E_NOT_FOUND)
        return acme_admin_refused(call, "refused", "the account %s is not valid any more", account.id);
    if (err.code == ACME_E_BUSY)
        return acme_admin_refused(call, "busy", "too many writes are queued; try again");
    TRY(err);
    acme_log(INFO, "account deactivated by the operator", LOG_STR("account", account.id));
    TRY(acme_store_account_get(call->options->store, call->arena, account.id, &account));
    write_account(call->writer, "account", &account);
    return acme_ok();
}

/* ---- certificates ---- */

static void write_revocation(struct acme_json_writer *writer, const struct acme_revocation *revocation)
{
    static const char *const words[] = {[ACME_REVOCATION_UNDER_WAY] = "under way",
                                        [ACME_REVOCATION_DONE] = "revoked",
                                        [ACME_REVOCATION_FAILED] = "refused"};
    acme_jw_object(writer, "revocation");
    acme_jw_str(writer, "status", words[revocation->status]);
    acme_jw_int(writer, "reason", revocation->reason);
    acme_jw_time(writer, "requested", revocation->requested_ms);
    acme_jw_time(writer, "revoked", revocation->revoked_ms);
    acme_jw_raw(writer, "error", revocation->error);
    acme_jw_object_end(writer);
}

static const char *state_of(const struct admin_call *call, const struct acme_certificate *certificate,
                            const struct acme_revocation *revocation)
{
    if (revocation != NULL && revocation->status == ACME_REVOCATION_DONE)
        return "revoked";
    return certificate->not_after_ms < call->now_ms ? "expired" : "good";
}

static struct acme_err write_issuance(struct admin_call *call, const struct acme_certificate *certificate)
{
    struct acme_issuance issuance;
    struct acme_err err =
        acme_store_issuance_get(call->options->store, call->arena, certificate->issuance_id, &issuance);
    if (err.code == ACME_E_NOT_FOUND)
        return acme_ok();
    TRY(err);
    acme_jw_array(call->writer, "names");
    for (size_t i = 0; i < issuance.identifier_count; i++)
        acme_jw_str(call->writer, NULL, issuance.identifiers[i].value);
    acme_jw_array_end(call->writer);
    acme_jw_str(call->writer, "profile", issuance.profile);
    acme_jw_str(call->writer, "issuance", issuance.id);
    acme_jw_str(call->writer, "upstream", issuance.upstream_ref);
    return acme_ok();
}

static struct acme_err write_certificate(struct admin_call *call, const char *id, const char *name,
                                         bool whole)
{
    struct acme_json_writer *writer = call->writer;
    struct acme_certificate certificate;
    struct acme_revocation revocation;
    struct acme_err err = acme_store_certificate_get(call->options->store, call->arena, id, &certificate);
    if (err.code == ACME_E_NOT_FOUND) /* removed since it was found */
        return acme_ok();
    TRY(err);
    err = acme_store_revocation_get(call->options->store, call->arena, id, &revocation);
    ENSURE(err.code == ACME_OK || err.code == ACME_E_NOT_FOUND, err.code);
    bool asked = err.code == ACME_OK;
    acme_jw_object(writer, name);
    acme_jw_str(writer, "id", certificate.id);
    acme_jw_str(writer, "status", state_of(call, &certificate, asked ? &revocation : NULL));
    acme_jw_str(writer, "serial", certificate.serial_hex);
    acme_jw_str(writer, "issuer", certificate.issuer);
    acme_jw_str(writer, "account", certificate.account_id);
    acme_jw_time(writer, "not_before", certificate.not_before_ms);
    acme_jw_time(writer, "not_after", certificate.not_after_ms);
    acme_jw_time(writer, "created", certificate.created_ms);
    acme_jw_time(writer, "downloaded", certificate.downloaded_ms);
    acme_jw_str(writer, "sha256", certificate.sha256_hex);
    TRY(write_issuance(call, &certificate));
    if (asked)
        write_revocation(writer, &revocation);
    if (whole) {
        const char **orders = NULL;
        size_t count = 0;
        TRY(acme_store_issuance_orders(call->options->store, call->arena, certificate.issuance_id, &orders,
                                       &count));
        acme_jw_array(writer, "orders");
        for (size_t i = 0; i < count && i < ACME_ADMIN_MAX_LIMIT; i++)
            acme_jw_str(writer, NULL, orders[i]);
        acme_jw_array_end(writer);
        acme_jw_str(writer, "chain", certificate.chain);
    }
    acme_jw_object_end(writer);
    return acme_ok();
}

struct acme_err acme_admin_certificate_list(struct admin_call *call)
{
    const struct acme_admin_request *request = call->request;
    const char **ids = NULL;
    size_t count = 0;
    if (request->expiring_days >= 0)
        TRY(acme_store_certificates_ending(call->options->store, call->arena, call->now_ms,
                                           call->now_ms + request->expiring_days * ACME_DAY_MS,
                                           request->limit, &ids, &count));
    else
        TRY(acme_store_ids_newest(call->options->store, call->arena, ACME_OBJECT_CERTIFICATE, request->limit,
                                  &ids, &count));
    acme_jw_array(call->writer, "certificates");
    for (size_t i = 0; i < count; i++)
        TRY(write_certificate(call, ids[i], NULL, false));
    acme_jw_array_end(call->writer);
    acme_jw_bool(call->writer, "more", count == request->limit);
    return acme_ok();
}

struct acme_err acme_admin_certificate_show(struct admin_call *call)
{
    const char *id = NULL;
    TRY(acme_admin_resolve(call, ACME_OBJECT_CERTIFICATE, call->request->id, &id));
    return write_certificate(call, id, "certificate", true);
}
