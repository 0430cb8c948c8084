/* Ids and domain names in the form ELB asks for. */
#include "backends/huawei_elb/huawei_internal.h"

#include <ctype.h>
#include <string.h>

enum { LABEL_MAX = 63, NAMES_MAX = 100, CHARS_MAX = 10000, NAMES_MAX_2024 = 30, CHARS_MAX_2024 = 1024 };

bool acme_huawei_id_right(const char *text)
{
    if (text == NULL)
        return false;
    size_t len = 0;
    while (len <= ACME_HUAWEI_ID_CHARS && isalnum((unsigned char)text[len]))
        len++;
    return len == ACME_HUAWEI_ID_CHARS && text[len] == '\0';
}

const char *acme_huawei_domain_wrong(const char *name)
{
    const char *at = strncmp(name, "*.", 2) == 0 ? name + 2 : name;
    for (;;) {
        size_t len = strcspn(at, ".");
        if (len == 0 || len > LABEL_MAX)
            return "a domain name with labels of 1 to 63 characters";
        for (size_t i = 0; i < len; i++) {
            bool edge = i == 0 || i == len - 1;
            if (!isalnum((unsigned char)at[i]) && (at[i] != '-' || edge))
                return "a domain name whose labels have letters, digits and inner hyphens, perhaps after a "
                       "leading \"*.\"";
        }
        if (at[len] == '\0')
            return NULL;
        at += len + 1;
    }
}

struct acme_err acme_huawei_domains_join(struct acme_arena *arena, const char *const *names, size_t count,
                                         bool limits_2024, const char **ret, const char **ret_why)
{
    size_t max_names = limits_2024 ? NAMES_MAX_2024 : NAMES_MAX;
    size_t max_chars = limits_2024 ? CHARS_MAX_2024 : CHARS_MAX;
    size_t chars = 0;
    for (size_t i = 0; i < count; i++)
        chars += strlen(names[i]) + (i > 0);
    if (count > max_names || chars > max_chars) {
        *ret_why = acme_arena_printf(arena,
                                     "%zu names of %zu characters are more than the %zu names of %zu "
                                     "characters that ELB takes as domains",
                                     count, chars, max_names, max_chars);
        return acme_err(*ret_why != NULL ? ACME_E_LIMIT : ACME_E_NOMEM);
    }
    char *text = acme_arena_alloc(arena, chars + 1);
    ENSURE(text != NULL, ACME_E_NOMEM);
    char *at = text;
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(names[i]);
        if (i > 0)
            *at++ = ',';
        memcpy(at, names[i], len);
        at += len;
    }
    *ret = text;
    return acme_ok();
}
