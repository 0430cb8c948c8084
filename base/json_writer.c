#include "base/json_writer.h"

#include "base/clock.h"

#include <inttypes.h>
#include <string.h>

void acme_jw_init(struct acme_json_writer *writer, struct acme_buf *out)
{
    *writer = (struct acme_json_writer){.out = out};
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c != '"' && c != '\\';
}

/* Runs of plain characters go out in one piece. */
static void put_escaped(struct acme_buf *out, const char *text)
{
    const char *run = text;
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (is_plain(c))
            continue;
        acme_buf_append(out, run, (size_t)(text - run));
        run = text + 1;
        if (c == '"' || c == '\\')
            acme_buf_append(out, (const char[]){'\\', (char)c}, 2);
        else if (c == '\n')
            acme_buf_str(out, "\\n");
        else
            acme_buf_printf(out, "\\u%04x", c);
    }
    acme_buf_append(out, run, (size_t)(text - run));
}

static void put_string(struct acme_buf *out, const char *text)
{
    size_t len = 0;
    while (is_plain((unsigned char)text[len]))
        len++;
    if (text[len] != '\0') {
        acme_buf_str(out, "\"");
        put_escaped(out, text);
        acme_buf_str(out, "\"");
        return;
    }
    char *at = acme_buf_extend(out, len + 2);
    if (at == NULL)
        return;
    at[0] = '"';
    memcpy(at + 1, text, len);
    at[len + 1] = '"';
}

static void start_value(struct acme_json_writer *writer, const char *name)
{
    if (writer->comma)
        acme_buf_str(writer->out, ",");
    writer->comma = true;
    if (name != NULL) {
        put_string(writer->out, name);
        acme_buf_str(writer->out, ":");
    }
}

static void open_level(struct acme_json_writer *writer, const char *name, const char *bracket)
{
    start_value(writer, name);
    acme_buf_str(writer->out, bracket);
    writer->comma = false;
}

static void close_level(struct acme_json_writer *writer, const char *bracket)
{
    acme_buf_str(writer->out, bracket);
    writer->comma = true;
}

void acme_jw_object(struct acme_json_writer *writer, const char *name)
{
    open_level(writer, name, "{");
}

void acme_jw_object_end(struct acme_json_writer *writer)
{
    close_level(writer, "}");
}

void acme_jw_array(struct acme_json_writer *writer, const char *name)
{
    open_level(writer, name, "[");
}

void acme_jw_array_end(struct acme_json_writer *writer)
{
    close_level(writer, "]");
}

void acme_jw_str(struct acme_json_writer *writer, const char *name, const char *text)
{
    if (text == NULL)
        return;
    start_value(writer, name);
    put_string(writer->out, text);
}

void acme_jw_int(struct acme_json_writer *writer, const char *name, int64_t value)
{
    start_value(writer, name);
    acme_buf_printf(writer->out, "%" PRId64, value);
}

void acme_jw_bool(struct acme_json_writer *writer, const char *name, bool value)
{
    start_value(writer, name);
    acme_buf_str(writer->out, value ? "true" : "false");
}

void acme_jw_time(struct acme_json_writer *writer, const char *name, int64_t unix_ms)
{
    if (unix_ms == 0)
        return;
    char text[ACME_RFC3339_SIZE];
    acme_rfc3339_format(unix_ms, text);
    acme_jw_str(writer, name, text);
}

void acme_jw_raw(struct acme_json_writer *writer, const char *name, const char *json)
{
    if (json == NULL)
        return;
    start_value(writer, name);
    acme_buf_str(writer->out, json);
}
