#include "jobs_rig.h"

#include "base/json.h"

#include <stdlib.h>
#include <time.h>

static const char *const names[] = {"a.example.com"};
static const int settings_of_edge = 7;

static int64_t real_now_ms(void)
{
    return acme_clock_now_ms(&acme_clock_system);
}

/* The same with another signature. Releases `cert`. */
static X509 *forged(X509 *cert)
{
    unsigned char *der = NULL;
    int len = i2d_X509(cert, &der);
    assert_true(len > 0);
    der[len - 1] ^= 1;
    const unsigned char *at = der;
    X509 *other = d2i_X509(NULL, &at, len);
    assert_non_null(other);
    OPENSSL_free(der);
    X509_free(cert);
    return other;
}

static struct acme_err sign(struct jobs_rig *r, struct acme_arena *arena, const struct acme_csr *csr,
                            struct acme_step *ret)
{
    const unsigned char *der = csr->spki.data;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &der, (long)csr->spki.len);
    ENSURE(key != NULL, ACME_E_INTERNAL);
    X509 *leaf = pki_leaf(&r->pki, key, names, 1);
    EVP_PKEY_free(key);
    if (r->forges)
        leaf = forged(leaf);
    X509 *const chain[] = {leaf, r->pki.intermediate, r->pki.root};
    struct acme_bytes pem = pki_pem(arena, chain, 3);
    X509_free(leaf);
    ret->kind = ACME_STEP_ISSUED;
    ret->signed_here = r->signs_here;
    ret->upstream_ref = "17";
    ret->note = "signed";
    return acme_certs_read(arena, pem, &ret->certs);
}

static struct acme_err signer_step(const struct acme_issuer *issuer, struct acme_arena *arena,
                                   const struct acme_issue_request *request, cJSON *state,
                                   const struct acme_step_input *input, struct acme_step *ret)
{
    struct jobs_rig *r = ((const struct jobs_issuer *)issuer)->rig;
    (void)state;
    if (input->event == ACME_EVENT_START)
        r->signer_starts++;
    if (request->profile_settings != NULL)
        r->wrong_settings++;
    if (!r->never_signs)
        return sign(r, arena, request->csr, ret);
    *ret = (struct acme_step){
        .kind = ACME_STEP_WAIT, .wait_until_ms = input->now_ms + 300, .note = "thinks about it"};
    return acme_ok();
}

static struct acme_err wait_until(const struct acme_step_input *input, int64_t delay_ms, const char *note,
                                  struct acme_step *ret)
{
    *ret =
        (struct acme_step){.kind = ACME_STEP_WAIT, .wait_until_ms = input->now_ms + delay_ms, .note = note};
    return acme_ok();
}

static struct acme_err give_up(const char *detail, struct acme_step *ret)
{
    *ret = (struct acme_step){
        .kind = ACME_STEP_FAILED,
        .note = "gave up",
        .problem = {.type = ACME_PROBLEM_SERVER_INTERNAL, .detail = detail},
    };
    return acme_ok();
}

/* The second question is another one. */
static struct acme_err ask(struct jobs_rig *r, const struct acme_step_input *input, bool *ret_go_on,
                           struct acme_step *ret)
{
    static const struct acme_question question = {
        .key = "hash-0123456789", .text = "Deploy it?", .details = "one\ntwo", .deadline_ms = 1};
    *ret_go_on = false;
    if (input->answer != NULL && strcmp(input->answer->key, question.key) != 0)
        r->stale_answers++;
    if (input->answer == NULL) {
        TRY(wait_until(input, 600000, "waits for the operator", ret));
        ret->question = &question;
        return acme_ok();
    }
    if (input->answer->decision == ACME_DECISION_DENY)
        return give_up("The operator denied it.", ret);
    *ret_go_on = true;
    return acme_ok();
}

/* The operator's answer, if one is awaited, comes before the script. */
static bool runs_first(struct jobs_rig *r, const struct acme_step_input *input, struct acme_step *ret)
{
    if (r->script == NULL)
        return false;
    if (input->event == ACME_EVENT_REPLY) {
        r->late_answers += input->answer != NULL;
        r->scripts_failed += input->ran == NULL || input->ran->exit_code != 0;
        r->scripts_ended++;
        return false;
    }
    *ret = (struct acme_step){
        .kind = ACME_STEP_RUN,
        .run = {.arguments = {"/bin/sh", "-c", r->script}, .argument_count = 3, .timeout_ms = 15000}};
    return !r->asks || input->answer != NULL;
}

