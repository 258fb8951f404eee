"""The routes of trainings: what is accepted, what is refused, and who sees what."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from api.asking import NOT_FOUND, UNKNOWN_ID, Answer, ask
from support.server import Server, model, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

POINTS = "data:text/csv,1%2C3%0A2%2C6"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """A server with a model that can be trained, and one that can't."""
    folder: Path = tmp_path_factory.mktemp("trainings")
    async with serving(model("test/line", "line"), model("test/echo", "echo"), data=folder / "data") as found:
        yield found
        assert "Traceback" not in found.log()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def base(server: Server) -> str:
    """The version of test/line that its folder makes."""
    return str((await ask(server, "GET", "/v1/models/test/line")).json["latest_version"]["id"])


async def train(server: Server, base: str, body: Any = None, **headers: str) -> Answer:
    """Ask for a training; one that is accepted takes a moment."""
    body = {"destination": "test/line", "input": {"points": POINTS}} if body is None else body
    path = f"/v1/models/test/line/versions/{base}/trainings"
    return await ask(server, "POST", path, body, headers=headers)


async def test_a_training_is_answered_with_where_it_is(server: Server, base: str) -> None:
    made = await train(server, base)
    assert made.status == 201
    id_ = made.json["id"]
    assert made.headers["location"] == f"{server.url}/v1/trainings/{id_}"
    assert made.json["urls"] == {
        "cancel": f"{server.url}/v1/trainings/{id_}/cancel",
        "get": f"{server.url}/v1/trainings/{id_}",
        "web": f"{server.url}/p/{id_}",
    }
    assert (made.json["version"], made.json["input"]) == (base, {"points": POINTS})
    assert (made.json["status"], made.json["output"], made.json["error"]) == ("starting", None, None)


async def test_a_destination_that_is_not_there_is_refused_as_replicate_does(
    server: Server, base: str
) -> None:
    for destination in ("nobody/nothing", "test/line:" + base, "", "line", "test/LINE"):
        refused = await train(server, base, {"destination": destination, "input": {"points": POINTS}})
        assert (refused.status, refused.problem) == (
            404,
            {"detail": "The specified training destination does not exist", "status": 404},
        )


async def test_a_version_without_trainings_says_so(server: Server) -> None:
    echo = (await ask(server, "GET", "/v1/models/test/echo")).json["latest_version"]["id"]
    body = {"destination": "test/echo", "input": {}}
    refused = await ask(server, "POST", f"/v1/models/test/echo/versions/{echo}/trainings", body)
    assert refused.status == 422
    assert "can't be trained" in refused.problem["detail"]


@pytest.mark.parametrize(
    "path", ["test/line/versions/{other}", "test/echo/versions/{base}", "x/y/versions/{base}"]
)
async def test_a_version_that_the_model_does_not_have_is_not_found(
    server: Server, base: str, path: str
) -> None:
    path = path.format(base=base, other="0" * 64)
    body = {"destination": "test/line", "input": {"points": POINTS}}
    refused = await ask(server, "POST", f"/v1/models/{path}/trainings", body)
    assert (refused.status, refused.problem) == (404, NOT_FOUND)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, [("required", ""), ("required", "")]),
        ({"destination": 5, "input": []}, [("invalid_type", "destination"), ("invalid_type", "input")]),
        (
            {"destination": "test/line", "input": {}, "version": "x"},
            [("additional_property_not_allowed", "")],
        ),
        (
            {"destination": "test/line", "input": {}, "stream": True},
            [("additional_property_not_allowed", "")],
        ),
        ({"destination": "test/line", "input": {}, "webhook": "ftp://x"}, [("format", "webhook")]),
        ({"destination": "test/line", "input": {}}, [("required", "input")]),
        ({"destination": "test/line", "input": {"x": 1}}, [("required", "input")]),
        (
            {"destination": "test/line", "input": {"points": POINTS, "steps": "many"}},
            [("invalid_type", "input.steps")],
        ),
    ],
)
async def test_a_wrong_training_names_each_fault(
    server: Server, base: str, body: dict[str, Any], fields: list[tuple[str, str]]
) -> None:
    refused = await train(server, base, body)
    assert refused.status == 422
    assert refused.problem["title"] == "Input validation failed"
    assert [(each["type"], each["field"]) for each in refused.problem["invalid_fields"]] == fields


