#!/usr/bin/python3
"""Tests of the CPS simulator itself: enrollments, updates, third-party changes, change management, restarts. The
gateway is in test_cps_edgegrid.py, issuing by CPS's own CAs in test_cps_simulator_issue.py."""

import copy
import time
import unittest

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from cps_fixture import CpsSimulator, TestAuthority

SHA1_OF_NOTHING = "da39a3ee5e6b4b0d3255bfef95601890afd80709"


class Fixture(unittest.TestCase):
    """One simulator for a class of tests; every test starts with the settings of the first and no faults."""

    @classmethod
    def setUpClass(cls):
        cls.cps = CpsSimulator()
        cls.addClassCleanup(cls.cps.clean)
        cls.defaults = cls.cps.control("GET", "/settings")
        cls.authority = TestAuthority()

    def setUp(self):
        self.cps.control("POST", "/settings", self.defaults)
        self.cps.control("DELETE", "/faults")

    def refused(self, answer, status, kind):
        self.assertEqual(answer.status, status, answer.body)
        self.assertEqual(answer.json["type"].rpartition("/")[2], kind)
        return answer.json.get("detail")

    def started(self, answer):
        """The number of the change that an update has started."""
        self.assertEqual((answer.status, len(answer.json["changes"])), (202, 1), answer.body)
        return int(answer.json["changes"][0].rpartition("/")[2])

    def at_upload(self, **members):
        """(enrollment, change) that waits for a certificate."""
        enrollment = self.cps.make(**members)
        return enrollment, self.cps.renew(enrollment)

    def at_gate(self, **members):
        """(enrollment, change) that waits for the acknowledgement of change management."""
        enrollment, change = self.at_upload(change_management=True, **members)
        self.cps.good(self.cps.upload(enrollment, change, self.authority))
        self.assertEqual(self.cps.change(change)["phase"], "gate")
        return enrollment, change


class Reading(Fixture):
    def test_computed_members(self):
        enrollment = self.cps.make(sans=["www.example.test", "a.example.test"], max_sans=7)
        shown = self.cps.read(enrollment)
        self.assertEqual((shown["id"], shown["location"], shown["pendingChanges"], shown["maxAllowedSanNames"]),
                         (enrollment, f"/cps/v2/enrollments/{enrollment}", [], 7))
        self.assertEqual(shown["csr"]["sans"], ["www.example.test", "a.example.test"])
        self.assertEqual(len(shown["productionSlots"]), 1)
        self.assertRegex(shown["autoRenewalStartTime"], r"^\d{4}-\d\d-\d\dT")
        self.assertIn(shown, self.cps.list()["enrollments"])

    def test_pending_change_is_shown(self):
        enrollment, change = self.at_upload()
        self.assertEqual(self.cps.read(enrollment)["pendingChanges"], [
            {"location": f"/cps/v2/enrollments/{enrollment}/changes/{change}", "changeType": "renewal"}])

    def test_stacking_is_shown_for_third_party_only(self):
        self.assertIs(self.cps.read(self.cps.make())["enableMultiStackedCertificates"], False)
        self.assertNotIn("enableMultiStackedCertificates", self.cps.read(self.cps.make("dv")))

    def test_spellings(self):
        enrollment = self.cps.make(deployed=False)
        self.cps.settings(enrollment, id_type="string", null_arrays=True, location_prefix="/cps-api/")
        shown = self.cps.read(enrollment)
        self.assertEqual((shown["id"], shown["pendingChanges"], shown["assignedSlots"]), (str(enrollment), None, None))
        self.assertEqual(shown["location"], f"/cps-api/enrollments/{enrollment}")
        self.cps.settings(enrollment, old_slots=True)
        shown = self.cps.read(enrollment)
        self.assertIsNone(shown["slots"])
        self.assertNotIn("assignedSlots", shown)
        self.cps.settings(enrollment, id_type=None, null_arrays=None, location_prefix=None, old_slots=None)
        self.assertEqual(self.cps.read(enrollment)["id"], enrollment)


