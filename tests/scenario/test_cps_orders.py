#!/usr/bin/python3
"""Orders that an enrollment at Akamai CPS fulfils: DV, OV, third-party, names, warnings, change management."""

import time
import unittest

from cps_case import CpsCase, csr_der, names_of
from harness.keys import certificate_key, csr_der as client_csr

NAME, SECOND, THIRD = "www.cps.localhost", "a.cps.localhost", "b.cps.localhost"


class Kinds(CpsCase):
    def test_ov_renewal(self):
        enrollment = self.enrollment("ov", NAME, SECOND)
        client, order = self.begin(NAME, SECOND)
        self.assertEqual(names_of(self.becomes_valid(client, order, enrollment)), sorted([NAME, SECOND]))
        self.assert_changes(enrollment)
        self.assertEqual(self.cps.look(enrollment)["changes"][0]["type"], "renewal")

    def test_ov_takes_its_time(self):
        enrollment = self.enrollment("ov", NAME, settings={"ov_delay": 600.0})
        client, order = self.begin(NAME)
        change = self.wait_change(enrollment, "vetting")
        time.sleep(2)
        self.assertEqual(client.fetch(order).json["status"], "processing")
        self.cps.change(change, "vetted")
        self.becomes_valid(client, order, enrollment)
        self.assert_changes(enrollment)

    def test_dv_validated_by_the_operator(self):
        enrollment = self.enrollment("dv", NAME)
        client, order = self.begin(NAME)
        change = self.wait_change(enrollment, "validate")
        self.cps.change(change, "dv")
        self.becomes_valid(client, order, enrollment)

    def test_third_party(self):
        enrollment = self.enrollment("third-party", NAME, SECOND)
        client, order = self.begin(NAME, SECOND)
        self.becomes_valid(client, order, enrollment)
        self.assert_changes(enrollment)
        self.assertEqual(len(self.cps.journal(operation="upload", enrollment=enrollment)), 1)

    def test_dual_stack(self):
        enrollment = self.enrollment("third-party", NAME, dual_stack=True)
        client, order = self.begin(NAME)
        self.becomes_valid(client, order, enrollment)
        self.assertEqual(set(self.cps.look(enrollment)["production"]), {"RSA", "ECDSA"})
        self.assertEqual(set(self.cps.look(enrollment)["changes"][0]["certificates"]), {"RSA", "ECDSA"})

    def test_dual_stack_with_one_request(self):
        enrollment = self.enrollment("third-party", NAME, dual_stack=True, settings={"csr_only": "ECDSA"})
        client, order = self.begin(NAME)
        self.becomes_valid(client, order, enrollment)
        self.assertEqual(set(self.cps.look(enrollment)["changes"][0]["certificates"]), {"ECDSA"})

    def test_found_by_its_common_name_in_another_account(self):
        number = self.cps.make("ov", NAME, account=self.cps.ready["accounts"]["other"])
        self.cps.make("ov", NAME)
        self.bridge.settings["issuers"][1]["edgerc_section"] = "other-account"
        self.add_profile("edge", None, common_name=NAME, third_party_issuer=None)
        client, order = self.begin(NAME)
        self.assertEqual(self.ends(client, order)["status"], "valid")
        self.assert_changes(number)


class Keys(CpsCase):
    def test_key_of_the_client_is_refused(self):
        enrollment = self.enrollment("ov", NAME, key_holder="client")
        client = self.acme()
        order_url, order = client.new_order(NAME)
        client.authorize(order, self.responder)
        # Making the order has the bridge look which keys CPS has made.
        time.sleep(3)
        refused = client.finalize(order_url, order, client_csr([NAME], certificate_key()))
        self.refused(refused, 400, "badCSR", "key_holder: edge")
        self.assertEqual(client.fetch(order_url).json["status"], "ready")
        self.assert_changes(enrollment, client=0)

    def test_key_of_the_client_fails_when_the_keys_are_not_known(self):
        enrollment = self.enrollment("ov", NAME, key_holder="client")
        self.cps.fault("read", "delay", delay_s=4.0, times=2)
        client, order = self.begin(NAME)
        self.failed(self.ends(client, order), "badCSR", "key_holder: edge")
        self.assert_changes(enrollment, client=0)

    def test_request_of_cps_is_fine(self):
        enrollment = self.enrollment("third-party", NAME, key_holder="client")
        change = self.cps.control("POST", f"/enrollments/{enrollment}/changes", {"origin": "foreign"})["pending"][0]
        self.cps.wait_phase(change, "upload")
        request = csr_der(self.cps.csrs(enrollment, change)["RSA"])
        client = self.acme()
        order = client.begin(self.responder, NAME, csr=request)[0]
        self.becomes_valid(client, order, enrollment)
        self.assert_changes(enrollment, client=0, foreign=1)

    def test_directory_says_where_the_key_is(self):
        self.enrollment("ov", NAME)
        self.enrollment("third-party", SECOND, profile="brought", key_holder="client")
        self.bridge.start()
        profiles = self.client(self.bridge).directory["meta"]["profiles"]
        words = "private key is made and stays at the Akamai edge"
        self.assertIn(words, profiles["edge"])
        self.assertNotIn(words, profiles["brought"])


class Names(CpsCase):
    def test_added_name(self):
        enrollment = self.enrollment("ov", NAME, SECOND, members={"future": {"kept": [1, None, "x"]}})
        client, order = self.begin(NAME, SECOND, THIRD)
        self.assertEqual(names_of(self.becomes_valid(client, order, enrollment)), sorted([NAME, SECOND, THIRD]))
        entry = self.cps.journal(operation="update", enrollment=enrollment)[0]
        self.assertEqual((entry["dropped"], entry["changed"]), ([], ["csr.sans"]))
        self.assertEqual(self.cps.read(enrollment)["future"], {"kept": [1, None, "x"]})

    def test_removal_is_refused_unless_allowed(self):
        enrollment = self.enrollment("ov", NAME, SECOND)
        allowed = self.enrollment("ov", NAME, SECOND, profile="may", options={"allow_san_removal": True})
        client, order = self.begin(NAME)
        self.failed(self.ends(client, order), "rejectedIdentifier", SECOND)
        self.assert_changes(enrollment, client=0)
        client, order = self.begin(NAME, profile="may")
        self.assertEqual(names_of(self.becomes_valid(client, order, allowed)), [NAME])

    def test_too_many_names(self):
        enrollment = self.enrollment("ov", NAME, max_sans=1)
        client, order = self.begin(NAME, SECOND)
        self.failed(self.ends(client, order), "rejectedIdentifier", "alternative names")
        self.assert_changes(enrollment, client=0)


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
        time.sleep(3)
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
        time.sleep(3)
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
