"""Starts the SCM simulator for a test and talks to it as a client of the API."""

import json
import os
import time

import simkit.fixture
from simkit.fixture import Answer, make_csr


class Simulator(simkit.fixture.Simulator):
    """A running simulator. Its state directory outlives stop() and goes away with clean()."""

    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "scm_simulator.py")

    def auth_headers(self):
        return {"login": self.ready["login"], "password": self.password,
                "customerUri": self.ready["customer_uri"]}

    def api(self, method, path, body=None, headers=None, connection=None):
        """One call of the API; on a connection of its own unless one is given."""
        own = connection is None
        connection = connection or self.connect()
        sent = dict(self.auth_headers() if headers is None else headers)
        payload = None
        if body is not None:
            payload = body if isinstance(body, bytes) else json.dumps(body).encode("utf-8")
            sent.setdefault("Content-Type", "application/json;charset=UTF-8")
        try:
            connection.request(method, path, payload, sent)
            return Answer(connection.getresponse())
        finally:
            if own:
                connection.close()

    def enroll_body(self, *names, csr=None, **members):
        body = {"orgId": self.ready["org_id"], "certType": self.ready["profile_id"],
                "term": self.ready["term_days"], "subjAltNames": ",".join(names),
                "csr": make_csr(names) if csr is None else csr, "comments": "scenario"}
        body.update(members)
        return {name: value for name, value in body.items() if value is not None}

    def enroll(self, *names, **members):
        """Enrolls and returns the sslId."""
        answer = self.api("POST", "/api/ssl/v1/enroll", self.enroll_body(*names, **members))
        if answer.status != 200:
            raise AssertionError(f"enroll: {answer.status} {answer.body!r}")
        return answer.json["sslId"]

    def details(self, ssl_id):
        return self.api("GET", f"/api/ssl/v1/{ssl_id}").json

    def collect(self, ssl_id, fmt="x509"):
        return self.api("GET", f"/api/ssl/v1/collect/{ssl_id}?format={fmt}")

    def wait_for(self, ssl_id, status, limit=10):
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            present = self.details(ssl_id)["status"]
            if present == status:
                return
            time.sleep(0.02)
        raise AssertionError(f"{ssl_id} is {present}, not {status}")
