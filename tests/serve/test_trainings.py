"""Trainings of a real model: what comes of them can be run, is delivered, and survives."""

import asyncio
import base64
import contextlib
import socket
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from commands.running import run
from crash.killing import SERVER
from crash.points import BEFORE_COMMIT, TRAINED
from ringback.words.signature import verify
from serve.starting import Gate
from support.receiver import receiving
from support.server import MODELS, Server, model, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

LINE = model("test/line", "line")
POINTS = "\n".join(f"{x / 10},{3 * x / 10 - 2}" for x in range(-20, 21))
"""y = 3 x - 2"""


def data_uri(text: str) -> str:
    return "data:text/csv;base64," + base64.b64encode(text.encode()).decode()


async def version_of(server: Server, name: str = "test/line") -> str:
    """The latest version of a model."""
    status, body = await server.call("GET", f"/v1/models/{name}")
    assert status == 200, body
    return str(body["latest_version"]["id"])


async def train(
    server: Server, base: str, destination: str = "test/line", points: str = POINTS, **more: Any
) -> dict[str, Any]:
    """Create a training; it must be accepted."""
    input_ = {"points": data_uri(points), **more.pop("input", {})}
    body = {"destination": destination, "input": input_, **more}
    status, made = await server.call("POST", f"/v1/models/test/line/versions/{base}/trainings", body)
    assert status == 201, made
    created: dict[str, Any] = made
    return created


async def trained(server: Server, base: str, destination: str = "test/line", **more: Any) -> dict[str, Any]:
    """Train, and wait until it has succeeded."""
    created = await train(server, base, destination, **more)
    ended = await server.ended(created["id"])
    assert ended["status"] == "succeeded", ended
    return ended


async def at(server: Server, version: str, x: float) -> float:
    """What a version says for x, by a prediction."""
    ended = await server.ended((await server.create(version, {"x": x}))["id"])
    assert ended["status"] == "succeeded", ended
    return float(ended["output"])


def made(ended: dict[str, Any]) -> str:
    """The id of the version that a training has made."""
    return str(ended["output"]["version"].partition(":")[2])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    async with serving(LINE, data=tmp_path_factory.mktemp("trainings") / "data") as found:
        yield found
        assert "Traceback" not in found.log()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def base(server: Server) -> str:
    """The version that the folder makes."""
    return await version_of(server)


async def test_a_training_makes_a_version_that_predicts_what_it_has_learned(
    server: Server, base: str
) -> None:
    assert await at(server, "test/line", 10) == 10
    created = await train(server, base)
    assert (created["status"], created["model"], created["version"]) == ("starting", "test/line", base)
    ended = await server.ended(created["id"])
    _, shown = await server.call("GET", f"/v1/trainings/{created['id']}")
    assert shown == ended
    assert ended["urls"]["get"].endswith(f"/v1/trainings/{created['id']}")
    assert ended["logs"] == "fitted 41 points in 300 steps\n"
    assert ended["metrics"]["predict_time"] > 0
    assert sorted(ended["output"]) == ["loss", "version", "weights"]
    assert ended["output"]["loss"] < 1e-9
    assert ended["output"]["version"].startswith("test/line:")
    async with server.session.get(ended["output"]["weights"]) as answer:
        assert (await answer.json(content_type=None))["slope"] == pytest.approx(3)
    assert await version_of(server) == made(ended)
    assert await at(server, made(ended), 10) == pytest.approx(28)
    assert await at(server, "test/line", 0) == pytest.approx(-2)
    assert await at(server, ended["output"]["version"], 1) == pytest.approx(1)
    assert await at(server, base, 10) == 10


async def test_a_version_that_was_trained_is_trained_on_from_its_weights(server: Server, base: str) -> None:
    first = await trained(server, base)
    second = await trained(server, made(first), input={"steps": 0})
    assert second["output"]["loss"] == first["output"]["loss"]
    assert made(second) != made(first)
    assert await at(server, "test/line", 10) == pytest.approx(28)


