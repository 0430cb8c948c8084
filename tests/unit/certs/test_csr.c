/* csr.c: what is read from a request, and which bytes are no request. */
#include "base/buf.h"
#include "make.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct acme_arena *arena;
static EVP_PKEY *ec_key;

static int set_up(void **state)
{
    (void)state;
    arena = acme_arena_create(8 * 1024 * 1024);
    ec_key = make_ec_key(arena, "P-256");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    acme_arena_destroyp(&arena);
    return 0;
}

static void expect_refused(struct acme_bytes der, enum acme_code code, const char *hint)
{
    struct acme_csr csr;
    memset(&csr, 0x5a, sizeof csr);
    struct acme_csr before = csr;
    const char *why = NULL;
    assert_int_equal(acme_csr_parse(arena, der, &csr, &why).code, code);
    assert_non_null(why);
    if (strstr(why, hint) == NULL)
        fail_msg("the reason \"%s\" does not mention \"%s\"", why, hint);
    assert_memory_equal(&csr, &before, sizeof csr);
}

static void reads_names_and_digests(void **state)
{
    (void)state;
    struct acme_csr csr =
        make_csr(arena, ec_key,
                 &(struct make_request){
                     .common_names = {"WWW.Example.ORG"},
                     .san = "DNS:www.example.org,DNS:WWW.EXAMPLE.org,DNS:*.example.org,IP:192.0.2.1,"
                            "IP:2001:db8:0:0::1"});
    assert_string_equal(csr.common_name, "www.example.org");
    assert_int_equal(csr.name_count, 4);
    assert_string_equal(csr.names[0].value, "www.example.org");
    assert_string_equal(csr.names[1].value, "*.example.org");
    assert_int_equal(csr.names[2].type, ACME_IDENTIFIER_IP);
    assert_string_equal(csr.names[2].value, "192.0.2.1");
    assert_string_equal(csr.names[3].value, "2001:db8::1");
    assert_int_equal(EVP_PKEY_eq(csr.key, ec_key), 1);
    uint8_t expected[ACME_SHA256_SIZE];
    assert_int_equal(acme_spki_sha256(ec_key, expected).code, ACME_OK);
    assert_memory_equal(csr.spki_sha256, expected, sizeof expected);
    assert_int_equal(EVP_Digest(csr.der.data, csr.der.len, expected, NULL, EVP_sha256(), NULL), 1);
    assert_memory_equal(csr.sha256, expected, sizeof expected);
}

static void owns_its_bytes(void **state)
{
    (void)state;
    struct acme_bytes der = make_csr_der(arena, ec_key, &(struct make_request){.san = "DNS:a.example"});
    uint8_t *scratch = acme_arena_memdup(arena, der.data, der.len);
    struct acme_csr csr;
    const char *why = NULL;
    assert_int_equal(acme_csr_parse(arena, (struct acme_bytes){scratch, der.len}, &csr, &why).code, ACME_OK);
    memset(scratch, 0, der.len);
    assert_int_equal(csr.der.len, der.len);
    assert_memory_equal(csr.der.data, der.data, der.len);
    assert_null(csr.common_name);
    assert_string_equal(csr.names[0].value, "a.example");
}

static void writes_pem(void **state)
{
    (void)state;
    struct acme_csr csr = make_csr(arena, ec_key, &(struct make_request){.san = "DNS:a.example"});
    const char *pem = acme_csr_pem(arena, &csr);
    assert_memory_equal(pem, "-----BEGIN CERTIFICATE REQUEST-----\n", 36);
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509_REQ *req = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);
    assert_non_null(req);
    unsigned char *der = NULL;
    assert_int_equal(i2d_X509_REQ(req, &der), csr.der.len);
    assert_memory_equal(der, csr.der.data, csr.der.len);
    OPENSSL_free(der);
    /* OpenSSL's own text is the same, byte for byte. */
    BIO *own = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509_REQ(own, req), 1);
    X509_REQ_free(req);
    char *text = NULL;
    long len = BIO_get_mem_data(own, &text);
    assert_int_equal(strlen(pem), len);
    assert_memory_equal(pem, text, (size_t)len);
    BIO_free(own);
    BIO_free(bio);
}

