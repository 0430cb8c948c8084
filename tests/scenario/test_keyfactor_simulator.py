#!/usr/bin/python3
"""Tests of the Keyfactor Command simulator itself: a double that behaves wrongly would prove nothing about a driver."""

import base64
import http.client
import json
import re
import time
import unittest
import urllib.error

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import pkcs7

from keyfactor_fixture import LEFT_OUT, KeyfactorSimulator, make_csr, timestamp
from kfsim.query import conditions
from kfsim.records import key_sha256

BROKEN = (http.client.HTTPException, OSError)
NAME = "www.example.localhost"
NO_GUID = "00000000-0000-0000-0000-000000000000"
ARMOUR = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


def load(text):
    """A certificate in any of the three shapes."""
    found = ARMOUR.search(text)
    if found:
        return x509.load_pem_x509_certificate(found[0].encode("ascii"))
    return x509.load_der_x509_certificate(base64.b64decode(text, validate=True))


class Fixture(unittest.TestCase):
    """One simulator for a class of tests; every test starts with the usual settings and no faults."""

    @classmethod
    def setUpClass(cls):
        cls.kf = KeyfactorSimulator()
        cls.addClassCleanup(cls.kf.clean)
        cls.defaults = cls.kf.control("GET", "/settings")

    def setUp(self):
        self.kf.control("POST", "/settings", self.defaults)
        self.kf.control("DELETE", "/faults")

    def refused(self, answer, status, *words):
        self.assertEqual(answer.status, status, answer.body)
        message = answer.json["Message"]
        for word in words:
            self.assertIn(word, message)
        return answer.json

    def post(self, **members):
        return self.kf.api("POST", "/Enrollment/CSR", self.kf.enroll_body(NAME, **members))

    def instance(self, guid):
        return self.kf.api("GET", f"/Workflow/Instances/{guid}").json

    def request(self, number):
        return self.kf.api("GET", f"/Workflow/Certificates/{number}").json

    def rows_of_request(self, number):
        return self.kf.search(f"CertRequestId -eq {number}").json


class Calls(Fixture):
    def test_basic(self):
        for header in (LEFT_OUT, "Basic", "Basic !", self.kf.basic(password="x"), self.kf.basic(login="acme-bridge"),
                       "Digest x", "Bearer " + self.kf.password):
            answer = self.kf.api("GET", "/MetadataFields", headers={"Authorization": header})
            self.assertEqual((answer.status, answer.body[:6]), (401, b"<html>"), header)
        answer = self.kf.api("GET", "/MetadataFields")
        self.assertEqual((answer.status, answer.headers["X-Keyfactor-Product-Version"]), (200, "25.1.0.0"))

    def test_shapes_of_401(self):
        for shape, start in (("html", b"<html>"), ("empty", b""), ("text", b"Unknown"), ("json", b'{"Mess')):
            self.kf.settings(unauthorized_shape=shape)
            answer = self.kf.api("GET", "/MetadataFields", headers={"Authorization": LEFT_OUT})
            self.assertEqual((answer.status, answer.body[:6] if start else answer.body), (401, start[:6]))

    def test_tokens(self):
        def fields():
            return self.kf.api("GET", "/MetadataFields", headers={"Authorization": self.kf.bearer()}).status

        self.kf.settings(token_lifetime=0.3)
        given = self.kf.ask_token().json
        self.assertEqual(given["token_type"], "Bearer")
        self.kf.token = given["access_token"]
        self.assertEqual(fields(), 200)
        time.sleep(0.35)
        self.assertEqual(fields(), 401)
        self.kf.settings(token_lifetime=300)
        self.kf.token = None
        self.assertEqual(fields(), 200)
        self.kf.control("POST", "/tokens/revoke")
        self.assertEqual(fields(), 401)
        self.kf.token = None
        self.assertEqual(self.kf.ask_token(client_secret="x").status, 401)
        self.assertEqual(self.kf.ask_token(grant_type="password").status, 400)
        self.kf.settings(logins=["basic"])
        self.assertEqual(fields(), 401)
        self.kf.settings(logins=["oauth"])
        self.assertEqual(fields(), 200)
        self.assertEqual(self.kf.api("GET", "/MetadataFields").status, 401)

    def test_headers(self):
        for status in (400, 403):
            self.kf.settings(missing_header_status=status)
            for value in (LEFT_OUT, "browser"):
                self.refused(self.kf.api("GET", "/MetadataFields", headers={"X-Keyfactor-Requested-With": value}),
                             status, "X-Keyfactor-Requested-With")
        for name, value, status in (("X-Keyfactor-Requested-With", "XMLHttpRequest", 200),
                                    ("X-Keyfactor-Api-Version", "1", 200), ("X-Keyfactor-Api-Version", "3", 400)):
            self.assertEqual(self.kf.api("GET", "/MetadataFields", headers={name: value}).status, status)
        body = self.kf.enroll_body(NAME)
        for headers, status in (({"Content-Type": "text/plain"}, 415), ({"X-CertificateFormat": LEFT_OUT}, 400),
                                ({"X-CertificateFormat": "JKS"}, 400)):
            self.assertEqual(self.kf.api("POST", "/Enrollment/CSR", body, headers).status, status)

    def test_paths(self):
        for path, status in (("/metadatafields", 200), ("/METADATAFIELDS", 200), ("/Nothing", 404)):
            self.assertEqual(self.kf.api("GET", path).status, status)
        self.assertEqual(self.kf.api("POST", "/MetadataFields", {}).status, 405)
        headers = {"Authorization": self.kf.basic(), "X-Keyfactor-Requested-With": "APIClient"}
        self.assertEqual(self.kf.send("GET", "/keyfactorapi/MetadataFields", None, headers).status, 200)
        answer = self.kf.send("GET", "/Other/MetadataFields", None, headers)
        self.assertEqual((answer.status, answer.body[:6]), (404, b"<html>"))
        self.assertIn("GET /keyfactorapi/status/endpoints", self.kf.api("GET", "/Status/Endpoints").json)

    def test_errors(self):
        self.kf.settings(forbidden=["metadata-fields"])
        refused = self.refused(self.kf.api("GET", "/MetadataFields"), 403, "required permission")
        self.assertEqual(refused["ErrorCode"], "0xA0140002")
        self.kf.settings(error_shape="message")
        self.assertEqual(list(self.kf.api("GET", "/MetadataFields").json), ["Message"])
        self.kf.settings(error_shape="failed")
        self.assertEqual(list(self.kf.api("GET", "/MetadataFields").json["FailedOperations"][0]), ["Reason"])
        self.kf.settings(error_shape="html")
        self.assertIn(b"required permission", self.kf.api("GET", "/MetadataFields").body)
        for body in (b"{", b"[]", b'"x"', b"[" * 100000):
            self.kf.settings(error_shape="code")
            self.refused(self.kf.api("POST", "/Enrollment/CSR", body), 400, "not valid")


