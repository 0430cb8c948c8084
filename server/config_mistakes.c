#include "server/config_mistakes.h"

#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 1024, QUOTED_MAX = 60 };

void acme_mistake_add(struct acme_mistakes *mistakes, int line, int column, const char *format, ...)
{
    size_t rank = mistakes->count++;
    if (rank >= ACME_MISTAKES_MAX)
        return;
    char text[TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    char *copy = acme_arena_strdup(mistakes->arena, text);
    if (copy == NULL)
        mistakes->nomem = true;
    mistakes->list[rank] = (struct acme_mistake){
        .line = line, .column = column, .found = rank, .text = copy != NULL ? copy : "out of memory"};
}

static int compare(const void *left, const void *right)
{
    const struct acme_mistake *a = left;
    const struct acme_mistake *b = right;
    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    if (a->column != b->column)
        return a->column < b->column ? -1 : 1;
    return a->found < b->found ? -1 : 1;
}

char *acme_mistakes_text(struct acme_mistakes *mistakes)
{
    size_t kept = mistakes->count < ACME_MISTAKES_MAX ? mistakes->count : ACME_MISTAKES_MAX;
    qsort(mistakes->list, kept, sizeof mistakes->list[0], compare);

    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, (size_t)ACME_MISTAKES_MAX * (TEXT_MAX + 4096 + 64));
    for (size_t i = 0; i < kept; i++) {
        const struct acme_mistake *mistake = &mistakes->list[i];
        if (mistake->line > 0)
            acme_buf_printf(&out, "%s:%d:%d: %s\n", mistakes->file, mistake->line, mistake->column,
                            mistake->text);
        else
            acme_buf_printf(&out, "%s: %s\n", mistakes->file, mistake->text);
    }
    if (mistakes->count > kept)
        acme_buf_printf(&out, "%s: and %zu more mistakes\n", mistakes->file, mistakes->count - kept);
    return acme_buf_steal(&out);
}

static const char *quote(struct acme_mistakes *mistakes, const char *text, size_t len)
{
    bool cut = text[len] != '\0' || len > QUOTED_MAX;
    if (len > QUOTED_MAX) {
        len = QUOTED_MAX;
        while (len > 0 &&
               ((unsigned char)text[len] & 0xc0) == 0x80) /* not in the middle of a UTF-8 character */
            len--;
    }
    char *quoted = acme_arena_printf(mistakes->arena, "'%.*s%s'", (int)len, text, cut ? "..." : "");
    if (quoted == NULL) {
        mistakes->nomem = true;
        return "a value";
    }
    for (char *c = quoted; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    }
    return quoted;
}

const char *acme_mistake_quote(struct acme_mistakes *mistakes, const char *text)
{
    return quote(mistakes, text, strlen(text));
}

const char *acme_mistake_quote_key(struct acme_mistakes *mistakes, const char *key)
{
    size_t len = 0;
    while ((key[len] >= 'a' && key[len] <= 'z') || (key[len] >= 'A' && key[len] <= 'Z') ||
           (key[len] >= '0' && key[len] <= '9') || key[len] == '_' || key[len] == '-')
        len++;
    return quote(mistakes, key, len);
}
