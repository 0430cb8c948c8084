#!/usr/bin/python3
"""Orders: RFC 8555 sections 7.1.2.1, 7.1.3, 7.4 and 7.4.1."""

import datetime
import re
import time
import unittest

from case import ConformanceCase, shows
from client import identifier
from surroundings import start_own

TIME = re.compile(r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)\Z")


def stamp(**delta):
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    return (now + datetime.timedelta(**delta)).strftime("%Y-%m-%dT%H:%M:%SZ")


class NewOrder(ConformanceCase):
    @shows("8555-7.1.3-1", "8555-7.4-10", "contract-7", "contract-9", "contract-15", "checklist-51", "checklist-57",
           "checklist-112")
    def test_new_order(self):
        names = [self.name("z"), self.name("a")]
        response = self.acme.ask_order(*names)
        self.assertEqual(response.status, 201, response.describe())
        order = response.json
        self.assertEqual(order["status"], "pending")
        found = [item["value"] for item in order["identifiers"]]
        self.assertEqual(found if self.site.own else sorted(found), names if self.site.own else sorted(names))
        self.assertRegex(order["expires"], TIME)
        self.assertEqual(len(order["authorizations"]), 2)
        self.assertTrue(order["finalize"].startswith("https://"))
        self.assertNotIn("certificate", order)
        self.assertNotIn("error", order)
        self.assertEqual(self.acme.fetch(response.location).json, order)
        for _, authorization in self.acme.authorizations(order):
            self.assertIn(authorization["identifier"], order["identifiers"])
            self.assertEqual(authorization["status"], "pending")

    @shows("contract-7", "checklist-88")
    def test_every_order_has_a_url_of_its_own(self):
        issued = self.acme.issue(name := self.name())
        urls = {issued.order_url}
        for _ in range(3):
            urls.add(self.acme.place(name)[0])
        self.assertEqual(len(urls), 4)

    @shows("8555-7.4-1", "8555-7.1.4-3", "checklist-52", "checklist-53")
    def test_names_no_certificate_can_have(self):
        wrong = ["", "-a.example", "a-.example", ".a.example", "a..example", "a b.example", "bücher.example",
                 "a.*.example", "*", "*.*.example", "x" * 64 + ".example", ".".join(["x" * 60] * 5), "a.example:80",
                 "https://a.example", "a\n.example", "127.0.0.1", "a.example\0.evil"]
        for name in wrong:
            with self.subTest(name=name):
                self.refused(self.acme.ask_order(("dns", name)), (400, 403), "rejectedIdentifier", "malformed")
        for kind in ("email", "permanent-identifier", "DNS", ""):
            with self.subTest(kind=kind):
                self.refused(self.acme.ask_order((kind, "a.example")), 400, "unsupportedIdentifier", "malformed")
        for payload in ({}, {"identifiers": []}, {"identifiers": {}}, {"identifiers": ["a.example"]},
                        {"identifiers": [{"type": "dns"}]}, {"identifiers": [{"value": "a.example"}]},
                        {"identifiers": [{"type": "dns", "value": 1}]}, {"identifiers": None}):
            with self.subTest(payload=payload):
                self.refused(self.acme.post(self.acme.directory["newOrder"], payload), 400, "malformed")

    @shows("8555-7.1.4-4")
    def test_a_labels_are_checked(self):
        for name in ("xn--bcher-kva.example", "xn--e1afmkfd.example"):
            with self.subTest(name=name):
                self.assertEqual(self.acme.ask_order(name).status, 201)
        for name in ("xn--.example", "xn--a.example", "xn--999999999.example", "xn--bcher-kv\u00e4.example",
                     "xn--a-ecp.ru-xn--\u00fc.example", "xn--ls8h=.example"):
            with self.subTest(name=name):
                self.refused(self.acme.ask_order(name), (400, 403), "rejectedIdentifier", "malformed")

    @shows("contract-20", "checklist-21", "checklist-54")
    def test_zero_values_and_unknown_members(self):
        response = self.acme.ask_order(self.name(), notBefore="", notAfter="0001-01-01T00:00:00Z", status="",
                                       expires="0001-01-01T00:00:00Z", authorizations=None, finalize="",
                                       resource="new-order", unheardOf=[None])
        self.assertEqual(response.status, 201, response.describe())
        for name in ("notBefore", "notAfter", "resource", "unheardOf"):
            self.assertNotIn(name, response.json)

    @shows("8555-7.1.3-4", "checklist-56")
    def test_arrays_never_change(self):
        names = [self.name(), self.name()]
        order_url, order = self.acme.place(*names)

        def arrays(state):
            return (sorted(item["value"] for item in state["identifiers"]), sorted(state["authorizations"]))

        fixed = arrays(order)
        self.acme.prove(order)
        seen = [self.acme.fetch(order_url).json]
        issued = self.acme.finish(order_url, seen[0], names)
        seen += [issued.order, self.acme.fetch(order_url).json]
        for state in seen:
            self.assertEqual(arrays(state), fixed)

    @shows("8555-7.1.3-5", "8555-7.1.4-1", "checklist-88")
    def test_valid_authorizations_are_reflected(self):
        issued = self.acme.issue(name := self.name())
        _, again = self.acme.place(name, other := self.name())
        authorizations = {item["identifier"]["value"]: item for _, item in self.acme.authorizations(again)}
        self.assertEqual(set(authorizations), {name, other})
        self.assertIn(authorizations[name]["status"], ("valid", "pending"))
        if self.site.own:
            self.assertEqual(authorizations[name]["status"], "valid")
            self.assertIn(issued.order["authorizations"][0], again["authorizations"])
            self.assertEqual(self.acme.place(name)[1]["status"], "ready")
        self.assertEqual(self.newcomer().place(name)[1]["status"], "pending", "others have to prove it themselves")

    @shows("contract-11", "checklist-57")
    def test_ready_with_the_last_authorization(self):
        _, order_url, order = None, *self.acme.place(self.name())
        url, authorization = self.acme.authorizations(order)[0]
        challenge = self.acme.pick(authorization, "http-01")
        self.acme.provision(challenge, authorization["identifier"])
        self.acme.respond(challenge)
        while self.acme.fetch(url).json["status"] == "pending":
            pass
        self.assertEqual(self.acme.fetch(order_url).json["status"], "ready")

    @shows("8555-7.4-11", "checklist-58", "contract-15")
    def test_a_failed_authorization_fails_the_order(self):
        order_url, order = self.acme.place(self.name(), self.name())
        _, authorization = self.acme.authorizations(order)[0]
        challenge = self.acme.pick(authorization, "http-01")
        self.acme.provision(challenge, authorization["identifier"], "wrong")
        self.acme.respond(challenge)
        self.acme.failed(challenge)
        order = self.acme.poll(order_url, ("invalid",), 5)
        self.assertTrue(order["error"]["type"].startswith("urn:"))
        self.assertNotIn("certificate", order)


