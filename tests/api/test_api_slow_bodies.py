"""What is deleted or moved while a create request is on its way: before its body, or before it is written."""

import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from typing import Any

import pytest
import pytest_asyncio

from api.asking import NOT_FOUND, Answer, ask
from api.shop import OLD, TUNED, data_of, open_shop
from commands.running import run
from support.server import Server, model

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT = {"input": {"text": "a"}}
POINTS = "data:text/csv,1%2C3%0A2%2C6"
Deed = Callable[[], Awaitable[Any]]


@pytest_asyncio.fixture(loop_scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """A server of its own for each test: each takes something away."""
    async with open_shop(tmp_path_factory.mktemp("slow"), model("test/line", "line")) as server:
        yield server


async def slowly(shop: Server, path: str, body: dict[str, Any], meanwhile: Deed) -> Answer:
    """Send a body only after the server has asked for it, and after something has happened then."""

    async def content() -> AsyncIterator[bytes]:
        await meanwhile()
        yield json.dumps(body).encode()

    return await ask(shop, "POST", f"/v1{path}", content(), headers={"expect": "100-continue"})


def deleting(shop: Server, *paths: str) -> Deed:
    async def deed() -> None:
        for path in paths:
            answer = await ask(shop, "DELETE", f"/v1{path}")
            assert answer.status in (202, 204), answer.body

    return deed


async def deployed(shop: Server) -> None:
    wanted = {"model": "test/echo", "version": OLD, "hardware": "cpu", "min_instances": 0, "max_instances": 1}
    assert (await ask(shop, "POST", "/v1/deployments", {"name": "front", **wanted})).status == 200


def delete_beside(shop: Server, sql: str, *values: str) -> None:
    """Change the store beside the running server, which then still remembers what was there."""
    with closing(sqlite3.connect(data_of(shop) / "ringback.sqlite", timeout=10)) as connection, connection:
        assert connection.execute(sql, values).rowcount == 1


async def test_a_version_that_was_deleted_is_not_run(shop: Server) -> None:
    deed = deleting(shop, f"/models/ringback/tuned/versions/{TUNED[1]}")
    answer = await slowly(shop, "/predictions", {"version": TUNED[1], **TEXT}, deed)
    assert (answer.status, answer.problem["title"]) == (422, "Invalid version or not permitted")


async def test_a_models_latest_version_is_the_one_it_has_once_the_body_is_there(shop: Server) -> None:
    deed = deleting(shop, f"/models/ringback/tuned/versions/{TUNED[1]}")
    answer = await slowly(shop, "/models/ringback/tuned/predictions", TEXT, deed)
    assert (answer.status, answer.json["version"]) == (201, TUNED[0])


async def test_a_model_that_was_deleted_is_not_found(shop: Server) -> None:
    name = "ringback/tuned"
    deed = deleting(shop, *(f"/models/{name}/versions/{id_}" for id_ in TUNED), f"/models/{name}")
    answer = await slowly(shop, f"/models/{name}/predictions", TEXT, deed)
    assert (answer.status, answer.problem) == (404, NOT_FOUND)


async def test_a_model_that_the_operator_took_away_is_not_found(shop: Server) -> None:
    data = data_of(shop)
    assert (await run("models", "add", model("test/spare", "tokens"), data=data)).code == 0

    async def deed() -> None:
        assert (await run("models", "remove", "test/spare", data=data)).code == 0

    answer = await slowly(shop, "/models/test/spare/predictions", {"input": {}}, deed)
    assert (answer.status, answer.problem) == (404, NOT_FOUND)


async def test_a_deployment_that_was_deleted_is_not_found(shop: Server) -> None:
    await deployed(shop)
    deed = deleting(shop, "/deployments/ringback/front")
    answer = await slowly(shop, "/deployments/ringback/front/predictions", TEXT, deed)
    assert (answer.status, answer.problem) == (404, NOT_FOUND)


async def test_a_deployment_that_was_moved_runs_its_new_version(shop: Server) -> None:
    await deployed(shop)
    latest = (await ask(shop, "GET", "/v1/models/test/echo")).json["latest_version"]["id"]

    async def deed() -> None:
        answer = await ask(shop, "PATCH", "/v1/deployments/ringback/front", {"version": latest})
        assert answer.status == 200

    answer = await slowly(shop, "/deployments/ringback/front/predictions", TEXT, deed)
    assert (answer.status, answer.json["version"]) == (201, latest)


async def test_a_destination_that_was_deleted_is_not_trained_into(shop: Server) -> None:
    wanted = {"owner": "ringback", "name": "target", "visibility": "private", "hardware": "cpu"}
    assert (await ask(shop, "POST", "/v1/models", wanted)).status == 201
    line = (await ask(shop, "GET", "/v1/models/test/line")).json["latest_version"]["id"]
    path = f"/models/test/line/versions/{line}/trainings"
    body = {"destination": "ringback/target", "input": {"points": POINTS}}
    answer = await slowly(shop, path, body, deleting(shop, "/models/ringback/target"))
    assert (answer.status, answer.problem["detail"]) == (
        404,
        "The specified training destination does not exist",
    )


async def test_what_the_server_remembers_is_not_accepted_once_it_is_gone_from_the_store(shop: Server) -> None:
    """It looks into the store in the transaction that writes the prediction, and then anew."""
    for reference in (TUNED[1], "ringback/tuned"):
        assert (await shop.create(reference, TEXT["input"]))["version"] == TUNED[1]
    delete_beside(shop, "UPDATE versions SET removed = TRUE WHERE id = ?", TUNED[1])
    answer = await ask(shop, "POST", "/v1/predictions", {"version": TUNED[1], **TEXT})
    assert (answer.status, answer.problem["title"]) == (422, "Invalid version or not permitted")
    assert (await shop.create("ringback/tuned", TEXT["input"]))["version"] == TUNED[0]
    delete_beside(shop, "UPDATE models SET served = FALSE WHERE name = ?", "ringback/tuned")
    answer = await ask(shop, "POST", "/v1/models/ringback/tuned/predictions", TEXT)
    assert (answer.status, answer.problem) == (404, NOT_FOUND)
