#!/usr/bin/python3
"""Runs the CPS simulator until SIGTERM or SIGINT; see cpssim/__init__.py for its parts and its control port."""

import argparse
import json
import logging
import os
import signal
import threading

from cpssim import accounts
from cpssim.control import Control, control_server
from cpssim.dispatch import Gateway
from cpssim.dv import Prober
from cpssim.edgegrid import Verifier
from cpssim.front import api_server
from cpssim.journal import Journal
from cpssim.progress import Progress
from cpssim.settings import Settings
from cpssim.store import Store
from cpssim.world import World
from scm_simulator import address, lock_state, loopback_address, url_of
from scmsim.ca import Hierarchy, make_tls_identity
from scmsim.faults import Faults
from scmsim.files import write_atomically


def setting(text):
    """NAME=VALUE with a value in JSON; a bare word is a text."""
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text}: expected NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def parse_arguments():
    parser = argparse.ArgumentParser(description="Simulates the Akamai Certificate Provisioning System.")
    parser.add_argument("--state-dir", required=True, metavar="DIR",
                        help="CA, enrollments, credentials, journal, ready.json; kept over restarts")
    parser.add_argument("--listen", type=address, default=("127.0.0.1", 0), metavar="ADDRESS:PORT")
    parser.add_argument("--control", type=loopback_address, default=("127.0.0.1", 0), metavar="ADDRESS:PORT")
    parser.add_argument("--set", type=setting, action="append", default=[], metavar="NAME=VALUE",
                        help="a setting, as of the control port; only when the state directory is new")
    parser.add_argument("--verbose", action="store_true", help="log every call to stderr")
    return parser.parse_args()


def make_settings(state, given):
    path = os.path.join(state, "settings.json")
    settings = Settings()
    fresh = not os.path.exists(path)
    settings.keep_in(path)
    if fresh:
        settings.update(dict(given))
    return settings


def build(state, settings, clients):
    """(gateway, control) of a simulator on its state directory."""
    hierarchy = Hierarchy(os.path.join(state, "ca"))
    store = Store(os.path.join(state, "enrollments"), settings)
    progress = Progress(store, hierarchy)
    world = World(settings, hierarchy, store, progress)
    journal = Journal(os.path.join(state, "journal.jsonl"))
    gateway = Gateway(world, Verifier(clients, settings), journal, Faults())
    Prober(store, progress).start()
    return gateway, Control(world, gateway, journal)


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

    clients = accounts.load_clients(state)
    gateway, control = build(state, make_settings(state, arguments.set), clients)
    tls_ca_file, tls_bundle = make_tls_identity(state)
    front = api_server(arguments.listen, gateway, tls_bundle)
    back = control_server(arguments.control, control)
    for server in (front, back):
        threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    url = url_of("https", arguments.listen[0], front.server_port)
    host = url.removeprefix("https://")
    write_atomically(ready_file, json.dumps({
        "url": url, "host": host, "control_url": url_of("http", arguments.control[0], back.server_port),
        "port": front.server_port, "control_port": back.server_port, "tls_ca_file": tls_ca_file,
        "root_file": control.world.hierarchy.root_file,
        "edgerc_file": accounts.write_edgerc(state, clients, host), "sections": list(accounts.SECTIONS),
        "accounts": {"own": accounts.OWN_ACCOUNT, "other": accounts.OTHER_ACCOUNT},
        "switch_key": accounts.SWITCH_KEY, "pid": os.getpid()}, indent=2).encode("utf-8") + b"\n")
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
