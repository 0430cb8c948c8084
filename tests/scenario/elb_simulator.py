#!/usr/bin/python3
"""Runs the simulator of Huawei Cloud ELB and IAM until SIGTERM or SIGINT; see elbsim/__init__.py for its parts."""

import argparse
import json
import logging
import os
import secrets
import signal
import threading

from elbsim.control import Control, control_server
from elbsim.dispatch import Gateway, World
from elbsim.identity import Identity
from elbsim.journal import Journal
from elbsim.listeners import Listeners
from elbsim.settings import Settings
from elbsim.storage import Storage
from scm_simulator import address, lock_state, loopback_address, url_of
from scmsim.ca import Hierarchy, make_tls_identity
from scmsim.dispatch import Counters
from scmsim.faults import Faults
from scmsim.files import write_atomically
from scmsim.httpfront import api_server

ACCOUNT = {"domain": "corp-cloud", "user": "bridge", "region": "eu-west-101",
           "access_key": "SIMULATEDACCESSKEY01", "project_id": "0123456789abcdef0123456789abcdef"}


def parse_arguments():
    parser = argparse.ArgumentParser(description="Simulates the certificate API of Huawei Cloud ELB, and IAM.")
    parser.add_argument("--state-dir", required=True, metavar="DIR",
                        help="CA, certificates, logins, journal, ready.json; kept over restarts")
    for name in ("--listen", "--listen-iam"):
        parser.add_argument(name, type=address, default=("127.0.0.1", 0), metavar="ADDRESS:PORT")
    parser.add_argument("--control", type=loopback_address, default=("127.0.0.1", 0), metavar="ADDRESS:PORT")
    for name, value in ACCOUNT.items():
        parser.add_argument("--" + name.replace("_", "-"), default=value)
    parser.add_argument("--verbose", action="store_true", help="log every call to stderr")
    return parser.parse_args()


def secret_file(directory, name):
    """(path, content) of a secret, made at random the first time."""
    path = os.path.join(directory, name)
    if not os.path.exists(path):
        write_atomically(path, secrets.token_urlsafe(30).encode("ascii") + b"\n", 0o600)
    with open(path, encoding="ascii") as stream:
        return path, stream.read().strip()


def build(state, account):
    """(gateways of ELB and IAM, control) of a simulator on its state directory."""
    settings = Settings()
    settings.keep_in(os.path.join(state, "settings.json"))
    storage = Storage(os.path.join(state, "certificates"))
    identity = Identity(os.path.join(state, "identity.json"), account, settings)
    journal = Journal(os.path.join(state, "journal.jsonl"))
    world = World(settings, Hierarchy(os.path.join(state, "ca")), storage, identity)
    faults, counters = Faults(), Counters()
    gateways = [Gateway(service, world, journal, faults, counters) for service in ("elb", "iam")]
    return gateways, Control(world, gateways, Listeners(state, storage), journal)


def main():
    arguments = parse_arguments()
    logging.basicConfig(level=logging.INFO if arguments.verbose else logging.ERROR,
                        format="%(asctime)s %(message)s")
    state = os.path.abspath(arguments.state_dir)
    os.makedirs(state, mode=0o700, exist_ok=True)
    state_lock = lock_state(state)
    ready_file = os.path.join(state, "ready.json")
    # A file left behind by a killed simulator would announce ports that nobody listens on.
    if os.path.exists(ready_file):
        os.unlink(ready_file)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    account = {name: getattr(arguments, name) for name in ACCOUNT}
    password_file, account["password"] = secret_file(state, "password")
    secret_key_file, account["secret_key"] = secret_file(state, "secret-key")
    gateways, control = build(state, account)
    tls_ca_file, tls_bundle = make_tls_identity(state)
    elb, iam = (api_server(where, gateway, tls_bundle)
                for where, gateway in zip((arguments.listen, arguments.listen_iam), gateways))
    back = control_server(arguments.control, control)
    for server in (elb, iam, back):
        threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    write_atomically(ready_file, json.dumps({
        "url": url_of("https", arguments.listen[0], elb.server_port),
        "iam_url": url_of("https", arguments.listen_iam[0], iam.server_port),
        "control_url": url_of("http", arguments.control[0], back.server_port),
        "tls_ca_file": tls_ca_file, "root_file": control.world.hierarchy.root_file,
        "password_file": password_file, "secret_key_file": secret_key_file,
        **{name: account[name] for name in ACCOUNT}, "pid": os.getpid()}, indent=2).encode("utf-8") + b"\n")
    stop.wait()
    os.unlink(ready_file)
    for server in (elb, iam, back):
        server.shutdown()
        server.server_close()
    os.close(state_lock)
    # Calls that a fault keeps asleep must not hold up the end; everything accepted is on disk.
    os._exit(0)


if __name__ == "__main__":
    main()
