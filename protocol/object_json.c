#include "protocol/object_json.h"

#include <string.h>

static const char *const account_statuses[] = {
    [ACME_ACCOUNT_VALID] = "valid",
    [ACME_ACCOUNT_DEACTIVATED] = "deactivated",
    [ACME_ACCOUNT_REVOKED] = "revoked",
};

static const char *const order_statuses[] = {
    [ACME_ORDER_PENDING] = "pending",       [ACME_ORDER_READY] = "ready",
    [ACME_ORDER_PROCESSING] = "processing", [ACME_ORDER_VALID] = "valid",
    [ACME_ORDER_INVALID] = "invalid",
};

static const char *const authz_statuses[] = {
    [ACME_AUTHZ_PENDING] = "pending", [ACME_AUTHZ_VALID] = "valid",
    [ACME_AUTHZ_INVALID] = "invalid", [ACME_AUTHZ_DEACTIVATED] = "deactivated",
    [ACME_AUTHZ_EXPIRED] = "expired", [ACME_AUTHZ_REVOKED] = "revoked",
};

static const char *const challenge_statuses[] = {
    [ACME_CHALLENGE_PENDING] = "pending",
    [ACME_CHALLENGE_PROCESSING] = "processing",
    [ACME_CHALLENGE_VALID] = "valid",
    [ACME_CHALLENGE_INVALID] = "invalid",
};

const char *acme_account_status_name(enum acme_account_status status)
{
    return account_statuses[status];
}

const char *acme_order_status_name(enum acme_order_status status)
{
    return order_statuses[status];
}

const char *acme_authz_status_name(enum acme_authz_status status)
{
    return authz_statuses[status];
}

/* Unlike an absent text, a URL that could not be made must not pass as a missing member. */
static void write_url(const struct acme_exchange *x, struct acme_json_writer *writer, const char *name,
                      const char *path, const char *id, const char *suffix)
{
    const char *url = acme_exchange_url(x, path, id, suffix);
    if (url == NULL)
        writer->out->failed = true;
    acme_jw_str(writer, name, url);
}

static void write_identifier(struct acme_json_writer *writer, const char *name,
                             const struct acme_identifier *identifier)
{
    acme_jw_object(writer, name);
    acme_jw_str(writer, "type", acme_identifier_type_name(identifier->type));
    acme_jw_str(writer, "value", identifier->value);
    acme_jw_object_end(writer);
}

void acme_account_write(const struct acme_exchange *x, const struct acme_account *account,
                        struct acme_buf *out)
{
    struct acme_json_writer writer;
    acme_jw_init(&writer, out);
    acme_jw_object(&writer, NULL);
    acme_jw_str(&writer, "status", account_statuses[account->status]);
    if (account->contacts != NULL && strcmp(account->contacts, "[]") != 0)
        acme_jw_raw(&writer, "contact", account->contacts);
    if (acme_terms_are_current(x, account))
        acme_jw_bool(&writer, "termsOfServiceAgreed", true);
    acme_jw_raw(&writer, "externalAccountBinding", account->external_binding);
    write_url(x, &writer, "orders", "/account/", account->id, "/orders");
    acme_jw_object_end(&writer);
}

void acme_order_write(const struct acme_exchange *x, const struct acme_order *order, struct acme_buf *out)
{
    struct acme_json_writer writer;
    acme_jw_init(&writer, out);
    acme_jw_object(&writer, NULL);
    acme_jw_str(&writer, "status", order_statuses[order->status]);
    acme_jw_time(&writer, "expires", order->expires_ms);
    acme_jw_array(&writer, "identifiers");
    for (size_t i = 0; i < order->identifier_count; i++)
        write_identifier(&writer, NULL, &order->identifiers[i]);
    acme_jw_array_end(&writer);
    acme_jw_str(&writer, "profile", order->profile);
    acme_jw_time(&writer, "notBefore", order->not_before_ms);
    acme_jw_time(&writer, "notAfter", order->not_after_ms);
    acme_jw_array(&writer, "authorizations");
    for (size_t i = 0; i < order->authz_count; i++)
        write_url(x, &writer, NULL, "/authz/", order->authz_ids[i], "");
    acme_jw_array_end(&writer);
    write_url(x, &writer, "finalize", "/order/", order->id, "/finalize");
    if (order->status == ACME_ORDER_VALID && order->certificate_id != NULL)
        write_url(x, &writer, "certificate", "/certificate/", order->certificate_id, "");
    if (order->status == ACME_ORDER_INVALID)
        acme_jw_raw(&writer, "error", order->error);
    acme_jw_object_end(&writer);
}

