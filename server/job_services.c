/* What the runner has for a backend besides the upstream (struct acme_job_services). */
#include "server/runner_internal.h"

#include "server/secret_file.h"

#include <string.h>

static struct acme_err claim(void *context, const char *object, size_t *ret_ahead)
{
    struct active_job *job = context;
    size_t ahead = 0;
    TRY(acme_store_line_enter(acme_runner_options_of(job->runner)->store, object, job->id, &ahead));
    acme_job_uses_lines(job);
    job->run->is_next = ahead == 1;
    job->run->in_line = ahead > 0;
    *ret_ahead = ahead;
    return acme_ok();
}

/* What acme_problem_json has written. */
static struct acme_err problem_of(struct acme_arena *arena, const char *json, struct acme_problem *ret)
{
    cJSON *tree = NULL;
    *ret = (struct acme_problem){.type = ACME_PROBLEM_SERVER_INTERNAL,
                                 .detail = "The certificate could not be issued."};
    if (json == NULL)
        return acme_ok();
    TRY(acme_json_parse(arena, json, strlen(json), &tree));
    const char *type = acme_json_str(tree, "type");
    const char *detail = acme_json_str(tree, "detail");
    for (int i = 0; type != NULL && i < ACME_PROBLEM_COUNT; i++) {
        if (strcmp(acme_problem_urn((enum acme_problem_type)i), type) == 0)
            ret->type = (enum acme_problem_type)i;
    }
    if (detail != NULL)
        ret->detail = detail;
    ret->instance = acme_json_str(tree, "instance");
    return acme_ok();
}

static struct acme_err certificates_of(struct acme_store *store, struct acme_arena *arena, const char *id,
                                       struct acme_cert_list *ret)
{
    struct acme_certificate certificate;
    TRY(acme_store_certificate_get(store, arena, id, &certificate));
    return acme_certs_read(
        arena,
        (struct acme_bytes){.data = (const uint8_t *)certificate.chain, .len = strlen(certificate.chain)},
        ret);
}

/* The child with this label. Errors: NOT_FOUND. */
static struct acme_err find_child(const struct active_job *job, struct acme_arena *arena, const char *label,
                                  struct acme_issuance *ret)
{
    struct acme_store *store = acme_runner_options_of(job->runner)->store;
    const char **ids = NULL;
    size_t count = 0;
    TRY(acme_store_issuance_children(store, arena, job->subject_id, &ids, &count));
    for (size_t i = 0; i < count; i++) {
        TRY(acme_store_issuance_get(store, arena, ids[i], ret));
        if (ret->label != NULL && strcmp(ret->label, label) == 0)
            return acme_ok();
    }
    return acme_err(ACME_E_NOT_FOUND);
}

static struct acme_err delegated(void *context, struct acme_arena *arena, const char *label,
                                 struct acme_delegated *ret)
{
    struct active_job *job = context;
    struct acme_store *store = acme_runner_options_of(job->runner)->store;
    struct acme_issuance child;
    struct acme_delegated result = {.status = ACME_DELEGATED_NOT};
    struct acme_err err = find_child(job, arena, label, &child);
    if (err.code == ACME_E_NOT_FOUND) {
        *ret = result;
        return acme_ok();
    }
    TRY(err);
    job->run->has_children = true;
    result.issuer = child.issuer;
    switch (child.status) {
    case ACME_ISSUANCE_PENDING:
    case ACME_ISSUANCE_WITHDRAWN:
        result.status = ACME_DELEGATED_PENDING;
        job->run->child_pending = true;
        break;
    case ACME_ISSUANCE_ISSUED:
        result.status = ACME_DELEGATED_ISSUED;
        TRY(certificates_of(store, arena, child.certificate_id, &result.certs));
        break;
    case ACME_ISSUANCE_FAILED:
        result.status = ACME_DELEGATED_FAILED;
        TRY(problem_of(arena, child.error, &result.problem));
        break;
    }
    *ret = result;
    return acme_ok();
}

struct acme_job_services acme_job_services_of(struct active_job *job)
{
    return (struct acme_job_services){
        .claim = claim, .delegated = delegated, .read_secret = acme_secret_file_load, .context = job};
}
