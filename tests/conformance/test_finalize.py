#!/usr/bin/python3
"""From CSR to certificate: RFC 8555 sections 7.4, 7.4.2, 9.1 and 11.1."""

import datetime
import json
import subprocess
import tempfile
import unittest

from case import ConformanceCase, shows
from client import make_csr, names_of, parse_chain
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from harness.keys import AccountKey, b64, certificate_key, public_der


class Finalize(ConformanceCase):
    def send(self, order, der, client=None):
        return (client or self.acme).post(order["finalize"], {"csr": b64(der)})

    @shows("8555-7.4-7", "checklist-61")
    def test_order_that_is_not_ready(self):
        name = self.name()
        order_url, order = self.acme.place(name)
        csr = make_csr([name], certificate_key())
        self.refused(self.send(order, csr), 403, "orderNotReady")
        self.acme.post(order["authorizations"][0], {"status": "deactivated"})
        self.acme.poll(order_url, ("invalid",), 5)
        self.refused(self.send(order, csr), 403, "orderNotReady")

    @shows("8555-7.4-12", "contract-8", "checklist-65", "checklist-66", "checklist-70")
    def test_success(self):
        name = self.name()
        order_url, order = self.acme.ready(name)
        key = certificate_key()
        response = self.send(order, make_csr([name], key))
        self.assertEqual((response.status, response.location), (200, order_url))
        self.assertIn(response.json["status"], ("processing", "valid"))
        order = self.acme.settle(order_url)
        self.assertEqual(order["status"], "valid")
        self.assertTrue(order["certificate"].startswith("https://"))
        self.assertEqual(public_der(parse_chain(self.acme.download(order))[0]), public_der(key))

    @shows("deviation-finalize-again", "contract-8", "checklist-62")
    def test_the_same_csr_again(self):
        name = self.name()
        order_url, order = self.acme.ready(name)
        csr = make_csr([name], certificate_key())
        self.assertEqual(self.send(order, csr).status, 200)
        response = self.send(order, csr)
        if not self.site.own:
            self.assertIn(response.status, (200, 403))
        else:
            self.assertEqual((response.status, response.location), (200, order_url))
            self.acme.settle(order_url)
            self.assertEqual(self.send(order, csr).json["status"], "valid")
        self.acme.settle(order_url)
        self.refused(self.send(order, make_csr([name], certificate_key())), 403, "orderNotReady")

    @shows("8555-7.4-4", "8555-7.4-5", "8555-7.4-8", "8555-7.4-9", "8555-6.1-5", "checklist-8", "checklist-63")
    def test_csrs_that_are_refused(self):
        name, other, key = self.name(), self.name(), certificate_key()
        order_url, order = self.acme.ready(name, other)
        good = make_csr([name, other], key)
        broken = bytearray(good)
        broken[-1] ^= 1
        pem = make_csr([name, other], key, encode=False).public_bytes(serialization.Encoding.PEM)
        wrong = {"a name missing": make_csr([name], key), "a name more": make_csr([name, other, self.name()], key),
                 "another name": make_csr([name, self.name()], key), "no names": make_csr([], key),
                 "an address more": make_csr([name, other, ("ip", "192.0.2.1")], key),
                 "a wildcard": make_csr([name, "*." + other], key),
                 "a common name more": make_csr([name, other], key, common_name=self.name()),
                 "the signature": bytes(broken), "PEM": pem, "garbage": b"\x30\x03\x02\x01\x01", "nothing": b"",
                 "something behind": good + b"\0"}
        for what, csr in wrong.items():
            with self.subTest(what=what):
                self.refused(self.send(order, csr), (400, 403), "badCSR", "malformed")
                self.assertEqual(self.acme.fetch(order_url).json["status"], "ready")
        for payload in ({}, {"csr": 7}, {"csr": None}, {"csr": b64(good) + "="}, {"csr": b64(good)[:40] + "\n"}):
            with self.subTest(payload=str(payload)[:40]):
                self.refused(self.acme.post(order["finalize"], payload), 400, "badCSR", "malformed")
        self.acme.finish(order_url, self.acme.fetch(order_url).json, [name, other], key)

    @shows("8555-11.1-2", "8555-11.1-3", "8555-11.1-1", "checklist-63", "checklist-117")
    def test_keys_that_are_refused(self):
        name = self.name()
        order_url, order = self.acme.ready(name)
        other = self.newcomer(key=AccountKey("RS256"))
        weak = rsa.generate_private_key(65537, 1024)
        for what, key in (("this account's key", self.acme.key.private), ("another account's key", other.key.private),
                          ("a short key", weak), ("a curve nobody has", ec.generate_private_key(ec.SECP224R1()))):
            with self.subTest(what=what):
                self.refused(self.send(order, make_csr([name], key)), (400, 403), "badCSR")
        self.assertEqual(self.acme.fetch(order_url).json["status"], "ready")

    @shows("8555-7.4-6", "8555-7.4-5", "checklist-64")
    def test_csrs_that_are_accepted(self):
        key = certificate_key()
        upper = self.name("upper")
        short = self.name()
        for what, names, csr in (
                ("no subject", [a := self.name()], make_csr([a], key)),
                ("common name among the names", [b := self.name()], make_csr([b], key, common_name=b)),
                ("common name only", [c := self.name()], make_csr([], key, common_name=c)),
                ("other case", [upper], make_csr([upper.upper()], key)),
                ("other order", [short, d := self.name()], make_csr([d, short], key))):
            with self.subTest(what=what):
                leaf = self.acme.issue(*names, key=key, csr=csr).leaf
                self.assertEqual([(kind, value.lower()) for kind, value in names_of(leaf)],
                                 sorted(("dns", name) for name in names))
        name = self.name()
        rsa_key = certificate_key("RSA")
        self.assertEqual(public_der(self.acme.issue(name, key=rsa_key).leaf), public_der(rsa_key))

    @shows("8555-7.4-2", "8555-7.4-8", "checklist-64")
    def test_extensions_nobody_gets(self):
        name = self.name()
        key = certificate_key()
        order_url, order = self.acme.ready(name)
        for extension in (x509.BasicConstraints(True, 0),
                          x509.KeyUsage(True, False, False, False, False, True, True, False, False),
                          x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])):
            with self.subTest(extension=type(extension).__name__):
                csr = make_csr([name], key, extensions=[(extension, True)])
                response = self.send(order, csr)
                if response.status == 200:  # allowed, as long as the certificate does not have it
                    self.check_leaf(parse_chain(self.acme.download(self.acme.settle(order_url)))[0])
                    name = self.name()
                    order_url, order = self.acme.ready(name)
                else:
                    self.refused(response, (400, 403), "badCSR")

    def check_leaf(self, leaf):
        for kind, wanted in ((x509.BasicConstraints, lambda value: not value.ca),
                             (x509.KeyUsage, lambda value: not value.key_cert_sign),
                             (x509.ExtendedKeyUsage,
                              lambda value: ExtendedKeyUsageOID.CODE_SIGNING not in value)):
            try:
                self.assertTrue(wanted(leaf.extensions.get_extension_for_class(kind).value), kind)
            except x509.ExtensionNotFound:
                pass

    @shows("contract-18", "checklist-72", "checklist-120")
    def test_a_second_order_with_the_same_key_shares_the_certificate(self):
        self.need_own("de-duplication is this server's own")
        name, key = self.name(), certificate_key()
        csr = make_csr([name], key)
        first_url, first = self.acme.ready(name)
        second_url, second = self.acme.place(name)
        for order in (first, second):
            self.assertEqual(self.send(order, csr).status, 200)
        orders = [self.acme.settle(url) for url in (first_url, second_url)]
        self.assertEqual([order["status"] for order in orders], ["valid", "valid"])
        serials = {parse_chain(self.acme.download(order))[0].serial_number for order in orders}
        self.assertLessEqual(len(serials), 2)


