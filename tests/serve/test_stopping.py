"""SIGTERM: no new claims, what runs may finish for a while, what doesn't goes back, and exit code 0."""

import asyncio
import contextlib
import signal
import socket
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from ringback.rules.prediction import INTERRUPTED
from serve.starting import GATE, Gate, Mark, said, terminate
from support.receiver import receiving
from support.server import TOKEN, Server, model, serving

ECHO = model("test/echo", "echo")
COMPLETED = {"webhook_events_filter": ["completed"]}


@asynccontextmanager
async def stopping(folder: Path, drain_s: float = 60.0, mark: Mark | None = None) -> AsyncIterator[Server]:
    """A server that grants running predictions `drain_s` seconds after SIGTERM."""
    config = folder / "ringback.toml"
    config.write_text(f"[server]\ndrain_s = {drain_s}\n[webhooks]\nthrottle_s = 0.02\nretry_base_s = 0.05\n")
    env = None if mark is None else mark.env
    async with serving(ECHO, GATE, "--config", str(config), data=folder / "data", env=env) as server:
        yield server


def stored(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    """Look into the database of a server that is gone."""
    with closing(sqlite3.connect(folder / "data" / "ringback.sqlite")) as connection:
        return connection.execute(sql).fetchall()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_an_idle_server_stops_at_once(tmp_path: Path, number: signal.Signals) -> None:
    mark = Mark()
    async with stopping(tmp_path, mark=mark) as server:
        server.process.send_signal(number)
        assert await server.stopped() == 0
        assert mark.left() == []
        assert "Traceback" not in server.log()


async def test_a_running_prediction_may_finish_and_its_webhook_goes_out(tmp_path: Path, gate: Gate) -> None:
    async with receiving() as receiver, stopping(tmp_path) as server:
        created = await server.create("test/gate", gate.input, webhook=receiver.url)
        queued = await server.create("test/gate", gate.input)
        await gate.arrived()
        await asyncio.to_thread(terminate, server)
        gate.open()
        assert await server.stopped() == 0
        assert "Traceback" not in server.log()
        completed = receiver.acknowledged[-1]
        assert (completed.event, completed.prediction["status"]) == ("completed", "succeeded")
    assert stored(tmp_path, "SELECT id, status, holder FROM predictions ORDER BY id") == [
        (created["id"], "succeeded", None),
        (queued["id"], "starting", None),  # nothing was claimed any more
    ]


async def test_what_does_not_finish_is_handed_back_and_runs_again_from_the_beginning(
    tmp_path: Path, gate: Gate
) -> None:
    mark = Mark()
    async with receiving() as receiver:
        async with stopping(tmp_path, drain_s=0.2, mark=mark) as server:
            created = await server.create("test/gate", gate.input, webhook=receiver.url, **COMPLETED)
            await gate.arrived()
            server.process.terminate()
            assert await server.stopped() == 0
            assert mark.left() == []
            assert "Traceback" not in server.log()
        gate.open()
        assert stored(tmp_path, "SELECT holder, interruptions FROM predictions") == [(None, 0)]
        async with stopping(tmp_path) as server:
            await gate.arrived()
            gate.open()
            ended = await server.ended(created["id"])
            assert (ended["status"], ended["output"]) == ("succeeded", ["before", "after"])
            assert ended["logs"] == "before the gate\n"
            await receiver.until(lambda r: len(r.acknowledged) == 1)
            assert receiver.received[0].prediction == ended
    assert stored(tmp_path, "SELECT interruptions FROM predictions") == [(0,)]


async def test_what_does_not_finish_and_somebody_has_seen_fails_and_says_so_before_the_end(
    tmp_path: Path, gate: Gate
) -> None:
    """To run it again would show its receiver an output that shrinks."""
    async with receiving() as receiver, stopping(tmp_path, drain_s=0.2) as server:
        await server.create(
            "test/gate", gate.input, webhook=receiver.url, webhook_events_filter=["output", "completed"]
        )
        await gate.arrived()
        await receiver.until(lambda r: len(r.acknowledged) == 1)
        server.process.terminate()
        assert await server.stopped() == 0
        assert [item.event for item in receiver.acknowledged] == ["output", "completed"]
        assert receiver.acknowledged[1].prediction["error"] == INTERRUPTED
    assert stored(tmp_path, "SELECT status, interruptions FROM predictions") == [("failed", 0)]


async def test_an_attempt_in_flight_finishes(tmp_path: Path) -> None:
    async with receiving() as receiver, stopping(tmp_path) as server:
        receiver.hold()
        await server.create("test/echo", {"text": "hi"}, webhook=receiver.url)
        await receiver.until(lambda r: r.held == 1)
        await asyncio.to_thread(terminate, server)
        receiver.release()
        assert await server.stopped() == 0
        assert len(receiver.received) == 1
    assert stored(tmp_path, "SELECT status, attempts FROM deliveries") == [("delivered", 1)]
    assert stored(tmp_path, "SELECT holder FROM lanes WHERE holder IS NOT NULL") == []


async def test_a_second_signal_does_not_lose_anything(tmp_path: Path, gate: Gate) -> None:
    async with stopping(tmp_path) as server:
        await server.create("test/gate", gate.input)
        await gate.arrived()
        await asyncio.to_thread(terminate, server)
        server.process.terminate()
        gate.open()
        assert await server.stopped() == 0
    assert stored(tmp_path, "SELECT status FROM predictions") == [("succeeded",)]


async def test_a_server_that_is_stopping_takes_no_more_requests(tmp_path: Path, gate: Gate) -> None:
    async with stopping(tmp_path) as server:
        await server.create("test/gate", gate.input)
        await gate.arrived()
        await asyncio.to_thread(terminate, server)
        await asyncio.to_thread(said, server, "stopping:")
        with pytest.raises(ConnectionError):
            await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
        gate.open()
        assert await server.stopped() == 0


async def test_a_body_that_does_not_come_is_cut_off_and_said_in_one_line(tmp_path: Path) -> None:
    async with stopping(tmp_path, drain_s=0.2) as server:
        asking = [half_a_body(server) for _ in range(2)]
        server.process.terminate()
        assert await server.stopped() == 0
        assert [line.partition(" ")[2].partition(" ")[2] for line in server.log().splitlines()] == [
            "WARNING stopping: cut off what was not through: 2 connections",
            "INFO stopping: running predictions may go on for 0.2 s",
        ]
        for each in asking:
            each.close()


async def test_a_second_signal_cuts_off_a_body_that_does_not_come(tmp_path: Path) -> None:
    async with stopping(tmp_path) as server:
        asking = half_a_body(server)
        server.process.terminate()
        with contextlib.suppress(ConnectionError):
            while True:  # one that is not taken any more says that the first signal has come
                socket.create_connection(("127.0.0.1", port(server)), timeout=20).close()
        server.process.terminate()
        assert await server.stopped() == 0
        assert "Traceback" not in server.log()
        asking.close()


def half_a_body(server: Server) -> socket.socket:
    """Begin a request whose body the server then waits for."""
    asking = socket.create_connection(("127.0.0.1", port(server)), timeout=20)
    head = f"POST /v1/predictions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n"
    asking.sendall(f"{head}content-length: 100\r\nexpect: 100-continue\r\n\r\n".encode())
    assert asking.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
    asking.sendall(b'{"version":')
    return asking


def port(server: Server) -> int:
    return int(server.url.rpartition(":")[2])


async def test_requests_that_wait_and_streams_do_not_hold_it_up(tmp_path: Path, gate: Gate) -> None:
    async with stopping(tmp_path, drain_s=30.0) as server:
        body = {"version": "test/gate", "input": gate.input}
        waiting = asyncio.create_task(
            server.call("POST", "/v1/predictions", body, headers={"prefer": "wait"})
        )
        await gate.arrived()
        _, page = await server.call("GET", "/v1/predictions")
        async with server.session.get(page["results"][0]["urls"]["stream"]) as stream:
            assert await stream.content.readline() == b": hi\n"
            await asyncio.to_thread(terminate, server)
            # Both are answered while the prediction still runs: the gate is shut.
            status, answered = await waiting
            rest = await stream.content.read()
        assert (status, answered["status"]) == (201, "starting")
        assert b"event: done" not in rest
        gate.open()
        assert await server.stopped() == 0
    assert stored(tmp_path, "SELECT status FROM predictions") == [("succeeded",)]
