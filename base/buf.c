#include "base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAP = 1024 }; /* most responses fit */

void acme_buf_init(struct acme_buf *buf, size_t max_bytes)
{
    *buf = (struct acme_buf){.max = max_bytes < SIZE_MAX / 4 ? max_bytes : SIZE_MAX / 4};
}

void acme_buf_init_secret(struct acme_buf *buf, size_t max_bytes)
{
    acme_buf_init(buf, max_bytes);
    buf->secret = true;
}

void acme_buf_finish(struct acme_buf *buf)
{
    if (buf->secret && buf->data != NULL)
        explicit_bzero(buf->data, buf->cap);
    free(buf->data);
    *buf = (struct acme_buf){.max = buf->max, .secret = buf->secret};
}

/* realloc() would leave a copy behind. */
static char *grow(const struct acme_buf *buf, size_t cap)
{
    if (!buf->secret)
        return realloc(buf->data, cap);
    char *grown = malloc(cap);
    if (grown == NULL || buf->data == NULL)
        return grown;
    memcpy(grown, buf->data, buf->len + 1);
    explicit_bzero(buf->data, buf->cap);
    free(buf->data);
    return grown;
}

/* Room for `len` more bytes and the terminator. */
static bool reserve(struct acme_buf *buf, size_t len)
{
    if (buf->failed)
        return false;
    if (len < buf->cap - buf->len)
        return true;
    if (len > buf->max - buf->len) {
        buf->failed = true;
        return false;
    }
    size_t need = buf->len + len + 1;
    size_t cap = buf->cap == 0 ? FIRST_CAP : buf->cap * 2;
    if (cap > buf->max + 1)
        cap = buf->max + 1;
    if (cap < need)
        cap = need;
    char *grown = grow(buf, cap);
    if (grown == NULL) {
        buf->failed = true;
        return false;
    }
    buf->data = grown;
    buf->cap = cap;
    return true;
}

void acme_buf_reserve(struct acme_buf *buf, size_t len)
{
    if (len <= buf->max - buf->len && reserve(buf, len))
        buf->data[buf->len] = '\0';
}

void acme_buf_append(struct acme_buf *buf, const void *data, size_t len)
{
    if (!reserve(buf, len))
        return;
    if (len > 0)
        memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
}

void acme_buf_str(struct acme_buf *buf, const char *text)
{
    acme_buf_append(buf, text, strlen(text));
}

/* Written at once where there is room; a second time only when the text did not fit. */
void acme_buf_printf(struct acme_buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    const size_t room = buf->cap - buf->len;
    int len = vsnprintf(room > 0 ? buf->data + buf->len : NULL, room, format, args);
    if (len >= 0 && (size_t)len < room && !buf->failed) {
        buf->len += (size_t)len;
    } else {
        if (room > 0)
            buf->data[buf->len] = '\0';
        if (len < 0) {
            buf->failed = true;
        } else if (reserve(buf, (size_t)len)) {
            (void)vsnprintf(buf->data + buf->len, (size_t)len + 1, format, again);
            buf->len += (size_t)len;
        }
    }
    va_end(again);
    va_end(args);
}

char *acme_buf_extend(struct acme_buf *buf, size_t len)
{
    if (!reserve(buf, len))
        return NULL;
    char *at = buf->data + buf->len;
    buf->len += len;
    buf->data[buf->len] = '\0';
    return at;
}

const char *acme_buf_cstr(const struct acme_buf *buf)
{
    if (buf->failed)
        return NULL;
    return buf->data != NULL ? buf->data : "";
}

char *acme_buf_steal(struct acme_buf *buf)
{
    acme_buf_append(buf, "", 0); /* even an empty text is one */
    if (buf->failed)
        return NULL;
    char *data = buf->data;
    *buf = (struct acme_buf){.max = buf->max};
    return data;
}
