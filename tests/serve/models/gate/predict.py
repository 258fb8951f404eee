"""Says a word, waits at a gate (a port on loopback) until somebody opens it, says another."""

import socket
from collections.abc import Iterator


def run(port: int) -> Iterator[str]:
    print("before the gate")
    yield "before"
    with socket.create_connection(("127.0.0.1", port)) as gate:
        gate.recv(1)
    yield "after"
