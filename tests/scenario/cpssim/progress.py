"""The way of a change through its phases.

Phases change lazily: every look at an enrollment first takes the steps that have come due, so that a restart continues
exactly where the time has got to. Each step is written down before the next one.

  new, pre-checks, [pre-warnings], then by the kind of enrollment
    third-party: make-csr, upload, verify, [post-warnings]
    dv:          validate, issue, [post-warnings]
    ov, ev:      vetting, issue, [post-warnings]
    nothing of these when no certificate is needed
  with change management: staging, gate;  then production, completed.
"""

import hashlib
import json
import time

from cpssim import dv, keys
from cpssim.store import Change
from cpssim.wire import time_of
from simkit.ca import pem_of

# What is asked for in the phases that wait for the client.
INPUTS = {"pre-warnings": "pre-verification-warnings-acknowledgement", "upload": "third-party-certificate",
          "validate": "lets-encrypt-challenges", "post-warnings": "post-verification-warnings-acknowledgement",
          "gate": "change-management"}


def validation_result(change):
    """The result of the change management validation, or None when nothing was found."""
    if not change.errors and not change.warnings:
        return None
    return {"errors": change.errors or None, "warnings": change.warnings or None}


def validation_hash(change):
    """As in Akamai's samples, the hash of the empty text stands for no result; and it changes when told to."""
    result = validation_result(change)
    text = "" if result is None and not change.hash_round else json.dumps([change.hash_round, result])
    return hashlib.sha1(text.encode("utf-8")).hexdigest()


