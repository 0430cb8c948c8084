/* Bytes that several owners share and nobody changes: the last one frees them. */
#ifndef ACME_BASE_BLOB_H
#define ACME_BASE_BLOB_H

#include "base/arena.h"

#include <stdint.h>

struct acme_blob;

/** acme_blob_create(data, len): takes `data`, malloc'd, also when it fails. NULL without memory. Owns: one
 * reference, the caller's. Thread: any. */
struct acme_blob *acme_blob_create(uint8_t *data, size_t len);

/** acme_blob_hold(blob): one more reference; returns `blob`. Thread: any. */
struct acme_blob *acme_blob_hold(struct acme_blob *blob);

/** acme_blob_release(blob): give one reference back; NULL is allowed. Thread: any. */
void acme_blob_release(struct acme_blob *blob);

struct acme_bytes acme_blob_bytes(const struct acme_blob *blob);

#endif
