#include "protocol/dns01.h"

#include "base/b64url.h"
#include "base/sha256.h"
#include "protocol/txt.h"

#include <string.h>

enum { LABEL_OCTETS = 10, LABEL_SIZE = LABEL_OCTETS * 8 / 5 };

char *acme_dns01_name(struct acme_arena *arena, const struct acme_identifier *identifier)
{
    return acme_arena_printf(arena, "_acme-challenge.%s", identifier->value);
}

struct acme_err acme_dns_account01_name(struct acme_arena *arena, const struct acme_identifier *identifier,
                                        const char *account_url, char **ret)
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567"; /* RFC 4648 section 6 */
    uint8_t digest[ACME_SHA256_SIZE];
    char label[LABEL_SIZE + 1];
    TRY(acme_sha256(account_url, strlen(account_url), digest));
    for (int i = 0; i < LABEL_SIZE; i++) {
        int bit = i * 5;
        unsigned window = (unsigned)digest[bit / 8] << 8 | digest[bit / 8 + 1];
        label[i] = alphabet[window >> (11 - bit % 8) & 31];
    }
    label[LABEL_SIZE] = '\0';
    char *name = acme_arena_printf(arena, "_%s._acme-challenge.%s", label, identifier->value);
    ENSURE(name != NULL, ACME_E_NOMEM);
    *ret = name;
    return acme_ok();
}

struct acme_err acme_dns01_digest(struct acme_arena *arena, const char *key_authorization, char **ret)
{
    uint8_t digest[ACME_SHA256_SIZE];
    TRY(acme_sha256(key_authorization, strlen(key_authorization), digest));
    char *text = acme_b64url_encode(arena, digest, sizeof digest);
    ENSURE(text != NULL, ACME_E_NOMEM);
    *ret = text;
    return acme_ok();
}

struct acme_err acme_dns01_judge(struct acme_arena *arena, const char *name, const struct acme_bytes *records,
                                 size_t count, const char *digest, struct acme_problem *ret)
{
    for (size_t i = 0; i < count; i++) {
        struct acme_bytes text = {.data = NULL, .len = 0};
        struct acme_err err = acme_txt_read(arena, records[i], &text);
        if (err.code == ACME_E_FORMAT) /* somebody else's trouble: another record may be right */
            continue;
        TRY(err);
        if (text.len == strlen(digest) && memcmp(text.data, digest, text.len) == 0)
            return acme_ok();
    }
    const char *detail = NULL;
    if (count == 0) {
        detail = acme_arena_printf(
            arena,
            "There is no TXT record at %s; publish one with the value \"%s\", or give it more time to spread",
            name, digest);
    } else {
        const char *seen = acme_txt_show(arena, records, count);
        ENSURE(seen != NULL, ACME_E_NOMEM);
        detail = acme_arena_printf(arena, "The TXT record%s at %s: %s; none of them is \"%s\"",
                                   count > 1 ? "s" : "", name, seen, digest);
    }
    ENSURE(detail != NULL, ACME_E_NOMEM);
    *ret = (struct acme_problem){
        .type = count == 0 ? ACME_PROBLEM_UNAUTHORIZED : ACME_PROBLEM_INCORRECT_RESPONSE, .detail = detail};
    return acme_err(ACME_E_PROBLEM);
}
