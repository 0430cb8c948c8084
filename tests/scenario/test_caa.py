#!/usr/bin/python3
"""CAA (RFC 8659, 8657) and DNSSEC: who may not get a certificate, and who is told what."""

import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from harness.dns_case import DnsCase  # noqa: E402 (found through the line above)
from harness.dns_signer import Signer  # noqa: E402
from harness.keys import certificate_key, csr_der  # noqa: E402


class CaaCase(DnsCase):
    @classmethod
    def configure(cls, bridge):
        super().configure(bridge)
        bridge.settings["profiles"][0]["caa"] = ["ca.test", "Other-Name.ca.test"]
        bridge.settings["profiles"].append({"name": "free", "issuer": "local", "caa": "off"})
        bridge.settings["profiles"].append({"name": "second", "issuer": "local", "caa": ["second.test", "ca.test"]})

    def begin(self, name, **members):
        """(authorization URL, dns-01 challenge), answered, of a new order for a name."""
        authorization, challenge = self.start(name, **members)
        self.dns.add(f"_acme-challenge.{name.removeprefix('*.')}", "TXT", self.digest(challenge))
        self.trigger(challenge)
        return authorization, challenge

    def attempt(self, name, **members):
        """The settled dns-01 challenge of an order for a name."""
        return self.settle(*self.begin(name, **members), limit=60)

    def allowed(self, name, *records, **members):
        for record in records:
            self.dns.add(name.removeprefix("*."), "CAA", record)
        self.valid(self.attempt(name, **members))

    def forbidden(self, name, *records, words=()):
        for record in records:
            self.dns.add(name.removeprefix("*."), "CAA", record)
        self.invalid(self.attempt(name), "caa", name.removeprefix("*."), *words)


