#!/usr/bin/python3
"""Tests of the SCM simulator itself: a double that behaves wrongly would prove nothing about a driver."""

import base64
import hashlib
import re
import time
import unittest

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import pkcs7

from scm_fixture import Simulator
from simkit.fixture import make_csr

NAME = "www.example.test"


def certificates(body):
    blocks = re.findall(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", body, re.DOTALL)
    return [x509.load_pem_x509_certificate(block) for block in blocks]


def names_in(certificate):
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return extension.value.get_values_for_type(x509.DNSName)


class Fixture(unittest.TestCase):
    """One simulator for a class of tests; every test starts with immediate delays and no faults."""

    @classmethod
    def setUpClass(cls):
        cls.scm = Simulator("--approval-delay", "0", "--ca-delay", "0")
        cls.addClassCleanup(cls.scm.clean)
        cls.defaults = cls.scm.control("GET", "/settings")

    def setUp(self):
        self.scm.control("POST", "/settings", self.defaults)
        self.scm.control("DELETE", "/faults")

    def settings(self, **changes):
        self.scm.control("POST", "/settings", changes)

    def fault(self, operation, fault, **members):
        self.scm.control("POST", "/faults", {"operation": operation, "fault": fault, **members})

    def refused(self, answer, code, status=400):
        self.assertEqual((answer.status, answer.json["code"]), (status, code), answer.body)
        return answer.json["description"]


class Authentication(Fixture):
    def test_wrong_credentials_get_the_documented_answer(self):
        for header in ("login", "password", "customerUri"):
            headers = self.scm.auth_headers()
            headers[header] += "x"
            answer = self.scm.api("GET", "/api/ssl/v1/types", headers=headers)
            self.assertEqual(answer.status, 401)
            self.assertEqual(answer.body, b'{"code":-16,"description":"Unknown user"}')
            self.assertEqual(answer.headers["Content-Length"], "41")
            del headers[header]
            self.refused(self.scm.api("GET", "/api/ssl/v1/types", headers=headers), -16, 401)

    def test_private_paths_need_a_client_certificate(self):
        self.refused(self.scm.api("GET", "/private/api/ssl/v1/types"), -16, 401)

    def test_refused_enroll_leaves_no_request(self):
        before = len(self.scm.control("GET", "/stats")["requests"])
        answer = self.scm.api("POST", "/api/ssl/v1/enroll", self.scm.enroll_body(NAME),
                              headers={"login": "acme-api"})
        self.refused(answer, -16, 401)
        self.assertEqual(len(self.scm.control("GET", "/stats")["requests"]), before)


class LifeCycle(Fixture):
    def test_request_passes_all_states_in_order(self):
        self.settings(approval_delay=0.3, ca_delay=0.8)
        ssl_id = self.scm.enroll(NAME)
        seen = []
        while "Issued" not in seen:
            status = self.scm.details(ssl_id)["status"]
            if status not in seen:
                seen.append(status)
            time.sleep(0.02)
        self.assertEqual(seen, ["Requested", "Approved", "Applied", "Issued"])

    def test_details_identify_the_csr_and_the_certificate(self):
        csr = make_csr([NAME])
        details = self.scm.details(self.scm.enroll(NAME, csr=csr, comments="tag-1"))
        der = base64.b64decode("".join(csr.splitlines()[1:-1]))
        self.assertEqual(details["csrDetails"]["sha256Hash"], hashlib.sha256(der).hexdigest().upper())
        self.assertEqual(details["comments"], "tag-1")
        self.assertEqual(details["requestedVia"], "REST API")
        self.assertRegex(details["requested"], r"^\d\d/\d\d/\d{4}$")
        self.assertRegex(details["serialNumber"], r"^[0-9A-F]{2}(:[0-9A-F]{2})+$")
        self.settings(omit_csr_details=True)
        self.assertNotIn("csrDetails", self.scm.details(details["sslId"]))

    def test_not_yet_flavours(self):
        self.settings(approval_delay=600.0)
        ssl_id = self.scm.enroll(NAME)
        description = self.refused(self.scm.collect(ssl_id), 0)
        self.assertEqual(description, "Being processed by Sectigo")
        for flavour in (-183, -1400):
            self.settings(collect_flavour=str(flavour))
            self.refused(self.scm.collect(ssl_id), flavour)
        self.settings(collect_flavour="empty")
        answer = self.scm.collect(ssl_id)
        self.assertEqual((answer.status, answer.body), (200, b""))

    def test_labels_choose_the_outcome(self):
        for label, status in (("declined", "Declined"), ("rejected", "Rejected"),
                              ("invalid", "Invalid"), ("manual", "Requested"), ("slow", "Applied")):
            ssl_id = self.scm.enroll(NAME, label + ".example.test")
            self.assertEqual(self.scm.details(ssl_id)["status"], status)
            self.assertEqual(self.scm.collect(ssl_id).status, 400)

    def test_manual_request_waits_for_the_control_port(self):
        first, second = self.scm.enroll("manual.a.test"), self.scm.enroll("manual.b.test")
        self.scm.control("POST", f"/requests/{first}/approve")
        self.scm.control("POST", f"/requests/{second}/reject")
        self.assertEqual(self.scm.details(first)["status"], "Issued")
        self.assertEqual(self.scm.details(second)["status"], "Rejected")

    def test_approve_and_decline_by_api(self):
        first, second = self.scm.enroll("manual.c.test"), self.scm.enroll("manual.d.test")
        self.refused(self.scm.api("POST", f"/api/ssl/v1/approve/{first}", {"message": ""}), -1601)
        for verb, ssl_id in (("approve", first), ("decline", second)):
            answer = self.scm.api("POST", f"/api/ssl/v1/{verb}/{ssl_id}", {"message": "ok"})
            self.assertEqual((answer.status, answer.body), (204, b""))
        self.scm.wait_for(first, "Issued")
        self.assertEqual(self.scm.details(second)["status"], "Declined")
        self.refused(self.scm.api("POST", f"/api/ssl/v1/approve/{first}", {"message": "ok"}), -1112)

    def test_forced_foreign_status_stays(self):
        ssl_id = self.scm.enroll("manual.e.test")
        self.scm.control("POST", f"/requests/{ssl_id}/status", {"status": "SA Approved"})
        self.assertEqual(self.scm.details(ssl_id)["status"], "SA Approved")

    def test_wrong_key_and_wrong_name(self):
        key = ec.generate_private_key(ec.SECP256R1())
        ssl_id = self.scm.enroll("wrongkey.example.test", csr=make_csr(["wrongkey.example.test"], key))
        leaf = certificates(self.scm.collect(ssl_id, "x509CO").body)[0]
        self.assertNotEqual(leaf.public_key().public_numbers(), key.public_key().public_numbers())
        ssl_id = self.scm.enroll("wrongname.example.test")
        leaf = certificates(self.scm.collect(ssl_id, "x509CO").body)[0]
        self.assertNotIn("wrongname.example.test", names_in(leaf))

    def test_revocation(self):
        first, second = self.scm.enroll(NAME), self.scm.enroll(NAME)
        for reason in (2, 6, "1", None):
            answer = self.scm.api("POST", f"/api/ssl/v1/revoke/{first}",
                                  {"reasonCode": reason, "reason": "x"})
            self.refused(answer, -7 if reason is None else -1601)
        answer = self.scm.api("POST", f"/api/ssl/v1/revoke/{first}", {"reasonCode": 1, "reason": "x"})
        self.assertEqual(answer.status, 204)
        details = self.scm.details(first)
        self.assertEqual((details["status"], details["reasonCode"]), ("Revoked", 1))
        again = self.scm.api("POST", f"/api/ssl/v1/revoke/{first}", {"reasonCode": 1, "reason": "x"})
        self.refused(again, -102)
        serial = self.scm.details(second)["serialNumber"]
        self.scm.api("POST", f"/api/ssl/v1/revoke/serial/{serial}", {"reasonCode": 0, "reason": "x"})
        self.assertEqual(self.scm.details(second)["status"], "Revoked")
        self.refused(self.scm.collect(second), -110)


class Chains(Fixture):
    def test_formats_and_their_order(self):
        key = ec.generate_private_key(ec.SECP256R1())
        ssl_id = self.scm.enroll(NAME, "alt.example.test", csr=make_csr([NAME], key))
        with open(self.scm.ready["root_file"], "rb") as stream:
            root = x509.load_pem_x509_certificate(stream.read())
        answer = self.scm.collect(ssl_id, "x509")
        self.assertEqual(answer.headers["Content-Type"], "application/octet-stream;charset=UTF-8")
        chain = certificates(answer.body)
        self.assertEqual(len(chain), 4)
        self.assertEqual(chain[0], root)
        for issuer, subject in zip(chain, chain[1:]):
            issuer.public_key().verify(subject.signature, subject.tbs_certificate_bytes,
                                       ec.ECDSA(subject.signature_hash_algorithm))
        leaf = chain[-1]
        self.assertEqual(leaf.public_key().public_numbers(), key.public_key().public_numbers())
        self.assertEqual(names_in(leaf), [NAME, "alt.example.test"])
        expected = {"x509CO": [leaf], "x509IO": chain[:3], "x509IOR": chain[2::-1],
                    "x509R": chain[::-1], "pem": chain, "pemco": [leaf], "pemia": chain[:0:-1]}
        for fmt, wanted in expected.items():
            self.assertEqual(certificates(self.scm.collect(ssl_id, fmt).body), wanted, fmt)
            in_path = self.scm.api("GET", f"/api/ssl/v1/collect/{ssl_id}/{fmt}")
            self.assertEqual(certificates(in_path.body), wanted, fmt)
        bare = self.scm.api("GET", f"/api/ssl/v1/collect/{ssl_id}").body
        self.assertCountEqual(pkcs7.load_pem_pkcs7_certificates(bare), chain)
        der = self.scm.collect(ssl_id, "bin").body
        self.assertCountEqual(pkcs7.load_der_pkcs7_certificates(der), chain)
        self.settings(crlf=True, chain_order="mixed")
        mixed = self.scm.collect(ssl_id, "x509").body
        self.assertEqual(mixed.count(b"\r\n"), mixed.count(b"\n"))
        self.assertNotEqual(certificates(mixed), chain)
        self.assertCountEqual(certificates(mixed), chain)
        self.refused(self.scm.collect(ssl_id, "p12"), -1450)

    def test_replace_keeps_the_id_and_renew_makes_one(self):
        ssl_id = self.scm.enroll(NAME)
        old = self.scm.collect(ssl_id, "x509CO").body
        answer = self.scm.api("POST", f"/api/ssl/v1/replace/{ssl_id}",
                              {"csr": make_csr([NAME]), "reason": "new key"})
        self.assertEqual(answer.status, 204)
        self.assertNotEqual(self.scm.collect(ssl_id, "x509CO").body, old)
        renewed = self.scm.api("POST", f"/api/ssl/v1/renewById/{ssl_id}", {}).json["sslId"]
        self.assertNotEqual(renewed, ssl_id)
        self.assertTrue(self.scm.details(ssl_id)["renewed"])


class Enrolling(Fixture):
    def enroll(self, *names, **members):
        return self.scm.api("POST", "/api/ssl/v1/enroll", self.scm.enroll_body(*names, **members))

    def test_members_are_checked(self):
        for members, code in (
                ({"orgId": None}, -7), ({"orgId": "8932"}, -1601), ({"orgId": 1}, -639),
                ({"csr": ""}, -1601), ({"subjAltNames": [NAME]}, -1601), ({"certType": 1}, -111),
                ({"term": 364}, -36), ({"term": True}, -1601), ({"comments": "c" * 1025}, -1601),
                ({"externalRequester": "nobody"}, -1601), ({"dcvMode": "FAX"}, -1601),
                ({"dcvMode": "EMAIL"}, -7), ({"subjAltNames": "a..b"}, -732)):
            self.refused(self.enroll(NAME, **members), code)
        self.assertEqual(self.enroll(NAME, numberServers=1, serverType=-1).status, 200)
        self.refused(self.scm.api("POST", "/api/ssl/v1/enroll", b"{"), -1601)
        self.refused(self.scm.api("POST", "/api/ssl/v1/enroll", b"[]"), -1601)

    def test_csr_is_checked(self):
        good = make_csr([NAME])
        der = bytearray(base64.b64decode("".join(good.splitlines()[1:-1])))
        der[-1] ^= 1
        weak = rsa.generate_private_key(65537, 1024)
        for csr, code in (("AAAAA", -9), ("AAAA", -10), ("!", -1601),
                          (base64.b64encode(bytes(der)).decode(), -138),
                          (make_csr([NAME], weak), -194),
                          (make_csr([NAME], ed25519.Ed25519PrivateKey.generate()), -11)):
            self.refused(self.enroll(NAME, csr=csr), code)
        self.assertEqual(self.enroll(NAME, csr="".join(good.splitlines()[1:-1])).status, 200)

    def test_names_come_from_the_members_not_from_the_san_extension(self):
        self.refused(self.enroll(csr=make_csr([NAME])), -7)
        ssl_id = self.scm.enroll("b.example.test", csr=make_csr([NAME], common_name="A.example.test"))
        leaf = certificates(self.scm.collect(ssl_id, "x509CO").body)[0]
        self.assertEqual(names_in(leaf), ["a.example.test", "b.example.test"])

    def test_unvalidated_domain_is_named(self):
        self.assertIn("nodcv.example.test", self.refused(self.enroll("nodcv.example.test"), -1137))
        self.settings(dcv_domains={"late.test": "EXPIRED"})
        self.assertIn("www.late.test", self.refused(self.enroll("www.late.test"), -1137))
        answer = self.scm.api("POST", "/api/dcv/v2/validation/status", {"domain": "late.test"})
        self.assertEqual(answer.json["status"], "EXPIRED")
        listed = self.scm.api("GET", "/api/dcv/v1/validation?size=10&position=0&domain=late.test")
        self.assertEqual((listed.headers["X-Total-Count"], listed.json[0]["domain"]), ("1", "late.test"))

    def test_mandatory_custom_field(self):
        self.settings(custom_fields=[{"id": 7, "name": "Ticket", "mandatory": True}])
        self.refused(self.enroll(NAME), -62)
        fields = [{"name": "Ticket", "value": "42"}]
        ssl_id = self.scm.enroll(NAME, customFields=fields)
        self.assertEqual(self.scm.details(ssl_id)["customFields"], fields)
        listed = self.scm.api("GET", "/api/customField/v2/?certType=SSL").json
        self.assertIn("REST_API", listed[0]["mandatories"])

    def test_update_depends_on_the_state(self):
        waiting, issued = self.scm.enroll("manual.u.test"), self.scm.enroll(NAME)
        answer = self.scm.api("PUT", "/api/ssl/v1", {"sslId": issued, "comments": "later"})
        self.assertEqual((answer.status, answer.json["comments"]), (200, "later"))
        self.refused(self.scm.api("PUT", "/api/ssl/v1", {"sslId": issued, "term": 365}), -39)
        answer = self.scm.api("PUT", "/api/ssl/v1", {
            "sslId": waiting, "term": 365, "subjectAlternativeNames": ["manual.u.test", "v.test"]})
        self.assertEqual(answer.json["subjectAlternativeNames"], ["manual.u.test", "v.test"])


class Searching(Fixture):
    def test_list_filters_pages_and_counts(self):
        ids = [self.scm.enroll(f"n{number}.list.test", externalRequester="a+list@example.test")
               for number in range(3)]
        query = "/api/ssl/v1?commonName=list.test&orgId=8932&requestedVia=REST"
        answer = self.scm.api("GET", query + "&size=2&position=1")
        self.assertEqual(answer.headers["X-Total-Count"], "3")
        self.assertEqual([item["sslId"] for item in answer.json], ids[1:])
        self.assertEqual(set(answer.json[0]),
                         {"sslId", "commonName", "subjectAlternativeNames", "serialNumber"})
        head = self.scm.api("HEAD", query + "&externalRequester=a%2Blist@example.test")
        self.assertEqual((head.status, head.headers["X-Total-Count"], head.body), (200, "3", b""))
        for none in ("orgId=1", "requestedVia=ACME", "status=Declined", "externalRequester=other"):
            answer = self.scm.api("GET", f"/api/ssl/v1?commonName=list.test&{none}")
            self.assertEqual((answer.json, answer.headers["X-Total-Count"]), ([], "0"), none)
        self.refused(self.scm.api("GET", "/api/ssl/v1?size=201"), -1601)

    def test_report_shows_comments(self):
        ssl_id = self.scm.enroll("report.test", comments="tag-9")
        today = time.strftime("%Y-%m-%d", time.gmtime())
        answer = self.scm.api("POST", "/api/report/v1/ssl-certificates?output_type=buffered", {
            "organizationIds": [8932], "commonName": "report.test", "certificateStatus": 0,
            "certificateDateAttribute": 4, "from": today, "to": today, "certificateRequestSource": 12})
        self.assertEqual(answer.json["statusCode"], 0)
        self.assertEqual([(row["id"], row["comments"]) for row in answer.json["reports"]],
                         [(ssl_id, "tag-9")])

    def test_unknown_ids(self):
        self.refused(self.scm.api("GET", "/api/ssl/v1/1"), -5101, 404)
        self.settings(unknown_id_status=400)
        self.refused(self.scm.api("GET", "/api/ssl/v1/1"), -124)

    def test_account_look_ups(self):
        profile = self.scm.api("GET", "/api/ssl/v1/types?organizationId=8932").json[0]
        self.assertEqual((profile["id"], profile["terms"]), (5153, [199, 365]))
        self.assertEqual(self.scm.api("GET", "/api/admin/v1/password").json["state"], "ALIVE")
        ssl_id = self.scm.enroll(NAME)
        instruction = self.scm.api("GET", f"/api/ssl/v1/{ssl_id}/dcv").json["instructions"][0]
        hashes = self.scm.details(ssl_id)["csrDetails"]
        self.assertEqual(instruction["host"], f"_{hashes['md5Hash']}.{NAME}.")
        self.assertEqual(self.scm.api("POST", f"/api/ssl/v1/{ssl_id}/dcv/recheck").status, 202)


if __name__ == "__main__":
    unittest.main()
