#!/usr/bin/python3
"""What can happen to an order's change at Akamai CPS: warnings, change management, odd forms, errors."""

import time
import unittest

from cps_case import CpsCase

NAME = "www.cps.localhost"


class Warnings(CpsCase):
    def test_warnings_of_the_list_pass(self):
        enrollment = self.enrollment("third-party", NAME, options={"warnings": ["early *", "LATE  warning"]},
                                     settings={"pre_warnings": ["Early one", "Early two"],
                                               "post_warnings": ["late warning"], "ack_reply": "empty"})
        client, order = self.begin(NAME)
        self.becomes_valid(client, order, enrollment)
        effects = self.effects(enrollment)
        self.assertEqual(sum("acknowledged pre-warnings" in effect for effect in effects), 1)
        self.assertEqual(sum("acknowledged post-warnings" in effect for effect in effects), 1)

    def test_other_warnings_wait(self):
        enrollment = self.enrollment("ov", NAME, options={"warnings": ["early *"]},
                                     settings={"pre_warnings": ["Early one", "Something else"]})
        client, order = self.begin(NAME)
        change = self.wait_change(enrollment, "pre-warnings")
        time.sleep(1.2)
        self.assertEqual(client.fetch(order).json["status"], "processing")
        self.assertEqual(self.cps.change(change)["phase"], "pre-warnings")
        self.assertTrue(self.bridge.log_lines("list does not cover it"))
        # Somebody acknowledges in Akamai's own user interface.
        self.cps.good(self.cps.acknowledge(enrollment, change, "pre"))
        self.becomes_valid(client, order, enrollment)

    def test_transient_conflict_of_an_acknowledgement(self):
        enrollment = self.enrollment("ov", NAME, options={"warnings": ["w"]},
                                     settings={"pre_warnings": ["w"], "invalid_state_seconds": 3.0})
        client, order = self.begin(NAME)
        self.becomes_valid(client, order, enrollment, 90)
        statuses = [entry["status"] for entry in self.cps.journal(operation="pre-ack", enrollment=enrollment)]
        self.assertEqual((statuses[0], statuses[-1]), (409, 200))


class ChangeManagement(CpsCase):
    def managed(self, *options, **settings):
        given = {"acknowledge": "auto", **dict(options)}
        return self.enrollment("ov", NAME, change_management=True, options=given, settings=settings)

    def test_automatic_acknowledgement(self):
        enrollment = self.managed()
        client, order = self.begin(NAME)
        self.becomes_valid(client, order, enrollment)
        entry = self.cps.journal(operation="management-ack", enrollment=enrollment)
        self.assertEqual([item["status"] for item in entry], [200])
        self.assertEqual(entry[0]["hash"], self.cps.look(enrollment)["changes"][0]["hash"])

    def test_errors_block(self):
        enrollment = self.managed(validation_errors=["This cannot be deployed."])
        client, order = self.begin(NAME)
        change = self.wait_change(enrollment, "gate")
        self.bridge.wait_for_log("This cannot be deployed.")
        self.assertEqual(self.cps.journal(operation="management-ack", enrollment=enrollment), [])
        self.cps.change(change, "validation", errors=[])
        self.becomes_valid(client, order, enrollment, 90)

    def test_hash_changes_meanwhile(self):
        enrollment = self.managed(("warnings", ["Fine."]), validation_warnings=["Fine."])
        self.cps.fault("management-ack", "error", status=409, error_code="validation-result-hash-mismatch",
                       description="The hash is not the present one.")
        client, order = self.begin(NAME)
        self.wait_change(enrollment, "gate")
        self.becomes_valid(client, order, enrollment, 90)

    def test_manual_waits_and_the_deadline_deploys(self):
        enrollment = self.managed(("acknowledge", "manual"))
        client, order = self.begin(NAME)
        change = self.wait_change(enrollment, "gate")
        time.sleep(1.2)
        self.assertEqual(client.fetch(order).json["status"], "processing")
        self.cps.change(change, "deadline", seconds=0)
        self.becomes_valid(client, order, enrollment, 90)
        self.assertEqual(self.cps.journal(operation="management-ack", enrollment=enrollment), [])

    def test_denied_by_somebody_else(self):
        enrollment = self.managed(("acknowledge", "manual"))
        client, order = self.begin(NAME)
        change = self.wait_change(enrollment, "gate")
        hash_text = self.cps.change(change)["hash"]
        self.cps.good(self.cps.acknowledge(enrollment, change, "management", "deny", hash=hash_text))
        self.failed(self.ends(client, order, 90), "serverInternal")
        self.assert_changes(enrollment)


class Forms(CpsCase):
    """The same orders, with everything on the wire in its least expected form."""

    def test_spellings(self):
        self.cps.settings(location_prefix="/cps-api/", null_arrays=True, id_type="string", ack_reply="no-content",
                          state_style="mixed-case", status_style="unknown", string_booleans=True, old_slots=True,
                          problem_status=False, changes_when_none="absent", history_order="oldest-first",
                          finished_change_seconds=0.0)
        enrollment = self.enrollment("third-party", NAME, change_management=True,
                                     options={"acknowledge": "auto", "warnings": ["w"]}, settings={
                                         "pre_warnings": ["w"], "post_warnings": ["w"]})
        client, order = self.begin(NAME)
        self.becomes_valid(client, order, enrollment, 120)
        self.assert_changes(enrollment)

    def test_misspelt_states(self):
        self.cps.settings(state_style="misspelt", dv_state="suspended", dv_spelling="coordinate")
        enrollment = self.enrollment("dv", NAME, settings={"pre_warnings": ["w"]}, options={"warnings": ["w"]})
        client, order = self.begin(NAME)
        self.cps.change(self.wait_change(enrollment, "validate"), "dv")
        self.becomes_valid(client, order, enrollment, 90)

    def test_error_of_cps(self):
        enrollment = self.enrollment("ov", NAME, settings={"ov_delay": 600.0})
        client, order = self.begin(NAME)
        self.cps.change(self.wait_change(enrollment, "vetting"), "error", code="E1", description="The CA said no.")
        self.ends(client, order)
        self.failed(self.ends(client, order), "serverInternal")
        self.assert_changes(enrollment)
        self.assertTrue(self.bridge.log_lines("The CA said no."))


if __name__ == "__main__":
    unittest.main()
