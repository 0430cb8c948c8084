/* systemd's service notification protocol (sd_notify(3)): datagrams to $NOTIFY_SOCKET. Not worth a library.
 */
#ifndef ACME_SERVER_NOTIFY_H
#define ACME_SERVER_NOTIFY_H

/** acme_notify(state): send e.g. "READY=1"; nothing happens when not started by systemd. Thread: any. */
void acme_notify(const char *state);

#endif
