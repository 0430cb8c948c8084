#!/usr/bin/python3
"""Runs the simulator of Huawei Cloud ELB and IAM until SIGTERM or SIGINT; see elbsim/__init__.py for its parts."""

import os

from elbsim.control import Control
from elbsim.dispatch import Gateway, World
from elbsim.identity import Identity
from elbsim.journal import Journal
from elbsim.listeners import Listeners
from elbsim.settings import Settings
from elbsim.storage import Storage
from simkit.ca import Hierarchy, make_tls_identity
from simkit.control import control_server
from simkit.dispatch import Counters
from simkit.faults import Faults
from simkit.httpfront import api_server
from simkit.program import Program, address, new_parser, secret_file, url_of

ACCOUNT = {"domain": "corp-cloud", "user": "bridge", "region": "eu-west-101",
           "access_key": "SIMULATEDACCESSKEY01", "project_id": "0123456789abcdef0123456789abcdef"}


def parse_arguments():
    parser = new_parser("Simulates the certificate API of Huawei Cloud ELB, and IAM.",
                        "CA, certificates, logins, journal")
    parser.add_argument("--listen-iam", type=address, default=("127.0.0.1", 0), metavar="ADDRESS:PORT")
    for name, value in ACCOUNT.items():
        parser.add_argument("--" + name.replace("_", "-"), default=value)
    return parser.parse_args()


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
    program = Program(arguments)
    state = arguments.state_dir
    account = {name: getattr(arguments, name) for name in ACCOUNT}
    password_file, account["password"] = secret_file(state, "password", 30)
    secret_key_file, account["secret_key"] = secret_file(state, "secret-key", 30)
    gateways, control = build(state, account)
    tls_ca_file, tls_bundle = make_tls_identity(state)
    elb, iam = (api_server(where, gateway, tls_bundle)
                for where, gateway in zip((arguments.listen, arguments.listen_iam), gateways))
    back = control_server(arguments.control, control)
    program.serve((elb, iam, back), {
        "url": url_of("https", arguments.listen[0], elb.server_port),
        "iam_url": url_of("https", arguments.listen_iam[0], iam.server_port),
        "control_url": url_of("http", arguments.control[0], back.server_port),
        "tls_ca_file": tls_ca_file, "root_file": control.world.hierarchy.root_file,
        "password_file": password_file, "secret_key_file": secret_key_file,
        **{name: account[name] for name in ACCOUNT}})


if __name__ == "__main__":
    main()
