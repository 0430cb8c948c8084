#!/usr/bin/python3
"""Changes of others at an enrollment of Akamai CPS, and trouble with the account: its pace, its clock."""

import time
import unittest

from cps_case import CpsCase
from harness.later import look_later

NAME = "www.cps.localhost"


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
        other, second = self.begin(NAME)
        self.assertEqual(self.ends(client, first, 240)["status"], "valid")
        self.becomes_valid(other, second, enrollment, 240)
        self.assert_changes(enrollment, client=2)
        conflicts = [entry for entry in self.cps.journal(operation="update") if entry["status"] == 409]
        self.assertEqual(conflicts, [])

    def test_client_that_comes_back_with_another_key(self):
        enrollment = self.enrollment("ov", NAME)
        client, first = self.begin(NAME)
        second = client.begin(self.responder, NAME)[0]
        self.becomes_valid(client, first, enrollment)
        self.assertEqual(self.ends(client, second)["status"], "valid")
        self.assert_changes(enrollment, client=1)


class Gateway(CpsCase):
    def later(self, client):
        """As if the minute of a pause had passed."""
        self.bridge.stop()
        look_later(self.bridge, 2)
        self.bridge.restart()
        client.close()

    def test_throttled(self):
        enrollment = self.enrollment("ov", NAME)
        self.acme()
        self.cps.settings(rate_limit=2, rate_window=2.0)
        client, order = self.begin(NAME)
        self.bridge.wait_for_log("HTTP 429")
        self.cps.settings(rate_limit=0)
        self.later(client)
        self.becomes_valid(client, order, enrollment)
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
        self.later(client)
        self.becomes_valid(client, order, enrollment)
        self.assert_changes(enrollment)


if __name__ == "__main__":
    unittest.main()
