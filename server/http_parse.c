#include "server/http_parse.h"

#include <string.h>
#include <strings.h>

enum { MAX_LENGTH_DIGITS = 15 };

struct span {
    const char *data;
    size_t len;
};

struct parser {
    const char *data;
    size_t max_body;
    struct acme_http_head head;
    struct acme_http_refusal refusal;
    size_t fields;
    bool has_host;
    bool has_transfer_encoding;
    bool says_close;
    bool says_keep_alive;
};

static bool refuse(struct parser *p, int status, const char *detail)
{
    p->refusal = (struct acme_http_refusal){.status = status, .detail = detail};
    return false;
}

static struct acme_http_span position(const struct parser *p, struct span span)
{
    return (struct acme_http_span){.at = (uint32_t)(span.data - p->data), .len = (uint32_t)span.len};
}

/* RFC 9110 section 5.6.2 */
static bool is_tchar(unsigned char c)
{
    if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
        return true;
    return c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static bool is_token(struct span span)
{
    for (size_t i = 0; i < span.len; i++)
        if (!is_tchar((unsigned char)span.data[i]))
            return false;
    return span.len > 0;
}

static bool equals(struct span span, const char *word)
{
    return span.len == strlen(word) && strncasecmp(span.data, word, span.len) == 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct span trim(struct span span)
{
    while (span.len > 0 && is_blank(span.data[0])) {
        span.data++;
        span.len--;
    }
    while (span.len > 0 && is_blank(span.data[span.len - 1]))
        span.len--;
    return span;
}

/* Cut off the part before the first `separator`; false when there is none. */
static bool split(struct span *rest, char separator, struct span *ret_first)
{
    const char *at = memchr(rest->data, separator, rest->len);
    if (at == NULL)
        return false;
    *ret_first = (struct span){.data = rest->data, .len = (size_t)(at - rest->data)};
    rest->data = at + 1;
    rest->len -= ret_first->len + 1;
    return true;
}

static bool parse_version(struct parser *p, struct span version)
{
    const char *text = version.data;
    if (version.len != 8 || memcmp(text, "HTTP/", 5) != 0 || text[5] < '0' || text[5] > '9' ||
        text[6] != '.' || text[7] < '0' || text[7] > '9')
        return refuse(p, 400, "the request line does not end in an HTTP version");
    if (text[5] != '1' || text[7] > '1')
        return refuse(p, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    p->head.http_1_0 = text[7] == '0';
    return true;
}

static bool parse_target(struct parser *p, struct span target)
{
    if (target.len > ACME_HTTP_MAX_TARGET)
        return refuse(p, 414, "the request target is longer than 2048 characters");
    if (target.len == 0 || target.data[0] != '/')
        return refuse(p, 400, "the request target is not an absolute path");
    for (size_t i = 0; i < target.len; i++) {
        unsigned char c = (unsigned char)target.data[i];
        if (c <= 0x20 || c >= 0x7f || c == '#')
            return refuse(p, 400, "the request target holds a character that no URL has");
    }
    struct span path = target;
    struct span query = target;
    if (split(&query, '?', &path)) {
        p->head.has_query = true;
        p->head.query = position(p, query);
    }
    p->head.path = position(p, path);
    return true;
}

static bool parse_request_line(struct parser *p, struct span line)
{
    struct span method;
    struct span target;
    struct span rest = line;
    if (!split(&rest, ' ', &method) || !split(&rest, ' ', &target))
        return refuse(p, 400, "the request line is not of the form METHOD TARGET VERSION");
    if (!parse_version(p, rest)) /* first: HTTP/2 prefaces and the like deserve the right answer */
        return false;
    if (method.len > ACME_HTTP_MAX_METHOD || !is_token(method))
        return refuse(p, 400, "the request method is not a token of at most 16 characters");
    p->head.method = position(p, method);
    return parse_target(p, target);
}

static bool take_host(struct parser *p, struct span value)
{
    if (p->has_host)
        return refuse(p, 400, "the Host field is repeated");
    p->has_host = true;
    if (value.len == 0 || value.len > 300)
        return refuse(p, 400, "the Host field is empty or too long");
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.data[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!plain && (c == '\0' || strchr("-._~!$&'()*+;=%[]:", c) == NULL))
            return refuse(p, 400, "the Host field is not a host with an optional port");
    }
    return true;
}

static bool take_content_length(struct parser *p, struct span value)
{
    if (p->head.has_length)
        return refuse(p, 400, "the Content-Length field is repeated");
    p->head.has_length = true;
    if (value.len == 0 || value.len > MAX_LENGTH_DIGITS)
        return refuse(p, 400, "the Content-Length field is empty or too long");
    size_t length = 0;
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return refuse(p, 400, "the Content-Length field is not a decimal number");
        length = length * 10 + (size_t)(value.data[i] - '0');
    }
    p->head.content_length = length;
    return true;
}

static bool take_transfer_encoding(struct parser *p, struct span value)
{
    (void)value;
    p->has_transfer_encoding = true;
    return true;
}

static bool take_content_type(struct parser *p, struct span value)
{
    if (p->head.has_content_type)
        return refuse(p, 400, "the Content-Type field is repeated");
    p->head.has_content_type = true;
    p->head.content_type = position(p, value);
    return true;
}

static bool take_user_agent(struct parser *p, struct span value)
{
    if (!p->head.has_user_agent) {
        p->head.has_user_agent = true;
        p->head.user_agent = position(p, value);
    }
    return true;
}

static bool take_connection(struct parser *p, struct span value)
{
    struct span rest = value;
    struct span option;
    bool more = true;
    while (more) {
        more = split(&rest, ',', &option);
        option = trim(more ? option : rest);
        if (equals(option, "close"))
            p->says_close = true;
        else if (equals(option, "keep-alive"))
            p->says_keep_alive = true;
        else if (option.len > 0 && !is_token(option))
            return refuse(p, 400, "the Connection field is not a list of tokens");
    }
    return true;
}

static bool take_expect(struct parser *p, struct span value)
{
    if (!equals(value, "100-continue"))
        return refuse(p, 417, "no expectation but 100-continue can be met");
    p->head.expect_continue = true;
    return true;
}

static const struct {
    const char *name;
    bool (*take)(struct parser *p, struct span value);
} known_fields[] = {
    {"Host", take_host},
    {"Content-Length", take_content_length},
    {"Transfer-Encoding", take_transfer_encoding},
    {"Content-Type", take_content_type},
    {"User-Agent", take_user_agent},
    {"Connection", take_connection},
    {"Expect", take_expect},
};

static bool parse_field(struct parser *p, struct span line)
{
    if (++p->fields > ACME_HTTP_MAX_FIELDS)
        return refuse(p, 431, "more than 100 header fields");
    if (is_blank(line.data[0]))
        return refuse(p, 400, "folded header fields are not accepted");
    struct span name;
    struct span value = line;
    if (!split(&value, ':', &name) || !is_token(name))
        return refuse(p, 400, "a header line is not of the form NAME: VALUE");
    value = trim(value);
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return refuse(p, 400, "a header field holds a control character");
    }
    for (size_t i = 0; i < sizeof known_fields / sizeof *known_fields; i++)
        if (equals(name, known_fields[i].name))
            return known_fields[i].take(p, value);
    return true;
}

