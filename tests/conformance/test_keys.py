#!/usr/bin/python3
"""External account binding and key rollover: RFC 8555 sections 7.3.4 and 7.3.5."""

import json
import os
import unittest

from case import ConformanceCase, shows
from harness.keys import AccountKey, b64
from surroundings import start_own

AGREED = {"termsOfServiceAgreed": True}


class KeyChange(ConformanceCase):
    def inner(self, client, new_key, url=None, account=None, old_key=None, without=(), payload=None, signer=None,
              **header):
        """The inner JWS, with whatever mistake."""
        protected = {"alg": new_key.alg, "jwk": new_key.jwk(), "url": url or client.directory["keyChange"], **header}
        for name in without:
            protected.pop(name)
        if payload is None:
            payload = {"account": account or client.account, "oldKey": (old_key or client.key).jwk()}
        first, second = b64(json.dumps(protected).encode()), b64(json.dumps(payload).encode())
        signature = (signer or new_key).sign(f"{first}.{second}".encode("ascii"))
        return {"protected": first, "payload": second, "signature": b64(signature)}

    def change(self, client, new_key, **mistake):
        return client.once(self.need_route("keyChange"), self.inner(client, new_key, **mistake))

    @shows("8555-7.3.5-1", "8555-7.3.5-9", "8555-7.3.5-10", "checklist-47")
    def test_success(self):
        self.need_route("keyChange")
        client = self.newcomer()
        old, new = client.key, AccountKey("ES384")
        name = self.name()
        order_url, order = client.ready(name)
        pending_url, pending = client.place(self.name())
        before = client.fetch(client.account).json
        before.pop("key", None)  # some servers show it
        response = self.change(client, new)
        self.assertEqual(response.status, 200, response.describe())
        self.refused(client.post(client.account), (400, 401, 403), "malformed", "unauthorized")
        client.key = new
        after = client.fetch(client.account).json
        after.pop("key", None)
        self.assertEqual(after, before)
        self.assertEqual(client.ask_account({"onlyReturnExisting": True}).location, client.account)
        self.assertEqual([client.fetch(url).json["status"] for url in (order_url, pending_url)], ["ready", "pending"])
        client.finish(order_url, order, [name])
        self.assertEqual([item["status"] for item in client.prove(pending)], ["valid"])
        self.refused(self.connect(key=old).ask_account({"onlyReturnExisting": True}), 400, "accountDoesNotExist")

    @shows("8555-8.3-8", "checklist-50")
    def test_responses_after_a_change_use_the_new_key(self):
        self.need_route("keyChange")
        client = self.newcomer()
        old = client.key
        _, order = client.place(self.name())
        client.expect(self.change(client, new := AccountKey()), 200)
        client.key = new
        url, authorization = client.authorizations(order)[0]
        challenge = client.pick(authorization, "http-01")
        client.provision(challenge, authorization["identifier"], f"{challenge['token']}.{old.thumbprint()}")
        client.respond(challenge)
        self.assertEqual(client.failed(challenge)[0]["status"], "invalid")

    @shows("8555-7.3.5-2", "8555-7.3.5-3", "8555-7.3.5-4", "8555-7.3.5-5", "8555-7.3.5-6", "8555-7.3.5-7",
           "checklist-48")
    def test_refused(self):
        self.need_route("keyChange")
        client, other = self.newcomer(), self.newcomer()
        new = AccountKey()
        mistakes = {
            "no jwk": {"without": ("jwk",)}, "kid instead of jwk": {"without": ("jwk",), "kid": client.account},
            "both": {"kid": client.account}, "another signature": {"signer": AccountKey()},
            "the old key's signature": {"signer": client.key}, "no url": {"without": ("url",)},
            "another url": {"url": client.directory["newOrder"]}, "a nonce": {"nonce": client.new_nonce()},
            "another account": {"account": other.account}, "no account's url": {"account": client.account + "/"},
            "another old key": {"old_key": other.key}, "the new key as old key": {"old_key": new},
            "no account": {"payload": {"oldKey": client.key.jwk()}},
            "no old key": {"payload": {"account": client.account}}, "no object": {"payload": []},
            "account is a number": {"payload": {"account": 7, "oldKey": client.key.jwk()}},
            "old key is text": {"payload": {"account": client.account, "oldKey": "x"}}, "alg none": {"alg": "none"},
            "alg of a MAC": {"alg": "HS256"}, "alg of another key": {"alg": "RS256"}}
        for what, mistake in mistakes.items():
            with self.subTest(what=what):
                self.refused(self.change(client, new, **mistake), (400, 401, 403), "malformed", "unauthorized",
                             "badSignatureAlgorithm", "badPublicKey")
        for what, payload in (("no JWS", {}), ("a list", b"[]"), ("nothing", None), ("text", b'"x"'),
                              ("unprotected", {**self.inner(client, new), "header": {}})):
            with self.subTest(what=what):
                self.refused(client.once(client.directory["keyChange"], payload), 400, "malformed")
        with self.subTest("outer by the new key"):
            self.refused(client.once(client.directory["keyChange"], self.inner(client, new), key=new,
                                      kid=client.account), (400, 401, 403), "malformed", "unauthorized")
        with self.subTest("outer with jwk"):
            self.refused(client.once(client.directory["keyChange"], self.inner(client, new), jwk=client.key.jwk()),
                         (400, 401, 403), "malformed", "unauthorized")
        weak = AccountKey("RS256", 1024)
        with self.subTest("a short key"):
            self.refused(self.change(client, weak), 400, "badPublicKey")
        self.assertEqual(client.fetch(client.account).json["status"], "valid", "nothing has changed")
        self.refused(self.connect(key=new).ask_account({"onlyReturnExisting": True}), 400, "accountDoesNotExist")

    @shows("8555-7.3.5-8", "8555-11.1-4", "checklist-49")
    def test_a_key_that_is_taken(self):
        self.need_route("keyChange")
        client, other = self.newcomer(), self.newcomer()
        response = self.change(client, other.key)
        self.assertEqual((response.status, response.location), (409, other.account), response.describe())
        response = self.change(client, client.key)
        self.assertEqual((response.status, response.location), (409, client.account), response.describe())
        self.assertEqual(client.fetch(client.account).json["status"], "valid")


