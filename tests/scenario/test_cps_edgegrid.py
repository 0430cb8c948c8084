#!/usr/bin/python3
"""Tests of the CPS simulator's gateway: signatures, clock, grants, accounts, media types, pace and network faults."""

import http.client
import threading
import time
import unittest

from cps_fixture import CpsSimulator
from cpssim import edgegrid

CREDENTIALS = {"client_token": "akab-client-token-xxx-xxxxxxxxxxxxxxxx",
               "access_token": "akab-access-token-xxx-xxxxxxxxxxxxxxxx", "client_secret": "x" * 43 + "="}
TIMESTAMP = "20140321T19:34:21+0000"
NONCE = "nonce-xx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
HOST = "akaa-baseurl-xxxxxxxxxxx-xxxxxxxxxxxxx.luna.akamaiapis.net"
ACKNOWLEDGEMENT = b'{"acknowledgement":"acknowledge","hash":"da39a3ee5e6b4b0d3255bfef95601890afd80709"}'
# method, target, body, signature: those that Akamai published with its Python library
VECTORS = [
    ("GET", "/", b"", "tL+y4hxyHxgWVD30X3pWnGKHcPzmrIF+LThiAOhMxYU="),
    ("GET", "/testapi/v1/t1?p1=1&p2=2", b"", "hKDH1UlnQySSHjvIcZpDMbQHihTQ0XyVAKZaApabdeA="),
    ("POST", "/testapi/v1/t3", b"data" * 8, "hXm4iCxtpN22m4cbZb4lVLW5rhX8Ca82vCFqXzSTPe4="),
    ("POST", "/testapi/v1/t3", b"d" * 2048, "6Q6PiTipLae6n4GsSIDTCJ54bEbHUBp+4MUXrbQCBoY="),
    ("POST", "/testapi/v1/t3", b"d" * 2049, "6Q6PiTipLae6n4GsSIDTCJ54bEbHUBp+4MUXrbQCBoY="),
    ("POST", "/testapi/v1/t6", b"", "1gEDxeQGD5GovIkJJGcBaKnZ+VaPtrc4qBUHixjsPCQ="),
    ("PUT", "/testapi/v1/t6", b"P" * 31, "GNBWEYSEWOLtu+7dD52da2C39aX/Jchpon3K/AmBqBU="),
    ("PATCH", "/testapi/v1/t6", b"P" * 31, "JIl05ImY1AOnMtmw+9LKgaFA8mnzsEKabbnHmI8LsQ4="),
    ("GET", "/testapi/v1/configs/111;222;333?from=12345&limit=200000", b"",
     "pmQF7Is2+O4r/mMojPR4yeF58BrempNNoBX5/DT0Fxs="),
]


class Vectors(unittest.TestCase):
    def sign(self, method, target, body, headers=""):
        prefix = edgegrid.auth_prefix(CREDENTIALS["client_token"], CREDENTIALS["access_token"], TIMESTAMP, NONCE)
        return edgegrid.signature(CREDENTIALS["client_secret"], method, HOST, target, body, prefix, TIMESTAMP, 2048,
                                  headers)

    def test_published_signatures(self):
        for method, target, body, expected in VECTORS:
            self.assertEqual(self.sign(method, target, body), expected, (method, target))

    def test_signed_header(self):
        self.assertEqual(self.sign("GET", "/testapi/v1/t4", b"", "x-test1:test-simple-header"),
                         "8F9AybcRw+PLxnvT+H0JRkjROrrUgsxJTnRXMzqvcwY=")

    def test_another_implementation_agrees(self):
        prefix = edgegrid.auth_prefix("bar", "baz", "20250513T14:28:17+0000", "test-nonce")
        self.assertEqual(edgegrid.signature("foo", "GET", "host", "path", b"", prefix, "20250513T14:28:17+0000"),
                         "B2M8OBYTcTDfvZQ2hMKMIZXdO9unVaRHQqAyo/a3YGA=")

    def test_whole_header(self):
        value = edgegrid.authorization(CREDENTIALS, "GET", HOST, "/", moment=1395430461, nonce=NONCE)
        self.assertEqual(value, "EG1-HMAC-SHA256 client_token=akab-client-token-xxx-xxxxxxxxxxxxxxxx;"
                                "access_token=akab-access-token-xxx-xxxxxxxxxxxxxxxx;timestamp=20140321T19:34:21+0000;"
                                f"nonce={NONCE};signature=tL+y4hxyHxgWVD30X3pWnGKHcPzmrIF+LThiAOhMxYU=")
        self.assertIsNotNone(edgegrid.HEADER.fullmatch(value))


