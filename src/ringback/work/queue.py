"""A queue: the predictions of one version that wait for the replicas of one pool."""

import asyncio
from collections.abc import Callable, Sequence

from ringback.store import runs
from ringback.store.lanes import Telling
from ringback.store.outbox import Outbox
from ringback.store.runs import Claim
from ringback.words.errors import Unavailable

_BATCH = 500
_STORE_RETRY_S = 0.5


class Queue:
    """What may be done with a queue in the store."""

    def __init__(self, version: str, pool: str, outbox: Outbox, holder: str) -> None:
        """Take which it is, and who claims from it."""
        self.version = version
        self.pool = pool
        self._outbox = outbox
        self._holder = holder

    @property
    def _telling(self) -> Telling:
        return Telling(self._outbox.window_us, self._outbox.links)

    async def claim(self, limit: int) -> list[Claim]:
        """Claim up to `limit` predictions, oldest first."""
        return await self._outbox.database.write(
            lambda tx: runs.claim(tx, self.version, self.pool, self._holder, limit)
        )

    async def hand_back(self, claims: Sequence[Claim], rerun: str, give_up: Callable[[], bool]) -> bool:
        """Return what was claimed, as often as it takes until the store can take it, or until `give_up()`."""
        holds = [claim.hold for claim in claims]
        while True:
            try:
                await self._outbox.database.write(lambda tx: runs.hand_back(tx, holds, self._telling, rerun))
            except Unavailable:
                if give_up():
                    return False  # recovery at the next start does the same
                await asyncio.sleep(_STORE_RETRY_S)
            else:
                self._outbox.dispatch.wake()
                return True

    async def fail(self, reason: str, give_up: Callable[[], bool]) -> None:
        """End all that waits as failed, as often as it takes until the store can take it."""
        failed = _BATCH
        while failed and not give_up():
            try:
                failed = await self._outbox.database.write(
                    lambda tx: runs.fail_unserved(tx, self.version, self.pool, reason, self._telling, _BATCH)
                )
            except Unavailable:
                await asyncio.sleep(_STORE_RETRY_S)
            else:
                self._outbox.dispatch.wake()

    async def waiting(self, limit: int) -> int:
        """Count what waits, up to `limit`."""
        return await self._outbox.database.read(
            lambda tx: runs.count_waiting(tx, self.version, self.pool, limit)
        )
