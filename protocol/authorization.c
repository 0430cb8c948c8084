#include "protocol/object_json.h"

#include "base/id.h"

#include <string.h>

enum {
    MAX_AUTHZ = 256 * 1024,
    RETRY_AFTER_FIRST_S = 5,
    RETRY_AFTER_LATER_S = 30,
    RETRY_AFTER_FIRST_MS = 10 * 1000,
};

static struct acme_err problem_text(struct acme_exchange *x, enum acme_problem_type type, const char *detail,
                                    const char **ret)
{
    ENSURE(detail != NULL, ACME_E_NOMEM);
    const struct acme_problem problem = {.type = type, .detail = detail};
    const char *text = acme_problem_json(x->arena, &problem);
    ENSURE(text != NULL, ACME_E_NOMEM);
    *ret = text;
    return acme_ok();
}

struct acme_err acme_authz_as_of_now(struct acme_exchange *x, struct acme_authz *authz)
{
    if (x->now_ms < authz->expires_ms)
        return acme_ok();
    if (authz->status == ACME_AUTHZ_VALID)
        authz->status = ACME_AUTHZ_EXPIRED;
    if (authz->status != ACME_AUTHZ_PENDING)
        return acme_ok();
    char when[ACME_RFC3339_SIZE];
    acme_rfc3339_format(authz->expires_ms, when);
    const char *error = NULL;
    TRY(problem_text(
        x, ACME_PROBLEM_UNAUTHORIZED,
        acme_arena_printf(x->arena,
                          "The authorization expired at %s before a challenge was completed; make a new "
                          "order",
                          when),
        &error));
    authz->status = ACME_AUTHZ_INVALID;
    for (size_t i = 0; i < authz->challenge_count; i++) {
        struct acme_challenge *challenge = &authz->challenges[i];
        challenge->status = ACME_CHALLENGE_INVALID;
        if (challenge->error == NULL)
            challenge->error = error;
    }
    return acme_ok();
}

/* By its own id, or by that of one of its challenges. */
static struct acme_err load(struct acme_exchange *x, bool by_challenge, struct acme_authz *ret)
{
    struct acme_authz authz;
    struct acme_err err = acme_err(ACME_E_NOT_FOUND);
    if (acme_id_valid(x->id))
        err = by_challenge ? acme_store_challenge_get(x->service->store, x->arena, x->id, &authz)
                           : acme_store_authz_get(x->service->store, x->arena, x->id, &authz);
    if (err.code == ACME_E_NOT_FOUND || (!acme_failed(err) && strcmp(authz.account_id, x->account.id) != 0))
        return acme_exchange_no_such(x, by_challenge ? "challenge" : "authorization");
    TRY(err);
    TRY(acme_authz_as_of_now(x, &authz));
    *ret = authz;
    return acme_ok();
}

/* Several clients count polls instead of seconds: short while a validation is usually decided, long when it
 * drags on. */
static struct acme_err advise_retry(struct acme_exchange *x, const struct acme_authz *authz)
{
    if (authz->status != ACME_AUTHZ_PENDING)
        return acme_ok();
    for (size_t i = 0; i < authz->challenge_count; i++)
        if (authz->challenges[i].status == ACME_CHALLENGE_PROCESSING)
            return acme_respond_retry_after(
                x, x->now_ms - authz->challenges[i].started_ms < RETRY_AFTER_FIRST_MS ? RETRY_AFTER_FIRST_S
                                                                                      : RETRY_AFTER_LATER_S);
    return acme_ok();
}

static struct acme_err deactivate(struct acme_exchange *x, struct acme_authz *authz)
{
    const char *error = NULL;
    TRY(problem_text(x, ACME_PROBLEM_UNAUTHORIZED,
                     acme_arena_printf(x->arena,
                                       "The client deactivated the authorization for %s; make a new order",
                                       authz->identifier.value),
                     &error));
    struct acme_err err = acme_store_authz_deactivate(x->service->store, authz->id, error);
    if (err.code != ACME_E_STATE) /* final already: the answer shows what it is */
        TRY(err);
    if (!acme_failed(err))
        acme_log(INFO, "authorization deactivated", LOG_STR("account", x->account.id),
                 LOG_STR("authz", authz->id));
    return load(x, false, authz);
}

