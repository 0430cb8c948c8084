/* Issuers, profiles and what must fit together between the parts of a configuration. */
#ifndef ACME_SERVER_CONFIG_OBJECTS_H
#define ACME_SERVER_CONFIG_OBJECTS_H

#include "server/config.h"
#include "server/config_schema.h"

/** acme_config_read_objects(reader, root, config): read the issuers (with their passwords), then the
 * profiles, then find the default profile, and check what concerns several keys: names that must be unique or
 * exist, TLS files in pairs or an issuer for the server's own certificate. `config` has its other fields
 * already. Mistakes are noted. */
void acme_config_read_objects(struct acme_config_reader *reader, const struct acme_yaml_node *root,
                              struct acme_config *config);

/** acme_config_read_deployers(reader, root, config): the deployers, and that the profiles, which are read
 * already, name some of them, each once (config_deployers.c). Mistakes are noted. */
void acme_config_read_deployers(struct acme_config_reader *reader, const struct acme_yaml_node *root,
                                struct acme_config *config);

#endif
