#!/usr/bin/python3
"""Debian's certbot and lego with what stands behind the server in an enterprise: Keyfactor Command with a load balancer
to serve, Akamai CPS whose keys stay at the edge, and SCM that signs for it."""

import json
import os
import shutil
import tempfile
import unittest

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from client_case import run_client  # first: it finds the others
from cps_case import CpsCase, cps_issuer
from elb_case import leaf_sha256
from elb_fixture import ElbSimulator
from harness.keys import public_der
from keyfactor_case import PROFILE, KeyfactorCase

NAME = "www.upstreams.localhost"
QUICK_SCM = ("--approval-delay", "0", "--ca-delay", "0")
PLACES = ("--config-dir", "config", "--work-dir", "work", "--logs-dir", "logs")


class Clients:
    """What is mixed into a case with a responder and a bridge of its own: certbot and lego, each in one directory."""

    def prepare_clients(self):
        for program in ("certbot", "lego"):
            if shutil.which(program) is None:
                raise RuntimeError(f"{program} is not installed (Debian package {program})")
        self.directory = tempfile.mkdtemp(prefix="acmebridge-upstreams-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.webroot = self.responder.webroot = os.path.join(self.directory, "webroot")
        os.mkdir(self.webroot)

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def read(self, *parts):
        with open(self.path(*parts), encoding="utf-8") as stream:
            return stream.read()

    def write(self, name, text):
        with open(self.path(name), "w", encoding="ascii") as stream:
            stream.write(text)
        return self.path(name)

    def directory_url(self, profile):
        return f"{self.bridge.url}/profile/{profile}/directory"

    # ---- certbot ----

    def certbot(self, verb, *options):
        return run_client(self.directory, "certbot", verb, "--non-interactive", *PLACES, *options,
                          REQUESTS_CA_BUNDLE=self.bridge.root)

    def certonly(self, profile, *options):
        return self.certbot("certonly", "--agree-tos", "--register-unsafely-without-email", "--server",
                            self.directory_url(profile), "--webroot", "-w", self.webroot,
                            "--preferred-challenges", "http", *options)

    def renew(self, *options):
        """As a timer does it, only without the pause that spreads the load."""
        return self.certbot("renew", "--force-renewal", "--no-random-sleep-on-renew", *options)

    def revoke(self, profile, cert_path, *options):
        return self.certbot("revoke", "--server", self.directory_url(profile), "--no-delete-after-revoke",
                            "--cert-path", cert_path, *options)

    def good(self, result):
        """Of a command that has to succeed: what it printed."""
        code, output = result
        self.assertEqual(code, 0, output)
        return output

    def live(self, name=NAME):
        """The chain that certbot has for a name."""
        return self.read("config", "live", name, "fullchain.pem")

    # ---- lego ----

    def lego(self, profile, *options):
        return run_client(self.directory, "lego", "--path", "lego", "--server", self.directory_url(profile),
                          "--email", "admin@corp.example", "--accept-tos", "--http", "--http.webroot", self.webroot,
                          *options, "run", LEGO_CA_CERTIFICATES=self.bridge.root)

    # ---- the operator ----

    def ask(self, *words):
        done = self.bridge.run(*words, "--json", "--data-dir", self.bridge.data)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return json.loads(done.stdout)

    def orders(self):
        return [order["status"] for order in self.ask("order", "list")["orders"]]


def leaf_of(chain):
    return x509.load_pem_x509_certificate(chain.encode("ascii"))


class KeyfactorAndElb(Clients, KeyfactorCase):
    """One certificate of Command for two load balancers: one knows the key already, one gets it from certbot's file."""

    # As Command's manual has it: a renewal keeps the key.
    simulator_settings = {"renew_key": "same"}

    def setUp(self):
        super().setUp()
        self.prepare_clients()
        self.elb = ElbSimulator()
        self.addCleanup(self.elb.clean)
        self.prepare()
        self.bridge.secrets += [self.elb.password, self.elb.secret_key]
        self.keep = self.elb.make(names=[NAME], name="keep", bound=True)["id"]
        self.file = self.elb.make(names=[NAME], name="file", bound=True)["id"]
        key_file = self.path("config", "live", NAME, "privkey.pem")
        self.bridge.settings["deployers"] = [self.deployer("keep", self.keep, private_key="keep"),
                                             self.deployer("file", self.file, private_key_file=key_file)]
        self.bridge.settings["profiles"][1]["deploy"] = ["keep", "file"]
        self.bridge.start()

    def deployer(self, name, certificate_id, **key):
        ready = self.elb.ready
        return {"name": name, "type": "huawei-elb", "url": ready["url"], "project_id": ready["project_id"],
                "auth": {"access_key": {"id": ready["access_key"], "secret_file": ready["secret_key_file"]}},
                "ca_file": ready["tls_ca_file"], "requests_per_minute": 6000, "burst": 100,
                "certificate_id": certificate_id, **key}

    def deployments(self, name):
        """Newest first."""
        return [(one["status"], one["id"]) for one in self.ask("deploy", "list", "--deployer", name)["deployments"]]

    def have_ended(self, name, *statuses):
        """The deployments of a deployer are so in the end, newest first."""
        self.wait_until(lambda: [status for status, _ in self.deployments(name)] == list(statuses), 30)

    def check_live(self):
        """Both listeners show what certbot has."""
        for place in (self.keep, self.file):
            self.assertEqual(self.elb.live(place), leaf_sha256(self.live()), place)
            self.assertTrue(self.elb.look(place)["pair_fits"])

    def check_pair(self):
        """(leaf, key as PEM) that certbot has, after they were checked."""
        pem = self.read("config", "live", NAME, "privkey.pem")
        key = serialization.load_pem_private_key(pem.encode("ascii"), None)
        return self.check_certificate(self.live(), key, [NAME], self.kf.ready["root_file"], 2), pem

    def keys_sent(self, place):
        return [entry["key_sent"] for entry in self.elb.journal(certificate=place) if entry["effect"]]

    def test_issued_renewed_revoked(self):
        self.good(self.certonly(PROFILE, "--reuse-key", "-d", NAME))
        first, key = self.check_pair()
        self.have_ended("file", "deployed")
        # Nobody has brought the key to the other one yet: an operator does, once.
        self.have_ended("keep", "failed")
        self.elb.change(self.keep, certificate=self.live(), private_key=key)
        self.ask("deploy", "retry", self.deployments("keep")[0][1])
        self.have_ended("keep", "deployed")
        self.check_live()

        self.good(self.renew("--reuse-key"))
        second, _ = self.check_pair()
        self.assertNotEqual(first.serial_number, second.serial_number)
        self.assertEqual(public_der(first), public_der(second))
        for name in ("file", "keep"):
            self.have_ended(name, "deployed", "deployed, replaced since")
        self.check_live()
        self.assertEqual((self.keys_sent(self.keep), self.keys_sent(self.file)), ([False], [True, True]))
        stats = self.kf.stats()
        self.assertEqual((stats["enrollments"], stats["renewals"], len(self.kf.certificates(NAME))), (1, 1, 2))
        self.assertEqual(self.orders(), ["valid", "valid"])

        self.good(self.revoke(PROFILE, "config/live/" + NAME + "/cert.pem", "--reason", "superseded"))
        self.wait_until(lambda: [bool(one["revoked"]) for one in self.kf.certificates(NAME)] == [False, True])
        for name in ("file", "keep"):
            self.have_ended(name, "revoked, still in place", "deployed, replaced since")
            self.bridge.wait_for_log("ALERT a revoked certificate is still in place", f"deployer={name}")
        self.assertNotIn(key.split("\n")[2], self.bridge.log())


class CpsClients(Clients, CpsCase):
    def setUp(self):
        super().setUp()
        self.prepare_clients()

    def at_the_edge(self, enrollment):
        """The certificates in production, by kind of key."""
        live = self.cps.deployments(enrollment)["production"]
        return [leaf_of(item["certificate"])
                for item in [live["primaryCertificate"]] + (live["multiStackedCertificates"] or [])]

    def waiting_change(self, enrollment):
        """Somebody begins a change at Akamai: (its number, the file with its RSA request)."""
        change = self.cps.control("POST", f"/enrollments/{enrollment}/changes", {"origin": "foreign"})["pending"][0]
        self.cps.wait_phase(change, "upload")
        return change, self.write("cps.csr", self.cps.csrs(enrollment, change)["RSA"])

    def with_request(self, profile, request):
        """certbot with a CSR file: the chain it has left."""
        self.good(self.certonly(profile, "--csr", request, "--fullchain-path", "chain.pem",
                                "--cert-path", "cert.pem", "--chain-path", "upper.pem"))
        return self.read("chain.pem")


class EdgeKeys(CpsClients):
    def test_managed(self):
        """Akamai's CA signs; certbot is the clock, and has the certificate of the edge."""
        enrollment = self.enrollment("ov", NAME)
        self.bridge.start()
        meta = self.client(self.bridge, profile="edge").directory["meta"]
        self.assertIn("private key is made and stays at the Akamai edge", meta["profiles"]["edge"])
        self.good(self.certonly("edge", "-d", NAME))
        self.assertEqual(self.at_the_edge(enrollment), [leaf_of(self.live())])
        self.assert_changes(enrollment)
        first = leaf_of(self.live())
        self.good(self.renew())
        self.assertEqual(self.at_the_edge(enrollment), [leaf_of(self.live())])
        self.assertNotEqual(first.serial_number, leaf_of(self.live()).serial_number)
        self.assert_changes(enrollment, client=2)
        self.assertEqual(self.orders(), ["valid", "valid"])

    def test_signed_by_scm(self):
        """A dual-stacked third-party enrollment: two requests, two certificates of SCM, one order."""
        scm = self.make_simulator(*QUICK_SCM)
        self.bridge.add_scm(scm)
        enrollment = self.enrollment("third-party", NAME, dual_stack=True,
                                     options={"third_party_issuer": "sectigo"})
        self.bridge.start()
        self.good(self.certonly("edge", "-d", NAME))
        self.assertEqual(set(self.cps.look(enrollment)["production"]), {"RSA", "ECDSA"})
        self.assert_changes(enrollment)
        self.assertEqual(len(self.cps.journal(operation="upload", enrollment=enrollment)), 1)
        self.assertEqual(self.orders(), ["valid"])
        edge = {f"{leaf.serial_number:X}" for leaf in self.at_the_edge(enrollment)}
        self.assertEqual({serial for serial, _ in self.ordered(scm)}, edge)
        mine = leaf_of(self.live())
        self.assertIn(f"{mine.serial_number:X}", edge)
        self.check_certificate(self.live(), mine, [NAME], scm.ready["root_file"])

        self.good(self.revoke("edge", f"config/live/{NAME}/cert.pem", "--reason", "superseded"))
        self.bridge.wait_for_log('"certificate revoked"', "reason=4")
        self.assertEqual(dict(self.ordered(scm))[f"{mine.serial_number:X}"], "Revoked")

    @staticmethod
    def ordered(scm):
        """(serial, status) of SCM's requests."""
        return [(request["serial"].replace(":", "").lstrip("0"), request["status"])
                for request in scm.control("GET", "/stats")["requests"]]


class OwnRequests(CpsClients):
    def test_certbot_and_lego_with_the_request_of_cps(self):
        enrollment = self.enrollment("third-party", NAME, key_holder="client")
        self.bridge.start()
        _, request = self.waiting_change(enrollment)
        chain = self.with_request("edge", request)
        self.assertEqual(self.at_the_edge(enrollment), [leaf_of(chain)])
        self.assert_changes(enrollment, client=0, foreign=1)
        _, request = self.waiting_change(enrollment)
        self.good(self.lego("edge", "--csr", request))
        self.assertEqual(self.at_the_edge(enrollment), [leaf_of(self.read("lego", "certificates", f"{NAME}.crt"))])
        self.assert_changes(enrollment, client=0, foreign=2)

    def refused_at_finalize(self, enrollment, code, output, explanation):
        self.assertNotEqual(code, 0, output)
        for word in ("badCSR", "key_holder: edge"):
            self.assertIn(word, explanation)
        self.assertEqual(self.orders(), ["ready"])
        self.assert_changes(enrollment, client=0)

    def test_own_key_of_certbot(self):
        enrollment = self.enrollment("third-party", NAME, key_holder="client")
        self.bridge.start()
        code, output = self.certonly("edge", "-d", NAME)
        # This certbot stumbles over the problem before it shows it.
        self.refused_at_finalize(enrollment, code, output, self.read("logs", "letsencrypt.log"))

    def test_own_key_of_lego(self):
        enrollment = self.enrollment("third-party", NAME, key_holder="client")
        self.bridge.start()
        code, output = self.lego("edge", "-d", NAME)
        self.refused_at_finalize(enrollment, code, output, output)

    def test_pushed_to_the_edge(self):
        """SCM's profile with a deployer to the edge, for the request of CPS."""
        scm = self.make_simulator(*QUICK_SCM)
        enrollment = self.cps.make("third-party", NAME)
        # No issuer at Akamai, only the deployer.
        del self.bridge.settings["issuers"][1]
        self.bridge.add_scm(scm)
        self.bridge.settings["deployers"] = [{**cps_issuer(self.cps, name="edge"),
                                              "enrollment": {"id": enrollment, "acknowledge": "auto"}}]
        self.bridge.settings["profiles"][1]["deploy"] = ["edge"]
        self.bridge.start()
        change, request = self.waiting_change(enrollment)
        chain = self.with_request("scm", request)
        self.cps.wait_phase(change, "completed", 30)
        self.assertEqual(self.at_the_edge(enrollment), [leaf_of(chain)])
        self.assert_changes(enrollment, client=0, foreign=1)


if __name__ == "__main__":
    unittest.main()
