"""Search, collections, hardware and the account."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.asking import NOT_FOUND, ask, raw
from api.shop import NEIGHBOUR
from support.server import TOKEN, Server

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def found(shop: Server, query: str) -> list[str]:
    answer = await ask(shop, "GET", f"/v1/search?query={quote(query)}")
    assert answer.status == 200
    assert set(answer.json) == {"query", "models", "collections", "pages"}
    assert (answer.json["query"], answer.json["pages"]) == (query, [])
    return [f"{item['model']['owner']}/{item['model']['name']}" for item in answer.json["models"]]


async def test_search_finds_names_and_descriptions_those_that_fit_best_first(shop: Server) -> None:
    await ask(shop, "PATCH", "/v1/models/test/storied", {"description": "An ÉCHO with a story, 100% true"})
    assert await found(shop, "echo") == ["test/echo"]
    assert await found(shop, "STORIED test") == ["test/storied"]
    assert await found(shop, "stor") == ["test/storied"]
    assert await found(shop, "écho") == ["test/storied"]
    assert await found(shop, "100%") == ["test/storied"]
    assert await found(shop, "test/echo") == ["test/echo"]
    assert await found(shop, "_") == []
    assert await found(shop, "echo nowhere") == []
    await ask(shop, "PATCH", "/v1/models/test/patient", {"description": "no echo"})
    assert await found(shop, "echo") == ["test/echo", "test/patient"]
    assert (await found(shop, "test"))[:3] == ["test/echo", "test/patient", "test/storied"]


async def test_a_found_model_is_whole_and_says_how_well_it_fits(shop: Server) -> None:
    answer = await ask(shop, "GET", "/v1/search?query=echo&limit=1")
    (item,) = answer.json["models"]
    assert item["model"] == (await ask(shop, "GET", "/v1/models/test/echo")).json
    assert item["metadata"] == {"generated_description": None, "tags": [], "score": 1.0}


async def test_search_finds_collections(shop: Server) -> None:
    answer = await ask(shop, "GET", "/v1/search?query=say+steps")
    assert answer.json["collections"] == [
        {
            "name": "First steps",
            "slug": "first-steps",
            "description": "Models that say it back",
            "models": ["test/storied", "test/echo", "ringback/secret"],
        }
    ]


async def test_a_found_collection_names_no_model_that_whoever_asks_may_not_see(shop: Server) -> None:
    answer = await ask(shop, "GET", "/v1/search?query=say+steps", token=NEIGHBOUR)
    assert [item["models"] for item in answer.json["collections"]] == [["test/storied", "test/echo"]]
    assert b"secret" not in answer.body


@pytest.mark.parametrize("query", ["", "?query=", "?query=%20%09", "?limit=3", "?q=echo"])
async def test_without_a_query_it_is_asked_for(shop: Server, query: str) -> None:
    answer = await ask(shop, "GET", f"/v1/search{query}")
    assert (answer.status, answer.problem["detail"]) == (400, 'Query parameter "query" is required')


@pytest.mark.parametrize("limit", ["0", "51", "-1", "a", "", "1.0", "9" * 5000])
async def test_a_limit_out_of_bounds_is_refused(shop: Server, limit: str) -> None:
    answer = await ask(shop, "GET", f"/v1/search?query=a&limit={limit}")
    assert (answer.status, answer.problem["invalid_fields"][0]["field"]) == (422, "limit")


@pytest.mark.parametrize(
    ("body", "type_"),
    [
        (b"storied", "text/plain"),
        (b'"storied"', "text/plain"),
        (b'"storied"', "application/json"),
        (b'"stori\\u0065d"', "application/json"),
        (b" storied\n", "application/x-www-form-urlencoded"),
    ],
)
async def test_the_three_ways_in_which_clients_send_a_search_find_the_same(
    shop: Server, body: bytes, type_: str
) -> None:
    answer = await ask(shop, "QUERY", "/v1/models", body, headers={"content-type": type_})
    assert answer.status == 200
    assert (answer.json["next"], answer.json["previous"]) == (None, None)
    assert answer.json["results"] == [(await ask(shop, "GET", "/v1/models/test/storied")).json]


async def test_a_search_for_nothing_finds_everything(shop: Server) -> None:
    answer = await ask(shop, "QUERY", "/v1/models", b"")
    assert "test/echo" in [f"{item['owner']}/{item['name']}" for item in answer.json["results"]]


async def test_a_search_in_a_body_is_bounded_and_text(shop: Server) -> None:
    assert (await ask(shop, "QUERY", "/v1/models", b"a" * 10_001)).status == 413
    assert (await ask(shop, "QUERY", "/v1/models", b"\xff\xfe")).status == 400
    assert (await ask(shop, "QUERY", "/v1/models", b'{"query": "echo"}')).json["results"] == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.one_of(st.binary(max_size=200), st.text(max_size=80).map(json.dumps).map(str.encode)))
async def test_whatever_is_searched_for_is_answered(shop: Server, body: bytes) -> None:
    assert (await ask(shop, "QUERY", "/v1/models", body)).status in (200, 400)
    assert (await ask(shop, "GET", f"/v1/search?query={quote(body)}")).status in (200, 400)


async def test_a_search_by_query_is_understood_on_the_bare_wire(shop: Server) -> None:
    """The method is not one of HTTP's first ones, and the body comes with it as with a POST."""
    host = shop.url.removeprefix("http://")
    request = (
        f"QUERY /v1/models HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {TOKEN}\r\n"
        "content-type: text/plain;charset=UTF-8\r\ncontent-length: 6\r\nconnection: close\r\n\r\n"
        '"echo"'
    )
    answer = await raw(shop, request.encode(), half_close=False)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b'"name":"echo"' in answer


