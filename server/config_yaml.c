#include "server/config_yaml.h"

#include <limits.h>
#include <string.h>
#include <yaml.h>

struct builder {
    struct acme_arena *arena;
    struct acme_mistakes *mistakes;
    struct acme_yaml_node *root;
    struct acme_yaml_node *open[ACME_YAML_MAX_DEPTH]; /* collections that have begun and not ended */
    struct acme_yaml_node *last[ACME_YAML_MAX_DEPTH]; /* the latest child of each */
    struct acme_yaml_node *key[ACME_YAML_MAX_DEPTH];  /* of a mapping: the key whose value comes next */
    size_t depth;
    size_t nodes;
    size_t documents;
    bool done;
    bool failed;
};

static int position(size_t from_zero)
{
    return from_zero < INT_MAX ? (int)from_zero + 1 : INT_MAX;
}

static void refuse(struct builder *builder, yaml_mark_t mark, const char *why)
{
    acme_mistake_add(builder->mistakes, position(mark.line), position(mark.column), "%s", why);
    builder->failed = true;
}

/* Where a byte offset lies, for mistakes of the encoding, which libyaml gives no line for. */
static yaml_mark_t mark_of_offset(const char *text, size_t offset)
{
    yaml_mark_t mark = {.index = offset};
    for (size_t i = 0; i < offset; i++) {
        if (text[i] == '\n') {
            mark.line++;
            mark.column = 0;
        } else if (((unsigned char)text[i] & 0xc0) != 0x80) {
            mark.column++;
        }
    }
    return mark;
}

static void refuse_syntax(struct builder *builder, const yaml_parser_t *parser, const char *text, size_t len)
{
    yaml_mark_t mark = parser->problem_mark;
    if (parser->error == YAML_MEMORY_ERROR) {
        builder->mistakes->nomem = true;
        return;
    }
    if (parser->error == YAML_READER_ERROR)
        mark = mark_of_offset(text, parser->problem_offset < len ? parser->problem_offset : len);
    acme_mistake_add(builder->mistakes, position(mark.line), position(mark.column),
                     "expected YAML, found a mistake: %s%s%s",
                     parser->problem != NULL ? parser->problem : "a mistake",
                     parser->context != NULL ? " " : "", parser->context != NULL ? parser->context : "");
    builder->failed = true;
}

static struct acme_yaml_node *make_node(struct builder *builder, enum acme_yaml_kind kind, yaml_mark_t mark)
{
    if (builder->nodes == ACME_YAML_MAX_NODES) {
        refuse(builder, mark, "expected a configuration, found more than 20000 values");
        return NULL;
    }
    builder->nodes++;
    struct acme_yaml_node *node = acme_arena_alloc(builder->arena, sizeof *node);
    if (node == NULL) {
        builder->mistakes->nomem = true;
        builder->failed = true;
        return NULL;
    }
    *node =
        (struct acme_yaml_node){.kind = kind, .line = position(mark.line), .column = position(mark.column)};
    return node;
}

static void take_key(struct builder *builder, struct acme_yaml_node *node, yaml_mark_t mark)
{
    size_t level = builder->depth - 1;
    if (node->kind != ACME_YAML_SCALAR) {
        refuse(builder, mark, "expected a name as key, found a list or a mapping");
        return;
    }
    for (const struct acme_yaml_node *other = builder->open[level]->first; other != NULL;
         other = other->next) {
        if (strcmp(other->key->text, node->text) != 0)
            continue;
        /* The file stays readable: go on, so that its other mistakes are shown too. */
        acme_mistake_add(builder->mistakes, node->line, node->column,
                         "expected each key once, found %s again (first in line %d)",
                         acme_mistake_quote_key(builder->mistakes, node->text), other->key->line);
        break;
    }
    builder->key[level] = node;
}

/* Put a node where it belongs: root, key, value or item. */
static void place(struct builder *builder, struct acme_yaml_node *node, yaml_mark_t mark)
{
    if (builder->depth == 0) {
        builder->root = node;
        return;
    }
    size_t level = builder->depth - 1;
    struct acme_yaml_node *parent = builder->open[level];
    if (parent->kind == ACME_YAML_MAPPING) {
        if (builder->key[level] == NULL) {
            take_key(builder, node, mark);
            return;
        }
        node->key = builder->key[level];
        builder->key[level] = NULL;
    }
    if (parent->first == NULL)
        parent->first = node;
    else
        builder->last[level]->next = node;
    builder->last[level] = node;
    parent->count++;
}

