"""Behind a proxy: URLs of answers begin as a trusted one says, and as nobody else does."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from api.asking import ask
from support.receiver import Receiver
from support.server import Server, model, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAID = {"x-forwarded-proto": "https", "x-forwarded-host": "api.example.com", "x-forwarded-prefix": "/ring"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def behind(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    async for server in _serving(tmp_path_factory.mktemp("behind"), '["127.0.0.0/8"]'):
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    async for server in _serving(tmp_path_factory.mktemp("elsewhere"), '["192.0.2.1"]'):
        yield server


async def _serving(folder: Path, trusted: str) -> AsyncIterator[Server]:
    config = folder / "ringback.toml"
    config.write_text(f"[server]\ntrusted_proxies = {trusted}\n")
    async with serving(model("test/echo", "echo"), "--config", str(config), data=folder / "data") as server:
        yield server
        assert "Traceback" not in server.log()


BODY: dict[str, Any] = {"version": "test/echo", "input": {"text": "hi"}}


async def test_every_url_of_an_answer_begins_so_but_those_of_the_webhook(
    behind: Server, receiver: Receiver
) -> None:
    body = {**BODY, "webhook": receiver.url, "webhook_events_filter": ["completed"]}
    made = await ask(behind, "POST", "/v1/predictions", body, headers=SAID)
    assert made.status == 201
    begins = "https://api.example.com/ring/"
    assert made.headers["location"] == f"{begins}v1/predictions/{made.json['id']}"
    assert [url for url in made.json["urls"].values() if not url.startswith(begins)] == []
    listed = await ask(behind, "GET", "/v1/predictions", headers=SAID)
    assert listed.json["results"][0]["urls"]["get"].startswith(begins)
    got = await ask(behind, "GET", f"/v1/predictions/{made.json['id']}")
    assert got.json["urls"]["get"].startswith(behind.url)
    await receiver.until(lambda found: len(found.acknowledged) == 1)
    assert receiver.received[0].prediction["urls"]["get"].startswith(behind.url)


async def test_from_anybody_else_it_is_nothing(elsewhere: Server) -> None:
    made = await ask(elsewhere, "POST", "/v1/predictions", BODY, headers=SAID)
    assert made.json["urls"]["get"].startswith(elsewhere.url)
    assert made.headers["location"].startswith(elsewhere.url)
