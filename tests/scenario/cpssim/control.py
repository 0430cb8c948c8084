"""The control port: plain HTTP and JSON for tests, to look inside and to order misbehaviour; see __init__.py."""

import dataclasses
import re
import time
import urllib.parse

from cpssim import accounts, documents, dv, keys, progress
from simkit.control import object_of, problem, switches
from simkit.wire import json_response

KINDS = {"dv": ("lets-encrypt", "san"), "ov": ("symantec", "san"), "ev": ("symantec", "san"),
         "third-party": ("third-party", "third-party")}
ACTIONS = {"renewal": "renew", "modify-san": "modify-san", "modify-certificate": "new-certificate",
           "new-certificate": "new-certificate"}
CONTACT = {"firstName": "Ada", "lastName": "Admin", "email": "ada@corp.test", "phone": "+49 30 1234",
           "organizationName": "Corp", "addressLineOne": "Street 1", "city": "Berlin", "country": "DE",
           "postalCode": "10115", "region": "Berlin", "title": None, "addressLineTwo": None}
# Members of a new enrollment that the control port takes: their default.
NEW = {"kind": "third-party", "cn": "www.example.test", "sans": [], "account": accounts.OWN_ACCOUNT,
       "change_management": False, "dual_stack": False, "algorithms": [], "deployed": True, "max_sans": 100,
       "members": {}, "settings": {}}


def merged(base, extra):
    """A document with the members of another one laid over it."""
    result = dict(base)
    for name, value in extra.items():
        both = isinstance(value, dict) and isinstance(result.get(name), dict)
        result[name] = merged(result[name], value) if both else value
    return result


def new_document(given):
    ra, certificate_type = KINDS[given["kind"]]
    document = {
        "adminContact": CONTACT, "techContact": {**CONTACT, "email": "tech@akamai.test"}, "autoRenewalStartTime": None,
        "certificateChainType": "default", "certificateType": certificate_type,
        "changeManagement": given["change_management"],
        "csr": {"cn": given["cn"], "c": "DE", "st": "Berlin", "l": "Berlin", "o": "Corp", "ou": "Web",
                "sans": given["sans"] or [given["cn"]], "preferredTrustChain": None},
        "enableMultiStackedCertificates": given["dual_stack"],
        "networkConfiguration": {
            "geography": "core", "secureNetwork": "enhanced-tls", "sniOnly": True, "quicEnabled": True,
            "mustHaveCiphers": "ak-akamai-2020q1", "preferredCiphers": "ak-akamai-2020q1",
            "disallowedTlsVersions": ["TLSv1", "TLSv1_1"], "ocspStapling": "on", "clientMutualAuthentication": None,
            "dnsNameSettings": {"cloneDnsNames": True, "dnsNames": []}, "fipsMode": False},
        "org": {"name": "Corp", "addressLineOne": "Street 1", "addressLineTwo": None, "city": "Berlin",
                "region": "Berlin", "postalCode": "10115", "country": "DE", "phone": "+49 30 1234"},
        "orgId": None, "ra": ra, "signatureAlgorithm": "SHA-256",
        "thirdParty": {"excludeSans": False} if given["kind"] == "third-party" else None,
        "validationType": given["kind"]}
    return documents.stripped(merged(document, given["members"]))


def change_summary(change):
    shown = dataclasses.asdict(change)
    shown.pop("before")
    shown["keys"] = {name: keys.key_sha256(keys.load_key(pem).public_key()) for name, pem in change.keys.items()}
    shown["certificates"] = {name: keys.facts(pair["certificate"]) for name, pair in change.certificates.items()}
    shown["finished"] = change.finished
    shown["hash"] = progress.validation_hash(change)
    return shown


def summary(enrollment):
    """All of an enrollment but private keys; `started` counts changes by who started them."""
    shown = dataclasses.asdict(enrollment)
    shown["names"] = keys.names_of(enrollment.csr)
    shown["changes"] = [change_summary(change) for change in enrollment.changes]
    shown["pending"] = [change.id for change in enrollment.pending]
    shown["started"] = {origin: sum(change.origin == origin for change in enrollment.changes)
                        for origin in ("client", "cps", "foreign")}
    for network in ("production", "staging"):
        shown[network] = {name: {**pair, **keys.facts(pair["certificate"])}
                          for name, pair in getattr(enrollment, network).items()}
    shown["history"] = [{name: keys.facts(pair["certificate"]) for name, pair in pairs.items()}
                        for pairs in enrollment.history]
    return shown


