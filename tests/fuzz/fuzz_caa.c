/* What the DNS says in CAA and TXT records. First byte: how the rest is cut into records; a record begins
 * with its length. */
#include "fuzz.h"

#include "protocol/caa.h"
#include "protocol/dns01.h"
#include "protocol/dns_persist.h"

#include <string.h>

enum { MAX_RECORDS = 16, ARENA = 4 * 1024 * 1024 };

static bool is_printable(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text < ' ' || *text > '~')
            return false;
    return true;
}

static void check(struct acme_err err, const struct acme_problem *problem)
{
    REQUIRE(!acme_failed(err) || err.code == ACME_E_PROBLEM || err.code == ACME_E_NOMEM);
    if (err.code == ACME_E_PROBLEM)
        REQUIRE(problem->detail != NULL && is_printable(problem->detail));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const issuers[] = {"ca.test"};
    static const char *const thumbprints[] = {"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"};
    static const struct acme_identifier identifier = {.type = ACME_IDENTIFIER_DNS, .value = "a.test"};
    struct acme_bytes records[MAX_RECORDS];
    size_t count = 0;
    if (size == 0)
        return 0;
    bool wildcard = (data[0] & 1) != 0;
    for (size_t at = 1; at < size && count < MAX_RECORDS;) {
        size_t len = data[at++];
        if ((data[0] & 2) != 0) /* longer ones */
            len *= 8;
        if (len > size - at)
            len = size - at;
        records[count++] = (struct acme_bytes){.data = data + at, .len = len};
        at += len;
    }
    struct acme_arena *arena = acme_arena_create(ARENA);
    REQUIRE(arena != NULL);
    struct acme_problem problem = {.detail = NULL};
    const struct acme_caa_request caa = {.issuers = issuers,
                                         .issuer_count = 1,
                                         .name = "a.test",
                                         .wildcard = wildcard,
                                         .account_url = "https://ca.test/account/1",
                                         .method = "dns-01"};
    check(acme_caa_judge(arena, &caa, "test", records, count, &problem), &problem);
    problem.detail = NULL;
    check(acme_dns01_judge(arena, "_acme-challenge.a.test", records, count, "digest", &problem), &problem);
    const struct acme_dns_persist_request persist = {.issuers = issuers,
                                                     .issuer_count = 1,
                                                     .identifier = &identifier,
                                                     .wildcard = wildcard,
                                                     .account_url = "https://ca.test/account/1",
                                                     .hash_prefix = "https://ca.test/account-hash/",
                                                     .thumbprints = thumbprints,
                                                     .thumbprint_count = 1,
                                                     .now_ms = 1700000000000};
    int64_t until_ms = 0;
    problem.detail = NULL;
    struct acme_err err = acme_dns_persist_judge(arena, &persist, "_validation-persist.a.test", records,
                                                 count, &until_ms, &problem);
    check(err, &problem);
    if (!acme_failed(err))
        REQUIRE(until_ms > persist.now_ms);
    acme_arena_destroy(arena);
    return 0;
}
