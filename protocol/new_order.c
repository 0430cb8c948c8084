#include "protocol/exchange.h"

#include "base/b64url.h"
#include "base/id.h"

#include <openssl/rand.h>
#include <string.h>

enum { MAX_SUBPROBLEMS = 256 * 1024, TOKEN_OCTETS = 32 };

/* The challenges of an authorization for this identifier under the order's profile. */
static bool is_offered(const struct acme_challenge_type *type, const struct acme_profile *profile,
                       const struct acme_identifier *identifier)
{
    return (profile->challenges & (unsigned)type->bit) != 0 && acme_challenge_type_proves(type, identifier);
}

static bool can_prove(const struct acme_profile *profile, const struct acme_identifier *identifier)
{
    const struct acme_challenge_type *type = NULL;
    for (size_t i = 0; (type = acme_challenge_type_at(i)) != NULL; i++)
        if (is_offered(type, profile, identifier))
            return true;
    return false;
}

static struct acme_err unknown_profile(struct acme_exchange *x, const char *name)
{
    const struct acme_service_config *config = x->service->config;
    ACME_CLEANUP_BUF struct acme_buf list;
    acme_buf_init(&list, 1024);
    for (size_t i = 0; i < config->profile_count && list.len < 512; i++)
        acme_buf_printf(&list, "%s%s", i > 0 ? ", " : "", config->profiles[i].name);
    const char *names = acme_buf_cstr(&list);
    return acme_exchange_refuse(x, ACME_PROBLEM_INVALID_PROFILE, "There is no profile \"%s\"; there are: %s",
                                acme_exchange_show(x, name), names != NULL ? names : "see the directory");
}

/* The member decides, but the directory of one profile does not make orders of another. */
static struct acme_err choose_profile(struct acme_exchange *x)
{
    const cJSON *member = acme_json_get(x->payload, "profile");
    if (member != NULL && !cJSON_IsString(member))
        return acme_exchange_refuse(x, ACME_PROBLEM_MALFORMED, "profile must be a string");
    if (member == NULL || *member->valuestring == '\0')
        return acme_ok();
    const struct acme_profile *wanted = acme_profile_find(x->service, member->valuestring);
    if (wanted == NULL)
        return unknown_profile(x, member->valuestring);
    if (x->profile_in_path && wanted != x->profile)
        return acme_exchange_refuse(
            x, ACME_PROBLEM_INVALID_PROFILE,
            "The order asks for profile \"%s\" at the directory of profile \"%s\"; use the "
            "server's /directory, or leave the profile out",
            wanted->name, x->profile->name);
    x->profile = wanted;
    return acme_ok();
}

/* Go's and others' zero values mean that nothing was asked for. */
static struct acme_err refuse_time(struct acme_exchange *x, const char *name)
{
    const cJSON *member = acme_json_get(x->payload, name);
    if (member == NULL || (cJSON_IsString(member) && (*member->valuestring == '\0' ||
                                                      strncmp(member->valuestring, "0001-01-01T", 11) == 0)))
        return acme_ok();
    return acme_exchange_refuse(
        x, ACME_PROBLEM_MALFORMED,
        "The profile \"%s\" does not allow %s; leave it out, the server chooses the validity",
        x->profile->name, name);
}

/* Complaints about single identifiers, one subproblem each (RFC 8555 section 6.7.1). */
struct complaints {
    struct acme_buf text;
    struct acme_json_writer writer;
    size_t count;
    enum acme_problem_type type; /* of the first; COMPOUND when they differ */
    const char *first;
};

static struct acme_err complain(struct acme_exchange *x, struct complaints *complaints,
                                enum acme_problem_type type, const char *type_name, const char *value,
                                const char *detail)
{
    ENSURE(detail != NULL, ACME_E_NOMEM);
    if (complaints->count++ == 0) {
        complaints->type = type;
        complaints->first = detail;
    } else if (complaints->type != type) {
        complaints->type = ACME_PROBLEM_COMPOUND;
    }
    struct acme_json_writer *writer = &complaints->writer;
    acme_jw_object(writer, NULL);
    acme_jw_str(writer, "type", acme_problem_urn(type));
    acme_jw_str(writer, "detail", detail);
    if (*type_name != '\0' && *value != '\0') { /* no empty texts: clients' parsers fail on them */
        acme_jw_object(writer, "identifier");
        acme_jw_str(writer, "type", acme_exchange_show(x, type_name));
        acme_jw_str(writer, "value", acme_exchange_show(x, value));
        acme_jw_object_end(writer);
    }
    acme_jw_object_end(writer);
    return acme_ok();
}

