"""Whatever is changed while predictions come: none is lost, none fails, and no device is kept."""

import asyncio
import random
import sys
from pathlib import Path

import pytest

from ringback.store import deployments, predictions, runs
from ringback.store.database import Tx
from ringback.store.deployments import Deployment
from ringback.store.predictions import New
from ringback.work import pool as pool_module
from ringback.work.devices import Devices
from ringback.work.model import read_model
from ringback.work.pace import Scale
from ringback.work.served import Served
from ringback.work.worker import OWN, Worker
from store.world import ACCOUNT
from work.test_kept_versions import NAME, PATIENCE, Place
from work.test_kept_versions import place as place  # a fixture

DEPLOYED = "acme/deployed"
STEPS = 120
HARDWARE = ("cpu", "gpu")


def write(folder: Path, number: int) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "cog.yaml").write_text("run: predict.py:run\n")
    (folder / "predict.py").write_text(f"def run() -> int:\n    return {number}\n")
    return folder


class Walk:
    """A worker, and what may be done to it, at random."""

    def __init__(self, place: Place, seed: int) -> None:
        self.place = place
        self.random = random.Random(seed)
        self.folder = write(place.folder / "model", 0)
        self.asked: list[str] = []
        model = read_model(NAME, self.folder, None, place.folder / "data")
        self.worker = Worker(
            place.desk,
            [Served(model, sys.executable, 60.0, "unpublished", Scale(1, 2, 0.05, "gpu"))],
            holder="worker_1",
            kept=place.folder / "versions",
            python=sys.executable,
            cancel_grace_s=1.0,
            devices=Devices({"gpu": ["0", "1"]}),
        )

    @property
    def version(self) -> str:
        return self.worker.served[0].model.version

    async def create(self) -> None:
        pool = self.random.choice((OWN, OWN, DEPLOYED))
        self.place.clock.now += 1_000
        new = New(
            self.place.ids.make(self.place.clock.now), ACCOUNT, self.version, NAME, "{}", None, pool=pool
        )
        await self.place.database.write(lambda tx: predictions.create(tx, new))
        self.worker.wake(new.version, pool)
        self.asked.append(new.id)

    async def cancel(self) -> None:
        if self.asked:
            id_ = self.random.choice(self.asked)
            outbox = self.place.desk.outbox
            change = await outbox.change(None, lambda tx, telling: runs.cancel(tx, ACCOUNT, id_, telling))
            if change.held:
                self.worker.cancel(id_)

    async def deploy(self) -> None:
        least, hardware = self.random.choice((0, 0, 1, 2)), self.random.choice(HARDWARE)
        stays = self.random.random() < 0.8
        new = Deployment(DEPLOYED, ACCOUNT, NAME, self.version, hardware, least, 2)

        async def replace(tx: Tx) -> None:
            await deployments.delete(tx, DEPLOYED)
            if stays:
                await deployments.create(tx, new)

        await self.place.database.write(replace)
        self.worker.changed()

    async def rescale(self) -> None:
        least, hardware = self.random.choice((0, 1, 2)), self.random.choice(HARDWARE)
        self.worker._pools[self.version, OWN].rescale(Scale(least, 2, 0.05, hardware))

    async def reload(self) -> None:
        write(self.folder, self.random.choice((0, 1, 2, 3)))
        await self.worker.reload(NAME)

    async def rest(self) -> None:
        for _ in range(20):
            await self.place.database.write(lambda tx: tx.run("UPDATE accounts SET id = id"))

    async def take(self) -> None:
        """Take a step."""
        steps = {
            self.create: 60,
            self.cancel: 8,
            self.deploy: 6,
            self.rescale: 6,
            self.reload: 4,
            self.rest: 6,
        }
        (step,) = self.random.choices(list(steps), list(steps.values()))
        await step()

    async def statuses(self) -> set[str]:
        rows = await self.place.database.read(lambda tx: tx.rows("SELECT DISTINCT status FROM predictions"))
        return {str(status) for (status,) in rows}


@pytest.mark.parametrize("seed", [1, 2])
async def test_none_is_lost_and_none_fails_while_everything_changes(
    place: Place, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(pool_module, "_POLL_S", 3600.0)  # nothing is found by the net
    monkeypatch.setattr(pool_module, "TURN_S", 0.05)
    walk = Walk(place, seed)
    await walk.worker.load()
    await walk.worker.start()
    try:
        for _ in range(STEPS):
            await walk.take()
        for pool in walk.worker._pools.values():  # so that whoever waits for a device gets one
            pool.rescale(Scale(0, 2, 0.05, pool.scale.hardware))
        async with asyncio.timeout(PATIENCE):
            while await walk.statuses() & {"starting", "processing"}:
                await walk.rest()
        assert await walk.statuses() <= {"succeeded", "canceled"}
        assert "succeeded" in await walk.statuses()
    finally:
        await walk.worker.drain(0)
    devices = walk.worker._devices
    assert (devices._used, devices._waiting, devices._given_up) == ({}, {}, set())
