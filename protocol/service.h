/* The ACME server as a function: requests in, responses out (RFC 8555). No sockets, no clock of its own. */
#ifndef ACME_PROTOCOL_SERVICE_H
#define ACME_PROTOCOL_SERVICE_H

#include "base/clock.h"
#include "certs/csr.h"
#include "certs/key_check.h"
#include "protocol/challenge_types.h"
#include "protocol/message.h"
#include "protocol/nonces.h"
#include "store/store.h"

struct acme_profile {
    const char *name; /* [a-z0-9-]{1,32}: stands in URLs and in clients' command lines */
    const char *description;
    const char *issuer;
    unsigned challenges;  /* of enum acme_challenge_bit */
    unsigned identifiers; /* bits 1 << enum acme_identifier_type; 0: every type */
    struct acme_key_policy keys;
    const char *const
        *caa_issuers; /* the names by which CAA records allow this CA; none: CAA is not checked */
    size_t caa_issuer_count;
    int64_t validity_ms;
    bool allow_requested_dates; /* an order may ask for notBefore and notAfter, within validity_ms */
    int64_t issue_deadline_ms;  /* from finalize; the issuer's */
    /* A client that comes back with another key: an order for the old one, not looked at for so long, gives
     * way (0: never), and the issuer can give the new key to a certificate nobody fetched. */
    int64_t supersede_after_ms;
    bool replace;
    bool renew;                   /* a certificate for the same names is renewed rather than ordered anew */
    bool renew_same_key;          /* only one with the key of the order's CSR is */
    bool key_at_edge;             /* certificates carry a key that stays at the upstream, not the CSR's */
    const void *issuer_settings;  /* this profile's, for its type of issuer; nothing for this folder */
    const char *const *deployers; /* names of what gets its certificates; nothing for this folder */
    size_t deployer_count;
};

enum { ACME_EXTERNAL_KEY_MIN = 32, ACME_EXTERNAL_KEY_MAX = 768 };

/* A MAC key that an account outside of ACME has been given (RFC 8555 section 7.3.4). */
struct acme_external_key {
    const char *kid;
    const char *key; /* strict base64url of ACME_EXTERNAL_KEY_MIN.._MAX octets; a secret */
    bool single_use; /* for one account only */
};

struct acme_service_config {
    /* As clients see it, no trailing slash: the only source of URLs; Host is not trusted. */
    const char *base_url;
    const struct acme_profile *profiles;
    size_t profile_count;
    const char *default_profile;  /* of /directory and of orders that name none */
    const char *terms_of_service; /* URL; NULL: none, and no agreement asked for */
    bool terms_must_agree; /* accounts that agreed to other terms, or none, must agree to these first */
    const char *website;   /* NULL: none */
    const struct acme_external_key *external_keys;
    size_t external_key_count;      /* 0: externalAccountBinding is ignored */
    bool external_account_required; /* new accounts need a binding */
    int64_t order_lifetime_ms;      /* pending and ready orders, and pending authorizations */
    int64_t authz_lifetime_ms;      /* valid authorizations, from validation */
    int64_t adopt_window_ms;        /* how long an undelivered certificate may be adopted by a later order */
    int64_t challenge_hold_ms;      /* 0: never hold */
    int64_t finalize_hold_ms;       /* also of revocations; 0: never hold */
    /* A processing order has no Retry-After this long after finalize (30 s), then this one (60; 0: never). */
    int64_t retry_after_quiet_ms;
    int retry_after_processing_s;
    size_t max_identifiers;                       /* per order (100) */
    size_t max_contacts;                          /* per account (10) */
    size_t max_pending_authzs;                    /* per account, made in advance (100) */
    const struct acme_blocked_keys *blocked_keys; /* for certificates and accounts; NULL: none */
    const char *job_owner;                        /* lease owner of this process */
    int64_t job_lease_ms;
};

