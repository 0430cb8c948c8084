"""A DNS server for tests, on loopback over UDP and TCP: it knows what it was told, or fails as it was told.

It answers for every name as if it were the resolver of a network: CNAMEs are followed to what it knows, and
everything else does not exist. TTLs are long, so that a test notices when an old answer is used again.
"""

import socketserver
import struct
import threading

from harness import dns_wire
from harness.dns_wire import RCODES, TYPES, fold

TTL = 300
MAX_CNAMES = 8


class UdpServer(socketserver.ThreadingUDPServer):
    daemon_threads = True
    max_packet_size = 65535


class TcpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


class UdpHandler(socketserver.BaseRequestHandler):
    def handle(self):
        data, port = self.request
        message = self.server.owner.respond(data, udp=True)
        if message is not None:
            port.sendto(message, self.client_address)


class TcpHandler(socketserver.StreamRequestHandler):
    timeout = 10

    def handle(self):
        try:
            while True:
                head = self.rfile.read(2)
                if len(head) < 2:
                    return
                message = self.server.owner.respond(self.rfile.read(struct.unpack("!H", head)[0]), udp=False)
                if message is None:
                    return
                self.wfile.write(struct.pack("!H", len(message)) + message)
        except OSError:
            return


class DnsServer:
    """start() it, or use it as a context manager; `port` is set from the beginning."""

    def __init__(self, signer=None, port=0):
        self.signer = signer  # a dns_signer.Signer: this zone is signed
        self.zone = {}  # name -> type -> list of record data
        self.failures = {}  # name -> how
        self.queries = []  # (name, type)
        self.lock = threading.Lock()
        self.servers = []
        self.threads = []
        for _ in range(50):
            udp = UdpServer(("127.0.0.1", port), UdpHandler)
            try:
                self.servers = [udp, TcpServer(udp.server_address, TcpHandler)]
                break
            except OSError:
                udp.server_close()
        else:
            raise RuntimeError("no port is free for both UDP and TCP")
        self.port = self.servers[0].server_address[1]
        for server in self.servers:
            server.owner = self

    @property
    def address(self):
        """As in the configuration of the bridge."""
        return f"127.0.0.1:{self.port}"

    def start(self):
        for server in self.servers:
            thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
            thread.start()
            self.threads.append(thread)
        return self

    def stop(self):
        for server in self.servers:
            if self.threads:
                server.shutdown()
            server.server_close()
        for thread in self.threads:
            thread.join(10)
        self.servers = []
        self.threads = []

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def add(self, name, kind, text):
        """One more record; `text` as bytes is the record's data itself."""
        data = dns_wire.encode_data(kind, text)
        with self.lock:
            self.zone.setdefault(fold(name), {}).setdefault(kind, []).append(data)

    def remove(self, name, kind=None):
        """All records of a name, or those of one type, and the name's failure."""
        with self.lock:
            kinds = self.zone.get(fold(name), {})
            if kind is None:
                kinds.clear()
                self.failures.pop(fold(name), None)
            else:
                kinds.pop(kind, None)
            if not kinds:
                self.zone.pop(fold(name), None)

    def fail(self, name, how):
        """servfail, timeout, refused or nxdomain for all types of a name; None: no longer."""
        if how is not None and how != "timeout" and how not in RCODES:
            raise ValueError(how)
        with self.lock:
            if how is None:
                self.failures.pop(fold(name), None)
            else:
                self.failures[fold(name)] = how

    def asked(self, name, kind=None):
        """How many queries there were for a name."""
        with self.lock:
            return sum(asked == fold(name) and kind in (None, of) for asked, of in self.queries)

    def respond(self, data, udp):
        try:
            question = dns_wire.read_question(data)
        except (ValueError, IndexError, struct.error):
            return None
        with self.lock:
            self.queries.append((question.name, dns_wire.TYPE_NAMES.get(question.kind, str(question.kind))))
            how = self.failures.get(question.name)
            if how == "timeout":
                return None
            if how is not None and how != "nxdomain":
                return dns_wire.answer(question, RCODES[how], [], [], udp)
            return dns_wire.answer(question, *self.look_up(question, how == "nxdomain"), udp)

    def look_up(self, question, absent):
        """rcode, answers, authority"""
        answers = []
        name = question.name
        for _ in range(MAX_CNAMES):
            kinds = {} if absent else self.records(name)
            wanted = dns_wire.TYPE_NAMES.get(question.kind)
            if wanted in kinds:
                return 0, answers + self.render(question, name, wanted, kinds[wanted]), []
            if "CNAME" not in kinds:
                break
            answers += self.render(question, name, "CNAME", kinds["CNAME"])
            name = dns_wire.read_name(kinds["CNAME"][0], 0)[0]
            if self.failures.get(name) in ("timeout", "servfail", "refused"):
                return RCODES["servfail"], [], []
            absent = self.failures.get(name) == "nxdomain"
        exists = not absent and (name in self.zone or any(other.endswith("." + name) for other in self.zone))
        apex = name.rpartition(".")[2]
        if self.signer is not None and self.signer.covers(name):
            apex, exists = self.signer.zone, True  # the proof below says so of every name
        soa = (dns_wire.encode_name("ns." + apex) + dns_wire.encode_name("admin." + apex) +
               struct.pack("!5I", 1, 3600, 600, 86400, TTL))
        authority = self.render(question, apex, "SOA", [soa])
        if self.signer is not None and self.signer.covers(name) and question.wants_signatures:
            authority += self.render(question, name, "NSEC", [self.signer.denial(name, self.records(name))])
        return (0 if exists else RCODES["nxdomain"]), answers, authority

    def records(self, name):
        kinds = self.zone.get(name, {})
        if self.signer is not None and name == self.signer.zone:
            kinds = {**kinds, "DNSKEY": [self.signer.dnskey]}
        return kinds

    def render(self, question, owner, kind, data):
        """A record set, with its signature in a signed zone when that was asked for."""
        records = [dns_wire.record(owner, TYPES[kind], TTL, item) for item in data]
        if self.signer is not None and question.wants_signatures and self.signer.covers(owner):
            signature = self.signer.sign(owner, TYPES[kind], TTL, data)
            records.append(dns_wire.record(owner, TYPES["RRSIG"], TTL, signature))
        return records
