#!/usr/bin/python3
"""Accounts: RFC 8555 sections 7.1.2 and 7.3 to 7.3.3, 7.3.6."""

import concurrent.futures
import unittest

from case import ConformanceCase, shows
from client import CertificateSigner
from harness.keys import AccountKey, b64
from surroundings import TERMS, start_own

AGREED = {"termsOfServiceAgreed": True}
CONTACT = ["mailto:admin@example.com"]


class Creation(ConformanceCase):
    def agree(self, client, payload=None, **options):
        binding = {"externalAccountBinding": client.bind(*self.site.binding)} if self.site.binding else {}
        return client.ask_account({**AGREED, **binding, **(payload or {})}, **options)

    @shows("8555-7.3-12", "contract-6", "checklist-29")
    def test_new_account(self):
        client = self.connect()
        response = self.agree(client, {"contact": CONTACT})
        self.assertEqual(response.status, 201, response.describe())
        account = response.json
        self.assertEqual((account["status"], account["contact"]), ("valid", CONTACT))
        self.assertTrue(account["orders"].startswith("https://"))
        client.account = response.location
        again = client.fetch(response.location)
        self.assertEqual(again.json, account)

    @shows("8555-7.3.1-1", "8555-7.3.1-2", "8555-11.1-4", "contract-6", "checklist-30")
    def test_known_key(self):
        client = self.newcomer()
        client.post(client.account, {"contact": CONTACT})
        before = client.fetch(client.account).json
        for payload in ({"contact": ["mailto:other@example.com"]}, {"contact": ["ftp://wrong"]},
                        {"status": "deactivated"}, {}, {"onlyReturnExisting": True}):
            with self.subTest(payload=payload):
                response = client.ask_account({**AGREED, **payload})
                self.assertEqual((response.status, response.location, response.json), (200, client.account, before))
        response = client.ask_account({"onlyReturnExisting": True})
        self.assertEqual((response.status, response.location), (200, client.account))

    @shows("8555-7.3-1", "8555-7.3.1-3", "contract-6", "checklist-31")
    def test_only_return_existing(self):
        client = self.connect()
        for _ in range(2):
            self.refused(client.ask_account({"onlyReturnExisting": True}), 400, "accountDoesNotExist")
        self.assertEqual(client.register().status, 201, "the question has created nothing")

    @shows("8555-7.3-9", "8555-7.3-10", "checklist-32")
    def test_terms_have_to_be_agreed(self):
        self.need("termsOfService" in self.acme.directory.get("meta", {}), "termsOfService")
        client = self.connect()
        for payload in ({}, {"termsOfServiceAgreed": False}, {"termsOfServiceAgreed": "true"},
                        {"termsOfServiceAgreed": 1}):
            with self.subTest(payload=payload):
                self.refused(client.ask_account(payload), (400, 403), "userActionRequired", "malformed")
        self.refused(client.ask_account({"onlyReturnExisting": True}), 400, "accountDoesNotExist")

    @shows("8555-7.3-2", "8555-7.3-3", "8555-7.3-11", "contract-20", "checklist-21", "checklist-34")
    def test_unknown_members_are_ignored(self):
        client = self.connect()
        response = self.agree(client, {
            "orders": "https://elsewhere.example/orders", "status": "revoked", "resource": "new-reg", "id": 7,
            "createdAt": "0001-01-01T00:00:00Z", "unheardOf": {"a": [1, None]}, "contact": None})
        self.assertEqual(response.status, 201, response.describe())
        self.assertEqual(response.json["status"], "valid")
        self.assertTrue(response.json["orders"].startswith(self.site.url))
        for name in ("resource", "unheardOf"):
            self.assertNotIn(name, response.json)

    @shows("8555-7.3-4", "8555-7.3-5", "8555-7.3-6", "8555-7.3-7", "8555-7.3-8", "checklist-33")
    def test_contacts(self):
        for contact in ([], CONTACT, ["MAILTO:admin@example.com"], ["mailto:a@example.com", "mailto:b@example.com"],
                        ["mailto:a+tag@example.com"]):
            with self.subTest(contact=contact):
                self.assertEqual(self.agree(self.connect(), {"contact": contact}).status, 201)
        for contact in ("ftp://example.com", "https://example.com/", "urn:x:y"):
            with self.subTest(contact=contact):
                response = self.agree(self.connect(), {"contact": [contact]})
                self.refused(response, 400, "unsupportedContact")
                self.assertIn("mailto", response.detail)
        for contact in ("mailto:a@example.com?subject=x", "mailto:a@example.com,b@example.com", "mailto:nobody",
                        "mailto:", "mailto:a@", "mailto:@example.com", "mailto:a b@example.com"):
            with self.subTest(contact=contact):
                client = self.connect()
                self.refused(self.agree(client, {"contact": [contact]}), 400, "invalidContact")
                self.refused(client.ask_account({"onlyReturnExisting": True}), 400, "accountDoesNotExist")
        for contact in ("mailto:a@example.com", [7], [None], {"a": 1}):
            with self.subTest(contact=contact):
                self.refused(self.agree(self.connect(), {"contact": contact}), 400, "malformed", "invalidContact",
                             "unsupportedContact")

    @shows("8555-11.1-4", "checklist-39")
    def test_one_key_at_once_makes_one_account(self):
        key = AccountKey()
        clients = [self.connect(key=key) for _ in range(6)]
        for client in clients:
            client.nonces = [client.new_nonce()]
        with concurrent.futures.ThreadPoolExecutor(len(clients)) as pool:
            responses = list(pool.map(self.agree, clients))
        self.assertEqual(sorted(response.status for response in responses), [200] * 5 + [201])
        self.assertEqual(len({response.location for response in responses}), 1)

    @shows("8555-8.1-1", "8555-11.1-4", "checklist-40")
    def test_one_key_written_in_several_ways(self):
        key = AccountKey("RS256")
        client = self.newcomer(key=key)
        jwk = key.jwk()
        for name, other in (("extra members", {**jwk, "use": "sig", "alg": "RS256", "kid": "x"}),
                            ("other order", dict(reversed(jwk.items()))),
                            ("leading zero", {**jwk, "n": b64(b"\0" + key.private.public_key().public_numbers()
                                                              .n.to_bytes(256, "big"))})):
            with self.subTest(name):
                response = client.ask_account({"onlyReturnExisting": True}) if other is jwk else client.post(
                    client.directory["newAccount"], {"onlyReturnExisting": True}, jwk=other)
                if name == "leading zero" and response.status == 400:
                    self.refused(response, 400, "badPublicKey", "malformed")
                else:
                    self.assertEqual((response.status, response.location), (200, client.account))