struct acme_service_hooks {
    void *context;
    /** A job was committed, leased to this process: the runner should start it now. The job is copied.
     * Thread: a worker. */
    void (*job_created)(void *context, const struct acme_job *job);
    /** May this name be ordered under the profile? False with *ret_why, which completes "There are no
     * certificates for x: " and lives in `arena`; NULL without memory. Must not wait for anything. NULL:
     * every name may. Thread: a worker. */
    bool (*name_allowed)(void *context, struct acme_arena *arena, const struct acme_profile *profile,
                         const struct acme_identifier *identifier, const char **ret_why);
    /** May this order of the profile, made at order_created_ms, be finalized with this key? False with
     * *ret_why, which completes "The CSR cannot be accepted: ", as above. Not asked when the profile has
     * key_at_edge. NULL: with every key. Thread: a worker. */
    bool (*csr_key_allowed)(void *context, struct acme_arena *arena, const struct acme_profile *profile,
                            const uint8_t spki_sha256[ACME_SHA256_SIZE], int64_t order_created_ms,
                            const char **ret_why);
    /** Issue at once, when the profile's issuer can without any waiting: true with the certificate that is
     * to be stored together with `issuance`, whose CSR this is. False: a job shall do it. NULL: always false.
     * Thread: a worker. */
    bool (*issue_at_once)(void *context, struct acme_arena *arena, const struct acme_profile *profile,
                          const struct acme_issuance *issuance, const struct acme_csr *csr,
                          struct acme_certificate *ret);
    /** Jobs of this queue are due in the store. Not NULL when issue_at_once is not. Thread: a worker. */
    void (*jobs_due)(void *context, const char *queue);
    /** An order of the profile was made. NULL: nobody wants to know. Thread: a worker. */
    void (*order_made)(void *context, const struct acme_profile *profile);
};

/** acme_account_url(arena, base_url, account_id): the URL of an account. NULL without memory. Thread: any. */
char *acme_account_url(struct acme_arena *arena, const char *base_url, const char *account_id);

struct acme_service;

/** acme_service_create(config, store, nonces, clock, hooks, ret): everything is borrowed and must outlive the
 * service. Errors: NOT_FOUND (default_profile is none of the profiles), NOMEM. Thread: the service may then
 * be used by any thread at any time. */
struct acme_err acme_service_create(const struct acme_service_config *config, struct acme_store *store,
                                    struct acme_nonces *nonces, const struct acme_clock *clock,
                                    const struct acme_service_hooks *hooks,
                                    struct acme_service **ret) ACME_MUST_USE;
void acme_service_destroy(struct acme_service *service);

/** acme_service_is_light(method, path): true for what needs neither store nor signature (directories,
 * newNonce, unknown paths, methods that are refused): an I/O loop answers these itself through
 * acme_service_handle. */
bool acme_service_is_light(const char *method, const char *path);

/** acme_service_handle(service, request, response): answer one request, always: failures become problem
 * documents. Everything in *response lives in request->arena. Never blocks on the network; blocks on the
 * store unless the request is light. */
void acme_service_handle(struct acme_service *service, const struct acme_request *request,
                         struct acme_response *response);

/** acme_service_held_response(service, arena, hold, hold_id, decided, response): the response to a held
 * request, with the challenge, the order or the revocation as it is now. `decided`: the authorization of the
 * challenge as its validation left it; NULL: it is read. */
void acme_service_held_response(struct acme_service *service, struct acme_arena *arena, enum acme_hold hold,
                                const char *hold_id, const struct acme_authz *decided,
                                struct acme_response *response);

/** acme_service_is_undecided(service, arena, hold, hold_id): is what a held request waits for still under
 * way? false also when that cannot be told. Thread: a worker. */
bool acme_service_is_undecided(struct acme_service *service, struct acme_arena *arena, enum acme_hold hold,
                               const char *hold_id);

/** acme_service_problem_response(service, arena, type, status, detail, response): a problem document in the
 * form every response has (index link, no-store, fresh nonce), for errors that the HTTP layer finds itself:
 * body too large, queue full. status 0: the type's own. `service` NULL (nothing is up yet): without nonce and
 * link. */
void acme_service_problem_response(struct acme_service *service, struct acme_arena *arena, int problem_type,
                                   int status, const char *detail, struct acme_response *response);

#endif
