"""kill -9, again and again, each time with an attempt in flight and an uncommitted change pending.

Nothing accepted may be lost, no `completed` may be missing, ids and bodies stay the same, and nothing goes
backwards.
"""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from crash.killing import Load, check_order, completed, hooked_server
from ringback.words.signature import verify
from support.receiver import Receiver, receiving
from support.server import Server

KILLS = int(os.environ.get("RINGBACK_KILLS", "10"))
LOADERS = 3


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
            await receiver.until(lambda r: wanted <= completed(r), timeout=60)
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
