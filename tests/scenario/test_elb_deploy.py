#!/usr/bin/python3
"""Certificates of a running server go into the load balancer: both logins, each way to have the key, renewals,
revocation, and refusals that an operator has to act upon."""

import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from elb_case import ElbDeployCase  # noqa: E402 (found through the line above)
from elbsim.control import key_text  # noqa: E402
from test_revocation import der_of, revoke  # noqa: E402

MODES = ("keep", "file", "create")
LOGINS = ("access_key", "iam")


class Deployed(ElbDeployCase):
    def test_each_way(self):
        """Issued and renewed with the same key: each is live in a handshake."""
        places = [self.place(f"{mode}-{login.replace('_', '-')}", mode, login) for mode in MODES for login in LOGINS]
        self.serve()
        self.obtain(*places)
        self.in_place(*places)
        first = {place.label: place.sha256 for place in places}
        self.obtain(*places)
        self.wait_for(lambda: all(len(self.deployments(place.label)) == 2 for place in places), "second deployments")
        self.in_place(*places)
        for place in places:
            self.assertNotEqual(place.sha256, first[place.label])
            entries = self.elb.journal(certificate=place.made["id"])
            changes = [entry for entry in entries if entry["effect"]]
            self.assertEqual([entry["key_sent"] for entry in changes], [place.mode != "keep"] * 2)
            self.assertEqual({entry["login"] for entry in entries},
                             {"aksk" if place.login == "access_key" else "token"})
        identity = self.elb.identity()
        self.assertEqual((identity["all_failures"], identity["refused_passwords"]), (0, 0))
        self.assertLessEqual(identity["tokens"], 2, "one token for all")
        kept = self.bridge.log().encode("utf-8") + self.bridge.stored()
        self.assertIn(places[0].host.encode("ascii"), kept)
        for place in places:
            self.assertNotIn(key_text(place.key).split("\n")[1].encode("ascii"), kept)

    def test_tokens_end(self):
        place = self.place("token", login="iam")
        self.serve()
        self.obtain(place)
        self.in_place(place)
        for how in ("expire", "forget"):
            self.elb.control("POST", f"/tokens/{how}")
            count = len(self.deployments())
            self.obtain(place)
            self.wait_for(lambda count=count: len(self.deployments()) > count, "another deployment")
            self.in_place(place)
        self.assertEqual(self.elb.identity()["refused_passwords"], 0)

    def test_late_key_file(self):
        """The client writes its key after it has fetched the certificate."""
        place = self.place("late", "file")
        os.unlink(place.key_file)
        self.serve()
        self.obtain(place)
        self.bridge.wait_for_log("Waits for the private key")
        self.write_key(place.key_file, place.key)
        self.in_place(place)

    def test_revoked(self):
        place = self.place("revoked")
        self.serve()
        self.obtain(place)
        self.in_place(place)
        self.assertEqual(revoke(self.acme, der_of(place.chain)).status, 200)
        line = self.bridge.wait_for_log("ALERT a revoked certificate is still in place")[0]
        self.assertIn("revoked", line)
        self.assertEqual(self.elb.live(place.made["id"]), place.sha256, "nothing else is there to put in place")
        listed = self.ask("deploy", "list")["deployments"]
        self.assertEqual([item["status"] for item in listed], ["revoked, still in place"])
        self.obtain(place)
        self.wait_for(lambda: len(self.deployments()) == 2, "another deployment")
        self.in_place(place)


class Operated(ElbDeployCase):
    def test_first_time_with_keep(self):
        """As docs/deploy-huawei-elb.md has it: the first certificate and the key are put there by hand."""
        place = self.place("first")
        self.elb.change(place.made["id"], names=["default.test"])
        self.serve()
        self.obtain(place)
        self.ended(place, "failed")
        self.bridge.wait_for_log("ALERT", "deployer=first")
        listed = self.ask("deploy", "list", "--status", "failed")["deployments"]
        self.assertEqual([item["deployer"] for item in listed], ["first"])
        shown = self.ask("deploy", "show", listed[0]["id"])["deployment"]
        self.assertIn("has another key", str(shown))
        self.elb.change(place.made["id"], certificate=place.chain, private_key=key_text(place.key))
        self.ask("deploy", "retry", listed[0]["id"])
        self.wait_for(lambda: self.deployments()[0][0] == "deployed", "the end of the retry")
        self.assertEqual(self.elb.journal(operation="update", certificate=place.made["id"]), [], "it was there already")
        self.obtain(place)
        self.wait_for(lambda: len(self.deployments()) == 2, "another deployment")
        self.in_place(place)

    def test_made_object(self):
        """Its id is remembered over a restart, and shown."""
        place = self.place("made", "create")
        self.serve()
        self.obtain(place)
        self.in_place(place)
        self.bridge.kill()
        self.restart()
        self.obtain(place)
        self.wait_for(lambda: len(self.deployments()) == 2, "another deployment")
        self.in_place(place)
        listed = self.ask("deploy", "list")["deployments"]
        self.assertEqual([item["status"] for item in listed], ["deployed", "deployed, replaced since"])
        self.assertEqual({item["target"] for item in listed}, {place.made["id"]})
        self.assertEqual(len(self.elb.objects()), 1)

    def test_superseded(self):
        """An older certificate that waits for its key makes room for a newer one."""
        place = self.place("newer", "file")
        os.unlink(place.key_file)
        self.serve()
        self.obtain(place)
        self.bridge.wait_for_log("Waits for the private key")
        self.write_key(place.key_file, place.key)
        self.obtain(place)
        self.wait_for(lambda: len(self.deployments()) == 2, "another deployment")
        self.in_place(place)
        self.wait_for(lambda: self.deployments()[0][0] != "pending", "the end of the first")
        self.assertEqual([status for status, _ in self.deployments()], ["superseded", "deployed"])
        self.assertEqual(len(self.elb.look(place.made["id"])["history"]), 2)


