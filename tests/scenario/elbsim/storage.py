"""The certificate objects of all projects and their files, private keys included: readable for the owner only."""

import dataclasses
import json
import os
import secrets
import threading
import time

from elbsim import pem
from elbsim.wire import time_text
from simkit.files import write_atomically

HIDDEN_KEY = "******"


@dataclasses.dataclass
class Stored:
    """One object; everything here is persisted. `history` has the SHA-256 of every leaf that it held."""

    id: str
    project: str
    created: float
    updated: float
    number: int
    type: str = "server"
    name: str = ""
    description: str = ""
    domain: str = ""
    certificate: str = ""
    private_key: str = ""
    scm_certificate_id: str = ""
    source: str = ""
    protection_status: str = "nonProtection"
    protection_reason: str = ""
    enterprise_project_id: str = "0"
    admin_state_up: bool = True
    bound: bool = False
    port: int = 0  # of the TLS listener while it is bound
    history: list = dataclasses.field(default_factory=list)

    @property
    def pair_fits(self):
        return bool(self.private_key) and pem.fits(self.certificate, self.private_key)


class Storage:
    """All objects. Its lock is held by whoever reads or changes one."""

    def __init__(self, directory):
        self.lock = threading.RLock()
        self.directory = directory
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self.objects = {}
        for entry in sorted(os.listdir(directory)):
            if entry.endswith(".json"):
                with open(os.path.join(directory, entry), encoding="utf-8") as stream:
                    stored = Stored(**json.load(stream))
                self.objects[stored.id] = stored

    def path_of(self, certificate_id):
        return os.path.join(self.directory, f"{certificate_id}.json")

    def save(self, stored):
        write_atomically(self.path_of(stored.id), json.dumps(dataclasses.asdict(stored)).encode("utf-8"), 0o600)

    def change(self, stored, members):
        """Sets members and writes the object down before anybody sees the change."""
        changed = dataclasses.replace(stored, **members)
        changed.updated = time.time()
        leaf = pem.leaf_sha256(changed.certificate)
        if not changed.history or changed.history[-1] != leaf:
            changed.history = [*changed.history, leaf]
        self.save(changed)
        self.objects[changed.id] = changed
        return changed

    def add(self, project, members):
        now = time.time()
        number = max((stored.number for stored in self.objects.values()), default=0) + 1
        stored = Stored(id=secrets.token_hex(16), project=project, created=now, updated=now, number=number)
        return self.change(stored, members)

    def remove(self, stored):
        os.unlink(self.path_of(stored.id))
        del self.objects[stored.id]

    def all(self, project=None):
        """The objects (of a project) in the order they were made."""
        return sorted((stored for stored in self.objects.values() if project in (None, stored.project)),
                      key=lambda stored: stored.number)


def as_reply(stored, settings):
    """The object as the API shows it."""
    leaf = pem.read_chain(stored.certificate)[0]
    fingerprint = pem.sha1_of(leaf) if settings.fingerprint == "sha1" else "869df7fcb441c2ef3fb9329437815972eeb1ef0e"
    key = stored.private_key
    if key and not settings.private_key_echo:
        key = HIDDEN_KEY
    reply = {
        "private_key": pem.formed(key, settings.pem_form) if key != HIDDEN_KEY else key,
        "description": stored.description, "domain": stored.domain or None, "id": stored.id, "name": stored.name,
        "certificate": pem.formed(stored.certificate, settings.pem_form), "type": stored.type,
        "admin_state_up": stored.admin_state_up, "project_id": stored.project,
        "expire_time": time_text(pem.expiry(leaf)), "common_name": pem.common_name(leaf),
        "fingerprint": fingerprint, "subject_alternative_names": pem.alternative_names(leaf),
        "source": stored.source, "scm_certificate_id": stored.scm_certificate_id,
        "protection_status": stored.protection_status, "protection_reason": stored.protection_reason,
        "enterprise_project_id": stored.enterprise_project_id}
    for style, created, updated in (("v3", "created_at", "updated_at"), ("v2", "create_time", "update_time")):
        if settings.time_members in (style, "both"):
            reply[created], reply[updated] = time_text(stored.created), time_text(stored.updated)
    return reply
