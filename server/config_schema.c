#include "server/config_schema.h"

#include "base/buf.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_MAX = 64, SUGGEST_WITHIN = 2 };

bool acme_config_has_control(const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if (*c < 0x20 || *c == 0x7f)
            return true;
    }
    return false;
}

static bool is_null(const struct acme_yaml_node *node)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    if (node->kind != ACME_YAML_SCALAR || node->quoted)
        return false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(node->text, words[i]) == 0)
            return true;
    }
    return false;
}

void acme_config_wrong(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                       const char *expected)
{
    const char *what = "";
    const char *found = "nothing";
    if (node->kind == ACME_YAML_SEQUENCE) {
        found = "a list";
    } else if (node->kind == ACME_YAML_MAPPING) {
        found = "a mapping";
    } else if (!is_null(node)) {
        what = node->quoted ? "the text " : "";
        found = acme_mistake_quote(reader->mistakes, node->text);
    }
    acme_mistake_add(reader->mistakes, node->line, node->column, "expected %s, found %s%s", expected, what,
                     found);
}

const char *acme_config_path(struct acme_config_reader *reader, const char *path)
{
    const char *whole = path[0] == '/' || reader->folder[0] == '\0'
                            ? acme_arena_strdup(reader->arena, path)
                            : acme_arena_printf(reader->arena, "%s/%s", reader->folder, path);
    if (whole == NULL)
        reader->mistakes->nomem = true;
    return whole;
}

/* ---- texts ---- */

static bool is_name_octet(char c, bool first)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || (!first && c >= '0' && c <= '9');
}

const char *acme_config_variable(const char *text, size_t *ret_len)
{
    if (text[0] != '$' || text[1] != '{' || !is_name_octet(text[2], true))
        return NULL;
    size_t len = 1;
    while (len < KEY_MAX && is_name_octet(text[2 + len], false))
        len++;
    if (text[2 + len] != '}')
        return NULL;
    *ret_len = len;
    return text + 2;
}

/* Appends the variable's value; false after noting that it is not set. */
static bool expand_one(struct acme_config_reader *reader, const struct acme_yaml_node *node, const char *name,
                       size_t len, struct acme_buf *out)
{
    char variable[KEY_MAX + 1];
    memcpy(variable, name, len);
    variable[len] = '\0';
    const char *value = getenv(variable);
    if (value == NULL) {
        acme_mistake_add(reader->mistakes, node->line, node->column,
                         "expected the environment variable %s to be set, found it unset", variable);
        return false;
    }
    acme_buf_str(out, value);
    return true;
}

static const char *expand(struct acme_config_reader *reader, const struct acme_yaml_node *node)
{
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, ACME_CONFIG_TEXT_MAX);
    for (const char *at = node->text; *at != '\0';) {
        size_t len = 0;
        const char *name = NULL;
        if (strncmp(at, "$${", 3) == 0) {
            acme_buf_str(&out, "${");
            at += 3;
        } else if (strncmp(at, "${", 2) != 0) {
            acme_buf_append(&out, at, 1);
            at++;
        } else if ((name = acme_config_variable(at, &len)) != NULL) {
            if (!expand_one(reader, node, name, len, &out))
                return NULL;
            at += len + 3;
        } else {
            acme_config_wrong(reader, node, "${VARIABLE} (or $${ for a plain ${)");
            return NULL;
        }
    }
    if (out.failed) {
        acme_mistake_add(reader->mistakes, node->line, node->column,
                         "expected at most %d characters, found more", (int)ACME_CONFIG_TEXT_MAX);
        return NULL;
    }
    const char *text = acme_arena_strdup(reader->arena, acme_buf_cstr(&out));
    if (text == NULL)
        reader->mistakes->nomem = true;
    return text;
}

const char *acme_config_text(struct acme_config_reader *reader, const struct acme_yaml_node *node)
{
    if (node->kind != ACME_YAML_SCALAR || is_null(node)) {
        acme_config_wrong(reader, node, "text");
        return NULL;
    }
    const char *text = expand(reader, node);
    if (text == NULL)
        return NULL;
    if (text[0] == '\0') {
        acme_mistake_add(reader->mistakes, node->line, node->column, "expected text, found an empty one");
        return NULL;
    }
    if (acme_config_has_control(text)) {
        acme_mistake_add(reader->mistakes, node->line, node->column,
                         "expected text on one line, found a line break or control character in it");
        return NULL;
    }
    return text;
}

static const char *checked_text(struct acme_config_reader *reader, const struct acme_config_key *key,
                                const struct acme_yaml_node *node)
{
    if (key->unit != NULL && (node->kind != ACME_YAML_SCALAR || is_null(node))) {
        acme_config_wrong(reader, node, key->unit);
        return NULL;
    }
    const char *text = acme_config_text(reader, node);
    if (text == NULL || key->check == NULL)
        return text;
    return key->check(reader, node, text);
}

