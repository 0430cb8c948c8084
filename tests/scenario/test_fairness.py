#!/usr/bin/python3
"""A thousand validations that hang on dead hosts do not delay the requests and the validations of others."""

import os
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from harness.acme import Client  # noqa: E402 (found through the line above)
from harness.case import Case  # noqa: E402
from harness.deadhosts import DEAD, DeadHosts, SilentDns  # noqa: E402
from harness.latency import Latency  # noqa: E402

DEAD_NAMES = 1000
NAMES_PER_ORDER = 100
PLACES = 1024
WAIT_SECONDS = 10  # of one try on a host that never answers
ORDER_SECONDS = 4  # well below that, and far above what an order takes


class Crowd:
    """One account, with a share of the dead names."""

    def __init__(self, case, bridge, first, count, domain):
        self.client = case.client(bridge, timeout=60)
        self.names = [f"d{number}{domain}" for number in range(first, first + count)]
        self.orders = []
        self.challenges = []

    def prepare(self):
        for at in range(0, len(self.names), NAMES_PER_ORDER):
            url, order = self.client.new_order(*self.names[at:at + NAMES_PER_ORDER])
            self.orders.append(url)
            self.challenges += [self.client.challenge_of(each)["url"] for each in order["authorizations"]]

    def trigger(self):
        for url in self.challenges:
            Client.expect(self.client.post(url, {}), 200)


def in_threads(functions, threads=4):
    """Runs them all; the first error is raised again."""
    errors = []
    waiting = list(functions)

    def work():
        while waiting and not errors:
            try:
                waiting.pop()()
            except IndexError:
                return
            except Exception as error:  # noqa: BLE001 (handed over)
                errors.append(error)

    running = [threading.Thread(target=work) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if errors:
        raise errors[0]


class Fairness(Case):
    def start(self, accounts, domain=DEAD, **validation):
        """A server with all of the dead names' validations under way."""
        hosts = DeadHosts()
        self.addCleanup(hosts.stop)
        bridge = self.make_bridge(hosts.port)
        bridge.settings["validation"].update({"max_concurrency": PLACES, **validation})
        bridge.start()
        each = DEAD_NAMES // accounts
        crowds = [Crowd(self, bridge, number * each, each, domain) for number in range(accounts)]
        in_threads(crowd.prepare for crowd in crowds)
        in_threads(crowd.trigger for crowd in crowds)
        return bridge, hosts, crowds

    def orders_meanwhile(self, bridge, hosts):
        """The seconds that orders of a new client take while the others hang."""
        seconds = []
        client = self.client(bridge)
        domain = "example" if "resolvers" in bridge.settings["validation"] else "localhost"
        for number in range(5):
            begin = time.monotonic()
            client.obtain(hosts, f"alive-{number}.{domain}")
            seconds.append(time.monotonic() - begin)
        return seconds

    def check_others(self, bridge, hosts, at_least, at_most):
        """Others are served while at least so many hang."""
        self.assertGreaterEqual(hosts.holding, at_least)
        with Latency(bridge) as latency:
            seconds = self.orders_meanwhile(bridge, hosts)
        held = hosts.holding
        print(f"{held} of {DEAD_NAMES} hang in a connection: orders in "
              f"{', '.join(f'{each:.2f}' for each in seconds)} s, newNonce {latency}", file=sys.stderr)
        self.assertLess(max(seconds), ORDER_SECONDS)
        self.assertLess(latency.percentile(0.99), 0.25)
        self.assertLessEqual(hosts.most_held, at_most)

    def check_drained(self, bridge, hosts, crowds):
        """When the dead hosts hang up at last, every order ends, and the accounts are as good as before."""
        hosts.release()
        for crowd in crowds:
            for url in crowd.orders:
                self.assertEqual(crowd.client.poll(url, ("invalid",), 60, 0.5)["status"], "invalid")
        crowds[0].client.obtain(hosts, "alive.localhost")
        deadline = time.monotonic() + 30
        while len(bridge.log_lines("challenge invalid")) < DEAD_NAMES:
            self.assertLess(time.monotonic(), deadline, "validations got lost")
            time.sleep(0.5)
        self.assertEqual(len(bridge.log_lines("challenge invalid")), DEAD_NAMES)

    def test_one_account(self):
        bridge, hosts, crowds = self.start(1)
        # Half of the places is one account's at most; the rest of its jobs waits in the store.
        self.check_others(bridge, hosts, PLACES // 4, PLACES // 2 + 8)
        self.check_drained(bridge, hosts, crowds)

    def test_fifty_accounts(self):
        bridge, hosts, crowds = self.start(50)
        self.check_others(bridge, hosts, PLACES // 2, PLACES)
        self.check_drained(bridge, hosts, crowds)

    def test_names_without_dns(self):
        dns = SilentDns()
        self.addCleanup(dns.stop)
        bridge, hosts, crowds = self.start(1, dns.DEAD, resolvers=[dns.address])
        self.assertGreaterEqual(len(dns.unanswered), PLACES // 4)
        self.check_others(bridge, hosts, 0, 8)
        dns.release()
        self.check_drained(bridge, hosts, crowds)

    def test_waiting_validations_outlive_a_restart(self):
        bridge, hosts, crowds = self.start(1)
        self.assertGreaterEqual(hosts.holding, PLACES // 4)
        bridge.stop()
        hosts.release()
        bridge.restart()
        for crowd in crowds:
            crowd.client.close()
        self.check_drained(bridge, hosts, crowds)


if __name__ == "__main__":
    unittest.main()