/* What only the whole head tells. */
static bool check_head(struct parser *p)
{
    struct acme_http_head *head = &p->head;
    if (!p->has_host && !head->http_1_0)
        return refuse(p, 400, "the Host field is missing");
    if (p->has_transfer_encoding) {
        if (head->has_length || head->http_1_0)
            return refuse(p, 400, "Transfer-Encoding is not accepted");
        return refuse(p, 411, "Transfer-Encoding is not accepted: send the body with a Content-Length");
    }
    struct span method = {.data = p->data + head->method.at, .len = head->method.len};
    if (!head->has_length && method.len == 4 && memcmp(method.data, "POST", 4) == 0)
        return refuse(p, 411, "a POST needs a Content-Length");
    if (head->content_length > p->max_body)
        return refuse(p, 413, "the request body is larger than this server accepts");
    head->keep_alive = !p->says_close && (!head->http_1_0 || p->says_keep_alive);
    if (head->http_1_0)
        head->expect_continue = false; /* RFC 9110 section 10.1.1 */
    return true;
}

/* Walk over whole lines up to the empty one; *scanned is the start of the first line not yet complete. */
static enum acme_http_verdict find_end(struct parser *p, size_t len, size_t *scanned, size_t *ret_end)
{
    size_t limit = len < ACME_HTTP_MAX_HEAD ? len : ACME_HTTP_MAX_HEAD;
    while (*scanned < limit) {
        const char *line = p->data + *scanned;
        const char *lf = memchr(line, '\n', limit - *scanned);
        if (lf == NULL)
            break;
        if (lf == line || lf[-1] != '\r') {
            refuse(p, 400, "a line ends without a carriage return");
            return ACME_HTTP_REFUSED;
        }
        size_t start = *scanned;
        *scanned = (size_t)(lf - p->data) + 1;
        if (lf - line == 1 &&
            start > 0) { /* an empty line before the request is skipped: RFC 9112 section 2.2 */
            *ret_end = *scanned;
            return ACME_HTTP_COMPLETE;
        }
    }
    if (len < ACME_HTTP_MAX_HEAD)
        return ACME_HTTP_MORE;
    if (*scanned <= 2)
        refuse(p, 414, "the request line is too long");
    else
        refuse(p, 431, "the header fields are larger than 16 KiB");
    return ACME_HTTP_REFUSED;
}

static bool parse_lines(struct parser *p, size_t end)
{
    size_t at = p->data[0] == '\r' && p->data[1] == '\n' ? 2 : 0; /* a whole head has at least four octets */
    bool first = true;
    while (end - at > 2) {
        const char *lf = memchr(p->data + at, '\n', end - at);
        struct span line = {.data = p->data + at, .len = (size_t)(lf - p->data) - 1 - at};
        if (!(first ? parse_request_line(p, line) : parse_field(p, line)))
            return false;
        first = false;
        at += line.len + 2;
    }
    if (first)
        return refuse(p, 400, "the request line is missing");
    return check_head(p);
}

enum acme_http_verdict acme_http_parse_head(const char *data, size_t len, size_t max_body, size_t *scanned,
                                            struct acme_http_head *ret_head,
                                            struct acme_http_refusal *ret_refusal)
{
    struct parser p = {.data = data, .max_body = max_body};
    size_t end = 0;
    enum acme_http_verdict verdict = find_end(&p, len, scanned, &end);
    if (verdict == ACME_HTTP_MORE)
        return verdict;
    if (verdict == ACME_HTTP_REFUSED || !parse_lines(&p, end)) {
        *ret_refusal = p.refusal;
        return ACME_HTTP_REFUSED;
    }
    p.head.head_len = end;
    *ret_head = p.head;
    return ACME_HTTP_COMPLETE;
}
