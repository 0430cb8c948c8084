#include "base/b64url.h"

enum { IN_ALPHABET = 64, VALUE = 63 };

/* What a character stands for, IN_ALPHABET added; 0: no character of the alphabet. */
/* clang-format off */
static const uint8_t sextets[256] = {
    ['A'] = 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 88, 89,
    ['a'] = 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112,
            113, 114, 115,
    ['0'] = 116, 117, 118, 119, 120, 121, 122, 123, 124, 125,
    ['-'] = 126,
    ['_'] = 127,
};
/* clang-format on */

static size_t decoded_len(size_t len)
{
    return len / 4 * 3 + (len % 4 == 0 ? 0 : len % 4 - 1);
}

struct acme_err acme_b64url_decode_into(const char *text, size_t len, uint8_t *out, size_t size,
                                        size_t *ret_len)
{
    ENSURE(len % 4 != 1, ACME_E_FORMAT);
    ENSURE(decoded_len(len) <= size, ACME_E_LIMIT);
    const unsigned char *in = (const unsigned char *)text;
    uint8_t *at = out;
    for (; len >= 4; len -= 4, in += 4) {
        uint32_t a = sextets[in[0]];
        uint32_t b = sextets[in[1]];
        uint32_t c = sextets[in[2]];
        uint32_t d = sextets[in[3]];
        ENSURE((a & b & c & d & IN_ALPHABET) != 0, ACME_E_FORMAT);
        uint32_t group = (a & VALUE) << 18 | (b & VALUE) << 12 | (c & VALUE) << 6 | (d & VALUE);
        *at++ = (uint8_t)(group >> 16);
        *at++ = (uint8_t)(group >> 8 & 0xff);
        *at++ = (uint8_t)(group & 0xff);
    }
    if (len > 0) { /* two characters for one octet, or three for two */
        uint32_t a = sextets[in[0]];
        uint32_t b = sextets[in[1]];
        uint32_t c = len == 3 ? sextets[in[2]] : IN_ALPHABET;
        ENSURE((a & b & c & IN_ALPHABET) != 0, ACME_E_FORMAT);
        uint32_t group = (a & VALUE) << 18 | (b & VALUE) << 12 | (c & VALUE) << 6;
        ENSURE((group & (len == 3 ? 0xffU : 0xffffU)) == 0, ACME_E_FORMAT);
        *at++ = (uint8_t)(group >> 16);
        if (len == 3)
            *at++ = (uint8_t)(group >> 8 & 0xff);
    }
    *ret_len = (size_t)(at - out);
    return acme_ok();
}

struct acme_err acme_b64url_decode(struct acme_arena *arena, const char *text, size_t len,
                                   struct acme_bytes *ret)
{
    ENSURE(len % 4 != 1, ACME_E_FORMAT);
    size_t size = decoded_len(len);
    uint8_t *out = acme_arena_alloc(arena, size + 1); /* a NUL behind, for those who print it */
    ENSURE(out != NULL, ACME_E_NOMEM);
    size_t out_len = 0;
    TRY(acme_b64url_decode_into(text, len, out, size, &out_len));
    *ret = (struct acme_bytes){.data = out, .len = out_len};
    return acme_ok();
}

char *acme_b64url_encode(struct acme_arena *arena, const void *data, size_t len)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const uint8_t *in = data;
    if (len > SIZE_MAX / 2)
        return NULL;
    char *out = acme_arena_alloc(arena, len / 3 * 4 + 5);
    if (out == NULL)
        return NULL;
    size_t pos = 0;
    for (size_t i = 0; i < len; i += 3) {
        size_t rest = len - i;
        uint32_t acc = (uint32_t)in[i] << 16;
        if (rest > 1)
            acc |= (uint32_t)in[i + 1] << 8;
        if (rest > 2)
            acc |= in[i + 2];
        out[pos++] = alphabet[acc >> 18];
        out[pos++] = alphabet[acc >> 12 & 63];
        if (rest > 1)
            out[pos++] = alphabet[acc >> 6 & 63];
        if (rest > 2)
            out[pos++] = alphabet[acc & 63];
    }
    return out;
}

char *acme_hex_encode(struct acme_arena *arena, const void *data, size_t len, bool upper)
{
    const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    const uint8_t *in = data;
    if (len > (SIZE_MAX - 1) / 2)
        return NULL;
    char *out = acme_arena_alloc(arena, len * 2 + 1);
    if (out == NULL)
        return NULL;
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[in[i] >> 4];
        out[2 * i + 1] = digits[in[i] & 15];
    }
    return out;
}
