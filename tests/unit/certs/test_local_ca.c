/* local_ca*.c: making, reopening and refusing a CA directory; what a leaf holds. */
#include "certs/local_ca.h"
#include "make.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct acme_arena *arena;
static char base[] = "/tmp/acme-local-ca-XXXXXX";
static const char *directory;
static int64_t now_ms = TEST_NOW_MS;

static int64_t test_now(void *context)
{
    return *(int64_t *)context;
}

static const struct acme_clock test_clock = {.now_ms = test_now, .context = &now_ms};

static const char *const file_names[] = {"root.key", "intermediate.key", "intermediate.pem", "root.pem"};

static const char *file(const char *name)
{
    return acme_arena_printf(arena, "%s/%s", directory, name);
}

static int set_up(void **state)
{
    (void)state;
    arena = acme_arena_create(8 * 1024 * 1024);
    memcpy(base + sizeof base - 7, "XXXXXX", 6); /* anew for each test */
    if (mkdtemp(base) == NULL)
        return -1;
    directory = acme_arena_printf(arena, "%s/ca", base);
    now_ms = TEST_NOW_MS;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    DIR *dir = opendir(directory);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlink(file(entry->d_name));
    if (dir != NULL)
        closedir(dir);
    rmdir(directory);
    rmdir(base);
    acme_arena_destroyp(&arena);
    return 0;
}

static struct acme_local_ca *open_good(void)
{
    struct acme_local_ca *ca = NULL;
    assert_int_equal(acme_local_ca_open(directory, "Test", &test_clock, &ca).code, ACME_OK);
    assert_non_null(ca);
    return ca;
}

static void expect_refused(enum acme_code code)
{
    struct acme_local_ca *ca = NULL;
    assert_int_equal(acme_local_ca_open(directory, "Test", &test_clock, &ca).code, code);
    assert_null(ca);
}

static mode_t mode_of(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return status.st_mode & 07777;
}

static X509 *read_pem_cert(const char *name)
{
    FILE *in = fopen(file(name), "r");
    assert_non_null(in);
    X509 *cert = PEM_read_X509(in, NULL, NULL, NULL);
    fclose(in);
    assert_non_null(cert);
    return cert;
}

