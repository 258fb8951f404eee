"""Taking turns: while webhooks are on their way, only so many requests are begun in a turn of the event loop.

Without this a flood of requests is handled in one long turn, and a delivery waits for the end of it at each
of its steps (result read, committed, sent, answered, recorded). With it, its steps come in between. The more
is on its way, the more requests go into a turn: then the groups that are committed matter more than a turn.
"""

import asyncio
from collections import deque
from collections.abc import Callable


def share(in_flight: int) -> int:
    """Say how many requests may begin in a turn while `in_flight` attempts are under way; 0 is no limit."""
    return (in_flight + 1) // 2


class Turns:
    """Hands out turns, first come, first served. For one event loop."""

    def __init__(self, in_flight: Callable[[], int]) -> None:
        """Take what tells how many attempts are under way."""
        self._in_flight = in_flight
        self._left = 1
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._renewing = False

    async def turn(self) -> None:
        """Return when it is the caller's turn: mostly at once."""
        if not self._waiting:
            if not self._in_flight():
                return
            if self._left:
                self._left -= 1
                self._renew_soon()
                return
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._renew_soon()
        await future

    def _renew_soon(self) -> None:
        if not self._renewing:
            self._renewing = True
            asyncio.get_running_loop().call_soon(self._renew)

    def _renew(self) -> None:
        """Begin the next turn."""
        self._renewing = False
        self._left = share(self._in_flight()) or len(self._waiting)
        while self._left and self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                self._left -= 1
        if self._waiting or not self._left:
            self._renew_soon()
