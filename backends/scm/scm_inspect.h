/* Shared by the files that look at SCM without an order (scm_inspect*.c). */
#ifndef ACME_BACKENDS_SCM_SCM_INSPECT_H
#define ACME_BACKENDS_SCM_SCM_INSPECT_H

#include "backends/scm/scm_internal.h"

#define SCM_SOON_MS (14 * ACME_DAY_MS) /* what ends within that time is worth a warning */

enum { SCM_DOMAIN_PAGE = 200 };

struct scm_inspecting {
    struct scm_context *ctx; /* its state and step serve for the calls only */
    const struct acme_inspect_request *request;
    struct acme_inspection *inspection;
};

#define FIND(in, level, ...)                                                                                 \
    acme_finding_add((in)->inspection, ACME_FINDING_##level, acme_arena_printf((in)->ctx->arena, __VA_ARGS__))

/** acme_scm_inspect_shown(in, text): foreign text made fit for a finding; never NULL. */
const char *acme_scm_inspect_shown(const struct scm_inspecting *in, const char *text);

/** acme_scm_inspect_*(in, json): findings about a good answer of SCM. Errors: NOMEM. */
struct acme_err acme_scm_inspect_profiles(struct scm_inspecting *in, const cJSON *json) ACME_MUST_USE;
struct acme_err acme_scm_inspect_password(struct scm_inspecting *in, const cJSON *json) ACME_MUST_USE;
struct acme_err acme_scm_inspect_organizations(struct scm_inspecting *in, const cJSON *json) ACME_MUST_USE;
struct acme_err acme_scm_inspect_fields(struct scm_inspecting *in, const cJSON *json) ACME_MUST_USE;

/** acme_scm_inspect_domains(in, json, ret_more): a page of the list of domains; *ret_more is set when another
 * one follows. Errors: NOMEM. */
struct acme_err acme_scm_inspect_domains(struct scm_inspecting *in, const cJSON *json,
                                         bool *ret_more) ACME_MUST_USE;

#endif
