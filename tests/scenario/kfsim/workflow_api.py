"""Operations on what waits: requests at the CA, and the instances of workflows."""

from kfsim.wire import Body, Refused, time_text

STATES = {"Active": 1, "Denied": 3, "Failed": 4, "Pending": 5, "ExternalValidation": 8}
RUNNING = ("Running", "Suspended")


def summary(world, request, metadata=True):
    return {"Id": request.id, "CARequestId": request.ca_request_id, "CommonName": request.common_name,
            "DistinguishedName": f"CN={request.common_name}", "SubmissionDate": time_text(request.submitted),
            "CertificateAuthority": request.authority, "Template": request.template, "Requester": request.requester,
            "State": STATES[request.state], "StateString": request.state,
            "Metadata": request.metadata if metadata and world.settings.pending_metadata else {}}


def fields(request):
    return {"id": request.id, "commonname": request.common_name, "distinguishedname": f"CN={request.common_name}",
            "certificateauthority": request.authority, "template": request.template, "requester": request.requester,
            "submissiondate": ("time", request.submitted), "state": STATES[request.state]}


def by_state(state):
    def listing(world, call):
        found = [one for one in world.records.requests.values() if one.at_ca and one.state == state]
        return [summary(world, one) for one in world.page_of(found, call, "pagedQuery.", fields)]
    return listing


def one_request(world, call):
    request = world.records.requests.get(int(call.groups["id"]))
    gone = request is None or not request.at_ca
    if not gone and request.state == "Active":
        gone = world.settings.issued_request == "gone"
    if gone:
        raise Refused(404, "The certificate request was not found.")
    return {**summary(world, request), "DenialComment": request.comment if request.state == "Denied" else None,
            "KeyLength": "256", "SANs": request.names, "CertStores": [], "Curve": None}


def decided(world, call, numbers, decide):
    """The answer to Approve and Deny: which requests it was done to."""
    if not numbers or not all(type(number) is int for number in numbers):
        raise Refused(400, "An array of certificate request ids is required.")
    done, failed = [], []
    for number in numbers:
        request = world.records.requests.get(number)
        ok = request is not None and request.at_ca and decide(request)
        host, _, logical = (request.authority if request else "\\").partition("\\")
        (done if ok else failed).append({
            "CARowId": number, "CARequestId": request.ca_request_id if request else None, "CAHost": host,
            "CALogicalName": logical, "KeyfactorRequestId": number,
            "Comment": "" if ok else "The certificate request is not pending."})
    call.entry["effect"] = {"kind": call.groups.get("verb", "decided"),
                            "requests": [one["KeyfactorRequestId"] for one in done]}
    return failed, done


def approve(world, call):
    if not isinstance(call.body, list):
        raise Refused(400, "An array of certificate request ids is required.")
    failed, done = decided(world, call, call.body, world.records.approve)
    return {"Failures": failed, "Denials": [], "Successes": done}


def deny(world, call):
    body = Body(call.body, ("Comment", "CertificateRequestIds"))
    comment = body.text("Comment") or ""
    failed, done = decided(world, call, body.get("CertificateRequestIds", list, required=True),
                           lambda request: world.records.deny(request, comment))
    return {"Failures": failed, "Denials": done, "Successes": []}


# ---- instances ----

def instances(world):
    """All instances, of enrollments and of revocations, as what they have in common."""
    for request in world.records.requests.values():
        if request.via == "workflow":
            yield {"id": request.workflow, "status": request.workflow_status, "message": request.workflow_message,
                   "reference": request.reference, "started": request.submitted, "user": request.requester,
                   "type": "Enrollment", "request": request,
                   "title": f"{request.requester} is enrolling for a certificate with CN={request.common_name}."}
    for held in world.records.revocations.values():
        certificate = world.records.certificates[held.certificate_id]
        yield {"id": held.id, "status": held.status, "message": "Waiting for 1 approval."
               if held.status == "Suspended" else "", "reference": held.reference, "started": held.started,
               "user": held.requester, "type": "Revocation", "request": None,
               "title": f"{held.requester} is revoking the certificate with CN={certificate.common_name}."}


def instance_summary(one):
    running = one["status"] in RUNNING
    return {"Id": one["id"], "Status": one["status"], "CurrentStepId": None,
            "StatusMessage": one["message"], "Signals": [], "Definition": {
                "Id": "11111111-2222-3333-4444-555555555555", "DisplayName": f"Approval of an {one['type'].lower()}",
                "Version": 1, "WorkflowType": one["type"]}, "CurrentStepDisplayName": "Approve" if running else "",
            "CurrentStepUniqueName": "Approve1" if running else "", "Title": one["title"],
            "LastModified": time_text(one["started"]), "StartDate": time_text(one["started"]),
            "InitiatingUserName": one["user"], "ReferenceId": one["reference"]}


def instance_fields(one):
    return {"id": one["id"], "status": one["status"], "title": one["title"], "referenceid": one["reference"],
            "startdate": ("time", one["started"]), "initiatingusername": one["user"]}


def instance_list(world, call):
    found = list(instances(world))
    if "mine" in call.groups:
        found = [one for one in found if one["user"] == world.login]
    return [instance_summary(one) for one in world.page_of(found, call, "", instance_fields)]


def one_instance(world, call):
    one = next((one for one in instances(world) if one["id"] == call.groups["guid"]), None)
    if one is None:
        raise Refused(404, "The workflow instance was not found.")
    request = one["request"]
    data = {}
    if request is not None:
        data = {"Template": request.template, "CertificateAuthority": request.authority, "CSR": request.csr,
                "SANs": {"DNS": request.names}, "Metadata": request.metadata}
        if request.at_ca:
            data.update(DispositionMessage=request.comment or "The certificate was issued.",
                        KeyfactorRequestId=request.id)
    return {**instance_summary(one), "InitialData": {}, "CurrentStateData": data}


ROUTES = [
    ("GET", r"/workflow/certificates/pending", "pending", by_state("Pending")),
    ("GET", r"/workflow/certificates/denied", "denied", by_state("Denied")),
    ("GET", r"/workflow/certificates/externalvalidation", "external", by_state("ExternalValidation")),
    ("GET", r"/workflow/certificates/(?P<id>\d{1,9})", "request", one_request),
    ("POST", r"/workflow/certificates/(?P<verb>approve)", "approve", approve),
    ("POST", r"/workflow/certificates/(?P<verb>deny)", "deny", deny),
    ("GET", r"/workflow/instances(?P<mine>/my)", "instances", instance_list),
    ("GET", r"/workflow/instances", "instances", instance_list),
    ("GET", r"/workflow/instances/(?P<guid>[0-9a-f-]{36})", "instance", one_instance),
]
