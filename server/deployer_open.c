#include "server/deployer_open.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

static struct acme_err open_command(const struct acme_deployer_config *config, struct acme_deployer **ret)
{
    return acme_command_create(config->name, &config->command, ret);
}

static struct acme_err open_huawei_elb(const struct acme_deployer_config *config, struct acme_deployer **ret)
{
    return acme_huawei_elb_create(config->name, &config->huawei, ret);
}

static struct acme_err open_cps(const struct acme_deployer_config *config, struct acme_deployer **ret)
{
    return acme_cps_deployer_create(config->name, &config->cps, &config->cps_target, ret);
}

struct acme_err acme_deployer_open(const struct acme_deployer_config *config, struct acme_deployer **ret)
{
    static struct acme_err (*const open[])(const struct acme_deployer_config *, struct acme_deployer **) = {
        [ACME_DEPLOYER_COMMAND] = open_command,
        [ACME_DEPLOYER_HUAWEI_ELB] = open_huawei_elb,
        [ACME_DEPLOYER_CPS] = open_cps,
    };
    struct acme_deployer *deployer = NULL;
    TRY(open[config->type](config, &deployer));
    deployer->backend.deadline_ms = config->deadline_ms;
    deployer->backend.max_concurrency = config->max_concurrency;
    deployer->backend.requests_per_minute = config->requests_per_minute;
    deployer->backend.burst = config->burst;
    *ret = deployer;
    return acme_ok();
}

struct acme_err acme_deployers_open(const struct acme_config *config, struct acme_deployer ***ret)
{
    struct acme_deployer **list = calloc(config->deployer_count + 1, sizeof *list);
    ENSURE(list != NULL, ACME_E_NOMEM);
    for (size_t i = 0; i < config->deployer_count; i++) {
        struct acme_err err = acme_deployer_open(&config->deployers[i], &list[i]);
        if (acme_failed(err)) {
            acme_log(ERROR, "deployer cannot be opened", LOG_STR("deployer", config->deployers[i].name),
                     LOG_STR("code", acme_code_name(err.code)));
            acme_deployers_close(list, config->deployer_count);
            return err;
        }
    }
    *ret = list;
    return acme_ok();
}

void acme_deployers_close(struct acme_deployer **deployers, size_t count)
{
    for (size_t i = 0; deployers != NULL && i < count; i++)
        acme_deployer_destroy(deployers[i]);
    free(deployers);
}

static bool has_name(const struct acme_identifier *identifiers, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(identifiers[i].value, name) == 0)
            return true;
    }
    return false;
}

bool acme_deployer_takes(const struct acme_config *config, const char *deployer,
                         const struct acme_identifier *identifiers, size_t count)
{
    for (size_t i = 0; i < config->deployer_count; i++) {
        const struct acme_deployer_config *candidate = &config->deployers[i];
        if (strcmp(candidate->name, deployer) != 0)
            continue;
        for (size_t n = 0; n < candidate->name_count; n++) {
            if (!has_name(identifiers, count, candidate->names[n]))
                return false;
        }
        return true;
    }
    return false;
}