static void read_text(struct acme_config_reader *reader, const struct acme_config_key *key,
                      const struct acme_yaml_node *node, char *object)
{
    const char *text = checked_text(reader, key, node);
    if (text != NULL)
        memcpy(object + key->offset, &text, sizeof text);
}

static void read_text_list(struct acme_config_reader *reader, const struct acme_config_key *key,
                           const struct acme_yaml_node *node, char *object)
{
    if (node->kind != ACME_YAML_SEQUENCE) {
        acme_config_wrong(reader, node, "a list");
        return;
    }
    if (node->count > ACME_CONFIG_LIST_MAX) {
        acme_mistake_add(reader->mistakes, node->line, node->column, "expected at most %d items, found %zu",
                         (int)ACME_CONFIG_LIST_MAX, node->count);
        return;
    }
    const char **list = acme_arena_alloc(reader->arena, (node->count + 1) * sizeof *list);
    if (list == NULL) {
        reader->mistakes->nomem = true;
        return;
    }
    size_t count = 0;
    for (const struct acme_yaml_node *item = node->first; item != NULL; item = item->next) {
        const char *text = checked_text(reader, key, item);
        if (text != NULL)
            list[count++] = text;
    }
    memcpy(object + key->offset, &list, sizeof list);
    memcpy(object + key->count_offset, &count, sizeof count);
}

/* ---- numbers and flags ---- */

/* -?(0|[1-9][0-9]*), 18 digits at most: strtoll takes more forms than we mean. */
static bool parse_number(const char *text, int64_t *ret)
{
    bool negative = text[0] == '-';
    const char *digits = text + (negative ? 1 : 0);
    size_t len = strlen(digits);
    if (len == 0 || len > 18 || (digits[0] == '0' && len > 1))
        return false;
    int64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return false;
        value = value * 10 + (digits[i] - '0');
    }
    *ret = negative ? -value : value;
    return true;
}

static void store_number(const struct acme_config_key *key, int64_t value, char *object)
{
    int64_t stored = value * (key->scale == 0 ? 1 : key->scale);
    int narrow = (int)stored;
    size_t size = (size_t)stored;
    bool flag = stored != 0;
    switch (key->type) {
    case ACME_CONFIG_INT:
        memcpy(object + key->offset, &narrow, sizeof narrow);
        break;
    case ACME_CONFIG_SIZE:
        memcpy(object + key->offset, &size, sizeof size);
        break;
    case ACME_CONFIG_FLAG:
        memcpy(object + key->offset, &flag, sizeof flag);
        break;
    default:
        memcpy(object + key->offset, &stored, sizeof stored);
        break;
    }
}

static void read_number(struct acme_config_reader *reader, const struct acme_config_key *key,
                        const struct acme_yaml_node *node, char *object)
{
    int64_t value = 0;
    if (node->kind == ACME_YAML_SCALAR && !node->quoted && parse_number(node->text, &value) &&
        value >= key->min && value <= key->max) {
        store_number(key, value, object);
        return;
    }
    char expected[160];
    const char *unit = key->unit != NULL ? key->unit : "";
    if (key->max == INT64_MAX || key->max == INT_MAX)
        snprintf(expected, sizeof expected, "a whole number%s%s, at least %lld",
                 key->unit != NULL ? " of " : "", unit, (long long)key->min);
    else
        snprintf(expected, sizeof expected, "a whole number%s%s from %lld to %lld",
                 key->unit != NULL ? " of " : "", unit, (long long)key->min, (long long)key->max);
    acme_config_wrong(reader, node, expected);
}

static void read_flag(struct acme_config_reader *reader, const struct acme_config_key *key,
                      const struct acme_yaml_node *node, char *object)
{
    bool plain = node->kind == ACME_YAML_SCALAR && !node->quoted;
    if (plain && strcmp(node->text, "true") == 0)
        store_number(key, 1, object);
    else if (plain && strcmp(node->text, "false") == 0)
        store_number(key, 0, object);
    else
        acme_config_wrong(reader, node, "true or false");
}

/* ---- keys ---- */

const struct acme_config_key *acme_config_row(const struct acme_config_table *table, size_t index)
{
    while (table != NULL && index >= table->count) {
        index -= table->count;
        table = table->also;
    }
    return table != NULL ? &table->keys[index] : NULL;
}

static bool applies(const struct acme_config_key *key, unsigned kind)
{
    return key->applies == 0 || kind == 0 || (key->applies & kind) != 0;
}

