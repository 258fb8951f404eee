"""PyPI replicate 1.0.7, unchanged, with and without `await`: every resource it has."""

import asyncio
import base64
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
Awaited = bool


async def call(py1: Client, awaited: Awaited, path: str, *args: Any, **kwargs: Any) -> Any:
    return await py1.ask("call", path=path, args=args, kwargs=kwargs, awaited=awaited)


async def after(py1: Client, awaited: Awaited, path: str, kwargs: Any, *then: Any) -> Any:
    """Call a method, and then methods of what it gave."""
    return await py1.ask("call", path=path, kwargs=kwargs, then=then, awaited=awaited)


async def version_of(py1: Client, awaited: Awaited, name: str) -> str:
    return str((await call(py1, awaited, "models.get", name))["latest_version"]["id"])


def bytes_of(text: str, name: str) -> dict[str, str]:
    return {"$bytes": base64.b64encode(text.encode()).decode(), "name": name}


def file_of(text: str, type_: str = "text/plain") -> dict[str, str]:
    encoded = base64.b64encode(text.encode()).decode()
    return {"$file_output": encoded, "url": f"data:{type_};base64,{encoded}"}


async def test_run_gives_an_iterator_of_a_version_that_yields(py1: Client, awaited: Awaited) -> None:
    given = {"ref": f"replicate/canary:{CANARY}", "input": {"text": "Claire"}, "awaited": awaited}
    said = {"$items": ["hello ", "there, ", "Claire"]}
    assert await py1.ask("run", **given) == said
    assert await py1.ask("run", wait=5, **given) == said
    without_version = {**given, "ref": "replicate/canary"}
    assert await py1.ask("run", **without_version) == said["$items"]
    assert await py1.ask("run", wait=False, **without_version) == said["$items"]


async def test_run_of_what_takes_longer_than_the_held_answer_has_it_all(
    py1: Client, awaited: Awaited
) -> None:
    slow = {"text": "a b c", "pause": 0.6}
    found = await py1.ask("run", ref="test/tokens", input=slow, wait=1, awaited=awaited)
    assert found == ["a", "b", "c"]


async def test_run_raises_what_the_model_raised(py1: Client, awaited: Awaited) -> None:
    for wait in True, False:
        with pytest.raises(ClientError) as caught:
            await py1.ask("run", ref="test/behave", input={"mode": "raises"}, wait=wait, awaited=awaited)
        assert (caught.value.name, caught.value.facts["message"]) == ("ModelError", "no such luck")


async def test_run_reads_files_from_data_uris_or_gives_their_urls(py1: Client, awaited: Awaited) -> None:
    given = {"ref": "test/painter", "input": {"document": "data:text/plain,quiet", "copies": 2}}
    assert await py1.ask("run", awaited=awaited, **given) == [file_of("QUIET")] * 2
    urls = await py1.ask("run", awaited=awaited, use_file_output=False, **given)
    assert urls == [file_of("QUIET")["url"]] * 2
    (one, _) = await py1.ask("run", awaited=awaited, wait=False, **given)
    assert one.startswith("http://")


async def test_the_module_itself_knows_the_server_by_the_environment(py1: Client, awaited: Awaited) -> None:
    said = await py1.ask("module", ref=f"replicate/canary:{CANARY}", given={"text": "Claire"})
    assert said["output"] == ["hello ", "there, ", "Claire"]
    newest = await call(py1, awaited, "predictions.get", said["newest"])
    assert (newest["model"], newest["status"]) == ("replicate/canary", "succeeded")


async def test_output_is_iterated_over_while_it_comes(py1: Client, awaited: Awaited) -> None:
    given = {"model": "test/tokens", "input": {"text": "a b c", "pause": 0.05}}
    found = await py1.ask("output_of", path="predictions.create", kwargs=given, awaited=awaited)
    assert found == {"$items": ["a", "b", "c"]}
    failing = {"model": "test/teller", "input": {"text": "a", "pause": 0.05, "failure": "no such luck"}}
    with pytest.raises(ClientError, match="ModelError: no such luck"):
        await py1.ask("output_of", path="predictions.create", kwargs=failing, awaited=awaited)


