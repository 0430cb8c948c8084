#!/usr/bin/python3
"""Akamai CPS or this server fail in the middle of a change: there is never a second one, and nothing is said twice."""

import time
import unittest

from cps_case import CpsCase

NAME, SECOND = "www.cps.localhost", "a.cps.localhost"
# operation: what the newest change shows once the call has taken effect
EFFECTS = {
    "update": lambda change: True,
    "pre-ack": lambda change: "pre-warnings" in change["acknowledged"],
    "upload": lambda change: bool(change["certificates"]),
    "post-ack": lambda change: "post-warnings" in change["acknowledged"],
    "management-ack": lambda change: "gate" in change["acknowledged"],
}


class Steps(CpsCase):
    """An enrollment whose changes need everything: warnings, a certificate, an acknowledgement."""

    def setUp(self):
        super().setUp()
        self.number = self.enrollment(
            "third-party", NAME, SECOND, change_management=True, options={"acknowledge": "auto", "warnings": ["w"]},
            settings={"pre_warnings": ["w"], "post_warnings": ["w"]})

    def wait_effect(self, operation, limit=30):
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            changes = self.cps.look(self.number)["changes"]
            if changes and EFFECTS[operation](changes[-1]):
                return
            time.sleep(0.02)
        raise AssertionError(f"{operation} did not happen")

    def once(self, client, order, limit=120):
        """The order becomes valid, and everything was done once."""
        self.becomes_valid(client, order, self.number, limit)
        self.assert_changes(self.number)
        effects = [effect.split()[0] + " " + effect.split()[1] for effect in self.effects(self.number)]
        self.assertEqual(sorted(effects), sorted(set(effects)))
        self.assertEqual(len(effects), len(EFFECTS))

    def killed_behind(self, operation):
        """kill -9 when CPS has done what a call asks for and its answer is still on its way."""
        self.cps.fault(operation, "delay-after", delay_s=3.0)
        client, order = self.begin(NAME, SECOND)
        self.wait_effect(operation)
        self.bridge.kill()
        self.bridge.restart()
        client.close()
        self.once(client, order)

    def test_killed_behind_the_update(self):
        self.killed_behind("update")

    def test_killed_behind_the_pre_verification_acknowledgement(self):
        self.killed_behind("pre-ack")

    def test_killed_behind_the_upload(self):
        self.killed_behind("upload")

    def test_killed_behind_the_post_verification_acknowledgement(self):
        self.killed_behind("post-ack")

    def test_killed_behind_the_change_management_acknowledgement(self):
        self.killed_behind("management-ack")

    def test_killed_while_it_reads(self):
        client = self.acme()
        for operation in ("read", "status", "csr", "management", "deployments"):
            self.cps.fault(operation, "delay", delay_s=2.0)
        order = client.begin(self.responder, NAME, SECOND)[0]
        for _ in range(5):
            time.sleep(1.5)
            self.bridge.kill()
            self.bridge.restart()
        client.close()
        self.once(client, order)

    def test_lost_answers(self):
        for operation in EFFECTS:
            self.cps.fault(operation, "drop-after")
        client, order = self.begin(NAME, SECOND)
        self.once(client, order)

    def test_spoilt_answers(self):
        for operation, fault in zip(EFFECTS, ("truncate", "after-status-502", "after-status-500", "empty", "truncate")):
            self.cps.fault(operation, fault)
        client, order = self.begin(NAME, SECOND)
        self.once(client, order)

    def test_calls_that_do_not_arrive(self):
        for operation in list(EFFECTS) + ["read", "status", "csr", "management", "deployments"]:
            if operation != "update":
                self.cps.fault(operation, "status-503")
        client, order = self.begin(NAME, SECOND)
        self.once(client, order)

    def test_cps_is_away_for_a_while(self):
        client, order = self.begin(NAME, SECOND)
        self.wait_effect("update")
        self.cps.kill()
        time.sleep(3)
        self.cps.start()
        self.once(client, order)

    def test_update_that_never_arrived(self):
        """The server looks for two minutes before it believes that; then there is exactly one update."""
        self.cps.fault("update", "drop-before")
        client, order = self.begin(NAME, SECOND)
        time.sleep(20)
        self.assertEqual(len(self.cps.journal(operation="update", enrollment=self.number)), 1)
        self.once(client, order, 240)


