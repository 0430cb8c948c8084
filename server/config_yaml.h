/* YAML text as a tree of nodes that know where they stand. The part of YAML that configuration needs: one
 * document of mappings, sequences and scalars. Anchors, aliases, tags and duplicate keys are refused: they
 * hide what a file says. */
#ifndef ACME_SERVER_CONFIG_YAML_H
#define ACME_SERVER_CONFIG_YAML_H

#include "server/config_mistakes.h"

enum { ACME_YAML_MAX_BYTES = 1024 * 1024, ACME_YAML_MAX_DEPTH = 16, ACME_YAML_MAX_NODES = 20000 };

enum acme_yaml_kind { ACME_YAML_SCALAR, ACME_YAML_SEQUENCE, ACME_YAML_MAPPING };

struct acme_yaml_node {
    enum acme_yaml_kind kind;
    int line; /* from 1, like the column; where the node begins */
    int column;
    const char *text;                 /* scalar */
    bool quoted;                      /* scalar: in quotes or a block, so never a number or a truth value */
    const struct acme_yaml_node *key; /* the node is a value of a mapping */
    struct acme_yaml_node *next;      /* the following item or value of the same parent */
    struct acme_yaml_node *first;     /* sequence, mapping: the first item or value */
    size_t count;                     /* sequence, mapping: of items or values */
};

/** acme_yaml_parse(arena, text, len, mistakes): the tree of the document in `text`, which must be UTF-8.
 *  NULL when there is a mistake in it (noted; syntax mistakes end the reading) or the document is empty (also
 * noted). Owns: the tree lives in `arena`. Limits: those above, each noted when exceeded. Thread: any. */
struct acme_yaml_node *acme_yaml_parse(struct acme_arena *arena, const char *text, size_t len,
                                       struct acme_mistakes *mistakes);

/** acme_yaml_get(mapping, name): the value of a key; NULL when absent or `mapping` is NULL or no mapping. */
const struct acme_yaml_node *acme_yaml_get(const struct acme_yaml_node *mapping, const char *name);

#endif
