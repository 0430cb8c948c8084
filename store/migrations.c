/* The schema, as numbered steps. A step that has been released is never changed; new ones are added at the
 * end. */
#include "store/internal.h"

#include "base/log.h"

/* Statuses are words, times milliseconds (0: absent), truth values 0 or 1. Ids are UUIDs in time order, so
 * primary keys grow at their end. Partial indexes hold only the rows they are asked for: most authorizations
 * are never reused, and an order has no issuance for most of its life. */
static const char schema_1[] =
    "CREATE TABLE accounts ("
    " id TEXT NOT NULL PRIMARY KEY,"
    " status TEXT NOT NULL,"
    " thumbprint TEXT NOT NULL UNIQUE,"
    " jwk TEXT NOT NULL,"
    " contacts TEXT NOT NULL,"
    " tos_agreed BIGINT NOT NULL,"
    " created_ms BIGINT NOT NULL);"

    "CREATE TABLE orders ("
    " id TEXT NOT NULL PRIMARY KEY,"
    " account_id TEXT NOT NULL REFERENCES accounts (id),"
    " profile TEXT NOT NULL,"
    " status TEXT NOT NULL,"
    " identifiers TEXT NOT NULL,"
    " not_before_ms BIGINT NOT NULL,"
    " not_after_ms BIGINT NOT NULL,"
    " expires_ms BIGINT NOT NULL,"
    " created_ms BIGINT NOT NULL,"
    " finalized_ms BIGINT NOT NULL,"
    " csr_sha256 TEXT,"
    " issuance_id TEXT,"
    " certificate_id TEXT,"
    " error TEXT)" ACME_DB_CLUSTERED ";"
    "CREATE INDEX orders_account ON orders (account_id, id);"
    "CREATE INDEX orders_issuance ON orders (issuance_id) WHERE issuance_id IS NOT NULL;"

    "CREATE TABLE authorizations ("
    " id TEXT NOT NULL PRIMARY KEY,"
    " account_id TEXT NOT NULL REFERENCES accounts (id),"
    " identifier_type TEXT NOT NULL,"
    " identifier_value TEXT NOT NULL,"
    " wildcard BIGINT NOT NULL,"
    " status TEXT NOT NULL,"
    " expires_ms BIGINT NOT NULL)" ACME_DB_CLUSTERED ";"
    "CREATE INDEX authorizations_valid ON authorizations"
    " (account_id, identifier_type, identifier_value, wildcard, expires_ms) WHERE status = 'valid';"

    "CREATE TABLE order_authorizations ("
    " order_id TEXT NOT NULL REFERENCES orders (id),"
    " position BIGINT NOT NULL,"
    " authz_id TEXT NOT NULL REFERENCES authorizations (id),"
    " PRIMARY KEY (order_id, position))" ACME_DB_CLUSTERED ";"
    "CREATE INDEX order_authorizations_authz ON order_authorizations (authz_id);"

    "CREATE TABLE challenges ("
    " id TEXT NOT NULL PRIMARY KEY,"
    " authz_id TEXT NOT NULL REFERENCES authorizations (id),"
    " position BIGINT NOT NULL,"
    " type TEXT NOT NULL,"
    " token TEXT NOT NULL,"
    " status TEXT NOT NULL,"
    " validated_ms BIGINT NOT NULL,"
    " started_ms BIGINT NOT NULL,"
    " error TEXT)" ACME_DB_CLUSTERED ";"
    "CREATE UNIQUE INDEX challenges_authz ON challenges (authz_id, position);"

    "CREATE TABLE issuances ("
    " id TEXT NOT NULL PRIMARY KEY,"
    " account_id TEXT NOT NULL REFERENCES accounts (id),"
    " order_id TEXT NOT NULL REFERENCES orders (id),"
    " profile TEXT NOT NULL,"
    " issuer TEXT NOT NULL,"
    " status TEXT NOT NULL,"
    " names_digest TEXT NOT NULL,"
    " spki_sha256 TEXT NOT NULL,"
    " csr_sha256 TEXT NOT NULL,"
    " csr BYTEA NOT NULL,"
    " identifiers TEXT NOT NULL,"
    " not_before_ms BIGINT NOT NULL,"
    " not_after_ms BIGINT NOT NULL,"
    " created_ms BIGINT NOT NULL,"
    " deadline_ms BIGINT NOT NULL,"
    " upstream_ref TEXT,"
    " certificate_id TEXT,"
    " error TEXT);"
    "CREATE INDEX issuances_wanted ON issuances (account_id, names_digest, spki_sha256, profile);"

    "CREATE TABLE certificates ("
    " id TEXT NOT NULL PRIMARY KEY,"
    " issuance_id TEXT NOT NULL REFERENCES issuances (id),"
    " account_id TEXT NOT NULL REFERENCES accounts (id),"
    " issuer TEXT NOT NULL,"
    " serial_hex TEXT NOT NULL,"
    " aki_hex TEXT,"
    " sha256_hex TEXT NOT NULL,"
    " not_before_ms BIGINT NOT NULL,"
    " not_after_ms BIGINT NOT NULL,"
    " created_ms BIGINT NOT NULL,"
    " downloaded_ms BIGINT NOT NULL,"
    " chain TEXT NOT NULL);" /* last: long, and then not read for the others */
    "CREATE INDEX certificates_serial ON certificates (serial_hex);"
    "CREATE INDEX certificates_sha256 ON certificates (sha256_hex);"

    /* due_ms is when the job may be claimed: the lease's end while somebody has it, else run_at_ms. One
     * column for both, so that finding due jobs never walks over those being worked on. */
    "CREATE TABLE jobs ("
    " id TEXT NOT NULL PRIMARY KEY,"
    " kind TEXT NOT NULL,"
    " subject_id TEXT NOT NULL,"
    " queue TEXT NOT NULL,"
    " state TEXT,"
    " intent BIGINT NOT NULL,"
    " attempts BIGINT NOT NULL,"
    " run_at_ms BIGINT NOT NULL,"
    " created_ms BIGINT NOT NULL,"
    " owner TEXT,"
    " due_ms BIGINT NOT NULL)" ACME_DB_CLUSTERED ";"
    "CREATE INDEX jobs_due ON jobs (queue, due_ms);"

    "CREATE TABLE named_values ("
    " name TEXT NOT NULL PRIMARY KEY,"
    " value BYTEA NOT NULL)" ACME_DB_CLUSTERED ";";