static struct acme_err read_identifier(struct acme_exchange *x, const cJSON *item,
                                       struct complaints *complaints, struct acme_identifier *ret)
{
    const char *type = acme_json_str(item, "type");
    const char *value = acme_json_str(item, "value");
    if (type == NULL || value == NULL)
        return acme_exchange_refuse(x, ACME_PROBLEM_MALFORMED,
                                    "Every identifier must be an object with the strings type and value");
    if (strcmp(type, acme_identifier_type_name(ACME_IDENTIFIER_DNS)) != 0)
        return complain(x, complaints, ACME_PROBLEM_UNSUPPORTED_IDENTIFIER, type, value,
                        acme_arena_printf(
                            x->arena, "Identifiers of type \"%s\" are not supported (\"%s\"); use dns names",
                            acme_exchange_show(x, type), acme_exchange_show(x, value)));
    const char *why = "";
    struct acme_err err = acme_identifier_parse(x->arena, type, value, ret, &why);
    if (err.code == ACME_E_FORMAT)
        return complain(x, complaints, ACME_PROBLEM_REJECTED_IDENTIFIER, type, value,
                        acme_arena_printf(x->arena, "The name \"%s\" is not valid: %s",
                                          acme_exchange_show(x, value), why));
    TRY(err);
    if (!can_prove(x->profile, ret))
        return complain(x, complaints, ACME_PROBLEM_REJECTED_IDENTIFIER, type, value,
                        acme_arena_printf(x->arena,
                                          "The profile \"%s\" offers no challenge that can prove \"%s\"%s",
                                          x->profile->name, ret->value,
                                          acme_identifier_is_wildcard(ret)
                                              ? ": a wildcard needs dns-01; ask for the single names instead"
                                              : ""));
    return acme_ok();
}

static struct acme_err settle(struct acme_exchange *x, const struct complaints *complaints)
{
    if (complaints->count == 0)
        return acme_ok();
    const char *list = acme_buf_cstr(&complaints->text);
    x->subproblems =
        list != NULL ? acme_arena_strdup(x->arena, list) : NULL; /* the detail alone does as well */
    if (complaints->count == 1)
        return acme_exchange_refuse(x, complaints->type, "%s", complaints->first);
    return acme_exchange_refuse(x, complaints->type, "%zu identifiers cannot be accepted; the first: %s",
                                complaints->count, complaints->first);
}

static struct acme_err refuse_duplicates(struct acme_exchange *x, const struct acme_identifier *list,
                                         size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (acme_identifier_equal(&list[i], &list[j]))
                return acme_exchange_refuse(x, ACME_PROBLEM_MALFORMED,
                                            "The name \"%s\" is there twice; name each identifier once",
                                            list[i].value);
    return acme_ok();
}

static struct acme_err read_identifiers(struct acme_exchange *x, struct acme_identifier **ret,
                                        size_t *ret_count)
{
    const cJSON *list = acme_json_get(x->payload, "identifiers");
    if (!cJSON_IsArray(list) || list->child == NULL)
        return acme_exchange_refuse(x, ACME_PROBLEM_MALFORMED,
                                    "identifiers must be an array of at least one identifier");
    size_t count = (size_t)cJSON_GetArraySize(list);
    if (count > x->service->config->max_identifiers)
        return acme_exchange_refuse(
            x, ACME_PROBLEM_MALFORMED,
            "The order has %zu identifiers, at most %zu are allowed; make several orders", count,
            x->service->config->max_identifiers);
    struct acme_identifier *identifiers = acme_arena_alloc(x->arena, count * sizeof *identifiers);
    ENSURE(identifiers != NULL, ACME_E_NOMEM);
    struct complaints complaints = {.count = 0};
    acme_buf_init(&complaints.text, MAX_SUBPROBLEMS);
    acme_jw_init(&complaints.writer, &complaints.text);
    acme_jw_array(&complaints.writer, NULL);
    struct acme_err err = acme_ok();
    size_t pos = 0;
    for (const cJSON *item = list->child; item != NULL && !acme_failed(err); item = item->next)
        err = read_identifier(x, item, &complaints, &identifiers[pos++]);
    acme_jw_array_end(&complaints.writer);
    if (!acme_failed(err))
        err = settle(x, &complaints);
    acme_buf_finish(&complaints.text);
    TRY(err);
    TRY(refuse_duplicates(x, identifiers, count));
    *ret = identifiers;
    *ret_count = count;
    return acme_ok();
}

