#include "protocol/exchange.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { MAX_CONTACTS_JSON = 64 * 1024, MAX_ADDRESS = 254, MAX_LOCAL_PART = 64 };

/* NULL when the address is fine. No hfields and one address (RFC 8555 section 7.3); what would have to be
 * decoded first to be judged is refused, too. */
static struct acme_err check_address(struct acme_exchange *x, const char *address, const char **ret_why)
{
    const char *at = strchr(address, '@');
    *ret_why = NULL;
    if (strchr(address, '?') != NULL)
        *ret_why = "header fields (?...) are not allowed";
    else if (strchr(address, ',') != NULL)
        *ret_why = "only one address per contact is allowed";
    else if (strlen(address) > MAX_ADDRESS)
        *ret_why = "the address is longer than 254 characters";
    else if (at == NULL || strchr(at + 1, '@') != NULL)
        *ret_why = "an address has the form name@domain";
    else if (at == address || at - address > MAX_LOCAL_PART)
        *ret_why = "the part before @ must have 1 to 64 characters";
    for (const char *c = address; *ret_why == NULL && c < at; c++)
        if (!isalnum((unsigned char)*c) && strchr("!$&'*+-/=^_`{|}~.", *c) == NULL)
            *ret_why = "the part before @ has a character that is not allowed";
    if (*ret_why != NULL)
        return acme_ok();
    struct acme_identifier domain;
    const char *why = NULL;
    struct acme_err err = acme_identifier_parse(x->arena, "dns", at + 1, &domain, &why);
    if (err.code == ACME_E_FORMAT || (!acme_failed(err) && acme_identifier_is_wildcard(&domain))) {
        *ret_why = "the part after @ is not a domain name";
        return acme_ok();
    }
    return err;
}

static bool has_scheme(const char *text)
{
    size_t len = 0;
    while (isalnum((unsigned char)text[len]) || (text[len] != '\0' && strchr("+-.", text[len]) != NULL))
        len++;
    return len > 0 && isalpha((unsigned char)text[0]) && text[len] == ':';
}

static struct acme_err check_contact(struct acme_exchange *x, const char *contact)
{
    static const char mailto[] = "mailto:";
    if (strncasecmp(contact, mailto, sizeof mailto - 1) != 0) {
        if (has_scheme(contact))
            return acme_exchange_refuse(x, ACME_PROBLEM_UNSUPPORTED_CONTACT,
                                        "The contact \"%s\" is not supported; only mailto: URLs are",
                                        acme_exchange_show(x, contact));
        return acme_exchange_refuse(x, ACME_PROBLEM_INVALID_CONTACT,
                                    "The contact \"%s\" is not a URL; write mailto:name@domain",
                                    acme_exchange_show(x, contact));
    }
    const char *why = NULL;
    TRY(check_address(x, contact + sizeof mailto - 1, &why));
    if (why == NULL)
        return acme_ok();
    return acme_exchange_refuse(x, ACME_PROBLEM_INVALID_CONTACT, "The contact \"%s\" is not valid: %s",
                                acme_exchange_show(x, contact), why);
}

struct acme_err acme_contacts_check(struct acme_exchange *x, const cJSON *payload, const char **ret)
{
    const cJSON *list = acme_json_get(payload, "contact");
    if (list == NULL) {
        *ret = NULL;
        return acme_ok();
    }
    if (!cJSON_IsArray(list))
        return acme_exchange_refuse(x, ACME_PROBLEM_INVALID_CONTACT,
                                    "contact must be an array of mailto: URLs");
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, MAX_CONTACTS_JSON);
    struct acme_json_writer writer;
    acme_jw_init(&writer, &out);
    acme_jw_array(&writer, NULL);
    size_t count = 0;
    for (const cJSON *item = list->child; item != NULL; item = item->next) {
        if (!cJSON_IsString(item))
            return acme_exchange_refuse(x, ACME_PROBLEM_INVALID_CONTACT,
                                        "contact must be an array of mailto: URLs");
        if (++count > x->service->config->max_contacts)
            return acme_exchange_refuse(x, ACME_PROBLEM_INVALID_CONTACT,
                                        "An account may have at most %zu contacts",
                                        x->service->config->max_contacts);
        TRY(check_contact(x, item->valuestring));
        acme_jw_str(&writer, NULL, item->valuestring);
    }
    acme_jw_array_end(&writer);
    const char *text = acme_buf_cstr(&out);
    ENSURE(text != NULL, ACME_E_NOMEM);
    text = acme_arena_strdup(x->arena, text);
    ENSURE(text != NULL, ACME_E_NOMEM);
    *ret = text;
    return acme_ok();
}