class Control:
    def __init__(self, world, gateway, journal):
        self.world = world
        self.gateway = gateway
        self.journal = journal

    def respond(self, call):
        try:
            with self.world.store.lock:
                for enrollment in self.world.store.enrollments.values():
                    self.world.progress.advance(enrollment)
                return self.route(call)
        except (ValueError, KeyError, TypeError) as error:
            return problem(400, str(error))

    def route(self, call):
        what = (call.method, call.path)
        match = re.fullmatch(r"/enrollments/(\d{1,15})(/changes|/settings)?", call.path)
        if match:
            return self.one(call, int(match[1]), match[2] or "")
        match = re.fullmatch(r"/changes/(\d{1,15})(?:/([a-z]+))?", call.path)
        if match:
            return self.one_change(call, int(match[1]), match[2])
        if what == ("POST", "/enrollments"):
            return json_response(summary(self.make(object_of(call))), 201)
        if what == ("GET", "/enrollments"):
            return json_response([summary(item) for item in self.world.store.enrollments.values()])
        if what == ("GET", "/stats"):
            return json_response(self.stats())
        if what == ("GET", "/journal"):
            query = dict(urllib.parse.parse_qsl(call.target.partition("?")[2]))
            number = query.get("enrollment")
            return json_response(self.journal.select(query.get("operation"), int(number) if number else None,
                                                     int(query.get("since", 0)), query.get("effects") == "true"))
        if call.path in ("/settings", "/faults"):
            return switches(call, self.world.settings, self.gateway.faults)
        return problem(404, "see cpssim/__init__.py for what there is")

    def stats(self):
        enrollments = self.world.store.enrollments.values()
        return {**self.gateway.counters.as_json(),
                "changes": {str(item.id): summary(item)["started"] for item in enrollments}}

    # ---- enrollments ----

    def make(self, body):
        unknown = set(body) - set(NEW)
        if unknown:
            raise ValueError("unknown members " + ", ".join(sorted(unknown)))
        given = {**NEW, **body}
        for name, default in NEW.items():
            if type(given[name]) is not type(default):
                raise ValueError(f"{name}: expected {type(default).__name__}")
        if given["kind"] not in KINDS:
            raise ValueError("kind: expected one of " + ", ".join(KINDS))
        if not set(given["algorithms"]) <= set(keys.ALGORITHMS):
            raise ValueError("algorithms: expected RSA, ECDSA or both")
        own = self.world.settings.checked(given["settings"])
        enrollment = self.world.store.add(given["account"], new_document(given), max_sans=given["max_sans"],
                                          algorithms=given["algorithms"], settings=own)
        if given["deployed"]:
            self.deploy(enrollment)
        return enrollment

    def deploy(self, enrollment):
        """A first certificate of the simulator's own CA, without a change."""
        names = keys.names_of(enrollment.csr)
        for algorithm in enrollment.wanted_algorithms():
            key = keys.load_key(keys.make_key(algorithm))
            leaf = self.world.hierarchy.issue(names, names[0], key.public_key(),
                                              self.world.store.of(enrollment).term_days)
            whole = keys.BLOCK.findall(self.world.hierarchy.download(leaf, "pemia").decode("ascii"))
            enrollment.production[algorithm] = {"certificate": whole[0], "trustChain": "\n".join(whole[1:])}
        enrollment.staging = dict(enrollment.production)
        enrollment.deployed = enrollment.document
        enrollment.history.append(dict(enrollment.production))
        self.world.store.save(enrollment)

    def one(self, call, number, rest):
        enrollment = self.world.store.enrollments.get(number)
        if enrollment is None:
            return problem(404, f"no enrollment {number}")
        if (call.method, rest) == ("POST", "/settings"):
            self.world.store.set_own(enrollment, object_of(call))
        elif (call.method, rest) == ("POST", "/changes"):
            self.start(enrollment, object_of(call))
        elif (call.method, rest) == ("POST", ""):
            enrollment.document = merged(enrollment.document, object_of(call))
            self.world.store.save(enrollment)
        elif (call.method, rest) != ("GET", ""):
            return problem(405, "wrong method")
        return json_response(summary(enrollment))

    def start(self, enrollment, body):
        """A change that the client did not ask for: of CPS itself, or of somebody else."""
        origin = body.get("origin", "cps")
        if origin not in ("cps", "foreign"):
            raise ValueError("origin: expected cps or foreign")
        if enrollment.pending:
            raise ValueError(f"there is a pending change {enrollment.pending[0].id}")
        document = enrollment.document
        if "sans" in body:
            document = merged(document, {"csr": {"sans": body["sans"]}})
        kind = body.get("type", "modify-san" if "sans" in body else "renewal")
        if kind not in ACTIONS:
            raise ValueError("type: expected one of " + ", ".join(ACTIONS))
        change = self.world.progress.start(enrollment, document, kind, ACTIONS[kind], origin=origin)
        change.held = bool(body.get("held", False))
        self.world.store.save(enrollment)

    # ---- changes ----

    def one_change(self, call, number, verb):
        enrollment, change = self.world.store.by_change(number)
        if change is None:
            return problem(404, f"no change {number}")
        if call.method == "POST" and verb:
            body = object_of(call) if call.raw_body else {}
            getattr(self, "do_" + verb, self.unknown)(enrollment, change, body)
            self.world.store.save(enrollment)
            self.world.progress.advance(enrollment)
        elif call.method != "GET" or verb:
            return problem(405, "wrong method")
        return json_response({**change_summary(change), "enrollment": enrollment.id})

    @staticmethod
    def unknown(enrollment, change, body):
        raise ValueError("no such order for a change; see cpssim/__init__.py")

    def do_hold(self, enrollment, change, body):
        change.held = True

    def do_release(self, enrollment, change, body):
        change.held = False

    def do_error(self, enrollment, change, body):
        if change.finished:
            raise ValueError("the change is finished")
        self.world.progress.fail(enrollment, change, body.get("code", "unknown"),
                                 body.get("description", "The change failed."))

    def do_cancel(self, enrollment, change, body):
        if change.finished:
            raise ValueError("the change is finished")
        self.world.progress.cancel(enrollment, change)

    def do_finish(self, enrollment, change, body):
        """Finishes now the step that time alone would finish."""
        step = self.world.progress.next_step(enrollment, change)
        if step is None:
            raise ValueError(f"the change waits for input in {change.phase}")
        self.world.progress.enter(enrollment, change, step[0])

    def do_vetted(self, enrollment, change, body):
        change.validated = True

    def do_dv(self, enrollment, change, body):
        """Validates a domain, or all; or says what is wrong with it."""
        if change.phase != "validate":
            raise ValueError(f"the change is in {change.phase}")
        chosen = [domain for domain in change.domains if body.get("domain") in (None, domain["domain"])]
        if not chosen:
            raise ValueError("no such domain")
        for domain in chosen:
            dv.record(domain, body.get("valid", True), body.get("error", ""))

    def do_warnings(self, enrollment, change, body):
        """New pre- or post-verification warnings of a change that has not got there yet."""
        checked = self.world.settings.checked(body)
        if not set(checked) <= {"pre_warnings", "post_warnings"}:
            raise ValueError("expected pre_warnings or post_warnings")
        change.pre_warnings = checked.get("pre_warnings", change.pre_warnings)
        change.post_warnings = checked.get("post_warnings", change.post_warnings)

    def do_validation(self, enrollment, change, body):
        """Another result of the change management validation, and so another hash."""
        checked = self.world.settings.checked({f"validation_{name}": value for name, value in body.items()})
        change.errors = checked.get("validation_errors", change.errors)
        change.warnings = checked.get("validation_warnings", change.warnings)

    def do_hash(self, enrollment, change, body):
        """Another hash for the same result."""
        change.hash_round += 1

    def do_deadline(self, enrollment, change, body):
        """The acknowledgement deadline, in seconds from now."""
        if change.phase != "gate":
            raise ValueError(f"the change is in {change.phase}")
        change.deadline = time.time() + float(body["seconds"])