/* Authorizations made in advance are counted while they are pending. */
static const char schema_2[] =
    "ALTER TABLE authorizations ADD COLUMN in_advance BIGINT NOT NULL DEFAULT 0;"
    "CREATE INDEX authorizations_in_advance ON authorizations (account_id, expires_ms)"
    " WHERE status = 'pending' AND in_advance = 1;";

/* Whose share of its queue a job takes. Jobs of before belong to one share, nobody's. */
static const char schema_3[] = "ALTER TABLE jobs ADD COLUMN share TEXT NOT NULL DEFAULT '-';"
                               "CREATE INDEX jobs_share ON jobs (queue, share, due_ms);";

/* Which terms an account agreed to, and the external account it was bound to when it was made. */
static const char schema_4[] =
    "ALTER TABLE accounts ADD COLUMN terms TEXT;"
    "ALTER TABLE accounts ADD COLUMN external_kid TEXT;"
    "ALTER TABLE accounts ADD COLUMN external_binding TEXT;"
    "CREATE INDEX accounts_external ON accounts (external_kid) WHERE external_kid IS NOT NULL;";

/* Short rows of their own, so that a list of the revoked is read without the certificates. */
static const char schema_5[] =
    "CREATE TABLE revocations ("
    " certificate_id TEXT NOT NULL PRIMARY KEY REFERENCES certificates (id),"
    " issuer TEXT NOT NULL,"
    " serial_hex TEXT NOT NULL,"
    " not_after_ms BIGINT NOT NULL,"
    " status TEXT NOT NULL,"
    " reason BIGINT NOT NULL,"
    " requested_ms BIGINT NOT NULL,"
    " revoked_ms BIGINT NOT NULL,"
    " error TEXT)" ACME_DB_CLUSTERED ";"
    "CREATE INDEX revocations_list ON revocations (issuer, not_after_ms) WHERE status = 'revoked';";

