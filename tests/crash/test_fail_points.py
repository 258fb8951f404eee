"""kill -9 of a real server at each point at which a crash could part what belongs together."""

import asyncio
import contextlib
import os
import socket
import sqlite3
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from crash import points
from crash.killing import MODELS, SERVER, Load, check_order, completed, hooked_server
from ringback.rules.prediction import mask
from ringback.store.migrations import scripts
from ringback.words.ids import PredictionIds
from ringback.words.signature import verify
from support.receiver import Received, Receiver, receiving
from support.server import TOKEN, Server, serving

PENDING = "SELECT count(*) FROM deliveries WHERE status = 'pending'"
LOADERS = 2
CONFIG = "[webhooks]\nretry_base_s = 0.1\nretry_cap_s = 0.2\nthrottle_s = 0.02\n"
SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
HOUR_US = 3600 * 1_000_000


def every_third_fails_once(item: Received) -> web.StreamResponse:
    fails = item.attempt == 1 and sum(item.id.encode()) % 3 == 0
    return web.Response(status=500 if fails else 200)


async def reached(hook: socket.socket, point: str) -> None:
    """Wait until the armed server stands at its point."""
    async with asyncio.timeout(20):
        assert await asyncio.get_running_loop().sock_recv(hook, 64) != b"", f"died before {point}"


def rows(data: Path, sql: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(data / "ringback.sqlite")) as connection:
        return connection.execute(sql).fetchall()


async def asked(server: Server, receiver: Receiver, point: str) -> None:
    """Ask for what brings an armed server to `point`; it is killed before it answers."""
    path = "/v1/webhooks/default/secret/rotate"
    if point == points.RESENDING:
        last = next(item.id for item in reversed(receiver.acknowledged) if item.event == "completed")
        path = f"/v1/webhooks/deliveries/{last}/resend"
    with contextlib.suppress(aiohttp.ClientError):
        await server.call("POST", path)


def check_all(data: Path, receiver: Receiver, accepted: Sequence[str], secret: str) -> None:
    """What must hold once everything has been delivered, whatever was killed before."""
    check_order(receiver.received)
    ended = dict(rows(data, "SELECT id, status FROM predictions"))
    assert set(accepted) <= set(ended)
    assert set(ended.values()) <= {"succeeded", "failed"}
    finals = rows(data, "SELECT prediction_id, status FROM deliveries WHERE event = 'completed'")
    assert sorted(finals) == [(id_, "delivered") for id_ in sorted(ended)]
    assert rows(data, "SELECT * FROM deliveries WHERE status IN ('pending', 'dead')") == []
    assert rows(data, "SELECT * FROM lanes") == []
    seen = {(item.id, item.attempt) for item in receiver.received}
    kept = rows(data, "SELECT 'evt_' || prediction_id || '_' || number, attempt FROM attempts")
    assert seen <= set(kept)
    for item in receiver.received:
        stamp = item.headers["webhook-timestamp"]
        verify(secret, item.id, stamp, item.body, item.headers["webhook-signature"], now=int(stamp))


@pytest.mark.parametrize("point", points.SERVING)
async def test_a_server_killed_at_this_point_loses_and_repeats_nothing(tmp_path: Path, point: str) -> None:
    config = tmp_path / "ringback.toml"
    config.write_text(CONFIG)
    data = tmp_path / "data"
    async with receiving() as receiver:
        receiver.answer = every_third_fails_once
        load = Load(receiver.url)
        async with hooked_server(data, config, point) as (server, hook):
            secret = await server.secret()
            loading = asyncio.gather(*(load.run(server) for _ in range(LOADERS)))
            await receiver.until(lambda r: len(r.acknowledged) >= 10 and bool(completed(r)))
            hook.send(b"a")
            asking = asyncio.create_task(asked(server, receiver, point)) if point in points.ASKED else None
            await reached(hook, point)
            server.kill()
            await server.stopped()
            await loading
            if asking is not None:
                await asking
        async with hooked_server(data, config) as (server, _hook):
            for id_ in load.accepted:
                await server.ended(id_)
            everybody = {id_ for (id_,) in rows(data, "SELECT id FROM predictions")}
            await receiver.until(lambda r: everybody <= completed(r))
            async with asyncio.timeout(20):
                while rows(data, "SELECT 1 FROM lanes"):
                    await server.call("GET", "/health")  # the last outcomes are recorded after their answers
            assert await server.secret() == secret  # what was not committed has not happened
            check_all(data, receiver, load.accepted, secret)


