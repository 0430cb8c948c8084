/* How a call shows who makes it: headers with a password, a TLS client certificate (which the transport has)
 * with two headers and a path of its own, or a bearer token (which the transport fetches and adds). */
#include "backends/scm/scm_internal.h"

bool acme_scm_login_right(const struct acme_scm_config *config)
{
    bool password = config->password != NULL;
    bool certificate = config->client_cert_file != NULL && config->client_key_file != NULL;
    bool token = config->oauth.token_url != NULL;
    bool parts = config->client_cert_file != NULL || config->client_key_file != NULL;
    if (password + parts + token != 1 || parts != certificate || !acme_is_header_text(config->url))
        return false;
    if (token)
        return acme_is_header_text(config->oauth.token_url) && acme_is_header_text(config->oauth.client_id) &&
               acme_is_header_text(config->oauth.client_secret);
    return acme_is_header_text(config->login) && acme_is_header_text(config->customer_uri) &&
           (certificate || acme_is_header_text(config->password));
}

const char *acme_scm_login_prefix(const struct scm_issuer *scm)
{
    return scm->config.client_cert_file != NULL ? "/private" : "";
}

bool acme_scm_login_headers(const struct scm_issuer *scm, struct acme_http_call *call)
{
    const struct acme_scm_config *config = &scm->config;
    if (config->oauth.token_url != NULL)
        return true;
    bool fits = acme_http_call_header(call, "login", config->login);
    if (config->password != NULL)
        fits = fits && acme_http_call_header(call, "password", config->password);
    return fits && acme_http_call_header(call, "customerUri", config->customer_uri);
}

struct acme_secrets acme_scm_secrets(const struct scm_issuer *scm)
{
    return (struct acme_secrets){{scm->config.password, scm->config.oauth.client_secret}};
}