static size_t count_entries(void)
{
    size_t count = 0;
    DIR *dir = opendir(directory);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

static void makes_a_ca(void **state)
{
    (void)state;
    mode_t old = umask(0277); /* neither too open nor too closed, whatever it is */
    struct acme_local_ca *ca = open_good();
    umask(old);
    assert_int_equal(mode_of(directory), 0700);
    assert_int_equal(mode_of(file("root.key")), 0600);
    assert_int_equal(mode_of(file("intermediate.key")), 0600);
    assert_int_equal(mode_of(file("root.pem")), 0644);
    assert_int_equal(count_entries(), 4);
    assert_string_equal(acme_local_ca_root_path(ca), file("root.pem"));
    acme_local_ca_close(ca);
    acme_local_ca_close(NULL);

    X509 *root = read_pem_cert("root.pem");
    X509 *inter = read_pem_cert("intermediate.pem");
    struct acme_cert_info info;
    assert_int_equal(acme_cert_info_read(arena, inter, &info).code, ACME_OK);
    char issuer[64];
    assert_int_equal(
        X509_NAME_get_text_by_NID(X509_get_issuer_name(inter), NID_commonName, issuer, sizeof issuer),
        strlen("Test Root CA"));
    assert_string_equal(issuer, "Test Root CA");
    assert_true(info.not_after_ms > TEST_NOW_MS + 3649 * ACME_DAY_MS);
    assert_int_equal(X509_get_pathlen(inter), 0);
    assert_int_equal(X509_get_key_usage(inter), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
    assert_int_equal(X509_verify(inter, X509_get0_pubkey(root)), 1);
    assert_int_equal(X509_check_ca(root), 1);
    assert_int_equal(acme_cert_info_read(arena, root, &info).code, ACME_OK);
    assert_true(info.not_after_ms > TEST_NOW_MS + 7299 * ACME_DAY_MS);
    X509_free(root);
    X509_free(inter);
}

static struct acme_bytes spki_of(EVP_PKEY *key)
{
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(key, &der);
    assert_true(len > 0);
    struct acme_bytes spki = {.data = acme_arena_memdup(arena, der, (size_t)len), .len = (size_t)len};
    OPENSSL_free(der);
    assert_non_null(spki.data);
    return spki;
}

static char *issue(const struct acme_local_ca *ca, EVP_PKEY *key, const struct acme_identifier *names,
                   size_t count)
{
    struct acme_cert_list chain;
    assert_int_equal(acme_local_ca_issue(ca, arena, spki_of(key), names, count, TEST_NOW_MS - ACME_HOUR_MS,
                                         TEST_NOW_MS + 90 * ACME_DAY_MS + 999, &chain)
                         .code,
                     ACME_OK);
    char *pem = acme_chain_pem(arena, &chain);
    assert_non_null(pem);
    return pem;
}

static struct acme_cert_list read_back(const char *pem)
{
    struct acme_cert_list list;
    assert_int_equal(
        acme_certs_read(arena, (struct acme_bytes){(const uint8_t *)pem, strlen(pem)}, &list).code, ACME_OK);
    return list;
}

static void reopens_the_same_ca(void **state)
{
    (void)state;
    const struct acme_identifier names[] = {dns_name("a.example")};
    EVP_PKEY *key = make_ec_key(arena, "P-256");
    struct acme_local_ca *ca = open_good();
    struct acme_cert_list first = read_back(issue(ca, key, names, 1));
    acme_local_ca_close(ca);
    ca = open_good();
    struct acme_cert_list second = read_back(issue(ca, key, names, 1));
    acme_local_ca_close(ca);
    assert_int_equal(X509_cmp(first.certs[1], second.certs[1]), 0);
    assert_int_not_equal(X509_cmp(first.certs[0], second.certs[0]), 0);
    /* an empty directory made by the administrator */
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(unlink(file(file_names[i])), 0);
    ca = open_good();
    struct acme_cert_list third = read_back(issue(ca, key, names, 1));
    acme_local_ca_close(ca);
    assert_int_not_equal(X509_cmp(first.certs[1], third.certs[1]), 0);
}

static void leaves_pass_the_chain_check(void **state)
{
    (void)state;
    const struct acme_identifier names[] = {ip_name("192.0.2.1"), ip_name("2001:db8::1"),
                                            dns_name("*.a.example"), dns_name("a.example")};
    struct acme_local_ca *ca = open_good();
    EVP_PKEY *const keys[] = {make_ec_key(arena, "P-256"), make_ec_key(arena, "P-521"),
                              make_rsa_key(arena, 2048, 65537)};
    for (size_t i = 0; i < 3; i++) {
        struct acme_csr csr = make_csr(
            arena, keys[i],
            &(struct make_request){.san = "DNS:a.example,DNS:*.a.example,IP:192.0.2.1,IP:2001:db8::1"});
        struct acme_cert_list pool = read_back(issue(ca, csr.key, names, 4));
        struct acme_cert_list chain;
        assert_int_equal(acme_chain_build(&pool, csr.spki_sha256, &chain).code, ACME_OK);
        assert_int_equal(chain.count, 2);
        const char *why = "?";
        if (acme_failed(acme_chain_check(arena, &chain, &csr, names, 4, TEST_NOW_MS, &why)))
            fail_msg("refused: %s", why);
        X509 *leaf = chain.certs[0];
        assert_int_equal(X509_get_extended_key_usage(leaf), XKU_SSL_SERVER | XKU_SSL_CLIENT);
        assert_int_equal(X509_get_key_usage(leaf),
                         i == 2 ? KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT : KU_DIGITAL_SIGNATURE);
        assert_int_equal(X509_get_version(leaf), X509_VERSION_3);
        assert_non_null(X509_get0_subject_key_id(leaf));
        assert_int_equal(
            ASN1_OCTET_STRING_cmp(X509_get0_authority_key_id(leaf), X509_get0_subject_key_id(chain.certs[1])),
            0);
        char common_name[80];
        assert_true(X509_NAME_get_text_by_NID(X509_get_subject_name(leaf), NID_commonName, common_name,
                                              sizeof common_name) > 0);
        assert_string_equal(common_name, "*.a.example");
        struct acme_cert_info info;
        assert_int_equal(acme_cert_info_read(arena, leaf, &info).code, ACME_OK);
        assert_true(strlen(info.serial_hex) >= 28 && strlen(info.serial_hex) <= 34);
        assert_true(info.not_before_ms == TEST_NOW_MS - ACME_HOUR_MS);
        assert_true(info.not_after_ms == TEST_NOW_MS + 90 * ACME_DAY_MS);
    }
    acme_local_ca_close(ca);
}

/* The key goes from the request into the certificate as it is, and the arena alone keeps the list. */
static void the_list_outlives_the_ca(void **state)
{
    (void)state;
    const struct acme_identifier names[] = {dns_name("a.example")};
    EVP_PKEY *compressed = make_ec_key(arena, "P-256");
    assert_int_equal(EVP_PKEY_set_utf8_string_param(compressed, "point-format", "compressed"), 1);
    EVP_PKEY *const keys[] = {make_ec_key(arena, "P-384"), make_rsa_key(arena, 2048, 65537),
                              make_ed25519_key(arena), compressed};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        struct acme_local_ca *ca = open_good();
        struct acme_bytes spki = spki_of(keys[i]);
        struct acme_cert_list list;
        assert_int_equal(
            acme_local_ca_issue(ca, arena, spki, names, 1, TEST_NOW_MS, TEST_NOW_MS + ACME_DAY_MS, &list)
                .code,
            ACME_OK);
        acme_local_ca_close(ca);
        assert_int_equal(list.count, 2);
        assert_int_equal(X509_verify(list.certs[0], X509_get0_pubkey(list.certs[1])), 1);
        uint8_t digest[ACME_SHA256_SIZE];
        assert_int_equal(EVP_Digest(spki.data, spki.len, digest, NULL, EVP_sha256(), NULL), 1);
        assert_true(acme_cert_has_spki(list.certs[0], digest));
        assert_false(acme_cert_has_spki(list.certs[1], digest));
        X509 *decoded = X509_dup(list.certs[0]);
        assert_non_null(decoded);
        assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(decoded), keys[i]), 1);
        X509_free(decoded);
    }
}

