#include "base/blob.h"

#include <stdatomic.h>
#include <stdlib.h>

struct acme_blob {
    atomic_int refs;
    size_t len;
    uint8_t *data;
};

struct acme_blob *acme_blob_create(uint8_t *data, size_t len)
{
    struct acme_blob *blob = malloc(sizeof *blob);
    if (blob == NULL) {
        free(data);
        return NULL;
    }
    atomic_init(&blob->refs, 1);
    blob->len = len;
    blob->data = data;
    return blob;
}

struct acme_blob *acme_blob_hold(struct acme_blob *blob)
{
    atomic_fetch_add(&blob->refs, 1);
    return blob;
}

void acme_blob_release(struct acme_blob *blob)
{
    if (blob == NULL || atomic_fetch_sub(&blob->refs, 1) != 1)
        return;
    free(blob->data);
    free(blob);
}

struct acme_bytes acme_blob_bytes(const struct acme_blob *blob)
{
    return (struct acme_bytes){.data = blob->data, .len = blob->len};
}
