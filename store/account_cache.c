#include "store/account_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 512, ENTRY_MAX_BYTES = 4096, TEXTS = 7 };

/* The account's texts lie behind it in one piece. */
struct entry {
    struct acme_account account;
    char texts[];
};

struct acme_account_cache {
    pthread_mutex_t lock;
    uint64_t changes; /* how often something was forgotten */
    struct entry *slots[SLOTS];
};

struct acme_account_cache *acme_account_cache_create(void)
{
    struct acme_account_cache *cache = calloc(1, sizeof *cache);
    if (cache != NULL)
        pthread_mutex_init(&cache->lock, NULL);
    return cache;
}

void acme_account_cache_destroy(struct acme_account_cache *cache)
{
    if (cache == NULL)
        return;
    for (size_t i = 0; i < SLOTS; i++)
        free(cache->slots[i]);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

/* Accounts that meet in one place push each other out. */
static struct entry **slot_of(struct acme_account_cache *cache, const char *id)
{
    uint32_t hash = 2166136261u;
    for (const char *c = id; *c != '\0'; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    return &cache->slots[hash % SLOTS];
}

static void list_texts(struct acme_account *account, const char **ret[TEXTS])
{
    const char **const texts[TEXTS] = {
        &account->id,           &account->thumbprint,      &account->jwk, &account->contacts, &account->terms,
        &account->external_kid, &account->external_binding};
    memcpy(ret, texts, sizeof texts);
}

struct acme_err acme_account_cache_get(struct acme_account_cache *cache, struct acme_arena *arena,
                                       const char *id, struct acme_account *ret, bool *ret_found)
{
    struct acme_account account;
    const char **texts[TEXTS];
    bool complete = true;
    pthread_mutex_lock(&cache->lock);
    const struct entry *entry = *slot_of(cache, id);
    bool found = entry != NULL && strcmp(entry->account.id, id) == 0;
    if (found) {
        account = entry->account;
        list_texts(&account, texts);
        for (size_t i = 0; i < TEXTS && complete; i++) {
            if (*texts[i] == NULL)
                continue;
            *texts[i] = acme_arena_strdup(arena, *texts[i]);
            complete = *texts[i] != NULL;
        }
    }
    pthread_mutex_unlock(&cache->lock);
    ENSURE(complete, ACME_E_NOMEM);
    if (found)
        *ret = account;
    *ret_found = found;
    return acme_ok();
}

uint64_t acme_account_cache_mark(struct acme_account_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    uint64_t mark = cache->changes;
    pthread_mutex_unlock(&cache->lock);
    return mark;
}

static struct entry *make_entry(const struct acme_account *from)
{
    struct acme_account account = *from;
    const char **texts[TEXTS];
    size_t lens[TEXTS] = {0};
    size_t size = 0;
    list_texts(&account, texts);
    for (size_t i = 0; i < TEXTS; i++) {
        lens[i] = *texts[i] != NULL ? strlen(*texts[i]) + 1 : 0;
        size += lens[i];
    }
    struct entry *entry = size <= ENTRY_MAX_BYTES ? malloc(sizeof *entry + size) : NULL;
    if (entry == NULL)
        return NULL;
    char *at = entry->texts;
    for (size_t i = 0; i < TEXTS; i++) {
        if (lens[i] == 0)
            continue;
        memcpy(at, *texts[i], lens[i]);
        *texts[i] = at;
        at += lens[i];
    }
    entry->account = account;
    return entry;
}

void acme_account_cache_put(struct acme_account_cache *cache, uint64_t mark,
                            const struct acme_account *account)
{
    struct entry *entry = make_entry(account);
    if (entry == NULL)
        return;
    pthread_mutex_lock(&cache->lock);
    if (cache->changes == mark) {
        struct entry **slot = slot_of(cache, account->id);
        struct entry *old = *slot;
        *slot = entry;
        entry = old;
    }
    pthread_mutex_unlock(&cache->lock);
    free(entry);
}

void acme_account_cache_forget(struct acme_account_cache *cache, const char *id)
{
    pthread_mutex_lock(&cache->lock);
    cache->changes++;
    struct entry **slot = slot_of(cache, id);
    struct entry *old = *slot;
    *slot = NULL;
    pthread_mutex_unlock(&cache->lock);
    free(old);
}
