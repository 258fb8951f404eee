"""Which predictions a list shows: created from then on, before then, made on the server's own pages."""

from datetime import datetime, timedelta

import pytest
import pytest_asyncio

from api.asking import ask
from support.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

START = "test/echo"


async def listed(server: Server, query: str = "") -> list[str]:
    """All ids, by following `next`."""
    path, found = f"/v1/predictions?{query}", list[str]()
    while path:
        answer = await ask(server, "GET", path)
        assert answer.status == 200, answer.body
        found += [item["id"] for item in answer.json["results"]]
        path = (answer.json["next"] or "").removeprefix(server.url)
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def made(server: Server) -> list[tuple[str, str]]:
    """Ids and times of 105 predictions, oldest first: more than fit on a page."""
    created = [await server.create(START, {"text": "x"}) for _ in range(105)]
    return [(item["id"], item["created_at"]) for item in created]


async def test_created_after_includes_that_moment_and_created_before_does_not(
    server: Server, made: list[tuple[str, str]]
) -> None:
    low, high = made[20], made[60]
    found = await listed(server, f"created_after={low[1]}&created_before={high[1]}")
    assert found == [id_ for id_, _ in reversed(made) if low[0] <= id_ < high[0]]


async def test_each_filter_alone_over_more_than_a_page(server: Server, made: list[tuple[str, str]]) -> None:
    assert await listed(server, f"created_after={made[0][1]}") == [id_ for id_, _ in reversed(made)]
    assert not set(await listed(server, f"created_before={made[0][1]}")) & {id_ for id_, _ in made}


async def test_next_and_previous_keep_the_filters(server: Server, made: list[tuple[str, str]]) -> None:
    first = (await ask(server, "GET", f"/v1/predictions?created_after={made[0][1]}")).json
    second = (await ask(server, "GET", first["next"].removeprefix(server.url))).json
    assert len(second["results"]) == 5
    assert second["next"] is None
    back = (await ask(server, "GET", second["previous"].removeprefix(server.url))).json
    assert back["results"] == first["results"]


async def test_a_time_with_an_offset_is_the_same_moment(server: Server, made: list[tuple[str, str]]) -> None:
    moment = datetime.fromisoformat(made[50][1])
    other = (moment + timedelta(hours=5)).replace(tzinfo=None).isoformat() + "%2B05:00"
    assert await listed(server, f"created_after={other}") == await listed(
        server, f"created_after={made[50][1]}"
    )


async def test_nothing_was_made_on_the_servers_own_pages(server: Server, made: list[tuple[str, str]]) -> None:
    assert await listed(server, "source=web") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("created_after=yesterday", "created_after"),
        ("created_before=2026-01-01", "created_before"),
        ("created_after=99999-01-01T00:00:00Z", "created_after"),
        ("source=api", "source"),
    ],
)
async def test_a_filter_that_is_wrong_is_named(server: Server, query: str, field: str) -> None:
    answer = await ask(server, "GET", f"/v1/predictions?{query}")
    assert answer.status == 422
    assert [fault["field"] for fault in answer.problem["invalid_fields"]] == [field]
