"""Certificate requests: their records, their way through the states, and their files.

States change lazily: every look at a request first takes the steps that have come due. That keeps the
simulator free of timers and makes a restart continue exactly where the time has got to.
"""

import dataclasses
import datetime
import json
import os
import secrets
import string
import threading
import time

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from simkit.ca import pem_of
from scmsim.csr import Csr
from simkit.files import write_atomically

STATUSES = ("Init", "Requested", "SAApproved", "Approved", "Applied", "Issued", "Declined", "Rejected",
            "Invalid", "Revoked", "Expired", "Replaced", "Unmanaged")
FAILED = ("Declined", "Rejected", "Invalid")
# The first label of any name of a request selects one of these.
BEHAVIOURS = ("declined", "rejected", "invalid", "slow", "manual", "wrongkey", "wrongname")
FIRST_ID = 4242
# The part of the CA delay a request spends as Approved, before the hand-over to the CA.
HANDOVER_SHARE = 0.25
EPOCH = datetime.datetime(1970, 1, 1)


@dataclasses.dataclass
class SslRequest:
    """One record; everything here is persisted."""

    ssl_id: int
    org_id: int
    profile_id: int
    term: int
    common_name: str
    names: list
    csr: str
    csr_sha256: str
    created: float
    since: float
    renew_id: str
    status: str = "Requested"
    comments: str = ""
    external_requester: str = ""
    custom_fields: list = dataclasses.field(default_factory=list)
    behaviours: list = dataclasses.field(default_factory=list)
    held: bool = False
    backend_id: str = ""
    certificate: str = ""
    serial: str = ""
    not_after: float = 0
    approved: float = 0
    issued: float = 0
    declined: float = 0
    replaced: float = 0
    revoke_asked: float = 0
    revoked: float = 0
    reason_code: int = -1
    renewed: float = 0
    renewed_from: int = 0
    suspend_notifications: bool = False
    kind: str = "ssl"


def behaviours_of(names):
    labels = {name.removeprefix("*.").split(".")[0] for name in names}
    return [label for label in BEHAVIOURS if label in labels]


def colons(number):
    digits = f"{number:X}"
    digits = digits.zfill(len(digits) + len(digits) % 2)
    return ":".join(digits[at:at + 2] for at in range(0, len(digits), 2))


def plain_serial(text):
    return text.replace(":", "").upper().lstrip("0")


class Registry:
    """All requests. Its lock is held by whoever reads or changes one."""

    def __init__(self, directory, settings, hierarchy):
        self.lock = threading.RLock()
        self.settings = settings
        self.hierarchy = hierarchy
        self.directory = directory
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self.requests = {}
        for entry in sorted(os.listdir(directory)):
            if entry.endswith(".json"):
                with open(os.path.join(directory, entry), encoding="utf-8") as stream:
                    record = SslRequest(**json.load(stream))
                self.requests[record.ssl_id] = record
        self.next_id = max(self.requests, default=FIRST_ID - 1) + 1

    def save(self, request):
        write_atomically(os.path.join(self.directory, f"{request.ssl_id}.json"),
                         json.dumps(dataclasses.asdict(request)).encode("utf-8"))

    def add(self, **members):
        """Makes a request out of checked members; it is on disk when this returns."""
        with self.lock:
            now = time.time()
            letters = string.ascii_letters + string.digits
            request = SslRequest(
                ssl_id=self.next_id, created=now, since=now,
                renew_id="".join(secrets.choice(letters) for _ in range(20)), **members)
            request.behaviours = behaviours_of(request.names)
            self.save(request)
            self.next_id += 1
            self.requests[request.ssl_id] = request
            return request

    def find(self, ssl_id):
        """The request, brought up to the present, or None."""
        request = self.requests.get(ssl_id)
        if request is not None:
            self.advance(request)
        return request

    def find_serial(self, serial):
        wanted = plain_serial(serial)
        return next((request for request in self.all() if request.serial
                     and plain_serial(request.serial) == wanted), None)

    def all(self):
        for request in self.requests.values():
            self.advance(request)
        return list(self.requests.values())

    def is_visible(self, request):
        return time.time() >= request.created + self.settings.visibility_lag

    def enter(self, request, status, moment):
        """Puts a request into a state and writes it down."""
        request.status = status
        request.since = moment
        if status == "Approved":
            request.approved = moment
        elif status == "Applied":
            request.backend_id = request.backend_id or str(990000 + request.ssl_id)
        elif status in ("Issued", "Replaced"):
            self.issue(request)
            request.issued = moment
        elif status == "Declined":
            request.declined = moment
        elif status == "Revoked":
            request.revoked = moment
            request.reason_code = max(request.reason_code, 0)
        self.save(request)

    def advance(self, request):
        now = time.time()
        while not request.held:
            step = self.next_step(request)
            if step is None or now < step[1]:
                return
            self.enter(request, *step)

    def next_step(self, request):
        """(status, when) of what time alone will do to the request next, or None."""
        settings = self.settings
        status = request.status
        if status in ("Init", "Requested", "SAApproved"):
            if "manual" in request.behaviours:
                return None
            target = "Approved"
            if "declined" in request.behaviours:
                target = "Declined"
            elif "invalid" in request.behaviours:
                target = "Invalid"
            return target, request.since + settings.approval_delay
        if status == "Approved":
            return "Applied", request.since + settings.ca_delay * HANDOVER_SHARE
        if status == "Applied":
            delay = settings.ca_delay * (1 - HANDOVER_SHARE)
            if "slow" in request.behaviours:
                delay += settings.slow_delay
            target = "Rejected" if "rejected" in request.behaviours else "Issued"
            if request.replaced and target == "Issued":
                target = settings.replaced_status
            return target, request.since + delay
        if status in ("Issued", "Replaced"):
            if request.revoke_asked:
                return "Revoked", request.revoke_asked + settings.revoke_delay
            return "Expired", request.not_after
        return None

    def issue(self, request):
        public_key = Csr(request.csr).public_key
        names, common_name = request.names, request.common_name
        if "wrongkey" in request.behaviours:
            public_key = ec.generate_private_key(ec.SECP256R1()).public_key()
        if "wrongname" in request.behaviours:
            names, common_name = ["other.invalid"], "other.invalid"
        certificate = self.hierarchy.issue(names, common_name, public_key, request.term)
        request.certificate = pem_of(certificate).decode("ascii")
        request.serial = colons(certificate.serial_number)
        # The record keeps times as seconds since the epoch, the library gives naive UTC.
        request.not_after = (certificate.not_valid_after - EPOCH).total_seconds()

    def leaf(self, request):
        return x509.load_pem_x509_certificate(request.certificate.encode("ascii"))
