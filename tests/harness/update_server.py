"""A primary name server for tests that takes signed updates (RFC 2136, TSIG: RFC 8945) of TXT records."""

import base64
import os
import secrets

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.tsigkeyring

from harness.dns_server import DnsServer


class UpdateServer(DnsServer):
    """`texts` is name -> list of TXT values, as they are now; `updates` counts those taken, `refused` says why
    others were not. As a DnsServer it answers queries for what it was given."""

    def __init__(self, zone, key_name="acmebridge"):
        super().__init__()
        self.origin = zone.rstrip(".") + "."
        self.key_name = key_name
        self.secret = base64.b64encode(secrets.token_bytes(32)).decode()
        self.keyring = dns.tsigkeyring.from_text({key_name + ".": self.secret})
        self.texts = {}
        self.updates = 0
        self.refused = []
        self.out_of_order = False  # SERVFAIL to everything

    def write_key(self, directory, secret=None):
        """The key as tsig-keygen writes it; another `secret` is not ours."""
        path = os.path.join(directory, "tsig.key")
        with open(path, "w", encoding="ascii") as stream:
            stream.write(f'key "{self.key_name}" {{\n\talgorithm hmac-sha256;\n\tsecret "{secret or self.secret}";\n}};\n')
        os.chmod(path, 0o600)
        return path

    def respond(self, data, udp):
        try:
            request = dns.message.from_wire(data, keyring=self.keyring)
        except dns.exception.DNSException as error:
            self.refused.append(f"{type(error).__name__}: {error}")
            return self.refuse(data)
        reply = dns.message.make_response(request)
        if self.out_of_order:
            reply.set_rcode(dns.rcode.SERVFAIL)
        elif request.opcode() == dns.opcode.UPDATE:
            reply.set_rcode(self.update(request))
        else:
            self.answer(request.question[0], reply)
        return reply.to_wire()

    @staticmethod
    def refuse(data):
        """To a message whose signature is not right: NOTAUTH, unsigned."""
        reply = bytearray(data[:12])
        reply[2] |= 0x80
        reply[3] = (reply[3] & 0xF0) | dns.rcode.NOTAUTH
        reply[4:12] = bytes(8)
        return bytes(reply)

    def update(self, request):
        if not request.had_tsig:
            self.refused.append("unsigned")
            return dns.rcode.REFUSED
        if request.zone[0].name.to_text().lower() != self.origin:
            self.refused.append("another zone: " + request.zone[0].name.to_text())
            return dns.rcode.NOTZONE
        with self.lock:
            for rrset in request.update:
                values = self.texts.setdefault(rrset.name.to_text().lower(), [])
                for value in [b"".join(rdata.strings).decode() for rdata in rrset]:
                    if rrset.deleting == dns.rdataclass.NONE and value in values:
                        values.remove(value)
                    elif rrset.deleting is None and value not in values:
                        values.append(value)
            self.updates += 1
        return dns.rcode.NOERROR

    def answer(self, question, reply):
        reply.flags |= dns.flags.AA
        name = question.name.to_text().lower()
        values = self.texts.get(name, [])
        soa = dns.rrset.from_text(self.origin, 300, "IN", "SOA", f"ns.{self.origin} host.{self.origin} 1 300 300 300 300")
        if question.rdtype == dns.rdatatype.TXT and values:
            reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", "TXT", *[f'"{value}"' for value in values]))
        elif question.rdtype == dns.rdatatype.SOA and name == self.origin:
            reply.answer.append(soa)
        else:
            reply.set_rcode(dns.rcode.NOERROR if values or name == self.origin else dns.rcode.NXDOMAIN)
            reply.authority.append(soa)
