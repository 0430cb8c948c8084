/* What issuers and deployers share: both talk to an upstream step by step, driven by the job runner. Neither
 * does I/O: each is a function from its configuration, the request, its saved state and what just happened to
 * the next step; server/ performs the step.
 *
 * Exactly-once: a CALL marked `once` must never happen twice blindly. Before it is sent the runner commits
 * the state and the intent. When the process dies or the outcome stays unknown (timeout, dropped connection,
 * 5xx) the backend is entered with RECOVER, or CALL_FAILED / REPLY, and looks upstream for what it did before
 * it does it again. */
#ifndef ACME_BACKENDS_BACKEND_H
#define ACME_BACKENDS_BACKEND_H

#include "base/clock.h"
#include "base/http_call.h"
#include "base/json.h"
#include "base/problem.h"
#include "base/program_call.h"
#include "certs/chain.h"
#include "certs/csr.h"

/* ---- what the runner has for a backend, besides the upstream ---- */

enum acme_delegated_status {
    ACME_DELEGATED_NOT, /* DELEGATE was never stepped to under this label */
    ACME_DELEGATED_PENDING,
    ACME_DELEGATED_ISSUED,
    ACME_DELEGATED_FAILED
};

struct acme_delegated {
    enum acme_delegated_status status;
    struct acme_cert_list certs; /* ISSUED: the chain, leaf first; lives in the arena */
    struct acme_problem problem; /* FAILED */
    const char *issuer;          /* that got it */
};

/* Thread: that of the step. `context` is the services' own. */
struct acme_job_services {
    /** claim(context, object, ret_ahead): get in line for something of the upstream that only one job may
     * change at a time ("cps <host> <account> <enrollment>"), or stay there: *ret_ahead jobs come first; with
     * 0 it is ours until the job ends, over restarts too. First come, first served; issuances and deployments
     * stand in the same line. Errors: as the store's. */
    struct acme_err (*claim)(void *context, const char *object, size_t *ret_ahead);
    /** delegated(context, arena, label, ret): what became of a DELEGATE. Errors: as the store's. */
    struct acme_err (*delegated)(void *context, struct acme_arena *arena, const char *label,
                                 struct acme_delegated *ret);
    /** read_secret(context, arena, path, max_bytes, ret, ret_why): the contents of a file that holds a
     * secret, read now. *ret is wiped and released with `arena`. Errors: DENIED with *ret_why, for the
     * operator: it is not there, not readable, no regular file, larger than max_bytes, empty, or others may
     * read it (static text or in `arena`); NOMEM. */
    struct acme_err (*read_secret)(void *context, struct acme_arena *arena, const char *path,
                                   size_t max_bytes, struct acme_bytes *ret, const char **ret_why);
    void *context;
};

enum acme_decision { ACME_DECISION_ACKNOWLEDGE, ACME_DECISION_DENY };

/* What the operator said to the question of a WAIT. */
struct acme_answer {
    enum acme_decision decision;
    const char *key; /* of the question it was said to: when it is not the present one's, it does not count */
};

enum acme_step_event {
    ACME_EVENT_START, /* first entry, empty state */
    ACME_EVENT_TIMER, /* a WAIT ended, or the process restarted while nothing unrepeatable was under way */
    ACME_EVENT_REPLY, /* the last CALL was answered (any HTTP status) */
    ACME_EVENT_CALL_FAILED, /* the last CALL got no HTTP answer; `reached` tells whether it may have been
                                processed */
    ACME_EVENT_RECOVER /* the process died after an intent was committed: the once-CALL may have happened */
};

struct acme_step_input {
    enum acme_step_event event;
    int64_t now_ms;
    const struct acme_http_reply *reply; /* REPLY */
    const char *failure;                 /* CALL_FAILED: for the operator, no secrets */
    bool reached; /* CALL_FAILED: false only when surely nothing was sent (DNS, refused, TLS) */
    int attempts; /* real failures so far */
    const struct acme_program_result *ran;    /* REPLY to a RUN; `reply` is NULL then */
    const struct acme_answer *answer;         /* TIMER: not NULL when the operator has answered */
    const struct acme_job_services *services; /* NULL in tests that do not need them */
};

