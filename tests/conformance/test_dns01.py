#!/usr/bin/python3
"""The challenge dns-01 and CAA: RFC 8555 sections 8.4 and 11.2, RFC 8659, RFC 8657."""

import copy
import hashlib
import os
import tempfile
import unittest

from case import ConformanceCase, shows
from harness.acme import URN
from harness.dns_server import DnsServer
from harness.dns_signer import Signer
from harness.keys import b64
from surroundings import start_own


def digest(text):
    return b64(hashlib.sha256(text.encode("ascii")).digest())


class Dns01(ConformanceCase):
    def begin(self, name=None):
        name = name or self.name(address=False)
        _, order = self.need_challenge("dns-01", name)
        url, authorization = self.acme.authorizations(order)[0]
        return url, self.acme.pick(authorization, "dns-01"), name.removeprefix("*.")

    @shows("8555-8.4-3", "checklist-83")
    def test_success(self):
        url, challenge, name = self.begin()
        self.acme.provision(challenge, {"type": "dns", "value": name})
        self.acme.respond(challenge)
        self.assertEqual(self.acme.settle(url)["status"], "valid")
        if self.site.own:
            self.assertIn((f"_acme-challenge.{name}", "TXT"),
                          [(queried.lower().rstrip("."), kind) for queried, kind in self.dns.queries])

    @shows("8555-8.4-3", "checklist-83")
    def test_one_of_several_records(self):
        url, challenge, name = self.begin()
        for text in ("v=spf1 -all", digest("something else"), digest(self.acme.key_authorization(challenge)), ""):
            self.dns.add(f"_acme-challenge.{name}", "TXT", text)
        self.acme.respond(challenge)
        self.assertEqual(self.acme.settle(url)["status"], "valid")

    @shows("8555-8.4-3", "checklist-83")
    def test_alias(self):
        url, challenge, name = self.begin()
        target = self.name("alias", address=False)
        self.dns.add(f"_acme-challenge.{name}", "CNAME", target)
        self.dns.add(target, "TXT", digest(self.acme.key_authorization(challenge)))
        self.acme.respond(challenge)
        self.assertEqual(self.acme.settle(url)["status"], "valid")

    @shows("8555-8.4-4", "8555-8-3", "checklist-83")
    def test_failures(self):
        attempts = {}
        for what in ("nothing there", "wrong", "not hashed", "in hex", "servfail", "refused", "another name"):
            _, challenge, name = self.begin()
            good = self.acme.key_authorization(challenge)
            at = f"_acme-challenge.{name}"
            texts = {"wrong": digest("x"), "not hashed": good,
                     "in hex": hashlib.sha256(good.encode("ascii")).hexdigest()}
            if what in texts:
                self.dns.add(at, "TXT", texts[what])
            elif what == "another name":
                self.dns.add(name, "TXT", digest(good))
            elif what != "nothing there":
                self.dns.fail(at, what)
            self.acme.respond(challenge)
            attempts[what] = challenge
        for what, settled in zip(attempts, self.acme.failed(*attempts.values())):
            with self.subTest(what=what):
                self.assertEqual(settled["status"], "invalid")
                allowed = ("dns",) if what in ("servfail", "refused") else ("dns", "unauthorized", "incorrectResponse")
                self.assertIn(settled["error"]["type"].removeprefix(URN), allowed)

    @shows("8555-7.1.3-3", "checklist-83")
    def test_a_wildcard_and_its_base_at_once(self):
        name = self.name(address=False)
        order_url, order = self.need_challenge("dns-01", name, "*." + name)
        self.assertEqual([item["status"] for item in self.acme.prove(order, "dns-01")], ["valid", "valid"])
        self.assertEqual(self.acme.fetch(order_url).json["status"], "ready")


    @shows("deviation-dns-tcp")
    def test_answers_too_large_for_udp(self):
        url, challenge, name = self.begin()
        for _ in range(60):
            self.dns.add(f"_acme-challenge.{name}", "TXT", digest(name) * 3)
        self.acme.provision(challenge, {"type": "dns", "value": name})
        self.acme.respond(challenge)
        self.assertEqual(self.acme.settle(url)["status"], "valid")


class Dnssec(ConformanceCase):
    @shows("8555-11.2-2")
    def test_forged_answers_are_not_believed(self):
        """A signed zone whose key the server trusts: right signatures serve, wrong ones do not."""
        self.need_own("it has to be given a trust anchor")
        services = copy.copy(self.services)
        signer = Signer("signed.example")
        services.domain, services.dns = "signed.example", DnsServer(signer).start()
        self.addCleanup(services.dns.stop)
        directory = tempfile.TemporaryDirectory(prefix="acme-anchor-")
        self.addCleanup(directory.cleanup)
        anchor = os.path.join(directory.name, "anchor")
        with open(anchor, "w", encoding="ascii") as stream:
            stream.write(signer.anchor)
        site = start_own(services, lambda settings: settings["validation"].update(trust_anchor_file=anchor))
        self.addCleanup(site.bridge.stop)
        client = self.newcomer(site)
        challenges = []
        for spoil in (False, True):
            name = services.name("dnssec", address=False)
            _, order = client.place(name)
            challenge = client.pick(client.authorizations(order)[0][1], "dns-01")
            client.provision(challenge, {"type": "dns", "value": name})
            if spoil:
                signer.spoil(f"_acme-challenge.{name}")
            client.respond(challenge)
            challenges.append(challenge)
        good, forged = client.failed(*challenges)
        self.assertEqual(good["status"], "valid")
        self.assertEqual((forged["status"], forged["error"]["type"]), ("invalid", URN + "dns"))


