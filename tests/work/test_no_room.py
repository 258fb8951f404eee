"""A machine that has no room now: results wait for it, and nothing that waits is failed because of it."""

import asyncio
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ringback.runner.protocol import Done, Output, OutputFile
from ringback.work import files as files_module
from ringback.work import run as run_module
from ringback.work.devices import Devices
from ringback.work.files import FileStore, Incoming, no_room, sync
from ringback.work.host import Host, NotNow
from ringback.work.pace import ReplicaSettings, Scale
from ringback.work.pool import Pool
from ringback.work.queue import Queue
from ringback.work.replica import Replica
from ringback.work.run import Desk
from store.world import VERSION, World, opened
from work.test_host_faults import claimed, following
from work.test_host_faults import desk as desk  # a fixture

ROOM = 1_000_000
PIECE = bytes(range(256)) * 8192  # two megabytes


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with opened(tmp_path) as found:
        yield found


@contextmanager
def limited(what: int, to: int) -> Iterator[None]:
    """Have the kernel refuse this process more than so much of something."""
    usual = resource.getrlimit(what)
    resource.setrlimit(what, (to, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(what, usual)


def test_a_file_of_which_half_fits_is_whole_once_there_is_room(tmp_path: Path) -> None:
    incoming = Incoming(FileStore(tmp_path / "files", lambda size: b"\1" * size))
    with limited(resource.RLIMIT_FSIZE, ROOM):
        incoming.piece(0, "a.bin", PIECE, last=False)
        incoming.piece(0, "a.bin", b"the end", last=True)
        (stored,) = incoming.complete
        with pytest.raises(OSError, match="too large") as caught:
            sync([stored])
        assert no_room(caught.value)
        assert stored.path.stat().st_size == ROOM
    sync([stored])
    assert stored.path.read_bytes() == PIECE + b"the end"
    assert stored.size == len(PIECE) + len(b"the end")


def test_what_waits_in_memory_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_module, "_WAITING_LIMIT", 2 * len(PIECE))
    incoming = Incoming(FileStore(tmp_path / "files", lambda size: b"\1" * size))
    with limited(resource.RLIMIT_FSIZE, ROOM):
        incoming.piece(0, "a.bin", PIECE, last=False)
        incoming.piece(0, "a.bin", PIECE, last=False)
        with pytest.raises(OSError, match="too large"):
            incoming.piece(0, "a.bin", PIECE, last=True)
    incoming.discard()
    assert list((tmp_path / "files").glob("*/*")) == []


async def test_a_file_that_never_gets_room_fails_its_prediction_with_the_reason(
    world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "_ROOM_FOR_FILES_S", 0.0)
    run, written = following(desk, await claimed(world))
    run.begin()
    with limited(resource.RLIMIT_FSIZE, ROOM):
        run.output_file(OutputFile(run.id, 0, "a.bin", last=True), PIECE)
        run.output(Output(run.id, {"$ringback_file": 0}, append=False))
        run.done(Done(run.id, "succeeded", None, 0.1))
        await written
    found = await world.row("SELECT status, error FROM predictions")
    assert found == ("failed", "an output file can't be stored: File too large")
    assert list((world.path.parent / "files").glob("*/*")) == []


async def test_a_process_that_can_not_be_started_now_is_no_fault_of_its_model(tmp_path: Path) -> None:
    with limited(resource.RLIMIT_NOFILE, 3), pytest.raises(NotNow, match="Too many open files"):
        Host("python3", tmp_path, "predict.py:run", tmp_path / "tmp", lambda _text: None)


async def test_what_waits_for_a_model_is_not_failed_because_the_machine_is_short_of_something(
    world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.create()
    settings = ReplicaSettings("python3", Path(), "x.py:run")
    queue = Queue(VERSION, "", desk.outbox, "worker_1")

    async def folder() -> Path:
        return Path()

    pool = Pool("a/b", queue, settings, Scale(), desk, Devices({}), folder)
    paused: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def pause(self: Replica, seconds: float) -> None:
        if seconds > 0:
            paused.set_result(seconds)
            self.draining = True

    monkeypatch.setattr(Replica, "pause", pause)
    with limited(resource.RLIMIT_NOFILE, 3):
        pool.start()
        assert await paused > 0
        await pool.drain(0)
    assert await world.row("SELECT status FROM predictions") == ("starting",)
