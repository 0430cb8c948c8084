#include "order.h"
#include "stats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ORDER_ARENA_BYTES = 512 * 1024,
    POLL_ARENA_BYTES = 128 * 1024,
    POLL_FIRST_US = 1000,
    POLL_MAX_US = 5000
};

const char *acme_bench_step_name(enum acme_bench_step step)
{
    static const char *const names[ACME_BENCH_STEP_COUNT] = {
        [ACME_BENCH_NEW_ORDER] = "new-order",     [ACME_BENCH_AUTHORIZATION] = "authorization",
        [ACME_BENCH_CHALLENGE] = "challenge",     [ACME_BENCH_VALIDATION] = "validation",
        [ACME_BENCH_FINALIZE] = "finalize",       [ACME_BENCH_ISSUANCE] = "issuance",
        [ACME_BENCH_CERTIFICATE] = "certificate", [ACME_BENCH_ORDER] = "order",
    };
    return names[step];
}

static const char *problem_detail(const cJSON *object)
{
    const cJSON *error = acme_json_get(object, "error");
    const cJSON *challenge = NULL;
    cJSON_ArrayForEach(challenge, acme_json_get(object, "challenges"))
    {
        if (error == NULL)
            error = acme_json_get(challenge, "error");
    }
    const char *detail = acme_json_str(error, "detail");
    return detail != NULL ? detail : "no error given";
}

/* Reads the object until it is valid. `ret_certificate` (may be NULL) gets the order's certificate URL. */
static struct acme_err poll_valid(struct acme_bench_session *session, struct acme_arena *arena,
                                  const char *url, int timeout_ms, const char **ret_certificate)
{
    int64_t deadline_ns = acme_bench_now_ns() + (int64_t)timeout_ms * 1000000;
    for (int64_t pause_us = POLL_FIRST_US;; pause_us = pause_us * 3 / 2) {
        acme_bench_sleep_us(pause_us < POLL_MAX_US ? pause_us : POLL_MAX_US);
        if (pause_us > POLL_MAX_US)
            pause_us = POLL_MAX_US;
        ACME_CLEANUP_ARENA struct acme_arena *scratch = acme_arena_create(POLL_ARENA_BYTES);
        ENSURE(scratch != NULL, ACME_E_NOMEM);
        struct acme_bench_reply reply;
        TRY(acme_bench_session_post(session, scratch, url, NULL, &reply));
        const char *status = acme_json_str(reply.json, "status");
        if (status == NULL)
            return ACME_BENCH_FAIL(session, ACME_E_FORMAT, "%.300s: no status", url);
        if (strcmp(status, "valid") == 0) {
            if (ret_certificate == NULL)
                return acme_ok();
            const char *certificate = acme_json_str(reply.json, "certificate");
            if (certificate == NULL)
                return ACME_BENCH_FAIL(session, ACME_E_FORMAT, "%.300s: valid without a certificate", url);
            *ret_certificate = acme_arena_strdup(arena, certificate);
            return acme_err(*ret_certificate != NULL ? ACME_OK : ACME_E_NOMEM);
        }
        if (strcmp(status, "pending") != 0 && strcmp(status, "processing") != 0 &&
            strcmp(status, "ready") != 0)
            return ACME_BENCH_FAIL(session, ACME_E_STATE, "%.200s is %.20s: %.250s", url, status,
                                   problem_detail(reply.json));
        if (acme_bench_now_ns() > deadline_ns)
            return ACME_BENCH_FAIL(session, ACME_E_BUSY, "%.300s is still %.20s after %d ms", url, status,
                                   timeout_ms);
    }
}

static const cJSON *find_http01(const cJSON *authorization)
{
    const cJSON *challenge = NULL;
    cJSON_ArrayForEach(challenge, acme_json_get(authorization, "challenges"))
    {
        const char *type = acme_json_str(challenge, "type");
        if (type != NULL && strcmp(type, "http-01") == 0)
            return challenge;
    }
    return NULL;
}

