/* A list through which any thread hands things to one event loop. The loop is woken through an eventfd, and
 * only when the list was empty: under load most hand-overs cost no system call. */
#ifndef ACME_SERVER_INBOX_H
#define ACME_SERVER_INBOX_H

#include "base/err.h"

#include <pthread.h>

/* First member of what is handed over. */
struct acme_inbox_item {
    struct acme_inbox_item *next;
};

struct acme_inbox {
    pthread_mutex_t lock;
    struct acme_inbox_item *first;
    struct acme_inbox_item *last;
    bool closed;
    int fd; /* readable when there is something to take */
};

/** acme_inbox_init(inbox): empty and open. Errors: IO. Release: acme_inbox_finish, with nothing left in it.
 */
struct acme_err acme_inbox_init(struct acme_inbox *inbox) ACME_MUST_USE;
void acme_inbox_finish(struct acme_inbox *inbox);

/** acme_inbox_push(inbox, item): hand over; false when closed, `item` then stays the caller's. Thread: any.
 */
bool acme_inbox_push(struct acme_inbox *inbox, struct acme_inbox_item *item);

/** acme_inbox_wake(inbox): make the loop look, whatever the list holds. Thread: any. */
void acme_inbox_wake(struct acme_inbox *inbox);

/** acme_inbox_take(inbox): everything handed over so far, oldest first, as a list; NULL when nothing. Thread:
 * the loop's. */
struct acme_inbox_item *acme_inbox_take(struct acme_inbox *inbox);

/** acme_inbox_close(inbox): refuse what comes from now on. Thread: any. */
void acme_inbox_close(struct acme_inbox *inbox);

#endif
