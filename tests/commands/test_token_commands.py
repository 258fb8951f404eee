"""`ringback token`: accounts and their tokens, with a running server and without."""

import asyncio
import contextlib
import json
import os
import re
import socket
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from api.asking import ask
from commands.running import Ran, run, run_process
from support.server import COMMAND, TOKEN, Server, model, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKEN_FORM = re.compile(r"r8_[0-9a-z]{37}\n")
ID_FORM = re.compile(r"tok_[0-9a-f]{12}")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tokens") / "data"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(data: Path) -> AsyncIterator[Server]:
    async with serving(model("test/echo", "echo"), data=data) as server:
        yield server
        assert "Traceback" not in server.log()


async def listed(data: Path, *more: str) -> list[dict[str, Any]]:
    done = await run("token", "list", "--json", *more, data=data)
    assert done.code == 0, done.err
    found: list[dict[str, Any]] = json.loads(done.out)
    return found


async def made(data: Path, *more: str) -> tuple[str, str]:
    """Make a token; give it and its id."""
    done = await run("token", "new", *more, data=data)
    assert (done.code, TOKEN_FORM.fullmatch(done.out) is not None) == (0, True), done
    (id_,) = ID_FORM.findall(done.err)
    return done.out.strip(), id_


async def answers(server: Server, token: str) -> int:
    return (await ask(server, "GET", "/v1/predictions", token=token)).status


async def secret(server: Server, token: str) -> str:
    answer = await ask(server, "GET", "/v1/webhooks/default/secret", token=token)
    assert answer.status == 200
    return str(answer.json["key"])


async def test_a_new_token_is_alone_on_standard_output_and_works_at_once(server: Server, data: Path) -> None:
    done = await run_process("token", "new", "--name", "laptop", data=data)
    assert (done.code, TOKEN_FORM.fullmatch(done.out) is not None) == (0, True), done
    token, id_ = done.out.strip(), ID_FORM.findall(done.err)[0]
    assert await answers(server, token) == 200
    assert token not in server.log()
    (found,) = [each for each in await listed(data) if each["id"] == id_]
    assert (found["hint"], found["account"], found["name"]) == (token[:6], "ringback", "laptop")
    assert found["revoked_at"] is None


