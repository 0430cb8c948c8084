#!/usr/bin/python3
"""revokeCert: RFC 8555 section 7.6."""

import time
import unittest
import urllib.request

from case import ConformanceCase, shows
from client import CertificateSigner
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from harness.keys import AccountKey, b64


class Revocation(ConformanceCase):
    def setUp(self):
        self.need_route("revokeCert")

    def revoked(self, response):
        self.assertEqual((response.status, response.body), (200, b""), response.describe())
        self.assertTrue(response.nonce)

    def already(self, ask):
        """Refused from some time soon on; until the revocation is carried out it may be accepted once more."""
        deadline = time.monotonic() + 10
        while (response := ask()).status == 200 and time.monotonic() < deadline:
            time.sleep(0.1)
        self.refused(response, 400, "alreadyRevoked")

    @shows("8555-7.6-5", "8555-7.6-8", "checklist-96", "checklist-97")
    def test_by_the_account_that_ordered(self):
        issued = self.acme.issue(self.name())
        self.revoked(self.acme.revoke(issued.der))
        self.already(lambda: self.acme.revoke(issued.der))
        self.already(lambda: self.acme.revoke(issued.der, 1))

    @shows("8555-7.6-7", "8555-7.6-8", "8555-6.2-13", "checklist-96")
    def test_by_the_key_of_the_certificate(self):
        issued = self.acme.issue(self.name())
        nobody = self.connect()
        self.revoked(nobody.revoke(issued.der, 1, CertificateSigner(issued.key)))
        self.already(lambda: nobody.revoke(issued.der, 1, CertificateSigner(issued.key)))
        self.already(lambda: self.acme.revoke(issued.der))

    @shows("8555-7.6-6", "8555-7.6-4", "checklist-96", "checklist-97")
    def test_by_an_account_that_is_authorized_for_all_names(self):
        names = [self.name(), self.name()]
        issued = self.acme.issue(*names)
        other = self.newcomer()
        self.refused(other.revoke(issued.der), 403, "unauthorized")
        other.ready(names[0])
        self.refused(other.revoke(issued.der), 403, "unauthorized")
        other.ready(names[1])
        self.revoked(other.revoke(issued.der))

    @shows("8555-7.6-4", "8555-7.5.2-2", "checklist-97")
    def test_unauthorized(self):
        name = self.name()
        issued = self.acme.issue(name)
        self.refused(self.newcomer().revoke(issued.der), 403, "unauthorized")
        self.refused(self.connect().revoke(issued.der, key=AccountKey()), (400, 401, 403), "unauthorized",
                     "accountDoesNotExist")
        # The key of an account is no certificate's key.
        self.refused(self.acme.revoke(issued.der, key=self.acme.key), (400, 401, 403), "unauthorized", "malformed")
        other = self.newcomer()
        _, order = other.ready(name)
        other.post(order["authorizations"][0], {"status": "deactivated"})
        self.refused(other.revoke(issued.der), 403, "unauthorized")
        self.revoked(self.acme.revoke(issued.der))

    @shows("8555-7.6-2", "8555-7.6-3", "checklist-97", "checklist-98")
    def test_reasons(self):
        issued = self.acme.issue(self.name())
        for reason in (-1, 7, 11, 99):
            with self.subTest(reason=reason):
                response = self.acme.revoke(issued.der, reason)
                self.refused(response, 400, "badRevocationReason")
                self.assertRegex(response.detail, r"\b1\b", "tells which are allowed")
        for reason in ("1", 1.5, [], True):
            with self.subTest(reason=reason):
                self.refused(self.acme.revoke(issued.der, reason), 400, "badRevocationReason", "malformed")
        self.revoked(self.acme.revoke(issued.der, 4))

    @shows("8555-7.6-9", "8555-6.1-5", "checklist-97")
    def test_no_such_certificate(self):
        issued = self.acme.issue(self.name())
        foreign = bytearray(issued.der)
        foreign[-1] ^= 1
        issuer = issued.chain[1].public_bytes(serialization.Encoding.DER)
        for what, der in (("altered", bytes(foreign)), ("garbage", b"\x30\x03\x02\x01\x01"), ("nothing", b""),
                          ("something behind", issued.der + b"\0"), ("the issuer's", issuer)):
            with self.subTest(what=what):
                self.refused(self.acme.revoke(der), (400, 403, 404), "malformed", "unauthorized")
        for payload in ({}, {"certificate": 7}, {"certificate": b64(issued.der) + "="}, {"certificate": issued.pem}):
            with self.subTest(payload=str(payload)[:50]):
                self.refused(self.acme.once(self.acme.directory["revokeCert"], payload), 400, "malformed")
        self.revoked(self.acme.revoke(issued.der))

    @shows("8555-7.6-1", "checklist-98")
    def test_list_of_revoked_certificates(self):
        """With a reason it is there, without one the entry has no reason code."""
        plain, reasoned = self.acme.issue(self.name()), self.acme.issue(self.name())
        try:
            points = plain.leaf.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
        except x509.ExtensionNotFound:
            self.need(False, "a list of revoked certificates")
        self.revoked(self.acme.revoke(plain.der))
        self.revoked(self.acme.revoke(reasoned.der, 4))
        deadline = time.monotonic() + 15
        while True:
            with urllib.request.urlopen(points[0].full_name[0].value, timeout=10) as stream:
                crl = x509.load_der_x509_crl(stream.read())
            entries = [crl.get_revoked_certificate_by_serial_number(issued.leaf.serial_number)
                       for issued in (plain, reasoned)]
            if all(entries) or time.monotonic() > deadline:
                break
            time.sleep(0.3)
        entry = entries[0]
        with self.assertRaises(x509.ExtensionNotFound):
            entry.extensions.get_extension_for_class(x509.CRLReason)
        self.assertEqual(entries[1].extensions.get_extension_for_class(x509.CRLReason).value.reason,
                         x509.ReasonFlags.superseded)
        self.assertTrue(crl.is_signature_valid(plain.chain[1].public_key()))


if __name__ == "__main__":
    unittest.main()
