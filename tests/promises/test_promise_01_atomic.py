"""A change and the deliveries it owes are one transaction, and nobody hears of it before it is durable."""

import asyncio
import socket
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from promises.house import house
from ringback.store import runs
from ringback.store.runs import Ending
from store.gate import Gate
from store.world import World, hook, opened
from support.receiver import receiving
from support.server import model, serving

Act = Callable[[], Awaitable[object]]
PAUSED = [sys.executable, str(Path(__file__).parent.parent / "crash" / "paused_server.py")]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with opened(tmp_path) as world:
        yield world


async def prepared(world: World, change: str) -> Act:
    """Bring a prediction to where `change` can happen to it; give the change."""
    if change == "start":
        await world.create(hook())
        (claim,) = await world.claim()
        return lambda: world.advance(claim.hold, started=True)
    hold = await world.running(hook("output", "completed"))
    if change == "output":
        return lambda: world.advance(hold, ("items", "[1]"))
    if change == "end":
        return lambda: world.end(hold, Ending("succeed", chunks=(("value", "1"),)), grant="dispatcher_1")
    if change == "cancel":
        return lambda: world.cancel(hold.id)
    return lambda: world.database.write(
        lambda tx: runs.recover(tx, "worker_2", {"test/echo": "never"}, world.telling())
    )


@pytest.mark.parametrize("table", ["deliveries", "lanes"])
@pytest.mark.parametrize("change", ["start", "output", "end", "cancel", "interruption"])
async def test_a_change_whose_deliveries_can_not_be_written_has_not_happened(
    world: World, change: str, table: str
) -> None:
    act = await prepared(world, change)
    broken = f"CREATE TRIGGER broken BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'broken'); END"
    await world.database.write(lambda tx: tx.run(broken))
    before = await world.dump()
    with pytest.raises(sqlite3.IntegrityError, match="broken"):
        await act()
    assert await world.dump() == before


async def test_each_commit_waits_for_the_disk(world: World) -> None:
    """What SQLite itself says: a write-ahead log, and an fsync of it in each commit (FULL is 2)."""
    assert await world.database.write(lambda tx: tx.row("PRAGMA synchronous")) == (2,)
    assert await world.database.write(lambda tx: tx.row("PRAGMA journal_mode")) == ("wal",)


async def test_nothing_is_sent_before_its_change_is_committed(tmp_path: Path) -> None:
    gate = Gate()
    async with house(tmp_path, gate=gate) as here, receiving() as receiver:
        hold = await here.running(receiver, "completed")
        gate.shut()
        ending = asyncio.ensure_future(here.end(receiver, hold))
        await gate.arrived()
        await here.pass_by(receiver)
        assert receiver.of(hold.id) == []
        gate.open()
        await ending
        await receiver.until(lambda r: len(r.of(hold.id)) == 1)


async def test_a_create_is_answered_only_after_its_commit(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        async with serving(
            model("test/echo", "echo"),
            data=tmp_path / "data",
            command=PAUSED,
            env={"RINGBACK_TEST_HOOK": str(theirs.fileno())},
            pass_fds=(theirs.fileno(),),
        ) as server:
            await loop.sock_sendall(ours, b"a")
            creating = asyncio.ensure_future(server.create("test/echo", {"text": "hi"}))
            while not creating.done():  # each commit from now on is held: it may be somebody else's
                async with asyncio.timeout(20):
                    assert int(await loop.sock_recv(ours, 64)) > 0
                for _ in range(5):  # a create that need not wait is answered before these
                    assert (await server.call("GET", "/health"))[0] == 200
                if creating.done():
                    path = f"/v1/predictions/{creating.result()['id']}"
                    assert (await server.call("GET", path))[0] == 200, "what is answered is not committed"
                await loop.sock_sendall(ours, b"ga")