/* What OpenSSL's own path validation says with the root as the only anchor. */
static void leaves_validate(void **state)
{
    (void)state;
    const struct acme_identifier names[] = {dns_name("a.example")};
    struct acme_local_ca *ca = open_good();
    struct acme_cert_list list = read_back(issue(ca, make_ec_key(arena, "P-256"), names, 1));
    X509_STORE *store = X509_STORE_new();
    assert_int_equal(X509_STORE_load_file(store, acme_local_ca_root_path(ca)), 1);
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    STACK_OF(X509) *untrusted = sk_X509_new_null();
    sk_X509_push(untrusted, list.certs[1]);
    assert_int_equal(X509_STORE_CTX_init(context, store, list.certs[0], untrusted), 1);
    X509_STORE_CTX_set_default(context, "ssl_server");
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_time(param, (time_t)(TEST_NOW_MS / 1000));
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
    X509_VERIFY_PARAM_set1_host(param, "a.example", 0);
    if (X509_verify_cert(context) != 1)
        fail_msg("%s", X509_verify_cert_error_string(X509_STORE_CTX_get_error(context)));
    X509_STORE_CTX_free(context);
    sk_X509_free(untrusted);
    X509_STORE_free(store);
    acme_local_ca_close(ca);
}

static void leaf_without_common_name(void **state)
{
    (void)state;
    const struct acme_identifier names[] = {
        ip_name("192.0.2.1"),
        dns_name(
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example")};
    struct acme_local_ca *ca = open_good();
    struct acme_cert_list list = read_back(issue(ca, make_ec_key(arena, "P-256"), names, 2));
    assert_int_equal(X509_NAME_entry_count(X509_get_subject_name(list.certs[0])), 0);
    int index = X509_get_ext_by_NID(list.certs[0], NID_subject_alt_name, -1);
    assert_int_equal(X509_EXTENSION_get_critical(X509_get_ext(list.certs[0], index)), 1);
    acme_local_ca_close(ca);
}

static void validity_is_cut(void **state)
{
    (void)state;
    const struct acme_identifier names[] = {dns_name("a.example")};
    EVP_PKEY *key = make_ec_key(arena, "P-256");
    struct acme_local_ca *ca = open_good();
    struct acme_cert_list list;
    assert_int_equal(
        acme_local_ca_issue(ca, arena, spki_of(key), names, 1, 0, TEST_NOW_MS + 5000 * ACME_DAY_MS, &list)
            .code,
        ACME_OK);
    struct acme_cert_info leaf;
    struct acme_cert_info inter;
    assert_int_equal(acme_cert_info_read(arena, list.certs[0], &leaf).code, ACME_OK);
    assert_int_equal(acme_cert_info_read(arena, list.certs[1], &inter).code, ACME_OK);
    assert_true(leaf.not_after_ms == inter.not_after_ms);
    assert_true(leaf.not_before_ms == inter.not_before_ms);
    list.count = 0;
    assert_int_equal(acme_local_ca_issue(ca, arena, spki_of(key), names, 1, TEST_NOW_MS + 4000 * ACME_DAY_MS,
                                         TEST_NOW_MS + 5000 * ACME_DAY_MS, &list)
                         .code,
                     ACME_E_STATE);
    assert_int_equal(list.count, 0);
    const struct acme_bytes garbage = {.data = (const uint8_t *)"\x30\x01", .len = 2};
    assert_int_equal(
        acme_local_ca_issue(ca, arena, garbage, names, 1, 0, TEST_NOW_MS + ACME_DAY_MS, &list).code,
        ACME_E_FORMAT);
    struct acme_bytes longer = spki_of(key);
    uint8_t *octets = acme_arena_alloc(arena, longer.len + 1);
    memcpy(octets, longer.data, longer.len);
    longer = (struct acme_bytes){.data = octets, .len = longer.len + 1};
    assert_int_equal(
        acme_local_ca_issue(ca, arena, longer, names, 1, 0, TEST_NOW_MS + ACME_DAY_MS, &list).code,
        ACME_E_FORMAT);
    assert_int_equal(list.count, 0);
    acme_local_ca_close(ca);
}

static void half_a_ca_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        acme_local_ca_close(open_good());
        assert_int_equal(rename(file(file_names[i]), file("kept")), 0);
        expect_refused(ACME_E_FORMAT);
        assert_int_equal(count_entries(), 4); /* nothing was made in its place */
        assert_int_equal(rename(file("kept"), file(file_names[i])), 0);
    }
    acme_local_ca_close(open_good());
}

