"""Base of the conformance tests: the server, accounts, and what `@shows` says about a test.

A test names the clauses of clauses.txt that it shows; document.py makes docs/conformance.md of that.
"""

import sys
import unittest

from surroundings import WORLD  # first: it makes the harness known

from client import Acme  # noqa: E402,I001


def shows(*clauses):
    """The clauses that a test shows; read by document.py from the source."""
    def mark(test):
        test.shows = clauses
        return test
    return mark


class ConformanceCase(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.site = WORLD.main()
        cls.services = cls.site.services
        cls.web, cls.alpn, cls.dns = cls.services.web, cls.services.alpn, cls.services.dns
        cls.clients = []
        cls.addClassCleanup(cls.close_clients)
        cls.acme = cls.connect_class(cls.site)
        cls.acme.register(contact=["mailto:admin@example.com"])

    @classmethod
    def tearDownClass(cls):
        """Sanitizer reports and credentials in our own server's log are failures."""
        if cls.site.bridge is not None:
            cls.site.bridge.check_log()

    @classmethod
    def close_clients(cls):
        for client in cls.clients:
            client.close()

    @classmethod
    def connect_class(cls, site, **options):
        client = Acme(site, **options)
        cls.clients.append(client)
        return client

    def connect(self, site=None, **options):
        """A client of its own, without an account."""
        client = Acme(site or self.site, **options)
        self.addCleanup(client.close)
        return client

    def newcomer(self, site=None, **options):
        """A client with a new account."""
        client = self.connect(site, **options)
        client.register()
        return client

    def name(self, label="n", **options):
        return self.services.name(label, **options)

    def run(self, result=None):
        """Shows the end of our own server's log when the test has failed."""
        result = result or self.defaultTestResult()
        before = len(result.failures) + len(result.errors)
        super().run(result)
        bridge = WORLD.known_main.bridge if WORLD.known_main else None
        if bridge is not None and len(result.failures) + len(result.errors) > before:
            print(f"---- acmebridge's log, {self.id()}\n{bridge.log()[-3000:]}\n----", file=sys.stderr)
        return result

    def need(self, there, feature):
        """Without the feature a foreign server's test is skipped; our own server has to have it."""
        if not there:
            self.skipTest(f"the server does not offer {feature}")

    def skipTest(self, reason):
        """At our own server nothing is skipped: what is missing there is a failure."""
        if self.site.own:
            self.fail(reason)
        super().skipTest(reason)

    def need_route(self, name):
        self.need(name in self.acme.directory, name)
        return self.acme.directory[name]

    def need_challenge(self, kind, *items):
        """A pending order for the items, or a new name, whose authorizations all offer the challenge type."""
        response = self.acme.ask_order(*(items or (self.name(),)))
        self.need(response.status == 201, f"{kind} for {items}")
        order_url, order = response.location, response.json
        for _, authorization in self.acme.authorizations(order):
            self.need(self.acme.pick(authorization, kind), kind)
        return order_url, order

    def need_own(self, why):
        if not self.site.own:
            self.skipTest(f"only for a server that the suite starts itself: {why}")

    def refused(self, response, status, *problems):
        """A problem of one of the types; status is a number or several."""
        statuses = status if isinstance(status, tuple) else (status,)
        self.assertIn(response.status, statuses, response.describe())
        self.assertIn(response.problem, problems, response.describe())
        self.assertGreater(len(response.detail), 10, response.describe())
        return response
