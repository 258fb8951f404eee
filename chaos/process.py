"""The server's process: started, killed, and what it was doing when it was."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chaos import board
from chaos.board import Seen

ROOT = Path(__file__).resolve().parent.parent
TOKEN = "r8_chaos_token_of_this_rehearsal_000000000"
MODELS = ("echo", "tokens")
_SAID = "ringback is listening on "
_START_S = 60.0


class NotStarted(Exception):
    """The server ended before it was ready."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server works.

    Attributes:
        folder: for the board, the log and the settings.
        arguments: what else `serve` is told.
        source: the folder of the package, if not the project's own.
    """

    folder: Path
    arguments: tuple[str, ...]
    source: Path | None = None

    @property
    def board(self) -> Path:
        """What the server is doing."""
        return self.folder / "board"

    @property
    def log(self) -> Path:
        """What the servers said, all of them."""
        return self.folder / "server.log"


class Server:
    """A process that runs or has run."""

    def __init__(self, process: asyncio.subprocess.Process, place: Place) -> None:
        self._process = process
        self._place = place
        self.url = ""

    async def ready(self) -> str:
        """Wait until it answers; give its URL.

        Raises:
            NotStarted: it ended instead.
        """
        assert self._process.stdout is not None
        async with asyncio.timeout(_START_S):
            line = (await self._process.stdout.readline()).decode()
        if not line.startswith(_SAID):
            last = self._place.log.read_text().splitlines()[-1:]
            raise NotStarted(f"the server did not start: {line}{' '.join(last)}")
        self.url = line.split()[-1]
        return self.url

    @property
    def is_running(self) -> bool:
        """Whether it has not ended by itself."""
        return self._process.returncode is None

    async def kill(self) -> Seen:
        """End it as a power cut would, as far as a process can tell; give what it was doing."""
        if self.is_running:
            self._process.kill()
        await self._process.wait()
        return board.read(self._place.board)

    async def stop(self) -> int:
        """Let it drain; give its exit code."""
        self._process.send_signal(signal.SIGTERM)
        return await self._process.wait()


async def start(place: Place) -> Server:
    """Start a server."""
    env = {
        **os.environ,
        "REPLICATE_API_TOKEN": TOKEN,
        "CHAOS_BOARD": str(board.wiped(place.board)),
        **({} if place.source is None else {"PYTHONPATH": str(place.source)}),
    }
    with place.log.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *_command(place), stdout=asyncio.subprocess.PIPE, stderr=log, env=env, start_new_session=True
        )
    return Server(process, place)


def _command(place: Place) -> Sequence[str]:
    models = [f"chaos/{name}={ROOT / 'tests/models' / name}" for name in MODELS]
    return [sys.executable, str(ROOT / "chaos/server.py"), "serve", *models, "--port", "0", *place.arguments]


def settings(changes: Mapping[str, float]) -> str:
    """Give the `[webhooks]` table of a configuration."""
    return "[webhooks]\n" + "".join(f"{name} = {value}\n" for name, value in changes.items())
