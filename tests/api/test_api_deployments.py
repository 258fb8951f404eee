"""Deployments over the API: made, changed, run, deleted; each account has its own."""

from typing import Any

import pytest

from api.asking import NOT_FOUND, Answer, ask
from api.shop import NEIGHBOUR, OLD, TUNED
from support.server import TOKEN, Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT = {"input": {"text": "a"}}
ACCOUNT = {
    "type": "user",
    "username": "ringback",
    "name": "ringback",
    "avatar_url": None,
    "github_url": None,
}


def wanted(name: str, **more: Any) -> dict[str, Any]:
    values = {"model": "test/echo", "version": OLD, "hardware": "cpu", "min_instances": 0, "max_instances": 1}
    return {"name": name, **values, **more}


async def made(shop: Server, name: str, token: str = TOKEN, **more: Any) -> Any:
    answer = await ask(shop, "POST", "/v1/deployments", wanted(name, **more), token=token)
    assert answer.status == 200, answer.body
    return answer.json


async def patch(shop: Server, name: str, body: dict[str, Any], token: str = TOKEN) -> Answer:
    return await ask(shop, "PATCH", f"/v1/deployments/ringback/{name}", body, token=token)


async def test_a_deployment_is_its_first_release(shop: Server) -> None:
    found = await made(shop, "first", min_instances=1.0, max_instances=5, version=OLD.upper())
    created_at = found["current_release"].pop("created_at")
    assert found == {
        "owner": "ringback",
        "name": "first",
        "current_release": {
            "number": 1,
            "model": "test/echo",
            "version": OLD,
            "created_by": ACCOUNT,
            "configuration": {"hardware": "cpu", "min_instances": 1, "max_instances": 5},
        },
    }
    found["current_release"]["created_at"] = created_at
    assert (await ask(shop, "GET", "/v1/deployments/ringback/first")).json == found
    assert found in (await ask(shop, "GET", "/v1/deployments")).json["results"]


async def test_each_change_of_value_is_a_release(shop: Server) -> None:
    await made(shop, "growing", max_instances=2)
    latest = (await ask(shop, "GET", "/v1/models/test/echo")).json["latest_version"]["id"]
    changes: list[tuple[int, dict[str, Any], str, tuple[int, int]]] = [
        (2, {"max_instances": 3}, OLD, (0, 3)),
        (2, {"max_instances": 3, "hardware": "cpu"}, OLD, (0, 3)),
        (2, {}, OLD, (0, 3)),
        (3, {"min_instances": 2, "version": latest}, latest, (2, 3)),
        (4, {"min_instances": 0}, latest, (0, 3)),
    ]
    for number, change, version, instances in changes:
        answer = await patch(shop, "growing", change)
        release = answer.json["current_release"]
        assert answer.status == 200
        assert (release["number"], release["version"]) == (number, version)
        found = release["configuration"]
        assert (found["min_instances"], found["max_instances"]) == instances
        assert (await ask(shop, "GET", "/v1/deployments/ringback/growing")).json == answer.json


@pytest.mark.parametrize(
    ("change", "kind", "field"),
    [
        *(({key: ...}, "required", "") for key in wanted("x")),
        ({"name": "Big"}, "pattern", "name"),
        ({"name": "a/b"}, "pattern", "name"),
        ({"min_instances": -1}, "number_gte", "min_instances"),
        ({"min_instances": 6, "max_instances": 9}, "number_lte", "min_instances"),
        ({"max_instances": 21}, "number_lte", "max_instances"),
        ({"max_instances": 10**400}, "number_lte", "max_instances"),
        ({"max_instances": 1.5}, "invalid_type", "max_instances"),
        ({"max_instances": True}, "invalid_type", "max_instances"),
        ({"max_instances": "1"}, "invalid_type", "max_instances"),
        ({"min_instances": 3, "max_instances": 2}, "number_lte", "min_instances"),
        ({"hardware": "gpu-of-dreams"}, "enum", "hardware"),
        ({"hardware": None}, "invalid_type", "hardware"),
        ({"name": ""}, "pattern", "name"),
        ({"model": None}, "invalid_type", "model"),
        ({"version": 7}, "invalid_type", "version"),
        ({"owner": "ringback"}, "additional_property_not_allowed", ""),
    ],
)
async def test_a_wrong_field_is_named(shop: Server, change: dict[str, Any], kind: str, field: str) -> None:
    body = {key: value for key, value in {**wanted("wrong"), **change}.items() if value is not ...}
    answer = await ask(shop, "POST", "/v1/deployments", body)
    assert answer.status == 422
    assert [(each["type"], each["field"]) for each in answer.problem["invalid_fields"]] == [(kind, field)]
    assert (await ask(shop, "GET", "/v1/deployments/ringback/wrong")).status == 404


@pytest.mark.parametrize(
    ("model", "version"),
    [
        ("test/echo", "ff" * 32),
        ("test/echo", TUNED[0]),
        ("test/echo", "test/echo"),
        ("test/nowhere", OLD),
        ("test/gone", "3c" * 32),
        ("", OLD),
    ],
)
async def test_a_version_that_is_not_the_models_is_refused(shop: Server, model: str, version: str) -> None:
    answer = await ask(shop, "POST", "/v1/deployments", wanted("wrong", model=model, version=version))
    assert (answer.status, answer.problem["title"]) == (422, "Invalid version or not permitted")


