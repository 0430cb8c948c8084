/* What the handlers of ACME requests share. Private to protocol/. */
#ifndef ACME_PROTOCOL_EXCHANGE_H
#define ACME_PROTOCOL_EXCHANGE_H

#include "base/json.h"
#include "base/json_writer.h"
#include "base/log.h"
#include "protocol/jws.h"
#include "protocol/key_cache.h"
#include "protocol/service.h"

struct acme_service {
    const struct acme_service_config *config;
    struct acme_store *store;
    struct acme_nonces *nonces;
    const struct acme_clock *clock;
    struct acme_service_hooks hooks;
    struct acme_key_cache *keys;
    const struct acme_profile *default_profile;
    struct acme_arena *arena;       /* of the texts below, made once */
    const char *index_link;         /* value of the Link header every response has */
    struct acme_bytes directory;    /* of the default profile */
    struct acme_bytes *directories; /* of each profile, in the configuration's order */
};

/* One request on its way to a response. */
struct acme_exchange {
    const struct acme_service *service;
    const struct acme_request *request; /* NULL when only a response is wanted */
    struct acme_arena *arena;
    struct acme_response *response;
    int64_t now_ms;

    /* from the path */
    const char *id;                     /* of the object; "" when the path names none */
    const char *part;                   /* of that object; NULL: the whole */
    const struct acme_profile *profile; /* the path's, else the default one */
    bool profile_in_path;

    /* from the signature; see acme_request_authenticate */
    const char *url; /* what was signed, and is this request's */
    EVP_PKEY *key;
    struct acme_jwk jwk;         /* requests signed with a key of their own */
    struct acme_account account; /* requests signed by an account */
    const cJSON *payload;        /* an object, or NULL for POST-as-GET */

    /* set by acme_exchange_refuse */
    struct acme_problem problem;
    const char *subproblems;           /* JSON array, NULL when there are none */
    struct acme_header problem_header; /* one that goes with the problem; name NULL: none */
};

typedef struct acme_err (*acme_handler)(struct acme_exchange *x);

/* Who may sign a POST. */
enum acme_signer {
    ACME_SIGNER_ACCOUNT,
    ACME_SIGNER_NEW_KEY,
    ACME_SIGNER_ACCOUNT_OR_KEY /* the handler tells which by account.id, NULL with a key */
};

/* ---- request_auth.c ---- */

/** acme_request_authenticate(x, signer): all that RFC 8555 section 6 demands of a POST before its meaning
 * matters: content type, JWS form, nonce (used up), url, signer, signature, a valid account; then the payload
 * is parsed. Errors: PROBLEM and the usual ones. */
struct acme_err acme_request_authenticate(struct acme_exchange *x, enum acme_signer signer) ACME_MUST_USE;

/** acme_request_read_key(x, jwk, ret): a public key that is fit for an account. Errors: PROBLEM
 * (badPublicKey) and the usual ones. */
struct acme_err acme_request_read_key(struct acme_exchange *x, const cJSON *jwk,
                                      struct acme_jwk *ret) ACME_MUST_USE;

/* ---- respond.c ---- */

/** acme_exchange_refuse(x, type, format, ...): answer with this problem. Returns PROBLEM (or NOMEM) to be
 * passed on. */
struct acme_err acme_exchange_refuse(struct acme_exchange *x, enum acme_problem_type type, const char *format,
                                     ...) ACME_MUST_USE ACME_PRINTF(3, 4);

/** acme_exchange_no_such(x, what): the one answer for objects that do not exist and for those of other
 * accounts. */
struct acme_err acme_exchange_no_such(struct acme_exchange *x, const char *what) ACME_MUST_USE;

/** acme_exchange_deactivated(x): the one answer to a deactivated account (RFC 8555 section 7.3.6: 401). */
struct acme_err acme_exchange_deactivated(struct acme_exchange *x) ACME_MUST_USE;

/** acme_exchange_read_only(x): refuse a payload other than none or {} where a request can only read. */
struct acme_err acme_exchange_read_only(struct acme_exchange *x) ACME_MUST_USE;

/** acme_exchange_show(x, text): foreign text fit for a detail. Never NULL. */
const char *acme_exchange_show(struct acme_exchange *x, const char *text);

