"""The TLS server that tls-alpn-01 validations ask (RFC 8737), on loopback, with the mistakes tests need."""

import dataclasses
import datetime
import hashlib
import ipaddress
import os
import select
import socket
import ssl
import struct
import tempfile
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from harness.keys import general_name

PROTOCOL = "acme-tls/1"
ACME_IDENTIFIER = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")
PLACEHOLDER = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.127")  # as long as the real one in DER
MAX_HELLO = 16384

# What set() can get wrong, by name: the certificate's mistakes, and the handshake's.
CERTIFICATE_FAULTS = ("wrong-digest", "extra-name", "repeated-name", "other-name", "other-kind", "no-name", "email-name",
                      "not-critical", "no-extension", "two-extensions", "not-octets", "trailing-octets",
                      "not-self-signed")
HANDSHAKE_FAULTS = ("no-alpn", "other-alpn", "alert", "big-chain")
# What the whole responder can do instead of TLS: `behaviour`.
BEHAVIOURS = ("close", "hang", "plain")


def address_of(identifier):
    """The address that an identifier is, or None for a name."""
    try:
        return ipaddress.ip_address(identifier)
    except ValueError:
        return None


def has_v6():
    """Is there IPv6 on the loopback interface?"""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        return True
    except OSError:
        return False


def server_name(identifier):
    """The SNI under which an identifier is validated: RFC 8737 section 3, RFC 8738 section 6."""
    address = address_of(identifier)
    return address.reverse_pointer if address else identifier.lower()


def der(tag, content):
    """One DER element."""
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def new_key(kind):
    return rsa.generate_private_key(65537, 2048) if kind == "RSA" else ec.generate_private_key(ec.SECP256R1())


def make_names(identifier, fault):
    names = {"extra-name": [general_name(identifier), x509.DNSName("extra.example")],
             "repeated-name": [general_name(identifier)] * 2,
             "other-name": [x509.DNSName("other.example")],
             "other-kind": [x509.DNSName(identifier if not address_of(identifier) else server_name(identifier))]
             if address_of(identifier) else [x509.IPAddress(ipaddress.ip_address("192.0.2.1"))],
             "email-name": [general_name(identifier), x509.RFC822Name("admin@example.com")],
             "no-name": []}
    return names.get(fault, [general_name(identifier)])


def make_certificate(identifier, key_authorization, key, fault=None, expired=False):
    """The certificate of RFC 8737 section 3 as DER; `fault` is one of CERTIFICATE_FAULTS."""
    now = datetime.datetime.utcnow()
    digest = hashlib.sha256(key_authorization.encode("ascii")).digest()
    if fault == "wrong-digest":
        digest = hashlib.sha256(b"something else").digest()
    value = digest if fault == "not-octets" else der(0x04, digest)
    value += b"\x05\x00" if fault == "trailing-octets" else b""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "acme challenge")])
    builder = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
               .serial_number(x509.random_serial_number())
               .not_valid_before(now - datetime.timedelta(days=9))
               .not_valid_after(now + datetime.timedelta(days=-2 if expired else 2)))
    names = make_names(identifier, fault)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
    if fault != "no-extension":
        builder = builder.add_extension(
            x509.UnrecognizedExtension(ACME_IDENTIFIER, value), fault != "not-critical")
    if fault == "two-extensions":
        builder = builder.add_extension(x509.UnrecognizedExtension(PLACEHOLDER, value), True)
    signer = new_key("EC") if fault == "not-self-signed" else key
    certificate = builder.sign(signer, hashes.SHA256())
    if fault != "two-extensions":
        return certificate.public_bytes(serialization.Encoding.DER)
    # The builder refuses to repeat an extension: rename the placeholder and sign again.
    body = certificate.tbs_certificate_bytes.replace(b"\x2b\x06\x01\x05\x05\x07\x01\x7f",
                                                     b"\x2b\x06\x01\x05\x05\x07\x01\x1f")
    algorithm = der(0x30, der(0x06, bytes.fromhex("2a8648ce3d040302")))
    return der(0x30, body + algorithm + der(0x03, b"\0" + key.sign(body, ec.ECDSA(hashes.SHA256()))))


def pem(certificate):
    return ssl.DER_cert_to_PEM_cert(certificate)


def offered_protocols(hello):
    """The ALPN list of a ClientHello record; None without the extension or when it is not one."""
    try:
        at = 5 + 4 + 2 + 32  # record, handshake, version, random
        at += 1 + hello[at]
        at += 2 + struct.unpack_from(">H", hello, at)[0]
        at += 1 + hello[at]
        end = at + 2 + struct.unpack_from(">H", hello, at)[0]
        at += 2
        while at < end:
            kind, size = struct.unpack_from(">HH", hello, at)
            at += 4
            if kind == 16:
                names, item = [], at + 2
                while item < at + size:
                    names.append(hello[item + 1:item + 1 + hello[item]].decode("latin-1"))
                    item += 1 + hello[item]
                return names
            at += size
    except (IndexError, struct.error):
        pass
    return None


