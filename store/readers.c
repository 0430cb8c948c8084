/* The pool of read connections. */
#include "store/internal.h"

#include <stdlib.h>

struct acme_err acme_readers_open(struct acme_readers *readers, const char *path, size_t count)
{
    *readers = (struct acme_readers){.lock = PTHREAD_MUTEX_INITIALIZER, .returned = PTHREAD_COND_INITIALIZER};
    readers->free = calloc(count, sizeof(struct acme_db *));
    ENSURE(readers->free, ACME_E_NOMEM);
    while (readers->count < count) {
        TRY(acme_db_open(path, ACME_DB_READER, &readers->free[readers->count]));
        readers->count++;
        readers->free_count++;
    }
    return acme_ok();
}

void acme_readers_close(struct acme_readers *readers)
{
    for (size_t i = 0; i < readers->free_count; i++)
        acme_db_close(readers->free[i]);
    free(readers->free);
    pthread_cond_destroy(&readers->returned);
    pthread_mutex_destroy(&readers->lock);
}

struct acme_db *acme_readers_acquire(struct acme_readers *readers)
{
    pthread_mutex_lock(&readers->lock);
    while (readers->free_count == 0)
        pthread_cond_wait(&readers->returned, &readers->lock);
    struct acme_db *db = readers->free[--readers->free_count];
    pthread_mutex_unlock(&readers->lock);
    return db;
}

void acme_readers_release(struct acme_readers *readers, struct acme_db *db)
{
    pthread_mutex_lock(&readers->lock);
    readers->free[readers->free_count++] = db;
    pthread_cond_signal(&readers->returned);
    pthread_mutex_unlock(&readers->lock);
}
