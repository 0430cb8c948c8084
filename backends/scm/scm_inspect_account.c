/* What SCM says about the login, its organization, the certificate profile and the custom fields, against the
 * configuration. */
#include "backends/scm/scm_inspect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LIST_MAX_BYTES = 512 };

/* ---- the certificate profile ---- */

static bool has_text(const cJSON *array, const char *wanted)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, array)
    {
        if (cJSON_IsString(item) && strcasecmp(item->valuestring, wanted) == 0)
            return true;
    }
    return false;
}

static struct acme_err check_term(struct scm_inspecting *in, const cJSON *type, const char *name)
{
    const struct acme_scm_config *config = &in->ctx->scm->config;
    ACME_CLEANUP_BUF struct acme_buf list;
    acme_buf_init(&list, LIST_MAX_BYTES);
    const cJSON *item;
    cJSON_ArrayForEach(item, acme_json_get(type, "terms"))
    {
        if (!cJSON_IsNumber(item))
            continue;
        if (item->valuedouble == (double)config->term_days)
            return FIND(in, GOOD, "Profile %lld (%s) has the term of %lld days.",
                        (long long)config->profile_id, name, (long long)config->term_days);
        char number[32];
        snprintf(number, sizeof number, "%.0f", item->valuedouble);
        acme_words_add(&list, number);
    }
    return FIND(in, ERROR, "term_days %lld is none of the terms of profile %lld (%s): %s.",
                (long long)config->term_days, (long long)config->profile_id, name, acme_words_text(&list));
}

/* Does SCM's profile have an RSA size within these bounds, and which are its own? */
static bool rsa_sizes(const cJSON *sizes, const struct acme_key_policy *keys, int *ret_min, int *ret_max)
{
    bool common = false;
    const cJSON *item;
    *ret_min = 0;
    *ret_max = 0;
    cJSON_ArrayForEach(item, sizes)
    {
        int bits = cJSON_IsString(item) ? (int)strtol(item->valuestring, NULL, 10) : 0;
        if (bits <= 0)
            continue;
        if (*ret_min == 0 || bits < *ret_min)
            *ret_min = bits;
        if (bits > *ret_max)
            *ret_max = bits;
        common = common || (bits >= keys->rsa_min_bits && bits <= keys->rsa_max_bits);
    }
    return common;
}

static struct acme_err check_keys(struct scm_inspecting *in, const cJSON *types,
                                  const struct acme_inspect_profile *profile)
{
    const struct acme_key_policy *keys = profile->keys;
    const struct {
        const char *curve;
        const char *key;
        bool accepted;
    } curves[] = {
        {"P-256", "p256", keys->p256}, {"P-384", "p384", keys->p384}, {"P-521", "p521", keys->p521}};
    const cJSON *ec = acme_json_get(types, "EC");
    int min = 0;
    int max = 0;
    bool rsa = rsa_sizes(acme_json_get(types, "RSA"), keys, &min, &max) && keys->rsa;
    bool common = rsa;
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++) {
        if (curves[i].accepted && has_text(ec, curves[i].curve))
            common = true;
        else if (curves[i].accepted)
            TRY(FIND(in, WARNING, "Profile \"%s\" accepts %s keys, SCM's does not: set keys.%s: false.",
                     profile->name, curves[i].curve, curves[i].key));
    }
    if (keys->rsa && !rsa)
        TRY(FIND(in, WARNING, "Profile \"%s\" accepts RSA keys of %d to %d bits, SCM's profile none of them.",
                 profile->name, keys->rsa_min_bits, keys->rsa_max_bits));
    else if (keys->rsa && (keys->rsa_min_bits < min || keys->rsa_max_bits > max))
        TRY(FIND(in, WARNING, "Profile \"%s\" accepts RSA keys of %d to %d bits, SCM's has %d to %d.",
                 profile->name, keys->rsa_min_bits, keys->rsa_max_bits, min, max));
    if (keys->ed25519 && acme_json_get(types, "Ed25519") == NULL && acme_json_get(types, "EdDSA") == NULL)
        TRY(FIND(in, WARNING, "Profile \"%s\" accepts Ed25519 keys, SCM's does not: set keys.ed25519: false.",
                 profile->name));
    if (common)
        return acme_ok();
    return FIND(in, ERROR, "Profile \"%s\" and SCM's profile have no kind of key in common.", profile->name);
}

