"""Files in inputs: those that were sent, by any form of their URL; large data URIs; outputs as data URIs."""

import base64
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from yarl import URL

from api.asking import Answer, ask, count
from api.files_sent import STRANGER, Folder, sent
from ringback.api.files import inlined
from ringback.rules.snapshot import Links
from support.server import Server, model, serving

WEEK_S = 7 * 24 * 3600
PAINTER = model("test/painter", "painter")
UNKNOWN = "01jc0v5m6y4q0w8zj3k2n1p0r9"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder(tmp_path_factory.mktemp("inputs") / "data")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(folder: Folder) -> AsyncIterator[Server]:
    async with serving(PAINTER, data=folder.path) as server:
        folder.add_stranger()
        yield server
        assert "Traceback" not in server.log()
        assert server.process.poll() is None


async def create(
    server: Server, document: Any, *, headers: dict[str, str] | None = None, **more: Any
) -> Answer:
    token = more.pop("token", None)
    given = {} if token is None else {"token": token}
    body = {"version": "test/painter", "input": {"document": document, **more}}
    return await ask(server, "POST", "/v1/predictions", body, headers=headers, **given)


async def painted(server: Server, document: Any) -> bytes:
    """What the model has made of a document: its text in capitals."""
    answer = await create(server, document)
    assert answer.status == 201, answer.body
    ended = await server.ended(answer.json["id"])
    assert ended["status"] == "succeeded", ended["error"]
    async with server.session.get(ended["output"][0]) as got:
        return await got.read()


def uri(content: bytes, kind: str = "text/plain") -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


async def test_a_file_is_resolved_by_every_form_of_its_url(server: Server) -> None:
    file = await sent(server, b"sent before")
    port = URL(server.url).port
    forms = [
        file["urls"]["get"],
        file["urls"]["download"],
        f"{server.url}/files/{file['id']}",
        f"{server.url}/v1/v1/files/{file['id']}",
        f"http://localhost:{port}/v1/files/{file['id']}",
        f"https://a-proxy.example/some/where/v1/files/{file['id']}",
    ]
    for form in forms:
        assert await painted(server, form) == b"SENT BEFORE", form


@pytest.mark.parametrize("path", ["/v1/files/{}", "/files/{}", "/v1/files/{}/download?owner=a"])
async def test_a_file_that_does_not_exist_is_told_at_once(server: Server, path: str) -> None:
    before = await count(server)
    answer = await create(server, server.url + path.format(UNKNOWN))
    assert answer.problem["status"] == 422
    assert [field["field"] for field in answer.problem["invalid_fields"]] == ["input.document"]
    assert await count(server) == before


async def test_another_accounts_file_does_not_exist(server: Server) -> None:
    file = await sent(server)
    for url in file["urls"].values():
        answer = await create(server, url, token=STRANGER)
        assert answer.problem["invalid_fields"][0]["field"] == "input.document"
    assert (await ask(server, "GET", "/v1/predictions", token=STRANGER)).json["results"] == []