class Caa(CaaCase):
    def test_directories_name_the_identities(self):
        identities = {profile: self.client(self.bridge, profile=profile).directory["meta"].get("caaIdentities")
                      for profile in (None, "default", "free", "second")}
        self.assertEqual(identities, {None: ["ca.test", "other-name.ca.test", "second.test"],
                                      "default": ["ca.test", "other-name.ca.test"], "free": None,
                                      "second": ["second.test", "ca.test"]})

    def test_no_records(self):
        self.allowed("none.caa.test")
        self.assertEqual([self.dns.asked(name, "CAA") > 0 for name in ("none.caa.test", "caa.test", "test")],
                         [True, True, True])

    def test_allowed(self):
        uri = self.acme.account
        for number, records in enumerate((
                ['0 issue "ca.test"'], ['128 issue "CA.Test"'], ['0 issue " other-name.ca.test ; "'],
                ['0 issue "evil.test"', '0 issue "ca.test"'], ['0 iodef "mailto:a@b.test"'], ['0 Issue "ca.test"'],
                ['0 issuewild ";"'], ['0 nonsense "x"', '0 issue "ca.test"'],
                [f'0 issue "ca.test; accounturi={uri}"'], ['0 issue "ca.test; validationmethods=http-01,dns-01"'],
                [f'0 issue "ca.test; validationmethods=dns-01; accounturi={uri}; other=x"'])):
            with self.subTest(records=records):
                self.allowed(f"yes{number}.caa.test", *records)

    def test_forbidden(self):
        uri = self.acme.account
        for number, (record, word) in enumerate((
                ('0 issue "evil.test"', 'issue "evil.test"'), ('0 issue ";"', "no CA"), ('0 issue ""', "no CA"),
                ('0 issue "ca.test.evil.test"', "another CA"), ('0 issue "sub.ca.test"', "another CA"),
                ('0 issue "ca.test; accounturi"', "malformed"), ('0 issue "ca.test %%"', "malformed"),
                (f'0 issue "ca.test; accounturi={uri}x"', "accounturi"),
                (f'0 issue "ca.test; accounturi={uri}; accounturi={uri}"', "accounturi"),
                ('0 issue "ca.test; accounturi="', "accounturi"),
                ('0 issue "ca.test; validationmethods=http-01"', "validationmethods"),
                ('0 issue "ca.test; validationmethods=dns-01,,http-01"', "validationmethods"),
                ('0 issue "ca.test; validationmethods=dns-012"', "validationmethods"),
                ('128 tbs "unknown"', '"tbs"'), (b"\x00", "malformed"), (b"\x00\x09issue", "malformed"))):
            with self.subTest(record=record):
                self.forbidden(f"no{number}.caa.test", record, words=[word])

    def test_foreign_bytes_are_escaped(self):
        self.forbidden("bytes.caa.test", b"\x00\x05issue<script>\x01\xff", words=["<script>\\x01\\xff"])

    def test_the_tree_is_climbed_to_the_closest_records(self):
        self.dns.add("up.test", "CAA", '0 issue "evil.test"')
        self.dns.add("a.up.test", "CAA", '0 issue "ca.test"')
        self.dns.add("b.up.test", "A", "127.0.0.1")
        self.valid(self.attempt("deep.down.a.up.test"))
        self.invalid(self.attempt("deep.b.up.test"), "caa", "deep.b.up.test", "of up.test")

    def test_cnames_are_followed_but_not_climbed(self):
        self.dns.add("alias.cn.test", "CNAME", "host.target.test")
        self.dns.add("host.target.test", "A", "127.0.0.1")
        self.dns.add("target.test", "CAA", '0 issue "evil.test"')
        self.valid(self.attempt("alias.cn.test"))
        self.dns.add("alias2.cn.test", "CNAME", "host2.target.test")
        self.dns.add("host2.target.test", "CAA", '0 issue "evil.test"')
        self.invalid(self.attempt("alias2.cn.test"), "caa", "of alias2.cn.test")

    def test_wildcards(self):
        self.allowed("*.w1.test", '0 issue "evil.test"', '0 issuewild "ca.test"')
        self.forbidden("*.w2.test", '0 issue "ca.test"', '0 issuewild ";"', words=["*.w2.test"])
        self.forbidden("*.w3.test", '0 issue "evil.test"', words=["*.w3.test"])
        self.allowed("*.w4.test", '0 issue "ca.test"')
        self.forbidden("w5.test", '0 issue "evil.test"', '0 issuewild "ca.test"')

    def test_profiles_differ(self):
        self.allowed("free.caa.test", '0 issue "evil.test"', profile="free")
        self.allowed("second.caa.test", '0 issue "second.test"', profile="second")
        self.dns.add("third.caa.test", "CAA", '0 issue "second.test"')
        self.invalid(self.attempt("third.caa.test"), "caa", "ca.test or other-name.ca.test")

    def test_records_that_cannot_be_had(self):
        tries = {}
        for how in ("servfail", "refused", "timeout"):
            self.dns.fail(f"{how}.sick.test", how)
            tries[how] = self.begin(f"{how}.sick.test")
        for how, attempt in tries.items():
            with self.subTest(how=how):
                self.invalid(self.settle(*attempt, limit=60), "dns", "CAA", f"{how}.sick.test")

    def test_a_failure_that_passes(self):
        self.dns.fail("soon.sick.test", "servfail")
        authorization, challenge = self.start("soon.sick.test")
        self.dns.add("_acme-challenge.soon.sick.test", "TXT", self.digest(challenge))
        self.trigger(challenge)
        self.bridge.wait_for_log("tried again", "soon.sick.test")
        self.dns.fail("soon.sick.test", None)
        self.valid(self.settle(authorization, challenge))

    def test_addresses_have_no_caa(self):
        # 127.0.0.1 is proved at the responder; nothing is asked for it.
        payload = {"identifiers": [{"type": "ip", "value": "127.0.0.1"}]}
        response = self.acme.expect(self.acme.post(self.acme.directory["newOrder"], payload), 201)
        before = len([1 for _, kind in self.dns.queries if kind == "CAA"])
        for authorization in self.acme.authorize(response.json, self.responder):
            self.assertEqual(authorization["status"], "valid", authorization)
        self.assertEqual(len([1 for _, kind in self.dns.queries if kind == "CAA"]), before)


