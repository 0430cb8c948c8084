#!/usr/bin/python3
"""Authorizations and challenges in general: RFC 8555 sections 7.1.3, 7.1.4, 7.5, 8 to 8.2, and wildcards."""

import time
import unittest

from case import ConformanceCase, shows
from client import names_of, unb64
from harness.acme import URN


class Objects(ConformanceCase):
    @shows("8555-8-4", "8555-8.3-1", "8555-8.3-2", "8555-8.4-1", "8555-8.4-2", "8737-3-1", "8737-3-2", "contract-12",
           "contract-15", "checklist-73", "checklist-75")
    def test_pending(self):
        _, order = self.acme.place(*[self.name() for _ in range(8)])
        tokens = []
        for _, authorization in self.acme.authorizations(order):
            self.assertEqual(authorization["status"], "pending")
            self.assertIn("expires", authorization)
            self.assertNotIn("wildcard", authorization)
            kinds = [challenge["type"] for challenge in authorization["challenges"]]
            self.assertEqual(len(set(kinds)), len(kinds))
            if self.site.own:
                self.assertEqual(set(kinds), {"http-01", "dns-01", "tls-alpn-01"})
            for challenge in authorization["challenges"]:
                self.assertEqual(challenge["status"], "pending")
                self.assertTrue(challenge["url"].startswith("https://"))
                self.assertNotIn("error", challenge)
                self.assertNotIn("validated", challenge)
                self.assertRegex(challenge["token"], r"\A[A-Za-z0-9_-]{22,}\Z")
            tokens.append({challenge["token"] for challenge in authorization["challenges"]})
        self.assertEqual(len(set().union(*tokens)), sum(map(len, tokens)), "tokens of authorizations differ")
        every = [unb64(token) for token in set().union(*tokens)]
        for position in range(16):
            self.assertGreater(len({token[position] for token in every}), 2, "octets of tokens vary")

    @shows("8555-8-1", "8555-7.5.1-3", "8555-7.1.4-1", "contract-12", "checklist-80")
    def test_valid(self):
        order_url, order = self.acme.ready(self.name())
        authorization = self.acme.authorizations(order)[0][1]
        self.assertEqual(authorization["status"], "valid")
        self.assertIn("expires", authorization)
        valid = [item for item in authorization["challenges"] if item["status"] == "valid"]
        self.assertEqual(len(valid), 1)
        self.assertRegex(valid[0]["validated"], r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z\Z")
        self.assertNotIn("error", valid[0])

    @shows("8555-8-2", "8555-8-3", "8555-7.5.1-4", "checklist-80")
    def test_invalid(self):
        _, order = self.acme.place(self.name())
        url, authorization = self.acme.authorizations(order)[0]
        challenge = self.acme.pick(authorization, "http-01")
        self.acme.provision(challenge, authorization["identifier"], "wrong")
        self.acme.respond(challenge)
        self.acme.failed(challenge)
        authorization = self.acme.settle(url)
        self.assertEqual(authorization["status"], "invalid")
        settled = self.acme.pick(authorization, "http-01")
        self.assertEqual(settled["status"], "invalid")
        self.assertTrue(settled["error"]["type"].startswith("urn:"))
        self.assertTrue(settled["error"]["detail"])
        for other in authorization["challenges"]:
            if other["status"] in ("pending", "valid"):
                self.assertNotIn("error", other)

    @shows("8555-7.1.3-2", "8555-7.1.3-3", "8555-7.1.4-2", "8555-7.1.4-5", "checklist-55", "checklist-74")
    def test_wildcards(self):
        name = self.name()
        _, order = self.need_challenge("dns-01", name, "*." + name)
        self.assertEqual({item["value"] for item in order["identifiers"]}, {name, "*." + name})
        authorizations = [item for _, item in self.acme.authorizations(order)]
        self.assertEqual([item["identifier"] for item in authorizations], [{"type": "dns", "value": name}] * 2)
        flags = [item.get("wildcard") for item in authorizations]
        self.assertEqual(sorted(flags, key=str), [None, True])
        for item in authorizations:
            kinds = {challenge["type"] for challenge in item["challenges"]}
            if item.get("wildcard"):
                self.assertFalse(kinds & {"http-01", "tls-alpn-01"}, kinds)

    @shows("8555-7.1.3-3", "8555-7.4-2", "checklist-83")
    def test_wildcard_certificate(self):
        name = self.name()
        self.need_challenge("dns-01", "*." + name)
        leaf = self.acme.issue(name, "*." + name, kind="dns-01").leaf
        self.assertEqual(names_of(leaf), sorted([("dns", name), ("dns", "*." + name)]))
        # A proof of the name is none of the wildcard.
        other = self.name()
        self.acme.ready(other)
        self.assertEqual(self.acme.place("*." + other)[1]["status"], "pending")


class Responses(ConformanceCase):
    def pending(self, client=None):
        _, order = (client or self.acme).place(self.name())
        url, authorization = (client or self.acme).authorizations(order)[0]
        return url, authorization, self.acme.pick(authorization, "http-01")

    @shows("8555-7.5.1-1", "contract-10", "checklist-76", "checklist-77", "checklist-78")
    def test_any_payload_and_again(self):
        for payload in ({}, {"keyAuthorization": "x"}, {"resource": "challenge", "type": "http-01", "unheardOf": None}):
            with self.subTest(payload=payload):
                url, authorization, challenge = self.pending()
                self.acme.provision(challenge, authorization["identifier"])
                self.assertEqual(self.acme.fetch(challenge["url"]).json["status"], "pending", "reading starts nothing")
                response = self.acme.respond(challenge, payload)
                self.assertEqual((response.json["url"], response.json["token"]), (challenge["url"], challenge["token"]))
                self.assertNotIn("unheardOf", response.json)
                up = [link for link in response.all("Link") if 'rel="up"' in link]
                self.assertEqual(up, [f'<{url}>;rel="up"'])
                self.acme.respond(challenge, payload)
                self.assertEqual(self.acme.settle(url)["status"], "valid")
                self.assertEqual(self.acme.respond(challenge, payload).json["status"], "valid")
                self.assertEqual(self.web.count(challenge["token"]), 1)

    @shows("8555-7.5.1-2", "checklist-89")
    def test_responses_that_are_errors(self):
        _, _, challenge = self.pending()
        for payload in (b"[]", b"7", b'"x"', b"{", b"null"):
            with self.subTest(payload=payload):
                self.refused(self.acme.post(challenge["url"], payload), 400, "malformed")
        self.refused(self.newcomer().post(challenge["url"], {}), (401, 403, 404), "malformed", "unauthorized")
        self.assertEqual(self.acme.fetch(challenge["url"]).json["status"], "pending")
        self.assertEqual(self.web.count(challenge["token"]), 0)

    @shows("8555-7.5.1-5", "8555-8.2-3", "contract-17", "checklist-79")
    def test_polls_while_validation_is_under_way(self):
        url, authorization, challenge = self.pending()
        self.web.answer(challenge["token"], self.acme.key_authorization(challenge), delay_s=1.5)
        self.acme.respond(challenge)
        time.sleep(0.3)
        response = self.acme.post(url)
        self.assertEqual((response.status, response.json["status"]), (200, "pending"))
        response = self.acme.post(challenge["url"])
        self.assertEqual((response.status, response.json["status"]), (200, "processing"))
        self.assertRegex(response.headers.get("Retry-After", ""), r"\A[0-9]{1,3}\Z")
        self.assertEqual(self.acme.settle(url)["status"], "valid")

    @shows("8555-8.2-1", "8555-8.2-2", "8555-8.2-3", "8555-8.2-4", "deviation-retry", "checklist-78", "checklist-80")
    def test_validation_is_tried_again(self):
        """A name that cannot be resolved at first: the challenge stays processing, tells why, and then succeeds."""
        self.need_own("others may give up at once")
        name = self.name(address=False)
        self.dns.fail(name, "servfail")
        _, order = self.acme.place(name)
        url, authorization = self.acme.authorizations(order)[0]
        challenge = self.acme.pick(authorization, "http-01")
        self.acme.provision(challenge, authorization["identifier"])
        self.acme.respond(challenge)
        deadline = time.monotonic() + 10
        while True:
            response = self.acme.post(challenge["url"])
            if "error" in response.json or time.monotonic() > deadline:
                break
            time.sleep(0.1)
        self.assertEqual(response.json["status"], "processing", response.describe())
        self.assertEqual(response.json["error"]["type"], URN + "dns")
        self.assertRegex(response.headers.get("Retry-After", ""), r"\A[0-9]{1,3}\Z")
        self.dns.remove(name)
        self.dns.add(name, "A", self.services.address)
        begin = time.monotonic()
        self.acme.respond(challenge)
        authorization = self.acme.settle(url)
        self.assertEqual(authorization["status"], "valid")
        self.assertNotIn("error", self.acme.pick(authorization, "http-01"))
        self.assertLess(time.monotonic() - begin, 6)

    @shows("8555-8.2-6")
    def test_demands_to_retry_are_limited(self):
        self.need_own("others may retry as they like")
        name = self.name(address=False)
        self.dns.fail(name, "servfail")
        _, order = self.acme.place(name)
        url, authorization = self.acme.authorizations(order)[0]
        challenge = self.acme.pick(authorization, "http-01")
        before = len(self.dns.queries)
        for _ in range(40):
            self.acme.respond(challenge)
        time.sleep(0.3)
        asked = [query for query in self.dns.queries[before:] if query[0].rstrip(".").lower() == name]
        self.assertLess(len(asked), 30, "one attempt, not forty")
        self.acme.post(url, {"status": "deactivated"})


class Deactivation(ConformanceCase):
    @shows("8555-7.5.2-1", "8555-7.5.2-2", "8555-7.5.2-3", "checklist-87")
    def test_deactivation(self):
        name = self.name()
        order_url, order = self.acme.ready(name)
        url = order["authorizations"][0]
        self.refused(self.newcomer().post(url, {"status": "deactivated"}), (401, 403, 404), "malformed", "unauthorized")
        for status in ("valid", "revoked", "pending", 7):
            response = self.acme.post(url, {"status": status})
            self.assertIn(response.status, (200, 400))
        self.assertEqual(self.acme.fetch(url).json["status"], "valid")
        response = self.acme.post(url, {"status": "deactivated"})
        self.assertEqual((response.status, response.json["status"]), (200, "deactivated"))
        self.assertEqual(self.acme.fetch(order_url).json["status"], "invalid")
        self.refused(self.acme.post(order["finalize"], {"csr": "AA"}), (400, 403), "orderNotReady", "badCSR",
                     "malformed")
        self.assertEqual(self.acme.place(name)[1]["status"], "pending", "it does not count for new orders")


if __name__ == "__main__":
    unittest.main()
