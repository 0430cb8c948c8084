#!/usr/bin/python3
"""Runs the CPS simulator until SIGTERM or SIGINT; see cpssim/__init__.py for its parts and its control port."""

import argparse
import json
import os

from cpssim import accounts
from cpssim.control import Control
from cpssim.dispatch import Gateway
from cpssim.dv import Prober
from cpssim.edgegrid import Verifier
from cpssim.front import api_server
from cpssim.journal import Journal
from cpssim.progress import Progress
from cpssim.settings import Settings
from cpssim.store import Store
from cpssim.world import World
from simkit.ca import Hierarchy, make_tls_identity
from simkit.control import control_server
from simkit.faults import Faults
from simkit.program import Program, new_parser, url_of


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
    parser = new_parser("Simulates the Akamai Certificate Provisioning System.",
                        "CA, enrollments, credentials, journal")
    parser.add_argument("--set", type=setting, action="append", default=[], metavar="NAME=VALUE",
                        help="a setting, as of the control port; only when the state directory is new")
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
    program = Program(arguments)
    state = arguments.state_dir
    clients = accounts.load_clients(state)
    gateway, control = build(state, make_settings(state, arguments.set), clients)
    tls_ca_file, tls_bundle = make_tls_identity(state)
    front = api_server(arguments.listen, gateway, tls_bundle)
    back = control_server(arguments.control, control)
    url = url_of("https", arguments.listen[0], front.server_port)
    host = url.removeprefix("https://")
    program.serve((front, back), {
        "url": url, "host": host, "control_url": url_of("http", arguments.control[0], back.server_port),
        "port": front.server_port, "control_port": back.server_port, "tls_ca_file": tls_ca_file,
        "root_file": control.world.hierarchy.root_file,
        "edgerc_file": accounts.write_edgerc(state, clients, host), "sections": list(accounts.SECTIONS),
        "accounts": {"own": accounts.OWN_ACCOUNT, "other": accounts.OTHER_ACCOUNT},
        "switch_key": accounts.SWITCH_KEY})


if __name__ == "__main__":
    main()