async def test_collections_are_those_of_the_configuration(shop: Server) -> None:
    page = (await ask(shop, "GET", "/v1/collections")).json
    assert page == {
        "next": None,
        "previous": None,
        "results": [
            {"name": "First steps", "slug": "first-steps", "description": "Models that say it back"},
            {"name": "empty", "slug": "empty", "description": ""},
        ],
    }


async def test_a_collection_shows_the_models_that_whoever_asks_may_see(shop: Server) -> None:
    mine = (await ask(shop, "GET", "/v1/collections/first-steps")).json
    theirs = (await ask(shop, "GET", "/v1/collections/first-steps", token=NEIGHBOUR)).json
    assert [item["name"] for item in mine["models"]] == ["storied", "echo", "secret"]
    assert [item["name"] for item in theirs["models"]] == ["storied", "echo"]
    assert mine["models"][1] == (await ask(shop, "GET", "/v1/models/test/echo")).json
    assert mine["full_description"] == "At length."
    empty = (await ask(shop, "GET", "/v1/collections/empty")).json
    assert (empty["name"], empty["full_description"], empty["models"]) == ("empty", None, [])


@pytest.mark.parametrize("slug", ["nothing", "First-steps", "first%2dsteps%00", "%ff"])
async def test_a_collection_that_is_not_there_is_not_found(shop: Server, slug: str) -> None:
    answer = await ask(shop, "GET", f"/v1/collections/{slug}")
    assert (answer.status, answer.problem) == (404, NOT_FOUND)


async def test_the_hardware_is_a_bare_list(shop: Server) -> None:
    answer = await ask(shop, "GET", "/v1/hardware")
    assert answer.json[0] == {"name": "CPU", "sku": "cpu"}


@pytest.mark.parametrize(("token", "username"), [(TOKEN, "ringback"), (NEIGHBOUR, "neighbour")])
async def test_the_account_is_the_tokens(shop: Server, token: str, username: str) -> None:
    answer = await ask(shop, "GET", "/v1/account", token=token)
    assert answer.json == {
        "type": "user",
        "username": username,
        "name": username,
        "avatar_url": None,
        "github_url": None,
    }


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/account"),
        ("GET", "/v1/hardware"),
        ("GET", "/v1/collections"),
        ("GET", "/v1/search?query=a"),
        ("QUERY", "/v1/models"),
        ("GET", "/v1/models"),
        ("POST", "/v1/models"),
        ("PATCH", "/v1/models/test/echo"),
        ("GET", "/v1/models/test/echo/readme"),
        ("POST", "/v1/deployments"),
    ],
)
async def test_nothing_is_told_without_a_token(shop: Server, method: str, path: str) -> None:
    body: Any = None if method == "GET" else {}
    assert (await ask(shop, method, path, body, token=None)).status == 401
    assert (await ask(shop, method, path, body, token="r8_wrong")).status == 401