async def test_trainings_and_predictions_are_lists_of_their_own(server: Server, base: str) -> None:
    training = (await train(server, base)).json["id"]
    prediction = (await server.create("test/echo", {"text": "hi"}))["id"]
    listed = {
        noun: [each["id"] for each in (await ask(server, "GET", f"/v1/{noun}")).json["results"]]
        for noun in ("trainings", "predictions")
    }
    assert training in listed["trainings"]
    assert training not in listed["predictions"]
    assert prediction in listed["predictions"]
    assert prediction not in listed["trainings"]
    assert listed["trainings"] == sorted(listed["trainings"], reverse=True)


async def test_only_trainings_are_found_and_canceled_as_trainings(server: Server) -> None:
    prediction = await server.create("test/echo", {"text": "hi"})
    for id_ in (prediction["id"], UNKNOWN_ID, "x"):
        for method, path in (("GET", f"/v1/trainings/{id_}"), ("POST", f"/v1/trainings/{id_}/cancel")):
            refused = await ask(server, method, path)
            assert (refused.status, refused.problem) == (404, NOT_FOUND)
    assert (await server.ended(prediction["id"]))["status"] == "succeeded"


async def test_a_training_that_has_ended_stays_as_it_is_when_canceled(server: Server, base: str) -> None:
    id_ = (await train(server, base)).json["id"]
    ended = await server.ended(id_)
    assert ended["status"] == "succeeded"
    canceled = await ask(server, "POST", f"/v1/trainings/{id_}/cancel")
    assert (canceled.status, canceled.json) == (200, ended)


async def test_the_weights_of_a_training_that_was_waited_for_are_a_url(server: Server, base: str) -> None:
    made = await train(server, base, prefer="wait=30")
    assert (made.status, made.json["status"]) == (201, "succeeded")
    assert made.json["output"]["weights"].startswith(f"{server.url}/f/")


async def test_the_same_request_makes_one_training(server: Server, base: str) -> None:
    key = {"idempotency-key": "one-training"}
    first, again = await train(server, base, **key), await train(server, base, **key)
    assert (first.status, again.status) == (201, 201)
    assert first.json["id"] == again.json["id"]
    assert again.headers["idempotent-replayed"] == "true"
    other = await train(server, base, {"destination": "test/echo", "input": {"points": POINTS}}, **key)
    assert other.status == 409


async def test_a_file_that_was_sent_is_an_input_of_a_training(server: Server, base: str) -> None:
    form = (
        b'--b\r\nContent-Disposition: form-data; name="content"; filename="points.csv"\r\n'
        b"Content-Type: text/csv\r\n\r\n1,3\n2,6\r\n--b--\r\n"
    )
    headers = {"content-type": "multipart/form-data; boundary=b"}
    sent = await ask(server, "POST", "/v1/files", form, headers=headers)
    assert sent.status == 201, sent.body
    body = {"destination": "test/line", "input": {"points": sent.json["urls"]["get"]}}
    ended = await server.ended((await train(server, base, body)).json["id"])
    assert (ended["status"], ended["error"]) == ("succeeded", None)


async def test_without_a_token_there_are_no_trainings(server: Server, base: str) -> None:
    for method, path in (
        ("GET", "/v1/trainings"),
        ("GET", f"/v1/trainings/{UNKNOWN_ID}"),
        ("POST", f"/v1/trainings/{UNKNOWN_ID}/cancel"),
        ("POST", f"/v1/models/test/line/versions/{base}/trainings"),
    ):
        assert (await ask(server, method, path, token=None)).status == 401
