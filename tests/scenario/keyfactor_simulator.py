#!/usr/bin/python3
"""Runs the Keyfactor Command simulator until SIGTERM or SIGINT; see kfsim/__init__.py for its parts."""

import argparse
import json
import logging
import os
import secrets
import signal
import threading

from kfsim.control import Control, control_server
from kfsim.gateway import Gateway, World
from kfsim.journal import Journal
from kfsim.records import Records
from kfsim.settings import Settings
from scm_simulator import address, lock_state, loopback_address, url_of
from scmsim import tokens
from scmsim.ca import Hierarchy, make_tls_identity
from scmsim.faults import Faults
from scmsim.files import write_atomically
from scmsim.httpfront import api_server


def parse_arguments():
    parser = argparse.ArgumentParser(description="Simulates the API of Keyfactor Command, and its token endpoint.")
    parser.add_argument("--state-dir", required=True, metavar="DIR",
                        help="CA, requests, certificates, settings, journal, ready.json; kept over restarts")
    parser.add_argument("--listen", type=address, default=("127.0.0.1", 0), metavar="ADDRESS:PORT")
    parser.add_argument("--control", type=loopback_address, default=("127.0.0.1", 0), metavar="ADDRESS:PORT")
    parser.add_argument("--api-path", default="KeyfactorAPI")
    parser.add_argument("--login", default="EXAMPLE\\acme-bridge")
    parser.add_argument("--client-id", default="acme-bridge")
    parser.add_argument("--settings", default="{}", metavar="JSON", help="changes of kfsim/settings.py")
    parser.add_argument("--verbose", action="store_true", help="log every call to stderr")
    return parser.parse_args()


def secret_file(directory, name):
    """(path, content) of a secret, made at random the first time."""
    path = os.path.join(directory, name)
    if not os.path.exists(path):
        write_atomically(path, secrets.token_urlsafe(24).encode("ascii") + b"\n", 0o600)
    with open(path, encoding="ascii") as stream:
        return path, stream.read().strip()


def build(arguments, state, credentials):
    settings = Settings()
    settings.update(json.loads(arguments.settings))
    settings.keep_in(os.path.join(state, "settings.json"))
    hierarchy = Hierarchy(os.path.join(state, "ca"))
    world = World(settings, hierarchy, Records(state, settings, hierarchy), arguments.login)
    gateway = Gateway(world, credentials, arguments.api_path, Journal(os.path.join(state, "journal.jsonl")), Faults())
    return gateway, Control(world, gateway)


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

    password_file, password = secret_file(state, "password")
    client_secret_file, client_secret = secret_file(state, "client-secret")
    gateway, control = build(arguments, state, {"login": arguments.login, "password": password,
                                                "client_id": arguments.client_id, "client_secret": client_secret})
    tls_ca_file, tls_bundle = make_tls_identity(state)
    front = api_server(arguments.listen, gateway, tls_bundle)
    back = control_server(arguments.control, control)
    for server in (front, back):
        threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    url = url_of("https", arguments.listen[0], front.server_port)
    write_atomically(ready_file, json.dumps({
        "url": url, "api_path": arguments.api_path, "token_url": url + tokens.PATH,
        "control_url": url_of("http", arguments.control[0], back.server_port), "tls_ca_file": tls_ca_file,
        "root_file": control.world.hierarchy.root_file, "login": arguments.login, "password_file": password_file,
        "client_id": arguments.client_id, "client_secret_file": client_secret_file,
        "authority": control.world.settings.authorities[0]["Name"],
        "template": control.world.settings.templates[0]["ShortName"],
        "pattern": control.world.settings.patterns[0]["Id"],
        "metadata_field": control.world.settings.metadata_fields[0]["Name"],
        "pid": os.getpid()}, indent=2).encode("utf-8") + b"\n")
    stop.wait()
    os.unlink(ready_file)
    for server in (front, back):
        server.shutdown()
        server.server_close()
    os.close(state_lock)
    # Calls that a fault keeps asleep must not hold up the end; everything accepted is on disk.
    os._exit(0)


if __name__ == "__main__":
    main()
