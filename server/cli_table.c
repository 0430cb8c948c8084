/* Tables and lists of fields. What is printed was written by clients and upstreams: nothing of it may steer
 * the terminal. */
#include "server/cli_internal.h"

#include <string.h>

enum { NUMBER_SIZE = 32, CELL_MAX = 120, GAP = 2, NAMES_IN_CELL = 3 };

/* Control characters of ASCII and of Latin-1 (in UTF-8: C2 80 to C2 9F). */
static size_t control_length(const unsigned char *at)
{
    if (at[0] < 0x20 || at[0] == 0x7f)
        return 1;
    return at[0] == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f ? 2 : 0;
}

/* `out` NULL: only counts. */
static size_t print_run(const char *text, size_t len, FILE *out)
{
    size_t columns = 0;
    const unsigned char *at = (const unsigned char *)text;
    const unsigned char *end = at + len;
    while (at < end) {
        size_t control = control_length(at); /* the byte behind the run is a terminator or a line feed */
        if (control > 0) {
            if (out != NULL)
                fprintf(out, "\\x%02X", at[control - 1]);
            columns += 4;
            at += control;
            continue;
        }
        if (out != NULL)
            fputc(*at, out);
        columns += (*at & 0xc0) != 0x80 ? 1 : 0;
        at++;
    }
    return columns;
}

static size_t print_text(const char *text, FILE *out)
{
    return print_run(text, strlen(text), out);
}

size_t acme_cli_text(const char *text, FILE *out)
{
    return print_text(text, out);
}

static const cJSON *find(const cJSON *row, const char *member)
{
    char first[NUMBER_SIZE];
    const char *dot = strchr(member, '.');
    if (dot == NULL || (size_t)(dot - member) >= sizeof first)
        return acme_json_get(row, member);
    memcpy(first, member, (size_t)(dot - member));
    first[dot - member] = '\0';
    return acme_json_get(acme_json_get(row, first), dot + 1);
}

static size_t print_list(const cJSON *list, int most, FILE *out)
{
    size_t columns = 0;
    int shown = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsString(item))
            continue;
        if (shown == most) {
            char more[NUMBER_SIZE];
            (void)snprintf(more, sizeof more, " +%d", cJSON_GetArraySize(list) - shown);
            return columns + print_text(more, out);
        }
        if (shown++ > 0)
            columns += print_text(", ", out);
        columns += print_text(item->valuestring, out);
    }
    return columns;
}

static size_t print_value(const cJSON *value, int most, FILE *out)
{
    char number[NUMBER_SIZE];
    if (cJSON_IsString(value))
        return print_text(value->valuestring, out);
    if (cJSON_IsBool(value))
        return print_text(cJSON_IsTrue(value) ? "yes" : "no", out);
    if (cJSON_IsNumber(value)) {
        (void)snprintf(number, sizeof number, "%.0f", value->valuedouble);
        return print_text(number, out);
    }
    return cJSON_GetArraySize(value) > 0 ? print_list(value, most, out) : print_text("-", out);
}

static void pad(size_t columns, FILE *out)
{
    for (size_t i = 0; i < columns; i++)
        fputc(' ', out);
}

void acme_cli_table(const struct acme_cli_column *columns, size_t count, const cJSON *rows, FILE *out)
{
    enum { MAX_COLUMNS = 12 };
    size_t widths[MAX_COLUMNS] = {0};
    if (count > MAX_COLUMNS)
        count = MAX_COLUMNS;
    for (size_t i = 0; i < count; i++) {
        const cJSON *row;
        widths[i] = strlen(columns[i].title);
        cJSON_ArrayForEach(row, rows)
        {
            size_t width = print_value(find(row, columns[i].member), NAMES_IN_CELL, NULL);
            if (width > widths[i])
                widths[i] = width < CELL_MAX ? width : CELL_MAX;
        }
    }
    for (size_t i = 0; i < count; i++) {
        size_t width = print_text(columns[i].title, out);
        if (i + 1 < count)
            pad(widths[i] - width + GAP, out);
    }
    fputc('\n', out);
    const cJSON *row;
    cJSON_ArrayForEach(row, rows)
    {
        for (size_t i = 0; i < count; i++) {
            size_t width = print_value(find(row, columns[i].member), NAMES_IN_CELL, out);
            if (i + 1 < count)
                pad((width < widths[i] ? widths[i] - width : 0) + GAP, out);
        }
        fputc('\n', out);
    }
}

static void print_lines(const char *text, int indent, FILE *out)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        pad((size_t)indent, out);
        (void)print_run(text, len, out);
        fputc('\n', out);
        text += len + (text[len] == '\n' ? 1 : 0);
    }
}

void acme_cli_fields(const cJSON *object, int indent, FILE *out)
{
    enum { NAME_WIDTH = 18, STEP = 2 };
    for (const cJSON *item = object->child; item != NULL; item = item->next) {
        bool nested = cJSON_IsObject(item);
        bool lines = cJSON_IsString(item) && strchr(item->valuestring, '\n') != NULL;
        pad((size_t)indent, out);
        size_t width = print_text(item->string, out);
        if (nested || lines) {
            fputc('\n', out);
            if (nested)
                acme_cli_fields(item, indent + STEP, out);
            else
                print_lines(item->valuestring, indent + STEP, out);
            continue;
        }
        pad(width < NAME_WIDTH ? NAME_WIDTH - width : 1, out);
        (void)print_value(item, -1, out);
        fputc('\n', out);
    }
}