class Fixture(unittest.TestCase):
    """One simulator for a class of tests; every test starts with the settings of the first and no faults."""

    @classmethod
    def setUpClass(cls):
        cls.cps = CpsSimulator()
        cls.addClassCleanup(cls.cps.clean)
        cls.defaults = cls.cps.control("GET", "/settings")
        cls.enrollment = cls.cps.make()

    def setUp(self):
        self.cps.control("POST", "/settings", self.defaults)
        self.cps.control("DELETE", "/faults")

    def refused(self, answer, status, kind):
        self.assertEqual(answer.status, status, answer.body)
        self.assertEqual(answer.headers["Content-Type"], "application/problem+json")
        self.assertEqual(answer.json["type"].rpartition("/")[2], kind)
        return answer.json

    def list(self, **options):
        return self.cps.call("GET", "/enrollments", accept="enrollments.v11", **options)


class Signatures(Fixture):
    def test_good_signature(self):
        self.assertEqual(self.list().status, 200)

    def test_no_header_and_malformed_header(self):
        accept = {"Accept": "application/vnd.akamai.cps.enrollments.v11+json"}
        self.refused(self.cps.send("GET", "/cps/v2/enrollments", headers=accept), 401, "deny")
        for value in ("Bearer x", "EG1-HMAC-SHA256 client_token=a;", ""):
            answer = self.cps.send("GET", "/cps/v2/enrollments", headers={**accept, "Authorization": value})
            self.refused(answer, 400, "request-error")

    def test_wrong_secret_and_tokens(self):
        document = self.refused(self.list(section="wrong-secret"), 401, "deny")
        self.assertEqual(document["detail"], "The signature does not match")
        self.assertEqual((document["status"], document["method"]), (401, "GET"))
        for name, text in (("client_token", "client token"), ("access_token", "access token")):
            client = {**self.cps.client(), name: "akab-stranger"}
            header = edgegrid.authorization(client, "GET", self.cps.ready["host"], "/cps/v2/enrollments")
            answer = self.cps.send("GET", "/cps/v2/enrollments", headers={"Authorization": header})
            self.assertIn(text, self.refused(answer, 401, "deny")["detail"])

    def test_everything_that_is_sent_is_signed(self):
        path, host = f"/cps/v2/enrollments/{self.enrollment}", self.cps.ready["host"]
        accept = {"Accept": "application/vnd.akamai.cps.enrollment.v11+json"}

        def send(method, signed_host, signed, sent):
            header = edgegrid.authorization(self.cps.client(), method, signed_host, signed)
            return self.cps.send("GET", sent, headers={**accept, "Authorization": header})

        self.assertEqual(send("GET", host.upper(), path, path).status, 200)
        for arguments in (("PUT", host, path, path), ("GET", "localhost", path, path), ("GET", host, path + "?", path),
                          ("GET", host, path, path + "?a=b"), ("GET", host, path + "/", path)):
            self.refused(send(*arguments), 401, "deny")

    def test_only_bodies_of_post_are_hashed(self):
        change = self.cps.renew(self.cps.make())
        enrollment = self.cps.control("GET", f"/changes/{change}")["enrollment"]
        target = f"/cps/v2/enrollments/{enrollment}/changes/{change}/input/update/third-party-cert-and-trust-chain"
        headers = {"Accept": "application/vnd.akamai.cps.change-id.v1+json",
                   "Content-Type": "application/vnd.akamai.cps.certificate-and-trust-chain.v2+json"}

        def post(signed, sent):
            header = edgegrid.authorization(self.cps.client(), "POST", self.cps.ready["host"], target, signed)
            return self.cps.send("POST", target, sent, {**headers, "Authorization": header})

        self.refused(post(b"{}", b'{"a":1}'), 401, "deny")
        self.refused(post(b"", b'{"a":1}'), 401, "deny")
        self.refused(post(b"{}", b"{}"), 400, "invalid-certificate")
        # Of a long body only the beginning counts.
        long = b'{"a":"' + b"x" * 140000 + b'"}'
        self.refused(post(long[:edgegrid.MAX_BODY], long), 400, "invalid-certificate")
        # The body of a PUT does not count at all.
        client, path = self.cps.client(), f"/cps/v2/enrollments/{self.enrollment}"
        header = edgegrid.authorization(client, "PUT", self.cps.ready["host"], path, b"something else")
        answer = self.cps.send("PUT", path, b"[]", {
            "Accept": "application/vnd.akamai.cps.enrollment-status.v1+json", "Authorization": header,
            "Content-Type": "application/vnd.akamai.cps.enrollment.v11+json; charset=utf-8"})
        self.refused(answer, 400, "malformed-json")

    def test_nonce_is_used_once(self):
        self.assertEqual(self.list(nonce="0123456789abcdef").status, 200)
        self.assertIn("nonce", self.refused(self.list(nonce="0123456789abcdef"), 401, "deny")["detail"])

    def test_clock_skew(self):
        now = time.time()
        for seconds in (-25, 25):
            self.assertEqual(self.list(moment=now + seconds).status, 200)
        for seconds in (-35, 35):
            document = self.refused(self.list(moment=now + seconds), 400, "request-error")
            self.assertEqual(document["detail"], "Invalid timestamp")
        self.cps.settings(timestamp_status=401)
        self.refused(self.list(moment=now - 35), 401, "deny")

    def test_clock_offset_shows_in_the_date_header(self):
        self.cps.settings(clock_offset=3600)
        answer = self.list()
        self.refused(answer, 400, "request-error")
        shown = time.mktime(time.strptime(answer.headers["Date"], "%a, %d %b %Y %H:%M:%S GMT")) - time.timezone
        self.assertAlmostEqual(shown, time.time() + 3600, delta=5)
        self.assertEqual(self.list(moment=time.time() + 3600).status, 200)


