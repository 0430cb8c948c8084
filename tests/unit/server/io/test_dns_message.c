#include "cmocka_all.h"
#include "server/dns_message.h"

#include <stdlib.h>
#include <string.h>

#define HEADER(answers) 0x12, 0x34, 0x81, 0x80, 0, 1, 0, answers, 0, 0, 0, 0
/* "a.bc", asked for A; the name is at 12, "bc" at 14 */
#define QUESTION        1, 'a', 2, 'b', 'c', 0, 0, 1, 0, 1
#define POINT(at)       0xc0, at
#define TYPE_A          0, 1, 0, 1, 0, 0, 0, 60
#define TYPE_AAAA       0, 28, 0, 1, 0, 0, 0, 60
#define TYPE_CNAME      0, 5, 0, 1, 0, 0, 0, 60

static struct acme_err read_exact(const uint8_t *packet, size_t len, int type, struct acme_ip_list *list)
{
    uint8_t *exact = malloc(len > 0 ? len : 1);
    memcpy(exact, packet, len);
    struct acme_err err = acme_dns_read_addresses(exact, len, type, 4, list);
    free(exact);
    return err;
}

#define READ(packet, type, list) read_exact(packet, sizeof packet, type, list)

static void test_addresses(void **state)
{
    (void)state;
    static const uint8_t packet[] = {
        HEADER(3), QUESTION, POINT(12), TYPE_A, 0, 4, 192, 0, 2, 1,
        1,         'A',      POINT(14), TYPE_A, 0, 4, 192, 0, 2, 2,
        1,         'x',      POINT(14), TYPE_A, 0, 4, 192, 0, 2, 3}; /* somebody else's */
    struct acme_ip_list list = {.count = 0};
    assert_false(acme_failed(READ(packet, ACME_DNS_TYPE_A, &list)));
    assert_int_equal(list.count, 2);
    assert_int_equal(list.ip[0].family, AF_INET);
    assert_memory_equal(list.ip[1].bytes, ((uint8_t[]){192, 0, 2, 2}), 4);
    list.count = 0;
    assert_false(acme_failed(READ(packet, ACME_DNS_TYPE_AAAA, &list)));
    assert_int_equal(list.count, 0);
    for (size_t len = 0; len < sizeof packet; len++)
        assert_int_equal(read_exact(packet, len, ACME_DNS_TYPE_A, &list).code, ACME_E_FORMAT);
}

static void test_cnames(void **state)
{
    (void)state;
    /* The records in no order: d.bc -> e.bc, e.bc AAAA, a.bc -> d.bc */
    static const uint8_t packet[] = {
        HEADER(3), QUESTION, 1,   'd',       POINT(14),  TYPE_CNAME, 0,  4,    1,   'e',
        POINT(14), 1,        'e', POINT(14), TYPE_AAAA,  0,          16, 0x20, 1,   0xd,
        0xb8,      0,        0,   0,         0,          0,          0,  0,    0,   0,
        0,         0,        1,   POINT(12), TYPE_CNAME, 0,          4,  1,    'd', POINT(14)};
    struct acme_ip_list list = {.count = 0};
    assert_false(acme_failed(READ(packet, ACME_DNS_TYPE_AAAA, &list)));
    assert_int_equal(list.count, 1);
    assert_int_equal(list.ip[0].family, AF_INET6);
    assert_int_equal(list.ip[0].bytes[15], 1);
    static const uint8_t loop[] = {HEADER(1), QUESTION, POINT(12), TYPE_CNAME, 0, 2, POINT(12)};
    list.count = 0;
    assert_int_equal(READ(loop, ACME_DNS_TYPE_A, &list).code, ACME_E_FORMAT);
}

static void test_records(void **state)
{
    (void)state;
    static const uint8_t packet[] = {
        HEADER(4), QUESTION,  POINT(12), TYPE_CNAME, 0, 4, 1,  'd', POINT(14), 1,  'd', POINT(14), 0,
        16,        0,         1,         0,          0, 0, 60, 0,   3,         2,  'o', 'k',       POINT(12),
        0,         16,        0,         1,          0, 0, 0,  60,  0,         2,  1,   'x',       1,
        'D',       POINT(14), 0,         16,         0, 1, 0,  0,   0,         60, 0,   0};
    struct acme_dns_records records = {.count = 7};
    assert_false(acme_failed(acme_dns_read_records(packet, sizeof packet, ACME_DNS_TYPE_TXT, &records)));
    assert_int_equal(records.count, 2); /* not that of a.bc, which has a CNAME */
    assert_int_equal(records.data[0].len, 3);
    assert_memory_equal(records.data[0].data, "\2ok", 3);
    assert_int_equal(records.data[1].len, 0);
    assert_false(acme_failed(acme_dns_read_records(packet, sizeof packet, ACME_DNS_TYPE_CAA, &records)));
    assert_int_equal(records.count, 0);
    for (size_t len = 0; len < sizeof packet; len++) {
        uint8_t *exact = malloc(len > 0 ? len : 1);
        memcpy(exact, packet, len);
        assert_int_equal(acme_dns_read_records(exact, len, ACME_DNS_TYPE_TXT, &records).code, ACME_E_FORMAT);
        free(exact);
    }
}

