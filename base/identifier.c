#include "base/identifier.h"

#include "base/b64url.h"
#include "base/json.h"
#include "base/json_writer.h"
#include "base/sha256.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DNS = 253, MAX_LABEL = 63, MAX_LIST_JSON = 1024 * 1024 };

const char *acme_identifier_type_name(enum acme_identifier_type type)
{
    return type == ACME_IDENTIFIER_IP ? "ip" : "dns";
}

static bool is_letter(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static uint32_t punycode_adapt(uint32_t delta, uint32_t points, bool first)
{
    uint32_t k = 0;
    delta = first ? delta / 700 : delta / 2;
    delta += delta / points;
    for (; delta > 455; k += 36)
        delta /= 35;
    return k + 36 * delta / (delta + 38);
}

/* Decode punycode (RFC 3492 section 6.2) of a label into `out`, which has room for MAX_LABEL code points.
 * False when it is none, or of something that did not need it. Only the code points are checked; which of
 * them IDNA permits changes with Unicode and is the registries' business. */
static bool punycode_decode(const char *text, size_t len, uint32_t *out, size_t *ret_count)
{
    uint32_t point = 128;
    uint32_t i = 0;
    uint32_t bias = 72;
    uint32_t points = 0;
    size_t pos = 0;
    for (size_t j = len; j > 0; j--) {
        if (text[j - 1] == '-') {
            points = (uint32_t)(j - 1);
            pos = j;
            break;
        }
    }
    bool first = true;
    if (pos >= len || len > MAX_LABEL)
        return false;
    for (uint32_t j = 0; j < points; j++)
        out[j] = (unsigned char)text[j];
    while (pos < len) {
        uint32_t old_i = i;
        uint32_t weight = 1;
        for (uint32_t k = 36;; k += 36) {
            if (pos >= len)
                return false;
            char c = text[pos++];
            if (c == '-')
                return false;
            uint32_t digit = is_letter(c) ? (uint32_t)(c - 'a') : (uint32_t)(c - '0') + 26;
            if (digit > (UINT32_MAX - i) / weight)
                return false;
            i += digit * weight;
            uint32_t least = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;
            if (digit < least)
                break;
            if (weight > UINT32_MAX / (36 - least))
                return false;
            weight *= 36 - least;
        }
        points++;
        bias = punycode_adapt(i - old_i, points, first);
        first = false;
        if (i / points > 0x10ffff)
            return false;
        point += i / points;
        i = i % points;
        if (point < 0xa0 || point > 0x10ffff ||
            (point >= 0xd800 && point <= 0xdfff)) /* C1, none, surrogates */
            return false;
        memmove(&out[i + 1], &out[i], (points - 1 - i) * sizeof *out);
        out[i++] = point;
    }
    *ret_count = points;
    return true;
}

static bool punycode_possible(const char *text, size_t len)
{
    uint32_t points[MAX_LABEL];
    size_t count = 0;
    return punycode_decode(text, len, points, &count);
}

/* Returns the end of what was written (RFC 3629 section 3). */
static char *write_utf8(char *out, uint32_t point)
{
    if (point < 0x80) {
        *out++ = (char)point;
    } else if (point < 0x800) {
        *out++ = (char)(0xc0 | point >> 6);
        *out++ = (char)(0x80 | (point & 0x3f));
    } else if (point < 0x10000) {
        *out++ = (char)(0xe0 | point >> 12);
        *out++ = (char)(0x80 | (point >> 6 & 0x3f));
        *out++ = (char)(0x80 | (point & 0x3f));
    } else {
        *out++ = (char)(0xf0 | point >> 18);
        *out++ = (char)(0x80 | (point >> 12 & 0x3f));
        *out++ = (char)(0x80 | (point >> 6 & 0x3f));
        *out++ = (char)(0x80 | (point & 0x3f));
    }
    return out;
}

char *acme_name_to_unicode(struct acme_arena *arena, const char *name)
{
    uint32_t points[MAX_LABEL];
    char *text =
        acme_arena_alloc(arena, 4 * strlen(name) + 1); /* no code point takes more than four octets */
    if (text == NULL)
        return NULL;
    char *out = text;
    while (*name != '\0') {
        size_t len = strcspn(name, ".");
        size_t count = 0;
        if (len > 4 && memcmp(name, "xn--", 4) == 0 && punycode_decode(name + 4, len - 4, points, &count)) {
            for (size_t i = 0; i < count; i++)
                out = write_utf8(out, points[i]);
            name += len;
        } else {
            memcpy(out, name, len);
            out += len;
            name += len;
        }
        if (*name == '.')
            *out++ = *name++;
    }
    *out = '\0';
    return text;
}

/* NULL when the label is fine, else what is wrong. */
static const char *check_label(const char *label, size_t len)
{
    if (len == 0)
        return "a name has an empty label";
    if (len > MAX_LABEL)
        return "a name has a label of more than 63 characters";
    for (size_t i = 0; i < len; i++)
        if (!is_letter(label[i]) && !is_digit(label[i]) && label[i] != '-')
            return label[i] == '*' ? "a wildcard stands only alone and in front"
                                   : "a name has a character other than letters, digits, hyphen and dot";
    if (label[0] == '-' || label[len - 1] == '-')
        return "a label begins or ends with a hyphen";
    if (len >= 4 && memcmp(label, "xn--", 4) == 0 && !punycode_possible(label + 4, len - 4))
        return "an xn-- label is not a possible internationalised label";
    return NULL;
}

/* The parsers of URLs take "0x7f000001" or "10.0.0.0x5" for an IPv4 address: that host would be asked, and
 * not the one that the DNS has under this name. */
static bool is_hex_number(const char *label)
{
    return strncmp(label, "0x", 2) == 0 && strspn(label + 2, "0123456789abcdef") == strlen(label + 2);
}

/* `name` is lower-case. */
static const char *check_dns(const char *name)
{
    if (*name == '\0')
        return "a name is empty";
    if (strlen(name) > MAX_DNS)
        return "a name has more than 253 characters";
    bool wildcard = strncmp(name, "*.", 2) == 0;
    const char *label = wildcard ? name + 2 : name;
    size_t labels = 0;
    for (;;) {
        size_t len = strcspn(label, ".");
        const char *wrong = check_label(label, len);
        if (wrong != NULL)
            return wrong;
        labels++;
        if (label[len] == '\0')
            break;
        label += len + 1;
    }
    if (strpbrk(label, "abcdefghijklmnopqrstuvwxyz") == NULL)
        return "the last label of a name has no letter (IP addresses are of type ip)";
    if (is_hex_number(label))
        return "the last label of a name is a number (IP addresses are of type ip)";
    if (wildcard && labels < 2)
        return "a wildcard before a single label";
    return NULL;
}

static struct acme_err parse_dns(struct acme_arena *arena, const char *value, struct acme_identifier *ret,
                                 const char **ret_why)
{
    char lower[MAX_DNS + 2]; /* one more than allowed, so that too long is seen as such */
    size_t len = strnlen(value, MAX_DNS + 1);
    for (size_t i = 0; i < len; i++)
        lower[i] = (char)(value[i] >= 'A' && value[i] <= 'Z' ? value[i] + ('a' - 'A') : value[i]);
    lower[len] = '\0';
    const char *wrong = check_dns(lower);
    if (wrong != NULL) {
        *ret_why = wrong;
        return acme_err(ACME_E_FORMAT);
    }
    const char *copy = acme_arena_strdup(arena, lower);
    ENSURE(copy != NULL, ACME_E_NOMEM);
    *ret = (struct acme_identifier){.type = ACME_IDENTIFIER_DNS, .value = copy};
    return acme_ok();
}

/* IPv4-mapped and IPv4-compatible (RFC 4291 section 2.5.5): one host, two names, and in certificates never
 * compared with the plain address. ::, ::1 and what else begins with 0.0 are IPv6's own. */
static bool is_v4_in_v6(const unsigned char raw[16])
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    static const unsigned char compatible[12] = {0};
    return memcmp(raw, mapped, sizeof mapped) == 0 ||
           (memcmp(raw, compatible, sizeof compatible) == 0 && (raw[12] != 0 || raw[13] != 0));
}

