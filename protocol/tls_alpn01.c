#include "protocol/tls_alpn01.h"

#include "base/buf.h"

#include <arpa/inet.h>
#include <string.h>

const char *acme_tls_alpn01_server_name(struct acme_arena *arena, const struct acme_identifier *identifier)
{
    uint8_t raw[16];
    if (identifier->type == ACME_IDENTIFIER_DNS)
        return identifier->value;
    if (inet_pton(AF_INET, identifier->value, raw) == 1)
        return acme_arena_printf(arena, "%u.%u.%u.%u.in-addr.arpa", (unsigned)raw[3], (unsigned)raw[2],
                                 (unsigned)raw[1], (unsigned)raw[0]);
    if (inet_pton(AF_INET6, identifier->value, raw) != 1)
        return NULL;
    ACME_CLEANUP_BUF struct acme_buf name;
    acme_buf_init(&name, 80);
    for (size_t i = sizeof raw; i > 0; i--)
        acme_buf_printf(&name, "%x.%x.", raw[i - 1] & 0x0fU, (unsigned)raw[i - 1] >> 4);
    acme_buf_str(&name, "ip6.arpa");
    const char *text = acme_buf_cstr(&name);
    return text != NULL ? acme_arena_strdup(arena, text) : NULL;
}