class Caa(ConformanceCase):
    """Every case is an order of its own; all are under way at once. Whether the CAA is looked at when the challenge
    is validated or when the certificate is issued is the server's choice, both count."""

    @property
    def issuer(self):
        identities = self.acme.directory.get("meta", {}).get("caaIdentities", [])
        self.need(identities, "caaIdentities")
        return identities[0]

    def outcomes(self, cases):
        """{what: (records by name, names to order, kind)} -> {what: problem type, None for success}"""
        running = {}
        for what, (records, items, kind) in cases.items():
            for owner, text in records:
                if text in ("servfail", "timeout"):
                    self.dns.fail(owner, text)
                else:
                    self.dns.add(owner, "CAA", text)
            order_url, order = self.acme.place(*items)
            for url, authorization in self.acme.authorizations(order):
                challenge = self.acme.pick(authorization, kind)
                self.need(challenge, kind)
                self.acme.provision(challenge, authorization["identifier"])
                self.acme.respond(challenge)
            running[what] = (order_url, order, items)
        return {what: self.outcome(*item) for what, item in running.items()}

    def outcome(self, order_url, order, items):
        for url in order["authorizations"]:
            authorization = self.acme.settle(url)
            if authorization["status"] != "valid":
                return next(item["error"] for item in authorization["challenges"]
                            if "error" in item)["type"].removeprefix(URN)
        try:
            self.acme.finish(order_url, order, items)
            return None
        except AssertionError:
            return self.acme.fetch(order_url).json["error"]["type"].removeprefix(URN)

    def allowed(self, outcomes):
        for what, problem in outcomes.items():
            with self.subTest(what=what):
                self.assertIsNone(problem)

    def forbidden(self, outcomes):
        for what, problem in outcomes.items():
            with self.subTest(what=what):
                self.assertIn(problem, ("caa", "dns", "unauthorized") if "fail" in what else ("caa",))

    @shows("8555-10.5-2", "8555-7.1.1-3", "checklist-99", "checklist-100")
    def test_allowed(self):
        ours, account = self.issuer, self.acme.account
        cases = {}
        for what, texts in {"none": [], "ours": [f'0 issue "{ours}"'], "case": [f'0 issue "{ours.upper()}"'],
                            "one of several": ['0 issue "other.example"', f'0 issue "{ours}"'],
                            "issuewild does not concern names": ['0 issuewild ";"'],
                            "unknown, not critical": ['0 unheardof "x"'],
                            "incident reports only": ['0 iodef "mailto:a@example.com"'],
                            "account": [f'0 issue "{ours}; accounturi={account}"'],
                            "method": [f'0 issue "{ours}; validationmethods=dns-01,http-01"']}.items():
            name = self.name()
            cases[what] = ([(name, text) for text in texts], [name], "http-01")
        self.allowed(self.outcomes(cases))

    @shows("8555-10.5-2", "checklist-99", "checklist-100")
    def test_forbidden(self):
        ours = self.issuer
        other_account = self.acme.account[:-1] + ("0" if self.acme.account[-1] != "0" else "1")
        cases = {}
        for what, texts in {"others": ['0 issue "other.example"'], "nobody": ['0 issue ";"'],
                            "unknown and critical": [f'0 issue "{ours}"', '128 unheardof "x"'],
                            "another account": [f'0 issue "{ours}; accounturi={other_account}"'],
                            "another method": [f'0 issue "{ours}; validationmethods=dns-01"'],
                            "a subdomain of ours": [f'0 issue "sub.{ours}"'],
                            "lookup fails": ["servfail"]}.items():
            name = self.name()
            cases[what] = ([(name, text) for text in texts], [name], "http-01")
        for what, climb in (("at the parent", 1), ("two above", 2)):
            top = self.name()
            name = ".".join(["a"] * climb) + "." + top
            self.dns.add(name, "A", self.services.address)
            cases[what] = ([(top, '0 issue "other.example"')], [name], "http-01")
        self.forbidden(self.outcomes(cases))

    @shows("8555-10.5-2", "checklist-99")
    def test_wildcards(self):
        ours = self.issuer
        def case(*texts):
            name = self.name()
            return [(name, text) for text in texts], ["*." + name], "dns-01"

        self.allowed(self.outcomes({
            "issuewild": case('0 issue ";"', f'0 issuewild "{ours}"'), "issue": case(f'0 issue "{ours}"')}))
        self.forbidden(self.outcomes({
            "issuewild forbids": case(f'0 issue "{ours}"', '0 issuewild ";"'), "issue forbids": case('0 issue ";"')}))


if __name__ == "__main__":
    unittest.main()
