"""TLS listeners on loopback, one for each bound object: each handshake shows which certificate is live.

A listener whose object has a certificate and a key that do not fit ends every connection without a handshake, as a
broken load balancer would.
"""

import contextlib
import logging
import os
import socket
import ssl
import threading

from elbsim import pem

LOG = logging.getLogger("elbsim")
HANDSHAKE_SECONDS = 5


class Listeners:
    def __init__(self, directory, storage):
        self.directory = directory
        self.storage = storage
        self.sockets = {}
        for stored in storage.all():
            if stored.bound:
                self.open(stored)

    def open(self, stored):
        """Listens for an object, on the port it had if that is free; returns the port."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", stored.port))
        except OSError:
            listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        self.sockets[stored.id] = listener
        threading.Thread(target=self.accept, args=(listener, stored.id), daemon=True).start()
        stored.port = listener.getsockname()[1]
        self.storage.save(stored)
        return stored.port

    def close(self, certificate_id):
        listener = self.sockets.pop(certificate_id, None)
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def accept(self, listener, certificate_id):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection, certificate_id), daemon=True).start()

    def serve(self, connection, certificate_id):
        with self.storage.lock:
            stored = self.storage.objects.get(certificate_id)
        with connection:
            connection.settimeout(HANDSHAKE_SECONDS)
            if stored is None or not stored.pair_fits:
                return
            try:
                with self.context_of(stored).wrap_socket(connection, server_side=True) as secured:
                    secured.recv(1)
            except (OSError, ValueError) as problem:
                LOG.info("listener of %s: %s", certificate_id, problem)

    def context_of(self, stored):
        """The library reads keys from files only, so that one exists for a moment."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        path = os.path.join(self.directory, f"listener-{threading.get_ident()}.pem")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as stream:
                stream.write(pem.normalised(stored.private_key) + pem.normalised(stored.certificate))
            context.load_cert_chain(path)
        finally:
            os.unlink(path)
        return context
