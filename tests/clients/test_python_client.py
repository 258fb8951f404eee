"""PyPI replicate 1.0.7, told nothing but the address, against a real server."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from support.clients import Client, ClientError, first_python
from support.receiver import Receiver
from support.server import Server, model, serving

pytestmark = pytest.mark.asyncio(loop_scope="package")


@pytest.mark.parametrize("base", ["", "/", "/v1", "/v1/"])
async def test_a_prediction_is_made_and_waited_for_and_found_again_with_any_base_url(
    server: Server, base: str
) -> None:
    async with first_python(server.url + base) as client:
        created = await client.call(
            "predictions.create", version="test/echo", input={"text": "hi", "times": 2}
        )
        assert created["status"] == "starting"

        async def waited(**given: Any) -> Any:
            return await client.ask("call", path="predictions.create", kwargs=given, then=[["wait", [], {}]])

        ended = await waited(version="test/echo", input={"text": "hi", "times": 2})
        assert (ended["status"], ended["output"], ended["error"]) == ("succeeded", "hihi", None)
        found = await client.call("predictions.get", ended["id"])
        assert found == ended
        assert found["metrics"]["predict_time"] >= 0
        by_model = await waited(model="test/echo", input={"text": "ho"})
        assert by_model["output"] == "ho"
        by_version = await waited(version=found["version"], input={"text": "he"})
        assert by_version["output"] == "he"
        listed = (await client.call("predictions.list"))["results"]
        assert [each["id"] for each in listed[:4]] == [
            by_version["id"],
            by_model["id"],
            ended["id"],
            created["id"],
        ]


async def test_cancel_ends_a_running_prediction(server: Server, py1: Client) -> None:
    running = await py1.call("predictions.create", version="test/tokens", input={"text": "a b", "pause": 60})
    await server.reached(running["id"], "processing")

    async def after(name: str) -> Any:
        return await py1.ask("call", path="predictions.get", args=[running["id"]], then=[[name, [], {}]])

    assert (await after("reload"))["status"] == "processing"
    assert (await after("cancel"))["status"] == "canceled"
    assert (await after("reload"))["status"] == "canceled"
    assert (await py1.call("predictions.cancel", running["id"]))["status"] == "canceled"


async def test_the_secret_is_the_one_that_signs(py1: Client, receiver: Receiver) -> None:
    secret = (await py1.call("webhooks.default.secret"))["key"]
    await py1.call(
        "predictions.create",
        version="test/echo",
        input={"text": "hi"},
        webhook=receiver.url,
        webhook_events_filter=["completed"],
    )
    await receiver.until(lambda r: len(r.received) == 1)
    item = receiver.received[0]
    request = {"headers": item.headers, "secret": secret, "tolerance": 300}
    assert await py1.ask("validated", body=item.body.decode(), **request)
    with pytest.raises(ClientError, match="signature") as caught:
        await py1.ask("validated", body=item.body.decode() + " ", **request)
    assert caught.value.name == "InvalidSignatureError"


async def test_paginate_gives_every_prediction_once_newest_first(tmp_path: Path) -> None:
    async with (
        serving(model("test/echo", "echo"), data=tmp_path / "data") as server,
        first_python(f"{server.url}/v1") as client,
    ):
        jobs = [server.create("test/echo", {"text": "x"}) for _ in range(203)]
        made_ids = {created["id"] for created in await asyncio.gather(*jobs)}
        found = await client.ask("pages", path="predictions.list")
        assert [len(page) for page in found] == [100, 100, 3]
        every = [item["id"] for page in found for item in page]
        assert every == sorted(made_ids, reverse=True)


MISTAKES: dict[str, tuple[str, dict[str, Any], int, str | None, str]] = {
    "no such version": (
        "predictions.create",
        {"version": "no/such", "input": {}},
        422,
        "Invalid version or not permitted",
        "The specified version does not exist (or perhaps you don't have permission to use it?)",
    ),
    "a wrong input": (
        "predictions.create",
        {"version": "test/echo", "input": {"text": 1}},
        422,
        "Input validation failed",
        "text",
    ),
    "no such model": (
        "predictions.create",
        {"model": "no/such", "input": {}},
        404,
        None,
        "The requested resource could not be found.",
    ),
    "no such prediction": ("predictions.get", {"id": "x" * 26}, 404, None, "not"),
    "a webhook that is no URL": (
        "predictions.create",
        {"version": "test/echo", "input": {"text": "a"}, "webhook": "not a url"},
        422,
        "Input validation failed",
        "webhook",
    ),
}


async def test_mistakes_are_told_with_title_and_detail(server: Server, py1: Client) -> None:
    before = (await py1.call("predictions.list"))["results"]
    for name, (path, given, status, title, detail) in MISTAKES.items():
        with pytest.raises(ClientError) as caught:
            await py1.call(path, **given)
        facts = caught.value.facts
        assert (caught.value.name, facts["status"], facts["title"]) == ("ReplicateError", status, title), name
        assert detail in (facts["detail"] or ""), name
    assert (await py1.call("predictions.list"))["results"] == before
    async with first_python(server.url, REPLICATE_API_TOKEN="r8_wrong") as stranger:
        with pytest.raises(ClientError) as caught:
            await stranger.call("predictions.list")
    facts = caught.value.facts
    assert (facts["status"], facts["title"]) == (401, "Unauthenticated")
    assert facts["detail"] == "You did not pass a valid authentication token"
