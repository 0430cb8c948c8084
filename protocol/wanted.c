#include "protocol/wanted.h"

#include <string.h>

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

struct acme_err acme_wanted_profile(struct acme_exchange *x)
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
            "The request asks for profile \"%s\" at the directory of profile \"%s\"; use the "
            "server's /directory, or leave the profile out",
            wanted->name, x->profile->name);
    x->profile = wanted;
    return acme_ok();
}

static bool accepts(const struct acme_profile *profile, enum acme_identifier_type type)
{
    return profile->identifiers == 0 || (profile->identifiers & 1U << type) != 0;
}

static bool accepts_type(const struct acme_profile *profile, const char *name)
{
    for (unsigned type = 0; type < ACME_IDENTIFIER_TYPE_COUNT; type++)
        if (strcmp(acme_identifier_type_name(type), name) == 0)
            return accepts(profile, type);
    return false;
}

static const char *accepted_types(const struct acme_profile *profile)
{
    bool dns = accepts(profile, ACME_IDENTIFIER_DNS);
    bool ip = accepts(profile, ACME_IDENTIFIER_IP);
    return dns && ip ? "dns, ip" : acme_identifier_type_name(ip ? ACME_IDENTIFIER_IP : ACME_IDENTIFIER_DNS);
}

struct acme_err acme_wanted_identifier(struct acme_exchange *x, const cJSON *item,
                                       struct acme_complaints *complaints, struct acme_identifier *ret)
{
    const char *type = acme_json_str(item, "type");
    const char *value = acme_json_str(item, "value");
    if (type == NULL || value == NULL)
        return acme_exchange_refuse(x, ACME_PROBLEM_MALFORMED,
                                    "Every identifier must be an object with the strings type and value");
    if (!accepts_type(x->profile, type))
        return acme_complaints_add(
            x, complaints, ACME_PROBLEM_UNSUPPORTED_IDENTIFIER, type, value,
            acme_arena_printf(x->arena,
                              "Identifiers of type \"%s\" are not supported (\"%s\"); the profile "
                              "\"%s\" accepts: %s",
                              acme_exchange_show(x, type), acme_exchange_show(x, value), x->profile->name,
                              accepted_types(x->profile)));
    const char *why = "";
    bool ip = strcmp(type, acme_identifier_type_name(ACME_IDENTIFIER_IP)) == 0;
    struct acme_err err = acme_identifier_parse(x->arena, type, value, ret, &why);
    if (err.code == ACME_E_FORMAT)
        return acme_complaints_add(
            x, complaints, ip ? ACME_PROBLEM_MALFORMED : ACME_PROBLEM_REJECTED_IDENTIFIER, type, value,
            acme_arena_printf(x->arena, "The %s \"%s\" is not valid: %s", ip ? "address" : "name",
                              acme_exchange_show(x, value), why));
    TRY(err);
    if (ip && strcmp(ret->value, value) != 0)
        return acme_complaints_add(
            x, complaints, ACME_PROBLEM_MALFORMED, type, value,
            acme_arena_printf(x->arena, "The address \"%s\" is not in the canonical form (RFC 5952): \"%s\"",
                              acme_exchange_show(x, value), ret->value));
    why = acme_identifier_unusable(ret);
    if (why != NULL)
        return acme_complaints_add(
            x, complaints, ACME_PROBLEM_REJECTED_IDENTIFIER, type, value,
            acme_arena_printf(x->arena, "There are no certificates for %s: it is %s", ret->value, why));
    if (!acme_authz_provable(x->profile, ret))
        return acme_complaints_add(
            x, complaints, ACME_PROBLEM_REJECTED_IDENTIFIER, type, value,
            acme_arena_printf(x->arena, "The profile \"%s\" offers no challenge that can prove \"%s\"%s",
                              x->profile->name, ret->value,
                              acme_identifier_is_wildcard(ret)
                                  ? ": a wildcard needs dns-01; ask for the single names instead"
                                  : ""));
    const struct acme_service_hooks *hooks = &x->service->hooks;
    if (hooks->name_allowed != NULL && !hooks->name_allowed(hooks->context, x->arena, x->profile, ret, &why))
        return acme_complaints_add(
            x, complaints, ACME_PROBLEM_REJECTED_IDENTIFIER, type, value,
            why == NULL
                ? NULL
                : acme_arena_printf(x->arena, "There are no certificates for %s: %s", ret->value, why));
    return acme_ok();
}

static struct acme_err refuse_duplicates(struct acme_exchange *x, const struct acme_identifier *list,
                                         size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (acme_identifier_equal(&list[i], &list[j]))
                return acme_exchange_refuse(x, ACME_PROBLEM_MALFORMED,
                                            "The identifier \"%s\" is there twice; name each once",
                                            list[i].value);
    return acme_ok();
}

struct acme_err acme_wanted_identifiers(struct acme_exchange *x, struct acme_identifier **ret,
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
    ACME_CLEANUP_COMPLAINTS struct acme_complaints complaints;
    acme_complaints_init(&complaints);
    size_t pos = 0;
    for (const cJSON *item = list->child; item != NULL; item = item->next)
        TRY(acme_wanted_identifier(x, item, &complaints, &identifiers[pos++]));
    TRY(acme_complaints_settle(x, &complaints));
    TRY(refuse_duplicates(x, identifiers, count));
    *ret = identifiers;
    *ret_count = count;
    return acme_ok();
}
