/* The state of a job as JSON, by tables of the members of a struct: members that are zero are left out, so
 * that a glance at the job shows what matters. */
#ifndef ACME_BACKENDS_SAVED_H
#define ACME_BACKENDS_SAVED_H

#include "base/json.h"

enum { ACME_IDS_MAX = 256 };

/* Numbers of an upstream, highest (newest) first; when full the lowest fall out. */
struct acme_ids {
    int64_t id[ACME_IDS_MAX];
    size_t count;
};

bool acme_ids_have(const struct acme_ids *ids, int64_t id);
void acme_ids_add(struct acme_ids *ids, int64_t id);
/** acme_ids_pop(ids): the highest one, removed; 0 when empty. */
int64_t acme_ids_pop(struct acme_ids *ids);

enum acme_saved_type {
    ACME_SAVED_NUMBER, /* int64_t */
    ACME_SAVED_FLAG,   /* bool */
    ACME_SAVED_TEXT,   /* const char *; NULL is left out */
    ACME_SAVED_IDS     /* struct acme_ids */
};

struct acme_saved_member {
    const char *name; /* in JSON */
    enum acme_saved_type type;
    size_t offset;
};

/** acme_saved_word(text, words, count): the place of `text` among `words`; 0 when it is none of them, or
 * NULL.
 */
size_t acme_saved_word(const char *text, const char *const *words, size_t count);

/** acme_saved_load(saved, members, count, object): set those members of `object` that `saved` has in the
 * right type; the others stay as they are. Texts are borrowed from `saved`. Thread: any. */
void acme_saved_load(const cJSON *saved, const struct acme_saved_member *members, size_t count, void *object);

/** acme_saved_add(fresh, members, count, object): the other way round; false without memory. */
bool acme_saved_add(cJSON *fresh, const struct acme_saved_member *members, size_t count, const void *object);

/** acme_saved_swap(saved, fresh, ok): when `ok`, `saved` gets the members of `fresh`; `fresh` is released in
 * any case. Errors: NOMEM when not `ok`, `saved` is then unchanged. */
struct acme_err acme_saved_swap(cJSON *saved, cJSON *fresh, bool ok) ACME_MUST_USE;

#endif
