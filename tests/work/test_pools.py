"""Pools of real child processes: how many there are, what they run on, how they follow what is asked for."""

import asyncio
import contextlib
import logging
import os
import signal
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
from ringback.words.errors import SetupError
from ringback.work import pool as pool_module
from ringback.work.devices import Devices
from ringback.work.model import read_model
from ringback.work.pace import Scale, ahead
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


# How many


async def test_what_waits_while_all_are_busy_gets_a_replica_more_up_to_the_most(yard: Yard) -> None:
    worker = await yard.serving(yard.served(Scale(1, 2, NEVER_S)))
    ids = [await yard.ask(worker, text) for text in ("a", "b", "c")]
    first, second = await yard.door.run(), await yard.door.run()
    assert first.pid != second.pid
    found = await state(worker)
    assert (found.running, found.starting, found.most, found.waiting) == (2, 0, 2, 1)
    second.let_in()
    third = await yard.door.run()
    assert third.pid == second.pid
    third.let_in()
    first.let_in()
    assert await yard.ended(*ids) == [("succeeded", f'"one {text}"') for text in ("a", "b", "c")]
    assert yard.door.calls == 2


async def test_a_replica_beyond_the_least_leaves_when_it_has_been_idle(yard: Yard) -> None:
    worker = await yard.serving(yard.served(Scale(1, 2, QUICK_S)))
    ups = [await yard.door.up()]
    ids = [await yard.ask(worker, text) for text in ("a", "b")]
    for visit in [await yard.door.run(), await yard.door.run()]:
        visit.let_in()
    ups.append(await yard.door.up())
    await yard.ended(*ids)
    gone = [asyncio.create_task(up.gone()) for up in ups]
    await asyncio.wait(gone, return_when=asyncio.FIRST_COMPLETED)
    await yard.ask(worker, "c")
    visit = await yard.door.run()
    assert [up.alive for up in ups if up.pid == visit.pid] == [True]
    assert (await state(worker)).running == 1
    assert yard.door.calls == 2
    for task in gone:
        task.cancel()


async def test_the_first_prediction_starts_a_replica_where_there_is_none(yard: Yard) -> None:
    worker = await yard.serving(yard.served(Scale(0, 1, QUICK_S)))
    assert (await state(worker)).running == 0
    yard.door.strict = True
    id_ = await yard.ask(worker, "a")
    up = await yard.door.up()
    assert await yard.told(id_) == ("starting", None)
    found = await state(worker)
    assert (found.running, found.starting, found.waiting) == (0, 1, 1)
    up.let_in()
    (await yard.door.run()).let_in()
    assert await yard.ended(id_) == [("succeeded", '"one a"')]
    await up.gone()
    yard.door.strict = False
    again = await yard.ask(worker, "b")
    (await yard.door.run()).let_in()
    assert await yard.ended(again) == [("succeeded", '"one b"')]


async def test_nothing_waits_behind_a_run_that_takes_unusually_long_while_a_sibling_is_idle(
    yard: Yard,
) -> None:
    worker = await yard.serving(yard.served(Scale(2, 2, NEVER_S)))
    await yard.set_up(worker, 2)
    for text in ("a", "b", "c", "d"):  # quick ones
        id_ = await yard.ask(worker, text)
        (await yard.door.run()).let_in()
        await yard.ended(id_)
    _, *ids = await yard.ask_at_once(worker, "long", "e", "f", "g")
    long = await yard.door.run()
    assert long.text == "long"
    for _ in ids:
        visit = await yard.door.run()
        assert visit.pid != long.pid
        visit.let_in()
    assert {status for status, _ in await yard.ended(*ids)} == {"succeeded"}


async def test_a_crowd_that_comes_at_once_is_spread_over_as_many_as_there_may_be(yard: Yard) -> None:
    worker = await yard.serving(yard.served(Scale(1, 3, NEVER_S)))
    await yard.door.up()
    ids = await yard.ask_at_once(worker, "a", "b", "c", "d")
    visits = [await yard.door.run() for _ in range(3)]
    assert len({visit.pid for visit in visits}) == 3
    found = await state(worker)
    assert (found.running, found.starting, found.waiting) == (3, 0, 1)
    for visit in visits:
        visit.let_in()
    (await yard.door.run()).let_in()
    assert {status for status, _ in await yard.ended(*ids)} == {"succeeded"}


