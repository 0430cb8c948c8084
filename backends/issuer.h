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
    const char *upstream_ref;      /* what ISSUED said of it; NULL: unknown */
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
    void (*destroy)(struct acme_issuer *issuer);
};

/* First member of every issuer's own struct. */
struct acme_issuer {
    const struct acme_issuer_class *class;
    const char *name;
    struct acme_transport transport;
    int64_t deadline_ms; /* how long an issuance may take, from finalize */
    int max_concurrency; /* calls under way at once */
};

void acme_issuer_destroy(struct acme_issuer *issuer);

#endif
