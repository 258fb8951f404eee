"""A flood of GETs: a process that reads one prediction on several connections, back to back, until told."""

import asyncio
import sys
import time
from dataclasses import dataclass

import msgspec
import uvloop

from bench.client import Connection, connect, request


@dataclass(frozen=True, slots=True)
class Flood:
    """What to read: a prediction of the server at `port`, on so many connections."""

    port: int
    token: str
    prediction: str
    connections: int


@dataclass(frozen=True, slots=True)
class Flooded:
    """How many reads were answered, and in how many seconds."""

    answered: int
    seconds: float


async def flood(job: Flood) -> Flooded:
    """Read until standard input ends."""
    connections = await connect(job.port, job.connections)
    get = request("GET", f"/v1/predictions/{job.prediction}", job.token)
    counts = [0] * len(connections)
    started = time.time()
    readers = [asyncio.create_task(_read(each, get, counts, at)) for at, each in enumerate(connections)]
    print("flooding", flush=True)
    until = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    done, _ = await asyncio.wait([until, *readers], return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
    seconds = time.time() - started
    for reader in readers:
        reader.cancel()
    return Flooded(sum(counts), seconds)


async def _read(connection: Connection, get: bytes, counts: list[int], at: int) -> None:
    while True:
        status, body = await connection.ask(get)
        if status != 200:
            raise RuntimeError(f"a read was answered {status}: {body.decode(errors='replace')}")
        counts[at] += 1


if __name__ == "__main__":
    print(msgspec.json.encode(uvloop.run(flood(msgspec.json.decode(sys.argv[1], type=Flood)))).decode())
