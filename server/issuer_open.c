#include "server/issuer_open.h"

static struct acme_err open_local(const struct acme_issuer_config *config, const struct acme_local_ca *ca,
                                  struct acme_issuer **ret)
{
    return acme_local_issuer_create(config->name, ca, ret);
}

static struct acme_err open_scm(const struct acme_issuer_config *config, const struct acme_local_ca *ca,
                                struct acme_issuer **ret)
{
    (void)ca;
    return acme_scm_issuer_create(config->name, &config->scm, ret);
}

static struct acme_err open_cps(const struct acme_issuer_config *config, const struct acme_local_ca *ca,
                                struct acme_issuer **ret)
{
    (void)ca;
    return acme_cps_issuer_create(config->name, &config->cps, ret);
}

static struct acme_err open_keyfactor(const struct acme_issuer_config *config, const struct acme_local_ca *ca,
                                      struct acme_issuer **ret)
{
    (void)ca;
    return acme_keyfactor_issuer_create(config->name, &config->keyfactor, ret);
}

struct acme_err acme_issuer_open(const struct acme_issuer_config *config, const struct acme_local_ca *ca,
                                 struct acme_issuer **ret)
{
    static struct acme_err (*const open[])(const struct acme_issuer_config *, const struct acme_local_ca *,
                                           struct acme_issuer **) = {
        [ACME_ISSUER_LOCAL] = open_local,
        [ACME_ISSUER_SCM] = open_scm,
        [ACME_ISSUER_KEYFACTOR] = open_keyfactor,
        [ACME_ISSUER_CPS] = open_cps,
    };
    struct acme_issuer *issuer = NULL;
    TRY(open[config->type](config, ca, &issuer));
    issuer->backend.deadline_ms = config->deadline_ms;
    issuer->backend.max_concurrency = config->max_concurrency;
    issuer->backend.requests_per_minute = config->requests_per_minute;
    issuer->backend.burst = config->burst;
    *ret = issuer;
    return acme_ok();
}
