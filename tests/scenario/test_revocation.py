#!/usr/bin/python3
"""revokeCert in its three ways, the list of revoked certificates over plain HTTP, and revocation at SCM."""

import contextlib
import datetime
import http.client
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtensionOID

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from harness.bridge import free_port  # noqa: E402 (found through the line above)
from harness.case import Case, ServerCase  # noqa: E402
from harness.keys import AccountKey, b64  # noqa: E402

QUICK = ("--approval-delay", "0", "--ca-delay", "0")
LIST_SECONDS = 10


def publish(bridge, path=""):
    """Turns the plain HTTP listener on."""
    bridge.http_port = free_port()
    bridge.settings["server"].update({"http_listen": f"127.0.0.1:{bridge.http_port}",
                                      "http_url": f"http://localhost:{bridge.http_port}{path}"})


def leaf_of(chain):
    return x509.load_pem_x509_certificate(chain.encode("ascii"))


def der_of(chain):
    return leaf_of(chain).public_bytes(Encoding.DER)


def signer(key):
    """A certificate's key as one that signs JWS."""
    account_key = AccountKey("ES256")
    account_key.private = key
    return account_key


def revoke(client, der, key=None, **members):
    options = {} if key is None else {"key": key}
    return client.post(client.directory["revokeCert"], {"certificate": b64(der), **members}, **options)


def plain(bridge, path, method="GET", body=None):
    connection = http.client.HTTPConnection("127.0.0.1", bridge.http_port, timeout=10)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


class RevocationCase:
    def revoked(self, response):
        self.assertEqual((response.status, response.body, response.content_type), (200, b"", None),
                         response.describe())

    def crl(self, bridge, path="/crl/local.crl"):
        status, headers, body = plain(bridge, path)
        self.assertEqual((status, headers["Content-Type"]), (200, "application/pkix-crl"))
        return x509.load_der_x509_crl(body), body

    def number_of(self, crl):
        return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number

    def listed(self, bridge, chain):
        """The entry of a certificate, once it is there."""
        serial = leaf_of(chain).serial_number
        deadline = time.monotonic() + LIST_SECONDS
        while time.monotonic() < deadline:
            crl, _ = self.crl(bridge)
            entry = crl.get_revoked_certificate_by_serial_number(serial)
            if entry is not None:
                return entry
            time.sleep(0.1)
        raise AssertionError(f"{serial:x} is not in the list")


