"""Any bytes on a TLS connection to the server, and its responses one by one."""

import http.client
import socket
import ssl

from harness.acme import Response
from harness.contract import check_contract


class RawConnection:
    """A TLS connection that sends any bytes and reads responses one by one."""

    def __init__(self, bridge, context=None, timeout=10, source=None):
        self.bridge = bridge
        plain = socket.create_connection(("127.0.0.1", bridge.port), timeout,
                                         (source, 0) if source else None)
        context = context or ssl.create_default_context(cafile=bridge.root)
        self.socket = context.wrap_socket(plain, server_hostname="localhost")
        self.reader = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.reader.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def head(self):
        """Status line and header of a response."""
        line = self.reader.readline(65536)
        if not line:
            raise EOFError("the server closed the connection")
        version, status, _ = line.decode("ascii").split(" ", 2)
        message = http.client.parse_headers(self.reader)
        return version, int(status), message

    def receive(self, method="GET", path="/directory"):
        """A response as the rest of the suite knows it, checked against the contract."""
        version, status, message = self.head()
        length = int(message.get("Content-Length", "0"))
        body = b"" if method == "HEAD" or status in (204, 304) else self.reader.read(length)
        parts = type("Parts", (), {"status": status, "version": version, "msg": message,
                                   "read": staticmethod(lambda: body)})
        response = Response(method, self.bridge.url + path, parts, 0)
        check_contract(response)
        return response

    def closed(self, limit=5):
        """Does the server end the connection, and send nothing before?"""
        self.socket.settimeout(limit)
        try:
            return self.reader.read(1) == b""
        except (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError):
            return True
        except TimeoutError:
            return False