/* The states a crash can leave: all temporary files with some renamed (finished), or none (begun anew). */
static void interrupted_creation(void **state)
{
    (void)state;
    acme_local_ca_close(open_good());
    X509 *before = read_pem_cert("root.pem");
    for (size_t left = 1; left < 4; left++) {
        for (size_t i = 4 - left; i < 4; i++)
            assert_int_equal(
                rename(file(file_names[i]), acme_arena_printf(arena, "%s.new", file(file_names[i]))), 0);
        acme_local_ca_close(open_good());
        assert_int_equal(count_entries(), 4);
        X509 *after = read_pem_cert("root.pem");
        assert_int_equal(X509_cmp(before, after), 0);
        X509_free(after);
    }
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(rename(file(file_names[i]), acme_arena_printf(arena, "%s.new", file(file_names[i]))),
                         0);
    assert_int_equal(unlink(file("root.pem.new")), 0);
    acme_local_ca_close(open_good());
    assert_int_equal(count_entries(), 4);
    X509 *fresh = read_pem_cert("root.pem");
    assert_int_not_equal(X509_cmp(before, fresh), 0);
    X509_free(fresh);
    X509_free(before);
}

static void access_of_others_is_refused(void **state)
{
    (void)state;
    acme_local_ca_close(open_good());
    static const mode_t open_modes[] = {0640, 0604, 0660, 0620, 0610};
    for (size_t i = 0; i < 5; i++) {
        for (size_t key = 0; key < 2; key++) {
            assert_int_equal(chmod(file(file_names[key]), open_modes[i]), 0);
            expect_refused(ACME_E_DENIED);
            assert_int_equal(chmod(file(file_names[key]), 0600), 0);
        }
    }
    assert_int_equal(chmod(file("root.pem"), 0664), 0);
    expect_refused(ACME_E_DENIED);
    assert_int_equal(chmod(file("root.pem"), 0644), 0);
    assert_int_equal(chmod(directory, 0770), 0);
    expect_refused(ACME_E_DENIED);
    assert_int_equal(chmod(directory, 0750), 0);
    acme_local_ca_close(open_good());
    /* a link instead of a file */
    assert_int_equal(rename(file("intermediate.key"), file("elsewhere")), 0);
    assert_int_equal(symlink("elsewhere", file("intermediate.key")), 0);
    expect_refused(ACME_E_IO);
}

