"""Starts the Keyfactor Command simulator for a test and talks to it, as a client of the API and to its control port."""

import base64
import json
import os
import time
import urllib.parse

from simkit.fixture import Answer, Simulator, make_csr

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "keyfactor_simulator.py")
LEFT_OUT = object()


def timestamp(offset=0):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + offset))


class KeyfactorSimulator(Simulator):
    """A running simulator. Its state directory outlives stop() and kill(), and goes away with clean()."""

    program = PROGRAM

    def start(self):
        super().start()
        with open(self.ready["client_secret_file"], encoding="ascii") as stream:
            self.client_secret = stream.read().strip()
        self.token = None

    # ---- logins ----

    def basic(self, login=None, password=None):
        """The value of an Authorization header."""
        pair = f"{login or self.ready['login']}:{password or self.password}"
        return "Basic " + base64.b64encode(pair.encode("utf-8")).decode("ascii")

    def ask_token(self, **changes):
        form = {"grant_type": "client_credentials", "client_id": self.ready["client_id"],
                "client_secret": self.client_secret, **changes}
        return self.send("POST", "/auth/token", urllib.parse.urlencode(form).encode("ascii"),
                         {"Content-Type": "application/x-www-form-urlencoded"})

    def bearer(self):
        self.token = self.token or self.ask_token().json["access_token"]
        return "Bearer " + self.token

    # ---- the API ----

    def send(self, method, target, payload, headers):
        """One call of exactly this."""
        connection = self.connect()
        try:
            connection.request(method, target, payload, headers)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def api(self, method, path, body=None, headers=None, connection=None, **query):
        """One call of the API. `headers` are changes of the usual ones; LEFT_OUT leaves one out."""
        # pylint: disable=arguments-differ
        sent = {"Authorization": self.basic(), "X-Keyfactor-Requested-With": "APIClient",
                "X-CertificateFormat": "PEM", "Accept": "application/json"}
        payload = None
        if body is not None:
            payload = body if isinstance(body, bytes) else json.dumps(body).encode("utf-8")
            sent["Content-Type"] = "application/json"
        sent.update(headers or {})
        target = f"/{self.ready['api_path']}{path}"
        if query:
            target += "?" + urllib.parse.urlencode(query, quote_via=urllib.parse.quote)
        sent = {name: value for name, value in sent.items() if value is not LEFT_OUT}
        if connection is None:
            return self.send(method, target, payload, sent)
        connection.request(method, target, payload, sent)
        return Answer(connection.getresponse())

    def enroll_body(self, *names, csr=None, **members):
        """Members of None are left out."""
        body = {"CSR": make_csr(names) if csr is None else csr, "CertificateAuthority": self.ready["authority"],
                "Template": self.ready["template"], "Timestamp": timestamp(), "IncludeChain": True, "SANs": {},
                "Metadata": {}, **members}
        return {name: value for name, value in body.items() if value is not None}

    def enroll(self, *names, **members):
        """CertificateInformation of an enrollment that was taken."""
        answer = self.api("POST", "/Enrollment/CSR", self.enroll_body(*names, **members))
        if answer.status != 200:
            raise AssertionError(f"enroll: {answer.status} {answer.body!r}")
        return answer.json["CertificateInformation"]

    def renew(self, certificate_id, **members):
        return self.api("POST", "/Enrollment/Renew", {"CertificateId": certificate_id, "Timestamp": timestamp(),
                                                      **members})

    def search(self, text, **options):
        """Certificates by a query; options as includeRevoked go with the prefix."""
        return self.api("GET", "/Certificates", **{
            "pq.queryString": text, "includeMetadata": "true",
            **{"pq." + name: value for name, value in options.items()}})

    def revoke(self, *numbers, reason=0, **members):
        return self.api("POST", "/Certificates/Revoke", {"CertificateIds": list(numbers), "Reason": reason,
                                                         "Comment": "scenario", **members})

    # ---- the control port ----

    def settings(self, **changes):
        return self.control("POST", "/settings", changes)

    def fault(self, operation, fault, **members):
        return self.control("POST", "/faults", {"operation": operation, "fault": fault, **members})

    def stats(self):
        return self.control("GET", "/stats")

    def journal(self, **select):
        """What was asked: operation=, name= and since= select."""
        return self.control("GET", "/journal?" + urllib.parse.urlencode(select))

    def requests(self, name=None):
        """All requests, or those for a name."""
        return [one for one in self.control("GET", "/requests") if name is None or name in one["names"]]

    def certificates(self, name=None):
        return [one for one in self.control("GET", "/certificates") if name is None or name in one["names"]]

    def decide(self, request_id, verb, **members):
        """approve, deny, reject, fail, or complete(outcome=) a request."""
        return self.control("POST", f"/requests/{request_id}/{verb}", members)

    def secrets(self):
        """What a client was told and must not write down: passwords of renewals, and the logins."""
        return self.control("GET", "/secrets") + [self.password, self.client_secret]