class Updating(Fixture):
    def setUp(self):
        super().setUp()
        self.enrollment = self.cps.make(sans=["www.example.test", "a.example.test"], members={
            "future": {"list": [1, 2.5, None, {"x": "\u00e4"}], "big": 12345678901234567890},
            "csr": {"newMember": True}})
        self.shown = self.cps.read(self.enrollment)

    def test_unknown_members_are_kept(self):
        self.shown["orgId"] = 17
        answer = self.cps.put(self.enrollment, self.shown)
        self.assertEqual((answer.status, answer.json),
                         (200, {"enrollment": f"/cps/v2/enrollments/{self.enrollment}", "changes": []}))
        again = self.cps.read(self.enrollment)
        self.assertEqual(again, self.shown)
        self.assertEqual(again["future"]["big"], 12345678901234567890)
        entry = self.cps.journal(operation="update", enrollment=self.enrollment)[-1]
        self.assertEqual((entry["effect"], entry["dropped"], entry["changed"]), (["updated"], [], ["orgId"]))

    def test_full_replacement_and_its_journal(self):
        del self.shown["future"], self.shown["csr"]["newMember"]
        self.started(self.cps.put(self.enrollment, self.shown, force_renewal=True))
        self.assertNotIn("future", self.cps.read(self.enrollment))
        entry = self.cps.journal(operation="update", enrollment=self.enrollment)[-1]
        self.assertEqual(entry["dropped"], ["csr.newMember", "future.big", "future.list"])

    def test_required_members_and_choices(self):
        for name in ("certificateType", "changeManagement", "csr", "enableMultiStackedCertificates",
                     "networkConfiguration", "ra", "validationType"):
            document = copy.deepcopy(self.shown)
            del document[name]
            self.assertIn(name, self.refused(self.cps.put(self.enrollment, document), 400, "invalid-enrollment"))
        for name, value in (("ra", "nobody"), ("changeManagement", "false"), ("csr", []), ("signatureAlgorithm", 1)):
            answer = self.cps.put(self.enrollment, {**self.shown, name: value})
            self.refused(answer, 400, "invalid-enrollment")
        self.assertEqual(self.cps.look(self.enrollment)["changes"], [])

    def test_names(self):
        def put(*sans):
            return self.cps.put(self.enrollment, {**self.shown, "csr": {**self.shown["csr"], "sans": list(sans)}})

        self.assertIn("-a.test", self.refused(put("-a.test"), 400, "invalid-enrollment"))
        self.refused(put("single"), 400, "invalid-enrollment")
        self.refused(put(*(f"n{index}.test" for index in range(101))), 400, "invalid-enrollment")
        # Another order, or the common name once more, is no change.
        self.assertEqual(put("a.example.test", "WWW.example.test").json["changes"], [])

    def test_what_cannot_change(self):
        network = {**self.shown["networkConfiguration"], "sniOnly": False}
        self.assertIn("sniOnly", self.refused(self.cps.put(
            self.enrollment, {**self.shown, "networkConfiguration": network}), 400, "invalid-enrollment"))
        answer = self.cps.put(self.enrollment, {**self.shown, "validationType": "ov"})
        self.refused(answer, 400, "invalid-enrollment")

    def test_types_of_changes(self):
        def put(enrollment, options=None, **members):
            document = self.cps.read(enrollment)
            for name, value in members.items():
                document[name] = {**document[name], **value} if isinstance(value, dict) else value
            change = self.cps.change(self.started(self.cps.put(enrollment, document, **(options or {}))))
            return change["type"], change["action"], change["certificate_needed"]

        self.assertEqual(put(self.cps.make(), csr={"sans": ["b.test"]}), ("modify-san", "modify-san", True))
        self.assertEqual(put(self.cps.make(), csr={"cn": "b.test"}), ("modify-certificate", "new-certificate", True))
        self.assertEqual(put(self.cps.make(), csr={"o": "X"}), ("modify-certificate", "new-certificate", True))
        self.assertEqual(put(self.cps.make(), {"force_renewal": True}), ("renewal", "renew", True))
        self.assertEqual(put(self.cps.make(deployed=False), {"force_renewal": True}),
                         ("new-certificate", "new-certificate", True))
        enrollment = self.cps.make(change_management=True)
        self.assertEqual(put(enrollment, {"allow_staging_bypass": True},
                             networkConfiguration={"quicEnabled": False}),
                         ("modify-certificate", "update-network-configuration", False))
        # Metadata goes straight to production when staging may be left out.
        self.assertEqual(self.cps.look(enrollment)["changes"][0]["phase"], "completed")

    def test_one_pending_change(self):
        first = self.started(self.cps.put(self.enrollment, self.shown, force_renewal=True))
        detail = self.refused(self.cps.put(self.enrollment, self.shown, force_renewal=True), 409,
                              "cannot-cancel-pending-change")
        self.assertIn("pending", detail)
        self.refused(self.cps.put(self.enrollment, {**self.shown, "orgId": 3}), 409, "cannot-cancel-pending-change")
        answer = self.cps.put(self.enrollment, self.shown, force_renewal=True, allow_cancel_pending_changes=True)
        second = self.started(answer)
        self.assertEqual([item["phase"] for item in self.cps.look(self.enrollment)["changes"]],
                         ["cancelled", "upload"])
        self.assertEqual(self.cps.journal(operation="update")[-1]["effect"], [f"cancelled {first}",
                                                                              f"started {second}"])
        self.assertNotEqual(self.cps.change(first)["keys"], self.cps.change(second)["keys"])

    def test_deploying_changes_cannot_be_cancelled(self):
        self.cps.settings(production_delay=600)
        change = self.started(self.cps.put(self.enrollment, self.shown, force_renewal=True))
        self.cps.good(self.cps.upload(self.enrollment, change, self.authority))
        options = {"force_renewal": True, "allow_cancel_pending_changes": True}
        self.refused(self.cps.put(self.enrollment, self.shown, **options), 500, "internal-error")
        self.cps.settings(deploying_conflict=409)
        self.refused(self.cps.put(self.enrollment, self.shown, **options), 409, "cannot-cancel-pending-change")
        self.refused(self.cps.cancel(self.enrollment, change), 409, "cannot-cancel-pending-change")

    def test_change_in_staging_can_be_cancelled(self):
        self.cps.settings(staging_delay=600)
        enrollment, change = self.at_upload(change_management=True)
        self.cps.good(self.cps.upload(enrollment, change, self.authority))
        self.refused(self.cps.put(enrollment, self.cps.read(enrollment), allow_cancel_pending_changes=True), 500,
                     "internal-error")
        self.cps.good(self.cps.cancel(enrollment, change))
        self.assertEqual(self.cps.state(enrollment, change)[0], "cancelled")

    def test_cancel_takes_the_update_back(self):
        document = {**self.shown, "csr": {**self.shown["csr"], "sans": ["new.example.test"]}}
        change = self.started(self.cps.put(self.enrollment, document))
        self.assertEqual(self.cps.read(self.enrollment)["csr"]["sans"], ["new.example.test"])
        answer = self.cps.good(self.cps.cancel(self.enrollment, change))
        self.assertEqual(answer.json, {"change": f"/cps/v2/enrollments/{self.enrollment}/changes/{change}"})
        self.assertEqual(self.cps.read(self.enrollment)["csr"]["sans"], self.shown["csr"]["sans"])
        self.refused(self.cps.cancel(self.enrollment, change), 404, "not-found")

    def test_renewal_window(self):
        self.cps.settings(self.enrollment, renewal_window=True)
        self.refused(self.cps.put(self.enrollment, self.shown, force_renewal=True), 409,
                     "enrollment-in-renewal-window")
        self.assertEqual(self.cps.put(self.enrollment, {**self.shown, "orgId": 3}).status, 200)
        self.started(self.cps.put(self.enrollment, self.shown, force_renewal=True, renewal_date_check_override=True))

    def test_answers_without_changes(self):
        self.cps.settings(changes_when_none="absent")
        self.assertNotIn("changes", self.cps.put(self.enrollment, self.shown).json)
        self.cps.settings(changes_when_none="null")
        self.assertIsNone(self.cps.put(self.enrollment, self.shown).json["changes"])

    def test_read_only_members_may_be_refused(self):
        self.cps.settings(read_only_members="refuse")
        self.assertIn("pendingChanges", self.refused(self.cps.put(self.enrollment, self.shown), 400,
                                                     "invalid-enrollment"))

    def test_deployment_window(self):
        day = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 86400))
        change = self.started(self.cps.put(self.enrollment, self.shown, force_renewal=True, deploy_not_before=day))
        self.cps.good(self.cps.upload(self.enrollment, change, self.authority))
        shown = self.cps.status(self.enrollment, change).json["statusInfo"]
        self.assertEqual((shown["state"], shown["deploymentSchedule"]), ("running", {"notBefore": day,
                                                                                     "notAfter": None}))
        path = f"/enrollments/{self.enrollment}/changes/{change}/deployment-schedule"
        self.assertEqual(self.cps.call("GET", path, accept="deployment-schedule.v1").json["notBefore"], day)
        answer = self.cps.call("PUT", path, {"notBefore": None}, "change-id.v1", "deployment-schedule.v1")
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(self.cps.state(self.enrollment, change)[0], "completed")
        self.refused(self.cps.put(self.enrollment, self.shown, deploy_not_after="soon"), 400,
                     "invalid-query-parameter")
        late = self.started(self.cps.put(self.enrollment, self.shown, force_renewal=True,
                                         deploy_not_after="2020-01-01"))
        self.cps.good(self.cps.upload(self.enrollment, late, self.authority))
        shown = self.cps.status(self.enrollment, late).json["statusInfo"]
        self.assertEqual((shown["state"], shown["error"]["code"]), ("error", "deployment-window"))


