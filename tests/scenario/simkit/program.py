"""The command line, the state directory, the start and the end of a simulator."""

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

from simkit.files import write_atomically


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


def new_parser(description, contents):
    """A parser with the options that all simulators have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--state-dir", required=True, metavar="DIR",
                        help=f"{contents}, ready.json; kept over restarts")
    parser.add_argument("--listen", type=address, default=("127.0.0.1", 0), metavar="ADDRESS:PORT")
    parser.add_argument("--control", type=loopback_address, default=("127.0.0.1", 0), metavar="ADDRESS:PORT")
    parser.add_argument("--verbose", action="store_true", help="log every call to stderr")
    return parser


def url_of(scheme, host, port):
    host = "localhost" if scheme == "https" else f"[{host}]" if ":" in host else host
    return f"{scheme}://{host}:{port}"


def secret_file(directory, name, octets=24):
    """(path, content) of a secret, made at random the first time."""
    path = os.path.join(directory, name)
    if not os.path.exists(path):
        write_atomically(path, secrets.token_urlsafe(octets).encode("ascii") + b"\n", 0o600)
    with open(path, encoding="ascii") as stream:
        return path, stream.read().strip()


def lock_state(directory):
    """Keeps two simulators from sharing a directory; the lock ends with the process."""
    descriptor = os.open(os.path.join(directory, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"{directory} is in use by another simulator")
    return descriptor


class Program:
    """One run on a state directory: made before anything is read from it, then `serve`."""

    def __init__(self, arguments):
        logging.basicConfig(level=logging.INFO if arguments.verbose else logging.ERROR,
                            format="%(asctime)s %(message)s")
        arguments.state_dir = os.path.abspath(arguments.state_dir)
        os.makedirs(arguments.state_dir, mode=0o700, exist_ok=True)
        self.state_lock = lock_state(arguments.state_dir)
        self.ready_file = os.path.join(arguments.state_dir, "ready.json")
        # A file left behind by a killed simulator would announce ports that nobody listens on.
        if os.path.exists(self.ready_file):
            os.unlink(self.ready_file)
        self.stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop.set())

    def serve(self, servers, ready):
        """Serves until a signal; `ready` is what tests are told. Ends the process."""
        for server in servers:
            threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
        text = json.dumps({**ready, "pid": os.getpid()}, indent=2)
        write_atomically(self.ready_file, text.encode("utf-8") + b"\n")
        self.stop.wait()
        os.unlink(self.ready_file)
        for server in servers:
            server.shutdown()
            server.server_close()
        os.close(self.state_lock)
        # Calls that a fault keeps asleep must not hold up the end; everything accepted is on disk.
        os._exit(0)
