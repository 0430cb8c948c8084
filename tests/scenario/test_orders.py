#!/usr/bin/python3
"""Orders beyond the usual way: authorizations in advance, requested dates, keys, chains, and their end."""

import contextlib
import datetime
import hashlib
import os
import secrets
import sqlite3
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from cryptography import x509  # noqa: E402 (found through the line above)
from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: E402 (found through the line above)

from harness.authority import cross, make_root, pem  # noqa: E402 (found through the line above)
from harness.case import Case, ServerCase  # noqa: E402
from harness.keys import AccountKey, b64, certificate_key, csr_der, public_der  # noqa: E402


class InAdvance(ServerCase):
    def new_authz(self, client, name, **members):
        if client.account is None:
            client.register()
        payload = {"identifier": {"type": "dns", "value": name}, **members}
        return client.post(client.directory["newAuthz"], payload)

    def prove(self, client, url):
        challenge = client.challenge_of(url)
        self.responder.answer(challenge["token"], f"{challenge['token']}.{client.key.thumbprint()}")
        self.assertEqual(client.post(challenge["url"], {}).status, 200)
        return client.poll(url, ("valid", "invalid"))

    def test_the_order_is_ready_at_once(self):
        client = self.client(self.bridge)
        made = self.new_authz(client, "advance.localhost")
        self.assertEqual((made.status, made.json["status"]), (201, "pending"), made.describe())
        self.assertEqual(client.fetch(made.location).json, made.json)
        self.assertEqual(self.prove(client, made.location)["status"], "valid")
        url, order = client.new_order("advance.localhost")
        self.assertEqual((order["status"], order["authorizations"]), ("ready", [made.location]))
        key = certificate_key()
        self.assertEqual(client.finalize(url, order, csr_der(["advance.localhost"], key)).status, 200)
        order = client.poll(url, ("valid", "invalid"))
        self.check_certificate(client.download(order), key, ["advance.localhost"], self.bridge.root)

    def test_directory_of_a_profile(self):
        client = self.client(self.bridge, profile="default")
        self.assertTrue(client.directory["newAuthz"].endswith("/profile/default/new-authz"))
        made = self.new_authz(client, "profile.localhost")
        self.assertEqual(made.status, 201, made.describe())

    def test_refused(self):
        client = self.client(self.bridge)
        self.refused(self.new_authz(client, "*.advance.localhost"), 403, "malformed", "wildcard")
        self.refused(self.new_authz(client, "a..localhost"), 403, "rejectedIdentifier", "a..localhost")
        self.refused(self.new_authz(client, "a.localhost", profile="none"), 400, "invalidProfile", "default")
        self.refused(client.post(client.directory["newAuthz"]), 400, "malformed", "identifier")

    def test_deactivated_in_advance(self):
        client = self.client(self.bridge)
        made = self.new_authz(client, "left.localhost")
        self.assertEqual(self.prove(client, made.location)["status"], "valid")
        url, order = client.new_order("left.localhost")
        self.assertEqual(order["status"], "ready")
        gone = client.post(made.location, {"status": "deactivated"})
        self.assertEqual((gone.status, gone.json["status"]), (200, "deactivated"))
        self.assertEqual(client.fetch(url).json["status"], "invalid")
        csr = csr_der(["left.localhost"], certificate_key())
        self.refused(client.post(order["finalize"], {"csr": b64(csr)}), 403, "orderNotReady", "invalid")
        _, order = client.new_order("left.localhost")
        self.assertEqual(order["status"], "pending")