def test_only_a_replica_without_siblings_holds_more_than_one() -> None:
    assert ahead(0.001) == 50
    assert ahead(0.001, alone=False) == 1


async def test_a_replica_that_died_idle_is_replaced_when_something_waits(yard: Yard) -> None:
    worker = await yard.serving(yard.served(Scale(2, 2, NEVER_S)))
    ups = [await yard.door.up(), await yard.door.up()]
    await yard.set_up(worker, 2)
    for up in ups:
        os.kill(up.pid, signal.SIGKILL)
        await up.gone()
    ids = [await yard.ask(worker, text) for text in ("a", "b")]
    visits = [await yard.door.run(), await yard.door.run()]
    assert len({visit.pid for visit in visits} - {up.pid for up in ups}) == 2
    for visit in visits:
        visit.let_in()
    assert {status for status, _ in await yard.ended(*ids)} == {"succeeded"}


# When it can't be set up


async def test_a_model_that_can_not_be_set_up_is_tried_by_one_replica_and_what_waits_fails(
    yard: Yard,
) -> None:
    worker = await yard.serving(yard.served(Scale(0, 3, NEVER_S)))
    yard.door.strict = True
    ids = await yard.ask_at_once(worker, "a", "b", "c")
    up = await yard.door.up()
    assert (await state(worker)).starting == 1
    up.refuse()
    ended = await yard.ended(*ids)
    assert {status for status, _ in ended} == {"failed"}
    assert {str(error).partition(":")[0] for _, error in ended} == {"Model setup failed"}
    await up.gone()


async def test_what_waits_is_not_failed_by_one_that_can_not_be_set_up_while_a_sibling_runs(
    yard: Yard,
) -> None:
    worker = await yard.serving(yard.served(Scale(1, 2, NEVER_S)))
    await yard.door.up()
    yard.door.strict = True
    first = await yard.ask(worker, "a")
    running = await yard.door.run()
    second = await yard.ask(worker, "b")
    refused = await yard.door.up()
    refused.refuse()
    await refused.gone()
    running.let_in()
    visit = await yard.door.run()
    assert (visit.text, visit.pid) == ("b", running.pid)
    visit.let_in()
    assert {status for status, _ in await yard.ended(first, second)} == {"succeeded"}
    (pool,) = worker._pools.values()
    assert pool._failures == 1  # a sibling that is well does not shorten the next pause


# Devices


async def test_each_replica_has_a_device_of_its_own_and_one_on_the_cpu_none(yard: Yard) -> None:
    gpu = yard.served(Scale(2, 2, NEVER_S, "gpu"))
    await yard.serving(gpu, yard.served(Scale(), "test/plain"), devices={"gpu": ["0", "1"]})
    ups = [await yard.door.up() for _ in range(3)]
    assert sorted(up.device for up in ups) == ["0", "1", "unset"]


