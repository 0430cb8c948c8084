#include "server/deploy_plan.h"

#include "base/id.h"

#include <string.h>

static const struct acme_deployer *find(const struct acme_runner_options *options, const char *name)
{
    for (size_t i = 0; i < options->deployer_count; i++) {
        if (strcmp(options->deployers[i]->backend.name, name) == 0)
            return options->deployers[i];
    }
    return NULL;
}

static struct acme_err make(const struct acme_runner_options *options, struct acme_arena *arena,
                            const struct acme_deployer *deployer, int64_t now_ms, struct acme_deployment *ret)
{
    char id[ACME_ID_SIZE];
    char job_id[ACME_ID_SIZE];
    TRY(acme_id_new(options->clock, id));
    TRY(acme_id_new(options->clock, job_id));
    *ret = (struct acme_deployment){
        .id = acme_arena_strdup(arena, id),
        .job_id = acme_arena_strdup(arena, job_id),
        .deployer = deployer->backend.name,
        .queue = acme_arena_printf(arena, ACME_DEPLOY_QUEUE "%s", deployer->backend.name),
        .one_target = deployer->class->one_target,
        .deadline_ms = now_ms + deployer->backend.deadline_ms,
    };
    ENSURE(ret->id != NULL && ret->job_id != NULL && ret->queue != NULL, ACME_E_NOMEM);
    return acme_ok();
}

struct acme_err acme_deploy_plan(const struct acme_runner_options *options, struct acme_arena *arena,
                                 const struct acme_issuance *issuance, int64_t now_ms,
                                 struct acme_deployment **ret, size_t *ret_count)
{
    const struct acme_profile *profile = options->find_profile(options->context, issuance->profile);
    size_t wanted = profile != NULL ? profile->deployer_count : 0;
    struct acme_deployment *list = acme_arena_alloc(arena, (wanted + 1) * sizeof *list);
    size_t count = 0;
    ENSURE(list != NULL, ACME_E_NOMEM);
    for (size_t i = 0; i < wanted; i++) {
        const struct acme_deployer *deployer = find(options, profile->deployers[i]);
        if (deployer != NULL && options->deployer_takes(options->context, deployer->backend.name,
                                                        issuance->identifiers, issuance->identifier_count))
            TRY(make(options, arena, deployer, now_ms, &list[count++]));
    }
    *ret = list;
    *ret_count = count;
    return acme_ok();
}