class Certificates(ConformanceCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.names = [cls.services.name(), cls.services.name()]
        cls.issued = cls.acme.issue(*cls.names)

    @shows("8555-7.4-2", "checklist-70")
    def test_contents(self):
        leaf = self.issued.leaf
        self.assertEqual(names_of(leaf), sorted(("dns", name) for name in self.names))
        self.assertEqual(public_der(leaf), public_der(self.issued.key))
        now = datetime.datetime.utcnow()
        self.assertLess(leaf.not_valid_before, now)
        self.assertGreater(leaf.not_valid_after, now + datetime.timedelta(hours=1))
        self.check_not_a_ca(leaf)

    def check_not_a_ca(self, leaf):
        try:
            self.assertFalse(leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
        except x509.ExtensionNotFound:
            pass

    @shows("8555-9.1-1", "8555-9.1-2", "8555-9.1-3", "contract-5", "contract-13", "checklist-92")
    def test_chain(self):
        response = self.acme.post(self.issued.order["certificate"])
        self.assertEqual((response.status, response.content_type.split(";")[0]),
                         (200, "application/pem-certificate-chain"))
        text = response.body.decode("ascii")
        lines = text.split("\n")
        self.assertEqual(set(line for line in lines if line.startswith("-")),
                         {"-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"})
        inside, length = False, 0
        for line in lines:
            if line.startswith("-----BEGIN"):
                self.assertFalse(inside)
                inside, length = True, 64
            elif line.startswith("-----END"):
                inside = False
            elif inside:
                self.assertEqual(length, 64, "only the last line is shorter")
                self.assertRegex(line, r"\A[A-Za-z0-9+/]{1,64}={0,2}\Z")
                length = len(line)
            else:
                self.assertEqual(line, "", "nothing but certificates")
        chain = parse_chain(text)
        self.check_not_a_ca(chain[0])
        self.assertEqual(public_der(chain[0]), public_der(self.issued.key))
        for lower, upper in zip(chain, chain[1:]):
            self.verify(lower, upper)

    def verify(self, lower, upper):
        """Does the upper certificate certify the lower one?"""
        self.assertEqual(lower.issuer, upper.subject)
        with tempfile.TemporaryDirectory(prefix="acme-chain-") as directory:
            for name, certificate in (("lower", lower), ("upper", upper)):
                with open(f"{directory}/{name}", "wb") as stream:
                    stream.write(certificate.public_bytes(serialization.Encoding.PEM))
            done = subprocess.run(["openssl", "verify", "-partial_chain", "-no-CApath", "-no-CAstore", "-CAfile",
                                   f"{directory}/upper", f"{directory}/lower"], capture_output=True, text=True,
                                  timeout=20)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    @shows("8555-7.4.2-1", "contract-14", "checklist-93")
    def test_alternates(self):
        response = self.acme.post(self.issued.order["certificate"])
        alternates = [link.split(">")[0].lstrip("<") for link in response.all("Link") if 'rel="alternate"' in link]
        self.need(alternates, "alternate chains")
        chains = {response.body}
        for url in alternates:
            other = self.acme.expect(self.acme.post(url), 200)
            chains.add(other.body)
            chain = parse_chain(other.body.decode("ascii"))
            self.assertEqual(chain[0], self.issued.leaf)
            for lower, upper in zip(chain, chain[1:]):
                self.verify(lower, upper)
        self.assertEqual(len(chains), 1 + len(alternates), "each is another chain")
        self.refused(self.newcomer().post(alternates[0]), (401, 403, 404), "malformed", "unauthorized")

    @shows("8555-7.4.2-2", "contract-13", "checklist-95")
    def test_other_formats_are_not_invented(self):
        for accept in ("application/pkix-cert", "application/pkcs7-mime", "*/*", "application/json", "nonsense"):
            with self.subTest(accept=accept):
                jws = self.acme.jws(url := self.issued.order["certificate"], None)
                response = self.acme.send("POST", url, json.dumps(jws).encode(),
                                          {"Content-Type": "application/jose+json", "Accept": accept})
                self.acme.nonces = [response.nonce]
                self.assertIn(response.status, (200, 406, 415))
                if response.status == 200 and response.content_type.startswith("application/pem-certificate-chain"):
                    self.assertFalse([link for link in response.all("Link") if 'rel="up"' in link])
                elif response.status == 200:
                    self.assertTrue([link for link in response.all("Link") if 'rel="up"' in link])

    @shows("8555-7.4.2-3", "checklist-94")
    def test_certificates_do_not_change(self):
        for _ in range(2):
            self.assertEqual(self.acme.download(self.issued.order), self.issued.pem)

    @shows("8555-10.5-1")
    def test_urls_cannot_be_guessed(self):
        first, second = (self.acme.place(self.name())[0] for _ in range(2))
        self.assertGreater(sum(a != b for a, b in zip(first, second)), 10, (first, second))
        for name in self.names:
            self.assertNotIn(name, self.issued.order_url + "".join(self.issued.order["authorizations"]))


if __name__ == "__main__":
    unittest.main()
