"""The certificate operations of ELB: handlers get the world, the call, and its entry in the journal."""

import time

from elbsim import rules
from elbsim.storage import as_reply
from elbsim.wire import Refused, answer, json_object, no_content, wrong_value

MOST_LISTED = 2000
FILTERS = ("id", "name", "description", "admin_state_up", "domain", "type", "common_name", "fingerprint",
           "scm_certificate_id", "source", "protection_status", "protection_reason", "enterprise_project_id")
PAGING = ("limit", "marker", "page_reverse")


def option_of(call, allowed):
    """The checked members of the `certificate` object that a request is wrapped in."""
    if not call.raw_body:
        raise Refused(400, "ELB.0002", "The request body is empty.")
    body = json_object(call.raw_body)
    option = body.get("certificate")
    if set(body) != {"certificate"} or not isinstance(option, dict):
        raise wrong_value("certificate", "the body must be an object with this member alone")
    rules.check_members(option, allowed)
    return option


def stored_of(world, call):
    rules.check_id(call.groups["id"])
    stored = world.storage.objects.get(call.groups["id"])
    if stored is None or stored.project != call.groups["project"]:
        raise Refused(404, "ELB.8904", f"Certificate {call.groups['id']} could not be found.")
    return stored


def reply(world, stored, status=200):
    return answer({"certificate": as_reply(stored, world.settings)}, status)


def without_what_does_not_apply(option, kind, settings):
    """The members that take effect for the type of an object."""
    if kind == "client":
        if "private_key" in option and settings.client_key == "error":
            raise wrong_value("private_key", "the certificate's type is client")
        option = {name: value for name, value in option.items() if name not in ("private_key", "domain")}
    if any(option.get(name) for name in rules.SM_MEMBERS):
        raise wrong_value("enc_certificate, enc_private_key", "the certificate's type is not server_sm")
    return {name: value for name, value in option.items() if name not in rules.SM_MEMBERS}


def update(world, call, entry):
    stored = stored_of(world, call)
    option = without_what_does_not_apply(option_of(call, rules.UPDATABLE), stored.type, world.settings)
    if "domain" in option:
        rules.check_domain(option["domain"], world.settings.domain_rules)
        if stored.bound and stored.domain and not option["domain"]:
            raise Refused(409, "ELB.8907", "The domain of a certificate that a listener uses cannot be emptied.")
    if "certificate" in option:
        rules.read_certificate(option["certificate"], world.settings)
    if stored.type == "server" and ("certificate" in option or "private_key" in option):
        rules.check_pair(option, {"certificate": stored.certificate, "private_key": stored.private_key},
                         world.settings)
    stored = world.storage.change(stored, option)
    entry["effect"] = {"kind": "updated", "changed": sorted(option), "leaf_sha256": stored.history[-1],
                       "pair_fits": stored.pair_fits}
    return reply(world, stored)


def create(world, call, entry):
    option = option_of(call, rules.CREATABLE)
    kind = option.get("type", "server")
    if kind not in ("server", "client"):
        raise wrong_value("type", "neither server nor client")
    option = without_what_does_not_apply(option, kind, world.settings)
    needed = ("certificate", "private_key") if kind == "server" else ("certificate",)
    for name in needed:
        if not option.get(name):
            raise Refused(400, "ELB.1001", f"Invalid parameters: {name} is missing.")
    rules.check_domain(option.get("domain", ""), world.settings.domain_rules)
    rules.read_certificate(option["certificate"], world.settings)
    if kind == "server":
        rules.check_pair(option, {}, world.settings)
    # The documents know the text only; status and code are this simulator's choice.
    if len(world.storage.all(call.groups["project"])) >= world.settings.quota:
        raise Refused(409, "ELB.8905", "Quota exceeded for resources: ['certificate'].")
    option.pop("project_id", None)
    stored = world.storage.add(call.groups["project"], option)
    entry["certificate"] = stored.id
    entry["effect"] = {"kind": "created", "changed": sorted(option), "leaf_sha256": stored.history[-1],
                       "pair_fits": stored.pair_fits}
    return reply(world, stored, 201)


def show(world, call, _entry):
    return reply(world, stored_of(world, call))


def remove(world, stored, entry):
    if stored.bound:
        raise Refused(409, "ELB.8907", f"Certificate {stored.id} is used by a listener.")
    world.storage.remove(stored)
    entry["effect"] = {"kind": "deleted"}


