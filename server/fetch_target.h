/* Where a validation's fetch goes: one URL, taken apart and held against the rules for such URLs. Pure. */
#ifndef ACME_SERVER_FETCH_TARGET_H
#define ACME_SERVER_FETCH_TARGET_H

#include "server/dns_message.h"

#include <curl/curl.h>

enum { ACME_FETCH_MAX_URL = 4096, ACME_FETCH_MAX_HOST = 253, ACME_FETCH_WHY_SIZE = 256 };

struct acme_fetch_target {
    char *url;                          /* without fragment; libcurl's (curl_free) */
    char host[ACME_FETCH_MAX_HOST + 1]; /* lower-case; IPv6 without brackets */
    int port;
    bool https;
};

/** acme_fetch_target_read(url, http_port, https_port, ret, why): `url` is http or https, without user
 * information, to its scheme's one port (named or not). *ret is to be released with acme_fetch_target_finish.
 * Errors: DENIED, `why` says which rule; NOMEM. */
struct acme_err acme_fetch_target_read(CURLU *url, int http_port, int https_port,
                                       struct acme_fetch_target *ret,
                                       char why[ACME_FETCH_WHY_SIZE]) ACME_MUST_USE;
void acme_fetch_target_finish(struct acme_fetch_target *target);

/** acme_fetch_host_addresses(host, ret): the addresses known without DNS: of a literal, or of localhost
 * and the names below it (RFC 6761 section 6.3; IPv6 first). False when DNS has to be asked. */
bool acme_fetch_host_addresses(const char *host, struct acme_ip_list *ret);

#endif
