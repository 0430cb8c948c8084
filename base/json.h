/* JSON in: cJSON behind a strict door. cJSON alone takes invalid UTF-8, raw control characters, numbers like
 * 012, duplicate members, and truncates at \u0000 (measured on 1.7.15); a signed protocol cannot. */
#ifndef ACME_BASE_JSON_H
#define ACME_BASE_JSON_H

#include "base/arena.h"

#include <cjson/cJSON.h>

enum { ACME_JSON_MAX_DEPTH = 16, ACME_JSON_FLAT_MAX = 8 };

/** acme_json_parse(arena, text, len, ret): parse exactly one JSON value (RFC 8259) filling all of `text`.
 *  Refused: invalid UTF-8, a byte order mark, control characters in strings, \u0000 and lone surrogates,
 *  numbers out of grammar or of more than 63 characters, duplicate member names, more than 1024 members in an
 *  object, more than ACME_JSON_MAX_DEPTH levels, trailing bytes.
 *  Owns: the tree is released with `arena`; do not cJSON_Delete it.
 *  Errors: FORMAT, NOMEM; output untouched on error. Thread: any. */
struct acme_err acme_json_parse(struct acme_arena *arena, const char *text, size_t len,
                                cJSON **ret) ACME_MUST_USE;

struct acme_json_text {
    struct acme_bytes name;
    struct acme_bytes value;
};

/** acme_json_flat(text, len, members): read an object all of whose members are strings, none with an escape,
 * without making a tree: the members in their order, as parts of `text`. The same is refused as by
 * acme_json_parse. Returns their number; 0 when `text` is anything else, be it good or bad, which
 * acme_json_parse tells. Thread: any. */
size_t acme_json_flat(const char *text, size_t len, struct acme_json_text members[ACME_JSON_FLAT_MAX]);

/** acme_json_get(object, name): the member with exactly this name, NULL when absent or not an object.
 *  JSON null counts as absent: several clients send null for "nothing". */
const cJSON *acme_json_get(const cJSON *object, const char *name);

/** acme_json_str(object, name): the member's text when it is a string, else NULL. Borrowed from the tree. */
const char *acme_json_str(const cJSON *object, const char *name);

/** acme_json_int(object, name, ret): true when the member is a whole number within +-2^53. */
bool acme_json_int(const cJSON *object, const char *name, int64_t *ret);

/** acme_json_bool(object, name, fallback): the member when it is true or false, else `fallback`. */
bool acme_json_bool(const cJSON *object, const char *name, bool fallback);

/** acme_json_print(arena, tree): compact text in `arena`; NULL without memory. */
char *acme_json_print(struct acme_arena *arena, const cJSON *tree);

#endif
