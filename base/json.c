#include "base/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_MEMBERS = 1024, /* per object */
    FEW_MEMBERS = 8,    /* compared each with each */
    MAX_NUMBER = 63,    /* what cJSON's number buffer holds; longer ones it would split */
};

struct scan {
    const unsigned char *at;
    const unsigned char *end;
};

static void skip_space(struct scan *scan)
{
    while (scan->at < scan->end &&
           (*scan->at == ' ' || *scan->at == '\t' || *scan->at == '\n' || *scan->at == '\r'))
        scan->at++;
}

/* The byte at the cursor; 0, which no grammar rule wants, at the end. */
static unsigned char peek(const struct scan *scan)
{
    return scan->at < scan->end ? *scan->at : 0;
}

static bool take(struct scan *scan, unsigned char c)
{
    if (scan->at >= scan->end || *scan->at != c)
        return false;
    scan->at++;
    return true;
}

static bool take_word(struct scan *scan, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(scan->end - scan->at) < len || memcmp(scan->at, word, len) != 0)
        return false;
    scan->at += len;
    return true;
}

static size_t take_digits(struct scan *scan)
{
    const unsigned char *start = scan->at;
    while (peek(scan) >= '0' && peek(scan) <= '9')
        scan->at++;
    return (size_t)(scan->at - start);
}

static bool scan_number(struct scan *scan)
{
    const unsigned char *start = scan->at;
    take(scan, '-');
    if (!take(scan, '0') && take_digits(scan) == 0)
        return false;
    if (take(scan, '.') && take_digits(scan) == 0)
        return false;
    if (take(scan, 'e') || take(scan, 'E')) {
        if (!take(scan, '+'))
            take(scan, '-');
        if (take_digits(scan) == 0)
            return false;
    }
    size_t len = (size_t)(scan->at - start);
    if (len > MAX_NUMBER)
        return false;
    char text[MAX_NUMBER + 1];
    memcpy(text, start, len);
    text[len] = '\0';
    return isfinite(strtod(text, NULL)); /* infinity would be printed, and stored, as null */
}

/* One UTF-8 sequence of several bytes: no overlong forms, no surrogates, nothing above U+10FFFF (RFC 3629).
 */
static bool scan_utf8(struct scan *scan)
{
    const unsigned char *at = scan->at;
    unsigned char lead = *at;
    size_t more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    if (lead < 0xc2 || lead > 0xf4 || (size_t)(scan->end - at) <= more)
        return false;
    unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (at[1] < low || at[1] > high)
        return false;
    for (size_t i = 2; i <= more; i++)
        if (at[i] < 0x80 || at[i] > 0xbf)
            return false;
    scan->at += more + 1;
    return true;
}

