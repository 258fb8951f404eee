"""Says a word, waits at a gate (a port on loopback), and then says another or gives a file."""

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def run(port: int, size: int = 0) -> Iterator[Any]:
    print("before the gate")
    yield "before"
    with socket.create_connection(("127.0.0.1", port)) as gate:
        gate.recv(1)
    if not size:
        yield "after"
    else:
        path = Path(tempfile.mkdtemp()) / "made.bin"
        path.write_bytes(bytes(range(256)) * (size // 256))
        yield path
