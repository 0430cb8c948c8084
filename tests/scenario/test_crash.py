#!/usr/bin/python3
"""kill -9 of the server in the middle of orders: none is lost, none is enrolled twice.

The moments are random; ACME_TEST_SEED repeats a run. ACME_TEST_KILLS says how often (scripts/crash).
"""

import http.client
import json
import os
import random
import sqlite3
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from harness.acme import AcmeError, Client, digest  # noqa: E402 (found through the line above)
from harness.case import Case  # noqa: E402
from harness.keys import certificate_key, csr_der  # noqa: E402

SCM_CLIENTS = 50
LOCAL_CLIENTS = 4
KILLS = int(os.environ.get("ACME_TEST_KILLS") or 20)
# An enroll that may or may not have arrived is looked for over the time it may have been on its way (90 s) and a
# minute more, or two, or four, before another one is sent. A short run does not wait for that.
SHORT = KILLS <= 20
LIMIT = 45 if SHORT else 400
DISTURBANCES = (OSError, http.client.HTTPException)


class Siege:
    """What the clients of one run share: until when orders are made, and until when they may take."""

    def __init__(self):
        self.over = threading.Event()
        self.deadline = float("inf")

    def end(self):
        self.deadline = time.monotonic() + LIMIT
        self.over.set()


class Late(AssertionError):
    """An order that is not over in time."""


class Certificate:
    """One order's: the name is taken by no other order."""

    def __init__(self, name):
        self.names = [name]
        self.key = certificate_key()
        self.csr = csr_der(self.names, self.key)
        self.chain = None


class Persistent(threading.Thread):
    """A client that does not mind a server that goes away now and then. It orders one certificate after the other
    until the siege is over."""

    def __init__(self, bridge, responder, number, profile, siege):
        super().__init__(name=f"client {number} ({profile})", daemon=True)
        self.client = Client(bridge, profile=profile)
        self.responder = responder
        self.number = number
        self.profile = profile
        self.siege = siege
        self.certificates = []
        self.order_url = None
        self.disturbances = 0
        self.error = None

    def insist(self, action, *arguments, **options):
        """Repeats an action until the server has answered it."""
        while True:
            try:
                return action(*arguments, **options)
            except DISTURBANCES as error:
                self.disturbances += 1
                if time.monotonic() > self.siege.deadline:
                    raise AssertionError(f"no answer in time, the last error: {error!r}") from error
                self.client.close()
                self.client.nonces = []
                time.sleep(0.2)

    def status(self, url):
        return self.insist(self.client.fetch, url).json["status"]

    def settle(self, url, until):
        while self.status(url) not in until:
            if time.monotonic() > self.siege.deadline:
                raise Late(f"{url} is {self.status(url)} {LIMIT} s after the last kill")
            time.sleep(0.5)

    def get_certificate(self):
        wanted = Certificate(f"n{self.number}-{len(self.certificates)}.crash.localhost")
        self.certificates.append(wanted)
        order_url, order = self.insist(self.client.new_order, *wanted.names)
        self.order_url = order_url
        for url in order["authorizations"]:
            challenge = self.insist(self.client.challenge_of, url)
            token = challenge["token"]
            self.responder.answer(token, f"{token}.{self.client.key.thumbprint()}")
            self.insist(lambda: self.client.expect(self.client.post(challenge["url"], {}), 200))
            self.settle(url, ("valid", "invalid"))
        # A finalize whose answer was lost is sent again, as clients do.
        self.insist(lambda: self.client.expect(self.client.finalize(order_url, order, wanted.csr), 200))
        self.settle(order_url, ("valid", "invalid"))
        settled = self.insist(self.client.fetch, order_url).json
        if settled["status"] != "valid":
            raise AssertionError(f"{order_url} was lost: {settled}")
        wanted.chain = self.insist(self.client.download, settled)

    def work(self):
        self.insist(lambda: self.client.directory)
        self.insist(self.client.register)
        while not self.certificates or not self.siege.over.is_set():
            self.get_certificate()

    def run(self):
        try:
            self.work()
        except Exception as error:  # shown by the main thread, with the order it belongs to
            self.error = error
        finally:
            self.client.close()