/* Other chains of certificates; most have none. */
static const char schema_6[] = "CREATE TABLE certificate_chains ("
                               " certificate_id TEXT NOT NULL REFERENCES certificates (id),"
                               " position BIGINT NOT NULL,"
                               " chain TEXT NOT NULL,"
                               " PRIMARY KEY (certificate_id, position));";

/* Under which profile an authorization was made: whose CAA names count. And the keys that accounts have had:
 * records of dns-persist-01 name them. */
static const char schema_7[] = "ALTER TABLE authorizations ADD COLUMN profile TEXT;"
                               "CREATE TABLE former_keys ("
                               " account_id TEXT NOT NULL REFERENCES accounts (id),"
                               " thumbprint TEXT NOT NULL,"
                               " position BIGINT NOT NULL,"
                               " PRIMARY KEY (account_id, thumbprint))" ACME_DB_CLUSTERED ";";

/* Deleting a row has the database look for rows that refer to it; without these that is a walk through the
 * table. */
static const char schema_8[] = "CREATE INDEX issuances_order ON issuances (order_id);"
                               "CREATE INDEX certificates_issuance ON certificates (issuance_id);";

/* For the operator: what a job did last, in words, and which certificates end soon. */
static const char schema_9[] = "ALTER TABLE jobs ADD COLUMN note TEXT;"
                               "ALTER TABLE jobs ADD COLUMN noted_ms BIGINT NOT NULL DEFAULT 0;"
                               "ALTER TABLE jobs ADD COLUMN upstream_ref TEXT;"
                               "CREATE INDEX certificates_end ON certificates (not_after_ms);";

/* When a client last looked at its order, what an issuance continues upstream, and whose a number is there.
 */
static const char schema_10[] =
    "ALTER TABLE orders ADD COLUMN seen_ms BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE issuances ADD COLUMN predecessor_id TEXT;"
    "ALTER TABLE issuances ADD COLUMN continuation TEXT;"
    "CREATE INDEX issuances_predecessor ON issuances (predecessor_id) WHERE predecessor_id IS NOT NULL;"
    "CREATE INDEX issuances_upstream ON issuances (issuer, upstream_ref) WHERE upstream_ref IS NOT NULL;";

/* What is to be done with certificates once they are there. `place`: where a deployer puts them, the digest
 * of the names, or '' when all go to one; `position` orders those of a deployer. */
static const char schema_11[] = "CREATE TABLE deployments ("
                                " id TEXT NOT NULL PRIMARY KEY,"
                                " deployer TEXT NOT NULL,"
                                " certificate_id TEXT NOT NULL REFERENCES certificates (id),"
                                " issuance_id TEXT NOT NULL,"
                                " job_id TEXT NOT NULL,"
                                " place TEXT NOT NULL,"
                                " position BIGINT NOT NULL,"
                                " status TEXT NOT NULL,"
                                " target TEXT,"
                                " created_ms BIGINT NOT NULL,"
                                " deadline_ms BIGINT NOT NULL,"
                                " ended_ms BIGINT NOT NULL,"
                                " error TEXT);"
                                "CREATE INDEX deployments_certificate ON deployments (certificate_id);"
                                "CREATE INDEX deployments_place ON deployments (deployer, place, position);"
                                "CREATE INDEX deployments_position ON deployments (deployer, position);"
                                "CREATE TABLE deploy_targets ("
                                " deployer TEXT NOT NULL,"
                                " place TEXT NOT NULL,"
                                " target TEXT NOT NULL,"
                                " PRIMARY KEY (deployer, place))" ACME_DB_CLUSTERED ";";

/* Certificates that another issuer makes on the way of an issuance; who changes what at an upstream, one
 * after the other; what only the operator can decide. */
static const char schema_12[] =
    "ALTER TABLE issuances ADD COLUMN parent_id TEXT;"
    "ALTER TABLE issuances ADD COLUMN label TEXT;"
    "CREATE UNIQUE INDEX issuances_parent ON issuances (parent_id, label) WHERE parent_id IS NOT NULL;"

    "CREATE TABLE lines ("
    " object TEXT NOT NULL,"
    " place BIGINT NOT NULL,"
    " job_id TEXT NOT NULL,"
    " PRIMARY KEY (object, place),"
    " UNIQUE (object, job_id))" ACME_DB_CLUSTERED ";"
    "CREATE INDEX lines_job ON lines (job_id);"

    "ALTER TABLE jobs ADD COLUMN asked BIGINT NOT NULL DEFAULT 0;"
    "CREATE TABLE questions ("
    " job_id TEXT NOT NULL PRIMARY KEY,"
    " question_key TEXT NOT NULL,"
    " question TEXT NOT NULL,"
    " details TEXT,"
    " deadline_ms BIGINT NOT NULL,"
    " asked_ms BIGINT NOT NULL,"
    " answer TEXT NOT NULL DEFAULT 'none',"
    " answered_ms BIGINT NOT NULL DEFAULT 0,"
    " answered_by TEXT);";