class Access(Fixture):
    def test_grants(self):
        document = self.refused(self.list(section="no-grant"), 403, "deny")
        self.assertEqual(document["type"], "https://problems.luna.akamaiapis.net/-/pep-authz/deny")
        self.assertEqual(document["title"], "Forbidden")
        self.assertIn("grant", document["detail"])
        self.assertTrue({"authzRealm", "method", "requestId"} <= set(document))
        self.assertEqual(self.list(section="read-only").status, 200)
        shown = self.cps.read(self.enrollment)
        self.refused(self.cps.put(self.enrollment, shown, section="read-only"), 403, "deny")
        self.cps.settings(gateway_grants={"bridge": "none"})
        self.refused(self.list(), 403, "deny")

    def test_other_account(self):
        other = self.cps.make(account=self.cps.ready["accounts"]["other"], cn="other.example.test")
        self.assertEqual([item["id"] for item in self.cps.list("other-account")["enrollments"]], [other])
        self.assertNotIn(other, [item["id"] for item in self.cps.list()["enrollments"]])
        answer = self.cps.call("GET", f"/enrollments/{other}", accept="enrollment.v11")
        unknown = self.cps.call("GET", "/enrollments/99999", accept="enrollment.v11")
        self.assertEqual(self.refused(answer, 404, "not-found").keys(), unknown.json.keys())
        self.assertEqual(self.cps.read(other, "other-account")["csr"]["cn"], "other.example.test")
        self.refused(self.list(query={"accountSwitchKey": "X-1"}), 403, "deny")
        self.refused(self.list(section="read-only", query={"accountSwitchKey": self.cps.ready["switch_key"]}), 403,
                     "deny")

    def test_media_types(self):
        path = f"/enrollments/{self.enrollment}"
        for accept in (None, "enrollment.v10", "enrollments.v11"):
            self.refused(self.cps.call("GET", path, accept=accept), 406, "unacceptable-media-type")
        shown = self.cps.read(self.enrollment)
        for sent in (None, "enrollment.v9", "enrollment-status.v1"):
            answer = self.cps.call("PUT", path, shown, "enrollment-status.v1", sent)
            self.refused(answer, 415, "unsupported-media-type")
        answer = self.cps.call("GET", path, accept="enrollment.v11")
        self.assertEqual(answer.headers["Content-Type"], "application/vnd.akamai.cps.enrollment.v11+json")

    def test_unknown_paths_methods_and_parameters(self):
        self.refused(self.cps.call("GET", "/nothing", accept="enrollments.v11"), 404, "not-found")
        self.refused(self.cps.call("DELETE", "/enrollments", accept="enrollments.v11"), 405, "method-not-allowed")
        self.refused(self.list(query={"contractID": "C"}), 400, "invalid-query-parameter")
        self.assertEqual(self.list(query={"contractId": "C-1"}).status, 200)
        shown = self.cps.read(self.enrollment)
        self.refused(self.cps.put(self.enrollment, shown, force_renewal="yes"), 400, "invalid-query-parameter")

    def test_problem_documents_without_status(self):
        self.cps.settings(problem_status=False)
        answer = self.cps.call("GET", "/enrollments/1", accept="enrollment.v11")
        self.assertNotIn("status", self.refused(answer, 404, "not-found"))


