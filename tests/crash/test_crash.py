"""kill -9, again and again, each time with an attempt in flight and an uncommitted change pending.

Nothing accepted may be lost, no `completed` may be missing, ids and bodies stay the same, and nothing goes
backwards.
"""

import asyncio
import contextlib
import os
import socket
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from ringback.words.ids import parse_delivery_id
from ringback.words.signature import verify
from support.receiver import Received, Receiver, receiving
from support.server import Server, model, serving

KILLS = int(os.environ.get("RINGBACK_KILLS", "10"))
LOADERS = 3
SERVER = [sys.executable, str(Path(__file__).parent / "paused_server.py")]
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
async def hooked_server(data: Path, config: Path) -> AsyncIterator[tuple[Server, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        async with serving(
            model("test/echo", "echo"),
            model("test/tokens", "tokens"),
            "--config",
            str(config),
            data=data,
            command=SERVER,
            env={"RINGBACK_TEST_HOOK": str(theirs.fileno())},
            pass_fds=(theirs.fileno(),),
        ) as server:
            yield server, ours


async def kill_in_the_middle(server: Server, hook: socket.socket, receiver: Receiver) -> str:
    """Kill the server when an attempt is in flight and a change waits for its commit; say what was hit."""
    receiver.hold()
    await receiver.until(lambda r: r.held > 2)
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(hook, b"a")
    async with asyncio.timeout(20):
        pending = int(await loop.sock_recv(hook, 64))
    in_flight = receiver.held
    server.kill()
    await server.stopped()
    receiver.release()
    assert in_flight > 0
    assert pending > 0
    return f"{in_flight} attempts in flight, {pending} changes uncommitted"


def check_order(received: list[Received]) -> None:
    """Per prediction: numbers never go down, and one id always has one body."""
    newest: dict[str, int] = defaultdict(int)
    bodies: dict[str, bytes] = {}
    for item in received:
        prediction_id, number = parse_delivery_id(item.id)
        assert number >= newest[prediction_id], f"{item.id} began after number {newest[prediction_id]}"
        newest[prediction_id] = number
        assert bodies.setdefault(item.id, item.body) == item.body, f"{item.id} has two bodies"


async def test_a_server_killed_again_and_again_loses_nothing_and_repeats_nothing_backwards(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "ringback.toml"
    config.write_text("[webhooks]\nretry_base_s = 0.1\nthrottle_s = 0.02\n")
    async with receiving() as receiver:
        load = Load(receiver.url)
        for kill in range(KILLS):
            async with hooked_server(tmp_path / "data", config) as (server, hook):
                loading = asyncio.gather(*(load.run(server) for _ in range(LOADERS)))
                have = len(receiver.acknowledged)
                await receiver.until(lambda r, have=have: len(r.acknowledged) >= have + 20)  # type: ignore[misc]
                hit = await kill_in_the_middle(server, hook, receiver)
                with capsys.disabled():
                    print(f"\nkill {kill + 1}: {hit}", end="", flush=True)
                await loading
        async with hooked_server(tmp_path / "data", config) as (server, _hook):
            ended = [await server.ended(id_, timeout=60) for id_ in load.accepted]
            wanted = set(load.accepted)
            await receiver.until(lambda r: wanted <= _completed(r), timeout=60)
            secret = await server.secret()
        for item in receiver.received:
            stamp = item.headers["webhook-timestamp"]
            verify(secret, item.id, stamp, item.body, item.headers["webhook-signature"], now=int(stamp))
    check_order(receiver.received)
    by_status = {
        status: sum(item["status"] == status for item in ended) for status in ("succeeded", "failed")
    }
    with capsys.disabled():
        print(f"\n{KILLS} kills: {len(wanted)} predictions, {by_status}, {len(receiver.received)} attempts")
    assert by_status["succeeded"] > 0
    assert sum(by_status.values()) == len(wanted)


def _completed(receiver: Receiver) -> set[str]:
    return {parse_delivery_id(item.id)[0] for item in receiver.acknowledged if item.event == "completed"}
