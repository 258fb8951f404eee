"""Listing predictions, page by page, both ways."""

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from api.asking import ask
from support.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ids(server: Server) -> AsyncIterator[list[str]]:
    """250 predictions, newest first."""
    created = [(await server.create("test/echo", {"text": str(n)}))["id"] for n in range(250)]
    await server.ended(created[-1])
    yield created[::-1]


async def page(server: Server, url: str) -> Any:
    answer = await ask(server, "GET", url.removeprefix(server.url))
    assert answer.status == 200
    assert set(answer.json) == {"next", "previous", "results"}
    return answer.json


async def test_following_next_gives_each_prediction_once_newest_first(server: Server, ids: list[str]) -> None:
    found = await page(server, "/v1/predictions")
    assert found["previous"] is None
    seen = [item["id"] for item in found["results"]]
    sizes = [len(seen)]
    while found["next"] is not None:
        assert found["next"].startswith(f"{server.url}/v1/predictions?cursor=")
        found = await page(server, found["next"])
        seen += [item["id"] for item in found["results"]]
        sizes.append(len(found["results"]))
    assert seen == ids
    assert sizes == [100, 100, 50]


async def test_following_previous_leads_back_the_same_way(server: Server, ids: list[str]) -> None:
    found = await page(server, "/v1/predictions")
    while found["next"] is not None:
        found = await page(server, found["next"])
    seen = [item["id"] for item in found["results"]]
    while found["previous"] is not None:
        assert found["previous"].startswith(f"{server.url}/v1/predictions?cursor=")
        found = await page(server, found["previous"])
        seen = [item["id"] for item in found["results"]] + seen
    assert seen == ids


async def test_pages_do_not_shift_when_there_is_a_new_prediction(server: Server, ids: list[str]) -> None:
    first = await page(server, "/v1/predictions")
    new = (await server.create("test/echo", {"text": "new"}))["id"]
    second = await page(server, first["next"])
    assert [item["id"] for item in second["results"]] == ids[100:200]
    back = await page(server, second["previous"])
    assert [item["id"] for item in back["results"]] == ids[:100]
    newer = await page(server, back["previous"])
    assert [item["id"] for item in newer["results"]] == [new]
    assert newer["previous"] is None
    again = await page(server, newer["next"])
    assert [item["id"] for item in again["results"]] == ids[:100]


async def test_an_item_is_the_prediction_as_get_shows_it(server: Server, ids: list[str]) -> None:
    for item in (await page(server, "/v1/predictions"))["results"][:3]:
        await server.ended(item["id"])
    found = await page(server, "/v1/predictions")
    for item in found["results"][:3]:
        shown = await ask(server, "GET", f"/v1/predictions/{item['id']}")
        assert shown.json == item


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "cD0yMDIzLTA2LTA2",
        "%00",
        "%ff%fe",
        "====",
        "a" * 5000,
        base64.urlsafe_b64encode(b"before=").decode(),
        base64.urlsafe_b64encode(b"before=zzz").decode(),
        base64.urlsafe_b64encode(b"around=01jc0v5m6y4q0w8zj3k2n1p0r9").decode(),
        base64.urlsafe_b64encode(b"before=01JC0V5M6Y4Q0W8ZJ3K2N1P0R9").decode(),
        base64.urlsafe_b64encode(b"before=\xff\xfe").decode(),
    ],
)
async def test_a_cursor_that_is_not_ours_is_refused(server: Server, cursor: str) -> None:
    answer = await ask(server, "GET", f"/v1/predictions?cursor={cursor}")
    assert answer.status == 422
    assert answer.problem["title"] == "Invalid cursor"
    assert answer.problem["invalid_fields"][0]["field"] == "cursor"


async def test_a_cursor_beyond_either_end_is_an_empty_page(server: Server, ids: list[str]) -> None:
    for side, id_ in (("before", "0" * 26), ("after", "7" + "z" * 25)):
        cursor = base64.urlsafe_b64encode(f"{side}={id_}".encode()).decode()
        found = await page(server, f"/v1/predictions?cursor={cursor}")
        assert found == {"next": None, "previous": None, "results": []}
