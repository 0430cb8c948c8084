#include "protocol/key_cache.h"

#include <openssl/err.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SETS = 128, WAYS = 4, THUMBPRINT_SIZE = 44 };

struct slot {
    char thumbprint[THUMBPRINT_SIZE];
    enum acme_key_kind kind;
    EVP_PKEY *key;                  /* NULL: empty */
    const struct acme_jws_alg *alg; /* what the verifier is for */
    EVP_MD_CTX *verifier;           /* never used itself, only copied; NULL: none yet */
};

/* Keys whose thumbprints meet here push each other out, the oldest first, which costs time but is never
 * wrong. */
struct set {
    struct slot slots[WAYS];
    unsigned oldest;
};

struct acme_key_cache {
    pthread_mutex_t lock;
    struct set sets[SETS];
};

struct acme_key_cache *acme_key_cache_create(void)
{
    struct acme_key_cache *cache = calloc(1, sizeof *cache);
    if (cache != NULL)
        pthread_mutex_init(&cache->lock, NULL);
    return cache;
}

void acme_key_cache_destroy(struct acme_key_cache *cache)
{
    if (cache == NULL)
        return;
    for (size_t i = 0; i < SETS; i++) {
        for (size_t j = 0; j < WAYS; j++) {
            EVP_MD_CTX_free(cache->sets[i].slots[j].verifier);
            EVP_PKEY_free(cache->sets[i].slots[j].key);
        }
    }
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

static struct set *set_of(struct acme_key_cache *cache, const char *thumbprint)
{
    uint32_t hash = 2166136261u;
    for (const char *c = thumbprint; *c != '\0'; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    return &cache->sets[hash % SETS];
}

/* NULL: not there. With the lock held. */
static struct slot *find(struct acme_key_cache *cache, const char *thumbprint)
{
    struct set *set = set_of(cache, thumbprint);
    for (size_t i = 0; i < WAYS; i++)
        if (set->slots[i].key != NULL && strcmp(set->slots[i].thumbprint, thumbprint) == 0)
            return &set->slots[i];
    return NULL;
}

static void release_key(void *key)
{
    EVP_PKEY_free(key);
}

static void release_verifier(void *verifier)
{
    EVP_MD_CTX_free(verifier);
}

static EVP_MD_CTX *copy_of(const EVP_MD_CTX *verifier)
{
    EVP_MD_CTX *copy = EVP_MD_CTX_new();
    if (copy != NULL && EVP_MD_CTX_copy_ex(copy, verifier) == 1)
        return copy;
    ERR_clear_error();
    EVP_MD_CTX_free(copy);
    return NULL;
}

/* Copied with the lock held: OpenSSL does not promise that one context can be copied twice at once. */
static struct acme_cached_key look_up(struct acme_key_cache *cache, const char *thumbprint,
                                      const struct acme_jws_alg *alg)
{
    struct acme_cached_key found = {.key = NULL};
    pthread_mutex_lock(&cache->lock);
    const struct slot *slot = find(cache, thumbprint);
    if (slot != NULL && EVP_PKEY_up_ref(slot->key) == 1) {
        found.key = slot->key;
        found.kind = slot->kind;
        if (slot->verifier != NULL && slot->alg == alg)
            found.verifier = copy_of(slot->verifier);
    }
    pthread_mutex_unlock(&cache->lock);
    return found;
}

static void keep_verifier(struct acme_key_cache *cache, const char *thumbprint,
                          const struct acme_jws_alg *alg, EVP_MD_CTX *verifier)
{
    pthread_mutex_lock(&cache->lock);
    struct slot *slot = find(cache, thumbprint);
    if (slot != NULL) {
        EVP_MD_CTX *old = slot->verifier;
        slot->alg = alg;
        slot->verifier = verifier;
        verifier = old;
    }
    pthread_mutex_unlock(&cache->lock);
    EVP_MD_CTX_free(verifier);
}

struct acme_cached_key acme_key_cache_get(struct acme_key_cache *cache, struct acme_arena *arena,
                                          const char *thumbprint, const struct acme_jws_alg *alg)
{
    struct acme_cached_key found = look_up(cache, thumbprint, alg);
    if (found.key == NULL || !acme_arena_defer(arena, release_key, found.key)) {
        EVP_MD_CTX_free(found.verifier);
        return (struct acme_cached_key){.key = NULL};
    }
    if (found.verifier == NULL && acme_jws_alg_fits(alg, found.kind)) {
        EVP_MD_CTX *made = acme_jws_verifier(alg, found.key);
        found.verifier = made != NULL ? copy_of(made) : NULL;
        keep_verifier(cache, thumbprint, alg, made);
    }
    if (found.verifier != NULL && !acme_arena_defer(arena, release_verifier, found.verifier))
        found.verifier = NULL;
    return found;
}

void acme_key_cache_put(struct acme_key_cache *cache, const struct acme_jwk *jwk)
{
    size_t len = strlen(jwk->thumbprint);
    if (len >= THUMBPRINT_SIZE || EVP_PKEY_up_ref(jwk->key) != 1)
        return;
    pthread_mutex_lock(&cache->lock);
    struct slot *slot = find(cache, jwk->thumbprint);
    if (slot == NULL) {
        struct set *set = set_of(cache, jwk->thumbprint);
        slot = &set->slots[set->oldest];
        set->oldest = (set->oldest + 1) % WAYS;
    }
    const struct slot old = *slot;
    memcpy(slot->thumbprint, jwk->thumbprint, len + 1);
    slot->kind = jwk->kind;
    slot->key = jwk->key;
    slot->verifier = NULL;
    pthread_mutex_unlock(&cache->lock);
    EVP_MD_CTX_free(old.verifier);
    EVP_PKEY_free(old.key);
}
