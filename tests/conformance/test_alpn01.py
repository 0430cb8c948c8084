#!/usr/bin/python3
"""The challenge tls-alpn-01, RFC 8737, and identifiers of type ip, RFC 8738."""

import ipaddress
import ssl
import unittest

from case import ConformanceCase, shows
from client import names_of
from harness.acme import URN

PROTOCOL = "acme-tls/1"


class TlsAlpn01(ConformanceCase):
    def begin(self, item=None):
        _, order = self.need_challenge("tls-alpn-01", item or self.name())
        url, authorization = self.acme.authorizations(order)[0]
        return url, self.acme.pick(authorization, "tls-alpn-01"), authorization["identifier"]

    def hits(self, name):
        return [hit for hit in self.alpn.hits if hit.name == name]

    @shows("8737-3-3", "8737-3-4", "8737-3-5", "8737-3-6", "8737-3-7", "8737-3-8", "8737-4-2", "8737-4-3",
           "checklist-84")
    def test_success(self):
        url, challenge, subject = self.begin()
        self.acme.provision(challenge, subject)
        self.acme.respond(challenge)
        self.assertEqual(self.acme.settle(url)["status"], "valid")
        hit = self.hits(subject["value"])[0]
        self.assertEqual(hit.offered, [PROTOCOL])
        self.assertEqual(hit.received, b"", "no application data")
        self.assertIn(hit.version, ("TLSv1.2", "TLSv1.3", None))

    @shows("8737-4-1", "8737-3-4")
    def test_other_challenges_do_not_use_it(self):
        before = len(self.alpn.hits)
        self.acme.issue(self.name())
        self.assertEqual([hit for hit in self.alpn.hits[before:] if PROTOCOL in (hit.offered or [])], [])

    @shows("8737-3-9")
    def test_names_are_compared_without_case(self):
        name = self.name("Upper" if not self.site.own else "upper")
        url, challenge, _ = self.begin(name)
        self.alpn.set(name, self.acme.key_authorization(challenge))
        context, fault = self.alpn.contexts[name.lower()]
        self.alpn.set(name.upper(), self.acme.key_authorization(challenge))
        self.assertIsNot(self.alpn.contexts[name.lower()][0], context)
        self.acme.respond(challenge)
        self.assertEqual(self.acme.settle(url)["status"], "valid")

    @shows("8737-3-6", "8737-3-7", "8737-3-8", "checklist-84")
    def test_faults(self):
        attempts = {}
        for fault in ("wrong-digest", "extra-name", "other-name", "other-kind", "no-name", "not-critical",
                      "no-extension", "not-octets", "no-alpn", "other-alpn", "alert"):
            _, challenge, subject = self.begin()
            self.alpn.set(subject["value"], self.acme.key_authorization(challenge), fault)
            self.acme.respond(challenge)
            attempts[fault] = challenge
        _, attempts["nothing set"], _ = self.begin()
        self.acme.respond(attempts["nothing set"])
        for fault, settled in zip(attempts, self.acme.failed(*attempts.values())):
            with self.subTest(fault=fault):
                self.assertEqual(settled["status"], "invalid")
                self.assertIn(settled["error"]["type"].removeprefix(URN), ("unauthorized", "incorrectResponse", "tls"))

    @shows("8737-4-3")
    def test_old_tls(self):
        self.need_own("the responder's other names are not to be disturbed")
        url, challenge, subject = self.begin()
        self.acme.provision(challenge, subject)
        context, _ = self.alpn.contexts[subject["value"]]
        default = self.alpn.default
        limits = [(item, item.minimum_version, item.maximum_version) for item in (context, default)]
        try:
            for item in (context, default):
                item.set_ciphers("ALL:@SECLEVEL=0")
                item.minimum_version, item.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
            self.acme.respond(challenge)
            settled = self.acme.failed(challenge)[0]
        finally:
            for item, low, high in limits:
                item.maximum_version, item.minimum_version = high, low
        self.assertEqual((settled["status"], settled["error"]["type"]), ("invalid", URN + "tls"))

    @shows("8737-3-10")
    def test_chain_and_dates_do_not_matter(self):
        url, challenge, subject = self.begin()
        self.alpn.set(subject["value"], self.acme.key_authorization(challenge), expired=True)
        self.acme.respond(challenge)
        self.assertEqual(self.acme.settle(url)["status"], "valid")


