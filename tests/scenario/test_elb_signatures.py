#!/usr/bin/python3
"""SDK-HMAC-SHA256 as the ELB simulator checks it: the vectors of Huawei's SDKs, and each part of a signature wrong."""

import hashlib
import json
import time
import unittest

from elb_fixture import JSON, ElbSimulator
from elbsim import signing

PROJECT = "0123456789abcdef0123456789abcdef"
CERTIFICATES = f"/v3/{PROJECT}/elb/certificates"
SERVICE = "service.endpoint.myhuaweicloud.com"
ELB = "elb.eu-west-101.myhuaweicloud.com"
# method, target, headers, signed headers, body, signature
VECTORS = (
    ("GET", "/path?limit=1", {"X-Sdk-Date": "20060102T150405Z"}, ["x-sdk-date"], b"",
     "5a2ce64c865e0e6046321c6f3d5a77ba8413eeaf355c3166c03d58d02ac79624"),
    ("POST", "/path?key=value", {"X-Sdk-Date": "20060102T150405Z"}, ["x-sdk-date"], b'{"Name":"test","Id":1}\n',
     "cecc2af119b18ab70b4d094c0750f3b42c02f254903179a0fc2cc72fc9db4f59"),
    ("GET", "/resources?size=1", {"Host": SERVICE, "X-Sdk-Date": "20200608T023900Z"}, ["host", "x-sdk-date"], b"",
     "cfb4171acec81de07d50e53d57eb77edd537414d66ddb1d7d780f128e12cd842"),
    ("POST", "/resources?size=1", {"Host": SERVICE, "X-Sdk-Date": "20200608T023900Z"}, ["host", "x-sdk-date"],
     b'{"name":"test","id":1}', "436b1ac0a1ae03705934bb70ef2f2e09f7bfed2117d731a38235053199323a1f"),
    ("PUT", CERTIFICATES + "/fedcba9876543210fedcba9876543210",
     {"Host": ELB, "Content-Type": JSON, "X-Sdk-Date": "20240102T030405Z"}, ["content-type", "host", "x-sdk-date"],
     b'{"certificate":{"name":"acme-bridge-1"}}',
     "ee3ad9e56d0cb9830c29aa3584e18057b31d8fe07b9bd787eeb55f3d3074237f"),
    ("GET", CERTIFICATES + "?limit=50&name=acme%20bridge%2F1",
     {"Host": ELB, "X-Project-Id": PROJECT, "X-Sdk-Date": "20240102T030405Z"},
     ["host", "x-project-id", "x-sdk-date"], b"", "100f3e03cd0c88edfcddc5fde44cfd28693e665a5b192a6929af0a27ab7184c9"),
)
# The canonical requests of the last two.
HASHES = {4: "17183dc50a707ae346a1aeade6c014670994aa5d418be58112fdd6673c40bcb5",
          5: "155e47cf4a6efac3a7493ed8f878f3014ba6ddfcb4f56f40cb2c41bb29c9946a"}


class Vectors(unittest.TestCase):
    def test_signatures(self):
        for number, (method, target, headers, signed, body, expected) in enumerate(VECTORS):
            with self.subTest(number + 1):
                made = signing.authorize("AccessKey", "SecretKey", method, target, headers, body, signed)
                self.assertEqual(made, f"SDK-HMAC-SHA256 Access=AccessKey, SignedHeaders={';'.join(signed)}, "
                                       f"Signature={expected}")
                request = signing.canonical_request(method, target, headers, signed,
                                                    hashlib.sha256(body).hexdigest())
                if number in HASHES:
                    self.assertEqual(hashlib.sha256(request.encode()).hexdigest(), HASHES[number])

    def test_query(self):
        pairs = [("limit", "1"), ("enable", "true"), ("test", "\u4e00 (&=?!#%.*)"), ("path", "/tmp/123"),
                 ("multi", "2"), ("multi", "3"), ("multi", "1")]
        made = ("enable=true&limit=1&multi=1&multi=2&multi=3&path=%2Ftmp%2F123"
                "&test=%E4%B8%80%20%28%26%3D%3F%21%23%25.%2A%29")
        self.assertEqual(signing.canonical_query(pairs), made)
        self.assertEqual(sorted(signing.query_pairs(made)), sorted(pairs))
        self.assertEqual(signing.canonical_query(signing.query_pairs("b&a=")), "a=&b=")

    def test_path(self):
        self.assertEqual(signing.canonical_path("/a%20b/c~d"), "/a%20b/c~d/")
        self.assertEqual(signing.canonical_path("/%c3%a4/"), "/%C3%A4/")