static struct acme_err parse_ip(struct acme_arena *arena, const char *value, struct acme_identifier *ret,
                                const char **ret_why)
{
    unsigned char raw[16];
    char text[INET6_ADDRSTRLEN];
    int family = strchr(value, ':') != NULL ? AF_INET6 : AF_INET;
    if (inet_pton(family, value, raw) != 1) {
        *ret_why = "not an IPv4 or IPv6 address";
        return acme_err(ACME_E_FORMAT);
    }
    if (family == AF_INET6 && is_v4_in_v6(raw)) {
        ENSURE(inet_ntop(AF_INET, raw + 12, text, sizeof text) != NULL, ACME_E_INTERNAL);
        const char *why =
            acme_arena_printf(arena, "an IPv4 address in the form of an IPv6 one; it is written %s", text);
        *ret_why = why != NULL ? why : "an IPv4 address in the form of an IPv6 one";
        return acme_err(ACME_E_FORMAT);
    }
    ENSURE(inet_ntop(family, raw, text, sizeof text) != NULL, ACME_E_INTERNAL);
    const char *copy = acme_arena_strdup(arena, text);
    ENSURE(copy != NULL, ACME_E_NOMEM);
    *ret = (struct acme_identifier){.type = ACME_IDENTIFIER_IP, .value = copy};
    return acme_ok();
}

