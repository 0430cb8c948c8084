#!/usr/bin/python3
"""tls-alpn-01 (RFC 8737) on the running server: certificates by it, and every way of getting it wrong."""

import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from harness.alpn import PROTOCOL, AlpnResponder  # noqa: E402 (found through the line above)
from harness.bridge import free_port  # noqa: E402
from harness.case import ServerCase  # noqa: E402
from harness.keys import certificate_key, csr_der  # noqa: E402

KIND = "tls-alpn-01"


class TlsAlpnCase(ServerCase):
    """A server that validates at a responder of the class."""

    @classmethod
    def configure(cls, bridge):
        cls.alpn = AlpnResponder()
        cls.addClassCleanup(cls.alpn.stop)
        bridge.settings["validation"]["tls_port"] = cls.alpn.port

    def setUp(self):
        super().setUp()
        self.alpn.behaviour = None

    def key_authorization(self, client, challenge):
        return f"{challenge['token']}.{client.key.thumbprint()}"

    def validate(self, client, name, limit=30, **answer):
        """(order URL, order, settled authorization) of a new order for one identifier."""
        order_url, order = client.new_order(name)
        url = order["authorizations"][0]
        challenge = client.challenge_of(url, KIND)
        if answer.get("fault") != "nothing":
            self.alpn.set(name, self.key_authorization(client, challenge), **answer)
        client.expect(client.post(challenge["url"], {}), 200)
        return order_url, order, client.poll(url, ("valid", "invalid"), limit)

    def error_of(self, authorization):
        self.assertEqual(authorization["status"], "invalid", authorization)
        challenge = next(item for item in authorization["challenges"] if item["type"] == KIND)
        self.assertEqual(challenge["status"], "invalid")
        return challenge["error"]

    def invalid(self, authorization, problem, *words):
        error = self.error_of(authorization)
        self.assertEqual(error["type"].rsplit(":", 1)[1], problem, error)
        for word in words:
            self.assertIn(word, error["detail"])
        self.assertTrue(error["detail"].isascii() and error["detail"].isprintable(), error["detail"])

    def obtain(self, client, *names, key_kind="EC", expired=False):
        """The whole way to a certificate, all names by tls-alpn-01."""
        order_url, order = client.new_order(*names)
        for url in order["authorizations"]:
            authorization = client.fetch(url).json
            challenge = client.challenge_of(url, KIND)
            self.alpn.set(authorization["identifier"]["value"], self.key_authorization(client, challenge),
                          key=key_kind, expired=expired)
            client.expect(client.post(challenge["url"], {}), 200)
            settled = client.poll(url, ("valid", "invalid"))
            self.assertEqual(settled["status"], "valid", settled)
            self.assertEqual([item["type"] for item in settled["challenges"]], [KIND])
        key = certificate_key()
        client.expect(client.finalize(order_url, order, csr_der(names, key)), 200)
        done = client.poll(order_url, ("valid", "invalid"))
        self.assertEqual(done["status"], "valid", done)
        chain = client.download(done)
        return self.check_certificate(chain, key, list(names), self.bridge.root)


