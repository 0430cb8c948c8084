/* Huawei ELB's answers. First byte: the call that gets the answer; second: the HTTP status; the rest: the
 * body, in which "@LEAF@" stands for the certificate to be deployed. Whatever ELB says, the deployer takes a
 * proper step, ends with DONE only when it was shown the certificate, and gives away neither its secret nor a
 * key. */
#include "fuzz.h"

#include "backends/huawei_elb/huawei_elb.h"

#include "base/buf.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

#define ID      "fedcba9876543210fedcba9876543210"
#define PROJECT "0123456789abcdef0123456789abcdef"
#define SECRET  "zzTop secret" /* no escape that a note may hold ends in its first letter */

enum { CALL_SHOW, CALL_PUT, CALL_VERIFY, CALL_CREATE, CALL_LIST, CALL_INSPECT, CALL_COUNT };
static const char *const states[CALL_INSPECT] = {
    "{\"call\":\"show\"}",
    "{\"call\":\"put\"}",
    "{\"call\":\"verify\",\"put\":true}",
    "{\"call\":\"create\",\"createSentAt\":1000}",
    "{\"call\":\"list\",\"createSentAt\":1000,\"marker\":\"m\"}",
};
static const int statuses[] = {200, 201, 400, 401, 403, 404, 409, 429, 500, 503, 204, 302};

/* Made once: a deployer for an object that is there, one that makes its object, and a certificate. */
static struct acme_deployer *keeper;
static struct acme_deployer *maker;
static X509 *leaf;
static uint8_t spki[ACME_SHA256_SIZE];
static char *leaf_pem;
static char *key_pem;

static char *text_of(BIO *bio)
{
    char *data = NULL;
    long len = BIO_get_mem_data(bio, &data);
    REQUIRE(len > 0);
    char *text = strndup(data, (size_t)len);
    REQUIRE(text != NULL);
    BIO_free(bio);
    return text;
}

static void make_leaf(void)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    leaf = X509_new();
    BIO *cert_out = BIO_new(BIO_s_mem());
    BIO *key_out = BIO_new(BIO_s_mem());
    REQUIRE(key != NULL && leaf != NULL && cert_out != NULL && key_out != NULL);
    X509_gmtime_adj(X509_getm_notBefore(leaf), 0);
    X509_gmtime_adj(X509_getm_notAfter(leaf), 86400);
    REQUIRE(X509_set_pubkey(leaf, key) == 1 && X509_sign(leaf, key, EVP_sha256()) > 0);
    REQUIRE(!acme_failed(acme_spki_sha256(key, spki)));
    REQUIRE(PEM_write_bio_X509(cert_out, leaf) == 1);
    REQUIRE(PEM_write_bio_PKCS8PrivateKey(key_out, key, NULL, NULL, 0, NULL, NULL) == 1);
    leaf_pem = text_of(cert_out);
    key_pem = text_of(key_out);
    size_t used = 0;
    for (const char *c = leaf_pem; *c != '\0'; c++) {
        if (*c != '\n')
            leaf_pem[used++] = *c;
    }
    leaf_pem[used] = '\0';
    EVP_PKEY_free(key);
}

static void set_up(void)
{
    struct acme_huawei_elb_config config = {.url = "https://elb.example.test",
                                            .project_id = PROJECT,
                                            .certificate_id = ID,
                                            .access_key_id = "AK",
                                            .access_key_secret = SECRET,
                                            .domains = ACME_HUAWEI_DOMAINS_NAMES};
    REQUIRE(!acme_failed(acme_huawei_elb_create("web", &config, &keeper)));
    config.certificate_id = NULL;
    config.create = true;
    config.private_key_file = "/key";
    REQUIRE(!acme_failed(acme_huawei_elb_create("web", &config, &maker)));
    make_leaf();
}

static struct acme_err do_claim(void *context, const char *object, size_t *ret_ahead)
{
    (void)context;
    (void)object;
    *ret_ahead = 0;
    return acme_ok();
}

static struct acme_err do_read(void *context, struct acme_arena *arena, const char *path, size_t max_bytes,
                               struct acme_bytes *ret, const char **ret_why)
{
    (void)context;
    (void)arena;
    (void)path;
    (void)ret_why;
    REQUIRE(strlen(key_pem) <= max_bytes);
    *ret = (struct acme_bytes){.data = (const uint8_t *)key_pem, .len = strlen(key_pem)};
    return acme_ok();
}

static const struct acme_job_services services = {.claim = do_claim, .read_secret = do_read};

static bool is_clean(const char *text)
{
    return text == NULL || (strstr(text, SECRET) == NULL && strstr(text, "PRIVATE KEY") == NULL);
}

