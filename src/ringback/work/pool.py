"""A pool: the replicas that run one queue, as many as its scale says and as what waits asks for.

What it knows is what runs in this process right now; the queue stands in the store. While no replica of it
has been set up yet, or the last setup has failed, it starts one at a time: a model that can't be set up is
not tried by all of them at once.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path

from ringback.words.errors import Unavailable
from ringback.work.devices import Devices, Share
from ringback.work.files import no_room
from ringback.work.host import NotNow, RunnerError
from ringback.work.pace import ReplicaSettings, Scale
from ringback.work.queue import Queue
from ringback.work.replica import Replica
from ringback.work.run import Desk

log = logging.getLogger(__name__)

_POLL_S = 5.0
"""Seconds after which a replica looks for work even if nobody called: a net, not the way."""

_BACKOFF_S = (1.0, 60.0)
_DOUBLINGS = 6
_STORE_RETRY_S = 0.5
NOT_NOW_S = 10.0
"""Seconds until a child that the machine had no room for is tried again."""

_QUIET_S = 2.0
"""Seconds a model may take to load before the log says what is going on."""

TURN_S = 30.0
"""Seconds of work after which a replica beyond the least gives its device to a pool that has none."""

_NO_DEVICE = ""

FolderNow = Callable[[], Awaitable[Path]]
"""Gives a folder with exactly the version to run."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """What `Pool.load` has loaded: how, and the replica, if it stays.

    Attributes:
        document: the version's OpenAPI document.
    """

    settings: ReplicaSettings
    scale: Scale
    folder_now: FolderNow
    document: dict[str, object]
    replica: Replica | None


class Pool:
    """The replicas of one queue."""

    def __init__(
        self,
        name: str,
        queue: Queue,
        settings: ReplicaSettings,
        scale: Scale,
        desk: Desk,
        devices: Devices,
        folder_now: FolderNow,
    ) -> None:
        """Take what it works with; nothing runs before `start`.

        Args:
            name: the model's, for the log.
            queue: what is to be run.
            settings: how a replica is run.
            scale: how many there are.
            desk: where results go.
            devices: what is handed out to replicas.
            folder_now: gives the folder that they run in.
        """
        self.name = name
        self.queue = queue
        self.scale = scale
        self._settings = settings
        self._desk = desk
        self._devices = devices
        self._share = Share()
        self._folder_now = folder_now
        self._replicas: list[Replica] = []
        self._fresh: set[Replica] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._started = False
        self._draining = False
        self._looking = False
        self._look_again = False
        self._proven = False
        self._failures = 0
        self._not_before = 0.0

    @property
    def running(self) -> int:
        """How many replicas are set up."""
        return sum(each.up for each in self._replicas)

    @property
    def starting(self) -> int:
        """How many are being set up, or wait for a device or for a pause to end."""
        return len(self._replicas) - self.running

    @property
    def _staying(self) -> list[Replica]:
        return [each for each in self._replicas if not each.leaving]

    async def load(
        self, settings: ReplicaSettings, scale: Scale, folder_now: FolderNow, *, set_up: bool = False
    ) -> "Fresh":
        """Start a child in the settings' folder, for `take_over` or `discard`; everything else goes on.

        It is stopped again at once if there are to be no replicas without need, or no device is free for it.

        Args:
            settings: how replicas are to be run.
            scale: how many there are to be.
            folder_now: gives the folder for those that are started later.
            set_up: whether to wait until it is set up too.

        Raises:
            RunnerError: it can't be imported, started or set up.
        """
        replica = Replica(self.name, self.queue, settings, self._desk, self._look)
        self._fresh.add(replica)
        note = asyncio.get_running_loop().call_later(_QUIET_S, log.info, "[%s] still loading", self.name)
        equipped = self._devices.equip(replica, scale.hardware, self._share)
        stays = equipped and scale.least > 0
        try:
            document = await replica.load(settings.folder, replica.device if equipped else _NO_DEVICE)
            if stays and set_up:
                await replica.ready()
        except BaseException:
            stays = False
            raise
        finally:
            note.cancel()
            if not stays:
                await self._dismiss(replica)
        return Fresh(settings, scale, folder_now, document, replica if stays else None)

    async def _dismiss(self, replica: Replica) -> None:
        await replica.stopped()
        self._devices.put_back(replica, self._share)
        self._fresh.discard(replica)

    async def discard(self, fresh: "Fresh") -> None:
        """Stop what was loaded."""
        if fresh.replica is not None:
            await self._dismiss(fresh.replica)

    def take_over(self, fresh: "Fresh") -> None:
        """Run what waits by what was loaded; the replicas that are there finish what they have, and leave."""
        self._settings, self.scale, self._folder_now = fresh.settings, fresh.scale, fresh.folder_now
        self._failures, self._not_before, self._proven = 0, 0.0, False
        for each in self._replicas:
            each.retire()
        if fresh.replica is not None:
            self._proven = fresh.replica.up
            self._fresh.discard(fresh.replica)
            self._join(fresh.replica)
        self._look()

    def start(self) -> None:
        """Begin to run what waits."""
        if not self._started:
            self._started = True
            for each in self._replicas:
                self._spawn(self._serve(each))
        self._look()

    def rescale(self, scale: Scale) -> None:
        """Have from now on as many replicas as this says, on its hardware; what they run they finish."""
        moved = scale.hardware != self.scale.hardware
        self.scale = scale
        for each in self._replicas:
            if moved:
                each.retire()
            each.wake()
        self._look()

    def wake(self) -> None:
        """Something waits."""
        staying = self._staying
        if staying and self.scale.alone:
            staying[0].wake()
            return
        for each in staying:
            if each.free:
                each.wake()
                return
        for each in staying:
            if not each.up:  # it may be one whose child died while it was idle
                each.wake()
        if len(staying) < self.scale.most:
            self._look()

    def cancel(self, prediction_id: str) -> None:
        """Stop a prediction if it runs here."""
        for each in self._replicas:
            each.cancel(prediction_id)

    def _look(self) -> None:
        """See soon whether there are enough replicas, and whether one sleeps while something waits."""
        self._look_again = True
        if self._started and not self._looking and not self._draining:
            self._looking = True
            self._spawn(self._balance())

    async def _balance(self) -> None:
        try:
            while self._look_again and not self._draining:
                self._look_again = False
                try:
                    self._adjust(await self.queue.waiting(self.scale.most))
                except Unavailable:
                    self._look_again = True
                    await asyncio.sleep(_STORE_RETRY_S)
                except Exception:  # a pool that gives up would leave its queue unserved, unseen
                    log.exception("[%s] going on after an unexpected error", self.name)
                    self._look_again = True
                    await asyncio.sleep(_BACKOFF_S[0])
        finally:
            self._looking = False

    def _adjust(self, waiting: int) -> None:
        staying = self._staying
        able = [each for each in staying if each.free or not each.up]
        for each in able[:waiting]:
            each.wake()
        busy = sum(each.busy for each in staying)
        wanted = min(self.scale.most, max(self.scale.least, busy + waiting))
        missing = wanted - len(staying)
        if not self._proven:
            missing = min(missing, 1 - sum(not each.up for each in staying))
        for _ in range(missing):
            self._join(Replica(self.name, self.queue, self._settings, self._desk, self._look))
        surplus = len(staying) - self.scale.most
        if surplus > 0:
            for each in sorted(staying, key=lambda each: each.busy)[:surplus]:
                each.retire()

    def _join(self, replica: Replica) -> None:
        self._replicas.append(replica)
        if self._started:
            self._spawn(self._serve(replica))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.critical("[%s] a replica's loop ended with an error", self.name, exc_info=error)
            self._look()

    async def _serve(self, replica: Replica) -> None:
        """Have a replica run predictions until it is drained, retired or not needed any more."""
        try:
            while not replica.draining and not (replica.retired and replica.idle):
                await self._turn(replica)
        finally:
            if not replica.draining:
                await replica.drain(0)
            self._replicas.remove(replica)
            self._devices.put_back(replica, self._share)
            self._look()

    async def _turn(self, replica: Replica) -> None:
        if replica.retired:
            await replica.wait(_POLL_S)
            return
        try:
            if await self._ready(replica):
                taken = await replica.fill(alone=self.scale.alone)
                if not taken:
                    await self._rest(replica)
                elif not self.scale.alone:
                    self._look()
        except NotNow as error:  # not the model's fault: what waits for it goes on waiting
            log.error("[%s] %s; next try in %.0f s", self.name, error, NOT_NOW_S)
            await self._give_up(replica, NOT_NOW_S)
        except RunnerError as error:
            if not replica.leaving:
                await self._setup_failed(replica, str(error))
        except Unavailable:
            await replica.pause(_STORE_RETRY_S)
        except Exception:  # a replica that gives up would leave its model unserved, unseen
            log.exception("[%s] going on after an unexpected error", self.name)
            await replica.pause(_BACKOFF_S[0])

    async def _ready(self, replica: Replica) -> bool:
        """Start the child if there is none, and wait until it is set up; False if it is needed no more."""
        if replica.gone:
            await replica.pause(self._not_before - asyncio.get_running_loop().time())
            await self._equip(replica)
            folder = await self._folder()
            if replica.leaving:
                return False
            await replica.load(folder, replica.device)
        if await replica.ready():
            self._failures, self._proven = 0, True
            self._look()
        if replica.turn_s > TURN_S and self._gives_up(replica, busy=True):
            replica.retire()
        return not replica.leaving

    async def _folder(self) -> Path:
        try:
            return await self._folder_now()
        except OSError as error:
            kind = NotNow if no_room(error) else RunnerError
            raise kind(f"its files can't be put in place: {error}") from error

    async def _rest(self, replica: Replica) -> None:
        """Wait for a call; one that has not been needed for long enough leaves."""
        left = self.scale.idle_s - replica.idle_s
        if not self._spare() or not replica.idle:
            await replica.wait(_POLL_S)
        elif replica.free and self._gives_up(replica, busy=False):
            replica.retire()
        elif left > 0 or not replica.free:
            await replica.wait(min(_POLL_S, max(0.0, left)))
        else:
            replica.retire()

    def _spare(self) -> bool:
        return len(self._staying) > self.scale.least

    def _gives_up(self, replica: Replica, *, busy: bool) -> bool:
        """Say whether another pool needs its device more, and it is not one of the least that have theirs."""
        equipped = sum(each.device is not None for each in self._staying)
        return equipped > self.scale.least and self._devices.gives_up(replica, self._share, busy=busy)

    async def _leave_unless_needed(self, replica: Replica) -> None:
        with contextlib.suppress(Unavailable):
            if self._spare() and not await self.queue.waiting(1):
                replica.retire()

    async def _setup_failed(self, replica: Replica, reason: str) -> None:
        """Fail what waits, with the reason, unless a sibling can run it; try again after a growing pause."""
        low, high = _BACKOFF_S
        pause = min(high, low * 2**self._failures)
        self._failures = min(_DOUBLINGS, self._failures + 1)
        self._proven = False
        log.error("[%s] setup failed: %s; next try in %.0f s", self.name, reason, pause)
        if not self.running:
            await self.queue.fail(f"Model setup failed: {reason}", lambda: replica.draining)
        await self._give_up(replica, pause)

    async def _give_up(self, replica: Replica, pause: float) -> None:
        """Let go of what a child holds that could not be set up; the next one may start after a pause."""
        self._not_before = asyncio.get_running_loop().time() + pause
        await replica.stopped()
        self._devices.put_back(replica, self._share)
        await self._leave_unless_needed(replica)

    async def _equip(self, replica: Replica) -> None:
        """Wait for a free device, if it needs one, as long as it is needed itself."""
        devices, share = self._devices, self._share
        if not devices.equip(replica, self.scale.hardware, share):
            log.info("[%s] waits for a device of %s: all are in use", self.name, self.scale.hardware)
        try:
            while not replica.leaving and not devices.equip(replica, self.scale.hardware, share):
                devices.wait(replica, self.scale.hardware, share)
                await self._leave_unless_needed(replica)
                await replica.wait(_POLL_S)
        finally:
            devices.wait_no_more(replica)

    async def drain(self, grace_s: float) -> None:
        """Claim no more; let what runs finish for `grace_s` seconds, hand back the rest, end the children."""
        self._draining = True
        here = [*self._replicas, *self._fresh]
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*(each.drain(grace_s) for each in here))
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_s)
        for task in self._tasks:
            task.cancel()
