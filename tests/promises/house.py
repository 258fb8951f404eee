"""The real store, dispatcher and egress in the test's own loop; the test moves the clock, holds commits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ringback.deliver.dispatcher import Dispatcher, DispatchSettings
from ringback.deliver.egress import Egress, EgressSettings
from ringback.rules.address import AddressRules
from ringback.rules.endpoint import Target, endpoint_key
from ringback.rules.prediction import Event
from ringback.store import accounts, runs
from ringback.store.database import Tx
from ringback.store.lanes import Telling
from ringback.store.migrations import migrate_sqlite
from ringback.store.outbox import Outbox
from ringback.store.runs import Change, Ending, NewChunk
from ringback.store.sqlite import Sqlite
from ringback.store.subjects import Hold
from store.gate import Gate
from store.world import ACCOUNT, LINKS, WINDOW, Clock, World, hook
from support.receiver import Receiver

SECRET = "whsec_c2VjcmV0"
SHIPPED = DispatchSettings(LINKS)


@dataclass
class House:
    """What a server has between its API and its receivers."""

    world: World
    dispatcher: Dispatcher
    outbox: Outbox
    egress: Egress

    async def running(self, receiver: Receiver, *events: Event) -> Hold:
        """A prediction that has begun; its `start`, if asked for, is owed and left free."""
        return await self.world.running(hook(*events, origin=_origin(receiver)))

    async def begin(self, receiver: Receiver, *events: Event) -> Hold:
        """A prediction whose `start` is granted to the dispatcher as a server does it."""
        id_ = await self.world.create(hook(*events, origin=_origin(receiver)))
        hold = next(claim.hold for claim in await self.world.claim(1000) if claim.hold.id == id_)
        await self._advance(receiver, hold, started=True)
        return hold

    async def say(self, receiver: Receiver, hold: Hold, item: str) -> None:
        """One more item of output."""
        await self._advance(receiver, hold, ("items", f'["{item}"]'))

    async def _advance(
        self, receiver: Receiver, hold: Hold, *chunks: NewChunk, started: bool = False
    ) -> None:
        async def verb(tx: Tx, telling: Telling) -> Change:
            return await runs.advance(tx, hold, started=started, chunks=chunks, telling=telling)

        assert (await self.outbox.change(target(receiver), verb)).held

    async def end(self, receiver: Receiver, hold: Hold) -> None:
        """Its end, granted to the dispatcher if there is room."""
        ending = Ending("succeed")
        change = await self.outbox.change(
            target(receiver), lambda tx, telling: runs.end(tx, hold, ending, telling)
        )
        assert change.held

    async def quiet(self) -> None:
        """Wait until what is in flight has been settled."""
        if self.dispatcher._tasks:
            await asyncio.wait(self.dispatcher._tasks)

    async def pass_by(self, receiver: Receiver) -> None:
        """Go to a receiver and back, twice: whatever was on its way there before has arrived by then."""
        for _ in range(2):
            result = await self.egress.post(receiver.url, {"webhook-id": "evt_none_0"}, b"{}")
            assert result.cause == "acknowledged"


def target(receiver: Receiver) -> Target:
    """Where the events of predictions for this receiver go."""
    origin = _origin(receiver)
    return Target(origin, endpoint_key(ACCOUNT, f"{origin}/hook"))


def _origin(receiver: Receiver) -> str:
    return receiver.url.removesuffix("/hook")


@asynccontextmanager
async def house(
    folder: Path, settings: DispatchSettings = SHIPPED, gate: Gate | None = None
) -> AsyncIterator[House]:
    """Open a store in `folder` and deliver what it owes until the block ends."""
    path, clock = folder / "ringback.sqlite", Clock()
    migrate_sqlite(path)
    database = Sqlite(path, clock, before_commit=gate)
    await database.write(
        lambda tx: accounts.create(tx, id=ACCOUNT, username="ringback", secret_id="secret_1", secret=SECRET)
    )
    egress = Egress(EgressSettings(), AddressRules(allow_loopback=True))
    dispatcher = Dispatcher(
        database, egress, settings, holder="dispatcher_1", clock=clock, jitter=lambda: 0.0
    )
    outbox = Outbox(database, dispatcher, WINDOW, LINKS)
    running = asyncio.create_task(dispatcher.run())
    try:
        yield House(World(database, path, clock), dispatcher, outbox, egress)
    finally:
        if gate is not None:
            gate.open()
        await dispatcher.drain(2.0)
        await running
        await egress.close()
        await database.close()