class Throttle(Fixture):
    def test_calls_in_a_minute(self):
        self.cps.settings(rate_limit=3, rate_window=1.5)
        time.sleep(1.6)
        self.assertEqual([self.list().status for _ in range(3)], [200] * 3)
        answer = self.list()
        self.refused(answer, 429, "rate-limit")
        self.assertIn(answer.headers["Retry-After"], ("1", "2"))
        # Another account has its own allowance, and refused logins use none.
        self.assertEqual(self.list(section="other-account").status, 200)
        time.sleep(1.6)
        self.assertEqual([self.list(section="wrong-secret").status for _ in range(4)], [401] * 4)
        self.assertEqual([self.list().status for _ in range(3)], [200] * 3)

    def test_burst(self):
        self.cps.settings(burst_limit=2, burst_window=5)
        time.sleep(5.1)
        self.assertEqual([self.list().status for _ in range(3)], [200, 200, 429])

    def test_documented_limits_are_the_default(self):
        cps = CpsSimulator(fast=False)
        self.addCleanup(cps.clean)
        settings = cps.control("GET", "/settings")
        self.assertEqual([settings[name] for name in ("rate_limit", "rate_window", "burst_limit", "burst_window")],
                         [35, 60, 20, 2])


class NetworkFaults(Fixture):
    def started(self, enrollment):
        return self.cps.look(enrollment)["started"]["client"]

    def test_before_the_effect(self):
        for fault in ("drop-before", "status-503", "status-500-html"):
            enrollment = self.cps.make()
            shown = self.cps.read(enrollment)
            self.cps.fault("update", fault, retry_after_s=7)
            if fault == "drop-before":
                with self.assertRaises((http.client.HTTPException, OSError)):
                    self.cps.put(enrollment, shown, force_renewal=True)
            else:
                answer = self.cps.put(enrollment, shown, force_renewal=True)
                self.assertEqual((answer.status, answer.headers["Retry-After"]), (int(fault[7:10]), "7"))
            self.assertEqual(self.started(enrollment), 0)
            entry = self.cps.journal(operation="update", enrollment=enrollment)[-1]
            self.assertEqual((entry["fault"], entry["processed"], entry["effect"]), (fault, False, []))

    def test_after_the_effect(self):
        for fault in ("drop-after", "after-status-502", "truncate"):
            enrollment = self.cps.make()
            shown = self.cps.read(enrollment)
            self.cps.fault("update", fault, name=str(enrollment))
            if fault == "after-status-502":
                self.assertEqual(self.cps.put(enrollment, shown, force_renewal=True).status, 502)
            else:
                with self.assertRaises((http.client.HTTPException, OSError)):
                    self.cps.put(enrollment, shown, force_renewal=True)
            self.assertEqual(self.started(enrollment), 1)
            entry = self.cps.journal(operation="update", enrollment=enrollment)[-1]
            self.assertEqual((entry["processed"], entry["processed_status"]), (True, 202))

    def test_errors_with_documents_and_delays(self):
        self.cps.fault("read", "error", status=409, error_code="invalid-enrollment-state", description="Try again.")
        answer = self.cps.call("GET", f"/enrollments/{self.enrollment}", accept="enrollment.v11")
        self.assertEqual(self.refused(answer, 409, "invalid-enrollment-state")["detail"], "Try again.")
        self.cps.fault("*", "delay", delay_s=0.4)
        begin = time.monotonic()
        self.assertEqual(self.list().status, 200)
        self.assertGreaterEqual(time.monotonic() - begin, 0.4)

    def test_late_answer_is_in_the_journal_at_once(self):
        enrollment = self.cps.make()
        shown = self.cps.read(enrollment)
        self.cps.fault("update", "delay-after", delay_s=1.5)
        caller = threading.Thread(target=self.cps.put, args=(enrollment, shown), kwargs={"force_renewal": True})
        caller.start()
        time.sleep(0.7)
        entries = self.cps.journal(operation="update", enrollment=enrollment)
        self.assertTrue(caller.is_alive())
        caller.join()
        self.assertEqual([(entry["status"], len(entry["effect"])) for entry in entries], [(202, 1)])

    def test_fault_for_one_enrollment(self):
        other = self.cps.make()
        self.cps.fault("read", "status-500", name=str(other), times=-1)
        self.cps.read(self.enrollment)
        self.assertEqual(self.cps.call("GET", f"/enrollments/{other}", accept="enrollment.v11").status, 500)


if __name__ == "__main__":
    unittest.main()
