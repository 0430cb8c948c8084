/* TCP and UDP port numbers in text. */
#ifndef ACME_SERVER_PORT_H
#define ACME_SERVER_PORT_H

#include <stdbool.h>
#include <stddef.h>

/** acme_port_parse(text, len, lowest, ret): one to five decimal digits without a leading zero, from `lowest`
 * (0 or 1) to 65535. Thread: any. */
bool acme_port_parse(const char *text, size_t len, int lowest, int *ret);

#endif
