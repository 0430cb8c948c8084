/* From YAML nodes to C structs by tables: one row per key with its type, place, range, default, unit and
 * check. */
#ifndef ACME_SERVER_CONFIG_SCHEMA_H
#define ACME_SERVER_CONFIG_SCHEMA_H

#include "server/config_yaml.h"

enum { ACME_CONFIG_TEXT_MAX = 4096, ACME_CONFIG_LIST_MAX = 1000 };

/* What every step of reading shares. */
struct acme_config_reader {
    struct acme_arena *arena; /* of the configuration: what is kept */
    struct acme_mistakes *mistakes;
    const char *folder; /* of the file; "" for the working directory: what relative paths start from */
};

enum acme_config_type {
    ACME_CONFIG_TEXT,      /* const char * */
    ACME_CONFIG_TEXT_LIST, /* const char *const * and, at count_offset, a size_t */
    ACME_CONFIG_FLAG,      /* bool: true or false */
    ACME_CONFIG_INT,       /* int */
    ACME_CONFIG_INT64,     /* int64_t */
    ACME_CONFIG_SIZE,      /* size_t */
    ACME_CONFIG_TABLE,     /* a mapping read by another table into a struct at `offset` */
    ACME_CONFIG_READ,      /* handed to `read` */
    ACME_CONFIG_LATER      /* known here, read by the caller */
};

/* Judges a text (after expansion) and returns what to store, in the reader's arena, or NULL after noting a
 * mistake at `node`. */
typedef const char *(*acme_config_check)(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                         const char *value);

struct acme_config_table;

struct acme_config_key {
    const char *name;
    enum acme_config_type type;
    bool required;
    bool keep;        /* no default here: what the struct holds before reading stays */
    unsigned applies; /* kinds of objects that have the key, as bits; 0: all */
    size_t offset;
    size_t count_offset;
    int64_t min; /* numbers, in the key's unit */
    int64_t max;
    int64_t standard;          /* the default, numbers and flags */
    int64_t scale;             /* stored = written * scale; 0 means 1 */
    const char *unit;          /* numbers: "seconds"; texts: the form asked for; shown in mistakes */
    const char *standard_text; /* the default, texts */
    acme_config_check check;
    void (*read)(struct acme_config_reader *reader, const struct acme_yaml_node *node, void *object);
    const struct acme_config_table *table;
};

struct acme_config_table {
    const struct acme_config_key *keys;
    size_t count;
    const char *const *kinds; /* names of the bits of `applies`, for mistakes; NULL when there are none */
    const struct acme_config_table *also; /* further keys of the same objects; NULL: none */
};

/** acme_config_row(table, index): the rows of a table and of those that go on from it; NULL behind the last.
 * Static. Thread: any. */
const struct acme_config_key *acme_config_row(const struct acme_config_table *table, size_t index);

/** acme_config_fill(reader, table, node, kind, object): set every field of `object` that applies to `kind`
 * (0: all) to its default, then to what the mapping `node` says. NULL `node` means defaults only. Mistakes
 * (unknown, foreign and missing keys, wrong types, values out of range) are noted, and the field keeps its
 * default. Thread: the caller's. */
void acme_config_fill(struct acme_config_reader *reader, const struct acme_config_table *table,
                      const struct acme_yaml_node *node, unsigned kind, void *object);

/** acme_config_text(reader, node): the text of a scalar with ${VARIABLE} replaced from the environment ("$${"
 * is a plain "${"). NULL after noting a mistake: no scalar, nothing, too long, control characters, an unset
 * variable. */
const char *acme_config_text(struct acme_config_reader *reader, const struct acme_yaml_node *node);

/** acme_config_variable(text, ret_len): when `text` begins with "${NAME}", NAME (of *ret_len characters),
 * else NULL. */
const char *acme_config_variable(const char *text, size_t *ret_len);

/** acme_config_wrong(reader, node, expected): note "expected ..., found <what the node is>". Shows the text
 * as written, not expanded. */
void acme_config_wrong(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                       const char *expected);

/** acme_config_path(reader, path): `path` as it is when absolute, else below the file's folder; NULL without
 * memory (noted). */
const char *acme_config_path(struct acme_config_reader *reader, const char *path);

/** acme_config_has_control(text): an octet below 0x20, or DEL, is in `text`. */
bool acme_config_has_control(const char *text);

#endif
