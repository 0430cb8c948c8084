#include "backends/dv_publish.h"

#include <string.h>
#include <strings.h>

enum { NAME_MAX_BYTES = 253, LABEL_MAX_BYTES = 63, TEXT_MAX_BYTES = 255, URL_MAX_BYTES = 2048 };

const char *acme_dv_type_name(enum acme_dv_type type)
{
    return type == ACME_DV_DNS01 ? "dns-01" : "http-01";
}

/* ---- what may be passed on ---- */

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* A host name or the name of a record (labels may begin with an underscore); a dot at the end is allowed. */
static bool is_name(const char *text)
{
    size_t label = 0;
    size_t length = strlen(text);
    if (length == 0 || length > NAME_MAX_BYTES + 1)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '.') {
            if (label == 0)
                return false;
            label = 0;
        } else if (!is_name_char(text[i]) || (text[i] == '-' && label == 0) || ++label > LABEL_MAX_BYTES) {
            return false;
        }
    }
    return true;
}

/* Hooks name files by them. */
static bool is_token(const char *text)
{
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++)
        if (!is_name_char(text[i]))
            return false;
    return length > 0 && length <= TEXT_MAX_BYTES;
}

/* Key authorizations and digests: base64url, and a dot between the parts (RFC 8555 section 8.1). */
static bool is_value(const char *text)
{
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++)
        if (!is_name_char(text[i]) && text[i] != '.')
            return false;
    return length > 0 && length <= TEXT_MAX_BYTES;
}

/* Only what such URLs consist of: hooks are scripts. */
static bool is_url(const char *text)
{
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++)
        if (!is_name_char(text[i]) && strchr(".~:/%", text[i]) == NULL)
            return false;
    return length <= URL_MAX_BYTES && (strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0);
}

/* Any other would be a change of the zone that nobody has asked for (RFC 8555 section 8.4). */
static bool is_record(const char *text)
{
    static const char label[] = "_acme-challenge.";
    return strncasecmp(text, label, sizeof label - 1) == 0 && is_name(text + sizeof label - 1);
}

static const char *mistake_of(const struct acme_dv_answer *answer)
{
    const char *domain = answer->domain;
    if (strncmp(domain, "*.", 2) == 0)
        domain += 2;
    if (!is_name(domain))
        return "the domain of a challenge is not a DNS name";
    if (!is_token(answer->token) || !is_value(answer->body))
        return "the token or value of a challenge has characters that none can have";
    if (answer->type == ACME_DV_DNS01)
        return is_record(answer->path) ? NULL : "the record of a dns-01 challenge is not one of those";
    if (!is_url(answer->path))
        return "the place of an http-01 challenge is not a URL";
    if (answer->redirect_path != NULL && *answer->redirect_path != '\0' && !is_url(answer->redirect_path))
        return "the redirect of an http-01 challenge is not a URL";
    return NULL;
}

/* ---- what is run ---- */

static void add_variable(struct acme_program_call *call, const char *name, const char *value)
{
    call->variables[call->variable_count].name = name;
    call->variables[call->variable_count].value = value != NULL ? value : "";
    call->variable_count++;
}

static void set_hook(const struct acme_dv_config *config, enum acme_dv_action action,
                     const struct acme_dv_answer *answer, struct acme_program_call *call)
{
    for (size_t i = 0; i < config->hook_count; i++)
        call->arguments[call->argument_count++] = config->hook[i];
    add_variable(call, "ACMEBRIDGE_DV_ACTION", action == ACME_DV_PUBLISH ? "publish" : "remove");
    add_variable(call, "ACMEBRIDGE_DV_TYPE", acme_dv_type_name(answer->type));
    add_variable(call, "ACMEBRIDGE_DV_DOMAIN", answer->domain);
    add_variable(call, "ACMEBRIDGE_DV_TOKEN", answer->token);
    add_variable(call, "ACMEBRIDGE_DV_BODY", answer->body);
    add_variable(call, "ACMEBRIDGE_DV_PATH", answer->path);
    add_variable(call, "ACMEBRIDGE_DV_REDIRECT", answer->redirect_path);
    add_variable(call, "ACMEBRIDGE_DV_ORDER", answer->about);
}

/* Only the one value is touched: a wildcard and its base name have two at the same name. */
static struct acme_err set_update(const struct acme_dv_config *config, struct acme_arena *arena,
                                  enum acme_dv_action action, const struct acme_dv_answer *answer,
                                  struct acme_program_call *call)
{
    size_t length = strlen(answer->path);
    const char *dot = answer->path[length - 1] == '.' ? "" : ".";
    const char *zone = config->zone != NULL ? acme_arena_printf(arena, "zone %s\n", config->zone) : "";
    int ttl_s = config->ttl_s > 0 ? config->ttl_s : ACME_DV_TTL_DEFAULT;
    ENSURE(zone != NULL, ACME_E_NOMEM);
    char *script = action == ACME_DV_PUBLISH
                       ? acme_arena_printf(arena, "server %s %d\n%supdate add %s%s %d TXT \"%s\"\nsend\n",
                                           config->server, config->port > 0 ? config->port : 53, zone,
                                           answer->path, dot, ttl_s, answer->body)
                       : acme_arena_printf(arena, "server %s %d\n%supdate delete %s%s TXT \"%s\"\nsend\n",
                                           config->server, config->port > 0 ? config->port : 53, zone,
                                           answer->path, dot, answer->body);
    ENSURE(script != NULL, ACME_E_NOMEM);
    call->arguments[call->argument_count++] = config->nsupdate;
    call->arguments[call->argument_count++] = "-v"; /* TCP: an answer to UDP may get lost */
    call->arguments[call->argument_count++] = "-k";
    call->arguments[call->argument_count++] = config->key_file;
    call->input = (struct acme_bytes){.data = (const uint8_t *)script, .len = strlen(script)};
    return acme_ok();
}

struct acme_err acme_dv_call(const struct acme_dv_config *config, struct acme_arena *arena,
                             enum acme_dv_action action, const struct acme_dv_answer *answer,
                             struct acme_program_call *ret, const char **ret_why)
{
    ENSURE(config->publication != ACME_DV_MANUAL, ACME_E_STATE);
    const char *mistake = mistake_of(answer);
    if (mistake == NULL && config->publication == ACME_DV_DNS_UPDATE && answer->type != ACME_DV_DNS01)
        mistake = "only dns-01 challenges are answered in the DNS";
    if (mistake != NULL) {
        *ret_why = mistake;
        return acme_err(ACME_E_FORMAT);
    }
    struct acme_program_call call = {.timeout_ms = config->timeout_ms};
    if (config->publication == ACME_DV_HOOK)
        set_hook(config, action, answer, &call);
    else
        TRY(set_update(config, arena, action, answer, &call));
    *ret = call;
    return acme_ok();
}
