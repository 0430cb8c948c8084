#!/usr/bin/python3
"""Is SCM set up as the configuration assumes? `check --upstream`, the look at start, and refused names."""

import json
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from harness.case import Case  # noqa: E402 (found through the line above)

QUICK = ("--approval-delay", "0.2", "--ca-delay", "0.4")


class Looking(Case):
    def setUp(self):
        self.simulator = self.make_simulator(*QUICK)
        self.responder = self.make_responder()
        self.bridge = self.make_bridge(self.responder.port, self.simulator)

    def settings(self, **changes):
        self.simulator.control("POST", "/settings", changes)

    def check(self, *arguments, code):
        self.bridge.write_config()
        done = self.bridge.run("check", "--upstream", "--config", self.bridge.config_file, *arguments)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertNotIn(self.simulator.password, done.stdout + done.stderr)
        return done.stdout

    def finds(self, output, level, *words):
        lines = [line for line in output.splitlines()
                 if line.startswith(f"sectigo: {level}: ") and all(word in line for word in words)]
        self.assertEqual(len(lines), 1, (words, output))

    def test_all_is_well(self):
        output = self.check(code=0)
        self.assertNotIn(": error:", output)
        for words in (["login"], ["5153", "199 days"], ["password is good"], ["Organization 8932"],
                      ["custom fields"]):
            self.finds(output, "ok", *words)
        self.assertNotIn("enroll", self.simulator.control("GET", "/stats")["received"])

    def test_every_mistake(self):
        self.bridge.scm.update({"term_days": 100, "custom_fields": {"Colour": "blue", "Gone": "x"}})
        self.bridge.settings["profiles"][1]["keys"] = {"p521": True, "ed25519": True, "rsa_max_bits": 8192}
        profile = self.simulator.control("GET", "/settings")["profiles"][0]
        self.settings(profiles=[{**profile, "keyTypes": {"RSA": ["2048", "4096"], "EC": ["P-256", "P-384"]}}],
                      password_days=5, custom_fields=[{"id": 1, "name": "Team", "mandatory": True},
                                                      {"id": 2, "name": "Colour"}])
        output = self.check(code=1)
        self.finds(output, "error", "term_days 100", "199, 365")
        self.finds(output, "error", '"Team"', "custom_fields")
        self.finds(output, "error", '"Gone"')
        self.finds(output, "warning", "password expires")
        self.finds(output, "warning", "P-521", "keys.p521: false")
        self.finds(output, "warning", "Ed25519")
        self.finds(output, "warning", "2048 to 8192", "2048 to 4096")
        self.assertNotIn("Colour", output)

    def test_no_profile_no_organization(self):
        self.bridge.scm.update({"profile_id": 1})
        self.finds(self.check(code=1), "error", "profile_id 1", "5153 (OV SSL)")
        self.bridge.scm.update({"org_id": 1})
        self.finds(self.check(code=1), "error", "org_id 1 ")

    def test_no_common_key(self):
        profile = self.simulator.control("GET", "/settings")["profiles"][0]
        self.settings(profiles=[{**profile, "keyTypes": {"RSA": ["1024"]}}])
        self.finds(self.check(code=1), "error", "no kind of key in common")

    def test_password(self):
        self.settings(password_state="EXPIRED")
        self.finds(self.check(code=1), "error", "password has expired")
        self.settings(password_state="NEVER_EXPIRE")
        self.finds(self.check(code=0), "ok", "does not expire")
        self.bridge.scm["login"] = "nobody"
        self.assertEqual(self.check(code=1),
                         "sectigo: error: SCM refuses the login (HTTP 401: Unknown user).\n")

    def test_partly_readable(self):
        self.simulator.control("POST", "/faults", {"operation": "organizations", "fault": "error",
                                                   "code": -37, "status": 400, "description": "no rights"})
        self.simulator.control("POST", "/faults", {"operation": "password", "fault": "status-503-html"})
        output = self.check(code=0)
        self.finds(output, "warning", "organizations", "no rights")
        self.finds(output, "warning", "password's state", "503")
        self.finds(output, "ok", "custom fields")

    def test_unreachable(self):
        self.simulator.kill()
        self.finds(self.check(code=1), "error", "cannot be reached", "refused")

    def test_domains_as_json(self):
        self.settings(dcv_domains={"good.test": "VALIDATED", "old.test": "EXPIRED", "new.test": "NOT_VALIDATED"})
        names = ("www.GOOD.test", "*.old.test", "a.b.new.test", "other.test")
        output = json.loads(self.check("--json", *(part for name in names for part in ("--domain", name)), code=1))
        texts = {level: [finding["text"] for finding in output["findings"]
                         if finding["level"] == level and any(name.lower() in finding["text"] for name in names)]
                 for level in ("ok", "error")}
        self.assertEqual(output["errors"], 3)
        self.assertEqual(len(texts["ok"]), 1, texts)
        self.assertIn("good.test is validated", texts["ok"][0])
        self.assertEqual(len(texts["error"]), 3, texts)
        self.assertIn("old.test has expired", texts["error"][0])

    def test_device_class(self):
        self.bridge.scm["class"] = "device"
        self.settings(custom_fields=[{"id": 1, "name": "Room", "mandatory": True, "certType": "device"}])
        self.finds(self.check(code=1), "error", '"Room"')

    def test_findings_at_start(self):
        self.bridge.scm["term_days"] = 100
        self.bridge.start()
        self.bridge.wait_for_log("level=error", "term_days 100", "issuer=sectigo")
        self.bridge.wait_for_log("level=info", "SCM accepts the login")

    def test_names_of_domains_not_validated_are_refused(self):
        self.bridge.scm["dcv"] = "require-validated"
        self.settings(dcv_domains={"localhost": "NOT_VALIDATED", "good.localhost": "VALIDATED",
                                   "old.localhost": "EXPIRED"})
        self.bridge.start()
        self.bridge.wait_for_log("Validated domains: 1 of 3")
        client = self.client(self.bridge, profile="scm")
        client.register()
        client.obtain(self.responder, "www.good.localhost", limit=30)
        for name, word in (("www.localhost", "has not validated"), ("www.old.localhost", "expired"),
                           ("www.example.org", "not among")):
            response = client.post(client.directory["newOrder"], {"identifiers": [
                {"type": "dns", "value": name}]})
            self.refused(response, 400, "rejectedIdentifier", name, word)
        # Another profile has nothing to do with it.
        self.client(self.bridge).obtain(self.responder, "www.old.localhost", limit=10)
        # Once it is validated, and somebody was refused, the list is read again before long.
        self.settings(dcv_domains={"localhost": "VALIDATED"})
        deadline = time.monotonic() + 40
        while True:
            response = client.post(client.directory["newOrder"], {"identifiers": [
                {"type": "dns", "value": "www.old.localhost"}]})
            if response.status == 201:
                break
            self.assertLess(time.monotonic(), deadline, response.describe())
            time.sleep(1)

    def test_an_unknown_list_refuses_nobody(self):
        self.bridge.scm["dcv"] = "require-validated"
        self.simulator.control("POST", "/faults", {"operation": "dcv-list", "fault": "status-503", "times": -1})
        self.bridge.start()
        self.bridge.wait_for_log("does not show the domains")
        client = self.client(self.bridge, profile="scm")
        client.obtain(self.responder, "any.localhost", limit=30)
        self.bridge.wait_for_log("names are not checked")

    def test_instructions_of_a_waiting_request(self):
        self.bridge.scm["dcv_mode"] = "CNAME"
        self.settings(ca_delay=8.0)
        self.bridge.start()
        client = self.client(self.bridge, profile="scm")
        order_url, _, _ = client.begin(self.responder, "waits.localhost")
        self.bridge.wait_for_log("domains to validate: 1", "waits.localhost", ".sectigo.com.")
        self.assertEqual(client.poll(order_url, ("valid", "invalid"), 30)["status"], "valid")


if __name__ == "__main__":
    unittest.main()
