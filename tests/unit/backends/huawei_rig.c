#include "cmocka_all.h"

#include "huawei_rig.h"
#include "step_check.h"

#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[2] = {"www.example.test", "*.example.test"};

void elb_reconfigure(struct elb_rig *rig)
{
    acme_deployer_destroy(rig->deployer);
    rig->deployer = NULL;
    assert_int_equal(acme_huawei_elb_create("web", &rig->config, &rig->deployer).code, ACME_OK);
}

int elb_setup(void **state)
{
    struct elb_rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    pki_setup(&rig->pki);
    rig->arena = acme_arena_create(64 << 20);
    assert_non_null(rig->arena);
    rig->key = EVP_EC_gen("P-256");
    EVP_PKEY *other = EVP_EC_gen("P-256");
    rig->leaf = pki_leaf(&rig->pki, rig->key, names, 2);
    rig->old = pki_leaf(&rig->pki, rig->key, names, 2);
    rig->foreign = pki_leaf(&rig->pki, other, names, 2);
    EVP_PKEY_free(other);
    assert_int_equal(acme_spki_sha256(rig->key, rig->spki).code, ACME_OK);
    rig->chain = (struct acme_cert_list){.certs = {rig->leaf, rig->pki.intermediate}, .count = 2};
    for (size_t i = 0; i < 2; i++)
        rig->identifiers[i] = (struct acme_identifier){.type = ACME_IDENTIFIER_DNS, .value = names[i]};
    rig->config = (struct acme_huawei_elb_config){.url = ELB_URL,
                                                  .project_id = ELB_PROJECT,
                                                  .certificate_id = ELB_ID,
                                                  .access_key_id = "AKEXAMPLE",
                                                  .access_key_secret = ELB_SECRET};
    elb_reconfigure(rig);
    rig->now_ms = ELB_START;
    rig->state = "{}";
    rig->request = (struct acme_deploy_request){.tag = ELB_TAG,
                                                .deployment_id = "deployment",
                                                .certificate_id = "certificate",
                                                .order_id = "order",
                                                .account_id = "account",
                                                .profile = "default",
                                                .identifiers = rig->identifiers,
                                                .identifier_count = 2,
                                                .chain = &rig->chain,
                                                .spki_sha256 = rig->spki,
                                                .serial_hex = "1001",
                                                .sha256_hex = "ab12",
                                                .created_ms = ELB_START,
                                                .deadline_ms = ELB_START + 7 * ACME_DAY_MS};
    *state = rig;
    return 0;
}

int elb_teardown(void **state)
{
    struct elb_rig *rig = *state;
    acme_deployer_destroy(rig->deployer);
    X509_free(rig->leaf);
    X509_free(rig->old);
    X509_free(rig->foreign);
    EVP_PKEY_free(rig->key);
    acme_arena_destroy(rig->arena);
    pki_teardown(&rig->pki);
    free(rig);
    return 0;
}

const char *elb_key_pem(struct elb_rig *rig, EVP_PKEY *key, const char *passphrase)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char secret[64];
    snprintf(secret, sizeof secret, "%s", passphrase != NULL ? passphrase : "");
    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, key, passphrase != NULL ? EVP_aes_128_cbc() : NULL,
                                                   passphrase != NULL ? secret : NULL, (int)strlen(secret),
                                                   NULL, NULL),
                     1);
    char *data = NULL;
    long len = BIO_get_mem_data(bio, &data);
    const char *text = acme_arena_strndup(rig->arena, data, (size_t)len);
    assert_non_null(text);
    BIO_free(bio);
    return text;
}

void elb_with_key_file(struct elb_rig *rig)
{
    rig->config.private_key_file = ELB_FILE;
    rig->key_file = elb_key_pem(rig, rig->key, NULL);
    elb_reconfigure(rig);
}

void elb_creating(struct elb_rig *rig)
{
    rig->config.create = true;
    rig->config.certificate_id = NULL;
    elb_with_key_file(rig);
}

/* ---- the services ---- */

static struct acme_err do_claim(void *context, const char *object, size_t *ret_ahead)
{
    struct elb_rig *rig = context;
    assert_string_equal(object, "huawei-elb " ELB_URL " " ELB_PROJECT);
    rig->claims++;
    *ret_ahead = rig->ahead;
    return acme_ok();
}

static struct acme_err do_read(void *context, struct acme_arena *arena, const char *path, size_t max_bytes,
                               struct acme_bytes *ret, const char **ret_why)
{
    struct elb_rig *rig = context;
    assert_string_equal(path, ELB_FILE);
    if (rig->key_file == NULL || strlen(rig->key_file) > max_bytes) {
        *ret_why = "No such file or directory";
        return acme_err(ACME_E_DENIED);
    }
    ret->data = (const uint8_t *)acme_arena_strdup(arena, rig->key_file);
    ret->len = strlen(rig->key_file);
    return acme_err(ret->data != NULL ? ACME_OK : ACME_E_NOMEM);
}

