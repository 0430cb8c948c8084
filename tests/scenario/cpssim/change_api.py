"""Operations on a change: its status, its inputs, its schedule and its cancelling."""

import time

from cpssim import dv, keys, progress
from cpssim.documents import location
from cpssim.enrollment_api import DEPLOYMENT, DEPLOYMENTS, ONE, deployment_of, deployments
from cpssim.wire import Refused, answer, json_object, no_body, not_found, time_of, time_text

WAITS = {
    "new": ("new", "new", "The change has been received."),
    "pre-checks": ("running", "pre-verification-safety-checks", "Checking the change."),
    "pre-warnings": ("awaiting-input", "wait-review-pre-verification-safety-checks",
                     "Waiting for you to review and acknowledge the pre-verification warnings."),
    "make-csr": ("running", "wait-upload-third-party", "Making the certificate signing request."),
    "upload": ("awaiting-input", "wait-upload-third-party",
               "Waiting for you to upload and submit your third party certificate and trust chain."),
    "verify": ("running", "verify-third-party-cert", "Verifying your third party certificate."),
    "validate": (None, "{}-domain-validation", "Waiting for the domains to be validated."),
    "vetting": ("running", "wait-organization-validation", "The CA validates the organization."),
    "issue": ("running", "wait-ca-issuance", "The CA issues the certificate."),
    "staging": ("running", "deploying-to-staging", "Deploying to the staging network."),
    "gate": ("awaiting-input", "wait-ack-change-management",
             "Waiting for you to acknowledge the change before it is deployed to production."),
    "production": ("running", "live-check-action", "Deploying to the production network."),
    "cancelled": ("cancelled", "cancelled", "The change was cancelled."),
    "error": ("error", "error", "The change failed."),
}
# phase: (info, update) as segments of the path
SEGMENTS = {
    "pre-warnings": ("pre-verification-warnings", "pre-verification-warnings-ack"),
    "upload": ("third-party-csr", "third-party-cert-and-trust-chain"),
    "validate": ("lets-encrypt-challenges", "lets-encrypt-challenges-completed"),
    "post-warnings": ("post-verification-warnings", "post-verification-warnings-ack"),
    "gate": ("change-management-info", "change-management-ack"),
}


def state_of(enrollment, change, view):
    """(state, status, description), spelled as ordered."""
    if change.phase == "completed":
        state, status, description = "completed", view.finished_status, "The change is complete."
    elif change.phase == "post-warnings":
        third = enrollment.kind == "third-party"
        state, description = "awaiting-input", "Waiting for you to review and acknowledge the warnings."
        status = "wait-review-third-party-cert" if third else "wait-review-cert-warning"
    else:
        state, status, description = WAITS[change.phase]
    if change.phase == "validate":
        state, status = view.dv_state, status.format(view.dv_spelling)
    if view.status_style == "mixed-case":
        status = status.title()
    elif view.status_style == "unknown":
        status = f"step-{len(change.phase)}"
    if view.state_style == "mixed-case":
        state = state.title()
    elif view.state_style == "misspelt":
        state = {"cancelled": "canceled", "awaiting-input": "awaiting_input"}.get(state, state)
    return state, status, description


def status(world, call, entry):
    enrollment, change = world.change(call)
    view = world.store.of(enrollment)
    if change.finished and time.time() > change.since + view.finished_change_seconds:
        raise not_found()
    offered = []
    if change.phase in SEGMENTS:
        info, submit = SEGMENTS[change.phase]
        offered.append({"type": progress.INPUTS[change.phase], "requiredToProceed": change.phase != "validate",
                        "info": location(view, enrollment.id, change.id, f"/input/info/{info}"),
                        "update": location(view, enrollment.id, change.id, f"/input/update/{submit}")})
    state, name, description = state_of(enrollment, change, view)
    error = None
    if change.error:
        error = {**change.error, "timestamp": time_text(change.error["timestamp"])}
    return answer({"allowedInput": None if view.null_arrays and not offered else offered,
                   "statusInfo": {"state": state, "status": name, "description": description,
                                  "deploymentSchedule": {"notBefore": change.not_before or None,
                                                         "notAfter": change.not_after or None},
                                  "error": error}}, call.media)


