#!/usr/bin/python3
"""dns-01 and its relatives, and wildcards, against a DNS server that can misbehave."""

import calendar
import hashlib
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from harness.dns_case import DnsCase, account_label  # noqa: E402 (found through the line above)
from harness.keys import AccountKey, b64, certificate_key, csr_der  # noqa: E402


class Dns01(DnsCase):
    def test_it_is_offered_beside_http01(self):
        _, order = self.acme.new_order("offer.dns.test")
        challenges = self.acme.fetch(order["authorizations"][0]).json["challenges"]
        kinds = [challenge["type"] for challenge in challenges]
        self.assertIn("http-01", kinds)
        self.assertIn("dns-01", kinds)
        self.assertNotIn("dns-account-01", kinds)
        self.assertNotIn("dns-persist-01", kinds)

    def test_success(self):
        self.succeed("good.dns.test")
        self.assertEqual(self.dns.asked("_acme-challenge.good.dns.test", "TXT"), 1)

    def test_one_of_many_records(self):
        authorization, challenge = self.start("many.dns.test")
        for number in range(60):
            self.dns.add("_acme-challenge.many.dns.test", "TXT", f"{number}" * 100)
        self.dns.add("_acme-challenge.many.dns.test", "TXT", self.digest(challenge))
        self.dns.add("_acme-challenge.many.dns.test", "TXT", "v=spf1 -all")
        self.trigger(challenge)
        self.valid(self.settle(authorization, challenge))

    def test_a_record_in_pieces(self):
        authorization, challenge = self.start("pieces.dns.test")
        value = self.digest(challenge)
        self.dns.add("_acme-challenge.pieces.dns.test", "TXT", f'"{value[:7]}" "" "{value[7:]}"')
        self.trigger(challenge)
        self.valid(self.settle(authorization, challenge))

    def test_cnames_are_followed(self):
        authorization, challenge = self.start("delegated.dns.test")
        self.dns.add("_acme-challenge.delegated.dns.test", "CNAME", "x.elsewhere.example")
        self.dns.add("x.elsewhere.example", "CNAME", "y.elsewhere.example")
        self.dns.add("y.elsewhere.example", "TXT", self.digest(challenge))
        self.trigger(challenge)
        self.valid(self.settle(authorization, challenge))

    def test_wrong_values(self):
        authorization, challenge = self.start("wrong.dns.test")
        self.dns.add("_acme-challenge.wrong.dns.test", "TXT", "an old\nvalue\u202e")
        self.dns.add("_acme-challenge.wrong.dns.test", "TXT", self.digest(challenge)[:-1])
        self.dns.add("_acme-challenge.wrong.dns.test", "TXT", b"\x20short")
        self.trigger(challenge)
        settled = self.settle(authorization, challenge)
        self.invalid(settled, "incorrectResponse", "_acme-challenge.wrong.dns.test", "an old\\x0avalue\\xe2",
                     f'"{self.digest(challenge)[:-1]}"', '"(malformed)"', f'none of them is "{self.digest(challenge)}"')
        self.assertEqual(self.acme.fetch(authorization).json["status"], "invalid")

    def test_nearly_right_values(self):
        authorization, challenge = self.start("near.dns.test")
        value = self.digest(challenge)
        for near in (value + " ", " " + value, value + "=", f'"{value}" "{value}"', value.upper(), value + "\0"):
            self.dns.add("_acme-challenge.near.dns.test", "TXT", near)
        self.trigger(challenge)
        self.invalid(self.settle(authorization, challenge), "incorrectResponse", "and 3 more")

    def test_no_record(self):
        self.dns.add("_acme-challenge.other.dns.test", "A", "127.0.0.1")
        names = ("nothing.dns.test", "other.dns.test")
        tries = [self.start(name) for name in names]
        for _, challenge in tries:
            self.trigger(challenge)
        for name, (authorization, challenge) in zip(names, tries):
            with self.subTest(name=name):
                self.invalid(self.settle(authorization, challenge), "unauthorized", f"_acme-challenge.{name}",
                             self.digest(challenge), "no TXT record")

    def test_a_record_that_spreads_late(self):
        """No record, a failing server, then an old record: the next try finds the right one."""
        for name, break_it in (
                ("late.dns.test", lambda record: None),
                ("servfail.dns.test", lambda record: self.dns.fail(record, "servfail")),
                ("refused.dns.test", lambda record: self.dns.fail(record, "refused")),
                ("nxdomain.dns.test", lambda record: self.dns.fail(record, "nxdomain")),
                ("stale.dns.test", lambda record: self.dns.add(record, "TXT", "old"))):
            with self.subTest(name=name):
                record = f"_acme-challenge.{name}"
                authorization, challenge = self.start(name)
                break_it(record)
                self.trigger(challenge)
                deadline = time.monotonic() + 10
                while "error" not in self.acme.fetch(challenge["url"]).json and time.monotonic() < deadline:
                    time.sleep(0.1)
                shown = self.acme.fetch(challenge["url"]).json
                self.assertEqual(shown["status"], "processing")  # with the error of the first try, section 8.2
                self.assertIn(record, shown["error"]["detail"])
                self.dns.remove(record)
                self.dns.add(record, "TXT", self.digest(challenge))
                self.valid(self.settle(authorization, challenge))

    def test_failing_servers(self):
        names = {how: f"{how}-for-good.dns.test" for how in ("servfail", "refused")}
        tries = {}
        for how, name in names.items():
            self.dns.fail(f"_acme-challenge.{name}", how)
            tries[how] = self.start(name)
            self.trigger(tries[how][1])
        for how, (authorization, challenge) in tries.items():
            with self.subTest(how=how):
                self.invalid(self.settle(authorization, challenge), "dns", f"_acme-challenge.{names[how]}",
                             "SERVFAIL", "TXT")

    def test_silent_servers(self):
        name = "silent.dns.test"
        self.dns.fail(f"_acme-challenge.{name}", "timeout")
        authorization, challenge = self.start(name)
        self.trigger(challenge)
        # Others are served meanwhile.
        self.succeed("beside.dns.test")
        self.invalid(self.settle(authorization, challenge, limit=60), "dns", f"_acme-challenge.{name}", "TXT")

    def succeed(self, name):
        authorization, challenge = self.start(name)
        self.dns.add(f"_acme-challenge.{name}", "TXT", self.digest(challenge))
        self.trigger(challenge)
        self.valid(self.settle(authorization, challenge))

    def test_too_many_records(self):
        name = "flood.dns.test"
        for number in range(200):
            self.dns.add(f"_acme-challenge.{name}", "TXT", f"{number}")
        authorization, challenge = self.start(name)
        self.trigger(challenge)
        self.invalid(self.settle(authorization, challenge), "dns", f"_acme-challenge.{name}", "too many records")

    def test_many_at_once(self):
        names = [f"n{number}.crowd.test" for number in range(30)]
        order_url, order = self.acme.new_order(*names)
        challenges = []
        for url, name in zip(order["authorizations"], names):
            challenge = self.challenge(url)
            self.dns.add(f"_acme-challenge.{name}", "TXT", self.digest(challenge))
            challenges.append((url, challenge))
        for _, challenge in challenges:
            self.trigger(challenge)
        for url, challenge in challenges:
            self.valid(self.settle(url, challenge))
        self.assertEqual(self.issue(order_url, order, names)["status"], "valid")