class Keys(ServerCase):
    @classmethod
    def configure(cls, bridge):
        cls.listed = certificate_key()
        cls.newcomer = AccountKey()
        path = os.path.join(bridge.directory, "blocked")
        with open(path, "w", encoding="ascii") as stream:
            stream.write("# keys that were found in a public repository\n")
            for key in (cls.listed, cls.newcomer.private):
                stream.write(hashlib.sha256(public_der(key)).hexdigest() + "\n")
        bridge.settings["blocked_keys_file"] = path

    @staticmethod
    def factored(p, q):
        """A private RSA key of these primes."""
        d = pow(65537, -1, (p - 1) * (q - 1))
        numbers = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p),
                                        rsa.RSAPublicNumbers(65537, p * q))
        return numbers.private_key()

    @staticmethod
    def is_prime(number):
        return all(number % small for small in (3, 5, 7, 11, 13)) and pow(2, number - 1, number) == 1

    def close_primes(self):
        p = rsa.generate_private_key(65537, 2048).private_numbers().p
        q = p + 2
        while not self.is_prime(q):
            q += 2
        return self.factored(p, q)

    def flawed_primes(self):
        """As devices with the ROCA flaw made them."""
        product = 1
        for number in range(2, 702):
            if all(number % small for small in range(2, number)):
                product *= number
        found = []
        while len(found) < 2:
            number = (secrets.randbits(52) | 1 << 52) * product + pow(65537, secrets.randbits(200), product)
            if number >> 1022 == 3 and self.is_prime(number):  # the product has all 2048 bits
                found.append(number)
        return self.factored(*found)

    def test_certificate_keys(self):
        client = self.client(self.bridge)
        other = self.client(self.bridge)
        other.register()
        name = "weak.localhost"
        url, order = client.new_order(name)
        client.authorize(order, self.responder)
        for what, key, word in (("listed", self.listed, "compromised"), ("close", self.close_primes(), "close"),
                                ("flawed", self.flawed_primes(), "ROCA"),
                                ("own account", client.key.private, "account"),
                                ("another account", other.key.private, "account of this server")):
            with self.subTest(what=what):
                response = client.post(order["finalize"], {"csr": b64(csr_der([name], key))})
                self.refused(response, 400, "badCSR", word)
                self.assertEqual(client.fetch(url).json["status"], "ready")
        self.assertEqual(client.finalize(url, order, csr_der([name], certificate_key())).status, 200)

    def test_account_keys(self):
        weak = AccountKey("RS256")
        weak.private = self.close_primes()
        for key, word in ((self.newcomer, "compromised"), (weak, "close")):
            with self.subTest(word=word):
                client = self.client(self.bridge, key=key)
                response = client.post(client.directory["newAccount"], {"termsOfServiceAgreed": True}, jwk=key.jwk())
                self.refused(response, 400, "badPublicKey", word)


class RequestedDates(ServerCase):
    @classmethod
    def configure(cls, bridge):
        bridge.settings["profiles"].append({"name": "dated", "issuer": "local", "validity_days": 30,
                                            "allow_requested_dates": True})

    @staticmethod
    def seconds_ahead(seconds):
        now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0, tzinfo=None)
        return now + datetime.timedelta(seconds=seconds)

    def test_kept_to_the_second(self):
        client = self.client(self.bridge)
        cases = ((-1800, 86400), (3 * 86400, 33 * 86400), (None, 30 * 86400), (-60, None))
        for number, (begin, end) in enumerate(cases):
            with self.subTest(begin=begin, end=end):
                name = f"dated{number}.localhost"
                wanted = {"profile": "dated"}
                if begin is not None:
                    wanted["notBefore"] = self.seconds_ahead(begin).isoformat() + "Z"
                if end is not None:
                    wanted["notAfter"] = self.seconds_ahead(end).isoformat() + "Z"
                url, order = client.new_order(name, **wanted)
                for member in ("notBefore", "notAfter"):
                    self.assertEqual(order.get(member), wanted.get(member))
                client.authorize(order, self.responder)
                client.finalize(url, order, csr_der([name], certificate_key()))
                order = client.poll(url, ("valid", "invalid"))
                self.assertEqual(order["status"], "valid", order)
                leaf = x509.load_pem_x509_certificate(client.download(order).encode("ascii"))
                if begin is not None:
                    self.assertEqual(leaf.not_valid_before.isoformat() + "Z", wanted["notBefore"])
                if end is not None:
                    self.assertEqual(leaf.not_valid_after.isoformat() + "Z", wanted["notAfter"])
                self.assertLessEqual(leaf.not_valid_after - leaf.not_valid_before, datetime.timedelta(days=30))

    def test_refused(self):
        client = self.client(self.bridge)
        client.register()
        one = {"identifiers": [{"type": "dns", "value": "dated.localhost"}], "profile": "dated"}
        for begin, end, word in ((-7200, None, "hour"), (8 * 86400, None, "seven days"), (None, -1, "future"),
                                 (86400, 3600, "behind"), (None, 31 * 86400, "720 hours")):
            with self.subTest(begin=begin, end=end):
                payload = dict(one)
                if begin is not None:
                    payload["notBefore"] = self.seconds_ahead(begin).isoformat() + "Z"
                if end is not None:
                    payload["notAfter"] = self.seconds_ahead(end).isoformat() + "Z"
                self.refused(client.post(client.directory["newOrder"], payload), 400, "malformed", word)