/** acme_exchange_url(x, path, id, suffix): an absolute URL in the arena; NULL without memory. */
char *acme_exchange_url(const struct acme_exchange *x, const char *path, const char *id, const char *suffix);

/** acme_respond_header(x, name, value): add one header. Errors: NOMEM (`value` is NULL), INTERNAL (table
 * full). */
struct acme_err acme_respond_header(struct acme_exchange *x, const char *name,
                                    const char *value) ACME_MUST_USE;

/** acme_respond_link(x, url, rel): one Link header. acme_respond_retry_after(x, seconds): one Retry-After
 * header. */
struct acme_err acme_respond_link(struct acme_exchange *x, const char *url, const char *rel) ACME_MUST_USE;
struct acme_err acme_respond_retry_after(struct acme_exchange *x, int64_t seconds) ACME_MUST_USE;

/** acme_respond_body(x, status, content_type, body): borrowed bytes that live as long as the arena. */
void acme_respond_body(struct acme_exchange *x, int status, const char *content_type, struct acme_bytes body);

/** acme_respond_json(x, status, out): the buffer's contents, copied, as application/json. Errors: NOMEM. */
struct acme_err acme_respond_json(struct acme_exchange *x, int status,
                                  const struct acme_buf *out) ACME_MUST_USE;

/** acme_respond_common(x, with_nonce, with_index): the headers every response has. Errors: NOMEM, CRYPTO. */
struct acme_err acme_respond_common(struct acme_exchange *x, bool with_nonce, bool with_index) ACME_MUST_USE;

/** acme_respond_failure(x, err, headers_kept): the response to a failed request, in place of what was begun;
 * the first `headers_kept` headers stay. Logs what the client is not told. Cannot fail. */
void acme_respond_failure(struct acme_exchange *x, struct acme_err err, size_t headers_kept);

/* ---- routes.c ---- */

/** acme_exchange_dispatch(x): find the handler for method and path and run it. */
struct acme_err acme_exchange_dispatch(struct acme_exchange *x, size_t *ret_headers_kept) ACME_MUST_USE;

/* ---- directory.c ---- */

/** acme_directory_build(service): render all directories at start. Errors: NOMEM. */
struct acme_err acme_directory_build(struct acme_service *service) ACME_MUST_USE;
const struct acme_profile *acme_profile_find(const struct acme_service *service, const char *name);

/* ---- contact.c ---- */

/** acme_contacts_check(x, payload, ret): the member `contact` of a payload as the JSON text to store; NULL
 * when it is absent. Errors: PROBLEM (invalidContact, unsupportedContact), NOMEM. */
struct acme_err acme_contacts_check(struct acme_exchange *x, const cJSON *payload,
                                    const char **ret) ACME_MUST_USE;

/* ---- terms.c (RFC 8555 section 7.3.3) ---- */

/** acme_terms_check(x): refuse what an account asks for before it has agreed to the present terms, where the
 * operator demands that (terms_must_agree); its own account, a new key and revocation stay open. Errors:
 * PROBLEM (userActionRequired). */
struct acme_err acme_terms_check(struct acme_exchange *x) ACME_MUST_USE;

/** acme_terms_agreed(x): the terms the payload agrees to; NULL: it agrees to none, or there are none. */
const char *acme_terms_agreed(const struct acme_exchange *x);

/** acme_terms_are_current(x, account): whether the account's agreement counts. */
bool acme_terms_are_current(const struct acme_exchange *x, const struct acme_account *account);

/** acme_terms_refuse(x): userActionRequired, with the Link and the URL for a person that the section demands.
 */
struct acme_err acme_terms_refuse(struct acme_exchange *x) ACME_MUST_USE;

/* ---- external_account.c (section 7.3.4) ---- */

/** acme_external_account_check(x, account): what a newAccount payload says about an external account,
 * verified and put into *account (external_kid, external_binding, external_once; all unset when none is given
 * and none is needed). Errors: PROBLEM (externalAccountRequired, malformed, unauthorized), and the usual
 * ones. */
