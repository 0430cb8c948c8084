"""The control port: plain HTTP and JSON for tests, to look inside and to order misbehaviour.

GET /stats, /settings, /faults, /certificates[?name=], /certificates/{id},
/journal[?operation=&certificate=&since=]; POST /settings, /faults, /tokens/expire, /tokens/forget, /access-key/unlock,
/certificates (makes an object: names, key as PEM "private_key" or of a "kind", or a "certificate" with its key;
"name", "description", "domain", "type", "project", "bound"), /certificates/{id} (changes members unchecked; "bound"
opens or closes the listener); DELETE /faults, /certificates/{id}. Answers have no private keys.
"""

import hashlib
import re
import urllib.parse

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from elbsim import pem
from simkit.control import object_of, problem, switches
from simkit.wire import json_response

TEXT_MEMBERS = ("certificate", "private_key", "domain", "name", "description", "type")
KINDS = {"ec": lambda: ec.generate_private_key(ec.SECP256R1()),
         "rsa": lambda: rsa.generate_private_key(65537, 2048)}


def key_text(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption()).decode("ascii")


def summary(stored):
    chain = pem.read_chain(stored.certificate)
    return {"id": stored.id, "project": stored.project, "name": stored.name, "description": stored.description,
            "domain": stored.domain, "type": stored.type, "bound": stored.bound,
            "port": stored.port if stored.bound else None,
            "created": stored.created, "updated": stored.updated, "certificate": pem.normalised(stored.certificate),
            "names": pem.alternative_names(chain[0]), "certificates": len(chain), "leaf_sha256": stored.history[-1],
            "history": stored.history, "pair_fits": stored.pair_fits,
            "key_sha256": pem.key_sha256(stored.private_key) if stored.private_key else None,
            "public_key_sha256": hashlib.sha256(pem.public_of(chain[0])).hexdigest()}


class Control:
    def __init__(self, world, gateways, listeners, journal):
        self.world = world
        self.counters = gateways[0].counters
        self.faults = gateways[0].faults
        self.listeners = listeners
        self.journal = journal

    def respond(self, call):
        try:
            with self.world.storage.lock:
                return self.route(call)
        except ValueError as error:
            return problem(400, str(error))

    def route(self, call):
        match = re.fullmatch(r"/certificates/([0-9a-z]{32})", call.path)
        what = (call.method, call.path)
        if match:
            return self.one(call, match[1])
        if what == ("POST", "/certificates"):
            return json_response(self.make(object_of(call)), 201)
        if what == ("GET", "/certificates"):
            name = dict(urllib.parse.parse_qsl(call.target.partition("?")[2])).get("name")
            return json_response([summary(stored) for stored in self.world.storage.all()
                                  if name in (None, stored.name)])
        if what == ("GET", "/stats"):
            return json_response({**self.counters.as_json(), "identity": self.world.identity.stats(),
                                  "certificates": len(self.world.storage.objects)})
        if what == ("GET", "/journal"):
            query = dict(urllib.parse.parse_qsl(call.target.partition("?")[2]))
            return json_response(self.journal.select(query.get("operation"), query.get("certificate"),
                                                     int(query.get("since", 0))))
        if call.path in ("/settings", "/faults"):
            return switches(call, self.world.settings, self.faults)
        if what in (("POST", "/tokens/expire"), ("POST", "/tokens/forget")):
            self.world.identity.expire_tokens(forget=call.path.endswith("forget"))
            return json_response(self.world.identity.stats())
        if what == ("POST", "/access-key/unlock"):
            self.world.identity.unlock()
            return json_response(self.world.identity.stats())
        return problem(404, "see the control module for what there is")

    def one(self, call, certificate_id):
        stored = self.world.storage.objects.get(certificate_id)
        if stored is None:
            return problem(404, f"no certificate {certificate_id}")
        if call.method == "POST":
            stored = self.change(stored, object_of(call))
        elif call.method == "DELETE":
            self.listeners.close(stored.id)
            self.world.storage.remove(stored)
        elif call.method != "GET":
            return problem(405, "wrong method")
        return json_response(summary(stored))

    def issue(self, body):
        """(certificate, key) for the names of a body, signed by the simulator's own CA."""
        names = body.pop("names", ["www.example.test"])
        kind = body.pop("kind", "ec")
        if not isinstance(names, list) or not names or kind not in KINDS:
            raise ValueError("names must be a list, kind ec or rsa")
        text = body.get("private_key") or key_text(KINDS[kind]())
        leaf = self.world.hierarchy.issue(names, names[0], pem.read_key(text).public_key(), 90)
        return self.world.hierarchy.download(leaf, "pemia").decode("ascii"), text

    def make(self, body):
        project = body.pop("project", self.world.identity.account["project_id"])
        if project not in self.world.identity.projects.values():
            raise ValueError("project: not one of the settings")
        if "certificate" not in body:
            body["certificate"], body["private_key"] = self.issue(body)
        if body.get("type") == "client":
            body.pop("private_key", None)
        bound = self.check(body)
        stored = self.world.storage.add(project, body)
        return summary(self.bind(stored, bound))

    def change(self, stored, body):
        if "names" in body:
            body["certificate"], body["private_key"] = self.issue(body)
        bound = self.check(body)
        if body:
            stored = self.world.storage.change(stored, body)
        return self.bind(stored, bound)

    @staticmethod
    def check(body):
        """Takes `bound` out of a body of known members and returns it."""
        bound = body.pop("bound", None)
        if bound is not None and not isinstance(bound, bool):
            raise ValueError("bound: expected true or false")
        for name, value in body.items():
            if name not in TEXT_MEMBERS or not isinstance(value, str):
                raise ValueError(f"{name}: unknown, or not a string")
        if "certificate" in body:
            pem.read_chain(body["certificate"])
        return bound

    def bind(self, stored, bound):
        if bound is None or bound == stored.bound:
            return stored
        stored.bound = bound
        if bound:
            self.listeners.open(stored)
        else:
            self.listeners.close(stored.id)
            self.world.storage.save(stored)
        return stored
