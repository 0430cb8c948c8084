#include "certs/names.h"

#include "base/problem.h"
#include "certs/ossl.h"

#include <arpa/inet.h>
#include <string.h>

static struct acme_err read_dns(struct acme_arena *arena, const ASN1_STRING *text,
                                struct acme_identifier *ret, const char **ret_why)
{
    size_t len = (size_t)ASN1_STRING_length(text);
    const char *value = acme_arena_strndup(arena, (const char *)ASN1_STRING_get0_data(text), len);
    ENSURE(value != NULL, ACME_E_NOMEM);
    if (strlen(value) != len) {
        *ret_why = "a name holds a NUL octet";
        return acme_err(ACME_E_FORMAT);
    }
    const char *why = NULL;
    struct acme_err err = acme_identifier_parse(arena, "dns", value, ret, &why);
    if (acme_failed(err) && why != NULL) {
        const char *shown = acme_printable(arena, value, len, 80);
        const char *full = acme_arena_printf(arena, "%s: %s", why, shown != NULL ? shown : "?");
        *ret_why = full != NULL ? full : why;
    }
    return err;
}

static struct acme_err read_ip(struct acme_arena *arena, const ASN1_STRING *octets,
                               struct acme_identifier *ret, const char **ret_why)
{
    int len = ASN1_STRING_length(octets);
    char text[INET6_ADDRSTRLEN];
    if (len != 4 && len != 16) {
        *ret_why = "an IP address name has neither 4 nor 16 octets";
        return acme_err(ACME_E_FORMAT);
    }
    ENSURE(inet_ntop(len == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(octets), text, sizeof text) != NULL,
           ACME_E_INTERNAL);
    return acme_identifier_parse(arena, "ip", text, ret, ret_why);
}

struct acme_err acme_names_read(struct acme_arena *arena, X509_EXTENSION *extension,
                                struct acme_identifier **ret, size_t *ret_count, const char **ret_why)
{
    const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(extension);
    const unsigned char *at = ASN1_STRING_get0_data(value);
    const unsigned char *end = at + ASN1_STRING_length(value);
    OSSL_CLEANUP(GENERAL_NAMES) GENERAL_NAMES *names = d2i_GENERAL_NAMES(NULL, &at, end - at);
    if (names == NULL || at != end) {
        *ret_why = "the subjectAltName extension is damaged";
        return acme_err(ACME_E_FORMAT);
    }
    int total = sk_GENERAL_NAME_num(names);
    if (total > ACME_NAMES_MAX) {
        *ret_why = "too many names";
        return acme_err(ACME_E_LIMIT);
    }
    struct acme_identifier *list = acme_arena_alloc(arena, (size_t)total * sizeof *list);
    ENSURE(list != NULL, ACME_E_NOMEM);
    size_t count = 0;
    for (int i = 0; i < total; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        struct acme_identifier *one = &list[count];
        if (name->type == GEN_DNS) {
            TRY(read_dns(arena, name->d.dNSName, one, ret_why));
        } else if (name->type == GEN_IPADD) {
            TRY(read_ip(arena, name->d.iPAddress, one, ret_why));
        } else {
            *ret_why = "subjectAltName holds a kind of name other than dNSName and iPAddress";
            return acme_err(ACME_E_UNSUPPORTED);
        }
        size_t j = 0;
        while (j < count && !acme_identifier_equal(&list[j], one))
            j++;
        if (j == count)
            count++;
    }
    *ret = list;
    *ret_count = count;
    return acme_ok();
}

/* The first of `items` that is not in `set`. */
static const struct acme_identifier *first_missing(const struct acme_identifier *set, size_t set_count,
                                                   const struct acme_identifier *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t j = 0;
        while (j < set_count && !acme_identifier_equal(&set[j], &items[i]))
            j++;
        if (j == set_count)
            return &items[i];
    }
    return NULL;
}

struct acme_err acme_names_compare(struct acme_arena *arena, const char *who,
                                   const struct acme_identifier *names, size_t name_count,
                                   const struct acme_identifier *identifiers, size_t count,
                                   const char **ret_why)
{
    if (acme_identifiers_equal_sets(names, name_count, identifiers, count))
        return acme_ok();
    const struct acme_identifier *culprit = first_missing(identifiers, count, names, name_count);
    if (culprit != NULL)
        return acme_deny(
            ret_why, acme_arena_printf(arena, "%s names %s, which the order does not", who, culprit->value));
    culprit = first_missing(names, name_count, identifiers, count);
    return acme_deny(ret_why, acme_arena_printf(arena, "%s lacks the name %s of the order", who,
                                                culprit != NULL ? culprit->value : "?"));
}

struct acme_err acme_deny(const char **ret_why, const char *text)
{
    *ret_why = text != NULL ? text : "refused";
    return acme_err(ACME_E_DENIED);
}
