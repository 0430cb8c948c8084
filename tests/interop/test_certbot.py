#!/usr/bin/python3
"""Debian's certbot against both profiles: a certificate, another one on the same account, a wrong response."""

import os
import unittest

from client_case import ClientCase
from harness.keys import public_der
from harness.responder import Answer


class Certbot(ClientCase):
    program = "certbot"

    def certbot(self, profile, *names, options=()):
        arguments = ["certonly", "--non-interactive", "--agree-tos", "--register-unsafely-without-email",
                     "--config-dir", "config", "--work-dir", "work", "--logs-dir", "logs",
                     "--server", self.directory_url(profile), "--webroot", "-w", self.webroot,
                     "--preferred-challenges", "http", *options]
        for name in names:
            arguments += ["-d", name]
        return self.call(*arguments, REQUESTS_CA_BUNDLE=self.bridge.root)

    def accounts_kept(self):
        """The accounts certbot has in its configuration."""
        return [path for path, _, files in os.walk(os.path.join(self.directory, "config", "accounts"))
                if "regr.json" in files]

    def succeed(self, profile, *names, options=()):
        code, output = self.certbot(profile, *names, options=options)
        self.assertEqual(code, 0, output)
        live = os.path.join(self.directory, "config", "live", names[0])
        return self.check_files(os.path.join(live, "fullchain.pem"), os.path.join(live, "privkey.pem"),
                                names, profile)

    def two_certificates(self, profile):
        before = self.accounts_created()
        label = profile or "default"
        first = self.succeed(profile, f"one.{label}.certbot.localhost")
        second = self.succeed(profile, f"two.{label}.certbot.localhost", f"three.{label}.certbot.localhost")
        self.assertNotEqual(first.serial_number, second.serial_number)
        self.assertEqual(len(self.accounts_kept()), 1)
        self.assertEqual(self.accounts_created() - before, 1, "the account was not used again")

    def wrong_response(self, profile):
        name = f"wrong.{profile or 'default'}.certbot.localhost"
        self.responder.override = Answer(b"this is another web server")
        code, output = self.certbot(profile, name)
        self.assertNotEqual(code, 0, output)
        self.assertIn(name, output)
        self.assertIn("this is another web server", output)
        self.assertIn("/.well-known/acme-challenge/", output)
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
        self.assertEqual(len(self.enrollments("wrong.scm.certbot.localhost")), 1)

    def slow(self, delay):
        self.simulator.control("POST", "/settings", {"approval_delay": delay})
        self.addCleanup(self.simulator.control, "POST", "/settings", {"approval_delay": 0.5})

    def test_a_renewal_that_outlasts_its_patience(self):
        """With --reuse-key the next run has the same key, and finds what the first one ordered."""
        name = "patience.scm.certbot.localhost"
        first = self.succeed("scm", name, options=("--reuse-key",))
        self.assertEqual(len(self.enrollments(name)), 1)
        self.slow(12.0)
        renew = ("--reuse-key", "--force-renewal")
        code, output = self.certbot("scm", name, options=(*renew, "--issuance-timeout", "4"))
        self.assertNotEqual(code, 0, output)
        self.assertEqual(len(self.enrollments(name)), 2)
        second = self.succeed("scm", name, options=(*renew, "--issuance-timeout", "40"))
        self.assertEqual(public_der(first), public_der(second))
        self.assertNotEqual(first.serial_number, second.serial_number)
        self.assertEqual(len(self.enrollments(name)), 2, "the second run ordered another certificate")

    def revoke(self, profile, name, *options):
        return self.call("revoke", "--non-interactive", "--config-dir", "config", "--work-dir", "work",
                         "--logs-dir", "logs", "--server", self.directory_url(profile), "--no-delete-after-revoke",
                         "--cert-path", os.path.join("config", "live", name, "cert.pem"), *options,
                         REQUESTS_CA_BUNDLE=self.bridge.root)

    def test_revoke_with_the_account(self):
        for profile in (None, "scm"):
            name = f"revoke.{profile or 'default'}.certbot.localhost"
            certificate = self.succeed(profile, name)
            code, output = self.revoke(profile, name, "--reason", "superseded")
            self.assertEqual(code, 0, output)
            self.assertIn("reason=4", self.revoked_at(profile, certificate))

    def test_revoke_with_the_certificates_key(self):
        name = "revoke-key.certbot.localhost"
        certificate = self.succeed(None, name)
        key_path = os.path.join("config", "live", name, "privkey.pem")
        code, output = self.revoke(None, name, "--key-path", key_path, "--reason", "keycompromise")
        self.assertEqual(code, 0, output)
        self.assertIn("reason=1", self.revoked_at(None, certificate))
        code, _ = self.revoke(None, name, "--key-path", key_path)
        self.assertNotEqual(code, 0)
        # This certbot stumbles over the problem before it shows it.
        with open(os.path.join(self.directory, "logs", "letsencrypt.log"), encoding="utf-8") as stream:
            self.assertIn("alreadyRevoked", stream.read())

    def test_nothing_at_the_http_port(self):
        self.responder.override = Answer(b"no such page", 404)
        code, output = self.certbot(None, "missing.certbot.localhost")
        self.assertNotEqual(code, 0, output)
        self.assertIn("404", output)
        self.assertIn("missing.certbot.localhost", output)

    def test_account_survives_a_restart_of_the_server(self):
        before = self.accounts_created()
        self.succeed(None, "before.restart.certbot.localhost")
        self.bridge.stop()
        self.bridge.restart()
        self.succeed(None, "after.restart.certbot.localhost")
        self.assertEqual(self.accounts_created() - before, 1)

    def test_refused_by_the_upstream(self):
        code, output = self.certbot("scm", "declined.certbot.localhost")
        self.assertNotEqual(code, 0, output)
        # This certbot shows the order's error in its log only.
        with open(os.path.join(self.directory, "logs", "letsencrypt.log"), encoding="utf-8") as stream:
            self.assertIn("An administrator of the certificate service declined the request", stream.read())


if __name__ == "__main__":
    unittest.main()