class Update(ConformanceCase):
    @shows("8555-7.3.2-2", "checklist-35")
    def test_contacts(self):
        client = self.newcomer()
        for contact in (CONTACT, ["mailto:x@example.com", "mailto:y@example.com"]):
            response = client.post(client.account, {"contact": contact})
            self.assertEqual((response.status, response.json.get("contact")), (200, contact))
            self.assertEqual(client.fetch(client.account).json, response.json)
        for payload in (None, {}, {"contact": contact, "status": "valid"}):
            response = client.post(client.account, payload)
            self.assertEqual((response.status, response.json["contact"]), (200, contact))
        self.assertFalse(client.post(client.account, {"contact": []}).json.get("contact"))

    @shows("8555-7.3.2-1", "checklist-38")
    def test_what_cannot_be_updated(self):
        client = self.newcomer()
        before = client.fetch(client.account).json
        for payload in ({"orders": "https://elsewhere.example/"}, {"termsOfServiceAgreed": False}, {"unheardOf": 1}):
            with self.subTest(payload=payload):
                response = client.post(client.account, payload)
                self.assertEqual((response.status, response.json), (200, before))
        for status in ("revoked", "pending"):
            with self.subTest(status=status):
                self.assertIn(client.post(client.account, {"status": status}).status, (200, 400))
                self.assertEqual(client.fetch(client.account).json, before)

    @shows("8555-7.3-7", "8555-7.3-8")
    def test_wrong_contacts(self):
        client = self.newcomer()
        before = client.fetch(client.account).json
        self.refused(client.post(client.account, {"contact": ["ftp://example.com"]}), 400, "unsupportedContact")
        self.refused(client.post(client.account, {"contact": ["mailto:a@b?c=d"]}), 400, "invalidContact")
        self.assertEqual(client.fetch(client.account).json, before)


class Terms(ConformanceCase):
    @shows("8555-7.3.3-1", "8555-7.3.3-2", "8555-7.3.3-3", "deviation-terms")
    def test_changed_terms(self):
        self.need_own("the terms have to change")
        site = start_own(self.services)
        client = self.newcomer(site)
        client.place(self.name())
        site.bridge.stop()
        terms = TERMS + "b"
        site.bridge.settings["server"]["terms_of_service"] = terms
        site.bridge.restart()
        client.close()
        client.nonces = []
        response = client.ask_order(self.name())
        self.refused(response, 403, "userActionRequired")
        self.assertIn(f'<{terms}>;rel="terms-of-service"', response.all("Link"))
        self.assertRegex(response.json["instance"], r"\Ahttps?://")
        self.assertEqual(client.fetch(client.account).json["status"], "valid")
        self.refused(self.connect(site).ask_account({}), (400, 403), "userActionRequired")
        self.assertEqual(client.post(client.account, {"termsOfServiceAgreed": True}).status, 200)
        self.assertEqual(client.ask_order(self.name()).status, 201)
        site.bridge.stop()


class Deactivation(ConformanceCase):
    @shows("8555-7.3.6-1", "8555-7.3.6-2", "8555-7.3.6-3", "8555-7.3.6-4", "8555-7.3.6-5", "checklist-37",
           "checklist-38")
    def test_nothing_works_afterwards(self):
        client = self.newcomer()
        issued = client.issue(self.name())
        order_url, order = client.place(self.name())
        authorization = order["authorizations"][0]
        challenge = client.pick(client.fetch(authorization).json, "http-01")
        self.refused(client.post(client.account, {"status": "deactivated"}, key=AccountKey(), kid=client.account),
                     (400, 401, 403), "malformed", "unauthorized")
        response = client.post(client.account, {"status": "deactivated"})
        self.assertEqual((response.status, response.json["status"]), (200, "deactivated"))
        client.provision(challenge, {"type": "dns", "value": "x"})
        hits = self.web.count(challenge["token"])
        for url, payload in ((client.account, None), (client.account, {"status": "valid"}), (order_url, None),
                             (authorization, None), (challenge["url"], {}), (issued.order["certificate"], None),
                             (client.directory["newOrder"], {"identifiers": []}), (order["finalize"], {"csr": "AA"}),
                             (self.site.directory_url, None)):
            with self.subTest(url=url):
                self.refused(client.post(url, payload), 401, "unauthorized")
        for payload in (AGREED, {"onlyReturnExisting": True}):
            self.refused(client.ask_account(payload), (401, 403), "unauthorized")
        self.assertEqual(self.web.count(challenge["token"]), hits, "no validation is begun")
        if "revokeCert" in client.directory:
            # The certificate lives: its owner can still revoke it, so it was not revoked before.
            self.assertEqual(client.revoke(issued.der, key=CertificateSigner(issued.key)).status, 200)


if __name__ == "__main__":
    unittest.main()