class Wildcards(DnsCase):
    def test_wildcard_and_name_in_one_certificate(self):
        names = ["*.wild.test", "wild.test"]
        order_url, order = self.acme.new_order(*names)
        seen = []
        for url in order["authorizations"]:
            authorization = self.acme.fetch(url).json
            seen.append((authorization["identifier"]["value"], authorization.get("wildcard", False)))
            kinds = [challenge["type"] for challenge in authorization["challenges"]]
            self.assertEqual(kinds == ["dns-01"], authorization.get("wildcard", False), kinds)
        self.assertEqual(sorted(seen), [("wild.test", False), ("wild.test", True)])
        for challenge in self.publish(order):
            self.valid(challenge)
        self.assertEqual(self.issue(order_url, order, names)["status"], "valid")

    def test_a_wildcard_proves_no_name_and_no_name_a_wildcard(self):
        _, order = self.acme.new_order("*.reuse.test")
        self.publish(order)
        self.assertEqual(self.acme.new_order("reuse.test")[1]["status"], "pending")
        self.assertEqual(self.acme.new_order("a.reuse.test")[1]["status"], "pending")
        self.assertEqual(self.acme.new_order("*.reuse.test")[1]["status"], "ready")
        self.assertEqual(self.acme.new_order("*.a.reuse.test")[1]["status"], "pending")

    def test_the_csr_must_have_the_very_names(self):
        order_url, order = self.acme.new_order("*.csr.test")
        self.publish(order)
        for names in (["csr.test"], ["a.csr.test"], ["*.csr.test", "csr.test"], ["*.a.csr.test"]):
            with self.subTest(names=names):
                response = self.acme.post(order["finalize"], {"csr": b64(csr_der(names, certificate_key()))})
                self.refused(response, 400, "badCSR")
        self.assertEqual(self.issue(order_url, order, ["*.csr.test"])["status"], "valid")