@pytest.mark.parametrize(
    ("change", "kind", "field"),
    [
        ({"min_instances": 2}, "number_lte", "min_instances"),
        ({"max_instances": 21}, "number_lte", "max_instances"),
        ({"hardware": "gpu-of-dreams"}, "enum", "hardware"),
        ({"model": "test/storied"}, "additional_property_not_allowed", ""),
        ({"name": "other"}, "additional_property_not_allowed", ""),
    ],
)
async def test_a_wrong_change_is_named_and_changes_nothing(
    shop: Server, change: dict[str, Any], kind: str, field: str
) -> None:
    if (await ask(shop, "GET", "/v1/deployments/ringback/steady")).status == 404:
        await made(shop, "steady")
    before = (await ask(shop, "GET", "/v1/deployments/ringback/steady")).json
    answer = await patch(shop, "steady", {"max_instances": 1, **change})
    assert answer.status == 422
    assert [(each["type"], each["field"]) for each in answer.problem["invalid_fields"]] == [(kind, field)]
    assert (await patch(shop, "steady", {"version": TUNED[0]})).status == 422
    assert (await ask(shop, "GET", "/v1/deployments/ringback/steady")).json == before


async def test_a_name_is_taken_once(shop: Server) -> None:
    await made(shop, "once")
    answer = await ask(shop, "POST", "/v1/deployments", wanted("once", max_instances=7))
    assert answer.status == 409
    assert answer.problem["detail"] == "A deployment with the name ringback/once exists already."


async def test_another_accounts_deployment_is_not_there(shop: Server) -> None:
    await made(shop, "mine")
    for method, path, body in [
        ("GET", "", None),
        ("PATCH", "", {"max_instances": 3}),
        ("DELETE", "", None),
        ("POST", "/predictions", TEXT),
    ]:
        answer = await ask(shop, method, f"/v1/deployments/ringback/mine{path}", body, token=NEIGHBOUR)
        assert (answer.status, answer.problem) == (404, NOT_FOUND)
    await made(shop, "mine", NEIGHBOUR)
    theirs = (await ask(shop, "GET", "/v1/deployments", token=NEIGHBOUR)).json["results"]
    assert [(item["owner"], item["name"]) for item in theirs] == [("neighbour", "mine")]
    assert theirs[0]["current_release"]["created_by"]["username"] == "neighbour"
    hidden = wanted("hidden", model="ringback/secret", version="4d" * 32)
    assert (await ask(shop, "POST", "/v1/deployments", hidden, token=NEIGHBOUR)).status == 422
    assert (await ask(shop, "POST", "/v1/deployments", hidden)).status == 200


async def test_a_prediction_on_a_deployment_runs_its_version(shop: Server) -> None:
    await made(shop, "running")
    answer = await ask(shop, "POST", "/v1/deployments/ringback/running/predictions", TEXT)
    assert answer.status == 201
    assert (answer.json["version"], answer.json["deployment"]) == (OLD, "running")
    ended = await shop.ended(answer.json["id"])
    assert (ended["status"], ended["output"], ended["deployment"]) == ("succeeded", "aa", "running")
    wrong = await ask(shop, "POST", "/v1/deployments/ringback/running/predictions", {"version": OLD, **TEXT})
    assert wrong.status == 422
    wrong = await ask(shop, "POST", "/v1/deployments/ringback/running/predictions", {"input": {}})
    assert wrong.problem["invalid_fields"][0]["description"] == "text is required"


async def test_a_deployment_goes_when_its_predictions_have_ended(shop: Server) -> None:
    await made(shop, "going", model="test/patient", version=await _patient(shop))
    path = "/v1/deployments/ringback/going"
    created = (await ask(shop, "POST", f"{path}/predictions", {"input": {}})).json
    answer = await ask(shop, "DELETE", path)
    assert answer.status == 409
    assert answer.problem["detail"] == "The deployment ringback/going has predictions that have not ended."
    await patch(shop, "going", {"max_instances": 2})
    assert (await ask(shop, "DELETE", path)).status == 409
    await ask(shop, "POST", f"/v1/predictions/{created['id']}/cancel")
    answer = await ask(shop, "DELETE", path)
    assert (answer.status, answer.body) == (204, b"")
    for method in ("GET", "DELETE"):
        assert (await ask(shop, method, path)).problem == NOT_FOUND


async def _patient(shop: Server) -> str:
    return str((await ask(shop, "GET", "/v1/models/test/patient")).json["latest_version"]["id"])


async def test_following_next_and_previous_gives_each_deployment_once(shop: Server) -> None:
    for number in range(120):
        await made(shop, f"many-{number:03}", NEIGHBOUR)
    page = (await ask(shop, "GET", "/v1/deployments", token=NEIGHBOUR)).json
    seen = page["results"]
    assert len(seen) == 100
    while page["next"] is not None:
        page = (await ask(shop, "GET", page["next"].removeprefix(shop.url), token=NEIGHBOUR)).json
        seen = seen + page["results"]
    many = [item["name"] for item in seen if item["name"].startswith("many-")]
    assert many == [f"many-{number:03}" for number in range(119, -1, -1)]
    back = (await ask(shop, "GET", page["previous"].removeprefix(shop.url), token=NEIGHBOUR)).json
    assert back["results"] == seen[:100]
    assert back["previous"] is None


@pytest.mark.parametrize("cursor", ["", "x", "bmV4dD1h", "%00"])
async def test_a_cursor_that_is_not_ours_is_refused(shop: Server, cursor: str) -> None:
    answer = await ask(shop, "GET", f"/v1/deployments?cursor={cursor}")
    assert (answer.status, answer.problem["title"]) == (422, "Invalid cursor")