struct acme_err acme_authz_post(struct acme_exchange *x)
{
    struct acme_authz authz;
    TRY(load(x, false, &authz));
    const char *status = acme_json_str(x->payload, "status");
    if (status != NULL && strcmp(status, "deactivated") == 0)
        TRY(deactivate(x, &authz));
    else if (status != NULL && *status != '\0')
        return acme_exchange_refuse(x, ACME_PROBLEM_MALFORMED,
                                    "The only status an authorization can be given is \"deactivated\"");
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, MAX_AUTHZ);
    acme_authz_write(x, &authz, &out);
    TRY(advise_retry(x, &authz));
    return acme_respond_json(x, 200, &out);
}

static struct acme_challenge *find_challenge(struct acme_authz *authz, const char *id)
{
    for (size_t i = 0; i < authz->challenge_count; i++)
        if (strcmp(authz->challenges[i].id, id) == 0)
            return &authz->challenges[i];
    return NULL;
}

/* Errors: STATE when another request was quicker, or the authorization has ended meanwhile. */
static struct acme_err start(struct acme_exchange *x, struct acme_challenge *challenge)
{
    const struct acme_service *service = x->service;
    char job_id[ACME_ID_SIZE];
    TRY(acme_id_new(service->clock, job_id));
    const struct acme_job job = {
        .id = job_id,
        .kind = ACME_JOB_VALIDATE,
        .subject_id = challenge->id,
        .queue = ACME_VALIDATION_QUEUE,
        .share = x->account.id,
        .run_at_ms = x->now_ms,
        .created_ms = x->now_ms,
    };
    const struct acme_lease lease = {
        .owner = service->config->job_owner,
        .until_ms = x->now_ms + service->config->job_lease_ms,
    };
    TRY(acme_store_challenge_start(service->store, challenge->id, &job, &lease, x->now_ms));
    challenge->status = ACME_CHALLENGE_PROCESSING;
    challenge->started_ms = x->now_ms;
    service->hooks.job_created(service->hooks.context, &job);
    if (service->config->challenge_hold_ms > 0) {
        x->response->hold = ACME_HOLD_CHALLENGE;
        x->response->hold_id = challenge->id;
        x->response->hold_ms = service->config->challenge_hold_ms;
    }
    return acme_ok();
}

static struct acme_err respond_challenge(struct acme_exchange *x, const struct acme_authz *authz,
                                         const struct acme_challenge *challenge)
{
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, MAX_AUTHZ);
    acme_challenge_write(x, authz, challenge, &out);
    TRY(acme_respond_link(x, acme_exchange_url(x, "/authz/", authz->id, ""), "up"));
    if (challenge->status == ACME_CHALLENGE_PROCESSING)
        TRY(advise_retry(x, authz));
    return acme_respond_json(x, 200, &out);
}

struct acme_err acme_challenge_respond(struct acme_exchange *x, const char *id,
                                       const struct acme_authz *decided)
{
    struct acme_authz authz;
    if (decided != NULL)
        authz = *decided;
    else
        TRY(acme_store_challenge_get(x->service->store, x->arena, id, &authz));
    TRY(acme_authz_as_of_now(x, &authz));
    const struct acme_challenge *challenge = find_challenge(&authz, id);
    ENSURE(challenge != NULL, ACME_E_INTERNAL);
    return respond_challenge(x, &authz, challenge);
}

/* Any object triggers: clients send {}, their key authorization, or more. POST-as-GET does not (RFC 8555
 * section 7.5.1). */
struct acme_err acme_challenge_post(struct acme_exchange *x)
{
    struct acme_authz authz;
    TRY(load(x, true, &authz));
    struct acme_challenge *challenge = find_challenge(&authz, x->id);
    ENSURE(challenge != NULL, ACME_E_INTERNAL);
    if (x->payload != NULL && authz.status == ACME_AUTHZ_PENDING &&
        challenge->status == ACME_CHALLENGE_PENDING) {
        struct acme_err err = start(x, challenge);
        if (err.code == ACME_E_STATE) {
            TRY(load(x, true, &authz));
            challenge = find_challenge(&authz, x->id);
            ENSURE(challenge != NULL, ACME_E_INTERNAL);
        } else {
            TRY(err);
        }
    }
    return respond_challenge(x, &authz, challenge);
}
