/* Where a change halts until somebody agrees: warnings before and after the verification, and deployment. */
#include "backends/cps/cps_internal.h"

#include "base/b64url.h"

#include <openssl/evp.h>
#include <string.h>

enum { KEY_BYTES = 16 };

bool acme_cps_details_room(const struct acme_buf *out)
{
    return out->len + 2 * CPS_DETAILS_LINE <= CPS_DETAILS_BYTES;
}

/* Changes with everything the operator is shown, and with the state that CPS would be told about. */
static struct acme_err key_of(struct cps_context *ctx, const struct cps_gate *gate, const char **ret)
{
    const char *all = acme_arena_printf(ctx->arena, "%lld\n%s\n%s\n%s\n%s\n%s", (long long)ctx->state->change,
                                        gate->update, gate->hash != NULL ? gate->hash : "", gate->text,
                                        gate->details, gate->whole != NULL ? gate->whole : "");
    ENSURE(all != NULL, ACME_E_NOMEM);
    uint8_t digest[EVP_MAX_MD_SIZE];
    ENSURE(EVP_Digest(all, strlen(all), digest, NULL, EVP_sha256(), NULL) == 1, ACME_E_CRYPTO);
    *ret = acme_hex_encode(ctx->arena, digest, KEY_BYTES, false);
    return acme_err(*ret != NULL ? ACME_OK : ACME_E_NOMEM);
}

static struct acme_err ack_body(struct cps_context *ctx, const struct cps_gate *gate, bool denies,
                                const char **ret)
{
    cJSON *json = cJSON_CreateObject();
    ENSURE(json != NULL, ACME_E_NOMEM);
    bool ok = cJSON_AddStringToObject(json, "acknowledgement", denies ? "deny" : "acknowledge") != NULL &&
              (gate->hash == NULL || cJSON_AddStringToObject(json, "hash", gate->hash) != NULL);
    *ret = ok ? acme_json_print(ctx->arena, json) : NULL;
    cJSON_Delete(json);
    return acme_err(*ret != NULL ? ACME_OK : ACME_E_NOMEM);
}

static struct acme_err tell(struct cps_context *ctx, const struct cps_gate *gate, bool denies)
{
    struct cps_state *state = ctx->state;
    const char *body = NULL;
    TRY(ack_body(ctx, gate, denies, &body));
    const struct cps_request request = {
        .call = CPS_CALL_ACK,
        .method = "POST",
        .path = acme_arena_printf(ctx->arena, "/enrollments/%lld/changes/%lld/input/update/%s",
                                  (long long)state->enrollment, (long long)state->change, gate->update),
        .accept = "change-id.v1",
        .content_type = gate->content_type,
        .body = body,
        .note = acme_arena_printf(ctx->arena, "%s change %lld (%s).", denies ? "Denying" : "Acknowledging",
                                  (long long)state->change, gate->update)};
    return acme_cps_call(ctx, &request);
}

struct acme_err acme_cps_gate_decide(struct cps_context *ctx, const struct cps_gate *gate)
{
    ENSURE(gate->text != NULL && gate->details != NULL, ACME_E_NOMEM);
    struct cps_state *state = ctx->state;
    state->failures = 0;
    const char *key = NULL;
    TRY(key_of(ctx, gate, &key));
    bool answered = state->answer_key != NULL && strcmp(state->answer_key, key) == 0;
    if (answered)
        return tell(ctx, gate, state->answer_denies);
    state->answer_key = NULL; /* it was said to something else */
    if (gate->open)
        return tell(ctx, gate, false);
    struct acme_question *question = acme_arena_alloc(ctx->arena, sizeof *question);
    ENSURE(question != NULL, ACME_E_NOMEM);
    *question = (struct acme_question){
        .key = key, .text = gate->text, .details = gate->details, .deadline_ms = gate->deadline_ms};
    TRY(acme_cps_wait_ms(ctx, ctx->config->poll_max_ms, gate->text));
    ctx->step->question = question;
    return acme_ok();
}

struct acme_err acme_cps_gate_answered(struct cps_context *ctx)
{
    const struct acme_step_input *input = ctx->input;
    struct cps_state *state = ctx->state;
    if (input->event == ACME_EVENT_REPLY && input->reply->status >= 200 && input->reply->status <= 299) {
        state->failures = 0;
        state->denied = state->answer_key != NULL && state->answer_denies;
        state->answer_key = NULL;
        return acme_cps_wait_ms(ctx, ctx->config->poll_ms,
                                acme_arena_printf(ctx->arena, "CPS was told to %s change %lld.",
                                                  state->denied ? "drop" : "go on with",
                                                  (long long)state->change));
    }
    struct cps_verdict verdict;
    TRY(acme_cps_judge(ctx, &verdict));
    /* Perhaps it was heard all the same, or the state it was said to is another by now: the change tells. */
    if (verdict.class == CPS_VERDICT_LATER)
        return acme_cps_wait_ms(ctx, ACME_MINUTE_MS, verdict.note);
    return acme_cps_wait_failure(ctx, ACME_BACKOFF_FIRST_MS, ACME_BACKOFF_MAX_MS, verdict.note);
}
