"""A disk without room: what is new is refused, what is done is kept, and all goes on when there is room.

The disk is full for one process: the kernel lets it write to no file any more (RLIMIT_FSIZE), until it may.
"""

import asyncio
import json
import re
import resource
import shlex
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from serve.starting import Gate, said
from support.receiver import Receiver, receiving
from support.server import COMMAND, TOKEN, Server, model, serving

KEEPER = f"test/keeper={Path(__file__).parent / 'models/keeper'}"
# The log goes through a pipe: a full disk must not keep the test from reading it.
PIPED = ["bash", "-c", f'exec {shlex.join(COMMAND)} "$@" 2> >(exec cat >&2)', "ringback"]


@pytest.fixture
def gate() -> Iterator[Gate]:
    found = Gate()
    yield found
    found.close()


@asynccontextmanager
async def server_on(data: Path) -> AsyncIterator[Server]:
    async with serving(model("test/echo", "echo"), KEEPER, data=data, command=PIPED) as server:
        yield server


class Disk:
    """The disk as one process sees it."""

    def __init__(self, server: Server) -> None:
        self._pid = server.process.pid
        self._usual = resource.prlimit(self._pid, resource.RLIMIT_FSIZE)

    def fill(self) -> None:
        resource.prlimit(self._pid, resource.RLIMIT_FSIZE, (0, self._usual[1]))

    def clear(self) -> None:
        resource.prlimit(self._pid, resource.RLIMIT_FSIZE, self._usual)


async def at_the_gate(server: Server, gate: Gate, **more: object) -> str:
    """Create a prediction; give its id when it stands at the gate and what it said so far is stored."""
    input_ = {**gate.input, "size": more.pop("size", 0)}
    id_ = str((await server.create("test/keeper", input_, **more))["id"])
    await gate.arrived()
    async with asyncio.timeout(20):
        while (await server.call("GET", f"/v1/predictions/{id_}"))[1]["output"] != ["before"]:
            pass  # the next answer may have it
    return id_


def attempts(data: Path, id_: str) -> list[tuple[int, int, str]]:
    with sqlite3.connect(f"file:{data / 'ringback.sqlite'}?mode=ro", uri=True) as connection:
        return connection.execute(
            "SELECT number, attempt, cause FROM attempts WHERE prediction_id = ? ORDER BY 1, 2", (id_,)
        ).fetchall()


async def in_flight(server: Server, receiver: Receiver) -> str:
    """Create a prediction whose one delivery is on its way: the receiver has it and says nothing yet."""
    receiver.hold()
    id_ = str((await server.create("test/echo", {"text": "x"}, **ringing(receiver)))["id"])
    await receiver.until(lambda r: r.held == 1)
    return id_


def ringing(receiver: Receiver) -> dict[str, object]:
    return {"webhook": receiver.url, "webhook_events_filter": ["completed"]}


async def test_on_a_full_disk_what_is_new_is_refused_whole_and_what_is_done_waits_for_room(
    tmp_path: Path, gate: Gate
) -> None:
    async with receiving() as receiver, server_on(tmp_path) as server:
        running = await at_the_gate(server, gate, **ringing(receiver))
        sent = await in_flight(server, receiver)
        disk = Disk(server)
        disk.fill()

        body = json.dumps({"version": "test/echo", "input": {"text": "y"}})
        for path in ("/v1/predictions", f"/v1/predictions/{running}/cancel"):
            headers = {"authorization": f"Bearer {TOKEN}"}
            async with server.session.post(server.url + path, data=body, headers=headers) as refused:
                assert refused.status == 503
                assert refused.headers["content-type"] == "application/problem+json"
                assert refused.headers["retry-after"] == "1"
                assert (await refused.json())["detail"].startswith("the database can't take this now: ")

        receiver.release()
        await receiver.until(lambda r: len(r.acknowledged) == 1)
        gate.open()
        said(server, f"prediction {running}: the database can't take this now")
        _, listed = await server.call("GET", "/v1/predictions")
        assert {item["id"]: item["status"] for item in listed["results"]} == {
            running: "processing",
            sent: "succeeded",
        }
        assert attempts(tmp_path, sent) == []

        disk.clear()
        ended = await server.ended(running)
        assert (ended["status"], ended["output"]) == ("succeeded", ["before", "after"])
        assert ended["logs"] == "before the gate\n"
        await receiver.until(lambda r: len(r.acknowledged) == 2)
        assert (await server.create("test/echo", {"text": "z"}))["status"] == "starting"
        said(server, "database: works again after ")
        async with asyncio.timeout(20):
            while attempts(tmp_path, running) == [] or attempts(tmp_path, sent) == []:
                await server.call("GET", "/health")  # the outcome is recorded after the answer to the POST
        assert attempts(tmp_path, sent) == attempts(tmp_path, running) == [(1, 1, "acknowledged")]
        assert sorted(item.id for item in receiver.received) == sorted(
            f"evt_{id_}_1" for id_ in (running, sent)
        )


