"""The control port: plain HTTP and JSON for tests, to look inside and to order misbehaviour.

GET /stats, /settings, /faults, /requests/{id}; POST /settings, /faults, /requests/{id}/approve,
/decline, /reject, /status {"status": S, "hold": true|false}; DELETE /faults.
"""

import collections
import dataclasses
import json
import re
import time

from simkit.control import problem, switches
from simkit.wire import json_response

VERBS = {"approve": "Approved", "decline": "Declined", "reject": "Rejected"}


def summary(request):
    return {"sslId": request.ssl_id, "status": request.status, "commonName": request.common_name,
            "sans": request.names, "csr_sha256": request.csr_sha256, "comments": request.comments,
            "kind": request.kind, "customFields": request.custom_fields,
            "externalRequester": request.external_requester, "created": request.created,
            "profile": request.profile_id, "term": request.term, "serial": request.serial,
            "reasonCode": request.reason_code if request.revoke_asked or request.revoked else None,
            "renewedFrom": request.renewed_from or None}


class Control:
    def __init__(self, world, dispatcher):
        self.world = world
        self.dispatcher = dispatcher

    def stats(self):
        with self.world.registry.lock:
            requests = [summary(request) for request in self.world.registry.all()]
        counts = self.dispatcher.counters.as_json()

        def succeeded(operation):
            return sum(count for status, count in counts["answered"].get(operation, {}).items()
                       if status.startswith("2"))

        same_csr = collections.Counter(item["csr_sha256"] for item in requests)
        return {"enroll_attempts": counts["received"].get("enroll", 0),
                "enrollments_accepted": succeeded("enroll"), "collects": succeeded("collect"),
                "revokes": succeeded("revoke"), **counts,
                "duplicate_csrs": sorted(digest for digest, count in same_csr.items() if count > 1),
                "requests": requests}

    def change_status(self, request, verb, body):
        """Forces a state; one that is not part of the normal way stays until it is changed again."""
        status = VERBS.get(verb) or body.get("status", request.status)
        hold = body.get("hold", request.held if verb == "status" else False)
        if not isinstance(status, str) or not 1 <= len(status) <= 64 or not isinstance(hold, bool):
            return problem(400, "status must be a string and hold true or false")
        request.held = hold
        if status != request.status:
            self.world.registry.enter(request, status, time.time())
        else:
            self.world.registry.save(request)
        self.world.registry.advance(request)
        return json_response(summary(request))

    def one_request(self, call, ssl_id, verb):
        body = json.loads(call.raw_body or b"{}")
        if not isinstance(body, dict):
            return problem(400, "expected a JSON object")
        with self.world.registry.lock:
            request = self.world.registry.find(ssl_id)
            if request is None:
                return problem(404, f"no request {ssl_id}")
            if call.method == "POST" and verb:
                return self.change_status(request, verb, body)
            if call.method == "GET" and not verb:
                return json_response({**dataclasses.asdict(request), **summary(request)})
        return problem(405, "wrong method")

    def respond(self, call):
        try:
            match = re.fullmatch(r"/requests/(\d{1,18})(?:/(approve|decline|reject|status))?", call.path)
            if match:
                return self.one_request(call, int(match[1]), match[2])
            if (call.method, call.path) == ("GET", "/stats"):
                return json_response(self.stats())
            if call.path in ("/settings", "/faults"):
                return switches(call, self.world.settings, self.dispatcher.faults)
        except ValueError as error:
            return problem(400, str(error))
        return problem(404, "GET /stats, /settings, /faults; POST /settings, /faults, "
                            "/requests/{id}/approve|decline|reject|status; DELETE /faults")