static void test_too_many_records(void **state)
{
    (void)state;
    static const uint8_t start[] = {HEADER(0), QUESTION};
    static const uint8_t record[] = {POINT(12), 0, 16, 0, 1, 0, 0, 0, 60, 0, 2, 1, 'x'};
    uint8_t packet[sizeof start + (ACME_DNS_MAX_RECORDS + 1) * sizeof record];
    struct acme_dns_records records = {.count = 0};
    memcpy(packet, start, sizeof start);
    for (size_t i = 0; i <= ACME_DNS_MAX_RECORDS; i++)
        memcpy(packet + sizeof start + i * sizeof record, record, sizeof record);
    packet[7] = ACME_DNS_MAX_RECORDS;
    assert_false(acme_failed(acme_dns_read_records(packet, sizeof packet, ACME_DNS_TYPE_TXT, &records)));
    assert_int_equal(records.count, ACME_DNS_MAX_RECORDS);
    packet[7] = ACME_DNS_MAX_RECORDS + 1;
    assert_int_equal(acme_dns_read_records(packet, sizeof packet, ACME_DNS_TYPE_TXT, &records).code,
                     ACME_E_LIMIT);
}

static void test_limits(void **state)
{
    (void)state;
    uint8_t packet[1024] = {HEADER(70), QUESTION};
    size_t len = 22;
    static const uint8_t record[] = {POINT(12), TYPE_A, 0, 4, 192, 0, 2, 1};
    for (int i = 0; i < 70 && len + sizeof record <= sizeof packet; i++) {
        memcpy(packet + len, record, sizeof record);
        len += sizeof record;
    }
    packet[7] = (uint8_t)((len - 22) / sizeof record);
    struct acme_ip_list list = {.count = 0};
    assert_false(acme_failed(acme_dns_read_addresses(packet, len, ACME_DNS_TYPE_A, 4, &list)));
    assert_int_equal(list.count, 4);
    assert_false(acme_failed(acme_dns_read_addresses(packet, len, ACME_DNS_TYPE_A, 100, &list)));
    assert_int_equal(list.count, ACME_DNS_MAX_ADDRESSES);
}

static void test_malformed(void **state)
{
    (void)state;
    static const uint8_t query[] = {0x12, 0x34, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0, QUESTION};
    static const uint8_t self[] = {HEADER(1), POINT(12), 0, 1, 0, 1};
    static const uint8_t forward[] = {HEADER(1), QUESTION, POINT(40), TYPE_A, 0, 4, 1, 2, 3, 4};
    static const uint8_t into_header[] = {HEADER(1), QUESTION, POINT(0), TYPE_A, 0, 4, 1, 2, 3, 4};
    static const uint8_t reserved_label[] = {HEADER(1), QUESTION, 0x80, 0, TYPE_A, 0, 4, 1, 2, 3, 4};
    static const uint8_t short_rdata[] = {HEADER(1), QUESTION, POINT(12), TYPE_A, 0, 3, 1, 2, 3};
    static const uint8_t long_rdata[] = {HEADER(1), QUESTION, POINT(12), TYPE_A, 0, 40, 1, 2, 3, 4};
    static const uint8_t cname_too_long[] = {HEADER(1), QUESTION, POINT(12), TYPE_CNAME, 0, 3, POINT(14), 0};
    const struct {
        const uint8_t *data;
        size_t len;
    } cases[] = {{query, sizeof query},
                 {self, sizeof self},
                 {forward, sizeof forward},
                 {into_header, sizeof into_header},
                 {reserved_label, sizeof reserved_label},
                 {short_rdata, sizeof short_rdata},
                 {long_rdata, sizeof long_rdata},
                 {cname_too_long, sizeof cname_too_long}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct acme_ip_list list = {.count = 0};
        if (read_exact(cases[i].data, cases[i].len, ACME_DNS_TYPE_A, &list).code != ACME_E_FORMAT)
            fail_msg("case %zu is accepted", i);
        assert_int_equal(list.count, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses), cmocka_unit_test(test_cnames),
        cmocka_unit_test(test_records),   cmocka_unit_test(test_too_many_records),
        cmocka_unit_test(test_limits),    cmocka_unit_test(test_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
