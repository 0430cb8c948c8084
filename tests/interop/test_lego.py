#!/usr/bin/python3
"""Debian's lego against both profiles: a certificate, another one on the same account, a wrong response, and an
issuance that outlasts its patience."""

import os
import unittest

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from client_case import ClientCase
from harness.keys import certificate_key, csr_der
from harness.responder import Answer


class Lego(ClientCase):
    program = "lego"

    def lego(self, profile, *options):
        return self.call("--path", "lego", "--server", self.directory_url(profile),
                         "--email", "admin@corp.example", "--accept-tos", "--http",
                         "--http.webroot", self.webroot, *options, "run",
                         LEGO_CA_CERTIFICATES=self.bridge.root)

    def accounts_kept(self):
        return [path for path, _, files in os.walk(os.path.join(self.directory, "lego", "accounts"))
                if "account.json" in files]

    def certificate_file(self, name, suffix):
        return os.path.join(self.directory, "lego", "certificates", f"{name}.{suffix}")

    def succeed(self, profile, *names):
        options = [part for name in names for part in ("-d", name)]
        code, output = self.lego(profile, *options)
        self.assertEqual(code, 0, output)
        return self.check_files(self.certificate_file(names[0], "crt"), self.certificate_file(names[0], "key"),
                                names, profile)

    def two_certificates(self, profile):
        before = self.accounts_created()
        label = profile or "default"
        first = self.succeed(profile, f"one.{label}.lego.localhost")
        second = self.succeed(profile, f"two.{label}.lego.localhost", f"three.{label}.lego.localhost")
        self.assertNotEqual(first.serial_number, second.serial_number)
        self.assertEqual(len(self.accounts_kept()), 1)
        self.assertEqual(self.accounts_created() - before, 1, "the account was not used again")

    def wrong_response(self, profile):
        name = f"wrong.{profile or 'default'}.lego.localhost"
        self.responder.override = Answer(b"this is another web server")
        code, output = self.lego(profile, "-d", name)
        self.assertNotEqual(code, 0, output)
        self.assertIn(name, output)
        self.assertIn("this is another web server", output)
        self.responder.override = None
        self.succeed(profile, name)

    def test_default_profile(self):
        self.two_certificates(None)

    def test_scm_profile(self):
        self.two_certificates("scm")

    def test_wrong_response_then_right_one_default(self):
        self.wrong_response(None)

    def test_wrong_response_then_right_one_scm(self):
        self.wrong_response("scm")
        self.assertEqual(len(self.enrollments("wrong.scm.lego.localhost")), 1)

    def test_revoke(self):
        for profile in (None, "scm"):
            name = f"revoke.{profile or 'default'}.lego.localhost"
            certificate = self.succeed(profile, name)
            code, output = self.call("--path", "lego", "--server", self.directory_url(profile),
                                     "--email", "admin@corp.example", "-d", name, "revoke",
                                     LEGO_CA_CERTIFICATES=self.bridge.root)
            self.assertEqual(code, 0, output)
            self.revoked_at(profile, certificate)

    def write_csr(self, name):
        key = certificate_key()
        request = x509.load_der_x509_csr(csr_der([name], key, common_name=name))
        path = os.path.join(self.directory, "request.pem")
        with open(path, "wb") as stream:
            stream.write(request.public_bytes(serialization.Encoding.PEM))
        return path, key

    def test_slow_issuance_is_adopted_by_the_next_run(self):
        name = "slow-approval.lego.localhost"
        csr_file, key = self.write_csr(name)
        self.simulator.control("POST", "/settings", {"approval_delay": 9.0})
        self.addCleanup(self.simulator.control, "POST", "/settings", {"approval_delay": 0.5})
        code, output = self.lego("scm", "--csr", csr_file, "--cert.timeout", "4")
        self.assertNotEqual(code, 0, output)
        self.assertIn("time", output.lower())
        self.assertEqual(len(self.enrollments(name)), 1)

        code, output = self.lego("scm", "--csr", csr_file, "--cert.timeout", "30")
        self.assertEqual(code, 0, output)
        with open(self.certificate_file(name, "crt"), encoding="ascii") as stream:
            self.check_certificate(stream.read(), key, [name], self.root_of("scm"))
        self.assertEqual(len(self.enrollments(name)), 1, "the second run ordered another certificate")
        self.assertEqual(len(self.accounts_kept()), 1)


if __name__ == "__main__":
    unittest.main()
