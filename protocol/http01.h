/* http-01 (RFC 8555 section 8.3): what to fetch and how to judge what came. */
#ifndef ACME_PROTOCOL_HTTP01_H
#define ACME_PROTOCOL_HTTP01_H

#include "base/identifier.h"
#include "base/problem.h"

enum {
    ACME_HTTP01_MAX_BYTES = 128 * 1024,
    ACME_HTTP01_MAX_REDIRECTS = 10,
    ACME_HTTP01_TIMEOUT_MS = 10 * 1000
};

/** acme_http01_url(arena, identifier, token, port): http://<name>[:port]/.well-known/acme-challenge/<token>;
 * the port is left out when 80. NULL without memory. */
char *acme_http01_url(struct acme_arena *arena, const struct acme_identifier *identifier, const char *token,
                      int port);

/** acme_key_authorization(arena, token, thumbprint): "token.thumbprint" (section 8.1); NULL without memory.
 */
char *acme_key_authorization(struct acme_arena *arena, const char *token, const char *thumbprint);

/** acme_http01_judge(arena, status, body, key_authorization, url, show_body, ret): compare the answer (HTTP
 * status and body) with the key authorization, ignoring trailing white space. ACME_OK when it matches; else
 * ACME_E_PROBLEM and *ret says what was seen (foreign bytes escaped and cut, and only with `show_body`: what
 * a redirect led to is not the client's to read): incorrectResponse / unauthorized. */
struct acme_err acme_http01_judge(struct acme_arena *arena, int status, struct acme_bytes body,
                                  const char *key_authorization, const char *url, bool show_body,
                                  struct acme_problem *ret) ACME_MUST_USE;

#endif
