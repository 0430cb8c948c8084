"""Operations on enrollments: list, read, update, deployments and history."""

from cpssim import documents, keys
from cpssim.documents import location
from cpssim.wire import Refused, answer, flag, json_object, time_of, time_text


def list_enrollments(world, call, entry):
    shown = [documents.shown(enrollment, world.store.of(enrollment))
             for enrollment in world.visible(call.account)]
    return answer({"enrollments": shown}, call.media)


def read(world, call, entry):
    enrollment = world.enrollment(call)
    return answer(documents.shown(enrollment, world.store.of(enrollment)), call.media)


def window_of(call, name):
    """A date of the deployment window, as it was given; empty without one."""
    text = call.query.get(name, "")
    try:
        if text:
            time_of(text)
    except ValueError:
        raise Refused(400, "invalid-query-parameter", f"{name} is not a date.") from None
    return text


def update(world, call, entry):
    """Full replacement. What needs a certificate or a deployment starts a change."""
    enrollment = world.enrollment(call)
    view = world.store.of(enrollment)
    options = {name: flag(call.query, name) for name in
               ("allow-cancel-pending-changes", "allow-staging-bypass", "force-renewal",
                "renewal-date-check-override", "allow-missing-certificate-addition")}
    window = {"not_before": window_of(call, "deploy-not-before"), "not_after": window_of(call, "deploy-not-after")}
    sent = json_object(call.raw_body)
    if view.read_only_members == "refuse" and set(sent) & set(documents.READ_ONLY):
        raise documents.invalid("Read-only members: " + ", ".join(sorted(set(sent) & set(documents.READ_ONLY))))
    if enrollment.kind != "third-party":
        # It is left out of the answers for these, and so it is of what comes back.
        sent.setdefault("enableMultiStackedCertificates", False)
    new = documents.stripped(sent)
    entry.update(documents.differences(enrollment.document, new))
    documents.check(new, enrollment.max_sans)
    documents.check_update(enrollment.document, new)
    make_room(world, enrollment, view, options["allow-cancel-pending-changes"], entry)
    old = enrollment.document
    needed = wanted_change(enrollment, old, new, options)
    if needed is not None and view.renewal_window and not options["renewal-date-check-override"]:
        raise Refused(view.renewal_window_status, "enrollment-in-renewal-window",
                      "The enrollment is within its automatic renewal window.")
    reply = {"enrollment": location(view, enrollment.id), "changes": []}
    if needed is None:
        enrollment.document = new
        world.store.save(enrollment)
        entry["effect"].append("updated")
        if view.changes_when_none == "absent":
            del reply["changes"]
        elif view.changes_when_none == "null":
            reply["changes"] = None
        return answer(reply, call.media)
    change_type, action, certificate_needed, algorithms = needed
    change = world.progress.start(
        enrollment, new, change_type, action, certificate_needed=certificate_needed, algorithms=algorithms,
        staging_bypass=options["allow-staging-bypass"] and not certificate_needed, **window)
    entry["effect"].append(f"started {change.id}")
    entry["change"] = change.id
    reply["changes"] = [location(view, enrollment.id, change.id)]
    return answer(reply, call.media, 202)


def make_room(world, enrollment, view, may_cancel, entry):
    """Cancels what is pending, or refuses: there is one change at a time."""
    for change in enrollment.pending:
        if not may_cancel:
            raise Refused(409, "cannot-cancel-pending-change", f"There is a pending change {change.id}.")
        if world.progress.is_deploying(change):
            status = view.deploying_conflict
            kind = "internal-error" if status == 500 else "cannot-cancel-pending-change"
            raise Refused(status, kind, f"The pending change {change.id} is being deployed.")
    for change in enrollment.pending:
        world.progress.cancel(enrollment, change)
        entry["effect"].append(f"cancelled {change.id}")


def wanted_change(enrollment, old, new, options):
    """(change type, action, needs a certificate, algorithms) or None. Adding what is missing is allowed by an option,
    not ordered: it does nothing for an enrollment that is complete, and any other change brings all certificates."""
    missing = sorted(set(keys.ALGORITHMS) - set(enrollment.production))
    dual = enrollment.kind == "third-party" and new["enableMultiStackedCertificates"] and enrollment.production
    addition = options["allow-missing-certificate-addition"] and dual and missing
    found = documents.what_changes(old, new)
    if options["force-renewal"] or (found and not enrollment.production):
        if not enrollment.production:
            return "new-certificate", "new-certificate", True, []
        if found is None or not found[2]:
            return "renewal", "renew", True, []
    if found is None and addition:
        return "modify-certificate", "add-missing", True, missing
    return (*found, []) if found else None