class Local(RevocationCase, ServerCase):
    @classmethod
    def configure(cls, bridge):
        publish(bridge, "/pki")

    def crl(self, bridge, path="/pki/crl/local.crl"):
        return super().crl(bridge, path)

    def setUp(self):
        super().setUp()
        self.acme = self.client(self.bridge)
        self.acme.register()

    def obtain(self, name, client=None):
        return (client or self.acme).obtain(self.responder, name)

    def test_by_the_account_that_ordered(self):
        chain, _ = self.obtain("account.revoke.localhost")
        before = self.number_of(self.crl(self.bridge)[0])
        self.revoked(revoke(self.acme, der_of(chain), reason=4))
        entry = self.listed(self.bridge, chain)
        self.assertEqual(entry.extensions.get_extension_for_class(x509.CRLReason).value.reason,
                         x509.ReasonFlags.superseded)
        self.assertLess(abs((datetime.datetime.utcnow() - entry.revocation_date).total_seconds()), 60)
        self.assertGreater(self.number_of(self.crl(self.bridge)[0]), before)
        self.refused(revoke(self.acme, der_of(chain)), 400, "alreadyRevoked", "already")

    def test_by_the_certificates_own_key(self):
        chain, key = self.obtain("key.revoke.localhost")
        stranger = self.client(self.bridge)  # has no account at all
        self.revoked(revoke(stranger, der_of(chain), key=signer(key), reason=1))
        entry = self.listed(self.bridge, chain)
        self.assertEqual(entry.extensions.get_extension_for_class(x509.CRLReason).value.reason,
                         x509.ReasonFlags.key_compromise)

    def test_by_another_account_with_authorizations(self):
        chain, _ = self.obtain("third.revoke.localhost")
        other = self.client(self.bridge)
        other.register()
        self.refused(revoke(other, der_of(chain)), 403, "unauthorized", "authorizations")
        _, order = other.new_order("third.revoke.localhost")
        other.authorize(order, self.responder)
        self.revoked(revoke(other, der_of(chain)))
        # Without a reason none stands in the list.
        with self.assertRaises(x509.ExtensionNotFound):
            self.listed(self.bridge, chain).extensions.get_extension_for_class(x509.CRLReason)

    def test_with_another_key(self):
        chain, _ = self.obtain("another-key.revoke.localhost")
        self.refused(revoke(self.client(self.bridge), der_of(chain), key=AccountKey()), 403, "unauthorized", "key")

    def test_reasons(self):
        chain, _ = self.obtain("reasons.revoke.localhost")
        for reason in (2, 6, 7, 8, 9, 10, 11, -1):
            self.refused(revoke(self.acme, der_of(chain), reason=reason), 400, "badRevocationReason",
                         str(reason), "keyCompromise")
        for reason in ("1", 1.5, True, []):
            self.refused(revoke(self.acme, der_of(chain), reason=reason), 400, "malformed", "reason")
        self.revoked(revoke(self.acme, der_of(chain), reason=0))

    def test_what_is_no_certificate_of_ours(self):
        chain, key = self.obtain("unknown.revoke.localhost")
        der = der_of(chain)
        changed = der[:-1] + bytes([der[-1] ^ 1])  # another signature: another certificate
        self.refused(revoke(self.acme, changed), 404, "malformed", "not issued")
        self.refused(revoke(self.client(self.bridge), changed, key=signer(key)), 404, "malformed", "not issued")
        # Who has no right to the names is told the same of a certificate that exists and of one that does not.
        other = self.client(self.bridge)
        other.register()
        self.assertEqual(revoke(other, changed).json, revoke(other, der).json)
        for garbage, word in ((b"", "X.509"), (b"\x30\x03\x02\x01\x01", "X.509"), (der + b"\0", "X.509"),
                              (chain.encode("ascii"), "X.509")):
            self.refused(revoke(self.acme, garbage), 400, "malformed", word)
        url = self.acme.directory["revokeCert"]
        self.refused(self.acme.post(url, {"certificate": chain}), 400, "malformed", "PEM")
        self.refused(self.acme.post(url, {"certificate": b64(der) + "=="}), 400, "malformed", "base64url")
        self.refused(self.acme.post(url, {}), 400, "malformed", "certificate")
        self.refused(self.acme.post(url), 400, "malformed", "certificate")

    def test_openssl_takes_the_list(self):
        chain, key = self.obtain("verify.revoke.localhost")
        good, _ = self.obtain("good.revoke.localhost")
        leaf = self.check_certificate(chain, key, ["verify.revoke.localhost"], self.bridge.root)
        point = leaf.extensions.get_extension_for_class(x509.CRLDistributionPoints).value[0].full_name[0].value
        access = leaf.extensions.get_extension_for_oid(ExtensionOID.AUTHORITY_INFORMATION_ACCESS).value[0]
        self.assertEqual(access.access_method, AuthorityInformationAccessOID.CA_ISSUERS)
        base = f"http://localhost:{self.bridge.http_port}/pki"
        self.assertEqual((point, access.access_location.value),
                         (f"{base}/crl/local.crl", f"{base}/ca/local.cer"))
        self.revoked(revoke(self.acme, der_of(chain), reason=1))
        self.listed(self.bridge, chain)
        crl, der = self.crl(self.bridge, urllib.parse.urlsplit(point).path)
        self.assertEqual(crl.next_update - crl.last_update, datetime.timedelta(days=7, minutes=5))
        status, headers, issuer_der = plain(self.bridge, urllib.parse.urlsplit(access.access_location.value).path)
        self.assertEqual((status, headers["Content-Type"]), (200, "application/pkix-cert"))
        issuer = x509.load_der_x509_certificate(issuer_der)
        self.assertEqual(issuer.subject, leaf.issuer)
        self.assertTrue(crl.is_signature_valid(issuer.public_key()))
        with tempfile.TemporaryDirectory(prefix="acmebridge-crl-") as directory:
            def write(name, content):
                path = os.path.join(directory, name)
                with open(path, "wb") as stream:
                    stream.write(content)
                return path

            upper = write("upper.pem", issuer.public_bytes(Encoding.PEM))
            crl_file = write("list.pem", crl.public_bytes(Encoding.PEM))
            for name, pem, verdict in (("bad.pem", chain, "certificate revoked"), ("good.pem", good, "OK")):
                done = subprocess.run(
                    ["openssl", "verify", "-x509_strict", "-crl_check", "-no-CApath", "-no-CAstore",
                     "-CAfile", self.bridge.root, "-CRLfile", crl_file, "-untrusted", upper,
                     write(name, pem.encode("ascii"))], capture_output=True, text=True, timeout=20)
                self.assertIn(verdict, done.stdout + done.stderr)

    def test_plain_http_serves_nothing_else(self):
        for path in ("/", "/pki", "/pki/crl/", "/pki/crl/local.cer", "/pki/crl/other.crl", "/crl/local.crl",
                     "/pki/directory", "/pki/crl/local.crl/x", "/pki/ca/../crl/local.crl"):
            status, headers, body = plain(self.bridge, path)
            self.assertEqual((status, headers["Content-Type"]), (404, "application/problem+json"), path)
            self.assertNotIn("Replay-Nonce", headers)
        status, headers, _ = plain(self.bridge, "/pki/crl/local.crl", "POST", b"x")
        self.assertEqual((status, headers["Allow"]), (405, "GET, HEAD"))
        status, headers, body = plain(self.bridge, "/pki/crl/local.crl", "HEAD")
        self.assertEqual((status, body), (200, b""))
        self.assertGreater(int(headers["Content-Length"]), 100)

    def test_revoked_certificates_can_be_downloaded_and_authorizations_stay(self):
        name = "stays.revoke.localhost"
        order_url, key, csr = self.acme.begin(self.responder, name)
        order = self.acme.poll(order_url, ("valid",))
        chain = self.acme.download(order)
        self.revoked(revoke(self.acme, der_of(chain)))
        self.assertEqual(self.acme.download(order), chain)
        _, later = self.acme.new_order(name)
        self.assertEqual(later["status"], "ready", "its authorization is used again")

    def test_what_was_revoked_is_not_adopted(self):
        """An undelivered certificate serves a later order for the same key, unless it was revoked."""
        name = "adopt.revoke.localhost"
        order_url, key, _ = self.acme.begin(self.responder, name)
        self.acme.poll(order_url, ("valid",))
        second_url, _, _ = self.acme.begin(self.responder, name, key=key)
        chain = self.acme.download(self.acme.poll(second_url, ("valid",)))
        self.revoked(revoke(self.acme, der_of(chain)))
        third_url, _, _ = self.acme.begin(self.responder, name, key=key)
        third = self.acme.poll(third_url, ("valid",))
        self.assertNotEqual(der_of(self.acme.download(third)), der_of(chain))


