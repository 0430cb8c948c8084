/* What the files of the Huawei ELB deployer share. One deployment brings one object to the wanted state:
 *
 *   look at our side (chain, names, key file) -> claim the project -> SHOW -> already so: DONE
 *                                                                      |
 *                                                                     PUT -> VERIFY -> DONE
 *
 * and with `create`, while there is no object: CREATE (once) -> VERIFY; its outcome unknown: LIST.
 * PUT may be repeated: after any interruption everything starts over with SHOW. Where calls are so few that a
 * PUT right behind its SHOW is refused (429), the next one comes some seconds behind. */
#ifndef ACME_BACKENDS_HUAWEI_ELB_HUAWEI_INTERNAL_H
#define ACME_BACKENDS_HUAWEI_ELB_HUAWEI_INTERNAL_H

#include "backends/huawei_elb/huawei_elb.h"

#include "backends/huawei_elb/huawei_sign.h"
#include "backends/pace.h"
#include "backends/upstream_text.h"
#include "base/buf.h"

struct huawei_deployer {
    struct acme_deployer base;
    struct acme_huawei_elb_config config; /* every string is this object's own */
    const char *host;                     /* of config.url, as it stands in the Host header */
    const char *base_path;                /* of config.url; "" mostly */
    const char *claim;                    /* the project, for acme_job_services.claim */
    struct acme_secrets secrets;
    struct acme_arena *arena; /* has the strings that are no secrets */
};

/* The call under way: tells whose reply arrives. */
enum huawei_call {
    HUAWEI_CALL_NONE,
    HUAWEI_CALL_SHOW,
    HUAWEI_CALL_PUT,
    HUAWEI_CALL_VERIFY,
    HUAWEI_CALL_CREATE,
    HUAWEI_CALL_LIST,
    HUAWEI_CALL_COUNT
};

/* The saved state. */
struct huawei_state {
    enum huawei_call call;
    const char *certificate_id; /* of the object we made; NULL: not known */
    int64_t create_sent_ms;     /* 0: no CREATE whose outcome is open */
    int64_t rounds;             /* of looking for it */
    const char *marker;         /* of the list's next page; NULL: the first */
    int64_t pages;              /* of the list in this round */
    bool put;                   /* ELB has taken the certificate */
    int64_t throttled;          /* PUTs refused because there were too many calls, in a row */
    int64_t seen_ms;            /* when a look has shown that the PUT may be made; 0: not waited for */
    int64_t misses;             /* looks after that which have shown another one */
    int64_t failures;           /* in a row */
    int64_t refusals;           /* of the login, in a row */
    int64_t tries;              /* of what is worth a few tries only, in a row */
    int64_t queued;             /* looks at the line before us */
    int64_t key_trouble_ms;     /* since when the key file is not usable */
    int64_t key_looks;          /* at it since */
};

/** acme_huawei_state_load(saved, ret): Errors: none; missing members are zero. Strings are borrowed from
 * `saved`. */
void acme_huawei_state_load(const cJSON *saved, struct huawei_state *ret);
/** acme_huawei_state_store(state, saved): Errors: NOMEM, `saved` is then unchanged. */
struct acme_err acme_huawei_state_store(const struct huawei_state *state, cJSON *saved) ACME_MUST_USE;

/* One step being decided. */
struct huawei_context {
    const struct huawei_deployer *huawei;
    struct acme_arena *arena;
    const struct acme_deploy_request *request; /* NULL while inspecting */
    const struct acme_step_input *input;
    struct huawei_state *state;
    struct acme_step *step; /* being built */
};

/* ---- huawei_step.c: the outcomes ---- */

/** acme_huawei_path(ctx, certificate_id): that of one object, or of all (NULL); NULL without memory. */
const char *acme_huawei_path(const struct huawei_context *ctx, const char *certificate_id);

/** acme_huawei_request(ctx, method, path, query, body, ret): a signed call, or one for the transport's token.
 * `path` is from acme_huawei_path, `query` from acme_huawei_query or ""; body NULL: none. Errors: NOMEM,
 * CRYPTO, INTERNAL. */
struct acme_err acme_huawei_request(const struct huawei_context *ctx, const char *method, const char *path,
                                    const char *query, const struct acme_buf *body,
                                    struct acme_http_call *ret) ACME_MUST_USE;

