#include "fixture.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const struct acme_lease fixture_lease = {.owner = "me", .until_ms = NOW + 60000};

static void open_store(struct fixture *f)
{
    struct acme_store_options options = {.path = f->path, .reader_count = 3};
    assert_ok(acme_store_open(&options, &acme_clock_system, &f->store));
}

int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    (void)snprintf(f->dir, sizeof f->dir, "/tmp/acme-store-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->path, sizeof f->path, "%s/test.db", f->dir);
    f->arena = acme_arena_create(16 << 20);
    assert_non_null(f->arena);
    open_store(f);
    *state = f;
    return 0;
}

int fixture_teardown(void **state)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};
    struct fixture *f = *state;
    acme_store_close(f->store);
    acme_arena_destroy(f->arena);
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s%s", f->path, suffixes[i]);
        (void)unlink(path);
    }
    int left = rmdir(f->dir);
    free(f);
    return left; /* a file nobody expected is a failure */
}

void fixture_reopen(struct fixture *f)
{
    acme_store_close(f->store);
    f->store = NULL;
    open_store(f);
}

const char *fixture_id(struct fixture *f)
{
    static atomic_int last;
    const char *id = acme_arena_printf(f->arena, "00000000-%08d", ++last);
    assert_non_null(id);
    return id;
}

const char *fixture_account(struct fixture *f)
{
    struct acme_account account = {.id = fixture_id(f), .jwk = "{}", .contacts = "[]", .created_ms = NOW};
    account.thumbprint = acme_arena_printf(f->arena, "thumb-%s", account.id);
    struct acme_account made;
    bool created = false;
    assert_ok(acme_store_account_create(f->store, f->arena, &account, &made, &created));
    assert_true(created);
    return made.id;
}

struct acme_authz fixture_authz(struct fixture *f, const char *name, bool wildcard, size_t challenges)
{
    struct acme_authz authz = {
        .id = fixture_id(f),
        .identifier = {.type = ACME_IDENTIFIER_DNS, .value = name},
        .wildcard = wildcard,
        .profile = "default",
        .expires_ms = NOW + DAY,
        .challenge_count = challenges,
    };
    for (size_t i = 0; i < challenges; i++)
        authz.challenges[i] = (struct acme_challenge){
            .id = fixture_id(f),
            .type = i == 0 ? "http-01" : "dns-01",
            .token = acme_arena_printf(f->arena, "token-%s-%zu", authz.id, i),
        };
    return authz;
}

struct acme_order fixture_order(struct fixture *f, const char *account_id, const char *const *names)
{
    struct acme_identifier identifiers[16];
    struct acme_authz authzs[16];
    size_t count = 0;
    for (; names[count]; count++) {
        bool wildcard = strncmp(names[count], "*.", 2) == 0;
        identifiers[count] = (struct acme_identifier){.type = ACME_IDENTIFIER_DNS, .value = names[count]};
        authzs[count] = fixture_authz(f, names[count] + (wildcard ? 2 : 0), wildcard, 2);
    }
    struct acme_order wanted = {
        .id = fixture_id(f),
        .account_id = account_id,
        .profile = "default",
        .identifiers = identifiers,
        .identifier_count = count,
        .expires_ms = NOW + 7 * DAY,
        .created_ms = NOW,
    };
    struct acme_order made;
    assert_ok(acme_store_order_create(f->store, f->arena, &wanted, authzs, NOW, NOW + 1000, &made));
    return made;
}

void fixture_validate(struct fixture *f, const char *authz_id, const char *error)
{
    struct acme_authz authz;
    assert_ok(acme_store_authz_get(f->store, f->arena, authz_id, &authz));
    const char *challenge = authz.challenges[0].id;
    struct acme_job job = fixture_job(f, "validation");
    assert_ok(acme_store_challenge_start(f->store, challenge, &job, &fixture_lease, NOW));
    assert_ok(acme_store_challenge_finish(f->store, challenge, job.id, "me", error, NOW + 5,
                                          NOW + 30 * (int64_t)DAY));
}

struct acme_order fixture_ready_order(struct fixture *f, const char *account_id, const char *name)
{
    struct acme_order order = fixture_order(f, account_id, (const char *const[]){name, NULL});
    if (order.status == ACME_ORDER_PENDING) {
        fixture_validate(f, order.authz_ids[0], NULL);
        assert_ok(acme_store_order_get(f->store, f->arena, order.id, &order));
    }
    assert_int_equal(order.status, ACME_ORDER_READY);
    return order;
}

struct acme_issuance fixture_issuance(struct fixture *f, const struct acme_order *order, const char *key,
                                      const char *csr)
{
    struct acme_issuance issuance = {
        .id = fixture_id(f),
        .account_id = order->account_id,
        .order_id = order->id,
        .profile = order->profile,
        .issuer = "lab",
        .names_digest = acme_identifiers_digest(f->arena, order->identifiers, order->identifier_count),
        .spki_sha256 = key,
        .csr_sha256 = csr,
        .csr = {.data = (const uint8_t *)"\x30\x00\x01", .len = 3},
        .identifiers = order->identifiers,
        .identifier_count = order->identifier_count,
        .created_ms = NOW,
        .deadline_ms = NOW + 7 * (int64_t)DAY,
    };
    return issuance;
}

struct acme_job fixture_job(struct fixture *f, const char *queue)
{
    return (struct acme_job){.id = fixture_id(f), .queue = queue, .created_ms = NOW};
}

struct acme_certificate fixture_certificate(struct fixture *f, const char *account_id)
{
    return (struct acme_certificate){
        .id = fixture_id(f),
        .account_id = account_id,
        .issuer = "lab",
        .chain = "-----BEGIN CERTIFICATE-----\n",
        .serial_hex = "0102",
        .aki_hex = "abcd",
        .sha256_hex = "beef",
        .not_before_ms = NOW,
        .not_after_ms = NOW + 90 * (int64_t)DAY,
        .created_ms = NOW,
    };
}
