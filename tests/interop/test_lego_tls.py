#!/usr/bin/python3
"""Debian's lego with tls-alpn-01 (this version cannot ask for addresses)."""

import os
import unittest

from client_case import ClientCase
from harness.bridge import free_port


class LegoTls(ClientCase):
    program = "lego"

    @classmethod
    def configure(cls, bridge):
        cls.tls_port = free_port()
        bridge.settings["validation"]["tls_port"] = cls.tls_port

    def lego(self, *options):
        return self.call("--path", "lego", "--server", self.directory_url(None), "--email", "admin@corp.example",
                         "--accept-tos", "--tls", "--tls.port", f":{self.tls_port}", *options, "run",
                         LEGO_CA_CERTIFICATES=self.bridge.root)

    def test_names(self):
        names = ["tls.lego.localhost", "more.tls.lego.localhost"]
        code, output = self.lego(*[part for name in names for part in ("-d", name)])
        self.assertEqual(code, 0, output)
        files = os.path.join(self.directory, "lego", "certificates", names[0])
        self.check_files(files + ".crt", files + ".key", names, None)
        self.assertEqual(len(self.bridge.log_lines('"challenge valid"', "type=tls-alpn-01", "lego.localhost")), 2)


if __name__ == "__main__":
    unittest.main()
