/* A growing byte buffer with a hard maximum and a sticky failure flag: append freely, ask once at the end. */
#ifndef ACME_BASE_BUF_H
#define ACME_BASE_BUF_H

#include "base/err.h"

#include <stddef.h>

struct acme_buf {
    char *data; /* always NUL-terminated once anything was appended; NULL before */
    size_t len; /* without the terminator */
    size_t cap;
    size_t max;
    bool failed; /* an append did not fit or memory ran out; the contents are then incomplete */
    bool secret; /* memory is overwritten before it is given back */
};

/** acme_buf_init(buf, max_bytes): empty, will never hold more than `max_bytes`. Release: acme_buf_finish. */
void acme_buf_init(struct acme_buf *buf, size_t max_bytes);
void acme_buf_finish(struct acme_buf *buf);

/** acme_buf_init_secret(buf, max_bytes): the same for what may hold secrets. */
void acme_buf_init_secret(struct acme_buf *buf, size_t max_bytes);

/** acme_buf_reserve(buf, len): room for `len` more bytes at once, for who knows how much will come. A mere
 * hint: nothing happens when they are more than the maximum allows; `failed` is set when there is no memory.
 */
void acme_buf_reserve(struct acme_buf *buf, size_t len);

/** acme_buf_append / _str / _printf: add at the end; on failure nothing is added and `failed` is set. */
void acme_buf_append(struct acme_buf *buf, const void *data, size_t len);
void acme_buf_str(struct acme_buf *buf, const char *text);
void acme_buf_printf(struct acme_buf *buf, const char *format, ...) ACME_PRINTF(2, 3);

/** acme_buf_extend(buf, len): `len` bytes more at the end, which the caller fills; NULL on failure. */
char *acme_buf_extend(struct acme_buf *buf, size_t len);

/** acme_buf_cstr(buf): the contents as a C string, "" when empty; NULL when anything failed. */
const char *acme_buf_cstr(const struct acme_buf *buf);

/** acme_buf_steal(buf): hand the malloc'd contents to the caller (free()), leave `buf` empty; NULL on
 * failure. */
char *acme_buf_steal(struct acme_buf *buf);

#define ACME_CLEANUP_BUF __attribute__((cleanup(acme_buf_finish)))

#endif
