#!/usr/bin/python3
"""`ip` identifiers (RFC 8738): certificates for addresses by http-01 and tls-alpn-01, and what is refused."""

import ipaddress
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from harness.acme import URN  # noqa: E402 (found through the line above)
from harness.alpn import has_v6  # noqa: E402
from harness.case import ServerCase  # noqa: E402
from harness.keys import certificate_key, csr_der  # noqa: E402
from harness.responder import PREFIX, Responder  # noqa: E402
from test_tls_alpn import KIND, TlsAlpnCase  # noqa: E402

V6 = unittest.skipUnless(has_v6(), "no IPv6 on the loopback interface")


class ByTls(TlsAlpnCase):
    def sni_of(self, name):
        return [hit.name for hit in self.alpn.hits if hit.name and hit.name.startswith(name)]

    def test_v4(self):
        leaf = self.obtain(self.client(self.bridge), "127.0.0.1")
        self.assertEqual(leaf.subject.rdns, [])
        self.assertTrue(self.sni_of("1.0.0.127.in-addr.arpa"))

    @V6
    def test_v6(self):
        self.obtain(self.client(self.bridge), "::1")
        self.assertTrue(self.sni_of("1." + "0." * 31 + "ip6.arpa"))

    def test_together_with_a_name(self):
        self.obtain(self.client(self.bridge), "127.0.0.1", "with-an-address.localhost")

    def test_mistakes_of_the_certificate(self):
        cases = (("wrong-digest", "incorrectResponse", "another challenge or account"),
                 ("extra-name", "incorrectResponse", "extra.example"),
                 ("repeated-name", "incorrectResponse", "once"),
                 ("other-kind", "incorrectResponse", "in-addr.arpa"),  # the SNI is no name of the certificate
                 ("no-extension", "unauthorized", "the address 127.0.0.1"),
                 ("not-self-signed", "incorrectResponse", "own key"),
                 ("no-alpn", "unauthorized", "acme-tls/1"))
        for fault, problem, word in cases:
            with self.subTest(fault=fault):
                _, _, authorization = self.validate(self.client(self.bridge), "127.0.0.1", fault=fault)
                self.invalid(authorization, problem, word)


class ByHttp(ServerCase):
    @classmethod
    def configure(cls, bridge):
        cls.v6_responder = None
        if has_v6():
            # The one port that the server validates at, on the other address.
            cls.v6_responder = Responder(host="::1", port=cls.responder.port)
            cls.addClassCleanup(cls.v6_responder.stop)

    def host_of(self, responder, token):
        return next(host for path, host in responder.hits if path == PREFIX + token)

    def prove(self, client, address, responder):
        """(order URL, order, token) after http-01."""
        order_url, order = client.new_order(address)
        authorization = client.fetch(order["authorizations"][0]).json
        self.assertEqual(authorization["identifier"], {"type": "ip", "value": address})
        self.assertEqual([item["type"] for item in authorization["challenges"]], ["http-01", KIND])
        challenge = client.challenge_of(order["authorizations"][0])
        settled = client.authorize(order, responder)
        self.assertEqual(settled[0]["status"], "valid", settled)
        return order_url, order, challenge["token"]

    def test_v4(self):
        client = self.client(self.bridge)
        order_url, order, token = self.prove(client, "127.0.0.1", self.responder)
        self.assertEqual(self.host_of(self.responder, token), f"127.0.0.1:{self.responder.port}")
        key = certificate_key()
        client.expect(client.finalize(order_url, order, csr_der(["127.0.0.1"], key, common_name="127.0.0.1")), 200)
        chain = client.download(client.poll(order_url, ("valid",)))
        self.check_certificate(chain, key, ["127.0.0.1"], self.bridge.root)

    @V6
    def test_v6(self):
        client = self.client(self.bridge)
        order_url, order, token = self.prove(client, "::1", self.v6_responder)
        self.assertEqual(self.host_of(self.v6_responder, token), f"[::1]:{self.responder.port}")
        key = certificate_key()
        client.expect(client.finalize(order_url, order, csr_der(["::1"], key)), 200)
        chain = client.download(client.poll(order_url, ("valid",)))
        self.check_certificate(chain, key, ["::1"], self.bridge.root)

    @V6
    def test_names_are_asked_for_at_v6_first(self):
        client = self.client(self.bridge)
        _, order = client.new_order("both.localhost")
        client.authorize(order, self.v6_responder)
        self.assertEqual(client.fetch(order["authorizations"][0]).json["status"], "valid")

    def test_csr_of_another_address(self):
        client = self.client(self.bridge)
        for names in (["127.0.0.2"], ["127.0.0.1", "127.0.0.2"], ["a.localhost"], []):
            with self.subTest(names=names):
                order_url, order = client.new_order("127.0.0.1")
                client.authorize(order, self.responder)
                response = client.finalize(order_url, order, csr_der(names, certificate_key()))
                self.refused(response, 400, "badCSR", names[-1] if names else "127.0.0.1")

    def test_an_address_is_not_the_name_that_looks_like_it(self):
        client = self.client(self.bridge)
        client.register()
        response = client.post(client.directory["newOrder"],
                               {"identifiers": [{"type": "dns", "value": "127.0.0.1"}]})
        self.refused(response, 400, "rejectedIdentifier", "type ip")