async def test_stream_gives_each_piece_and_then_done(py1: Client, awaited: Awaited) -> None:
    for ref in f"replicate/canary:{CANARY}", "replicate/canary":
        events = await py1.ask("stream", ref=ref, given={"text": "two\nlines"}, awaited=awaited)
        assert [(event["event"], event["data"]) for event in events] == [
            ("output", "hello "),
            ("output", "there, "),
            ("output", "two\nlines"),
            ("done", "{}"),
        ]
        assert len({event["id"] for event in events[:3]}) == 3
    failing = {"text": "a b", "failure": "no such luck"}
    with pytest.raises(ClientError) as caught:
        await py1.ask("stream", ref="test/teller", given=failing, awaited=awaited)
    assert (caught.value.name, caught.value.facts["message"]) == ("RuntimeError", '{"detail":"no such luck"}')
    (whole, _) = await py1.ask("stream", ref="test/echo", given={"text": "a", "times": 3}, awaited=awaited)
    assert (whole["event"], whole["data"]) == ("output", "aaa")


async def test_a_prediction_that_ended_long_ago_is_streamed_from_its_beginning(
    py1: Client, server: Server, awaited: Awaited
) -> None:
    made = await server.create("test/tokens", {"text": "a b"})
    await server.ended(made["id"])
    events = await py1.ask("stream_of", prediction=made["id"], awaited=awaited)
    assert [event["data"] for event in events if event["event"] == "output"] == ["a", "b"]
    logs = "".join(event["data"] for event in events if event["event"] == "logs")
    assert logs.split() == ["said", "a", "said", "b"]
    assert (events[-1]["event"], events[-1]["data"]) == ("done", "{}")


async def test_files_and_paths_however_deep_are_uploaded_and_read(
    py1: Client, awaited: Awaited, tmp_path: Path
) -> None:
    (tmp_path / "two.txt").write_text("two")
    given = {
        "cover": bytes_of("cover", "cover.txt"),
        "pages": [bytes_of("one", "one.txt"), {"$path": str(tmp_path / "two.txt")}],
    }
    for strategy in "url", "base64":
        more = {"file_encoding_strategy": strategy, "awaited": awaited}
        found = await py1.ask("run", ref="test/collate", input=given, **more)
        assert found == file_of("cover|one|two")
    names = {file["name"] for file in await call(py1, awaited, "files.list")}
    assert {"cover.txt", "one.txt", "two.txt"} <= names


async def test_a_prediction_is_created_waited_for_reloaded_and_canceled(
    py1: Client, awaited: Awaited
) -> None:
    given = {"version": CANARY, "input": {"text": "a"}}
    created = await call(py1, awaited, "predictions.create", **given)
    assert created["status"] == "starting"
    ended = await after(py1, awaited, "predictions.create", given, ["wait", [], {}])
    assert (ended["status"], ended["output"]) == ("succeeded", ["hello ", "there, ", "a"])
    assert await call(py1, awaited, "predictions.get", ended["id"]) == ended
    held = await call(py1, awaited, "predictions.create", wait=True, **given)
    assert (held["status"], held["output"]) == ("succeeded", ended["output"])
    listed = await call(py1, awaited, "predictions.list")
    assert listed["results"][0]["id"] == held["id"]
    hanging = {"model": "test/behave", "input": {"mode": "hangs"}}
    for steps in [["cancel", [], {}]], [["cancel", [], {}], ["reload", [], {}]]:
        assert (await after(py1, awaited, "predictions.create", hanging, *steps))["status"] == "canceled"
    canceled = await after(py1, awaited, "models.predictions.create", hanging, ["cancel", [], {}])
    assert (await call(py1, awaited, "predictions.cancel", canceled["id"]))["status"] == "canceled"


async def test_pages_follow_each_other(py1: Client, server: Server, awaited: Awaited) -> None:
    for _ in range(101):
        await server.create("test/echo", {"text": "a"})
    first, second = await py1.ask("pages", path="predictions.list", most=2, awaited=awaited)
    ids = [item["id"] for item in first + second]
    assert (len(first), ids) == (100, sorted(set(ids), reverse=True))
    page = await call(py1, awaited, "predictions.list")
    following = await call(py1, awaited, "predictions.list", page["next"])
    assert [item["id"] for item in following["results"]] == [item["id"] for item in second]
    before = await call(py1, awaited, "predictions.list", following["previous"])
    assert [item["id"] for item in before["results"]] == [item["id"] for item in first]