struct acme_err acme_scm_inspect_profiles(struct scm_inspecting *in, const cJSON *json)
{
    const struct acme_scm_config *config = &in->ctx->scm->config;
    ACME_CLEANUP_BUF struct acme_buf list;
    acme_buf_init(&list, LIST_MAX_BYTES);
    TRY(FIND(in, GOOD, "SCM accepts the login."));
    const cJSON *item;
    cJSON_ArrayForEach(item, json)
    {
        int64_t id = 0;
        if (!acme_scm_json_int(item, "id", &id))
            continue;
        const char *name = acme_scm_inspect_shown(in, acme_json_str(item, "name"));
        if (id == config->profile_id) {
            TRY(check_term(in, item, name));
            for (size_t i = 0; i < in->request->profile_count; i++)
                TRY(check_keys(in, acme_json_get(item, "keyTypes"), &in->request->profiles[i]));
            return acme_ok();
        }
        const char *entry = acme_arena_printf(in->ctx->arena, "%lld (%s)", (long long)id, name);
        ENSURE(entry != NULL, ACME_E_NOMEM);
        acme_words_add(&list, entry);
    }
    return FIND(in, ERROR, "profile_id %lld is no certificate profile of organization %lld; it has: %s.",
                (long long)config->profile_id, (long long)config->org_id, acme_words_text(&list));
}

/* ---- password and organization ---- */

struct acme_err acme_scm_inspect_password(struct scm_inspecting *in, const cJSON *json)
{
    const char *state = acme_json_str(json, "state");
    const char *date = acme_json_str(json, "expirationDate");
    if (state != NULL && strcmp(state, "NEVER_EXPIRE") == 0)
        return FIND(in, GOOD, "The password does not expire.");
    if (state != NULL && strcmp(state, "EXPIRED") == 0)
        return FIND(in, ERROR, "The password has expired: set another one in SCM.");
    int64_t day_ms = acme_scm_day_ms(date);
    if (day_ms == 0)
        return FIND(in, WARNING, "SCM does not say until when the password is good (state %s).",
                    acme_scm_inspect_shown(in, state));
    if (day_ms - in->ctx->input->now_ms < SCM_SOON_MS)
        return FIND(in, WARNING, "The password expires on %s: set another one in SCM before.",
                    acme_scm_inspect_shown(in, date));
    return FIND(in, GOOD, "The password is good until %s.", acme_scm_inspect_shown(in, date));
}

static bool has_id(const cJSON *list, int64_t wanted, const char **ret_name)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        int64_t id = 0;
        if (acme_scm_json_int(item, "id", &id) && id == wanted) {
            *ret_name = acme_json_str(item, "name");
            return true;
        }
        if (has_id(acme_json_get(item, "departments"), wanted, ret_name))
            return true;
    }
    return false;
}

struct acme_err acme_scm_inspect_organizations(struct scm_inspecting *in, const cJSON *json)
{
    const char *name = NULL;
    long long org_id = (long long)in->ctx->scm->config.org_id;
    if (has_id(json, org_id, &name))
        return FIND(in, GOOD, "Organization %lld (%s) is there.", org_id, acme_scm_inspect_shown(in, name));
    return FIND(in, ERROR, "org_id %lld is none of the organizations and departments the login may see.",
                org_id);
}

/* ---- custom fields ---- */

static const char *value_of(const struct scm_inspecting *in, const char *name)
{
    const struct acme_scm_config *config = &in->ctx->scm->config;
    for (size_t i = 0; i < config->custom_field_count; i++) {
        if (strcmp(config->custom_fields[i].name, name) == 0)
            return config->custom_fields[i].value;
    }
    return NULL;
}

static bool knows_field(const cJSON *json, const char *wanted)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, json)
    {
        const char *name = acme_json_str(item, "name");
        if (name != NULL && strcmp(name, wanted) == 0)
            return true;
    }
    return false;
}

struct acme_err acme_scm_inspect_fields(struct scm_inspecting *in, const cJSON *json)
{
    const struct acme_scm_config *config = &in->ctx->scm->config;
    bool good = true;
    const cJSON *item;
    cJSON_ArrayForEach(item, json)
    {
        const char *name = acme_json_str(item, "name");
        const char *state = acme_json_str(item, "state");
        if (name == NULL || (state != NULL && strcasecmp(state, "ACTIVE") != 0))
            continue;
        const cJSON *options = acme_json_get(acme_json_get(item, "input"), "options");
        const char *value = value_of(in, name);
        if (value == NULL && has_text(acme_json_get(item, "mandatories"), "REST_API")) {
            good = false;
            TRY(FIND(in, ERROR, "SCM demands the custom field \"%s\": add it to custom_fields.",
                     acme_scm_inspect_shown(in, name)));
        } else if (value != NULL && cJSON_GetArraySize(options) > 0 && !has_text(options, value)) {
            good = false;
            TRY(FIND(in, ERROR, "The value of the custom field \"%s\" is none of those SCM offers.",
                     acme_scm_inspect_shown(in, name)));
        }
    }
    for (size_t i = 0; i < config->custom_field_count; i++) {
        if (knows_field(json, config->custom_fields[i].name))
            continue;
        good = false;
        TRY(FIND(in, ERROR, "SCM has no custom field \"%s\" for this class of certificates.",
                 config->custom_fields[i].name));
    }
    return good ? FIND(in, GOOD, "The custom fields are those SCM wants.") : acme_ok();
}