# ---- what is deployed, and what was ----

def certificate_of(pair, algorithm):
    leaf = keys.read_certificates(pair["certificate"])[0]
    return {"certificate": pair["certificate"], "trustChain": pair["trustChain"], "expiry": keys.expiry_text(leaf),
            "keyAlgorithm": algorithm, "signatureAlgorithm": "SHA-256"}


def stacked(pairs, view):
    """primaryCertificate and multiStackedCertificates of {algorithm: pair}."""
    items = [certificate_of(pairs[algorithm], algorithm) for algorithm in keys.ALGORITHMS if algorithm in pairs]
    rest = items[1:]
    return {"primaryCertificate": items[0] if items else None,
            "multiStackedCertificates": None if view.null_arrays and not rest else rest}


def deployment_of(enrollment, network, view):
    pairs = getattr(enrollment, network)
    if not pairs:
        return None
    document = enrollment.deployed or enrollment.document
    return {**stacked(pairs, view), "networkConfiguration": document["networkConfiguration"], "ocspStapled": True,
            "ocspUris": None if view.null_arrays else []}


def deployments(world, call, entry):
    enrollment = world.enrollment(call)
    view = world.store.of(enrollment)
    return answer({network: deployment_of(enrollment, network, view) for network in ("production", "staging")},
                  call.media)


def deployment(world, call, entry):
    enrollment = world.enrollment(call)
    found = deployment_of(enrollment, call.groups["network"], world.store.of(enrollment))
    if found is None:
        raise Refused(404, "not-found", "There is no deployment.")
    return answer(found, call.media)


def order_of(view, items):
    return items[::-1] if view.history_order == "newest-first" else items


def change_history(world, call, entry):
    enrollment = world.enrollment(call)
    view = world.store.of(enrollment)
    changes = []
    for change in enrollment.changes:
        status = {"completed": "completed", "cancelled": "cancelled"}.get(change.phase, "incomplete")
        described = {"primaryCertificate": None, "multiStackedCertificates": None if view.null_arrays else [],
                     "primaryCertificateOrderDetails": None}
        if status == "completed" and change.certificates:
            described.update(stacked(change.certificates, view))
            for item in [described["primaryCertificate"], *(described["multiStackedCertificates"] or [])]:
                item["csr"] = change.csrs.get(item["keyAlgorithm"])
            described["primaryCertificateOrderDetails"] = {"orderId": str(change.id)}
        action = "import-certificate" if change.action == "add-missing" else change.action
        changes.append({"action": action, "actionDescription": change.type, "status": status,
                        "createdOn": time_text(change.created), "lastUpdated": time_text(change.updated),
                        "createdBy": {"client": "bridge", "cps": "CPS"}.get(change.origin, "somebody"),
                        "ra": enrollment.document["ra"], **described})
    return answer({"changes": order_of(view, changes)}, call.media)


def certificate_history(world, call, entry):
    enrollment = world.enrollment(call)
    view = world.store.of(enrollment)
    last = len(enrollment.history) - 1
    certificates = []
    for index, pairs in enumerate(enrollment.history):
        status = "active" if index == last else "inactive"
        certificates.append({"type": enrollment.document["certificateType"], "deploymentStatus": status,
                             "stagingStatus": status, "geography": "core", "ra": enrollment.document["ra"],
                             "slots": [enrollment.id % 10000 + 400], **stacked(pairs, view)})
    return answer({"certificates": order_of(view, certificates)}, call.media)


DEPLOYMENTS = ("deployments.v7", "deployments.v8")
DEPLOYMENT = ("deployment.v7", "deployment.v8")
ONE = r"/enrollments/(?P<enrollment>\d{1,15})"
# method, path below /cps/v2, operation, Accept, Content-Type, handler
ROUTES = [
    ("GET", r"/enrollments", "list", ("enrollments.v11",), (), list_enrollments),
    ("GET", ONE, "read", ("enrollment.v11",), (), read),
    ("PUT", ONE, "update", ("enrollment-status.v1",), ("enrollment.v11",), update),
    ("GET", ONE + "/deployments", "deployments", DEPLOYMENTS, (), deployments),
    ("GET", ONE + "/deployments/(?P<network>production|staging)", "deployment", DEPLOYMENT, (), deployment),
    ("GET", ONE + "/history/changes", "change-history", ("change-history.v5",), (), change_history),
    ("GET", ONE + "/history/certificates", "certificate-history", ("certificate-history.v2",), (),
     certificate_history),
]