class Enrolling(Fixture):
    def test_a_certificate(self):
        key = ec.generate_private_key(ec.SECP256R1())
        answer = self.post(csr=make_csr([NAME], key), Metadata={"AcmeOrder": "t-1", "CostCentre": 7}).json
        information = answer["CertificateInformation"]
        chain = [load(text) for text in information["Certificates"]]
        self.assertEqual(chain[0].public_key().public_numbers(), key.public_key().public_numbers())
        for lower, upper in zip(chain, chain[1:]):
            upper.public_key().verify(lower.signature, lower.tbs_certificate_bytes,
                                      ec.ECDSA(lower.signature_hash_algorithm))
        self.assertEqual((information["RequestDisposition"], information["KeyfactorRequestId"]), ("ISSUED", 0))
        self.assertEqual(information["SerialNumber"].lstrip("0"), f"{chain[0].serial_number:X}")
        self.assertEqual(information["WorkflowInstanceId"], NO_GUID)
        self.assertEqual(answer["Metadata"], {"AcmeOrder": "t-1", "CostCentre": "7"})
        row = self.kf.api("GET", f"/Certificates/{information['KeyfactorID']}", includeMetadata="true").json
        self.assertEqual((row["Thumbprint"], row["Metadata"]["AcmeOrder"]), (information["Thumbprint"], "t-1"))
        self.assertEqual(load(row["ContentBytes"]), chain[0])

    def test_shapes(self):
        for shape, start in (("pem", "-----BEGIN"), ("base64", "MII"), ("text", "Subject: ")):
            for order in ("leaf-first", "root-first", "mixed"):
                for root in (True, False):
                    self.kf.settings(certificate_shape=shape, chain_order=order, include_root=root)
                    found = self.kf.enroll(NAME)["Certificates"]
                    self.assertTrue(found[0].startswith(start), found[0][:20])
                    certificates = [load(text) for text in found]
                    self.assertEqual(len(certificates), 4 if root else 3)
                    at = {"leaf-first": 0, "root-first": -1, "mixed": 1}[order]
                    self.assertIn("CN=" + NAME, certificates[at].subject.rfc4514_string())
                    self.assertEqual(sum(one.issuer == one.subject for one in certificates), int(root))
        self.assertEqual(len(self.kf.enroll(NAME, IncludeChain=False)["Certificates"]), 1)
        self.assertEqual(len(self.kf.enroll(NAME, IncludeChain=None)["Certificates"]), 1)

    def test_spelling(self):
        self.assertIn("KeyfactorID", self.kf.enroll(NAME))
        self.kf.settings(id_spelling="KeyfactorId", workflow_members=False)
        information = self.kf.enroll(NAME)
        self.assertIn("KeyfactorId", information)
        self.assertNotIn("WorkflowInstanceId", information)
        self.kf.settings(member_case="camel")
        answer = self.post(Metadata={"AcmeOrder": "fold"}).json
        self.assertEqual(answer["metadata"], {"AcmeOrder": "fold"})
        self.assertIn("keyfactorId", answer["certificateInformation"])
        body = {name.lower(): value for name, value in self.kf.enroll_body(NAME).items()}
        self.assertEqual(self.kf.api("POST", "/Enrollment/CSR", body).status, 200)

    def test_members_are_checked(self):
        before = len(self.kf.requests())
        for members, word in (
                ({"CSR": None}, "CSR"), ({"CSR": "AAAA"}, "CSR"), ({"CSR": 1}, "CSR"), ({"Timestamp": None}, "Timestamp"),
                ({"Timestamp": timestamp(-301)}, "timestamp"), ({"Timestamp": timestamp(400)}, "timestamp"),
                ({"Timestamp": "2026-01-01 00:00:00"}, "Timestamp"), ({"Template": "Nothing"}, "template"),
                ({"Template": None}, "template"), ({"CertificateAuthority": None}, "authority"),
                ({"CertificateAuthority": "ca09\\Other"}, "authority"), ({"IncludeChain": "true"}, "IncludeChain"),
                ({"SANs": []}, "SANs"), ({"SANs": {"dnsname": ["a"]}}, "dnsname"), ({"SANs": {"dns": "a"}}, "dns"),
                ({"SANs": {"ip": ["a"]}}, "IP address"), ({"SANs": {"ip4": ["::1"]}}, "ip4"),
                ({"SANs": {"rfc822": ["a@b.test"]}}, "rfc822"), ({"SANs": {"dns": ["a..b"]}}, "a..b"),
                ({"Metadata": {"Nobody": "x"}}, "Nobody"), ({"Metadata": {"CostCentre": "x"}}, "CostCentre"),
                ({"Metadata": {"AcmeOrder": "x" * 401}}, "AcmeOrder"), ({"PrivateKey": "x"}, "private key"),
                ({"AdditionalEnrollmentFields": {"Department": "x"}}, "Department"), ({"Colour": "red"}, "Colour"),
                ({"EnrollmentPatternId": 9}, "pattern"), ({"OwnerRoleId": 9}, "owner role")):
            self.refused(self.post(**members), 400, word)
        self.assertEqual(len(self.kf.requests()), before)
        self.assertEqual(self.post(Timestamp=timestamp()[:-1] + ".000Z", OwnerRoleName="pki-owners").status, 200)
        self.kf.settings(metadata_fields=[{"Name": "AcmeOrder", "DataType": 1, "Enrollment": 1}], owner_required=True)
        self.refused(self.post(OwnerRoleId=2), 400, "AcmeOrder", "required")
        self.refused(self.post(Metadata={"AcmeOrder": "x"}), 400, "owner")

    def test_keys_and_names_by_template(self):
        for key, word in ((rsa.generate_private_key(65537, 1024), "key size"),
                          (ed25519.Ed25519PrivateKey.generate(), "")):
            self.refused(self.post(csr=make_csr([NAME], key)), 400, word)
        short = {"Template": "ShortWeb", "AdditionalEnrollmentFields": {"Department": "pki"}}
        self.assertEqual(self.post(**short).status, 200)
        self.refused(self.post(**short, csr=make_csr([NAME], ec.generate_private_key(ec.SECP384R1()))), 400, "P-384")
        self.refused(self.post(**short, csr=make_csr(["www.example.test"])), 400, "www.example.test", "regular")
        self.refused(self.post(Template="ShortWeb"), 400, "Department", "required")
        self.refused(self.post(**short, CertificateAuthority="StandAloneCA"), 400, "not available")

    def test_where_to(self):
        """The CA by its logical name; the pattern in place of template and CA, from version 25 on."""
        self.assertEqual(self.post(CertificateAuthority="issuingca1").status, 200)
        alone = {"Template": None, "CertificateAuthority": None}
        self.assertEqual(self.post(EnrollmentPatternId=3, **alone).status, 200)
        self.assertEqual(self.post(EnrollmentPatternId=3).status, 200)
        self.refused(self.post(EnrollmentPatternId=3, Template="ShortWeb"), 400, "template")
        self.refused(self.post(EnrollmentPatternId=4, **alone), 400, "stand-alone")
        self.assertEqual(self.post(EnrollmentPatternId=4, Template=None, CertificateAuthority="StandAloneCA").status, 200)
        self.kf.settings(product_version="24.4.0.0")
        self.refused(self.post(EnrollmentPatternId=3, **alone), 400, "EnrollmentPatternId")
        self.assertEqual(self.kf.api("GET", "/EnrollmentPatterns").status, 404)

    def test_names(self):
        csr = make_csr(["a.localhost", "b.localhost"])
        for policy, wanted in (("merge", ["a.localhost", "b.localhost", "c.localhost", "127.0.0.2"]),
                               ("replace", ["c.localhost", "127.0.0.2"]), ("csr", ["a.localhost", "b.localhost"])):
            self.kf.settings(san_policy=policy)
            body = self.kf.enroll(csr=csr, SANs={"dns": ["C.localhost"], "ip4": ["127.0.0.2"]})
            names = load(body["Certificates"][0]).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            self.assertEqual([str(name.value) for name in names], wanted)
        self.kf.settings(san_policy="replace")
        self.assertEqual(self.post(SANs={"dns": []}).status, 200)
        self.refused(self.post(csr=make_csr([])), 400, "alternative names")

    def test_refused_by_the_ca(self):
        for name, status in (("denied.localhost", 400), ("failed-2.localhost", 500)):
            self.refused(self.kf.api("POST", "/Enrollment/CSR", self.kf.enroll_body(name)), status)
        self.kf.settings(refusal="disposition")
        information = self.kf.enroll("denied-2.localhost")
        self.assertEqual((information["RequestDisposition"], information["Certificates"]), ("DENIED", None))
        self.assertIn("0x80094806", information["DispositionMessage"])

    def test_wrong_certificates(self):
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = load(self.kf.enroll(csr=make_csr(["wrongkey.localhost"], key))["Certificates"][0])
        self.assertNotEqual(leaf.public_key().public_numbers(), key.public_key().public_numbers())
        leaf = load(self.kf.enroll("wrongname.localhost")["Certificates"][0])
        self.assertIn("other.invalid", leaf.subject.rfc4514_string())


