"""PyPI replicate 1.0.7, told nothing but the address, against a real server."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import replicate.pagination
from replicate.client import Client
from replicate.exceptions import ReplicateError

from support.receiver import receiving
from support.server import TOKEN, Server, model, serving

ECHO = model("test/echo", "echo")
TOKENS = model("test/tokens", "tokens")


@contextmanager
def client(token: str = TOKEN) -> Iterator[Client]:
    made = Client(token)
    try:
        yield made
    finally:
        made._client.close()


@asynccontextmanager
async def connected(
    monkeypatch: pytest.MonkeyPatch, data: Path, base: str = ""
) -> AsyncIterator[tuple[Server, Client]]:
    """A server with both models, and a client that knows it by REPLICATE_BASE_URL alone."""
    async with serving(ECHO, TOKENS, data=data) as server:
        monkeypatch.setenv("REPLICATE_BASE_URL", server.url + base)
        monkeypatch.setenv("REPLICATE_POLL_INTERVAL", "0.02")
        with client() as made:
            yield server, made


@pytest.mark.parametrize("base", ["", "/", "/v1", "/v1/"])
async def test_a_prediction_is_made_and_waited_for_and_found_again_with_any_base_url(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, base: str
) -> None:
    def use(made: Client) -> None:
        created = made.predictions.create(version="test/echo", input={"text": "hi", "times": 2})
        assert created.status == "starting"
        created.wait()
        assert (created.status, created.output, created.error) == ("succeeded", "hihi", None)
        found = made.predictions.get(created.id)
        assert found.dict() == created.dict()
        assert found.metrics is not None
        assert found.metrics["predict_time"] >= 0
        by_model = made.predictions.create(model="test/echo", input={"text": "ho"})
        by_model.wait()
        assert by_model.output == "ho"
        by_version = made.predictions.create(version=found.version, input={"text": "he"})
        by_version.wait()
        assert by_version.output == "he"
        assert [each.id for each in made.predictions.list()] == [by_version.id, by_model.id, created.id]

    async with connected(monkeypatch, tmp_path / "data", base) as (_, made):
        await asyncio.to_thread(use, made)


async def test_cancel_ends_a_running_prediction(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def use(made: Client) -> None:
        running = made.predictions.create(version="test/tokens", input={"text": "a b", "pause": 60})
        while made.predictions.get(running.id).status == "starting":
            pass
        running.reload()
        before = running.status
        running.cancel()
        assert (before, running.status) == ("processing", "canceled")
        running.reload()
        assert running.status == "canceled"
        assert made.predictions.cancel(running.id).status == "canceled"

    async with connected(monkeypatch, tmp_path / "data") as (_, made):
        await asyncio.to_thread(use, made)


async def test_the_secret_is_the_one_that_signs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with connected(monkeypatch, tmp_path / "data") as (_, made), receiving() as receiver:
        secret = await asyncio.to_thread(made.webhooks.default.secret)
        await asyncio.to_thread(
            made.predictions.create,
            version="test/echo",
            input={"text": "hi"},
            webhook=receiver.url,
            webhook_events_filter=["completed"],
        )
        await receiver.until(lambda r: len(r.received) == 1)
        item = receiver.received[0]
        made.webhooks.validate(headers=item.headers, body=item.body.decode(), secret=secret, tolerance=300)
        with pytest.raises(ValueError, match="signature"):
            made.webhooks.validate(
                headers=item.headers, body=item.body.decode() + " ", secret=secret, tolerance=300
            )


async def test_paginate_gives_every_prediction_once_newest_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def pages(made: Client) -> list[list[str]]:
        return [[each.id for each in page] for page in replicate.pagination.paginate(made.predictions.list)]

    async with connected(monkeypatch, tmp_path / "data", "/v1") as (server, made):
        jobs = [server.create("test/echo", {"text": "x"}) for _ in range(203)]
        made_ids = {created["id"] for created in await asyncio.gather(*jobs)}
        found = await asyncio.to_thread(pages, made)
        assert [len(page) for page in found] == [100, 100, 3]
        every = [id_ for page in found for id_ in page]
        assert every == sorted(made_ids, reverse=True)


Call = Callable[[Client], Any]
MISTAKES: dict[str, tuple[Call, int, str | None, str]] = {
    "no such version": (
        lambda c: c.predictions.create(version="no/such", input={}),
        422,
        "Invalid version or not permitted",
        "The specified version does not exist (or perhaps you don't have permission to use it?)",
    ),
    "a wrong input": (
        lambda c: c.predictions.create(version="test/echo", input={"text": 1}),
        422,
        "Input validation failed",
        "text",
    ),
    "no such model": (
        lambda c: c.predictions.create(model="no/such", input={}),
        404,
        None,
        "The requested resource could not be found.",
    ),
    "no such prediction": (lambda c: c.predictions.get("x" * 26), 404, None, "not"),
    "a webhook that is no URL": (
        lambda c: c.predictions.create(version="test/echo", input={"text": "a"}, webhook="not a url"),
        422,
        "Input validation failed",
        "webhook",
    ),
}


async def test_mistakes_are_told_with_title_and_detail(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with connected(monkeypatch, tmp_path / "data") as (_, made):
        for name, (call, status, title, detail) in MISTAKES.items():
            with pytest.raises(ReplicateError) as caught:
                await asyncio.to_thread(call, made)
            assert (caught.value.status, caught.value.title) == (status, title), name
            assert detail in (caught.value.detail or ""), name
        assert list(await asyncio.to_thread(made.predictions.list)) == []
        with client("r8_wrong") as stranger, pytest.raises(ReplicateError) as caught:
            await asyncio.to_thread(stranger.predictions.list)
        assert (caught.value.status, caught.value.title) == (401, "Unauthenticated")
        assert caught.value.detail == "You did not pass a valid authentication token"
