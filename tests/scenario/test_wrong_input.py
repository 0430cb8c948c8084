#!/usr/bin/python3
"""Wrong requests: the status, the problem type, and a detail that tells the client's admin what to change."""

import base64
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from harness.keys import AccountKey, b64  # noqa: E402 (found through the line above)
from wrong_case import UNKNOWN_ID, WrongInput  # noqa: E402

LIMIT = 65536


class Requests(WrongInput):
    """What is wrong before the resource matters."""

    def test_body_is_no_json(self):
        for body in (b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"protected":"e30","protected":"e30"}', b"x" * 2000):
            with self.subTest(body=body[:40]):
                self.refused(self.acme.raw_post(self.acme.directory["newOrder"], body), 400, "malformed", "json")

    def test_deeply_nested_body(self):
        body = b'{"protected":' + b"[" * 20000 + b"]" * 20000 + b"}"
        self.refused(self.acme.raw_post(self.acme.directory["newOrder"], body), 400, "malformed")

    def test_payload_is_no_json(self):
        for payload in (b"{", b"[1]", b'"text"', b'{"a":1,"a":2}', b"\xff"):
            with self.subTest(payload=payload):
                self.refused(self.new_order(payload), 400, "malformed", "payload")

    def test_content_type(self):
        for kind in ("application/json", "application/x-www-form-urlencoded", "text/plain", None):
            with self.subTest(kind=kind):
                jws = self.acme.jws(self.acme.account, None)
                response = self.acme.raw_post(self.acme.account, jws, content_type=kind)
                self.refused(response, 415, "malformed", "application/jose+json")

    def test_members_of_the_jws(self):
        good = self.acme.jws(self.acme.account, None)
        for name in ("protected", "payload", "signature"):
            for value in (None, 7, "with padding==", "not*base64", "A"):
                jws = dict(good)
                if value is None:
                    del jws[name]
                else:
                    jws[name] = value
                with self.subTest(member=name, value=value):
                    self.refused(self.acme.raw_post(self.acme.account, jws), 400, "malformed", name)

    def test_forms_of_jws_that_acme_forbids(self):
        good = self.acme.jws(self.acme.account, None)
        for extra in ({"header": {}}, {"signatures": []}):
            with self.subTest(extra=extra):
                self.refused(self.acme.raw_post(self.acme.account, {**good, **extra}), 400, "malformed")

    def test_bad_signature(self):
        jws = self.acme.jws(self.acme.account, None)
        signature = bytearray(base64.urlsafe_b64decode(jws["signature"] + "=="))
        signature[10] ^= 1
        jws["signature"] = b64(bytes(signature))
        self.refused(self.acme.raw_post(self.acme.account, jws), 400, "malformed", "signature", "key")

    def test_signature_of_another_key(self):
        response = self.acme.post(self.acme.account, None, key=AccountKey(), kid=self.acme.account)
        self.refused(response, 400, "malformed", "signature")

    def test_changed_payload(self):
        jws = self.acme.jws(self.acme.directory["newOrder"], {"identifiers": []})
        jws["payload"] = b64(b'{"identifiers":[{"type":"dns","value":"other.localhost"}]}')
        self.refused(self.acme.raw_post(self.acme.directory["newOrder"], jws), 400, "malformed", "signature")

    def test_nonces(self):
        used = self.acme.new_nonce()
        self.assertEqual(self.acme.post(self.acme.account, nonce=used).status, 200)
        foreign = b64(os.urandom(33))
        for nonce in (used, foreign, b64(b"short"), b64(bytes(33))):
            with self.subTest(nonce=nonce):
                response = self.acme.post(self.acme.account, nonce=nonce)
                self.refused(response, 400, "badNonce")
                self.assertEqual(response.detail, "JWS has an invalid anti-replay nonce")
                self.assertEqual(self.acme.post(self.acme.account, nonce=response.nonce).status, 200)
        self.refused(self.acme.post(self.acme.account, without=["nonce"]), 400, "badNonce", "nonce")

    def test_protected_header(self):
        url = self.acme.account
        cases = (
            ({"without": ["alg"]}, "alg"), ({"without": ["url"]}, "url"), ({"without": ["kid"]}, "kid"),
            ({"kid": url, "jwk": self.acme.key.jwk()}, "exactly one"), ({"jwk": self.acme.key.jwk()}, "kid"),
            ({"kid": 7}, "kid"), ({"crit": ["exp"], "exp": 1}, "crit"), ({"b64": False}, "b64"),
        )
        for options, word in cases:
            with self.subTest(options=str(options)[:80]):
                jws = self.acme.jws(url, None, **options)
                self.refused(self.acme.raw_post(url, jws), 400, "malformed", word)

    def test_signed_for_another_url(self):
        url = self.acme.account
        for other in (url + "x", url.replace("https:", "http:"), url.upper(), url + "?a=b"):
            with self.subTest(url=other):
                self.refused(self.acme.raw_post(url, self.acme.jws(other, None)), 403, "unauthorized", "url")

    def test_algorithms(self):
        for alg in ("none", "HS256", "ES256K", "RS1"):
            with self.subTest(alg=alg):
                response = self.acme.raw_post(self.acme.account, self.acme.jws(self.acme.account, None, alg=alg))
                self.refused(response, 400, "badSignatureAlgorithm", "ES256")
                self.assertIn("ES256", response.json["algorithms"])
        response = self.acme.raw_post(self.acme.account, self.acme.jws(self.acme.account, None, alg="RS256"))
        self.refused(response, 400, "malformed", "RS256", "key")

    def test_oversized_body(self):
        response = self.acme.raw_post(self.acme.directory["newOrder"], b" " * (LIMIT + 1))
        self.assertEqual((response.status, response.problem), (413, "malformed"), response.describe())
        self.assertTrue(response.detail)

    def test_get_where_only_post_goes(self):
        for url in (self.acme.directory["newAccount"], self.acme.directory["newOrder"], self.acme.account,
                    self.bridge.url + "/order/" + UNKNOWN_ID, self.bridge.url + "/certificate/" + UNKNOWN_ID):
            for method in ("GET", "PUT", "DELETE"):
                with self.subTest(url=url, method=method):
                    response = self.acme.send(method, url)
                    self.refused(response, 405, "malformed", "POST")
                    self.assertEqual(response.all("Allow"), ["POST"])
            response = self.acme.send("HEAD", url)
            self.assertEqual((response.status, response.body), (405, b""))

    def test_unknown_paths(self):
        for path in ("/", "/nothing", "/directory/", "/profile/other/directory", "/order", "/order/a/b/c",
                     "/acme/%2e%2e/directory", "/Directory"):
            with self.subTest(path=path):
                self.refused(self.acme.get(self.bridge.url + path), 404, "malformed")
                response = self.acme.post(self.bridge.url + path)
                self.refused(response, 404, "malformed")