struct acme_err acme_identifier_parse(struct acme_arena *arena, const char *type_name, const char *value,
                                      struct acme_identifier *ret, const char **ret_why)
{
    bool dns = type_name != NULL && strcmp(type_name, "dns") == 0;
    if (!dns && (type_name == NULL || strcmp(type_name, "ip") != 0)) {
        *ret_why = "identifier types are dns and ip";
        return acme_err(ACME_E_UNSUPPORTED);
    }
    if (value == NULL) {
        *ret_why = "an identifier has no value";
        return acme_err(ACME_E_FORMAT);
    }
    return dns ? parse_dns(arena, value, ret, ret_why) : parse_ip(arena, value, ret, ret_why);
}

const char *acme_identifier_unusable(const struct acme_identifier *identifier)
{
    unsigned char raw[16];
    if (identifier->type != ACME_IDENTIFIER_IP)
        return NULL;
    if (inet_pton(AF_INET, identifier->value, raw) == 1) {
        if (raw[0] == 0)
            return "an unspecified address";
        if (raw[0] >= 224)
            return raw[0] < 240 ? "a multicast address" : "a reserved or broadcast address";
        return NULL;
    }
    if (inet_pton(AF_INET6, identifier->value, raw) != 1)
        return "not an IPv4 or IPv6 address";
    static const unsigned char unspecified[16] = {0};
    if (memcmp(raw, unspecified, sizeof raw) == 0)
        return "an unspecified address";
    return raw[0] == 0xff ? "a multicast address" : NULL;
}

bool acme_identifier_equal(const struct acme_identifier *a, const struct acme_identifier *b)
{
    return a->type == b->type && strcmp(a->value, b->value) == 0;
}

bool acme_identifier_is_wildcard(const struct acme_identifier *identifier)
{
    return identifier->type == ACME_IDENTIFIER_DNS && strncmp(identifier->value, "*.", 2) == 0;
}