class Pending(Fixture):
    def test_ca_approval(self):
        information = self.kf.enroll("pending-1.localhost", Metadata={"AcmeOrder": "p-1"})
        number = information["KeyfactorRequestId"]
        self.assertEqual((information["RequestDisposition"], information["KeyfactorID"], information["Certificates"],
                          information["WorkflowInstanceId"]), ("PENDING", 0, None, NO_GUID))
        listed = self.kf.api("GET", "/Workflow/Certificates/Pending", **{
            "pagedQuery.queryString": 'CommonName -eq "pending-1.localhost"'}).json
        self.assertEqual([(one["Id"], one["StateString"], one["Metadata"]) for one in listed],
                         [(number, "Pending", {"AcmeOrder": "p-1"})])
        self.kf.settings(pending_metadata=False, sync_delay=600)
        self.assertEqual(self.request(number)["Metadata"], {})
        answer = self.kf.api("POST", "/Workflow/Certificates/Approve", [number, 9]).json
        self.assertEqual([one["KeyfactorRequestId"] for one in answer["Successes"]], [number])
        self.assertEqual([one["KeyfactorRequestId"] for one in answer["Failures"]], [9])
        self.assertEqual(self.request(number)["StateString"], "Active")
        self.assertEqual(self.rows_of_request(number), [])
        made = self.kf.control("GET", f"/requests/{number}")["certificate_id"]
        self.assertEqual(self.kf.api("GET", f"/Certificates/{made}").status, 404)
        self.kf.control("POST", "/sync")
        self.assertEqual([row["Id"] for row in self.rows_of_request(number)], [made])
        self.assertEqual(self.rows_of_request(number)[0]["Metadata"], {"AcmeOrder": "p-1"})
        self.kf.settings(issued_request="gone")
        self.assertEqual(self.kf.api("GET", f"/Workflow/Certificates/{number}").status, 404)

    def test_delayed_appearance(self):
        self.kf.settings(sync_delay=0.4)
        number = self.kf.enroll("pending-2.localhost")["KeyfactorRequestId"]
        self.kf.decide(number, "approve")
        self.assertEqual(self.rows_of_request(number), [])
        time.sleep(0.45)
        self.assertEqual(len(self.rows_of_request(number)), 1)

    def test_denied(self):
        number = self.kf.enroll("pending-3.localhost")["KeyfactorRequestId"]
        answer = self.kf.api("POST", "/Workflow/Certificates/Deny",
                             {"Comment": "Who are you?", "CertificateRequestIds": [number]}).json
        self.assertEqual([one["KeyfactorRequestId"] for one in answer["Denials"]], [number])
        request = self.request(number)
        self.assertEqual((request["StateString"], request["DenialComment"]), ("Denied", "Who are you?"))
        self.assertIn(number, [one["Id"] for one in self.kf.api("GET", "/Workflow/Certificates/Denied").json])
        self.assertNotIn(number, [one["Id"] for one in self.kf.api("GET", "/Workflow/Certificates/Pending").json])
        with self.assertRaises(urllib.error.HTTPError):
            self.kf.decide(number, "approve")

    def test_external_validation(self):
        for form in ("EXTERNAL_VALIDATION", "EXTERNAL VALIDATION", "PENDING"):
            self.kf.settings(external_disposition=form, approval="external")
            information = self.kf.enroll(NAME)
            self.assertEqual(information["RequestDisposition"], form)
        number = information["KeyfactorRequestId"]
        self.assertEqual(self.request(number)["State"], 8)
        self.assertIn(number, [one["Id"] for one in self.kf.api("GET", "/Workflow/Certificates/ExternalValidation").json])
        self.kf.decide(number, "approve")
        self.assertEqual(len(self.rows_of_request(number)), 1)

    def test_workflow(self):
        information = self.kf.enroll("workflow-1.localhost")
        guid = information["WorkflowInstanceId"]
        self.assertRegex(guid, r"^[0-9a-f]{8}-[0-9a-f-]{27}$")
        self.assertEqual((information["KeyfactorRequestId"], information["RequestDisposition"]), (0, "PENDING"))
        instance = self.instance(guid)
        self.assertEqual((instance["Status"], instance["ReferenceId"]), ("Suspended", information["WorkflowReferenceId"]))
        mine = self.kf.api("GET", "/Workflow/Instances/My").json
        self.assertIn("CN=workflow-1.localhost", [one for one in mine if one["Id"] == guid][0]["Title"])
        number = self.kf.requests("workflow-1.localhost")[0]["id"]
        self.assertEqual(self.kf.api("GET", f"/Workflow/Certificates/{number}").status, 404)
        self.kf.decide(number, "approve")
        self.assertEqual(self.instance(guid)["Status"], "Complete")
        self.assertEqual(len(self.kf.search('CN -eq "workflow-1.localhost"').json), 1)

    def test_ends_of_a_workflow(self):
        for number, (verb, members, status) in enumerate((
                ("reject", {}, "Rejected"), ("fail", {}, "Failed"), ("deny", {}, "Rejected"),
                ("complete", {"outcome": "Denied"}, "Complete"), ("complete", {"outcome": "Failed"}, "Complete"),
                ("complete", {"outcome": "Pending"}, "Complete"))):
            name = f"workflow-end{number}.localhost"
            guid = self.kf.enroll(name)["WorkflowInstanceId"]
            request = self.kf.requests(name)[0]["id"]
            shown = self.kf.decide(request, verb, comment="No.", **members)
            self.assertEqual(self.instance(guid)["Status"], status)
            self.assertEqual(self.kf.search(f'CN -eq "{name}"').json, [])
            self.assertEqual(shown["state"], members.get("outcome", "Failed"))
            if status != "Complete":
                self.assertEqual(self.instance(guid)["StatusMessage"], "No.")
            else:
                self.assertEqual(self.request(request)["StateString"], members["outcome"])