async def test_an_account_is_made_with_its_first_token_and_its_own_secret(server: Server, data: Path) -> None:
    anna, _ = await made(data, "--account", "anna")
    again, _ = await made(data, "--account", "anna")
    bert, _ = await made(data, "--account", "bert")
    secrets = [await secret(server, token) for token in (TOKEN, anna, again, bert)]
    assert secrets[1] == secrets[2]
    assert len(set(secrets)) == 3
    assert all(re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", each) for each in secrets)
    assert {each["account"] for each in await listed(data, "--account", "anna")} == {"anna"}


async def test_tokens_are_kept_nowhere(server: Server, data: Path) -> None:
    token, _ = await made(data)
    files = [path for path in data.rglob("*") if path.is_file()]
    assert any(path.name == "ringback.sqlite" for path in files)
    assert not any(token.encode() in path.read_bytes() for path in files)
    shown = await run("token", "list", data=data)
    assert token[:6] in shown.out
    assert token[:7] not in shown.out


async def test_a_revoked_token_is_refused_at_once_even_if_it_was_used_just_now(
    server: Server, data: Path
) -> None:
    token, id_ = await made(data)
    other, _ = await made(data)
    assert await answers(server, token) == 200
    done = await run("token", "revoke", id_, data=data)
    assert (done.code, done.out) == (0, f"{id_} is revoked\n")
    assert await answers(server, token) == 401
    assert await answers(server, other) == 200
    (found,) = [each for each in await listed(data) if each["id"] == id_]
    assert found["revoked_at"] is not None
    again = await run("token", "revoke", id_, data=data)
    assert (again.code, id_ in again.complaint) == (1, True)


async def test_without_a_server_the_same_commands_do_the_same(tmp_path: Path) -> None:
    data = tmp_path / "data"
    anna, _ = await made(data, "--account", "anna")
    gone, id_ = await made(data)
    assert (await run("token", "revoke", id_, data=data)).code == 0
    assert [each["account"] for each in await listed(data)] == ["anna", "ringback"]
    async with serving(data=data) as server:
        assert await answers(server, anna) == 200
        assert await answers(server, gone) == 401
        assert await secret(server, anna) != await secret(server, TOKEN)  # the first account is not anna's


async def test_the_token_of_the_first_start_is_listed_and_can_be_revoked(tmp_path: Path) -> None:
    async with serving(data=tmp_path / "data", env={"REPLICATE_API_TOKEN": ""}) as server:
        (found,) = await listed(tmp_path / "data")
        assert (found["account"], found["name"]) == ("ringback", "first start")
        assert found["hint"].startswith("r8_")
        assert (await run("token", "revoke", found["id"], data=tmp_path / "data")).code == 0
        server.process.terminate()
        assert await server.stopped() == 0


@pytest.mark.parametrize(
    "wrong", [["--account", "Anna B"], ["--account", "../x"], ["--account", "a" * 65], ["--name", "a\nb"]]
)
async def test_a_name_that_is_none_is_said_and_nothing_is_made(
    server: Server, data: Path, wrong: list[str]
) -> None:
    before = await listed(data)
    done = await run("token", "new", *wrong, data=data)
    assert done.code == 1
    assert done.complaint
    assert await listed(data) == before


async def test_a_folder_without_data_is_said_and_not_made(tmp_path: Path) -> None:
    for verb in (["list"], ["revoke", "tok_x"]):
        done = await run("token", *verb, data=tmp_path / "typo")
        assert (done.code, "--data" in done.complaint) == (2, True)
    assert not (tmp_path / "typo").exists()


async def test_while_the_server_starts_a_command_waits_for_it(tmp_path: Path) -> None:
    """The lock is held, and nobody listens yet."""
    data = tmp_path / "data"
    await made(data)
    with _locked(data):
        waiting = asyncio.ensure_future(run("token", "list", data=data))
        server = await _answering(data)
        done: Ran = await waiting
    server.close()
    assert (done.code, "no tokens" in done.out) == (0, True)


@contextlib.contextmanager
def _locked(data: Path) -> Iterator[None]:
    import fcntl  # noqa: PLC0415

    held = os.open(data / "lock", os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(held)


async def _answering(data: Path) -> asyncio.Server:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b'{"done":[]}\n')
        writer.close()

    return await asyncio.start_unix_server(answer, data / "control.sock")


# The socket


def connected(data: Path) -> socket.socket:
    """Speak to the server without the command."""
    found = socket.socket(socket.AF_UNIX)
    found.settimeout(20)
    with _in(data):
        found.connect("control.sock")
    return found


@contextlib.contextmanager
def _in(folder: Path) -> Iterator[None]:
    with contextlib.chdir(folder):
        yield


def spoken(data: Path, line: bytes) -> bytes:
    with connected(data) as asking:
        with contextlib.suppress(OSError):
            asking.sendall(line)
        with contextlib.suppress(ConnectionError):
            return asking.recv(65536)
        return b""


async def test_nobody_but_the_owner_can_open_the_socket(server: Server, data: Path) -> None:
    mode = (data / "control.sock").stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"\xff\xfe\n",
        b"[]\n",
        b"{}\n",
        b'{"order":"token new"}\n',
        b'{"order":"shut down"}\n',
        b'{"order":"token list","account":1}\n',
        b'{"order":"token list","account":"","more":1}\n',
        b'{"order":"models example","action":"burn","prediction":"x"}\n',
        b"[" * 10_000 + b"\n",
        b'{"order":"models add","name":"a/b","settings":{"dir":' + b"[" * 60_000 + b"\n",
        b'{"order":"models add","name":"a/b","settings":{"dir":"a\\u0000b"}}\n',
        b'{"order":"models add","name":"a/b","settings":{"dir":"a","python":"\\u0000"}}\n',
        b'{"order":"models add","name":"a/b","settings":{"dir":"a","max_replicas":9999999999999999999}}\n',
    ],
    ids=lambda line: repr(line[:40]),
)
async def test_what_is_no_order_is_answered_and_changes_nothing(
    server: Server, data: Path, line: bytes
) -> None:
    before = await listed(data)
    answer = json.loads(await asyncio.to_thread(spoken, data, line))
    assert "\n" not in answer["fault"]
    assert "its log says" not in answer["fault"]
    assert await listed(data) == before


async def test_an_order_without_end_is_cut_off_and_the_next_one_is_answered(
    server: Server, data: Path
) -> None:
    answer = json.loads(await asyncio.to_thread(spoken, data, b"x" * 5_000_000))
    assert answer == {"fault": "the order is over the limit of 65,536 bytes"}
    done = await run("token", "new", "--name", "x" * 70_000, data=data)
    assert done.complaint == "the order is over the limit of 65,536 bytes"
    assert await listed(data)


async def test_a_path_longer_than_a_sockets_address_may_be(tmp_path: Path) -> None:
    data = tmp_path / ("long" * 30) / ("longer" * 20)
    async with serving(data=data) as server:
        token, _ = await made(data)
        assert await answers(server, token) == 200


async def test_a_killed_servers_socket_is_in_nobodys_way(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with serving(data=data) as server:
        server.kill()
        await server.stopped()
    assert (data / "control.sock").exists()
    await made(data)  # by itself
    async with serving(data=data) as server:
        token, _ = await made(data)
        assert await answers(server, token) == 200
        server.process.terminate()
        assert await server.stopped() == 0
    assert not (data / "control.sock").exists()


async def test_where_no_socket_can_be_made_the_server_starts_and_says_so(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "control.sock").mkdir(parents=True)
    async with serving(data=data) as server:
        assert await answers(server, TOKEN) == 200
        assert "can't make control.sock" in server.log()


async def test_a_server_that_goes_away_in_the_middle_is_said(tmp_path: Path) -> None:
    data = tmp_path / "data"
    await made(data)

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    async with await asyncio.start_unix_server(hang_up, data / "control.sock"):
        done = await run("token", "list", data=data)
    assert (done.code, "before it answered" in done.complaint) == (2, True)


async def test_the_folder_may_be_named_by_an_option(data: Path, server: Server, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "token", "list", "--data", os.path.relpath(data, tmp_path), cwd=tmp_path, stdout=-1
    )
    out, _ = await process.communicate()
    assert (process.returncode, out.startswith(b"ID ")) == (0, True)
