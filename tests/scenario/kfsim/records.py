"""Requests and certificates: how requests are decided, what the CA makes of them, and their files.

A request's certificate is written before the request says that it is issued: a request found without that after a
kill is put right by its certificate.
"""

import dataclasses
import datetime
import hashlib
import json
import os
import threading
import time
import uuid

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kfsim.wire import NO_GUID
from simkit.ca import general_name, name_of, pem_of, utc_now
from simkit.files import write_atomically

FIRST_REQUEST = 881
FIRST_CERTIFICATE = 1207
FIRST_CA_REQUEST = 1542
# The first label of any name of a request selects one of these, over what the settings say.
LABELS = ("denied", "failed", "pending", "workflow", "external", "wrongkey", "wrongname", "norenew", "seeded", "samekey",
          "otherkey", "suspend")
EPOCH = datetime.datetime(1970, 1, 1)


def labels_of(names):
    """The first label of a name, up to a hyphen: pending-3.example.test chooses as pending.example.test does."""
    first = {name.removeprefix("*.").split(".")[0].split("-")[0] for name in names}
    return [label for label in LABELS if label in first]


@dataclasses.dataclass
class Request:
    """What somebody asked a CA, or a workflow, for. `via` is who has to agree: none, ca, workflow or external."""

    id: int
    csr: str
    csr_sha256: str
    names: list
    common_name: str
    authority: str
    template: str
    days: int
    requester: str
    metadata: dict
    via: str
    submitted: float
    renewed_from: int = 0
    public_key: str = ""  # SubjectPublicKeyInfo, PEM
    state: str = "Pending"  # Pending, ExternalValidation, Denied, Failed, Active
    comment: str = ""
    workflow: str = NO_GUID
    reference: int = 0
    workflow_status: str = ""
    workflow_message: str = ""
    certificate_id: int = 0

    @property
    def at_ca(self):
        """A workflow that has not ended has not asked the CA yet."""
        return self.via != "workflow" or self.workflow_status == "Complete"

    @property
    def ca_request_id(self):
        return str(FIRST_CA_REQUEST + self.id - FIRST_REQUEST)


@dataclasses.dataclass
class Certificate:
    id: int
    request_id: int
    pem: str
    names: list
    authority: str
    template: str
    requester: str
    metadata: dict
    imported: float
    listed: float  # from when lists show it
    known: float  # from when it is found by its number or thumbprint
    has_key: bool = False
    revoked: float = 0
    reason: int = -2
    comment: str = ""

    def __post_init__(self):
        self.parsed = x509.load_pem_x509_certificate(self.pem.encode("ascii"))
        self.der = self.parsed.public_bytes(serialization.Encoding.DER)
        self.thumbprint = hashlib.sha1(self.der).hexdigest().upper()
        digits = f"{self.parsed.serial_number:X}"
        self.serial = digits.zfill(len(digits) + len(digits) % 2)
        names = self.parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        self.common_name = names[0].value if names else ""

    @property
    def public_key_sha256(self):
        return key_sha256(self.parsed.public_key())

    @property
    def expired(self):
        return self.parsed.not_valid_after < utc_now()

    @property
    def not_before(self):
        return (self.parsed.not_valid_before - EPOCH).total_seconds()

    @property
    def not_after(self):
        return (self.parsed.not_valid_after - EPOCH).total_seconds()


@dataclasses.dataclass
class Revocation:
    """One that a workflow holds up."""

    id: str
    certificate_id: int
    reason: int
    comment: str
    started: float
    reference: int
    requester: str
    status: str = "Suspended"


def key_pem(key):
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode("ascii")


def key_sha256(key):
    return hashlib.sha256(key.public_bytes(serialization.Encoding.DER,
                                           serialization.PublicFormat.SubjectPublicKeyInfo)).hexdigest().upper()


