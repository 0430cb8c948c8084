#include "server/fetch_target.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static struct acme_err deny(char why[ACME_FETCH_WHY_SIZE], const char *rule)
{
    (void)snprintf(why, ACME_FETCH_WHY_SIZE, "%s", rule);
    return acme_err(ACME_E_DENIED);
}

static bool has_part(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    bool has = curl_url_get(url, part, &text, 0) == CURLUE_OK;
    curl_free(text);
    return has;
}

static bool copy_host(const char *text, char ret[ACME_FETCH_MAX_HOST + 1])
{
    size_t len = strlen(text);
    if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    if (len == 0 || len > ACME_FETCH_MAX_HOST)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && strchr("-._:", c) == NULL)
            return false;
        ret[i] = c;
    }
    ret[len] = '\0';
    return true;
}

static struct acme_err read_host(CURLU *url, struct acme_fetch_target *ret, char why[ACME_FETCH_WHY_SIZE])
{
    char *host = NULL;
    if (curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK)
        return deny(why, "the URL has no host");
    bool usable = copy_host(host, ret->host);
    curl_free(host);
    if (!usable || has_part(url, CURLUPART_ZONEID))
        return deny(why, "the URL's host is neither a DNS name nor an address");
    return acme_ok();
}

static struct acme_err read_scheme_and_port(CURLU *url, int http_port, int https_port,
                                            struct acme_fetch_target *ret, char why[ACME_FETCH_WHY_SIZE])
{
    char *text = NULL;
    ENSURE(curl_url_get(url, CURLUPART_SCHEME, &text, 0) == CURLUE_OK, ACME_E_NOMEM);
    ret->https = strcmp(text, "https") == 0;
    bool known = ret->https || strcmp(text, "http") == 0;
    curl_free(text);
    if (!known)
        return deny(why, "the URL is neither http nor https");
    ret->port = ret->https ? https_port : http_port;
    text = NULL;
    if (curl_url_get(url, CURLUPART_PORT, &text, 0) != CURLUE_OK)
        return acme_ok();
    long port = strtol(text, NULL, 10); /* digits: libcurl has parsed it */
    curl_free(text);
    if (port == ret->port)
        return acme_ok();
    (void)snprintf(why, ACME_FETCH_WHY_SIZE, "port %ld is not allowed, only %d for http and %d for https",
                   port, http_port, https_port);
    return acme_err(ACME_E_DENIED);
}

struct acme_err acme_fetch_target_read(CURLU *url, int http_port, int https_port,
                                       struct acme_fetch_target *ret, char why[ACME_FETCH_WHY_SIZE])
{
    struct acme_fetch_target target = {.url = NULL};
    TRY(read_scheme_and_port(url, http_port, https_port, &target, why));
    if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD))
        return deny(why, "the URL carries user information");
    TRY(read_host(url, &target, why));
    ENSURE(curl_url_set(url, CURLUPART_FRAGMENT, NULL, 0) == CURLUE_OK, ACME_E_NOMEM);
    ENSURE(curl_url_get(url, CURLUPART_URL, &target.url, 0) == CURLUE_OK, ACME_E_NOMEM);
    if (strlen(target.url) > ACME_FETCH_MAX_URL) {
        acme_fetch_target_finish(&target);
        return deny(why, "the URL is too long");
    }
    *ret = target;
    return acme_ok();
}

void acme_fetch_target_finish(struct acme_fetch_target *target)
{
    curl_free(target->url);
    target->url = NULL;
}

bool acme_fetch_host_addresses(const char *host, struct acme_ip_list *ret)
{
    struct acme_ip ip = {.family = AF_INET};
    if (inet_pton(AF_INET, host, ip.bytes) == 1) {
        *ret = (struct acme_ip_list){.ip = {ip}, .count = 1};
        return true;
    }
    ip.family = AF_INET6;
    if (inet_pton(AF_INET6, host, ip.bytes) == 1) {
        *ret = (struct acme_ip_list){.ip = {ip}, .count = 1};
        return true;
    }
    static const char local[] = "localhost";
    size_t len = strlen(host);
    if (len > 0 && host[len - 1] == '.')
        len--;
    size_t local_len = sizeof local - 1;
    if (len < local_len || memcmp(host + len - local_len, local, local_len) != 0 ||
        (len > local_len && host[len - local_len - 1] != '.'))
        return false;
    *ret = (struct acme_ip_list){
        .ip = {{.family = AF_INET6, .bytes = {[15] = 1}}, {.family = AF_INET, .bytes = {127, 0, 0, 1}}},
        .count = 2};
    return true;
}