static void refuses_other_bytes(void **state)
{
    (void)state;
    struct acme_bytes der = make_csr_der(arena, ec_key, &(struct make_request){.san = "DNS:a.example"});
    uint8_t *longer = acme_arena_alloc(arena, der.len + 1);
    memcpy(longer, der.data, der.len);
    expect_refused((struct acme_bytes){longer, der.len + 1}, ACME_E_FORMAT, "follow");
    expect_refused((struct acme_bytes){der.data, der.len - 1}, ACME_E_FORMAT, "PKCS#10");
    expect_refused((struct acme_bytes){der.data, 0}, ACME_E_FORMAT, "PKCS#10");
    static uint8_t large[ACME_CSR_MAX_BYTES + 1];
    expect_refused((struct acme_bytes){large, sizeof large}, ACME_E_LIMIT, "large");
    expect_refused((struct acme_bytes){large, sizeof large - 1}, ACME_E_FORMAT, "PKCS#10");
    const char *pem = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n";
    expect_refused((struct acme_bytes){(const uint8_t *)pem, strlen(pem)}, ACME_E_FORMAT, "PEM");
    X509 *cert =
        make_cert(arena, ec_key, &(struct make_cert){.name = "x", .san = "DNS:a.example"}, NULL, NULL);
    expect_refused(make_der(arena, cert), ACME_E_FORMAT, "PKCS#10");
}

static void refuses_every_single_bit_change(void **state)
{
    (void)state;
    struct acme_bytes der = make_csr_der(arena, ec_key, &(struct make_request){.san = "DNS:a.example"});
    for (size_t i = 0; i < der.len; i++) {
        struct acme_arena *own = acme_arena_create(1024 * 1024);
        uint8_t *changed = acme_arena_memdup(own, der.data, der.len);
        changed[i] ^= 1;
        struct acme_csr csr;
        const char *why = NULL;
        assert_int_not_equal(acme_csr_parse(own, (struct acme_bytes){changed, der.len}, &csr, &why).code,
                             ACME_OK);
        assert_non_null(why);
        acme_arena_destroy(own);
    }
}

static void refuses_a_tampered_signature(void **state)
{
    (void)state;
    struct acme_bytes der = make_csr_der(arena, ec_key, &(struct make_request){.san = "DNS:a.example"});
    uint8_t *changed = acme_arena_memdup(arena, der.data, der.len);
    uint8_t *name = memmem(changed, der.len, "a.example", 9);
    assert_non_null(name);
    name[0] = 'b';
    expect_refused((struct acme_bytes){changed, der.len}, ACME_E_SIGNATURE, "signature");
}

/* What is read again is the same, but for the key. */
static void expect_reread(struct acme_bytes der, EVP_PKEY *key)
{
    struct acme_csr csr;
    const char *why = "?";
    if (acme_failed(acme_csr_parse(arena, der, &csr, &why)))
        fail_msg("refused: %s", why);
    uint8_t *scratch = acme_arena_memdup(arena, der.data, der.len);
    struct acme_csr again;
    assert_int_equal(acme_csr_reread(arena, (struct acme_bytes){scratch, der.len}, &again).code, ACME_OK);
    memset(scratch, 0, der.len);
    assert_null(again.key);
    assert_int_equal(again.der.len, der.len);
    assert_memory_equal(again.der.data, der.data, der.len);
    assert_memory_equal(again.sha256, csr.sha256, sizeof csr.sha256);
    assert_memory_equal(again.spki_sha256, csr.spki_sha256, sizeof csr.spki_sha256);
    assert_string_equal(again.common_name, csr.common_name);
    assert_int_equal(again.name_count, csr.name_count);
    for (size_t i = 0; i < csr.name_count; i++) {
        assert_int_equal(again.names[i].type, csr.names[i].type);
        assert_string_equal(again.names[i].value, csr.names[i].value);
    }
    assert_string_equal(acme_csr_pem(arena, &again), acme_csr_pem(arena, &csr));
    unsigned char *spki = NULL;
    int len = i2d_PUBKEY(key, &spki);
    assert_int_equal(again.spki.len, len);
    assert_memory_equal(again.spki.data, spki, again.spki.len);
    assert_int_equal(csr.spki.len, len);
    assert_memory_equal(csr.spki.data, spki, csr.spki.len);
    OPENSSL_free(spki);
}

static void rereads_what_it_has_read(void **state)
{
    (void)state;
    struct make_request request = {.common_names = {"a.example"}, .san = "DNS:a.example,IP:192.0.2.1"};
    EVP_PKEY *rsa = make_rsa_key(arena, 2048, 65537);
    EVP_PKEY *ed25519 = make_ed25519_key(arena);
    expect_reread(make_csr_der(arena, ec_key, &request), ec_key);
    expect_reread(make_csr_der(arena, rsa, &request), rsa);
    request.digest = "";
    expect_reread(make_csr_der(arena, ed25519, &request), ed25519);
}

