#!/usr/bin/python3
"""lego, Debian's and the newest: it answers http-01 and tls-alpn-01 itself, dns-01 through its provider "exec"."""

import os
import unittest

from matrix_case import CLIENTS, HOOK, MatrixCase


class LegoDebian(MatrixCase):
    title = "lego (Debian)"
    folder = "lego"
    challenges = ("http-01", "dns-01", "tls-alpn-01")
    own_http = True
    own_tls = True

    @classmethod
    def find_version(cls):
        return cls.debian_version("lego")  # it says "dev" itself

    def lego(self, challenge, names, *command):
        how = {"http-01": ("--http", "--http.port", f"127.0.0.1:{self.http_port}"),
               "dns-01": ("--dns", "exec", "--dns.resolvers", self.dns.address, "--dns.disable-cp"),
               "tls-alpn-01": ("--tls", "--tls.port", f"127.0.0.1:{self.tls_port}")}
        self.call("/usr/bin/lego", "--path", self.state, "--server", self.directory_url, "--email", "admin@corp.example",
                  "--accept-tos", *how[challenge], *[part for name in names for part in ("-d", name)], *command,
                  LEGO_CA_CERTIFICATES=self.bridge.root, EXEC_PATH=HOOK, EXEC_SEQUENCE_INTERVAL="1")
        path = os.path.join(self.state, "certificates", names[0])
        return path + ".crt", path + ".key"

    def issue(self, challenge, names):
        return self.lego(challenge, names, "run")

    def renew(self, challenge, names):
        return self.lego(challenge, names, "renew", "--days", "9999", "--no-random-sleep")

    def revoke(self, challenge, chain_file, key_file, names):
        self.lego(challenge, names, "revoke", "--keep", "--reason", "4")


class LegoNewest(MatrixCase):
    """The newest library with programs/lego around it: the full command cannot be built wherever a proxy lacks one of
    the two hundred modules for DNS services it pulls in."""

    title = "lego (newest, as library)"
    folder = "lego-new"
    challenges = ("http-01", "dns-01", "tls-alpn-01")
    own_http = True
    own_tls = True
    addresses = True
    program = os.path.join(CLIENTS, "lego-new", "lego-program")

    @classmethod
    def find_version(cls):
        return cls.output_of(cls.program, "version").strip().removeprefix("v")

    def lego(self, action, challenge, names):
        self.call(self.program, action, challenge, *names, **self.program_environment(),
                  LEGO_CA_CERTIFICATES=self.bridge.root, EXEC_PATH=HOOK, EXEC_SEQUENCE_INTERVAL="1")
        return os.path.join(self.state, names[0] + ".crt"), os.path.join(self.state, names[0] + ".key")

    def issue(self, challenge, names):
        return self.lego("issue", challenge, names)

    def renew(self, challenge, names):
        return self.lego("renew", challenge, names)

    def revoke(self, challenge, chain_file, key_file, names):
        self.lego("revoke", challenge, names)


del MatrixCase  # the base has no tests of its own


if __name__ == "__main__":
    unittest.main()
