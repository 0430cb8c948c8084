/* Memory with one lifetime: everything one request or one job step allocates, released together.
 * Key material of our own never lives here (see OPENSSL_secure_malloc); what comes from outside may bring
 * some along (acme_arena_wipe_at_end). */
#ifndef ACME_BASE_ARENA_H
#define ACME_BASE_ARENA_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct acme_arena;

/* A borrowed run of bytes. */
struct acme_bytes {
    const uint8_t *data;
    size_t len;
};

/** acme_arena_create(max_bytes): a new arena that hands out at most `max_bytes` in all; NULL without memory.
 *  Owns: the caller, until acme_arena_destroy. Thread: one at a time. */
struct acme_arena *acme_arena_create(size_t max_bytes);

/** acme_arena_destroy(arena): run the clean-ups, latest first, and release everything. NULL is allowed. */
void acme_arena_destroy(struct acme_arena *arena);

/** acme_arena_wipe_at_end(arena): what is allocated in it is overwritten before it is released: for answers
 * of upstreams, which may hold secrets. */
void acme_arena_wipe_at_end(struct acme_arena *arena);

/** acme_arena_alloc(arena, size): `size` zeroed bytes aligned for any type; NULL at the cap or without
 * memory. The result lives as long as the arena. The same holds for the functions below. */
void *acme_arena_alloc(struct acme_arena *arena, size_t size);
char *acme_arena_strdup(struct acme_arena *arena, const char *text);
char *acme_arena_strndup(struct acme_arena *arena, const char *text, size_t len);
void *acme_arena_memdup(struct acme_arena *arena, const void *data, size_t len);
char *acme_arena_printf(struct acme_arena *arena, const char *format, ...) ACME_PRINTF(2, 3);

/** acme_arena_defer(arena, release, object): call release(object) when the arena goes. When that cannot be
 *  remembered, `object` is released at once and false returned. */
bool acme_arena_defer(struct acme_arena *arena, void (*release)(void *), void *object);

/* For locals: `ACME_CLEANUP_ARENA struct acme_arena *arena = acme_arena_create(...)`. */
void acme_arena_destroyp(struct acme_arena **arena);
#define ACME_CLEANUP_ARENA __attribute__((cleanup(acme_arena_destroyp)))

#endif