class Names(TlsAlpnCase):
    def test_offered_after_http(self):
        client = self.client(self.bridge)
        _, order = client.new_order("offered.localhost")
        offered = client.fetch(order["authorizations"][0]).json["challenges"]
        self.assertEqual([item["type"] for item in offered], ["http-01", "dns-01", KIND])
        self.assertEqual(len({item["token"] for item in offered}), 3)

    def test_certificate(self):
        client = self.client(self.bridge)
        self.obtain(client, "one.localhost", "two.localhost")
        hit = next(hit for hit in self.alpn.hits if hit.name == "one.localhost")
        deadline = time.monotonic() + 5
        while hit.version is None and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertEqual((hit.offered, hit.received), ([PROTOCOL], b""))
        self.assertIn(hit.version, ("TLSv1.2", "TLSv1.3"))
        if self.alpn.has_v6:
            self.assertEqual(hit.address, "::1")  # IPv6 first

    def test_rsa_and_expired_answers(self):
        self.obtain(self.client(self.bridge), "rsa.localhost", key_kind="RSA", expired=True)

    def test_upper_case_in_the_answer(self):
        client = self.client(self.bridge)
        _, order = client.new_order("upper.localhost")
        challenge = client.challenge_of(order["authorizations"][0], KIND)
        self.alpn.set("UPPER.Localhost", self.key_authorization(client, challenge))
        client.expect(client.post(challenge["url"], {}), 200)
        settled = client.poll(order["authorizations"][0], ("valid", "invalid"))
        self.assertEqual(settled["status"], "valid", settled)

    def test_other_mistakes_of_the_certificate(self):
        client = self.client(self.bridge)
        cases = (("wrong-digest", "incorrectResponse", "another challenge or account"),
                 ("extra-name", "incorrectResponse", "extra.example"),
                 ("repeated-name", "incorrectResponse", "once"),
                 ("other-name", "incorrectResponse", "other.example"),
                 ("other-kind", "incorrectResponse", "192.0.2.1"),
                 ("email-name", "incorrectResponse", "admin@example.com"),
                 ("no-name", "incorrectResponse", "no names"),
                 ("not-critical", "incorrectResponse", "not critical"),
                 ("no-extension", "unauthorized", "no acmeIdentifier"),
                 ("two-extensions", "incorrectResponse", "2 times"),
                 ("not-octets", "incorrectResponse", "OCTET STRING"),
                 ("trailing-octets", "incorrectResponse", "OCTET STRING"),
                 ("not-self-signed", "incorrectResponse", "not signed by its own key"),
                 ("no-alpn", "unauthorized", PROTOCOL),
                 ("other-alpn", "unauthorized", PROTOCOL))
        for fault, problem, word in cases:
            with self.subTest(fault=fault):
                name = f"{fault}.localhost"
                order_url, _, authorization = self.validate(client, name, fault=fault)
                self.invalid(authorization, problem, word, name, f":{self.alpn.port}")
                self.assertEqual(client.fetch(order_url).json["status"], "invalid")
                self.assertEqual(self.alpn.count(name), 1)  # a wrong answer is final

    def test_nothing_set_up_for_the_name(self):
        """What a web server with another certificate answers."""
        _, _, authorization = self.validate(self.client(self.bridge), "nothing.localhost", fault="nothing")
        self.invalid(authorization, "unauthorized", PROTOCOL)

    def test_certificates_that_are_too_large(self):
        _, _, authorization = self.validate(self.client(self.bridge), "big.localhost", fault="big-chain")
        self.invalid(authorization, "tls", "TLS handshake")

    def test_of_another_account(self):
        mine, other = self.client(self.bridge), self.client(self.bridge)
        _, order = mine.new_order("account.localhost")
        challenge = mine.challenge_of(order["authorizations"][0], KIND)
        self.alpn.set("account.localhost", self.key_authorization(other, challenge))
        mine.expect(mine.post(challenge["url"], {}), 200)
        authorization = mine.poll(order["authorizations"][0], ("valid", "invalid"))
        self.invalid(authorization, "incorrectResponse", "another challenge or account")

    def test_wildcards_are_not_proved_by_it(self):
        client = self.client(self.bridge)
        client.register()
        response = client.post(client.directory["newOrder"],
                               {"identifiers": [{"type": "dns", "value": "*.wild.localhost"}]})
        if response.status == 201:
            challenges = client.fetch(response.json["authorizations"][0]).json["challenges"]
            self.assertNotIn(KIND, [item["type"] for item in challenges])
        else:
            self.refused(response, 400, "rejectedIdentifier")


