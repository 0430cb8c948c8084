/* Issuers: what turns a CSR into a certificate, and revokes it. An issuer does no I/O: it is a function from
 * its configuration, the request, its saved state and what just happened to the next step; server/ performs
 * the step.
 *
 * Exactly-once: a CALL marked `once` must never happen twice blindly. Before it is sent the runner commits
 * the state and the intent. When the process dies or the outcome stays unknown (timeout, dropped connection,
 * 5xx) the issuer is entered with RECOVER, or CALL_FAILED / REPLY, and looks upstream for what it did before
 * it does it again. */
#ifndef ACME_BACKENDS_ISSUER_H
#define ACME_BACKENDS_ISSUER_H

#include "base/clock.h"
#include "base/http_call.h"
#include "base/json.h"
#include "base/problem.h"
#include "certs/chain.h"
#include "certs/csr.h"

/* The certificate an issuance goes on from, for issuers that can do that; others make a new one. */
enum acme_earlier_use {
    ACME_EARLIER_NONE,
    ACME_EARLIER_RENEW,  /* renew it */
    ACME_EARLIER_REPLACE /* give it the key of this CSR: nobody has fetched it */
};

struct acme_earlier {
    enum acme_earlier_use use;
    const char *upstream_ref; /* not NULL unless use is NONE */
    const char *tag;          /* of the issuance that made it */
    const char *serial_hex;   /* of its certificate */
    bool too_late;            /* it was revoked since, or fetched: `use` is not begun any more */
};

struct acme_issue_request {
    const char
        *tag; /* unique per issuance, printable, at most 64 characters: written into upstream comments */
    const char *account_id;
    const char *external_kid; /* of the account's external binding; NULL: none */
    const char *order_id;
    const struct acme_csr *csr;
    const struct acme_identifier
        *identifiers; /* in the order's sequence; the first one stands for a missing CN */
    size_t identifier_count;
    int64_t not_before_ms; /* 0: the issuer's choice */
    int64_t not_after_ms;  /* 0: the issuer's or the profile's choice */
    int64_t validity_ms;   /* the profile's validity, for issuers that choose dates (local) */
    int64_t created_ms;
    int64_t deadline_ms; /* give up then */
    struct acme_earlier earlier;
    bool withdraw; /* nobody wants it any more: nothing new is begun, what is open upstream is taken back */
    /* Whether another issuance has this number of the upstream; NULL: none has. Reads the store. */
    bool (*is_taken)(void *context, const char *upstream_ref);
    void *is_taken_context;
};

struct acme_revoke_request {
    struct acme_bytes certificate; /* the leaf, DER */
    const char *serial_hex;        /* of the leaf, upper-case, the DER content octets */
    const char *upstream_ref;      /* what ISSUED said of it; NULL: unknown, or another's by now */
    int reason;                    /* RFC 5280 section 5.3.1; one that a subscriber can give */
    int64_t created_ms;
    int64_t deadline_ms; /* the certificate's end: then there is nothing left to revoke */
};

enum acme_issuer_event {
    ACME_ISSUER_START, /* first entry, empty state */
    ACME_ISSUER_TIMER, /* a WAIT ended, or the process restarted while nothing unrepeatable was under way */
    ACME_ISSUER_REPLY, /* the last CALL was answered (any HTTP status) */
    ACME_ISSUER_CALL_FAILED, /* the last CALL got no HTTP answer; `reached` tells whether it may have been
                                processed */
    ACME_ISSUER_RECOVER /* the process died after an intent was committed: the once-CALL may have happened */
};

struct acme_issuer_input {
    enum acme_issuer_event event;
    int64_t now_ms;
    const struct acme_http_reply *reply; /* REPLY */
    const char *failure;                 /* CALL_FAILED: for the operator, no secrets */
    bool reached; /* CALL_FAILED: false only when surely nothing was sent (DNS, refused, TLS) */
    int attempts; /* real failures so far */
};

enum acme_step_kind {
    ACME_STEP_CALL,
    ACME_STEP_WAIT,
    ACME_STEP_ISSUED, /* of an issuance */
    ACME_STEP_DONE,   /* of a revocation: the certificate is revoked */
    ACME_STEP_FAILED
};