static void write_text(const char *path, const char *text)
{
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

static void swap_files(const char *one, const char *two)
{
    assert_int_equal(rename(file(one), file("swap")), 0);
    assert_int_equal(rename(file(two), file(one)), 0);
    assert_int_equal(rename(file("swap"), file(two)), 0);
}

static void what_does_not_match_is_refused(void **state)
{
    (void)state;
    acme_local_ca_close(open_good());
    swap_files("root.key", "intermediate.key");
    expect_refused(ACME_E_FORMAT);
    swap_files("root.pem", "intermediate.pem");
    assert_int_equal(chmod(file("root.pem"), 0644), 0);
    expect_refused(ACME_E_FORMAT); /* keys match again, but the "root" did not sign the "intermediate" */
    swap_files("root.pem", "intermediate.pem");
    swap_files("root.key", "intermediate.key");
    acme_local_ca_close(open_good());
    assert_int_equal(rename(file("root.key"), file("kept")), 0);
    write_text(file("root.key"), "no key\n");
    assert_int_equal(chmod(file("root.key"), 0600), 0);
    expect_refused(ACME_E_FORMAT);
    /* an encrypted key must not ask for a passphrase */
    EVP_PKEY *key = make_ec_key(arena, "P-256");
    FILE *out = fopen(file("root.key"), "w");
    assert_int_equal(PEM_write_PKCS8PrivateKey(out, key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL), 1);
    fclose(out);
    expect_refused(ACME_E_FORMAT);
    assert_int_equal(rename(file("kept"), file("root.key")), 0);
    acme_local_ca_close(open_good());
    write_text(file("root.pem"), "");
    expect_refused(ACME_E_FORMAT);
}

/* The same file with another private part: the public part that it holds too is only a copy. */
static void change_private_part(const char *path)
{
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    EVP_PKEY *key = PEM_read_PrivateKey(in, NULL, NULL, NULL);
    assert_int_equal(fclose(in), 0);
    BIGNUM *number = NULL;
    unsigned char scalar[32];
    assert_int_equal(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &number), 1);
    assert_int_equal(BN_bn2binpad(number, scalar, sizeof scalar), sizeof scalar);
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
    unsigned char *der = NULL;
    int len = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
    assert_true(len > 0);
    unsigned char *found = memmem(der, (size_t)len, scalar, sizeof scalar);
    assert_non_null(found);
    found[sizeof scalar - 1] ^= 1;
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_true(PEM_write(out, PEM_STRING_PKCS8INF, "", der, len) > 0);
    assert_int_equal(fclose(out), 0);
    OPENSSL_free(der);
    PKCS8_PRIV_KEY_INFO_free(info);
    BN_free(number);
    EVP_PKEY_free(key);
}

