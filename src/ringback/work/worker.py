"""The worker: the pools of this process, one for each queue that is served or has something left.

Its dict of pools is what this process runs right now. After kill -9 the configuration and the store give the
models again, the store the deployments and the queues where predictions still wait.
"""

import asyncio
import contextlib
import functools
import logging
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ringback.store import deployments, models, runs, versions
from ringback.store.deployments import Deployment
from ringback.store.lanes import Telling
from ringback.store.versions import Version
from ringback.words.errors import SetupError, Unavailable
from ringback.work.devices import Devices
from ringback.work.host import RunnerError, Weights
from ringback.work.pace import ReplicaSettings, Scale
from ringback.work.pool import FolderNow, Fresh, Pool
from ringback.work.queue import Queue
from ringback.work.run import Desk
from ringback.work.served import Served, Sources, described, register

log = logging.getLogger(__name__)

OWN = ""
"""The pool of a version's own replicas; a deployment's has its name."""

TRAIN = "train"
"""The pool of a version's trainings."""

Key = tuple[str, str]
"""A queue: the version and the pool."""

_STORE_RETRY_S = 0.5
_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class PoolState:
    """What a pool is doing.

    Attributes:
        model: owner/name.
        version: the version's id.
        pool: "" for the model's own replicas, "train", or the deployment's owner/name.
        running: replicas that are set up.
        starting: replicas that are being set up or wait for a device.
        most: replicas at most.
        hardware: the SKU that they run on.
        waiting: predictions that wait, counted up to 10,000.
    """

    model: str
    version: str
    pool: str
    running: int
    starting: int
    most: int
    hardware: str
    waiting: int


