#!/usr/bin/python3
"""Runs the Keyfactor Command simulator until SIGTERM or SIGINT; see kfsim/__init__.py for its parts."""

import json
import os

from kfsim.control import Control
from kfsim.gateway import Gateway, World
from kfsim.journal import Journal
from kfsim.records import Records
from kfsim.settings import Settings
from simkit import tokens
from simkit.ca import Hierarchy, make_tls_identity
from simkit.control import control_server
from simkit.faults import Faults
from simkit.httpfront import api_server
from simkit.program import Program, new_parser, secret_file, url_of


def parse_arguments():
    parser = new_parser("Simulates the API of Keyfactor Command, and its token endpoint.",
                        "CA, requests, certificates, settings, journal")
    parser.add_argument("--api-path", default="KeyfactorAPI")
    parser.add_argument("--login", default="EXAMPLE\\acme-bridge")
    parser.add_argument("--client-id", default="acme-bridge")
    parser.add_argument("--settings", default="{}", metavar="JSON", help="changes of kfsim/settings.py")
    return parser.parse_args()


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
    program = Program(arguments)
    state = arguments.state_dir
    password_file, password = secret_file(state, "password")
    client_secret_file, client_secret = secret_file(state, "client-secret")
    gateway, control = build(arguments, state, {"login": arguments.login, "password": password,
                                                "client_id": arguments.client_id, "client_secret": client_secret})
    tls_ca_file, tls_bundle = make_tls_identity(state)
    front = api_server(arguments.listen, gateway, tls_bundle)
    back = control_server(arguments.control, control)
    url = url_of("https", arguments.listen[0], front.server_port)
    program.serve((front, back), {
        "url": url, "api_path": arguments.api_path, "token_url": url + tokens.PATH,
        "control_url": url_of("http", arguments.control[0], back.server_port), "tls_ca_file": tls_ca_file,
        "root_file": control.world.hierarchy.root_file, "login": arguments.login, "password_file": password_file,
        "client_id": arguments.client_id, "client_secret_file": client_secret_file,
        "authority": control.world.settings.authorities[0]["Name"],
        "template": control.world.settings.templates[0]["ShortName"],
        "pattern": control.world.settings.patterns[0]["Id"],
        "metadata_field": control.world.settings.metadata_fields[0]["Name"]})


if __name__ == "__main__":
    main()