async def test_a_training_makes_the_first_version_of_a_model_that_an_account_has_made(
    server: Server, base: str
) -> None:
    before = await version_of(server)
    _, account = await server.call("GET", "/v1/account")
    name = f"{account['username']}/fitted"
    body = {"owner": account["username"], "name": "fitted", "visibility": "private", "hardware": "cpu"}
    status, found = await server.call("POST", "/v1/models", body)
    assert status == 201, found
    ended = await trained(server, base, name)
    assert ended["output"]["version"].startswith(f"{name}:")
    assert await version_of(server, name) == made(ended)
    assert await version_of(server) == before
    assert await at(server, name, 10) == pytest.approx(28)


async def test_the_webhooks_of_a_training_are_signed_and_hold_the_training(server: Server, base: str) -> None:
    async with receiving() as receiver:
        created = await train(
            server, base, webhook=receiver.url, webhook_events_filter=["start", "logs", "output", "completed"]
        )
        await receiver.until(lambda r: any(item.event == "completed" for item in r.acknowledged))
        secret = await server.secret()
        for item in receiver.received:
            stamp = item.headers["webhook-timestamp"]
            verify(secret, item.id, stamp, item.body, item.headers["webhook-signature"], now=int(stamp))
            assert item.prediction["id"] == created["id"]
        last = receiver.acknowledged[-1]
        _, shown = await server.call("GET", f"/v1/trainings/{created['id']}")
        assert last.prediction == shown
        assert last.prediction["urls"]["get"] == created["urls"]["get"]
        assert all(item.prediction["output"] is None for item in receiver.received if item.id != last.id)
        assert await at(server, last.prediction["output"]["version"], 10) == pytest.approx(28)


async def test_a_training_that_raises_fails_with_its_reason_and_makes_nothing(
    server: Server, base: str
) -> None:
    before = await version_of(server)
    ended = await server.ended((await train(server, base, points=""))["id"])
    assert (ended["status"], ended["error"]) == ("failed", "no points: expected lines of x,y")
    assert ended["output"] is None
    assert await version_of(server) == before


async def test_a_training_that_is_canceled_stops_and_makes_nothing(
    server: Server, base: str, gate: Gate
) -> None:
    created = await train(server, base, input={"gate": gate.input["port"]})
    await gate.arrived()
    status, canceled = await server.call("POST", f"/v1/trainings/{created['id']}/cancel")
    assert (status, canceled["status"], canceled["id"]) == (200, "canceled", created["id"])
    ended = await trained(server, base)  # the next one is not held up by it
    assert await version_of(server) == made(ended)
    _, shown = await server.call("GET", f"/v1/trainings/{created['id']}")
    assert (shown["status"], shown["output"]) == ("canceled", None)


async def test_predictions_go_on_while_a_training_runs(server: Server, base: str, gate: Gate) -> None:
    created = await train(server, base, input={"gate": gate.input["port"]})
    await gate.arrived()
    assert await at(server, base, 5) == 5
    gate.open()
    assert (await server.ended(created["id"]))["status"] == "succeeded"


async def test_a_version_shows_what_a_training_takes_and_gives(server: Server, base: str) -> None:
    _, shown = await server.call("GET", f"/v1/models/test/line/versions/{base}")
    schemas = shown["openapi_schema"]["components"]["schemas"]
    assert schemas["TrainingInput"]["required"] == ["points"]
    assert schemas["TrainingOutput"] == {"$ref": "#/components/schemas/Fitted"}
    assert schemas["Input"]["required"] == ["x"]


async def test_what_a_training_made_survives_a_server_that_is_killed(tmp_path: Path) -> None:
    async with serving(LINE, data=tmp_path / "data") as server:
        base = await version_of(server)
        ended = await trained(server, base)
        server.kill()
        await server.stopped()
    async with serving(LINE, data=tmp_path / "data") as server:
        assert await version_of(server) == made(ended)
        assert await at(server, "test/line", 10) == pytest.approx(28)
        assert await at(server, base, 10) == 10


