#include "base/b64url.h"

static int sextet(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '-')
        return 62;
    return c == '_' ? 63 : -1;
}

static size_t decoded_len(size_t len)
{
    return len / 4 * 3 + (len % 4 == 0 ? 0 : len % 4 - 1);
}

struct acme_err acme_b64url_decode_into(const char *text, size_t len, uint8_t *out, size_t size,
                                        size_t *ret_len)
{
    ENSURE(len % 4 != 1, ACME_E_FORMAT);
    ENSURE(decoded_len(len) <= size, ACME_E_LIMIT);
    uint32_t acc = 0;
    unsigned bits = 0;
    size_t pos = 0;
    for (size_t i = 0; i < len; i++) {
        int value = sextet(text[i]);
        ENSURE(value >= 0, ACME_E_FORMAT);
        acc = (acc << 6 | (uint32_t)value) & 0xffffffU;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[pos++] = (uint8_t)(acc >> bits);
        }
    }
    ENSURE((acc & ((1U << bits) - 1U)) == 0, ACME_E_FORMAT);
    *ret_len = pos;
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