/* Most jobs are in somebody's hands from the first moment to the last: only what waits is indexed; the owner
 * that is not there stands in the indexes so that they alone tell it. Certificates are found by their serial
 * numbers. */
static const char schema_13[] = "DROP INDEX certificates_sha256;"
                                "DROP INDEX jobs_due;"
                                "DROP INDEX jobs_share;"
                                "CREATE INDEX jobs_due ON jobs (owner, queue, due_ms) WHERE owner IS NULL;"
                                "CREATE INDEX jobs_share ON jobs (owner, queue, share, due_ms)"
                                " WHERE owner IS NULL;";

/* An authorization's challenges side by side: they are read together, and often. */
static const char schema_14[] = "CREATE TABLE challenges_of ("
                                " id TEXT NOT NULL UNIQUE,"
                                " authz_id TEXT NOT NULL REFERENCES authorizations (id),"
                                " position BIGINT NOT NULL,"
                                " type TEXT NOT NULL,"
                                " token TEXT NOT NULL,"
                                " status TEXT NOT NULL,"
                                " validated_ms BIGINT NOT NULL,"
                                " started_ms BIGINT NOT NULL,"
                                " error TEXT,"
                                " PRIMARY KEY (authz_id, position))" ACME_DB_CLUSTERED ";"
                                "INSERT INTO challenges_of (id, authz_id, position, type, token, status,"
                                " validated_ms, started_ms, error) SELECT id, authz_id, position, type,"
                                " token, status, validated_ms, started_ms, error FROM challenges"
                                " ORDER BY authz_id, position;"
                                "DROP TABLE challenges;"
                                "ALTER TABLE challenges_of RENAME TO challenges;";

static const char *const steps[] = {schema_1,  schema_2,  schema_3,  schema_4, schema_5,
                                    schema_6,  schema_7,  schema_8,  schema_9, schema_10,
                                    schema_11, schema_12, schema_13, schema_14};
enum { STEP_COUNT = sizeof steps / sizeof steps[0] };

static struct acme_err read_version(struct acme_db *db, int64_t *ret)
{
    ACME_CLEANUP_STMT struct acme_db_stmt *stmt = NULL;
    TRY(acme_db_one(db, &stmt, "SELECT COALESCE(MAX(version), 0) FROM schema_version"));
    *ret = acme_db_int(stmt, 0);
    return acme_ok();
}

static struct acme_err apply(struct acme_db *db, int64_t now_ms)
{
    int64_t version = 0;
    TRY(acme_db_script(db, "CREATE TABLE IF NOT EXISTS schema_version ("
                           " version BIGINT NOT NULL PRIMARY KEY,"
                           " applied_ms BIGINT NOT NULL)"));
    TRY(read_version(db, &version));
    if (version > STEP_COUNT) {
        acme_log(ERROR, "database is newer than this program", LOG_INT("schema", version),
                 LOG_INT("supported", STEP_COUNT));
        return acme_err(ACME_E_UNSUPPORTED);
    }
    for (; version < STEP_COUNT; version++) {
        TRY(acme_db_script(db, steps[version]));
        TRY(acme_db_run(db, NULL, "INSERT INTO schema_version (version, applied_ms) VALUES ($1, $2)",
                        DB_INT(version + 1), DB_INT(now_ms)));
    }
    return acme_ok();
}

struct acme_err acme_store_migrate(struct acme_db *db, int64_t now_ms)
{
    TRY(acme_db_begin(db));
    struct acme_err err = apply(db, now_ms);
    if (acme_failed(err)) {
        acme_db_rollback(db);
        return err;
    }
    return acme_db_commit(db);
}
