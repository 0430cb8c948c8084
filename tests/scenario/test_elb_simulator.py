#!/usr/bin/python3
"""The ELB simulator alone: tokens, the certificate objects and every rule for them, its faults, and its restarts."""

import datetime
import http.client
import json
import time
import unittest

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from elb_fixture import ElbSimulator
from elbsim import pem
from elbsim.control import key_text

DEFAULTS = {"error_shape": "v3", "iam_shape": "keystone", "content_code": "ELB.1011", "lone_mismatch": "refuse",
            "client_key": "error", "domain_rules": "current", "pem_form": "single-line", "time_members": "v3",
            "fingerprint": "sha1", "private_key_echo": True,
            "permissions": ["get", "list", "create", "update", "delete"], "quota": 1000, "rate_limit": 0,
            "list_lag": 0, "token_lifetime": 86400}


def self_signed(name, key, issuer=None):
    """A certificate whose issuer may be named; nobody checks its signature."""
    now = datetime.datetime.utcnow()

    def named(text):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    return (x509.CertificateBuilder().subject_name(named(name)).issuer_name(named(issuer or name))
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now).not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), False).sign(key, hashes.SHA256()))


def text_of(*certificates):
    return "".join(item.public_bytes(serialization.Encoding.PEM).decode("ascii") for item in certificates)


class ElbCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.elb = ElbSimulator()
        cls.addClassCleanup(cls.elb.clean)
        cls.key = ec.generate_private_key(ec.SECP256R1())
        cls.key_pem = key_text(cls.key)
        cls.certificate = text_of(self_signed("first.test", cls.key))

    def setUp(self):
        self.elb.settings(**DEFAULTS)
        self.elb.control("DELETE", "/faults")

    def refused(self, answer, status, code, words=""):
        self.assertEqual((answer.status, answer.json["error_code"]), (status, code), answer.body)
        self.assertIn(words, answer.json["error_msg"])
        self.assertEqual(answer.headers["X-Request-Id"], answer.json["request_id"])


