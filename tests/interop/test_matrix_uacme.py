#!/usr/bin/python3
"""Debian's uacme with its companion ualpn, which answers tls-alpn-01."""

import os
import subprocess
import time
import unittest

from matrix_case import HOOK, MatrixCase

HTTP_HOOK = """#!/bin/sh
# METHOD TYPE IDENTIFIER TOKEN AUTHORIZATION
[ "$2" = http-01 ] || exit 1
case $1 in
begin) mkdir -p "$INTEROP_WEBROOT/.well-known/acme-challenge" &&
    printf %s "$5" >"$INTEROP_WEBROOT/.well-known/acme-challenge/$4" ;;
*) rm -f "$INTEROP_WEBROOT/.well-known/acme-challenge/$4" ;;
esac
"""
# As /usr/share/uacme/ualpn.sh, with a socket of its own.
ALPN_HOOK = """#!/bin/sh
[ "$2" = tls-alpn-01 ] || exit 1
case $1 in
begin) answer=$(echo "auth $3 $5" | ualpn -s "$INTEROP_STATE/ualpn.sock") ;;
*) answer=$(echo "unauth $3" | ualpn -s "$INTEROP_STATE/ualpn.sock") ;;
esac
[ "$answer" = OK ]
"""


class Uacme(MatrixCase):
    title = "uacme (Debian)"
    folder = "uacme"
    challenges = ("http-01", "dns-01", "tls-alpn-01")
    own_tls = True

    @classmethod
    def find_version(cls):
        return cls.debian_version("uacme")

    def hook(self, challenge):
        if challenge == "dns-01":
            return HOOK
        path = os.path.join(self.directory, "hook.sh")
        with open(path, "w", encoding="ascii") as stream:
            stream.write(HTTP_HOOK if challenge == "http-01" else ALPN_HOOK)
        os.chmod(path, 0o755)
        if challenge == "tls-alpn-01" and not os.path.exists(os.path.join(self.state, "ualpn.sock")):
            self.start_ualpn()
        return path

    def start_ualpn(self):
        """In the foreground, so that it ends with this test. Connections without acme-tls/1 go to a closed port."""
        command = ["ualpn", "-v", "-b", f"127.0.0.1@{self.tls_port}", "-c", "127.0.0.1@9",
                   "-s", os.path.join(self.state, "ualpn.sock"), "-S", "666", "-n", "1"]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, cwd=self.directory)
        self.addCleanup(process.wait, 10)
        self.addCleanup(process.terminate)
        deadline = time.monotonic() + 10
        while not os.path.exists(os.path.join(self.state, "ualpn.sock")):
            self.assertIsNone(process.poll(), "ualpn ended")
            self.assertLess(time.monotonic(), deadline, "ualpn does not listen")
            time.sleep(0.05)

    def uacme(self, *arguments):
        self.trusting_call("/usr/bin/uacme", "-v", "-y", "-c", self.state, "-a", self.directory_url, *arguments,
                           INTEROP_WEBROOT=self.webroot, INTEROP_STATE=self.state)

    def issue(self, challenge, names, *options):
        if not os.path.exists(os.path.join(self.state, "private", "key.pem")):
            self.uacme("new", "admin@corp.example")
        self.uacme(*options, "-h", self.hook(challenge), "issue", *names)
        return os.path.join(self.state, names[0], "cert.pem"), os.path.join(self.state, "private", names[0], "key.pem")

    def renew(self, challenge, names):
        return self.issue(challenge, names, "-f")

    def revoke(self, challenge, chain_file, key_file, names):
        self.uacme("revoke", chain_file)


del MatrixCase  # the base has no tests of its own


if __name__ == "__main__":
    unittest.main()
