"""Pages of large predictions: cut by bytes, and still each prediction once, either way."""

from typing import Any

import pytest

from api.asking import ask
from support.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

LARGE = 900_000
"""Bytes of an input, which test/echo gives back twice: two such predictions fit on a page, three don't."""


async def page(server: Server, url: str) -> Any:
    answer = await ask(server, "GET", url.removeprefix(server.url))
    assert answer.status == 200
    assert len(answer.body) < 8_001_000
    return answer.json


def shown(found: Any) -> list[str]:
    return [item["id"] for item in found["results"]]


async def test_a_page_ends_before_8_mb_and_the_next_one_goes_on_behind_it(server: Server) -> None:
    ids: list[str] = []
    for _ in range(5):
        created = await server.create("test/echo", {"text": "x" * LARGE, "times": 2})
        await server.ended(created["id"])
        ids.insert(0, created["id"])
    found = await page(server, "/v1/predictions")
    pages = [shown(found)]
    while found["next"] is not None:
        found = await page(server, found["next"])
        pages.append(shown(found))
    assert pages == [ids[:2], ids[2:4], ids[4:]]
    back = [shown(found)]
    while found["previous"] is not None:
        found = await page(server, found["previous"])
        back.insert(0, shown(found))
    assert back == [ids[:2], ids[2:4], ids[4:]]


async def test_a_prediction_over_8_mb_is_a_page_of_its_own(server: Server) -> None:
    first = (await server.create("test/echo", {"text": "a"}))["id"]
    large = await server.create("test/echo", {"text": "x" * 1_000_000, "times": 9})
    assert (await server.ended(large["id"]))["status"] == "succeeded"
    last = (await server.create("test/echo", {"text": "b"}))["id"]
    found = (await ask(server, "GET", "/v1/predictions")).json
    assert shown(found) == [last]
    found = (await ask(server, "GET", found["next"].removeprefix(server.url))).json
    assert shown(found) == [large["id"]]
    found = (await ask(server, "GET", found["next"].removeprefix(server.url))).json
    assert shown(found)[0] == first