class DnsAccount01(DnsCase):
    @classmethod
    def configure(cls, bridge):
        super().configure(bridge)
        bridge.settings["profiles"].append(
            {"name": "account", "issuer": "local", "challenges": ["dns-account-01"]})

    def test_two_accounts_at_the_same_name(self):
        other = self.client(self.bridge)
        other.register()
        label, other_label = account_label(self.acme.account), account_label(other.account)
        self.assertNotEqual(label, other_label)
        tries = []
        for client in (self.acme, other):
            authorization, challenge = self.start("*.shared.test", "dns-account-01", client, profile="account")
            record = f"{account_label(client.account)}._acme-challenge.shared.test"
            self.dns.add(record, "TXT", self.digest(challenge, client))
            tries.append((client, authorization, challenge))
        for client, authorization, challenge in tries:
            self.trigger(challenge, client)
        for client, authorization, challenge in tries:
            self.valid(self.settle(authorization, challenge, client))

    def test_the_record_of_dns01_does_not_count(self):
        authorization, challenge = self.start("plain.test", "dns-account-01", profile="account")
        self.dns.add("_acme-challenge.plain.test", "TXT", self.digest(challenge))
        self.trigger(challenge)
        self.invalid(self.settle(authorization, challenge), "unauthorized",
                     f"{account_label(self.acme.account)}._acme-challenge.plain.test")


def hashed_account(prefix, domain, thumbprint, account_url):
    """The accounturi of draft-ietf-acme-dns-persist-02, section 4.1."""
    text = bytes([len(domain)]) + f"{domain}{thumbprint}{account_url}".encode("ascii")
    return f"{prefix}sha-256/{b64(hashlib.sha256(text).digest())}"