async def test_a_full_disk_is_a_few_lines_in_the_log(tmp_path: Path, gate: Gate) -> None:
    async with server_on(tmp_path) as server:
        running = await at_the_gate(server, gate)
        disk = Disk(server)
        disk.fill()
        gate.open()
        said(server, f"prediction {running}: ")
        for _ in range(50):
            status, _ = await server.call(
                "POST", "/v1/predictions", {"version": "test/echo", "input": {"text": "y"}}
            )
            assert status == 503
        disk.clear()
        assert (await server.ended(running))["status"] == "succeeded"
        said(server, "works again")
        lines = [line for line in server.log().splitlines() if re.search(r"ERROR|WARNING", line)]
        assert len([line for line in lines if "emptying the log" not in line]) == 3, lines
        assert len(lines) <= 5, lines


async def test_an_output_file_that_there_is_no_room_for_is_stored_when_there_is(
    tmp_path: Path, gate: Gate
) -> None:
    async with server_on(tmp_path) as server:
        running = await at_the_gate(server, gate, size=3_000_064)
        disk = Disk(server)
        disk.fill()
        gate.open()
        said(server, "an output file can't be stored now: File too large")
        disk.clear()
        ended = await server.ended(running)
        assert ended["status"] == "succeeded"
        async with server.session.get(ended["output"][1]) as answer:
            assert await answer.read() == bytes(range(256)) * (3_000_064 // 256)


def started_without_room(data: Path, kilobytes: int) -> subprocess.CompletedProcess[str]:
    command = shlex.join([*COMMAND, "serve", model("test/echo", "echo"), "--data", str(data), "--port", "0"])
    return subprocess.run(
        ["bash", "-c", f"ulimit -f {kilobytes}; exec {command}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_a_start_on_a_full_disk_says_so_in_one_line_and_harms_nothing(tmp_path: Path) -> None:
    new = started_without_room(tmp_path / "new", 0)
    assert (new.returncode, new.stdout) == (2, "")
    assert new.stderr.startswith(f"ringback: can't open the database {tmp_path}/new/ringback.sqlite: ")
    assert len(new.stderr.splitlines()) == 1, new.stderr

    async with receiving() as receiver:
        async with server_on(tmp_path / "used") as server:
            owed = await in_flight(server, receiver)
            server.kill()
            await server.stopped()
        receiver.release()
        # It can be opened and read; the first change finds no room.
        used = started_without_room(tmp_path / "used", 32)
        assert (used.returncode, used.stdout) == (2, "")
        *logged, last = used.stderr.splitlines()
        assert last.startswith(
            f"ringback: can't write to the data folder {tmp_path}/used: the database can't"
        )
        assert all(" ERROR database: " in line for line in logged), used.stderr
        async with server_on(tmp_path / "used"):
            await receiver.until(lambda r: [item.id for item in r.acknowledged][-1:] == [f"evt_{owed}_1"])
