#!/usr/bin/python3
"""The fault matrix: each operation of SCM with each fault, and how order, enrollments and revocations end.

Faults are ordered by name, so that all rows run at the same time on one server and one simulator. Rows after which
SCM may hold an unknown request, and those with a refused login, take the minute that the server waits then.
"""

import base64
import contextlib
import dataclasses
import os
import sqlite3
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from harness.acme import URN, digest  # noqa: E402 (found through the line above)
from harness.case import ServerCase  # noqa: E402

CLIENTS = 8
# A row's order must have ended by then: a minute of waiting and some seconds for the rest.
LIMIT = 85
AGED_MS = 20 * 60 * 1000


@dataclasses.dataclass
class Row:
    """A fault at an operation, and what is expected: the order's end, its problem, and how many requests SCM holds
    for the name, and how many of those are revoked, when all is over. `earlier` is the expected status of the
    request that is to be declined; `words` must be in one line of the log."""

    operation: str
    fault: dict
    status: str = "valid"
    problem: str = None
    enrollments: int = 1
    revocations: int = 0
    earlier: str = None
    words: tuple = ()
    # Of the run:
    name: str = ""
    client: object = None
    first_url: str = None
    url: str = None
    key: object = None
    csr: bytes = None
    order: dict = None
    answer: object = None

    @property
    def title(self):
        return f"{self.operation}, {self.fault}"


def error(code, status=400, description="words of the simulator"):
    return {"fault": "error", "code": code, "status": status, "description": description}


def plain(kind, **members):
    return {"fault": kind, **members}


LOGIN = error(-16, 401, "Unknown user")
# What says nothing about the request: reading and declining are done again, whatever happened.
PASSING = (
    LOGIN, error(-3), error(-129), error(-195), error(-1), error(-2, 500), error(-3114), plain("delay", delay_s=3.0),
    plain("delay-after", delay_s=3.0), plain("html-200"), plain("drop-before"), plain("drop-after"),
    plain("status-429", retry_after_s=3), plain("status-503-html"), plain("status-500"), plain("status-404-html"))
BODIES = (plain("truncate"), plain("empty"))
# After these it is open whether SCM did what must not be done twice.
OPEN = (error(-129), error(-195), error(-1), error(-3115), error(0), error(-1400), error(-36, 500), LOGIN,
        error(-25), error(-140), plain("delay", delay_s=3.0), plain("html-200"), plain("drop-before"),
        plain("drop-after"), plain("status-429", retry_after_s=2), plain("status-502-html"), plain("status-500"),
        plain("status-404-html"))


def enroll_rows():
    yield from (Row("enroll", fault) for fault in OPEN + BODIES + (error(-1138),))
    refusals = ((-36, "serverInternal"), (-111, "serverInternal"), (-7, "serverInternal"),
                (-64, "serverInternal"), (-639, "serverInternal"), (-429, "serverInternal"),
                (-843, "serverInternal"), (-10, "badCSR"), (-138, "badCSR"), (-11, "badPublicKey"),
                (-170, "badPublicKey"), (-1137, "rejectedIdentifier"), (-164, "rejectedIdentifier"),
                (-732, "rejectedIdentifier"), (-1010, "rejectedIdentifier"), (-188, "rateLimited"),
                (-1140, "userActionRequired"), (-98765, "serverInternal"),
                # numbers with two meanings: those of an enroll, or none
                (-9, "badCSR"), (-39, "serverInternal"), (-62, "serverInternal"), (-105, "serverInternal"),
                (-159, "serverInternal"), (-180, "serverInternal"))
    for code, problem in refusals:
        yield Row("enroll", error(code), "invalid", problem, 0)
    yield Row("enroll", error(-62, description="Invalid IP address 1.2.3"), "invalid", "rejectedIdentifier", 0)


def details_rows():
    yield from (Row("details", fault) for fault in PASSING + BODIES)
    for code in (-98765, -183, -1400, -103, -109, -124, -5101, -159):
        yield Row("details", error(code))


def collect_rows():
    yield from (Row("collect", fault) for fault in PASSING + BODIES)
    for code in (0, -183, -1400, -103, -109, -130, -169, -124, -98765):
        yield Row("collect", error(code))
    for code in (-110, -192, -126, -1450):
        yield Row("collect", error(code), "invalid", "serverInternal")
    yield Row("collect", plain("wrong-certificate"), "invalid", "serverInternal", words=("ALERT", "quarantined"))


