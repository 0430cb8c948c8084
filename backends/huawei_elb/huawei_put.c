/* From the beginning to DONE for an object that exists: look, put, look again. */
#include "backends/huawei_elb/huawei_internal.h"

#include <string.h>

#define KEY_PATIENCE_MS ACME_HOUR_MS
#define KEY_FIRST_MS    (2 * ACME_SECOND_MS) /* most clients write it as soon as they have the certificate */
#define KEY_MAX_MS      (5 * ACME_MINUTE_MS)
#define QUEUE_FIRST_MS  (2 * ACME_SECOND_MS)
#define QUEUE_MAX_MS    (30 * ACME_SECOND_MS)
#define MISS_FIRST_MS   (2 * ACME_SECOND_MS)
/* Between a look and its PUT after the last such PUT came too soon, and how long the look then counts. */
#define GAP_FIRST_MS    (2 * ACME_SECOND_MS)
#define GAP_MAX_MS      ACME_MINUTE_MS
#define SEEN_GOOD_MS    (2 * ACME_MINUTE_MS)

enum { MISSES_MAX = 5 };

const char *acme_huawei_certificate_id(const struct huawei_context *ctx)
{
    const struct acme_huawei_elb_config *config = &ctx->huawei->config;
    if (!config->create)
        return config->certificate_id;
    if (acme_huawei_id_right(ctx->state->certificate_id))
        return ctx->state->certificate_id;
    /* An empty text in the state: what an earlier deployment has made is gone. */
    bool gone = ctx->state->certificate_id != NULL;
    const char *target = ctx->request != NULL && !gone ? ctx->request->target : NULL;
    return acme_huawei_id_right(target) ? target : NULL;
}

/* The client that writes the file may do so some time after the certificate was issued. */
static struct acme_err wait_for_key(struct huawei_context *ctx, const char *why)
{
    struct huawei_state *state = ctx->state;
    int64_t now_ms = ctx->input->now_ms;
    if (state->key_trouble_ms == 0)
        state->key_trouble_ms = now_ms;
    if (now_ms - state->key_trouble_ms >= KEY_PATIENCE_MS)
        return acme_huawei_fail(
            ctx, acme_arena_printf(ctx->arena,
                                   "Not deployed, nothing was sent: %s. The key of the certificate has to be "
                                   "in that file, in PEM and without a passphrase; then \"acmebridge deploy "
                                   "retry\".",
                                   why));
    return acme_huawei_wait(
        ctx, acme_pace_backoff_ms(KEY_FIRST_MS, KEY_MAX_MS, state->key_looks++), false,
        acme_arena_printf(ctx->arena, "Waits for the private key, at most for an hour: %s.", why));
}

/* The key when one is to be sent; when it cannot be had the step is a wait or a failure, and *ret_go false.
 */
static struct acme_err key_or_wait(struct huawei_context *ctx, const struct huawei_material *material,
                                   const char **ret_pem, bool *ret_go)
{
    const char *why = NULL;
    const char *pem = NULL;
    *ret_go = true;
    if (ctx->huawei->config.private_key_file == NULL)
        return acme_ok();
    struct acme_err err = acme_huawei_key_read(ctx, material->certs.certs[0], &pem, &why);
    if (err.code == ACME_E_DENIED) {
        *ret_go = false;
        return wait_for_key(ctx, why);
    }
    TRY(err);
    ctx->state->key_trouble_ms = 0;
    ctx->state->key_looks = 0;
    *ret_pem = pem;
    return acme_ok();
}

/* The material of the request; *ret_go is false when the step is a failure already. */
static struct acme_err get_material(struct huawei_context *ctx, struct huawei_material *ret, bool *ret_go)
{
    const char *why = NULL;
    struct acme_err err = acme_huawei_material(ctx, ret, &why);
    *ret_go = !acme_failed(err);
    if (err.code == ACME_E_DENIED)
        return acme_huawei_fail(ctx,
                                acme_arena_printf(ctx->arena, "Not deployed, nothing was sent: %s.", why));
    return err;
}

/* One deployment of a project at a time: whoever comes later waits for this one's last look. */
static struct acme_err claim(struct huawei_context *ctx, bool *ret_go)
{
    const struct acme_job_services *services = ctx->input->services;
    ENSURE(services != NULL && services->claim != NULL, ACME_E_INTERNAL);
    size_t ahead = 0;
    TRY(services->claim(services->context, ctx->huawei->claim, &ahead));
    *ret_go = ahead == 0;
    if (ahead > 0)
        return acme_huawei_wait(
            ctx, acme_pace_backoff_ms(QUEUE_FIRST_MS, QUEUE_MAX_MS, ctx->state->queued++), false,
            acme_arena_printf(ctx->arena, "Waits for %zu other deployment%s of the same project.", ahead,
                              ahead == 1 ? "" : "s"));
    ctx->state->queued = 0;
    return acme_ok();
}