class ThirdParty(Fixture):
    def test_whole_way(self):
        enrollment, change = self.at_upload(sans=["www.example.test", "a.example.test"])
        shown = self.cps.status(enrollment, change).json
        path = f"/cps/v2/enrollments/{enrollment}/changes/{change}"
        self.assertEqual(shown["allowedInput"], [{
            "type": "third-party-certificate", "requiredToProceed": True, "info": path + "/input/info/third-party-csr",
            "update": path + "/input/update/third-party-cert-and-trust-chain"}])
        self.assertEqual(shown["statusInfo"]["status"], "wait-upload-third-party")
        csr = x509.load_pem_x509_csr(self.cps.csrs(enrollment, change)["RSA"].encode())
        names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        self.assertEqual(names.get_values_for_type(x509.DNSName), ["www.example.test", "a.example.test"])
        self.assertEqual(csr.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value, "www.example.test")
        answer = self.cps.good(self.cps.upload(enrollment, change, self.authority))
        self.assertEqual(answer.json, {"change": path})
        self.assertEqual(self.cps.state(enrollment, change), ("completed", "complete", []))
        self.assertEqual(self.cps.read(enrollment)["pendingChanges"], [])
        live = self.cps.deployments(enrollment)["production"]
        leaf = x509.load_pem_x509_certificate(live["primaryCertificate"]["certificate"].encode())
        self.assertEqual(leaf.public_key().public_numbers(), csr.public_key().public_numbers())
        self.assertEqual(live["primaryCertificate"]["trustChain"], self.authority.pem.strip())
        self.assertEqual(live["multiStackedCertificates"], [])
        one = self.cps.call("GET", f"/enrollments/{enrollment}/deployments/production", accept="deployment.v7")
        self.assertEqual(one.json, live)

    def test_status_names_the_wait_before_anything_is_offered(self):
        self.cps.settings(csr_delay=600)
        enrollment, change = self.at_upload()
        self.assertEqual(self.cps.state(enrollment, change), ("running", "wait-upload-third-party", []))
        self.refused(self.cps.info(enrollment, change, "csr"), 404, "not-found")
        self.cps.change(change, "finish")
        self.assertEqual(self.cps.info(enrollment, change, "csr").status, 200)

    def test_only_what_is_offered_can_be_read_or_written(self):
        enrollment, change = self.at_upload()
        for what in ("challenges", "pre", "post", "management"):
            self.refused(self.cps.info(enrollment, change, what), 404, "not-found")
            self.refused(self.cps.acknowledge(enrollment, change, what), 404, "not-found")
        self.cps.good(self.cps.upload(enrollment, change, self.authority))
        self.refused(self.cps.info(enrollment, change, "csr"), 404, "not-found")

    def test_every_change_has_its_own_key(self):
        enrollment, change = self.at_upload()
        first = self.cps.csrs(enrollment, change)
        self.assertEqual(first, self.cps.csrs(enrollment, change))
        self.cps.good(self.cps.cancel(enrollment, change))
        self.assertNotEqual(first, self.cps.csrs(enrollment, self.cps.renew(enrollment)))

    def test_exclude_sans(self):
        enrollment, change = self.at_upload(members={"thirdParty": {"excludeSans": True}})
        csr = x509.load_pem_x509_csr(self.cps.csrs(enrollment, change)["RSA"].encode())
        self.assertEqual(len(csr.extensions), 0)

    def test_old_versions(self):
        enrollment, change = self.at_upload()
        old = self.cps.info(enrollment, change, "csr", "csr.v1").json
        self.assertEqual(old, {"csr": self.cps.csrs(enrollment, change)["RSA"]})
        body = {"certificate": self.authority.sign_csr(old["csr"]), "trustChain": self.authority.pem}
        self.cps.good(self.cps.submit(enrollment, change, "csr", body, "certificate-and-trust-chain.v1"))
        self.assertEqual(self.cps.state(enrollment, change)[0], "completed")

    def test_dual_stack(self):
        enrollment, change = self.at_upload(dual_stack=True)
        requests = {name: x509.load_pem_x509_csr(csr.encode()).public_key()
                    for name, csr in self.cps.csrs(enrollment, change).items()}
        self.assertIsInstance(requests["RSA"], rsa.RSAPublicKey)
        self.assertIsInstance(requests["ECDSA"], ec.EllipticCurvePublicKey)
        self.cps.good(self.cps.upload(enrollment, change, self.authority))
        live = self.cps.deployments(enrollment)["production"]
        self.assertEqual(live["primaryCertificate"]["keyAlgorithm"], "RSA")
        self.assertEqual([item["keyAlgorithm"] for item in live["multiStackedCertificates"]], ["ECDSA"])

    def test_missing_certificate_is_added_later(self):
        enrollment = self.cps.make(dual_stack=True)
        self.cps.settings(enrollment, csr_only="RSA")
        change = self.cps.renew(enrollment)
        self.assertEqual(list(self.cps.csrs(enrollment, change)), ["RSA"])
        self.cps.good(self.cps.upload(enrollment, change, self.authority))
        self.assertEqual(self.cps.deployments(enrollment)["production"]["multiStackedCertificates"], [])
        self.cps.settings(enrollment, csr_only=None)
        added = self.started(self.cps.put(enrollment, self.cps.read(enrollment),
                                          allow_missing_certificate_addition=True))
        self.assertEqual(list(self.cps.csrs(enrollment, added)), ["ECDSA"])
        before = self.cps.look(enrollment)["production"]["RSA"]
        self.cps.good(self.cps.upload(enrollment, added, self.authority))
        after = self.cps.look(enrollment)["production"]
        self.assertEqual((after["RSA"], set(after)), (before, {"RSA", "ECDSA"}))
        answer = self.cps.put(enrollment, self.cps.read(enrollment), allow_missing_certificate_addition=True)
        self.assertEqual((answer.status, answer.json["changes"]), (200, []))

    def test_ecdsa_only(self):
        enrollment, change = self.at_upload(algorithms=["ECDSA"])
        self.assertEqual(list(self.cps.csrs(enrollment, change)), ["ECDSA"])
        self.cps.good(self.cps.upload(enrollment, change, self.authority))
        primary = self.cps.deployments(enrollment)["production"]["primaryCertificate"]
        self.assertEqual(primary["keyAlgorithm"], "ECDSA")

    def test_uploads_that_are_refused(self):
        enrollment, change = self.at_upload()
        leaf = self.authority.sign_csr(self.cps.csrs(enrollment, change)["RSA"])
        chain, stranger = self.authority.pem, TestAuthority("Stranger")
        cases = [
            ("invalid-certificate", leaf, chain, "ECDSA"), ("invalid-certificate", "rubbish", chain, "RSA"),
            ("invalid-certificate", leaf + chain, chain, "RSA"), ("invalid-certificate", None, chain, "RSA"),
            ("invalid-certificate", leaf.replace("\n", "\r\n"), chain, "RSA"),
            ("invalid-certificate", stranger.pem, stranger.pem, "RSA"),
            ("invalid-trust-chain", leaf, "", "RSA"), ("invalid-trust-chain", leaf, stranger.pem, "RSA"),
            ("invalid-trust-chain", leaf, leaf + chain, "RSA"),
            ("invalid-trust-chain", leaf, chain + stranger.pem, "RSA")]
        for kind, certificate, trust_chain, algorithm in cases:
            item = {"certificate": certificate, "trustChain": trust_chain, "keyAlgorithm": algorithm}
            answer = self.cps.submit(enrollment, change, "csr", {"certificatesAndTrustChains": [item]})
            self.refused(answer, 400, kind)
        self.assertEqual(self.cps.change(change)["phase"], "upload")
        self.assertEqual(self.cps.journal(operation="upload", enrollment=enrollment, effects="true"), [])

    def test_partial_upload_may_be_refused(self):
        self.cps.settings(partial_upload=False)
        enrollment, change = self.at_upload(dual_stack=True)
        item = {"certificate": self.authority.sign_csr(self.cps.csrs(enrollment, change)["RSA"]),
                "trustChain": self.authority.pem, "keyAlgorithm": "RSA"}
        answer = self.cps.submit(enrollment, change, "csr", {"certificatesAndTrustChains": [item]})
        self.assertIn("ECDSA", self.refused(answer, 400, "invalid-certificate"))

    def test_wrong_key_is_a_warning_and_then_an_error(self):
        enrollment, change = self.at_upload()
        other = rsa.generate_private_key(65537, 2048).public_key()
        self.cps.good(self.cps.upload(enrollment, change, self.authority, RSA=other))
        self.assertEqual(self.cps.state(enrollment, change), (
            "awaiting-input", "wait-review-third-party-cert", ["post-verification-warnings-acknowledgement"]))
        self.assertIn("CSR_VS_CERTIFICATE_KEY_MISMATCH", self.cps.info(enrollment, change, "post").json["warnings"])
        self.cps.good(self.cps.acknowledge(enrollment, change, "post"))
        shown = self.cps.status(enrollment, change).json["statusInfo"]
        self.assertEqual((shown["state"], shown["error"]["code"]), ("error", "key-mismatch"))
        self.assertEqual(self.cps.read(enrollment)["pendingChanges"], [])

    def test_wrong_key_may_be_refused(self):
        self.cps.settings(key_mismatch="refuse")
        enrollment, change = self.at_upload()
        other = rsa.generate_private_key(65537, 2048).public_key()
        self.refused(self.cps.upload(enrollment, change, self.authority, RSA=other), 400, "certificate-key-mismatch")

    def test_expired_certificate_and_missing_names_are_warnings(self):
        enrollment, change = self.at_upload(sans=["www.example.test", "a.example.test"])
        csr = self.cps.csrs(enrollment, change)["RSA"]
        item = {"certificate": self.authority.sign_csr(csr, days=-2, names=["www.example.test"]),
                "trustChain": self.authority.pem, "keyAlgorithm": "RSA"}
        self.cps.good(self.cps.submit(enrollment, change, "csr", {"certificatesAndTrustChains": [item]}))
        lines = self.cps.info(enrollment, change, "post").json["warnings"].split("\n")
        self.assertEqual([line.partition(":")[0] for line in lines],
                         ["CERTIFICATE_EXPIRED", "CSR_VS_CERTIFICATE_SANS_MISMATCH"])
        self.cps.good(self.cps.acknowledge(enrollment, change, "post"))
        self.assertEqual(self.cps.state(enrollment, change)[0], "completed")


