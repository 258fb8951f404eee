"""Writing a change together with the events it owes, and handing those to whoever delivers.

The floors above the store that change predictions (the worker and the API) know deliveries only through the
two protocols here; assembly hands in the dispatcher.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from ringback.rules.endpoint import Target
from ringback.rules.prediction import Status
from ringback.rules.snapshot import Links
from ringback.store.database import Database, Tx
from ringback.store.lanes import NOTHING, Owed, Telling
from ringback.store.runs import Change


class Reservation(Protocol):
    """Room for one attempt, kept while a transaction is under way."""

    holder: str

    def use(self, owed: Owed) -> None:
        """Begin what the transaction granted, or give the room back."""


class Dispatch(Protocol):
    """What a dispatcher in this process offers."""

    def reserve(self, target: Target) -> Reservation | None:
        """Set room aside for an attempt at this endpoint, or give None."""

    def expect(self, owed: Owed, target: Target | None = None) -> None:
        """Take note of when a lane that was left free is due, and where it goes, if that is known."""

    def wake(self) -> None:
        """Look for due lanes now."""


@dataclass(frozen=True, slots=True)
class Outbox:
    """How changes are told.

    Attributes:
        database: where they are written.
        dispatch: who delivers, if it is in this process.
        window_us: the throttle window, microseconds.
        links: where a snapshot's `urls` point.
        reached: told of the model and the status of each prediction that a change has ended.
        changed: told of the id of each prediction that has changed, and whether it has ended.
    """

    database: Database
    dispatch: Dispatch
    window_us: int
    links: Links
    reached: Callable[[str, Status], None] = lambda _model, _status: None
    changed: Callable[[str, bool], None] = lambda _id, _ended: None

    async def change(self, target: Target | None, verb: Callable[[Tx, Telling], Awaitable[Change]]) -> Change:
        """Run `verb` in a transaction; a lane that it makes due at once is granted to the dispatcher.

        Args:
            target: where the change's events go if it has any that were asked for, else None.
            verb: the change.

        Raises:
            Unavailable: the database can't take it now; nothing was written.
            Exception: what `verb` raises.

        A caller that is cancelled meanwhile does not cancel the change: what it grants would be lost.
        """
        return await asyncio.shield(asyncio.ensure_future(self._change(target, verb)))

    async def _change(
        self, target: Target | None, verb: Callable[[Tx, Telling], Awaitable[Change]]
    ) -> Change:
        reservation = None if target is None else self.dispatch.reserve(target)
        telling = Telling(self.window_us, self.links, None if reservation is None else reservation.holder)
        owed = NOTHING
        try:
            change = await self.database.write(lambda tx: verb(tx, telling))
            owed = change.owed
        finally:
            if reservation is not None:
                reservation.use(owed)
            else:
                self.dispatch.expect(owed, target)
        if change.id:
            self.changed(change.id, change.reached is not None)
        if change.reached is not None:
            self.reached(*change.reached)
        return change
