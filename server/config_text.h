/* Texts of the configuration with a grammar: URLs, addresses, names, files. Each is an acme_config_check
 * (config_schema.h): it returns the normal form, or NULL after noting what was expected. */
#ifndef ACME_SERVER_CONFIG_TEXT_H
#define ACME_SERVER_CONFIG_TEXT_H

#include "server/config_schema.h"

#define ACME_CONFIG_BASE_URL_FORM "https://host[:port][/path], lower case, without a slash at the end"
#define ACME_CONFIG_HTTP_URL_FORM "http://host[:port][/path], lower case, without a slash at the end"
#define ACME_CONFIG_LISTEN_FORM   "address:port such as 0.0.0.0:443 or [::]:443"
#define ACME_CONFIG_LINK_FORM     "a URL beginning with https:// or http://"
#define ACME_CONFIG_NAME_FORM     "1 to 32 of the characters a-z, 0-9 and -"
#define ACME_CONFIG_NETWORK_FORM  "an address or a network in CIDR form such as 10.0.0.0/8 or 2001:db8::/32"
#define ACME_CONFIG_PROXY_FORM    "http://host:port, https://host:port or socks5h://host:port"
#define ACME_CONFIG_UPSTREAM_FORM "https://host[:port][/path] (http:// only to a loopback host)"

/** acme_config_base_url: the service's own URL: https, lower-case host, no user, query, fragment, no slash at
 * the end, no default port. When a correction is evident the mistake offers it. */
const char *acme_config_base_url(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                 const char *value);
/** acme_config_http_url: likewise with http: relying parties fetch it before they can trust anybody. */
const char *acme_config_http_url(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                 const char *value);
/** acme_config_upstream_url: likewise for an upstream; http is allowed to loopback hosts, where simulators
 * live. */
const char *acme_config_upstream_url(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                     const char *value);
/** acme_config_link: an absolute http or https URL for people to read, any path and query. */
const char *acme_config_link(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                             const char *value);
/** acme_config_proxy: scheme://[user:password@]host:port. The mistake never shows the value: it may hold a
 * password. */
const char *acme_config_proxy(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                              const char *value);
/** acme_config_listen: IPv4:port or [IPv6]:port, addresses only; port 0 lets the system choose. */
const char *acme_config_listen(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                               const char *value);
/** acme_config_resolver: an address, perhaps with a port; the normal form is "address" or "address@port". */
const char *acme_config_resolver(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                 const char *value);
/** acme_config_host_name: a DNS name or an address for a certificate, normalised. */
const char *acme_config_host_name(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                  const char *value);
/** acme_config_name: [a-z0-9-]{1,32}. */
const char *acme_config_name(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                             const char *value);
/** acme_config_blocked_keys: a readable file in the form acme_blocked_keys_load takes. */
const char *acme_config_blocked_keys(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                     const char *value);
/** acme_config_readable_file: a path (relative: from the file's folder) of a regular file we can read. */
const char *acme_config_readable_file(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                      const char *value);
/** acme_config_directory: a path (relative: from the file's folder); need not exist yet. */
const char *acme_config_directory(struct acme_config_reader *reader, const struct acme_yaml_node *node,
                                  const char *value);

#endif
