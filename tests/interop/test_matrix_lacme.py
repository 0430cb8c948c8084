#!/usr/bin/python3
"""Debian's lacme, which has http-01 only. It answers it itself."""

import os
import subprocess
import unittest

from matrix_case import MatrixCase


class Lacme(MatrixCase):
    title = "lacme (Debian)"
    folder = "lacme"
    challenges = ("http-01",)
    own_http = True

    @classmethod
    def find_version(cls):
        return cls.debian_version("lacme")

    def lacme(self, *arguments):
        files = {
            "lacme.conf": f"[client]\nuser =\ngroup =\nserver = {self.directory_url}\n"
                          f"[webserver]\nuser =\ngroup =\nlisten = 127.0.0.1:{self.http_port}\n"
                          f"[accountd]\nconfig = {self.directory}/accountd.conf\n",
            "accountd.conf": f"privkey = file:{self.state}/account.key\nquiet = Yes\n",
        }
        for name, content in files.items():
            with open(os.path.join(self.directory, name), "w", encoding="ascii") as stream:
                stream.write(content)
        self.trusting_call("/usr/sbin/lacme", f"--config={self.directory}/lacme.conf", *arguments)

    def make_key(self, name):
        path = os.path.join(self.state, name)
        if not os.path.exists(path):
            subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", path],
                           check=True, stderr=subprocess.DEVNULL, timeout=30)
            return True
        return False

    def issue(self, challenge, names, *options):
        if self.make_key("account.key"):
            self.lacme("account", "--register", "--tos-agreed", "mailto:admin@corp.example")
        self.make_key("host.key")
        with open(os.path.join(self.directory, "certs.conf"), "w", encoding="ascii") as stream:
            stream.write(f"[host]\ncertificate-key = {self.state}/host.key\ncertificate-chain = {self.state}/host.pem\n"
                         f"subject = /CN={names[0]}\nsubjectAltName = {','.join('DNS:' + name for name in names)}\n"
                         f"CAfile = {self.bridge.root}\n")
        self.lacme(f"--config-certs={self.directory}/certs.conf", *options, "newOrder")
        return os.path.join(self.state, "host.pem"), os.path.join(self.state, "host.key")

    def renew(self, challenge, names):
        return self.issue(challenge, names, "--force")

    def revoke(self, challenge, chain_file, key_file, names):
        self.lacme("revokeCert", chain_file)


del MatrixCase  # the base has no tests of its own


if __name__ == "__main__":
    unittest.main()
