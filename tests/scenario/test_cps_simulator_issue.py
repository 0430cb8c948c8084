#!/usr/bin/python3
"""Tests of the CPS simulator itself: certificates that its own CAs issue after the validation of domains or people."""

import os
import sys
import time
import unittest

from cryptography import x509

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from cps_fixture import CpsSimulator  # noqa: E402 (found through the line above)
from cpssim import dns_query  # noqa: E402
from harness.dns_server import DnsServer  # noqa: E402
from harness.responder import Responder  # noqa: E402

NAMES = ["www.example.test", "a.example.test"]


class Fixture(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cps = CpsSimulator()
        cls.addClassCleanup(cls.cps.clean)
        cls.defaults = cls.cps.control("GET", "/settings")

    def setUp(self):
        self.cps.control("POST", "/settings", self.defaults)
        self.cps.control("DELETE", "/faults")

    def at_validation(self, *names, **members):
        enrollment = self.cps.make("dv", names[0], sans=list(names), **members)
        return enrollment, self.cps.renew(enrollment)

    def challenges(self, enrollment, change, version="dv-challenges.v2"):
        return self.cps.good(self.cps.info(enrollment, change, "challenges", version)).json["dv"]

    def wait_error(self, enrollment, change, text, limit=10):
        """Waits until the validation of the first domain has failed for a reason."""
        deadline = time.monotonic() + limit
        while text not in (self.challenges(enrollment, change)[0]["error"] or ""):
            self.assertLess(time.monotonic(), deadline, self.challenges(enrollment, change))
            time.sleep(0.05)

    def live(self, enrollment):
        live = self.cps.deployments(enrollment)["production"]["primaryCertificate"]
        return x509.load_pem_x509_certificate(live["certificate"].encode())


class DomainValidation(Fixture):
    def test_told_by_the_control_port(self):
        enrollment, change = self.at_validation(*NAMES)
        before = self.live(enrollment)
        self.assertEqual(self.cps.state(enrollment, change),
                         ("awaiting-input", "coodinate-domain-validation", ["lets-encrypt-challenges"]))
        self.assertIs(self.cps.status(enrollment, change).json["allowedInput"][0]["requiredToProceed"], False)
        self.cps.change(change, "dv", domain=NAMES[0])
        self.cps.change(change, "dv", domain=NAMES[1], valid=False, error="No such host.")
        first, second = self.challenges(enrollment, change)
        self.assertEqual((first["status"], first["validationStatus"], first["challenges"][0]["status"]),
                         ("Valid", "VALIDATED", "valid"))
        self.assertEqual((second["status"], second["validationStatus"], second["error"]),
                         ("Awaiting user", "RESPONSE_ERROR", "No such host."))
        self.cps.change(change, "dv")
        self.assertEqual(self.cps.state(enrollment, change)[0], "completed")
        leaf = self.live(enrollment)
        self.assertNotEqual(leaf, before)
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        self.assertEqual(names.get_values_for_type(x509.DNSName), NAMES)

    def test_shape_of_challenges(self):
        enrollment, change = self.at_validation(NAMES[0], "*.example.test")
        plain, wildcard = self.challenges(enrollment, change)
        http01, dns01 = plain["challenges"]
        self.assertEqual(http01["fullPath"], f"http://{NAMES[0]}/.well-known/acme-challenge/{http01['token']}")
        self.assertTrue(http01["responseBody"].startswith(http01["token"] + "."))
        self.assertEqual((dns01["type"], dns01["fullPath"]), ("dns-01", f"_acme-challenge.{NAMES[0]}."))
        self.assertEqual([(item["type"], item["fullPath"]) for item in wildcard["challenges"]],
                         [("dns-01", "_acme-challenge.example.test.")])
        old = self.challenges(enrollment, change, "dv-challenges.v1")[0]
        self.assertEqual((old["token"], old["responseBody"]), (http01["token"], http01["responseBody"]))

    def test_states_and_spellings(self):
        enrollment, change = self.at_validation(NAMES[0])
        self.cps.settings(dv_state="suspended", dv_spelling="coordinate")
        self.assertEqual(self.cps.state(enrollment, change)[:2], ("suspended", "coordinate-domain-validation"))

    def test_web_server_is_asked(self):
        web = Responder()
        self.addCleanup(web.stop)
        self.cps.settings(dv_check="http", dv_http=f"127.0.0.1:{web.port}")
        enrollment, change = self.at_validation(*NAMES)
        self.wait_error(enrollment, change, "404")
        shown = self.challenges(enrollment, change)
        served, redirected = [item["challenges"][0] for item in shown]
        web.answer(served["token"], served["responseBody"])
        web.serve("/.well-known/acme-challenge/" + redirected["token"], status=302,
                  location=redirected["redirectFullPath"])
        self.cps.wait_state(enrollment, change, "completed")

    def test_name_server_is_asked(self):
        with DnsServer() as server:
            self.cps.settings(dv_check="dns", dv_dns=server.address)
            enrollment, change = self.at_validation(NAMES[0], "*.example.test")
            for item in self.challenges(enrollment, change):
                challenge = item["challenges"][-1]
                server.add(challenge["fullPath"].rstrip("."), "TXT", "somebody else's")
                server.add(challenge["fullPath"].rstrip("."), "TXT", challenge["responseBody"])
            self.cps.wait_state(enrollment, change, "completed")

    def test_wrong_answers_in_the_dns(self):
        with DnsServer() as server:
            self.cps.settings(dv_check="any", dv_dns=server.address)
            enrollment, change = self.at_validation(NAMES[0])
            server.add("_acme-challenge." + NAMES[0], "TXT", "x" * 300)
            self.wait_error(enrollment, change, "Incorrect TXT record")
            self.assertEqual(dns_query.texts_of("_acme-challenge." + NAMES[0], ("127.0.0.1", server.port)),
                             ["x" * 300])
            server.fail("_acme-challenge." + NAMES[0], "servfail")
            self.wait_error(enrollment, change, "name server answered 2")

    def test_acknowledgement_hurries(self):
        web = Responder()
        self.addCleanup(web.stop)
        self.cps.settings(dv_check="http", dv_http=f"127.0.0.1:{web.port}", dv_interval=600)
        enrollment, change = self.at_validation(NAMES[0])
        self.wait_error(enrollment, change, "404")
        challenge = self.challenges(enrollment, change)[0]["challenges"][0]
        web.answer(challenge["token"], challenge["responseBody"])
        time.sleep(0.3)
        self.assertEqual(self.cps.state(enrollment, change)[0], "awaiting-input")
        self.cps.good(self.cps.acknowledge(enrollment, change, "challenges"))
        self.cps.wait_state(enrollment, change, "completed")

    def test_challenges_expire(self):
        self.cps.settings(dv_lifetime=1.5)
        enrollment, change = self.at_validation(NAMES[0])
        before = self.challenges(enrollment, change)[0]["challenges"][0]["token"]
        time.sleep(1.6)
        self.assertNotEqual(self.challenges(enrollment, change)[0]["challenges"][0]["token"], before)

    def test_denied(self):
        enrollment, change = self.at_validation(NAMES[0])
        self.cps.good(self.cps.acknowledge(enrollment, change, "challenges", "deny"))
        self.assertEqual(self.cps.state(enrollment, change)[0], "cancelled")

    def test_warnings_and_change_management_after_issuance(self):
        self.cps.settings(post_warnings=["look at this"])
        enrollment, change = self.at_validation(NAMES[0], change_management=True)
        self.cps.change(change, "dv")
        self.assertEqual(self.cps.state(enrollment, change)[1:], (
            "wait-review-cert-warning", ["post-verification-warnings-acknowledgement"]))
        self.cps.good(self.cps.acknowledge(enrollment, change, "post"))
        info = self.cps.good(self.cps.info(enrollment, change, "management")).json
        self.assertEqual(info["pendingState"]["pendingCertificates"][0]["certificateType"], "san")
        self.cps.good(self.cps.acknowledge(enrollment, change, "management", hash=info["validationResultHash"]))
        self.assertEqual(self.cps.state(enrollment, change)[0], "completed")

    def test_challenges_survive_a_restart(self):
        enrollment, change = self.at_validation(*NAMES)
        before = self.challenges(enrollment, change)
        self.cps.kill()
        self.cps.start()
        self.assertEqual(self.challenges(enrollment, change), before)


class OrganizationValidation(Fixture):
    def test_people_decide(self):
        for kind in ("ov", "ev"):
            enrollment = self.cps.make(kind)
            self.cps.settings(enrollment, ov_delay=600)
            before = self.live(enrollment)
            change = self.cps.renew(enrollment)
            self.assertEqual(self.cps.state(enrollment, change), ("running", "wait-organization-validation", []))
            self.cps.change(change, "vetted")
            self.assertEqual(self.cps.state(enrollment, change)[0], "completed")
            after = self.live(enrollment)
            self.assertNotEqual(after.public_key().public_numbers(), before.public_key().public_numbers())

    def test_it_takes_its_time(self):
        enrollment = self.cps.make("ov", settings={"ov_delay": 1.5})
        change = self.cps.renew(enrollment)
        self.assertEqual(self.cps.state(enrollment, change)[0], "running")
        self.cps.wait_state(enrollment, change, "completed")

    def test_contacts(self):
        enrollment = self.cps.make("ov")
        shown = self.cps.read(enrollment)
        answer = self.cps.put(enrollment, {**shown, "org": None})
        self.assertEqual((answer.status, "org" in answer.json["detail"]), (400, True))
        answer = self.cps.put(enrollment, {**shown, "org": None, "adminContact": None, "techContact": None,
                                           "orgId": 12})
        self.assertEqual(answer.status, 200)

    def test_issued_by_the_simulators_root(self):
        enrollment = self.cps.make("ov", settings={"term_days": 30})
        self.cps.renew(enrollment)
        self.cps.look(enrollment)
        leaf = self.live(enrollment)
        self.assertEqual((leaf.not_valid_after - leaf.not_valid_before).days, 29)
        with open(self.cps.ready["root_file"], "rb") as stream:
            root = x509.load_pem_x509_certificate(stream.read())
        chain = self.cps.deployments(enrollment)["production"]["primaryCertificate"]["trustChain"]
        last = x509.load_pem_x509_certificate(chain[chain.rindex("-----BEGIN"):].encode())
        self.assertEqual(last.issuer, root.subject)


if __name__ == "__main__":
    unittest.main()