async def test_the_operator_is_told_that_a_training_made_the_latest_version_and_goes_back(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    async with serving(LINE, data=data) as server:
        own = await version_of(server)
        latest = made(await trained(server, own))
        _, line = (await run("models", "list", data=data)).out.splitlines()
        assert line.split()[:3] == ["test/line", own[:12], latest[:12]]
        told = (await run("models", "reload", data=data)).out
        assert f"test/line is unchanged, version {own}; test/line means {latest[:12]}…, made by" in told
        assert await version_of(server) == latest
        assert (await server.call("DELETE", f"/v1/models/test/line/versions/{latest}"))[0] == 202
        assert await version_of(server) == own
        told = (await run("models", "reload", "test/line", data=data)).out
        assert told == f"test/line is served as version {own}\n"


async def test_a_version_outlives_the_model_it_was_trained_from(tmp_path: Path) -> None:
    folder = tmp_path / "line"
    folder.mkdir()
    for path in (MODELS / "line").iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    async with serving(f"test/line={folder}", data=tmp_path / "data") as server:
        ended = await trained(server, await version_of(server))
    (folder / "predict.py").write_text("def run(x: float) -> float:\n    return 0.0\n")
    (folder / "cog.yaml").write_text("run: predict.py:run\n")
    async with serving(f"test/line={folder}", data=tmp_path / "data") as server:
        assert await at(server, made(ended), 10) == pytest.approx(28)
        assert await at(server, "test/line", 10) == 0  # what the folder holds now is newer


@asynccontextmanager
async def stopping(data: Path, point: str) -> AsyncIterator[tuple[Server, socket.socket]]:
    """Run a server that stops at `point` once the socket has said `a`."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    env = {"RINGBACK_TEST_HOOK": str(theirs.fileno()), "RINGBACK_TEST_POINT": point}
    with ours, theirs:
        async with serving(LINE, data=data, command=SERVER, env=env, pass_fds=(theirs.fileno(),)) as server:
            yield server, ours


async def stands(hook: socket.socket) -> None:
    """Wait until the armed server stands before a commit."""
    async with asyncio.timeout(20):
        assert await asyncio.get_running_loop().sock_recv(hook, 64)


def state(data: Path) -> tuple[str, int]:
    """The status of the training, and how many versions there are, as they are on the disk."""
    found = "SELECT status, (SELECT count(*) FROM versions) FROM predictions WHERE kind = 'training'"
    with contextlib.closing(sqlite3.connect(data / "ringback.sqlite")) as connection:
        status, versions = connection.execute(found).fetchone()
        return str(status), int(versions)


async def ask_for_one(server: Server) -> None:
    """Bring about one more commit; the server is killed before it answers."""
    with contextlib.suppress(aiohttp.ClientError):
        await server.create("test/line", {"x": 1})


async def begun(server: Server, gate: Gate) -> str:
    """Create a training, which prints nothing and waits at the gate; give its id."""
    created = await train(server, await version_of(server), input={"gate": gate.input["port"], "quiet": True})
    await gate.arrived()
    await server.reached(created["id"], "processing")
    return str(created["id"])


async def check_end(server: Server, id_: str) -> None:
    """Check that a training has ended as if no server had been killed."""
    ended = await server.ended(id_)
    assert ended["status"] == "succeeded"
    assert await version_of(server) == made(ended)
    assert await at(server, "test/line", 10) == pytest.approx(28)
    _, page = await server.call("GET", "/v1/models/test/line/versions")
    assert len(page["results"]) == 2


async def test_a_kill_before_the_commit_of_a_trainings_end_leaves_neither_the_end_nor_the_version(
    tmp_path: Path, gate: Gate
) -> None:
    data = tmp_path / "data"
    async with stopping(data, TRAINED) as (server, hook):
        id_ = await begun(server, gate)
        hook.send(b"a")
        gate.open()
        await stands(hook)
        server.kill()
        await server.stopped()
        assert state(data) == ("processing", 1)
    async with serving(LINE, data=data) as server:
        await gate.arrived()  # nobody has seen anything of it: it runs again
        gate.open()
        await check_end(server, id_)


async def test_no_commit_has_the_end_of_a_training_without_its_version_or_the_other_way_round(
    tmp_path: Path, gate: Gate
) -> None:
    data = tmp_path / "data"
    async with stopping(data, BEFORE_COMMIT) as (server, hook):
        id_ = await begun(server, gate)
        hook.send(b"a")
        gate.open()
        await stands(hook)
        asking = asyncio.create_task(ask_for_one(server))
        while state(data) == ("processing", 1):
            hook.send(b"ga")
            await stands(hook)
        assert state(data) == ("succeeded", 2)
        server.kill()
        await server.stopped()
        await asking
    async with serving(LINE, data=data) as server:
        await check_end(server, id_)