static struct acme_err put(struct huawei_context *ctx, const struct huawei_material *material,
                           const char *certificate_id)
{
    const char *key_pem = NULL;
    bool go = false;
    TRY(key_or_wait(ctx, material, &key_pem, &go));
    if (!go)
        return acme_ok();
    const struct acme_buf *body = NULL;
    TRY(acme_huawei_material_body(ctx, material, key_pem, false, &body));
    return acme_huawei_call(ctx, HUAWEI_CALL_PUT, "PUT", acme_huawei_path(ctx, certificate_id), "", body,
                            acme_arena_printf(ctx->arena, "Puts the certificate%s into object %s.",
                                              key_pem != NULL ? " and its key" : "", certificate_id));
}

/* A look before this wait has shown that the PUT may be made. */
static bool was_seen(struct huawei_context *ctx)
{
    int64_t seen_ms = ctx->state->seen_ms;
    ctx->state->seen_ms = 0;
    return seen_ms != 0 && ctx->input->now_ms >= seen_ms && ctx->input->now_ms - seen_ms <= SEEN_GOOD_MS;
}

struct acme_err acme_huawei_begin(struct huawei_context *ctx)
{
    struct huawei_material material = {.pem = NULL};
    const char *key_pem = NULL;
    bool go = false;
    TRY(get_material(ctx, &material, &go));
    if (!go)
        return acme_ok();
    TRY(key_or_wait(ctx, &material, &key_pem, &go));
    if (!go)
        return acme_ok();
    TRY(claim(ctx, &go));
    if (!go)
        return acme_ok();
    const char *id = acme_huawei_certificate_id(ctx);
    if (id == NULL && ctx->state->create_sent_ms != 0)
        return acme_huawei_list_begin(ctx, &material);
    if (id == NULL)
        return acme_huawei_create_begin(ctx, &material, key_pem);
    if (was_seen(ctx))
        return put(ctx, &material, id);
    return acme_huawei_call(ctx, HUAWEI_CALL_SHOW, "GET", acme_huawei_path(ctx, id), "", NULL,
                            acme_arena_printf(ctx->arena, "Looks at certificate object %s.", id));
}

/* ---- the object as it is ---- */

static bool same_certs(const struct acme_cert_list *a, const struct acme_cert_list *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        if (X509_cmp(a->certs[i], b->certs[i]) != 0)
            return false;
    }
    return true;
}

static bool is_in_place(const struct huawei_material *material, const struct huawei_object *object)
{
    return object->readable && same_certs(&material->certs, &object->certs) &&
           (material->domain == NULL || strcmp(material->domain, object->domain) == 0);
}

/* Why the object cannot take the certificate; *ret NULL: it can. */
static struct acme_err find_obstacle(const struct huawei_context *ctx, const struct huawei_object *object,
                                     const char **ret)
{
    const struct huawei_deployer *huawei = ctx->huawei;
    const char *why = NULL;
    if (strcmp(object->type, "server") != 0)
        why = acme_arena_printf(ctx->arena, "is of type %s, and only one of type server can have it",
                                acme_huawei_shown(ctx, object->type));
    else if (strcmp(object->protection, "nonProtection") != 0 &&
             strcmp(object->protection, "consoleProtection") != 0)
        why = acme_arena_printf(ctx->arena, "is protected against changes (%s): take that off in the console",
                                acme_huawei_shown(ctx, object->protection));
    else if (huawei->config.private_key_file != NULL)
        return acme_ok();
    else if (!object->readable)
        why =
            acme_arena_printf(ctx->arena, "shows no certificate that could be read, so it is not known "
                                          "whether its key is that of the new one: set private_key_file, or "
                                          "put a certificate of that key into it once by hand");
    else if (!acme_cert_has_spki(object->certs.certs[0], ctx->request->spki_sha256))
        why = acme_arena_printf(
            ctx->arena,
            "has another key than the new certificate, and this server has no key to give (private_key: "
            "keep). "
            "Either have the ACME client reuse its key (certbot --reuse-key, lego renew --reuse-key) and put "
            "certificate and key into the object once by hand, or set private_key_file");
    else
        return acme_ok();
    ENSURE(why != NULL, ACME_E_NOMEM);
    *ret = acme_arena_printf(ctx->arena, "Not deployed, nothing was sent: certificate object %s %s.",
                             object->id, why);
    return acme_err(*ret != NULL ? ACME_OK : ACME_E_NOMEM);
}

/* The object in the reply. FORMAT: the reply shows none, or another one. */
static struct acme_err read_object(const struct huawei_context *ctx, struct huawei_object *ret)
{
    cJSON *json = NULL;
    struct huawei_object object;
    ENSURE(ctx->input->reply->status == 200, ACME_E_FORMAT);
    TRY(acme_huawei_reply_json(ctx, &json, NULL));
    TRY(acme_huawei_object_read(ctx->arena, acme_json_get(json, "certificate"), &object));
    const char *id = acme_huawei_certificate_id(ctx);
    ENSURE(id != NULL && strcmp(object.id, id) == 0, ACME_E_FORMAT);
    *ret = object;
    return acme_ok();
}

