#include "server/inbox.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct acme_err acme_inbox_init(struct acme_inbox *inbox)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    ENSURE(fd >= 0, ACME_E_IO);
    *inbox = (struct acme_inbox){.fd = fd};
    if (pthread_mutex_init(&inbox->lock, NULL) != 0) {
        close(fd);
        return acme_err(ACME_E_IO);
    }
    return acme_ok();
}

void acme_inbox_finish(struct acme_inbox *inbox)
{
    close(inbox->fd);
    pthread_mutex_destroy(&inbox->lock);
}

bool acme_inbox_push(struct acme_inbox *inbox, struct acme_inbox_item *item)
{
    item->next = NULL;
    pthread_mutex_lock(&inbox->lock);
    bool open = !inbox->closed;
    bool was_empty = inbox->first == NULL;
    if (open) {
        if (was_empty)
            inbox->first = item;
        else
            inbox->last->next = item;
        inbox->last = item;
        /* Under the lock: once the owner has closed the inbox and taken the last item it may close the
         * descriptor. */
        if (was_empty)
            acme_inbox_wake(inbox);
    }
    pthread_mutex_unlock(&inbox->lock);
    return open;
}

void acme_inbox_wake(struct acme_inbox *inbox)
{
    const uint64_t one = 1;
    while (write(inbox->fd, &one, sizeof one) < 0 && errno == EINTR)
        continue; /* EAGAIN: the counter is full, so the loop is being woken anyway */
}

struct acme_inbox_item *acme_inbox_take(struct acme_inbox *inbox)
{
    uint64_t count;
    while (read(inbox->fd, &count, sizeof count) < 0 && errno == EINTR)
        continue;
    pthread_mutex_lock(&inbox->lock);
    struct acme_inbox_item *items = inbox->first;
    inbox->first = NULL;
    inbox->last = NULL;
    pthread_mutex_unlock(&inbox->lock);
    return items;
}

void acme_inbox_close(struct acme_inbox *inbox)
{
    pthread_mutex_lock(&inbox->lock);
    inbox->closed = true;
    pthread_mutex_unlock(&inbox->lock);
}