/* ---- steps ---- */

static void expect_no_secret(const char *text)
{
    if (text == NULL)
        return;
    assert_null(strstr(text, ELB_SECRET));
    assert_null(strstr(text, ELB_ECHO));
    assert_null(strstr(text, "PRIVATE KEY"));
}

static void check_call(struct elb_rig *rig, const struct acme_http_call *call)
{
    expect_no_secret(call->url);
    bool authorized = false;
    for (size_t i = 0; i < call->header_count; i++) {
        if (strcmp(call->headers[i].name, "X-Security-Token") != 0)
            expect_no_secret(call->headers[i].value);
        authorized = authorized || strcmp(call->headers[i].name, "Authorization") == 0;
    }
    assert_int_equal(authorized, rig->config.access_key_id != NULL);
    if (call->body.data != NULL) {
        assert_null(memmem(call->body.data, call->body.len, ELB_SECRET, strlen(ELB_SECRET)));
        cJSON *json = NULL;
        assert_int_equal(
            acme_json_parse(rig->arena, (const char *)call->body.data, call->body.len, &json).code, ACME_OK);
    }
}

static void do_step(struct elb_rig *rig, struct acme_step_input input)
{
    const struct acme_job_services services = {.claim = do_claim, .read_secret = do_read, .context = rig};
    input.now_ms = rig->now_ms;
    input.services = &services;
    cJSON *state = NULL;
    assert_int_equal(acme_json_parse(rig->arena, rig->state, strlen(rig->state), &state).code, ACME_OK);
    struct acme_step step;
    memset(&step, 0, sizeof step);
    struct acme_err err =
        rig->deployer->class->step(rig->deployer, rig->arena, &rig->request, state, &input, &step);
    assert_int_equal(err.code, ACME_OK);
    rig->step = step;
    rig->state = acme_json_print(rig->arena, state);
    assert_non_null(rig->state);
    expect_no_secret(rig->state);
    check_step(&step, rig->now_ms);
    expect_no_secret(step.note);
    expect_no_secret(step.problem.detail);
    if (step.kind == ACME_STEP_CALL)
        check_call(rig, &step.call);
    if (step.once)
        rig->onces++;
}

void elb_start(struct elb_rig *rig)
{
    do_step(rig, (struct acme_step_input){.event = ACME_EVENT_START});
}

void elb_timer(struct elb_rig *rig)
{
    assert_int_equal(rig->step.kind, ACME_STEP_WAIT);
    rig->now_ms = rig->step.wait_until_ms;
    do_step(rig, (struct acme_step_input){.event = ACME_EVENT_TIMER});
}

void elb_restart(struct elb_rig *rig, enum acme_step_event event)
{
    do_step(rig, (struct acme_step_input){.event = event});
}

void elb_reply_header(struct elb_rig *rig, int status, const char *name, const char *value, const char *body)
{
    struct acme_http_header header = {.name = name, .value = value};
    const struct acme_http_reply reply = {.status = status,
                                          .headers = &header,
                                          .header_count = name != NULL,
                                          .body = {.data = (const uint8_t *)body, .len = strlen(body)}};
    assert_int_equal(rig->step.kind, ACME_STEP_CALL);
    do_step(rig, (struct acme_step_input){.event = ACME_EVENT_REPLY, .reply = &reply});
}

void elb_reply(struct elb_rig *rig, int status, const char *body)
{
    elb_reply_header(rig, status, NULL, NULL, body);
}

void elb_call_failed(struct elb_rig *rig, bool reached)
{
    assert_int_equal(rig->step.kind, ACME_STEP_CALL);
    do_step(rig, (struct acme_step_input){.event = ACME_EVENT_CALL_FAILED,
                                          .failure = reached ? "timed out" : "connection refused",
                                          .reached = reached});
}

void elb_inspect(struct elb_rig *rig, const struct acme_inspect_request *request, enum acme_step_event event,
                 int status, const char *body, struct acme_inspect_step *ret)
{
    const struct acme_job_services services = {.read_secret = do_read, .context = rig};
    const struct acme_http_reply reply = {
        .status = status, .body = {.data = (const uint8_t *)body, .len = body != NULL ? strlen(body) : 0}};
    const struct acme_step_input input = {.event = event,
                                          .now_ms = rig->now_ms,
                                          .reply = event == ACME_EVENT_REPLY ? &reply : NULL,
                                          .failure =
                                              event == ACME_EVENT_CALL_FAILED ? "connection refused" : NULL,
                                          .services = &services};
    const struct acme_backend *backend = &rig->deployer->backend;
    assert_int_equal(backend->inspect(backend, rig->arena, request, &rig->inspection, &input, ret).code,
                     ACME_OK);
    if (!ret->done)
        check_call(rig, &ret->call);
}