class Addresses(ConformanceCase):
    def ask(self, *values):
        response = self.acme.ask_order(*[("ip", value) for value in values])
        self.need(response.status == 201, "identifiers of type ip")
        return response

    def ours(self):
        addresses = [self.services.address]
        if self.web.second is not None:
            addresses.append(self.services.address6)
        return addresses

    @shows("8738-3-1", "8738-3-2", "8738-7-1", "checklist-74", "checklist-86")
    def test_orders(self):
        for value in ("192.0.2.7", "2001:db8::7", "2001:db8:0:1:1:1:1:1"):
            with self.subTest(value=value):
                order = self.ask(value).json
                self.assertEqual(order["identifiers"], [{"type": "ip", "value": value}])
                for _, authorization in self.acme.authorizations(order):
                    self.assertEqual(authorization["identifier"], {"type": "ip", "value": value})
                    kinds = {challenge["type"] for challenge in authorization["challenges"]}
                    self.assertTrue(kinds)
                    self.assertFalse([kind for kind in kinds if kind.startswith("dns-")], kinds)

    @shows("8738-3-2", "checklist-86")
    def test_texts_that_are_refused(self):
        self.ask("192.0.2.7")
        for value in ("2001:DB8::7", "2001:db8:0::7", "2001:0db8::7", "2001:db8:0:0:0:0:0:7", "::ffff:c000:207",
                      "[::1]", "192.0.2.07", "192.0.2", "192.0.2.7/32", "192.0.2.256", "3221225991", "0xc0000207",
                      "a.example", "", "fe80::1%eth0", "192.0.2.7 "):
            with self.subTest(value=value):
                self.refused(self.acme.ask_order(("ip", value)), (400, 403), "malformed", "rejectedIdentifier")

    @shows("8738-4-1", "8738-4-2", "8738-5-1", "8738-5-2", "checklist-82")
    def test_http01(self):
        for value in self.ours():
            with self.subTest(value=value):
                client = self.newcomer()
                queries = len(self.dns.queries)
                item = ("ip", value)
                leaf = client.issue(item, kind="http-01").leaf
                self.assertEqual(names_of(leaf), [item])
                host = f"[{value}]" if ":" in value else value
                self.assertIn(self.web.hits[-1][1], (host, f"{host}:{self.web.port}"))
                self.assertEqual([query for query in self.dns.queries[queries:] if value in query[0]], [])

    @shows("8738-4-1", "8738-4-2", "8738-6-1", "8738-6-2", "checklist-85")
    def test_tls_alpn01(self):
        for value in self.ours():
            with self.subTest(value=value):
                client = self.newcomer()
                self.assertEqual(names_of(client.issue(("ip", value), kind="tls-alpn-01").leaf), [("ip", value)])
                names = [hit.name for hit in self.alpn.hits if PROTOCOL in (hit.offered or [])]
                self.assertEqual(names[-1].rstrip("."), ipaddress.ip_address(value).reverse_pointer)

    @shows("8738-6-2", "checklist-85")
    def test_tls_alpn01_faults(self):
        for fault in ("other-kind", "extra-name", "wrong-digest"):
            with self.subTest(fault=fault):
                client = self.newcomer()
                _, order = client.place(("ip", self.services.address))
                challenge = client.pick(client.authorizations(order)[0][1], "tls-alpn-01")
                self.need(challenge, "tls-alpn-01 for addresses")
                self.alpn.set(self.services.address, client.key_authorization(challenge), fault)
                client.respond(challenge)
                self.assertEqual(client.failed(challenge)[0]["status"], "invalid")

    @shows("8555-7.4-5", "checklist-70")
    def test_a_name_and_an_address_in_one_certificate(self):
        self.ask(self.services.address)
        name, item = self.name(), ("ip", self.services.address)
        self.assertEqual(names_of(self.acme.issue(name, item).leaf), sorted([("dns", name), item]))


if __name__ == "__main__":
    unittest.main()
