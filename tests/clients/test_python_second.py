"""PyPI replicate 2.0.0b4, unchanged, with and without `await`: all its operations, checked strictly.

`_strict_response_validation=True`: an answer without a field that the client's types require is an error.
"""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest

from support.clients import Client, ClientError
from support.receiver import Receiver
from support.server import Server

pytestmark = [
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.parametrize("awaited", [False, True], ids=["plain", "awaited"]),
]

CANARY = "30e22229542eb3f79d4f945dacb58d32001b02cc313ae6f54eef27904edf3272"
MODEL = {"model_owner": "replicate", "model_name": "canary"}
LINE = {"model_owner": "test", "model_name": "line"}


async def call(py2: Client, awaited: bool, path: str, **kwargs: Any) -> Any:
    return await py2.ask("call", path=path, kwargs=kwargs, awaited=awaited)


async def each(py2: Client, awaited: bool, path: str, **kwargs: Any) -> Any:
    """All items of a list, page after page."""
    return await py2.ask("each", path=path, kwargs=kwargs, awaited=awaited)


async def refused(py2: Client, awaited: bool, path: str, **kwargs: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        await call(py2, awaited, path, **kwargs)
    return caught.value.name, caught.value.facts["status_code"]


async def owner_of(py2: Client, awaited: bool) -> str:
    return str((await call(py2, awaited, "account.get"))["username"])


async def latest(py2: Client, awaited: bool, name: str) -> str:
    found = await call(py2, awaited, "models.get", model_owner="test", model_name=name)
    return str(found["latest_version"]["id"])


def bytes_of(text: str, name: str = "") -> dict[str, str]:
    return {"$bytes": base64.b64encode(text.encode()).decode(), "name": name}


def raw(text: str) -> dict[str, str]:
    return {"$raw": base64.b64encode(text.encode()).decode()}


def file_of(text: str) -> dict[str, str]:
    encoded = base64.b64encode(text.encode()).decode()
    return {"$file_output": encoded, "url": f"data:text/plain;base64,{encoded}"}


async def test_run_gives_the_output_held_or_polled_for(py2: Client, awaited: bool) -> None:
    asked: list[dict[str, Any]] = [
        {"ref": f"replicate/canary:{CANARY}"},
        {"ref": "replicate/canary", "wait": 5},
        {"ref": "replicate/canary", "wait": False},
    ]
    for each_way in asked:
        said = await py2.ask("run", input={"text": "Claire"}, awaited=awaited, **each_way)
        assert said == ["hello ", "there, ", "Claire"]
    slow = {"text": "a b c", "pause": 0.6}
    assert await py2.ask("run", ref="test/tokens", input=slow, wait=1, awaited=awaited) == ["a", "b", "c"]
    with pytest.raises(ClientError) as caught:
        await py2.ask("run", ref="test/behave", input={"mode": "raises"}, awaited=awaited)
    assert (caught.value.name, caught.value.facts["message"]) == ("ModelError", "no such luck")


async def test_run_sends_files_and_reads_files(py2: Client, awaited: bool, tmp_path: Path) -> None:
    (tmp_path / "two.txt").write_text("two")
    given = {"cover": bytes_of("cover"), "pages": [bytes_of("one"), {"$path": str(tmp_path / "two.txt")}]}
    for strategy in "url", "base64":
        more = {"file_encoding_strategy": strategy, "awaited": awaited}
        assert await py2.ask("run", ref="test/collate", input=given, **more) == file_of("cover|one|two")
    plain = {"ref": "test/painter", "input": {"document": "data:,quiet"}, "awaited": awaited}
    assert await py2.ask("run", use_file_output=False, **plain) == [file_of("QUIET")["url"]]
    (url,) = await py2.ask("run", wait=False, **plain)
    assert url.startswith("http://")


async def test_use_makes_a_function_of_a_model(py2: Client, awaited: bool) -> None:
    for ref in f"replicate/canary:{CANARY}", "replicate/canary":
        said = await py2.ask("use", ref=ref, inputs={"text": "Claire"}, awaited=awaited)
        assert said == ["hello ", "there, ", "Claire"]
    streamed = {"ref": "test/tokens", "inputs": {"text": "a b c", "pause": 0.05}, "awaited": awaited}
    assert await py2.ask("use", streaming=True, **streamed) == ["a", "b", "c"]
    with pytest.raises(ClientError, match="ModelError: no such luck"):
        await py2.ask("use", ref="test/behave", inputs={"mode": "raises"}, awaited=awaited)


async def test_use_tells_of_logs_and_schema_and_its_older_name_streams(py2: Client, awaited: bool) -> None:
    inputs = {"text": "a b"}
    begun = await py2.ask("logs_of", ref="test/tokens", inputs=inputs)
    assert (begun["output"], begun["logs"]) == (["a", "b"], "said a\nsaid b\n")
    assert begun["schema"]["components"]["schemas"]["Input"]["required"] == ["text"]
    assert await py2.ask("stream", ref="test/tokens", given=inputs) == ["a", "b"]


async def test_a_files_path_is_downloaded_without_a_token_when_it_is_opened(
    py2: Client, server: Server, awaited: bool
) -> None:
    given = {"cover": "data:,cover", "pages": ["data:,one"], "name": f"{awaited}.txt"}
    book = await py2.ask("use", ref="test/collate", inputs=given, awaited=awaited)
    assert book["$file_output"] == "cover|one"
    assert book["url"].startswith(f"{server.url}/f/")


async def test_account_hardware_collections_and_search(py2: Client, awaited: bool) -> None:
    account = await call(py2, awaited, "account.get")
    assert account["type"] in {"user", "organization"}
    assert await call(py2, awaited, "hardware.list") == [
        {"name": "CPU", "sku": "cpu"},
        {"name": "Nvidia T4 GPU", "sku": "gpu-t4"},
    ]
    (listed,) = await each(py2, awaited, "collections.list")
    assert listed["slug"] == "speakers"
    collection = await call(py2, awaited, "collections.get", collection_slug="speakers")
    assert [item["name"] for item in collection["models"]] == ["canary", "tokens"]
    assert await refused(py2, awaited, "collections.get", collection_slug="none") == ("NotFoundError", 404)
    found = await call(py2, awaited, "search", query="canary", limit=5)
    assert found["query"] == "canary"
    assert [item["model"]["name"] for item in found["models"]] == ["canary"]
    speakers = await call(py2, awaited, "search", query="speakers")
    assert [item["name"] for item in speakers["collections"]] == ["Speakers"]
    assert speakers["pages"] == []


async def test_predictions(py2: Client, awaited: bool) -> None:
    given = {"version": CANARY, "input": {"text": "a"}}
    created = await call(py2, awaited, "predictions.create", **given)
    assert (created["status"], created["source"], created["data_removed"]) == ("starting", "api", False)
    held = await call(py2, awaited, "predictions.create", prefer="wait", **given)
    assert (held["status"], held["output"]) == ("succeeded", ["hello ", "there, ", "a"])
    found = await call(py2, awaited, "predictions.get", prediction_id=held["id"])
    assert found == held
    waited = await call(py2, awaited, "predictions.wait", prediction_id=created["id"])
    assert waited["status"] == "succeeded"
    listed = await call(py2, awaited, "predictions.list", created_after=created["created_at"])
    assert [item["id"] for item in listed["results"]] == [held["id"], created["id"]]
    before = await call(py2, awaited, "predictions.list", created_before=created["created_at"])
    assert created["id"] not in [item["id"] for item in before["results"]]
    hanging = {"model_owner": "test", "model_name": "behave", "input": {"mode": "hangs"}}
    running = await call(py2, awaited, "models.predictions.create", cancel_after="1m", **hanging)
    assert running["deadline"] > running["created_at"]
    canceled = await call(py2, awaited, "predictions.cancel", prediction_id=running["id"])
    assert (canceled["id"], canceled["status"]) == (running["id"], "canceled")
    assert await refused(py2, awaited, "predictions.get", prediction_id="none") == ("NotFoundError", 404)


async def test_a_create_that_is_repeated_with_its_key_is_one_prediction(py2: Client, awaited: bool) -> None:
    given = {"version": CANARY, "extra_headers": {"Idempotency-Key": f"order-{awaited}"}}
    first = await call(py2, awaited, "predictions.create", input={"text": "a"}, **given)
    again = await call(py2, awaited, "predictions.create", input={"text": "a"}, **given)
    assert again["id"] == first["id"]
    changed = {"input": {"text": "b"}, **given}
    assert await refused(py2, awaited, "predictions.create", **changed) == ("ConflictError", 409)


async def test_every_answer_can_be_had_raw(py2: Client, awaited: bool) -> None:
    given = {"version": CANARY, "input": {"text": "a"}, "prefer": "wait=5"}
    answer = await py2.ask("raw", path="predictions.create", kwargs=given, awaited=awaited)
    assert answer["status"] == 201
    assert answer["headers"]["preference-applied"] == "wait=5"
    id_ = json.loads(answer["text"])["id"]
    assert answer["headers"]["location"].endswith(f"/v1/predictions/{id_}")


async def test_a_list_is_followed_to_its_end(py2: Client, server: Server, awaited: bool) -> None:
    jobs = [server.create("test/echo", {"text": "a"}) for _ in range(101)]
    made = {created["id"] for created in await asyncio.gather(*jobs)}
    ids = [item["id"] for item in await each(py2, awaited, "predictions.list")]
    assert made <= set(ids)
    assert ids == sorted(set(ids), reverse=True)


async def test_models(py2: Client, awaited: bool) -> None:
    owner, name = await owner_of(py2, awaited), f"py2-{awaited}".lower()
    about = {"visibility": "private", "hardware": "cpu", "description": "Finds hot dogs"}
    made = await call(py2, awaited, "models.create", owner=owner, name=name, **about)
    assert (made["owner"], made["name"], made["is_official"]) == (owner, name, False)
    one = {"model_owner": owner, "model_name": name}
    assert await call(py2, awaited, "models.get", **one) == made
    changed = await call(py2, awaited, "models.update", description="Cold dogs", readme="# Dogs", **one)
    assert changed["description"] == "Cold dogs"
    assert await call(py2, awaited, "models.readme.get", **one) == "# Dogs"
    for sorting in {}, {"sort_by": "model_created_at", "sort_direction": "asc"}:
        names = [item["name"] for item in await each(py2, awaited, "models.list", **sorting)]
        assert {name, "canary"} <= set(names)
    assert names[-1] == name
    found = await call(py2, awaited, "models.search", body="canary")
    assert [item["name"] for item in found["results"]] == ["canary"]
    assert await call(py2, awaited, "models.delete", **one) is None
    assert await refused(py2, awaited, "models.get", **one) == ("NotFoundError", 404)
    assert await refused(py2, awaited, "models.readme.get", **MODEL) == ("NotFoundError", 404)
    assert await each(py2, awaited, "models.examples.list", **MODEL) == []


async def test_versions_and_trainings(py2: Client, receiver: Receiver, awaited: bool) -> None:
    (version,) = await each(py2, awaited, "models.versions.list", **MODEL)
    assert version["id"] == CANARY
    assert await call(py2, awaited, "models.versions.get", version_id=CANARY, **MODEL) == version
    owner, name = await owner_of(py2, awaited), f"slope-{awaited}".lower()
    await call(py2, awaited, "models.create", owner=owner, name=name, visibility="private", hardware="cpu")
    given = {
        "version_id": await latest(py2, awaited, "line"),
        "destination": f"{owner}/{name}",
        "input": {"points": "1,3"},
        "webhook": receiver.url,
        "webhook_events_filter": ["completed"],
        **LINE,
    }
    training = await call(py2, awaited, "trainings.create", **given)
    assert training["status"] == "starting"
    await receiver.until(lambda r: len(r.received) == 1)
    ended = await call(py2, awaited, "trainings.get", training_id=training["id"])
    assert ended["status"] == "succeeded"
    assert training["id"] in [item["id"] for item in await each(py2, awaited, "trainings.list")]
    new = ended["output"]["version"].rpartition(":")[2]
    assert await py2.ask("run", ref=f"{owner}/{name}", input={"x": 2}, awaited=awaited) == 6
    one = {"model_owner": owner, "model_name": name}
    assert await call(py2, awaited, "models.versions.delete", version_id=new, **one) is None
    assert await each(py2, awaited, "models.versions.list", **one) == []
    given["input"] = {"points": "1,3", "pause": 60}
    running = await call(py2, awaited, "trainings.create", **given)
    canceled = await call(py2, awaited, "trainings.cancel", training_id=running["id"])
    assert canceled["status"] == "canceled"
    given["destination"] = "no/where"
    assert await refused(py2, awaited, "trainings.create", **given) == ("NotFoundError", 404)


async def test_deployments(py2: Client, awaited: bool) -> None:
    owner, name = await owner_of(py2, awaited), f"py2-{awaited}".lower()
    release = {"model": "test/echo", "version": await latest(py2, awaited, "echo"), "hardware": "cpu"}
    made = await call(
        py2, awaited, "deployments.create", name=name, min_instances=0, max_instances=1, **release
    )
    assert (made["owner"], made["name"]) == (owner, name)
    one = {"deployment_owner": owner, "deployment_name": name}
    assert await call(py2, awaited, "deployments.get", **one) == made
    assert made in await each(py2, awaited, "deployments.list")
    changed = await call(py2, awaited, "deployments.update", max_instances=2, hardware="gpu-t4", **one)
    assert changed["current_release"]["number"] == 2
    back = await call(py2, awaited, "deployments.update", hardware="cpu", **one)
    assert back["current_release"]["configuration"] == {
        "hardware": "cpu",
        "min_instances": 0,
        "max_instances": 2,
    }
    given = {"input": {"text": "ho"}, "prefer": "wait"}
    ran = await call(py2, awaited, "deployments.predictions.create", **one, **given)
    assert (ran["status"], ran["output"]) == ("succeeded", "ho")
    assert await call(py2, awaited, "deployments.delete", **one) is None
    assert await refused(py2, awaited, "deployments.get", **one) == ("NotFoundError", 404)


async def test_files(py2: Client, server: Server, awaited: bool) -> None:
    named = {"$tuple": ["näme.txt", raw("text"), "text/plain"]}
    by_tuple = await call(py2, awaited, "files.create", content=named, metadata={"a": "1", "b": "2"})
    assert (by_tuple["name"], by_tuple["content_type"]) == ("näme.txt", "text/plain")
    assert by_tuple["metadata"] == {"a": "1", "b": "2"}
    told = {"filename": "told.bin", "type": "application/x-told"}
    by_fields = await call(py2, awaited, "files.create", content=raw("fields"), **told)
    assert (by_fields["name"], by_fields["content_type"]) == ("told.bin", "application/x-told")
    bare = await call(py2, awaited, "files.create", content=raw("bare"))
    assert (bare["name"], bare["content_type"]) == ("upload", "application/octet-stream")
    made = [bare, by_fields, by_tuple]
    assert (await each(py2, awaited, "files.list"))[:3] == made
    for file in made:
        one = {"file_id": file["id"]}
        assert await call(py2, awaited, "files.get", **one) == file
        assert await call(py2, awaited, "files.delete", **one) is None
        assert await refused(py2, awaited, "files.get", **one) == ("NotFoundError", 404)


async def test_the_secret_of_webhooks(py2: Client, server: Server, awaited: bool) -> None:
    assert (await call(py2, awaited, "webhooks.default.secret.get"))["key"] == await server.secret()


async def test_each_refusal_has_its_type_and_is_not_tried_again(py2: Client, awaited: bool) -> None:
    await py2.ask("requests")
    wrong = {"version": CANARY, "input": {}}
    assert await refused(py2, awaited, "predictions.create", **wrong) == ("UnprocessableEntityError", 422)
    owner = await owner_of(py2, awaited)
    about = {"owner": owner, "name": f"twice-{awaited}".lower(), "visibility": "private", "hardware": "cpu"}
    await call(py2, awaited, "models.create", **about)
    assert await refused(py2, awaited, "models.create", **about) == ("ConflictError", 409)
    sent = [(one["method"], one["path"], one["status"]) for one in await py2.ask("requests")]
    assert sent == [
        ("POST", "/v1/predictions", 422),
        ("GET", "/v1/account", 200),
        ("POST", "/v1/models", 201),
        ("POST", "/v1/models", 409),
    ]
    with pytest.raises(ClientError) as caught:
        await py2.ask("call", path="predictions.list", awaited=awaited, token="r8_wrong")
    assert (caught.value.name, caught.value.facts["status_code"]) == ("AuthenticationError", 401)
