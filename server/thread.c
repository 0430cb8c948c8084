#include "server/thread.h"

#include <signal.h>
#include <stdio.h>

struct acme_err acme_thread_start(const char *name, void *(*run)(void *argument), void *argument,
                                  pthread_t *ret)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    ENSURE(pthread_sigmask(SIG_SETMASK, &all, &before) == 0, ACME_E_IO);
    pthread_t thread;
    int failure = pthread_create(&thread, NULL, run, argument);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    ENSURE(failure == 0, ACME_E_IO);
    char label[16];
    (void)snprintf(label, sizeof label, "%.15s", name);
    (void)pthread_setname_np(thread, label);
    *ret = thread;
    return acme_ok();
}
