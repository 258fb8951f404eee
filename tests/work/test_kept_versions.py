"""Versions that the configuration no longer has, run from their kept sources in real child processes."""

import asyncio
import os
import sqlite3
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from ringback.blobs.local import local
from ringback.rules.address import AddressRules
from ringback.store import accounts, predictions, versions
from ringback.store.migrations import migrate_sqlite
from ringback.store.outbox import Outbox
from ringback.store.predictions import New
from ringback.store.sqlite import Sqlite
from ringback.store.versions import SourceFile
from ringback.words.ids import PredictionIds
from ringback.work.files import FileStore
from ringback.work.inputs import InputFiles, InputRules
from ringback.work.model import read_model, restore
from ringback.work.run import Desk
from ringback.work.served import Served
from ringback.work.uploads import Sent
from ringback.work.worker import Worker
from store.world import ACCOUNT, LINKS, WINDOW, Clock

PATIENCE = 30  # seconds until a worker that should be through is called stuck
NAME = "test/kept"
OLD = "0d" * 32


class Nobody:
    """A dispatcher without deliveries: no prediction here has a webhook."""

    def reserve(self, _target: object) -> None:
        return None

    def expect(self, _owed: object, _target: object = None) -> None:
        pass

    def wake(self) -> None:
        pass


@dataclass
class Place:
    """A store, and a worker's folders."""

    folder: Path
    clock: Clock = field(default_factory=Clock)
    refusals: int = 0

    def __post_init__(self) -> None:
        migrate_sqlite(self.folder / "ringback.sqlite")
        self.database = Sqlite(self.folder / "ringback.sqlite", self.clock, before_commit=self.refuse)
        self.ids = PredictionIds(os.urandom)
        files = FileStore(self.folder / "files", os.urandom)
        self.desk = Desk(
            Outbox(self.database, Nobody(), WINDOW, LINKS),
            self.clock,
            files,
            InputFiles(
                InputRules(AddressRules()), files, LINKS, Sent(self.database, local(self.folder / "uploads"))
            ),
            self.folder / "scratch",
        )

    def refuse(self, _units: int) -> None:
        """The disk is full for as many commits as `refusals` says."""
        if self.refusals:
            self.refusals -= 1
            raise sqlite3.OperationalError("database or disk is full")

    async def queue_one(self, source: str) -> str:
        """Register the old version with this predict.py and queue a prediction of it."""
        files = [SourceFile("predict.py", 0o644, len(source), source.encode(), None)]
        await self.database.write(lambda tx: versions.register(tx, OLD, NAME, "predict.py:run", "{}", files))
        new = New(self.ids.make(self.clock.now), ACCOUNT, OLD, NAME, "{}", None)
        await self.database.write(lambda tx: predictions.create(tx, new))
        return new.id

    def worker(self, *served: Served) -> Worker:
        kept = self.folder / "versions"
        return Worker(
            self.desk, served, holder="worker_1", kept=kept, python=sys.executable, cancel_grace_s=1.0
        )

    def upgraded(self, python: str = sys.executable, timeout_s: float = 60.0) -> Served:
        """The same model as the configuration has it now, in another version."""
        folder = self.folder / "model"
        folder.mkdir()
        (folder / "cog.yaml").write_text("run: predict.py:run\n")
        (folder / "predict.py").write_text("def run() -> str:\n    return 'new'\n")
        return Served(read_model(NAME, folder, None, self.folder / "data"), python, timeout_s)

    async def told(self, id_: str) -> tuple[object, ...]:
        row = await self.database.read(
            lambda tx: tx.row("SELECT status, error FROM predictions WHERE id = $1", id_)
        )
        assert row is not None
        return row


@pytest_asyncio.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    (tmp_path / "scratch").mkdir()
    place = Place(tmp_path)
    await place.database.write(
        lambda tx: accounts.create(tx, id=ACCOUNT, username="r", secret_id="s", secret="whsec_c2VjcmV0")
    )
    yield place
    await place.desk.inputs.close()
    await place.database.close()


