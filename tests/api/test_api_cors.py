"""Pages of other origins: preflights and answers as browsers judge them; nothing of it unless it is set."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from api.asking import Answer, ask
from support.server import Server, model, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE, OTHER = "https://app.example.com", "https://evil.example.com"
EXPOSED = {
    "location",
    "retry-after",
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
    "preference-applied",
    "idempotent-replayed",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    async for server in _serving(tmp_path_factory.mktemp("cors"), f'["{PAGE}"]'):
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def public(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    async for server in _serving(tmp_path_factory.mktemp("cors"), '["*"]'):
        yield server


async def _serving(folder: Path, origins: str) -> AsyncIterator[Server]:
    config = folder / "ringback.toml"
    config.write_text(f"[server]\ncors_origins = {origins}\n")
    async with serving(model("test/echo", "echo"), "--config", str(config), data=folder / "data") as server:
        yield server
        assert "Traceback" not in server.log()


async def preflight(
    server: Server, method: str, path: str, origin: str = PAGE, asks: str = "authorization, content-type"
) -> Answer:
    """Ask as a browser does before it sends a page's request: without a token."""
    headers = {
        "origin": origin,
        "access-control-request-method": method,
        "access-control-request-headers": asks,
    }
    return await ask(server, "OPTIONS", path, token=None, headers=headers)


def names(answer: Answer, header: str) -> set[str]:
    return {name.strip().lower() for name in answer.headers.get(header, "").split(",")}


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PATCH", "DELETE", "QUERY"])
async def test_a_preflight_of_each_method_is_let_pass(shared: Server, method: str) -> None:
    asks = "authorization, content-type, prefer, cancel-after, idempotency-key, last-event-id"
    answer = await preflight(shared, method, "/v1/models", asks=asks)
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert method.lower() in names(answer, "access-control-allow-methods")
    assert names(answer, "access-control-allow-headers") >= names_of(asks)
    assert int(answer.headers["access-control-max-age"]) > 0
    assert "access-control-allow-credentials" not in answer.headers


def names_of(text: str) -> set[str]:
    return {name.strip() for name in text.split(",")}


async def test_a_preflight_of_another_origin_is_not(shared: Server) -> None:
    answer = await preflight(shared, "POST", "/v1/predictions", OTHER)
    assert answer.status == 400
    assert "access-control-allow-origin" not in answer.headers


async def test_a_page_reads_answers_and_the_headers_that_matter(shared: Server) -> None:
    body = {"version": "test/echo", "input": {"text": "hi"}}
    made = await ask(shared, "POST", "/v1/predictions", body, headers={"origin": PAGE})
    assert made.status == 201
    assert made.headers["access-control-allow-origin"] == PAGE
    assert names(made, "access-control-expose-headers") == EXPOSED
    assert "origin" in names(made, "vary")


async def test_a_page_reads_errors_too(shared: Server) -> None:
    for path, token in (("/v1/predictions", "wrong"), ("/v1/nowhere", None)):
        answer = await ask(shared, "GET", path, token=token, headers={"origin": PAGE})
        assert answer.status in (401, 404)
        assert answer.headers["access-control-allow-origin"] == PAGE


async def test_a_page_of_another_origin_reads_nothing(shared: Server) -> None:
    answer = await ask(shared, "GET", "/v1/predictions", headers={"origin": OTHER})
    assert "access-control-allow-origin" not in answer.headers


async def test_a_page_follows_a_stream(shared: Server) -> None:
    body = {"version": "test/echo", "input": {"text": "hi"}}
    made = await ask(shared, "POST", "/v1/predictions", body)
    path = made.json["urls"].get("stream", f"{shared.url}/stream/x/y").removeprefix(shared.url)
    asked = await preflight(shared, "GET", path, asks="cache-control, last-event-id")
    assert (asked.status, asked.headers["access-control-allow-origin"]) == (200, PAGE)
    assert names(asked, "access-control-allow-headers") >= {"cache-control", "last-event-id"}
    streamed = await ask(
        shared, "GET", path, token=None, headers={"origin": PAGE, "accept": "text/event-stream"}
    )
    assert streamed.headers["access-control-allow-origin"] == PAGE


async def test_every_origin_may_be_let_in(public: Server) -> None:
    assert (await preflight(public, "POST", "/v1/predictions", OTHER)).status == 200
    answer = await ask(public, "GET", "/v1/predictions", headers={"origin": OTHER})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


async def test_without_the_setting_there_is_nothing_of_it(server: Server) -> None:
    answer = await ask(server, "GET", "/v1/predictions", headers={"origin": PAGE})
    assert [name for name in answer.headers if name.lower().startswith("access-control")] == []
    assert (await preflight(server, "POST", "/v1/predictions")).status == 405
