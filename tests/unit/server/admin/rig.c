#include "rig.h"

#include <stdlib.h>

static int64_t rig_now(void *context)
{
    return ((const struct rig *)context)->now_ms;
}

int rig_setup(void **state)
{
    struct rig *r = calloc(1, sizeof *r);
    void *f = NULL;
    assert_non_null(r);
    assert_int_equal(fixture_setup(&f), 0);
    r->f = f;
    r->now_ms = NOW + 60000;
    r->clock = (struct acme_clock){.now_ms = rig_now, .context = r};
    r->issuer = (struct acme_issuer_config){
        .name = "lab", .type = ACME_ISSUER_SCM, .scm = {.url = "https://scm.example"}};
    r->config = (struct acme_config){.issuers = &r->issuer, .issuer_count = 1};
    r->options = (struct acme_admin_options){.store = r->f->store, .clock = &r->clock, .config = &r->config};
    *state = r;
    return 0;
}

int rig_teardown(void **state)
{
    struct rig *r = *state;
    void *f = r->f;
    free(r);
    return fixture_teardown(&f);
}

static const cJSON *answer(struct rig *r, const char *question)
{
    struct acme_buf out;
    acme_admin_answer(&r->options, question, strlen(question), &out);
    assert_false(out.failed);
    assert_int_equal(out.data[out.len - 1], '\n');
    cJSON *tree = NULL;
    assert_ok(acme_json_parse(r->f->arena, out.data, out.len - 1, &tree));
    acme_buf_finish(&out);
    return tree;
}

const cJSON *rig_ask(struct rig *r, const char *question)
{
    const cJSON *tree = answer(r, question);
    const cJSON *result = acme_json_get(tree, "result");
    if (result == NULL)
        fail_msg("%s: %s", question, acme_json_str(acme_json_get(tree, "error"), "detail"));
    return result;
}

const char *rig_refusal(struct rig *r, const char *question)
{
    const cJSON *tree = answer(r, question);
    assert_null(acme_json_get(tree, "result"));
    const char *code = acme_json_str(acme_json_get(tree, "error"), "code");
    assert_non_null(code);
    assert_non_null(acme_json_str(acme_json_get(tree, "error"), "detail"));
    return code;
}

struct acme_issuance rig_finalize(struct rig *r, const struct acme_order *order, const char *key,
                                  const char *job_id)
{
    struct acme_issuance issuance = fixture_issuance(r->f, order, key, "0123456789abcdef0123");
    struct acme_job job = fixture_job(r->f, "lab");
    struct acme_order made;
    enum acme_finalize_outcome outcome;
    job.id = job_id;
    assert_ok(acme_store_order_finalize(
        r->f->store, r->f->arena, &issuance, &job, &fixture_lease,
        &(struct acme_finalize_rules){.now_ms = NOW + 1000, .adopt_since_ms = 0}, &made, &outcome, NULL));
    issuance.id = made.issuance_id;
    return issuance;
}
