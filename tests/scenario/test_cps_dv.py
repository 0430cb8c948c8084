#!/usr/bin/python3
"""DV enrollments at Akamai CPS: the challenges are answered by a hook, by a DNS update, or by the operator."""

import os
import sys
import time
import unittest

from cps_case import CpsCase

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from harness.dns_server import DnsServer  # noqa: E402 (found through the line above)
from harness.responder import Responder  # noqa: E402
from harness.update_server import UpdateServer  # noqa: E402

NAME, SECOND = "www.cps.localhost", "a.cps.localhost"
HOOK = """#!/usr/bin/python3
import json, os, sys
with open(sys.argv[1], "a", encoding="utf-8") as stream:
    stream.write(json.dumps({name[len("ACMEBRIDGE_DV_"):]: value for name, value in os.environ.items()
                             if name.startswith("ACMEBRIDGE_DV_")}) + "\\n")
if os.environ["ACMEBRIDGE_DV_TYPE"] == "http-01":
    path = os.path.join(sys.argv[2], ".well-known", "acme-challenge", os.environ["ACMEBRIDGE_DV_TOKEN"])
    if os.environ["ACMEBRIDGE_DV_ACTION"] == "publish":
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="ascii") as stream:
            stream.write(os.environ["ACMEBRIDGE_DV_BODY"])
    elif os.path.exists(path):
        os.unlink(path)
"""


class Publishing(CpsCase):
    def dv_enrollment(self, *names, **dv):
        return self.enrollment("dv", *names, options={"dv": dv} if dv else None)

    def write_hook(self):
        """(command, journal file, directory of a web server)"""
        path, journal = (os.path.join(self.bridge.directory, name) for name in ("hook", "hook-journal"))
        webroot = os.path.join(self.bridge.directory, "webroot")
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(HOOK)
        os.chmod(path, 0o700)
        os.mkdir(webroot)
        return [path, journal, webroot], journal, webroot

    def test_hook_serves_http01(self):
        command, journal, webroot = self.write_hook()
        web = Responder(webroot=webroot)
        self.addCleanup(web.stop)
        self.cps.settings(dv_check="http", dv_http=f"127.0.0.1:{web.port}")
        enrollment = self.dv_enrollment(NAME, SECOND, publish="hook", hook=command)
        client, order = self.begin(NAME, SECOND)
        self.wait_change(enrollment, "completed", 150)
        self.becomes_valid(client, order, enrollment, 120)
        self.assert_changes(enrollment)
        with open(journal, encoding="utf-8") as stream:
            lines = stream.read()
        for name in (NAME, SECOND):
            self.assertIn(name, lines)
        self.assertIn('"remove"', lines)
        self.assertEqual(os.listdir(os.path.join(webroot, ".well-known", "acme-challenge")), [])

    def test_dns_update(self):
        server = UpdateServer("cps.localhost").start()
        self.addCleanup(server.stop)
        self.bridge.secrets.append(server.secret)
        self.cps.settings(dv_check="dns", dv_dns=server.address)
        enrollment = self.dv_enrollment(NAME, SECOND, publish="dns-update", server="127.0.0.1", port=server.port,
                                        key_file=server.write_key(self.bridge.directory))
        client, order = self.begin(NAME, SECOND)
        self.wait_change(enrollment, "completed", 150)
        self.becomes_valid(client, order, enrollment, 120)
        self.assertEqual(server.refused, [])
        self.assertFalse(any(server.texts.values()), server.texts)

    def test_operator_publishes(self):
        with DnsServer() as server:
            self.cps.settings(dv_check="dns", dv_dns=server.address)
            enrollment = self.dv_enrollment(NAME)
            client, order = self.begin(NAME)
            change = self.wait_change(enrollment, "validate")
            time.sleep(2)
            self.assertEqual(client.fetch(order).json["status"], "processing")
            domain = self.cps.change(change)["domains"][0]
            server.add("_acme-challenge." + NAME, "TXT", domain["txt"])
            self.wait_change(enrollment, "completed")
            self.becomes_valid(client, order, enrollment, 120)

    def test_failed_validation(self):
        enrollment = self.dv_enrollment(NAME)
        client, order = self.begin(NAME)
        change = self.wait_change(enrollment, "validate")
        self.cps.change(change, "error", code="DV", description="Domain validation failed for " + NAME)
        self.failed(self.ends(client, order), "unauthorized")


if __name__ == "__main__":
    unittest.main()
