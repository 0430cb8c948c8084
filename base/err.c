#include "base/err.h"

#include <stddef.h>

const char *acme_code_name(enum acme_code code)
{
    static const char *const names[ACME_E_COUNT] = {
        [ACME_OK] = "ok",
        [ACME_E_NOMEM] = "nomem",
        [ACME_E_LIMIT] = "limit",
        [ACME_E_FORMAT] = "format",
        [ACME_E_NOT_FOUND] = "not-found",
        [ACME_E_CONFLICT] = "conflict",
        [ACME_E_STATE] = "state",
        [ACME_E_UNSUPPORTED] = "unsupported",
        [ACME_E_DENIED] = "denied",
        [ACME_E_SIGNATURE] = "signature",
        [ACME_E_BUSY] = "busy",
        [ACME_E_IO] = "io",
        [ACME_E_CRYPTO] = "crypto",
        [ACME_E_PROBLEM] = "problem",
        [ACME_E_INTERNAL] = "internal",
    };
    unsigned index = (unsigned)code;
    return index < ACME_E_COUNT && names[index] != NULL ? names[index] : "unknown";
}
