"""What every response keeps, whatever it answers: the rules that real ACME clients depend on.

check_contract(response) raises ContractBroken with the response in its text.
"""

import base64
import json
import re
import urllib.parse

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
PROBLEM_TYPE = re.compile(r"urn:ietf:params:acme:error:[A-Za-z]+")
TIME_MEMBERS = ("expires", "validated", "notBefore", "notAfter")
LINK = re.compile(r'<[^<>,]+>;rel="[a-z-]+"')


class ContractBroken(AssertionError):
    pass


def demand(response, condition, rule):
    if not condition:
        raise ContractBroken(f"{rule}\n  in {response.describe()}")


def check_nonce(response):
    nonces = response.all("Replay-Nonce")
    demand(response, len(nonces) == 1, "exactly one Replay-Nonce")
    nonce = nonces[0]
    demand(response, re.fullmatch(r"[A-Za-z0-9_-]{22,}", nonce), "nonce is base64url of at least 16 octets")
    decoded = base64.urlsafe_b64decode(nonce + "=" * (-len(nonce) % 4))
    again = base64.urlsafe_b64encode(decoded).rstrip(b"=").decode("ascii")
    demand(response, again == nonce, "nonce is canonical base64url")


def check_members(response, value, name="body"):
    """No null, no empty time or URL, only RFC 3339 times with Z, no empty subproblems."""
    if isinstance(value, dict):
        for key, member in value.items():
            demand(response, member is not None, f"no null members ({name}.{key})")
            if key in TIME_MEMBERS:
                demand(response, isinstance(member, str) and TIME.fullmatch(member),
                       f"{key} is an RFC 3339 time with Z")
            if key in ("url", "finalize", "certificate", "orders"):
                if isinstance(member, str):
                    demand(response, member.startswith("https://"), f"{key} is a URL")
            if key == "error":
                demand(response, isinstance(member, dict) and member, "error is a problem object")
                check_problem_members(response, member)
            if key == "subproblems":
                demand(response, isinstance(member, list) and member, "subproblems is not empty")
            check_members(response, member, f"{name}.{key}")
    elif isinstance(value, list):
        for item in value:
            demand(response, item is not None, f"no null items ({name})")
            check_members(response, item, f"{name}[]")


def check_problem_members(response, problem):
    demand(response, PROBLEM_TYPE.fullmatch(problem.get("type", "")), "problem has an ACME type")
    demand(response, isinstance(problem.get("detail"), str) and len(problem["detail"]) > 10,
           "problem has a detail for people")
    demand(response, type(problem.get("status", 0)) is int, "the problem's status is a number")


def check_problem(response):
    demand(response, response.content_type == "application/problem+json",
           "errors are exactly application/problem+json")
    demand(response, response.json.get("status") == response.status,
           "the problem's status equals the HTTP status")
    check_problem_members(response, response.json)


def check_chain(response):
    body = response.body.decode("ascii")
    certificates = body.count("-----BEGIN CERTIFICATE-----")
    demand(response, body.startswith("-----BEGIN CERTIFICATE-----\n"), "the chain begins with a certificate")
    demand(response, body.endswith("-----END CERTIFICATE-----\n"), "the chain ends with one newline")
    demand(response, body.count("-----END CERTIFICATE-----\n") == certificates and "\r" not in body,
           "a newline after every END line")
    demand(response, "\n\n" not in body, "no empty lines in the chain")
    demand(response, 2 <= certificates <= 5, "two to five certificates")
    demand(response, len(body) < 16384, "the chain is below 16 kB")
    demand(response, not any('rel="up"' in link for link in response.all("Link")),
           'no rel="up" with a certificate')


def check_order(response, order):
    demand(response, response.all("Location"), "an order comes with its Location")
    demand(response, "expires" in order and order.get("identifiers") and order.get("authorizations")
           and order.get("finalize"), "an order is complete")
    demand(response, len(order["authorizations"]) <= len(order["identifiers"]),
           "at most one authorization per identifier")
    demand(response, ("certificate" in order) == (order["status"] == "valid"),
           "certificate exactly when valid")
    demand(response, ("error" in order) == (order["status"] == "invalid"), "error exactly when invalid")
    if order["status"] != "processing":
        demand(response, not response.all("Retry-After"), "no Retry-After on a settled order")


