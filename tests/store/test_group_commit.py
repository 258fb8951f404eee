"""One fsync for many: what shares a commit shares neither faults nor halves."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import pytest

from ringback.store import sqlite
from ringback.store.database import Tx
from ringback.store.migrations import migrate_sqlite
from ringback.store.sqlite import Sqlite
from ringback.words.errors import Unavailable
from store.gate import Gate
from store.world import Clock, World


@pytest.fixture
async def gate() -> Gate:
    return Gate()


@pytest.fixture
async def database(tmp_path: Path, gate: Gate) -> AsyncIterator[Sqlite]:
    path = tmp_path / "ringback.sqlite"
    migrate_sqlite(path)
    database = Sqlite(path, Clock(), before_commit=gate)
    await database.write(lambda tx: tx.run("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT UNIQUE)"))
    gate.groups.clear()
    yield database
    gate.open()
    await database.close()


async def add(tx: Tx, text: str) -> str:
    await tx.run("INSERT INTO notes (text) VALUES ($1)", text)
    return text


async def add_and_fail(tx: Tx, text: str) -> str:
    await add(tx, text)
    raise LookupError(text)


async def fail(tx: Tx) -> str:
    raise KeyError(tx.now)


async def texts(database: Sqlite) -> list[str]:
    return [str(text) for (text,) in await database.read(lambda tx: tx.rows("SELECT text FROM notes"))]


async def behind(database: Sqlite, gate: Gate, *writes: Coroutine[Any, Any, object]) -> list[object]:
    """Queue `writes` while a commit is under way, so that they become one group."""
    gate.shut()
    first = asyncio.ensure_future(database.write(lambda tx: add(tx, "first")))
    await gate.arrived()
    rest = [asyncio.ensure_future(write) for write in writes]
    await asyncio.sleep(0)  # each has queued its unit by then
    assert not first.done()
    assert await texts(database) == []
    gate.open()
    found = await asyncio.gather(first, *rest, return_exceptions=True)
    return list(found[1:])


async def test_what_queues_during_a_commit_is_one_commit(database: Sqlite, gate: Gate) -> None:
    writes = [database.write(lambda tx, n=n: add(tx, f"n{n}")) for n in range(50)]  # type: ignore[misc]
    assert await behind(database, gate, *writes) == [f"n{n}" for n in range(50)]
    assert gate.groups == [1, 50]
    assert len(await texts(database)) == 51


async def test_nobody_is_told_and_nobody_sees_before_it_is_committed(database: Sqlite, gate: Gate) -> None:
    gate.shut()
    writing = asyncio.ensure_future(database.write(lambda tx: add(tx, "a")))
    await gate.arrived()
    assert await texts(database) == []
    assert not writing.done()
    gate.open()
    assert await writing == "a"
    assert await texts(database) == ["a"]


async def test_a_unit_that_fails_before_it_writes_costs_its_neighbours_nothing(
    database: Sqlite, gate: Gate
) -> None:
    found = await behind(
        database,
        gate,
        database.write(lambda tx: add(tx, "a")),
        database.write(fail),
        database.write(lambda tx: add(tx, "b")),
    )
    assert found[0] == "a"
    assert isinstance(found[1], KeyError)
    assert found[2] == "b"
    assert gate.groups == [1, 3]


async def test_a_unit_that_fails_after_it_wrote_leaves_nothing_and_its_neighbours_commit(
    database: Sqlite, gate: Gate
) -> None:
    found = await behind(
        database,
        gate,
        database.write(lambda tx: add(tx, "a")),
        database.write(lambda tx: add_and_fail(tx, "half")),
        database.write(lambda tx: add(tx, "b")),
    )
    assert found[0] == "a"
    assert isinstance(found[1], LookupError)
    assert found[2] == "b"
    assert await texts(database) == ["first", "a", "b"]


async def test_a_unit_that_breaks_a_constraint_leaves_nothing_and_its_neighbours_commit(
    database: Sqlite, gate: Gate
) -> None:
    async def twice(tx: Tx) -> str:
        await add(tx, "half")
        return await add(tx, "a")

    found = await behind(database, gate, database.write(lambda tx: add(tx, "a")), database.write(twice))
    assert found[0] == "a"
    assert isinstance(found[1], sqlite3.IntegrityError)
    assert await texts(database) == ["first", "a"]


async def test_a_full_disk_is_unavailable_for_who_needs_room_and_for_nobody_else(
    database: Sqlite, gate: Gate
) -> None:
    (pages,) = await database.read(lambda tx: tx.row("PRAGMA page_count")) or (0,)
    await database.write(lambda tx: tx.row(f"PRAGMA max_page_count = {pages}"))
    found = await behind(
        database,
        gate,
        database.write(lambda tx: add(tx, "a")),
        database.write(lambda tx: add(tx, "x" * 1_000_000)),
        database.write(lambda tx: add(tx, "b")),
    )
    assert (found[0], found[2]) == ("a", "b")
    assert isinstance(found[1], Unavailable)
    assert "full" in str(found[1])
    assert await texts(database) == ["first", "a", "b"]
    await database.write(lambda tx: tx.row("PRAGMA max_page_count = 1000000"))
    await database.write(lambda tx: add(tx, "x" * 1_000_000))
    assert len(await texts(database)) == 4


async def test_who_stops_waiting_disturbs_nobody(database: Sqlite, gate: Gate) -> None:
    gate.shut()
    first = asyncio.ensure_future(database.write(lambda tx: add(tx, "a")))
    await gate.arrived()
    second = asyncio.ensure_future(database.write(lambda tx: add(tx, "b")))
    await asyncio.sleep(0)
    first.cancel()
    gate.open()
    assert await second == "b"
    assert await texts(database) == ["a", "b"]


async def test_a_verb_that_waits_for_anything_else_is_a_fault_and_leaves_nothing(
    database: Sqlite, gate: Gate
) -> None:
    async def waits(tx: Tx) -> None:
        await add(tx, "half")
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="awaited something other"):
        await database.write(waits)
    assert await texts(database) == []
    await database.write(lambda tx: add(tx, "a"))


async def test_a_read_changes_nothing(database: Sqlite) -> None:
    with pytest.raises(Unavailable):
        await database.read(lambda tx: tx.run("DELETE FROM notes"))
    await database.write(lambda tx: add(tx, "a"))
    assert await texts(database) == ["a"]


async def test_a_failing_read_does_not_stop_the_next(database: Sqlite) -> None:
    for _ in range(3):
        with pytest.raises(KeyError):
            await database.read(fail)
    assert await texts(database) == []


async def test_closing_finishes_what_was_accepted_and_takes_no_more(database: Sqlite, gate: Gate) -> None:
    gate.shut()
    first = asyncio.ensure_future(database.write(lambda tx: add(tx, "a")))
    await gate.arrived()
    second = asyncio.ensure_future(database.write(lambda tx: add(tx, "b")))
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(database.close())
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await database.write(lambda tx: add(tx, "c"))
    gate.open()
    assert [await first, await second] == ["a", "b"]
    await closing


async def test_a_lock_that_another_program_holds_is_waited_for_without_holding_up_the_loop(
    world: World,
) -> None:
    other = sqlite3.connect(world.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    writing = asyncio.ensure_future(world.create())
    turns = 0
    while turns < 100:  # the loop goes on while the write waits
        await asyncio.sleep(0)
        turns += 1
    assert not writing.done()
    other.execute("ROLLBACK")
    await writing
    other.close()
    assert await world.row("SELECT count(*) FROM predictions") == (1,)


async def test_a_lock_that_is_never_let_go_fails_the_change_and_not_the_next_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_BUSY_S", 0.0)
    other = sqlite3.connect(world.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="locked"):
        await world.create()
    other.execute("ROLLBACK")
    other.close()
    await world.create()


async def test_the_log_is_emptied_beside_the_commits_and_starts_again(world: World) -> None:
    for _ in range(50):
        await world.create()
    checkpointer = world.database._checkpointer
    assert checkpointer.run_once() > 50
    await world.create()  # with nothing left in it, the log begins anew
    assert checkpointer.run_once() < 50
    assert await world.row("PRAGMA wal_autocheckpoint") == (0,)
