#!/usr/bin/python3
"""Nonces, limits, errors, and the directory: RFC 8555 sections 6.5 to 6.7, 7.1.1 and 7.2."""

import concurrent.futures
import re
import unittest

from case import ConformanceCase, shows
from client import unb64
from harness.acme import URN
from harness.keys import b64

# RFC 8555 section 6.7, and the registry's later entries that a server of this kind may use.
REGISTERED = {
    "accountDoesNotExist", "alreadyReplaced", "alreadyRevoked", "badCSR", "badNonce", "badPublicKey",
    "badRevocationReason", "badSignatureAlgorithm", "caa", "compound", "connection", "dns", "externalAccountRequired",
    "incorrectResponse", "invalidContact", "invalidProfile", "malformed", "onionCAARequired", "orderNotReady",
    "rateLimited", "rejectedIdentifier", "serverInternal", "tls", "unauthorized", "unsupportedContact",
    "unsupportedIdentifier", "userActionRequired", "autoRenewalCanceled", "autoRenewalExpired",
    "autoRenewalCancellationInvalid", "autoRenewalRevocationNotSupported", "badAttestationStatement",
    "delegationUnknown"}


class Nonces(ConformanceCase):
    @shows("8555-7.2-1", "8555-7.2-2", "8555-7.2-4", "8555-7.1-1", "contract-2", "checklist-17")
    def test_head_of_new_nonce(self):
        response = self.acme.send("HEAD", self.acme.directory["newNonce"])
        self.assertEqual((response.status, response.body), (200, b""))
        self.assertIn("no-store", response.headers.get("Cache-Control", ""))
        self.assertEqual(self.acme.post(self.acme.account, nonce=response.nonce).status, 200)

    @shows("8555-7.2-3", "8555-7.2-4", "contract-2", "checklist-17")
    def test_get_of_new_nonce(self):
        response = self.acme.get(self.acme.directory["newNonce"])
        self.assertEqual((response.status, response.body), (204, b""))
        self.assertIn("no-store", response.headers.get("Cache-Control", ""))
        self.assertEqual(self.acme.post(self.acme.account, nonce=response.nonce).status, 200)

    @shows("8555-6.5-1", "8555-6.5-2", "contract-1", "checklist-15")
    def test_every_answer_to_a_post_has_one(self):
        acme, new_order = self.acme, self.acme.directory["newOrder"]
        requests = [lambda: acme.post(acme.account), lambda: acme.ask_order(self.name()),
                    lambda: acme.post(new_order, {}), lambda: acme.ask_order(("no-type", "x")),
                    lambda: acme.post(acme.account + "0"), lambda: acme.post(self.site.url + "/no-such-thing"),
                    lambda: acme.post(acme.account, nonce=b64(b"never issued")),
                    lambda: acme.raw_post(acme.account, b"no jws"), lambda: acme.raw_post(acme.account, b"{}", None)]
        for number, request in enumerate(requests):
            response = request()
            with self.subTest(status=response.status, url=response.url):
                self.assertEqual(response.status < 400, number < 2)
                self.assertEqual(acme.post(acme.account, nonce=response.nonce).status, 200)

    @shows("8555-6.5-3", "8555-6.5-4", "8555-6.5-5", "8555-6.5-6", "contract-3", "checklist-13")
    def test_refused_nonces(self):
        used = self.acme.new_nonce()
        self.assertEqual(self.acme.post(self.acme.account, nonce=used).status, 200)
        failed = self.acme.new_nonce()
        self.acme.post(self.acme.account + "0", nonce=failed)
        unsigned = self.acme.new_nonce()
        altered = bytearray(unb64(self.acme.new_nonce()))
        altered[-1] ^= 1
        for nonce in (used, failed, b64(b"made up"), b64(bytes(len(altered))), b64(bytes(altered)), ""):
            with self.subTest(nonce=nonce):
                self.used_up(self.acme.post(self.acme.account, nonce=nonce))
        with self.subTest("not present"):
            self.used_up(self.acme.post(self.acme.account, without=("nonce",)))
        self.assertEqual(self.acme.post(self.acme.account, nonce=unsigned).status, 200)

    def used_up(self, response):
        """badNonce, with a nonce that works for the same request."""
        self.refused(response, 400, "badNonce")
        if self.site.own:
            self.assertIn("JWS has an invalid anti-replay nonce", response.detail)
        self.assertEqual(self.acme.post(self.acme.account, nonce=response.nonce).status, 200)

    @shows("8555-6.5-4", "checklist-14")
    def test_one_nonce_in_many_hands(self):
        nonce = self.acme.new_nonce()
        clients = [self.connect(key=self.acme.key) for _ in range(8)]
        for client in clients:
            client.account, client.nonces = self.acme.account, ["unused"]
            client.get(self.site.directory_url)
        with concurrent.futures.ThreadPoolExecutor(len(clients)) as pool:
            statuses = list(pool.map(lambda client: client.post(client.account, nonce=nonce).status, clients))
        self.assertEqual(sorted(statuses), [200] + [400] * (len(clients) - 1))

    @shows("8555-6.5.1-1", "8555-6.5.1-2", "checklist-15")
    def test_nonces_are_unique_and_unpredictable(self):
        nonces = [self.acme.new_nonce() for _ in range(400)]
        self.assertEqual(len(set(nonces)), len(nonces))
        for nonce in nonces:
            self.assertRegex(nonce, r"\A[A-Za-z0-9_-]{22,}\Z")
            self.assertEqual(b64(unb64(nonce)), nonce, "canonical")
        # Neighbours differ in about half of the bits of whatever part is not a counter: at least 64 bits' worth.
        for first, second in zip(nonces, nonces[1:]):
            differing = sum(bin(a ^ b).count("1") for a, b in zip(unb64(first), unb64(second)))
            self.assertGreater(differing, 24, (first, second))

    @shows("8555-6.5.2-1", "8555-6.5.2-2")
    def test_nonce_stands_in_the_protected_header(self):
        jws = self.acme.jws(self.acme.account, None, without=("nonce",))
        response = self.acme.raw_post(self.acme.account, {**jws, "header": {"nonce": self.acme.new_nonce()}})
        self.refused(response, 400, "malformed", "badNonce")
        for nonce in ("not base64!", "abc=", "a\nb", "ä"):
            with self.subTest(nonce=nonce):
                self.refused(self.acme.post(self.acme.account, nonce=nonce), 400, "malformed")

    @shows("checklist-16")
    def test_old_unused_nonces_stay_good(self):
        pool = [self.acme.new_nonce() for _ in range(50)]
        self.assertEqual({self.acme.post(self.acme.account, nonce=nonce).status for nonce in pool}, {200})


