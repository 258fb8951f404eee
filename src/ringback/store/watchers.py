"""Who waits for a prediction in this process: requests that are held, and streams.

What stands here is rebuilt by nobody: it goes with the requests it serves. Each of them also looks by itself
now and then, for changes that another process makes.
"""

import asyncio
import contextlib
from collections.abc import Iterator


class Watch:
    """One who waits for changes of a prediction."""

    def __init__(self, *, only_end: bool) -> None:
        self.only_end = only_end
        self._called = asyncio.Event()

    def call(self) -> None:
        """Something has changed."""
        self._called.set()

    async def changed(self, seconds: float) -> bool:
        """Wait until something has changed since the last time, at most `seconds`; say whether it has."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._called.wait(), seconds)
        has_changed = self._called.is_set()
        self._called.clear()
        return has_changed


class Watchers:
    """Tells those who wait."""

    def __init__(self) -> None:
        self._by_id: dict[str, set[Watch]] = {}
        self.closing = False

    @contextlib.contextmanager
    def watching(self, id_: str, *, only_end: bool) -> Iterator[Watch]:
        """Hear of a prediction's changes, or of its end only, as long as the block runs."""
        watch = Watch(only_end=only_end)
        group = self._by_id.setdefault(id_, set())
        group.add(watch)
        try:
            yield watch
        finally:
            group.discard(watch)
            if not group:
                self._by_id.pop(id_, None)

    def changed(self, id_: str, ended: bool) -> None:  # noqa: FBT001 - as Outbox tells it
        """Tell that a prediction has changed, and whether it has ended."""
        for watch in self._by_id.get(id_, ()):
            if ended or not watch.only_end:
                watch.call()

    def close(self) -> None:
        """Send everybody away: the server stops."""
        self.closing = True
        for group in self._by_id.values():
            for watch in group:
                watch.call()