async def test_a_replica_waits_for_a_device_until_another_leaves_it(
    yard: Yard, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    scale = Scale(0, 1, QUICK_S, "gpu")
    one, two = yard.served(scale), yard.served(scale, "test/two")
    worker = await yard.serving(one, two, devices={"gpu": ["7"]})
    first = await yard.ask(worker, "a", one.model.version)
    holds = await yard.door.run()
    assert holds.device == "7"
    second = await yard.ask(worker, "b", two.model.version)

    async def waits() -> bool:
        return any(each.starting for each in await worker.state())

    await yard.until(waits)
    assert await yard.told(second) == ("starting", None)
    assert yard.door.runs.empty()
    assert "[test/two] waits for a device of gpu: all are in use" in caplog.text
    holds.let_in()
    visit = await yard.door.run()
    assert (visit.text, visit.device) == ("b", "7")
    visit.let_in()
    assert {status for status, _ in await yard.ended(first, second)} == {"succeeded"}


async def test_a_server_starts_though_there_are_fewer_devices_than_replicas(yard: Yard) -> None:
    scale = Scale(1, 1, NEVER_S, "gpu")
    worker = await yard.serving(yard.served(scale), yard.served(scale, "test/two"), devices={"gpu": ["0"]})
    up = await yard.door.up()
    assert up.device == "0"

    async def one_waits() -> bool:
        return sorted((each.running, each.starting) for each in await worker.state()) == [(0, 1), (1, 0)]

    await yard.until(one_waits)


# Deployments


async def test_a_deployment_has_replicas_of_its_own(yard: Yard) -> None:
    worker = await yard.serving(yard.served(Scale()))
    own = await yard.door.up()
    version = worker.served[0].model.version
    await yard.deploy(version, 1, 2)
    worker.changed()
    deployed = await yard.door.up()
    id_ = await yard.ask(worker, "a", pool=DEPLOYED)
    visit = await yard.door.run()
    assert visit.pid == deployed.pid != own.pid
    visit.let_in()
    assert await yard.ended(id_) == [("succeeded", '"one a"')]
    found = await state(worker, DEPLOYED)
    assert (found.model, found.running, found.most) == (NAME, 1, 2)


async def test_a_deployment_is_scaled_while_it_runs(yard: Yard) -> None:
    worker = await yard.serving(yard.served(Scale()))
    await yard.door.up()
    version = worker.served[0].model.version
    await yard.deploy(version, 2, 2)
    worker.changed()
    ups = [await yard.door.up(), await yard.door.up()]
    await yard.deploy(version, 1, 1)
    worker.changed()
    gone = [asyncio.create_task(up.gone()) for up in ups]
    done, left = await asyncio.wait(gone, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    assert (len(done), len(left)) == (1, 1)
    for task in left:
        task.cancel()
    await yard.deploy(version, 2, 3)
    worker.changed()
    await yard.door.up()
    assert (await state(worker, DEPLOYED)).most == 3


async def test_a_deployment_moved_to_another_version_runs_what_it_has_on_the_old_one(yard: Yard) -> None:
    worker = await yard.serving(yard.served(Scale()))
    await yard.door.up()
    version = worker.served[0].model.version
    await yard.deploy(version, 1, 1)
    worker.changed()
    old = await yard.door.up()
    ids = [await yard.ask(worker, text, version, DEPLOYED) for text in ("a", "b")]
    running = await yard.door.run()
    await yard.keep(OTHER, "other")
    await yard.deploy(OTHER, 1, 1)
    worker.changed()
    new = await yard.door.up()
    ids.append(await yard.ask(worker, "c", OTHER, DEPLOYED))
    visit = await yard.door.run()
    assert (visit.text, visit.pid) == ("c", new.pid)
    visit.let_in()
    running.let_in()
    visit = await yard.door.run()
    assert (visit.text, visit.pid) == ("b", old.pid)
    visit.let_in()
    assert await yard.ended(*ids) == [
        ("succeeded", '"one a"'),
        ("succeeded", '"one b"'),
        ("succeeded", '"other c"'),
    ]
    await old.gone()


async def test_what_waits_for_a_deployment_that_is_gone_still_runs(yard: Yard) -> None:
    worker = await yard.serving(yard.served(Scale()))
    await yard.door.up()
    id_ = await yard.ask(worker, "a", pool=DEPLOYED)
    up = await yard.door.up()
    (await yard.door.run()).let_in()
    assert await yard.ended(id_) == [("succeeded", '"one a"')]
    await up.gone()


async def test_a_deployment_with_no_instances_at_most_runs_what_it_was_given(yard: Yard) -> None:
    worker = await yard.serving(yard.served(Scale()))
    await yard.deploy(worker.served[0].model.version, 0, 0)
    worker.changed()
    id_ = await yard.ask(worker, "a", pool=DEPLOYED)
    (await yard.door.run()).let_in()
    assert await yard.ended(id_) == [("succeeded", '"one a"')]


# Models that come and go


async def test_a_reload_loses_and_fails_nothing(yard: Yard) -> None:
    worker = await yard.serving(yard.served(Scale()))
    old_version = worker.served[0].model.version
    old = await yard.door.up()
    ids = [await yard.ask(worker, text) for text in ("a", "b")]
    running = await yard.door.run()
    yard.folder(says="two")
    new_version = await worker.reload(NAME)
    assert new_version != old_version
    ids.append(await yard.ask(worker, "c", new_version))
    ids.append(await yard.ask(worker, "d", old_version))  # asked for by its id, or resolved just before
    visit = await yard.door.run()
    assert visit.text == "c"
    visit.let_in()
    running.let_in()
    for text in ("b", "d"):
        visit = await yard.door.run()
        assert (visit.text, visit.pid) == (text, old.pid)
        visit.let_in()
    assert await yard.ended(*ids) == [
        ("succeeded", '"one a"'),
        ("succeeded", '"one b"'),
        ("succeeded", '"two c"'),
        ("succeeded", '"one d"'),
    ]
    await old.gone()
    latest = await yard.place.database.read(lambda tx: versions.latest(tx, NAME))
    assert latest is not None
    assert latest.id == new_version


async def test_a_reload_of_what_has_not_changed_changes_nothing(yard: Yard) -> None:
    worker = await yard.serving(yard.served(Scale()))
    up = await yard.door.up()
    assert await worker.reload(NAME) == worker.served[0].model.version
    assert up.alive
    assert yard.door.calls == 1


async def test_a_reload_back_to_a_former_version_serves_that_again(yard: Yard) -> None:
    worker = await yard.serving(yard.served(Scale()))
    former = worker.served[0].model.version
    yard.folder(says="two")
    assert await worker.reload(NAME) != former
    yard.folder(says="one")
    assert await worker.reload(NAME) == former
    id_ = await yard.ask(worker, "a", former)
    (await yard.door.run()).let_in()
    assert await yard.ended(id_) == [("succeeded", '"one a"')]
    assert [each.running for each in await worker.state() if each.version == former] == [1]


async def test_a_reload_of_a_version_with_a_given_id_takes_the_new_files(yard: Yard) -> None:
    item = yard.served(Scale())
    model = read_model(NAME, item.model.folder, OTHER, yard.place.folder / "data")
    worker = await yard.serving(Served(model, sys.executable, pinned=OTHER))
    old = await yard.door.up()
    first = await yard.ask(worker, "a", OTHER)
    running = await yard.door.run()
    yard.folder(says="two")
    assert await worker.reload(NAME) == OTHER
    second = await yard.ask(worker, "b", OTHER)
    visit = await yard.door.run()
    assert visit.pid != old.pid
    visit.let_in()
    running.let_in()
    assert await yard.ended(first, second) == [("succeeded", '"one a"'), ("succeeded", '"two b"')]
    await old.gone()


@pytest.mark.parametrize("broken", ["import", "setup"])
async def test_a_reload_that_fails_leaves_the_former_version_in_service(yard: Yard, broken: str) -> None:
    worker = await yard.serving(yard.served(Scale()))
    version = worker.served[0].model.version
    up = await yard.door.up()
    if broken == "import":
        (yard.folder() / "predict.py").write_text("import no_such_module\n")
    else:
        (yard.folder() / "predict.py").write_text(
            "class Run:\n  def setup(self): raise OSError('no GPU')\n  def run(self) -> str: return ''\n"
        )
    with pytest.raises(SetupError, match="no_such_module" if broken == "import" else "no GPU") as caught:
        await worker.reload(NAME)
    assert "\n" not in str(caught.value)
    id_ = await yard.ask(worker, "a")
    visit = await yard.door.run()
    assert visit.pid == up.pid
    visit.let_in()
    assert await yard.ended(id_) == [("succeeded", '"one a"')]
    assert [item.model.version for item in worker.served] == [version]
    assert len(await worker.state()) == 1


async def test_a_model_is_added_and_taken_away_while_others_run(yard: Yard) -> None:
    worker = await yard.serving(yard.served(Scale()))
    await yard.door.up()
    added = yard.served(Scale(), "test/added")
    await worker.add(added)
    up = await yard.door.up()
    with pytest.raises(SetupError, match="served already"):
        await worker.add(added)
    version = added.model.version
    ids = [await yard.ask(worker, text, version) for text in ("a", "b")]
    running = await yard.door.run()
    await worker.remove("test/added")
    assert [item.model.name for item in worker.served] == [NAME]
    running.let_in()
    (await yard.door.run()).let_in()
    assert {status for status, _ in await yard.ended(*ids)} == {"succeeded"}
    await up.gone()
    with pytest.raises(SetupError, match="no model test/added is served"):
        await worker.remove("test/added")


async def test_a_model_that_can_not_be_imported_is_not_added(yard: Yard) -> None:
    worker = await yard.serving()
    folder = yard.folder()
    (folder / "predict.py").write_text("import no_such_module\nclass Run: pass\n")
    item = Served(read_model(NAME, folder, None, yard.place.folder / "data"), sys.executable)
    with pytest.raises(SetupError, match="no_such_module"):
        await worker.add(item)
    assert worker.served == ()
    assert await worker.state() == []