enum acme_step_kind {
    ACME_STEP_CALL,
    ACME_STEP_RUN,      /* a program: REPLY tells how it ended, CALL_FAILED that it could not be started */
    ACME_STEP_DELEGATE, /* of an issuance: have another issuer of this server sign a CSR; then TIMER comes
                           when that has ended, or sooner */
    ACME_STEP_WAIT,
    ACME_STEP_ISSUED, /* of an issuance */
    ACME_STEP_DONE,   /* of a revocation: the certificate is revoked; of a deployment: it is in place */
    ACME_STEP_FAILED
};

/* What only the operator can decide ("acmebridge order acknowledge"). */
struct acme_question {
    const char *key;     /* changes with what is asked, so that no answer is taken for another's */
    const char *text;    /* a sentence: what is to be decided */
    const char *details; /* plain text for people, lines: what is pending, its warnings */
    int64_t deadline_ms; /* when the upstream goes on by itself; 0: never */
};

struct acme_step {
    enum acme_step_kind kind;
    struct acme_http_call call;   /* CALL */
    bool once;                    /* CALL, RUN: commit the intent first */
    struct acme_program_call run; /* RUN */
    struct {
        const char *label;     /* unique in this issuance, at most 32 characters: the same one again changes
                                  nothing */
        const char *issuer;    /* its name */
        struct acme_bytes csr; /* DER, for the names of this issuance */
    } delegate;                /* DELEGATE */
    int64_t wait_until_ms;     /* WAIT */
    bool failure;              /* WAIT: after a real failure, so it spends an attempt */
    const struct acme_question *question; /* WAIT: what the operator is asked; NULL: nothing */
    struct acme_cert_list certs;          /* ISSUED: everything received, in any order */
    bool signed_here; /* ISSUED: nothing was received: this step signed the leaf itself, with a key known to
                         be that of its issuer in `certs`, and so it was with what is above. Then the
                         signatures of `certs` (not of `alternates`) are not verified */
    const struct acme_cert_list *alternates; /* ISSUED: other whole chains of the leaf, leaf first */
    size_t alternate_count;
    struct acme_problem problem; /* FAILED: what the client is told */
    const char *note;         /* one plain sentence for the operator: what happened, or what is waited for */
    const char *upstream_ref; /* the upstream's number for the request once known, else NULL */
    const char *target;       /* of a deployment: what later ones of this deployer shall know
                                 (acme_deploy_request.target), stored before the step is done; NULL: no news */
};

/* OAuth 2 client credentials (RFC 6749 section 4.4). The transport fetches the token and puts it into the
 * Authorization field of each call. One object is one token: whoever shares it shares the token. */
struct acme_oauth {
    const char *token_url;
    const char *client_id;
    const char *client_secret; /* never logged */
    const char *scope;         /* NULL: none */
    const char *audience;      /* NULL: none */
};

/* A password login at a Keystone v3 identity service, such as Huawei Cloud's IAM. The transport fetches the
 * token and puts it into the X-Auth-Token field of each call. Equal logins share their token, whoever has
 * them; a login that was refused is not tried again for a while, since identity services lock accounts. */
struct acme_keystone {
    const char *token_url; /* https://iam.../v3/auth/tokens */
    const char *domain;    /* the user's account */
    const char *user;
    const char *password;   /* never logged */
    const char *project;    /* the token's scope by name; NULL: by project_id */
    const char *project_id; /* likewise by number */
};

/* What the transport needs to reach an upstream; performing it is server/'s. All may be NULL. */
struct acme_transport {
    const struct acme_oauth *oauth;       /* lives as long as calls may be made */
    const struct acme_keystone *keystone; /* likewise; not with oauth */
    const char *ca_file;
    const char *proxy;
    const char *client_cert_file;
    const char *client_key_file;
};

/* ---- a look at the upstream without an order: is it set up as the configuration assumes? ---- */

enum acme_finding_level { ACME_FINDING_GOOD, ACME_FINDING_WARNING, ACME_FINDING_ERROR };

struct acme_finding {
    enum acme_finding_level level;
    const char *text; /* one plain sentence for the operator, no secrets */
};

/* A domain as the upstream has it. */
struct acme_upstream_domain {
    const char *name; /* lower-case, without "*." */
    bool validated;
    int64_t until_ms; /* when the validation ends; 0: not said */
};

/* A key that the upstream made, and for which it waits for a certificate: an order with this key can be
 * fulfilled although the key never leaves the upstream. */
struct acme_upstream_key {
    const char *profile;
    uint8_t spki_sha256[32];
};

struct acme_inspect_profile {
    const char *name;
    const struct acme_key_policy *keys;
    const void *settings; /* as acme_issue_request.profile_settings */
};