def cancel(world, call, entry):
    """A change that is being deployed to production can no longer be cancelled."""
    enrollment, change = world.change(call)
    view = world.store.of(enrollment)
    if change.finished:
        raise not_found()
    if change.phase == "production" and world.progress.is_deploying(change):
        raise Refused(409, "cannot-cancel-pending-change", f"The change {change.id} is being deployed.")
    world.progress.cancel(enrollment, change)
    entry["effect"].append(f"cancelled {change.id}")
    return answer({"change": location(view, enrollment.id, change.id)}, call.media)


def read_schedule(world, call, entry):
    _, change = world.change(call)
    return answer({"notBefore": change.not_before or None, "notAfter": change.not_after or None}, call.media)


def write_schedule(world, call, entry):
    enrollment, change = world.change(call)
    body = json_object(call.raw_body)
    for name in ("notBefore", "notAfter"):
        try:
            if body.get(name) is not None:
                time_of(body[name])
        except (ValueError, AttributeError):
            raise Refused(400, "invalid-schedule", f"{name} is not a date.") from None
    if change.finished or world.progress.is_deploying(change):
        raise Refused(409, "invalid-enrollment-state", "The change is being deployed.")
    change.not_before, change.not_after = body.get("notBefore") or "", body.get("notAfter") or ""
    world.store.save(enrollment)
    entry["effect"].append(f"scheduled {change.id}")
    return answer({"change": location(world.store.of(enrollment), enrollment.id, change.id)}, call.media)


# ---- inputs ----

def offered(world, call, phase):
    """The enrollment and change of a call about an input, which has to be asked for now."""
    enrollment, change = world.change(call)
    if change.phase != phase:
        raise Refused(404, "not-found", "The input is not expected at this time.")
    return enrollment, change, world.store.of(enrollment)


def acknowledged(enrollment, change, call, view):
    if view.ack_reply == "change":
        return answer({"change": location(view, enrollment.id, change.id)}, call.media)
    return no_body({"empty": 200, "no-content": 204, "accepted": 202}[view.ack_reply])


def word_of(body):
    word = body.get("acknowledgement")
    if word not in ("acknowledge", "deny"):
        raise Refused(400, "invalid-acknowledgement", "acknowledgement must be acknowledge or deny.")
    return word


def settle(world, call, entry, phase, body, enrollment, change, view):
    """Does what an acknowledgement says."""
    word = word_of(body)
    if word == "deny":
        world.progress.deny(enrollment, change)
        entry["effect"].append(f"denied {phase} of {change.id}")
    else:
        world.progress.acknowledge(enrollment, change, phase)
        entry["effect"].append(f"acknowledged {phase} of {change.id}")
    return acknowledged(enrollment, change, call, view)


def warnings_info(phase):
    def handler(world, call, entry):
        _, change, _ = offered(world, call, phase)
        return answer({"warnings": "\n".join(getattr(change, phase.replace("-", "_")))}, call.media)

    return handler


def warnings_ack(phase):
    def handler(world, call, entry):
        enrollment, change, view = offered(world, call, phase)
        if phase == "pre-warnings" and time.time() < change.since + view.invalid_state_seconds:
            raise Refused(409, "invalid-enrollment-state", "The enrollment is not in the right state.")
        return settle(world, call, entry, phase, json_object(call.raw_body), enrollment, change, view)

    return handler


def csr_info(world, call, entry):
    _, change, _ = offered(world, call, "upload")
    if call.media == "csr.v1":
        return answer({"csr": next(iter(change.csrs.values()), None)}, call.media)
    return answer({"csrs": [{"csr": change.csrs[name], "keyAlgorithm": name}
                            for name in keys.ALGORITHMS if name in change.csrs]}, call.media)