def list_rows():
    """The answer to the enroll was lost before."""
    yield from (Row("list", fault) for fault in PASSING + BODIES)
    yield Row("list", error(-98765))


def decline_rows():
    """A newer order with another key: the earlier request, not approved yet, is declined."""
    for fault in PASSING:
        yield Row("decline", fault, enrollments=2, earlier="Declined")
    yield Row("decline", error(-5101), enrollments=2, earlier="Declined")  # known a moment later
    for code in (-1112, -1113, -130, -98765):
        yield Row("decline", error(code), enrollments=2, earlier="Requested", words=("followed to its end",))


def renew_rows():
    yield from (Row("renew", fault, enrollments=2) for fault in OPEN + BODIES)
    for code in (-180, -123, -105, -130, -124, -5101, -36, -98765):
        yield Row("renew", error(code), enrollments=2, words=("Requesting a new certificate instead",))


def replace_rows():
    yield from (Row("replace", fault) for fault in OPEN)
    for code in (-1148, -130, -124, -5101, -180, -98765):
        yield Row("replace", error(code), enrollments=2, words=("Requesting a new certificate instead",))


def revoke_rows():
    yield from (Row("revoke", fault, revocations=1) for fault in PASSING + (error(-102),))
    for code in (-159, -110, -192):  # SCM says that it is so already
        yield Row("revoke", error(code), words=("it is revoked already",))
    for code in (-1601, -98765, -36):
        yield Row("revoke", error(code), words=("code %d" % code,))


def all_rows():
    makers = (enroll_rows, details_rows, collect_rows, list_rows, decline_rows, renew_rows, replace_rows, revoke_rows)
    rows = [row for maker in makers for row in maker()]
    for number, row in enumerate(rows):
        # The first label tells the simulator that an administrator has to approve.
        row.name = f"{'manual.' if row.operation == 'decline' else ''}row{number}.faults.localhost"
    return rows


