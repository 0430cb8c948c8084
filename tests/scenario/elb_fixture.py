"""Starts the Huawei ELB simulator for a test and talks to it: as a client with a token or a signature, and to its
control port, and with TLS to the listeners that use its certificates."""

import hashlib
import http.client
import json
import os
import socket
import ssl
import time
import urllib.parse

from elbsim import signing
from simkit.fixture import Answer, Simulator

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "elb_simulator.py")
JSON = "application/json;charset=UTF-8"


class ElbSimulator(Simulator):
    """A running simulator. Its state directory outlives stop() and kill(), and goes away with clean()."""

    program = PROGRAM

    def start(self):
        super().start()
        with open(self.ready["secret_key_file"], encoding="ascii") as stream:
            self.secret_key = stream.read().strip()
        self.token = None

    @property
    def base(self):
        """The path of the project's certificates."""
        return f"/v3/{self.ready['project_id']}/elb/certificates"

    def connect(self, service="elb"):
        parts = urllib.parse.urlsplit(self.ready["iam_url" if service == "iam" else "url"])
        context = ssl.create_default_context(cafile=self.ready["tls_ca_file"])
        return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=10, context=context)

    def send(self, service, method, target, payload=b"", headers=None):
        """One call with exactly these headers (Host and Content-Length are added)."""
        connection = self.connect(service)
        try:
            connection.request(method, target, payload or None, headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    # ---- logins ----

    def token_body(self, **changes):
        """The body of a token request; changes are domain, user, password or scope."""
        given = {"domain": self.ready["domain"], "user": self.ready["user"], "password": self.password,
                 "scope": {"project": {"name": self.ready["region"]}}, **changes}
        user = {"name": given["user"], "password": given["password"], "domain": {"name": given["domain"]}}
        auth = {"identity": {"methods": ["password"], "password": {"user": user}}}
        if given["scope"] is not None:
            auth["scope"] = given["scope"]
        return {"auth": auth}

    def ask_token(self, body=None, query="?nocatalog=true"):
        payload = json.dumps(self.token_body() if body is None else body).encode("utf-8")
        return self.send("iam", "POST", "/v3/auth/tokens" + query, payload, {"Content-Type": JSON})

    def new_token(self, **changes):
        answer = self.ask_token(self.token_body(**changes))
        if answer.status != 201:
            raise AssertionError(f"token: {answer.status} {answer.body!r}")
        return answer.headers["X-Subject-Token"]

    def signed(self, method, target, payload=b"", headers=None, *, access=None, secret=None, age=0, service="elb"):
        """The headers of a signed request; `age` is how many seconds ago it claims to have been signed."""
        parts = urllib.parse.urlsplit(self.ready["iam_url" if service == "iam" else "url"])
        date = time.strftime(signing.DATE_FORMAT, time.gmtime(time.time() - age))
        made = {"Host": parts.netloc, signing.DATE: date, **(headers or {})}
        made["Authorization"] = signing.authorize(access or self.ready["access_key"], secret or self.secret_key,
                                                  method, target, made, payload)
        return made

    # ---- the API ----

    def api(self, method, target, body=None, login="token", **options):
        """One call of ELB with a login: "token" (made when there is none yet), "aksk" with options of signed(), or
        None. The target is a path below the project's certificates, or a whole one."""
        if not target.startswith("/v3"):
            target = self.base + target
        payload = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode("utf-8")
        headers = {"Content-Type": JSON} if payload else {}
        if login == "token":
            self.token = self.token or self.new_token()
            headers["X-Auth-Token"] = self.token
        elif login == "aksk":
            headers = self.signed(method, target, payload, headers, **options)
        return self.send("elb", method, target, payload, headers)

    def show(self, certificate_id):
        return self.api("GET", f"/{certificate_id}").json["certificate"]

    def update(self, certificate_id, **members):
        return self.api("PUT", f"/{certificate_id}", {"certificate": members})

    def create(self, **members):
        return self.api("POST", "", {"certificate": members})

    # ---- the control port ----

    def make(self, **members):
        """Makes an object without the API and returns what the control port says of it."""
        return self.control("POST", "/certificates", members)

    def look(self, certificate_id):
        return self.control("GET", f"/certificates/{certificate_id}")

    def objects(self, name=None):
        """All objects, or those of a name, as look() shows them."""
        query = "" if name is None else "?" + urllib.parse.urlencode({"name": name})
        return self.control("GET", "/certificates" + query)

    def change(self, certificate_id, **members):
        return self.control("POST", f"/certificates/{certificate_id}", members)

    def remove(self, certificate_id):
        return self.control("DELETE", f"/certificates/{certificate_id}")

    def settings(self, **changes):
        return self.control("POST", "/settings", changes)

    def fault(self, operation, fault, **members):
        return self.control("POST", "/faults", {"operation": operation, "fault": fault, **members})

    def journal(self, **select):
        """What was asked: operation=, certificate= and since= select."""
        return self.control("GET", "/journal?" + urllib.parse.urlencode(select))

    def identity(self):
        """Failures and lock of the access key, tokens, refused passwords."""
        return self.control("GET", "/stats")["identity"]

    # ---- the listeners ----

    def live(self, certificate_id):
        """SHA-256 of the leaf that the object's listener shows in a handshake; None when there is no handshake."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        port = self.look(certificate_id)["port"]
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
                with context.wrap_socket(plain) as secured:
                    return hashlib.sha256(secured.getpeercert(binary_form=True)).hexdigest()
        except (ssl.SSLError, ConnectionError):
            return None