async def test_models_and_versions(py1: Client, awaited: Awaited) -> None:
    owner = (await call(py1, awaited, "accounts.current"))["username"]
    name = f"py1-{awaited}".lower()
    made = await call(
        py1,
        awaited,
        "models.create",
        owner,
        name,
        visibility="private",
        hardware="cpu",
        description="Finds hot dogs",
    )
    assert (made["owner"], made["name"], made["description"]) == (owner, name, "Finds hot dogs")
    assert made["latest_version"] is None
    assert await call(py1, awaited, "models.get", f"{owner}/{name}") == made
    assert await call(py1, awaited, "models.get", owner, name) == made
    listed = await py1.ask("pages", path="models.list", awaited=awaited)
    assert made in [model for page in listed for model in page]
    found = (await call(py1, awaited, "models.search", "canary"))["results"]
    assert [model["name"] for model in found] == ["canary"]
    model = await call(py1, awaited, "models.get", "replicate/canary")
    versions = await after(py1, awaited, "models.get", {"key": "replicate/canary"}, ["versions.list", [], {}])
    assert [item["id"] for item in versions["results"]] == [CANARY]
    (version,) = versions["results"]
    assert version == model["latest_version"]
    step = ["versions.get", [CANARY], {}]
    assert await after(py1, awaited, "models.get", {"key": "replicate/canary"}, step) == version
    assert await call(py1, awaited, "models.delete", f"{owner}/{name}") is True
    with pytest.raises(ClientError) as caught:
        await call(py1, awaited, "models.get", f"{owner}/{name}")
    assert caught.value.facts["status"] == 404


async def test_a_version_that_was_trained_is_deleted(py1: Client, awaited: Awaited) -> None:
    owner = (await call(py1, awaited, "accounts.current"))["username"]
    name = f"trained-{awaited}".lower()
    await call(py1, awaited, "models.create", owner, name, visibility="private", hardware="cpu")
    model, version = "test/line", await version_of(py1, awaited, "test/line")
    given = {"destination": f"{owner}/{name}", "input": {"points": "1,2 2,4"}}
    training = await call(py1, awaited, "trainings.create", model, version, **given) if awaited else None
    reference = {"version": f"{model}:{version}", **given}
    if training is None:
        training = await call(py1, awaited, "trainings.create", **reference)
    assert training["status"] == "starting"
    async with asyncio.timeout(20):
        while training["status"] not in {"succeeded", "failed", "canceled"}:
            training = await call(py1, awaited, "trainings.get", training["id"])
    assert (training["status"], training["error"]) == ("succeeded", None)
    new = training["output"]["version"].rpartition(":")[2]
    assert training["id"] in [item["id"] for item in (await call(py1, awaited, "trainings.list"))["results"]]
    run = {"ref": f"{owner}/{name}:{new}", "input": {"x": 4}, "awaited": awaited}
    assert await py1.ask("run", **run) == 8
    step = ["versions.delete", [new], {}]
    # The client asks for 204, Replicate answers 202: False says nothing but that.
    assert await after(py1, awaited, "models.get", {"key": f"{owner}/{name}"}, step) is False
    with pytest.raises(ClientError):
        await py1.ask("run", **run)


async def test_a_training_is_canceled_and_reloaded(py1: Client, awaited: Awaited) -> None:
    version = await version_of(py1, awaited, "test/line")
    owner = (await call(py1, awaited, "accounts.current"))["username"]
    name = f"untrained-{awaited}".lower()
    await call(py1, awaited, "models.create", owner, name, visibility="private", hardware="cpu")
    given = {
        "model": "test/line",
        "version": version,
        "destination": f"{owner}/{name}",
        "input": {"points": "1,2", "pause": 60},
    }
    steps = [["cancel", [], {}], ["reload", [], {}]]
    canceled = await after(py1, awaited, "trainings.create", given, *steps)
    assert canceled["status"] == "canceled"
    assert (await call(py1, awaited, "trainings.cancel", canceled["id"]))["status"] == "canceled"
    with pytest.raises(ClientError) as caught:
        await call(py1, awaited, "trainings.create", **{**given, "destination": "no/where"})
    facts = caught.value.facts
    assert (facts["status"], facts["detail"]) == (404, "The specified training destination does not exist")


