"""What stands before a commit and can hold it, for databases that take it as `before_commit`."""

import asyncio
import threading


class Gate:
    """Stands before each commit: shut, it holds it; open, it lets it through. Counts the units."""

    def __init__(self) -> None:
        self.groups: list[int] = []
        self._open = threading.Event()
        self._open.set()
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()

    def __call__(self, units: int) -> None:
        self.groups.append(units)
        self._loop.call_soon_threadsafe(self._arrived.set)
        assert self._open.wait(20)

    def shut(self) -> None:
        self._arrived.clear()
        self._open.clear()

    async def arrived(self) -> None:
        await asyncio.wait_for(self._arrived.wait(), 20)

    def open(self) -> None:
        self._open.set()
