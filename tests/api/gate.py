"""Models that do what a test tells them, step by step, and streams as they arrive."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import aiohttp

from support.server import Server


@dataclass
class Gate:
    """A prediction of test/gated and the pipe that it reads."""

    prediction: dict[str, Any]
    pipe: IO[str]

    @property
    def id(self) -> str:
        return str(self.prediction["id"])

    def say(self, *lines: str) -> None:
        self.pipe.write("".join(f"{line}\n" for line in lines))
        self.pipe.flush()

    def finish(self) -> None:
        self.pipe.close()


@asynccontextmanager
async def gated(server: Server, folder: Path, **more: Any) -> AsyncIterator[Gate]:
    """Run a prediction that waits for its lines."""
    path = folder / f"gate-{os.urandom(4).hex()}"
    os.mkfifo(path)
    created = await server.create("test/gated", {"gate": str(path)}, **more)
    pipe = await asyncio.to_thread(path.open, "w")  # opens once the model has opened its end
    try:
        yield Gate(created, pipe)
    finally:
        pipe.close()
        await server.ended(created["id"])


@dataclass(frozen=True)
class Sent:
    """A server-sent event."""

    event: str
    data: str
    id: str


class Stream:
    """The events of a stream, read one by one."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer
        self.comments: list[str] = []

    async def next(self) -> Sent | None:
        """Give the next event, or None at the end of the stream."""
        event, id_, data = "message", "", list[str]()
        while line := (await asyncio.wait_for(self.answer.content.readline(), 20)).decode():
            field, _, value = line.rstrip("\n").partition(": ")
            if field == "event":
                event = value
            elif field == "id":
                id_ = value
            elif field == "data":
                data.append(value)
            elif not field and value:
                self.comments.append(value)
            elif not field and data:
                return Sent(event, "\n".join(data), id_)
        return None

    async def rest(self) -> list[Sent]:
        found = []
        while (event := await self.next()) is not None:
            found.append(event)
        return found


@asynccontextmanager
async def streaming(server: Server, url: str, **headers: str) -> AsyncIterator[Stream]:
    """Open a stream as the JavaScript client does: without a token."""
    accept = {"accept": "text/event-stream", **headers}
    async with aiohttp.ClientSession() as session, session.get(url, headers=accept) as answer:
        yield Stream(answer)