class Certificates(Fixture):
    def test_queries(self):
        made = self.kf.enroll("query.localhost", Metadata={"AcmeOrder": "q +1", "Team": "web"})
        number, thumbprint = made["KeyfactorID"], made["Thumbprint"]
        request = self.kf.requests("query.localhost")[0]["id"]
        for text, count in (
                (f'Thumbprint -eq "{thumbprint.lower()}"', 1), ('IssuedCN -eq "QUERY.localhost"', 1),
                ('CN -contains "uery.loc"', 1), (f"CertRequestId -eq {request}", 1), ('AcmeOrder -eq "q +1"', 1),
                ('AcmeOrder -eq "q  1"', 0), ('AcmeOrder -eq "q +1" AND Team -eq "web"', 1),
                ('AcmeOrder -eq "q +1" AND Team -eq "mail"', 0), (f'Id -ge {number} AND Team -startswith "w"', 1),
                (f'CN -eq "query.localhost" AND ImportDate -ge "{timestamp(-60)}"', 1),
                (f'CN -eq "query.localhost" AND ImportDate -ge "{timestamp(60)}"', 0),
                ('CN -eq "query.localhost" and CA -contains "IssuingCA1"', 1), ('SAN -eq "query.localhost"', 1),
                ('"AcmeOrder" -eq "q +1"', 1), ('CN -eq "x" OR CN -eq "query.localhost"', 1)):
            answer = self.kf.search(text)
            self.assertEqual([row["Id"] for row in answer.json], [number] * count, text)
            self.assertEqual(answer.headers["X-Total-Count"], str(count))
        for text in ('CN = "x"', 'CN -eq "x', 'CN -like "x"', 'Nobody -eq "x"', 'Id -contains 1', 'Id -eq "x"',
                     'CN -eq "x" AND', 'CN -eq "x" "y"'):
            self.assertEqual(self.kf.search(text).status, 400, text)

    def test_a_plus_is_no_space(self):
        path = '/Certificates?pq.queryString=CN+-eq+%22x%22'
        self.assertEqual(self.kf.api("GET", path).status, 400)
        self.assertEqual(len(conditions('A -eq "a \\"b\\"" AND B-b -ne 3')), 2)

    def test_pages_and_order(self):
        for number in range(5):
            self.kf.enroll(f"page{number}.localhost", Metadata={"Team": "pages"})
        query = 'Team -eq "pages"'
        answer = self.kf.search(query, returnLimit=2, pageReturned=3, sortField="IssuedCN")
        self.assertEqual(([row["IssuedCN"] for row in answer.json], answer.headers["X-Total-Count"]),
                         (["page4.localhost"], "5"))
        answer = self.kf.search(query, returnLimit=2, sortField="IssuedCN", sortAscending=1)
        self.assertEqual([row["IssuedCN"] for row in answer.json], ["page4.localhost", "page3.localhost"])
        self.kf.settings(page_limit=3)
        self.assertEqual(len(self.kf.search(query).json), 3)
        for changes in ({"returnLimit": 0}, {"pageReturned": "x"}, {"sortField": "Nobody"}):
            self.assertEqual(self.kf.search(query, **changes).status, 400)

    def test_metadata(self):
        number = self.kf.enroll("meta.localhost")["KeyfactorID"]
        body = {"Id": number, "Metadata": {"AcmeOrder": "late"}}
        self.assertEqual(self.kf.api("PUT", "/Certificates/Metadata", body).status, 204)
        self.assertEqual([row["Id"] for row in self.kf.search('AcmeOrder -eq "late"').json], [number])
        plain = self.kf.api("GET", "/Certificates", **{"pq.queryString": 'AcmeOrder -eq "late"'}).json
        self.assertEqual(plain[0]["Metadata"], {})
        self.refused(self.kf.api("PUT", "/Certificates/Metadata", {"Id": number, "Metadata": {"X": "y"}}), 400, "X")
        self.refused(self.kf.api("PUT", "/Certificates/Metadata", {"Id": 1, "Metadata": {}}), 404)
        self.assertEqual([field["Name"] for field in self.kf.api("GET", "/MetadataFields").json],
                         ["AcmeOrder", "Team", "CostCentre", "Public"])

    def test_download(self):
        made = self.kf.enroll(NAME)
        leaf = load(made["Certificates"][0])

        def content(fmt, **members):
            answer = self.kf.api("POST", "/Certificates/Download", {"CertID": made["KeyfactorID"], **members},
                                 {"X-CertificateFormat": fmt})
            self.assertEqual(answer.status, 200, answer.body)
            return base64.b64decode(answer.json["Content"])

        self.assertEqual(content("DER"), leaf.public_bytes(serialization.Encoding.DER))
        self.assertEqual(content("PEM"), leaf.public_bytes(serialization.Encoding.PEM))
        for order, at in (("EndEntityFirst", 0), ("rootfirst", 3)):
            chain = [load(text) for text in ARMOUR.findall(
                content("PEM", IncludeChain=True, ChainOrder=order).decode("ascii"))]
            self.assertEqual((len(chain), chain[at]), (4, leaf))
        self.assertEqual(len(pkcs7.load_der_pkcs7_certificates(content("P7B", IncludeChain=True))), 4)
        self.kf.settings(include_root=False, pem_content="text")
        answer = self.kf.api("POST", "/Certificates/Download", {"Thumbprint": made["Thumbprint"], "IncludeChain": True})
        self.assertEqual(len(ARMOUR.findall(answer.json["Content"])), 3)
        by_serial = {"SerialNumber": made["SerialNumber"], "IssuerDN": made["IssuerDN"]}
        self.assertEqual(self.kf.api("POST", "/Certificates/Download", by_serial).status, 200)
        for body, status in (({}, 400), ({"CertID": 1}, 404), ({"Thumbprint": "0" * 40}, 404),
                             ({"CertID": made["KeyfactorID"], "ChainOrder": "any"}, 400)):
            self.refused(self.kf.api("POST", "/Certificates/Download", body), status)

    def test_late_lists_and_no_content(self):
        self.kf.settings(list_lag=0.4, content_bytes=False)
        made = self.kf.enroll("lag.localhost")
        self.assertEqual(self.kf.search('CN -eq "lag.localhost"').json, [])
        self.assertIsNone(self.kf.api("GET", f"/Certificates/{made['KeyfactorID']}").json["ContentBytes"])
        time.sleep(0.45)
        self.assertEqual(len(self.kf.search('CN -eq "lag.localhost"').json), 1)

    def test_what_may_be_asked_for(self):
        context = self.kf.api("GET", "/Enrollment/CSR/Context/My").json
        self.assertEqual([(one["Name"], [ca["Name"] for ca in one["CAs"]]) for one in context["Templates"]],
                         [("WebServer", ["ca01.example.test\\IssuingCA1", "ca02.example.test\\StandAloneCA"]),
                          ("ShortWeb", ["ca01.example.test\\IssuingCA1"])])
        self.assertEqual(context["StandaloneCAs"][0]["Name"], "ca02.example.test\\StandAloneCA")
        settings = self.kf.api("GET", "/Enrollment/Settings/8").json
        self.assertEqual(settings["TemplatePolicy"]["KeyInfo"]["ECC"], {"Curves": ["P-256"]})
        self.assertEqual(settings["TemplateRegexes"][0]["SubjectPart"], "SAN")
        self.refused(self.kf.api("GET", "/Enrollment/Settings/99"), 404)
        found = self.kf.api("GET", "/EnrollmentPatterns", QueryString='Name -eq "Web"').json
        self.assertEqual([one["Id"] for one in found], [3])
        self.assertEqual(self.kf.api("GET", "/EnrollmentPatterns/3").json, found[0])
        self.refused(self.kf.api("GET", "/EnrollmentPatterns/9"), 404)
        self.assertEqual(self.kf.api("POST", "/Enrollment/CSR/Parse", {"CSR": make_csr([NAME])}).json[1], NAME)