/** acme_huawei_call(ctx, call, method, path, query, body, note): the step is this request. */
struct acme_err acme_huawei_call(struct huawei_context *ctx, enum huawei_call call, const char *method,
                                 const char *path, const char *query, const struct acme_buf *body,
                                 const char *note) ACME_MUST_USE;

/** acme_huawei_wait(ctx, delay_ms, failure, note): a Retry-After in the reply lengthens it. */
struct acme_err acme_huawei_wait(struct huawei_context *ctx, int64_t delay_ms, bool failure,
                                 const char *note) ACME_MUST_USE;

/** acme_huawei_fail(ctx, text): for the operator: what is wrong, and what to do. NULL: NOMEM. */
struct acme_err acme_huawei_fail(struct huawei_context *ctx, const char *text) ACME_MUST_USE;

/** acme_huawei_done(ctx, note): the certificate is in place. */
struct acme_err acme_huawei_done(struct huawei_context *ctx, const char *note) ACME_MUST_USE;

/** acme_huawei_unreachable(ctx): CALL_FAILED on what may be repeated: wait, then start over. */
struct acme_err acme_huawei_unreachable(struct huawei_context *ctx) ACME_MUST_USE;

/* ---- huawei_errors.c ---- */

enum huawei_verdict_class {
    HUAWEI_VERDICT_RETRY,     /* a passing trouble */
    HUAWEI_VERDICT_FEW_TRIES, /* likewise, unless it comes again and again */
    HUAWEI_VERDICT_LOGIN,     /* the login is refused: never soon again */
    HUAWEI_VERDICT_GONE,      /* there is no such object */
    HUAWEI_VERDICT_FINAL
};

/* One entry of the catalogue. */
struct huawei_rule {
    int status;       /* 0: any */
    const char *code; /* how it ends, behind "ELB." or "APIGW."; NULL: any or none */
    const char *text; /* must occur in the message, in lower case; NULL: any */
    enum huawei_verdict_class class;
    const char *gist; /* for the operator */
};

/** acme_huawei_rule_at(index): the catalogue in its order (the first match counts), NULL behind its end.
 * Static. Exists so that a test can hold docs/deploy-huawei-elb.md against it. Thread: any. */
const struct huawei_rule *acme_huawei_rule_at(size_t index);

/** acme_huawei_shown(ctx, text): a text of ELB's made fit for people; "(not shown)" when it could give a
 * secret or a piece of a key away. Never NULL. */
const char *acme_huawei_shown(const struct huawei_context *ctx, const char *text);

struct huawei_verdict {
    enum huawei_verdict_class class;
    const char *text; /* a sentence for the operator, with ELB's own words where they are harmless */
};

/** acme_huawei_judge(ctx, ret): the meaning of ctx->input->reply, which is not a usable success. Errors:
 * NOMEM. */
struct acme_err acme_huawei_judge(const struct huawei_context *ctx, struct huawei_verdict *ret) ACME_MUST_USE;

/** acme_huawei_refused(ctx, verdict): act upon a verdict on a call that changed nothing or may be repeated:
 * wait or fail. GONE fails. */
struct acme_err acme_huawei_refused(struct huawei_context *ctx,
                                    const struct huawei_verdict *verdict) ACME_MUST_USE;

/* ---- huawei_object.c: what ELB says an object is ---- */

struct huawei_object {
    const char *id;
    const char *name; /* "" for none, as the others */
    const char *description;
    const char *type; /* "server" when not said, which is ELB's default */
    const char *domain;
    const char *protection; /* of modification; "nonProtection" when not said */
    int64_t expires_ms;     /* 0: not said */
    struct acme_cert_list certs;
    bool readable; /* `certs` holds what the object has */
};

/** acme_huawei_reply_json(ctx, ret, ret_echo): the reply's body; the private keys that it echoes are
 * overwritten in *ret, and *ret_echo (NULL allowed) tells whether there were any in clear. The reply itself
 * is wiped by who owns it, after the step. Errors: FORMAT, NOMEM. */
struct acme_err acme_huawei_reply_json(const struct huawei_context *ctx, cJSON **ret,
                                       bool *ret_echo) ACME_MUST_USE;

/** acme_huawei_object_read(arena, json, ret): `json` is what stands in the member "certificate". Errors:
 * FORMAT (no object with an id), NOMEM. */
struct acme_err acme_huawei_object_read(struct acme_arena *arena, const cJSON *json,
                                        struct huawei_object *ret) ACME_MUST_USE;

