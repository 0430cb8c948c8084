/* What a host under validation sends: the body up to the first NUL byte, then the target of its redirect. */
#include "fuzz.h"

#include "protocol/http01.h"
#include "server/fetch_target.h"

#include <string.h>

static const char expected[] = "token.thumbprint";

static void judge(struct acme_arena *arena, const uint8_t *data, size_t size)
{
    struct acme_problem problem = {.detail = NULL};
    struct acme_bytes body = {.data = data, .len = size};
    struct acme_err err =
        acme_http01_judge(arena, 200, body, expected, "http://a.example/x", (size & 1) == 0, &problem);
    if (!acme_failed(err)) {
        REQUIRE(size >= strlen(expected) && memcmp(data, expected, strlen(expected)) == 0);
        return;
    }
    REQUIRE(err.code == ACME_E_PROBLEM && problem.detail != NULL);
    for (const char *c = problem.detail; *c != '\0'; c++)
        REQUIRE(*c >= 0x20 && *c < 0x7f); /* foreign bytes are never echoed as they are */
}

static void follow(const char *location)
{
    CURLU *url = curl_url();
    struct acme_fetch_target target;
    char why[ACME_FETCH_WHY_SIZE];
    REQUIRE(url != NULL);
    if (curl_url_set(url, CURLUPART_URL, "http://a.example/.well-known/acme-challenge/token", 0) ==
            CURLUE_OK &&
        curl_url_set(url, CURLUPART_URL, location, CURLU_URLENCODE) == CURLUE_OK &&
        !acme_failed(acme_fetch_target_read(url, 80, 443, &target, why))) {
        struct acme_ip_list list;
        REQUIRE(target.port == 80 || target.port == 443);
        REQUIRE(strncmp(target.url, "http://", 7) == 0 || strncmp(target.url, "https://", 8) == 0);
        (void)acme_fetch_host_addresses(target.host, &list);
        acme_fetch_target_finish(&target);
    }
    curl_url_cleanup(url);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ACME_CLEANUP_ARENA struct acme_arena *arena = fuzz_arena();
    const uint8_t *end = size == 0 ? NULL : memchr(data, '\0', size);
    size_t body = end == NULL ? size : (size_t)(end - data);
    judge(arena, data, body);
    if (end != NULL) {
        char *location = acme_arena_strndup(arena, (const char *)end + 1, size - body - 1);
        REQUIRE(location != NULL);
        follow(location);
    }
    return 0;
}