class Accounts(WrongInput):
    def test_unknown_account(self):
        for kid in (self.bridge.url + "/account/" + UNKNOWN_ID, self.bridge.url + "/account/x", "https://other/1",
                    self.acme.account + "/orders"):
            with self.subTest(kid=kid):
                response = self.acme.post(self.acme.directory["newOrder"], {}, kid=kid)
                self.refused(response, 400, "accountDoesNotExist", "register")

    def test_only_return_existing(self):
        fresh = self.client(self.bridge)
        response = fresh.post(fresh.directory["newAccount"], {"onlyReturnExisting": True})
        self.refused(response, 400, "accountDoesNotExist")
        known = self.client(self.bridge, key=self.acme.key)
        response = known.post(known.directory["newAccount"], {"onlyReturnExisting": True})
        self.assertEqual((response.status, response.location), (200, self.acme.account))

    def test_same_key_again(self):
        again = self.client(self.bridge, key=self.acme.key)
        response = again.register()
        self.assertEqual((response.status, response.location), (200, self.acme.account))
        self.assertEqual(response.json["contact"], ["mailto:admin@corp.example"])

    def test_contacts(self):
        fresh = self.client(self.bridge)
        for contact, problem in ((["tel:+1"], "unsupportedContact"), (["mailto:"], "invalidContact"),
                                 (["mailto:a@b.example?subject=x"], "invalidContact"),
                                 (["mailto:a@b.example,c@d.example"], "invalidContact"),
                                 ("mailto:a@b.example", "invalidContact"), ([7], "invalidContact")):
            with self.subTest(contact=contact):
                response = fresh.post(fresh.directory["newAccount"], {"contact": contact})
                self.refused(response, 400, problem)

    def test_keys_that_are_too_weak(self):
        for key in (AccountKey("RS256", 1024), AccountKey("RS256", 1536)):
            weak = self.client(self.bridge, key=key)
            response = weak.post(weak.directory["newAccount"], {})
            self.refused(response, 400, "badPublicKey", "2048")

    def test_damaged_keys(self):
        key = AccountKey()
        for change in ({"x": b64(b"1" * 32)}, {"crv": "P-224"}, {"kty": "oct"}, {"x": "*"}, {"y": None},
                       {"d": b64(b"1" * 32)}):
            jwk = {name: value for name, value in {**key.jwk(), **change}.items() if value is not None}
            with self.subTest(change=change):
                fresh = self.client(self.bridge, key=key)
                response = fresh.post(fresh.directory["newAccount"], {}, jwk=jwk)
                self.refused(response, 400, "badPublicKey")

    def test_deactivated_account(self):
        leaving = self.client(self.bridge)
        leaving.register()
        self.assertEqual(leaving.post(leaving.account, {"status": "deactivated"}).json["status"], "deactivated")
        self.refused(leaving.post(leaving.account), 401, "unauthorized", "deactivated")
        self.refused(leaving.post(leaving.directory["newOrder"], {}), 401, "unauthorized", "deactivated")

    def test_foreign_account(self):
        self.refused(self.acme.post(self.stranger.account), 403, "unauthorized")
        unknown = self.acme.post(self.bridge.url + "/account/" + UNKNOWN_ID)
        self.assertEqual((unknown.status, unknown.detail), (403, self.acme.post(self.stranger.account).detail))


if __name__ == "__main__":
    unittest.main()
