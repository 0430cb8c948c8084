#!/usr/bin/python3
"""Runs the SCM simulator until SIGTERM or SIGINT; see scmsim/__init__.py for its parts."""

import os
import sys

from scmsim.control import Control
from scmsim.dispatch import Credentials, Dispatcher
from scmsim.lifecycle import Registry
from scmsim.settings import Settings, default_profiles
from scmsim.world import World
from simkit.ca import Hierarchy, make_tls_identity
from simkit.control import control_server
from simkit.faults import Faults
from simkit.httpfront import api_server
from simkit.program import Program, new_parser, secret_file, url_of


def seconds(text):
    value = float(text)
    if not 0 <= value <= 10 ** 9:
        raise ValueError
    return value


def parse_arguments():
    parser = new_parser("Simulates the Sectigo Certificate Manager REST API.", "CA, requests")
    parser.add_argument("--approval-delay", type=seconds, default=1.0, metavar="S")
    parser.add_argument("--ca-delay", type=seconds, default=2.0, metavar="S")
    parser.add_argument("--login", default="acme-api")
    parser.add_argument("--password-file", metavar="FILE",
                        help="default: DIR/password, made with a random password if absent")
    parser.add_argument("--customer-uri", default="corp")
    parser.add_argument("--org-id", type=int, default=8932)
    parser.add_argument("--profile-id", type=int, default=5153)
    parser.add_argument("--client-ca", metavar="FILE",
                        help="accept TLS client certificates of this CA under /private")
    parser.add_argument("--plain-http", action="store_true")
    return parser.parse_args()


def read_password(arguments):
    if arguments.password_file is None:
        return secret_file(arguments.state_dir, "password", 18)
    with open(arguments.password_file, encoding="utf-8") as stream:
        password = stream.read().rstrip("\r\n")
    if not password:
        sys.exit(f"scm_simulator: {arguments.password_file} is empty")
    return arguments.password_file, password


def build(arguments):
    """(dispatcher, control, password file) of a simulator on its state directory."""
    password_file, password = read_password(arguments)
    settings = Settings(approval_delay=arguments.approval_delay, ca_delay=arguments.ca_delay,
                        profiles=default_profiles(arguments.profile_id), org_ids=[arguments.org_id])
    hierarchy = Hierarchy(os.path.join(arguments.state_dir, "ca"))
    registry = Registry(os.path.join(arguments.state_dir, "requests"), settings, hierarchy)
    world = World(settings, hierarchy, registry, arguments.login)
    dispatcher = Dispatcher(
        world, Credentials(arguments.login, password, arguments.customer_uri), Faults())
    return dispatcher, Control(world, dispatcher), password_file


def main():
    arguments = parse_arguments()
    program = Program(arguments)
    dispatcher, control, password_file = build(arguments)
    tls_ca_file, tls_bundle = make_tls_identity(arguments.state_dir)
    front = api_server(arguments.listen, dispatcher, None if arguments.plain_http else tls_bundle,
                       arguments.client_ca)
    back = control_server(arguments.control, control)
    scheme = "http" if arguments.plain_http else "https"
    program.serve((front, back), {
        "url": url_of(scheme, arguments.listen[0], front.server_port),
        "control_url": url_of("http", arguments.control[0], back.server_port),
        "tls_ca_file": None if arguments.plain_http else tls_ca_file,
        "root_file": dispatcher.world.hierarchy.root_file, "password_file": password_file,
        "login": arguments.login, "customer_uri": arguments.customer_uri, "org_id": arguments.org_id,
        "profile_id": arguments.profile_id, "term_days": control.world.settings.profiles[0]["terms"][0]})


if __name__ == "__main__":
    main()