class FaultMatrix(ServerCase):
    simulator_arguments = ("--approval-delay", "0.1", "--ca-delay", "0.2")

    @classmethod
    def configure(cls, bridge):
        bridge.settings["orders"] = {"finalize_hold_ms": 0}
        bridge.scm["max_concurrency"] = 32
        bridge.settings["issuers"].append({**bridge.scm, "name": "renewing", "renewal": "renew"})
        bridge.settings["profiles"].append({"name": "renew", "issuer": "renewing"})

    def in_parallel(self, work, rows):
        """work(row) for all rows; those of one client one after the other."""
        failures = []

        def run(share):
            for row in share:
                try:
                    work(row)
                except Exception as failure:  # shown below, with the row
                    failures.append(f"{row.title}: {failure!r}")

        by_client = {}
        for row in rows:
            by_client.setdefault(id(row.client), []).append(row)
        threads = [threading.Thread(target=run, args=(share,)) for share in by_client.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])

    def stats_of(self):
        found = {}
        for request in self.simulator.control("GET", "/stats")["requests"]:
            found.setdefault(request["sans"][0], []).append(request)
        return found

    def wait_until(self, condition, limit=30):
        deadline = time.monotonic() + limit
        while not condition():
            self.assertLess(time.monotonic(), deadline, "the rows' earlier orders were not ready in time")
            time.sleep(0.2)

    def begin_earlier(self, row):
        row.first_url, row.key, row.csr = row.client.begin(self.responder, row.name)

    @staticmethod
    def is_quick(row):
        """Rows that take the minute begin first."""
        return row.fault not in OPEN + (error(-3),) or row.fault["fault"] == "delay"

    def make_earlier(self, rows):
        """Earlier orders, long ago: one to be declined, others issued, fetched except for those to be replaced."""
        rows = [row for row in rows if row.operation in ("decline", "renew", "replace", "revoke")]
        self.in_parallel(self.begin_earlier, rows)
        wanted = {row.name: "Requested" if row.operation == "decline" else "Issued" for row in rows}

        def there():
            found = self.stats_of()
            return all(found.get(name, [{}])[0].get("status") == status for name, status in wanted.items())

        self.wait_until(there)
        issued = [row for row in rows if row.operation != "decline"]
        self.wait_until(lambda: all(row.client.fetch(row.first_url).json["status"] == "valid" for row in issued))
        for row in issued:
            if row.operation != "replace":
                row.order = row.client.fetch(row.first_url).json
                row.answer = row.client.download(row.order)
        self.bridge.stop()
        with contextlib.closing(sqlite3.connect(os.path.join(self.bridge.data, "acmebridge.db"))) as database:
            database.execute("UPDATE orders SET finalized_ms = finalized_ms - ?, seen_ms = 0", (AGED_MS,))
            database.commit()
        self.bridge.start()
        for client in self.clients:
            client.close()
            client.nonces = []
            client.finalized = {}

    def fault(self, row):
        if row.operation == "list":
            self.simulator.control("POST", "/faults", {"operation": "enroll", "fault": "drop-after", "name": row.name})
        self.simulator.control("POST", "/faults", {"operation": row.operation, "name": row.name, **row.fault})

    def act(self, row):
        if row.operation != "revoke":
            row.url, row.key, row.csr = row.client.begin(self.responder, row.name)
            return
        leaf = row.answer.split("-----END CERTIFICATE-----")[0].split("-----BEGIN CERTIFICATE-----")[1]
        der = base64.urlsafe_b64encode(base64.b64decode(leaf)).decode("ascii").rstrip("=")
        row.client.expect(row.client.post(row.client.directory["revokeCert"], {"certificate": der, "reason": 4}), 200)

    def approve(self, rows):
        """The administrator approves the newer requests."""
        found = self.stats_of()
        for row in rows:
            for request in found.get(row.name, []) if row.operation == "decline" and row.csr else []:
                if request["csr_sha256"] == digest(row.csr) and request["status"] == "Requested":
                    self.simulator.control("POST", f"/requests/{request['sslId']}/approve")

    def settled(self, row, found):
        if row.operation == "revoke":
            revoked = sum(request["status"] == "Revoked" for request in found.get(row.name, []))
            return revoked == row.revocations and (revoked or self.bridge.log_lines(*row.words, self.serial(row)))
        row.order = row.client.fetch(row.url).json
        return row.order["status"] in ("valid", "invalid") and (
            row.earlier is None or found[row.name][0]["status"] == row.earlier)

    def serial(self, row):
        return f"upstream={self.numbers[row.name]}"

    def wait_for_all(self, rows):
        deadline = time.monotonic() + LIMIT
        pending = list(rows)
        while pending and time.monotonic() < deadline:
            self.approve(pending)
            found = self.stats_of()
            pending = [row for row in pending if not self.settled(row, found)]
            time.sleep(0.5)

    def check(self, row, found):
        requests = found.get(row.name, [])
        if row.operation != "revoke":
            self.assertEqual(row.order["status"], row.status, row.order)
            if row.problem:
                self.assertEqual(row.order["error"]["type"], URN + row.problem)
        if row.operation != "revoke" and row.status == "valid":
            chain = row.client.download(row.order)
            self.check_certificate(chain, row.key, [row.name], self.simulator.ready["root_file"])
        self.assertEqual(len(requests), row.enrollments, requests)
        self.assertEqual(sum(request["status"] == "Revoked" for request in requests), row.revocations)
        if row.earlier:
            self.assertEqual(requests[0]["status"], row.earlier)
            earlier = row.client.fetch(row.first_url).json
            self.assertEqual((earlier["status"], earlier["error"]["type"]), ("invalid", URN + "orderNotReady"))
        if row.words:
            about = requests[0]["sslId"] if requests else 0
            self.assertTrue(self.bridge.log_lines(*row.words, f"upstream={about}")
                            or self.bridge.log_lines(*row.words, f"request {about}")
                            or self.bridge.log_lines(*row.words, (row.url or "/-").rsplit("/", 1)[1]), row.words)

    def test_matrix(self):
        rows = all_rows()
        self.clients = [self.client(self.bridge, profile="scm") for _ in range(CLIENTS)]
        renewing = [self.client(self.bridge, profile="renew") for _ in range(2)]
        for number, row in enumerate(rows):
            row.client = (renewing[number % 2] if row.operation == "renew" else self.clients[number % CLIENTS])
        self.clients += renewing
        self.make_earlier(rows)
        self.numbers = {name: requests[0]["sslId"] for name, requests in self.stats_of().items()}
        for row in rows:
            self.fault(row)
        self.in_parallel(self.act, sorted(rows, key=self.is_quick))
        self.wait_for_all(rows)
        found = self.stats_of()
        left = self.simulator.control("GET", "/faults")
        self.assertEqual(left, [], "these faults met no call")
        for row in rows:
            with self.subTest(row.title):
                self.check(row, found)


if __name__ == "__main__":
    unittest.main()
