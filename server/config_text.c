#include "server/config_text.h"

#include "base/identifier.h"
#include "certs/key_check.h"
#include "server/port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *keep(struct acme_config_reader *reader, const char *text)
{
    if (text == NULL)
        reader->mistakes->nomem = true;
    return text;
}

const char *acme_config_name(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                             const char *value)
{
    size_t len = strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789-");
    if (value[len] == '\0' && len <= 32)
        return value;
    acme_config_wrong(reader, node, ACME_CONFIG_NAME_FORM);
    return NULL;
}

/* ---- files ---- */

const char *acme_config_directory(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                  const char *value)
{
    (void)node;
    return acme_config_path(reader, value);
}

const char *acme_config_readable_file(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                      const char *value)
{
    const char *path = acme_config_path(reader, value);
    if (path == NULL)
        return NULL;
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    const char *why = NULL;
    if (fd < 0 || fstat(fd, &info) != 0)
        why = strerror(errno);
    else if (!S_ISREG(info.st_mode))
        why = "not a regular file";
    if (fd >= 0)
        close(fd);
    if (why == NULL)
        return path;
    acme_mistake_add(reader->mistakes, node->line, node->column, "expected a readable file, found %s (%s)",
                     acme_mistake_quote(reader->mistakes, path), why);
    return NULL;
}

/* ---- addresses ---- */

static bool is_address(const char *text, size_t len, int family)
{
    char copy[INET6_ADDRSTRLEN];
    unsigned char binary[16];
    if (len == 0 || len >= sizeof copy)
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return inet_pton(family, copy, binary) == 1;
}

/* "1.2.3.4:5" or "[2001:db8::1]:5" taken apart; without a port *ret_port is -1 and IPv6 may stand without
 * brackets. */
static bool split_address(const char *value, const char **ret_host, size_t *ret_len, int *ret_port)
{
    const char *host = value;
    const char *end = NULL;
    int family = AF_INET;
    int port = -1;
    if (value[0] == '[') {
        host++;
        end = strchr(host, ']');
        family = AF_INET6;
        if (end == NULL)
            return false;
        if (end[1] == ':' && !acme_port_parse(end + 2, strlen(end + 2), 0, &port))
            return false;
        if (end[1] != ':' && end[1] != '\0')
            return false;
    } else if (is_address(value, strlen(value), AF_INET6)) {
        end = value + strlen(value);
        family = AF_INET6;
    } else {
        end = strchrnul(value, ':');
        if (*end == ':' && !acme_port_parse(end + 1, strlen(end + 1), 0, &port))
            return false;
    }
    if (!is_address(host, (size_t)(end - host), family))
        return false;
    *ret_host = host;
    *ret_len = (size_t)(end - host);
    *ret_port = port;
    return true;
}

const char *acme_config_listen(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                               const char *value)
{
    const char *host = NULL;
    size_t len = 0;
    int port = -1;
    if (split_address(value, &host, &len, &port) && port >= 0)
        return value;
    acme_config_wrong(reader, node, ACME_CONFIG_LISTEN_FORM);
    return NULL;
}

const char *acme_config_resolver(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                 const char *value)
{
    const char *host = NULL;
    size_t len = 0;
    int port = -1;
    const char *at = strchr(value, '@');
    if (at != NULL) {
        if ((is_address(value, (size_t)(at - value), AF_INET) ||
             is_address(value, (size_t)(at - value), AF_INET6)) &&
            acme_port_parse(at + 1, strlen(at + 1), 1, &port))
            return value;
    } else if (split_address(value, &host, &len, &port) && port != 0) {
        if (port < 0)
            return keep(reader, acme_arena_strndup(reader->arena, host, len));
        return keep(reader, acme_arena_printf(reader->arena, "%.*s@%d", (int)len, host, port));
    }
    acme_config_wrong(reader, node,
                      "a resolver's address such as 192.0.2.1, 192.0.2.1:53 or [2001:db8::1]:53");
    return NULL;
}

const char *acme_config_host_name(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                  const char *value)
{
    struct acme_identifier name = {0};
    const char *why = "not a DNS name or an address";
    bool address = is_address(value, strlen(value), AF_INET) || is_address(value, strlen(value), AF_INET6);
    struct acme_err err = acme_identifier_parse(reader->arena, address ? "ip" : "dns", value, &name, &why);
    if (!acme_failed(err))
        return name.value;
    if (err.code == ACME_E_NOMEM) {
        reader->mistakes->nomem = true;
        return NULL;
    }
    acme_mistake_add(reader->mistakes, node->line, node->column,
                     "expected a DNS name or an address, found %s (%s)",
                     acme_mistake_quote(reader->mistakes, node->text), why);
    return NULL;
}