class DnsPersist01(DnsCase):
    @classmethod
    def configure(cls, bridge):
        super().configure(bridge)
        for profile, names in (("persist", ["ca.test", "authority.test"]), ("rival", ["rival.test", "authority.test"])):
            bridge.settings["profiles"].append({"name": profile, "issuer": "local", "caa": names,
                                                "challenges": ["dns-persist-01"]})

    def setUp(self):
        super().setUp()
        self.meta = self.client(self.bridge, profile="persist").directory["meta"]

    def begin(self, name, *records):
        """(authorization URL, challenge), triggered, for a name with these standing records.

        {uri} stands for the account's URL, {hash} for its hashed form.
        """
        domain = name.removeprefix("*.")
        for record in records:
            if isinstance(record, str):
                record = record.replace("{uri}", self.acme.account).replace("{hash}", self.hashed(domain))
            self.dns.add(f"_validation-persist.{domain}", "TXT", record)
        authorization, challenge = self.start(name, "dns-persist-01", profile="persist")
        self.trigger(challenge)
        return authorization, challenge

    def attempt(self, name, *records):
        return self.settle(*self.begin(name, *records))

    def hashed(self, domain, thumbprint=None, account=None):
        return hashed_account(self.meta["accountHashPrefix"], domain, thumbprint or self.acme.key.thumbprint(),
                              account or self.acme.account)

    def test_test_vectors(self):
        arguments = ("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", "https://ca.example/acct/123")
        prefix = "https://ca.example/account-hash/"
        self.assertEqual(hashed_account(prefix, "example.com", *arguments),
                         prefix + "sha-256/5SQm7n6tPh2-PlLbCKGnViTXX5z19SCN4cPGQHSk-kw")
        self.assertEqual(hashed_account(prefix, "*", *arguments),
                         prefix + "sha-256/NpDnSwUthQK8zCgFdefYxAdAVPnygMLbs9US6oO-5ug")

    def test_directory_and_challenge(self):
        self.assertEqual(self.meta["issuerDomainNames"], ["ca.test", "authority.test"])
        self.assertEqual(self.acme.directory["meta"]["issuerDomainNames"], ["authority.test"])  # good for both profiles
        other = self.client(self.bridge, profile="default").directory["meta"]
        self.assertNotIn("issuerDomainNames", other)
        self.assertNotIn("accountHashPrefix", other)
        _, challenge = self.start("object.persist.test", "dns-persist-01", profile="persist")
        self.assertEqual(challenge["issuerDomainNames"], ["ca.test", "authority.test"])
        self.assertEqual(challenge["issuer-domain-names"], ["ca.test", "authority.test"])
        self.assertEqual(challenge["accounturi"], self.acme.account)

    def test_valid_records(self):
        later = int(time.time()) + 86400
        for number, records in enumerate((
                ["ca.test; accounturi={uri}"], ["ca.test;accounturi={hash}"], ["Authority.test; accounturi={hash} ;"],
                ["other.test; accounturi={uri}", "nonsense", "ca.test; accounturi=x", "ca.test; accounturi={uri}"],
                [f"ca.test; accounturi={{uri}}; persistUntil={later}; unknown=x"],
                ["ca.test; accounturi={uri}; policy=something"],
                ["ca.test; accounturi=" + self.hashed("*")])):
            with self.subTest(records=records):
                self.valid(self.attempt(f"yes{number}.persist.test", *records))

    def test_invalid_records(self):
        stranger = self.client(self.bridge)
        stranger.register()
        cases = (
            ("other.test; accounturi={uri}", "unauthorized", "names this CA"),
            ("ca.test", "malformed", "no accounturi"),
            ("ca.test; accounturi={uri}; accounturi={uri}", "malformed", "more than one accounturi"),
            ("ca.test; accounturi=" + stranger.account, "unauthorized", "not this account"),
            ("ca.test; accounturi=" + self.hashed("other.persist.test"), "unauthorized", "not this account"),
            ("ca.test; accounturi=" + self.hashed("*", stranger.key.thumbprint()), "unauthorized", "not this"),
            ("ca.test; accounturi={uri}; persistUntil=1", "unauthorized", "persistUntil is over"),
            ("ca.test; accounturi={uri}; persistUntil=soon", "malformed", "persistUntil"),
            ("ca.test; accounturi={uri}; persistUntil=", "malformed", "persistUntil"),
            ("ca.test accounturi={uri}", "unauthorized", "names this CA"), (b"\x09x", "unauthorized", "(malformed)"),
            (None, "unauthorized", "no TXT record"))
        tries = [self.begin(f"no{number}.persist.test", *([] if record is None else [record]))
                 for number, (record, _, _) in enumerate(cases)]
        for number, ((record, problem, word), attempt) in enumerate(zip(cases, tries)):
            with self.subTest(record=record):
                self.invalid(self.settle(*attempt), problem, word, f"_validation-persist.no{number}.persist.test")

    def test_wildcards_need_the_policy(self):
        self.invalid(self.attempt("*.w1.persist.test", "ca.test; accounturi={uri}"), "unauthorized", "policy=wildcard")
        self.valid(self.attempt("*.w2.persist.test", "ca.test; accounturi={hash}; policy=WildCard"))

    def test_the_authorization_ends_with_the_record(self):
        until = int(time.time()) + 2 * 3600
        self.valid(self.attempt("until.persist.test", f"ca.test; accounturi={{uri}}; persistUntil={until}"))
        _, order = self.acme.new_order("until.persist.test", profile="persist")
        authorization = self.acme.fetch(order["authorizations"][0]).json
        self.assertEqual(authorization["status"], "valid")
        ends = calendar.timegm(time.strptime(authorization["expires"][:19], "%Y-%m-%dT%H:%M:%S"))
        self.assertEqual(ends, until)

    def test_a_record_for_one_ca_does_not_serve_another(self):
        name = "one.persist.test"
        self.valid(self.attempt(name, "ca.test; accounturi={uri}"))
        _, order = self.acme.new_order(name, profile="persist")
        self.assertEqual(order["status"], "ready")
        _, order = self.acme.new_order(name, profile="rival")
        self.assertEqual(order["status"], "pending")
        authorization, challenge = self.start(name, "dns-persist-01", profile="rival")
        self.trigger(challenge)
        self.invalid(self.settle(authorization, challenge), "unauthorized", "names this CA", "rival.test")

    def test_records_outlive_a_change_of_keys(self):
        domain = "rollover.persist.test"
        self.dns.add(f"_validation-persist.{domain}", "TXT", f"ca.test; accounturi={self.hashed(domain)}")
        for _ in range(2):
            key = AccountKey()
            self.acme.expect(self.acme.key_change(key), 200)
            self.acme.key = key
        authorization, challenge = self.start(domain, "dns-persist-01", profile="persist")
        self.trigger(challenge)
        self.valid(self.settle(authorization, challenge))


if __name__ == "__main__":
    unittest.main()
