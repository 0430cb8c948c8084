#!/usr/bin/python3
"""Accounts over their life: another key, other terms, external accounts, the end, and what becomes of orders."""

import os
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from harness.acme import Client  # noqa: E402 (found through the line above)
from harness.bridge import free_port  # noqa: E402
from harness.case import Case, ServerCase  # noqa: E402
from harness.keys import ALGORITHMS, AccountKey, b64, certificate_key, csr_der  # noqa: E402

QUICK = ("--approval-delay", "0.2", "--ca-delay", "0.4")
DEACTIVATE = {"status": "deactivated"}


class KeyChange(ServerCase):
    def test_through_every_algorithm(self):
        client = self.client(self.bridge)
        client.register()
        for alg in ALGORITHMS:
            key = AccountKey(alg)
            response = client.key_change(key)
            self.assertEqual(response.status, 200, response.describe())
            self.assertEqual(response.location, client.account)
            client.key = key
            self.assertEqual(client.fetch(client.account).json["status"], "valid")

    def test_orders_and_authorizations_stay(self):
        client = self.client(self.bridge)
        client.obtain(self.responder, "kept.localhost")
        order_url, order = client.new_order("pending.localhost")
        challenge = client.challenge_of(order["authorizations"][0])
        old, new = client.key, AccountKey("ES384")
        self.assertEqual(client.key_change(new).status, 200)
        client.key = new
        self.assertEqual(client.new_order("kept.localhost")[1]["status"], "ready")
        # A key authorization is made with the key the account has when it is validated.
        self.responder.answer(challenge["token"], f"{challenge['token']}.{old.thumbprint()}")
        client.post(challenge["url"], {})
        self.assertEqual(client.poll(order_url, ("ready", "invalid"))["status"], "invalid")
        chain, key = client.obtain(self.responder, "pending.localhost")
        self.check_certificate(chain, key, ["pending.localhost"], self.bridge.root)

    def test_the_old_key_is_nothing_afterwards(self):
        client = self.client(self.bridge)
        client.register()
        old, new = client.key, AccountKey()
        self.assertEqual(client.key_change(new).status, 200)
        self.refused(client.post(client.account), 400, "malformed", "verify")
        self.refused(client.post(client.directory["newAccount"], {"onlyReturnExisting": True}, jwk=old.jwk()),
                     400, "accountDoesNotExist")
        self.bridge.stop()
        self.bridge.start()
        client.close()
        client.nonces = []
        self.refused(client.post(client.account), 400, "malformed", "verify")
        client.key = new
        self.assertEqual(client.fetch(client.account).status, 200)
        found = client.post(client.directory["newAccount"], {"onlyReturnExisting": True}, jwk=new.jwk())
        self.assertEqual((found.status, found.location), (200, client.account))

    def test_a_used_key_is_a_conflict(self):
        client, other = self.client(self.bridge), self.client(self.bridge)
        client.register()
        other.register()
        response = client.key_change(other.key)
        self.refused(response, 409, "malformed", "already")
        self.assertEqual(response.location, other.account)
        self.assertEqual(client.fetch(client.account).status, 200)

    def test_rules(self):
        client, other = self.client(self.bridge), self.client(self.bridge)
        client.register()
        other.register()
        new = AccountKey()
        self.refused(client.key_change(new, account=other.account), 400, "malformed", "account")
        self.refused(client.key_change(new, old_jwk=other.key.jwk()), 400, "malformed", "oldKey")
        self.refused(client.key_change(new, inner_url=client.directory["newOrder"]), 400, "malformed", "url")
        self.refused(client.key_change(AccountKey("RS256", 1024)), 400, "badPublicKey", "2048")
        self.assertEqual(client.key_change(new, old_jwk={"use": "sig", **client.key.jwk()}).status, 200)

    def test_under_load_the_old_key_ends_at_once(self):
        """No request that begins after the answer to keyChange is granted to the old key."""
        client = self.client(self.bridge)
        client.register()
        old, new = client.key, AccountKey()
        granted, errors, done = [], [], threading.Event()

        def hammer():
            mine = Client(self.bridge, key=old)
            mine.account = client.account
            try:
                while not done.is_set():
                    begin = time.monotonic()
                    response = mine.post(mine.account)
                    granted.append((begin, response.status))
            except Exception as error:  # pylint: disable=broad-except
                errors.append(error)
            finally:
                mine.close()

        threads = [threading.Thread(target=hammer) for _ in range(6)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        self.assertEqual(client.key_change(new).status, 200)
        changed = time.monotonic()
        time.sleep(0.5)
        done.set()
        for thread in threads:
            thread.join(10)
        self.assertEqual(errors, [])
        before = [status for begin, status in granted if begin < changed]
        after = [status for begin, status in granted if begin > changed]
        self.assertIn(200, before)
        self.assertEqual(set(after), {400})


class Deactivation(ServerCase):
    def test_nothing_works_afterwards(self):
        client = self.client(self.bridge)
        chain, _ = client.obtain(self.responder, "done.localhost")
        self.assertIn("BEGIN CERTIFICATE", chain)
        ready_url, ready = client.new_order("done.localhost")
        pending_url, pending = client.new_order("pending.localhost")
        challenge = client.challenge_of(pending["authorizations"][0])
        orders = client.fetch(client.account).json["orders"]
        certificate = client.poll(client.fetch(orders).json["orders"][0], ("valid",))["certificate"]
        response = client.post(client.account, DEACTIVATE)
        self.assertEqual((response.status, response.json["status"]), (200, "deactivated"))
        csr = csr_der(["done.localhost"], certificate_key())
        for url, payload in ((client.account, None), (client.account, {"status": "valid"}), (orders, None),
                             (client.directory["newOrder"],
                              {"identifiers": [{"type": "dns", "value": "a.localhost"}]}),
                             (ready_url, None), (ready["finalize"], {"csr": b64(csr)}), (pending_url, None),
                             (pending["authorizations"][0], None), (challenge["url"], {}), (certificate, None),
                             (client.directory["keyChange"], {})):
            self.refused(client.post(url, payload), 401, "unauthorized", "deactivated")
        for payload in ({}, {"onlyReturnExisting": True}):
            self.refused(client.post(client.directory["newAccount"], payload, jwk=client.key.jwk()),
                         401, "unauthorized", "deactivated")
        self.assertEqual(self.responder.count(challenge["token"]), 0)

    def test_a_waiting_validation_contacts_nobody(self):
        client = self.client(self.bridge)
        _, order = client.new_order("waits.localhost")
        challenge = client.challenge_of(order["authorizations"][0])
        # The first try fails for a reason that may pass, so that a second one is due a few seconds later.
        port = self.bridge.settings["validation"]["http_port"]
        self.bridge.settings["validation"]["http_port"] = free_port()
        self.bridge.stop()
        self.bridge.start()
        client.close()
        client.nonces = []
        client.post(challenge["url"], {})
        self.bridge.wait_for_log("validation will be tried again", challenge["url"].rsplit("/", 1)[1])
        self.assertEqual(client.post(client.account, DEACTIVATE).status, 200)
        self.bridge.stop()
        self.bridge.settings["validation"]["http_port"] = port
        self.bridge.start()
        self.bridge.wait_for_log("challenge invalid", challenge["url"].rsplit("/", 1)[1], "no longer pending")
        self.assertEqual(self.responder.count(challenge["token"]), 0)


class DeactivationUpstream(Case):
    """What an account had begun at SCM is followed to its end; what had not begun does not begin."""

    def start(self, *arguments):
        simulator = self.make_simulator(*arguments, "--listen", f"127.0.0.1:{free_port()}")
        responder = self.make_responder()
        bridge = self.make_bridge(responder.port, simulator)
        bridge.settings["orders"] = {"finalize_hold_ms": 0}
        bridge.start()
        return simulator, responder, bridge

    def test_an_enroll_in_flight_is_followed(self):
        simulator, responder, bridge = self.start("--approval-delay", "1", "--ca-delay", "2")
        client = self.client(bridge, profile="scm")
        order_url, _, _ = client.begin(responder, "inflight.scm.localhost")
        deadline = time.monotonic() + 10
        while not simulator.control("GET", "/stats")["requests"] and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assertEqual(client.post(client.account, DEACTIVATE).status, 200)
        bridge.wait_for_log("certificate issued", order_url.rsplit("/", 1)[1], limit=30)
        self.assertEqual(len(simulator.control("GET", "/stats")["requests"]), 1)

    def test_an_enroll_that_waits_is_not_sent(self):
        simulator, responder, bridge = self.start(*QUICK)
        client = self.client(bridge, profile="scm")
        client.register()
        simulator.stop()
        order_url, _, _ = client.begin(responder, "waits.scm.localhost")
        order = order_url.rsplit("/", 1)[1]
        bridge.wait_for_log("could not be reached", order)
        self.assertEqual(client.post(client.account, DEACTIVATE).status, 200)
        simulator.start()
        bridge.wait_for_log("issuance not begun, its account was deactivated", order, limit=40)
        self.assertEqual(simulator.control("GET", "/stats")["requests"], [])


class ExternalAccounts(ServerCase):
    KEYS = {"team-a": bytes(range(32)), "team-b": bytes(range(100, 164)), "once": bytes(range(200, 232))}

    @classmethod
    def configure(cls, bridge):
        entries = []
        for kid, key in cls.KEYS.items():
            path = os.path.join(bridge.directory, kid + ".key")
            with open(path, "w", encoding="ascii") as stream:
                stream.write(b64(key) + "\n")
            os.chmod(path, 0o600)
            entries.append({"kid": kid, "hmac_key_file": kid + ".key", "single_use": kid == "once"})
            bridge.secrets.append(b64(key))
        bridge.settings["accounts"] = {"external_account_required": True, "external_accounts": entries}

    def bound(self, client, kid, digest="sha256", key=None):
        return client.post(client.directory["newAccount"],
                           {"externalAccountBinding": client.binding(kid, key or self.KEYS[kid], digest)},
                           jwk=client.key.jwk())

    def test_directory(self):
        self.assertIs(self.client(self.bridge).directory["meta"]["externalAccountRequired"], True)

    def test_binding(self):
        for kid, digest in (("team-a", "sha256"), ("team-b", "sha256"), ("team-b", "sha384"),
                            ("team-b", "sha512")):
            client = self.client(self.bridge, key=AccountKey("RS256"))
            self.refused(client.post(client.directory["newAccount"], {}, jwk=client.key.jwk()),
                         403, "externalAccountRequired")
            response = self.bound(client, kid, digest)
            self.assertEqual(response.status, 201, response.describe())
            client.account = response.location
            self.assertEqual(client.fetch(client.account).json["externalAccountBinding"],
                             client.binding(kid, self.KEYS[kid], digest))
            self.bridge.wait_for_log("account created", client.account.rsplit("/", 1)[1], f"external_kid={kid}")
            # Known keys are answered as ever.
            for payload in ({}, {"onlyReturnExisting": True}):
                again = client.post(client.directory["newAccount"], payload, jwk=client.key.jwk())
                self.assertEqual((again.status, again.location), (200, client.account))
            chain, key = client.obtain(self.responder, "bound.localhost")
            self.check_certificate(chain, key, ["bound.localhost"], self.bridge.root)

    def test_refused(self):
        client, other = self.client(self.bridge), self.client(self.bridge)
        self.refused(self.bound(client, "nobody", key=self.KEYS["team-a"]), 403, "unauthorized", "nobody")
        self.refused(self.bound(client, "team-a", key=self.KEYS["team-b"]), 403, "unauthorized", "HMAC key")
        self.refused(self.bound(client, "team-a", "sha512"), 400, "malformed", "too short")
        foreign = {"externalAccountBinding": other.binding("team-a", self.KEYS["team-a"])}
        self.refused(client.post(client.directory["newAccount"], foreign, jwk=client.key.jwk()),
                     400, "malformed", "account key")
        self.refused(client.post(client.directory["newAccount"], {"onlyReturnExisting": True},
                                 jwk=client.key.jwk()), 400, "accountDoesNotExist")

    def test_single_use(self):
        first, second = self.client(self.bridge), self.client(self.bridge)
        self.assertEqual(self.bound(first, "once").status, 201)
        self.assertEqual(self.bound(first, "once").status, 200)
        self.refused(self.bound(second, "once"), 403, "unauthorized", "once")


class Terms(Case):
    def test_new_terms(self):
        responder = self.make_responder()
        bridge = self.make_bridge(responder.port)
        bridge.settings["server"]["terms_of_service"] = "https://pki.example/terms-1"
        bridge.start()
        client, other = self.client(bridge), self.client(bridge)
        unwilling = self.client(bridge)
        for one in (client, other):
            self.assertIs(one.register().json["termsOfServiceAgreed"], True)
        self.terms_refused(unwilling.post(unwilling.directory["newAccount"], {}, jwk=unwilling.key.jwk()), 1)
        order_url, _ = client.new_order("terms.localhost")
        bridge.stop()
        bridge.settings["server"]["terms_of_service"] = "https://pki.example/terms-2"
        bridge.start()
        self.reconnect(client, other)
        self.assertEqual(client.fetch(order_url).json["status"], "pending")  # nobody insists

        bridge.stop()
        bridge.settings["server"]["terms_of_service_must_agree"] = True
        bridge.start()
        self.reconnect(client, other)
        self.terms_refused(client.post(order_url), 2)
        self.terms_refused(client.post(client.directory["newOrder"], {"identifiers": []}), 2)
        self.assertNotIn("termsOfServiceAgreed", client.fetch(client.account).json)
        key = AccountKey()
        self.assertEqual(client.key_change(key).status, 200)
        client.key = key
        self.terms_refused(client.post(order_url), 2)
        agreed = client.post(client.account, {"termsOfServiceAgreed": True})
        self.assertIs(agreed.json["termsOfServiceAgreed"], True)
        self.assertEqual(client.fetch(order_url).json["status"], "pending")
        client.obtain(responder, "terms.localhost")

        self.terms_refused(other.post(other.directory["newOrder"], {"identifiers": []}), 2)
        self.assertEqual(other.register().status, 200)
        other.new_order("terms.localhost")

    @staticmethod
    def reconnect(*clients):
        for client in clients:
            client.close()
            client.nonces = []

    def terms_refused(self, response, version):
        url = f"https://pki.example/terms-{version}"
        self.refused(response, 403, "userActionRequired", url)
        self.assertEqual(response.json["instance"], url)
        self.assertIn(f'<{url}>;rel="terms-of-service"', response.all("Link"))


if __name__ == "__main__":
    unittest.main()
