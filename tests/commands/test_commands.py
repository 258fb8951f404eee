"""The commands that ask a running server, as a person or a script uses them."""

import asyncio
import io
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from commands.running import Ran
from ringback.assembly.cli import main
from support.receiver import Receiver, receiving
from support.server import COMMAND, TOKEN, Server, model, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def run(*arguments: str, url: str, token: str | None = TOKEN, **env: str) -> Ran:
    """Run a command to its end in a thread, since a process takes a second to load."""
    return await asyncio.to_thread(_run, arguments, _environment(url, token, env))


def _environment(url: str, token: str | None, env: dict[str, str]) -> dict[str, str]:
    known = {
        name: value for name, value in os.environ.items() if not name.startswith(("REPLICATE", "RINGBACK"))
    }
    given = {} if token is None else {"REPLICATE_API_TOKEN": token}
    return {**known, "RINGBACK_URL": url, **given, **env}


def _run(arguments: tuple[str, ...], environment: dict[str, str]) -> Ran:
    kept, argv = dict(os.environ), sys.argv
    out, err = io.StringIO(), io.StringIO()
    try:
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = ["ringback", *arguments]
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as caught:
            main()
    finally:
        sys.argv = argv
        os.environ.clear()
        os.environ.update(kept)
    return Ran(int(caught.value.code or 0), out.getvalue(), err.getvalue())


