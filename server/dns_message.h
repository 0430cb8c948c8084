/* Reading records out of DNS answers (RFC 1035). Pure, since answers come from strangers. */
#ifndef ACME_SERVER_DNS_MESSAGE_H
#define ACME_SERVER_DNS_MESSAGE_H

#include "base/arena.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
    ACME_DNS_TYPE_A = 1,
    ACME_DNS_TYPE_TXT = 16,
    ACME_DNS_TYPE_AAAA = 28,
    ACME_DNS_TYPE_CAA = 257,
    ACME_DNS_MAX_ADDRESSES = 8,
    ACME_DNS_MAX_RECORDS = 128
};

struct acme_ip {
    int family; /* AF_INET, AF_INET6 */
    uint8_t bytes[16];
};

struct acme_ip_list {
    struct acme_ip ip[ACME_DNS_MAX_ADDRESSES];
    size_t count;
};

/** acme_dns_read_addresses(packet, len, type, limit, list): add to `list` the addresses of `type` (A or AAAA)
 * that the answer section gives for the name asked, along its CNAMEs; at most `limit` of them, the rest is
 * ignored. None is not an error. Limits: 16 CNAMEs, 128 records. Errors: FORMAT (not a well-formed response
 * to one question, or a CNAME loop); `list` is then untouched. Thread: any. */
struct acme_err acme_dns_read_addresses(const uint8_t *packet, size_t len, int type, size_t limit,
                                        struct acme_ip_list *list) ACME_MUST_USE;

struct acme_dns_records {
    struct acme_bytes data[ACME_DNS_MAX_RECORDS]; /* each record's RDATA, in place in the packet */
    size_t count;
};

/** acme_dns_read_records(packet, len, type, ret): all records of `type` that the answer section gives for the
 * name asked, along its CNAMEs. None is not an error. Only for types whose RDATA holds no names, which may be
 * compressed. Limits: 16 CNAMEs, 128 records in the section. Errors: FORMAT (as above), LIMIT (more records:
 * what is not seen might forbid something); `ret` is then untouched. Thread: any. */
struct acme_err acme_dns_read_records(const uint8_t *packet, size_t len, int type,
                                      struct acme_dns_records *ret) ACME_MUST_USE;

/** acme_dns_type_name(type): "TXT", "CAA" ... "?". Static. */
const char *acme_dns_type_name(int type);

/** acme_dns_rcode_name(rcode): "NXDOMAIN", "SERVFAIL" ... "an error". Static. */
const char *acme_dns_rcode_name(int rcode);

#endif
