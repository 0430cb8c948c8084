"""Domain validation: the challenges of a change, and the thread that looks whether they are answered."""

import base64
import hashlib
import http.client
import logging
import secrets
import threading
import time

from cpssim import dns_query
from cpssim.wire import time_text

LOG = logging.getLogger("cpssim")
PATH = "/.well-known/acme-challenge/"


def make_domain(name, moment, lifetime):
    """The record of a domain that has to be validated; persisted with its change."""
    token = secrets.token_urlsafe(24)
    body = f"{token}.{secrets.token_urlsafe(32)}"
    value = base64.urlsafe_b64encode(hashlib.sha256(secrets.token_bytes(32)).digest()).decode().rstrip("=")
    return {"domain": name, "token": token, "body": body, "dns_token": secrets.token_urlsafe(24), "txt": value,
            "requested": moment, "expires": moment + lifetime, "valid": False, "validated": 0, "error": "",
            "checked": 0, "checks": 0, "hurry": False}


def http_address(domain):
    return f"http://{domain['domain']}{PATH}{domain['token']}"


def redirect_address(domain):
    return f"http://dcv.akamai.com{PATH}{domain['token']}"


def dns_name(domain):
    return f"_acme-challenge.{domain['domain'].removeprefix('*.')}."


def as_json(domain, version, state):
    """The domain as dv-challenges shows it; version 1 has http-01 only."""
    status = "Valid" if domain["valid"] else "Error" if domain["error"] and state == "error" else "Awaiting user"
    challenge_status = "valid" if domain["valid"] else "pending"
    error = domain["error"] or None
    http01 = {"type": "http-01", "status": challenge_status, "error": error, "token": domain["token"],
              "responseBody": domain["body"], "fullPath": http_address(domain),
              "redirectFullPath": redirect_address(domain), "validationRecords": []}
    if version == "dv-challenges.v1":
        return {"domain": domain["domain"], "status": status, "error": error, "token": domain["token"],
                "responseBody": domain["body"], "fullPath": http_address(domain),
                "redirectFullPath": redirect_address(domain), "requestTimestamp": time_text(domain["requested"]),
                "expires": time_text(domain["expires"])}
    dns01 = {"type": "dns-01", "status": challenge_status, "error": None, "token": domain["dns_token"],
             "responseBody": domain["txt"], "fullPath": dns_name(domain), "redirectFullPath": "",
             "validationRecords": []}
    return {"domain": domain["domain"], "status": status,
            "validationStatus": "VALIDATED" if domain["valid"] else "RESPONSE_ERROR" if error else "IN_PROGRESS",
            "error": error, "requestTimestamp": time_text(domain["requested"]),
            "validatedTimestamp": time_text(domain["validated"]) if domain["valid"] else None,
            "expires": time_text(domain["expires"]),
            # A wildcard can be validated in the DNS only.
            "challenges": [dns01] if domain["domain"].startswith("*.") else [http01, dns01]}


def server_of(text):
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def check_http(domain, server):
    """Fetches the challenge from a web server; ValueError or OSError says why that is no answer."""
    connection = http.client.HTTPConnection(*server_of(server), timeout=3)
    try:
        connection.request("GET", PATH + domain["token"], headers={"Host": domain["domain"]})
        response = connection.getresponse()
        body = response.read(4096).decode("latin-1")
    except http.client.HTTPException as error:
        raise ValueError(f"{http_address(domain)}: {error!r}") from None
    finally:
        connection.close()
    if response.status in (301, 302, 307, 308):
        if response.headers.get("Location") != redirect_address(domain):
            raise ValueError(f"{http_address(domain)} redirects elsewhere")
        return
    if response.status != 200 or body.strip() != domain["body"]:
        raise ValueError(f"Invalid response from {http_address(domain)}: {response.status} {body[:60]!r}")


def check_dns(domain, server):
    texts = dns_query.texts_of(dns_name(domain), server_of(server))
    if domain["txt"] not in texts:
        raise ValueError(f"Incorrect TXT record {texts} found at {dns_name(domain)}")


def check(domain, view):
    """(validated, error text) of a domain now."""
    errors = []
    ways = [("http", view.dv_http, check_http), ("dns", view.dv_dns, check_dns)]
    for name, server, look in ways:
        if view.dv_check not in (name, "any") or not server:
            continue
        if name == "http" and domain["domain"].startswith("*."):
            continue
        try:
            look(domain, server)
            return True, ""
        except (OSError, ValueError) as error:
            errors.append(str(error))
    return False, "; ".join(errors)


class Prober(threading.Thread):
    """Looks for the answers to challenges by itself, as CPS does."""

    def __init__(self, store, progress):
        super().__init__(daemon=True)
        self.store = store
        self.progress = progress

    def run(self):
        while True:
            time.sleep(0.05)
            try:
                for job in self.due():
                    self.probe(*job)
            except Exception:
                LOG.exception("domain validation failed")

    def due(self):
        """(enrollment, change, domain, view) of the domains whose time has come."""
        found = []
        with self.store.lock:
            for enrollment in self.store.enrollments.values():
                view = self.store.of(enrollment)
                if view.dv_check == "told" or enrollment.kind != "dv":
                    continue
                self.progress.advance(enrollment)
                for change in enrollment.pending:
                    found += [(enrollment, change, domain, view) for domain in change.domains
                              if change.phase == "validate" and not change.held and not domain["valid"]
                              and (domain["hurry"] or time.time() >= domain["checked"] + view.dv_interval)]
        return found

    def probe(self, enrollment, change, domain, view):
        valid, error = check(domain, view)
        with self.store.lock:
            if change.phase == "validate":
                record(domain, valid, error)
                self.store.save(enrollment)


def record(domain, valid, error):
    now = time.time()
    domain.update(valid=valid, error=error, checked=now, validated=now if valid else 0, hurry=False,
                  checks=domain["checks"] + 1)
