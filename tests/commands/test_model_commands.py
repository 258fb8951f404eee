"""`ringback models`: what a running server serves, changed without a restart."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from commands.running import Ran, run, run_process
from support.server import MODELS, Server, model, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

ECHO = MODELS / "echo"
PREDICT = "def run(text: str) -> str:\n    return f'{said}: {{text}}'\n"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models") / "data"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(data: Path) -> AsyncIterator[Server]:
    async with serving(model("test/echo", "echo"), data=data) as server:
        yield server
        assert "Traceback" not in server.log()


def written(folder: Path, said: str) -> Path:
    """Write a model that says this; give its folder."""
    folder.mkdir(exist_ok=True)
    (folder / "cog.yaml").write_text("run: predict.py:run\n")
    (folder / "predict.py").write_text(PREDICT.format(said=said))
    return folder


async def listed(data: Path) -> dict[str, dict[str, Any]]:
    done = await run("models", "list", "--json", data=data)
    assert done.code == 0, done.err
    return {each["name"]: each for each in json.loads(done.out)}


async def said(server: Server, name: str) -> str:
    """Run a model to its end; give its output."""
    created = await server.create(name, {"text": "hi"})
    ended = await server.ended(created["id"])
    assert ended["status"] == "succeeded", ended
    return str(ended["output"])


async def done(data: Path, *arguments: str) -> Ran:
    found = await run("models", *arguments, data=data)
    assert found.code == 0, found.err
    return found


async def test_a_model_is_added_loaded_anew_and_removed_while_the_server_runs(
    server: Server, data: Path, tmp_path: Path
) -> None:
    folder = written(tmp_path / "greet", "one")
    added = await done(data, "add", f"test/greet={folder}", "--set", "timeout_s=60", "--set", "rerun=never")
    assert added.out == "test/greet is served\n"
    assert await said(server, "test/greet") == "one: hi"
    before = (await listed(data))["test/greet"]
    assert (before["made_by"], before["folder"], before["max_replicas"]) == ("command", str(folder), 1)
    written(folder, "two")
    await done(data, "reload", "test/greet")
    assert await said(server, "test/greet") == "two: hi"
    assert (await listed(data))["test/greet"]["version"] != before["version"]
    await done(data, "remove", "test/greet")
    status, _ = await server.call("POST", "/v1/predictions", {"version": "test/greet", "input": {}})
    assert status == 422
    assert set(await listed(data)) == {"test/echo"}


async def test_all_are_loaded_anew_without_a_name(server: Server, data: Path) -> None:
    found = await done(data, "reload")
    version = (await listed(data))["test/echo"]["version"]
    assert found.out == f"test/echo is served as version {version}\n"


async def test_the_list_tells_where_a_model_is_from(server: Server, data: Path) -> None:
    found = await done(data, "list")
    head, line = found.out.splitlines()
    assert head.split() == ["MODEL", "VERSION", "LATEST", "RUNNING", "WAITING", "FROM", "FOLDER"]
    assert line.split()[0] == "test/echo"
    assert (line.split()[2], line.split()[4:]) == ("same", ["0", "configuration", str(ECHO)])


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("raise RuntimeError('not today')\n", "not today"),
        ("import nothing_of_that_name\n", "nothing_of_that_name"),
        ("def other() -> str: ...\n", "run"),
    ],
)
async def test_what_can_not_be_imported_is_told_in_a_line_and_not_kept(
    server: Server, data: Path, tmp_path: Path, source: str, told: str
) -> None:
    folder = written(tmp_path / "broken", "x")
    (folder / "predict.py").write_text(source)
    found = await run("models", "add", f"test/broken={folder}", data=data)
    assert (found.code, told in found.complaint) == (1, True)
    assert "test/broken" not in await listed(data)
    written(folder, "mended")
    await done(data, "add", f"test/broken={folder}")  # nothing of the first attempt is in the way
    assert await said(server, "test/broken") == "mended: hi"
    (folder / "predict.py").write_text(source)
    again = await run("models", "reload", "test/broken", data=data)
    assert (again.code, told in again.complaint) == (1, True)
    assert await said(server, "test/broken") == "mended: hi"
    await done(data, "remove", "test/broken")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["add", "test/new"], 2, "expected OWNER/NAME=DIR"),
        (["add", "test/new=/no/such/folder"], 1, "there is no cog.yaml (no such folder)"),
        (["add", f"new={ECHO}"], 1, "expected owner/name"),
        (["add", f"test/echo={ECHO}"], 1, "`ringback models reload test/echo`"),
        (["add", f"test/new={ECHO}", "--set", "timeout=5"], 1, "the nearest is 'timeout_s'"),
        (["add", f"test/new={ECHO}", "--set", "timeout_s=-1"], 1, "timeout_s must be above 0"),
        (["add", f"test/new={ECHO}", "--set", "timeout_s"], 1, "timeout_s"),
        (["remove", "test/echo"], 1, "configuration"),
        (["remove", "test/none"], 1, "test/none"),
        (["reload", "test/none"], 1, "test/none"),
        (["example", "add", "01jc0v5m6y4q0w8zj3k2n1p0r9"], 1, "that has succeeded"),
        (["example", "remove", "01jc0v5m6y4q0w8zj3k2n1p0r9"], 1, "is no example"),
    ],
)
async def test_what_can_not_be_done_is_one_line(
    server: Server, data: Path, arguments: list[str], code: int, told: str
) -> None:
    found = await run("models", *arguments, data=data)
    assert (found.code, told in found.complaint) == (code, True), found
    assert set(await listed(data)) == {"test/echo"}


async def test_a_prediction_becomes_an_example_of_its_model_and_no_example_again(
    server: Server, data: Path
) -> None:
    created = await server.create("test/echo", {"text": "look"})
    await server.ended(created["id"])
    await done(data, "example", "add", created["id"])
    _, page = await server.call("GET", "/v1/models/test/echo/examples")
    assert [each["id"] for each in page["results"]] == [created["id"]]
    await done(data, "example", "remove", created["id"])
    _, page = await server.call("GET", "/v1/models/test/echo/examples")
    assert page["results"] == []


async def test_what_was_added_is_served_after_a_restart_and_what_was_removed_is_not(tmp_path: Path) -> None:
    data, kept, gone = tmp_path / "data", written(tmp_path / "kept", "kept"), written(tmp_path / "gone", "x")
    async with serving(data=data) as server:
        await done(data, "add", f"test/kept={kept}", f"test/gone={gone}")
        await done(data, "remove", "test/gone")
        server.kill()
        await server.stopped()
    async with serving(data=data) as server:
        assert await said(server, "test/kept") == "kept: hi"
        assert set(await listed(data)) == {"test/kept"}


async def test_a_folder_that_is_gone_is_logged_and_the_server_starts(tmp_path: Path) -> None:
    data, folder = tmp_path / "data", written(tmp_path / "model", "x")
    async with serving(data=data) as server:
        await done(data, "add", f"test/model={folder}")
        server.kill()
        await server.stopped()
    (folder / "cog.yaml").unlink()
    async with serving(data=data) as server:
        assert "test/model" in server.log()
        assert await listed(data) == {}
        written(folder, "back")
        await done(data, "add", f"test/model={folder}")
        assert await said(server, "test/model") == "back: hi"


async def test_several_at_a_time_do_not_get_in_each_others_way(
    server: Server, data: Path, tmp_path: Path
) -> None:
    folders = {f"test/m{number}": written(tmp_path / f"m{number}", f"m{number}") for number in range(3)}
    added = [run_process("models", "add", f"{name}={folder}", data=data) for name, folder in folders.items()]
    assert [each.code for each in await asyncio.gather(*added)] == [0, 0, 0]
    assert set(await listed(data)) == {"test/echo", *folders}
    assert await asyncio.gather(*(said(server, name) for name in folders)) == ["m0: hi", "m1: hi", "m2: hi"]
    for name in folders:
        await done(data, "remove", name)


async def test_without_a_server_it_is_said_that_there_is_none(tmp_path: Path) -> None:
    data = tmp_path / "data"
    await run("token", "new", data=data)
    for arguments in (["list"], ["add", f"test/echo={ECHO}"], ["remove", "test/echo"], ["reload"]):
        found = await run("models", *arguments, data=data)
        assert (found.code, "no server is running" in found.complaint) == (2, True)