static void a_private_part_of_another_key_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        acme_local_ca_close(open_good());
        change_private_part(file(file_names[i]));
        expect_refused(ACME_E_FORMAT);
        for (size_t n = 0; n < 4; n++)
            assert_int_equal(unlink(file(file_names[n])), 0);
    }
}

static void names_and_places(void **state)
{
    (void)state;
    struct acme_local_ca *ca = NULL;
    assert_int_equal(acme_local_ca_open(directory, "", &test_clock, &ca).code, ACME_E_FORMAT);
    assert_int_equal(
        acme_local_ca_open(directory, "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn", &test_clock, &ca).code,
        ACME_E_FORMAT);
    assert_int_equal(
        acme_local_ca_open(directory, "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn", &test_clock, &ca).code,
        ACME_OK);
    acme_local_ca_close(ca);
    ca = NULL;
    assert_int_equal(acme_local_ca_open(file("absent/ca"), "Test", &test_clock, &ca).code, ACME_E_IO);
    assert_int_equal(acme_local_ca_open(file("root.pem"), "Test", &test_clock, &ca).code, ACME_E_IO);
    assert_null(ca);
}

struct worker {
    const struct acme_local_ca *ca;
    struct acme_bytes spki;
    size_t issued;
};

static void *issue_many(void *argument)
{
    struct worker *worker = argument;
    const struct acme_identifier names[] = {dns_name("a.example")};
    for (int i = 0; i < 50; i++) {
        ACME_CLEANUP_ARENA struct acme_arena *own = acme_arena_create(64 * 1024);
        struct acme_cert_list chain = {.count = 0};
        struct acme_err err = acme_local_ca_issue(worker->ca, own, worker->spki, names, 1, TEST_NOW_MS,
                                                  TEST_NOW_MS + ACME_DAY_MS, &chain);
        worker->issued += !acme_failed(err) && chain.count == 2;
    }
    return NULL;
}

static void many_threads_issue(void **state)
{
    (void)state;
    struct acme_local_ca *ca = open_good();
    struct worker workers[4];
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) {
        workers[i] = (struct worker){.ca = ca, .spki = spki_of(make_ec_key(arena, "P-256"))};
        assert_int_equal(pthread_create(&threads[i], NULL, issue_many, &workers[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].issued, 50);
    }
    acme_local_ca_close(ca);
}

static void little_memory(void **state)
{
    (void)state;
    const struct acme_identifier names[] = {dns_name("a.example")};
    struct acme_local_ca *ca = open_good();
    ACME_CLEANUP_ARENA struct acme_arena *small = acme_arena_create(256);
    assert_non_null(
        acme_arena_alloc(small, 240)); /* no room for what the certificates need to be remembered */
    struct acme_cert_list chain = {.count = 0};
    assert_int_equal(acme_local_ca_issue(ca, small, spki_of(make_ec_key(arena, "P-256")), names, 1,
                                         TEST_NOW_MS, TEST_NOW_MS + ACME_DAY_MS, &chain)
                         .code,
                     ACME_E_NOMEM);
    assert_int_equal(chain.count, 0);
    acme_local_ca_close(ca);
}

/* ---- cross-certificates ---- */

struct other_ca {
    EVP_PKEY *key;
    X509 *root;
};

static struct other_ca make_other(const char *name)
{
    struct other_ca other = {.key = make_ec_key(arena, "P-256")};
    const struct make_cert what = {.name = name, .ca = true};
    other.root = make_cert(arena, other.key, &what, NULL, NULL);
    return other;
}