class Progress:
    def __init__(self, store, hierarchy):
        self.store = store
        self.hierarchy = hierarchy

    # ---- beginnings and ends ----

    def start(self, enrollment, document, change_type, action, **members):
        """A new change that gives the enrollment a new document; it is on disk when this returns."""
        now = time.time()
        members.setdefault("origin", "client")
        change = Change(self.store.next_change(), change_type, action, created=now, since=now, updated=now,
                        before=enrollment.document, **members)
        enrollment.document = document
        if not change.algorithms:
            change.algorithms = enrollment.wanted_algorithms()
        change.pre_warnings = list(self.store.of(enrollment).pre_warnings)
        enrollment.changes.append(change)
        self.store.save(enrollment)
        return change

    def finish(self, enrollment, change, phase, error=None):
        """Ends a change that did not get to its goal."""
        change.error = error or {}
        change.phase, change.ends = phase, phase
        change.since = change.updated = time.time()
        if self.store.of(enrollment).cancel_reverts and phase == "cancelled":
            enrollment.document = change.before
        self.store.save(enrollment)

    def cancel(self, enrollment, change):
        self.finish(enrollment, change, "cancelled")

    def fail(self, enrollment, change, code, description):
        self.finish(enrollment, change, "error", {"code": code, "description": description, "timestamp": time.time()})

    # ---- steps ----

    def advance(self, enrollment):
        """Brings the changes of an enrollment up to the present."""
        for change in enrollment.pending:
            if change.phase == "validate" and not change.held:
                self.renew_challenges(enrollment, change)
            while not change.held and not change.finished:
                step = self.next_step(enrollment, change)
                if step is None or time.time() < step[1]:
                    break
                self.enter(enrollment, change, *step)

    def renew_challenges(self, enrollment, change):
        """Challenges that have expired give place to new ones."""
        now = time.time()
        fresh = [domain if domain["valid"] or now < domain["expires"] else
                 dv.make_domain(domain["domain"], now, self.store.of(enrollment).dv_lifetime)
                 for domain in change.domains]
        if fresh != change.domains:
            change.domains = fresh
            self.store.save(enrollment)

    def next_step(self, enrollment, change):
        """(phase, when) of what the change does next by itself, or None while it waits."""
        view = self.store.of(enrollment)
        phase = change.phase

        def after(name):
            return change.since + getattr(view, name) * view.time_scale

        if phase == "new":
            return "pre-checks", after("start_delay")
        if phase == "pre-checks":
            return "pre-warnings" if change.pre_warnings else self.to_certificate(enrollment, change), \
                after("check_delay")
        if phase == "make-csr":
            return "upload", after("csr_delay")
        if phase == "verify":
            return "post-warnings" if change.post_warnings else self.to_network(enrollment, change), \
                after("verify_delay")
        if phase == "validate":
            valid = all(domain["valid"] for domain in change.domains)
            return ("issue", change.since) if valid else None
        if phase == "vetting":
            return "issue", change.since if change.validated else after("ov_delay")
        if phase == "issue":
            return "post-warnings" if view.post_warnings else self.to_network(enrollment, change), after("issue_delay")
        if phase == "staging":
            return "gate", after("staging_delay")
        if phase == "gate":
            return ("production", change.deadline) if change.deadline and not change.errors else None
        if phase == "production":
            return "completed", max(after("production_delay"), self.window_start(change)
                                    + view.production_delay * view.time_scale)
        return None

    def to_certificate(self, enrollment, change):
        """The first phase on the way to a certificate."""
        if not change.certificate_needed:
            return self.to_network(enrollment, change)
        return {"third-party": "make-csr", "dv": "validate"}.get(enrollment.kind, "vetting")

    @staticmethod
    def to_network(enrollment, change):
        managed = enrollment.document.get("changeManagement") and not change.staging_bypass
        return "staging" if managed else "production"

    @staticmethod
    def window_start(change):
        return time_of(change.not_before) if change.not_before else 0

    def is_deploying(self, change):
        return change.phase == "staging" or (change.phase == "production" and time.time() >= self.window_start(change))

    def enter(self, enrollment, change, phase, moment=None):
        """Puts a change into a phase and writes it down."""
        moment = time.time() if moment is None else moment
        view = self.store.of(enrollment)
        if change.phase == "issue":
            self.issue(enrollment, change, view)
        if phase == "upload":
            self.make_csrs(enrollment, change, view)
        elif phase == "validate":
            change.domains = [dv.make_domain(name, moment, view.dv_lifetime) for name in keys.names_of(enrollment.csr)]
        elif phase == "gate":
            enrollment.staging = self.result(enrollment, change)
            change.errors, change.warnings = list(view.validation_errors), list(view.validation_warnings)
            if enrollment.production:
                change.deadline = moment + view.ack_deadline * view.time_scale
        elif phase == "production" and change.not_after and moment > time_of(change.not_after):
            self.fail(enrollment, change, "deployment-window", "The deployment window has passed.")
            return
        elif phase == "completed":
            self.deploy(enrollment, change)
        change.phase, change.since, change.updated = phase, moment, moment
        self.store.save(enrollment)

    @staticmethod
    def make_csrs(enrollment, change, view):
        exclude = bool((enrollment.document.get("thirdParty") or {}).get("excludeSans"))
        for algorithm in change.algorithms:
            change.keys[algorithm] = keys.make_key(algorithm)
            if view.csr_only in ("", algorithm):
                change.csrs[algorithm] = keys.make_csr(change.keys[algorithm], enrollment.csr, exclude)

    def issue(self, enrollment, change, view):
        """CPS's own CA signs: Let's Encrypt or DigiCert of the real one."""
        change.post_warnings = list(view.post_warnings)
        names = keys.names_of(enrollment.csr)
        for algorithm in change.algorithms:
            change.keys[algorithm] = keys.make_key(algorithm)
            change.csrs[algorithm] = keys.make_csr(change.keys[algorithm], enrollment.csr)
            leaf = self.hierarchy.issue(names, names[0], keys.load_key(change.keys[algorithm]).public_key(),
                                        view.term_days)
            chain = b"".join(pem_of(tier.certificate) for tier in self.hierarchy.tiers[:0:-1])
            change.certificates[algorithm] = {"certificate": pem_of(leaf).decode("ascii").strip(),
                                              "trustChain": chain.decode("ascii").strip()}

    @staticmethod
    def result(enrollment, change):
        """What is deployed once the change is through."""
        if not change.certificate_needed:
            return dict(enrollment.production)
        kept = enrollment.production if change.action == "add-missing" else {}
        return {**kept, **change.certificates}

    def deploy(self, enrollment, change):
        enrollment.production = self.result(enrollment, change)
        enrollment.staging = dict(enrollment.production)
        enrollment.deployed = enrollment.document
        if change.certificate_needed:
            enrollment.history.append(dict(enrollment.production))
        change.ends = "completed"

    # ---- what the client says ----

    def uploaded(self, enrollment, change, leaves):
        """Takes certificates of the client: {algorithm: (leaf, certificate, chain)}."""
        view = self.store.of(enrollment)
        change.post_warnings = list(view.post_warnings)
        names = keys.names_of(enrollment.csr)
        for algorithm, (leaf, certificate, chain) in leaves.items():
            change.certificates[algorithm] = {"certificate": certificate.strip(), "trustChain": chain.strip()}
            change.post_warnings += keys.findings(leaf, change.keys[algorithm], names, algorithm)
        self.enter(enrollment, change, "verify")

    def acknowledge(self, enrollment, change, kind):
        change.acknowledged.append(kind)
        if change.phase == "pre-warnings":
            self.enter(enrollment, change, self.to_certificate(enrollment, change))
        elif change.phase == "post-warnings":
            for algorithm, pair in change.certificates.items():
                leaf = keys.read_certificates(pair["certificate"])[0]
                if not keys.key_fits(leaf, change.keys[algorithm]):
                    self.fail(enrollment, change, "key-mismatch",
                              f"The {algorithm} certificate does not fit the private key of this change.")
                    return
            self.enter(enrollment, change, self.to_network(enrollment, change))
        elif change.phase == "gate":
            self.enter(enrollment, change, "production")

    def deny(self, enrollment, change):
        if self.store.of(enrollment).deny_result == "error":
            self.fail(enrollment, change, "denied", "The change was denied.")
        else:
            self.cancel(enrollment, change)
