#!/usr/bin/python3
"""Client libraries, each with a small program of ours around it: npm's acme-client, and acme4j from Maven."""

import json
import os
import shutil
import unittest

from matrix_case import CLIENTS, MatrixCase

PROGRAMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs")


class LibraryMatrix(MatrixCase):
    challenges = ("http-01", "dns-01", "tls-alpn-01")

    def program(self, action, challenge, names):
        self.call(*self.command(), action, challenge, *names, **self.program_environment(),
                  NODE_EXTRA_CA_CERTS=self.bridge.root, INTEROP_MODULES=os.path.join(CLIENTS, "npm", "node_modules"))
        return os.path.join(self.state, names[0] + ".crt"), os.path.join(self.state, names[0] + ".key")

    def issue(self, challenge, names):
        return self.program("issue", challenge, names)

    def renew(self, challenge, names):
        return self.program("renew", challenge, names)

    def revoke(self, challenge, chain_file, key_file, names):
        self.program("revoke", challenge, names)


class AcmeClientNpm(LibraryMatrix):
    title = "acme-client (npm)"
    folder = "npm"

    @classmethod
    def find_version(cls):
        with open(os.path.join(CLIENTS, "npm", "node_modules", "acme-client", "package.json"), encoding="utf-8") as stream:
            return json.load(stream)["version"]

    def command(self):
        return "node", os.path.join(PROGRAMS, "npm", "client.js")


class Acme4j(LibraryMatrix):
    title = "acme4j (Maven)"
    folder = "acme4j"
    addresses = True

    @classmethod
    def find_version(cls):
        jars = os.listdir(os.path.join(CLIENTS, "acme4j", "lib"))
        return next(jar for jar in jars if jar.startswith("acme4j-client-"))[len("acme4j-client-"):-len(".jar")]

    def command(self):
        folder = os.path.join(CLIENTS, "acme4j")
        return "java", "-cp", f"{folder}/classes:{folder}/lib/*", "Acme4jProgram"

    def revoke_by_key(self, chain_file, key_file, names):
        for kept, suffix in ((chain_file, ".crt"), (key_file, ".key")):
            shutil.copy(kept, os.path.join(self.state, "first" + suffix))
        self.program("revoke-by-key", "none", ["first"])


del LibraryMatrix, MatrixCase  # the bases have no tests of their own


if __name__ == "__main__":
    unittest.main()
