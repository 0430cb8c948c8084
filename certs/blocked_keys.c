/* Lists of compromised keys, sorted in memory. */
#include "certs/csr.h"
#include "certs/key_check.h"
#include "certs/ossl.h"

#include <openssl/core_names.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEBIAN_SIZE = 10, /* octets kept of the SHA-1 of the modulus */
    SHA1_SIZE = 20,
    MAX_KEYS = 10 * 1000 * 1000,
    MAX_LINE = 256
};

/* Entries of one length, one after the other. */
struct table {
    size_t size;
    uint8_t *entries;
    size_t count;
    size_t room;
};

struct acme_blocked_keys {
    struct table spki;
    struct table debian;
};

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static struct acme_err add(struct table *table, const char *hex)
{
    ENSURE(table->count < MAX_KEYS, ACME_E_LIMIT);
    if (table->count == table->room) {
        size_t room = table->room == 0 ? 1024 : table->room * 2;
        uint8_t *larger = realloc(table->entries, room * table->size);
        ENSURE(larger != NULL, ACME_E_NOMEM);
        table->entries = larger;
        table->room = room;
    }
    uint8_t *entry = table->entries + table->count * table->size;
    for (size_t i = 0; i < table->size; i++) {
        int high = digit(hex[2 * i]);
        int low = digit(hex[2 * i + 1]);
        ENSURE(high >= 0 && low >= 0, ACME_E_FORMAT);
        entry[i] = (uint8_t)(high << 4 | low);
    }
    table->count++;
    return acme_ok();
}

static struct acme_err add_line(struct acme_blocked_keys *keys, char *line)
{
    size_t len = strcspn(line, "\n");
    ENSURE(line[len] == '\n' || len + 1 < MAX_LINE, ACME_E_FORMAT); /* else it goes on */
    while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == ' ' || line[len - 1] == '\t'))
        len--;
    line[len] = '\0';
    if (len == 0 || line[0] == '#')
        return acme_ok();
    if (len == 2 * keys->spki.size)
        return add(&keys->spki, line);
    return len == 2 * keys->debian.size ? add(&keys->debian, line) : acme_err(ACME_E_FORMAT);
}

static int compare(const void *one, const void *other, void *size)
{
    return memcmp(one, other, *(const size_t *)size);
}

static void sort(struct table *table)
{
    if (table->count > 1)
        qsort_r(table->entries, table->count, table->size, compare, &table->size);
}

static struct acme_err read_lines(FILE *file, struct acme_blocked_keys *keys, size_t *ret_line)
{
    char line[MAX_LINE];
    for (size_t number = 1; fgets(line, sizeof line, file) != NULL; number++) {
        struct acme_err err = add_line(keys, line);
        if (acme_failed(err)) {
            *ret_line = number;
            return err;
        }
    }
    return ferror(file) ? acme_err(ACME_E_IO) : acme_ok();
}

struct acme_err acme_blocked_keys_load(const char *path, struct acme_blocked_keys **ret, size_t *ret_line)
{
    struct acme_blocked_keys *keys = calloc(1, sizeof *keys);
    ENSURE(keys != NULL, ACME_E_NOMEM);
    keys->spki.size = ACME_SHA256_SIZE;
    keys->debian.size = DEBIAN_SIZE;
    FILE *file = fopen(path, "re");
    struct acme_err err = file != NULL ? read_lines(file, keys, ret_line) : acme_err(ACME_E_IO);
    if (file != NULL)
        fclose(file);
    if (acme_failed(err)) {
        acme_blocked_keys_destroy(keys);
        return err;
    }
    sort(&keys->spki);
    sort(&keys->debian);
    *ret = keys;
    return acme_ok();
}

void acme_blocked_keys_destroy(struct acme_blocked_keys *keys)
{
    if (keys == NULL)
        return;
    free(keys->spki.entries);
    free(keys->debian.entries);
    free(keys);
}

size_t acme_blocked_keys_count(const struct acme_blocked_keys *keys)
{
    return keys != NULL ? keys->spki.count + keys->debian.count : 0;
}

static bool contains(const struct table *table, const uint8_t *entry)
{
    size_t low = 0;
    size_t high = table->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = memcmp(table->entries + middle * table->size, entry, table->size);
        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* As openssl-vulnkey computes it: from the text `openssl rsa -noout -modulus` prints. */
static struct acme_err debian_digest(const EVP_PKEY *key, uint8_t ret[SHA1_SIZE])
{
    OSSL_CLEANUP(BIGNUM) BIGNUM *modulus = NULL;
    ENSURE(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &modulus) == 1, ACME_E_CRYPTO);
    char *hex = BN_bn2hex(modulus);
    char *text = NULL;
    int len = hex != NULL ? asprintf(&text, "Modulus=%s\n", hex) : -1;
    OPENSSL_free(hex);
    ENSURE(len > 0, ACME_E_NOMEM);
    int good = EVP_Digest(text, (size_t)len, ret, NULL, EVP_sha1(), NULL);
    free(text);
    return good == 1 ? acme_ok() : acme_err(ACME_E_CRYPTO);
}

struct acme_err acme_blocked_keys_check(const struct acme_blocked_keys *keys, const EVP_PKEY *key,
                                        const char **ret_why)
{
    if (keys == NULL)
        return acme_ok();
    uint8_t digest[ACME_SHA256_SIZE];
    TRY(acme_spki_sha256(key, digest));
    bool found = contains(&keys->spki, digest);
    if (!found && keys->debian.count > 0 && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA) {
        TRY(debian_digest(key, digest));
        found = contains(&keys->debian, digest + SHA1_SIZE - DEBIAN_SIZE);
    }
    if (!found)
        return acme_ok();
    *ret_why = "the key is on this server's list of compromised keys";
    return acme_err(ACME_E_DENIED);
}
