/* TXT records (RFC 1035 section 3.3.14): foreign bytes. */
#ifndef ACME_PROTOCOL_TXT_H
#define ACME_PROTOCOL_TXT_H

#include "base/arena.h"

/** acme_txt_read(arena, rdata, ret): the record's strings, joined without anything between them, as a record
 * longer than 255 octets has to be cut. Owns: ret->data in `arena`. Errors: FORMAT (not a run of strings),
 * NOMEM; *ret untouched on error. Thread: any. */
struct acme_err acme_txt_read(struct acme_arena *arena, struct acme_bytes rdata,
                              struct acme_bytes *ret) ACME_MUST_USE;

/** acme_txt_show(arena, records, count): what was found, fit for a detail: '"one", "two" and 3 more', foreign
 * bytes escaped and cut. NULL without memory. */
const char *acme_txt_show(struct acme_arena *arena, const struct acme_bytes *records, size_t count);

#endif