struct acme_inspect_request {
    bool domains_only;                           /* nothing but the list of domains */
    bool keys_only;                              /* nothing but the list of keys */
    const struct acme_inspect_profile *profiles; /* those that use it */
    size_t profile_count;
    const char *const *domains; /* whose validation is looked up, lower-case */
    size_t domain_count;
};

enum { ACME_FINDINGS_MAX = 200, ACME_UPSTREAM_DOMAINS_MAX = 50000 };

/* What has been found so far; zeroed at first, it grows from step to step. */
struct acme_inspection {
    int stage; /* the issuer's own, like `position` and `own` */
    int64_t position;
    void *own;
    struct acme_finding findings[ACME_FINDINGS_MAX]; /* in the order they were made */
    size_t finding_count;
    struct acme_upstream_domain *domains; /* sorted when domains_known */
    size_t domain_count;
    size_t domain_room;
    bool domains_known; /* the list is whole */
    const struct acme_upstream_key *keys;
    size_t key_count;
    bool keys_known; /* likewise */
    bool incomplete; /* the rest could not be read: worth another try before long */
};

struct acme_inspect_step {
    bool done;
    struct acme_http_call call; /* not done */
};

enum acme_domain_state {
    ACME_DOMAIN_UNKNOWN, /* not in the list */
    ACME_DOMAIN_NOT_VALIDATED,
    ACME_DOMAIN_EXPIRED,
    ACME_DOMAIN_VALIDATED
};

/** acme_finding_add(inspection, level, text): `text` is borrowed, NULL when there was no memory for
 * it. Above ACME_FINDINGS_MAX findings are dropped. Errors: NOMEM. */
struct acme_err acme_finding_add(struct acme_inspection *inspection, enum acme_finding_level level,
                                 const char *text) ACME_MUST_USE;

/** acme_upstream_domain_add(arena, inspection, domain): a copy of `domain`, whose name is put into the form
 * that is kept. Errors: NOMEM, LIMIT (ACME_UPSTREAM_DOMAINS_MAX). */
struct acme_err acme_upstream_domain_add(struct acme_arena *arena, struct acme_inspection *inspection,
                                         const struct acme_upstream_domain *domain) ACME_MUST_USE;

/** acme_upstream_domains_sort(domains, count): for acme_upstream_domain_find. */
void acme_upstream_domains_sort(struct acme_upstream_domain *domains, size_t count);

/** acme_upstream_domain_find(domains, count, name, now_ms, ret): the best there is for `name` (lower-case,
 * perhaps a wildcard) in a sorted list: a domain that is the name or above it. *ret is that entry, NULL when
 * UNKNOWN. Thread: any. */
enum acme_domain_state acme_upstream_domain_find(const struct acme_upstream_domain *domains, size_t count,
                                                 const char *name, int64_t now_ms,
                                                 const struct acme_upstream_domain **ret);

struct acme_backend;

/** inspect(backend, arena, request, inspection, input, ret): the next step of a look at the upstream. The
 * events are START, REPLY and CALL_FAILED; nothing is changed upstream. Everything in *inspection lives in
 * `arena`, which is the same for all steps. Errors: NOMEM, INTERNAL. Thread: any. */
typedef struct acme_err (*acme_backend_inspect)(const struct acme_backend *backend, struct acme_arena *arena,
                                                const struct acme_inspect_request *request,
                                                struct acme_inspection *inspection,
                                                const struct acme_step_input *input,
                                                struct acme_inspect_step *ret);

/* First member of struct acme_issuer and struct acme_deployer. */
struct acme_backend {
    const char *name; /* as in the configuration */
    struct acme_transport transport;
    int64_t deadline_ms;      /* how long one of its jobs may take */
    int max_concurrency;      /* calls under way at once */
    int requests_per_minute;  /* calls to the upstream; 0: no limit, and no pauses when it has trouble */
    int burst;                /* calls at once after a pause */
    int64_t refused_pause_ms; /* after a 401: no call for so long, doubled for each further one up to an hour:
                                 for upstreams that lock who fails to log in. 0: none */
    int login_mark;      /* 0 to 255, changes with the secret of the login (once in 256 times it does not) and
                            hardly tells anything of it: a pause after a 401 ends with a new secret */
    const char *account; /* names the account at the upstream: backends with the same text share their
                            limits, the strictest count; NULL: its own */
    acme_backend_inspect inspect; /* NULL: there is nothing to look at */
};

#endif
