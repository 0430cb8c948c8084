#include "backends/issuer.h"

void acme_issuer_destroy(struct acme_issuer *issuer)
{
    if (issuer != NULL)
        issuer->class->destroy(issuer);
}