@dataclasses.dataclass
class Hit:
    """One connection: what the validator asked for, and what it sent after the handshake."""

    address: str
    offered: list = None
    name: str = None
    version: str = None
    received: bytes = b""
    error: str = ""


class AlpnResponder:
    """Answers on 127.0.0.1 and, where there is one, ::1, on the same port, choosing the certificate by SNI.

    A name nothing was set for is answered with a certificate without a challenge, as a web server would.
    """

    def __init__(self, port=0):
        self.contexts = {}
        self.hits = []
        self.behaviour = None
        self.lock = threading.Lock()
        self.stopped = threading.Event()
        self.directory = tempfile.TemporaryDirectory(prefix="acmebridge-alpn-")
        self.made = 0
        self.default = self.make_context(
            [make_certificate("default.example", "none", key := new_key("EC"), "no-extension")], key, ["http/1.1"])
        self.default.sni_callback = self.choose
        self.sockets = self.listen(port)
        self.port = self.sockets[0].getsockname()[1]
        self.has_v6 = len(self.sockets) > 1
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def listen(self, port):
        """The same port on both loopback addresses."""
        for _ in range(50):
            v4 = socket.create_server(("127.0.0.1", port), backlog=128)
            if not socket.has_ipv6:
                return [v4]
            try:
                v6 = socket.create_server(("::1", v4.getsockname()[1]), family=socket.AF_INET6, backlog=128)
                return [v4, v6]
            except OSError as error:
                if port != 0 or error.errno != 98:  # EADDRINUSE; anything else: there is no IPv6 here
                    return [v4]
                v4.close()
        raise RuntimeError("no port free on both loopback addresses")

    def make_context(self, certificates, key, protocols):
        """A server context; `certificates` are DER, leaf first."""
        self.made += 1
        path = os.path.join(self.directory.name, f"{self.made}.pem")
        with open(path, "w", encoding="ascii") as stream:
            stream.write("".join(pem(one) for one in certificates))
            stream.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                           serialization.NoEncryption()).decode("ascii"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        if protocols:
            context.set_alpn_protocols(protocols)
        return context

    def set(self, identifier, key_authorization, fault=None, key="EC", expired=False):
        """Answers for a name or an address; `fault` is one of CERTIFICATE_FAULTS or HANDSHAKE_FAULTS."""
        if fault is not None and fault not in CERTIFICATE_FAULTS + HANDSHAKE_FAULTS:
            raise ValueError(fault)
        private = new_key(key)
        chain = [make_certificate(identifier, key_authorization, private, fault, expired)]
        if fault == "big-chain":
            chain += [make_certificate(f"{'a' * 60}.{i}.example", "none", private, "no-extension")
                      for i in range(150)]
        protocols = {"no-alpn": [], "other-alpn": ["h2", "http/1.1"]}.get(fault, [PROTOCOL])
        context = self.make_context(chain, private, protocols)
        with self.lock:
            self.contexts[server_name(identifier)] = (context, fault)

    def clear(self, identifier):
        with self.lock:
            self.contexts.pop(server_name(identifier), None)

    def choose(self, connection, name, _context):
        """The SNI callback."""
        with self.lock:
            chosen = self.contexts.get((name or "").lower())
        connection.sni_seen = name
        if chosen is None:
            return None
        if chosen[1] == "alert":
            return ssl.ALERT_DESCRIPTION_PROTOCOL_VERSION
        connection.context = chosen[0]
        return None

    def serve(self):
        while not self.stopped.is_set():
            ready, _, _ = select.select(self.sockets, [], [], 0.1)
            for listener in ready:
                try:
                    plain, peer = listener.accept()
                except OSError:
                    continue
                threading.Thread(target=self.handle, args=(plain, peer), daemon=True).start()

    def handle(self, plain, peer):
        hit = Hit(peer[0])
        with self.lock:
            self.hits.append(hit)
        with plain:
            plain.settimeout(20)
            try:
                self.answer(plain, hit)
            except (OSError, ValueError) as error:
                hit.error = str(error)

    def answer(self, plain, hit):
        if self.behaviour == "close":
            return
        if self.behaviour == "hang":
            self.stopped.wait(20)
            return
        hit.offered = offered_protocols(plain.recv(MAX_HELLO, socket.MSG_PEEK))
        if self.behaviour == "plain":
            plain.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            return
        secure = self.default.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        with secure:
            try:
                secure.do_handshake()
                hit.version = secure.version()
                while len(hit.received) < MAX_HELLO:
                    data = secure.recv(MAX_HELLO)
                    if not data:
                        break
                    hit.received += data
            finally:
                hit.name = getattr(secure, "sni_seen", None)

    def count(self, identifier):
        """How many connections asked for an identifier."""
        with self.lock:
            return sum(hit.name == server_name(identifier) for hit in self.hits)

    def stop(self):
        self.stopped.set()
        self.thread.join(10)
        for listener in self.sockets:
            listener.close()
        self.directory.cleanup()