def check_authorization(response, authorization):
    status, challenges = authorization["status"], authorization["challenges"]
    if status in ("pending", "valid"):
        demand(response, "expires" in authorization, "expires on pending and valid authorizations")
    if status == "valid":
        demand(response, [item["status"] for item in challenges] == ["valid"],
               "a valid authorization lists only the challenge that succeeded")
    for challenge in challenges:
        check_challenge(response, challenge)


def check_challenge(response, challenge):
    demand(response, re.fullmatch(r"[A-Za-z0-9_-]{22,}", challenge["token"]), "token of at least 128 bits")
    if challenge["status"] == "invalid":
        demand(response, "error" in challenge, "an invalid challenge has an error")
    if challenge["status"] == "valid":
        demand(response, "validated" in challenge and "error" not in challenge,
               "a valid challenge has its time and no error")


def check_account(response, account):
    demand(response, response.all("Location"), "an account comes with its Location")
    demand(response, account.get("status") and account.get("orders"), "an account has status and orders")


def check_object(response, path):
    """Success bodies by the kind of resource."""
    value = response.json
    if path.endswith("/new-order") or path.startswith("/order/"):
        check_order(response, value)
        if path.endswith("/new-order"):
            demand(response, response.status == 201, "newOrder answers 201")
        if path.endswith("/finalize"):
            demand(response, response.status == 200 and value["status"] in ("processing", "valid", "invalid"),
                   "finalize answers 200, never ready or pending")
    elif path.startswith("/authz/") or path.endswith("/new-authz"):
        if path.endswith("/new-authz"):
            demand(response, response.status == 201 and response.location, "newAuthz answers 201 with a Location")
        check_authorization(response, value)
    elif path.startswith("/challenge/"):
        check_challenge(response, value)
        demand(response, value["url"] == response.url, "a challenge names its own URL")
        demand(response, sum('rel="up"' in link for link in response.all("Link")) == 1,
               "a challenge links up to its authorization")
    elif path == "/new-account" or (path.startswith("/account/") and not path.endswith("/orders")):
        check_account(response, value)


def check_new_nonce(response):
    check_nonce(response)
    demand(response, response.status == (200 if response.method == "HEAD" else 204),
           "newNonce answers HEAD with 200 and GET with 204")
    demand(response, response.body == b"", "newNonce has no body")


def check_contract(response):
    for value in response.all("Retry-After"):
        demand(response, re.fullmatch(r"\d{1,3}", value) and 0 < int(value) <= 600,
               "Retry-After is a small number of seconds")
    for link in response.all("Link"):
        demand(response, LINK.fullmatch(link), "one link per Link line, rel quoted")
    demand(response, response.all("Cache-Control") == ["no-store"], "Cache-Control: no-store")
    path = urllib.parse.urlsplit(response.url).path
    is_directory = path.endswith("/directory")
    if not is_directory:
        demand(response, sum('/directory>;rel="index"' in link for link in response.all("Link")) == 1,
               "exactly one index link")
    if response.method == "POST":
        check_nonce(response)
    if response.method == "HEAD":
        demand(response, response.body == b"", "HEAD has no body")
    if path.endswith("/new-nonce") and response.status < 300 and response.method != "POST":
        check_new_nonce(response)
        return
    if response.method == "HEAD" or response.status == 204:
        return
    if response.content_type == "application/pem-certificate-chain" and response.status == 200:
        check_chain(response)
        return
    if path.endswith("/revoke-cert") and response.status == 200:
        demand(response, response.body == b"" and response.content_type is None, "revokeCert has an empty body")
        return
    if response.status >= 400:
        check_problem(response)
    else:
        demand(response, response.content_type == "application/json", "JSON is exactly application/json")
        if response.method == "POST":
            check_object(response, path)
    check_members(response, response.json)


def loads(body):
    """Strict JSON: no NaN, no duplicate members."""
    def pairs(items):
        names = [name for name, _ in items]
        if len(set(names)) != len(names):
            raise ValueError("duplicate members")
        return dict(items)

    def constant(text):
        raise ValueError(f"{text} is not JSON")

    return json.loads(body, object_pairs_hook=pairs, parse_constant=constant)