class Warnings(Fixture):
    def test_pre_verification(self):
        enrollment = self.cps.make()
        self.cps.settings(enrollment, pre_warnings=["first warning", "second warning"])
        change = self.cps.renew(enrollment)
        self.assertEqual(self.cps.state(enrollment, change), (
            "awaiting-input", "wait-review-pre-verification-safety-checks",
            ["pre-verification-warnings-acknowledgement"]))
        self.assertEqual(self.cps.info(enrollment, change, "pre").json, {"warnings": "first warning\nsecond warning"})
        self.refused(self.cps.acknowledge(enrollment, change, "pre", "yes"), 400, "invalid-acknowledgement")
        self.cps.good(self.cps.acknowledge(enrollment, change, "pre"))
        self.assertEqual(self.cps.change(change)["phase"], "upload")
        self.refused(self.cps.acknowledge(enrollment, change, "pre"), 404, "not-found")

    def test_post_verification(self):
        self.cps.settings(post_warnings=["late warning"])
        enrollment, change = self.at_upload()
        self.cps.good(self.cps.upload(enrollment, change, self.authority))
        self.assertEqual(self.cps.info(enrollment, change, "post").json, {"warnings": "late warning"})
        self.cps.good(self.cps.acknowledge(enrollment, change, "post"))
        self.assertEqual(self.cps.state(enrollment, change)[0], "completed")

    def test_denied(self):
        self.cps.settings(pre_warnings=["w"])
        enrollment, change = self.at_upload()
        self.cps.good(self.cps.acknowledge(enrollment, change, "pre", "deny"))
        self.assertEqual(self.cps.state(enrollment, change)[0], "cancelled")
        self.cps.settings(deny_result="error")
        change = self.cps.renew(enrollment)
        self.cps.good(self.cps.acknowledge(enrollment, change, "pre", "deny"))
        self.assertEqual(self.cps.state(enrollment, change)[0], "error")

    def test_transient_conflict(self):
        self.cps.settings(pre_warnings=["w"], invalid_state_seconds=2.0)
        enrollment, change = self.at_upload()
        self.assertEqual(self.cps.state(enrollment, change)[0], "awaiting-input")
        self.refused(self.cps.acknowledge(enrollment, change, "pre"), 409, "invalid-enrollment-state")
        time.sleep(2.1)
        self.cps.good(self.cps.acknowledge(enrollment, change, "pre"))

    def test_forms_of_an_answer_to_an_acknowledgement(self):
        self.cps.settings(pre_warnings=["w"])
        for form, status in (("empty", 200), ("no-content", 204), ("accepted", 202)):
            self.cps.settings(ack_reply=form)
            enrollment, change = self.at_upload()
            answer = self.cps.acknowledge(enrollment, change, "pre")
            self.assertEqual((answer.status, answer.body), (status, b""))


