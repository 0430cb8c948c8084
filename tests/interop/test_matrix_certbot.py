#!/usr/bin/python3
"""certbot, Debian's and the newest: http-01 through a webroot, dns-01 through its manual hooks."""

import os
import unittest

from matrix_case import CLIENTS, HOOK, MatrixCase


class CertbotMatrix(MatrixCase):
    challenges = ("http-01", "dns-01")

    @classmethod
    def find_version(cls):
        return cls.output_of(cls.program, "--version").split()[-1]

    def certbot(self, *arguments):
        return self.call(self.program, *arguments, "--non-interactive", "--config-dir", "config", "--work-dir", "work",
                         "--logs-dir", "logs", "--server", self.directory_url, REQUESTS_CA_BUNDLE=self.bridge.root)

    def files_of(self, names):
        live = os.path.join(self.directory, "config", "live", names[0])
        return os.path.join(live, "fullchain.pem"), os.path.join(live, "privkey.pem")

    def issue(self, challenge, names):
        how = {"http-01": ("--webroot", "-w", self.webroot, "--preferred-challenges", "http"),
               "dns-01": ("--manual", "--preferred-challenges", "dns", "--manual-auth-hook", f"{HOOK} certbot-auth",
                          "--manual-cleanup-hook", f"{HOOK} certbot-cleanup")}
        self.certbot("certonly", "--agree-tos", "--register-unsafely-without-email", *how[challenge],
                     *[part for name in names for part in ("--ip-address" if name == "127.0.0.1" else "-d", name)])
        return self.files_of(names)

    def renew(self, challenge, names):
        self.certbot("renew", "--force-renewal", "--no-random-sleep-on-renew")
        return self.files_of(names)

    def revoke(self, challenge, chain_file, key_file, names):
        self.certbot("revoke", "--cert-path", chain_file, "--no-delete-after-revoke", "--reason", "superseded")

    def revoke_by_key(self, chain_file, key_file, names):
        self.certbot("revoke", "--cert-path", chain_file, "--key-path", key_file, "--no-delete-after-revoke",
                     "--reason", "keycompromise")


class CertbotDebian(CertbotMatrix):
    title = "certbot (Debian)"
    folder = "certbot"
    program = "/usr/bin/certbot"


class CertbotNewest(CertbotMatrix):
    title = "certbot (PyPI)"
    folder = "certbot-new"
    addresses = True
    program = os.path.join(CLIENTS, "certbot-new", "venv", "bin", "certbot")


del CertbotMatrix, MatrixCase  # the bases have no tests of their own


if __name__ == "__main__":
    unittest.main()