class Records:
    """All that Command has. The lock is held by whoever reads or changes any of it."""

    def __init__(self, directory, settings, hierarchy):
        self.lock = threading.RLock()
        self.directory = directory
        self.settings = settings
        self.hierarchy = hierarchy
        self.requests = self.load("requests", Request)
        self.certificates = self.load("certificates", Certificate)
        self.revocations = self.load("revocations", Revocation)
        self.references = 0
        for kept in list(self.requests.values()) + list(self.revocations.values()):
            self.references = max(self.references, kept.reference)
        for certificate in self.certificates.values():
            request = self.requests[certificate.request_id]
            if not request.certificate_id:
                self.mark_issued(request, certificate)

    def load(self, folder, kind):
        path = os.path.join(self.directory, folder)
        os.makedirs(path, mode=0o700, exist_ok=True)
        found = {}
        for entry in os.listdir(path):
            if entry.endswith(".json"):
                with open(os.path.join(path, entry), encoding="utf-8") as stream:
                    record = kind(**json.load(stream))
                found[record.id] = record
        return dict(sorted(found.items()))

    def save(self, record):
        folder = {Request: "requests", Certificate: "certificates", Revocation: "revocations"}[type(record)]
        write_atomically(os.path.join(self.directory, folder, f"{record.id}.json"),
                         json.dumps(dataclasses.asdict(record)).encode("utf-8"))
        getattr(self, folder)[record.id] = record

    def next_reference(self):
        self.references += 1
        return self.references

    # ---- requests ----

    def submit(self, via=None, public_key=None, **members):
        """Makes a request, and the certificate if nobody has to agree. It is on disk when this returns."""
        labels = labels_of(members["names"])
        via = next((kind for label, kind in (("pending", "ca"), ("workflow", "workflow"), ("external", "external"))
                    if label in labels), via or self.settings.approval)
        request = Request(id=max(self.requests, default=FIRST_REQUEST - 1) + 1, via=via, submitted=time.time(),
                          public_key=key_pem(public_key), **members)
        if via == "workflow":
            request.workflow, request.workflow_status = str(uuid.uuid4()), "Suspended"
            request.reference = self.next_reference()
            request.workflow_message = "Waiting for 1 approval."
        elif via == "external":
            request.state = "ExternalValidation"
        self.save(request)
        if via == "none":
            self.decide_at_ca(request)
        return request

    def decide_at_ca(self, request, late=False):
        """The CA says yes, or no by the label of a name."""
        labels = labels_of(request.names)
        if "denied" in labels:
            self.end(request, "Denied", "Denied by Policy Module 0x80094806: the name is not allowed here.")
        elif "failed" in labels:
            self.end(request, "Failed", "The CA could not build the certificate.")
        else:
            self.issue(request, late)

    def approve(self, request, comment=""):
        """Whoever has to agree does."""
        if request.state not in ("Pending", "ExternalValidation"):
            return False
        request.comment = comment
        if not request.at_ca:
            return self.complete(request)
        self.issue(request, late=True)
        return True

    def complete(self, request, outcome="decide"):
        """The workflow ends, and asks the CA."""
        if request.workflow_status not in ("Suspended", "Running"):
            return False
        request.workflow_status, request.workflow_message = "Complete", "The workflow is complete."
        self.save(request)
        if outcome == "decide":
            self.decide_at_ca(request, late=True)
        elif outcome in ("Denied", "Failed"):
            self.end(request, outcome, "Denied by Policy Module 0x80094806.")
        return True

    def deny(self, request, comment):
        if request.state not in ("Pending", "ExternalValidation"):
            return False
        if not request.at_ca:
            return self.end_workflow(request, "Rejected", comment)
        self.end(request, "Denied", comment)
        return True

    def end_workflow(self, request, status, message):
        if request.workflow_status not in ("Suspended", "Running"):
            return False
        request.workflow_status, request.workflow_message = status, message
        self.end(request, "Failed", message)
        return True

    def end(self, request, state, comment):
        request.state, request.comment = state, comment
        self.save(request)

    def mark_issued(self, request, certificate):
        request.state, request.certificate_id = "Active", certificate.id
        if request.via == "workflow":
            request.workflow_status = "Complete"
        self.save(request)

    # ---- certificates ----

    def issue(self, request, late=False):
        """The certificate; a late one is known only once Command has synchronised with the CA."""
        labels, names, common_name = labels_of(request.names), request.names, request.common_name
        key = serialization.load_pem_public_key(request.public_key.encode("ascii"))
        if "wrongkey" in labels:
            key = ec.generate_private_key(ec.SECP256R1()).public_key()
        if "wrongname" in labels:
            names, common_name = ["other.invalid"], "other.invalid"
        now = time.time()
        known = now + self.settings.sync_delay if late else 0.0
        start = utc_now().replace(hour=0, minute=0, second=0)
        end = start + datetime.timedelta(days=request.days) - datetime.timedelta(seconds=1)
        subject = (name_of(common_name, "Simulated Corp") if 0 < len(common_name) <= 64 else
                   x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Simulated Corp")]))
        leaf = self.hierarchy.issuing.sign(names, key, start, end, subject)
        certificate = Certificate(
            id=max(self.certificates, default=FIRST_CERTIFICATE - 1) + 1, request_id=request.id,
            pem=pem_of(leaf).decode("ascii"), names=[str(general_name(name).value) for name in names],
            authority=request.authority, template=request.template, requester=request.requester,
            metadata=dict(request.metadata), imported=now, known=known, has_key=not request.csr,
            listed=known if late else now + self.settings.list_lag)
        self.save(certificate)
        self.mark_issued(request, certificate)
        return certificate

    def known(self, certificate):
        return certificate is not None and certificate.known <= time.time()

    def certificate(self, number):
        """By its number, if Command knows it by now."""
        found = self.certificates.get(number)
        return found if self.known(found) else None

    def by_thumbprint(self, thumbprint):
        wanted = thumbprint.replace(" ", "").replace(":", "").upper()
        return next((one for one in self.certificates.values()
                     if one.thumbprint == wanted and self.known(one)), None)

    def by_serial(self, serial, issuer):
        wanted = serial.replace(":", "").upper().lstrip("0")
        return next((one for one in self.certificates.values() if one.serial.lstrip("0") == wanted
                     and one.parsed.issuer.rfc4514_string() == issuer and self.known(one)), None)

    def synchronise(self):
        """What the CA has issued is known from now on."""
        for certificate in list(self.certificates.values()):
            if max(certificate.known, certificate.listed) > time.time():
                certificate.known = certificate.listed = 0.0
                self.save(certificate)

    def revoke(self, certificate, reason, comment):
        certificate.reason, certificate.comment = reason, comment
        certificate.revoked = 0 if reason == -1 else time.time()
        self.save(certificate)

    def suspend_revocation(self, certificate, reason, comment, requester):
        revocation = Revocation(str(uuid.uuid4()), certificate.id, reason, comment, time.time(), self.next_reference(),
                                requester)
        self.save(revocation)
        return revocation

    def end_revocation(self, revocation, status):
        if revocation.status != "Suspended":
            return False
        if status == "Complete":
            self.revoke(self.certificates[revocation.certificate_id], revocation.reason, revocation.comment)
        revocation.status = status
        self.save(revocation)
        return True
