"""Idempotency-Key: the same request made again is the same prediction, another one is refused."""

import asyncio
from typing import Any

import pytest

from api.asking import Answer, ask, count
from support.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def create(server: Server, key: str, text: str = "hi", **more: Any) -> Answer:
    body = {"version": "test/echo", "input": {"text": text}, **more.pop("body", {})}
    headers = {"idempotency-key": key, **more.pop("headers", {})}
    return await ask(server, "POST", more.pop("path", "/v1/predictions"), body, headers=headers)


async def test_the_same_request_again_is_the_same_prediction(server: Server) -> None:
    first = await create(server, "one")
    before = await count(server)
    again = await create(server, "one")
    assert (first.status, again.status) == (201, 201)
    assert again.json["id"] == first.json["id"]
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert await count(server) == before


async def test_a_replay_shows_it_as_it_is_now(server: Server) -> None:
    first = await create(server, "now")
    ended = await server.ended(first.json["id"])
    assert (await create(server, "now")).json == ended


async def test_many_at_once_make_one(server: Server) -> None:
    before = await count(server)
    answers = await asyncio.gather(*(create(server, "burst") for _ in range(20)))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.json["id"] for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    assert await count(server) == before + 1


async def test_key_order_and_spaces_of_the_json_do_not_matter(server: Server) -> None:
    first = await create(server, "order")
    body = b'{ "input" : {"text":"hi"},\n "version":"test/echo" }'
    again = await ask(server, "POST", "/v1/predictions", body, headers={"idempotency-key": "order"})
    assert again.json["id"] == first.json["id"]


async def test_another_request_with_the_key_is_a_conflict_that_is_not_to_be_retried(server: Server) -> None:
    await create(server, "two", "one text")
    answer = await create(server, "two", "another text")
    assert answer.status == 409
    assert "Idempotency-Key" in answer.problem["detail"]
    assert answer.headers["x-should-retry"] == "false"


async def test_the_route_belongs_to_the_request(server: Server) -> None:
    await create(server, "route")
    body = {"input": {"text": "hi"}}
    answer = await ask(
        server, "POST", "/v1/models/test/echo/predictions", body, headers={"idempotency-key": "route"}
    )
    assert answer.status == 409


async def test_each_base_path_is_the_same_route(server: Server) -> None:
    first = await create(server, "base")
    for path in ("/predictions", "/v1/v1/predictions"):
        assert (await create(server, "base", path=path)).json["id"] == first.json["id"]


async def test_a_refused_request_uses_no_key_up(server: Server) -> None:
    refused = await create(server, "fixed", body={"input": {}})
    assert refused.status == 422
    assert refused.headers["x-should-retry"] == "false"
    assert (await create(server, "fixed")).status == 201


async def test_a_replay_waits_too(server: Server) -> None:
    first = await create(server, "wait")
    again = await create(server, "wait", headers={"prefer": "wait=20"})
    assert again.json["id"] == first.json["id"]
    assert again.json["status"] == "succeeded"
