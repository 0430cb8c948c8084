#include "backends/deployer.h"

void acme_deployer_destroy(struct acme_deployer *deployer)
{
    if (deployer != NULL)
        deployer->class->destroy(deployer);
}