static void begin_collection(struct builder *builder, enum acme_yaml_kind kind, const yaml_event_t *event)
{
    if (builder->depth == ACME_YAML_MAX_DEPTH) {
        refuse(builder, event->start_mark, "expected at most 16 levels, found a deeper one");
        return;
    }
    struct acme_yaml_node *node = make_node(builder, kind, event->start_mark);
    if (node == NULL)
        return;
    place(builder, node, event->start_mark);
    if (builder->failed)
        return;
    builder->open[builder->depth] = node;
    builder->last[builder->depth] = NULL;
    builder->key[builder->depth] = NULL;
    builder->depth++;
}

static void take_scalar(struct builder *builder, const yaml_event_t *event)
{
    const char *value = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    if (memchr(value, '\0', len) != NULL) {
        refuse(builder, event->start_mark, "expected text, found a NUL character in it");
        return;
    }
    struct acme_yaml_node *node = make_node(builder, ACME_YAML_SCALAR, event->start_mark);
    if (node == NULL)
        return;
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    node->text = acme_arena_strndup(builder->arena, value, len);
    if (node->text == NULL) {
        builder->mistakes->nomem = true;
        builder->failed = true;
        return;
    }
    place(builder, node, event->start_mark);
}

static bool has_anchor_or_tag(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return event->data.scalar.anchor != NULL || event->data.scalar.tag != NULL;
    case YAML_SEQUENCE_START_EVENT:
        return event->data.sequence_start.anchor != NULL || event->data.sequence_start.tag != NULL;
    case YAML_MAPPING_START_EVENT:
        return event->data.mapping_start.anchor != NULL || event->data.mapping_start.tag != NULL;
    default:
        return false;
    }
}

static void take_event(struct builder *builder, const yaml_event_t *event)
{
    if (has_anchor_or_tag(event)) {
        refuse(builder, event->start_mark,
               "expected a plain value, found an anchor (&) or a tag (!), which are not supported");
        return;
    }
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        refuse(builder, event->start_mark, "expected a value, found an alias (*), which is not supported");
        break;
    case YAML_DOCUMENT_START_EVENT:
        if (builder->documents++ > 0)
            refuse(builder, event->start_mark, "expected one document, found a second one");
        break;
    case YAML_SCALAR_EVENT:
        take_scalar(builder, event);
        break;
    case YAML_SEQUENCE_START_EVENT:
        begin_collection(builder, ACME_YAML_SEQUENCE, event);
        break;
    case YAML_MAPPING_START_EVENT:
        begin_collection(builder, ACME_YAML_MAPPING, event);
        break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        builder->depth--;
        break;
    case YAML_STREAM_END_EVENT:
        builder->done = true;
        break;
    default: /* begin of the stream, end of a document */
        break;
    }
}

struct acme_yaml_node *acme_yaml_parse(struct acme_arena *arena, const char *text, size_t len,
                                       struct acme_mistakes *mistakes)
{
    if (len > ACME_YAML_MAX_BYTES) {
        acme_mistake_add(mistakes, 0, 0, "expected at most 1 MiB, found a larger file");
        return NULL;
    }
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
        mistakes->nomem = true;
        return NULL;
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);

    struct builder builder = {.arena = arena, .mistakes = mistakes};
    while (!builder.done && !builder.failed && !mistakes->nomem) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            refuse_syntax(&builder, &parser, text, len);
            break;
        }
        take_event(&builder, &event);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    if (!builder.done || builder.failed || mistakes->nomem)
        return NULL;
    if (builder.root == NULL)
        acme_mistake_add(mistakes, 1, 1,
                         "expected a mapping with server, issuers and profiles, found an empty file");
    return builder.root;
}

const struct acme_yaml_node *acme_yaml_get(const struct acme_yaml_node *mapping, const char *name)
{
    if (mapping == NULL || mapping->kind != ACME_YAML_MAPPING)
        return NULL;
    for (const struct acme_yaml_node *value = mapping->first; value != NULL; value = value->next) {
        if (strcmp(value->key->text, name) == 0)
            return value;
    }
    return NULL;
}
