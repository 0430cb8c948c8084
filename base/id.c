#include "base/id.h"

#include <openssl/rand.h>
#include <string.h>
#include <uuid/uuid.h>

enum { RANDOM_PART = sizeof(uuid_t) - 6, STOCK = 32 * RANDOM_PART };

/* Random octets in stock: asking OpenSSL for a few costs as much as for many. Each is used once, and gone
 * from memory then. A child process would continue its parent's stock: none of ours makes an id between
 * fork() and exec(). */
static _Thread_local struct {
    unsigned char octets[STOCK];
    size_t left;
} stock;

static struct acme_err take_random(unsigned char out[RANDOM_PART])
{
    if (stock.left == 0) {
        ENSURE(RAND_bytes(stock.octets, STOCK) == 1, ACME_E_CRYPTO);
        stock.left = STOCK;
    }
    stock.left -= RANDOM_PART;
    memcpy(out, stock.octets + stock.left, RANDOM_PART);
    explicit_bzero(stock.octets + stock.left, RANDOM_PART);
    return acme_ok();
}

struct acme_err acme_id_new(const struct acme_clock *clock, char out[ACME_ID_SIZE])
{
    uuid_t raw;
    TRY(take_random(raw + sizeof raw - RANDOM_PART));
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