class LocalRestart(RevocationCase, Case):
    def test_lists_survive_a_kill(self):
        responder = self.make_responder()
        bridge = self.make_bridge(responder.port)
        publish(bridge)
        bridge.start()
        client = self.client(bridge)
        chain, _ = client.obtain(responder, "kill.revoke.localhost")
        self.revoked(revoke(client, der_of(chain), reason=5))
        self.listed(bridge, chain)
        number = self.number_of(self.crl(bridge)[0])
        bridge.kill()
        bridge.restart()
        self.listed(bridge, chain)
        self.assertGreater(self.number_of(self.crl(bridge)[0]), number)
        client.close()
        client.nonces = []
        self.refused(revoke(client, der_of(chain)), 400, "alreadyRevoked")

    def test_a_busy_issuer_does_not_keep_others_waiting(self):
        responder = self.make_responder()
        bridge = self.make_bridge(responder.port)
        bridge.settings["issuers"].append({"name": "second", "type": "local"})
        bridge.settings["profiles"].append({"name": "second", "issuer": "second"})
        publish(bridge)
        bridge.start()
        client = self.client(bridge)
        chains = [client.obtain(responder, "busy.revoke.localhost")[0] for _ in range(16)]
        other = self.client(bridge, profile="second")
        chain, _ = other.obtain(responder, "second.revoke.localhost")
        serial = leaf_of(chain).serial_number
        for number, each in enumerate(chains):
            self.revoked(revoke(client, der_of(each)))
            if number == 1:
                self.revoked(revoke(other, der_of(chain)))
            if self.crl(bridge, "/crl/second.crl")[0].get_revoked_certificate_by_serial_number(serial):
                return
            time.sleep(0.5)
        self.fail("the list of the second issuer was not renewed while the first one's was")

    def test_nothing_is_advertised_that_is_not_served(self):
        responder = self.make_responder()
        bridge = self.make_bridge(responder.port)
        bridge.start()
        chain, _ = self.client(bridge).obtain(responder, "quiet.revoke.localhost")
        for oid in (ExtensionOID.CRL_DISTRIBUTION_POINTS, ExtensionOID.AUTHORITY_INFORMATION_ACCESS):
            with self.assertRaises(x509.ExtensionNotFound):
                leaf_of(chain).extensions.get_extension_for_oid(oid)


