"""Rows of orders that meet a fault each, run at the same time on one server and one simulator.

Faults are ordered by name. Where the server waits for minutes, the test turns its clock.
"""

import dataclasses
import threading
import time

from keyfactor_case import PROFILE, URN, KeyfactorCase, b64, digest, leaf_der

CLIENTS = 8
ROUNDS = 8
CALL_SECONDS = 5  # the server's time-out of a call
PERMISSION = "0xA0140002"


@dataclasses.dataclass
class Row:
    """A fault at an operation, for a request that is decided as the label says. `before` is a fault of the enrollment
    that comes first. Expected are the order's end, how many requests Command has of the name in the end, and, for
    revocations, whether the certificate is revoked."""

    operation: str
    fault: dict
    label: str = "row"
    before: str = None
    status: str = "valid"
    problem: str = None
    enrollments: int = 1
    revoked: bool = None
    name: str = ""
    client: object = None
    url: str = None
    key: object = None
    csr: bytes = None
    chain: str = None
    order: dict = None

    @property
    def is_revocation(self):
        return self.revoked is not None

    @property
    def title(self):
        return f"{self.operation}, {self.label}, {self.fault}"


def plain(kind, **members):
    return {"fault": kind, **members}


def error(status, description, **members):
    return {"fault": "error", "status": status, "description": description, **members}


SLOW = {"delay_s": CALL_SECONDS + 1.0}
# What says nothing about the request itself.
PASSING = (
    plain("drop-before"), plain("drop-after"), plain("truncate"), plain("empty"), plain("html-200"),
    plain("delay", **SLOW), plain("status-500"), plain("status-502-html"), plain("status-503", retry_after_s=1),
    plain("status-429", retry_after_s=1), plain("after-status-503"), plain("status-401-html"),
    error(500, "An unexpected error occurred."))
NO_PERMISSION = error(403, "User bridge doesn't have the required permission", error_code=PERMISSION)
# After these it is open whether Command did what must not be done twice.
OPEN = PASSING + (plain("delay-after", **SLOW), error(400, "The RPC server is unavailable. 0x800706ba"),
                  NO_PERMISSION)


class Matrix(KeyfactorCase):
    simulator_settings = {"list_lag": 1.0}

    def in_parallel(self, work, rows):
        """work(row) for all rows; those of one client one after the other."""
        failures, by_client = [], {}

        def run(share):
            for row in share:
                try:
                    work(row)
                except Exception as failure:  # shown below, with the row
                    failures.append(f"{row.title}: {failure!r}")

        for row in rows:
            by_client.setdefault(id(row.client), []).append(row)
        threads = [threading.Thread(target=run, args=(share,)) for share in by_client.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])

    def make_earlier(self, row):
        row.chain, row.key = row.client.obtain(self.responder, row.name)

    def act(self, row):
        if row.is_revocation:
            response = row.client.post(row.client.directory["revokeCert"],
                                       {"certificate": b64(leaf_der(row.chain)), "reason": 4})
            # A refusal that comes soon is told at once.
            row.client.expect(response, *((200, 500) if row.revoked is False else (200,)))
            return
        row.url, row.key, row.csr = row.client.begin(self.responder, row.name, key=row.key)

    def approve_all(self):
        for request in self.kf.requests():
            if request["state"] in ("Pending", "ExternalValidation"):
                self.kf.decide(request["id"], "approve")

    def settled(self, row, certificates, left):
        if (row.operation, row.name) in left:
            return False
        if row.is_revocation:
            revoked = any(one["revoked"] for one in certificates if row.name in one["names"])
            return revoked or (row.revoked is False and bool(self.bridge.log_lines(row.fault["description"][:20])))
        row.order = row.client.fetch(row.url).json
        return row.order["status"] in ("valid", "invalid")

    def wait_for(self, rows, seconds):
        """The rows that are not over after some time."""
        deadline = time.monotonic() + seconds
        while rows and time.monotonic() < deadline:
            self.approve_all()
            certificates = self.kf.certificates()
            left = {(fault["operation"], fault["name"]) for fault in self.kf.control("GET", "/faults")}
            rows = [row for row in rows if not self.settled(row, certificates, left)]
            time.sleep(0.3)
        return rows

    def start_again(self):
        self.bridge.start()
        for client in self.clients:
            client.close()
            client.nonces = []

    def check(self, row):
        requests, certificates = self.kf.requests(row.name), self.kf.certificates(row.name)
        if row.is_revocation:
            self.assertEqual([bool(one["revoked"]) for one in certificates], [row.revoked])
            done = [entry for entry in self.kf.journal(operation="revoke", name=row.name)
                    if (entry["effect"] or {}).get("revoked")]
            self.assertEqual(len(done), int(row.revoked))
            return
        self.assertEqual(row.order["status"], row.status, row.order)
        self.assertEqual(len(requests), row.enrollments, requests)
        if row.status == "invalid":
            self.assertEqual(row.order["error"]["type"], URN + row.problem)
            return
        self.check_certificate(row.client.download(row.order), row.key, [row.name], self.kf.ready["root_file"], 2)
        self.assertEqual(len(certificates), row.enrollments)
        if row.enrollments == 1:
            self.assertEqual(requests[0]["csr_sha256"], digest(row.csr))

    def run_rows(self, rows, call_seconds=CALL_SECONDS, disturb=None):
        """All rows to their end; `disturb` is called once when all orders are under way."""
        self.begin(call_timeout_seconds=call_seconds)
        self.clients = [self.client(self.bridge, profile=PROFILE) for _ in range(CLIENTS)]
        for number, row in enumerate(rows):
            row.name, row.client = f"{row.label}-{number}.localhost", self.clients[number % CLIENTS]
        self.in_parallel(self.make_earlier,
                         [row for row in rows if row.label in ("samekey", "otherkey") or row.is_revocation])
        for row in rows:
            if row.before:
                self.kf.fault("enroll", row.before, name=row.name)
            self.kf.control("POST", "/faults", {"operation": row.operation, "name": row.name, **row.fault})
        self.in_parallel(self.act, rows)
        if disturb is not None:
            disturb()
        pending = self.wait_for(rows, CALL_SECONDS + 3)
        for _ in range(ROUNDS):
            if not pending:
                break
            self.look_later()
            pending = self.wait_for(pending, 2)
        self.assertEqual([row.title for row in pending], [])
        self.assertEqual(self.kf.control("GET", "/faults"), [], "these faults met no call")
        for row in rows:
            with self.subTest(row.title):
                self.check(row)
        self.assertEqual(self.kf.stats()["duplicate_csrs"], [])
