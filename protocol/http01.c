#include "protocol/http01.h"

#include <string.h>

enum { HTTP_PORT = 80, MAX_SHOWN = 120 };

char *acme_http01_url(struct acme_arena *arena, const struct acme_identifier *identifier, const char *token,
                      int port)
{
    bool v6 = identifier->type == ACME_IDENTIFIER_IP && strchr(identifier->value, ':') != NULL;
    const char *left = v6 ? "[" : "";
    const char *right = v6 ? "]" : "";
    if (port == HTTP_PORT)
        return acme_arena_printf(arena, "http://%s%s%s/.well-known/acme-challenge/%s", left,
                                 identifier->value, right, token);
    return acme_arena_printf(arena, "http://%s%s%s:%d/.well-known/acme-challenge/%s", left, identifier->value,
                             right, port, token);
}

char *acme_key_authorization(struct acme_arena *arena, const char *token, const char *thumbprint)
{
    return acme_arena_printf(arena, "%s.%s", token, thumbprint);
}

static struct acme_err judge(enum acme_problem_type type, const char *detail, struct acme_problem *ret)
{
    ENSURE(detail != NULL, ACME_E_NOMEM);
    *ret = (struct acme_problem){.type = type, .detail = detail};
    return acme_err(ACME_E_PROBLEM);
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct acme_err acme_http01_judge(struct acme_arena *arena, int status, struct acme_bytes body,
                                  const char *key_authorization, const char *url, bool show_body,
                                  struct acme_problem *ret)
{
    size_t len = body.len;
    while (len > 0 && is_space(body.data[len - 1]))
        len--;
    if (status == 200 && len == strlen(key_authorization) && memcmp(body.data, key_authorization, len) == 0)
        return acme_ok();
    const char *shown_url = acme_printable(arena, url, strlen(url), 2 * MAX_SHOWN);
    const char *shown = show_body
                            ? acme_printable(arena, len > 0 ? (const void *)body.data : "", len, MAX_SHOWN)
                            : "(not shown after a redirect)";
    ENSURE(shown_url != NULL && shown != NULL, ACME_E_NOMEM);
    if (status != 200)
        return judge(ACME_PROBLEM_UNAUTHORIZED,
                     acme_arena_printf(
                         arena,
                         "%s answered with HTTP status %d instead of 200 and the key authorization; make "
                         "the web server serve /.well-known/acme-challenge/ from where the client puts "
                         "its files. It said: \"%s\"",
                         shown_url, status, shown),
                     ret);
    if (len == 0)
        return judge(
            ACME_PROBLEM_INCORRECT_RESPONSE,
            acme_arena_printf(arena, "%s answered with an empty body instead of the key authorization \"%s\"",
                              shown_url, key_authorization),
            ret);
    return judge(
        ACME_PROBLEM_INCORRECT_RESPONSE,
        acme_arena_printf(arena,
                          "%s answered \"%s\" instead of the key authorization \"%s\"; check that the name "
                          "leads to the host where the client runs",
                          shown_url, shown, key_authorization),
        ret);
}