class Logins(ElbCase):
    def test_token(self):
        answer = self.elb.ask_token()
        self.assertEqual(answer.status, 201)
        self.assertEqual(len(answer.headers["X-Subject-Token"]), 4000)
        token = answer.json["token"]
        times = [datetime.datetime.strptime(token[name], "%Y-%m-%dT%H:%M:%S.%fZ")
                 for name in ("issued_at", "expires_at")]
        self.assertEqual((times[1] - times[0]).total_seconds(), 86400)
        self.assertEqual(token["project"]["id"], self.elb.ready["project_id"])
        self.assertNotIn("catalog", token)
        self.assertIn("catalog", self.elb.ask_token(query="").json["token"])
        by_id = self.elb.token_body(scope={"project": {"id": self.elb.ready["project_id"]}})
        self.assertEqual(self.elb.ask_token(by_id).status, 201)

    def test_wrong_passwords(self):
        before = self.elb.identity()["refused_passwords"]
        for change in ({"password": "wrong"}, {"user": "nobody"}, {"domain": "elsewhere"}):
            answer = self.elb.ask_token(self.elb.token_body(**change))
            self.assertEqual((answer.status, answer.json["error"]["code"], answer.json["error"]["title"]),
                             (401, 401, "Unauthorized"))
        self.assertEqual(self.elb.identity()["refused_passwords"], before + 3)
        self.elb.settings(iam_shape="huawei")
        answer = self.elb.ask_token(self.elb.token_body(password="wrong"))
        self.assertEqual(answer.json["error_code"], "IAM.0007")

    def test_wrong_bodies(self):
        bodies = [{}, {"auth": []}, {"auth": {"identity": {"methods": ["token"]}}},
                  self.elb.token_body(password=7), self.elb.token_body(scope={"project": {}}),
                  self.elb.token_body(scope={"project": {"id": 5}})]
        for body in bodies:
            self.assertEqual(self.elb.ask_token(body).status, 400, body)
        self.assertEqual(self.elb.ask_token(self.elb.token_body(scope={"project": {"name": "moon"}})).status, 401)
        self.assertEqual(self.elb.send("iam", "POST", "/v3/auth/tokens", b"{}", {"Content-Type": "text/plain"}).status,
                         415)

    def test_ends_of_a_token(self):
        token = self.elb.new_token()
        headers = {"X-Auth-Token": token}
        self.assertEqual(self.elb.send("elb", "GET", self.elb.base, headers=headers).status, 200)
        self.elb.control("POST", "/tokens/expire")
        answer = self.elb.send("elb", "GET", self.elb.base, headers=headers)
        self.refused(answer, 401, "APIGW.0301", "The token must be updated")
        self.elb.control("POST", "/tokens/forget")
        answer = self.elb.send("elb", "GET", self.elb.base, headers=headers)
        self.refused(answer, 401, "APIGW.0301", "decrypt token fail")
        self.elb.settings(token_lifetime=0.2)
        headers = {"X-Auth-Token": self.elb.new_token()}
        time.sleep(0.25)
        self.refused(self.elb.send("elb", "GET", self.elb.base, headers=headers), 401, "APIGW.0301", "updated")
        self.elb.token = None

    def test_logins_needed(self):
        for headers in ({}, {"X-Auth-Token": "x", "Authorization": "y"}, {"X-Auth-Token": "MIIunknown"}):
            self.refused(self.elb.send("elb", "GET", self.elb.base, headers=headers), 401, "APIGW.0301")
        self.assertEqual(self.elb.send("iam", "GET", "/v3/projects").status, 401)
        found = self.elb.send("iam", "GET", "/v3/projects?name=moon", headers={"X-Auth-Token": self.elb.new_token()})
        self.assertEqual(found.json["projects"], [])

    def test_projects_and_permissions(self):
        other = "/v3/" + "f" * 32 + "/elb/certificates"
        for login in ("token", "aksk"):
            self.refused(self.elb.api("GET", other, login=login), 403, "APIGW.0302")
        self.refused(self.elb.api("GET", "/v3//elb/certificates"), 400, "ELB.0230")
        unscoped = self.elb.new_token(scope=None)
        self.refused(self.elb.send("elb", "GET", self.elb.base, headers={"X-Auth-Token": unscoped}), 403, "APIGW.0302")
        self.elb.settings(permissions=["get", "list"])
        self.assertEqual(self.elb.api("GET", "").status, 200)
        made = self.elb.make()
        self.refused(self.elb.update(made["id"], name="x"), 403, "ELB.1101", "elb:certificates:update")
        self.elb.settings(error_shape="old")
        self.assertEqual(self.elb.update(made["id"], name="x").json["error"]["code"], "ELB.1101")
        self.elb.settings(error_shape="plain")
        self.assertEqual(self.elb.update(made["id"], name="x").json["code"], "ELB.1101")
        self.elb.settings(error_shape="v3")
        self.refused(self.elb.api("GET", "/v3/elsewhere"), 404, "APIGW.0101")
        self.refused(self.elb.api("POST", "/" + made["id"], {}), 404, "APIGW.0101")


    def test_several_projects(self):
        second = "a" * 32
        self.elb.settings(projects=[second])
        self.addCleanup(self.elb.settings, projects=[])
        made = self.elb.make(project=second, name="far")
        base = f"/v3/{second}/elb/certificates"
        self.refused(self.elb.api("GET", base), 403, "APIGW.0302")
        self.refused(self.elb.api("GET", "/" + made["id"]), 404, "ELB.8904")
        self.assertEqual(self.elb.api("GET", f"{base}/{made['id']}", login="aksk").json["certificate"]["name"], "far")
        for project in ({"id": second}, {"name": "eu-west-101_1"}):
            headers = {"X-Auth-Token": self.elb.new_token(scope={"project": project})}
            listed = self.elb.send("elb", "GET", base, headers=headers).json["certificates"]
            self.assertEqual([(item["id"], item["project_id"]) for item in listed], [(made["id"], second)])
            self.refused(self.elb.send("elb", "GET", self.elb.base, headers=headers), 403, "APIGW.0302")