/* Only the signature and the key are taken on trust. */
static void reread_is_no_parser_for_strangers(void **state)
{
    (void)state;
    struct acme_bytes der = make_csr_der(arena, ec_key, &(struct make_request){.san = "DNS:a.example"});
    uint8_t *changed = acme_arena_alloc(arena, der.len + 1);
    memcpy(changed, der.data, der.len);
    changed[der.len - 1] ^= 1; /* within the signature */
    struct acme_csr csr;
    assert_int_equal(acme_csr_reread(arena, (struct acme_bytes){changed, der.len}, &csr).code, ACME_OK);
    memset(&csr, 0x5a, sizeof csr);
    struct acme_csr before = csr;
    assert_int_equal(acme_csr_reread(arena, (struct acme_bytes){changed, der.len + 1}, &csr).code,
                     ACME_E_FORMAT);
    assert_int_equal(acme_csr_reread(arena, (struct acme_bytes){changed, der.len - 1}, &csr).code,
                     ACME_E_FORMAT);
    assert_int_equal(acme_csr_reread(arena, (struct acme_bytes){changed, 0}, &csr).code, ACME_E_FORMAT);
    static uint8_t large[ACME_CSR_MAX_BYTES + 1];
    assert_int_equal(acme_csr_reread(arena, (struct acme_bytes){large, sizeof large}, &csr).code,
                     ACME_E_LIMIT);
    struct acme_bytes mail =
        make_csr_der(arena, ec_key, &(struct make_request){.san = "email:a@example.org"});
    assert_int_equal(acme_csr_reread(arena, mail, &csr).code, ACME_E_UNSUPPORTED);
    assert_memory_equal(&csr, &before, sizeof csr);
}

static void refuses_a_point_off_its_curve(void **state)
{
    (void)state;
    static const char *const curves[] = {"P-256", "P-384", "P-521"};
    for (size_t i = 0; i < 3; i++) {
        EVP_PKEY *key = make_ec_key(arena, curves[i]);
        struct acme_bytes der = make_csr_der(arena, key, &(struct make_request){.san = "DNS:a.example"});
        unsigned char *spki = NULL;
        int len = i2d_PUBKEY(key, &spki);
        uint8_t *changed = acme_arena_memdup(arena, der.data, der.len);
        uint8_t *at = memmem(changed, der.len, spki, (size_t)len);
        assert_non_null(at);
        at[len - 1] ^= 1;
        OPENSSL_free(spki);
        expect_refused((struct acme_bytes){changed, der.len}, ACME_E_UNSUPPORTED, "public key");
    }
}

static void refuses_weak_digests(void **state)
{
    (void)state;
    EVP_PKEY *rsa = make_rsa_key(arena, 2048, 65537);
    static const struct {
        const char *digest;
        bool pss;
        enum acme_code code;
    } cases[] = {{"MD5", false, ACME_E_UNSUPPORTED}, {"SHA1", false, ACME_E_UNSUPPORTED},
                 {"SHA1", true, ACME_E_UNSUPPORTED}, {"RIPEMD160", false, ACME_E_UNSUPPORTED},
                 {"SHA256", false, ACME_OK},         {"SHA384", false, ACME_OK},
                 {"SHA512", true, ACME_OK},          {"SHA256", true, ACME_OK}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct make_request request = {
            .san = "DNS:a.example", .digest = cases[i].digest, .pss = cases[i].pss};
        struct acme_bytes der = make_csr_der(arena, rsa, &request);
        struct acme_csr csr;
        const char *why = NULL;
        assert_int_equal(acme_csr_parse(arena, der, &csr, &why).code, cases[i].code);
    }
    struct acme_bytes sha1 =
        make_csr_der(arena, ec_key, &(struct make_request){.san = "DNS:a.example", .digest = "SHA1"});
    expect_refused(sha1, ACME_E_UNSUPPORTED, "digest");
    make_csr(arena, make_ed25519_key(arena), &(struct make_request){.san = "DNS:a.example", .digest = ""});
}

