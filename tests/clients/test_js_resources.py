"""npm replicate 1.4.0, unchanged: every resource it has."""

import asyncio
import base64
from typing import Any

import pytest

from support.clients import Client, ClientError
from support.receiver import Receiver
from support.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="package")

CANARY = "30e22229542eb3f79d4f945dacb58d32001b02cc313ae6f54eef27904edf3272"


async def version_of(js: Client, owner: str, name: str) -> str:
    return str((await js.call("models.get", owner, name))["latest_version"]["id"])


async def test_the_account(js: Client) -> None:
    account = await js.call("accounts.current")
    assert account["type"] in {"user", "organization"}
    assert account["username"]
    assert set(account) == {"type", "username", "name", "avatar_url", "github_url"}


async def test_hardware_is_a_bare_list(js: Client) -> None:
    assert await js.call("hardware.list") == [
        {"name": "CPU", "sku": "cpu"},
        {"name": "Nvidia T4 GPU", "sku": "gpu-t4"},
    ]


async def test_collections(js: Client) -> None:
    page = await js.call("collections.list")
    about = {"name": "Speakers", "slug": "speakers", "description": "Models that say something"}
    assert (page["next"], page["previous"], page["results"]) == (None, None, [about])
    collection = await js.call("collections.get", "speakers")
    assert {**collection, **about} == collection
    assert [model["name"] for model in collection["models"]] == ["canary", "tokens"]


async def test_a_prediction_is_created_found_listed_and_canceled(js: Client, receiver: Receiver) -> None:
    given = {
        "version": CANARY,
        "input": {"text": "Alice"},
        "webhook": f"{receiver.url}?customId=123",
        "webhook_events_filter": ["completed"],
    }
    created = await js.call("predictions.create", given)
    assert (created["status"], created["model"]) == ("starting", "replicate/canary")
    assert (created["version"], created["source"]) == (CANARY, "api")
    assert (created["input"], created["output"]) == (given["input"], None)
    assert (created["webhook"], created["webhook_events_filter"]) == (given["webhook"], ["completed"])
    await receiver.until(lambda r: len(r.received) == 1)
    assert receiver.received[0].path == "/hook?customId=123"
    ended = await js.call("predictions.get", created["id"])
    assert (ended["status"], ended["output"]) == ("succeeded", ["hello ", "there, ", "Alice"])
    assert ended["metrics"]["predict_time"] <= ended["metrics"]["total_time"]
    assert receiver.received[0].prediction == ended
    listed = await js.call("predictions.list")
    assert listed["results"][0] == ended
    canceled = await js.call("predictions.cancel", created["id"])
    assert canceled == ended
    slow = await js.call("predictions.create", {"model": "test/behave", "input": {"mode": "hangs"}})
    stopped = await js.call("predictions.cancel", slow["id"])
    assert (stopped["id"], stopped["status"]) == (slow["id"], "canceled")
    assert stopped["completed_at"] is not None


async def test_a_held_create_has_the_output_or_is_starting(js: Client, server: Server) -> None:
    held = await js.call("predictions.create", {"version": CANARY, "input": {"text": "a"}, "wait": True})
    assert (held["status"], "".join(held["output"])) == ("succeeded", "hello there, a")
    late = {"model": "test/teller", "input": {"text": "a b", "pause": 0.7}, "wait": 1}
    early = await js.call("predictions.create", late)
    assert (early["status"], early["output"]) == ("starting", None)
    assert (await server.ended(early["id"]))["output"] == ["a", "b"]


async def test_pages_follow_each_other_until_the_last(js: Client, server: Server) -> None:
    jobs = [server.create("test/echo", {"text": str(number)}) for number in range(101)]
    made = {created["id"] for created in await asyncio.gather(*jobs)}
    page = await js.call("predictions.list")
    assert page["next"].startswith(f"{server.url}/v1/predictions?cursor=")
    pages = await js.ask("pages", path="predictions.list")
    assert [len(page) for page in pages[:-1]] == [100] * (len(pages) - 1)
    ids = [prediction["id"] for page in pages for prediction in page]
    assert len(ids) == len(set(ids))
    assert ids == sorted(ids, reverse=True)
    assert made <= set(ids)