static void check_step(const struct acme_step *step, int call, bool shown)
{
    REQUIRE(step->note != NULL && is_clean(step->note) && is_clean(step->problem.detail));
    switch (step->kind) {
    case ACME_STEP_CALL:
        REQUIRE(strncmp(step->call.url, "https://elb.example.test/v3/" PROJECT "/elb/certificates", 77) == 0);
        REQUIRE(step->once == (strcmp(step->call.method, "POST") == 0));
        break;
    case ACME_STEP_WAIT:
        REQUIRE(step->wait_until_ms > 0);
        break;
    case ACME_STEP_DONE:
        REQUIRE((call == CALL_SHOW || call == CALL_VERIFY) && shown);
        break;
    case ACME_STEP_FAILED:
        REQUIRE(step->problem.detail != NULL);
        break;
    case ACME_STEP_RUN:
    case ACME_STEP_DELEGATE:
    case ACME_STEP_ISSUED:
        REQUIRE(false);
    }
}

static struct acme_http_reply reply_of(struct acme_arena *arena, const uint8_t *data, size_t size,
                                       bool *ret_shown)
{
    static const char mark[] = "@LEAF@";
    struct acme_http_reply reply = {.status = statuses[data[1] % (sizeof statuses / sizeof *statuses)]};
    struct acme_buf body;
    acme_buf_init(&body, 2 << 20);
    const uint8_t *at = data + 2;
    size_t left = size - 2;
    const uint8_t *found = memmem(at, left, mark, sizeof mark - 1);
    *ret_shown = found != NULL;
    if (found != NULL) {
        acme_buf_append(&body, at, (size_t)(found - at));
        acme_buf_str(&body, leaf_pem);
        left -= (size_t)(found - at) + sizeof mark - 1;
        at = found + sizeof mark - 1;
    }
    acme_buf_append(&body, at, left);
    REQUIRE(!body.failed);
    reply.body.data = acme_arena_memdup(arena, body.data, body.len);
    reply.body.len = body.len;
    REQUIRE(reply.body.data != NULL);
    acme_buf_finish(&body);
    return reply;
}

static void fuzz_inspect(struct acme_arena *arena, struct acme_deployer *deployer,
                         const struct acme_http_reply *reply)
{
    const struct acme_inspect_request request = {.domains_only = false};
    struct acme_inspection *inspection = acme_arena_alloc(arena, sizeof *inspection);
    REQUIRE(inspection != NULL);
    struct acme_step_input input = {.event = ACME_EVENT_START, .now_ms = 5000, .services = &services};
    struct acme_inspect_step step = {.done = false};
    const struct acme_backend *backend = &deployer->backend;
    for (int i = 0; i < 4 && !step.done; i++) {
        if (acme_failed(backend->inspect(backend, arena, &request, inspection, &input, &step)))
            return;
        input.event = ACME_EVENT_REPLY;
        input.reply = reply;
    }
    REQUIRE(step.done);
    for (size_t i = 0; i < inspection->finding_count; i++)
        REQUIRE(is_clean(inspection->findings[i].text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    if (leaf == NULL)
        set_up();
    ACME_CLEANUP_ARENA struct acme_arena *arena = fuzz_arena();
    bool shown = false;
    int call = data[0] % CALL_COUNT;
    const struct acme_http_reply reply = reply_of(arena, data, size, &shown);
    if (call == CALL_INSPECT) {
        fuzz_inspect(arena, keeper, &reply);
        fuzz_inspect(arena, maker, &reply);
        return 0;
    }
    const struct acme_identifier name = {.type = ACME_IDENTIFIER_DNS, .value = "www.example.test"};
    const struct acme_cert_list chain = {.certs = {leaf}, .count = 1};
    struct acme_deployer *deployer = call < CALL_CREATE ? keeper : maker;
    const struct acme_deploy_request request = {.tag = "acmebridge/x",
                                                .deployment_id = "d",
                                                .identifiers = &name,
                                                .identifier_count = 1,
                                                .chain = &chain,
                                                .spki_sha256 = spki,
                                                .sha256_hex = "ab",
                                                .deadline_ms = ACME_DAY_MS};
    cJSON *state = NULL;
    REQUIRE(!acme_failed(acme_json_parse(arena, states[call], strlen(states[call]), &state)));
    struct acme_step_input input = {
        .event = ACME_EVENT_REPLY, .now_ms = 5000, .reply = &reply, .services = &services};
    struct acme_step step = {.kind = ACME_STEP_FAILED};
    if (acme_failed(deployer->class->step(deployer, arena, &request, state, &input, &step)))
        return 0;
    check_step(&step, call, shown);
    char *saved = acme_json_print(arena, state);
    REQUIRE(saved != NULL && is_clean(saved));
    /* And from what was saved it goes on. */
    input = (struct acme_step_input){.event = ACME_EVENT_TIMER, .now_ms = 6000, .services = &services};
    if (!acme_failed(deployer->class->step(deployer, arena, &request, state, &input, &step)))
        check_step(&step, CALL_COUNT, false);
    return 0;
}