class Others(CpsCase):
    """Changes that are not this server's."""

    def start(self, enrollment, **body):
        return self.cps.control("POST", f"/enrollments/{enrollment}/changes", body)["pending"][0]

    def test_renewal_of_cps_is_taken_over(self):
        enrollment = self.enrollment("ov", NAME, settings={"ov_delay": 600.0})
        change = self.start(enrollment, origin="cps")
        client, order = self.begin(NAME)
        self.bridge.wait_for_log(f"change {change}")
        self.cps.change(change, "vetted")
        self.becomes_valid(client, order, enrollment)
        self.assert_changes(enrollment, client=0, cps=1)

    def test_foreign_change_is_left_alone(self):
        enrollment = self.enrollment("ov", NAME, settings={"ov_delay": 600.0})
        change = self.start(enrollment, origin="foreign", sans=[NAME, "theirs.localhost"])
        client, order = self.begin(NAME)
        self.bridge.wait_for_log(f"pending change {change}", "not this server's")
        time.sleep(2)
        self.assertEqual(client.fetch(order).json["status"], "processing")
        self.assertEqual(self.cps.look(enrollment)["pending"], [change])
        self.assert_changes(enrollment, client=0, foreign=1)

    def test_foreign_change_is_cancelled_when_that_is_allowed(self):
        enrollment = self.enrollment("ov", NAME, options={"allow_cancel_pending_changes": True},
                                     settings={"ov_delay": 600.0})
        change = self.start(enrollment, origin="foreign", type="modify-certificate")
        self.cps.change(change, "hold")
        self.cps.settings(enrollment, ov_delay=0.0)
        client, order = self.begin(NAME)
        self.becomes_valid(client, order, enrollment)
        self.assertEqual(self.cps.change(change)["phase"], "cancelled")
        self.assert_changes(enrollment, client=1, foreign=1)

    def test_change_that_is_being_deployed(self):
        """CPS answers 500 to an update then; the order waits, and takes its turn."""
        enrollment = self.enrollment("ov", NAME, options={"allow_cancel_pending_changes": True},
                                     settings={"production_delay": 600.0})
        change = self.start(enrollment, origin="foreign", type="modify-certificate")
        self.cps.wait_phase(change, "production")
        client, order = self.begin(NAME)
        self.bridge.wait_for_log("HTTP 500")
        self.cps.settings(enrollment, production_delay=0.0)
        self.cps.wait_phase(change, "completed")
        self.assertEqual(self.cps.change(change)["phase"], "completed")
        self.assertEqual(client.fetch(order).json["status"], "processing")

    def test_two_orders_for_one_enrollment(self):
        enrollment = self.enrollment("ov", NAME)
        client, first = self.begin(NAME)
        second = client.begin(self.responder, NAME)[0]
        self.assertEqual(self.ends(client, first, 240)["status"], "valid")
        self.becomes_valid(client, second, enrollment, 240)
        conflicts = [entry for entry in self.cps.journal(operation="update") if entry["status"] == 409]
        self.assertEqual(conflicts, [])


class Gateway(CpsCase):
    def test_throttled(self):
        enrollment = self.enrollment("ov", NAME)
        self.acme()
        self.cps.settings(rate_limit=2, rate_window=2.0)
        client, order = self.begin(NAME)
        self.bridge.wait_for_log("HTTP 429")
        self.cps.settings(rate_limit=0)
        self.becomes_valid(client, order, enrollment, 150)
        self.assert_changes(enrollment)

    def test_own_pace_keeps_below_the_limit(self):
        """35 calls a minute in a time that runs ten times as fast."""
        self.bridge.settings["issuers"][1].update({"requests_per_minute": 35, "burst": 10})
        enrollment = self.enrollment("ov", NAME)
        self.cps.settings(rate_limit=35, burst_limit=20)
        client, order = self.begin(NAME)
        self.becomes_valid(client, order, enrollment, 90)
        self.assertNotIn("429", str(self.cps.control("GET", "/stats")["answered"]))

    def test_wrong_clock_is_reported(self):
        self.enrollment("ov", NAME)
        for status in (400, 401):
            self.cps.settings(timestamp_status=status, clock_offset=120)
            self.bridge.write_config()
            done = self.bridge.run("check", "--upstream", "--config", self.bridge.config_file)
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            self.assertIn("clock", done.stdout, f"HTTP {status}")

    def test_wrong_clock_is_survived(self):
        enrollment = self.enrollment("ov", NAME, settings={"ov_delay": 600.0})
        client, order = self.begin(NAME)
        change = self.wait_change(enrollment, "vetting")
        self.cps.settings(clock_offset=120, timestamp_status=401)
        self.bridge.wait_for_log("clock")
        self.cps.settings(clock_offset=0)
        self.cps.change(change, "vetted")
        self.becomes_valid(client, order, enrollment, 150)
        self.assert_changes(enrollment)


class Looking(CpsCase):
    """check --upstream"""

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
