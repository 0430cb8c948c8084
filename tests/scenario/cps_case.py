"""What the tests of the CPS issuer have in common: a bridge, a CPS simulator, and a profile for each enrollment."""

import os
import sys
import time

from cryptography import x509
from cryptography.hazmat.primitives import serialization

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from cps_fixture import CpsSimulator  # noqa: E402 (found through the line above)
from harness.case import Case  # noqa: E402
from harness.responder import Responder  # noqa: E402

LIMIT = 45


def cps_issuer(simulator, section="default", name="akamai", **members):
    """The settings of an issuer; polls every second, and without the pace that a shared account deserves."""
    return {"name": name, "type": "cps", "edgerc_file": simulator.ready["edgerc_file"], "edgerc_section": section,
            "ca_file": simulator.ready["tls_ca_file"], "poll_seconds": 1, "poll_max_seconds": 1,
            "requests_per_minute": 6000, "burst": 100, **members}


class CpsCase(Case):
    """Every test has a simulator and a bridge of its own; the bridge starts with the first order."""

    simulator_settings = {}

    def setUp(self):
        super().setUp()
        self.cps = CpsSimulator(**self.simulator_settings)
        self.addCleanup(self.cps.clean)
        self.responder = Responder()
        self.addCleanup(self.responder.stop)
        self.bridge = self.make_bridge(self.responder.port)
        self.bridge.secrets += [self.cps.client()[name] for name in ("client_secret", "client_token", "access_token")]
        self.bridge.settings["orders"] = {"finalize_hold_ms": 100}
        self.bridge.settings["issuers"].append(cps_issuer(self.cps))
        # The bridge's own CA signs for third-party enrollments.
        self.local_root = self.bridge.root

    def add_profile(self, name, enrollment, key_holder="edge", **members):
        """A profile for an enrollment; members with a value of None are left out."""
        settings = {"id": enrollment, "key_holder": key_holder, "third_party_issuer": "local", **members}
        self.bridge.settings["profiles"].append({
            "name": name, "issuer": "akamai", "description": "At the edge",
            "enrollment": {key: value for key, value in settings.items() if value is not None}})

    def enrollment(self, kind, *names, profile="edge", key_holder="edge", options=None, **members):
        """Makes an enrollment and its profile; returns its number."""
        number = self.cps.make(kind, names[0], sans=list(names), **members)
        own = None if kind == "third-party" else {"third_party_issuer": None}
        self.add_profile(profile, number, key_holder, **{**(own or {}), **(options or {})})
        return number

    def acme(self, profile="edge"):
        if not self.bridge.running():
            self.bridge.start()
        return self.client(self.bridge, profile=profile)

    def begin(self, *names, profile="edge"):
        """(client, order URL) of an order that has been finalized."""
        client = self.acme(profile)
        return client, client.begin(self.responder, *names)[0]

    def ends(self, client, order_url, limit=LIMIT):
        return client.poll(order_url, ("valid", "invalid"), limit)

    def becomes_valid(self, client, order_url, enrollment, limit=LIMIT):
        """The order has the certificate that is deployed at the edge; returns the leaf."""
        order = self.ends(client, order_url, limit)
        self.assertEqual(order["status"], "valid", order)
        chain = client.download(order)
        leaf = x509.load_pem_x509_certificate(chain.encode("ascii"))
        live = self.cps.deployments(enrollment)["production"]
        deployed = [live["primaryCertificate"]] + (live["multiStackedCertificates"] or [])
        self.assertIn(leaf, [x509.load_pem_x509_certificate(item["certificate"].encode("ascii"))
                             for item in deployed])
        return leaf

    def failed(self, order, problem, *words):
        self.assertEqual((order["status"], order.get("error", {}).get("type", "").rpartition(":")[2]),
                         ("invalid", problem), order)
        for word in words:
            self.assertIn(word.lower(), order["error"]["detail"].lower())

    def assert_changes(self, enrollment, client=1, cps=0, foreign=0):
        """So many changes were started, and by whom."""
        self.assertEqual(self.cps.look(enrollment)["started"], {"client": client, "cps": cps, "foreign": foreign})

    def wait_change(self, enrollment, phase, limit=20):
        """The number of the newest change, once it is in a phase."""

        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            changes = self.cps.look(enrollment)["changes"]
            if changes and changes[-1]["phase"] == phase:
                return changes[-1]["id"]
            time.sleep(0.1)
        raise AssertionError(f"the changes of {enrollment} are {[item['phase'] for item in changes]}")

    def effects(self, enrollment):
        return [effect for entry in self.cps.journal(enrollment=enrollment, effects="true")
                for effect in entry["effect"]]


def names_of(certificate):
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return sorted(extension.value.get_values_for_type(x509.DNSName))


def csr_der(pem):
    return x509.load_pem_x509_csr(pem.encode("ascii")).public_bytes(serialization.Encoding.DER)