def write_schema_1(path: Path, url: str, owed: int, later: int) -> list[str]:
    """Write a database as the first release left it; give the ids of what it owes now."""
    origin = url.removesuffix("/hook")
    ids = PredictionIds(os.urandom)
    now = time.time_ns() // 1000
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(f"BEGIN;\n{scripts()[0][1]}\nPRAGMA user_version = 1;")
        connection.execute("INSERT INTO accounts VALUES ('acct_1', 'ringback', ?)", (now,))
        connection.execute("INSERT INTO secrets VALUES ('s1', 'acct_1', ?, ?, NULL)", (SECRET, now))
        made = [ids.make(now + number) for number in range(owed + later)]
        connection.executemany(
            "INSERT INTO predictions (id, account_id, version_id, model, input, status, "
            "created_at, started_at, completed_at, webhook, endpoint, origin, events) "
            "VALUES (?, 'acct_1', ?, 'test/echo', '{}', 'succeeded', ?, ?, ?, ?, ?, ?, ?)",
            [(id_, "ab" * 32, now, now, now, url, url, origin, mask(("completed",))) for id_ in made],
        )
        dues = [now] * owed + [now + HOUR_US] * later
        connection.executemany(
            "INSERT INTO deliveries (prediction_id, number, event, snapshot, upto, due_at, created_at) "
            "VALUES (?, 1, 'completed', 'succeeded', 0, ?, ?)",
            [(id_, due, now) for id_, due in zip(made, dues, strict=True)],
        )
        connection.execute(
            "UPDATE deliveries "
            "SET attempts = 1, first_at = created_at, attempted_at = created_at, body = '{}', "
            "digest = '44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a', length = 2 "
            "WHERE due_at > created_at"
        )
        connection.executemany(
            "INSERT INTO lanes (prediction_id, origin, due_at, last_number, closed) "
            "VALUES (?, ?, ?, 1, TRUE)",
            [(id_, origin, due) for id_, due in zip(made, dues, strict=True)],
        )
        connection.execute("COMMIT")
    return made[:owed]


def killed_while_migrating(data: Path, point: str) -> None:
    """Start a server on `data` and kill it when it has come to `point`."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(20)
        ours.send(b"a")
        env = {"RINGBACK_TEST_HOOK": str(theirs.fileno()), "RINGBACK_TEST_POINT": point}
        process = subprocess.Popen(
            [*SERVER, "serve", *MODELS, "--data", str(data), "--port", "0"],
            env={**os.environ, "REPLICATE_API_TOKEN": TOKEN, **env},
            pass_fds=(theirs.fileno(),),
        )
        try:
            theirs.close()
            assert ours.recv(64) == b"reached\n"
        finally:
            process.kill()
            process.wait()


@pytest.mark.parametrize("point", points.STARTING)
async def test_a_server_killed_while_it_migrates_goes_on_from_what_was_there(
    tmp_path: Path, point: str
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    async with receiving() as receiver:
        owed = write_schema_1(data / "ringback.sqlite", receiver.url, owed=100, later=3000)
        before = rows(data, "SELECT * FROM lanes ORDER BY 1")
        killed_while_migrating(data, point)
        assert rows(data, "PRAGMA user_version") == [(1,)]
        assert rows(data, "SELECT * FROM lanes ORDER BY 1") == before
        assert receiver.received == []
        async with serving(*MODELS, data=data):
            await receiver.until(lambda r: completed(r) == set(owed))
            assert rows(data, "PRAGMA user_version") == [(scripts()[-1][0],)]
            assert rows(data, "PRAGMA integrity_check") == [("ok",)]
            # What the receiver has answered is written down a moment later; nobody outside is told of that.
            async with asyncio.timeout(20):
                while rows(data, PENDING) != [(3000,)]:  # noqa: ASYNC110 - as the line above says
                    await asyncio.sleep(0.01)
        assert len(receiver.received) == len(owed)
        assert {item.number for item in receiver.received} == {1}
        for item in receiver.received:
            stamp = item.headers["webhook-timestamp"]
            verify(SECRET, item.id, stamp, item.body, item.headers["webhook-signature"], now=int(stamp))