/* Four hexadecimal digits; -1 otherwise. */
static int scan_hex4(struct scan *scan)
{
    int value = 0;
    for (int i = 0; i < 4; i++, scan->at++) {
        unsigned char c = peek(scan);
        if (c >= '0' && c <= '9')
            value = value * 16 + (c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value * 16 + (c - 'a' + 10);
        else if (c >= 'A' && c <= 'F')
            value = value * 16 + (c - 'A' + 10);
        else
            return -1;
    }
    return value;
}

static bool scan_escape(struct scan *scan)
{
    if (!take(scan, 'u')) {
        unsigned char c = peek(scan);
        if (c == 0 || strchr("\"\\/bfnrt", c) == NULL)
            return false;
        scan->at++;
        return true;
    }
    int unit = scan_hex4(scan);
    if (unit <= 0 || (unit >= 0xdc00 && unit <= 0xdfff))
        return false;
    if (unit < 0xd800 || unit > 0xdbff)
        return true;
    if (!take(scan, '\\') || !take(scan, 'u'))
        return false;
    unit = scan_hex4(scan);
    return unit >= 0xdc00 && unit <= 0xdfff;
}

/* Whether all of eight characters stand for themselves in a string: ASCII, from the space on, neither quote
 * nor backslash. In each octet the highest bit is set by what is not; carries come only from such octets. */
static bool eight_plain(const unsigned char *at)
{
    const uint64_t each = UINT64_C(0x0101010101010101);
    uint64_t octets = 0;
    memcpy(&octets, at, sizeof octets);
    uint64_t odd =
        octets | (octets - each * ' ') | ((octets ^ each * '"') - each) | ((octets ^ each * '\\') - each);
    return (odd & each << 7) == 0;
}

static bool is_plain(unsigned char c)
{
    return c >= ' ' && c < 0x80 && c != '"' && c != '\\';
}

static bool scan_string(struct scan *scan)
{
    if (!take(scan, '"'))
        return false;
    for (;;) {
        const unsigned char *at = scan->at;
        while (scan->end - at >= 8 && eight_plain(at))
            at += 8;
        while (at < scan->end && is_plain(*at))
            at++;
        scan->at = at;
        if (take(scan, '"'))
            return true;
        if (peek(scan) >= 0x80 ? !scan_utf8(scan) : !take(scan, '\\') || !scan_escape(scan))
            return false;
    }
}

static bool scan_value(struct scan *scan, int depth);

static bool scan_member(struct scan *scan, int depth)
{
    skip_space(scan);
    if (!scan_string(scan))
        return false;
    skip_space(scan);
    return take(scan, ':') && scan_value(scan, depth);
}

static bool scan_container(struct scan *scan, unsigned char close, int depth)
{
    if (depth > ACME_JSON_MAX_DEPTH)
        return false;
    scan->at++;
    skip_space(scan);
    if (take(scan, close))
        return true;
    do {
        if (close == '}' ? !scan_member(scan, depth) : !scan_value(scan, depth))
            return false;
    } while (take(scan, ','));
    return take(scan, close);
}

/* A value with the space around it. */
static bool scan_value(struct scan *scan, int depth)
{
    bool good = false;
    skip_space(scan);
    switch (peek(scan)) {
    case '{':
        good = scan_container(scan, '}', depth + 1);
        break;
    case '[':
        good = scan_container(scan, ']', depth + 1);
        break;
    case '"':
        good = scan_string(scan);
        break;
    case 't':
        good = take_word(scan, "true");
        break;
    case 'f':
        good = take_word(scan, "false");
        break;
    case 'n':
        good = take_word(scan, "null");
        break;
    default:
        good = scan_number(scan);
    }
    skip_space(scan);
    return good;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted, so that large objects stay cheap. */
__attribute__((noinline)) static bool many_distinct(const cJSON *object)
{
    const char *names[MAX_MEMBERS];
    size_t count = 0;
    for (const cJSON *member = object->child; member != NULL; member = member->next) {
        if (count == MAX_MEMBERS)
            return false;
        names[count++] = member->string;
    }
    qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 1; i < count; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            return false;
    return true;
}

/* On the tree, because there the names are without their escapes. */
static bool members_distinct(const cJSON *object)
{
    size_t count = 0;
    for (const cJSON *member = object->child; member != NULL; member = member->next) {
        if (++count > FEW_MEMBERS)
            return many_distinct(object);
        for (const cJSON *earlier = object->child; earlier != member; earlier = earlier->next)
            if (strcmp(earlier->string, member->string) == 0)
                return false;
    }
    return true;
}

/* The scan has bounded the depth. */
static bool tree_distinct(const cJSON *item)
{
    if (cJSON_IsObject(item) && !members_distinct(item))
        return false;
    for (const cJSON *child = item->child; child != NULL; child = child->next)
        if (child->child != NULL && !tree_distinct(child))
            return false;
    return true;
}

static void release_tree(void *tree)
{
    cJSON_Delete(tree);
}

struct acme_err acme_json_parse(struct acme_arena *arena, const char *text, size_t len, cJSON **ret)
{
    ENSURE(len > 0, ACME_E_FORMAT);
    struct scan scan = {.at = (const unsigned char *)text, .end = (const unsigned char *)text + len};
    ENSURE(scan_value(&scan, 0) && scan.at == scan.end, ACME_E_FORMAT);
    cJSON *tree = cJSON_ParseWithLengthOpts(text, len, NULL, 0);
    ENSURE(tree != NULL, ACME_E_NOMEM); /* the scan leaves cJSON no other reason */
    ENSURE(acme_arena_defer(arena, release_tree, tree), ACME_E_NOMEM);
    ENSURE(tree_distinct(tree), ACME_E_FORMAT);
    *ret = tree;
    return acme_ok();
}

/* A string without escapes: its characters stand in the text as they are. */
static bool take_verbatim(struct scan *scan, struct acme_bytes *ret)
{
    skip_space(scan);
    const unsigned char *quote = scan->at;
    if (!scan_string(scan))
        return false;
    const unsigned char *start = quote + 1;
    *ret = (struct acme_bytes){.data = start, .len = (size_t)(scan->at - 1 - start)};
    skip_space(scan);
    return ret->len == 0 || memchr(start, '\\', ret->len) == NULL;
}

static bool same(struct acme_bytes a, struct acme_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

size_t acme_json_flat(const char *text, size_t len, struct acme_json_text members[ACME_JSON_FLAT_MAX])
{
    struct scan scan = {.at = (const unsigned char *)text, .end = (const unsigned char *)text + len};
    size_t count = 0;
    skip_space(&scan);
    if (!take(&scan, '{'))
        return 0;
    do {
        struct acme_json_text *member = &members[count];
        if (count++ == ACME_JSON_FLAT_MAX || !take_verbatim(&scan, &member->name) || !take(&scan, ':') ||
            !take_verbatim(&scan, &member->value))
            return 0;
        for (size_t i = 0; i + 1 < count; i++)
            if (same(members[i].name, member->name))
                return 0;
    } while (take(&scan, ','));
    if (!take(&scan, '}'))
        return 0;
    skip_space(&scan);
    return scan.at == scan.end ? count : 0;
}

const cJSON *acme_json_get(const cJSON *object, const char *name)
{
    if (!cJSON_IsObject(object))
        return NULL;
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, name);
    return member == NULL || cJSON_IsNull(member) ? NULL : member;
}

const char *acme_json_str(const cJSON *object, const char *name)
{
    const cJSON *member = acme_json_get(object, name);
    return cJSON_IsString(member) ? member->valuestring : NULL;
}

bool acme_json_int(const cJSON *object, const char *name, int64_t *ret)
{
    const double limit = 9007199254740992.0;
    const cJSON *member = acme_json_get(object, name);
    if (!cJSON_IsNumber(member))
        return false;
    double value = member->valuedouble;
    if (!(value >= -limit && value <= limit) || value != (double)(int64_t)value)
        return false;
    *ret = (int64_t)value;
    return true;
}

bool acme_json_bool(const cJSON *object, const char *name, bool fallback)
{
    const cJSON *member = acme_json_get(object, name);
    return cJSON_IsBool(member) ? (bool)cJSON_IsTrue(member) : fallback;
}

char *acme_json_print(struct acme_arena *arena, const cJSON *tree)
{
    char *text = cJSON_PrintUnformatted(tree);
    if (text == NULL)
        return NULL;
    char *copy = acme_arena_strdup(arena, text);
    cJSON_free(text);
    return copy;
}