/* What is not there any more: the operator's object cannot be replaced, one of ours is made again. */
static struct acme_err object_gone(struct huawei_context *ctx, struct huawei_verdict *verdict)
{
    if (!ctx->huawei->config.create)
        return acme_huawei_refused(ctx, verdict);
    if (ctx->state->put) { /* ELB has taken it a moment ago: it is about to show it */
        verdict->class = HUAWEI_VERDICT_FEW_TRIES;
        return acme_huawei_refused(ctx, verdict);
    }
    ctx->state->certificate_id = "";
    return acme_huawei_wait(ctx, 0, false,
                            "The certificate object made earlier is gone: another one will be made, to which "
                            "listeners have to be bound anew.");
}

static struct acme_err refused(struct huawei_context *ctx)
{
    struct huawei_verdict verdict;
    TRY(acme_huawei_judge(ctx, &verdict));
    if (verdict.class == HUAWEI_VERDICT_GONE)
        return object_gone(ctx, &verdict);
    if (ctx->state->call == HUAWEI_CALL_PUT && ctx->input->reply->status == 429)
        ctx->state->throttled++;
    return acme_huawei_refused(ctx, &verdict);
}

static void calm(struct huawei_state *state)
{
    state->failures = 0;
    state->refusals = 0;
    state->tries = 0;
    state->throttled = 0;
}

struct acme_err acme_huawei_show_reply(struct huawei_context *ctx)
{
    struct huawei_object object;
    struct acme_err err = read_object(ctx, &object);
    if (err.code == ACME_E_FORMAT)
        return refused(ctx);
    TRY(err);
    struct huawei_material material = {.pem = NULL};
    bool go = false;
    TRY(get_material(ctx, &material, &go));
    if (!go)
        return acme_ok();
    /* The failures in a row are not over: it is the PUT that may fail again and again. */
    ctx->state->refusals = 0;
    if (is_in_place(&material, &object))
        return acme_huawei_done(ctx,
                                acme_arena_printf(ctx->arena, "Certificate object %s has the certificate%s.",
                                                  object.id, ctx->state->put ? "" : " already"));
    const char *obstacle = NULL;
    TRY(find_obstacle(ctx, &object, &obstacle));
    if (obstacle != NULL)
        return acme_huawei_fail(ctx, obstacle);
    if (ctx->state->throttled > 0) {
        ctx->state->seen_ms = ctx->input->now_ms;
        return acme_huawei_wait(
            ctx, acme_pace_backoff_ms(GAP_FIRST_MS, GAP_MAX_MS, ctx->state->throttled - 1), false,
            "ELB takes few calls: waits between the look at the object and the change.");
    }
    return put(ctx, &material, object.id);
}

struct acme_err acme_huawei_verify(struct huawei_context *ctx, const char *certificate_id, const char *note)
{
    return acme_huawei_call(ctx, HUAWEI_CALL_VERIFY, "GET", acme_huawei_path(ctx, certificate_id), "", NULL,
                            note);
}

struct acme_err acme_huawei_put_reply(struct huawei_context *ctx)
{
    /* The body holds the key; what counts is what the object shows afterwards. */
    if (ctx->input->reply->status != 200)
        return refused(ctx);
    const char *id = acme_huawei_certificate_id(ctx);
    ENSURE(id != NULL, ACME_E_INTERNAL);
    calm(ctx->state);
    ctx->state->put = true;
    return acme_huawei_verify(ctx, id, "ELB has taken the certificate; looks whether the object has it.");
}

struct acme_err acme_huawei_verify_reply(struct huawei_context *ctx)
{
    struct huawei_object object;
    struct acme_err err = read_object(ctx, &object);
    if (err.code == ACME_E_FORMAT)
        return refused(ctx);
    TRY(err);
    const X509 *leaf = ctx->request->chain->certs[0];
    if (object.readable && X509_cmp(object.certs.certs[0], leaf) == 0)
        return acme_huawei_done(
            ctx, acme_arena_printf(ctx->arena, "Certificate object %s has the certificate.", object.id));
    if (++ctx->state->misses >= MISSES_MAX)
        return acme_huawei_fail(
            ctx, acme_arena_printf(ctx->arena,
                                   "ELB has taken the certificate, but object %s shows another one, time and "
                                   "again: does somebody else change it? See what its listeners use, then "
                                   "\"acmebridge deploy retry\".",
                                   object.id));
    return acme_huawei_wait(ctx, acme_pace_backoff_ms(MISS_FIRST_MS, ACME_MINUTE_MS, ctx->state->misses - 1),
                            true,
                            "ELB has taken the certificate, but the object shows another one: starts over.");
}
