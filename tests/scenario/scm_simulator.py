#!/usr/bin/python3
"""Runs the SCM simulator until SIGTERM or SIGINT; see scmsim/__init__.py for its parts."""

import argparse
import fcntl
import ipaddress
import json
import logging
import os
import secrets
import signal
import sys
import threading

from scmsim.ca import Hierarchy, make_tls_identity
from scmsim.control import Control, control_server
from scmsim.dispatch import Credentials, Dispatcher
from scmsim.faults import Faults
from scmsim.files import write_atomically
from scmsim.httpfront import api_server
from scmsim.lifecycle import Registry
from scmsim.settings import Settings, default_profiles
from scmsim.world import World


def address(text):
    """HOST:PORT or [HOST]:PORT with a literal IP address; port 0 takes a free one."""
    host, _, port = text.rpartition(":")
    host = "127.0.0.1" if host == "localhost" else host.strip("[]")
    try:
        ipaddress.ip_address(host)
        if not 0 <= int(port) <= 65535:
            raise ValueError
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text}: expected ADDRESS:PORT, as 127.0.0.1:0") from None
    return host, int(port)


def loopback_address(text):
    host, port = address(text)
    if not ipaddress.ip_address(host).is_loopback:
        raise argparse.ArgumentTypeError(f"{text}: the control port stays on loopback")
    return host, port


def seconds(text):
    value = float(text)
    if not 0 <= value <= 10 ** 9:
        raise ValueError
    return value


def parse_arguments():
    parser = argparse.ArgumentParser(description="Simulates the Sectigo Certificate Manager REST API.")
    parser.add_argument("--state-dir", required=True, metavar="DIR",
                        help="CA, requests, ready.json; kept over restarts")
    parser.add_argument("--listen", type=address, default=("127.0.0.1", 0), metavar="ADDRESS:PORT")
    parser.add_argument("--control", type=loopback_address, default=("127.0.0.1", 0),
                        metavar="ADDRESS:PORT")
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
    parser.add_argument("--verbose", action="store_true", help="log every call to stderr")
    return parser.parse_args()


def lock_state(directory):
    """Keeps two simulators from sharing a directory; the lock ends with the process."""
    descriptor = os.open(os.path.join(directory, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"scm_simulator: {directory} is in use by another simulator")
    return descriptor


def read_password(arguments):
    path = arguments.password_file or os.path.join(arguments.state_dir, "password")
    if arguments.password_file is None and not os.path.exists(path):
        write_atomically(path, secrets.token_urlsafe(18).encode("ascii") + b"\n", 0o600)
    with open(path, encoding="utf-8") as stream:
        password = stream.read().rstrip("\r\n")
    if not password:
        sys.exit(f"scm_simulator: {path} is empty")
    return path, password


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


def url_of(scheme, host, port):
    host = "localhost" if scheme == "https" else f"[{host}]" if ":" in host else host
    return f"{scheme}://{host}:{port}"


def main():
    arguments = parse_arguments()
    logging.basicConfig(level=logging.INFO if arguments.verbose else logging.ERROR,
                        format="%(asctime)s %(message)s")
    arguments.state_dir = os.path.abspath(arguments.state_dir)
    os.makedirs(arguments.state_dir, mode=0o700, exist_ok=True)
    state_lock = lock_state(arguments.state_dir)
    ready_file = os.path.join(arguments.state_dir, "ready.json")
    # A file left behind by a killed simulator would announce ports that nobody listens on.
    if os.path.exists(ready_file):
        os.unlink(ready_file)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    dispatcher, control, password_file = build(arguments)
    tls_ca_file, tls_bundle = make_tls_identity(arguments.state_dir)
    front = api_server(arguments.listen, dispatcher, None if arguments.plain_http else tls_bundle,
                       arguments.client_ca)
    back = control_server(arguments.control, control)
    for server in (front, back):
        threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    scheme = "http" if arguments.plain_http else "https"
    write_atomically(ready_file, json.dumps({
        "url": url_of(scheme, arguments.listen[0], front.server_port),
        "control_url": url_of("http", arguments.control[0], back.server_port),
        "tls_ca_file": None if arguments.plain_http else tls_ca_file,
        "root_file": dispatcher.world.hierarchy.root_file, "password_file": password_file,
        "login": arguments.login, "customer_uri": arguments.customer_uri, "org_id": arguments.org_id,
        "profile_id": arguments.profile_id, "term_days": control.world.settings.profiles[0]["terms"][0],
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
