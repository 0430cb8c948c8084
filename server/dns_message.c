#include "server/dns_message.h"

#include <string.h>

enum {
    HEADER = 12,
    MAX_NAME = 255,
    MAX_RECORDS = ACME_DNS_MAX_RECORDS,
    MAX_CNAMES = 16,
    TYPE_CNAME = 5,
    CLASS_IN = 1
};

struct message {
    const uint8_t *data;
    size_t len;
};

/* Uncompressed, lower-case, in wire form: fit for memcmp. */
struct name {
    uint8_t data[MAX_NAME];
    size_t len;
};

struct record {
    size_t owner; /* where its name starts */
    int type;
    size_t rdata;
    size_t rdata_len;
};

static unsigned u16(const struct message *m, size_t at)
{
    return (unsigned)m->data[at] << 8 | m->data[at + 1];
}

static bool add_label(struct name *name, const uint8_t *label, size_t len)
{
    if (len + 1 > sizeof name->data - name->len)
        return false;
    name->data[name->len++] = (uint8_t)len;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = label[i];
        name->data[name->len++] = c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
    }
    return true;
}

/* Each pointer must lead before the start of the part it was met in: so this ends. */
static bool read_name(const struct message *m, size_t at, struct name *ret_name, size_t *ret_end)
{
    size_t start = at;
    bool jumped = false;
    ret_name->len = 0;
    while (at < m->len) {
        uint8_t len = m->data[at];
        if (len == 0) {
            if (!jumped)
                *ret_end = at + 1;
            return add_label(ret_name, NULL, 0);
        }
        if (len < 64) {
            if (len > m->len - at - 1 || !add_label(ret_name, m->data + at + 1, len))
                return false;
            at += (size_t)len + 1;
            continue;
        }
        if (len < 0xc0 || m->len - at < 2)
            return false;
        size_t target = u16(m, at) & 0x3fff;
        if (target < HEADER || target >= start)
            return false;
        if (!jumped)
            *ret_end = at + 2;
        jumped = true;
        start = at = target;
    }
    return false;
}

static bool same(const struct name *a, const struct name *b)
{
    return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

static bool read_record(const struct message *m, size_t *at, struct record *ret, bool *ret_usable)
{
    struct name owner;
    size_t end = 0;
    ret->owner = *at;
    if (!read_name(m, *at, &owner, &end) || m->len - end < 10)
        return false;
    ret->type = (int)u16(m, end);
    *ret_usable = u16(m, end + 2) == CLASS_IN;
    ret->rdata_len = u16(m, end + 8);
    ret->rdata = end + 10;
    if (ret->rdata_len > m->len - ret->rdata)
        return false;
    *at = ret->rdata + ret->rdata_len;
    return true;
}

/* The name the addresses belong to: the one asked, or the end of its CNAMEs. */
static bool follow_cnames(const struct message *m, const struct record *records, size_t count,
                          struct name *name)
{
    for (int hops = 0; hops <= MAX_CNAMES; hops++) {
        bool moved = false;
        for (size_t i = 0; i < count && !moved; i++) {
            struct name owner;
            size_t end = 0;
            if (records[i].type != TYPE_CNAME || !read_name(m, records[i].owner, &owner, &end) ||
                !same(&owner, name))
                continue;
            struct name target;
            if (!read_name(m, records[i].rdata, &target, &end) ||
                end != records[i].rdata + records[i].rdata_len)
                return false;
            *name = target;
            moved = true;
        }
        if (!moved)
            return true;
    }
    return false;
}

/* The records of the answer section, and whose they should be. */
struct answer {
    struct name name;
    struct record records[MAX_RECORDS];
    size_t count;
    bool cut; /* there were more */
};

static struct acme_err read_answer(const struct message *m, struct answer *ret)
{
    size_t at = 0;
    ret->count = 0;
    ENSURE(m->len >= HEADER && (m->data[2] & 0x80) != 0 && u16(m, 4) == 1, ACME_E_FORMAT);
    ENSURE(read_name(m, HEADER, &ret->name, &at) && m->len - at >= 4, ACME_E_FORMAT);
    at += 4;
    unsigned announced = u16(m, 6);
    unsigned seen = 0;
    for (; seen < announced && ret->count < MAX_RECORDS; seen++) {
        bool usable = false;
        ENSURE(read_record(m, &at, &ret->records[ret->count], &usable), ACME_E_FORMAT);
        if (usable)
            ret->count++;
    }
    ret->cut = seen < announced;
    ENSURE(follow_cnames(m, ret->records, ret->count, &ret->name), ACME_E_FORMAT);
    return acme_ok();
}

static bool is_wanted(const struct message *m, const struct answer *answer, size_t at, int type)
{
    struct name owner;
    size_t end = 0;
    return answer->records[at].type == type && read_name(m, answer->records[at].owner, &owner, &end) &&
           same(&owner, &answer->name);
}

struct acme_err acme_dns_read_addresses(const uint8_t *packet, size_t len, int type, size_t limit,
                                        struct acme_ip_list *list)
{
    struct message m = {.data = packet, .len = len};
    struct answer answer;
    TRY(read_answer(&m, &answer));
    size_t size = type == ACME_DNS_TYPE_A ? 4 : 16;
    struct acme_ip_list found = *list;
    for (size_t i = 0; i < answer.count; i++) {
        if (!is_wanted(&m, &answer, i, type))
            continue;
        ENSURE(answer.records[i].rdata_len == size, ACME_E_FORMAT);
        if (found.count >= ACME_DNS_MAX_ADDRESSES || found.count - list->count >= limit)
            break;
        struct acme_ip *ip = &found.ip[found.count++];
        *ip = (struct acme_ip){.family = size == 4 ? AF_INET : AF_INET6};
        memcpy(ip->bytes, packet + answer.records[i].rdata, size);
    }
    *list = found;
    return acme_ok();
}

struct acme_err acme_dns_read_records(const uint8_t *packet, size_t len, int type,
                                      struct acme_dns_records *ret)
{
    struct message m = {.data = packet, .len = len};
    struct answer answer;
    TRY(read_answer(&m, &answer));
    ENSURE(!answer.cut, ACME_E_LIMIT);
    ret->count = 0;
    for (size_t i = 0; i < answer.count; i++)
        if (is_wanted(&m, &answer, i, type))
            ret->data[ret->count++] = (struct acme_bytes){.data = packet + answer.records[i].rdata,
                                                          .len = answer.records[i].rdata_len};
    return acme_ok();
}

const char *acme_dns_type_name(int type)
{
    switch (type) {
    case ACME_DNS_TYPE_A:
        return "A";
    case ACME_DNS_TYPE_TXT:
        return "TXT";
    case ACME_DNS_TYPE_AAAA:
        return "AAAA";
    case ACME_DNS_TYPE_CAA:
        return "CAA";
    default:
        return "?";
    }
}

const char *acme_dns_rcode_name(int rcode)
{
    static const char *const names[] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"};
    return rcode >= 0 && rcode < (int)(sizeof names / sizeof *names) ? names[rcode] : "an error";
}
