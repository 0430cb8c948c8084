#!/usr/bin/python3
"""check --upstream with Akamai CPS."""

import unittest

from cps_case import CpsCase

NAME, SECOND = "www.cps.localhost", "a.cps.localhost"


class Looking(CpsCase):
    def check(self, code):
        self.bridge.write_config()
        done = self.bridge.run("check", "--upstream", "--config", self.bridge.config_file)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        for secret in self.bridge.secrets:
            self.assertNotIn(secret, done.stdout + done.stderr)
        return [line for line in done.stdout.splitlines() if line.startswith("akamai: ")]

    def finds(self, lines, level, *words):
        found = [line for line in lines if f": {level}: " in line and all(word in line for word in words)]
        self.assertEqual(len(found), 1, (words, lines))

    def test_all_is_well(self):
        enrollment = self.enrollment("third-party", NAME, SECOND, dual_stack=True, max_sans=5)
        lines = self.check(0)
        self.finds(lines, "ok", "signature")
        self.finds(lines, "ok", f"enrollment {enrollment}", "third-party", "dual-stacked")
        self.finds(lines, "ok", "2 of 5")
        self.assertEqual({entry["method"] for entry in self.cps.journal()}, {"GET"})

    def test_login_and_grants(self):
        self.enrollment("ov", NAME)
        issuer = self.bridge.settings["issuers"][1]
        for section, words in (("wrong-secret", "signature"), ("no-grant", "grant")):
            issuer["edgerc_section"] = section
            lines = self.check(1)
            self.assertTrue(any(": error: " in line and words in line for line in lines), lines)

    def test_mistakes(self):
        self.add_profile("absent", 4711, third_party_issuer=None)
        self.add_profile("ambiguous", None, common_name=NAME, third_party_issuer=None)
        self.cps.make("ov", NAME)
        self.cps.make("ov", NAME)
        full = self.enrollment("ov", SECOND, profile="full", max_sans=1)
        self.cps.settings(full, ov_delay=600.0)
        self.cps.control("POST", f"/enrollments/{full}/changes", {})
        lines = self.check(1)
        self.finds(lines, "error", "absent", "4711")
        self.finds(lines, "error", "ambiguous", NAME, "2 enrollments")
        self.finds(lines, "warning", "full", "all 1 ")
        self.finds(lines, "warning", "full", "pending")


if __name__ == "__main__":
    unittest.main()
