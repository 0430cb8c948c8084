#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BLOCK = 4096, MAX_BLOCK = 64 * 1024 };

struct block {
    struct block *next;
    size_t used;
    size_t size;
    alignas(max_align_t) unsigned char data[];
};

struct deferred {
    struct deferred *next;
    void (*release)(void *);
    void *object;
};

struct acme_arena {
    struct block *blocks; /* the head is the one being filled */
    struct deferred *deferred;
    size_t left;
    size_t next_block;
    bool wipe;
};

struct acme_arena *acme_arena_create(size_t max_bytes)
{
    struct acme_arena *arena = calloc(1, sizeof *arena);
    if (arena == NULL)
        return NULL;
    arena->left = max_bytes;
    arena->next_block = FIRST_BLOCK;
    return arena;
}

void acme_arena_destroy(struct acme_arena *arena)
{
    if (arena == NULL)
        return;
    /* A release function may defer again: take the list apart one by one. The nodes lie in the blocks. */
    while (arena->deferred != NULL) {
        struct deferred *node = arena->deferred;
        arena->deferred = node->next;
        node->release(node->object);
    }
    while (arena->blocks != NULL) {
        struct block *block = arena->blocks;
        arena->blocks = block->next;
        if (arena->wipe)
            explicit_bzero(block->data, block->used);
        free(block);
    }
    free(arena);
}

void acme_arena_wipe_at_end(struct acme_arena *arena)
{
    arena->wipe = true;
}

void acme_arena_destroyp(struct acme_arena **arena)
{
    acme_arena_destroy(*arena);
    *arena = NULL;
}

static struct block *add_block(struct acme_arena *arena, size_t need)
{
    bool own = need > arena->next_block / 4;
    size_t size = own ? need : arena->next_block;
    if (size > SIZE_MAX - sizeof(struct block))
        return NULL;
    struct block *block = malloc(sizeof *block + size);
    if (block == NULL)
        return NULL;
    block->used = 0;
    block->size = size;
    if (own && arena->blocks != NULL) { /* behind the head, whose free rest stays in use */
        block->next = arena->blocks->next;
        arena->blocks->next = block;
        return block;
    }
    block->next = arena->blocks;
    arena->blocks = block;
    if (!own && arena->next_block < MAX_BLOCK)
        arena->next_block *= 2;
    return block;
}

/* What `size` bytes take; 0 when that is too much to say. */
static size_t rounded(size_t size)
{
    const size_t align = alignof(max_align_t);
    if (size > SIZE_MAX - align)
        return 0;
    return size == 0 ? align : (size + align - 1) / align * align;
}

/* As acme_arena_alloc, but not zeroed. */
static void *take(struct acme_arena *arena, size_t size)
{
    size_t need = rounded(size);
    if (need == 0)
        return NULL;
    if (need > arena->left)
        return NULL;
    struct block *block = arena->blocks;
    if (block == NULL || block->size - block->used < need) {
        block = add_block(arena, need);
        if (block == NULL)
            return NULL;
    }
    void *result = block->data + block->used;
    block->used += need;
    arena->left -= need;
    return result;
}

void *acme_arena_alloc(struct acme_arena *arena, size_t size)
{
    void *result = take(arena, size);
    return result != NULL ? memset(result, 0, rounded(size)) : NULL;
}

void *acme_arena_memdup(struct acme_arena *arena, const void *data, size_t len)
{
    void *copy = acme_arena_alloc(arena, len);
    if (copy != NULL && len > 0)
        memcpy(copy, data, len);
    return copy;
}

char *acme_arena_strndup(struct acme_arena *arena, const char *text, size_t len)
{
    len = strnlen(text, len);
    if (len == SIZE_MAX)
        return NULL;
    char *copy = acme_arena_alloc(arena, len + 1);
    if (copy != NULL)
        memcpy(copy, text, len);
    return copy;
}

char *acme_arena_strdup(struct acme_arena *arena, const char *text)
{
    return acme_arena_memdup(arena, text, strlen(text) + 1);
}

/* Written where the next allocation will lie; a second time only when the text did not fit there. */
char *acme_arena_printf(struct acme_arena *arena, const char *format, ...)
{
    const struct block *block = arena->blocks;
    char *rest = block != NULL ? (char *)arena->blocks->data + block->used : NULL;
    const size_t room = block != NULL ? block->size - block->used : 0;
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(rest, room, format, args);
    char *text = len >= 0 ? take(arena, (size_t)len + 1) : NULL;
    if (text != rest) {
        if (room > 0)
            explicit_bzero(rest, room); /* acme_arena_wipe_at_end: nothing stays outside of allocations */
        if (text != NULL && vsnprintf(text, (size_t)len + 1, format, again) != len)
            text = NULL;
    }
    va_end(again);
    va_end(args);
    return text;
}

bool acme_arena_defer(struct acme_arena *arena, void (*release)(void *), void *object)
{
    struct deferred *node = acme_arena_alloc(arena, sizeof *node);
    if (node == NULL) {
        release(object);
        return false;
    }
    node->next = arena->deferred;
    node->release = release;
    node->object = object;
    arena->deferred = node;
    return true;
}