async def run_process(*arguments: str, url: str) -> Ran:
    """Run a command as a script does, its output piped."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *arguments,
        env=_environment(url, TOKEN, {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())


def answer(received: Any) -> web.StreamResponse:
    """Whatever is not fine is gone, with an answer that would take over a terminal."""
    if received.path.startswith("/hook/fine"):
        return web.json_response({"ok": True})
    return web.Response(status=410, text="\x1b[2Jno\u009b31m more\x07")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        found.answer = answer
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    data = tmp_path_factory.mktemp("commands") / "data"
    async with serving(model("test/echo", "echo"), data=data) as server:
        yield server
        assert "Traceback" not in server.log()


async def settled(server: Server, id_: str, status: str) -> None:
    """Wait until a delivery has a status."""
    prediction = id_.split("_")[1]
    async with asyncio.timeout(20):
        while True:
            _, page = await server.call("GET", f"/v1/webhooks/deliveries?prediction={prediction}")
            if [each["status"] for each in page["results"]] == [status]:
                return
            await asyncio.sleep(0.01)  # a client's poll; there is no event to wait on


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ids(server: Server, receiver: Receiver) -> dict[str, str]:
    """A delivered and a dead delivery: their ids by their status."""
    found = {}
    for path, status in (("/fine", "delivered"), ("/gone", "dead")):
        created = await server.create(
            "test/echo",
            {"text": "hi"},
            webhook=f"{receiver.url}{path}?key=xyzzy",
            webhook_events_filter=["completed"],
        )
        found[status] = f"evt_{created['id']}_1"
        await settled(server, found[status], status)
    return found


async def test_piped_the_list_is_a_line_for_each_with_whole_ids_and_no_colours(
    server: Server, receiver: Receiver, ids: dict[str, str]
) -> None:
    done = await run_process("deliveries", "list", url=server.url)
    assert done.code == 0, done.err
    head, dead, delivered = done.out.splitlines()
    assert head.split() == ["ID", "EVENT", "STATUS", "TRIES", "AGE"]
    assert dead.split()[:4] == [ids["dead"], "completed", "dead", "1"]
    assert dead.endswith(f"{receiver.url}/gone  answered 410 Gone: no more is sent")
    assert delivered.startswith(ids["delivered"])
    assert "\x1b" not in done.out
    assert "xyzzy" not in done.out


async def test_in_a_terminal_of_80_columns_no_line_is_longer_and_no_id_is_cut_off(
    server: Server, ids: dict[str, str]
) -> None:
    outer, inner = pty.openpty()
    env = {**os.environ, "REPLICATE_API_TOKEN": TOKEN, "COLUMNS": "80", "TERM": "xterm"}
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "deliveries", "list", "--url", server.url, env=env, stdout=inner, stderr=inner
    )
    os.close(inner)
    assert await process.wait() == 0
    said = os.read(outer, 65536).decode()
    os.close(outer)
    assert "\x1b[31mdead" in said
    lines = re.sub(r"\x1b\[[0-9;]*m", "", said).splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith(f"{ids['dead']} ") for line in lines)
    assert "    answered 410 Gone: no more is sent" in lines


async def test_json_is_what_the_api_told(server: Server, ids: dict[str, str]) -> None:
    done = await run("deliveries", "list", "--json", url=server.url)
    _, page = await server.call("GET", "/v1/webhooks/deliveries")
    assert json.loads(done.out) == page["results"]
    shown = await run("deliveries", "show", ids["dead"], "--json", url=server.url)
    _, whole = await server.call("GET", f"/v1/webhooks/deliveries/{ids['dead']}")
    assert json.loads(shown.out) == whole
    assert "\x9b" not in shown.out


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--status", "dead"], ["dead"]),
        (["--status", "pending"], []),
        (["--since", "1h"], ["dead", "delivered"]),
        (["--since", "1h", "--limit", "1"], ["dead"]),
        (["--since", "2020-01-01", "--until", "2020-01-02T12:00"], []),
        (["--until", "1h"], []),
        (["--event", "start"], []),
    ],
)
async def test_each_option_narrows_the_list(
    server: Server, ids: dict[str, str], options: list[str], expected: list[str]
) -> None:
    done = await run("deliveries", "list", "--json", *options, url=server.url)
    assert [each["id"] for each in json.loads(done.out)] == [ids[status] for status in expected]


async def test_a_limit_beyond_a_page_follows_the_pages(server: Server, receiver: Receiver) -> None:
    done = await run("deliveries", "list", "--limit", "2000", "--json", url=server.url)
    assert done.code == 0
    assert len(json.loads(done.out)) >= 2


async def test_nothing_found_is_said(server: Server) -> None:
    done = await run("deliveries", "list", "--status", "pending", url=server.url)
    assert (done.code, done.out) == (0, "no such deliveries\n")


async def test_one_delivery_is_shown_with_its_attempts_and_what_was_answered(
    server: Server, ids: dict[str, str]
) -> None:
    done = await run("deliveries", "show", ids["dead"], url=server.url)
    assert done.code == 0, done.err
    assert f"delivery  {ids['dead']}" in done.out
    assert "answered 410 Gone: no more is sent" in done.out
    assert "no\ufffd31m more" in done.out
    assert '"status":"succeeded"' in done.out
    for char in ("\x1b", "\x07", "\u009b"):
        assert char not in done.out, "a receiver can write to the terminal"


async def test_endpoints_are_listed(server: Server, receiver: Receiver, ids: dict[str, str]) -> None:
    done = await run("endpoints", "list", url=server.url)
    assert done.code == 0, done.err
    lines = {line.split()[4]: line.split()[:4] for line in done.out.splitlines()}
    assert lines[f"{receiver.url}/fine"] == ["open", "0", "0", "0"]
    assert lines[f"{receiver.url}/gone"] == ["failing", "1", "0", "1"]


async def test_a_test_webhook_says_what_came_of_it_and_its_exit_code_too(
    server: Server, receiver: Receiver
) -> None:
    fine = await run("webhooks", "test", f"{receiver.url}/fine", "--event", "start", url=server.url)
    assert (fine.code, fine.err) == (0, "")
    assert fine.out.startswith("acknowledged with 200 (")
    assert "webhook-signature  v1," in fine.out
    assert receiver.received[-1].event == "start"
    gone = await run_process("webhooks", "test", f"{receiver.url}/gone", url=server.url)
    assert gone.code == 1
    assert gone.out.startswith("not delivered: answered 410 Gone: no more is sent (")
    assert "\x1b" not in gone.out


async def test_a_dead_delivery_is_sent_again_by_its_id(
    server: Server, receiver: Receiver, ids: dict[str, str]
) -> None:
    before = len(receiver.received)
    done = await run("deliveries", "resend", ids["dead"], url=server.url)
    assert done.code == 0, done.err
    assert done.out.startswith(f"{ids['dead']} to {receiver.url}/gone: ")
    await receiver.until(lambda r: len(r.received) == before + 1)
    assert receiver.received[-1].id == ids["dead"]


async def test_all_dead_ones_are_sent_again(server: Server, receiver: Receiver, ids: dict[str, str]) -> None:
    await settled(server, ids["dead"], "dead")
    nothing = await run("deliveries", "resend", "--dead", "--until", "1d", url=server.url)
    assert nothing.out == "0 dead deliveries go out again\n"
    before = len(receiver.received)
    url = f"{receiver.url}/gone"
    done = await run("deliveries", "resend", "--dead", "--since", "1h", "--endpoint", url, url=server.url)
    assert (done.code, done.out.startswith("1 dead deliveries go out again")) == (0, True), done.err
    await receiver.until(lambda r: len(r.received) == before + 1)
    await settled(server, ids["dead"], "dead")


@pytest.mark.parametrize(
    "arguments", [[], ["evt_x_1", "--dead"], ["--dead", "--force"], ["evt_x_1", "--since", "1h"]]
)
async def test_what_to_send_again_must_be_clear(server: Server, arguments: list[str]) -> None:
    done = await run("deliveries", "resend", *arguments, url=server.url)
    assert done.code == 2
    assert "--dead" in done.complaint


async def test_an_endpoint_is_paused_and_resumed(server: Server, receiver: Receiver) -> None:
    url = f"{receiver.url}/fine"
    paused = await run("endpoints", "pause", f"{url}?key=xyzzy", url=server.url)
    assert (paused.code, paused.out) == (0, f"{url} is paused, 0 waiting\n")
    listed = await run("endpoints", "list", url=server.url)
    assert listed.out.splitlines()[1].startswith("paused")
    resumed = await run("endpoints", "resume", url, url=server.url)
    assert (resumed.code, resumed.out) == (0, f"{url} is open, 0 waiting\n")


async def test_secrets_are_listed_without_their_values(server: Server) -> None:
    done = await run("webhooks", "secrets", url=server.url)
    assert done.code == 0, done.err
    assert done.out.splitlines()[1].split()[:2] == ["v1", "yes"]
    assert (await server.secret()).removeprefix("whsec_") not in done.out


async def test_the_token_may_be_in_a_file(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    done = await run("deliveries", "list", "--token-file", str(file), url=server.url, token=None)
    assert done.code == 0, done.err


async def test_proxies_of_the_environment_are_not_asked(server: Server) -> None:
    done = await run("endpoints", "list", url=server.url, http_proxy="http://127.0.0.1:1", no_proxy="")
    assert done.code == 0, done.err


@pytest.mark.parametrize("base", ["/", "/v1", "/v1/"])
async def test_the_servers_url_may_end_as_the_clients_want_it(server: Server, base: str) -> None:
    assert (await run("endpoints", "list", url=server.url + base)).code == 0


# What goes wrong: one line with the next step


async def test_a_server_that_is_not_there() -> None:
    done = await run("deliveries", "list", url="http://127.0.0.1:1")
    assert done.code == 2
    assert done.complaint == (
        "no server answers at http://127.0.0.1:1: start it with `ringback serve`, or give --url"
    )


async def test_a_wrong_token_and_none(server: Server, tmp_path: Path) -> None:
    wrong = await run("deliveries", "list", url=server.url, token="r8_wrong")
    assert (wrong.code, "REPLICATE_API_TOKEN" in wrong.complaint) == (2, True)
    assert "r8_wrong" not in wrong.err
    none = await run("deliveries", "list", url=server.url, token=None)
    assert none.code == 2
    assert none.complaint == "no usable API token: set REPLICATE_API_TOKEN, or give --token-file"
    missing = str(tmp_path / "missing")
    file = await run("deliveries", "list", "--token-file", missing, url=server.url, token=None)
    assert (file.code, missing in file.complaint) == (2, True)


async def test_a_delivery_that_does_not_exist(server: Server) -> None:
    for id_ in ("evt_01jc0v5m6y4q0w8zj3k2n1p0r9_1", "nonsense", "../../health", "?limit=1"):
        done = await run("deliveries", "show", id_, url=server.url)
        assert done.code == 1
        assert done.complaint.startswith("There is no such delivery")


async def test_what_the_server_minds_is_one_line(server: Server) -> None:
    done = await run("deliveries", "list", "--status", "lost", url=server.url)
    assert done.code == 1
    assert done.complaint == ("status: Must be one of the following: pending, delivered, superseded, dead")
    refused = await run("webhooks", "test", "http://10.0.0.1/", url=server.url)
    assert (refused.code, refused.complaint) == (1, "url: The URL is refused: 10.0.0.1 is a private address")


async def test_somebody_else_at_that_address_hears_no_second_request_and_is_named(receiver: Receiver) -> None:
    before = len(receiver.received)
    done = await run("deliveries", "list", url=f"{receiver.url}/stranger")
    assert done.code == 2
    assert "answers with 410 and no JSON of Ringback" in done.complaint
    assert len(receiver.received) == before + 1


async def test_a_redirect_is_not_followed_with_the_token() -> None:
    async with receiving() as elsewhere, receiving() as here:
        here.answer = lambda _received: web.Response(status=302, headers={"location": elsewhere.url})
        done = await run("deliveries", "list", url=here.url)
        assert done.code == 2
        assert "answers with a redirect (302)" in done.complaint
        assert elsewhere.received == []
