"""What the suite runs against, and the services that the server's validations ask.

With ACME_DIRECTORY_URL in the environment that is any ACME server; docs/conformance.md lists the other
variables. Without it acmebridge is started here, with everything it has switched on.
"""

import atexit
import base64
import itertools
import os
import secrets
import sys
import urllib.parse

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(FOLDER, ".."))

from cryptography import x509  # noqa: E402 (found through the line above)
from harness.alpn import AlpnResponder  # noqa: E402
from harness.authority import cross, make_root, pem  # noqa: E402
from harness.bridge import Bridge, free_port  # noqa: E402
from harness.dns_server import DnsServer  # noqa: E402
from web import WebServer  # noqa: E402

sys.path.insert(0, FOLDER)  # the harness brings a folder with modules of the same names

DOMAIN = "conformance.example"
CAA_NAME = "ca.example"
TERMS = "https://terms.example/2026-01"


class Services:
    """Web server, tls-alpn-01 responder and DNS server under the names that the tests order."""

    def __init__(self, environment):
        self.address = environment.get("ACME_ADDRESS", "127.0.0.1")
        self.address6 = environment.get("ACME_ADDRESS6", "::1")
        self.domain = environment.get("ACME_DOMAIN", DOMAIN)
        self.web = WebServer(int(environment.get("ACME_HTTP01_PORT", "0")))
        self.alpn = AlpnResponder(int(environment.get("ACME_TLSALPN_PORT", "0")))
        self.dns = DnsServer(port=int(environment.get("ACME_DNS_PORT", "0"))).start()
        self.run = secrets.token_hex(3)
        self.counter = itertools.count(1)
        self.dns.add(self.domain, "A", self.address)

    def name(self, label="n", address=True):
        """A name nobody has used before; it resolves to our services."""
        name = f"{label}-{self.run}{next(self.counter)}.{self.domain}"
        if address:
            self.dns.add(name, "A", self.address)
        return name

    def stop(self):
        for service in (self.web, self.alpn, self.dns):
            service.stop()


class Site:
    """A server as its clients see it."""

    def __init__(self, services, directory_url, root, own, binding=None):
        parts = urllib.parse.urlsplit(directory_url)
        self.services = services
        self.directory_url = directory_url
        self.url = f"{parts.scheme}://{parts.netloc}"
        self.port = parts.port or 443
        self.host = parts.hostname
        self.root = root
        self.own = own
        self.binding = binding  # (key identifier, MAC key) that newAccount needs
        self.secrets = []
        self.bridge = None

    def __repr__(self):
        return self.directory_url


def own_settings(services, settings):
    """Everything that acmebridge can do, with short waits."""
    settings["server"].update(terms_of_service=TERMS, terms_of_service_must_agree=True, website="https://www.example/")
    settings["validation"].update(resolvers=[services.dns.address], tls_port=services.alpn.port)
    settings["orders"] = {"finalize_hold_ms": 0}
    settings["profiles"][0].update(challenges=["http-01", "dns-01", "tls-alpn-01"], identifiers=["dns", "ip"],
                                   allow_requested_dates=True, caa=[CAA_NAME])


def start_own(services, change=None):
    """A new acmebridge; `change` is called with its settings before the start."""
    bridge = Bridge(services.web.port)
    atexit.register(bridge.clean)
    own_settings(services, bridge.settings)
    published = free_port()
    bridge.settings["server"].update(http_listen=f"127.0.0.1:{published}", http_url=f"http://localhost:{published}")
    if change is not None:
        change(bridge.settings)
    bridge.start()
    site = Site(services, bridge.url + "/directory", bridge.root, own=True)
    site.bridge = bridge
    return site


def add_chain(site):
    """The CA of a running server gets a certificate from another root, so that there is a second chain."""
    bridge = site.bridge
    bridge.stop()
    with open(bridge.root, "rb") as stream:
        own = x509.load_pem_x509_certificate(stream.read())
    path = os.path.join(bridge.directory, "cross.pem")
    with open(path, "wb") as stream:
        stream.write(pem(cross(own, *make_root("Another Root"))))
    bridge.settings["issuers"][0]["cross_certificates_file"] = path
    bridge.restart()
    return site


class World:
    """Made once, on first use, for all modules of a run."""

    known_services = None
    known_main = None

    def services(self):
        if self.known_services is None:
            self.known_services = Services(os.environ)
            atexit.register(self.known_services.stop)
        return self.known_services

    def main(self):
        if self.known_main is None:
            url = os.environ.get("ACME_DIRECTORY_URL")
            if url:
                kid, key = os.environ.get("ACME_EAB_KID"), os.environ.get("ACME_EAB_KEY")
                binding = (kid, base64.urlsafe_b64decode(key + "=" * (-len(key) % 4))) if kid and key else None
                self.known_main = Site(self.services(), url, os.environ.get("ACME_CA_FILE"), False, binding)
            else:
                self.known_main = add_chain(start_own(self.services()))
        return self.known_main


WORLD = World()
