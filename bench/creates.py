"""The driver: a process that creates predictions, as fast as they are answered or at a given pace."""

import asyncio
import gc
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import uvloop

from bench.client import Connection, connect, request

_ID = re.compile(rb'"id":"([0-9a-z]{26})"')


@dataclass(frozen=True, slots=True)
class Job:
    """What to create.

    Attributes:
        port: the server's.
        token: for the API.
        bodies: of the requests: the first, the second, and round again.
        total: how many.
        connections: each has one request in flight.
        per_second: the pace; 0 for as fast as answers come.
    """

    port: int
    token: str
    bodies: list[str]
    total: int
    connections: int
    per_second: float = 0.0


@dataclass(frozen=True, slots=True)
class Created:
    """What came of it: ids and durations in the order of the requests.

    Moments are seconds since the epoch, durations seconds.
    """

    started: float
    ended: float
    ids: list[str]
    durations: list[float]


async def create(job: Job) -> Created:
    """Create them all.

    Raises:
        RuntimeError: the server refused one.
    """
    connections = await connect(job.port, job.connections)
    posts = [request("POST", "/v1/predictions", job.token, body.encode()) for body in job.bodies]
    answers: list[tuple[bytes, float]] = [(b"", 0.0)] * job.total
    started = time.time()
    turns = _turns(started, job)
    await asyncio.gather(*(_work(connection, posts, turns, answers) for connection in connections))
    ended = time.time()
    for connection in connections:
        connection.close()
    return Created(started, ended, [_id(body) for body, _ in answers], [seconds for _, seconds in answers])


def _turns(started: float, job: Job) -> Iterator[tuple[int, float]]:
    gap = 1 / job.per_second if job.per_second else 0.0
    return iter([(number, started + number * gap) for number in range(job.total)])


async def _work(
    connection: Connection,
    posts: list[bytes],
    turns: Iterator[tuple[int, float]],
    answers: list[tuple[bytes, float]],
) -> None:
    for number, moment in turns:
        begun = time.time()
        if moment > begun:
            await asyncio.sleep(moment - begun)
            begun = time.time()
        status, body = await connection.ask(posts[number % len(posts)])
        if status != 201:
            raise RuntimeError(f"a create was answered {status}: {body.decode(errors='replace')}")
        answers[number] = (body, time.time() - begun)


def _id(body: bytes) -> str:
    found = _ID.search(body)
    if found is None:
        raise RuntimeError(f"a created prediction has no id: {body.decode(errors='replace')}")
    return found[1].decode()


if __name__ == "__main__":
    gc.disable()  # a pause here would count as the server's
    made = uvloop.run(create(msgspec.json.decode(sys.argv[1], type=Job)))
    sys.stdout.buffer.write(msgspec.json.encode(made))
