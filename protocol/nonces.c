#include "protocol/nonces.h"

#include "base/b64url.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    EPOCH_SIZE = 9, /* makes a nonce 33 octets: whole base64 groups, so there are no unused bits to vary */
    SEQUENCE_SIZE = 8,
    MAC_SIZE = 16,
    SIGNED_SIZE = EPOCH_SIZE + SEQUENCE_SIZE,
    RAW_SIZE = SIGNED_SIZE + MAC_SIZE,
    TEXT_SIZE = ACME_NONCE_SIZE - 1,
    KEY_SIZE = 32,
    WINDOW_BYTES = ACME_NONCE_WINDOW / 8,
    MAGIC_SIZE = 4,
    SAVED_HEAD = MAGIC_SIZE + EPOCH_SIZE + KEY_SIZE + SEQUENCE_SIZE,
};

_Static_assert(RAW_SIZE % 3 == 0 && TEXT_SIZE == RAW_SIZE / 3 * 4, "a nonce fills its base64url text");

static const uint8_t magic[MAGIC_SIZE] = {'a', 'n', 'w', '1'};

struct acme_nonces {
    pthread_mutex_t lock; /* guards everything below */
    EVP_MAC_CTX *mac;
    uint64_t next; /* sequence number of the next nonce */
    uint8_t *used; /* one bit for each of the latest ACME_NONCE_WINDOW numbers */
    uint8_t epoch[EPOCH_SIZE];
    uint8_t key[KEY_SIZE];
};

static void put_u64(uint8_t out[SEQUENCE_SIZE], uint64_t value)
{
    for (int i = SEQUENCE_SIZE - 1; i >= 0; i--, value >>= 8)
        out[i] = (uint8_t)(value & 0xff);
}

static uint64_t get_u64(const uint8_t in[SEQUENCE_SIZE])
{
    uint64_t value = 0;
    for (int i = 0; i < SEQUENCE_SIZE; i++)
        value = value << 8 | in[i];
    return value;
}

static struct acme_err start_mac(struct acme_nonces *nonces)
{
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    nonces->mac = mac != NULL ? EVP_MAC_CTX_new(mac) : NULL;
    EVP_MAC_free(mac);
    ENSURE(nonces->mac != NULL, ACME_E_CRYPTO);
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                           OSSL_PARAM_construct_end()};
    ENSURE(EVP_MAC_init(nonces->mac, nonces->key, KEY_SIZE, params) == 1, ACME_E_CRYPTO);
    return acme_ok();
}

/* The used bits that exist: before the window has filled once, only those of issued numbers. */
static size_t used_bytes(uint64_t next)
{
    return next >= ACME_NONCE_WINDOW ? WINDOW_BYTES : (size_t)(next + 7) / 8;
}

static struct acme_err restore(struct acme_nonces *nonces, struct acme_bytes saved)
{
    ENSURE(saved.len >= SAVED_HEAD && memcmp(saved.data, magic, MAGIC_SIZE) == 0, ACME_E_FORMAT);
    const uint8_t *at = saved.data + MAGIC_SIZE;
    memcpy(nonces->epoch, at, EPOCH_SIZE);
    at += EPOCH_SIZE;
    memcpy(nonces->key, at, KEY_SIZE);
    at += KEY_SIZE;
    nonces->next = get_u64(at);
    at += SEQUENCE_SIZE;
    ENSURE(saved.len == SAVED_HEAD + used_bytes(nonces->next), ACME_E_FORMAT);
    memcpy(nonces->used, at, used_bytes(nonces->next));
    return acme_ok();
}

static struct acme_err fill(struct acme_nonces *nonces, struct acme_bytes saved)
{
    if (saved.data != NULL) {
        TRY(restore(nonces, saved));
    } else {
        ENSURE(RAND_bytes(nonces->epoch, EPOCH_SIZE) == 1, ACME_E_CRYPTO);
        ENSURE(RAND_priv_bytes(nonces->key, KEY_SIZE) == 1, ACME_E_CRYPTO);
    }
    return start_mac(nonces);
}

struct acme_err acme_nonces_create(struct acme_bytes saved, struct acme_nonces **ret)
{
    struct acme_nonces *nonces = calloc(1, sizeof *nonces);
    ENSURE(nonces != NULL, ACME_E_NOMEM);
    pthread_mutex_init(&nonces->lock, NULL);
    nonces->used = calloc(1, WINDOW_BYTES);
    struct acme_err err = nonces->used != NULL ? fill(nonces, saved) : acme_err(ACME_E_NOMEM);
    if (acme_failed(err)) {
        acme_nonces_destroy(nonces);
        return err;
    }
    *ret = nonces;
    return acme_ok();
}