async def test_a_model_is_made_found_and_listed(js: Client) -> None:
    owner = (await js.call("accounts.current"))["username"]
    options = {"visibility": "private", "hardware": "cpu", "description": "Finds hot dogs"}
    made = await js.call("models.create", owner, "hot-dogs", options)
    assert (made["owner"], made["name"], made["visibility"]) == (owner, "hot-dogs", "private")
    assert (made["description"], made["latest_version"], made["run_count"]) == ("Finds hot dogs", None, 0)
    assert await js.call("models.get", owner, "hot-dogs") == made
    names = [model["name"] for page in await js.ask("pages", path="models.list") for model in page]
    assert {"hot-dogs", "canary", "echo"} <= set(names)
    with pytest.raises(ClientError) as caught:
        await js.call("models.create", owner, "hot-dogs", options)
    assert caught.value.facts["status"] == 409
    with pytest.raises(ClientError) as caught:
        await js.call("models.get", owner, "cold-dogs")
    assert caught.value.facts["status"] == 404


# The names of what the tests of the clients themselves are answered with, older ones too.
FIELDS = {
    "predictions.list": "id model version urls created_at started_at completed_at source status input output "
    "error logs metrics data_removed",
    "models.list": "url owner name description visibility github_url paper_url license_url run_count "
    "cover_image_url default_example latest_version is_official created_at",
    "collections.list": "name slug description",
}


async def test_answers_have_every_field_that_the_clients_were_tested_with(js: Client, server: Server) -> None:
    await server.create("test/echo", {"text": "a"})
    for path, names in FIELDS.items():
        page = await js.call(path)
        assert set(page) == {"next", "previous", "results"}
        assert [set(names.split()) - set(item) for item in page["results"]] == [set()] * len(page["results"])
        assert page["results"], path


async def test_versions_have_the_schema_that_clients_look_at(js: Client) -> None:
    model = await js.call("models.get", "replicate", "canary")
    page = await js.call("models.versions.list", "replicate", "canary")
    (version,) = page["results"]
    assert version == model["latest_version"]
    assert await js.call("models.versions.get", "replicate", "canary", CANARY) == version
    assert (version["id"], type(version["cog_version"])) == (CANARY, str)
    schemas = version["openapi_schema"]["components"]["schemas"]
    assert schemas["Input"]["properties"]["text"]["x-order"] == 0
    assert schemas["Output"]["x-cog-array-type"] == "iterator"


async def test_search_finds_a_model_by_a_quoted_body_of_method_query(js: Client) -> None:
    found = await js.call("models.search", "canary")
    assert [(model["owner"], model["name"]) for model in found["results"]] == [("replicate", "canary")]
    (sent,) = await js.ask("requests")
    assert (sent["method"], sent["path"]) == ("QUERY", "/v1/models")
    assert (await js.call("models.search", 'no "such" thing'))["results"] == []


async def test_a_deployment_from_its_making_to_its_end(js: Client, server: Server) -> None:
    account = await js.call("accounts.current")
    version = await version_of(js, "test", "echo")
    config = {
        "name": "echoes",
        "model": "test/echo",
        "version": version,
        "hardware": "cpu",
        "min_instances": 0,
        "max_instances": 1,
    }
    made = await js.call("deployments.create", config)
    owner, release = account["username"], made["current_release"]
    assert (made["owner"], made["name"]) == (owner, "echoes")
    assert (release["number"], release["model"], release["version"]) == (1, "test/echo", version)
    assert release["configuration"] == {"hardware": "cpu", "min_instances": 0, "max_instances": 1}
    assert release["created_by"] == account
    assert await js.call("deployments.get", owner, "echoes") == made
    assert (await js.call("deployments.list"))["results"] == [made]
    changed = await js.call("deployments.update", owner, "echoes", {"max_instances": 2})
    assert changed["current_release"]["number"] == 2
    assert changed["current_release"]["configuration"]["max_instances"] == 2
    given = {"input": {"text": "ho", "times": 2}, "wait": True}
    ran = await js.call("deployments.predictions.create", owner, "echoes", given)
    assert (ran["status"], ran["output"], ran["deployment"]) == ("succeeded", "hoho", "echoes")
    assert await js.call("deployments.delete", owner, "echoes") is True
    with pytest.raises(ClientError) as caught:
        await js.call("deployments.get", owner, "echoes")
    assert caught.value.facts["status"] == 404


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