def delete(world, call, entry):
    remove(world, stored_of(world, call), entry)
    return no_content()


def batch_delete(world, call, entry):
    ids = json_object(call.raw_body).get("certificates")
    if not isinstance(ids, list) or not ids or not all(isinstance(item, str) for item in ids):
        raise wrong_value("certificates", "not a list of ids")
    results = []
    for certificate_id in ids:
        rules.check_id(certificate_id)
        stored = world.storage.objects.get(certificate_id)
        if stored is None or stored.project != call.groups["project"]:
            results.append({"id": certificate_id, "ret_status": "not found", "ret_code": "ELB.8904"})
            continue
        try:
            remove(world, stored, entry)
            results.append({"id": certificate_id, "ret_status": "successful"})
        except Refused as refused:
            results.append({"id": certificate_id, "ret_status": "failed", "ret_code": refused.code})
    return answer({"certificates": results})


def page_of(items, parameters):
    """(items of the page, page_info) out of replies in order; marker and page_reverse need a limit."""
    if "limit" not in parameters and ("marker" in parameters or "page_reverse" in parameters):
        raise wrong_value("marker, page_reverse", "they need a limit")
    text = parameters.get("limit", str(MOST_LISTED))
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and int(text) <= MOST_LISTED):
        raise wrong_value("limit", f"not a number from 0 to {MOST_LISTED}")
    reverse = parameters.get("page_reverse", "false")
    if reverse not in ("true", "false"):
        raise wrong_value("page_reverse", "neither true nor false")
    limit, ids = int(text), [item["id"] for item in items]
    start, end = 0, len(items)
    if "marker" in parameters:
        if parameters["marker"] not in ids:
            raise wrong_value("marker", "no such certificate")
        at = ids.index(parameters["marker"])
        start, end = (0, at) if reverse == "true" else (at + 1, end)
    if reverse == "true":
        start = max(start, end - limit)
    else:
        end = min(end, start + limit)
    page, info = items[start:end], {"current_count": end - start}
    if page and end < len(items):
        info["next_marker"] = page[-1]["id"]
    if page and start > 0:
        info["previous_marker"] = page[0]["id"]
    return page, info


def list_all(world, call, _entry):
    wanted, parameters = {}, {}
    for name, value in call.query:
        if name in FILTERS:
            wanted.setdefault(name, set()).add(value)
        elif name in PAGING and name not in parameters:
            parameters[name] = value
        else:
            raise wrong_value(name, "not a filter of this list")

    def matches(item):
        return all((str(item[name]).lower() if isinstance(item[name], bool) else item[name] or "") in values
                   for name, values in wanted.items())

    now = time.time()
    items = [as_reply(stored, world.settings) for stored in world.storage.all(call.groups["project"])
             if now >= stored.created + world.settings.list_lag]
    page, info = page_of([item for item in items if matches(item)], parameters)
    return answer({"certificates": page, "page_info": info})


def show_echo(world, _call, _entry):
    return answer({"private_key_echo": world.settings.private_key_echo})


def change_echo(world, call, entry):
    body = json_object(call.raw_body)
    if set(body) != {"private_key_echo"} or not isinstance(body["private_key_echo"], bool):
        raise wrong_value("private_key_echo", "not a boolean")
    world.settings.update(body)
    entry["effect"] = {"kind": "echo", **body}
    return answer(body, 201)


BASE = r"/v3/(?P<project>[^/]*)/elb/certificates"
# method, path, operation, the permission it needs, handler; the fixed paths come before those with an id
ROUTES = (
    ("POST", BASE + r"/settings/private-key-echo", "change-echo", "update", change_echo),
    ("GET", BASE + r"/settings/private-key-echo", "show-echo", "get", show_echo),
    ("POST", BASE + r"/batch-delete", "batch-delete", "delete", batch_delete),
    ("POST", BASE, "create", "create", create),
    ("GET", BASE, "list", "list", list_all),
    ("GET", BASE + r"/(?P<id>[^/]+)", "show", "get", show),
    ("PUT", BASE + r"/(?P<id>[^/]+)", "update", "update", update),
    ("DELETE", BASE + r"/(?P<id>[^/]+)", "delete", "delete", delete),
)
