"""A house of its own for the system's resolver: a network of loopback only, and a name server that lies.

Run as a program it moves into new namespaces (user, mount, network), so that getaddrinfo asks the name server
here, sends one webhook to each name, and prints a line of JSON for each: name, cause, diagnosis.
"""

import asyncio
import ctypes
import fcntl
import json
import os
import socket
import struct
import sys
import tempfile
import threading
from ipaddress import ip_address
from pathlib import Path

from ringback.deliver.egress import Egress, EgressSettings
from ringback.rules.address import AddressRules

NOT_ALLOWED_HERE = 77
_NEW_NAMESPACES = 0x00020000 | 0x10000000 | 0x40000000  # mount, user, network
_BIND, _PRIVATE_ALL = 4096, 0x40000 | 0x4000
_SET_FLAGS, _UP_AND_LOOPBACK = 0x8914, 0x1 | 0x8
_A, _CNAME, _AAAA = 1, 5, 28
_REFUSALS = {"nx.test": 3, "broken.test": 2}
NAMES: dict[str, list[str]] = {
    "plain.test": ["127.0.0.1"],
    "six.test": ["::1"],
    "dead-six.test": ["::2", "127.0.0.1"],
    "inner.test": ["10.0.0.5"],
    "alias.test": ["inner.test", "10.0.0.5"],
    "mixed.test": ["10.0.0.5", "127.0.0.1"],
    "rebound.test": ["127.0.0.1"],
    "empty.test": [],
}
AGAIN = {"rebound.test": ["10.0.0.5"]}
"""What the second question for a name is answered."""


def move_in() -> None:
    """Enter the namespaces; exits with NOT_ALLOWED_HERE where the machine forbids that."""
    libc, uid, gid = ctypes.CDLL(None, use_errno=True), os.getuid(), os.getgid()
    if libc.unshare(_NEW_NAMESPACES) != 0:
        sys.exit(NOT_ALLOWED_HERE)
    try:
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            Path(f"/proc/self/{name}").write_text(text)
        with socket.socket() as any_socket:
            fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sH14x", b"lo", _UP_AND_LOOPBACK))
    except OSError:
        sys.exit(NOT_ALLOWED_HERE)
    folder = Path(tempfile.mkdtemp())
    own = {
        "/etc/resolv.conf": "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
        "/etc/nsswitch.conf": "hosts: files dns\n",
    }
    failed = libc.mount(None, b"/", None, _PRIVATE_ALL, None)
    for path, text in own.items():
        mine = folder / path.replace("/", "_")
        mine.write_text(text)
        failed = failed or libc.mount(os.fsencode(mine), os.fsencode(path), None, _BIND, None)
    if failed:
        sys.exit(NOT_ALLOWED_HERE)


def _encoded(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def _record(name: str, value: str) -> tuple[int, bytes]:
    try:
        address = ip_address(value)
    except ValueError:
        kind, data = _CNAME, _encoded(value)
    else:
        kind, data = (_A if address.version == 4 else _AAAA), address.packed
    return kind, _encoded(name) + struct.pack(">HHIH", kind, 1, 0, len(data)) + data


def answer(question: bytes, asked: dict[str, int]) -> bytes | None:
    """The reply to one question, or None to say nothing."""
    labels, at = [], 12
    while length := question[at]:
        labels.append(question[at + 1 : at + 1 + length].decode())
        at += 1 + length
    name, kind = ".".join(labels).lower(), int.from_bytes(question[at + 1 : at + 3], "big")
    if name == "silent.test":
        return None
    if name == "garbage.test":
        return question[:2] + b"\xff" * 40
    asked[f"{name} {kind}"] = asked.get(f"{name} {kind}", 0) + 1
    values = AGAIN.get(name, NAMES[name]) if asked[f"{name} {kind}"] > 1 else NAMES.get(name, [])
    owner = values[0] if values and not _is_address(values[0]) else name
    records = [_record(name if value == owner else owner, value) for value in values]
    fitting = [data for of_kind, data in records if of_kind in {kind, _CNAME}]
    head = question[:2] + struct.pack(">HHHHH", 0x8180 | _REFUSALS.get(name, 0), 1, len(fitting), 0, 0)
    return head + question[12 : at + 5] + b"".join(fitting)


def _is_address(text: str) -> bool:
    return ":" in text or text[0].isdigit()


def serve_names() -> None:
    """Answer questions on port 53, for as long as the process lives."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listening.bind(("127.0.0.1", 53))
    asked: dict[str, int] = {}

    def run() -> None:
        while True:
            question, peer = listening.recvfrom(4096)
            reply = answer(question, asked)
            if reply is not None:
                listening.sendto(reply, peer)

    threading.Thread(target=run, daemon=True).start()


async def _receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 204 X\r\nconnection: close\r\n\r\n")
    writer.close()


async def main() -> None:
    """Send one webhook to each name, and a second to the one that changes."""
    for host in ("127.0.0.1", "::1"):
        await asyncio.start_server(_receive, host, 8080)
    egress = Egress(EgressSettings(timeout_s=10), AddressRules(allow_loopback=True))
    for name in [*NAMES, *_REFUSALS, *AGAIN, "silent.test", "garbage.test"]:
        result = await egress.post(f"http://{name}:8080/", {}, b"{}")
        print(json.dumps([name, result.cause, result.diagnosis]), flush=True)
    await egress.close()


if __name__ == "__main__":
    move_in()
    serve_names()
    asyncio.run(main())
