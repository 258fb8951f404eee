"""The worker: the replicas of this process, one for each version that is served or has predictions left.

Its dict of replicas is what this process runs right now. After kill -9 the configuration gives the models
again, and the store the versions that still have predictions waiting.
"""

import asyncio
import contextlib
import functools
import logging
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ringback.store import models, runs, versions
from ringback.store.database import Tx
from ringback.store.lanes import Telling
from ringback.store.versions import Version
from ringback.words.errors import SetupError, Unavailable
from ringback.words.json import canonical
from ringback.work.files import no_room
from ringback.work.host import NotNow, RunnerError
from ringback.work.model import Model, restore, unchanged
from ringback.work.pace import ReplicaSettings
from ringback.work.replica import NOT_NOW_S, Replica
from ringback.work.run import Desk

log = logging.getLogger(__name__)

_BATCH = 500
_STORE_RETRY_S = 0.5
_NEEDED_S = 0.5
"""Seconds between two looks whether anything still waits for a kept version."""

_QUIET_S = 2.0
"""Seconds a model may take to load before the log says what is going on."""


@dataclass(frozen=True, slots=True)
class Served:
    """A model to serve and how.

    Attributes:
        model: what was read from its folder.
        python: the interpreter that runs it.
        timeout_s: how long a prediction may run.
        rerun: what happens to a prediction whose worker died: never, unpublished or always.
    """

    model: Model
    python: str
    timeout_s: float = 1800.0
    rerun: str = "unpublished"


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
    ) -> None:
        """Take what it works with.

        Args:
            desk: where results go.
            served: the models of the configuration.
            holder: this process's name in leases.
            kept: the folder where kept sources are restored to.
            python: the interpreter for versions of models that are no longer in the configuration.
            cancel_grace_s: how long a predictor may take to stop before it is killed, seconds.
        """
        self._desk = desk
        self.served = tuple(served)
        self._served = {item.model.version: item for item in served}
        self._by_name = {item.model.name: item for item in served}
        self._holder = holder
        self._kept = kept
        self._python = python
        self._cancel_grace_s = cancel_grace_s
        self._replicas: dict[str, Replica] = {}
        self._kept_now: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining = False

    async def load(self) -> None:
        """Start every model's child, and register each version with its schema and sources.

        Raises:
            SetupError: a model can't be imported.
        """
        for item in self._served.values():
            model = item.model
            replica = self._replica(model.name, model.version, model.folder, model.entry)
            try:
                schema = canonical(await self._patiently(replica)).decode()
            except RunnerError as error:
                replica.stop()
                raise SetupError(f"model {model.name}: {error}") from None
            await self._desk.outbox.database.write(functools.partial(_register, model=model, schema=schema))
        await self._desk.outbox.database.write(lambda tx: models.retire(tx, self._by_name))

    async def _patiently(self, replica: Replica) -> dict[str, object]:
        """Load a model, saying so if it takes its time."""
        loop = asyncio.get_running_loop()
        note = loop.call_later(_QUIET_S, log.info, "[%s] still loading", replica.name)
        try:
            return await replica.load()
        finally:
            note.cancel()

    async def recover(self) -> None:
        """Take over what a former worker of this data folder held when it died."""
        policies = {item.model.name: item.rerun for item in self._served.values()}
        outbox = self._desk.outbox
        telling = Telling(outbox.window_us, outbox.links)
        counts = await outbox.database.write(
            lambda tx: runs.recover(tx, self._holder, policies, telling)
        )
        if any(counts.values()):
            log.info(
                "recovered predictions of a server that died: %d go back to the queue, %d run again, %d fail",
                counts["release"],
                counts["again"],
                counts["fail"],
            )

    async def start(self) -> None:
        """Begin to serve, the versions of earlier configurations that have predictions waiting too."""
        for replica in list(self._replicas.values()):
            self._spawn(replica.serve())
        for version, _ in await self._desk.outbox.database.read(runs.waiting):
            if version not in self._served:
                self._spawn(self._keep_serving(version))

    async def _keep_serving(self, version: str) -> None:
        """Serve a kept version as long as something waits for it, at most once at a time."""
        self._kept_now.add(version)
        try:
            while not self._draining:
                try:
                    if not await self._waited_for(version):
                        return
                    await self._serve_kept(version)
                except Unavailable:
                    await asyncio.sleep(_STORE_RETRY_S)
        finally:
            self._kept_now.discard(version)

    async def _waited_for(self, version: str) -> bool:
        return (version, "") in await self._desk.outbox.database.read(runs.waiting)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.critical(
                "a replica's loop ended with an error: its model is no longer served", exc_info=error
            )

    def _replica(self, name: str, version: str, folder: Path, entry: str) -> Replica:
        settings = ReplicaSettings(self._python, folder, entry, cancel_grace_s=self._cancel_grace_s)
        # A version from before an upgrade needs its model's own interpreter as the new one does.
        item = self._served.get(version) or self._by_name.get(name)
        if item is not None:
            settings = replace(settings, python=item.python, timeout_s=item.timeout_s, rerun=item.rerun)
        current = self._served.get(version)
        folder_now = None if current is None else functools.partial(self._folder, current)
        replica = Replica(name, version, settings, self._desk, self._holder, folder_now)
        self._replicas[version] = replica
        return replica

    async def _folder(self, item: Served) -> Path:
        """Give a folder with exactly this version: its own if nobody has edited it, else the kept copy."""
        if await asyncio.to_thread(unchanged, item.model):
            return item.model.folder
        log.warning(
            "[%s] its folder has changed since the start: going on with the version that was registered. "
            "Restart ringback to serve the new one",
            item.model.name,
        )
        return await self._restored(item.model.version)

    async def _restored(self, version: str) -> Path:
        sources = await self._desk.outbox.database.read(lambda tx: versions.sources(tx, version))
        folder = self._kept / version
        await asyncio.to_thread(restore, sources, folder)
        return folder

    async def _serve_kept(self, version: str) -> None:
        """Run what is left of a version that the configuration no longer has, then stop its child."""
        database = self._desk.outbox.database
        known: Version | None = await database.read(lambda tx: versions.get(tx, version))
        if known is None:
            await self._fail(version, "its version is not known here")
            return
        try:
            folder = await self._restored(version)
            replica = self._replica(known.model, version, folder, known.entry)
            await replica.load()
        except (OSError, RunnerError) as error:
            self._replicas.pop(version, None)
            if isinstance(error, NotNow) or (isinstance(error, OSError) and no_room(error)):
                log.error("[%s] version %s can't be run now: %s", known.model, version[:12], error)
                await asyncio.sleep(NOT_NOW_S)  # whoever called tries again
            else:
                await self._fail(version, f"its version can't be run any more: {error}")
            return
        log.info("[%s] running what is left of version %s", known.model, version[:12])
        needed = asyncio.create_task(self._while_needed(replica))
        try:
            await replica.serve(until_empty=True)
        finally:
            del self._replicas[version]
            replica.stop()
            needed.cancel()
        await replica.drain(0)  # what it claimed last goes back before the queue is looked at again

    async def _while_needed(self, replica: Replica) -> None:
        """End a replica that nothing waits for: one whose setup fails would be tried again for ever."""
        needed = True
        while needed:
            await asyncio.sleep(_NEEDED_S)
            with contextlib.suppress(Unavailable):
                needed = not replica.idle or await self._waited_for(replica.version)
        await replica.drain(0)

    async def _fail(self, version: str, reason: str) -> None:
        outbox = self._desk.outbox
        telling = Telling(outbox.window_us, outbox.links)
        reason = f"Prediction failed: {reason}"
        failed = _BATCH
        while failed and not self._draining:
            try:
                failed = await outbox.database.write(
                    lambda tx: runs.fail_unserved(tx, version, "", reason, telling, _BATCH)
                )
            except Unavailable:
                await asyncio.sleep(_STORE_RETRY_S)
            else:
                outbox.dispatch.wake()

    def changed(self) -> None:
        """Models or deployments have changed in the store: look again."""

    def wake(self, version: str, pool: str = "") -> None:  # noqa: ARG002 - pools come
        """There is a new prediction of this version."""
        replica = self._replicas.get(version)
        if replica is not None:
            replica.wake()
        elif version not in self._kept_now:
            self._spawn(self._keep_serving(version))

    def cancel(self, prediction_id: str) -> None:
        """A prediction has been canceled: stop running it if it is here."""
        for replica in self._replicas.values():
            replica.cancel(prediction_id)

    async def drain(self, grace_s: float) -> None:
        """Claim no more; let what runs finish for `grace_s` seconds, hand back the rest, end the children."""
        self._draining = True
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*(replica.drain(grace_s) for replica in list(self._replicas.values())))
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_s)
        for task in self._tasks:
            task.cancel()


async def _register(tx: Tx, model: Model, schema: str) -> None:
    await versions.register(tx, model.version, model.name, model.entry, schema, model.sources)
    await models.register(tx, model.name, "configuration")