FILES: list[tuple[dict[str, str], str, str]] = [
    ({"$file": encoded(b"1"), "name": "näme.txt", "type": "text/plain"}, "näme.txt", "text/plain"),
    ({"$blob": encoded(b"1"), "type": "image/png"}, "blob_", "image/png"),
    ({"$buffer": encoded(b"1")}, "buffer_", "application/octet-stream"),
]


@pytest.mark.parametrize(("content", "name", "content_type"), FILES, ids=["File", "Blob", "Buffer"])
async def test_a_file_is_sent_found_listed_and_deleted(
    js: Client, content: dict[str, str], name: str, content_type: str
) -> None:
    metadata = {"customer": {"id": 7}, "tags": ["a"]}
    sent = await js.call("files.create", content, metadata)
    assert sent["name"].startswith(name)
    assert (sent["content_type"], sent["size"], sent["metadata"]) == (content_type, 1, metadata)
    assert sent["etag"] == sent["checksums"]["md5"] == "c4ca4238a0b923820dcc509a6f75849b"
    assert sent["urls"]["get"].endswith(f"/v1/files/{sent['id']}")
    assert await js.call("files.get", sent["id"]) == sent
    assert (await js.call("files.list"))["results"][0] == sent
    assert await js.call("files.delete", sent["id"]) is True
    with pytest.raises(ClientError, match="File not found") as caught:
        await js.call("files.get", sent["id"])
    assert caught.value.facts["status"] == 404


async def test_a_training_makes_a_version_that_runs(js: Client, receiver: Receiver) -> None:
    owner = (await js.call("accounts.current"))["username"]
    await js.call("models.create", owner, "slope", {"visibility": "private", "hardware": "cpu"})
    version = await version_of(js, "test", "line")
    given = {
        "destination": f"{owner}/slope",
        "input": {"points": "1,3 2,6"},
        "webhook": receiver.url,
        "webhook_events_filter": ["completed"],
    }
    training = await js.call("trainings.create", "test", "line", version, given)
    assert (training["status"], training["model"], training["version"]) == ("starting", "test/line", version)
    await receiver.until(lambda r: len(r.received) == 1)
    ended = await js.call("trainings.get", training["id"])
    assert receiver.received[0].prediction == ended
    assert (ended["status"], ended["error"]) == ("succeeded", None)
    name, _, new = ended["output"]["version"].partition(":")
    assert name == f"{owner}/slope"
    assert ended["output"]["weights"]
    assert [item["id"] for item in (await js.call("trainings.list"))["results"]] == [training["id"]]
    given_x: dict[str, Any] = {"version": new, "input": {"x": 5}, "wait": True}
    assert (await js.call("predictions.create", given_x))["output"] == 15
    slow = {"destination": f"{owner}/slope", "input": {"points": "1,1", "pause": 60}}
    running = await js.call("trainings.create", "test", "line", version, slow)
    stopped = await js.call("trainings.cancel", running["id"])
    assert (stopped["id"], stopped["status"]) == (running["id"], "canceled")


async def test_a_training_without_a_place_to_go_is_refused_in_replicates_words(js: Client) -> None:
    version = await version_of(js, "test", "line")
    given = {"destination": "no/where", "input": {"points": "1,1"}}
    with pytest.raises(ClientError) as caught:
        await js.call("trainings.create", "test", "line", version, given)
    assert caught.value.facts["status"] == 404
    assert "The specified training destination does not exist" in str(caught.value)
