/* Which addresses a validation may contact. Validation is a fetcher in the hands of strangers: private
 * networks are allowed (the users' hosts live there), loopback, link-local, multicast, unspecified, broadcast
 * and cloud metadata addresses only when `allow` lists them; `deny` takes away more and wins. */
#ifndef ACME_SERVER_ADDRESS_POLICY_H
#define ACME_SERVER_ADDRESS_POLICY_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* 10.0.0.0/8 and the like; IPv4 is kept as IPv4-mapped IPv6 so that one comparison serves both. */
struct acme_network {
    uint8_t address[16];
    int prefix_bits; /* of 128 */
};

struct acme_address_policy {
    struct acme_network *allow;
    size_t allow_count;
    struct acme_network *deny;
    size_t deny_count;
};

/** acme_network_parse(text, ret): "10.0.0.0/8", "2001:db8::/32", a single address, in CIDR form; host bits
 * must be zero. Errors: FORMAT. */
struct acme_err acme_network_parse(const char *text, struct acme_network *ret) ACME_MUST_USE;

/** acme_address_allowed(policy, address, ret_why): may this be contacted? IPv4-mapped, 6to4 and NAT64 forms
 * are judged by the IPv4 address inside. *ret_why (static) names the class when not. Thread: any. */
bool acme_address_allowed(const struct acme_address_policy *policy, const struct sockaddr *address,
                          const char **ret_why);

#endif
