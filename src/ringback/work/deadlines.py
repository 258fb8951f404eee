"""Ends what has not ended by its deadline, as if it had been canceled.

It keeps no list: the store knows the next one.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from ringback.rules.retry import SECOND
from ringback.store import runs
from ringback.store.outbox import Outbox
from ringback.words.errors import Unavailable

log = logging.getLogger(__name__)

_LONGEST_S = 30.0
"""Seconds between two looks at the clock: it may be set meanwhile."""

_STORE_RETRY_S = 0.5
_BATCH = 100


class Deadlines:
    """Cancels predictions when their deadline (`Cancel-After`) has passed."""

    def __init__(self, outbox: Outbox, clock: Callable[[], int], stop: Callable[[str], None]) -> None:
        """Take what it works with.

        Args:
            outbox: where changes go.
            clock: microseconds since the epoch.
            stop: told of each prediction that was canceled, so that whoever runs it stops.
        """
        self._outbox = outbox
        self._clock = clock
        self._stop = stop
        self._next: int | None = None
        self._called = asyncio.Event()

    def expect(self, deadline: int) -> None:
        """There is a new deadline, microseconds since the epoch."""
        if self._next is None or deadline < self._next:
            self._next = deadline
            self._called.set()

    async def run(self) -> None:
        """Cancel what is overdue, for ever."""
        while True:
            try:
                await self.once()
            except Unavailable:
                await asyncio.sleep(_STORE_RETRY_S)
            except Exception:  # one that gives up would leave all later deadlines without effect, unseen
                log.exception("deadlines: going on after an unexpected error")
                await asyncio.sleep(_STORE_RETRY_S)
            else:
                await self._wait()

    async def once(self) -> None:
        """Cancel what is overdue now, and note when the next one is."""
        database = self._outbox.database
        while due := await database.read(lambda tx: runs.overdue(tx, self._clock(), _BATCH)):
            for account, id_ in due:
                await self._cancel(account, id_)
        self._next = await database.read(runs.next_deadline)

    async def _cancel(self, account: str, id_: str) -> None:
        target = await self._outbox.database.read(lambda tx: runs.target(tx, id_))
        change = await self._outbox.change(target, lambda tx, telling: runs.cancel(tx, account, id_, telling))
        if change.held:
            self._stop(id_)

    async def _wait(self) -> None:
        left = _LONGEST_S if self._next is None else (self._next - self._clock()) / SECOND
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._called.wait(), min(_LONGEST_S, max(0.0, left)))
        self._called.clear()
