#!/usr/bin/python3
"""Debian's dehydrated. It has no server for tls-alpn-01: it writes the certificate for one."""

import os
import unittest

from matrix_case import HOOK, MatrixCase


class Dehydrated(MatrixCase):
    title = "dehydrated (Debian)"
    folder = "dehydrated"
    challenges = ("http-01", "dns-01", "tls-alpn-01")

    @classmethod
    def find_version(cls):
        return cls.debian_version("dehydrated")

    def dehydrated(self, challenge, *arguments):
        config = os.path.join(self.directory, "config")
        acme_webroot = os.path.join(self.webroot, ".well-known", "acme-challenge")
        os.makedirs(acme_webroot, exist_ok=True)
        with open(config, "w", encoding="ascii") as stream:
            stream.write(f"CA={self.directory_url}\nBASEDIR={self.state}\nWELLKNOWN={acme_webroot}\n"
                         f"ALPNCERTDIR={self.alpn}\nCHALLENGETYPE={challenge}\n"
                         f'CURL_OPTS="--cacert {self.bridge.root}"\n')
            if challenge == "dns-01":
                stream.write(f"HOOK={HOOK}\n")
        return self.call("/usr/bin/dehydrated", "--config", config, *arguments)

    def issue(self, challenge, names, *options):
        if not os.path.exists(os.path.join(self.state, "accounts")):
            self.dehydrated(challenge, "--register", "--accept-terms")
        self.dehydrated(challenge, "--cron", *options, *[part for name in names for part in ("--domain", name)])
        folder = os.path.join(self.state, "certs", names[0])
        return os.path.join(folder, "fullchain.pem"), os.path.join(folder, "privkey.pem")

    def renew(self, challenge, names):
        return self.issue(challenge, names, "--force")

    def revoke(self, challenge, chain_file, key_file, names):
        # It renames the file it revoked.
        self.dehydrated(challenge, "--revoke", os.path.join(os.path.dirname(chain_file), "cert.pem"))


del MatrixCase  # the base has no tests of its own


if __name__ == "__main__":
    unittest.main()