class Trouble(TlsAlpnCase):
    """What may pass is tried three times."""

    def attempts(self, before):
        return len(self.alpn.hits) - before

    def test_handshake_refused(self):
        before = len(self.alpn.hits)
        _, _, authorization = self.validate(self.client(self.bridge), "alert.localhost", fault="alert")
        self.invalid(authorization, "tls", "alert")
        self.assertEqual(self.attempts(before), 3)

    def test_no_tls_there(self):
        self.alpn.behaviour = "plain"
        _, _, authorization = self.validate(self.client(self.bridge), "plain.localhost")
        self.invalid(authorization, "tls", "TLS handshake failed")

    def test_closed_during_the_handshake(self):
        self.alpn.behaviour = "close"
        _, _, authorization = self.validate(self.client(self.bridge), "close.localhost")
        self.invalid(authorization, "tls", "TLS handshake")

    def test_repaired_between_two_tries(self):
        client = self.client(self.bridge)
        _, order = client.new_order("repaired.localhost")
        url = order["authorizations"][0]
        challenge = client.challenge_of(url, KIND)
        self.alpn.behaviour = "close"
        self.alpn.set("repaired.localhost", self.key_authorization(client, challenge))
        client.expect(client.post(challenge["url"], {}), 200)
        deadline = time.monotonic() + 10
        while "error" not in client.fetch(challenge["url"]).json and time.monotonic() < deadline:
            time.sleep(0.1)
        self.alpn.behaviour = None
        self.assertEqual(client.poll(url, ("valid", "invalid"))["status"], "valid")

    def test_no_such_name(self):
        _, _, authorization = self.validate(self.client(self.bridge), "no-such-host.invalid", limit=60)
        self.invalid(authorization, "dns", "no-such-host.invalid")

    def test_a_server_that_never_answers_holds_nobody_up(self):
        self.alpn.behaviour = "hang"
        client = self.client(self.bridge)
        _, order = client.new_order("hang.localhost")
        url = order["authorizations"][0]
        challenge = client.challenge_of(url, KIND)
        client.expect(client.post(challenge["url"], {}), 200)
        time.sleep(0.5)
        self.alpn.behaviour = None
        begin = time.monotonic()
        self.obtain(client, "beside.localhost")
        self.assertLess(time.monotonic() - begin, 5)
        deadline = time.monotonic() + 15
        while "error" not in client.fetch(challenge["url"]).json and time.monotonic() < deadline:
            time.sleep(0.2)
        error = client.fetch(challenge["url"]).json["error"]
        self.assertEqual(error["type"].rsplit(":", 1)[1], "tls", error)
        self.assertIn("timed out", error["detail"])


class WrongPort(ServerCase):
    @classmethod
    def configure(cls, bridge):
        bridge.settings["validation"]["tls_port"] = free_port()

    def test_nobody_there(self):
        client = self.client(self.bridge)
        _, order = client.new_order("closed.localhost")
        url = order["authorizations"][0]
        challenge = client.challenge_of(url, KIND)
        client.expect(client.post(challenge["url"], {}), 200)
        authorization = client.poll(url, ("valid", "invalid"))
        error = next(item for item in authorization["challenges"] if item["type"] == KIND)["error"]
        self.assertEqual(error["type"].rsplit(":", 1)[1], "connection", error)
        self.assertIn("connection refused", error["detail"])
        self.assertIn("127.0.0.1:", error["detail"])  # after IPv6, IPv4 was tried too
        self.assertIn("[::1]:", error["detail"])


class Policy(ServerCase):
    """Without `allow`, loopback is not contacted."""

    def test_loopback_is_not_contacted(self):
        alpn = AlpnResponder()
        self.addCleanup(alpn.stop)
        bridge = self.make_bridge(self.responder.port, allow=())
        bridge.settings["validation"]["tls_port"] = alpn.port
        bridge.start()
        client = self.client(bridge)
        for name in ("policy.localhost", "127.0.0.1", "::1"):
            with self.subTest(name=name):
                _, order = client.new_order(name)
                url = order["authorizations"][0]
                challenge = client.challenge_of(url, KIND)
                client.expect(client.post(challenge["url"], {}), 200)
                authorization = client.poll(url, ("valid", "invalid"))
                error = next(item for item in authorization["challenges"] if item["type"] == KIND)["error"]
                self.assertEqual(error["type"].rsplit(":", 1)[1], "connection", error)
                self.assertIn("loopback", error["detail"])
        self.assertEqual(alpn.hits, [])


if __name__ == "__main__":
    unittest.main()