/* ---- URLs ---- */

struct url {
    bool https;
    const char *host; /* as written; of IPv6 with the brackets */
    size_t host_len;
    int port;         /* -1: none written */
    const char *path; /* "" or from the first slash on, without query and fragment */
    size_t path_len;
    bool user; /* user information is there */
    bool rest; /* a query or fragment is there */
};

static bool is_host(const char *host, size_t len)
{
    if (len == 0 || len > 253)
        return false;
    if (host[0] == '[')
        return host[len - 1] == ']' && is_address(host + 1, len - 2, AF_INET6);
    if (is_address(host, len, AF_INET))
        return true;
    /* Labels of letters, digits and inner hyphens; the last one with a letter, so that 1.2.3 is no name. */
    bool letter = false;
    size_t label = 0;
    for (size_t i = 0; i < len; i++) {
        char c = host[i];
        bool alpha = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (c == '.') {
            if (label == 0 || host[i - 1] == '-')
                return false;
            label = 0;
            letter = false;
            continue;
        }
        if (!alpha && !(c >= '0' && c <= '9') && !(c == '-' && label > 0))
            return false;
        letter = letter || alpha;
        if (++label > 63)
            return false;
    }
    return label > 0 && host[len - 1] != '-' && letter;
}

/* Segments of unreserved characters (RFC 3986 section 2.3): our own URLs are built by adding to this path. */
static bool is_plain_path(const char *path, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = path[i];
        bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                          c == '-' || c == '.' || c == '_' || c == '~';
        if (!unreserved && c != '/')
            return false;
        if (c != '/')
            continue;
        if (i + 1 < len && path[i + 1] == '/')
            return false;
        size_t segment = 0;
        while (i + 1 + segment < len && path[i + 1 + segment] != '/')
            segment++;
        if (segment > 0 && segment <= 2 && strspn(path + i + 1, ".") >= segment)
            return false; /* "." and ".." */
    }
    return true;
}

static bool parse_url(const char *text, struct url *ret)
{
    struct url url = {.port = -1};
    if (strncasecmp(text, "https://", 8) == 0) {
        url.https = true;
        url.host = text + 8;
    } else if (strncasecmp(text, "http://", 7) == 0) {
        url.host = text + 7;
    } else {
        return false;
    }
    size_t authority = strcspn(url.host, "/?#");
    const char *end = url.host + authority;
    const char *at = memchr(url.host, '@', authority);
    if (at != NULL) {
        url.user = true;
        url.host = at + 1;
    }
    const char *host_end = url.host[0] == '[' ? memchr(url.host, ']', (size_t)(end - url.host)) : NULL;
    if (host_end != NULL)
        host_end++;
    else
        host_end = memchr(url.host, ':', (size_t)(end - url.host));
    if (host_end == NULL)
        host_end = end;
    url.host_len = (size_t)(host_end - url.host);
    if (host_end != end &&
        (*host_end != ':' || !acme_port_parse(host_end + 1, (size_t)(end - host_end - 1), 1, &url.port)))
        return false;
    url.path = end;
    url.path_len = strcspn(end, "?#");
    url.rest = end[url.path_len] != '\0';
    if (!is_host(url.host, url.host_len) || !is_plain_path(url.path, url.path_len))
        return false;
    *ret = url;
    return true;
}

static bool is_loopback(const struct url *url)
{
    static const char local[] = ".localhost";
    const size_t tail = sizeof local - 1;
    if (url->host_len == 5 && memcmp(url->host, "[::1]", 5) == 0)
        return true;
    if (is_address(url->host, url->host_len, AF_INET))
        return strncmp(url->host, "127.", 4) == 0;
    if (url->host_len == tail - 1)
        return strncasecmp(url->host, local + 1, tail - 1) == 0;
    return url->host_len > tail && strncasecmp(url->host + url->host_len - tail, local, tail) == 0;
}

