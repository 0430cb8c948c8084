#!/usr/bin/python3
"""Whole orders through SCM with each login, for both classes of certificates, with fields and comments."""

import datetime
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from cryptography import x509  # noqa: E402 (found through the line above)
from cryptography.hazmat.primitives import serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402
from cryptography.x509.oid import ExtendedKeyUsageOID  # noqa: E402

from harness.case import Case  # noqa: E402
from harness.keys import b64  # noqa: E402
from simkit.ca import Authority, name_of, pem_of, utc_now  # noqa: E402
from simkit.files import write_atomically  # noqa: E402

QUICK = ("--approval-delay", "0.2", "--ca-delay", "0.4")


class Logins(Case):
    def start(self, simulator, **changes):
        """A server whose SCM issuer has these keys; None takes one out."""
        self.simulator = simulator
        self.responder = self.make_responder()
        bridge = self.make_bridge(self.responder.port, simulator)
        for name, value in changes.items():
            bridge.scm.pop(name, None)
            if value is not None:
                bridge.scm[name] = value
        return bridge.start()

    def only(self, *logins):
        self.simulator.control("POST", "/settings", {"logins": list(logins)})

    def stats(self):
        return self.simulator.control("GET", "/stats")

    def buy(self, client, name):
        """One order to its end: the request that the simulator has of it."""
        chain, key = client.obtain(self.responder, name, limit=30)
        self.check_certificate(chain, key, [name], self.simulator.ready["root_file"])
        return next(request for request in self.stats()["requests"] if name in request["sans"])

    def client_files(self):
        directory = tempfile.TemporaryDirectory(prefix="acmebridge-client-")
        self.addCleanup(directory.cleanup)
        authority = Authority.load_or_make(directory.name, "client-ca", "Client CA", None, 0)
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = authority.sign(["bridge"], key.public_key(), utc_now() - datetime.timedelta(hours=1),
                                     utc_now() + datetime.timedelta(days=1), name_of("bridge"),
                                     ExtendedKeyUsageOID.CLIENT_AUTH)
        files = [os.path.join(directory.name, name) for name in ("client-ca.pem", "bridge.pem", "bridge.key")]
        write_atomically(files[1], pem_of(certificate), 0o600)
        write_atomically(files[2], key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()), 0o600)
        return files

    def test_client_certificate(self):
        ca_file, certificate, key = self.client_files()
        bridge = self.start(self.make_simulator(*QUICK, "--client-ca", ca_file), password_file=None,
                            client_certificate_file=certificate, client_key_file=key)
        self.only("certificate")
        client = self.client(bridge, profile="scm")
        self.assertEqual(self.buy(client, "mtls.scm.localhost")["status"], "Issued")
        self.assertEqual(set(self.stats()["answered"]["details"]), {"200"})

    def oauth(self, simulator, **changes):
        return {"password_file": None, "login": None, "customer_uri": None, "oauth": {
            "token_url": simulator.ready["url"] + "/auth/token", "client_id": "bridge",
            "client_secret_file": simulator.ready["password_file"], **changes}}

    def test_oauth(self):
        simulator = self.make_simulator(*QUICK)
        bridge = self.start(simulator, **self.oauth(simulator, scope="certificates"))
        self.only("oauth")
        client = self.client(bridge, profile="scm")
        self.buy(client, "token.scm.localhost")
        self.buy(client, "token2.scm.localhost")
        self.assertEqual(self.stats()["received"]["token"], 1)

    def test_oauth_refused(self):
        """The client's order waits, it is the operator who has to act."""
        simulator = self.make_simulator(*QUICK)
        bridge = self.start(simulator, **self.oauth(simulator, client_id="somebody"))
        client = self.client(bridge, profile="scm")
        order_url, _, _ = client.begin(self.responder, "refused.scm.localhost")
        bridge.wait_for_log("no access token")
        self.assertEqual(client.fetch(order_url).json["status"], "processing")
        self.assertNotIn("enroll", self.stats()["received"])

    def test_device_certificates(self):
        bridge = self.start(self.make_simulator(*QUICK), **{"class": "device"})
        client = self.client(bridge, profile="scm")
        name = "printer.scm.localhost"
        chain, key = client.obtain(self.responder, name, limit=30)
        self.check_certificate(chain, key, [name], self.simulator.ready["root_file"])
        request = self.stats()["requests"][0]
        self.assertEqual((request["kind"], request["sans"]), ("device", [name]))
        leaf = x509.load_pem_x509_certificate(chain.encode("ascii")).public_bytes(serialization.Encoding.DER)
        response = client.post(client.directory["revokeCert"], {"certificate": b64(leaf), "reason": 4})
        self.assertEqual(response.status, 200, response.describe())
        self.assertEqual(self.stats()["requests"][0]["reasonCode"], 4)

    def test_lost_device_enroll_is_found_again(self):
        bridge = self.start(self.make_simulator(*QUICK), **{"class": "device"})
        self.simulator.control("POST", "/faults", {"operation": "enroll", "fault": "drop-after"})
        client = self.client(bridge, profile="scm")
        self.buy(client, "lost.scm.localhost")
        self.assertEqual(len(self.stats()["requests"]), 1)

    def test_fields_and_comments(self):
        bridge = self.start(
            self.make_simulator(*QUICK), custom_fields={"Cost centre": 4711, "Team": "web"},
            comments="ACME order {order} of {account}, EAB {eab}", external_requester="pki@example.test")
        self.simulator.control("POST", "/settings", {"custom_fields": [
            {"id": 1, "name": "Cost centre", "mandatory": True}, {"id": 2, "name": "Team"}]})
        self.simulator.control("POST", "/faults", {"operation": "enroll", "fault": "drop-after"})
        client = self.client(bridge, profile="scm")
        request = self.buy(client, "fields.scm.localhost")
        self.assertEqual(len(self.stats()["requests"]), 1)
        self.assertEqual(request["customFields"], [{"name": "Cost centre", "value": "4711"},
                                                   {"name": "Team", "value": "web"}])
        self.assertEqual(request["externalRequester"], "pki@example.test")
        self.assertRegex(request["comments"], r"^acmebridge/[0-9a-f-]+ ACME order \S+ of \S+, EAB -$")

    def test_missing_field_ends_the_order(self):
        bridge = self.start(self.make_simulator(*QUICK))
        self.simulator.control("POST", "/settings", {"custom_fields": [
            {"id": 1, "name": "Cost centre", "mandatory": True}]})
        client = self.client(bridge, profile="scm")
        order_url, _, _ = client.begin(self.responder, "nofield.scm.localhost")
        order = client.poll(order_url, ("valid", "invalid"), 20)
        self.assertEqual(order["status"], "invalid", order)
        self.assertIn("custom field", bridge.log())


if __name__ == "__main__":
    unittest.main()