/* Levenshtein distance. Longer words than KEY_MAX are far from everything. */
static size_t distance(const char *a, const char *b)
{
    size_t la = strlen(a);
    size_t lb = strlen(b);
    if (la > KEY_MAX || lb > KEY_MAX)
        return KEY_MAX;
    size_t row[KEY_MAX + 1];
    for (size_t j = 0; j <= lb; j++)
        row[j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t best = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[lb];
}

static void refuse_unknown(struct acme_config_reader *reader, const struct acme_config_table *table,
                           const struct acme_yaml_node *key, unsigned kind)
{
    const char *quoted = acme_mistake_quote_key(reader->mistakes, key->text);
    const char *nearest = NULL;
    size_t nearest_distance = SUGGEST_WITHIN + 1;
    ACME_CLEANUP_BUF struct acme_buf known;
    acme_buf_init(&known, 1000);
    const struct acme_config_key *row = NULL;
    for (size_t i = 0; (row = acme_config_row(table, i)) != NULL; i++) {
        if (!applies(row, kind))
            continue;
        acme_buf_printf(&known, "%s%s", known.len > 0 ? ", " : "", row->name);
        size_t d = distance(key->text, row->name);
        if (d < nearest_distance && d < strlen(row->name)) {
            nearest = row->name;
            nearest_distance = d;
        }
    }
    if (nearest != NULL)
        acme_mistake_add(reader->mistakes, key->line, key->column, "unknown key %s, did you mean '%s'?",
                         quoted, nearest);
    else
        acme_mistake_add(reader->mistakes, key->line, key->column, "unknown key %s, expected one of: %s",
                         quoted, known.failed ? "those in docs/configuration.md" : acme_buf_cstr(&known));
}

/* The row of a key for this kind of object; NULL after noting a mistake. */
static const struct acme_config_key *find_row(struct acme_config_reader *reader,
                                              const struct acme_config_table *table,
                                              const struct acme_yaml_node *key, unsigned kind)
{
    bool foreign = false;
    const struct acme_config_key *row = NULL;
    for (size_t i = 0; (row = acme_config_row(table, i)) != NULL; i++) {
        if (strcmp(row->name, key->text) != 0)
            continue;
        if (applies(row, kind))
            return row;
        foreign = true;
    }
    if (!foreign) {
        refuse_unknown(reader, table, key, kind);
        return NULL;
    }
    const char *kind_name = "this";
    for (size_t bit = 0; table->kinds != NULL && table->kinds[bit] != NULL; bit++) {
        if (kind == 1U << bit)
            kind_name = table->kinds[bit];
    }
    acme_mistake_add(reader->mistakes, key->line, key->column, "key %s does not apply to issuers of type %s",
                     acme_mistake_quote_key(reader->mistakes, key->text), kind_name);
    return NULL;
}

static void set_default(struct acme_config_reader *reader, const struct acme_config_key *row, unsigned kind,
                        char *object)
{
    switch (row->type) {
    case ACME_CONFIG_TEXT:
        memcpy(object + row->offset, &row->standard_text, sizeof row->standard_text);
        break;
    case ACME_CONFIG_TABLE:
        acme_config_fill(reader, row->table, NULL, kind, object + row->offset);
        break;
    case ACME_CONFIG_TEXT_LIST: /* the structs begin zeroed: an empty list */
    case ACME_CONFIG_READ:
    case ACME_CONFIG_LATER:
        break;
    default:
        store_number(row, row->standard, object);
        break;
    }
}

static void read_value(struct acme_config_reader *reader, const struct acme_config_key *row,
                       const struct acme_yaml_node *node, unsigned kind, char *object)
{
    switch (row->type) {
    case ACME_CONFIG_TEXT:
        read_text(reader, row, node, object);
        break;
    case ACME_CONFIG_TEXT_LIST:
        read_text_list(reader, row, node, object);
        break;
    case ACME_CONFIG_FLAG:
        read_flag(reader, row, node, object);
        break;
    case ACME_CONFIG_INT:
    case ACME_CONFIG_INT64:
    case ACME_CONFIG_SIZE:
        read_number(reader, row, node, object);
        break;
    case ACME_CONFIG_TABLE:
        acme_config_fill(reader, row->table, node, kind, object + row->offset);
        break;
    case ACME_CONFIG_READ:
        row->read(reader, node, object);
        break;
    case ACME_CONFIG_LATER:
        break;
    }
}

void acme_config_fill(struct acme_config_reader *reader, const struct acme_config_table *table,
                      const struct acme_yaml_node *node, unsigned kind, void *object)
{
    /* A section whose keys are all commented out is a null, and means the defaults. */
    if (node != NULL && node->kind != ACME_YAML_MAPPING && !is_null(node)) {
        acme_config_wrong(reader, node, "a mapping");
        node = NULL;
    }
    const struct acme_config_key *row = NULL;
    for (size_t i = 0; (row = acme_config_row(table, i)) != NULL; i++) {
        if (!applies(row, kind))
            continue;
        if (!row->keep)
            set_default(reader, row, kind, object);
        if (row->required && node != NULL && acme_yaml_get(node, row->name) == NULL)
            acme_mistake_add(reader->mistakes, node->line, node->column,
                             "expected the key '%s'%s%s%s, found none", row->name,
                             row->unit != NULL ? " (" : "", row->unit != NULL ? row->unit : "",
                             row->unit != NULL ? ")" : "");
    }
    if (node == NULL)
        return;
    for (const struct acme_yaml_node *value = node->first; value != NULL; value = value->next) {
        row = find_row(reader, table, value->key, kind);
        if (row != NULL)
            read_value(reader, row, value, kind, object);
    }
}
