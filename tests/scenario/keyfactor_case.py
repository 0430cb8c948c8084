"""Base classes of the scenarios with Keyfactor Command: a server whose issuer is the simulator."""

import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from cryptography import x509  # noqa: E402 (found through the line above)
from cryptography.hazmat.primitives import serialization  # noqa: E402

from harness.acme import URN, digest  # noqa: E402
from harness.case import Case  # noqa: E402
from harness.keys import b64, certificate_key  # noqa: E402
from harness.later import look_later as turn_clock  # noqa: E402
from keyfactor_fixture import KeyfactorSimulator  # noqa: E402

__all__ = ["ISSUER", "PROFILE", "URN", "KeyfactorCase", "b64", "certificate_key", "digest", "issuer_settings", "leaf_der",
           "oauth_settings"]
PROFILE = "command"
ISSUER = "keyfactor"


def issuer_settings(ready, **changes):
    """The configuration of an issuer; changes of None take keys out."""
    settings = {
        "name": ISSUER, "type": "keyfactor", "url": ready["url"], "api_path": ready["api_path"],
        "login": ready["login"], "password_file": ready["password_file"], "ca_file": ready["tls_ca_file"],
        "certificate_authority": ready["authority"], "template": ready["template"],
        # Neither the patience nor the pace that a shared service deserves is anything a simulator needs.
        "poll_max_seconds": 1, "requests_per_minute": 6000, "burst": 100, "max_concurrency": 32,
        "call_timeout_seconds": 5, **changes}
    return {name: value for name, value in settings.items() if value is not None}


def oauth_settings(ready, **changes):
    return {"login": None, "password_file": None, "oauth": {
        "token_url": ready["token_url"], "client_id": ready["client_id"],
        "client_secret_file": ready["client_secret_file"], **changes}}


class KeyfactorCase(Case):
    """A simulator for each test; the server starts with begin()."""

    simulator_settings = {}

    def setUp(self):
        self.kf = KeyfactorSimulator("--settings", json.dumps(self.simulator_settings))
        self.addCleanup(self.kf.clean)
        self.responder = self.make_responder()
        self.bridge = None
        self.acme = None

    def prepare(self, **changes):
        """A server that is not started yet."""
        self.bridge = self.make_bridge(self.responder.port)
        self.bridge.secrets += [self.kf.password, self.kf.client_secret]
        self.bridge.settings["issuers"].append(issuer_settings(self.kf.ready, **changes))
        self.bridge.settings["profiles"].append(
            {"name": PROFILE, "issuer": ISSUER, "description": "Through the Keyfactor simulator"})
        self.bridge.settings["orders"] = {"finalize_hold_ms": 100}
        # Passwords of renewals are among what the log must not have; they are known only afterwards.
        self.addCleanup(self.check_secrets)
        return self.bridge

    def check_secrets(self):
        if not self.is_alive():
            return
        log, stored = self.bridge.log().encode("utf-8"), self.bridge.stored()
        found = [secret for secret in self.kf.secrets() if secret.encode("utf-8") in log + stored]
        self.assertEqual(found, [], "the log or the store discloses a secret")

    def is_alive(self):
        return self.kf.process.poll() is None

    def begin(self, **changes):
        self.prepare(**changes).start()
        self.acme = self.client(self.bridge, profile=PROFILE)
        return self.acme

    def start_again(self):
        """After stop() or kill() of the server."""
        self.bridge.start()
        self.acme.close()
        self.acme.nonces = []

    def look_later(self, minutes=10, deadline=False):
        """As if so much time had passed since the last thing a job did: what waits is due, patience is at its end. With
        `deadline` the issuances' own end has come. Stops and starts the server."""
        if self.bridge.running():
            self.bridge.stop()
        turn_clock(self.bridge, minutes, deadline)
        self.start_again()

    # ---- orders ----

    def order(self, name, **options):
        """(order URL, key, CSR) of an order that is finalized."""
        return self.acme.begin(self.responder, name, **options)

    def ends(self, url, limit=20):
        return self.acme.poll(url, ("valid", "invalid"), limit)

    def ends_well(self, name, url, key, limit=20):
        """The chain of an order that must become valid, after it was checked."""
        order = self.ends(url, limit)
        self.assertEqual(order["status"], "valid", order)
        chain = self.acme.download(order)
        self.check_certificate(chain, key, [name], self.kf.ready["root_file"], intermediates=2)
        return chain

    def becomes_valid(self, name, limit=20, **options):
        """A whole order, with one enrollment and one certificate in Command."""
        url, key, csr = self.order(name, **options)
        self.ends_well(name, url, key, limit)
        self.enrolled_once(name, csr)
        return url, key, csr

    def failed(self, order, problem, *words):
        self.assertEqual((order["status"], order.get("error", {}).get("type")), ("invalid", URN + problem), order)
        for word in words:
            self.assertIn(word, order["error"]["detail"])

    def enrolled_once(self, name, csr):
        requests = self.kf.requests(name)
        self.assertEqual([one["csr_sha256"] for one in requests], [digest(csr)])
        self.assertEqual(len(self.kf.certificates(name)), 1)

    def revoke(self, chain, reason=None, status=200):
        """revokeCert by the account that ordered it."""
        payload = {"certificate": b64(leaf_der(chain))}
        if reason is not None:
            payload["reason"] = reason
        return self.acme.expect(self.acme.post(self.acme.directory["revokeCert"], payload), status)

    # ---- looking ----

    def received(self, operation):
        return self.kf.stats()["received"].get(operation, 0)

    def wait_until(self, condition, limit=20):
        deadline = time.monotonic() + limit
        while not condition():
            self.assertLess(time.monotonic(), deadline, "did not come true in time")
            time.sleep(0.1)

    def request_of(self, name, limit=10):
        """The request for a name, once there is one."""
        self.wait_until(lambda: self.kf.requests(name), limit)
        return self.kf.requests(name)[0]


def leaf_der(chain):
    return x509.load_pem_x509_certificate(chain.encode("ascii")).public_bytes(serialization.Encoding.DER)
