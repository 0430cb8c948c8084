#include "protocol/key_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 512, THUMBPRINT_SIZE = 44 };

struct slot {
    char thumbprint[THUMBPRINT_SIZE];
    enum acme_key_kind kind;
    EVP_PKEY *key; /* NULL: empty */
};

struct acme_key_cache {
    pthread_mutex_t lock;
    struct slot slots[SLOTS];
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
    for (size_t i = 0; i < SLOTS; i++)
        EVP_PKEY_free(cache->slots[i].key);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

/* One place per thumbprint: keys that meet there push each other out, which costs time but is never wrong. */
static struct slot *slot_of(struct acme_key_cache *cache, const char *thumbprint)
{
    uint32_t hash = 2166136261u;
    for (const char *c = thumbprint; *c != '\0'; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    return &cache->slots[hash % SLOTS];
}

static void release_key(void *key)
{
    EVP_PKEY_free(key);
}

EVP_PKEY *acme_key_cache_get(struct acme_key_cache *cache, struct acme_arena *arena, const char *thumbprint,
                             enum acme_key_kind *ret_kind)
{
    EVP_PKEY *key = NULL;
    pthread_mutex_lock(&cache->lock);
    const struct slot *slot = slot_of(cache, thumbprint);
    if (slot->key != NULL && strcmp(slot->thumbprint, thumbprint) == 0 && EVP_PKEY_up_ref(slot->key) == 1) {
        key = slot->key;
        *ret_kind = slot->kind;
    }
    pthread_mutex_unlock(&cache->lock);
    return key != NULL && acme_arena_defer(arena, release_key, key) ? key : NULL;
}

void acme_key_cache_put(struct acme_key_cache *cache, const struct acme_jwk *jwk)
{
    size_t len = strlen(jwk->thumbprint);
    if (len >= THUMBPRINT_SIZE || EVP_PKEY_up_ref(jwk->key) != 1)
        return;
    pthread_mutex_lock(&cache->lock);
    struct slot *slot = slot_of(cache, jwk->thumbprint);
    EVP_PKEY *old = slot->key;
    memcpy(slot->thumbprint, jwk->thumbprint, len + 1);
    slot->kind = jwk->kind;
    slot->key = jwk->key;
    pthread_mutex_unlock(&cache->lock);
    EVP_PKEY_free(old);
}
