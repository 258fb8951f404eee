"""A server that stops where a test wants it to be killed, under load, and what must hold afterwards."""

import asyncio
import contextlib
import socket
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from ringback.words.ids import parse_delivery_id
from support.receiver import Received, Receiver
from support.server import Server, model, serving

SERVER = [sys.executable, str(Path(__file__).parent / "paused_server.py")]
MODELS = [model("test/echo", "echo"), model("test/tokens", "tokens")]
EVENTS = ["start", "output", "logs", "completed"]


@dataclass
class Load:
    """Predictions created while the server runs, and those it accepted."""

    hook_url: str
    accepted: list[str] = field(default_factory=list)

    async def run(self, server: Server) -> None:
        """Create predictions until the server is gone."""
        with contextlib.suppress(aiohttp.ClientError):
            while True:
                text = f"one two three {len(self.accepted)}"
                for version, input_ in (
                    ("test/echo", {"text": text}),
                    ("test/tokens", {"text": text, "pause": 0.001}),
                ):
                    more = {"webhook": self.hook_url, "webhook_events_filter": EVENTS}
                    self.accepted.append((await server.create(version, input_, **more))["id"])
                await asyncio.sleep(0.01)  # the pace of the load


@asynccontextmanager
async def hooked_server(
    data: Path, config: Path, point: str | None = None
) -> AsyncIterator[tuple[Server, socket.socket]]:
    """Run a server that stops at `point` (before a commit) once the socket has said `a`."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    env = {"RINGBACK_TEST_HOOK": str(theirs.fileno())}
    if point is not None:
        env["RINGBACK_TEST_POINT"] = point
    with ours, theirs:
        async with serving(
            *MODELS,
            "--config",
            str(config),
            data=data,
            command=SERVER,
            env=env,
            pass_fds=(theirs.fileno(),),
        ) as server:
            yield server, ours


def check_order(received: list[Received]) -> None:
    """Per prediction: numbers never go down, and one id always has one body."""
    newest: dict[str, int] = defaultdict(int)
    bodies: dict[str, bytes] = {}
    for item in received:
        prediction_id, number = parse_delivery_id(item.id)
        assert number >= newest[prediction_id], f"{item.id} began after number {newest[prediction_id]}"
        newest[prediction_id] = number
        assert bodies.setdefault(item.id, item.body) == item.body, f"{item.id} has two bodies"


def completed(receiver: Receiver) -> set[str]:
    """Give the predictions whose `completed` has been acknowledged."""
    return {parse_delivery_id(item.id)[0] for item in receiver.acknowledged if item.event == "completed"}
