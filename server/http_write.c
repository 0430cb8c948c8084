#include "server/http_write.h"

#include "base/buf.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    MAX_FIELDS_BYTES = 64 * 1024,
    OTHER_FIELDS_BYTES = 256 /* status line, Date, Content-Type, Content-Length, Connection */
};

static void write_status(struct acme_buf *buf, int status)
{
    static const struct {
        int status;
        const char *line;
    } lines[] = {
        {200, "HTTP/1.1 200 OK\r\n"},
        {201, "HTTP/1.1 201 Created\r\n"},
        {202, "HTTP/1.1 202 Accepted\r\n"},
        {204, "HTTP/1.1 204 No Content\r\n"},
        {304, "HTTP/1.1 304 Not Modified\r\n"},
        {400, "HTTP/1.1 400 Bad Request\r\n"},
        {401, "HTTP/1.1 401 Unauthorized\r\n"},
        {403, "HTTP/1.1 403 Forbidden\r\n"},
        {404, "HTTP/1.1 404 Not Found\r\n"},
        {405, "HTTP/1.1 405 Method Not Allowed\r\n"},
        {408, "HTTP/1.1 408 Request Timeout\r\n"},
        {409, "HTTP/1.1 409 Conflict\r\n"},
        {411, "HTTP/1.1 411 Length Required\r\n"},
        {413, "HTTP/1.1 413 Content Too Large\r\n"},
        {414, "HTTP/1.1 414 URI Too Long\r\n"},
        {415, "HTTP/1.1 415 Unsupported Media Type\r\n"},
        {417, "HTTP/1.1 417 Expectation Failed\r\n"},
        {429, "HTTP/1.1 429 Too Many Requests\r\n"},
        {431, "HTTP/1.1 431 Request Header Fields Too Large\r\n"},
        {500, "HTTP/1.1 500 Internal Server Error\r\n"},
        {503, "HTTP/1.1 503 Service Unavailable\r\n"},
        {505, "HTTP/1.1 505 HTTP Version Not Supported\r\n"},
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        if (lines[i].status == status) {
            acme_buf_str(buf, lines[i].line);
            return;
        }
    }
    acme_buf_printf(buf, "HTTP/1.1 %d Other\r\n", status);
}

/* The Date field, made once a second on each thread. */
static const char *date_field(void)
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    static _Thread_local time_t made_at;
    static _Thread_local char field[64];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (field[0] == '\0' || made_at != now.tv_sec) {
        made_at = now.tv_sec;
        struct tm tm;
        gmtime_r(&now.tv_sec, &tm);
        /* not strftime: its names follow the locale */
        (void)snprintf(field, sizeof field, "Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n",
                       days[tm.tm_wday % 7], tm.tm_mday, months[tm.tm_mon % 12], tm.tm_year + 1900,
                       tm.tm_hour, tm.tm_min, tm.tm_sec);
    }
    return field;
}

static bool is_safe(const char *text)
{
    for (; *text != '\0'; text++)
        if (((unsigned char)*text < 0x20 && *text != '\t') || *text == 0x7f)
            return false;
    return true;
}

static void write_field(struct acme_buf *buf, const char *name, const char *value)
{
    if (!is_safe(name) || !is_safe(value) || strchr(name, ':') != NULL) {
        acme_log(ERROR, "response field left out: it holds a control character", LOG_STR("field", name));
        return;
    }
    acme_buf_str(buf, name);
    acme_buf_append(buf, ": ", 2);
    acme_buf_str(buf, value);
    acme_buf_append(buf, "\r\n", 2);
}

/* By hand: acme_buf_printf formats twice, which took as long as all the other fields. */
static void write_length(struct acme_buf *buf, size_t length)
{
    char digits[24];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + length % 10);
    while ((length /= 10) > 0);
    acme_buf_str(buf, "Content-Length: ");
    acme_buf_append(buf, digits + at, sizeof digits - at);
    acme_buf_append(buf, "\r\n", 2);
}

/* Enough for all that is written, so that nothing is copied again. */
static size_t room_for(const struct acme_response *response)
{
    size_t room = OTHER_FIELDS_BYTES;
    for (size_t i = 0; i < response->header_count; i++)
        room += strlen(response->headers[i].name) + strlen(response->headers[i].value) + 4;
    return room;
}

char *acme_http_write_response(const struct acme_response *response, unsigned flags, size_t *ret_len)
{
    bool has_body = response->content_type != NULL;
    bool bodiless = response->status == 204 || response->status == 304;
    size_t length = has_body ? response->body.len : 0;
    ACME_CLEANUP_BUF struct acme_buf buf;
    bool sends_body = length > 0 && !bodiless && !(flags & ACME_HTTP_WRITE_NO_BODY);
    acme_buf_init(&buf, length + MAX_FIELDS_BYTES);
    acme_buf_reserve(&buf, room_for(response) + (sends_body ? length : 0));
    write_status(&buf, response->status);
    acme_buf_str(&buf, date_field());
    if (has_body && !bodiless)
        write_field(&buf, "Content-Type", response->content_type);
    if (!bodiless)
        write_length(&buf, length);
    for (size_t i = 0; i < response->header_count; i++)
        write_field(&buf, response->headers[i].name, response->headers[i].value);
    if (flags & ACME_HTTP_WRITE_CLOSE)
        acme_buf_str(&buf, "Connection: close\r\n");
    else if (flags & ACME_HTTP_WRITE_KEEP_ALIVE)
        acme_buf_str(&buf, "Connection: keep-alive\r\n");
    acme_buf_append(&buf, "\r\n", 2);
    if (sends_body)
        acme_buf_append(&buf, response->body.data, length);
    size_t total = buf.len;
    char *data = acme_buf_steal(&buf);
    if (data != NULL)
        *ret_len = total;
    return data;
}
