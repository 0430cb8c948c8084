#!/usr/bin/python3
"""kill -9 of the server in the middle of orders: none is lost, none is enrolled twice.

The moments are random; ACME_TEST_SEED repeats a run.
"""

import http.client
import os
import random
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from harness.acme import AcmeError, Client, digest  # noqa: E402 (found through the line above)
from harness.case import Case  # noqa: E402
from harness.keys import certificate_key, csr_der  # noqa: E402

ORDERS = 20
KILLS = 3
# An enroll that may or may not have arrived is searched for a minute before another one is sent.
LIMIT = 200
DISTURBANCES = (OSError, http.client.HTTPException)


class Persistent(threading.Thread):
    """A client that wants one certificate and does not mind a server that goes away now and then."""

    def __init__(self, bridge, responder, number, profile):
        super().__init__(name=f"order {number} ({profile})", daemon=True)
        self.client = Client(bridge, profile=profile)
        self.responder = responder
        self.profile = profile
        self.names = [f"n{number}.crash.localhost"]
        self.key = certificate_key()
        self.csr = csr_der(self.names, self.key)
        self.deadline = time.monotonic() + LIMIT
        self.order_url = None
        self.orders_made = 0
        self.disturbances = 0
        self.chain = None
        self.error = None

    def insist(self, action, *arguments, **options):
        """Repeats an action until the server has answered it."""
        while True:
            try:
                return action(*arguments, **options)
            except DISTURBANCES as error:
                self.disturbances += 1
                if time.monotonic() > self.deadline:
                    raise AssertionError(f"no answer in time, the last error: {error!r}") from error
                self.client.nonces = []
                time.sleep(0.2)

    def status(self, url):
        return self.insist(self.client.fetch, url).json["status"]

    def settle(self, url, until):
        while self.status(url) not in until:
            if time.monotonic() > self.deadline:
                raise AssertionError(f"{url} is {self.status(url)} after {LIMIT} s")
            time.sleep(0.3)

    def make_order(self):
        self.order_url, order = self.client.new_order(*self.names)
        self.orders_made += 1
        return order

    def work(self):
        self.insist(lambda: self.client.directory)
        self.insist(self.client.register)
        order = self.insist(self.make_order)
        for url in order["authorizations"]:
            challenge = self.insist(self.client.challenge_of, url)
            token = challenge["token"]
            self.responder.answer(token, f"{token}.{self.client.key.thumbprint()}")
            self.insist(lambda: self.client.expect(self.client.post(challenge["url"], {}), 200))
            self.settle(url, ("valid", "invalid"))
        # A finalize whose answer was lost is sent again, as clients do.
        self.insist(lambda: self.client.expect(self.client.finalize(self.order_url, order, self.csr), 200))
        self.settle(self.order_url, ("valid", "invalid"))
        settled = self.insist(self.client.fetch, self.order_url).json
        if settled["status"] != "valid":
            raise AssertionError(f"{self.order_url} was lost: {settled}")
        self.chain = self.insist(self.client.download, settled)

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

    def test_in_the_middle_of_twenty_orders(self):
        seed = int(os.environ.get("ACME_TEST_SEED") or random.SystemRandom().randrange(10 ** 6))
        print(f"test_crash: ACME_TEST_SEED={seed}", file=sys.stderr)
        moments = random.Random(seed)
        simulator = self.make_simulator("--approval-delay", "0.5", "--ca-delay", "4")
        # Calls that take a while are more likely to be under way when the server dies: some enrolls are
        # processed only after that, others before, and nobody is there for the answer.
        for operation, fault, times in (("enroll", "delay", 5), ("enroll", "delay-after", -1),
                                        ("details", "delay-after", -1)):
            simulator.control("POST", "/faults", {"operation": operation, "fault": fault, "delay_s": 0.4,
                                                  "times": times})
        responder = self.make_responder()
        bridge = self.make_bridge(responder.port, simulator)
        bridge.start()
        clients = [Persistent(bridge, responder, number, "scm" if number % 2 else None)
                   for number in range(ORDERS)]
        for client in clients:
            client.start()
        self.wait_for_enroll(simulator)
        for _ in range(KILLS):
            time.sleep(moments.uniform(0.05, 0.9))
            self.assertTrue(any(client.is_alive() for client in clients), "all was over before the kill")
            self.crash(bridge)
        for client in clients:
            client.join(max(1, client.deadline + 20 - time.monotonic()))
        self.assertEqual([client.name for client in clients if client.is_alive()], [])
        self.assertEqual([(client.name, str(client.error)) for client in clients if client.error], [])
        self.assertGreater(sum(client.disturbances for client in clients), 0, "no client noticed the kills")
        for client in clients:
            root = simulator.ready["root_file"] if client.profile else bridge.root
            self.check_certificate(client.chain, client.key, client.names, root)
        self.check_enrolled_once(simulator, [client.csr for client in clients if client.profile])
        self.assertTrue(bridge.log_lines("It is not known whether SCM took the enroll"),
                        "no kill met an enroll under way")
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
