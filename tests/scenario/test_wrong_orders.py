#!/usr/bin/python3
"""Wrong orders, CSRs, challenges, and other people's resources."""

import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from harness.keys import AccountKey, b64, certificate_key, csr_der  # noqa: E402 (found through the line above)
from wrong_case import UNKNOWN_ID, WrongInput  # noqa: E402


class Orders(WrongInput):
    @classmethod
    def configure(cls, bridge):
        super().configure(bridge)
        bridge.settings["profiles"].append({"name": "web", "issuer": "local", "challenges": ["http-01"]})

    def test_identifiers(self):
        for name in ("", "-a.localhost", "a-.localhost", ".a.localhost", "a..localhost", "a.localhost.",
                     "a b.localhost", "é.localhost", "a.*.localhost", "*", "*.*.localhost", "x" * 64 + ".localhost",
                     ".".join(["x" * 60] * 5), "127.0.0.1", "a_b.localhost", "a.localhost:80", "https://a.localhost"):
            with self.subTest(name=name):
                response = self.identifiers(("dns", name))
                self.refused(response, 400, "rejectedIdentifier")
                self.assertGreater(len(response.detail), 20)

    def test_wildcard_without_a_challenge_that_can_prove_it(self):
        response = self.new_order({"identifiers": [{"type": "dns", "value": "*.wild.localhost"}], "profile": "web"})
        self.refused(response, 400, "rejectedIdentifier", "dns-01", "wildcard")

    def test_unsupported_identifier_type(self):
        for kind in ("IP", "email", "DNS", "permanent-identifier"):
            with self.subTest(kind=kind):
                self.refused(self.identifiers((kind, "192.0.2.1")), 400, "unsupportedIdentifier", kind)

    def test_several_complaints(self):
        response = self.identifiers(("dns", "good.localhost"), ("dns", "bad..localhost"), ("ip", "192.0.2.01"))
        self.assertEqual(response.status, 400)
        named = [item["identifier"]["value"] for item in response.json["subproblems"]]
        self.assertEqual(named, ["bad..localhost", "192.0.2.01"])

    def test_malformed_orders(self):
        for payload in (None, {}, {"identifiers": []}, {"identifiers": {}}, {"identifiers": ["a.localhost"]},
                        {"identifiers": [{"type": "dns"}]}, {"identifiers": [{"type": "dns", "value": 1}]},
                        {"identifiers": [{"type": "dns", "value": f"n{i}.localhost"} for i in range(101)]},
                        {"identifiers": [{"type": "dns", "value": "two.localhost"}] * 2}):
            with self.subTest(payload=str(payload)[:60]):
                self.refused(self.new_order(payload), 400, "malformed")

    def test_profiles(self):
        one = [{"type": "dns", "value": "profile.localhost"}]
        self.refused(self.new_order({"identifiers": one, "profile": "other"}), 400, "invalidProfile", "default")
        self.refused(self.new_order({"identifiers": one, "profile": 1}), 400, "malformed", "profile")

    def test_validity_cannot_be_chosen(self):
        one = [{"type": "dns", "value": "validity.localhost"}]
        for name in ("notBefore", "notAfter"):
            response = self.new_order({"identifiers": one, name: "2030-01-01T00:00:00Z"})
            self.refused(response, 400, "malformed", name)
        response = self.new_order({"identifiers": one, "notBefore": "0001-01-01T00:00:00Z", "notAfter": ""})
        self.assertEqual(response.status, 201)

    def test_finalize_before_ready(self):
        _, order = self.acme.new_order("early.localhost")
        csr = csr_der(["early.localhost"], certificate_key())
        response = self.acme.post(order["finalize"], {"csr": b64(csr)})
        self.refused(response, 403, "orderNotReady", "pending", "authorization")

    def test_foreign_resources_look_like_unknown_ones(self):
        order_url, key, csr = self.acme.begin(self.responder, "mine.localhost")
        order = self.acme.poll(order_url, ("valid",))
        authorization = order["authorizations"][0]
        challenge = self.acme.challenge_of(authorization)["url"]
        for url in (order_url, authorization, challenge, order["certificate"], order["finalize"]):
            kind, _, rest = url.removeprefix(self.bridge.url + "/").partition("/")
            own_id, slash, tail = rest.partition("/")
            self.assertEqual(len(own_id), len(UNKNOWN_ID))
            unknown = f"{self.bridge.url}/{kind}/{UNKNOWN_ID}{slash}{tail}"
            for payload in (None, {}, {"csr": b64(csr)}):
                with self.subTest(url=url, payload=str(payload)[:20]):
                    foreign = self.stranger.post(url, payload)
                    missing = self.stranger.post(unknown, payload)
                    self.refused(foreign, 404, "malformed")
                    self.assertEqual((foreign.status, foreign.json, sorted(foreign.headers.keys())),
                                     (missing.status, missing.json, sorted(missing.headers.keys())))
        self.assertEqual(self.acme.fetch(authorization).json["status"], "valid")

    def test_csr_that_does_not_match(self):
        names = ["match-a.localhost", "match-b.localhost"]
        order_url, order = self.acme.new_order(*names)
        self.acme.authorize(order, self.responder)
        key = certificate_key()
        good = csr_der(names, key)
        damaged = good[:-4] + bytes([good[-4] ^ 1]) + good[-3:]
        pem = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"
        cases = (
            ("missing name", b64(csr_der(names[:1], key)), "badCSR", "match-b.localhost"),
            ("extra name", b64(csr_der(names + ["match-c.localhost"], key)), "badCSR", "match-c.localhost"),
            ("other common name", b64(csr_der(names, key, "other.localhost")), "badCSR", "other.localhost"),
            ("no names", b64(csr_der([], key)), "badCSR", ""),
            ("account's key", b64(csr_der(names, self.acme.key.private)), "badCSR", "account"),
            ("weak key", b64(csr_der(names, AccountKey("RS256", 1024).private)), "badCSR", "1024"),
            ("damaged signature", b64(damaged), "badCSR", "signature"),
            ("no DER", b64(b"this is no CSR"), "badCSR", ""),
            ("trailing bytes", b64(good + b"x"), "badCSR", ""),
            ("PEM", pem, "badCSR", "PEM"),
            ("not base64url", "a+b/", "malformed", "base64url"),
            ("not a string", 7, "malformed", "csr"),
        )
        for what, csr, problem, word in cases:
            with self.subTest(what=what):
                self.refused(self.acme.post(order["finalize"], {"csr": csr}), 400, problem, word)
                self.assertEqual(self.acme.fetch(order_url).json["status"], "ready")
        self.assertEqual(self.acme.finalize(order_url, order, good).status, 200)
        order = self.acme.poll(order_url, ("valid",))
        self.check_certificate(self.acme.download(order), key, names, self.bridge.root)

    def test_finalize_again(self):
        order_url, key, csr = self.acme.begin(self.responder, "twice.localhost")
        order = self.acme.poll(order_url, ("valid",))
        again = self.acme.post(order["finalize"], {"csr": b64(csr)})
        self.assertEqual((again.status, again.json), (200, order))
        other = self.acme.post(order["finalize"], {"csr": b64(csr_der(["twice.localhost"], certificate_key()))})
        self.refused(other, 403, "orderNotReady", "valid")

    def test_wrong_response_of_the_web_server(self):
        cases = (("something else", 200, "incorrectResponse", "something else"),
                 ("", 200, "incorrectResponse", "empty"), ("gone away", 404, "unauthorized", "404"))
        for number, (body, status, problem, word) in enumerate(cases):
            with self.subTest(body=body, status=status):
                order_url, order = self.acme.new_order(f"web{number}.localhost")
                challenge = self.acme.challenge_of(order["authorizations"][0])
                self.responder.answer(challenge["token"], body, status=status)
                self.assertEqual(self.acme.post(challenge["url"], {}).status, 200)
                settled = self.acme.poll(order["authorizations"][0], ("valid", "invalid"))
                error = settled["challenges"][0]["error"]
                self.assertEqual(settled["status"], "invalid")
                self.assertEqual(error["type"], "urn:ietf:params:acme:error:" + problem)
                self.assertIn(word, error["detail"])
                failed = self.acme.fetch(order_url).json
                self.assertEqual(failed["status"], "invalid")
                csr = csr_der([f"web{number}.localhost"], certificate_key())
                self.refused(self.acme.post(order["finalize"], {"csr": b64(csr)}), 403, "orderNotReady", "invalid")
                # An answer after the end changes nothing, and is no error.
                self.assertEqual(self.acme.post(challenge["url"], {}).json["status"], "invalid")

    def test_details_do_not_carry_control_characters(self):
        for value in ("a\nb.localhost", "a\u0000b.localhost", "\u202ea.localhost", "<script>.localhost"):
            response = self.identifiers(("dns", value))
            self.assertEqual(response.status, 400, response.describe())
            self.assertTrue(all(" " <= letter < "\x7f" for letter in response.detail), response.describe())
            json.loads(response.body)


if __name__ == "__main__":
    unittest.main()
