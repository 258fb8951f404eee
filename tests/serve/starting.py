"""Starting `ringback serve` for tests of its start and its end, and seeing what is left of it."""

import asyncio
import os
import re
import select
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from support.server import COMMAND, TOKEN, Server

MODELS = Path(__file__).parent / "models"
GATE = f"test/gate={MODELS / 'gate'}"
_MARK = "RINGBACK_TEST_MARK"
_MODELS_OWN = re.compile(r"\d\d:\d\d:\d\d INFO \[test/")


@dataclass(frozen=True)
class Mark:
    """Marks a server and whatever it starts."""

    text: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def env(self) -> dict[str, str]:
        return {_MARK: self.text}

    def left(self) -> list[int]:
        """Give the marked processes that are still alive when they have had a moment to end."""
        pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit() and self._has(path)]
        return [pid for pid in pids if not _ends(pid)]

    def _has(self, process: Path) -> bool:
        try:
            return f"{_MARK}={self.text}".encode() in (process / "environ").read_bytes().split(b"\0")
        except OSError:
            return False


def _ends(pid: int, within_s: float = 5.0) -> bool:
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([fd], [], [], within_s)[0])
    finally:
        os.close(fd)


@dataclass(frozen=True)
class Refused:
    """How a server that did not start ended."""

    code: int
    stdout: str
    stderr: str
    left: list[int]

    @property
    def line(self) -> str:
        """The one line it must have said, beside what a model itself printed, ending with exit code 2."""
        assert self.code == 2, self
        assert self.stdout == "", self
        assert self.left == [], self
        lines = [text for text in self.stderr.splitlines() if not _MODELS_OWN.match(text)]
        assert len(lines) == 1, self.stderr
        assert lines[0].startswith("ringback: ")
        return lines[0].removeprefix("ringback: ")


def refused(data: Path, *arguments: str, env: dict[str, str] | None = None) -> Refused:
    """Start a server that must not start."""
    mark = Mark()
    command = [*COMMAND, "serve", *arguments, "--data", str(data)]
    if "--port" not in arguments:
        command += ["--port", "0"]
    environment = {**os.environ, "REPLICATE_API_TOKEN": TOKEN, **mark.env, **(env or {})}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return Refused(done.returncode, done.stdout, done.stderr, mark.left())


def terminate(server: Server) -> None:
    """Send SIGTERM, and wait until the server says that it is stopping."""
    server.process.send_signal(signal.SIGTERM)
    said(server, "stopping:")


def said(server: Server, text: str, within_s: float = 20.0) -> None:
    _until(lambda: text in server.log(), within_s, server.log)


def _until(holds: Callable[[], bool], within_s: float, why: Callable[[], str]) -> None:
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, why()
        time.sleep(0.005)  # a file tells nobody that it has grown


class Gate:
    """A port that the model test/gate waits at."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.setblocking(False)
        self._standing: socket.socket | None = None

    @property
    def input(self) -> dict[str, int]:
        return {"port": self._listening.getsockname()[1]}

    async def arrived(self) -> None:
        """Wait until a model stands at the gate."""
        self.open()
        async with asyncio.timeout(20):
            self._standing, _ = await asyncio.get_running_loop().sock_accept(self._listening)

    def open(self) -> None:
        """Let whoever stands at the gate pass."""
        if self._standing is not None:
            self._standing.close()

    def close(self) -> None:
        self.open()
        self._listening.close()