const char *elb_format(struct elb_rig *rig, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = format_text(rig->arena, format, args);
    va_end(args);
    return text;
}

const char *elb_object(struct elb_rig *rig, X509 *cert, const char *members)
{
    const char *pem = "";
    if (cert != NULL) {
        X509 *certs[2] = {cert, rig->pki.intermediate};
        struct acme_bytes bytes = pki_pem(rig->arena, certs, 2);
        char *packed = acme_arena_alloc(rig->arena, bytes.len + 1);
        size_t used = 0;
        for (size_t i = 0; i < bytes.len; i++) {
            if (bytes.data[i] != '\n')
                packed[used++] = (char)bytes.data[i];
        }
        pem = packed;
    }
    return elb_format(rig,
                      "{\"certificate\":{\"id\":\"" ELB_ID "\",\"project_id\":\"" ELB_PROJECT
                      "\",\"name\":\"web\",\"private_key\":\"-----BEGIN PRIVATE KEY-----" ELB_ECHO
                      "-----END PRIVATE KEY-----\",\"certificate\":\"%s\","
                      "\"expire_time\":\"2027-04-15T10:20:30Z\"%s},\"request_id\":\"r\"}",
                      pem, members);
}

const char *elb_error(struct elb_rig *rig, const char *code, const char *message)
{
    return elb_format(rig, "{\"error_code\":\"%s\",\"error_msg\":\"%s\",\"request_id\":\"r\"}", code,
                      message);
}

/* ---- expectations ---- */

void elb_expect_call(struct elb_rig *rig, const char *method, const char *path)
{
    if (rig->step.kind != ACME_STEP_CALL)
        fail_msg("expected %s %s, got step kind %d: %s", method, path, (int)rig->step.kind, rig->step.note);
    assert_string_equal(rig->step.call.method, method);
    assert_string_equal(rig->step.call.url, elb_format(rig, "%s%s", rig->config.url, path));
}

static bool has_body(const struct elb_rig *rig, const char *part)
{
    const struct acme_bytes body = rig->step.call.body;
    return body.data != NULL && memmem(body.data, body.len, part, strlen(part)) != NULL;
}

void elb_expect_body(struct elb_rig *rig, const char *part)
{
    if (!has_body(rig, part))
        fail_msg("the body lacks %s", part);
}

void elb_expect_no_body(struct elb_rig *rig, const char *part)
{
    if (has_body(rig, part))
        fail_msg("the body has %s", part);
}

void elb_expect_wait(struct elb_rig *rig, int64_t seconds, bool failure)
{
    if (rig->step.kind != ACME_STEP_WAIT)
        fail_msg("expected a wait, got step kind %d: %s", (int)rig->step.kind, rig->step.note);
    assert_int_equal(rig->step.wait_until_ms - rig->now_ms, seconds * ACME_SECOND_MS);
    assert_int_equal(rig->step.failure, failure);
}

void elb_expect_failed(struct elb_rig *rig, const char *part)
{
    if (rig->step.kind != ACME_STEP_FAILED)
        fail_msg("expected failure, got step kind %d: %s", (int)rig->step.kind, rig->step.note);
    if (strstr(rig->step.problem.detail, part) == NULL)
        fail_msg("detail \"%s\" lacks \"%s\"", rig->step.problem.detail, part);
}

void elb_expect_done(struct elb_rig *rig)
{
    if (rig->step.kind != ACME_STEP_DONE)
        fail_msg("expected done, got step kind %d: %s", (int)rig->step.kind, rig->step.note);
    assert_string_equal(rig->step.upstream_ref, ELB_ID);
}

void elb_expect_note(struct elb_rig *rig, const char *part)
{
    if (strstr(rig->step.note, part) == NULL)
        fail_msg("note \"%s\" lacks \"%s\"", rig->step.note, part);
}

void elb_looking(struct elb_rig *rig)
{
    elb_start(rig);
    elb_expect_call(rig, "GET", ELB_PATH "/" ELB_ID);
}

void elb_putting(struct elb_rig *rig)
{
    elb_looking(rig);
    elb_reply(rig, 200, elb_object(rig, rig->old, ""));
    elb_expect_call(rig, "PUT", ELB_PATH "/" ELB_ID);
    assert_false(rig->step.once);
}
