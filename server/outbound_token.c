#include "server/outbound_token.h"

#include "base/log.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    ARENA_BYTES = 1024 * 1024, /* for an answer taken apart */
    MAX_TOKEN_CHARS = 16 * 1024,
    MAX_BODY_BYTES = 16 * 1024,
    PAUSE_MAX_S = 3600
};

struct acme_token {
    struct acme_token *next;
    struct acme_outbound *outbound;
    const struct acme_token_kind *kind;
    struct acme_token_login login; /* tells tokens apart */
    char *text;                    /* NULL: none yet */
    int64_t renew_at_s;            /* monotonic */
    int64_t not_before_s;          /* likewise: the login was refused */
    int refusals;                  /* in a row */
    bool fetching;
    struct acme_token_waiter *waiters;
};

static int64_t monotonic_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static void wipe_text(struct acme_token *token)
{
    if (token->text != NULL)
        OPENSSL_cleanse(token->text, strlen(token->text));
    free(token->text);
    token->text = NULL;
}

struct acme_token_login acme_token_login_of(const struct acme_transport *transport)
{
    return (struct acme_token_login){.oauth = transport->oauth, .keystone = transport->keystone};
}

bool acme_token_needed(const struct acme_token_login *login)
{
    return login->oauth != NULL || login->keystone != NULL;
}

static const struct acme_token_kind *kind_of(const struct acme_token_login *login)
{
    return login->oauth != NULL ? &acme_token_oauth : &acme_token_keystone;
}

const char *acme_token_field(const struct acme_token_login *login, const char **ret_prefix)
{
    *ret_prefix = kind_of(login)->prefix;
    return kind_of(login)->field;
}

static struct acme_token *token_of(struct acme_outbound *outbound, const struct acme_token_login *login)
{
    const struct acme_token_kind *kind = kind_of(login);
    struct acme_token *token = outbound->tokens;
    while (token != NULL && (token->kind != kind || !kind->same(&token->login, login)))
        token = token->next;
    return token;
}

/* Everybody who waits is told; a waiter may ask anew while it is being told. */
static void tell(struct acme_token *token, enum acme_outbound_failure kind, const char *failure)
{
    struct acme_token_waiter *waiter = token->waiters;
    token->waiters = NULL;
    while (waiter != NULL) {
        struct acme_token_waiter *next = waiter->next;
        waiter->token = NULL;
        waiter->ready(waiter, failure == NULL ? token->text : NULL, kind, failure);
        waiter = next;
    }
}

/* A token goes into a header field as it is (RFC 6750 section 2.1). */
static bool is_token(const char *text)
{
    size_t len = text != NULL ? strlen(text) : 0;
    if (len == 0 || len > MAX_TOKEN_CHARS)
        return false;
    for (; *text != '\0'; text++)
        if (*text <= 0x20 || *text >= 0x7f)
            return false;
    return true;
}

/* NULL: the token was taken; else why not. */
static const char *read_token(struct acme_token *token, struct acme_arena *arena,
                              const struct acme_http_reply *reply)
{
    struct acme_token_grant grant = {.text = NULL};
    const char *why = token->kind->read(arena, reply, &grant);
    if (why == NULL && !is_token(grant.text))
        why = "the answer holds no bearer token";
    if (why != NULL) {
        if (grant.refused && token->kind->refused_pause_s > 0) {
            int64_t pause_s = token->kind->refused_pause_s;
            for (int i = 0; i < token->refusals && pause_s < PAUSE_MAX_S; i++)
                pause_s *= 2;
            token->refusals++;
            token->not_before_s = monotonic_s() + (pause_s < PAUSE_MAX_S ? pause_s : PAUSE_MAX_S);
        }
        return why;
    }
    int64_t margin_s = grant.life_s / 10 < grant.margin_s ? grant.life_s / 10 : grant.margin_s;
    char *copy = strdup(grant.text);
    if (copy == NULL)
        return "out of memory";
    wipe_text(token);
    token->text = copy;
    token->refusals = 0;
    token->renew_at_s = monotonic_s() + grant.life_s - margin_s;
    return NULL;
}

/* Whatever happened there, the call itself was not made. */
static void tell_failure(struct acme_token *token, enum acme_outbound_failure failure, const char *why)
{
    const char *user = NULL;
    char text[512];
    (void)snprintf(text, sizeof text, "no access token from %s: %s",
                   token->kind->describe(&token->login, &user), why);
    tell(token, failure, text);
}

