"""Enrollment documents: what is refused, what an update changes, and how CPS shows one."""

import re

from cpssim import keys
from cpssim.store import READ_ONLY
from cpssim.wire import Refused, time_text

REQUIRED = ("certificateType", "changeManagement", "csr", "enableMultiStackedCertificates", "networkConfiguration",
            "ra", "validationType")
BOOLEANS = ("changeManagement", "enableMultiStackedCertificates")
CHOICES = {"certificateType": ("san", "single", "wildcard", "wildcard-san", "third-party"),
           "ra": ("symantec", "lets-encrypt", "third-party"), "validationType": ("dv", "ov", "ev", "third-party"),
           "signatureAlgorithm": ("SHA-1", "SHA-256", None),
           "certificateChainType": ("default", "symantec1kroot", None)}
FIXED = ("certificateType", "ra", "validationType")
FIXED_NETWORK = ("secureNetwork", "sniOnly")
LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
RENEWAL_DAYS = 90


def invalid(detail):
    return Refused(400, "invalid-enrollment", detail)


def check_name(name, wildcards):
    if not isinstance(name, str):
        raise invalid("Host names must be strings.")
    plain = name.lower().removeprefix("*.")
    if name.startswith("*.") and not wildcards:
        raise invalid(f"The wildcard {name} is not allowed in this type of certificate.")
    if len(name) > 253 or "." not in plain or not all(LABEL.fullmatch(label) for label in plain.split(".")):
        raise invalid(f"{name[:80]} is not a valid host name.")


def check(document, max_sans):
    """Refuses what CPS cannot take, whatever was there before."""
    for name in REQUIRED:
        if document.get(name) is None:
            raise invalid(f"{name} is required.")
    for name in BOOLEANS:
        if not isinstance(document[name], bool):
            raise invalid(f"{name} must be a boolean.")
    for name, values in CHOICES.items():
        if document.get(name) not in values:
            raise invalid(f"{name} must be one of {', '.join(filter(None, values))}.")
    csr, network = document["csr"], document["networkConfiguration"]
    if not isinstance(csr, dict) or not isinstance(network, dict):
        raise invalid("csr and networkConfiguration must be objects.")
    if not csr.get("cn"):
        raise invalid("csr.cn is required.")
    if network.get("geography") not in ("core", "china+core", "russia+core"):
        raise invalid("networkConfiguration.geography must be core, china+core or russia+core.")
    sans = csr.get("sans")
    if sans is not None and not isinstance(sans, list):
        raise invalid("csr.sans must be an array.")
    kind = document["certificateType"]
    wildcards = kind in ("wildcard", "wildcard-san", "third-party") or document["validationType"] == "dv"
    for name in [csr["cn"], *(sans or [])]:
        check_name(name, wildcards)
    names = keys.names_of(csr)
    if kind == "single" and len(names) > 1:
        raise invalid("A single certificate has no SANs.")
    if len(names) > max_sans:
        raise invalid(f"The number of SANs {len(names)} exceeds the maximum of {max_sans}.")
    # With orgId, CPS knows the organization and its contacts.
    if document.get("orgId") is None:
        for name in ("adminContact", "techContact", "org"):
            if document["validationType"] in ("ov", "ev") and not isinstance(document.get(name), dict):
                raise invalid(f"{name} is required without orgId.")


def check_update(old, new):
    for name in FIXED:
        if old.get(name) != new.get(name):
            raise invalid(f"{name} cannot be changed.")
    for name in FIXED_NETWORK:
        if old["networkConfiguration"].get(name) != new["networkConfiguration"].get(name):
            raise invalid(f"networkConfiguration.{name} cannot be changed.")


def what_changes(old, new):
    """(change type, action, needs a certificate) of an update, or None when it is done at once."""
    if old["csr"]["cn"].lower() != new["csr"]["cn"].lower():
        return "modify-certificate", "new-certificate", True
    if set(keys.names_of(old["csr"])) != set(keys.names_of(new["csr"])):
        return "modify-san", "modify-san", True
    rest = [{name: value for name, value in document["csr"].items() if name not in ("cn", "sans")}
            for document in (old, new)]
    if rest[0] != rest[1] or any(old.get(name) != new.get(name)
                                 for name in ("signatureAlgorithm", "certificateChainType")):
        return "modify-certificate", "new-certificate", True
    if old["networkConfiguration"] != new["networkConfiguration"]:
        return "modify-certificate", "update-network-configuration", False
    return None


def paths_of(value, prefix=""):
    """The dotted paths of all members of a document, and what they hold."""
    found = {}
    for name, item in value.items():
        if isinstance(item, dict):
            found.update(paths_of(item, f"{prefix}{name}."))
        else:
            found[prefix + name] = item
    return found


def differences(old, new):
    """For the journal: which members an update left out, and which it added or changed."""
    before, after = paths_of(old), paths_of(new)
    return {"dropped": sorted(set(before) - set(after)),
            "changed": sorted(name for name, value in after.items() if name not in before or before[name] != value)}


def location(view, enrollment_id, change_id=None, rest=""):
    path = f"{view.location_prefix}enrollments/{enrollment_id}"
    if change_id is not None:
        path += f"/changes/{change_id}"
    return path + rest


def shown(enrollment, view):
    """The enrollment as the API shows it."""
    document = dict(enrollment.document)
    if enrollment.kind != "third-party":
        document.pop("enableMultiStackedCertificates", None)
    pending = [{"location": location(view, enrollment.id, change.id), "changeType": change.type}
               for change in enrollment.pending]
    document["id"] = str(enrollment.id) if view.id_type == "string" else enrollment.id
    document["location"] = location(view, enrollment.id)
    document["pendingChanges"] = pending
    document["maxAllowedSanNames"] = enrollment.max_sans
    document["maxAllowedWildcardSanNames"] = enrollment.max_sans
    slots = [enrollment.id % 10000 + 400] if enrollment.production else []
    if view.old_slots:
        document["slots"] = slots
    else:
        staging = slots or ([enrollment.id % 10000 + 400] if enrollment.staging else [])
        document.update(assignedSlots=staging, productionSlots=slots, stagingSlots=staging)
    document["autoRenewalStartTime"] = None
    if enrollment.production and not pending:
        leaf = keys.read_certificates(next(iter(enrollment.production.values()))["certificate"])[0]
        start = (leaf.not_valid_after - keys.EPOCH).total_seconds() - RENEWAL_DAYS * 86400
        document["autoRenewalStartTime"] = time_text(start)
    if view.null_arrays:
        for name in ("pendingChanges", "assignedSlots", "productionSlots", "stagingSlots", "slots"):
            if document.get(name) == []:
                document[name] = None
        if document["csr"].get("sans") == []:
            document["csr"] = {**document["csr"], "sans": None}
    return document


def stripped(document):
    return {name: value for name, value in document.items() if name not in READ_ONLY}
