#include "protocol/txt.h"

#include "base/problem.h"

#include <string.h>

enum { MAX_SHOWN_RECORDS = 3, MAX_SHOWN = 120 };

struct acme_err acme_txt_read(struct acme_arena *arena, struct acme_bytes rdata, struct acme_bytes *ret)
{
    ENSURE(rdata.len > 0, ACME_E_FORMAT);
    uint8_t *text = acme_arena_alloc(arena, rdata.len);
    ENSURE(text != NULL, ACME_E_NOMEM);
    size_t used = 0;
    for (size_t at = 0; at < rdata.len;) {
        size_t len = rdata.data[at++];
        ENSURE(len <= rdata.len - at, ACME_E_FORMAT);
        memcpy(text + used, rdata.data + at, len);
        used += len;
        at += len;
    }
    *ret = (struct acme_bytes){.data = text, .len = used};
    return acme_ok();
}

const char *acme_txt_show(struct acme_arena *arena, const struct acme_bytes *records, size_t count)
{
    const char *list = "";
    for (size_t i = 0; i < count && i < MAX_SHOWN_RECORDS && list != NULL; i++) {
        struct acme_bytes text = {.data = NULL, .len = 0};
        struct acme_err err = acme_txt_read(arena, records[i], &text);
        if (err.code == ACME_E_NOMEM)
            return NULL;
        const char *shown =
            acme_failed(err) ? "(malformed)" : acme_printable(arena, text.data, text.len, MAX_SHOWN);
        if (shown == NULL)
            return NULL;
        list = acme_arena_printf(arena, "%s%s\"%s\"", list, i > 0 ? ", " : "", shown);
    }
    if (list != NULL && count > MAX_SHOWN_RECORDS)
        list = acme_arena_printf(arena, "%s and %zu more", list, count - MAX_SHOWN_RECORDS);
    return list;
}