class Expiry(ConformanceCase):
    @shows("8555-7.4-3", "checklist-59")
    def test_orders_expire(self):
        """The clock of the server is its own; the unit tests turn it. Here: expires lies ahead, and is kept to."""
        order_url, order = self.acme.place(self.name())
        self.assertGreater(order["expires"], stamp())
        time.sleep(1.1)
        self.assertEqual(self.acme.fetch(order_url).json["expires"], order["expires"])


class Dates(ConformanceCase):
    @shows("8555-7.4-1", "8555-7.4-2", "checklist-54")
    def test_requested_dates(self):
        name, wanted = self.name(), {"notBefore": stamp(minutes=10), "notAfter": stamp(days=3)}
        response = self.acme.ask_order(name, **wanted)
        self.need(response.status == 201, "notBefore and notAfter of orders")
        self.assertEqual({key: response.json[key] for key in wanted}, wanted)
        self.acme.prove(response.json)
        leaf = self.acme.finish(response.location, response.json, [name]).leaf
        for key, value in (("notBefore", leaf.not_valid_before), ("notAfter", leaf.not_valid_after)):
            self.assertEqual(value.strftime("%Y-%m-%dT%H:%M:%SZ"), wanted[key])

    @shows("8555-7.4-1", "checklist-54")
    def test_dates_that_cannot_be(self):
        for dates in ({"notAfter": stamp(days=-1)}, {"notBefore": stamp(days=3), "notAfter": stamp(days=2)},
                      {"notAfter": stamp(days=40000)}, {"notBefore": stamp(days=-4000)}, {"notBefore": "tomorrow"},
                      {"notAfter": 7}, {"notAfter": "2027-02-30T00:00:00Z"}):
            with self.subTest(dates=dates):
                self.refused(self.acme.ask_order(self.name(), **dates), (400, 403), "malformed", "rejectedIdentifier")