static const char *new_id(struct acme_exchange *x)
{
    char id[ACME_ID_SIZE];
    return acme_failed(acme_id_new(x->service->clock, id)) ? NULL : acme_arena_strdup(x->arena, id);
}

static const char *new_token(struct acme_exchange *x)
{
    uint8_t octets[TOKEN_OCTETS];
    return RAND_bytes(octets, TOKEN_OCTETS) == 1 ? acme_b64url_encode(x->arena, octets, TOKEN_OCTETS) : NULL;
}

static struct acme_err prepare_authz(struct acme_exchange *x, const struct acme_identifier *identifier,
                                     int64_t expires_ms, struct acme_authz *ret)
{
    bool wildcard = acme_identifier_is_wildcard(identifier);
    ret->id = new_id(x);
    ENSURE(ret->id != NULL, ACME_E_NOMEM);
    ret->account_id = x->account.id;
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
        challenge->id = new_id(x);
        challenge->token = new_token(x);
        ENSURE(challenge->id != NULL && challenge->token != NULL, ACME_E_NOMEM);
        challenge->authz_id = ret->id;
        challenge->type = type->name;
        challenge->status = ACME_CHALLENGE_PENDING;
    }
    return acme_ok();
}

static struct acme_err create(struct acme_exchange *x, struct acme_identifier *identifiers, size_t count,
                              struct acme_order *ret)
{
    const struct acme_service_config *config = x->service->config;
    const struct acme_order candidate = {
        .id = new_id(x),
        .account_id = x->account.id,
        .profile = x->profile->name,
        .status = ACME_ORDER_PENDING,
        .identifiers = identifiers,
        .identifier_count = count,
        .expires_ms = x->now_ms + config->order_lifetime_ms,
        .created_ms = x->now_ms,
    };
    ENSURE(candidate.id != NULL, ACME_E_NOMEM);
    struct acme_authz *authzs = acme_arena_alloc(x->arena, count * sizeof *authzs);
    ENSURE(authzs != NULL, ACME_E_NOMEM);
    for (size_t i = 0; i < count; i++)
        TRY(prepare_authz(x, &identifiers[i], candidate.expires_ms, &authzs[i]));
    /* An authorization is used again when it leaves time to finalize; short-lived ones during their first
     * half. */
    int64_t reuse_ms =
        config->authz_lifetime_ms / 2 < ACME_HOUR_MS ? config->authz_lifetime_ms / 2 : ACME_HOUR_MS;
    return acme_store_order_create(x->service->store, x->arena, &candidate, authzs, x->now_ms,
                                   x->now_ms + reuse_ms, ret);
}

struct acme_err acme_order_new(struct acme_exchange *x)
{
    if (x->payload == NULL)
        return acme_exchange_refuse(x, ACME_PROBLEM_MALFORMED,
                                    "newOrder needs a JSON object with identifiers as payload");
    TRY(choose_profile(x));
    TRY(refuse_time(x, "notBefore"));
    TRY(refuse_time(x, "notAfter"));
    struct acme_identifier *identifiers = NULL;
    size_t count = 0;
    TRY(read_identifiers(x, &identifiers, &count));
    struct acme_order order;
    TRY(create(x, identifiers, count, &order));
    acme_log(INFO, "order created", LOG_STR("account", x->account.id), LOG_STR("order", order.id),
             LOG_STR("profile", order.profile), LOG_STR("name", identifiers[0].value),
             LOG_INT("names", count));
    return acme_order_respond(x, 201, &order);
}
