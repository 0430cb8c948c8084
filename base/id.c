#include "base/id.h"

#include <openssl/rand.h>
#include <uuid/uuid.h>

struct acme_err acme_id_new(const struct acme_clock *clock, char out[ACME_ID_SIZE])
{
    uuid_t raw;
    ENSURE(RAND_bytes(raw + 6, sizeof raw - 6) == 1, ACME_E_CRYPTO);
    uint64_t now = (uint64_t)acme_clock_now_ms(clock);
    for (int i = 5; i >= 0; i--, now >>= 8)
        raw[i] = (unsigned char)(now & 0xff);
    raw[6] = (unsigned char)(0x70 | (raw[6] & 0x0f));
    raw[8] = (unsigned char)(0x80 | (raw[8] & 0x3f));
    uuid_unparse_lower(raw, out);
    return acme_ok();
}

bool acme_id_valid(const char *text)
{
    for (int i = 0; i < ACME_ID_SIZE - 1; i++) {
        char c = text[i];
        bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
        if (hyphen ? c != '-' : !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
    }
    bool variant = text[19] == '8' || text[19] == '9' || text[19] == 'a' || text[19] == 'b';
    return text[14] == '7' && variant && text[ACME_ID_SIZE - 1] == '\0';
}