class OrdersList(ConformanceCase):
    @shows("8555-7.1.2.1-1", "8555-7.1.2.1-2", "8555-7.1.2.1-3", "checklist-71")
    def test_list_of_orders(self):
        client = self.newcomer()
        orders = client.fetch(client.account).json["orders"]
        self.assertEqual(client.fetch(orders).json, {"orders": []})
        pending = client.place(self.name())[0]
        valid = client.issue(self.name()).order_url
        invalid, order = client.place(self.name())
        client.post(order["authorizations"][0], {"status": "deactivated"})
        client.poll(invalid, ("invalid",), 5)
        listed = client.fetch(orders).json["orders"]
        self.assertEqual(set(listed), {pending, valid})

    @shows("8555-7.1.2.1-1", "checklist-71")
    def test_pages(self):
        self.need_own("more than a hundred orders")
        client = self.newcomer()
        name = self.name()
        made = {client.place(name)[0] for _ in range(210)}
        url, seen, pages = client.fetch(client.account).json["orders"], [], 0
        while url:
            response = client.fetch(url)
            seen += response.json["orders"]
            following = [link for link in response.all("Link") if 'rel="next"' in link]
            url = following[0].split(">")[0].lstrip("<") if following else None
            pages += 1
        self.assertEqual((len(seen), set(seen), pages), (210, made, 3))


class Preauthorization(ConformanceCase):
    def ask(self, *item):
        return self.acme.post(self.need_route("newAuthz"), {"identifier": identifier(item)})

    @shows("8555-7.4.1-3", "8555-7.4.1-4", "8555-7.1.1-1", "checklist-90", "checklist-118")
    def test_new_authorization(self):
        name = self.name()
        response = self.ask("dns", name)
        self.assertEqual(response.status, 201, response.describe())
        authorization = response.json
        self.assertEqual((authorization["status"], authorization["identifier"]),
                         ("pending", {"type": "dns", "value": name}))
        self.assertNotIn("wildcard", authorization)
        self.assertEqual(self.acme.fetch(response.location).json, authorization)
        challenge = self.acme.pick(authorization, "http-01")
        self.acme.provision(challenge, authorization["identifier"])
        self.acme.respond(challenge)
        self.assertEqual(self.acme.settle(response.location)["status"], "valid")
        order_url, order = self.acme.place(name)
        self.assertEqual((order["status"], order["authorizations"]), ("ready", [response.location]))
        self.acme.finish(order_url, order, [name])

    @shows("8555-7.4.1-1", "8555-7.4.1-2", "8555-7.1.4-5", "checklist-90")
    def test_refused(self):
        for item in (("dns", "*." + self.name()), ("dns", "-bad-.example"), ("dns", ""), ("email", "a@example.com")):
            with self.subTest(item=item):
                self.refused(self.ask(*item), 403, "rejectedIdentifier", "unsupportedIdentifier", "malformed")
        for payload in ({}, {"identifier": []}, {"identifier": {"type": "dns"}}, {"identifiers": []}):
            with self.subTest(payload=payload):
                self.refused(self.acme.post(self.need_route("newAuthz"), payload), 400, "malformed")


class Restart(ConformanceCase):
    @shows("checklist-16", "checklist-68", "checklist-110")
    def test_everything_outlives_a_restart(self):
        self.need_own("the server is restarted")
        site = start_own(self.services)
        client = self.newcomer(site)
        nonces = [client.new_nonce() for _ in range(3)]
        name = self.name()
        order_url, order = client.ready(name)
        site.bridge.stop()
        site.bridge.restart()
        client.close()
        client.nonces = nonces
        client.finish(order_url, order, [name])
        site.bridge.stop()


if __name__ == "__main__":
    unittest.main()