/* A certificate by `other` for the subject, key and key identifier of `own`. */
static X509 *cross_sign(X509 *own, const struct other_ca *other, int64_t not_after_ms)
{
    X509 *cross = X509_dup(own);
    assert_non_null(cross);
    assert_int_equal(X509_set_issuer_name(cross, X509_get_subject_name(other->root)), 1);
    int at = X509_get_ext_by_NID(cross, NID_authority_key_identifier, -1);
    if (at >= 0)
        X509_EXTENSION_free(X509_delete_ext(cross, at));
    if (not_after_ms != 0)
        assert_non_null(ASN1_TIME_set(X509_getm_notAfter(cross), (time_t)(not_after_ms / 1000)));
    assert_true(X509_sign(cross, other->key, EVP_sha256()) > 0);
    return cross;
}

static const char *cross_file(X509 *const *certs, size_t count)
{
    const char *path = file("cross.pem");
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(PEM_write_X509(out, certs[i]), 1);
    assert_int_equal(fclose(out), 0);
    return path;
}

static struct acme_cert_list issue_one(const struct acme_local_ca *ca, struct acme_csr *ret_csr)
{
    const struct make_request request = {.san = "DNS:a.example"};
    *ret_csr = make_csr(arena, make_ec_key(arena, "P-256"), &request);
    struct acme_cert_list chain;
    assert_int_equal(acme_local_ca_issue(ca, arena, ret_csr->spki, ret_csr->names, ret_csr->name_count,
                                         TEST_NOW_MS, TEST_NOW_MS + ACME_DAY_MS, &chain)
                         .code,
                     ACME_OK);
    return chain;
}

static void cross_certificates_make_chains(void **state)
{
    (void)state;
    struct acme_local_ca *ca = open_good();
    struct other_ca others[2] = {make_other("Other Root"), make_other("Third Root")};
    X509 *inter = read_pem_cert("intermediate.pem");
    X509 *root = read_pem_cert("root.pem");
    X509 *certs[] = {others[0].root, cross_sign(inter, &others[0], 0), cross_sign(root, &others[1], 0)};
    assert_int_equal(acme_local_ca_cross(ca, cross_file(certs, 3)).code, ACME_OK);

    struct acme_csr csr;
    struct acme_cert_list first = issue_one(ca, &csr);
    const struct acme_cert_list *chains = NULL;
    size_t count = 0;
    assert_int_equal(acme_local_ca_alternates(ca, arena, first.certs[0], &chains, &count).code, ACME_OK);
    assert_int_equal(count, 2);
    assert_int_equal(chains[0].count, 2); /* leaf, cross-certificate of the intermediate; no root */
    assert_int_equal(chains[1].count, 3); /* leaf, intermediate, cross-certificate of the root */
    assert_int_equal(X509_cmp(chains[1].certs[1], inter), 0);
    for (size_t i = 0; i < 2; i++) {
        const char *why = "";
        assert_ptr_equal(chains[i].certs[0], first.certs[0]);
        struct acme_err err =
            acme_chain_check(arena, &chains[i], &csr, csr.names, csr.name_count, TEST_NOW_MS, &why);
        if (acme_failed(err))
            fail_msg("%zu: %s", i, why);
        X509 *top = chains[i].certs[chains[i].count - 1];
        assert_int_equal(X509_verify(top, others[i].key), 1);
    }
    for (size_t i = 1; i < 3; i++)
        X509_free(certs[i]);
    X509_free(inter);
    X509_free(root);
    acme_local_ca_close(ca);
}

static void without_cross_certificates(void **state)
{
    (void)state;
    struct acme_local_ca *ca = open_good();
    struct acme_csr csr;
    struct acme_cert_list first = issue_one(ca, &csr);
    const struct acme_cert_list *chains = NULL;
    size_t count = 7;
    assert_int_equal(acme_local_ca_alternates(ca, arena, first.certs[0], &chains, &count).code, ACME_OK);
    assert_int_equal(count, 0);
    acme_local_ca_close(ca);
}

static void expect_cross_refused(X509 *const *certs, size_t count, enum acme_code code)
{
    struct acme_local_ca *ca = open_good();
    const char *path = cross_file(certs, count);
    assert_int_equal(acme_local_ca_cross(ca, path).code, code);
    acme_local_ca_close(ca);
}