class Binding(ConformanceCase):
    """At a server that requires it; our own runs such a one beside the main one."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.kid, cls.mac_key = "client-7", os.urandom(64)
        if not cls.site.own:
            cls.server = cls.site
            if cls.site.binding:
                cls.kid, cls.mac_key = cls.site.binding
            return
        os.environ["CONFORMANCE_HMAC_KEY"] = b64(cls.mac_key)
        os.environ["CONFORMANCE_HMAC_KEY_ONCE"] = b64(cls.mac_key)
        cls.server = start_own(cls.services, cls.configure)
        cls.addClassCleanup(cls.server.bridge.stop)

    @classmethod
    def configure(cls, settings):
        settings["accounts"] = {"external_account_required": True, "external_accounts": [
            {"kid": cls.kid, "hmac_key": "${CONFORMANCE_HMAC_KEY}"},
            {"kid": "once", "hmac_key": "${CONFORMANCE_HMAC_KEY_ONCE}", "single_use": True}]}

    def setUp(self):
        if not self.site.own and not self.site.binding:
            self.skipTest("ACME_EAB_KID and ACME_EAB_KEY are not set")

    def ask(self, client, binding, **members):
        return client.ask_account({**AGREED, **({} if binding is None else {"externalAccountBinding": binding}),
                                   **members})

    @shows("8555-7.3.4-4", "8555-7.3.4-5", "contract-6", "checklist-27", "checklist-41", "checklist-31")
    def test_required(self):
        client = self.connect(self.server)
        self.assertIs(client.directory["meta"]["externalAccountRequired"], True)
        self.refused(self.ask(client, None), (400, 401, 403), "externalAccountRequired")
        self.refused(client.ask_account({"onlyReturnExisting": True}), 400, "accountDoesNotExist")

    @shows("8555-7.3.4-1", "8555-7.3.4-2", "8555-7.3.4-8", "contract-6", "checklist-42", "checklist-44", "checklist-45")
    def test_success(self):
        for alg in ("HS256", "HS384", "HS512") if self.site.own else ("HS256",):
            with self.subTest(alg=alg):
                client = self.connect(self.server)
                binding = client.bind(self.kid, self.mac_key, alg=alg)
                response = self.ask(client, binding)
                self.assertEqual(response.status, 201, response.describe())
                self.assertEqual(response.json["externalAccountBinding"], binding)
                # The same key again, with and without a binding, is the same account.
                for again in (None, binding, {"wrong": 1}):
                    self.assertEqual((self.ask(client, again).status, self.ask(client, again).location),
                                     (200, response.location))
        client = self.connect(self.server)
        jwk = json.dumps({**dict(reversed(client.key.jwk().items())), "use": "sig"}, indent=3).encode()
        self.assertEqual(self.ask(client, client.bind(self.kid, self.mac_key, payload=jwk)).status, 201)

    @shows("8555-7.3.4-3", "8555-7.3.4-7", "8555-7.3.4-9", "checklist-43")
    def test_refused(self):
        client = self.connect(self.server)
        good = client.bind(self.kid, self.mac_key)
        url = client.directory["newOrder"]
        wrong = {
            "another MAC key": client.bind(self.kid, os.urandom(64)),
            "unknown kid": client.bind("nobody", self.mac_key),
            "no kid": client.bind(None, self.mac_key), "alg ES256": client.bind(self.kid, self.mac_key, alg="ES256"),
            "alg none": client.bind(self.kid, self.mac_key, alg="none"),
            "a nonce": client.bind(self.kid, self.mac_key, nonce=client.new_nonce()),
            "another url": client.bind(self.kid, self.mac_key, url=url),
            "another key": client.bind(self.kid, self.mac_key, key=AccountKey()),
            "no key": client.bind(self.kid, self.mac_key, payload=b"{}"),
            "a number": 7, "text": "x", "an empty object": {}, "a list": [good],
            "unprotected": {**good, "header": {}}, "padded": {**good, "signature": good["signature"] + "="},
            "short MAC": {**good, "signature": good["signature"][:20]}, "no MAC": {**good, "signature": ""}}
        for what, binding in wrong.items():
            with self.subTest(what=what):
                response = self.ask(client, binding)
                self.refused(response, (400, 401, 403), "malformed", "unauthorized", "badSignatureAlgorithm",
                             "externalAccountRequired", "badPublicKey")
        self.refused(client.ask_account({"onlyReturnExisting": True}), 400, "accountDoesNotExist")

    @shows("8555-7.3.4-7", "checklist-45")
    def test_single_use(self):
        self.need_own("a matter of its policy")
        clients = [self.connect(self.server) for _ in range(2)]
        first = self.ask(clients[0], clients[0].bind("once", self.mac_key))
        self.assertEqual(first.status, 201)
        self.refused(self.ask(clients[1], clients[1].bind("once", self.mac_key)), (401, 403), "unauthorized")
        self.assertEqual(self.ask(clients[0], clients[0].bind("once", self.mac_key)).status, 200)

    @shows("8555-7.3.4-6", "checklist-46")
    def test_not_required_and_not_verified(self):
        self.need_own("it runs without external accounts as well")
        client = self.connect()
        response = self.ask(client, client.bind("anything", b"x" * 32))
        self.assertEqual(response.status, 201)
        self.assertNotIn("externalAccountBinding", response.json)
        self.assertFalse(client.directory["meta"].get("externalAccountRequired", False))


if __name__ == "__main__":
    unittest.main()