async def test_deployments(py1: Client, awaited: Awaited) -> None:
    owner = (await call(py1, awaited, "accounts.current"))["username"]
    version, name = await version_of(py1, awaited, "test/echo"), f"py1-{awaited}".lower()
    made = await call(
        py1,
        awaited,
        "deployments.create",
        name=name,
        model="test/echo",
        version=version,
        hardware="cpu",
        min_instances=0,
        max_instances=1,
    )
    assert (made["owner"], made["name"], made["current_release"]["number"]) == (owner, name, 1)
    assert made["current_release"]["configuration"]["max_instances"] == 1
    assert await call(py1, awaited, "deployments.get", f"{owner}/{name}") == made
    assert made in (await call(py1, awaited, "deployments.list"))["results"]
    changed = await call(
        py1, awaited, "deployments.update", deployment_owner=owner, deployment_name=name, max_instances=2
    )
    assert changed["current_release"]["configuration"]["max_instances"] == 2
    given = {"input": {"text": "ho"}}
    ref = {"deployment": f"{owner}/{name}"}
    for path, more in [("deployments.predictions.create", ref), ("predictions.create", ref)]:
        ran = await after(py1, awaited, path, {**given, **more}, ["wait", [], {}])
        assert (ran["status"], ran["output"]) == ("succeeded", "ho")
    own = ["predictions.create", [], given]
    ran = await after(py1, awaited, "deployments.get", {"name": f"{owner}/{name}"}, own, ["wait", [], {}])
    assert ran["status"] == "succeeded"
    assert await call(py1, awaited, "deployments.delete", owner, name) is True


async def test_files(py1: Client, awaited: Awaited, tmp_path: Path) -> None:
    (tmp_path / "näme.json").write_text("{}")
    by_path = await call(py1, awaited, "files.create", str(tmp_path / "näme.json"), metadata={"a": {"b": 1}})
    assert (by_path["name"], by_path["content_type"]) == ("näme.json", "application/json")
    assert (by_path["size"], by_path["metadata"]) == (2, {"a": {"b": 1}})
    assert set(by_path["checksums"]) == {"sha256", "md5"}
    more = {"filename": "given.bin", "content_type": "application/x-given"}
    by_handle = await call(py1, awaited, "files.create", bytes_of("abc", "own.txt"), **more)
    assert (by_handle["name"], by_handle["content_type"]) == ("given.bin", "application/x-given")
    assert by_handle["metadata"] == {}
    assert await call(py1, awaited, "files.get", by_path["id"]) == by_path
    assert [file["id"] for file in await call(py1, awaited, "files.list")][:2] == [
        by_handle["id"],
        by_path["id"],
    ]
    for file in by_path, by_handle:
        assert await call(py1, awaited, "files.delete", file["id"]) is True
    with pytest.raises(ClientError) as caught:
        await call(py1, awaited, "files.get", by_path["id"])
    assert (caught.value.facts["status"], caught.value.facts["detail"]) == (404, "File not found")


async def test_account_hardware_and_collections(py1: Client, awaited: Awaited) -> None:
    account = await call(py1, awaited, "accounts.current")
    assert account["type"] in {"user", "organization"}
    assert await call(py1, awaited, "hardware.list") == [
        {"name": "CPU", "sku": "cpu"},
        {"name": "Nvidia T4 GPU", "sku": "gpu-t4"},
    ]
    (listed,) = (await call(py1, awaited, "collections.list"))["results"]
    assert (listed["slug"], listed["description"]) == ("speakers", "Models that say something")
    collection = await call(py1, awaited, "collections.get", "speakers")
    assert [model["name"] for model in collection["models"]] == ["canary", "tokens"]


async def test_a_webhook_is_validated_and_each_fault_has_its_name(
    py1: Client, receiver: Receiver, awaited: Awaited
) -> None:
    secret = (await call(py1, awaited, "webhooks.default.secret"))["key"]
    given = {
        "input": {"text": 'é "😀"'},
        "webhook": receiver.url,
        "webhook_events_filter": ["start", "completed"],
    }
    await call(py1, awaited, "predictions.create", model="test/echo", **given)
    await receiver.until(lambda r: len(r.received) == 2)
    for item in receiver.received:
        real = {"headers": item.headers, "body": item.body.decode(), "secret": secret, "tolerance": 300}
        assert await py1.ask("validated", **real)
        for change, name in {
            "body": "InvalidSignatureError",
            "webhook-id": "InvalidSignatureError",
            "webhook-timestamp": "InvalidTimestampError",
        }.items():
            forged = {**real, "headers": {**item.headers, change: "1"}}
            if change == "body":
                forged = {**real, "body": real["body"] + " "}
            with pytest.raises(ClientError) as caught:
                await py1.ask("validated", **forged)
            assert caught.value.name == name, change


async def test_a_legacy_webhook_hears_of_the_completion_alone(
    py1: Client, receiver: Receiver, awaited: Awaited
) -> None:
    given = {"input": {"text": "a b", "pause": 0.01}, "webhook_completed": receiver.url}
    made = await call(py1, awaited, "predictions.create", model="test/tokens", **given)
    await receiver.until(lambda r: len(r.received) == 1)
    assert [item.prediction["status"] for item in receiver.of(made["id"])] == ["succeeded"]
