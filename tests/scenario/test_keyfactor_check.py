#!/usr/bin/python3
"""check --upstream, and the same look at start, with Keyfactor Command."""

import json
import unittest

from keyfactor_case import ISSUER, KeyfactorCase, oauth_settings


class Check(KeyfactorCase):
    def check(self, *arguments, code, **changes):
        self.prepare(**changes)
        self.bridge.write_config()
        done = self.bridge.run("check", "--upstream", "--config", self.bridge.config_file, *arguments)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        for secret in (self.kf.password, self.kf.client_secret):
            self.assertNotIn(secret, done.stdout + done.stderr)
        return done.stdout

    def finds(self, output, level, *words):
        lines = [line for line in output.splitlines()
                 if line.startswith(f"{ISSUER}: {level}: ") and all(word in line for word in words)]
        self.assertEqual(len(lines), 1, (words, output))

    def test_all_is_well(self):
        for changes in ({}, oauth_settings(self.kf.ready), {"certificate_authority": "issuingca1"},
                        {"certificate_authority": None, "template": None, "enrollment_pattern_id": 3}):
            output = self.check(code=0, **changes)
            self.assertNotIn(": error:", output)
            self.assertNotIn(": warning:", output)
            self.finds(output, "ok", "25.1.0.0", "login")
            self.finds(output, "ok", "AcmeOrder")
        received = self.kf.stats()["received"]
        self.assertEqual({name for name in ("enroll", "renew", "revoke", "metadata") if name in received}, set())

    def test_mistakes(self):
        output = self.check(code=1, template="Nothing")
        self.finds(output, "error", "Nothing", "WebServer", "ShortWeb")
        output = self.check(code=1, template="ShortWeb", certificate_authority="StandAloneCA")
        self.finds(output, "error", "StandAloneCA", "IssuingCA1")
        output = self.check(code=1, certificate_authority=None, template=None, enrollment_pattern_id=9)
        self.finds(output, "error", "enrollment_pattern_id 9")
        self.kf.settings(metadata_fields=[{"Name": "Team", "DataType": 1, "Enrollment": 1}])
        output = self.check(code=1, metadata={"Colour": "red"})
        self.finds(output, "error", "AcmeOrder")
        self.finds(output, "error", "Colour")
        # Command may demand it of other templates only.
        self.finds(output, "warning", "Team")

    def test_login(self):
        self.kf.settings(unauthorized_shape="json", logins=["basic"])
        self.finds(self.check(code=1, login="EXAMPLE\\nobody"), "error", "refuses the login", "401")
        self.kf.settings(unauthorized_shape="html")
        self.finds(self.check(code=1, login="EXAMPLE\\nobody"), "error", "refuses the login", "401")
        output = self.check(code=1, **oauth_settings(self.kf.ready, client_id="nobody"))
        self.finds(output, "error", "token")
        self.finds(self.check(code=1, api_path="Other/API"), "error", "404")

    def test_permissions(self):
        self.kf.settings(forbidden=["context", "metadata-fields", "pending"])
        output = self.check(code=0)
        for words in ("templates and CAs", "metadata fields", "wait at the CA"):
            self.finds(output, "warning", words, "required permission")
        self.kf.settings(forbidden=["certificates"])
        self.finds(self.check(code=1), "error", "certificates", "required permission")

    def test_faults(self):
        for operation, kind in (("context", "status-503-html"), ("metadata-fields", "html-200"),
                                ("pending", "truncate")):
            self.kf.fault(operation, kind)
        output = self.check(code=1)
        self.finds(output, "warning", "templates and CAs", "503")
        self.kf.control("DELETE", "/faults")
        self.kf.kill()
        self.finds(self.check(code=1), "error", "cannot be reached")

    def test_as_json(self):
        output = json.loads(self.check("--json", code=1, template="Nothing"))
        self.assertEqual(output["errors"], 1)
        self.assertIn("Nothing", [one["text"] for one in output["findings"] if one["level"] == "error"][0])

    def test_at_start(self):
        self.begin(template="Nothing")
        self.bridge.wait_for_log("level=error", "Nothing", f"issuer={ISSUER}")


if __name__ == "__main__":
    unittest.main()