def upload(world, call, entry):
    enrollment, change, view = offered(world, call, "upload")
    body = json_object(call.raw_body)
    items = body.get("certificatesAndTrustChains")
    if call.sent == "certificate-and-trust-chain.v1":
        items = [{**body, "keyAlgorithm": change.algorithms[0]}]
    if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
        raise Refused(400, "invalid-certificate", "certificatesAndTrustChains is missing.")
    leaves = {}
    for item in items:
        algorithm = item.get("keyAlgorithm")
        if algorithm not in change.algorithms or algorithm in leaves:
            raise Refused(400, "invalid-certificate", f"keyAlgorithm {algorithm} is not expected.")
        leaf = keys.check_upload(item.get("certificate"), item.get("trustChain"), algorithm, view.refuse_cr)
        if view.key_mismatch == "refuse" and not keys.key_fits(leaf, change.keys[algorithm]):
            raise Refused(400, "certificate-key-mismatch",
                          f"The public key of the {algorithm} certificate is not the one of the CSR.")
        leaves[algorithm] = (leaf, item["certificate"].replace("\r", ""), item["trustChain"].replace("\r", ""))
    missing = sorted(set(change.csrs) - set(leaves))
    if missing and not view.partial_upload:
        raise Refused(400, "invalid-certificate", f"The {missing[0]} certificate is missing.")
    world.progress.uploaded(enrollment, change, leaves)
    entry["effect"].append(f"uploaded {' '.join(sorted(leaves))} to {change.id}")
    return acknowledged(enrollment, change, call, view)


def challenges_info(world, call, entry):
    _, change, _ = offered(world, call, "validate")
    return answer({"dv": [dv.as_json(domain, call.media, change.phase) for domain in change.domains]}, call.media)


def challenges_completed(world, call, entry):
    """Only hurries CPS; a denial is a denial all the same."""
    enrollment, change, view = offered(world, call, "validate")
    if word_of(json_object(call.raw_body)) == "deny":
        world.progress.deny(enrollment, change)
        entry["effect"].append(f"denied validate of {change.id}")
    else:
        for domain in change.domains:
            domain["hurry"] = not domain["valid"]
        world.store.save(enrollment)
        entry["effect"].append(f"acknowledged validate of {change.id}")
    return acknowledged(enrollment, change, call, view)


def boolean(view, value):
    return ("true" if value else "false") if view.string_booleans else value


def management_info(world, call, entry):
    """Version by version: see the table in Akamai's ChangeManagement object."""
    enrollment, change, view = offered(world, call, "gate")
    if call.media in DEPLOYMENT:
        return answer(deployment_of(enrollment, "production", view), call.media)
    if call.media in DEPLOYMENTS:
        return deployments(world, call, entry)
    version = int(call.media[-1])
    network = enrollment.document["networkConfiguration"]
    sni = network.get("dnsNameSettings")
    pending = {"mustHaveCiphers": network.get("mustHaveCiphers") or "ak-akamai-default",
               "preferredCiphers": network.get("preferredCiphers") or "ak-akamai-default",
               "networkType": None}
    if version >= 2:
        pending["disallowedTlsVersions"] = network.get("disallowedTlsVersions") or (None if view.null_arrays else [])
    if version >= 4:
        pending.update(dnsNameSettings=sni, ocspStapling=network.get("ocspStapling") or "not-set",
                       quicEnabled=boolean(view, bool(network.get("quicEnabled"))),
                       sniOnly=boolean(view, bool(network.get("sniOnly"))))
    else:
        pending["sni"] = sni
    certificates = [pending_certificate(enrollment, pair, algorithm, version, view)
                    for algorithm, pair in enrollment.staging.items()]
    state = {"pendingNetworkConfiguration": pending}
    if version == 5:
        state["pendingCertificates"] = certificates
    else:
        state["pendingCertificate"] = certificates[0] if certificates else None
    result = progress.validation_result(change)
    if result is not None and not view.null_arrays:
        result = {name: messages or [] for name, messages in result.items()}
    return answer({"acknowledgementDeadline": time_text(change.deadline) if change.deadline else None,
                   "pendingState": state, "validationResult": result,
                   "validationResultHash": progress.validation_hash(change)}, call.media)