class ChangeManagement(Fixture):
    def info(self, enrollment, change, version=5):
        return self.cps.good(self.cps.info(enrollment, change, "management",
                                           f"change-management-info.v{version}")).json

    def test_gate(self):
        enrollment, change = self.at_gate()
        self.assertEqual(self.cps.state(enrollment, change),
                         ("awaiting-input", "wait-ack-change-management", ["change-management"]))
        live = self.cps.deployments(enrollment)
        self.assertNotEqual(live["staging"]["primaryCertificate"], live["production"]["primaryCertificate"])
        info = self.info(enrollment, change)
        self.assertEqual((info["validationResult"], info["validationResultHash"]), (None, SHA1_OF_NOTHING))
        self.assertRegex(info["acknowledgementDeadline"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        pending = info["pendingState"]["pendingCertificates"][0]
        self.assertEqual(pending["fullCertificate"], live["staging"]["primaryCertificate"]["certificate"])
        self.assertEqual((pending["ocspStapled"], pending["ocspUris"], pending["keyAlgorithm"]), ("false", None, "RSA"))
        self.assertEqual(info["pendingState"]["pendingNetworkConfiguration"]["sniOnly"], "true")
        self.cps.good(self.cps.acknowledge(enrollment, change, "management", hash=SHA1_OF_NOTHING))
        after = self.cps.deployments(enrollment)
        self.assertEqual(after["production"]["primaryCertificate"], live["staging"]["primaryCertificate"])

    def test_versions(self):
        enrollment, change = self.at_gate()
        for version, certificate, sni, versions in ((1, True, True, False), (2, True, True, True),
                                                    (4, True, False, True), (5, False, False, True)):
            state = self.info(enrollment, change, version)["pendingState"]
            network = state["pendingNetworkConfiguration"]
            self.assertEqual(("pendingCertificate" in state, "sni" in network, "disallowedTlsVersions" in network),
                             (certificate, sni, versions), version)
            self.assertEqual("ocspStapled" in (state.get("pendingCertificate") or {}), version == 4)
        answer = self.cps.info(enrollment, change, "management", "deployment.v7")
        self.assertEqual(answer.json, self.cps.deployments(enrollment)["production"])
        self.refused(self.cps.info(enrollment, change, "management", "change-management-info.v3"), 406,
                     "unacceptable-media-type")

    def test_booleans_may_be_booleans(self):
        self.cps.settings(string_booleans=False)
        enrollment, change = self.at_gate()
        state = self.info(enrollment, change)["pendingState"]
        self.assertIs(state["pendingCertificates"][0]["ocspStapled"], False)
        self.assertIs(state["pendingNetworkConfiguration"]["quicEnabled"], True)

    def test_no_deadline_for_a_first_certificate(self):
        enrollment, change = self.at_gate(deployed=False)
        self.assertIsNone(self.info(enrollment, change)["acknowledgementDeadline"])
        self.assertIsNone(self.cps.deployments(enrollment)["production"])
        answer = self.cps.call("GET", f"/enrollments/{enrollment}/deployments/production", accept="deployment.v7")
        self.refused(answer, 404, "not-found")

    def test_hash_is_checked(self):
        self.cps.settings(validation_warnings=["A name is still live."])
        enrollment, change = self.at_gate()
        info = self.info(enrollment, change)
        self.assertEqual(info["validationResult"]["warnings"],
                         [{"message": "A name is still live.", "messageCode": "no-code"}])
        old = info["validationResultHash"]
        self.assertNotEqual(old, SHA1_OF_NOTHING)
        self.refused(self.cps.acknowledge(enrollment, change, "management", hash=SHA1_OF_NOTHING), 400,
                     "validation-result-hash-mismatch")
        self.refused(self.cps.acknowledge(enrollment, change, "management"), 400, "missing-hash")
        self.cps.change(change, "hash")
        self.cps.settings(wrong_hash_status=409)
        self.refused(self.cps.acknowledge(enrollment, change, "management", hash=old), 409,
                     "validation-result-hash-mismatch")
        answer = self.cps.submit(enrollment, change, "management", {"acknowledgement": "acknowledge"},
                                 "acknowledgement.v1")
        self.refused(answer, 400, "missing-hash")
        new = self.info(enrollment, change)["validationResultHash"]
        self.cps.good(self.cps.acknowledge(enrollment, change, "management", hash=new))
        self.assertEqual(self.cps.state(enrollment, change)[0], "completed")

    def test_acknowledgement_without_hash_may_do(self):
        self.cps.settings(ack_hash_required=False)
        enrollment, change = self.at_gate()
        self.cps.good(self.cps.submit(enrollment, change, "management", {"acknowledgement": "acknowledge"},
                                      "acknowledgement.v1"))
        self.assertEqual(self.cps.state(enrollment, change)[0], "completed")

    def test_errors_block(self):
        enrollment, change = self.at_gate()
        self.cps.change(change, "validation", errors=[{"message": "No.", "messageCode": "E1"}])
        info = self.info(enrollment, change)
        self.assertEqual(info["validationResult"], {"errors": [{"message": "No.", "messageCode": "E1"}],
                                                    "warnings": []})
        answer = self.cps.acknowledge(enrollment, change, "management", hash=info["validationResultHash"])
        self.refused(answer, 400, "validation-errors")
        self.cps.change(change, "deadline", seconds=0)
        self.assertEqual(self.cps.state(enrollment, change)[0], "awaiting-input")
        self.cps.change(change, "validation", errors=[])
        self.assertEqual(self.cps.state(enrollment, change)[0], "completed")

    def test_deadline(self):
        enrollment, change = self.at_gate()
        self.cps.change(change, "deadline", seconds=2)
        self.assertEqual(self.cps.state(enrollment, change)[0], "awaiting-input")
        self.cps.wait_state(enrollment, change, "completed")
        self.assertEqual(self.cps.change(change)["acknowledged"], [])

    def test_denied(self):
        enrollment, change = self.at_gate()
        before = self.cps.deployments(enrollment)["production"]
        info = self.info(enrollment, change)
        self.cps.good(self.cps.acknowledge(enrollment, change, "management", "deny",
                                           hash=info["validationResultHash"]))
        self.assertEqual(self.cps.state(enrollment, change)[0], "cancelled")
        self.assertEqual(self.cps.deployments(enrollment)["production"], before)


class Surprises(Fixture):
    def test_errors_and_spellings_of_states(self):
        enrollment, change = self.at_upload()
        self.cps.settings(state_style="mixed-case", status_style="mixed-case")
        self.assertEqual(self.cps.state(enrollment, change)[:2], ("Awaiting-Input", "Wait-Upload-Third-Party"))
        self.cps.settings(state_style="misspelt", status_style="unknown")
        self.assertEqual(self.cps.state(enrollment, change)[0], "awaiting_input")
        self.cps.settings(state_style="documented", status_style="documented")
        self.cps.change(change, "error", code="E7", description="It broke.")
        info = self.cps.status(enrollment, change).json["statusInfo"]
        self.assertEqual((info["state"], info["error"]["code"], info["error"]["description"]),
                         ("error", "E7", "It broke."))

    def test_prefix_and_null_input(self):
        self.cps.settings(location_prefix="/cps-api/", null_arrays=True)
        enrollment, change = self.at_upload()
        shown = self.cps.status(enrollment, change).json
        self.assertTrue(shown["allowedInput"][0]["info"].startswith("/cps-api/enrollments/"))
        self.cps.change(change, "error")
        self.assertIsNone(self.cps.status(enrollment, change).json["allowedInput"])

    def test_finished_change_may_be_gone(self):
        enrollment, change = self.at_upload()
        self.cps.good(self.cps.upload(enrollment, change, self.authority))
        self.assertEqual(self.cps.state(enrollment, change)[0], "completed")
        self.cps.settings(finished_change_seconds=0, finished_status="completed")
        time.sleep(0.01)
        self.refused(self.cps.status(enrollment, change), 404, "not-found")
        self.cps.settings(finished_change_seconds=600)
        self.assertEqual(self.cps.state(enrollment, change)[1], "completed")

    def test_changes_nobody_asked_for(self):
        for origin, pending, body in (("cps", "renewal", {}), ("foreign", "modify-san", {"sans": ["theirs.test"]}),
                                      ("foreign", "modify-certificate", {"type": "modify-certificate"})):
            enrollment = self.cps.make()
            self.cps.control("POST", f"/enrollments/{enrollment}/changes", {"origin": origin, **body})
            shown = self.cps.read(enrollment)
            self.assertEqual([item["changeType"] for item in shown["pendingChanges"]], [pending])
            self.refused(self.cps.put(enrollment, shown, force_renewal=True), 409, "cannot-cancel-pending-change")
            started = self.cps.control("GET", "/stats")["changes"][str(enrollment)]
            self.assertEqual((started[origin], started["client"]), (1, 0))

    def test_held_change(self):
        enrollment = self.cps.make()
        change = self.cps.control("POST", f"/enrollments/{enrollment}/changes", {"held": True})["pending"][0]
        self.cps.settings(start_delay=0.05, check_delay=0.05)
        time.sleep(0.2)
        self.assertEqual(self.cps.state(enrollment, change), ("new", "new", []))
        self.cps.change(change, "release")
        self.assertEqual(self.cps.state(enrollment, change)[0], "awaiting-input")

    def test_history(self):
        enrollment, change = self.at_upload()
        self.cps.good(self.cps.cancel(enrollment, change))
        second = self.cps.renew(enrollment)
        csr = self.cps.csrs(enrollment, second)["RSA"]

        def changes():
            answer = self.cps.call("GET", f"/enrollments/{enrollment}/history/changes", accept="change-history.v5")
            return self.cps.good(answer).json["changes"]

        self.assertEqual([item["status"] for item in changes()], ["incomplete", "cancelled"])
        self.assertIsNone(changes()[0]["primaryCertificate"])
        self.cps.good(self.cps.upload(enrollment, second, self.authority))
        newest = changes()[0]
        self.assertEqual((newest["status"], newest["action"], newest["primaryCertificate"]["csr"]),
                         ("completed", "renew", csr))
        self.cps.settings(history_order="oldest-first")
        self.assertEqual([item["status"] for item in changes()], ["cancelled", "completed"])
        answer = self.cps.call("GET", f"/enrollments/{enrollment}/history/certificates",
                               accept="certificate-history.v2")
        self.assertEqual([item["deploymentStatus"] for item in answer.json["certificates"]], ["inactive", "active"])


class Control(Fixture):
    def refused_order(self, path, body):
        with self.assertRaises(Exception) as caught:
            self.cps.control("POST", path, body)
        self.assertEqual(caught.exception.code, 400)

    def test_wrong_orders(self):
        enrollment = self.cps.make()
        for body in ({"colour": 1}, {"kind": "x"}, {"cn": 3}, {"algorithms": ["DSA"]}, {"settings": {"x": 1}}):
            self.refused_order("/enrollments", body)
        for body in ({"x": 1}, {"deny_result": "x"}, {"start_delay": "1"}, {"pre_warnings": [1]},
                     {"validation_errors": [{}]}, {"csr_only": "DSA"}, {"gateway_grants": {"bridge": "all"}}):
            self.refused_order("/settings", body)
        self.refused_order(f"/enrollments/{enrollment}/settings", {"rate_limit": 3})
        for body in ({"origin": "x"}, {"type": "x"}):
            self.refused_order(f"/enrollments/{enrollment}/changes", body)
        change = self.cps.renew(enrollment)
        self.refused_order(f"/enrollments/{enrollment}/changes", {})
        for verb in ("x", "finish", "dv", "deadline"):
            self.refused_order(f"/changes/{change}/{verb}", {"seconds": 1})

    def test_no_private_keys_are_shown(self):
        enrollment = self.cps.make()
        self.cps.renew(enrollment)
        self.assertNotIn("PRIVATE", str(self.cps.look(enrollment)) + str(self.cps.journal(enrollment=enrollment)))

    def test_document_can_be_changed_behind_the_client(self):
        enrollment = self.cps.make()
        self.cps.control("POST", f"/enrollments/{enrollment}", {"csr": {"ou": "Moved"}})
        self.assertEqual(self.cps.read(enrollment)["csr"]["ou"], "Moved")


class Restart(unittest.TestCase):
    def test_everything_is_kept(self):
        cps = CpsSimulator(pre_warnings=["kept"])
        self.addCleanup(cps.clean)
        authority = TestAuthority()
        enrollment = cps.make(change_management=True, dual_stack=True)
        change = cps.renew(enrollment)
        client, ready = cps.client(), dict(cps.ready)

        def restart():
            before = cps.look(enrollment)
            journal = cps.journal()
            cps.kill()
            cps.start()
            self.assertEqual(cps.look(enrollment), before)
            self.assertEqual(cps.journal(), journal)

        restart()
        self.assertEqual((cps.client(), cps.ready["url"], cps.ready["control_url"]),
                         (client, ready["url"], ready["control_url"]))
        cps.good(cps.acknowledge(enrollment, change, "pre"))
        requests = cps.csrs(enrollment, change)
        restart()
        self.assertEqual(cps.csrs(enrollment, change), requests)
        cps.good(cps.upload(enrollment, change, authority))
        restart()
        info = cps.good(cps.info(enrollment, change, "management")).json
        cps.good(cps.acknowledge(enrollment, change, "management", hash=info["validationResultHash"]))
        restart()
        self.assertEqual(cps.state(enrollment, change)[0], "completed")
        self.assertEqual(cps.look(enrollment)["started"], {"client": 1, "cps": 0, "foreign": 0})
        self.assertEqual([entry["effect"] for entry in cps.journal(enrollment=enrollment, effects="true")], [
            [f"started {change}"], [f"acknowledged pre-warnings of {change}"], [f"uploaded ECDSA RSA to {change}"],
            [f"acknowledged gate of {change}"]])
        self.assertEqual(cps.control("GET", "/settings")["pre_warnings"], ["kept"])
        self.assertGreater(cps.renew(enrollment), change)

    def test_time_passes_while_it_is_down(self):
        cps = CpsSimulator(csr_delay=2.5)
        self.addCleanup(cps.clean)
        enrollment = cps.make()
        change = cps.renew(enrollment)
        self.assertEqual(cps.state(enrollment, change)[0], "running")
        cps.kill()
        time.sleep(2.5)
        cps.start()
        self.assertEqual(cps.state(enrollment, change)[0], "awaiting-input")

    def test_durations_are_scaled(self):
        cps = CpsSimulator(fast=False, rate_limit=0, burst_limit=0)
        self.addCleanup(cps.clean)
        cps.settings(time_scale=1000)
        enrollment = cps.make()
        change = cps.renew(enrollment)
        self.assertEqual(cps.state(enrollment, change)[0], "new")
        cps.settings(time_scale=0)
        self.assertEqual(cps.state(enrollment, change)[0], "awaiting-input")

    def test_ends_when_asked_to(self):
        cps = CpsSimulator()
        self.addCleanup(cps.clean)
        code, seconds = cps.stop()
        self.assertEqual(code, 0)
        self.assertLess(seconds, 5)


if __name__ == "__main__":
    unittest.main()
