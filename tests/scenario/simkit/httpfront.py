"""HTTP/1.1 servers on sockets: the API front (TLS or plain) and the base of the control port."""

import http.server
import logging
import socket
import ssl
import sys
import urllib.parse

from simkit.dispatch import Call
from simkit.wire import Response

LOG = logging.getLogger("simkit")
LARGEST_BODY = 1024 * 1024
IDLE_SECONDS = 60


class Server(http.server.ThreadingHTTPServer):
    """A thread for every connection; the TLS handshake happens in that thread, never in accept."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address, handler, tls_context=None):
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.tls_context = tls_context
        super().__init__(address, handler)

    def server_bind(self):
        # The base class would look up the host's name in the DNS here.
        self.allow_reuse_address = True
        super(http.server.HTTPServer, self).server_bind()
        self.server_name, self.server_port = self.server_address[:2]

    def finish_request(self, request, client_address):
        request.settimeout(IDLE_SECONDS)
        if self.tls_context is not None:
            request = self.tls_context.wrap_socket(request, server_side=True)
        try:
            super().finish_request(request, client_address)
        finally:
            # wrap_socket took the descriptor away from the socket that the base class closes.
            if self.tls_context is not None:
                self.shutdown_request(request)

    def handle_error(self, request, client_address):
        error = sys.exc_info()[1]
        if not isinstance(error, (OSError, ValueError)):
            LOG.error("connection failed", exc_info=error)


class Handler(http.server.BaseHTTPRequestHandler):
    """Reads one request, has `respond` answer it, and writes the answer in one piece."""

    protocol_version = "HTTP/1.1"
    server_version = "Simulator"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1

    def respond(self, call):
        raise NotImplementedError

    def handle_method(self):
        body = self.read_body()
        if isinstance(body, Response):
            self.close_connection = True
            self.write(body)
            return
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
        certificate = isinstance(self.connection, ssl.SSLSocket) and self.connection.getpeercert()
        self.write(self.respond(Call(self.command, parts.path, query, self.headers, body,
                                     bool(certificate), target=self.path)))

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_method

    def read_body(self):
        """The request's body, or the answer to a request whose body cannot be read."""
        if self.headers.get("Transfer-Encoding"):
            return Response(411)
        length = self.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdigit() and len(length) < 10):
            return Response(400)
        if int(length) > LARGEST_BODY:
            return Response(413)
        body = self.rfile.read(int(length))
        return body if len(body) == int(length) else Response(400)

    def write(self, response):
        if response.wire == "drop":
            self.drop()
            return
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if response.content_type:
            self.send_header("Content-Type", response.content_type)
        # RFC 9110 section 8.6 forbids Content-Length with 204.
        if response.status != 204:
            self.send_header("Content-Length", str(len(response.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        body = b"" if self.command == "HEAD" else response.body
        if response.wire == "truncate":
            body = body[:len(body) // 2]
        self.wfile.write(body)
        self.wfile.flush()
        if response.wire == "truncate":
            self.drop()

    def drop(self):
        """Ends the connection without a further byte, not even a TLS close notification."""
        self.close_connection = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def finish(self):
        try:
            super().finish()
        except OSError:
            pass

    def log_message(self, format, *args):
        """The dispatcher logs; request lines of the base class would only repeat it."""


def api_server(address, dispatcher, tls_bundle=None, client_ca=None):
    """The front of the API; without a TLS bundle it speaks plain HTTP."""
    class ApiHandler(Handler):
        def respond(self, call):
            return dispatcher.handle(call)

    context = None
    if tls_bundle is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(tls_bundle)
        if client_ca is not None:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_OPTIONAL
    return Server(address, ApiHandler, context)
