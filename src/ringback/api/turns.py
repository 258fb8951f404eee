"""Taking turns: while a webhook is on its way, requests are begun one in each turn of the event loop.

Without this a flood of requests is handled in one long turn, and a delivery waits for the end of it at each
of its steps (result read, committed, sent, answered, recorded). With it, its steps come in between.
"""

import asyncio
from collections import deque
from collections.abc import Callable

_EACH_TURN = 1
"""Requests begun in a turn: about a tenth of a millisecond's worth."""


class Turns:
    """Hands out turns, first come, first served. For one event loop."""

    def __init__(self, urgent: Callable[[], bool], each: int = _EACH_TURN) -> None:
        """Say when turns are scarce.

        Args:
            urgent: whether something is under way that requests shall not hold up.
            each: how many requests begin in a turn then.
        """
        self._urgent = urgent
        self._each = each
        self._left = each
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._renewing = False

    async def turn(self) -> None:
        """Return when it is the caller's turn: mostly at once."""
        if not self._waiting:
            if not self._urgent():
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
        self._left = self._each
        while self._left and self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                self._left -= 1
        if self._waiting or not self._left:
            self._renew_soon()