def pending_certificate(enrollment, pair, algorithm, version, view):
    shown = {"certificateType": enrollment.document["certificateType"], "fullCertificate": pair["certificate"],
             "signatureAlgorithm": "SHA-256"}
    if version >= 4:
        shown.update(ocspStapled=boolean(view, False), ocspUris=None)
    if version == 5:
        shown["keyAlgorithm"] = algorithm
    return shown


def management_ack(world, call, entry):
    enrollment, change, view = offered(world, call, "gate")
    body = json_object(call.raw_body)
    word = word_of(body)
    given = body.get("hash")
    entry["hash"] = given
    if call.sent == "acknowledgement-with-hash.v1" or view.ack_hash_required:
        if not isinstance(given, str) or not given:
            raise Refused(400, "missing-hash", "hash is required.")
        if given != progress.validation_hash(change):
            raise Refused(view.wrong_hash_status, "validation-result-hash-mismatch",
                          "The hash is not the one of the present validation result.")
    if word == "acknowledge" and change.errors:
        raise Refused(400, "validation-errors", "The change has validation errors.")
    return settle(world, call, entry, "gate", body, enrollment, change, view)


CHANGE = ONE + r"/changes/(?P<change>\d{1,15})"
INFO, UPDATE = CHANGE + "/input/info/", CHANGE + "/input/update/"
ACK, REPLY = ("acknowledgement.v1",), ("change-id.v1",)
UPLOADS = ("certificate-and-trust-chain.v2", "certificate-and-trust-chain.v1")
MANAGEMENT = tuple(f"change-management-info.v{version}" for version in (5, 4, 2, 1)) + DEPLOYMENT + DEPLOYMENTS
# method, path below /cps/v2, operation, Accept, Content-Type, handler
ROUTES = [
    ("GET", CHANGE, "status", ("change.v2",), (), status),
    ("DELETE", CHANGE, "cancel", REPLY, (), cancel),
    ("GET", CHANGE + "/deployment-schedule", "schedule", ("deployment-schedule.v1",), (), read_schedule),
    ("PUT", CHANGE + "/deployment-schedule", "reschedule", REPLY, ("deployment-schedule.v1",), write_schedule),
    ("GET", INFO + "third-party-csr", "csr", ("csr.v2", "csr.v1"), (), csr_info),
    ("POST", UPDATE + "third-party-cert-and-trust-chain", "upload", REPLY, UPLOADS, upload),
    ("GET", INFO + "lets-encrypt-challenges", "challenges", ("dv-challenges.v2", "dv-challenges.v1"), (),
     challenges_info),
    ("POST", UPDATE + "lets-encrypt-challenges-completed", "challenges-completed", REPLY, ACK, challenges_completed),
    ("GET", INFO + "pre-verification-warnings", "pre-warnings", ("warnings.v1",), (), warnings_info("pre-warnings")),
    ("POST", UPDATE + "pre-verification-warnings-ack", "pre-ack", REPLY, ACK, warnings_ack("pre-warnings")),
    ("GET", INFO + "post-verification-warnings", "post-warnings", ("warnings.v1",), (),
     warnings_info("post-warnings")),
    ("POST", UPDATE + "post-verification-warnings-ack", "post-ack", REPLY, ACK, warnings_ack("post-warnings")),
    ("GET", INFO + "change-management-info", "management", MANAGEMENT, (), management_info),
    ("POST", UPDATE + "change-management-ack", "management-ack", REPLY,
     ("acknowledgement-with-hash.v1", "acknowledgement.v1"), management_ack),
]
