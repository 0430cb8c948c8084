/* A thread says when it waits for something slow, so that whoever runs it can let another one work meanwhile.
 */
#ifndef ACME_BASE_BLOCKING_H
#define ACME_BASE_BLOCKING_H

struct acme_blocking_hooks {
    void (*begin)(void *context);
    void (*end)(void *context);
    void *context;
};

/** acme_blocking_watch(hooks): who is to be told about the calling thread; borrowed until the thread ends or
 * sets others. NULL: nobody. */
void acme_blocking_watch(const struct acme_blocking_hooks *hooks);

/** acme_blocking_begin() / acme_blocking_end(): around a wait of the calling thread. Not nested. */
void acme_blocking_begin(void);
void acme_blocking_end(void);

#endif