static struct acme_err edge_step(const struct acme_issuer *issuer, struct acme_arena *arena,
                                 const struct acme_issue_request *request, cJSON *state,
                                 const struct acme_step_input *input, struct acme_step *ret)
{
    struct jobs_rig *r = ((const struct jobs_issuer *)issuer)->rig;
    const struct acme_job_services *services = input->services;
    struct acme_delegated child;
    (void)state;
    if (input->event == ACME_EVENT_START)
        r->edge_starts++;
    if (request->profile_settings != &settings_of_edge)
        r->wrong_settings++;
    if (runs_first(r, input, ret))
        return acme_ok();
    if (r->uses_line) {
        size_t ahead = 0;
        TRY(services->claim(services->context, "enrollment 1", &ahead));
        if (ahead > 0)
            return wait_until(input, 600000, "waits for its turn", ret);
        if (r->hold_line)
            return wait_until(input, 300, "is at work", ret);
    }
    TRY(services->delegated(services->context, arena, "rsa", &child));
    switch (child.status) {
    case ACME_DELEGATED_NOT:
        *ret = (struct acme_step){.kind = ACME_STEP_DELEGATE,
                                  .delegate = {.label = "rsa", .issuer = "signer", .csr = r->edge_csr},
                                  .note = "needs a signature"};
        return acme_ok();
    case ACME_DELEGATED_PENDING:
        return wait_until(input, 600000, "waits for the signer", ret);
    case ACME_DELEGATED_FAILED:
        return give_up(child.problem.detail, ret);
    case ACME_DELEGATED_ISSUED:
        break;
    }
    bool go_on = true;
    if (r->asks)
        TRY(ask(r, input, &go_on, ret));
    if (go_on)
        *ret = (struct acme_step){.kind = ACME_STEP_ISSUED, .certs = child.certs, .upstream_ref = "e1"};
    return acme_ok();
}

static struct acme_err no_revoke(const struct acme_issuer *issuer, struct acme_arena *arena,
                                 const struct acme_revoke_request *request, cJSON *state,
                                 const struct acme_step_input *input, struct acme_step *ret)
{
    (void)issuer;
    (void)arena;
    (void)request;
    (void)state;
    (void)input;
    *ret = (struct acme_step){.kind = ACME_STEP_DONE};
    return acme_ok();
}

static const struct acme_issuer_class edge_class = {.type = "edge", .step = edge_step, .revoke = no_revoke};
static const struct acme_issuer_class signer_class = {
    .type = "signer", .step = signer_step, .revoke = no_revoke};

static void challenge_decided(void *context, const char *challenge_id, const struct acme_authz *authz)
{
    (void)context;
    (void)authz;
    (void)challenge_id;
}

static void order_changed(void *context, const char *order_id)
{
    (void)context;
    (void)order_id;
}

static void revocation_ended(void *context, const char *certificate_id, const char *issuer)
{
    (void)context;
    (void)certificate_id;
    (void)issuer;
}

static int64_t profile_validity_ms(void *context, const char *profile)
{
    (void)context;
    (void)profile;
    return 90 * ACME_DAY_MS;
}

static const struct acme_profile *find_profile(void *context, const char *profile)
{
    const struct jobs_rig *r = context;
    return strcmp(profile, "default") == 0 ? &r->profile : NULL;
}

int jobs_setup(void **state)
{
    struct jobs_rig *r = calloc(1, sizeof *r);
    void *f = NULL;
    assert_non_null(r);
    assert_int_equal(fixture_setup(&f), 0);
    r->f = f;
    pki_setup(&r->pki);
    r->edge_csr = pki_csr_der(r->f->arena, "a.example.com", names, 1);
    r->profile = (struct acme_profile){
        .name = "default", .issuer = "edge", .key_at_edge = true, .issuer_settings = &settings_of_edge};
    r->edge = (struct jobs_issuer){.rig = r, .base = {.class = &edge_class}};
    r->signer = (struct jobs_issuer){.rig = r, .base = {.class = &signer_class}};
    r->edge.base.backend = (struct acme_backend){.name = "edge", .max_concurrency = 8};
    r->signer.base.backend = (struct acme_backend){.name = "signer", .max_concurrency = 8};
    r->issuers[0] = &r->edge.base;
    r->issuers[1] = &r->signer.base;
    *state = r;
    return 0;
}

