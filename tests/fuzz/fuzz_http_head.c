/* A request head, at once and in pieces: the verdict does not depend on how the network cut it. */
#include "fuzz.h"

#include "server/http_parse.h"

#include <string.h>

enum { MAX_BODY = 64 * 1024 };

static enum acme_http_verdict in_pieces(const char *data, size_t size, size_t step,
                                        struct acme_http_head *head, struct acme_http_refusal *refusal)
{
    size_t scanned = 0;
    for (size_t len = step; len < size; len += step) {
        enum acme_http_verdict verdict = acme_http_parse_head(data, len, MAX_BODY, &scanned, head, refusal);
        if (verdict != ACME_HTTP_MORE)
            return verdict;
    }
    return acme_http_parse_head(data, size, MAX_BODY, &scanned, head, refusal);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const char *text = (const char *)data;
    struct acme_http_head head = {.head_len = 0};
    struct acme_http_head pieces = {.head_len = 0};
    struct acme_http_refusal refusal = {.status = 0};
    size_t scanned = 0;
    enum acme_http_verdict verdict = acme_http_parse_head(text, size, MAX_BODY, &scanned, &head, &refusal);
    REQUIRE(in_pieces(text, size, 1 + data[0] % 7, &pieces, &refusal) == verdict);
    if (verdict == ACME_HTTP_REFUSED)
        REQUIRE(refusal.status >= 400 && refusal.status < 600 && refusal.detail != NULL);
    if (verdict != ACME_HTTP_COMPLETE)
        return 0;
    REQUIRE(head.head_len <= size && head.head_len <= ACME_HTTP_MAX_HEAD && head.content_length <= MAX_BODY);
    REQUIRE(head.head_len == pieces.head_len && head.content_length == pieces.content_length);
    REQUIRE(head.path.len > 0 && head.path.at + head.path.len <= head.head_len && text[head.path.at] == '/');
    REQUIRE(memchr(text + head.path.at, '\n', head.path.len) == NULL);
    return 0;
}
