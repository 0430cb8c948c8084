#include "server/address_policy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* What is not contacted unless allowed, in the CIDR form of acme_network_parse. Inner networks stand before
 * outer ones, for the name. */
static const struct {
    const char *why;
    struct acme_network network;
} guarded[] = {
#define V4(a, b, c, d, bits)                                                                                 \
    {                                                                                                        \
        .address = {[10] = 0xff, [11] = 0xff, [12] = a, [13] = b, [14] = c, [15] = d},                       \
        .prefix_bits = 96 + (bits)                                                                           \
    }
    {"a cloud metadata address", V4(169, 254, 169, 254, 32)},
    {"a cloud metadata address", V4(100, 100, 100, 200, 32)}, /* Alibaba Cloud */
    {"a cloud metadata address", V4(168, 63, 129, 16, 32)},   /* Azure */
    {"a cloud metadata address", V4(192, 0, 0, 192, 32)},     /* Oracle Cloud */
    {"a cloud metadata address",
     {.address = {0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54}, .prefix_bits = 128}},
    {"a loopback address", V4(127, 0, 0, 0, 8)},
    {"a loopback address", {.address = {[15] = 1}, .prefix_bits = 128}},
    {"an unspecified address", V4(0, 0, 0, 0, 8)},
    {"an unspecified address", {.address = {0}, .prefix_bits = 128}},
    {"a link-local address", V4(169, 254, 0, 0, 16)},
    {"a link-local address", {.address = {0xfe, 0x80}, .prefix_bits = 10}},
    {"a multicast address", V4(224, 0, 0, 0, 4)},
    {"a multicast address", {.address = {0xff}, .prefix_bits = 8}},
    {"the broadcast address", V4(255, 255, 255, 255, 32)},
    {"a reserved address", V4(240, 0, 0, 0, 4)},
#undef V4
};

static bool is_v4(const uint8_t address[16])
{
    return memcmp(address, v4_prefix, sizeof v4_prefix) == 0;
}

static bool contains(const struct acme_network *network, const uint8_t address[16])
{
    /* "::/0" means IPv6: the mapped form of IPv4 is our own notation. */
    if (network->prefix_bits < 96 && is_v4(address))
        return false;
    size_t bytes = (size_t)network->prefix_bits / 8;
    if (memcmp(network->address, address, bytes) != 0)
        return false;
    int rest = network->prefix_bits % 8;
    return rest == 0 || ((network->address[bytes] ^ address[bytes]) >> (8 - rest)) == 0;
}

static bool listed(const struct acme_network *networks, size_t count, const uint8_t address[16])
{
    for (size_t i = 0; i < count; i++)
        if (contains(&networks[i], address))
            return true;
    return false;
}

static const char *guarded_as(const uint8_t address[16])
{
    for (size_t i = 0; i < sizeof guarded / sizeof *guarded; i++)
        if (contains(&guarded[i].network, address))
            return guarded[i].why;
    return NULL;
}

/* The IPv4 address a router would make of an IPv6 one: NAT64 (RFC 6052, RFC 8215), 6to4 (RFC 3056),
 * IPv4-compatible (RFC 4291 section 2.5.5.1). */
static bool inner_v4(const uint8_t address[16], uint8_t ret[16])
{
    static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};
    static const uint8_t nat64_local[6] = {0x00, 0x64, 0xff, 0x9b, 0x00, 0x01};
    static const uint8_t zeros[12] = {0};
    const uint8_t *inside = NULL;
    /* Behind a prefix of 64 bits the address is in bytes 9 to 12. Behind shorter ones the last four bytes are
     * zero, as in 0.0.0.0, which is refused. */
    if (memcmp(address, nat64_local, sizeof nat64_local) == 0 && memcmp(address + 13, zeros, 3) == 0 &&
        address[12] != 0 && memcmp(address + 9, zeros, 3) != 0)
        inside = address + 9;
    else if (memcmp(address, nat64, sizeof nat64) == 0 ||
             memcmp(address, nat64_local, sizeof nat64_local) == 0)
        inside = address + 12;
    else if (memcmp(address, zeros, sizeof zeros) == 0 && memcmp(address + 12, zeros, 3) != 0)
        inside = address + 12;
    else if (address[0] == 0x20 && address[1] == 0x02)
        inside = address + 2;
    if (inside == NULL)
        return false;
    memcpy(ret, v4_prefix, sizeof v4_prefix);
    memcpy(ret + 12, inside, 4);
    return true;
}

static bool bytes_of(const struct sockaddr *address, uint8_t ret[16])
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof in);
        memcpy(ret, v4_prefix, sizeof v4_prefix);
        memcpy(ret + 12, &in.sin_addr, 4);
        return true;
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, address, sizeof in6);
        memcpy(ret, &in6.sin6_addr, 16);
        return true;
    }
    return false;
}

bool acme_address_allowed(const struct acme_address_policy *policy, const struct sockaddr *address,
                          const char **ret_why)
{
    uint8_t forms[2][16];
    size_t count = 1;
    if (!bytes_of(address, forms[0])) {
        *ret_why = "not an Internet address";
        return false;
    }
    if (inner_v4(forms[0], forms[1]))
        count = 2;
    for (size_t i = 0; i < count; i++) {
        if (listed(policy->deny, policy->deny_count, forms[i])) {
            *ret_why = "denied by the configuration";
            return false;
        }
    }
    for (size_t i = 0; i < count; i++) {
        const char *why = guarded_as(forms[i]);
        if (why != NULL && !listed(policy->allow, policy->allow_count, forms[i])) {
            *ret_why = why;
            return false;
        }
    }
    return true;
}

static bool parse_prefix(const char *text, int max, int *ret)
{
    size_t len = strlen(text);
    if (len == 0 || len > 3 || strspn(text, "0123456789") != len || (len > 1 && text[0] == '0'))
        return false;
    int bits = 0;
    for (; *text != '\0'; text++)
        bits = bits * 10 + (*text - '0');
    *ret = bits;
    return bits <= max;
}

static bool host_bits_are_zero(const struct acme_network *network)
{
    for (int bit = network->prefix_bits; bit < 128; bit++)
        if ((network->address[bit / 8] >> (7 - bit % 8)) & 1)
            return false;
    return true;
}

struct acme_err acme_network_parse(const char *text, struct acme_network *ret)
{
    char address[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
    ENSURE(len > 0 && len < sizeof address, ACME_E_FORMAT);
    memcpy(address, text, len);
    address[len] = '\0';

    struct acme_network network = {0};
    int bits = 0;
    if (inet_pton(AF_INET, address, network.address + 12) == 1) {
        bits = 32;
        ENSURE(slash == NULL || parse_prefix(slash + 1, 32, &bits), ACME_E_FORMAT);
        memcpy(network.address, v4_prefix, sizeof v4_prefix);
        bits += 96;
    } else if (inet_pton(AF_INET6, address, network.address) == 1) {
        bits = 128;
        ENSURE(slash == NULL || parse_prefix(slash + 1, 128, &bits), ACME_E_FORMAT);
    } else {
        return acme_err(ACME_E_FORMAT);
    }
    network.prefix_bits = bits;
    ENSURE(host_bits_are_zero(&network), ACME_E_FORMAT);
    *ret = network;
    return acme_ok();
}