void jobs_start(struct jobs_rig *r)
{
    static const struct acme_address_policy policy;
    const struct acme_outbound_options outbound = {.policy = &policy, .max_fetches = 8};
    assert_ok(acme_outbound_start(&outbound, &r->outbound));
    assert_ok(acme_processes_start(4, 8, &r->processes));
    const struct acme_runner_options options = {.store = r->f->store,
                                                .outbound = r->outbound,
                                                .processes = r->processes,
                                                .clock = &acme_clock_system,
                                                .owner = "runner",
                                                .lease_ms = 60000,
                                                .issuers = r->issuers,
                                                .issuer_count = 2,
                                                .validation_max_concurrency = 4,
                                                .base_url = "https://acme.example",
                                                .quarantine_dir = "/nonexistent", /* nothing is left behind */
                                                .threads = 4,
                                                .challenge_decided = challenge_decided,
                                                .order_changed = order_changed,
                                                .revocation_ended = revocation_ended,
                                                .profile_validity_ms = profile_validity_ms,
                                                .find_profile = find_profile,
                                                .context = r};
    assert_ok(acme_runner_start(&options, &r->runner));
}

void jobs_stop(struct jobs_rig *r)
{
    acme_runner_stop(r->runner);
    acme_processes_stop(r->processes);
    acme_outbound_stop(r->outbound);
    acme_runner_destroy(r->runner);
    r->runner = NULL;
    r->processes = NULL;
    r->outbound = NULL;
}

int jobs_teardown(void **state)
{
    struct jobs_rig *r = *state;
    void *f = r->f;
    jobs_stop(r);
    pki_teardown(&r->pki);
    free(r);
    return fixture_teardown(&f);
}

struct acme_issuance jobs_order(struct jobs_rig *r, const char *account, const char *key)
{
    struct fixture *f = r->f;
    struct acme_order order = fixture_ready_order(f, account, names[0]);
    struct acme_issuance issuance = fixture_issuance(f, &order, key, key);
    struct acme_job job = fixture_job(f, "edge");
    struct acme_order made;
    enum acme_finalize_outcome outcome;
    const struct acme_lease lease = {.owner = "maker", .until_ms = real_now_ms() + ACME_HOUR_MS};
    issuance.csr = pki_csr_der(f->arena, NULL, names, 1);
    issuance.issuer = "edge";
    issuance.created_ms = real_now_ms();
    issuance.deadline_ms = issuance.created_ms + ACME_HOUR_MS;
    job.share = account;
    assert_ok(acme_store_order_finalize(f->store, f->arena, &issuance, &job, &lease,
                                        &(struct acme_finalize_rules){.now_ms = NOW}, &made, &outcome, NULL));
    assert_int_equal(outcome, ACME_FINALIZE_STARTED);
    assert_ok(acme_store_job_release(f->store, job.id, "maker", NOW)); /* due long ago */
    if (r->runner != NULL)
        acme_runner_look(r->runner);
    return issuance;
}

void jobs_pause(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

enum { TRIES = 1000 };

struct acme_order jobs_wait_status(struct jobs_rig *r, const char *order_id, enum acme_order_status status)
{
    struct acme_order order;
    for (int i = 0; i < TRIES; i++) {
        assert_ok(acme_store_order_get(r->f->store, r->f->arena, order_id, &order));
        if (order.status == status)
            return order;
        jobs_pause();
    }
    fail_msg("the order is %d, not %d: %s", order.status, status, order.error != NULL ? order.error : "");
    return order;
}

const char *jobs_wait_question(struct jobs_rig *r, const struct acme_issuance *issuance,
                               struct acme_job_question *ret)
{
    struct acme_job_report report;
    for (int i = 0; i < TRIES; i++) {
        assert_ok(acme_store_job_find(r->f->store, r->f->arena, "edge", issuance->account_id, issuance->id,
                                      &report));
        if (report.job.asked && !report.leased) {
            assert_ok(acme_store_question_get(r->f->store, r->f->arena, report.job.id, ret));
            return report.job.id;
        }
        jobs_pause();
    }
    fail_msg("nothing was asked");
    return NULL;
}

struct acme_issuance jobs_wait_child(struct jobs_rig *r, const char *parent_id,
                                     enum acme_issuance_status status)
{
    struct acme_issuance child = {.id = NULL};
    for (int i = 0; i < TRIES; i++) {
        const char **ids = NULL;
        size_t count = 0;
        assert_ok(acme_store_issuance_children(r->f->store, r->f->arena, parent_id, &ids, &count));
        assert_true(count <= 1);
        if (count == 1) {
            assert_ok(acme_store_issuance_get(r->f->store, r->f->arena, ids[0], &child));
            if (child.status == status)
                return child;
        }
        jobs_pause();
    }
    fail_msg("no child with status %d", status);
    return child;
}