class Refused(ServerCase):
    @classmethod
    def configure(cls, bridge):
        bridge.settings["profiles"] += [
            {"name": "names", "issuer": "local", "identifiers": ["dns"]},
            {"name": "addresses", "issuer": "local", "identifiers": ["ip"]}]

    def order(self, client, kind, value, **members):
        return client.post(client.directory["newOrder"],
                           {"identifiers": [{"type": kind, "value": value}], **members})

    def test_forms(self):
        client = self.client(self.bridge)
        client.register()
        cases = (("2001:DB8::1", "malformed", "2001:db8::1"), ("2001:db8:0:0::1", "malformed", "2001:db8::1"),
                 ("2001:db8::0:1", "malformed", "2001:db8::1"), ("::ffff:10.0.0.1", "malformed", "10.0.0.1"),
                 ("010.0.0.1", "malformed", "not an IPv4"), ("10.1", "malformed", "not an IPv4"),
                 ("[::1]", "malformed", "not an IPv4"), ("fe80::1%lo", "malformed", "not an IPv4"),
                 ("10.0.0.0/8", "malformed", "not an IPv4"), ("0.0.0.0", "rejectedIdentifier", "unspecified"),
                 ("::", "rejectedIdentifier", "unspecified"), ("ff02::1", "rejectedIdentifier", "multicast"),
                 ("224.0.0.1", "rejectedIdentifier", "multicast"),
                 ("255.255.255.255", "rejectedIdentifier", "broadcast"))
        for value, problem, word in cases:
            with self.subTest(value=value):
                self.refused(self.order(client, "ip", value), 400, problem, word)

    def test_the_canonical_forms_are_those_of_another_implementation(self):
        client = self.client(self.bridge)
        for text in ("2001:db8::1", "2001:db8:0:1::", "2001:0:0:1:0:0:0:1", "64:ff9b::a00:1", "fe80::1", "1::"):
            value = str(ipaddress.ip_address(text))
            _, order = client.new_order(value)
            self.assertEqual(order["identifiers"], [{"type": "ip", "value": value}])

    def test_profiles(self):
        client = self.client(self.bridge)
        client.register()
        response = self.order(client, "ip", "10.0.0.1", profile="names")
        self.refused(response, 400, "unsupportedIdentifier", "names", "dns")
        response = self.order(client, "dns", "a.localhost", profile="addresses")
        self.refused(response, 400, "unsupportedIdentifier", "addresses", "ip")
        self.assertEqual(self.order(client, "ip", "10.0.0.1", profile="addresses").status, 201)
        self.assertEqual(self.order(client, "dns", "a.localhost", profile="names").status, 201)

    def test_each_gets_its_subproblem(self):
        client = self.client(self.bridge)
        client.register()
        identifiers = [{"type": "ip", "value": "10.0.0.1"}, {"type": "ip", "value": "0.0.0.0"},
                       {"type": "ip", "value": "010.0.0.1"}]
        response = client.post(client.directory["newOrder"], {"identifiers": identifiers})
        self.refused(response, 400, "compound", "2 identifiers")
        found = [(item["type"].removeprefix(URN), item["identifier"]) for item in response.json["subproblems"]]
        self.assertEqual(found, [("rejectedIdentifier", identifiers[1]), ("malformed", identifiers[2])])


class ThroughScm(ServerCase):
    """The upstream takes no addresses: they are refused at newOrder."""

    simulator_arguments = ()

    def test_refused(self):
        client = self.client(self.bridge, profile="scm")
        client.register()
        response = client.post(client.directory["newOrder"],
                               {"identifiers": [{"type": "ip", "value": "10.0.0.1"}]})
        self.refused(response, 400, "unsupportedIdentifier", "scm")


if __name__ == "__main__":
    unittest.main()
