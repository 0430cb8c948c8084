#!/usr/bin/python3
"""Real clients at what belongs to accounts: external account binding, another key, the end."""

import os
import time
import unittest

from client_case import ClientCase
from harness.keys import b64

MAC_KEY = bytes(range(32))
# METHOD TYPE IDENTIFIER TOKEN AUTHORIZATION
HOOK = """#!/bin/sh
[ "$2" = http-01 ] || exit 1
folder=$INTEROP_WEBROOT/.well-known/acme-challenge
case $1 in
begin) mkdir -p "$folder" && printf %s "$5" >"$folder/$4" ;;
*) rm -f "$folder/$4" ;;
esac
"""


class BoundCase(ClientCase):
    """A server that wants external account bindings."""

    @classmethod
    def configure(cls, bridge):
        path = os.path.join(bridge.directory, "eab.key")
        with open(path, "w", encoding="ascii") as stream:
            stream.write(b64(MAC_KEY) + "\n")
        os.chmod(path, 0o600)
        bridge.settings["accounts"] = {"external_account_required": True,
                                       "external_accounts": [{"kid": "team-a", "hmac_key_file": "eab.key"}]}

    def bound_accounts(self):
        return len(self.bridge.log_lines('"account created"', "external_kid=team-a"))


class Certbot(BoundCase):
    program = "certbot"

    def certbot(self, *arguments):
        return self.call(*arguments, "--non-interactive", "--config-dir", "config", "--work-dir", "work",
                         "--logs-dir", "logs", "--server", self.directory_url(None),
                         REQUESTS_CA_BUNDLE=self.bridge.root)

    def test_binding_and_deactivation(self):
        before = self.bound_accounts()
        order = ("certonly", "--agree-tos", "--register-unsafely-without-email", "--webroot", "-w", self.webroot,
                 "-d", "eab.certbot.localhost")
        code, output = self.certbot(*order)
        self.assertNotEqual(code, 0, output)
        self.assertIn("external account binding", output)
        code, output = self.certbot(*order, "--eab-kid", "team-a", "--eab-hmac-key", b64(MAC_KEY[::-1]))
        self.assertNotEqual(code, 0, output)
        self.assertIn("team-a", output)
        code, output = self.certbot(*order, "--eab-kid", "team-a", "--eab-hmac-key", b64(MAC_KEY))
        self.assertEqual(code, 0, output)
        self.assertEqual(self.bound_accounts() - before, 1)
        live = os.path.join(self.directory, "config", "live", "eab.certbot.localhost")
        self.check_files(os.path.join(live, "fullchain.pem"), os.path.join(live, "privkey.pem"),
                         ["eab.certbot.localhost"], None)
        code, output = self.certbot("update_account", "--email", "admin@corp.example")
        self.assertEqual(code, 0, output)
        code, output = self.certbot("unregister")
        self.assertEqual(code, 0, output)
        self.bridge.wait_for_log('"account deactivated"')


class Lego(BoundCase):
    program = "lego"

    def lego(self, *options):
        return self.call("--path", "lego", "--server", self.directory_url(None), "--email", "admin@corp.example",
                         "--accept-tos", "--http", "--http.webroot", self.webroot, "-d", "eab.lego.localhost",
                         *options, "run", LEGO_CA_CERTIFICATES=self.bridge.root)

    def test_binding(self):
        before = self.bound_accounts()
        code, output = self.lego()
        self.assertNotEqual(code, 0, output)
        code, output = self.lego("--eab", "--kid", "team-a", "--hmac", b64(MAC_KEY))
        self.assertEqual(code, 0, output)
        self.assertEqual(self.bound_accounts() - before, 1)
        folder = os.path.join(self.directory, "lego", "certificates")
        self.check_files(os.path.join(folder, "eab.lego.localhost.crt"),
                         os.path.join(folder, "eab.lego.localhost.key"), ["eab.lego.localhost"], None)


class Uacme(BoundCase):
    """uacme is the one that can change its key."""

    program = "uacme"

    def uacme(self, *arguments):
        """With the server's root in the system's list, which uacme takes no other way, for this process only."""
        bundle = os.path.join(self.directory, "bundle.pem")
        with open(bundle, "wb") as stream:
            for path in ("/etc/ssl/certs/ca-certificates.crt", self.bridge.root):
                with open(path, "rb") as source:
                    stream.write(source.read())
        self.program = "unshare"
        user = [] if os.geteuid() == 0 else ["--map-root-user"]
        return self.call("--mount", *user, "sh", "-c",
                         'mount --bind "$1" /etc/ssl/certs/ca-certificates.crt; shift; exec "$@"', "sh", bundle,
                         "/usr/bin/uacme", "-v", "-y", "-c", "state", "-a", self.directory_url(None), *arguments,
                         INTEROP_WEBROOT=self.webroot)

    def succeed(self, *arguments):
        code, output = self.uacme(*arguments)
        self.assertEqual(code, 0, output)
        return output

    def issue(self, *options):
        time.sleep(1.1)  # it names what it replaces by the second, and fails when two have the same
        self.succeed("-h", self.hook, *options, "issue", "newkey.uacme.localhost")
        state = os.path.join(self.directory, "state")
        self.check_files(os.path.join(state, "newkey.uacme.localhost", "cert.pem"),
                         os.path.join(state, "private", "newkey.uacme.localhost", "key.pem"),
                         ["newkey.uacme.localhost"], None)

    def test_binding_new_key_and_deactivation(self):
        self.hook = os.path.join(self.directory, "hook.sh")
        with open(self.hook, "w", encoding="ascii") as stream:
            stream.write(HOOK)
        os.chmod(self.hook, 0o755)
        code, output = self.uacme("new", "admin@corp.example")
        self.assertNotEqual(code, 0, output)
        before = self.bound_accounts()
        self.succeed("-e", f"team-a:{b64(MAC_KEY)}", "new", "admin@corp.example")
        self.assertEqual(self.bound_accounts() - before, 1)
        self.issue()
        self.succeed("newkey")
        self.bridge.wait_for_log('"account key changed"')
        self.issue("-f")
        self.succeed("-t", "EC", "newkey")
        self.assertEqual(len(self.bridge.log_lines('"account key changed"')), 2)
        self.succeed("update", "other@corp.example")
        self.issue("-f")
        self.assertEqual(self.bound_accounts() - before, 1)
        self.succeed("deactivate")
        code, output = self.uacme("-f", "-h", self.hook, "issue", "newkey.uacme.localhost")
        self.assertNotEqual(code, 0, output)


if __name__ == "__main__":
    unittest.main()
