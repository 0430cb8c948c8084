/* First byte: which addresses are wanted; the rest: an answer. */
#include "fuzz.h"

#include "server/dns_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct acme_ip_list list = {.count = 0};
    int type = (data[0] & 1) != 0 ? ACME_DNS_TYPE_AAAA : ACME_DNS_TYPE_A;
    if (acme_failed(acme_dns_read_addresses(data + 1, size - 1, type, ACME_DNS_MAX_ADDRESSES, &list)))
        REQUIRE(list.count == 0);
    REQUIRE(list.count <= ACME_DNS_MAX_ADDRESSES);
    for (size_t i = 0; i < list.count; i++)
        REQUIRE(list.ip[i].family == (type == ACME_DNS_TYPE_A ? AF_INET : AF_INET6));
    struct acme_dns_records records = {.count = 0};
    int other = (data[0] & 2) != 0 ? ACME_DNS_TYPE_TXT : ACME_DNS_TYPE_CAA;
    if (acme_failed(acme_dns_read_records(data + 1, size - 1, other, &records)))
        REQUIRE(records.count == 0);
    REQUIRE(records.count <= ACME_DNS_MAX_RECORDS);
    for (size_t i = 0; i < records.count; i++)
        REQUIRE(records.data[i].data > data && records.data[i].len <= size &&
                records.data[i].data + records.data[i].len <= data + size);
    (void)acme_dns_rcode_name(data[0]);
    return 0;
}
