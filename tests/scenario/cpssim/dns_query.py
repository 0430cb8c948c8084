"""One TXT question to a name server over UDP."""

import secrets
import socket
import struct

TXT = 16


def encode_name(name):
    labels = [label.encode("ascii") for label in name.rstrip(".").split(".")]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def skip_name(data, at):
    while data[at]:
        if data[at] >= 0xC0:
            return at + 2
        at += 1 + data[at]
    return at + 1


def texts_of(name, server, timeout=2):
    """The TXT records of a name as a list; OSError or ValueError when there is no good answer."""
    number = secrets.randbelow(65536)
    family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as port:
        port.settimeout(timeout)
        port.connect(server)
        port.send(struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + encode_name(name) + struct.pack("!2H", TXT, 1))
        data = port.recv(4096)
    try:
        answered, flags, _, count = struct.unpack_from("!4H", data)
        if answered != number or flags & 15:
            raise ValueError(f"the name server answered {flags & 15}")
        at = skip_name(data, 12) + 4
        texts = []
        for _ in range(count):
            at = skip_name(data, at)
            kind, _, _, length = struct.unpack_from("!HHIH", data, at)
            at += 10
            if kind == TXT:
                texts.append(joined(data[at:at + length]))
            at += length
        return texts
    except (IndexError, struct.error):
        raise ValueError("the name server's answer is malformed") from None


def joined(data):
    text, at = b"", 0
    while at < len(data):
        text += data[at + 1:at + 1 + data[at]]
        at += 1 + data[at]
    return text.decode("latin-1")
