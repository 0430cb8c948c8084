#!/usr/bin/python3
"""The challenge http-01: RFC 8555 sections 8.1 and 8.3, and what clients expect of it."""

import unittest

from case import ConformanceCase, shows
from harness.acme import URN
from harness.keys import AccountKey, b64
from harness.responder import PREFIX


class Http01(ConformanceCase):
    def begin(self, name=None, client=None):
        """(authorization URL, challenge, subject) that waits for its response."""
        client = client or self.acme
        _, order = client.place(name or self.name())
        url, authorization = client.authorizations(order)[0]
        challenge = client.pick(authorization, "http-01")
        return url, challenge, authorization["identifier"]

    @shows("8555-8.3-3", "8555-8.3-7", "checklist-81")
    def test_request(self):
        name = self.name()
        url, challenge, subject = self.begin(name)
        self.acme.provision(challenge, subject)
        self.acme.respond(challenge)
        self.assertEqual(self.acme.settle(url)["status"], "valid")
        port = self.web.port
        self.assertIn((PREFIX + challenge["token"], name if port == 80 else f"{name}:{port}"), self.web.hits)

    @shows("8555-8.3-4", "checklist-81")
    def test_white_space_behind_the_answer(self):
        for tail in ("\n", "\r\n", " \t\r\n \n"):
            with self.subTest(tail=tail):
                url, challenge, subject = self.begin()
                self.acme.provision(challenge, subject, self.acme.key_authorization(challenge) + tail)
                self.acme.respond(challenge)
                self.assertEqual(self.acme.settle(url)["status"], "valid")

    @shows("8555-8.3-5", "checklist-81")
    def test_redirects(self):
        hops = {301: "/elsewhere/{token}", 302: "http://{other}:{port}/elsewhere/{token}", 307: "/elsewhere/{token}",
                308: "/elsewhere/{token}"}
        for status, target in hops.items():
            with self.subTest(status=status):
                url, challenge, _ = self.begin()
                self.web.serve("/elsewhere/" + challenge["token"], self.acme.key_authorization(challenge))
                self.web.answer(challenge["token"], "", status=status, location=target.format(
                    token=challenge["token"], other=self.name(), port=self.web.port))
                self.acme.respond(challenge)
                self.assertEqual(self.acme.settle(url)["status"], "valid")

    @shows("8555-8.3-6", "8555-8.3-8", "8555-8-3", "checklist-81")
    def test_wrong_answers(self):
        other = AccountKey().thumbprint()
        attempts, wanted = [], []
        for text, options in (("", {}), ("nonsense", {}), ("{token}", {}), ("{token}.", {}), ("{token}." + other, {}),
                              ("x{good}", {}), (" {good}", {}), ("{good}x", {}), ("{good}\n{good}", {}),
                              ("{good}" + " " * 200000, {}), ("{good}", {"status": 404}), ("{good}", {"status": 500})):
            url, challenge, _ = self.begin()
            good = self.acme.key_authorization(challenge)
            self.web.answer(challenge["token"], text.format(token=challenge["token"], good=good), **options)
            self.acme.respond(challenge)
            attempts.append(challenge)
            wanted.append((text[:30], options))
        for settled, what in zip(self.acme.failed(*attempts), wanted):
            with self.subTest(answer=what):
                self.assertEqual(settled["status"], "invalid")
                self.assertIn(settled["error"]["type"].removeprefix(URN),
                              ("unauthorized", "incorrectResponse", "connection"))

    @shows("8555-8.3-6", "checklist-81", "checklist-91")
    def test_nobody_there(self):
        """No name, nobody listening, endless redirects, other schemes: the problem type says which it was."""
        attempts = {}
        url, challenge, _ = self.begin(self.name(address=False))
        attempts["dns"] = challenge
        self.acme.respond(challenge)
        away = self.name(address=False)
        self.dns.add(away, "A", "127.0.0.250")  # nobody there
        url, attempts["connection"], _ = self.begin(away)
        self.acme.respond(attempts["connection"])
        for key, location in (("loop", "{path}"), ("scheme", "ftp://{name}/x"), ("port", "http://{name}:1/x"),
                              ("file", "file:///etc/passwd")):
            name = self.name()
            _, challenge, _ = self.begin(name)
            self.web.answer(challenge["token"], "", status=302,
                            location=location.format(path=PREFIX + challenge["token"], name=name))
            self.acme.respond(challenge)
            attempts[key] = challenge
        states = dict(zip(attempts, self.acme.failed(*attempts.values())))
        for key, settled in states.items():
            with self.subTest(what=key):
                self.assertEqual(settled["status"], "invalid")
                kind = settled["error"]["type"].removeprefix(URN)
                self.assertIn(kind, {"dns": ("dns",), "connection": ("connection",)}.get(
                    key, ("connection", "unauthorized", "incorrectResponse")))

    @shows("8555-8.3-9", "checklist-82")
    def test_ipv6_and_then_ipv4(self):
        if self.web.second is None:
            raise unittest.SkipTest("this host has no ::1")  # not the server's fault
        only6, both = self.name(address=False), self.name()
        self.dns.add(only6, "AAAA", self.services.address6)
        self.dns.add(both, "AAAA", "::2")  # nobody there
        for name in (only6, both):
            with self.subTest(name=name):
                url, challenge, subject = self.begin(name)
                self.acme.provision(challenge, subject)
                self.acme.respond(challenge)
                self.assertEqual(self.acme.settle(url)["status"], "valid")

    @shows("8555-8.1-1", "8555-8.1-2", "checklist-40")
    def test_thumbprint_of_a_key_with_leading_zeros(self):
        """The thumbprint is taken of the number, however many zeros the client wrote before it."""
        key = AccountKey("RS256")
        padded = {**key.jwk(), "e": b64(b"\0\x01\0\x01")}
        client = self.connect(key=key)
        response = client.post(client.directory["newAccount"], {"termsOfServiceAgreed": True}, jwk=padded)
        if response.status == 400:  # refused as not minimal: then no other thumbprint can come about
            self.refused(response, 400, "badPublicKey", "malformed")
            client.register()
        else:
            client.account = response.location
        url, challenge, subject = self.begin(client=client)
        client.provision(challenge, subject)
        client.respond(challenge)
        self.assertEqual(client.settle(url)["status"], "valid")


if __name__ == "__main__":
    unittest.main()
