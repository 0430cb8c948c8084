/* base64url without padding, as JWS and ACME want it (RFC 7515 section 2, RFC 8555 section 6.1). */
#ifndef ACME_BASE_B64URL_H
#define ACME_BASE_B64URL_H

#include "base/arena.h"

/** acme_b64url_decode(arena, text, len, ret): strict: no padding, no white space, no foreign characters, no
 *  impossible length, and the unused bits of the last character zero (one spelling per value).
 *  Owns: ret->data lives in `arena`. Errors: FORMAT, NOMEM; output untouched on error. Thread: any. */
struct acme_err acme_b64url_decode(struct acme_arena *arena, const char *text, size_t len,
                                   struct acme_bytes *ret) ACME_MUST_USE;

/** acme_b64url_decode_into(text, len, out, size, ret_len): the same into the caller's memory, for secrets,
 * which do not belong into arenas. Errors: FORMAT; LIMIT when `size` is too small. *ret_len is untouched on
 * error, `out` is not: wipe it in any case. */
struct acme_err acme_b64url_decode_into(const char *text, size_t len, uint8_t *out, size_t size,
                                        size_t *ret_len) ACME_MUST_USE;

/** acme_b64url_encode(arena, data, len): the text in `arena`, NUL-terminated; NULL without memory. */
char *acme_b64url_encode(struct acme_arena *arena, const void *data, size_t len);

/** acme_hex_encode(arena, data, len, upper): hexadecimal text in `arena`; NULL without memory. */
char *acme_hex_encode(struct acme_arena *arena, const void *data, size_t len, bool upper);

#endif
