/* tls-alpn-01 (RFC 8737; RFC 8738 section 6 for addresses): how to ask. certs/alpn_cert.h judges the answer.
 */
#ifndef ACME_PROTOCOL_TLS_ALPN01_H
#define ACME_PROTOCOL_TLS_ALPN01_H

#include "base/identifier.h"

#define ACME_TLS_ALPN01_PROTOCOL "acme-tls/1"

enum { ACME_TLS_ALPN01_TIMEOUT_MS = 10 * 1000, ACME_TLS_ALPN01_MAX_BYTES = 64 * 1024 };

/** acme_tls_alpn01_server_name(arena, identifier): the SNI: a name as it is, an address as its name below
 * in-addr.arpa or ip6.arpa (RFC 1034 section 3.6.1, RFC 3596 section 2.5). NULL without memory, or when an
 * address is none. Thread: any. */
const char *acme_tls_alpn01_server_name(struct acme_arena *arena, const struct acme_identifier *identifier);

#endif
