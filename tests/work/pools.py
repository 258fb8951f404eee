"""A worker whose replicas are real child processes that a test holds at a door."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from ringback.store import deployments, predictions, versions
from ringback.store.database import Tx
from ringback.store.deployments import Deployment
from ringback.store.predictions import New
from ringback.store.versions import SourceFile
from ringback.work import pool as pool_module
from ringback.work.devices import Devices
from ringback.work.model import read_model
from ringback.work.pace import Scale
from ringback.work.served import Served
from ringback.work.worker import PoolState, Worker
from store.world import ACCOUNT
from work.test_kept_versions import PATIENCE, Place
from work.test_kept_versions import place as place  # a fixture

NAME = "test/pooled"
DEPLOYED = "acme/deployed"
QUICK_S = 0.05  # seconds of idleness in tests where it shall be over soon
NEVER_S = 3600.0

SOURCE = """
import os, pathlib, socket

def visit(*words):
    door = socket.create_connection(("127.0.0.1", {port}))
    device = os.environ.get("CUDA_VISIBLE_DEVICES", "unset")
    door.sendall((" ".join([*words, str(os.getpid()), device]) + chr(10)).encode())
    return door

class Run:
    def setup(self):
        self.door = visit("up")
        assert self.door.recv(9) == b"go", "the door was closed"

    def run(self, text: str) -> str:
        with visit("run", text) as door:
            door.recv(9)
        return {says!r} + " " + text
"""


@dataclass
class Visit:
    """A child at the door: one that is set up, or runs a prediction, and waits to be let in."""

    what: str
    text: str
    pid: int
    device: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def let_in(self) -> None:
        self.writer.write(b"go")

    def refuse(self) -> None:
        self.writer.write(b"no")

    async def gone(self) -> None:
        """Wait until the child is dead: its connection ends with it."""
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionResetError):
                while await self.reader.read(9):
                    pass

    @property
    def alive(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True


@dataclass
class Door:
    """Where children call while they are set up, and when they run; setups are let in unless `strict`."""

    strict: bool = False
    calls: int = 0
    ups: "asyncio.Queue[Visit]" = field(default_factory=asyncio.Queue)
    runs: "asyncio.Queue[Visit]" = field(default_factory=asyncio.Queue)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def open(self) -> None:
        self.server = await asyncio.start_server(self._call, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]

    async def _call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        what, *text, pid, device = (await reader.readline()).decode().split()
        visit = Visit(what, " ".join(text), int(pid), device, reader, writer)
        if what == "run":
            self.runs.put_nowait(visit)
            return
        self.calls += 1
        self.ups.put_nowait(visit)
        if not self.strict:
            visit.let_in()

    async def up(self) -> Visit:
        """Wait for a child that is set up; one that was loaded only for its schema is dead by now."""
        async with asyncio.timeout(PATIENCE):
            while not (visit := await self.ups.get()).alive:
                pass
        return visit

    async def run(self) -> Visit:
        """Wait for a child that runs a prediction."""
        async with asyncio.timeout(PATIENCE):
            return await self.runs.get()

    def close(self) -> None:
        self.server.close()
        for writer in self.writers:
            writer.close()


@dataclass
class Yard:
    """A store, a door, and workers with models that call at it."""

    place: Place
    door: Door
    workers: list[Worker] = field(default_factory=list)

    def folder(self, name: str = NAME, says: str = "one") -> Path:
        """Write a model's folder, or its new version."""
        folder = self.place.folder / name.replace("/", "_")
        folder.mkdir(exist_ok=True)
        (folder / "cog.yaml").write_text("run: predict.py:Run\n")
        (folder / "predict.py").write_text(SOURCE.format(port=self.door.port, says=says))
        return folder

    def served(self, scale: Scale, name: str = NAME) -> Served:
        model = read_model(name, self.folder(name), None, self.place.folder / "data")
        return Served(model, sys.executable, 60.0, "unpublished", scale)

    async def serving(self, *served: Served, devices: dict[str, list[str]] | None = None) -> Worker:
        worker = Worker(
            self.place.desk,
            served,
            holder="worker_1",
            kept=self.place.folder / "versions",
            python=sys.executable,
            cancel_grace_s=1.0,
            devices=Devices(devices or {}),
        )
        self.workers.append(worker)
        await worker.load()
        await worker.start()
        return worker

    async def ask(self, worker: Worker, text: str, version: str = "", pool: str = "") -> str:
        """Create a prediction as the API does."""
        (id_,) = await self.ask_at_once(worker, text, version=version, pool=pool)
        return id_

    async def ask_at_once(self, worker: Worker, *texts: str, version: str = "", pool: str = "") -> list[str]:
        """Create predictions, and call the worker once they all wait."""
        place = self.place
        version = version or worker.served[0].model.version
        made = []
        for text in texts:
            place.clock.now += 1_000
            id_, input_ = place.ids.make(place.clock.now), f'{{"text":"{text}"}}'
            made.append(New(id_, ACCOUNT, version, NAME, input_, None, pool=pool))

        async def create(tx: Tx) -> None:
            for new in made:
                await predictions.create(tx, new)

        await place.database.write(create)
        worker.wake(version, pool)
        return [new.id for new in made]

    async def told(self, id_: str) -> tuple[object, ...]:
        return await self.place.told(id_)

    async def ended(self, *ids: str) -> list[tuple[object, ...]]:
        """Wait until predictions have ended; give each one's status, and its output or error."""
        async with asyncio.timeout(PATIENCE):
            for id_ in ids:
                while (await self.told(id_))[0] in ("starting", "processing"):
                    await self.changed()
        return [await self.outcome(id_) for id_ in ids]

    async def changed(self) -> None:
        """Wait for the next commit."""
        await self.place.database.write(lambda tx: tx.run("UPDATE accounts SET id = id"))

    async def outcome(self, id_: str) -> tuple[object, ...]:
        row = await self.place.database.read(
            lambda tx: tx.row(
                "SELECT status, coalesce(error, (SELECT data FROM chunks WHERE prediction_id = $1)) "
                "FROM predictions WHERE id = $1",
                id_,
            )
        )
        assert row is not None
        return row

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not await holds():
                await self.changed()

    async def set_up(self, worker: Worker, count: int) -> None:
        """Wait until that many of the model's own replicas are set up."""

        async def are() -> bool:
            return (await state(worker)).running == count

        await self.until(are)

    async def deploy(self, version: str, least: int, most: int, hardware: str = "cpu") -> None:
        new = Deployment(DEPLOYED, ACCOUNT, NAME, version, hardware, least, most)

        async def replace(tx: Tx) -> None:
            await deployments.delete(tx, DEPLOYED)
            await deployments.create(tx, new)

        await self.place.database.write(replace)

    async def keep(self, version: str, says: str) -> None:
        """Register a version that nobody serves."""
        text = SOURCE.format(port=self.door.port, says=says).encode()
        files = [SourceFile("predict.py", 0o644, len(text), text, None)]
        await self.place.database.write(
            lambda tx: versions.register(tx, version, NAME, "predict.py:Run", "{}", files)
        )


@pytest_asyncio.fixture
async def yard(place: Place, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Yard]:
    monkeypatch.setattr(pool_module, "_POLL_S", NEVER_S)  # nothing here is found by the net
    door = Door()
    await door.open()
    yard = Yard(place, door)
    yield yard
    for worker in yard.workers:
        await worker.drain(0)
    door.close()


async def state(worker: Worker, pool: str = "") -> PoolState:
    (found,) = [each for each in await worker.state() if each.pool == pool]
    return found


OTHER = "0e" * 32
