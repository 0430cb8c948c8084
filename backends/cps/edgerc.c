#include "backends/cps/edgerc.h"

#include <string.h>
#include <strings.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct acme_edgerc_value trimmed(const char *text, size_t len)
{
    while (len > 0 && is_blank(*text)) {
        text++;
        len--;
    }
    while (len > 0 && is_blank(text[len - 1]))
        len--;
    return (struct acme_edgerc_value){.text = text, .len = len};
}

static bool is_text(struct acme_edgerc_value value, const char *text)
{
    return value.len == strlen(text) && memcmp(value.text, text, value.len) == 0;
}

/* Secrets are base64 and tokens have no such characters, so what follows is no part of a value. */
static struct acme_edgerc_value without_comment(struct acme_edgerc_value value)
{
    for (size_t i = 1; i < value.len; i++)
        if ((value.text[i] == '#' || value.text[i] == ';') && is_blank(value.text[i - 1]))
            return trimmed(value.text, i);
    return value;
}

static struct acme_edgerc_value unquoted(struct acme_edgerc_value value)
{
    if (value.len >= 2 && value.text[0] == '"' && value.text[value.len - 1] == '"')
        return trimmed(value.text + 1, value.len - 2);
    return value;
}

static bool is_printable(struct acme_edgerc_value value)
{
    if (value.len == 0 || value.len > ACME_EDGERC_VALUE_MAX)
        return false;
    for (size_t i = 0; i < value.len; i++)
        if (value.text[i] <= ' ' || value.text[i] > '~')
            return false;
    return true;
}

/* Without "https://" and a slash at the end. */
static bool is_host(struct acme_edgerc_value *host)
{
    static const char scheme[] = "https://";
    const size_t scheme_len = sizeof scheme - 1;
    if (host->len > scheme_len && strncasecmp(host->text, scheme, scheme_len) == 0) {
        host->text += scheme_len;
        host->len -= scheme_len;
    }
    if (host->len > 0 && host->text[host->len - 1] == '/')
        host->len--;
    for (size_t i = 0; i < host->len; i++) {
        char c = host->text[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == ':';
        if (!good)
            return false;
    }
    return host->len > 0;
}

static bool read_size(struct acme_edgerc_value value, size_t *ret)
{
    size_t size = 0;
    for (size_t i = 0; i < value.len; i++) {
        if (value.text[i] < '0' || value.text[i] > '9' || size > 100000000)
            return false;
        size = size * 10 + (size_t)(value.text[i] - '0');
    }
    *ret = size;
    return size > 0;
}

/* What was expected, or NULL when the line is taken. */
static const char *take_line(struct acme_edgerc *rc, struct acme_edgerc_value line)
{
    const char *equals = memchr(line.text, '=', line.len);
    if (equals == NULL)
        return "a line of the form \"name = value\"";
    struct acme_edgerc_value name = trimmed(line.text, (size_t)(equals - line.text));
    size_t behind = line.len - (size_t)(equals - line.text) - 1;
    struct acme_edgerc_value value = unquoted(without_comment(trimmed(equals + 1, behind)));
    const struct {
        const char *name;
        struct acme_edgerc_value *to;
    } texts[] = {{"host", &rc->host},
                 {"client_token", &rc->client_token},
                 {"client_secret", &rc->client_secret},
                 {"access_token", &rc->access_token},
                 {"account_key", &rc->account_key}};
    if (is_text(name, "max_body") || is_text(name, "max-body"))
        return read_size(value, &rc->max_body) ? NULL : "max_body to be a number of bytes";
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (!is_text(name, texts[i].name))
            continue;
        if (!is_printable(value))
            return "a value of 1 to 512 printable characters without spaces";
        *texts[i].to = value;
        if (i == 0 && !is_host(texts[i].to))
            return "host to be a host name in lower case, as akab-....luna.akamaiapis.net";
        return NULL;
    }
    return NULL;
}

static const char *missing(const struct acme_edgerc *rc)
{
    if (rc->host.text == NULL)
        return "the section to have a host";
    if (rc->client_token.text == NULL)
        return "the section to have a client_token";
    if (rc->client_secret.text == NULL)
        return "the section to have a client_secret";
    return rc->access_token.text == NULL ? "the section to have an access_token" : NULL;
}

struct acme_err acme_edgerc_read(const char *text, size_t len, const char *section, struct acme_edgerc *ret,
                                 struct acme_edgerc_mistake *ret_mistake)
{
    *ret_mistake = (struct acme_edgerc_mistake){.expected = "a file of at most 64 KiB"};
    ENSURE(len <= ACME_EDGERC_MAX_BYTES, ACME_E_FORMAT);
    static const char bom[] = "\xef\xbb\xbf";
    const char *end = text + len;
    if (len >= 3 && memcmp(text, bom, 3) == 0)
        text += 3;
    struct acme_edgerc rc = {0};
    bool inside = false;
    int found = 0; /* its line */
    for (int number = 1; text < end; number++) {
        const char *feed = memchr(text, '\n', (size_t)(end - text));
        const char *stop = feed != NULL ? feed : end;
        struct acme_edgerc_value line = trimmed(text, (size_t)(stop - text));
        text = feed != NULL ? feed + 1 : end;
        ret_mistake->line = number;
        if (line.len == 0 || *line.text == '#' || *line.text == ';')
            continue;
        if (*line.text == '[') {
            const char *bracket = memchr(line.text, ']', line.len);
            ret_mistake->expected = "a section as [name]";
            ENSURE(bracket != NULL, ACME_E_FORMAT);
            inside = is_text(trimmed(line.text + 1, (size_t)(bracket - line.text) - 1), section);
            if (inside && found == 0)
                found = number;
            continue;
        }
        if (!inside)
            continue;
        ret_mistake->expected = take_line(&rc, line);
        ENSURE(ret_mistake->expected == NULL, ACME_E_FORMAT);
    }
    ret_mistake->line = found;
    ret_mistake->expected = "the section to be there";
    ENSURE(found != 0, ACME_E_NOT_FOUND);
    ret_mistake->expected = missing(&rc);
    ENSURE(ret_mistake->expected == NULL, ACME_E_FORMAT);
    *ret = rc;
    return acme_ok();
}
