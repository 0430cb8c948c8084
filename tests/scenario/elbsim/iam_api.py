"""IAM: tokens for a password, and the id of a project by its name."""

import datetime

from elbsim.wire import Refused, answer, json_object

BAD = (400, "IAM.0011")


def member(value, *path):
    """A string deep inside of a request's body."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if not isinstance(value, str) or not value:
        raise Refused(*BAD, f"Request parameter {path[-1]} is invalid.")
    return value


def scope_of(identity, auth):
    """The project id a token shall be good for; empty for the account as a whole."""
    scope = auth.get("scope")
    if scope is None:
        return ""
    project = scope.get("project") if isinstance(scope, dict) else None
    if isinstance(scope, dict) and isinstance(scope.get("domain"), dict) and project is None:
        return ""
    if not isinstance(project, dict) or not project:
        raise Refused(*BAD, "Request parameter scope is invalid.")
    wanted = {name: member(project, name) for name in ("id", "name") if name in project}
    if not wanted:
        raise Refused(*BAD, "Request parameter project is invalid.")
    for name, project_id in identity.projects.items():
        if wanted.get("id", project_id) == project_id and wanted.get("name", name) == name:
            return project_id
    raise Refused(401, "IAM.0001", "The project does not exist or is not accessible.")


def microseconds(epoch):
    return datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def give_token(world, call, entry):
    identity = world.identity
    auth = json_object(call.raw_body, BAD).get("auth")
    methods = auth.get("identity", {}).get("methods") if isinstance(auth, dict) and isinstance(
        auth.get("identity"), dict) else None
    if methods != ["password"]:
        raise Refused(*BAD, "Request parameter methods is invalid.")
    path = ("identity", "password", "user")
    user, password = member(auth, *path, "name"), member(auth, *path, "password")
    domain = member(auth, *path, "domain", "name")
    scope = scope_of(identity, auth)
    if not identity.password_fits(domain, user, password):
        raise Refused(401, "IAM.0007", "The username or password is wrong.")
    token, issued, expires = identity.give_token(scope)
    entry["effect"] = {"kind": "token"}
    body = {"expires_at": microseconds(expires), "issued_at": microseconds(issued), "methods": ["password"],
            "user": {"name": user, "id": "0" * 32, "domain": {"name": domain, "id": "1" * 32},
                     "password_expires_at": ""}}
    if scope:
        names = {project_id: name for name, project_id in identity.projects.items()}
        body["project"] = {"id": scope, "name": names[scope],
                           "domain": {"name": domain, "id": "1" * 32}}
    if ("nocatalog", "true") not in call.query:
        body["catalog"] = [{"type": "elb", "name": "elb", "id": "2" * 32, "endpoints": []}]
    return answer({"token": body}, 201, X_Subject_Token=token)


def list_projects(world, call, _entry):
    names = [value for name, value in call.query if name == "name"]
    projects = [{"id": project_id, "name": name, "enabled": True, "is_domain": False, "domain_id": "1" * 32,
                 "parent_id": "1" * 32, "description": ""} for name, project_id in world.identity.projects.items()]
    return answer({"projects": [item for item in projects if not names or item["name"] in names],
                   "links": {"self": f"https://{call.headers.get('Host', '')}{call.target}",
                             "next": None, "previous": None}})


# method, path, operation, whether it needs a login, handler
ROUTES = (
    ("POST", r"/v3/auth/tokens", "token", False, give_token),
    ("GET", r"/v3/projects", "projects", True, list_projects),
)
