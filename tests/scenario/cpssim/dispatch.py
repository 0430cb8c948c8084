"""One call of CPS: signature, pace, grants, media types, routing, the journal, and the faults ordered for it."""

import collections
import logging
import math
import threading
import time
import urllib.parse

from cpssim import accounts, change_api, enrollment_api
from cpssim.wire import Refused, gateway_refusal, not_found, vendor_names
from simkit import dispatch

LOG = logging.getLogger("cpssim")
PREFIX = "/cps/v2"
PARAMETERS = {"list": {"contractId"}, "update": {
    "allow-cancel-pending-changes", "allow-staging-bypass", "deploy-not-after", "deploy-not-before", "force-renewal",
    "renewal-date-check-override", "allow-missing-certificate-addition"}}
JOURNAL_BODY = 65536


class Pace:
    """When the calls of each account were, for the throttle of the gateway."""

    def __init__(self):
        self.lock = threading.Lock()
        self.moments = collections.defaultdict(collections.deque)

    def wait_for(self, account, limits):
        """Counts a call; or the seconds until one would be let through. Limits are (calls, seconds)."""
        now = time.monotonic()
        with self.lock:
            moments = self.moments[account]
            while moments and moments[0] < now - max(window for _, window in limits):
                moments.popleft()
            waits = [0]
            for calls, window in limits:
                recent = [moment for moment in moments if moment > now - window]
                if calls and len(recent) >= calls:
                    waits.append(recent[-calls] + window - now)
            if max(waits) > 0:
                return max(waits)
            moments.append(now)
            return 0


class Gateway(dispatch.Dispatcher):
    """The API as a function from Call to Response."""

    def __init__(self, world, verifier, journal, faults):
        super().__init__(world, enrollment_api.ROUTES + change_api.ROUTES, faults)
        self.verifier = verifier
        self.journal = journal
        self.pace = Pace()

    def handle(self, call):
        call.account, call.media, call.sent = None, None, None
        found, known = self.find(call)
        operation = found[0] if found else "unknown"
        path, _, query = call.target.partition("?")
        entry = {"operation": operation, "method": call.method, "path": path, "query": query, "client": None,
                 "account": None, "enrollment": self.number(call, "enrollment"), "change": self.number(call, "change"),
                 "accept": call.headers.get("Accept"), "content_type": call.headers.get("Content-Type"),
                 "body": call.raw_body[:JOURNAL_BODY].decode("utf-8", "replace"), "fault": None, "effect": []}
        with self.counters.lock:
            self.counters.received[operation] += 1
        fault = self.faults.take(operation, self.names_of(call))
        entry["fault"] = fault and fault.fault
        response = self.before(fault, operation)
        processed = response is None
        if processed:
            response = self.process(call, entry, found, known)
            with self.counters.lock:
                self.counters.answered[operation][response.status] += 1
            entry["processed_status"] = response.status
        # What a late answer is about has happened already, and is in the journal when the client still waits.
        late = processed and fault is not None and fault.fault == "delay-after"
        if processed and not late:
            response = self.after(fault, response)
        entry.update(processed=processed, status=response.status, wire=response.wire)
        self.journal.add(entry)
        if late:
            response = self.after(fault, response)
        LOG.info("%s %s -> %d %s", call.method, call.target, response.status, response.wire)
        return response

    def find(self, call):
        """((operation, Accept, Content-Type, handler) or None, is the path known)."""
        known = False
        for method, pattern, *rest in self.routes:
            match = pattern.fullmatch(call.path.removeprefix(PREFIX)) if call.path.startswith(PREFIX + "/") else None
            known = known or bool(match)
            if match and method == call.method:
                call.groups = match.groupdict()
                return rest, True
        return None, known

    @staticmethod
    def number(call, name):
        return int(call.groups[name]) if name in call.groups else None

    def names_of(self, call):
        """What a fault may be limited to: the numbers of the enrollment and the change, and the common name."""
        names = set(call.groups.values())
        with self.world.store.lock:
            enrollment = self.world.store.enrollments.get(self.number(call, "enrollment"))
            if enrollment is not None:
                names.add(enrollment.csr["cn"])
        return names

    def process(self, call, entry, found, known):
        host = call.headers.get("Host", "")
        try:
            client = self.verifier.check(call)
            entry["client"] = client["name"]
            self.read_query(call, found)
            self.admit(call, entry, client)
            if found is None:
                raise Refused(405, "method-not-allowed") if known else not_found()
            _, accepted, sent, handler = found
            self.negotiate(call, accepted, sent)
            with self.world.store.lock:
                return handler(self.world, call, entry)
        except Refused as refused:
            entry["error"] = refused.kind
            return refused.response(host, self.world.settings.problem_status)
        except Exception:
            LOG.exception("%s %s failed", call.method, call.target)
            entry["error"] = "internal-error"
            return Refused(500, "internal-error", "Internal error.").response(host)

    @staticmethod
    def read_query(call, found):
        """Parameters may come once each; one that CPS does not know is taken for a mistake of the client."""
        pairs = urllib.parse.parse_qsl(call.target.partition("?")[2], keep_blank_values=True)
        known = {"accountSwitchKey"} | PARAMETERS.get(found[0] if found else "", set())
        for name, count in collections.Counter(name for name, _ in pairs).items():
            if name not in known or count > 1:
                raise Refused(400, "invalid-query-parameter", f"{name} is not expected, or not so often.")
        call.query = dict(pairs)

    def admit(self, call, entry, client):
        """Which account the call works on, and whether the client may do that now."""
        settings = self.world.settings
        call.account = accounts.account_of(client, call.query.get("accountSwitchKey"))
        entry["account"] = call.account
        grant = accounts.grant_of(client, settings)
        if call.account is None or grant == "none" or (grant == "read" and call.method != "GET"):
            raise gateway_refusal(403, "pep-authz/deny", "The client does not have the grant needed for the request",
                                  call, authzRealm=f"{client['name']}.simulated.realm")
        wait = self.pace.wait_for(call.account, [(settings.rate_limit, settings.rate_window),
                                                 (settings.burst_limit, settings.burst_window)])
        if wait:
            refused = Refused(429, "rate-limit", "Too many requests; try again later.")
            refused.headers["Retry-After"] = str(math.ceil(wait))
            raise refused

    @staticmethod
    def negotiate(call, accepted, sent):
        """The exact vendor types, or nothing."""
        wanted = [name for name in vendor_names(call.headers.get("Accept")) if name in accepted]
        if not wanted:
            raise Refused(406, "unacceptable-media-type", "The Accept header has no supported vendor media type.")
        call.media = wanted[0]
        if sent:
            given = vendor_names(call.headers.get("Content-Type"))
            if len(given) != 1 or given[0] not in sent:
                raise Refused(415, "unsupported-media-type", "The Content-Type is not a supported vendor media type.")
            call.sent = given[0]

    def error_of(self, fault):
        return Refused(fault.status, fault.error_code or "error", fault.description).response("cps.invalid")