class Renewing(Fixture):
    def test_new_key_by_default(self):
        made = self.kf.enroll(NAME, Metadata={"AcmeOrder": "old"})
        for how, same in (("new", False), ("same", True)):
            self.kf.settings(renew_key=how)
            renewed = self.kf.renew(made["KeyfactorID"]).json
            self.assertEqual((renewed["RequestDisposition"], renewed["DispositionMessage"]),
                             ("ISSUED", "The private key was successfully retained."))
            self.assertIn(renewed["Password"], self.kf.secrets())
            self.assertNotIn(renewed["Password"], json.dumps(self.kf.journal()))
            self.assertNotIn("Certificates", renewed)
            old = load(made["Certificates"][0])
            new = load(self.kf.api("GET", f"/Certificates/{renewed['KeyfactorId']}").json["ContentBytes"])
            self.assertEqual(key_sha256(old.public_key()) == key_sha256(new.public_key()), same)
            self.assertNotEqual(old.serial_number, new.serial_number)
        self.assertEqual(len(self.kf.search('AcmeOrder -eq "old"').json), 3)
        self.kf.settings(renew_metadata=False, renew_spelling="KeyfactorID")
        renewed = self.kf.api("POST", "/Enrollment/Renew", {"Thumbprint": made["Thumbprint"], "Timestamp": timestamp()})
        self.assertIn("KeyfactorRequestID", renewed.json)
        self.assertEqual(len(self.kf.search('AcmeOrder -eq "old"').json), 3)

    def test_what_is_available(self):
        source = {"CertificateAuthority": self.kf.ready["authority"], "Template": "WebServer"}
        for label, kind in (("norenew", 0), ("seeded", 1), ("www", 2)):
            made = self.kf.enroll(f"{label}.localhost")
            for path in (f"ID/{made['KeyfactorID']}", f"Thumbprint/{made['Thumbprint']}"):
                answer = self.kf.api("GET", "/Enrollment/AvailableRenewal/" + path).json
                self.assertEqual(answer["AvailableRenewalType"], kind)
            self.assertEqual(self.kf.renew(made["KeyfactorID"]).status, 200 if kind == 2 else 400)
            self.assertEqual(self.kf.renew(made["KeyfactorID"], **source).status, 200 if kind else 400)
        self.kf.revoke(made["KeyfactorID"])
        self.refused(self.kf.renew(made["KeyfactorID"]), 400)
        self.refused(self.kf.renew(1), 404)
        self.refused(self.kf.renew(made["KeyfactorID"], Thumbprint=made["Thumbprint"]), 400, "not both")
        self.refused(self.kf.renew(None), 400, "required")
        self.refused(self.kf.renew(made["KeyfactorID"], Timestamp=timestamp(-900)), 400, "timestamp")

    def test_pending_renewal(self):
        made = self.kf.enroll(NAME)
        self.kf.settings(approval="ca")
        renewed = self.kf.renew(made["KeyfactorID"]).json
        self.assertEqual((renewed["KeyfactorId"], renewed["RequestDisposition"]), (0, "PENDING"))
        self.kf.decide(renewed["KeyfactorRequestId"], "approve")
        self.assertEqual(len(self.rows_of_request(renewed["KeyfactorRequestId"])), 1)