class CaaAtIssuance(CaaCase):
    """Authorizations live for weeks: what counts are the records of the day."""

    def ready(self, *names, **members):
        order_url, order = self.acme.new_order(*names, **members)
        for challenge in self.publish(order):
            self.valid(challenge)
        return order_url, order

    def test_records_that_came_later(self):
        order_url, order = self.ready("later.issue.test", "fine.issue.test")
        self.dns.add("later.issue.test", "CAA", '0 issue "evil.test"')
        failed = self.issue(order_url, order, ["later.issue.test", "fine.issue.test"])
        self.assertEqual(failed["status"], "invalid")
        self.assertTrue(failed["error"]["type"].endswith(":caa"), failed)
        self.assertIn("later.issue.test", failed["error"]["detail"])

    def test_reuse_under_another_profile(self):
        self.dns.add("reuse.issue.test", "CAA", '0 issue "evil.test"')
        order_url, order = self.ready("reuse.issue.test", profile="free")
        self.assertEqual(self.issue(order_url, order, ["reuse.issue.test"])["status"], "valid")
        order_url, order = self.acme.new_order("reuse.issue.test")
        self.assertEqual(order["status"], "ready")
        failed = self.issue(order_url, order, ["reuse.issue.test"])
        self.assertEqual((failed["status"], failed["error"]["type"].rpartition(":")[2]), ("invalid", "caa"))

    def test_a_failure_that_passes(self):
        order_url, order = self.ready("sick.issue.test")
        self.dns.fail("sick.issue.test", "servfail")
        key = certificate_key()
        self.acme.expect(self.acme.finalize(order_url, order, csr_der(["sick.issue.test"], key)), 200)
        self.bridge.wait_for_log("CAA will be checked again", "sick.issue.test")
        self.dns.fail("sick.issue.test", None)
        self.assertEqual(self.acme.poll(order_url, ("valid", "invalid"))["status"], "valid")

    def test_wildcard_and_name(self):
        self.dns.add("both.issue.test", "CAA", '0 issue "ca.test"')
        names = ["*.both.issue.test", "both.issue.test"]
        order_url, order = self.ready(*names)
        self.assertEqual(self.issue(order_url, order, names)["status"], "valid")
        order_url, order = self.acme.new_order(*names)
        self.dns.add("both.issue.test", "CAA", '0 issuewild ";"')
        failed = self.issue(order_url, order, names)
        self.assertEqual(failed["status"], "invalid")
        self.assertIn("*.both.issue.test", failed["error"]["detail"])

    def test_many_names_ask_for_their_parents_once(self):
        names = [f"n{number}.wide.test" for number in range(20)]
        order_url, order = self.ready(*names)
        before = self.dns.asked("wide.test", "CAA")
        self.assertEqual(self.issue(order_url, order, names)["status"], "valid")
        self.assertEqual(self.dns.asked("wide.test", "CAA"), before + 1)


class CaaWhileOthersHang(CaaCase):
    """Validations that use up their places leave the questions of issuances alone."""

    @classmethod
    def configure(cls, bridge):
        super().configure(bridge)
        bridge.settings["validation"]["max_concurrency"] = 2

    def test_all_places_taken(self):
        order_url, order = self.acme.new_order("ready.busy.test")
        self.valid(self.publish(order)[0])
        for number in range(2):
            other = self.client(self.bridge)
            other.register()
            name = f"mute{number}.busy.test"
            self.dns.fail(f"_acme-challenge.{name}", "timeout")
            _, challenge = self.start(name, client=other)
            self.trigger(challenge, other)
            self.wait_until(lambda name=name: self.dns.asked(f"_acme-challenge.{name}", "TXT") > 0)
        self.assertEqual(self.issue(order_url, order, ["ready.busy.test"])["status"], "valid")
        self.assertEqual(self.bridge.log_lines("validation will be tried again"), [])  # both still hang

    def wait_until(self, condition):
        deadline = time.monotonic() + 5
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)


class Dnssec(CaaCase):
    signer = Signer("test")

    @classmethod
    def configure(cls, bridge):
        super().configure(bridge)
        anchor = os.path.join(bridge.directory, "anchor")
        with open(anchor, "w", encoding="ascii") as stream:
            stream.write(cls.signer.anchor)
        bridge.settings["validation"]["trust_anchor_file"] = anchor

    def test_signed(self):
        self.allowed("good.sec.test", '0 issue "ca.test"')
        self.assertGreater(self.dns.asked("test", "DNSKEY"), 0)
        order_url, order = self.acme.new_order("good.sec.test")
        self.assertEqual(self.issue(order_url, order, ["good.sec.test"])["status"], "valid")

    def test_bogus_txt(self):
        self.signer.spoil("_acme-challenge.bad.sec.test")
        self.invalid(self.attempt("bad.sec.test"), "dns", "DNSSEC", "_acme-challenge.bad.sec.test")

    def test_bogus_caa(self):
        self.dns.add("caa.sec.test", "CAA", '0 issue "ca.test"')
        self.signer.spoil("caa.sec.test")
        self.invalid(self.attempt("caa.sec.test"), "dns", "DNSSEC", "CAA", "caa.sec.test")

    def test_unsigned_elsewhere(self):
        authorization, challenge = self.start("plain.example")
        self.dns.add("_acme-challenge.plain.example", "TXT", self.digest(challenge))
        self.trigger(challenge)
        self.valid(self.settle(authorization, challenge))

    def test_a_broken_trust_anchor_is_noticed_at_the_start(self):
        bridge = self.make_bridge(self.responder.port)
        anchor = os.path.join(bridge.directory, "anchor")
        with open(anchor, "w", encoding="ascii") as stream:
            stream.write("test. IN DNSKEY nonsense\n")
        bridge.settings["validation"]["trust_anchor_file"] = anchor
        with self.assertRaisesRegex(RuntimeError, "trust_anchor_file"):
            bridge.start()


if __name__ == "__main__":
    unittest.main()
