/* The rows of the configuration: every key there is. docs/configuration.md says the same in words. */
#ifndef ACME_SERVER_CONFIG_TABLES_H
#define ACME_SERVER_CONFIG_TABLES_H

#include "server/config_schema.h"

struct acme_config;
struct acme_cps_config;
struct acme_dv_config;
struct acme_keyfactor_config;
struct acme_oauth;
struct acme_profile;
struct acme_scm_config;
struct acme_deployer_config;

/* Kinds of issuers, for acme_config_fill: bits of enum acme_issuer_type's values. */
enum {
    ACME_CONFIG_KIND_LOCAL = 1 << 0,
    ACME_CONFIG_KIND_SCM = 1 << 1,
    ACME_CONFIG_KIND_KEYFACTOR = 1 << 2,
    ACME_CONFIG_KIND_CPS = 1 << 3
};

extern const struct acme_config_table acme_config_root_table;    /* struct acme_config */
extern const struct acme_config_table acme_config_issuer_table;  /* struct acme_issuer_config */
extern const struct acme_config_table acme_config_profile_table; /* struct acme_profile */

/* config_login.c */
extern const struct acme_config_table acme_config_oauth_table; /* struct acme_oauth */

enum acme_config_login {
    ACME_CONFIG_LOGIN_PASSWORD,
    ACME_CONFIG_LOGIN_CERTIFICATE,
    ACME_CONFIG_LOGIN_OAUTH,
    ACME_CONFIG_LOGIN_NONE
};

/** acme_config_login(reader, issuer, expected): the login that the keys of `issuer` are for; NONE after
 * noting that there is not exactly one. `expected` names the keys of those that are possible. */
enum acme_config_login acme_config_login(struct acme_config_reader *reader,
                                         const struct acme_yaml_node *issuer, const char *expected);

/** acme_config_oauth_secret(reader, issuer, oauth): read the secret of the key `oauth`. Mistakes are noted.
 */
void acme_config_oauth_secret(struct acme_config_reader *reader, const struct acme_yaml_node *issuer,
                              struct acme_oauth *oauth);

/** acme_config_need(reader, object, key): note that `object` lacks `key`, if it does.
 * acme_config_refuse(reader, object, key, with, without): note that it has `key`, if it does: "expected 'key'
 * only <with>, found it <without>". */
void acme_config_need(struct acme_config_reader *reader, const struct acme_yaml_node *object,
                      const char *key);
void acme_config_refuse(struct acme_config_reader *reader, const struct acme_yaml_node *object,
                        const char *key, const char *with, const char *without);

/* config_keyfactor.c */
extern const struct acme_config_table acme_config_keyfactor_table; /* struct acme_issuer_config */
extern const struct acme_config_table acme_config_dv_table;        /* struct acme_dv_config */
extern const struct acme_config_table acme_config_cps_table;       /* likewise */

/** acme_config_check_keyfactor(reader, issuer, keyfactor): read the secret of the login of an issuer whose
 * other keys have been read into `keyfactor`, and what must fit together. Mistakes are noted. */
void acme_config_check_keyfactor(struct acme_config_reader *reader, const struct acme_yaml_node *issuer,
                                 struct acme_keyfactor_config *keyfactor);

/* config_scm.c */

/** acme_config_read_scm_*(reader, node, object): values of a struct acme_issuer_config that are no plain
 * ones. Mistakes are noted. */
void acme_config_read_scm_class(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                void *object);
void acme_config_read_scm_dcv(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                              void *object);
void acme_config_read_scm_fields(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                 void *object);

/** acme_config_scm_comments, acme_config_scm_dcv_mode: checks of texts, see acme_config_check. */
const char *acme_config_scm_comments(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                     const char *value);
const char *acme_config_scm_dcv_mode(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                     const char *value);

/** acme_config_check_scm(reader, issuer, scm): read the secrets of the login of an issuer whose other keys
 * have been read into `scm`, and what must fit together. Mistakes are noted. */
void acme_config_check_scm(struct acme_config_reader *reader, const struct acme_yaml_node *issuer,
                           struct acme_scm_config *scm);

/* config_cps.c */
extern const struct acme_config_table acme_config_enrollment_table; /* struct acme_cps_profile */

/** acme_config_read_enrollment(reader, node, object): the key `enrollment` of a profile: its issuer_settings
 * (struct acme_cps_profile) and key_at_edge. Mistakes are noted. */
void acme_config_read_enrollment(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                 void *object);

/** acme_config_check_dv(reader, node, dv): what must fit together in a mapping that acme_config_dv_table has
 * read into `dv`; node NULL: there is none. */
void acme_config_check_dv(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                          struct acme_dv_config *dv);

/** acme_config_check_cps(reader, issuer, section, cps): read the .edgerc file of an issuer whose other keys
 * have been read into `cps`. Mistakes are noted; they name files and lines, never credentials. */
void acme_config_check_cps(struct acme_config_reader *reader, const struct acme_yaml_node *issuer,
                           const char *section, struct acme_cps_config *cps);

extern const struct acme_config_table acme_config_cps_deployer_table; /* struct acme_deployer_config */
extern const struct acme_config_table acme_config_target_table;       /* struct acme_cps_target */

/** acme_config_check_cps_deployer(reader, node, deployer): likewise for a deployer. */
void acme_config_check_cps_deployer(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                    struct acme_deployer_config *deployer);

/** acme_config_check_enrollment(reader, node, config, profile): what in the profile `node` depends on the
 * issuers. Mistakes are noted. */
void acme_config_check_enrollment(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                  const struct acme_config *config, struct acme_profile *profile);

/* config_deployers.c */
extern const struct acme_config_table acme_config_deployer_table; /* struct acme_deployer_config */

/* config_huawei.c */
extern const struct acme_config_table acme_config_huawei_table;            /* struct acme_deployer_config */
extern const struct acme_config_table acme_config_huawei_auth_table;       /* of its key auth */
extern const struct acme_config_table acme_config_huawei_iam_table;        /* struct acme_keystone */
extern const struct acme_config_table acme_config_huawei_access_key_table; /* struct acme_huawei_elb_config */

/** acme_config_check_huawei(reader, node, deployer): read the login of a deployer of type huawei-elb whose
 * other keys have been read, and what must fit together. Mistakes are noted. */
void acme_config_check_huawei(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                              struct acme_deployer_config *deployer);

/* config_accounts.c */
extern const struct acme_config_table acme_config_accounts_table; /* struct acme_config */
extern const struct acme_config_table acme_config_external_table; /* struct acme_external_key */

/** acme_config_check_accounts(reader, root, config): what must fit together between `accounts` and the terms.
 * Mistakes are noted. */
void acme_config_check_accounts(struct acme_config_reader *reader, const struct acme_yaml_node *root,
                                const struct acme_config *config);

#endif