class Worker:
    """Runs predictions in child processes of this one."""

    def __init__(
        self,
        desk: Desk,
        served: Sequence[Served],
        *,
        holder: str,
        kept: Path,
        python: str,
        cancel_grace_s: float,
        devices: Devices | None = None,
    ) -> None:
        """Take what it works with.

        Args:
            desk: where results go.
            served: the models of the configuration.
            holder: this process's name in leases.
            kept: the folder where kept sources are restored to.
            python: the interpreter for versions of models that are not served any more.
            cancel_grace_s: how long a predictor may take to stop before it is killed, seconds.
            devices: what replicas are given to run on.
        """
        self._desk = desk
        self._database = desk.outbox.database
        self._served = {item.model.name: item for item in served}
        self._holder = holder
        self._sources = Sources(self._database, kept)
        self._usual = ReplicaSettings(python, Path(), "", cancel_grace_s=cancel_grace_s)
        self._devices = devices or Devices({})
        self._pools: dict[Key, Pool] = {}
        self._opening: set[Key] = set()
        self._lineup = asyncio.Lock()  # one change of what is served at a time
        self._tasks: set[asyncio.Task[None]] = set()
        self._look_again = False
        self._started = False
        self._draining = False

    @property
    def served(self) -> tuple[Served, ...]:
        """The models that are served now."""
        return tuple(self._served.values())

    # What is served

    async def load(self) -> None:
        """Start every model's child, and register each version with its schema and sources.

        Raises:
            SetupError: a model can't be imported.
        """
        for item in self.served:
            await self._install(item)
        await self._database.write(lambda tx: models.retire(tx, self._served.keys()))

    async def add(self, item: Served) -> None:
        """Serve a further model from now on.

        Raises:
            SetupError: it is served already, or can't be imported or set up; nothing has changed.
        """
        async with self._lineup:
            if (name := item.model.name) in self._served:
                raise SetupError(
                    f"model {name} is served already: `ringback models reload {name}` reads its folder anew;"
                    " to change its folder or settings, remove it first"
                )
            await self._install(item)

    async def reload(self, name: str) -> str:
        """Read a model's folder anew; if it has changed, predictions that come from now on run what it holds.

        The new version is loaded, set up and registered first. The former one runs what was given to it.

        Returns:
            The id of the version that is served now.

        Raises:
            SetupError: it is not served, or can't be read, imported or set up: the former version goes on.
        """
        async with self._lineup:
            former = self._expect(name)
            item = await asyncio.to_thread(former.read_again)
            if item.model != former.model:
                await self._install(item)
                new, old = item.model.version, former.model.version
                log.info("[%s] version %s takes the place of %s", name, new[:12], old[:12])
            if item.model.version != former.model.version:
                self._leave(former)
            return item.model.version

    async def remove(self, name: str) -> None:
        """Serve a model no longer; what waits for it still runs.

        Raises:
            SetupError: it is not served.
        """
        async with self._lineup:
            item = self._expect(name)
            await self._database.write(lambda tx: models.withdraw(tx, name))
            del self._served[name]
            self._leave(item)

    def _expect(self, name: str) -> Served:
        item = self._served.get(name)
        if item is None:
            raise SetupError(f"no model {name} is served")
        return item

    async def _install(self, item: Served) -> None:
        """Load what a model's folder holds, register it, and have it run what is asked of the model."""
        if self._draining:
            raise SetupError("the server is stopping")
        model, key = item.model, (item.model.version, OWN)
        owner = next((each.model.name for each in self.served if each.model.version == model.version), None)
        if owner not in (None, model.name):
            raise SetupError(f"model {model.name}: its version {model.version[:12]} is that of {owner} too")
        settings = item.run_in(replace(self._usual, folder=model.folder, entry=model.entry))
        folder_now = functools.partial(self._folder, model.name, model.version)
        former = self._pools.get(key)
        pool = former or self._pool(model.name, key, settings, item.scale, folder_now)
        self._pools[key] = pool
        try:
            fresh = await pool.load(settings, item.scale, folder_now, set_up=self._started)
            await self._register(pool, item, fresh)
        except BaseException as error:
            if former is None:
                self._forget(key)
            if isinstance(error, RunnerError):
                raise SetupError(f"model {model.name}: {error}") from None
            raise
        self._served[model.name] = item
        pool.take_over(fresh)
        if self._started:
            pool.start()

    async def _register(self, pool: Pool, item: Served, fresh: Fresh) -> None:
        try:
            document = await described(item, fresh.document, self._desk.scratch)
            await self._database.write(lambda tx: register(tx, item, document))
        except BaseException:
            await pool.discard(fresh)
            raise

    def _forget(self, key: Key) -> None:
        """Drop the pool of a version that could not be loaded; what waits for it is tried anew."""
        del self._pools[key]
        if self._started:
            self.wake(*key)

    def _leave(self, item: Served) -> None:
        pool = self._pools.get((item.model.version, OWN))
        if pool is not None:
            pool.rescale(_leftovers(item.scale.hardware))

    # Pools

    def _pool(
        self, name: str, key: Key, settings: ReplicaSettings, scale: Scale, folder_now: FolderNow
    ) -> Pool:
        queue = Queue(*key, self._desk.outbox, self._holder)
        return Pool(name, queue, settings, scale, self._desk, self._devices, folder_now)

    async def _open(self, key: Key) -> None:
        """Make the pool of a queue that has none, and start it."""
        version, name = key
        known = await self._database.read(lambda tx: versions.get(tx, version))
        if known is None:
            queue = Queue(version, name, self._desk.outbox, self._holder)
            await queue.fail("Prediction failed: its version is not known here", lambda: self._draining)
            return
        found = await self._database.read(lambda tx: deployments.get(tx, name))
        hardware = await self._database.read(lambda tx: models.hardware(tx, known.model))
        if self._draining or key in self._pools:
            return
        scale = self._scale(known, name, found, hardware)
        folder_now = functools.partial(self._folder, known.model, version)
        self._pools[key] = self._pool(known.model, key, self._settings(known, name), scale, folder_now)
        self._pools[key].start()

    def _settings(self, known: Version, pool: str) -> ReplicaSettings:
        train = pool == TRAIN
        entry, mode = (known.train, "train") if train else (known.entry, "predict")
        settings = replace(self._usual, entry=entry, mode=mode, weights=self._weights(known))
        # A version from before an upgrade needs its model's own interpreter as the new one does.
        item = self._served.get(known.model)
        return settings if item is None else item.run_in(settings)

    def _weights(self, known: Version) -> Weights | None:
        id_, _, name = known.weights.partition("/")
        return Weights(self._desk.files.path(id_), name) if id_ else None

    def _scale(self, known: Version, pool: str, found: Deployment | None, hardware: str) -> Scale:
        if found is not None and found.version == known.id:
            return self._scale_of(found)
        if known.weights and pool == OWN:
            return Scale(least=0, idle_s=self._idle_s(known.model), hardware=hardware)
        return _leftovers(hardware)

    def _scale_of(self, found: Deployment) -> Scale:
        # What was accepted is run: with no instances at most, one comes when something waits.
        most = max(1, found.max_instances)
        return Scale(min(found.min_instances, most), most, self._idle_s(found.model), found.hardware)

    def _idle_s(self, model: str) -> float:
        item = self._served.get(model)
        return Scale().idle_s if item is None else item.scale.idle_s

    async def _folder(self, name: str, version: str) -> Path:
        item = self._served.get(name)
        if item is not None and item.model.version == version:
            return await self._sources.served(item.model)
        return await self._sources.restored(version)

    def wake(self, version: str, pool: str = OWN) -> None:
        """There is a new prediction of this version, for the replicas of this pool."""
        key = (version, pool)
        found = self._pools.get(key)
        if found is not None:
            found.wake()
        elif key not in self._opening and not self._draining:
            self._opening.add(key)
            self._spawn(self._opened(key))

    async def _opened(self, key: Key) -> None:
        try:
            while key not in self._pools and not self._draining:
                try:
                    await self._open(key)
                except Unavailable:
                    await asyncio.sleep(_STORE_RETRY_S)
                else:
                    return
        finally:
            self._opening.discard(key)

    def changed(self) -> None:
        """Deployments have changed in the store: look again."""
        if not self._look_again and not self._draining:
            self._look_again = True
            self._spawn(self._follow())

    async def _follow(self) -> None:
        """Have the pools of deployments as the store says; what one no longer runs, it runs to the end."""
        found = None
        while found is None and not self._draining:
            try:
                self._look_again = False
                found = await self._database.read(deployments.all_)
            except Unavailable:
                await asyncio.sleep(_STORE_RETRY_S)
        wanted = {(each.version, each.name): self._scale_of(each) for each in found or ()}
        for key, pool in self._pools.items():
            if key[1] not in (OWN, TRAIN) and key not in wanted:
                pool.rescale(_leftovers(pool.scale.hardware))
        for key, scale in wanted.items():
            if key in self._pools:
                self._pools[key].rescale(scale)
            elif scale.least:
                self.wake(*key)

    async def recover(self) -> None:
        """Take over what a former worker of this data folder held when it died."""
        policies = {name: item.rerun for name, item in self._served.items()}
        outbox = self._desk.outbox
        telling = Telling(outbox.window_us, outbox.links)
        counts = await self._database.write(lambda tx: runs.recover(tx, self._holder, policies, telling))
        if any(counts.values()):
            log.info(
                "recovered predictions of a server that died: %d go back to the queue, %d run again, %d fail",
                counts["release"],
                counts["again"],
                counts["fail"],
            )

    async def start(self) -> None:
        """Begin to serve; what waits for other versions and deployments too."""
        self._started = True
        for pool in self._pools.values():
            pool.start()
        for key in await self._database.read(runs.waiting):
            self.wake(*key)
        self.changed()

    def cancel(self, prediction_id: str) -> None:
        """A prediction has been canceled: stop running it if it is here."""
        for pool in self._pools.values():
            pool.cancel(prediction_id)

    async def state(self) -> list[PoolState]:
        """Say what each pool is doing, those first that are served."""
        return [
            PoolState(
                pool.name,
                *key,
                pool.running,
                pool.starting,
                pool.scale.most,
                pool.scale.hardware,
                await pool.queue.waiting(_COUNTED),
            )
            for key, pool in list(self._pools.items())
        ]

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.critical("a change of what is served failed", exc_info=error)

    async def drain(self, grace_s: float) -> None:
        """Claim no more; let what runs finish for `grace_s` seconds, hand back the rest, end the children."""
        self._draining = True
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*(pool.drain(grace_s) for pool in list(self._pools.values())))
        for task in self._tasks:
            task.cancel()


def _leftovers(hardware: str) -> Scale:
    """Of a queue that gets nothing new: one replica, until what waits has been run."""
    return Scale(least=0, idle_s=0.0, hardware=hardware)
