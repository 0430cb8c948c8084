/* Answers to a CA's domain validation that CPS passes on to us (its lets-encrypt-challenges): published by a
 * program of the operator's (hook), or in the DNS by an update (RFC 2136) that nsupdate of BIND makes and
 * signs (TSIG). Both are RUN steps; this module only says what to run. */
#ifndef ACME_BACKENDS_DV_PUBLISH_H
#define ACME_BACKENDS_DV_PUBLISH_H

#include "base/arena.h"
#include "base/err.h"
#include "base/program_call.h"

enum acme_dv_publication {
    ACME_DV_MANUAL, /* the operator publishes: nothing is run */
    ACME_DV_HOOK,
    ACME_DV_DNS_UPDATE
};

enum acme_dv_type { ACME_DV_HTTP01, ACME_DV_DNS01 };

enum { ACME_DV_HOOK_ARGUMENTS_MAX = 16, ACME_DV_TTL_DEFAULT = 60 };

struct acme_dv_config {
    enum acme_dv_publication publication;
    enum acme_dv_type type;  /* HOOK: which challenge is answered; DNS_UPDATE: ACME_DV_DNS01 */
    const char *const *hook; /* HOOK: an absolute path and its arguments */
    size_t hook_count;
    const char *nsupdate; /* DNS_UPDATE: absolute path of the program */
    const char *server;   /* address or name of the primary server */
    int port;             /* 0: 53 */
    const char *key_file; /* TSIG, as BIND's tsig-keygen writes it */
    const char *zone;     /* NULL: found by nsupdate */
    int ttl_s;            /* 0: ACME_DV_TTL_DEFAULT */
    int timeout_ms;       /* 0: 60 s */
};

enum acme_dv_action { ACME_DV_PUBLISH, ACME_DV_REMOVE };

/* One challenge, as the upstream says it: nothing in it is trusted. */
struct acme_dv_answer {
    enum acme_dv_type type;
    const char *domain;
    const char *token;
    const char *body; /* what http-01 serves, or the value of the TXT record */
    const char *path; /* the URL of http-01, or the name of the TXT record; a dot at its end is fine */
    const char *redirect_path; /* http-01 may redirect there instead; NULL or empty: no */
    const char *about;         /* the order, for the hook's log */
};

/** acme_dv_call(config, arena, action, answer, ret, ret_why): the program that publishes `answer` or removes
 * it. A hook gets ACMEBRIDGE_DV_ACTION (publish, remove), _TYPE (http-01, dns-01), _DOMAIN, _TOKEN, _BODY,
 * _PATH, _REDIRECT and _ORDER in its environment. Everything in *ret lives in `arena` or `config`. Errors:
 * FORMAT: the answer must not be passed on (its name, token or value is none), *ret_why says why, static;
 * STATE: `config` publishes nothing; NOMEM. Thread: any. */
struct acme_err acme_dv_call(const struct acme_dv_config *config, struct acme_arena *arena,
                             enum acme_dv_action action, const struct acme_dv_answer *answer,
                             struct acme_program_call *ret, const char **ret_why) ACME_MUST_USE;

/** acme_dv_type_name(type): "http-01", "dns-01". */
const char *acme_dv_type_name(enum acme_dv_type type);

#endif