struct acme_err acme_external_account_check(struct acme_exchange *x,
                                            struct acme_account *account) ACME_MUST_USE;

/* ---- account.c ---- */

/** acme_account_respond(x, status, account): the whole response with an account: Location and body. */
struct acme_err acme_account_respond(struct acme_exchange *x, int status,
                                     const struct acme_account *account) ACME_MUST_USE;

/* ---- account_key.c ---- */

/** acme_account_key_check(x, jwk): may this become the key of an account? For newAccount and keyChange, not
 * for keys that only sign. Errors: PROBLEM (badPublicKey: weak, or on the list of compromised keys) and the
 * usual ones. */
struct acme_err acme_account_key_check(struct acme_exchange *x, const struct acme_jwk *jwk) ACME_MUST_USE;

/** acme_account_key_is_taken(x, key, octets, ret): is it the key of any account of this server? `octets` as
 * for acme_jwk_of_key. Errors: FORMAT as there, and the usual ones. */
struct acme_err acme_account_key_is_taken(struct acme_exchange *x, EVP_PKEY *key, struct acme_bytes octets,
                                          bool *ret) ACME_MUST_USE;

/* ---- order.c, authorization.c ---- */

/** acme_order_load(x, ret): the order the path names, when it is the account's, as of now (an order left too
 * long is invalid). acme_order_as_of_now(x, order) does the latter alone. */
struct acme_err acme_order_load(struct acme_exchange *x, struct acme_order *ret) ACME_MUST_USE;
struct acme_err acme_order_as_of_now(struct acme_exchange *x, struct acme_order *order) ACME_MUST_USE;

/** acme_order_note_seen(x, order): its client has looked at it (noted once a minute at most, for
 * supersede_after_ms). */
void acme_order_note_seen(struct acme_exchange *x, const struct acme_order *order);

/** acme_order_explain(x, order): give the error of an order that ended before finalize a subproblem for each
 * name whose authorization has failed by now. Errors: the usual ones. */
struct acme_err acme_order_explain(struct acme_exchange *x, struct acme_order *order) ACME_MUST_USE;

/** acme_order_respond(x, status, order): the whole response with an order: Location, body, Retry-After. */
struct acme_err acme_order_respond(struct acme_exchange *x, int status,
                                   const struct acme_order *order) ACME_MUST_USE;

/** acme_authz_as_of_now(x, authz): pending past its time is invalid, valid past its time is expired. */
struct acme_err acme_authz_as_of_now(struct acme_exchange *x, struct acme_authz *authz) ACME_MUST_USE;

/** acme_challenge_respond(x, id, decided): the response to a triggered challenge, as it is now: in its
 * authorization `decided`, or in the store when that is NULL. Errors: the usual ones. */
struct acme_err acme_challenge_respond(struct acme_exchange *x, const char *id,
                                       const struct acme_authz *decided) ACME_MUST_USE;

/* ---- revoke.c ---- */

/** acme_revocation_respond(x, certificate_id): the response to a revokeCert whose revocation is in the store:
 * 200 without a body when it is done or will be, else a problem. Errors: PROBLEM and the usual ones. */
struct acme_err acme_revocation_respond(struct acme_exchange *x, const char *certificate_id) ACME_MUST_USE;

/* ---- handlers ---- */

struct acme_err acme_directory_get(struct acme_exchange *x);
struct acme_err acme_nonce_get(struct acme_exchange *x);
struct acme_err acme_account_new(struct acme_exchange *x);
struct acme_err acme_account_post(struct acme_exchange *x);
struct acme_err acme_account_orders(struct acme_exchange *x);
struct acme_err acme_key_change(struct acme_exchange *x);
struct acme_err acme_order_new(struct acme_exchange *x);
struct acme_err acme_order_get(struct acme_exchange *x);
struct acme_err acme_order_finalize(struct acme_exchange *x);
struct acme_err acme_authz_new(struct acme_exchange *x);
struct acme_err acme_authz_post(struct acme_exchange *x);
struct acme_err acme_challenge_post(struct acme_exchange *x);
struct acme_err acme_certificate_get(struct acme_exchange *x);
struct acme_err acme_certificate_revoke(struct acme_exchange *x);

#endif