/* The URL as we want it written; NULL without memory. */
static char *normal_url(struct acme_config_reader *reader, const struct url *url, bool https)
{
    size_t path_len = url->path_len;
    while (path_len > 0 && url->path[path_len - 1] == '/')
        path_len--;
    char port[16] = "";
    if (url->port >= 0 && url->port != (https ? 443 : 80))
        snprintf(port, sizeof port, ":%d", url->port);
    char *text = acme_arena_printf(reader->arena, "%s://%.*s%s%.*s", https ? "https" : "http",
                                   (int)url->host_len, url->host, port, (int)path_len, url->path);
    if (text == NULL) {
        reader->mistakes->nomem = true;
        return NULL;
    }
    char *host = strstr(text, "://") + 3;
    for (size_t i = 0; i < url->host_len; i++) {
        if (host[i] >= 'A' && host[i] <= 'Z')
            host[i] = (char)(host[i] - 'A' + 'a');
    }
    return text;
}

enum scheme { HTTPS, HTTPS_OR_LOOPBACK, HTTP };

static const char *check_url(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                             const char *value, enum scheme scheme, const char *form)
{
    struct url url;
    if (strchr(value, '@') != NULL) { /* do not show it: a password may stand before the @ */
        acme_mistake_add(reader->mistakes, node->line, node->column,
                         "expected %s, found a URL with a user name or password in it", form);
        return NULL;
    }
    if (!parse_url(value, &url) || url.user) {
        acme_config_wrong(reader, node, form);
        return NULL;
    }
    bool https = scheme == HTTPS || (scheme == HTTPS_OR_LOOPBACK && (url.https || !is_loopback(&url)));
    const char *normal = normal_url(reader, &url, https);
    if (normal == NULL || strcmp(normal, value) == 0)
        return normal;
    if (strstr(node->text, "${") != NULL) { /* a correction would show the environment */
        acme_config_wrong(reader, node, form);
        return NULL;
    }
    acme_mistake_add(reader->mistakes, node->line, node->column, "expected '%s', found %s", normal,
                     acme_mistake_quote(reader->mistakes, node->text));
    return NULL;
}

const char *acme_config_base_url(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                 const char *value)
{
    return check_url(reader, node, value, HTTPS, ACME_CONFIG_BASE_URL_FORM);
}

const char *acme_config_http_url(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                 const char *value)
{
    return check_url(reader, node, value, HTTP, ACME_CONFIG_HTTP_URL_FORM);
}

const char *acme_config_upstream_url(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                     const char *value)
{
    return check_url(reader, node, value, HTTPS_OR_LOOPBACK, ACME_CONFIG_UPSTREAM_FORM);
}

const char *acme_config_link(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                             const char *value)
{
    size_t scheme = strncmp(value, "https://", 8) == 0 ? 8 : strncmp(value, "http://", 7) == 0 ? 7 : 0;
    size_t authority = scheme > 0 ? strcspn(value + scheme, "/?#") : 0;
    if (authority > 0 && strpbrk(value, " \"<>\\^`{|}") == NULL)
        return value;
    acme_config_wrong(reader, node, ACME_CONFIG_LINK_FORM);
    return NULL;
}

const char *acme_config_proxy(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                              const char *value)
{
    static const char *const schemes[] = {"http://", "https://", "socks5h://"};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t len = strlen(schemes[i]);
        if (strncmp(value, schemes[i], len) != 0)
            continue;
        const char *at = strrchr(value, '@');
        const char *host = at != NULL ? at + 1 : value + len;
        const char *colon = strrchr(host, ':');
        int port = 0;
        if (colon != NULL && is_host(host, (size_t)(colon - host)) &&
            acme_port_parse(colon + 1, strlen(colon + 1), 1, &port))
            return value;
    }
    acme_mistake_add(reader->mistakes, node->line, node->column,
                     "expected %s, found something else (not shown)", ACME_CONFIG_PROXY_FORM);
    return NULL;
}

const char *acme_config_blocked_keys(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                     const char *value)
{
    const char *path = acme_config_readable_file(reader, node, value);
    if (path == NULL)
        return NULL;
    struct acme_blocked_keys *keys = NULL;
    size_t line = 0;
    struct acme_err err = acme_blocked_keys_load(path, &keys, &line);
    acme_blocked_keys_destroy(keys);
    if (!acme_failed(err))
        return path;
    if (err.code == ACME_E_NOMEM)
        reader->mistakes->nomem = true;
    else
        acme_mistake_add(
            reader->mistakes, node->line, node->column,
            "expected a list of keys, one of 64 or 20 hexadecimal digits a line, found %s (%s%zu)",
            acme_mistake_quote(reader->mistakes, path),
            err.code == ACME_E_LIMIT ? "too many keys, line " : "line ", line);
    return NULL;
}