static void on_answer(void *context, const struct acme_outbound_result *result)
{
    struct acme_token *token = context;
    token->fetching = false;
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(ARENA_BYTES);
    if (arena != NULL)
        acme_arena_wipe_at_end(arena);
    const char *why = "out of memory";
    int refusals = token->refusals;
    if (arena != NULL && result->failure == ACME_OUTBOUND_OK)
        why = read_token(token, arena, result->reply);
    else if (arena != NULL)
        why = result->detail != NULL ? result->detail : "no answer";
    if (why == NULL) {
        tell(token, ACME_OUTBOUND_OK, NULL);
        return;
    }
    if (result->failure == ACME_OUTBOUND_CANCELLED) {
        tell(token, ACME_OUTBOUND_CANCELLED, why);
        return;
    }
    const char *user = NULL;
    const char *url = token->kind->describe(&token->login, &user);
    acme_log(WARN, "no access token", LOG_STR("url", url), LOG_STR("client_id", user), LOG_STR("why", why));
    tell_failure(token, token->refusals > refusals ? ACME_OUTBOUND_LOGIN : ACME_OUTBOUND_CONNECT, why);
}

static struct acme_err fetch(struct acme_token *token, const struct acme_transport *transport)
{
    struct acme_transport own = *transport;
    own.oauth = NULL;
    own.keystone = NULL;
    ACME_CLEANUP_BUF struct acme_buf body;
    acme_buf_init_secret(&body, MAX_BODY_BYTES);
    struct acme_http_call call;
    ENSURE(token->kind->ask(&token->login, &body, &call) && !body.failed, ACME_E_NOMEM);
    call.body = (struct acme_bytes){.data = (const uint8_t *)body.data, .len = body.len};
    return acme_outbound_call(token->outbound, &own, &call, on_answer, token);
}

void acme_token_get(struct acme_outbound *outbound, const struct acme_transport *transport,
                    struct acme_token_waiter *waiter)
{
    const struct acme_token_login login = acme_token_login_of(transport);
    struct acme_token *token = token_of(outbound, &login);
    if (token == NULL) {
        token = calloc(1, sizeof *token);
        if (token == NULL) {
            waiter->ready(waiter, NULL, ACME_OUTBOUND_CONNECT, "out of memory");
            return;
        }
        *token = (struct acme_token){
            .next = outbound->tokens, .outbound = outbound, .kind = kind_of(&login), .login = login};
        outbound->tokens = token;
    }
    if (token->text != NULL && monotonic_s() < token->renew_at_s) {
        waiter->ready(waiter, token->text, ACME_OUTBOUND_OK, NULL);
        return;
    }
    waiter->token = token;
    waiter->next = token->waiters;
    token->waiters = waiter;
    if (token->fetching)
        return;
    if (token->refusals > 0 && monotonic_s() < token->not_before_s) {
        tell_failure(token, ACME_OUTBOUND_CONNECT, "the login was refused before and is not tried again yet");
        return;
    }
    token->fetching = true;
    struct acme_err err = fetch(token, transport);
    if (acme_failed(err)) {
        token->fetching = false;
        tell(token, err.code == ACME_E_STATE ? ACME_OUTBOUND_CANCELLED : ACME_OUTBOUND_CONNECT,
             "the access token could not be asked for");
    }
}

void acme_token_forget(struct acme_outbound *outbound, const struct acme_token_login *login,
                       const char *token)
{
    struct acme_token *known = token_of(outbound, login);
    if (known != NULL && known->text != NULL && strcmp(known->text, token) == 0)
        wipe_text(known);
}

void acme_token_cancel(struct acme_token_waiter *waiter)
{
    if (waiter->token == NULL)
        return;
    struct acme_token_waiter **at = &waiter->token->waiters;
    while (*at != NULL && *at != waiter)
        at = &(*at)->next;
    if (*at != NULL)
        *at = waiter->next;
    waiter->token = NULL;
}

void acme_tokens_finish(struct acme_outbound *outbound)
{
    while (outbound->tokens != NULL) {
        struct acme_token *token = outbound->tokens;
        outbound->tokens = token->next;
        wipe_text(token);
        free(token);
    }
}