/* Authorizations that are valid already (a server may re-use them) cost one request and no validation. */
static struct acme_err authorize(struct acme_bench_session *session, struct acme_arena *arena,
                                 struct acme_bench_responder *responder, const char *url, int timeout_ms,
                                 struct acme_bench_order *order, int64_t *mark_ns)
{
    struct acme_bench_reply reply;
    TRY(acme_bench_session_post(session, arena, url, NULL, &reply));
    order->ms[ACME_BENCH_AUTHORIZATION] = acme_bench_lap_ms(mark_ns);
    const char *status = acme_json_str(reply.json, "status");
    if (status != NULL && strcmp(status, "valid") == 0)
        return acme_ok();
    const cJSON *challenge = find_http01(reply.json);
    const char *token = acme_json_str(challenge, "token");
    const char *challenge_url = acme_json_str(challenge, "url");
    if (token == NULL || challenge_url == NULL)
        return ACME_BENCH_FAIL(session, ACME_E_FORMAT, "%.300s: no http-01 challenge", url);
    TRY(acme_bench_responder_add(responder, token, session->account->thumbprint));
    struct acme_err err = acme_bench_session_post(session, arena, challenge_url, "{}", &reply);
    if (!acme_failed(err)) {
        order->ms[ACME_BENCH_CHALLENGE] = acme_bench_lap_ms(mark_ns);
        err = poll_valid(session, arena, url, timeout_ms, NULL);
    }
    acme_bench_responder_remove(responder, token);
    if (!acme_failed(err))
        order->ms[ACME_BENCH_VALIDATION] = acme_bench_lap_ms(mark_ns);
    return err;
}

static struct acme_err finalize(struct acme_bench_session *session, struct acme_arena *arena,
                                const char *order_url, const char *finalize_url, int timeout_ms,
                                struct acme_bench_order *order, int64_t *mark_ns,
                                const char **ret_certificate)
{
    const char *payload = acme_arena_printf(arena, "{\"csr\":\"%s\"}", order->csr);
    ENSURE(payload != NULL, ACME_E_NOMEM);
    struct acme_bench_reply reply;
    TRY(acme_bench_session_post(session, arena, finalize_url, payload, &reply));
    order->ms[ACME_BENCH_FINALIZE] = acme_bench_lap_ms(mark_ns);
    const char *status = acme_json_str(reply.json, "status");
    const char *certificate = acme_json_str(reply.json, "certificate");
    if (status != NULL && strcmp(status, "valid") == 0 && certificate != NULL)
        *ret_certificate = certificate;
    else
        TRY(poll_valid(session, arena, order_url, timeout_ms, ret_certificate));
    order->ms[ACME_BENCH_ISSUANCE] = acme_bench_lap_ms(mark_ns);
    return acme_ok();
}

struct acme_err acme_bench_order_run(struct acme_bench_session *session,
                                     struct acme_bench_responder *responder, struct acme_bench_order *order,
                                     int timeout_ms)
{
    ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(ORDER_ARENA_BYTES);
    ENSURE(arena != NULL, ACME_E_NOMEM);
    int64_t start_ns = acme_bench_now_ns();
    int64_t mark_ns = start_ns;

    const char *payload =
        acme_arena_printf(arena, "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"%s\"}]}", order->name);
    ENSURE(payload != NULL, ACME_E_NOMEM);
    struct acme_bench_reply reply;
    TRY(acme_bench_session_post(session, arena, session->directory->new_order, payload, &reply));
    order->ms[ACME_BENCH_NEW_ORDER] = acme_bench_lap_ms(&mark_ns);
    const char *order_url = reply.location;
    const char *finalize_url = acme_json_str(reply.json, "finalize");
    const cJSON *authorizations = acme_json_get(reply.json, "authorizations");
    if (order_url[0] == '\0' || finalize_url == NULL || cJSON_GetArraySize(authorizations) != 1)
        return ACME_BENCH_FAIL(session, ACME_E_FORMAT,
                               "newOrder: Location, finalize or the one authorization is missing");
    const char *authorization_url = cJSON_GetStringValue(cJSON_GetArrayItem(authorizations, 0));
    if (authorization_url == NULL)
        return ACME_BENCH_FAIL(session, ACME_E_FORMAT, "newOrder: the authorization is not a URL");

    TRY(authorize(session, arena, responder, authorization_url, timeout_ms, order, &mark_ns));
    const char *certificate_url = NULL;
    TRY(finalize(session, arena, order_url, finalize_url, timeout_ms, order, &mark_ns, &certificate_url));
    TRY(acme_bench_session_post(session, arena, certificate_url, NULL, &reply));
    order->ms[ACME_BENCH_CERTIFICATE] = acme_bench_lap_ms(&mark_ns);
    order->ms[ACME_BENCH_ORDER] = (double)(mark_ns - start_ns) / 1e6;
    order->chain = strndup(reply.body, reply.body_len);
    ENSURE(order->chain != NULL, ACME_E_NOMEM);
    order->done = true;
    return acme_ok();
}
