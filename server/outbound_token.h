/* Bearer tokens for upstreams that want OAuth 2 (RFC 6749 section 4.4, client credentials): fetched when
 * first needed, kept in memory, renewed before they end. Private to the outbound loop. */
#ifndef ACME_SERVER_OUTBOUND_TOKEN_H
#define ACME_SERVER_OUTBOUND_TOKEN_H

#include "server/outbound_internal.h"

/* A call that waits for a token; part of it. */
struct acme_token_waiter {
    /** The token is there (`failure` NULL; valid during this call), or cannot be had: `failure` says why and
     * `kind` of which sort it is. Thread: the loop. */
    void (*ready)(struct acme_token_waiter *waiter, const char *bearer, enum acme_outbound_failure kind,
                  const char *failure);
    struct acme_token *token; /* not NULL while it waits */
    struct acme_token_waiter *next;
};

/** acme_token_get(outbound, transport, waiter): the token of transport->oauth, fetched over that transport
 * when there is none: waiter->ready is called at once or when the token endpoint has answered. Thread: the
 * loop. */
void acme_token_get(struct acme_outbound *outbound, const struct acme_transport *transport,
                    struct acme_token_waiter *waiter);

/** acme_token_forget(outbound, oauth, bearer): the upstream refused this token: fetch another next time. A
 * token that has been replaced meanwhile is kept. */
void acme_token_forget(struct acme_outbound *outbound, const struct acme_oauth *oauth, const char *bearer);

/** acme_token_cancel(waiter): it waits no longer; its `ready` is not called. */
void acme_token_cancel(struct acme_token_waiter *waiter);

/** acme_tokens_finish(outbound): release and wipe all; nobody waits any more. */
void acme_tokens_finish(struct acme_outbound *outbound);

#endif
