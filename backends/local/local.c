/* The embedded CA as an issuer. Signing takes well under a millisecond, so there is nothing to wait for and
 * no state to keep: a repeated step simply signs again, and the certificate that was lost was never handed
 * out. */
#include "backends/local/local.h"

#include <stdlib.h>
#include <string.h>

/* Clients whose clock is a little behind must accept the certificate at once. */
enum { SKEW_MINUTES = 5, DEFAULT_VALIDITY_DAYS = 90, AT_ONCE = 64 /* it makes no calls */ };

struct local_issuer {
    struct acme_issuer base;
    const struct acme_local_ca *ca;
    char name[]; /* NUL-terminated; what base.backend.name points to */
};

static struct acme_step failed_step(enum acme_problem_type type, const char *detail, const char *note)
{
    return (struct acme_step){
        .kind = ACME_STEP_FAILED, .problem = {.type = type, .detail = detail}, .note = note};
}

/* What the client asked for is kept to the second or refused; only what it left open is chosen, and cut to
 * the CA's own time by acme_local_ca_issue. Returns why it cannot be, else NULL. */
static const char *choose_dates(const struct acme_local_ca *ca, const struct acme_issue_request *request,
                                int64_t now_ms, int64_t *ret_not_before_ms, int64_t *ret_not_after_ms)
{
    int64_t ca_not_before_ms = 0;
    int64_t ca_not_after_ms = 0;
    acme_local_ca_validity(ca, &ca_not_before_ms, &ca_not_after_ms);
    int64_t validity_ms =
        request->validity_ms > 0 ? request->validity_ms : DEFAULT_VALIDITY_DAYS * ACME_DAY_MS;
    int64_t not_before_ms = request->not_before_ms;
    int64_t not_after_ms = request->not_after_ms;
    if (not_before_ms == 0) {
        not_before_ms = now_ms - SKEW_MINUTES * ACME_MINUTE_MS;
        /* The leeway for slow clocks does not count against a notAfter that fits from now on. */
        if (not_after_ms != 0 && not_after_ms - validity_ms > not_before_ms &&
            not_after_ms - validity_ms <= now_ms)
            not_before_ms = not_after_ms - validity_ms;
    }
    if (not_after_ms == 0)
        not_after_ms = not_before_ms + validity_ms;
    if (not_after_ms <= not_before_ms || not_after_ms <= now_ms)
        return "The requested notBefore and notAfter leave no time in which the certificate would be valid.";
    if (not_after_ms - not_before_ms > validity_ms)
        return "The requested notBefore and notAfter are further apart than this CA's certificates are "
               "valid.";
    if (request->not_before_ms != 0 && not_before_ms < ca_not_before_ms)
        return "The requested notBefore lies before the CA's own certificate begins.";
    if (request->not_after_ms != 0 && not_after_ms > ca_not_after_ms)
        return "The requested notAfter lies behind the end of the CA's own certificate.";
    *ret_not_before_ms = not_before_ms;
    *ret_not_after_ms = not_after_ms;
    return NULL;
}

static struct acme_err local_step(const struct acme_issuer *issuer, struct acme_arena *arena,
                                  const struct acme_issue_request *request, cJSON *state,
                                  const struct acme_step_input *input, struct acme_step *ret)
{
    const struct local_issuer *local = (const struct local_issuer *)issuer;
    (void)state;

    if (request->deadline_ms > 0 && input->now_ms >= request->deadline_ms) {
        *ret = failed_step(ACME_PROBLEM_SERVER_INTERNAL,
                           "The certificate could not be issued in time; please try again.",
                           "The local CA did not get to sign before the order's deadline.");
        return acme_ok();
    }

    int64_t not_before_ms = 0;
    int64_t not_after_ms = 0;
    const char *refusal = choose_dates(local->ca, request, input->now_ms, &not_before_ms, &not_after_ms);
    if (refusal != NULL) {
        *ret = failed_step(ACME_PROBLEM_MALFORMED, refusal, "The order asks for dates that cannot be kept.");
        return acme_ok();
    }

    struct acme_step step = {
        .kind = ACME_STEP_ISSUED, .signed_here = true, .note = "The local CA signed the certificate."};
    TRY(acme_local_ca_issue(local->ca, arena, request->csr->spki, request->identifiers,
                            request->identifier_count, not_before_ms, not_after_ms, &step.certs));
    TRY(acme_local_ca_alternates(local->ca, arena, step.certs.certs[0], &step.alternates,
                                 &step.alternate_count));
    *ret = step;
    return acme_ok();
}

/* What is revoked stands in the store, and the list that is published is made from there. */
static struct acme_err local_revoke(const struct acme_issuer *issuer, struct acme_arena *arena,
                                    const struct acme_revoke_request *request, cJSON *state,
                                    const struct acme_step_input *input, struct acme_step *ret)
{
    (void)issuer;
    (void)arena;
    (void)request;
    (void)state;
    (void)input;
    *ret = (struct acme_step){.kind = ACME_STEP_DONE, .note = "The local CA revoked the certificate."};
    return acme_ok();
}

static void local_destroy(struct acme_issuer *issuer)
{
    free(issuer);
}

static const struct acme_issuer_class local_class = {
    .type = "local", .at_once = true, .step = local_step, .revoke = local_revoke, .destroy = local_destroy};

struct acme_err acme_local_issuer_create(const char *name, const struct acme_local_ca *ca,
                                         struct acme_issuer **ret)
{
    size_t size = strlen(name) + 1;
    struct local_issuer *local = calloc(1, sizeof *local + size);
    ENSURE(local != NULL, ACME_E_NOMEM);
    memcpy(local->name, name, size);
    local->base.class = &local_class;
    local->base.backend.name = local->name;
    local->base.backend.deadline_ms = ACME_HOUR_MS;
    local->base.backend.max_concurrency = AT_ONCE;
    local->ca = ca;
    *ret = &local->base;
    return acme_ok();
}