class Revoking(Fixture):
    def state(self, number):
        row = self.kf.api("GET", f"/Certificates/{number}").json
        return row["CertStateString"], row["RevocationReason"]

    def test_revocation(self):
        number = self.kf.enroll("revoked.localhost")["KeyfactorID"]
        for reason in (8, 9, -2, 999):
            self.refused(self.kf.revoke(number, reason=reason), 400, "reason")
        for members in ({"Comment": ""}, {"Comment": None}, {"EffectiveDate": "today"}, {"CertificateIds": []},
                        {"CertificateIds": number}, {"Reason": None}, {"Reason": "1"}):
            self.refused(self.kf.revoke(number, **members), 400)
        self.assertEqual(self.state(number), ("Active", None))
        answer = self.kf.revoke(number, reason=4, EffectiveDate=timestamp(), CollectionId=0)
        self.assertEqual(answer.json, {"RevokedIds": [number], "SuspendedCerts": []})
        self.assertEqual(self.state(number), ("Revoked", 4))
        query = 'CN -eq "revoked.localhost"'
        self.assertEqual(self.kf.search(query).json, [])
        self.assertEqual(len(self.kf.search(query, includeRevoked="true").json), 1)
        self.assertIn("already", self.kf.revoke(number).json["FailedOperations"][0]["Reason"])
        self.kf.settings(revoke_again="ok", revoke_answer="empty")
        self.assertEqual(self.kf.revoke(number).status, 204)

    def test_partly(self):
        first, second = (self.kf.enroll(NAME)["KeyfactorID"] for _ in range(2))
        self.refused(self.kf.revoke(first, 1), 400)
        self.assertEqual(self.state(first), ("Revoked", 0))
        self.refused(self.kf.revoke(1), 404)
        self.kf.settings(refused_reasons=[2, 6])
        self.refused(self.kf.revoke(second, reason=6), 400)

    def test_hold(self):
        number = self.kf.enroll(NAME)["KeyfactorID"]
        self.refused(self.kf.revoke(number, reason=-1), 400)
        self.kf.revoke(number, reason=6)
        self.kf.revoke(number, reason=-1)
        self.assertEqual(self.state(number)[0], "Active")

    def test_suspended(self):
        number = self.kf.enroll("suspend.localhost")["KeyfactorID"]
        for verb, state in (("deny", "Active"), ("approve", "Revoked")):
            held = self.kf.revoke(number, reason=1).json
            self.assertEqual(held["RevokedIds"], [])
            self.assertEqual(held["SuspendedCerts"][0]["CertId"], number)
            guid = held["SuspendedCerts"][0]["WorkflowId"]
            self.assertEqual((self.state(number)[0], self.instance(guid)["Status"]), ("Active", "Suspended"))
            self.kf.control("POST", f"/revocations/{number}/{verb}")
            self.assertEqual(self.state(number)[0], state)
            self.assertEqual(self.instance(guid)["Status"], "Complete" if verb == "approve" else "Rejected")