async def run_what_is_left(worker: Worker) -> None:
    """Start the worker, and return when it serves no kept version any more."""
    await worker.start()
    tasks = list(worker._tasks)
    assert tasks, "nothing was queued"
    try:
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*tasks)
            for pool in list(worker._pools.values()):
                while pool._tasks:
                    await asyncio.wait(pool._tasks)
    finally:
        await worker.drain(0)


async def test_a_kept_version_runs_with_the_interpreter_of_its_model(place: Place) -> None:
    python = place.folder / "python"
    python.write_text(f'#!/bin/sh\nWHOSE=the-model exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    id_ = await place.queue_one("import os\ndef run() -> str:\n    return os.environ['WHOSE']\n")
    await run_what_is_left(place.worker(place.upgraded(python=str(python))))
    assert await place.told(id_) == ("succeeded", None)


async def test_a_kept_version_has_the_time_limit_of_its_model(place: Place) -> None:
    id_ = await place.queue_one("import threading\ndef run() -> str:\n    threading.Event().wait(10)\n")
    await run_what_is_left(place.worker(place.upgraded(timeout_s=0.3)))
    assert await place.told(id_) == ("failed", "Prediction timed out after 0.3 s (the model's time limit)")


async def test_a_kept_version_whose_setup_fails_is_given_up_once_nothing_waits_for_it(place: Place) -> None:
    id_ = await place.queue_one(
        "class Run:\n"
        "    def setup(self): raise OSError('no GPU')\n"
        "    def run(self) -> str: return ''\n"
        "run = Run\n"
    )
    await run_what_is_left(place.worker())
    status, error = await place.told(id_)
    assert (status, str(error).partition(" (")[0]) == ("failed", "Model setup failed: OSError: no GPU")


async def test_a_kept_version_that_can_not_be_loaded_fails_even_if_the_disk_is_full_for_a_moment(
    place: Place,
) -> None:
    id_ = await place.queue_one("import no_such_module\n")
    place.refusals = 2
    await run_what_is_left(place.worker())
    assert place.refusals == 0
    status, error = await place.told(id_)
    assert status == "failed"
    assert "no_such_module" in str(error)


async def test_a_given_version_id_is_kept_with_the_sources_and_the_entry_that_came_last(place: Place) -> None:
    async def register(entry: str, *files: SourceFile) -> list[SourceFile]:
        await place.database.write(lambda tx: versions.register(tx, OLD, NAME, entry, "{}", files))
        return await place.database.read(lambda tx: versions.sources(tx, OLD))

    one, two = (SourceFile(name, 0o644, 3, name.encode(), None) for name in ("one", "two"))
    other = SourceFile("one", 0o644, 3, b"eno", None)
    assert await register("one:run", two, one) == [one, two]
    assert await register("one:go", other) == [other]
    version = await place.database.read(lambda tx: versions.get(tx, OLD))
    assert version is not None
    assert version.entry == "one:go"


def test_restored_files_take_the_place_of_read_only_ones_and_leave_who_reads_those_alone(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "kept"
    restore([SourceFile("a/predict.py", 0o444, 3, b"old", None)], folder)
    with (folder / "a/predict.py").open("rb") as reader:
        restore([SourceFile("a/predict.py", 0o444, 3, b"new", None)], folder)
        assert reader.read() == b"old"
    assert (folder / "a/predict.py").read_bytes() == b"new"
    assert (folder / "a/predict.py").stat().st_mode & 0o777 == 0o444
    assert [path.name for path in (folder / "a").iterdir()] == ["predict.py"]


def test_a_large_file_that_is_gone_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    weights = SourceFile("weights", 0o644, 5, None, str(tmp_path / "gone"))
    with pytest.raises(FileNotFoundError, match="is gone or has changed"):
        restore([weights], tmp_path / "kept")
    assert list((tmp_path / "kept").iterdir()) == []
