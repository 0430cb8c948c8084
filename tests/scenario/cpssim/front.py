"""The front of the API: the HTTPS server of the SCM simulator, with the simulated clock in its Date header."""

import ssl

from simkit.httpfront import Handler, Server


def api_server(address, gateway, tls_bundle):
    class ApiHandler(Handler):
        server_version = "CPS"

        def respond(self, call):
            return gateway.handle(call)

        def date_time_string(self, timestamp=None):
            return super().date_time_string(gateway.verifier.now() if timestamp is None else timestamp)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(tls_bundle)
    return Server(address, ApiHandler, context)
