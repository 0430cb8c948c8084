/* Issuers: what turns a CSR into a certificate, and revokes it. See backend.h for how they are driven. */
#ifndef ACME_BACKENDS_ISSUER_H
#define ACME_BACKENDS_ISSUER_H

#include "backends/backend.h"

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
    bool same_key;            /* it has the key of this CSR */
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
    bool key_at_edge;      /* the certificate may have another key than the CSR, as one that stays upstream */
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
    const void *profile_settings; /* the profile's settings for issuers of this type; NULL: it has none */
};

struct acme_revoke_request {
    struct acme_bytes certificate; /* the leaf, DER */
    const char *serial_hex;        /* of the leaf, upper-case, the DER content octets */
    const char *upstream_ref;      /* what ISSUED said of it; NULL: unknown, or another's by now */
    int reason;                    /* RFC 5280 section 5.3.1; one that a subscriber can give */
    int64_t created_ms;
    int64_t deadline_ms; /* the certificate's end: then there is nothing left to revoke */
};

struct acme_issuer;

struct acme_issuer_class {
    const char *type; /* as in the configuration: "local", "scm", "keyfactor", "cps" */
    /* Every issuance is decided in its first step, without state (NULL), calls, or anything of the request
     * but its CSR, names, dates and deadline, and a certificate that is then lost was nobody's. */
    bool at_once;

    /** step(issuer, arena, request, state, input, ret): decide one step. `state` is a JSON object the issuer
     * may change; it is saved with every WAIT, before every once-CALL and after its outcome. Everything in
     * *ret lives in `arena` or in the issuer. Errors (only for our own failures: NOMEM, CRYPTO, INTERNAL):
     * the runner retries later. Thread: any, several at once. */
    struct acme_err (*step)(const struct acme_issuer *issuer, struct acme_arena *arena,
                            const struct acme_issue_request *request, cJSON *state,
                            const struct acme_step_input *input, struct acme_step *ret);

    /** revoke(issuer, arena, request, state, input, ret): the same for a revocation, which ends with DONE or
     * FAILED. What is revoked already counts as done. FAILED is for refusals that another try will not
     * change; an upstream that is away is waited for. */
    struct acme_err (*revoke)(const struct acme_issuer *issuer, struct acme_arena *arena,
                              const struct acme_revoke_request *request, cJSON *state,
                              const struct acme_step_input *input, struct acme_step *ret);

    void (*destroy)(struct acme_issuer *issuer);
};

/* First member of every issuer's own struct. */
struct acme_issuer {
    struct acme_backend backend; /* deadline_ms: from finalize */
    const struct acme_issuer_class *class;
    bool needs_keys;    /* orders of profiles without key_at_edge need a key that the upstream has made (see
                           acme_upstream_key); others are refused at finalize */
    bool needs_domains; /* names are refused unless the upstream has validated a domain of theirs */
};

void acme_issuer_destroy(struct acme_issuer *issuer);

#endif
