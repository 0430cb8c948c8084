"""The control port: plain HTTP and JSON for tests, to look inside and to order misbehaviour.

GET /stats, /settings, /faults, /requests, /requests/{id}, /certificates, /certificates/{id}, /secrets,
/journal?operation=&name=&since=;
POST /settings, /faults,
/requests/{id}/approve, /deny {"comment": C} (whoever has to agree),
/requests/{id}/reject, /fail (ends its workflow with the message "comment"),
/requests/{id}/complete {"outcome": "Denied" | "Failed" | "Pending"} (its workflow ends, the CA says no, or nothing),
/revocations/{certificate id}/approve, /deny (all that wait), /sync, /tokens/revoke; DELETE /faults.
"""

import collections
import dataclasses
import re
import urllib.parse

from kfsim.enroll_api import key_of_csr
from simkit.control import object_of, problem, switches
from simkit.wire import json_response

OUTCOMES = ("Denied", "Failed", "Pending")


def about_request(request):
    shown = dataclasses.asdict(request)
    del shown["csr"], shown["public_key"]
    return {**shown, "key_sha256": key_of_csr(request.csr)}


def about_certificate(certificate):
    shown = dataclasses.asdict(certificate)
    return {**shown, "thumbprint": certificate.thumbprint, "serial": certificate.serial,
            "key_sha256": certificate.public_key_sha256, "common_name": certificate.common_name}


class Control:
    def __init__(self, world, gateway):
        self.world = world
        self.gateway = gateway

    def respond(self, call):
        try:
            with self.world.records.lock:
                return self.route(call)
        except ValueError as error:
            return problem(400, str(error))

    def route(self, call):
        what, records = (call.method, call.path), self.world.records
        match = re.fullmatch(r"/(requests|certificates|revocations)/(\d{1,9})(?:/([a-z]+))?", call.path)
        if match:
            return self.one(call, match[1], int(match[2]), match[3])
        if what == ("GET", "/requests"):
            return json_response([about_request(one) for one in records.requests.values()])
        if what == ("GET", "/certificates"):
            return json_response([about_certificate(one) for one in records.certificates.values()])
        if what == ("GET", "/stats"):
            return json_response(self.stats())
        if what == ("GET", "/secrets"):
            return json_response(self.world.secrets)
        if what == ("GET", "/journal"):
            asked = dict(urllib.parse.parse_qsl(call.target.partition("?")[2]))
            return json_response(self.gateway.journal.select(asked.get("operation"), asked.get("name"),
                                                             int(asked.get("since", 0))))
        if what == ("POST", "/sync"):
            records.synchronise()
            return json_response({})
        if what == ("POST", "/tokens/revoke"):
            self.gateway.tokens.revoke_all()
            return json_response({})
        if call.path in ("/settings", "/faults"):
            return switches(call, self.world.settings, self.gateway.faults)
        return problem(404, "see the control module for what there is")

    def stats(self):
        records = self.world.records
        counts = self.gateway.counters.as_json()
        enrolled = [one for one in records.requests.values() if one.csr]
        same_csr = collections.Counter(one.csr_sha256 for one in enrolled)
        same_key = collections.Counter(one.public_key_sha256 for one in records.certificates.values())
        return {**counts, "enroll_attempts": counts["received"].get("enroll", 0), "enrollments": len(enrolled),
                "renewals": sum(bool(one.renewed_from) for one in records.requests.values()),
                "duplicate_csrs": sorted(digest for digest, count in same_csr.items() if count > 1),
                "duplicate_keys": sorted(digest for digest, count in same_key.items() if count > 1),
                "revoked": sum(bool(one.revoked) for one in records.certificates.values()),
                "revocations_waiting": sum(one.status == "Suspended" for one in records.revocations.values()),
                "requests": [about_request(one) for one in records.requests.values()],
                "certificates": [about_certificate(one) for one in records.certificates.values()]}

    def one(self, call, kind, number, verb):
        records = self.world.records
        found = records.requests.get(number) if kind == "requests" else records.certificates.get(number)
        if found is None:
            return problem(404, f"nothing of the number {number}")
        if call.method == "GET" and verb is None:
            return json_response(about_request(found) if kind == "requests" else about_certificate(found))
        body = object_of(call)
        if kind == "revocations":
            return self.decide_revocations(found, verb)
        comment = body.get("comment", "Not today.")
        ways = {"approve": lambda: records.approve(found), "deny": lambda: records.deny(found, comment),
                "reject": lambda: records.end_workflow(found, "Rejected", comment),
                "fail": lambda: records.end_workflow(found, "Failed", comment),
                "complete": lambda: records.complete(found, body.get("outcome"))}
        if kind != "requests" or call.method != "POST" or verb not in ways:
            return problem(405, "approve, deny, reject, fail or complete a request")
        if verb == "complete" and body.get("outcome") not in OUTCOMES:
            return problem(400, "outcome: expected one of " + ", ".join(OUTCOMES))
        if not ways[verb]():
            return problem(409, f"request {number} is {found.state} {found.workflow_status}")
        return json_response(about_request(found))

    def decide_revocations(self, certificate, verb):
        records = self.world.records
        status = {"approve": "Complete", "deny": "Rejected"}.get(verb)
        waiting = [one for one in records.revocations.values()
                   if one.certificate_id == certificate.id and one.status == "Suspended"]
        if status is None or not waiting:
            return problem(409, "approve or deny what waits")
        for one in waiting:
            records.end_revocation(one, status)
        return json_response(about_certificate(certificate))
