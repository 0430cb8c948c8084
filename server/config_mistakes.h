/* What is wrong with a configuration file: all of it at once, in the order of the file. */
#ifndef ACME_SERVER_CONFIG_MISTAKES_H
#define ACME_SERVER_CONFIG_MISTAKES_H

#include "base/arena.h"

enum { ACME_MISTAKES_MAX = 64 };

struct acme_mistake {
    int line; /* from 1; 0: of the file as a whole */
    int column;
    size_t found; /* its rank among the mistakes found */
    const char *text;
};

struct acme_mistakes {
    const char *file;
    struct acme_arena *arena; /* borrowed, for the texts */
    struct acme_mistake list[ACME_MISTAKES_MAX];
    size_t count; /* all that were found; the list holds the first ACME_MISTAKES_MAX */
    bool nomem;   /* memory ran out while reading: the result is worthless */
};

/** acme_mistake_add(mistakes, line, column, format, ...): note one. Texts are one line, name keys and values
 * as they stand in the file, and never contain a secret or the value of an environment variable. */
void acme_mistake_add(struct acme_mistakes *mistakes, int line, int column, const char *format, ...)
    ACME_PRINTF(4, 5);

/** acme_mistakes_text(mistakes): "file:line:column: text" lines sorted by position, malloc'd; NULL without
 * memory. */
char *acme_mistakes_text(struct acme_mistakes *mistakes);

/** acme_mistake_quote(mistakes, text): 'text' in quotes, control characters replaced, cut after 60
 * characters, for use in a mistake. Lives in the arena; never NULL. */
const char *acme_mistake_quote(struct acme_mistakes *mistakes, const char *text);

/** acme_mistake_quote_key(mistakes, key): likewise, but only up to the first character that no key has: in
 * {password:secret}, where a space is missing, all of it is the key. */
const char *acme_mistake_quote_key(struct acme_mistakes *mistakes, const char *key);

#endif
