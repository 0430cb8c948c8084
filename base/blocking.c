#include "base/blocking.h"

#include <stddef.h>

static _Thread_local const struct acme_blocking_hooks *watcher;

void acme_blocking_watch(const struct acme_blocking_hooks *hooks)
{
    watcher = hooks;
}

void acme_blocking_begin(void)
{
    if (watcher != NULL)
        watcher->begin(watcher->context);
}

void acme_blocking_end(void)
{
    if (watcher != NULL)
        watcher->end(watcher->context);
}
