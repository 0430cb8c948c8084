#include "server/http_write.h"

#include "base/buf.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { MAX_FIELDS_BYTES = 64 * 1024 };

static const char *reason(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } reasons[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].status == status)
            return reasons[i].phrase;
    return "Other";
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

char *acme_http_write_response(const struct acme_response *response, unsigned flags, size_t *ret_len)
{
    bool has_body = response->content_type != NULL;
    bool bodiless = response->status == 204 || response->status == 304;
    size_t length = has_body ? response->body.len : 0;
    ACME_CLEANUP_BUF struct acme_buf buf;
    acme_buf_init(&buf, length + MAX_FIELDS_BYTES);
    acme_buf_printf(&buf, "HTTP/1.1 %d %s\r\n", response->status, reason(response->status));
    acme_buf_str(&buf, date_field());
    if (has_body && !bodiless)
        write_field(&buf, "Content-Type", response->content_type);
    if (!bodiless)
        acme_buf_printf(&buf, "Content-Length: %zu\r\n", length);
    for (size_t i = 0; i < response->header_count; i++)
        write_field(&buf, response->headers[i].name, response->headers[i].value);
    if (flags & ACME_HTTP_WRITE_CLOSE)
        acme_buf_str(&buf, "Connection: close\r\n");
    else if (flags & ACME_HTTP_WRITE_KEEP_ALIVE)
        acme_buf_str(&buf, "Connection: keep-alive\r\n");
    acme_buf_append(&buf, "\r\n", 2);
    if (length > 0 && !bodiless && !(flags & ACME_HTTP_WRITE_NO_BODY))
        acme_buf_append(&buf, response->body.data, length);
    size_t total = buf.len;
    char *data = acme_buf_steal(&buf);
    if (data != NULL)
        *ret_len = total;
    return data;
}