struct acme_step {
    enum acme_step_kind kind;
    struct acme_http_call call;              /* CALL */
    bool once;                               /* CALL: commit the intent first */
    int64_t wait_until_ms;                   /* WAIT */
    bool failure;                            /* WAIT: after a real failure, so it spends an attempt */
    struct acme_cert_list certs;             /* ISSUED: everything received, in any order */
    const struct acme_cert_list *alternates; /* ISSUED: other whole chains of the leaf, leaf first */
    size_t alternate_count;
    struct acme_problem problem; /* FAILED: what the client is told */
    const char *note;         /* one plain sentence for the operator: what happened, or what is waited for */
    const char *upstream_ref; /* the upstream's number for the request once known, else NULL */
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

/* What the transport needs to reach an upstream; performing it is server/'s. All may be NULL. */
struct acme_transport {
    const struct acme_oauth *oauth; /* lives as long as calls may be made */
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

struct acme_inspect_profile {
    const char *name;
    const struct acme_key_policy *keys;
};

struct acme_inspect_request {
    bool domains_only;                           /* nothing but the list of domains */
    const struct acme_inspect_profile *profiles; /* those that use the issuer */
    size_t profile_count;
    const char *const *domains; /* whose validation is looked up, lower-case */
    size_t domain_count;
};

enum { ACME_FINDINGS_MAX = 200, ACME_UPSTREAM_DOMAINS_MAX = 50000 };

/* What has been found so far; zeroed at first, it grows from step to step. */
struct acme_inspection {
    int stage; /* the issuer's own, like `position` */
    int64_t position;
    struct acme_finding findings[ACME_FINDINGS_MAX]; /* in the order they were made */
    size_t finding_count;
    struct acme_upstream_domain *domains; /* sorted when domains_known */
    size_t domain_count;
    size_t domain_room;
    bool domains_known; /* the list is whole */
    bool incomplete;    /* the rest could not be read: worth another try before long */
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

struct acme_issuer;

struct acme_issuer_class {
    const char *type; /* as in the configuration: "local", "scm" */

    /** step(issuer, arena, request, state, input, ret): decide one step. `state` is a JSON object the issuer
     * may change; it is saved with every WAIT, before every once-CALL and after its outcome. Everything in
     * *ret lives in `arena` or in the issuer. Errors (only for our own failures: NOMEM, CRYPTO, INTERNAL):
     * the runner retries later. Thread: any, several at once. */
    struct acme_err (*step)(const struct acme_issuer *issuer, struct acme_arena *arena,
                            const struct acme_issue_request *request, cJSON *state,
                            const struct acme_issuer_input *input, struct acme_step *ret);

    /** revoke(issuer, arena, request, state, input, ret): the same for a revocation, which ends with DONE or
     * FAILED. What is revoked already counts as done. FAILED is for refusals that another try will not
     * change; an upstream that is away is waited for. */
    struct acme_err (*revoke)(const struct acme_issuer *issuer, struct acme_arena *arena,
                              const struct acme_revoke_request *request, cJSON *state,
                              const struct acme_issuer_input *input, struct acme_step *ret);

    /** inspect(issuer, arena, request, inspection, input, ret): the next step of a look at the upstream. The
     * events are START, REPLY and CALL_FAILED; nothing is changed upstream. Everything in *inspection lives
     * in `arena`, which is the same for all steps. Errors: NOMEM, INTERNAL. Thread: any. NULL: there is
     * nothing to look at. */
    struct acme_err (*inspect)(const struct acme_issuer *issuer, struct acme_arena *arena,
                               const struct acme_inspect_request *request, struct acme_inspection *inspection,
                               const struct acme_issuer_input *input, struct acme_inspect_step *ret);
    void (*destroy)(struct acme_issuer *issuer);
};

/* First member of every issuer's own struct. */
struct acme_issuer {
    const struct acme_issuer_class *class;
    const char *name;
    struct acme_transport transport;
    int64_t deadline_ms;     /* how long an issuance may take, from finalize */
    int max_concurrency;     /* calls under way at once */
    int requests_per_minute; /* calls to the upstream; 0: no limit, and no pauses when it has trouble */
    int burst;               /* calls at once after a pause */
    const struct acme_issuer *same_upstream; /* an earlier issuer of the runner's that uses the same upstream
                                                account: its limits are for both; NULL: none */
    bool needs_domains; /* names are refused unless the upstream has validated a domain of theirs */
};

void acme_issuer_destroy(struct acme_issuer *issuer);

#endif
