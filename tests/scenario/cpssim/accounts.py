"""API clients, what they may do, and the .edgerc file that has their credentials."""

import json
import os
import secrets

from simkit.files import write_atomically

OWN_ACCOUNT = "A-1"
OTHER_ACCOUNT = "B-2"
SWITCH_KEY = "B-2-SWITCH1:1-2RBL"
# section of .edgerc: (client, account_key)
SECTIONS = {"default": ("bridge", None), "other-account": ("bridge", SWITCH_KEY), "read-only": ("reader", None),
            "no-grant": ("stranger", None), "wrong-secret": ("bridge", None)}
GRANTS = {"bridge": "read-write", "reader": "read", "stranger": "none"}
SWITCHERS = ("bridge",)


def make_client(name):
    def token(label):
        return f"akab-{label}-{secrets.token_hex(8)}-{secrets.token_hex(8)}"

    return {"name": name, "client_token": token("client"), "access_token": token("access"),
            "client_secret": secrets.token_urlsafe(32) + "="}


def load_clients(directory):
    """The API clients, made the first time."""
    path = os.path.join(directory, "clients.json")
    if not os.path.exists(path):
        write_atomically(path, json.dumps([make_client(name) for name in GRANTS]).encode("utf-8"), 0o600)
    with open(path, encoding="utf-8") as stream:
        return json.load(stream)


def write_edgerc(directory, clients, host):
    """Writes DIR/edgerc and returns its path; the host has the port of this run."""
    by_name = {client["name"]: client for client in clients}
    lines = ["; Credentials of the CPS simulator", ""]
    for section, (name, account_key) in SECTIONS.items():
        client = by_name[name]
        secret = client["client_secret"]
        if section == "wrong-secret":
            secret = secret[::-1].lstrip("=") + "="
        lines += [f"[{section}]", f"client_secret = {secret}", f"host = {host}",
                  f"access_token = {client['access_token']}", f"client_token = {client['client_token']}",
                  "max_body = 131072"]
        if account_key is not None:
            lines.append(f"account_key = {account_key}")
        lines.append("")
    path = os.path.join(directory, "edgerc")
    write_atomically(path, "\n".join(lines).encode("utf-8"), 0o600)
    return path


def grant_of(client, settings):
    return settings.gateway_grants.get(client["name"], GRANTS[client["name"]])


def account_of(client, switch_key):
    """The account that a call works on; None when the client may not switch to it."""
    if switch_key is None:
        return OWN_ACCOUNT
    return OTHER_ACCOUNT if switch_key == SWITCH_KEY and client["name"] in SWITCHERS else None
