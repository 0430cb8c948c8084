/* A configuration file is either taken or refused with words. */
#include "fuzz.h"

#include "base/log.h"
#include "server/config.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct acme_config *config = NULL;
    char *error = NULL;
    acme_log_set_level(ACME_LOG_ERROR);
    struct acme_err err =
        acme_config_parse("fuzz.yaml", (const char *)data, size, "/nonexistent", &config, &error);
    if (acme_failed(err))
        REQUIRE(err.code == ACME_E_NOMEM || (error != NULL && strncmp(error, "fuzz.yaml", 9) == 0));
    else
        REQUIRE(config != NULL && config->profile_count > 0 && config->issuer_count > 0);
    acme_config_destroy(config);
    free(error);
    return 0;
}