class Limits(ConformanceCase):
    @shows("8555-6.6-1", "8555-6.6-2", "8555-10.3-1", "checklist-20")
    def test_waiting_preauthorizations_are_limited(self):
        self.need_own("a foreign server's limits are not ours to provoke")
        route = self.need_route("newAuthz")
        client = self.newcomer()
        for _ in range(101):
            response = client.post(route, {"identifier": {"type": "dns", "value": self.name(address=False)}})
            if response.status != 201:
                break
        self.refused(response, 429, "rateLimited")
        self.assertRegex(response.headers.get("Retry-After", ""), r"\A[0-9]+\Z")


class Errors(ConformanceCase):
    def answers(self):
        acme = self.acme
        yield acme.get(acme.directory["newOrder"])
        yield acme.get(self.site.url + "/no-such-thing")
        yield acme.raw_post(acme.account, b"{}", "text/plain")
        yield acme.post(acme.account, nonce="AAAA")
        yield acme.post(acme.account + "0")
        yield acme.post(acme.directory["newOrder"], {"identifiers": []})
        yield acme.ask_order(("dns", "-bad-.example"), ("dns", "a..example"), ("carrier-pigeon", "x"))
        yield acme.ask_order(self.name(), profile="no-such-profile", notAfter="x")
        yield acme.post(acme.account, {"contact": ["ftp://example.com"]})
        yield self.connect().post(acme.directory["newAccount"], {"onlyReturnExisting": True})

    @shows("8555-6.7-1", "8555-6.7-2", "8555-6.7.1-2", "contract-4", "checklist-19")
    def test_errors_are_problem_documents(self):
        for response in self.answers():
            with self.subTest(url=response.url, status=response.status):
                self.assertGreaterEqual(response.status, 400)
                self.assertEqual(response.content_type.split(";")[0], "application/problem+json")
                kind = response.json["type"]
                self.assertTrue(not kind.startswith("urn:ietf:params:acme:") or
                                kind.removeprefix(URN) in REGISTERED, kind)
                self.assertEqual(response.json.get("status", response.status), response.status)
                self.assertNotIn("identifier", response.json)

    @shows("8555-6.7.1-1", "8555-6.7.1-2", "checklist-52")
    def test_subproblems_name_identifiers(self):
        good, wrong = self.name(), ["-bad-.example", "a..example"]
        response = self.acme.ask_order(good, *wrong)
        self.refused(response, (400, 403), "rejectedIdentifier", "malformed", "compound")
        subproblems = response.json.get("subproblems", [])
        self.assertNotIn("identifier", response.json)
        for item in subproblems:
            self.assertIn(item["type"].removeprefix(URN), REGISTERED)
            self.assertEqual(set(item["identifier"]), {"type", "value"})
            self.assertNotEqual(item["identifier"]["value"], good)
        if self.site.own:
            self.assertEqual([item["identifier"]["value"] for item in subproblems], wrong)

    @shows("contract-1", "contract-14", "checklist-18")
    def test_index_link_on_everything_but_the_directory(self):
        order_url, order = self.acme.place(self.name())
        for response in (self.acme.send("HEAD", self.acme.directory["newNonce"]), self.acme.post(self.acme.account),
                         self.acme.post(order_url), self.acme.post(order["authorizations"][0]),
                         self.acme.post(self.acme.account + "0"), self.acme.ask_order()):
            links = [link for link in response.all("Link") if re.search(r'rel="?index', link)]
            self.assertEqual(len(links), 1, response.describe())
            self.assertIn(self.site.directory_url, links[0])
        self.assertFalse([link for link in self.acme.get(self.site.directory_url).all("Link") if "index" in link])


