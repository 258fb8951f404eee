"""A create request repeated with its Idempotency-Key: what makes it the same, and what it survives."""

from typing import Any

import pytest

from api.asking import Answer, ask
from api.shop import NEIGHBOUR, TUNED
from support.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT = {"input": {"text": "a"}}


async def create(
    shop: Server, key: str, body: Any, path: str = "/predictions", token: str | None = None, **headers: str
) -> Answer:
    sent = {"idempotency-key": key, **{name.replace("_", "-"): text for name, text in headers.items()}}
    more = {} if token is None else {"token": token}
    return await ask(shop, "POST", f"/v1{path}", body, headers=sent, **more)


async def gone(shop: Server, path: str) -> None:
    answer = await ask(shop, "DELETE", f"/v1{path}")
    assert answer.status in (202, 204), answer.body


async def test_a_repeat_is_answered_although_the_version_is_gone_meanwhile(shop: Server) -> None:
    body = {"version": TUNED[1], **TEXT}
    made = await create(shop, "version", body)
    ended = await shop.ended(made.json["id"])
    await gone(shop, f"/models/ringback/tuned/versions/{TUNED[1]}")
    again = await create(shop, "version", body)
    assert (again.status, again.json) == (201, ended)
    assert again.headers["idempotent-replayed"] == "true"
    assert (await create(shop, "another", body)).status == 422


async def test_a_repeat_is_answered_although_the_deployment_is_gone_meanwhile(shop: Server) -> None:
    wanted = {"model": "ringback/tuned", "version": TUNED[0], "hardware": "cpu"}
    limits = {"min_instances": 0, "max_instances": 1}
    assert (await ask(shop, "POST", "/v1/deployments", {"name": "short", **wanted, **limits})).status == 200
    path = "/deployments/ringback/short"
    made = await create(shop, "deployment", TEXT, f"{path}/predictions")
    ended = await shop.ended(made.json["id"])
    await gone(shop, path)
    again = await create(shop, "deployment", TEXT, f"{path}/predictions")
    assert (again.status, again.json) == (201, ended)
    assert (await create(shop, "deployment-2", TEXT, f"{path}/predictions")).status == 404


async def test_a_key_tells_another_account_nothing(shop: Server) -> None:
    body = {"version": "test/echo", **TEXT}
    made = await create(shop, "shared", body)
    theirs = await create(shop, "shared", body, token=NEIGHBOUR)
    assert theirs.status == 201
    assert theirs.json["id"] != made.json["id"]


async def test_numbers_are_the_same_by_value_and_not_by_spelling(shop: Server) -> None:
    first = await create(shop, "number", b'{"version":"test/echo","input":{"text":"a","n":[1,{"m":1e2}]}}')
    again = await create(shop, "number", b'{"input":{"n":[1.0,{"m":100}],"text":"a"},"version":"test/echo"}')
    assert (again.status, again.json["id"]) == (201, first.json["id"])
    for other in (b"true", b'"1"', b"1.5", b"[1]"):
        answer = await create(
            shop, "number", b'{"version":"test/echo","input":{"text":"a","n":[%s,{"m":100}]}}' % other
        )
        assert answer.status == 409


async def test_cancel_after_belongs_to_the_request_and_prefer_does_not(shop: Server) -> None:
    body = {"version": "test/echo", **TEXT}
    first = await create(shop, "deadline", body, cancel_after="5m")
    assert first.status == 201
    again = await create(shop, "deadline", body, cancel_after="300", prefer="wait")
    assert (again.status, again.json["id"]) == (201, first.json["id"])
    assert (await create(shop, "deadline", body, cancel_after="301")).status == 409
    assert (await create(shop, "deadline", body)).status == 409
