"""The real store, dispatcher and egress under two clocks that the test moves; each claim is the test's."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

from ringback.deliver.dispatcher import Dispatcher, DispatchSettings
from ringback.deliver.egress import Egress, EgressSettings
from ringback.rules.address import AddressRules
from ringback.rules.prediction import Event
from ringback.rules.retry import SECOND
from ringback.store import accounts
from ringback.store.migrations import migrate_sqlite
from ringback.store.predictions import Webhook
from ringback.store.sqlite import Sqlite
from ringback.words.clock import SteadyClock
from store.world import ACCOUNT, LINKS, Clock, World
from support.receiver import Receiver

SECRET = "whsec_c2VjcmV0"
START = 1_700_000_000 * SECOND


@dataclass
class Machine:
    """The wall clock, which may step, and the one that can't; microseconds."""

    wall: int = START
    boot: int = 0


@dataclass
class Moved:
    """What a server has between its store and its receivers, and the time."""

    machine: Machine
    clock: SteadyClock
    world: World
    dispatcher: Dispatcher
    _shown: Clock = field(default_factory=Clock)

    def wait(self, us: int) -> None:
        """Let real time pass."""
        self.machine.wall += us
        self.machine.boot += us
        self._shown.now = self.clock()

    def step(self, us: int) -> None:
        """Set the wall clock, and nothing else."""
        self.machine.wall += us
        self._shown.now = self.clock()

    async def go(self) -> float:
        """Make all attempts that are due; give the seconds after which the dispatcher would look again."""
        self.dispatcher.wake()  # the tests write to the store themselves, past whoever would tell it
        for _ in range(100):
            wait = await self.dispatcher.run_once()
            if self.dispatcher._tasks:
                await asyncio.wait(self.dispatcher._tasks)
            elif wait > 0:
                return wait
        raise AssertionError("the dispatcher finds no end")


def hook(receiver: Receiver, path: str, *events: Event) -> Webhook:
    origin = receiver.url.removesuffix("/hook")
    return Webhook(f"{origin}{path}", f"{origin}{path}", origin, frozenset(events))


@asynccontextmanager
async def moved(folder: Path, *, jitter: Sequence[float] = (0.0,)) -> AsyncIterator[Moved]:
    """Open a store in `folder`; `jitter` is gone through again and again, one for each attempt."""
    machine, path = Machine(), folder / "ringback.sqlite"
    clock = SteadyClock(lambda: machine.wall, lambda: machine.boot, lambda _step, _ahead: None)
    migrate_sqlite(path)
    database = Sqlite(path, clock)
    await database.write(
        lambda tx: accounts.create(tx, id=ACCOUNT, username="ringback", secret_id="secret_1", secret=SECRET)
    )
    egress = Egress(EgressSettings(), AddressRules(allow_loopback=True), now=lambda: machine.wall / SECOND)
    drawn = cycle(jitter)
    dispatcher = Dispatcher(
        database,
        egress,
        DispatchSettings(LINKS),
        holder="dispatcher_1",
        clock=clock,
        wall=lambda: machine.wall,
        jitter=lambda: next(drawn),
    )
    shown = Clock(machine.wall)
    try:
        yield Moved(machine, clock, World(database, path, shown), dispatcher, shown)
    finally:
        await dispatcher.drain(2.0)
        await egress.close()
        await database.close()