class KillTheServer(Case):
    def crash(self, bridge):
        bridge.kill()
        bridge.restart()

    def wait_for_enroll(self, simulator):
        deadline = time.monotonic() + 20
        while not simulator.control("GET", "/stats")["enroll_attempts"]:
            self.assertLess(time.monotonic(), deadline, "no enroll arrived")
            time.sleep(0.02)

    def check_enrolled_once(self, simulator, csrs):
        """The simulator has exactly these CSRs, each once."""
        stats = simulator.control("GET", "/stats")
        self.assertEqual(stats["duplicate_csrs"], [])
        self.assertEqual(sorted(request["csr_sha256"] for request in stats["requests"]),
                         sorted(digest(csr) for csr in csrs))
        return stats

    def is_searched_for(self, bridge, order_url):
        """The server has kept the order, knows that an enroll may be out, and has not found it at SCM, so that
        check_enrolled_once may count without it."""
        database = sqlite3.connect(f"file:{os.path.join(bridge.data, 'acmebridge.db')}?mode=ro", uri=True)
        found = database.execute("SELECT o.status, j.state FROM orders o JOIN jobs j ON j.subject_id = o.issuance_id"
                                 " WHERE o.id = ?", (order_url.rsplit("/", 1)[1],)).fetchall()
        database.close()
        self.assertEqual([(status, json.loads(state)["phase"]) for status, state in found],
                         [("processing", "recover")], order_url)

    def besiege(self, bridge, siege, moments):
        for _ in range(KILLS):
            time.sleep(moments.uniform(0.05, 1.2))
            self.crash(bridge)
        siege.end()

    def test_in_the_middle_of_orders(self):
        seed = int(os.environ.get("ACME_TEST_SEED") or random.SystemRandom().randrange(10 ** 6))
        begin = time.monotonic()
        simulator = self.make_simulator("--approval-delay", "0.5", "--ca-delay", "3")
        # Calls that take a while are more likely to be under way when the server dies: some enrolls are
        # processed only after that, others before, and nobody is there for the answer.
        for operation, fault, times in (("enroll", "delay", 5 + KILLS // 2), ("enroll", "delay-after", -1),
                                        ("details", "delay-after", -1)):
            simulator.control("POST", "/faults", {"operation": operation, "fault": fault, "delay_s": 0.4,
                                                  "times": times})
        responder = self.make_responder()
        bridge = self.make_bridge(responder.port, simulator)
        bridge.scm["max_concurrency"] = 16
        bridge.start()
        siege = Siege()
        clients = [Persistent(bridge, responder, number, "scm" if number < SCM_CLIENTS else None, siege)
                   for number in range(SCM_CLIENTS + LOCAL_CLIENTS)]
        for client in clients:
            client.start()
        self.wait_for_enroll(simulator)
        self.besiege(bridge, siege, random.Random(seed))
        besieged = time.monotonic()
        for client in clients:
            client.join(max(1, siege.deadline + 20 - time.monotonic()))
        late = [client for client in clients if SHORT and isinstance(client.error, Late)]
        self.assertLess(len(late), SCM_CLIENTS // 2)
        for client in late:
            self.is_searched_for(bridge, client.order_url)
            client.error = None
            client.certificates.pop()
        self.assertEqual([client.name for client in clients if client.is_alive()], [])
        self.assertEqual([(client.name, str(client.error)) for client in clients if client.error], [])
        self.assertGreater(sum(client.disturbances for client in clients), 0, "no client noticed the kills")
        for client in clients:
            root = simulator.ready["root_file"] if client.profile else bridge.root
            for certificate in client.certificates:
                self.check_certificate(certificate.chain, certificate.key, certificate.names, root)
        wanted = [certificate.csr for client in clients if client.profile for certificate in client.certificates]
        stats = self.check_enrolled_once(simulator, wanted)
        self.assertEqual([request for request in stats["requests"] if request["status"] != "Issued"], [])
        searches = len(bridge.log_lines("It is not known whether SCM took the enroll"))
        self.assertGreater(searches, 0, "no kill met an enroll under way")
        print(f"test_crash: ACME_TEST_SEED={seed}: {KILLS} kills in {besieged - begin:.0f} s, all over after "
              f"{time.monotonic() - begin:.0f} s; {len(wanted)} orders of {SCM_CLIENTS} clients at SCM: 0 lost, "
              f"0 enrolled twice, every certificate issued was downloaded; {len(late)} more were still being searched "
              f"for; {searches} times a job began without knowing what became of its enroll, "
              f"{stats['enroll_attempts']} enrolls arrived",
              file=sys.stderr)
        bridge.stop()

    def interrupted_enroll(self, fault, seen):
        """Kills the server once the simulator has processed an enroll and before the answer is out."""
        simulator = self.make_simulator("--approval-delay", "0", "--ca-delay", "0")
        simulator.control("POST", "/faults", {"operation": "enroll", **fault})
        responder = self.make_responder()
        bridge = self.make_bridge(responder.port, simulator)
        bridge.settings["orders"] = {"finalize_hold_ms": 0}
        bridge.start()
        client = self.client(bridge, profile="scm")
        name = f"{seen}.crash.localhost"
        order_url, key, csr = client.begin(responder, name)
        deadline = time.monotonic() + 10
        while not simulator.control("GET", "/stats")["requests"]:
            self.assertLess(time.monotonic(), deadline, "the enroll never arrived")
            time.sleep(0.005)
        self.crash(bridge)
        client.close()
        client.nonces = []
        order = client.poll(order_url, ("valid", "invalid"), 30)
        self.assertEqual(order["status"], "valid", order)
        self.check_certificate(client.download(order), key, [name], simulator.ready["root_file"])
        stats = self.check_enrolled_once(simulator, [csr])
        self.assertEqual(stats["enroll_attempts"], 1)
        return bridge

    def test_between_enroll_and_its_answer(self):
        self.interrupted_enroll({"fault": "delay-after", "delay_s": 30.0}, "answer")

    def test_when_the_answer_to_enroll_was_lost(self):
        self.interrupted_enroll({"fault": "drop-after"}, "lost")

    def test_old_nonces_are_refused_and_replaced(self):
        responder = self.make_responder()
        bridge = self.make_bridge(responder.port)
        bridge.start()
        client = self.client(bridge)
        client.register()
        stale = client.new_nonce()
        self.crash(bridge)
        client.close()
        with self.assertRaises(AcmeError) as caught:
            client.expect(client.post(client.account, nonce=stale), 200)
        self.refused(caught.exception.response, 400, "badNonce")
        self.assertEqual(client.post(client.account, nonce=caught.exception.response.nonce).status, 200)


if __name__ == "__main__":
    unittest.main()