class Checks(unittest.TestCase):
    """Against the gateway. A right request between the wrong ones keeps the access key from being locked."""

    @classmethod
    def setUpClass(cls):
        cls.elb = ElbSimulator()
        cls.addClassCleanup(cls.elb.clean)

    def setUp(self):
        self.elb.control("POST", "/access-key/unlock")
        self.elb.settings(ak_failures=5, ak_lock_seconds=300, skew_seconds=900, logins=["token", "aksk"])

    def refused(self, answer, words=""):
        self.assertEqual((answer.status, answer.json["error_code"]), (401, "APIGW.0301"), answer.body)
        self.assertIn(words, answer.json["error_msg"])
        self.assertEqual(answer.headers["X-Request-Id"], answer.json["request_id"])

    def call(self, headers, method="GET", target=None, payload=b""):
        return self.elb.send("elb", method, target or self.elb.base, payload, headers)

    def test_right_ones(self):
        for target in ("", "?limit=5", "?name=a%20b%2F1&name=%E4%B8%80&limit=5", "?description="):
            self.assertEqual(self.elb.api("GET", target, login="aksk").status, 200, target)
        target = self.elb.base
        headers = self.elb.signed("GET", target)
        # Only what SignedHeaders lists is signed: host may be left out, others may be added.
        del headers["Authorization"]
        headers["Authorization"] = signing.authorize(self.elb.ready["access_key"], self.elb.secret_key, "GET", target,
                                                     headers, signed=["x-sdk-date"])
        headers["X-Project-Id"] = self.elb.ready["project_id"]
        self.assertEqual(self.call(headers).status, 200)
        made = self.elb.make(names=["put.test"])
        put = self.elb.api("PUT", "/" + made["id"], {"certificate": {"description": "\u4e00"}}, login="aksk")
        self.assertEqual(put.json["certificate"]["description"], "\u4e00")
        iam = "/v3/projects?name=" + self.elb.ready["region"]
        found = self.elb.send("iam", "GET", iam, headers=self.elb.signed("GET", iam, service="iam"))
        self.assertEqual([project["id"] for project in found.json["projects"]], [self.elb.ready["project_id"]])

    def test_wrong_ones(self):
        target, payload = self.elb.base, b'{"certificate":{}}'

        def good(**options):
            return self.elb.signed("POST", target, payload, {"Content-Type": JSON}, **options)

        base = good()
        wrong = {
            "unknown access key": good(access="SOMEBODYELSE"),
            "the signature is wrong": good(secret="another"),
            "signature expired": good(age=901),
            "a signed header is missing": {**base, "Authorization": base["Authorization"].replace(
                "host;", "date;host;")},
            "is not a sorted list": {**base, "Authorization": base["Authorization"].replace(
                "content-type;host", "host;content-type")},
            "a wrong form": {**base, "Authorization": base["Authorization"].replace(" Access=", ", Access=")},
            "not there or not signed": {**base, "Authorization": base["Authorization"].replace(";x-sdk-date", "")},
            "the body's hash is wrong": {**base, signing.CONTENT: hashlib.sha256(b"other").hexdigest()},
        }
        for words, headers in wrong.items():
            with self.subTest(words):
                self.refused(self.call(headers, "POST", payload=payload), words)
                self.assertEqual(self.elb.api("GET", "", login="aksk").status, 200)
        self.refused(self.call(good(age=-901), "POST", payload=payload), "signature expired")
        for changed in (payload + b" ", b""):
            self.refused(self.call(base, "POST", payload=changed), "the signature is wrong")
            self.elb.control("POST", "/access-key/unlock")
        self.refused(self.call(base, "POST", target + "?limit=1", payload), "the signature is wrong")
        self.refused(self.call({**base, "Content-Type": "application/json"}, "POST", payload=payload), "is wrong")
        self.assertEqual(self.elb.identity()["failures"], 2)

    def test_unsigned_payload(self):
        target = self.elb.base
        headers = self.elb.signed("POST", target, b"", {"Content-Type": JSON, signing.CONTENT: signing.UNSIGNED})
        self.refused(self.call(headers, "POST", payload=json.dumps({"certificate": {}}).encode()), "body's hash")

    def test_skew_window(self):
        self.assertEqual(self.elb.api("GET", "", login="aksk", age=890).status, 200)
        self.elb.settings(skew_seconds=60)
        self.refused(self.elb.api("GET", "", login="aksk", age=70), "signature expired")

    def test_lock(self):
        self.elb.settings(ak_lock_seconds=1)
        for _ in range(4):
            self.refused(self.elb.api("GET", "", login="aksk", secret="wrong"), "the signature is wrong")
        self.assertFalse(self.elb.identity()["locked"])
        self.assertEqual(self.elb.api("GET", "", login="aksk").status, 200)
        self.assertEqual(self.elb.identity()["failures"], 0, "only failures one after the other count")
        for _ in range(5):
            self.refused(self.elb.api("GET", "", login="aksk", secret="wrong"), "the signature is wrong")
        self.assertTrue(self.elb.identity()["locked"])
        self.refused(self.elb.api("GET", "", login="aksk"), "locked")
        self.assertEqual(self.elb.api("GET", "").status, 200, "tokens are not locked")
        self.elb.kill()
        self.elb.start()
        self.assertEqual(self.elb.identity()["most_failures"], 5)
        time.sleep(1.1)
        self.assertEqual(self.elb.api("GET", "", login="aksk").status, 200)

    def test_lock_outlives_restart(self):
        for _ in range(5):
            self.elb.api("GET", "", login="aksk", secret="wrong")
        self.elb.kill()
        self.elb.start()
        self.refused(self.elb.api("GET", "", login="aksk"), "locked")

    def test_temporary_key(self):
        target = self.elb.base
        self.elb.settings(security_token="of the hour")
        self.addCleanup(self.elb.settings, security_token="")
        self.refused(self.elb.api("GET", "", login="aksk"), "security token")
        headers = self.elb.signed("GET", target)
        self.refused(self.call({**headers, "X-Security-Token": "of the hour"}), "not signed")
        headers = self.elb.signed("GET", target, headers={"X-Security-Token": "of the hour"})
        self.assertEqual(self.call(headers).status, 200)

    def test_switched_off(self):
        self.elb.settings(logins=["token"])
        self.refused(self.elb.api("GET", "", login="aksk"))
        self.assertEqual(self.elb.identity()["failures"], 0)


if __name__ == "__main__":
    unittest.main()
