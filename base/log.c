#include "base/log.h"

#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    LINE_SIZE = 4096,
    VALUE_MAX = 1024, /* one long value must not push the other fields out */
    TAIL = 5,         /* `..."` and the line end always fit */
    MAX_ESCAPE = 4,   /* \xNN */
};

struct line {
    char data[LINE_SIZE];
    size_t len;
};

static atomic_int threshold = ACME_LOG_INFO;

void acme_log_set_level(enum acme_log_level level)
{
    atomic_store_explicit(&threshold, (int)level, memory_order_relaxed);
}

static bool put(struct line *line, const char *text, size_t len)
{
    if (len > sizeof line->data - TAIL - line->len)
        return false;
    memcpy(line->data + line->len, text, len);
    line->len += len;
    return true;
}

static bool bare(const char *text)
{
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++)
        if (*text <= ' ' || *text >= 0x7f || *text == '"' || *text == '=' || *text == '\\')
            return false;
    return true;
}

static size_t escape(unsigned char c, char out[MAX_ESCAPE])
{
    static const char digits[] = "0123456789abcdef";
    if (c == '"' || c == '\\') {
        out[0] = '\\';
        out[1] = (char)c;
        return 2;
    }
    if (c >= 0x20 && c < 0x7f) {
        out[0] = (char)c;
        return 1;
    }
    if (c == '\n' || c == '\r' || c == '\t') {
        out[0] = '\\';
        out[1] = c == '\n' ? 'n' : c == '\r' ? 'r' : 't';
        return 2;
    }
    memcpy(out, "\\x", 2);
    out[2] = digits[c >> 4];
    out[3] = digits[c & 15];
    return 4;
}

/* The tail of a value that did not fit; put() kept room for it. */
static bool cut(struct line *line, const char *tail)
{
    size_t len = strlen(tail);
    memcpy(line->data + line->len, tail, len);
    line->len += len;
    return false;
}

/* False once the line is full. */
static bool put_value(struct line *line, const char *text, bool quote)
{
    size_t len = strnlen(text, VALUE_MAX + 1);
    if (!quote && len <= VALUE_MAX && put(line, text, len))
        return true;
    if (!put(line, "\"", 1))
        return false;
    size_t limit = line->len + VALUE_MAX;
    for (; *text != '\0'; text++) {
        char piece[MAX_ESCAPE];
        size_t piece_len = escape((unsigned char)*text, piece);
        if (line->len + piece_len > limit) {
            if (put(line, "...\"", 4))
                return true;
            return cut(line, "...\"");
        }
        if (!put(line, piece, piece_len))
            return cut(line, "...\"");
    }
    return put(line, "\"", 1) || cut(line, "\"");
}

static bool put_field(struct line *line, const struct acme_log_field *field)
{
    if (field->is_number) {
        char text[128];
        int len = snprintf(text, sizeof text, " %.90s=%" PRId64, field->key, field->number);
        return len > 0 && put(line, text, (size_t)len);
    }
    if (field->text == NULL)
        return true;
    size_t start = line->len;
    bool room = put(line, " ", 1) && put(line, field->key, strlen(field->key)) && put(line, "=", 1);
    size_t value = line->len;
    room = room && put_value(line, field->text, !bare(field->text));
    if (!room && (line->len == value || value == start))
        line->len = start; /* no key without a value */
    return room;
}

static void start_line(struct line *line, const char *level)
{
    int64_t now_ms = acme_clock_now_ms(&acme_clock_system);
    char time[ACME_RFC3339_SIZE];
    acme_rfc3339_format(now_ms, time);
    int ms = (int)(now_ms % 1000);
    const char fraction[] = {'.', (char)('0' + ms / 100), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10),
                             'Z'};
    line->len = 0;
    (void)(put(line, "ts=", 3) && put(line, time, strlen(time) - 1) && put(line, fraction, sizeof fraction) &&
           put(line, " level=", 7) && put(line, level, strlen(level)) &&
           put(line, " event=", 7)); /* a short part of the line */
}

void acme_log_fields(enum acme_log_level level, const char *event, const struct acme_log_field *fields,
                     size_t count)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    if ((int)level < atomic_load_explicit(&threshold, memory_order_relaxed))
        return;
    int saved_errno = errno;
    struct line line;
    start_line(&line, (unsigned)level < 4 ? names[level] : "error");
    bool room = put_value(&line, event, true);
    for (size_t i = 0; room && i < count; i++)
        room = put_field(&line, &fields[i]);
    line.data[line.len++] = '\n';
    while (write(STDERR_FILENO, line.data, line.len) < 0 && errno == EINTR)
        continue;
    errno = saved_errno;
}
