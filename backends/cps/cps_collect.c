/* The certificate of a change that has ended, read from the production network. */
#include "backends/cps/cps_issue.h"

#include <openssl/x509.h>
#include <string.h>

/* When it is worth asking whether the change was cancelled, or, if it was adopted late, deployed before we
 * looked. */
#define ADOPTED_MS (10 * ACME_MINUTE_MS)
#define DOUBT_MS   (15 * ACME_MINUTE_MS)
/* Others wait for the enrollment: what is not there by then is not expected any more. */
#define GIVE_UP_MS ACME_DAY_MS
enum { DEPLOYED_MAX = 8 };

struct acme_err acme_cps_collect_begin(struct cps_issue *issue, const char *note)
{
    struct cps_context *ctx = &issue->ctx;
    ctx->state->phase = CPS_PHASE_COLLECT;
    if (ctx->state->collect_ms == 0)
        ctx->state->collect_ms = ctx->input->now_ms;
    return acme_cps_call_deployments(ctx, CPS_CALL_DEPLOYMENTS, note);
}

static bool is_old(const struct cps_issue *issue, const struct cps_deployed *deployed)
{
    const struct cps_state *state = issue->ctx.state;
    for (size_t i = 0; i < state->old_count; i++)
        if (strcmp(state->old[i], deployed->sha256) == 0)
            return true;
    return false;
}

static struct acme_err has_names(struct cps_issue *issue, const X509 *leaf, bool *ret)
{
    struct acme_identifier *names = NULL;
    size_t count = 0;
    struct acme_err err = acme_cert_names(issue->ctx.arena, leaf, &names, &count);
    ENSURE(err.code != ACME_E_NOMEM, ACME_E_NOMEM);
    *ret = !acme_failed(err) && acme_identifiers_equal_sets(names, count, issue->request->identifiers,
                                                            issue->request->identifier_count);
    return acme_ok();
}

/* The algorithm of the order's CSR; EVP_PKEY_NONE: unreadable. */
static int csr_algorithm(const struct acme_csr *csr)
{
    const unsigned char *at = csr->spki.data;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)csr->spki.len);
    int algorithm = key != NULL ? EVP_PKEY_get_base_id(key) : EVP_PKEY_NONE;
    EVP_PKEY_free(key);
    return algorithm;
}

static int cert_algorithm(const X509 *cert)
{
    EVP_PKEY *key = X509_get0_pubkey(cert);
    return key != NULL ? EVP_PKEY_get_base_id(key) : EVP_PKEY_NONE;
}

/* The one with the CSR's key, where that is asked for; else a new one for the names, of the CSR's kind of key
 * if there is one. */
static struct acme_err choose(struct cps_issue *issue, const struct cps_deployed *list, size_t count,
                              const struct cps_deployed **ret)
{
    const struct acme_csr *csr = issue->request->csr;
    int algorithm = csr_algorithm(csr);
    *ret = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct cps_deployed *deployed = &list[i];
        if (!issue->request->key_at_edge) {
            if (acme_cert_has_spki(deployed->leaf, csr->spki_sha256))
                *ret = deployed;
            continue;
        }
        bool fits = false;
        if (!is_old(issue, deployed))
            TRY(has_names(issue, deployed->leaf, &fits));
        if (fits && (*ret == NULL || (cert_algorithm(deployed->leaf) == algorithm &&
                                      cert_algorithm((*ret)->leaf) != algorithm)))
            *ret = deployed;
    }
    return acme_ok();
}

static struct acme_err not_yet(struct cps_issue *issue)
{
    struct cps_context *ctx = &issue->ctx;
    if (ctx->input->now_ms < ctx->state->collect_ms + (ctx->state->adopted ? ADOPTED_MS : DOUBT_MS))
        return acme_cps_wait_ms(
            ctx, ctx->config->poll_ms,
            "The change has ended, and its certificate is not on the production network yet.");
    if (issue->request->withdraw || ctx->input->now_ms >= ctx->state->collect_ms + GIVE_UP_MS)
        return acme_cps_fail(
            ctx, ACME_PROBLEM_SERVER_INTERNAL,
            "Akamai CPS ended the change without a new certificate for the names of this order.",
            acme_arena_printf(
                ctx->arena,
                "Change %lld of enrollment %lld has ended, and no new certificate for exactly the "
                "order's names is on the production network: look at it there.",
                (long long)ctx->state->change, (long long)ctx->state->enrollment));
    const struct cps_request request = {
        .call = CPS_CALL_HISTORY,
        .method = "GET",
        .path = acme_arena_printf(ctx->arena, "/enrollments/%lld/history/changes",
                                  (long long)ctx->state->enrollment),
        .accept = "change-history.v5",
        .note = "No new certificate is deployed; looking into the history of the enrollment."};
    return acme_cps_call(ctx, &request);
}

struct acme_err acme_cps_collect_reply(struct cps_issue *issue)
{
    struct cps_context *ctx = &issue->ctx;
    cJSON *json = NULL;
    struct acme_err err = acme_cps_json(ctx, &json);
    ENSURE(err.code != ACME_E_NOMEM, ACME_E_NOMEM);
    if (acme_failed(err) || ctx->input->reply->status != 200) {
        struct cps_verdict verdict;
        TRY(acme_cps_judge(ctx, &verdict));
        if (verdict.class != CPS_VERDICT_MISSING)
            return acme_cps_trouble(ctx, &verdict);
        return not_yet(issue);
    }
    ctx->state->failures = 0;
    struct cps_deployed list[DEPLOYED_MAX];
    size_t count = 0;
    const struct cps_deployed *chosen = NULL;
    TRY(acme_cps_deployed_read(ctx, json, list, DEPLOYED_MAX, &count));
    TRY(choose(issue, list, count, &chosen));
    if (chosen == NULL)
        return not_yet(issue);
    ctx->step->kind = ACME_STEP_ISSUED;
    ctx->step->certs = chosen->certs;
    ctx->step->note = acme_arena_printf(ctx->arena, "Enrollment %lld has the new certificate on the edge.",
                                        (long long)ctx->state->enrollment);
    ENSURE(ctx->step->note != NULL, ACME_E_NOMEM);
    ctx->state->call = CPS_CALL_NONE;
    return acme_ok();
}
