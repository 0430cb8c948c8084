#include "base/sha256.h"

#include <openssl/evp.h>
#include <pthread.h>

static EVP_MD *algorithm; /* NULL: it could not be had */
static pthread_once_t fetched = PTHREAD_ONCE_INIT;

static void fetch(void)
{
    algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
}

struct acme_err acme_sha256(const void *data, size_t len, uint8_t out[ACME_SHA256_SIZE])
{
    (void)pthread_once(&fetched, fetch);
    ENSURE(algorithm != NULL && EVP_Digest(len > 0 ? data : "", len, out, NULL, algorithm, NULL) == 1,
           ACME_E_CRYPTO);
    return acme_ok();
}
