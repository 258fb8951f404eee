"""Pages of large predictions: cut by bytes, and still each prediction once, either way."""

from typing import Any

import pytest

from api.asking import ask
from api.shop import marked
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


async def example(shop: Server, size: int) -> str:
    """A prediction of test/storied with about `size` bytes, half of them its input."""
    created = await shop.create("test/storied", {"text": "x" * (size // 2)})
    return str((await shop.ended(created["id"]))["id"])


async def test_a_page_of_examples_ends_before_8_mb_either_way(shop: Server) -> None:
    ids = [await example(shop, 1_900_000) for _ in range(9)]
    marked(shop, "test/storied", *ids)
    found = await page(shop, "/v1/models/test/storied/examples")
    pages = [shown(found)]
    while found["next"] is not None:
        found = await page(shop, found["next"])
        pages.append(shown(found))
    ids.reverse()
    assert pages == [ids[:4], ids[4:8], ids[8:]]
    back = [shown(found)]
    while found["previous"] is not None:
        found = await page(shop, found["previous"])
        back.insert(0, shown(found))
    assert back == [ids[:4], ids[4:8], ids[8:]]


async def test_lists_leave_an_example_above_1_mb_to_the_model_itself(shop: Server) -> None:
    small, large = await example(shop, 900_000), await example(shop, 1_000_100)

    async def examples_in_lists() -> list[Any]:
        found = (await ask(shop, "GET", "/v1/models")).json["results"]
        found += (await ask(shop, "QUERY", "/v1/models", b"storied")).json["results"]
        found += (await ask(shop, "GET", "/v1/collections/first-steps")).json["models"]
        found += [
            each["model"] for each in (await ask(shop, "GET", "/v1/search?query=storied")).json["models"]
        ]
        of_it = [each["default_example"] for each in found if each["name"] == "storied"]
        assert len(of_it) == 4
        return [each and each["id"] for each in of_it]

    marked(shop, "test/storied", large, at=20)
    assert await examples_in_lists() == [None] * 4
    assert (await ask(shop, "GET", "/v1/models/test/storied")).json["default_example"]["id"] == large
    marked(shop, "test/storied", small, at=30)
    assert await examples_in_lists() == [small] * 4