class Objects(ElbCase):
    def create(self, **members):
        return self.elb.create(**{"certificate": self.certificate, "private_key": self.key_pem, **members})

    def test_create_show_update_delete(self):
        answer = self.create(name="web", description="tag", domain="first.test")
        self.assertEqual(answer.status, 201)
        made = answer.json["certificate"]
        self.assertRegex(made["id"], "^[0-9a-f]{32}$")
        self.assertEqual(made, self.elb.show(made["id"]))
        self.assertEqual((made["common_name"], made["subject_alternative_names"], made["type"], made["domain"]),
                         ("first.test", ["first.test"], "server", "first.test"))
        self.assertNotIn("\n", made["certificate"] + made["private_key"])
        self.assertEqual(pem.blocks(made["certificate"]), pem.blocks(self.certificate))
        renewed = text_of(self_signed("second.test", self.key))
        answer = self.elb.update(made["id"], certificate=renewed, domain="")
        self.assertEqual((answer.status, answer.json["certificate"]["domain"]), (200, None))
        self.assertEqual(answer.json["certificate"]["common_name"], "second.test")
        self.assertEqual(answer.json["certificate"]["name"], "web", "what is not sent stays")
        both = ec.generate_private_key(ec.SECP384R1())
        answer = self.elb.update(made["id"], certificate=text_of(self_signed("third.test", both)),
                                 private_key=key_text(both))
        self.assertEqual(answer.status, 200)
        self.assertEqual(len(self.elb.look(made["id"])["history"]), 3)
        answer = self.elb.api("DELETE", "/" + made["id"])
        self.assertEqual((answer.status, answer.body), (204, b""))
        for method, body in (("GET", None), ("DELETE", None), ("PUT", {"certificate": {}})):
            self.refused(self.elb.api(method, "/" + made["id"], body), 404, "ELB.8904")
            self.refused(self.elb.api(method, "/" + made["id"][:31], body), 400, "ELB.5020")

    def test_members(self):
        made = self.elb.make()
        wrong = {"name": ["n" * 256, 5, None], "description": ["d" * 256], "type": ["server"], "owner": ["me"],
                 "source": ["elsewhere"], "protection_status": ["on"], "certificate": [" " * 65537, None],
                 "private_key": ["x" * 8193], "enc_certificate": ["x"],
                 "domain": ["a..test", "-a.test", "a-.test", "*", "a.*.test", "a_b.test", "a.test, b.test", "a.test,",
                            "x" * 64 + ".test", "*a.test", ",".join(f"n{number}.test" for number in range(101)),
                            ",".join(["x" * 60 + ".test"] * 154)]}
        for name, values in wrong.items():
            for value in values:
                with self.subTest(name, value=str(value)[:20]):
                    self.refused(self.elb.update(made["id"], **{name: value}), 400, "ELB.8902", name)
        right = {"name": "n" * 255, "description": "\u00e4" * 255, "source": "scm", "domain": ",".join(
            ["*.a-b.test", "x" * 63 + ".test"] + [f"n{number}.test" for number in range(98)])}
        self.assertEqual(self.elb.update(made["id"], **right).status, 200)
        for body, code in ((b"", "ELB.0002"), (b"[]", "ELB.8902"), (b"{", "ELB.8902"), ({"name": "x"}, "ELB.8902"),
                           ({"certificate": [], "x": 1}, "ELB.8902")):
            self.refused(self.elb.api("PUT", "/" + made["id"], body), 400, code)
        headers = {"X-Auth-Token": self.elb.new_token(), "Content-Type": "text/plain"}
        self.assertEqual(self.elb.send("elb", "PUT", self.elb.base + "/" + made["id"], b"{}", headers).status, 415)

    def test_older_domain_limits(self):
        self.elb.settings(domain_rules="2024")
        made = self.elb.make()
        thirty = [f"n{number}.test" for number in range(30)]
        self.assertEqual(self.elb.update(made["id"], domain=",".join(thirty)).status, 200)
        self.refused(self.elb.update(made["id"], domain=",".join(thirty + ["a.test"])), 400, "ELB.8902", "30")
        self.refused(self.elb.update(made["id"], domain=",".join(["x" * 60 + ".test"] * 17)), 400, "ELB.8902", "1024")

    def test_certificates(self):
        made = self.elb.make(certificate=self.certificate, private_key=self.key_pem)
        links = [self_signed(f"n{number}.test", self.key, f"n{number + 1}.test") for number in range(12)]
        encrypted = self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                           serialization.BestAvailableEncryption(b"x")).decode("ascii")
        self.assertEqual(self.elb.update(made["id"], certificate=text_of(*links[:11])).status, 200)
        self.assertEqual(self.elb.update(made["id"], certificate=pem.single_line(text_of(*links[:2]))).status, 200)
        for code in ("ELB.1011", "ELB.8902"):
            self.elb.settings(content_code=code)
            for name, value in (("certificate", text_of(*links)), ("certificate", text_of(links[1], links[0])),
                                ("certificate", "nonsense"), ("certificate", ""), ("certificate", self.key_pem),
                                ("certificate", self.certificate + "more"), ("private_key", encrypted),
                                ("private_key", self.certificate), ("private_key", self.key_pem * 2)):
                self.refused(self.elb.update(made["id"], **{name: value}), 400, code)

    def test_pairs(self):
        made = self.elb.make(certificate=self.certificate, private_key=self.key_pem, bound=True)
        other = ec.generate_private_key(ec.SECP256R1())
        stranger = text_of(self_signed("first.test", other))
        self.refused(self.elb.update(made["id"], certificate=stranger), 400, "ELB.1011", "do not match")
        self.elb.settings(content_code="ELB.8902")
        self.refused(self.elb.update(made["id"], private_key=key_text(other)), 400, "ELB.8902", "do not match")
        self.refused(self.elb.update(made["id"], certificate=stranger, private_key=self.key_pem), 400, "ELB.8902")
        self.assertEqual(self.elb.live(made["id"]), made["leaf_sha256"])
        self.elb.settings(lone_mismatch="accept")
        self.refused(self.elb.update(made["id"], certificate=stranger, private_key=self.key_pem), 400, "ELB.8902")
        self.assertEqual(self.elb.update(made["id"], certificate=stranger).status, 200)
        self.assertFalse(self.elb.look(made["id"])["pair_fits"])
        self.assertIsNone(self.elb.live(made["id"]), "accepted, and the listener is broken")
        self.assertFalse(self.elb.journal(operation="update")[-1]["effect"]["pair_fits"])
        self.assertEqual(self.elb.update(made["id"], private_key=key_text(other)).status, 200)
        self.assertEqual(self.elb.live(made["id"]), pem.leaf_sha256(stranger))

    def test_client_type(self):
        self.refused(self.create(type="client"), 400, "ELB.8902", "private_key")
        self.elb.settings(client_key="ignore")
        made = self.create(type="client", domain="a.test").json["certificate"]
        self.assertEqual((made["type"], made["private_key"], made["domain"]), ("client", "", None))
        self.assertEqual(self.elb.update(made["id"], certificate=self.certificate).status, 200)

    def test_create_refusals(self):
        for missing in ("certificate", "private_key"):
            answer = self.elb.create(**{name: value for name, value in (
                ("certificate", self.certificate), ("private_key", self.key_pem)) if name != missing})
            self.refused(answer, 400, "ELB.1001", missing)
        other = key_text(ec.generate_private_key(ec.SECP256R1()))
        self.elb.settings(lone_mismatch="accept")
        self.refused(self.create(private_key=other), 400, "ELB.1011", "do not match")
        self.refused(self.create(type="server_sm"), 400, "ELB.8902")
        self.elb.settings(quota=len(self.elb.objects()) + 1)
        self.assertEqual(self.create(project_id="ignored", admin_state_up=True).status, 201)
        self.refused(self.create(), 409, "ELB.8905", "Quota exceeded")

    def test_bound(self):
        made = self.elb.make(names=["bound.test"], domain="bound.test", bound=True)
        self.assertEqual(self.elb.live(made["id"]), made["leaf_sha256"])
        self.refused(self.elb.update(made["id"], domain=""), 409, "ELB.8907", "domain")
        self.refused(self.elb.api("DELETE", "/" + made["id"]), 409, "ELB.8907")
        self.assertEqual(self.elb.update(made["id"], domain="other.test").status, 200)
        self.elb.change(made["id"], bound=False)
        self.assertEqual(self.elb.update(made["id"], domain="").status, 200)
        self.elb.change(made["id"], bound=True)
        self.assertEqual(self.elb.update(made["id"], domain="").status, 200, "there was none")

    def test_echo_and_forms(self):
        made = self.elb.make(certificate=self.certificate, private_key=self.key_pem)
        switch = self.elb.base + "/settings/private-key-echo"
        self.assertTrue(self.elb.api("GET", switch).json["private_key_echo"])
        self.assertEqual(self.elb.show(made["id"])["private_key"], pem.single_line(self.key_pem))
        answer = self.elb.api("POST", switch, {"private_key_echo": False})
        self.assertEqual((answer.status, answer.json["private_key_echo"]), (201, False))
        for answer in (self.elb.api("GET", "/" + made["id"]), self.elb.update(made["id"], name="x"),
                       self.elb.api("GET", ""), self.create()):
            self.assertIn(b'"private_key":"******"', answer.body)
            self.assertNotIn(b"PRIVATE KEY-", answer.body)
        self.elb.settings(pem_form="as-sent", time_members="v2", fingerprint="other")
        shown = self.elb.show(made["id"])
        self.assertEqual(shown["certificate"], self.certificate)
        self.assertRegex(shown["create_time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertNotIn("created_at", shown)
        self.assertRegex(shown["fingerprint"], "^[0-9a-f]{40}$")

    def test_lists(self):
        for stored in self.elb.objects():
            self.elb.remove(stored["id"])
        made = [self.elb.make(names=[f"l{number % 2}.test"], name=f"list {number}", description="tag")["id"]
                for number in range(5)]

        def ids(query):
            return [item["id"] for item in self.elb.api("GET", query, login="aksk").json["certificates"]]

        self.assertEqual(ids(""), made)
        self.assertEqual(ids("?name=list%201&name=list%203"), [made[1], made[3]])
        self.assertEqual(ids("?common_name=l0.test&description=tag"), made[::2])
        self.assertEqual(ids("?name=list"), [], "filters match whole values")
        self.assertEqual(ids(f"?id={made[2]}&type=server&admin_state_up=true"), [made[2]])
        pages, marker = [], ""
        while True:
            page = self.elb.api("GET", "?limit=2" + marker).json
            pages.append([item["id"] for item in page["certificates"]])
            self.assertEqual(page["page_info"]["current_count"], len(pages[-1]))
            if "next_marker" not in page["page_info"]:
                break
            marker = "&marker=" + page["page_info"]["next_marker"]
        self.assertEqual(pages, [made[:2], made[2:4], made[4:]])
        self.assertEqual(ids(f"?limit=2&page_reverse=true&marker={page['page_info']['previous_marker']}"), made[2:4])
        for query in ("?limit=2001", "?limit=x", f"?marker={made[0]}", "?limit=2&marker=" + "0" * 32, "?colour=red",
                      "?limit=1&limit=2", "?page_reverse=true"):
            self.refused(self.elb.api("GET", query), 400, "ELB.8902")
        self.elb.settings(list_lag=100)
        self.assertEqual(ids(""), [])

    def test_batch_delete(self):
        made = [self.elb.make()["id"], self.elb.make(bound=True)["id"]]
        answer = self.elb.api("POST", "/batch-delete", {"certificates": made + ["0" * 32]})
        self.assertEqual([item["ret_status"] for item in answer.json["certificates"]],
                         ["successful", "failed", "not found"])


class Misbehaviour(ElbCase):
    def test_before_and_after_the_effect(self):
        made = self.elb.make(name="before")
        for fault, done in (("status-502", False), ("after-status-502", True), ("error", False)):
            self.elb.fault("update", fault, name=made["id"], status=500, error_code="ELB.8906")
            self.assertIn(self.elb.update(made["id"], name=fault).status, (500, 502))
            self.assertEqual(self.elb.look(made["id"])["name"] == fault, done)
            entry = self.elb.journal(certificate=made["id"])[-1]
            self.assertEqual((entry["fault"], entry["processed"], bool(entry["effect"])), (fault, done, done))
        for fault, done in (("drop-before", False), ("drop-after", True)):
            self.elb.fault("update", fault, name=made["id"])
            with self.assertRaises((OSError, http.client.HTTPException)):
                self.elb.update(made["id"], name=fault)
            self.assertEqual(self.elb.look(made["id"])["name"] == fault, done)
        begin = time.monotonic()
        self.elb.fault("update", "delay", name="drop-after", delay_s=0.3)
        self.assertEqual(self.elb.update(made["id"], name="late").status, 200)
        self.assertGreater(time.monotonic() - begin, 0.3)

    def test_answers(self):
        made = self.elb.make(names=["named.test"])
        self.elb.fault("show", "error", status=429, error_code="APIGW.0308", name="named.test", retry_after_s=7,
                       description="policy user over ratelimit,limit:5,time:1 second")
        self.assertEqual(self.elb.api("GET", "/" + self.elb.make()["id"]).status, 200, "not this one's")
        answer = self.elb.api("GET", "/" + made["id"])
        self.refused(answer, 429, "APIGW.0308", "ratelimit")
        self.assertEqual(answer.headers["Retry-After"], "7")
        self.elb.fault("show", "wrong-certificate")
        shown = self.elb.show(made["id"])
        self.assertNotEqual(pem.leaf_sha256(shown["certificate"]), made["leaf_sha256"])
        self.assertEqual(pem.leaf_sha256(self.elb.show(made["id"])["certificate"]), made["leaf_sha256"])
        self.elb.fault("show", "html-200")
        self.assertEqual(self.elb.api("GET", "/" + made["id"]).headers["Content-Type"], "text/html")
        self.elb.fault("token", "error", status=503, error_code="IAM.0001")
        self.assertEqual(self.elb.ask_token().json["error"]["code"], 503)

    def test_rate_limit(self):
        self.elb.settings(rate_limit=5)
        answers = [self.elb.api("GET", "") for _ in range(20)]
        refused = [answer for answer in answers if answer.status == 429]
        self.assertTrue(refused)
        self.refused(refused[0], 429, "APIGW.0308", "limit:5,time:1 second")
        time.sleep(1.05)
        self.assertEqual(self.elb.api("GET", "").status, 200)

    def test_journal_has_no_secrets(self):
        self.elb.token = None
        answer = self.elb.create(certificate=self.certificate, private_key=self.key_pem, name="secret")
        made = answer.json["certificate"]
        entry = self.elb.journal(operation="create", certificate=made["id"])[0]
        self.assertEqual((entry["key_sent"], entry["key_sha256"], entry["leaf_sha256"], entry["effect"]["kind"]),
                         (True, pem.key_sha256(self.key_pem), pem.leaf_sha256(self.certificate), "created"))
        self.elb.update(made["id"], certificate=self.certificate)
        self.assertFalse(self.elb.journal(operation="update")[-1]["key_sent"])
        with open(self.elb.directory + "/journal.jsonl", encoding="utf-8") as stream:
            everything = stream.read() + json.dumps(self.elb.control("GET", "/stats")) + json.dumps(self.elb.objects())
        core = pem.single_line(self.key_pem).split("-----")[2]
        for secret in (core, core[40:80], self.elb.password, self.elb.secret_key, self.elb.token):
            self.assertNotIn(secret, everything)

    def test_control_refuses_nonsense(self):
        for path, body in (("/settings", {"pem_form": "xml"}), ("/settings", {"unknown": 1}),
                           ("/certificates", {"x": 1}), ("/certificates", {"names": []}),
                           ("/faults", {"operation": "show", "fault": "fire"})):
            with self.assertRaises(OSError):
                self.elb.control("POST", path, body)


class Restarts(ElbCase):
    def test_kill(self):
        made = self.elb.make(names=["kept.test"], name="kept", bound=True)
        self.elb.settings(private_key_echo=False, time_members="both")
        token = self.elb.new_token()
        renewed = text_of(self_signed("kept.test", self.key))
        self.assertEqual(self.elb.update(made["id"], certificate=renewed, private_key=self.key_pem).status, 200)
        count = len(self.elb.journal())
        self.elb.kill()
        # As if it had died in the middle of a line.
        with open(self.elb.directory + "/journal.jsonl", "a", encoding="utf-8") as stream:
            stream.write('{"n": 99')
        self.elb.start()
        self.assertEqual(len(self.elb.journal()), count)
        answer = self.elb.send("elb", "GET", f"{self.elb.base}/{made['id']}", headers={"X-Auth-Token": token})
        self.assertEqual(answer.status, 200)
        shown = answer.json["certificate"]
        self.assertEqual((shown["name"], shown["private_key"]), ("kept", "******"))
        self.assertIn("create_time", shown)
        self.assertEqual(self.elb.live(made["id"]), pem.leaf_sha256(renewed))
        self.assertEqual(self.elb.look(made["id"])["port"], made["port"])
        self.elb.kill()
        self.elb.start()
        self.assertEqual(len(self.elb.journal()), count + 1)

    def test_orderly_stop(self):
        other = ElbSimulator()
        self.addCleanup(other.clean)
        code, seconds = other.stop()
        self.assertEqual(code, 0)
        self.assertLess(seconds, 3)


if __name__ == "__main__":
    unittest.main()
