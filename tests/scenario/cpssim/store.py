"""Enrollments with their changes and deployments: one file each, so that kill -9 never leaves a half of an update."""

import dataclasses
import json
import os
import threading
import time

from cpssim.settings import GLOBAL
from simkit.files import write_atomically

FIRST_ENROLLMENT = 10000
FIRST_CHANGE = 20000
FINISHED = ("completed", "cancelled", "error")
# Members that CPS computes; they are never part of the stored document.
READ_ONLY = ("id", "location", "pendingChanges", "assignedSlots", "productionSlots", "stagingSlots", "slots",
             "maxAllowedSanNames", "maxAllowedWildcardSanNames", "autoRenewalStartTime")


@dataclasses.dataclass
class Change:
    """One change; everything here is persisted. `phase` is a step of progress.py."""

    id: int
    type: str  # as in pendingChanges
    action: str  # as in the change history
    origin: str  # client, cps or foreign
    created: float
    since: float  # when it entered its phase
    updated: float
    ends: str = ""  # how: completed, cancelled or error
    phase: str = "new"
    held: bool = False
    certificate_needed: bool = True
    staging_bypass: bool = False
    algorithms: list = dataclasses.field(default_factory=list)
    before: dict = dataclasses.field(default_factory=dict)  # the document that a cancelled change goes back to
    not_before: str = ""
    not_after: str = ""
    keys: dict = dataclasses.field(default_factory=dict)
    csrs: dict = dataclasses.field(default_factory=dict)
    certificates: dict = dataclasses.field(default_factory=dict)  # algorithm -> certificate and trustChain
    pre_warnings: list = dataclasses.field(default_factory=list)
    post_warnings: list = dataclasses.field(default_factory=list)
    errors: list = dataclasses.field(default_factory=list)  # of the change management validation
    warnings: list = dataclasses.field(default_factory=list)
    hash_round: int = 0
    deadline: float = 0
    domains: list = dataclasses.field(default_factory=list)
    validated: bool = False  # ov and ev: said by the control port
    error: dict = dataclasses.field(default_factory=dict)
    acknowledged: list = dataclasses.field(default_factory=list)

    @property
    def finished(self):
        return self.phase in FINISHED


@dataclasses.dataclass
class Enrollment:
    """One enrollment; everything here is persisted."""

    id: int
    account: str
    created: float
    document: dict
    max_sans: int = 100
    changes: list = dataclasses.field(default_factory=list)
    production: dict = dataclasses.field(default_factory=dict)  # algorithm -> certificate and trustChain
    staging: dict = dataclasses.field(default_factory=dict)
    deployed: dict = dataclasses.field(default_factory=dict)  # the document at the time of the deployment
    history: list = dataclasses.field(default_factory=list)  # certificates that were once in production
    settings: dict = dataclasses.field(default_factory=dict)
    algorithms: list = dataclasses.field(default_factory=list)  # instead of what the document says

    @property
    def kind(self):
        return self.document["validationType"]

    @property
    def csr(self):
        return self.document["csr"]

    @property
    def pending(self):
        return [change for change in self.changes if not change.finished]

    def wanted_algorithms(self):
        if self.algorithms:
            return list(self.algorithms)
        dual = self.kind == "third-party" and self.document.get("enableMultiStackedCertificates")
        return ["RSA", "ECDSA"] if dual else ["RSA"]

    def change(self, change_id):
        return next((change for change in self.changes if change.id == change_id), None)


class View:
    """The settings as they are for one enrollment."""

    def __init__(self, settings, own):
        self.settings = settings
        self.own = own

    def __getattr__(self, name):
        return self.own[name] if name in self.own else getattr(self.settings, name)


class Store:
    """All enrollments. Its lock is held by whoever reads or changes one."""

    def __init__(self, directory, settings):
        self.lock = threading.RLock()
        self.settings = settings
        self.directory = directory
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self.enrollments = {}
        for entry in sorted(os.listdir(directory)):
            if entry.endswith(".json"):
                with open(os.path.join(directory, entry), encoding="utf-8") as stream:
                    members = json.load(stream)
                members["changes"] = [Change(**change) for change in members["changes"]]
                self.enrollments[members["id"]] = Enrollment(**members)

    def save(self, enrollment):
        write_atomically(os.path.join(self.directory, f"{enrollment.id}.json"),
                         json.dumps(dataclasses.asdict(enrollment)).encode("utf-8"), 0o600)

    def add(self, account, document, **members):
        number = max(self.enrollments, default=FIRST_ENROLLMENT) + 1
        enrollment = Enrollment(number, account, time.time(), document, **members)
        self.enrollments[number] = enrollment
        self.save(enrollment)
        return enrollment

    def next_change(self):
        return 1 + max((change.id for enrollment in self.enrollments.values() for change in enrollment.changes),
                       default=FIRST_CHANGE)

    def of(self, enrollment):
        """The settings, with the enrollment's own in place of the general ones."""
        return View(self.settings, enrollment.settings)

    def set_own(self, enrollment, changes):
        """ValueError names what does not fit; null takes the enrollment's own value away."""
        kept = {name: value for name, value in enrollment.settings.items() if name not in changes}
        given = {name: value for name, value in changes.items() if value is not None}
        if set(given) & set(GLOBAL):
            raise ValueError(", ".join(sorted(set(given) & set(GLOBAL))) + ": not a setting of one enrollment")
        enrollment.settings = {**kept, **self.settings.checked(given)}
        self.save(enrollment)

    def by_change(self, change_id):
        """(enrollment, change) or (None, None)."""
        for enrollment in self.enrollments.values():
            change = enrollment.change(change_id)
            if change is not None:
                return enrollment, change
        return None, None