/** acme_huawei_pem_read(arena, text, ret): PEM certificates, also such without line breaks, as ELB shows
 * them. Errors: FORMAT (none, or damaged), LIMIT, NOMEM. Thread: any. */
struct acme_err acme_huawei_pem_read(struct acme_arena *arena, const char *text,
                                     struct acme_cert_list *ret) ACME_MUST_USE;

/* ---- huawei_material.c: what is to be deployed ---- */

enum {
    HUAWEI_CHAIN_MAX_CHARS = 65536,
    HUAWEI_CHAIN_MAX_CERTS = 11,
    HUAWEI_KEY_MAX_CHARS = 8192,
    HUAWEI_DESCRIPTION_MAX = 255
};

struct huawei_material {
    struct acme_cert_list certs; /* leaf first, without a root */
    const char *pem;
    const char *domain;      /* NULL: left alone */
    const char *description; /* our mark */
};

/** acme_huawei_material(ctx, ret, ret_why): what the request yields. Errors: DENIED with *ret_why (ELB would
 * not take it), NOMEM. */
struct acme_err acme_huawei_material(const struct huawei_context *ctx, struct huawei_material *ret,
                                     const char **ret_why) ACME_MUST_USE;

/** acme_huawei_material_body(ctx, material, with, ret): the body of a PUT or (with->create) POST; in memory
 * that is wiped with the arena. `key_pem` NULL: none. Errors: NOMEM. */
struct acme_err acme_huawei_material_body(const struct huawei_context *ctx,
                                          const struct huawei_material *material, const char *key_pem,
                                          bool create, const struct acme_buf **ret) ACME_MUST_USE;

/* ---- huawei_key.c ---- */

/** acme_huawei_key_read(ctx, leaf, ret_pem, ret_why): the private key of config.private_key_file as PEM
 * (PKCS#8), wiped with the arena. Errors: DENIED with *ret_why (not readable, no key, encrypted, too long,
 * not that of `leaf`; NULL: not compared); NOMEM, CRYPTO; INTERNAL (no services). */
struct acme_err acme_huawei_key_read(const struct huawei_context *ctx, const X509 *leaf, const char **ret_pem,
                                     const char **ret_why) ACME_MUST_USE;

/* ---- huawei_put.c ---- */

/** acme_huawei_begin(ctx): from the beginning, whatever was under way. */
struct acme_err acme_huawei_begin(struct huawei_context *ctx) ACME_MUST_USE;
struct acme_err acme_huawei_show_reply(struct huawei_context *ctx) ACME_MUST_USE;
struct acme_err acme_huawei_put_reply(struct huawei_context *ctx) ACME_MUST_USE;
struct acme_err acme_huawei_verify_reply(struct huawei_context *ctx) ACME_MUST_USE;
/** acme_huawei_verify(ctx, certificate_id, note): ask what the object holds now. */
struct acme_err acme_huawei_verify(struct huawei_context *ctx, const char *certificate_id,
                                   const char *note) ACME_MUST_USE;
/** acme_huawei_certificate_id(ctx): of the object that is ours; NULL: none yet. */
const char *acme_huawei_certificate_id(const struct huawei_context *ctx);

/* ---- huawei_create.c ---- */

struct acme_err acme_huawei_create_begin(struct huawei_context *ctx, const struct huawei_material *material,
                                         const char *key_pem) ACME_MUST_USE;
struct acme_err acme_huawei_create_reply(struct huawei_context *ctx) ACME_MUST_USE;
struct acme_err acme_huawei_create_failed(struct huawei_context *ctx) ACME_MUST_USE;
/** acme_huawei_list_begin(ctx, material): look for the object of a CREATE whose outcome is open. */
struct acme_err acme_huawei_list_begin(struct huawei_context *ctx,
                                       const struct huawei_material *material) ACME_MUST_USE;
struct acme_err acme_huawei_list_reply(struct huawei_context *ctx) ACME_MUST_USE;

/* ---- huawei_inspect.c ---- */

struct acme_err acme_huawei_inspect(const struct acme_backend *backend, struct acme_arena *arena,
                                    const struct acme_inspect_request *request,
                                    struct acme_inspection *inspection, const struct acme_step_input *input,
                                    struct acme_inspect_step *ret) ACME_MUST_USE;

#endif
