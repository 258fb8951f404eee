"""What a child or the machine does wrong ends one prediction, never a model's service."""

import asyncio
import errno
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ringback.blobs.local import local
from ringback.rules.address import AddressRules
from ringback.runner.protocol import Done, Output, OutputFile
from ringback.store.database import Database, Unit
from ringback.store.outbox import Outbox
from ringback.store.runs import Claim
from ringback.words.errors import Unavailable
from ringback.work import queue as queue_module
from ringback.work import run as run_module
from ringback.work.files import FileStore, Stored
from ringback.work.host import Host, RunnerError
from ringback.work.inputs import InputFiles, InputRules
from ringback.work.pace import ReplicaSettings
from ringback.work.queue import Queue
from ringback.work.replica import Replica
from ringback.work.run import Desk, PredictionRun
from ringback.work.uploads import Sent
from store.no_dispatch import NoDispatch
from store.world import LINKS, World, opened


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with opened(tmp_path) as found:
        yield found


@pytest.fixture
async def desk(world: World, tmp_path: Path) -> AsyncIterator[Desk]:
    blobs = FileStore(tmp_path / "files", lambda size: bytes(range(size)))
    inputs = InputFiles(
        InputRules(AddressRules()), blobs, LINKS, Sent(world.database, local(tmp_path / "uploads"))
    )
    database: Database = world.database
    yield Desk(
        Outbox(database, NoDispatch(), 500_000, LINKS),
        lambda: world.clock.now,
        blobs,
        inputs,
        tmp_path / "tmp",
    )
    await inputs.close()


def replica_on(desk: Desk) -> Replica:
    queue = Queue("f" * 64, "", desk.outbox, "worker_1")
    return Replica("a/b", queue, ReplicaSettings("python3", Path(), "x.py:run"), desk)


async def claimed(world: World) -> Claim:
    await world.create(None)
    (claim,) = await world.claim()
    return claim


def following(desk: Desk, claim: Claim) -> tuple[PredictionRun, "asyncio.Future[None]"]:
    """A run whose end is written as a replica writes it, and what resolves then."""
    written: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def done(run: PredictionRun) -> None:
        task = asyncio.ensure_future(run.finish("succeed", None, 0.1))
        task.add_done_callback(lambda _task: written.set_result(None))

    return PredictionRun(desk, claim, on_done=done, on_lost=lambda _id: None), written


async def test_a_file_that_can_not_be_brought_to_the_disk_fails_its_prediction(
    world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_files: list[Stored]) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(run_module, "sync", broken)
    claim = await claimed(world)
    run, written = following(desk, claim)
    run.begin()
    run.output_file(OutputFile(run.id, 0, "a.txt", last=True), b"hello")
    run.output(Output(run.id, {"$ringback_file": 0}, append=False))
    run.done(Done(run.id, "succeeded", None, 0.1))
    await written
    found = await world.row("SELECT status, error FROM predictions")
    assert found == ("failed", "an output file can't be stored: Input/output error")


async def test_an_output_too_deep_to_link_fails_its_prediction(world: World, desk: Desk) -> None:
    claim = await claimed(world)
    run, written = following(desk, claim)
    run.begin()
    run.output_file(OutputFile(run.id, 0, "a.txt", last=True), b"hello")
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    run.output(Output(run.id, deep, append=False))
    run.done(Done(run.id, "succeeded", None, 0.1))
    await written
    status, error = await world.row("SELECT status, error FROM predictions")
    assert status == "failed"
    assert "can't be stored" in error


async def test_a_machine_that_can_start_no_process_is_a_reason_and_no_crash(tmp_path: Path) -> None:
    (tmp_path / "tmp").write_text("a file where the folder belongs")
    with pytest.raises(RunnerError, match="can't start a process for it"):
        Host("python3", tmp_path, "predict.py:run", tmp_path / "tmp", lambda _text: None)


async def test_a_cancel_before_the_input_is_fetched_ends_the_prediction_and_frees_the_replica(
    world: World, desk: Desk
) -> None:
    replica = replica_on(desk)
    replica._file_inputs = frozenset({"document"})
    claim = await claimed(world)
    claim = msgspec.structs.replace(claim, input='{"document":"http://10.0.0.1/x"}')
    replica._begin(claim)
    replica.cancel(claim.hold.id)
    while not replica.idle:  # noqa: ASYNC110 - a turn of the loop is what is waited for
        await asyncio.sleep(0)
    assert await world.row("SELECT status FROM predictions") == ("canceled",)


class FullOnce:
    """A database that can't take the first write."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.refused = 0

    async def write(self, unit: Unit[Any]) -> Any:
        if not self.refused:
            self.refused += 1
            raise Unavailable("database or disk is full")
        return await self._database.write(unit)


async def test_what_is_handed_back_while_the_disk_is_full_is_handed_back_later(
    world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "_STORE_RETRY_S", 0.0)
    full = FullOnce(world.database)
    outbox = Outbox(full, NoDispatch(), 500_000, LINKS)  # type: ignore[arg-type] # only `write` is used
    flaky = Desk(outbox, desk.clock, desk.files, desk.inputs, desk.scratch)
    replica = replica_on(flaky)
    claim = await claimed(world)
    await replica._hand_back([claim])
    assert full.refused == 1
    assert await world.row("SELECT holder FROM predictions") == (None,)