class Directory(ConformanceCase):
    @shows("8555-7.1-1", "8555-7.1.1-1", "8555-7.1.1-2", "contract-5", "checklist-26", "checklist-28")
    def test_routes(self):
        response = self.acme.get(self.site.directory_url)
        self.assertEqual((response.status, response.content_type.split(";")[0]), (200, "application/json"))
        self.assertEqual(response.json, self.acme.get(self.site.directory_url).json)
        for name in ("newNonce", "newAccount", "newOrder", "revokeCert", "keyChange"):
            with self.subTest(name=name):
                self.need(name in response.json, name)
        for name, url in response.json.items():
            if name != "meta":
                self.assertRegex(url, r"\Ahttps://[a-z0-9.:\[\]-]+/[^%]*\Z")
                self.assertFalse(url.startswith(self.site.url + ":443"))
                # Nothing is listed that is not there.
                self.assertNotEqual(self.acme.get(url).status, 404, name)

    @shows("8555-7.1.1-2", "8555-7.1.1-3", "checklist-27")
    def test_meta(self):
        meta = self.acme.directory.get("meta", {})
        self.assertIsInstance(meta, dict)
        for name in ("termsOfService", "website"):
            self.need(name in meta, name)
            self.assertRegex(meta[name], r"\Ahttps?://")
        self.assertIsInstance(meta.get("externalAccountRequired", False), bool)
        self.need("caaIdentities" in meta, "caaIdentities")
        self.assertTrue(meta["caaIdentities"])
        for name in meta["caaIdentities"]:
            self.assertRegex(name, r"\A[a-z0-9.-]+\Z")


if __name__ == "__main__":
    unittest.main()