static void wrong_cross_certificates(void **state)
{
    (void)state;
    acme_local_ca_close(open_good());
    struct other_ca other = make_other("Other Root");
    struct other_ca liar = make_other("Other Root"); /* the same name, another key */
    X509 *inter = read_pem_cert("intermediate.pem");
    X509 *root = read_pem_cert("root.pem");
    X509 *good = cross_sign(inter, &other, 0);

    expect_cross_refused(NULL, 0, ACME_E_FORMAT); /* no certificates at all */
    X509 *own[] = {inter};
    expect_cross_refused(own, 1, ACME_E_FORMAT); /* no other chain */
    X509 *own_root[] = {root};
    expect_cross_refused(own_root, 1, ACME_E_FORMAT);
    X509 *stranger[] = {good, make_other("Stranger").root};
    expect_cross_refused(stranger, 2, ACME_E_FORMAT);
    X509 *false_issuer[] = {good, liar.root};
    expect_cross_refused(false_issuer, 2, ACME_E_FORMAT);
    X509 *no_ca = cross_sign(inter, &other, 0);
    int at = X509_get_ext_by_NID(no_ca, NID_basic_constraints, -1);
    X509_EXTENSION_free(X509_delete_ext(no_ca, at));
    assert_true(X509_sign(no_ca, other.key, EVP_sha256()) > 0);
    X509 *not_a_ca[] = {no_ca};
    expect_cross_refused(not_a_ca, 1, ACME_E_FORMAT);
    X509 *other_id = cross_sign(inter, &other, 0);
    at = X509_get_ext_by_NID(other_id, NID_subject_key_identifier, -1);
    X509_EXTENSION_free(X509_delete_ext(other_id, at));
    X509_EXTENSION *id = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_key_identifier, "0102030405");
    assert_int_equal(X509_add_ext(other_id, id, -1), 1);
    X509_EXTENSION_free(id);
    assert_true(X509_sign(other_id, other.key, EVP_sha256()) > 0);
    X509 *foreign_id[] = {other_id};
    expect_cross_refused(foreign_id, 1, ACME_E_FORMAT);
    X509 *many[ACME_LOCAL_CA_MAX_ALTERNATES + 1];
    for (size_t i = 0; i <= ACME_LOCAL_CA_MAX_ALTERNATES; i++) {
        struct other_ca one = make_other(acme_arena_printf(arena, "Root %zu", i));
        many[i] = cross_sign(inter, &one, 0);
    }
    expect_cross_refused(many, ACME_LOCAL_CA_MAX_ALTERNATES + 1, ACME_E_FORMAT);
    struct acme_local_ca *ca = open_good();
    assert_int_equal(acme_local_ca_cross(ca, cross_file(many, ACME_LOCAL_CA_MAX_ALTERNATES)).code, ACME_OK);
    acme_local_ca_close(ca);
    ca = open_good();
    assert_int_equal(acme_local_ca_cross(ca, file("nothing.pem")).code, ACME_E_IO);
    acme_local_ca_close(ca);

    for (size_t i = 0; i <= ACME_LOCAL_CA_MAX_ALTERNATES; i++)
        X509_free(many[i]);
    X509_free(other_id);
    X509_free(no_ca);
    X509_free(good);
    X509_free(inter);
    X509_free(root);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(makes_a_ca),
        TEST(reopens_the_same_ca),
        TEST(leaves_pass_the_chain_check),
        TEST(the_list_outlives_the_ca),
        TEST(leaves_validate),
        TEST(leaf_without_common_name),
        TEST(validity_is_cut),
        TEST(half_a_ca_is_refused),
        TEST(interrupted_creation),
        TEST(access_of_others_is_refused),
        TEST(what_does_not_match_is_refused),
        TEST(a_private_part_of_another_key_is_refused),
        TEST(names_and_places),
        TEST(cross_certificates_make_chains),
        TEST(without_cross_certificates),
        TEST(wrong_cross_certificates),
        TEST(many_threads_issue),
        TEST(little_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