class Faults(Fixture):
    def test_answers_lost_after_the_effect(self):
        for number, kind in enumerate(("drop-after", "truncate", "after-status-503", "empty")):
            name = f"lost{number}.localhost"
            self.kf.fault("enroll", kind, name=name)
            self.assertEqual(self.kf.enroll("else.localhost")["RequestDisposition"], "ISSUED")
            try:
                self.assertIn(self.kf.api("POST", "/Enrollment/CSR", self.kf.enroll_body(name)).status, (200, 503))
            except BROKEN:
                pass
            self.assertEqual(len(self.kf.certificates(name)), 1)
            entry = self.kf.journal(operation="enroll", name=name)[-1]
            self.assertEqual((entry["fault"], entry["effect"]["kind"]), (kind, "enrolled"))

    def test_no_effect(self):
        for number, (kind, status) in enumerate((("drop-before", None), ("status-503-html", 503), ("html-200", 200),
                                                 ("status-429", 429), ("error", 400))):
            name = f"unheard{number}.localhost"
            self.kf.fault("enroll", kind, name=name, description="RPC server unavailable", retry_after_s=3)
            try:
                answer = self.kf.api("POST", "/Enrollment/CSR", self.kf.enroll_body(name))
                self.assertEqual(answer.status, status)
                if kind in ("status-429", "error"):
                    self.assertEqual(answer.headers["Retry-After"], "3")
                if kind == "error":
                    self.refused(answer, 400, "RPC server")
            except BROKEN:
                self.assertIsNone(status)
            self.assertEqual(self.kf.certificates(name), [])
            self.assertIsNone(self.kf.journal(operation="enroll", name=name)[-1]["effect"])

    def test_slow(self):
        for kind in ("delay", "delay-after"):
            self.kf.fault("enroll", kind, delay_s=0.3)
            begin = time.monotonic()
            self.kf.enroll(NAME)
            self.assertGreaterEqual(time.monotonic() - begin, 0.3)

    def test_fault_for_one_name(self):
        """It meets calls about a record of that name only, by CSR, number, thumbprint or query."""
        mine, other = self.kf.enroll("mine.localhost", Metadata={"AcmeOrder": "m1"}), self.kf.enroll("other.localhost")
        waiting = self.kf.enroll("pending-mine.localhost")["KeyfactorRequestId"]
        guid = self.kf.enroll("workflow-mine.localhost")["WorkflowInstanceId"]
        number = mine["KeyfactorID"]
        request = self.kf.requests("mine.localhost")[0]["id"]
        calls = (
            ("certificate", "mine.localhost", lambda: self.kf.api("GET", f"/Certificates/{number}")),
            ("download", "mine.localhost", lambda: self.kf.api("POST", "/Certificates/Download", {"CertID": number})),
            ("download", "mine.localhost", lambda: self.kf.api("POST", "/Certificates/Download",
                                                               {"Thumbprint": mine["Thumbprint"]})),
            ("certificates", "mine.localhost", lambda: self.kf.search('AcmeOrder -eq "m1"')),
            ("certificates", "mine.localhost", lambda: self.kf.search(f"CertRequestId -eq {request}")),
            ("certificates", "mine.localhost", lambda: self.kf.search('CN -eq "mine.localhost"')),
            ("renew", "mine.localhost", lambda: self.kf.renew(number)),
            ("available-renewal", "mine.localhost",
             lambda: self.kf.api("GET", f"/Enrollment/AvailableRenewal/Thumbprint/{mine['Thumbprint']}")),
            ("metadata", "mine.localhost", lambda: self.kf.api("PUT", "/Certificates/Metadata",
                                                               {"Id": number, "Metadata": {}})),
            ("revoke", "mine.localhost", lambda: self.kf.revoke(number)),
            ("request", "pending-mine.localhost", lambda: self.kf.api("GET", f"/Workflow/Certificates/{waiting}")),
            ("instance", "workflow-mine.localhost", lambda: self.kf.api("GET", f"/Workflow/Instances/{guid}")),
            ("pending", "pending-mine.localhost", lambda: self.kf.api("GET", "/Workflow/Certificates/Pending", **{
                "pagedQuery.queryString": 'CommonName -eq "pending-mine.localhost"'})))
        for operation, name, call in calls:
            self.kf.fault(operation, "status-503", name=name)
            self.assertEqual(self.kf.api("GET", f"/Certificates/{other['KeyfactorID']}").status, 200)
            self.assertEqual(call().status, 503, operation)
            self.assertEqual(self.kf.control("GET", "/faults"), [])

    def test_strangers(self):
        made = self.kf.enroll(NAME)
        for operation, call in (("enroll", lambda: load(self.kf.enroll(NAME)["Certificates"][0])),
                                ("certificate", lambda: load(self.kf.api(
                                    "GET", f"/Certificates/{made['KeyfactorID']}").json["ContentBytes"])),
                                ("download", lambda: load(base64.b64decode(self.kf.api(
                                    "POST", "/Certificates/Download", {"CertID": made["KeyfactorID"]}
                                ).json["Content"]).decode("ascii")))):
            self.kf.fault(operation, "wrong-certificate")
            self.assertIn("stranger.invalid", call().subject.rfc4514_string())

    def test_mistakes_at_the_control_port_are_named(self):
        number = self.kf.enroll("pending-c.localhost")["KeyfactorRequestId"]
        for path, body in (("/settings", {"aproval": "ca"}), ("/settings", {"approval": "me"}),
                           ("/settings", {"available_renewal": 3}), ("/faults", {"operation": "enroll", "fault": "x"}),
                           (f"/requests/{number}/complete", {"outcome": "Denied"}), ("/requests/1/approve", {}),
                           (f"/requests/{number}/complete", {}), ("/revocations/1207/approve", {})):
            with self.assertRaises(urllib.error.HTTPError) as caught:
                self.kf.control("POST", path, body)
            self.assertTrue(json.load(caught.exception)["error"])


