/* Tokens for upstreams that want one with each call: fetched when first needed, kept in memory, renewed
 * before they end. Private to the outbound loop. */
#ifndef ACME_SERVER_OUTBOUND_TOKEN_H
#define ACME_SERVER_OUTBOUND_TOKEN_H

#include "server/outbound_internal.h"

#include "base/buf.h"

/* What a token is got with: at most one of them. */
struct acme_token_login {
    const struct acme_oauth *oauth;
    const struct acme_keystone *keystone;
};

/* A call that waits for a token; part of it. */
struct acme_token_waiter {
    /** The token is there (`failure` NULL; valid during this call), or cannot be had: `failure` says why and
     * `kind` of which sort it is. Thread: the loop. */
    void (*ready)(struct acme_token_waiter *waiter, const char *token, enum acme_outbound_failure kind,
                  const char *failure);
    struct acme_token *token; /* not NULL while it waits */
    struct acme_token_waiter *next;
};

/** acme_token_login_of(transport): that of its calls; acme_token_needed tells whether there is one. */
struct acme_token_login acme_token_login_of(const struct acme_transport *transport);
bool acme_token_needed(const struct acme_token_login *login);

/** acme_token_field(login, ret_value): the field that carries the token: its name, and what stands before the
 * token. Static. */
const char *acme_token_field(const struct acme_token_login *login, const char **ret_prefix);

/** acme_token_get(outbound, transport, waiter): the token of the transport's login, fetched over that
 * transport when there is none: waiter->ready is called at once or when the token endpoint has answered.
 * Thread: the loop. */
void acme_token_get(struct acme_outbound *outbound, const struct acme_transport *transport,
                    struct acme_token_waiter *waiter);

/** acme_token_forget(outbound, login, token): the upstream refused this token: fetch another next time. A
 * token that has been replaced meanwhile is kept. */
void acme_token_forget(struct acme_outbound *outbound, const struct acme_token_login *login,
                       const char *token);

/** acme_token_cancel(waiter): it waits no longer; its `ready` is not called. */
void acme_token_cancel(struct acme_token_waiter *waiter);

/** acme_tokens_finish(outbound): release and wipe all; nobody waits any more. */
void acme_tokens_finish(struct acme_outbound *outbound);

/* ---- the kinds of logins: outbound_oauth.c, outbound_keystone.c ---- */

struct acme_token_grant {
    const char *text;
    int64_t life_s;
    int64_t margin_s; /* renewed this long before its end, or after nine tenths of its life */
    bool refused;     /* not granted, because of the login itself */
};

struct acme_token_kind {
    const char *field;       /* that carries the token */
    const char *prefix;      /* before it */
    int64_t refused_pause_s; /* how long a refused login is not tried again, doubled up to an hour; 0: it is
                                tried at any time */
    /** same(a, b): the token of one login is that of the other. */
    bool (*same)(const struct acme_token_login *a, const struct acme_token_login *b);
    /** describe(login, ret_user): where the token comes from, and for whom. */
    const char *(*describe)(const struct acme_token_login *login, const char **ret_user);
    /** ask(login, body, call): method, URL, fields and time limits; `body` gets the body. False: no room. */
    bool (*ask)(const struct acme_token_login *login, struct acme_buf *body, struct acme_http_call *call);
    /** read(arena, reply, ret): NULL when the token was granted, else why not, in words without the answer's
     * text but for an error code of the protocol's own. */
    const char *(*read)(struct acme_arena *arena, const struct acme_http_reply *reply,
                        struct acme_token_grant *ret);
};

extern const struct acme_token_kind acme_token_oauth;
extern const struct acme_token_kind acme_token_keystone;

#endif