static void write_issuers(struct acme_json_writer *writer, const char *name,
                          const struct acme_profile *profile)
{
    acme_jw_array(writer, name);
    for (size_t i = 0; i < profile->caa_issuer_count; i++)
        acme_jw_str(writer, NULL, profile->caa_issuers[i]);
    acme_jw_array_end(writer);
}

/* Under the names that draft-ietf-acme-dns-persist has for them now, and those of its revisions 00 and 01. */
static void write_persist(const struct acme_exchange *x, struct acme_json_writer *writer,
                          const struct acme_authz *authz)
{
    const struct acme_profile *profile =
        authz->profile != NULL ? acme_profile_find(x->service, authz->profile) : NULL;
    if (profile == NULL || profile->caa_issuer_count == 0)
        return; /* the configuration has changed: it can no longer be met */
    write_issuers(writer, "issuerDomainNames", profile);
    write_issuers(writer, "issuer-domain-names", profile);
    write_url(x, writer, "accounturi", "/account/", authz->account_id, "");
}

static void write_challenge(const struct acme_exchange *x, struct acme_json_writer *writer,
                            const struct acme_authz *authz, const struct acme_challenge *challenge)
{
    acme_jw_object(writer, NULL);
    acme_jw_str(writer, "type", challenge->type);
    write_url(x, writer, "url", "/challenge/", challenge->id, "");
    acme_jw_str(writer, "status", challenge_statuses[challenge->status]);
    acme_jw_str(writer, "token", challenge->token); /* also where it has no use: some parsers insist on it */
    if (strcmp(challenge->type, "dns-persist-01") == 0)
        write_persist(x, writer, authz);
    if (challenge->status == ACME_CHALLENGE_VALID)
        acme_jw_time(writer, "validated", challenge->validated_ms);
    else
        acme_jw_raw(writer, "error", challenge->error);
    acme_jw_object_end(writer);
}

void acme_challenge_write(const struct acme_exchange *x, const struct acme_authz *authz,
                          const struct acme_challenge *challenge, struct acme_buf *out)
{
    struct acme_json_writer writer;
    acme_jw_init(&writer, out);
    write_challenge(x, &writer, authz, challenge);
}

/* Decided authorizations list only what decided them (RFC 8555 section 7.1.4); acme.sh takes any "invalid" in
 * the text for the whole. */
static bool is_listed(const struct acme_authz *authz, const struct acme_challenge *challenge)
{
    enum acme_challenge_status deciding = ACME_CHALLENGE_VALID;
    if (authz->status == ACME_AUTHZ_PENDING)
        return true;
    if (authz->status == ACME_AUTHZ_INVALID)
        deciding = ACME_CHALLENGE_INVALID;
    for (size_t i = 0; i < authz->challenge_count; i++)
        if (authz->challenges[i].status == deciding)
            return challenge->status == deciding;
    return true;
}

void acme_authz_write(const struct acme_exchange *x, const struct acme_authz *authz, struct acme_buf *out)
{
    struct acme_json_writer writer;
    acme_jw_init(&writer, out);
    acme_jw_object(&writer, NULL);
    acme_jw_str(&writer, "status", authz_statuses[authz->status]);
    write_identifier(&writer, "identifier", &authz->identifier);
    if (authz->wildcard)
        acme_jw_bool(&writer, "wildcard", true);
    acme_jw_time(&writer, "expires", authz->expires_ms);
    acme_jw_array(&writer, "challenges");
    for (size_t i = 0; i < authz->challenge_count; i++)
        if (is_listed(authz, &authz->challenges[i]))
            write_challenge(x, &writer, authz, &authz->challenges[i]);
    acme_jw_array_end(&writer);
    acme_jw_object_end(&writer);
}