class Refused(ElbDeployCase):
    def test_refusals(self):
        """Each fails with an explanation; the client has its certificate all the same."""
        other, gone, denied, protected, content, quota = (self.place(label) for label in (
            "other", "gone", "denied", "client", "content", "quota"))
        create = self.place("full", "create")
        self.elb.change(other.made["id"], names=[other.host])
        self.elb.remove(gone.made["id"])
        self.elb.change(protected.made["id"], type="client")
        fault = {"description": "words of the simulator"}
        self.elb.fault("update", "error", name=denied.made["id"], status=403, error_code="ELB.1101", **fault)
        self.elb.fault("update", "error", name=content.made["id"], status=400, error_code="ELB.1011", **fault)
        self.elb.fault("update", "error", name=quota.made["id"], status=409, error_code="ELB.8907",
                       description="The domain cannot be emptied.")
        self.elb.settings(quota=len(self.elb.objects()))
        self.addCleanup(self.elb.settings, quota=1000)
        self.serve()
        places = (other, gone, denied, protected, content, quota, create)
        self.obtain(*places)
        for place, words in ((other, ("has another key", "private_key_file")), (gone, ("ELB.8904",)),
                             (denied, ("403", "elb:certificates")), (protected, ("type client",)),
                             (content, ("ELB.1011",)), (quota, ("domains",)), (create, ("quota",))):
            error = self.ended(place, "failed")
            for word in words:
                self.assertIn(word, error)
        self.assertEqual(self.elb.journal(operation="update", certificate=other.made["id"]), [], "nothing was sent")

    def test_wrong_secret(self):
        """Six deployers, and the access key is tried by the look at the start and by one job: five failures would
        lock it."""
        self.bridge.secrets.append("not the secret")
        wrong = os.path.join(self.bridge.directory, "wrong-secret")
        with open(os.open(wrong, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as stream:
            stream.write("not the secret\n")
        login = {"access_key": {"id": self.elb.ready["access_key"], "secret_file": wrong}}
        places = [self.place(f"wrong{number}", auth=login) for number in range(6)]
        before = self.elb.identity()["all_failures"]
        self.serve()
        self.obtain(*places)
        self.bridge.wait_for_log("refused logins lock the account")
        time.sleep(4)
        self.assertLessEqual(self.elb.identity()["all_failures"] - before, 2)
        self.assertEqual({status for status, _ in self.deployments()}, {"pending"})
        self.acme.close()
        self.bridge.kill()
        self.bridge.start()
        time.sleep(3)
        self.assertLessEqual(self.elb.identity()["all_failures"] - before, 2, "not even over a restart")
        self.assertFalse(self.elb.identity()["locked"])

    def test_wrong_password(self):
        wrong = os.path.join(self.bridge.directory, "wrong-password")
        with open(os.open(wrong, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as stream:
            stream.write("not the password\n")
        login = self.login_of("iam")
        login["iam"]["password_file"] = wrong
        places = [self.place(f"wrong{number}", auth=login) for number in range(3)]
        before = self.elb.identity()["refused_passwords"]
        self.serve()
        self.obtain(*places)
        self.wait_for(lambda: self.elb.identity()["refused_passwords"] > before, "a refused password")
        time.sleep(4)
        self.assertEqual(self.elb.identity()["refused_passwords"] - before, 1)
        self.acme.close()
        self.bridge.kill()
        self.bridge.start()
        time.sleep(3)
        self.assertEqual(self.elb.identity()["refused_passwords"] - before, 1, "not even over a restart")
        self.assertEqual({status for status, _ in self.deployments()}, {"pending"})


if __name__ == "__main__":
    unittest.main()