static void refuses_odd_names(void **state)
{
    (void)state;
    static const struct {
        struct make_request request;
        enum acme_code code;
        const char *hint;
    } cases[] = {
        {{.san = "email:a@example.org"}, ACME_E_UNSUPPORTED, "kind"},
        {{.san = "DNS:a.example,URI:https://a.example/"}, ACME_E_UNSUPPORTED, "kind"},
        {{.san = "DNS:a_b.example"}, ACME_E_FORMAT, "a_b.example"},
        {{.san = "DNS:192.0.2.1"}, ACME_E_FORMAT, "192.0.2.1"},
        {{.san = "IP:::ffff:192.0.2.1"}, ACME_E_FORMAT, "it is written 192.0.2.1"},
        {{.common_names = {"a.example", "b.example"}}, ACME_E_FORMAT, "common name"},
        {{.san = "DNS:a.example", .extensions = {{NID_subject_alt_name, "DNS:b.example"}}},
         ACME_E_FORMAT,
         "than one"},
        /* a NUL within, a name of three octets as IP, trailing bytes, no SEQUENCE */
        {{.extensions = {{NID_subject_alt_name, "DER:300b820961006578616d706c65"}}}, ACME_E_FORMAT, "NUL"},
        {{.extensions = {{NID_subject_alt_name, "DER:30058703c00002"}}}, ACME_E_FORMAT, "octets"},
        {{.extensions = {{NID_subject_alt_name, "DER:3005820361626300"}}}, ACME_E_FORMAT, "damaged"},
        {{.extensions = {{NID_subject_alt_name, "DER:0500"}}}, ACME_E_FORMAT, "damaged"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_refused(make_csr_der(arena, ec_key, &cases[i].request), cases[i].code, cases[i].hint);
}

/* Two lists of extensions: PKCS#9's and Microsoft's. One of them could carry names the other does not. */
static void refuses_two_extension_lists(void **state)
{
    (void)state;
    X509_REQ *req = X509_REQ_new();
    assert_int_equal(X509_REQ_set_pubkey(req, ec_key), 1);
    static const char *const names[] = {"DNS:a.example", "DNS:evil.example"};
    static const int attributes[] = {NID_ext_req, NID_ms_ext_req};
    for (size_t i = 0; i < 2; i++) {
        STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();
        sk_X509_EXTENSION_push(list, X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names[i]));
        assert_int_equal(X509_REQ_add_extensions_nid(req, list, attributes[i]), 1);
        sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
    }
    assert_true(X509_REQ_sign(req, ec_key, EVP_sha256()) > 0);
    unsigned char *der = NULL;
    int len = i2d_X509_REQ(req, &der);
    expect_refused((struct acme_bytes){der, (size_t)len}, ACME_E_FORMAT, "list of extensions");
    OPENSSL_free(der);
    X509_REQ_free(req);
}

static void bounded_names(void **state)
{
    (void)state;
    for (int count = 1000; count <= 1001; count++) {
        ACME_CLEANUP_BUF struct acme_buf san;
        acme_buf_init(&san, 64 * 1024);
        for (int i = 0; i < count; i++)
            acme_buf_printf(&san, "%sDNS:n%d", i > 0 ? "," : "", i);
        struct acme_bytes der =
            make_csr_der(arena, ec_key, &(struct make_request){.san = acme_buf_cstr(&san)});
        if (count == 1001) {
            expect_refused(der, ACME_E_LIMIT, "too many names");
            continue;
        }
        struct acme_csr csr;
        const char *why = NULL;
        assert_int_equal(acme_csr_parse(arena, der, &csr, &why).code, ACME_OK);
        assert_int_equal(csr.name_count, 1000);
        assert_string_equal(csr.names[999].value, "n999");
    }
}

static void bounded_memory(void **state)
{
    (void)state;
    struct acme_bytes der = make_csr_der(arena, ec_key, &(struct make_request){.san = "DNS:a.example"});
    size_t good = 0;
    size_t reread = 0;
    for (size_t cap = 0; cap < 4096; cap += 16) {
        ACME_CLEANUP_ARENA struct acme_arena *small = acme_arena_create(cap);
        struct acme_csr csr;
        const char *why = NULL;
        struct acme_err err = acme_csr_parse(small, der, &csr, &why);
        assert_true(err.code == ACME_OK || err.code == ACME_E_NOMEM);
        good += err.code == ACME_OK;
        ACME_CLEANUP_ARENA struct acme_arena *other = acme_arena_create(cap);
        err = acme_csr_reread(other, der, &csr);
        assert_true(err.code == ACME_OK || err.code == ACME_E_NOMEM);
        reread += err.code == ACME_OK;
    }
    assert_true(good > 0 && good < 256);
    assert_true(reread >= good && reread < 256);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_names_and_digests),
        cmocka_unit_test(owns_its_bytes),
        cmocka_unit_test(writes_pem),
        cmocka_unit_test(refuses_other_bytes),
        cmocka_unit_test(refuses_every_single_bit_change),
        cmocka_unit_test(refuses_a_tampered_signature),
        cmocka_unit_test(rereads_what_it_has_read),
        cmocka_unit_test(reread_is_no_parser_for_strangers),
        cmocka_unit_test(refuses_a_point_off_its_curve),
        cmocka_unit_test(refuses_weak_digests),
        cmocka_unit_test(refuses_odd_names),
        cmocka_unit_test(refuses_two_extension_lists),
        cmocka_unit_test(bounded_names),
        cmocka_unit_test(bounded_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