void acme_nonces_destroy(struct acme_nonces *nonces)
{
    if (nonces == NULL)
        return;
    EVP_MAC_CTX_free(nonces->mac);
    OPENSSL_cleanse(nonces->key, sizeof nonces->key);
    free(nonces->used);
    pthread_mutex_destroy(&nonces->lock);
    free(nonces);
}

/* With the lock held: the context is reused, which spares the key schedule. */
static bool compute_mac(struct acme_nonces *nonces, const uint8_t signed_part[SIGNED_SIZE],
                        uint8_t out[MAC_SIZE])
{
    uint8_t full[EVP_MAX_MD_SIZE];
    size_t len = 0;
    if (EVP_MAC_init(nonces->mac, NULL, 0, NULL) != 1 ||
        EVP_MAC_update(nonces->mac, signed_part, SIGNED_SIZE) != 1 ||
        EVP_MAC_final(nonces->mac, full, &len, sizeof full) != 1 || len < MAC_SIZE)
        return false;
    memcpy(out, full, MAC_SIZE);
    return true;
}

static void to_text(const uint8_t raw[RAW_SIZE], char out[ACME_NONCE_SIZE])
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < RAW_SIZE; i += 3) {
        uint32_t group = (uint32_t)raw[i] << 16 | (uint32_t)raw[i + 1] << 8 | raw[i + 2];
        for (int shift = 18; shift >= 0; shift -= 6)
            *out++ = alphabet[group >> shift & 63];
    }
    *out = '\0';
}

static bool from_text(const char *text, uint8_t raw[RAW_SIZE])
{
    size_t len = 0;
    return strnlen(text, ACME_NONCE_SIZE) == TEXT_SIZE &&
           !acme_failed(acme_b64url_decode_into(text, TEXT_SIZE, raw, RAW_SIZE, &len)) && len == RAW_SIZE;
}

struct acme_err acme_nonces_issue(struct acme_nonces *nonces, char out[ACME_NONCE_SIZE])
{
    uint8_t raw[RAW_SIZE];
    memcpy(raw, nonces->epoch, EPOCH_SIZE);
    pthread_mutex_lock(&nonces->lock);
    uint64_t sequence = nonces->next;
    put_u64(raw + EPOCH_SIZE, sequence);
    bool good = compute_mac(nonces, raw, raw + SIGNED_SIZE);
    if (good) {
        /* The number takes the place of the one a whole window before it. */
        size_t bit = (size_t)(sequence % ACME_NONCE_WINDOW);
        nonces->used[bit / 8] &= (uint8_t) ~(1u << bit % 8);
        nonces->next++;
    }
    pthread_mutex_unlock(&nonces->lock);
    ENSURE(good, ACME_E_CRYPTO);
    to_text(raw, out);
    return acme_ok();
}

bool acme_nonces_use(struct acme_nonces *nonces, const char *text)
{
    uint8_t raw[RAW_SIZE];
    if (!from_text(text, raw) || memcmp(raw, nonces->epoch, EPOCH_SIZE) != 0)
        return false;
    uint64_t sequence = get_u64(raw + EPOCH_SIZE);
    size_t bit = (size_t)(sequence % ACME_NONCE_WINDOW);
    uint8_t expected[MAC_SIZE];
    bool good = false;
    pthread_mutex_lock(&nonces->lock);
    if (compute_mac(nonces, raw, expected) && CRYPTO_memcmp(expected, raw + SIGNED_SIZE, MAC_SIZE) == 0) {
        bool remembered = sequence < nonces->next && nonces->next - sequence <= ACME_NONCE_WINDOW;
        good = remembered && (nonces->used[bit / 8] >> bit % 8 & 1) == 0;
        if (good)
            nonces->used[bit / 8] |= (uint8_t)(1u << bit % 8);
    }
    pthread_mutex_unlock(&nonces->lock);
    return good;
}

struct acme_err acme_nonces_save(struct acme_nonces *nonces, struct acme_arena *arena, struct acme_bytes *ret)
{
    pthread_mutex_lock(&nonces->lock);
    size_t len = SAVED_HEAD + used_bytes(nonces->next);
    uint8_t *out = acme_arena_alloc(arena, len);
    if (out != NULL) {
        uint8_t *at = out;
        memcpy(at, magic, MAGIC_SIZE);
        at += MAGIC_SIZE;
        memcpy(at, nonces->epoch, EPOCH_SIZE);
        at += EPOCH_SIZE;
        memcpy(at, nonces->key, KEY_SIZE);
        at += KEY_SIZE;
        put_u64(at, nonces->next);
        at += SEQUENCE_SIZE;
        memcpy(at, nonces->used, used_bytes(nonces->next));
    }
    pthread_mutex_unlock(&nonces->lock);
    ENSURE(out != NULL, ACME_E_NOMEM);
    *ret = (struct acme_bytes){.data = out, .len = len};
    return acme_ok();
}
