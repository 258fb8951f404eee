"""Versions over the API: list, show, run, delete; and the examples of a model."""

import re
from typing import Any

import pytest

from api.asking import NOT_FOUND, ask
from api.shop import NEIGHBOUR, OLD, TUNED, marked
from support.server import TOKEN, Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT = {"input": {"text": "a"}}


async def listed(shop: Server, name: str) -> list[str]:
    answer = await ask(shop, "GET", f"/v1/models/{name}/versions")
    assert answer.status == 200
    assert set(answer.json) == {"next", "previous", "results"}
    return [item["id"] for item in answer.json["results"]]


async def test_versions_are_listed_the_latest_first_as_they_are_shown(shop: Server) -> None:
    latest = (await ask(shop, "GET", "/v1/models/test/echo")).json["latest_version"]
    assert await listed(shop, "test/echo") == [latest["id"], OLD]
    assert await listed(shop, "ringback/tuned") == list(TUNED[::-1])
    found = (await ask(shop, "GET", "/v1/models/test/echo/versions")).json["results"]
    assert found[0] == latest
    for item in found:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", item["created_at"])
        one = await ask(shop, "GET", f"/v1/models/test/echo/versions/{item['id'].upper()}")
        assert one.json == item


@pytest.mark.parametrize(
    "path",
    [
        f"test/storied/versions/{OLD}",
        f"test/nowhere/versions/{OLD}",
        "test/echo/versions/" + "ff" * 32,
        "test/echo/versions/latest",
        "test/echo/versions/%00",
    ],
)
async def test_a_version_that_is_not_the_models_is_not_found(shop: Server, path: str) -> None:
    for method in ("GET", "DELETE"):
        answer = await ask(shop, method, f"/v1/models/{path}")
        assert (answer.status, answer.problem) == (404, NOT_FOUND)


async def test_a_kept_version_runs_when_it_is_named_and_the_latest_otherwise(shop: Server) -> None:
    for reference, output in [(f"test/echo:{OLD}", "aa"), (OLD, "aa"), ("test/echo", "a")]:
        ended = await shop.ended((await shop.create(reference, {"text": "a"}))["id"])
        assert (ended["status"], ended["output"]) == ("succeeded", output)
    for reference in (
        f"test/storied:{OLD}",
        "test/echo:",
        f"test/echo:{OLD}0",
        f"test:{OLD}",
        "test/echo:latest",
    ):
        body = {"version": reference, **TEXT}
        assert (await ask(shop, "POST", "/v1/predictions", body)).status == 422


async def test_a_deleted_version_is_gone_at_once(shop: Server) -> None:
    for reference in (TUNED[1], f"ringback/tuned:{TUNED[1]}"):
        await shop.ended((await shop.create(reference, {"text": "a"}))["id"])
    path = f"/v1/models/ringback/tuned/versions/{TUNED[1]}"
    answer = await ask(shop, "DELETE", path)
    assert (answer.status, answer.body) == (202, b"")
    for method in ("GET", "DELETE"):
        assert (await ask(shop, method, path)).problem == NOT_FOUND
    for reference in (TUNED[1], f"ringback/tuned:{TUNED[1]}"):
        answer = await ask(shop, "POST", "/v1/predictions", {"version": reference, **TEXT})
        assert answer.status == 422
    found = (await ask(shop, "GET", "/v1/models/ringback/tuned")).json
    assert found["latest_version"]["id"] == TUNED[0]
    assert (await shop.create("ringback/tuned", {"text": "a"}))["version"] == TUNED[0]


async def test_the_version_that_the_server_was_told_to_serve_stays(shop: Server) -> None:
    latest = (await listed(shop, "test/echo"))[0]
    answer = await ask(shop, "DELETE", f"/v1/models/test/echo/versions/{latest}")
    assert answer.status == 409
    assert "it would be back at the next start" in answer.problem["detail"]
    assert (await ask(shop, "DELETE", f"/v1/models/test/echo/versions/{OLD}", token=NEIGHBOUR)).status == 403
    assert latest in await listed(shop, "test/echo")


async def test_a_version_that_is_deployed_stays(shop: Server) -> None:
    values = {"hardware": "cpu", "min_instances": 0, "max_instances": 1}
    body = {"name": "held", "model": "test/echo", "version": OLD, **values}
    assert (await ask(shop, "POST", "/v1/deployments", body)).status == 200
    answer = await ask(shop, "DELETE", f"/v1/models/test/echo/versions/{OLD}")
    assert answer.problem["detail"] == "The version is needed by the deployment ringback/held still."
    assert (await ask(shop, "DELETE", "/v1/deployments/ringback/held")).status == 204


async def example(shop: Server, text: str, **more: Any) -> str:
    created = await shop.create("test/storied", {"text": text}, **more)
    return str((await shop.ended(created["id"]))["id"])


async def test_examples_are_shown_to_whoever_sees_the_model_and_no_other_prediction_is(shop: Server) -> None:
    path = "/v1/models/test/storied"
    first = await example(shop, "first", webhook="http://127.0.0.1:9/hook?token=secret")
    second = await example(shop, "second")
    await example(shop, "nobody's business")
    assert (await ask(shop, "GET", f"{path}/examples")).json["results"] == []
    assert (await ask(shop, "GET", path)).json["default_example"] is None
    marked(shop, "test/storied", first, second)
    for token in (TOKEN, NEIGHBOUR):
        page = await ask(shop, "GET", f"{path}/examples", token=token)
        found = page.json["results"]
        assert [item["input"]["text"] for item in found] == ["second", "first"]
        assert (page.json["next"], page.json["previous"]) == (None, None)
        assert (await ask(shop, "GET", path, token=token)).json["default_example"] == found[0]
        for mine in ("webhook", "stream", "deployment"):
            assert mine not in found[1]
            assert mine not in found[1]["urls"]
        assert b"secret" not in page.body
    assert (await ask(shop, "GET", f"/v1/predictions/{first}", token=NEIGHBOUR)).problem == NOT_FOUND


async def test_examples_come_in_pages(shop: Server) -> None:
    ids = [(await shop.create("test/echo", {"text": str(n)}))["id"] for n in range(60)]
    for id_ in ids:
        await shop.ended(id_)
    marked(shop, "test/echo", *ids)
    seen: list[str] = []
    url: str | None = f"{shop.url}/v1/models/test/echo/examples"
    while url is not None:
        page = (await ask(shop, "GET", url.removeprefix(shop.url))).json
        seen += [item["id"] for item in page["results"]]
        url = page["next"]
    assert seen == ids[::-1]
    back = (await ask(shop, "GET", page["previous"].removeprefix(shop.url))).json
    assert [item["id"] for item in back["results"]] == ids[::-1][25:50]
