#!/usr/bin/python3
"""Real clients at what belongs to accounts: external account binding, another key, the end."""

import os
import unittest

from client_case import ClientCase
from harness.keys import b64

MAC_KEY = bytes(range(32))


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


if __name__ == "__main__":
    unittest.main()