class Scm(RevocationCase, Case):
    def setUp(self):
        self.simulator = self.make_simulator(*QUICK)
        self.responder = self.make_responder()
        self.bridge = self.make_bridge(self.responder.port, self.simulator)
        self.bridge.start()
        self.acme = self.client(self.bridge, profile="scm")

    def obtain(self, name):
        return self.acme.obtain(self.responder, name)

    def fault(self, operation, kind, **members):
        self.simulator.control("POST", "/faults", {"operation": operation, "fault": kind, **members})

    def state(self):
        """(revocations accepted, calls to revoke, status, reason) at the simulator, which has one request."""
        stats = self.simulator.control("GET", "/stats")
        self.assertEqual(len(stats["requests"]), 1)
        request = stats["requests"][0]
        return (stats["revokes"], stats["received"].get("revoke", 0), request["status"], request["reasonCode"])

    def wait_for_state(self, status, limit=30):
        deadline = time.monotonic() + limit
        while self.state()[2] != status:
            self.assertLess(time.monotonic(), deadline, self.state())
            time.sleep(0.1)

    def test_revoked_at_scm(self):
        chain, _ = self.obtain("plain.scm.localhost")
        self.revoked(revoke(self.acme, der_of(chain), reason=4))
        self.assertEqual(self.state(), (1, 1, "Revoked", 4))
        self.refused(revoke(self.acme, der_of(chain)), 400, "alreadyRevoked")
        self.assertEqual(self.state()[1], 1)

    def test_revoked_there_already(self):
        chain, _ = self.obtain("before.scm.localhost")
        ssl_id = self.simulator.control("GET", "/stats")["requests"][0]["sslId"]
        self.simulator.api("POST", f"/api/ssl/v1/revoke/{ssl_id}", {"reasonCode": 1, "reason": "by hand"})
        self.revoked(revoke(self.acme, der_of(chain)))
        self.assertEqual(self.state()[1], 1)

    def test_issuer_that_is_no_longer_configured(self):
        """The revocation waits for its issuer, as orders do, and the operator is told."""
        chain, _ = self.obtain("orphan.scm.localhost")
        kept = {name: list(self.bridge.settings[name]) for name in ("issuers", "profiles")}
        self.bridge.stop()
        for name, items in kept.items():
            self.bridge.settings[name] = items[:1]
        self.bridge.restart()
        client = self.client(self.bridge, key=self.acme.key)
        client.register()
        self.revoked(revoke(client, der_of(chain), reason=4))
        self.assertTrue(self.bridge.log_lines("waits for an issuer", "issuer=sectigo"))
        self.assertEqual(self.state()[2], "Issued")
        self.bridge.stop()
        self.bridge.settings.update(kept)
        self.bridge.restart()
        self.wait_for_state("Revoked")
        self.assertEqual(self.state(), (1, 1, "Revoked", 4))

    def test_certificate_that_is_gone(self):
        """Its issuer was away until the expired certificate was removed: nothing waits for ever."""
        chain, _ = self.obtain("gone.scm.localhost")
        self.fault("details", "status-503-html", times=1000)
        self.revoked(revoke(self.acme, der_of(chain)))
        self.bridge.stop()
        with contextlib.closing(sqlite3.connect(os.path.join(self.bridge.data, "acmebridge.db"))) as db, db:
            for table in ("revocations", "certificate_chains", "certificates"):
                db.execute("DELETE FROM " + table)
            self.assertEqual(db.execute("SELECT COUNT(*) FROM jobs WHERE kind = 'revoke'").fetchone(), (1,))
        self.bridge.restart()
        self.bridge.wait_for_log("expired long ago")
        with contextlib.closing(sqlite3.connect(os.path.join(self.bridge.data, "acmebridge.db"))) as db:
            self.assertEqual(db.execute("SELECT COUNT(*) FROM jobs").fetchone(), (0,))

    def test_refused_by_scm(self):
        chain, _ = self.obtain("refused.scm.localhost")
        self.fault("revoke", "error", code=-12345, description="No.")
        self.refused(revoke(self.acme, der_of(chain), reason=1), 500, "serverInternal", "not revoked",
                     "administrator")
        self.assertEqual(self.state()[2], "Issued")
        self.assertTrue(self.bridge.log_lines("ALERT a certificate was not revoked"))
        # Nothing stands in the way of another try.
        self.revoked(revoke(self.acme, der_of(chain), reason=1))
        self.assertEqual(self.state(), (1, 2, "Revoked", 1))

    def test_scm_away(self):
        """The client's revocation is taken and carried out later, once, however often it is repeated."""
        chain, _ = self.obtain("away.scm.localhost")
        self.fault("details", "status-503-html", times=2)
        self.revoked(revoke(self.acme, der_of(chain)))
        self.assertEqual(self.state()[2], "Issued")
        self.revoked(revoke(self.acme, der_of(chain), reason=1))
        self.wait_for_state("Revoked")
        self.assertEqual(self.state(), (1, 1, "Revoked", 0))
        self.bridge.wait_for_log("certificate revoked")
        self.refused(revoke(self.acme, der_of(chain)), 400, "alreadyRevoked")

    def interrupted(self, fault, label):
        chain, _ = self.obtain(f"{label}.scm.localhost")
        self.fault("revoke", **fault)
        self.acme.timeout = 1
        with self.assertRaises(OSError):
            self.acme.close()
            revoke(self.acme, der_of(chain), reason=3)
        deadline = time.monotonic() + 15
        while not self.state()[1]:
            self.assertLess(time.monotonic(), deadline, "no call to revoke arrived")
            time.sleep(0.02)
        self.bridge.kill()
        self.bridge.restart()
        self.wait_for_state("Revoked")
        self.bridge.wait_for_log("certificate revoked", limit=30)
        self.acme.close()
        self.acme.timeout = 15
        self.acme.nonces = []
        self.refused(revoke(self.acme, der_of(chain)), 400, "alreadyRevoked")
        self.assertEqual((self.state()[0],) + self.state()[2:], (1, "Revoked", 3))

    def test_killed_before_the_answer(self):
        """SCM has revoked, the answer is under way: after the restart a look is enough."""
        self.interrupted({"kind": "delay-after", "delay_s": 20.0}, "after")
        self.assertEqual(self.state()[1], 1)

    def test_killed_before_scm_acted(self):
        self.interrupted({"kind": "delay", "delay_s": 3.0}, "before")

    def test_lost_answer(self):
        chain, _ = self.obtain("lost.scm.localhost")
        self.fault("revoke", "drop-after")
        self.revoked(revoke(self.acme, der_of(chain)))
        self.bridge.wait_for_log("certificate revoked", limit=30)
        self.assertEqual(self.state(), (1, 1, "Revoked", 0))


if __name__ == "__main__":
    unittest.main()