async def test_a_url_that_only_looks_like_one_of_a_file_is_fetched(server: Server) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=b"elsewhere")

    app = web.Application()
    app.router.add_get("/v1/files/{id}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1/files/{UNKNOWN}"
        assert await painted(server, url) == b"ELSEWHERE"
    finally:
        await runner.cleanup()


async def test_a_file_that_a_prediction_needs_is_kept_for_a_week_or_longer(
    server: Server, folder: Folder
) -> None:
    file = await sent(server)
    now = time.time()
    assert folder.expiry(file["id"]) / 1e6 < now + 2 * 24 * 3600
    await create(server, file["urls"]["get"])
    assert folder.expiry(file["id"]) / 1e6 > now + WEEK_S - 60
    far = int((now + 2 * WEEK_S) * 1e6)
    folder.set_expiry(file["id"], far)
    await create(server, file["urls"]["get"])
    assert folder.expiry(file["id"]) == far


async def test_a_file_that_was_deleted_before_its_turn_fails_the_prediction(server: Server) -> None:
    file = await sent(server)
    created = (await create(server, file["urls"]["get"], copies=0)).json
    await server.ended(created["id"])
    assert (await ask(server, "DELETE", f"/v1/files/{file['id']}")).status == 204
    assert (await create(server, file["urls"]["get"])).problem["status"] == 422


async def test_a_large_data_uri_becomes_a_file_of_the_prediction(server: Server, folder: Folder) -> None:
    content = b"large " * 40_000
    answer = await create(server, uri(content))
    url = answer.json["input"]["document"]
    assert url.startswith(f"{server.url}/v1/files/")
    ended = await server.ended(answer.json["id"])
    async with server.session.get(ended["output"][0]) as got:
        assert await got.read() == content.upper()
    file = (await ask(server, "GET", url.removeprefix(server.url))).json
    assert (file["name"], file["size"], file["expires_at"]) == ("file.txt", len(content), None)
    assert folder.expiry(file["id"]) is None
    listed = (await ask(server, "GET", "/v1/files")).json["results"]
    assert file["id"] not in [each["id"] for each in listed]
    assert await painted(server, url) == content.upper()


async def test_a_small_data_uri_stays_as_it_is(server: Server) -> None:
    given = uri(b"small")
    answer = await create(server, given)
    assert answer.json["input"]["document"] == given
    assert await painted(server, given) == b"SMALL"


async def test_a_malformed_data_uri_fails_as_before_however_large(server: Server) -> None:
    answer = await create(server, "data:text/plain;base64," + "?" * 300_000)
    ended = await server.ended(answer.json["id"])
    assert ended["error"].startswith("input 'document' is a malformed data: URI")


async def test_what_was_taken_out_of_an_input_that_is_refused_goes_away_by_itself(
    server: Server, folder: Folder
) -> None:
    before = folder.rows()
    given = [uri(b"x" * 300_000), f"{server.url}/v1/files/{UNKNOWN}"]
    body: dict[str, Any] = {"version": "test/painter", "input": {"document": given[1], "name": "x"}}
    assert (await ask(server, "POST", "/v1/predictions", body)).status == 422
    assert folder.rows() == before
    async with serving(
        f"test/album={Path(__file__).parent / 'models/album'}", data=folder.path.parent / "album"
    ) as other:
        album = Folder(folder.path.parent / "album")
        body = {"version": "test/album", "input": {"pages": [given[0], f"{other.url}/v1/files/{UNKNOWN}"]}}
        answer = await ask(other, "POST", "/v1/predictions", body)
        assert [field["field"] for field in answer.problem["invalid_fields"]] == ["input.pages.1"]
        (left,) = album.rows()
        assert album.expiry(left) / 1e6 < time.time() + 2 * 3600
        body["input"]["pages"] = [given[0], (await sent(other, b"yy"))["urls"]["get"]]
        answer = await ask(other, "POST", "/v1/predictions", body, headers={"prefer": "wait"})
        assert answer.json["output"] == [300_000, 2]


async def test_a_waiting_answer_has_its_files_in_it_where_clients_would_not_take_their_urls(
    server: Server,
) -> None:
    answer = await create(server, uri(b"hello"), copies=2, headers={"prefer": "wait"})
    assert answer.json["output"] == [uri(b"HELLO")] * 2
    got = (await ask(server, "GET", f"/v1/predictions/{answer.json['id']}")).json
    assert all(url.startswith(f"{server.url}/f/") for url in got["output"])


async def test_large_files_stay_urls_in_a_waiting_answer(server: Server) -> None:
    file = await sent(server, b"x" * 5_000_001)
    answer = await create(server, file["urls"]["get"], copies=2, headers={"prefer": "wait"})
    assert len(answer.json["output"]) == 2
    assert all(url.startswith(f"{server.url}/f/") for url in answer.json["output"])


async def test_https_urls_stay_urls_in_a_waiting_answer() -> None:
    base = "https://predictions.example.com"
    here: Any = SimpleNamespace(outbox=SimpleNamespace(links=Links(base)))
    chunks = [("value", f'"{base}/f/{"0" * 32}/a.txt"')]
    assert await inlined(here, chunks) == chunks