class Sweep(Case):
    """What has ended long ago goes by itself, and nothing else."""

    # Of 2020: ids begin with their time.
    OLD = "016f5e66-e800-7000-8000-00000000000"
    THEN_MS = 1577836800000

    def test_old_rows_go(self):
        responder = self.make_responder()
        bridge = self.make_bridge(responder.port)
        bridge.settings["orders"] = {"keep_days": 365}
        bridge.start()
        client = self.client(bridge)
        chain, _ = client.obtain(responder, "new.localhost")
        url, order = client.new_order("open.localhost")
        client.close()
        bridge.stop()
        account = client.account.rpartition("/")[2]
        with contextlib.closing(sqlite3.connect(os.path.join(bridge.data, "acmebridge.db"))) as db, db:
            db.execute("PRAGMA foreign_keys = ON")
            db.execute("INSERT INTO orders (id, account_id, profile, status, identifiers, not_before_ms,"
                       " not_after_ms, expires_ms, created_ms, finalized_ms)"
                       " VALUES (?, ?, 'default', 'pending', '[]', 0, 0, ?, ?, 0)",
                       (self.OLD + "1", account, self.THEN_MS, self.THEN_MS))
            db.execute("INSERT INTO authorizations (id, account_id, identifier_type, identifier_value, wildcard,"
                       " status, expires_ms) VALUES (?, ?, 'dns', 'old.localhost', 0, 'pending', ?)",
                       (self.OLD + "2", account, self.THEN_MS))
            db.execute("INSERT INTO order_authorizations (order_id, position, authz_id) VALUES (?, 0, ?)",
                       (self.OLD + "1", self.OLD + "2"))
            before = self.counts(db)
        bridge.restart()
        bridge.wait_for_log("removed what ended long ago", "orders=1", "authorizations=1", "certificates=0")
        self.assertEqual(client.fetch(url).json, order)
        self.assertTrue(chain)
        client.close()
        bridge.stop()
        with contextlib.closing(sqlite3.connect(os.path.join(bridge.data, "acmebridge.db"))) as db:
            self.assertEqual(self.counts(db), [before[0] - 1, before[1] - 1, before[2] - 1, before[3]])

    @staticmethod
    def counts(db):
        return [db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
                for table in ("orders", "authorizations", "order_authorizations", "certificates")]


class AlternateChains(Case):
    """A CA whose intermediate and root have certificates from two other roots as well."""

    def test_real_chains(self):
        responder = self.make_responder()
        bridge = self.make_bridge(responder.port)
        bridge.start()
        bridge.stop()
        own = {}
        for name in ("intermediate", "root"):
            with open(os.path.join(bridge.data, "ca", "local", name + ".pem"), "rb") as stream:
                own[name] = x509.load_pem_x509_certificate(stream.read())
        first_key, first = make_root("Partner Root")
        second_key, second = make_root("Old Company Root")
        path = os.path.join(bridge.directory, "cross.pem")
        with open(path, "wb") as stream:
            stream.write(pem(cross(own["intermediate"], first_key, first),
                             cross(own["root"], second_key, second)))
        roots = [bridge.root]
        for number, root in enumerate((first, second)):
            roots.append(os.path.join(bridge.directory, f"root{number}.pem"))
            with open(roots[-1], "wb") as stream:
                stream.write(pem(root))
        bridge.settings["issuers"][0]["cross_certificates_file"] = path
        bridge.restart()
        client = self.client(bridge)
        url, key, _ = client.begin(responder, "chains.localhost")
        order = client.poll(url, ("valid", "invalid"))
        response = client.fetch(order["certificate"])
        alternates = [link for link in response.all("Link") if 'rel="alternate"' in link]
        self.assertEqual(alternates, [f'<{order["certificate"]}/alternate/{n}>;rel="alternate"' for n in (1, 2)])
        chains = [response.body.decode("ascii")]
        chains += [client.fetch(link[1:link.index(">")]).body.decode("ascii") for link in alternates]
        leaves = {chain.split("-----END")[0] for chain in chains}
        self.assertEqual(len(leaves), 1)
        for chain, root, above in zip(chains, roots, (1, 1, 2)):
            self.check_certificate(chain, key, ["chains.localhost"], root, above)
        self.assertTrue(bridge.log_lines("certificate downloaded"))

    def test_a_stranger_in_the_file(self):
        bridge = self.make_bridge(5002)
        path = os.path.join(bridge.directory, "cross.pem")
        with open(path, "wb") as stream:
            stream.write(pem(make_root("Stranger")[1]))
        bridge.settings["issuers"][0]["cross_certificates_file"] = path
        with self.assertRaises(RuntimeError):
            bridge.start()
        self.assertTrue(bridge.log_lines("cross-certificates refused", "belongs neither"))


if __name__ == "__main__":
    unittest.main()