class Restart(unittest.TestCase):
    def test_everything_outlives_a_kill(self):
        kf = KeyfactorSimulator("--api-path", "Command/API", "--settings", '{"sync_delay": 600}')
        self.addCleanup(kf.clean)
        made = kf.enroll(NAME, Metadata={"AcmeOrder": "kept"})
        kf.revoke(made["KeyfactorID"], reason=1)
        waiting = kf.enroll("pending.localhost")["KeyfactorRequestId"]
        guid = kf.enroll("workflow.localhost")["WorkflowInstanceId"]
        held = kf.enroll("suspend.localhost")["KeyfactorID"]
        kf.revoke(held)
        kf.settings(certificate_shape="text")
        before, journal = kf.stats(), kf.journal()
        for end in (kf.kill, kf.stop):
            end()
            kf.start()
            after = kf.stats()
            for name in ("requests", "certificates", "revocations_waiting", "revoked"):
                self.assertEqual(after[name], before[name])
            self.assertEqual(kf.journal()[:len(journal)], journal)
            self.assertEqual(kf.control("GET", "/settings")["certificate_shape"], "text")
            self.assertEqual(kf.api("GET", f"/Workflow/Certificates/{waiting}").json["StateString"], "Pending")
            self.assertEqual(kf.api("GET", f"/Workflow/Instances/{guid}").json["Status"], "Suspended")
        kf.decide(waiting, "approve")
        kf.kill()
        kf.start()
        self.assertEqual(kf.search(f"CertRequestId -eq {waiting}").json, [])
        kf.control("POST", "/sync")
        self.assertEqual(len(kf.search(f"CertRequestId -eq {waiting}").json), 1)
        self.assertGreater(kf.enroll(NAME)["KeyfactorID"], held)

    def test_certificate_without_its_request_s_word(self):
        """A kill between the two files."""
        kf = KeyfactorSimulator()
        self.addCleanup(kf.clean)
        kf.enroll(NAME)
        kf.kill()
        path = f"{kf.directory}/requests/881.json"
        with open(path, encoding="utf-8") as stream:
            record = json.load(stream)
        record.update(state="Pending", certificate_id=0)
        with open(path, "w", encoding="utf-8") as stream:
            json.dump(record, stream)
        kf.start()
        self.assertEqual(kf.requests()[0]["certificate_id"], 1207)


if __name__ == "__main__":
    unittest.main()