static bool contains_all(const struct acme_identifier *set, size_t set_count,
                         const struct acme_identifier *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i < set_count && acme_identifier_equal(&set[i], &items[i])) /* mostly the same order */
            continue;
        size_t j = 0;
        while (j < set_count && !acme_identifier_equal(&set[j], &items[i]))
            j++;
        if (j == set_count)
            return false;
    }
    return true;
}

bool acme_identifiers_equal_sets(const struct acme_identifier *a, size_t na, const struct acme_identifier *b,
                                 size_t nb)
{
    return contains_all(a, na, b, nb) && contains_all(b, nb, a, na);
}

char *acme_identifiers_json(struct acme_arena *arena, const struct acme_identifier *list, size_t count)
{
    ACME_CLEANUP_BUF struct acme_buf out;
    acme_buf_init(&out, MAX_LIST_JSON);
    struct acme_json_writer writer;
    acme_jw_init(&writer, &out);
    acme_jw_array(&writer, NULL);
    for (size_t i = 0; i < count; i++) {
        acme_jw_object(&writer, NULL);
        acme_jw_str(&writer, "type", acme_identifier_type_name(list[i].type));
        acme_jw_str(&writer, "value", list[i].value);
        acme_jw_object_end(&writer);
    }
    acme_jw_array_end(&writer);
    const char *text = acme_buf_cstr(&out);
    return text != NULL ? acme_arena_strdup(arena, text) : NULL;
}

struct acme_err acme_identifiers_from_json(struct acme_arena *arena, const char *json,
                                           struct acme_identifier **ret, size_t *ret_count)
{
    cJSON *tree = NULL;
    TRY(acme_json_parse(arena, json, strlen(json), &tree));
    ENSURE(cJSON_IsArray(tree), ACME_E_FORMAT);
    size_t count = (size_t)cJSON_GetArraySize(tree);
    struct acme_identifier *list = acme_arena_alloc(arena, count * sizeof *list);
    ENSURE(list != NULL, ACME_E_NOMEM);
    size_t pos = 0;
    for (const cJSON *item = tree->child; item != NULL; item = item->next) {
        const char *type = acme_json_str(item, "type");
        list[pos].value = acme_json_str(item, "value");
        ENSURE(type != NULL && list[pos].value != NULL, ACME_E_FORMAT);
        bool ip = strcmp(type, "ip") == 0;
        ENSURE(ip || strcmp(type, "dns") == 0, ACME_E_FORMAT);
        list[pos++].type = ip ? ACME_IDENTIFIER_IP : ACME_IDENTIFIER_DNS;
    }
    *ret = list;
    *ret_count = count;
    return acme_ok();
}

static int compare_pointers(const void *a, const void *b)
{
    const struct acme_identifier *left = *(const struct acme_identifier *const *)a;
    const struct acme_identifier *right = *(const struct acme_identifier *const *)b;
    if (left->type != right->type)
        return left->type < right->type ? -1 : 1;
    return strcmp(left->value, right->value);
}

char *acme_identifiers_digest(struct acme_arena *arena, const struct acme_identifier *list, size_t count)
{
    const struct acme_identifier **sorted = acme_arena_alloc(arena, count * sizeof *sorted);
    if (sorted == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++)
        sorted[i] = &list[i];
    if (count > 1)
        qsort(sorted, count, sizeof *sorted, compare_pointers);
    ACME_CLEANUP_BUF struct acme_buf text;
    acme_buf_init(&text, MAX_LIST_JSON);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || !acme_identifier_equal(sorted[i], sorted[i - 1]))
            acme_buf_printf(&text, "%s:%s\n", acme_identifier_type_name(sorted[i]->type), sorted[i]->value);
    uint8_t digest[ACME_SHA256_SIZE];
    const char *data = acme_buf_cstr(&text);
    if (data == NULL || acme_failed(acme_sha256(data, text.len, digest)))
        return NULL;
    return acme_hex_encode(arena, digest, sizeof digest, false);
}
