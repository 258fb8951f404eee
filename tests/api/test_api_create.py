"""Creating a prediction: which version, which input; and whatever is refused leaves nothing behind."""

from typing import Any

import pytest

from api.asking import NOT_FOUND, ask, count
from support.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

NO_VERSION = {
    "title": "Invalid version or not permitted",
    "detail": "The specified version does not exist (or perhaps you don't have permission to use it?)",
    "status": 422,
}


async def refused(server: Server, body: Any, path: str = "/v1/predictions") -> Any:
    """Post what must be refused with 422; give the problem."""
    before = await count(server)
    answer = await ask(server, "POST", path, body)
    assert answer.status == 422, answer.body
    assert await count(server) == before
    return answer.problem


async def fields(server: Server, body: Any, path: str = "/v1/predictions") -> list[tuple[str, str, str]]:
    problem = await refused(server, body, path)
    assert problem["title"] == "Input validation failed"
    lines = [f"- {field['field'] or 'body'}: {field['description']}\n" for field in problem["invalid_fields"]]
    assert problem["detail"] == "".join(lines)
    return [(field["type"], field["field"], field["description"]) for field in problem["invalid_fields"]]


# The version


async def test_every_form_of_a_version_is_accepted(server: Server, version: str) -> None:
    for form in ("test/echo", f"test/echo:{version}", version, version.upper()):
        answer = await ask(server, "POST", "/v1/predictions", {"version": form, "input": {"text": "hi"}})
        assert (answer.status, answer.json["version"]) == (201, version)
        assert answer.json["model"] == "test/echo"
        assert answer.headers["location"] == answer.json["urls"]["get"]
        assert answer.json["urls"]["get"] == f"{server.url}/v1/predictions/{answer.json['id']}"


async def test_a_version_that_does_not_exist_is_refused_in_replicates_words(
    server: Server, version: str
) -> None:
    other = (await server.create("test/patient", {}))["version"]
    for form in (
        "",
        "x",
        "no/such",
        "test/echo/",
        "test/echo:",
        f":{version}",
        f"test/echo:{version[:-1]}",
        f"test/echo:{other}",
        f"test/echo:{version}:{version}",
        "nobody:test/echo",
        "Test/Echo",
        "test/echo:latest",
        "0" * 64,
        "\u0130" * 64,
        "test/echo\0",
        "x" * 100_000,
    ):
        assert await refused(server, {"version": form, "input": {"text": "hi"}}) == NO_VERSION, form


async def test_the_models_own_route_takes_its_latest_version(server: Server, version: str) -> None:
    answer = await ask(server, "POST", "/v1/models/test/echo/predictions", {"input": {"text": "hi"}})
    assert (answer.status, answer.json["version"]) == (201, version)


async def test_a_model_that_is_not_served_is_not_found(server: Server) -> None:
    before = await count(server)
    for path in ("no/such", "test/ech", "Test/echo", "test/echo%2F", "..%2F/x", "%00/%ff"):
        answer = await ask(server, "POST", f"/v1/models/{path}/predictions", {"input": {"text": "hi"}})
        assert (answer.status, answer.problem) == (404, NOT_FOUND), path
    assert await count(server) == before


async def test_the_models_own_route_takes_no_version(server: Server, version: str) -> None:
    body = {"version": version, "input": {"text": "hi"}}
    assert await fields(server, body, "/v1/models/test/echo/predictions") == [
        ("additional_property_not_allowed", "", "Additional property version is not allowed")
    ]


# The body's keys


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"input": {"text": "a"}}, ("required", "", "version is required")),
        ({"version": "test/echo"}, ("required", "", "input is required")),
        ({"version": 5, "input": {}}, ("invalid_type", "version", "Invalid type. Expected: string")),
        ({"version": None, "input": {}}, ("invalid_type", "version", "Invalid type. Expected: string")),
        ({"version": "test/echo", "input": []}, ("invalid_type", "input", "Invalid type. Expected: object")),
        (
            {"version": "test/echo", "input": None},
            ("invalid_type", "input", "Invalid type. Expected: object"),
        ),
        (
            {"version": "test/echo", "input": "{}"},
            ("invalid_type", "input", "Invalid type. Expected: object"),
        ),
        (
            {"version": "test/echo", "input": {}, "stream": "yes"},
            ("invalid_type", "stream", "Invalid type. Expected: boolean"),
        ),
        (
            {"version": "test/echo", "input": {}, "signal": {}},
            ("additional_property_not_allowed", "", "Additional property signal is not allowed"),
        ),
    ],
)
async def test_a_fault_of_the_body_is_named(server: Server, body: Any, fault: tuple[str, str, str]) -> None:
    assert await fields(server, body) == [fault]


async def test_a_model_in_place_of_the_version_is_answered_with_what_to_give(server: Server) -> None:
    assert await fields(server, {"model": "test/echo", "input": {"text": "a"}}) == [
        ("additional_property_not_allowed", "", "Additional property model is not allowed"),
        ("required", "", "version is required: give the model's owner/name as version"),
    ]


async def test_all_faults_of_the_body_are_named_at_once(server: Server) -> None:
    found = await fields(server, {"signal": 1, "input": 1, "webhook": 1, "webhook_events_filter": "all"})
    assert {(type_, field) for type_, field, _ in found} == {
        ("additional_property_not_allowed", ""),
        ("required", ""),
        ("invalid_type", "input"),
        ("invalid_type", "webhook"),
        ("invalid_type", "webhook_events_filter"),
    }


async def test_a_thousand_unknown_keys_are_twenty_faults(server: Server) -> None:
    assert len(await fields(server, {f"key{n}" * 100: 1 for n in range(1000)})) == 20


# The input


async def test_each_wrong_input_is_named_as_replicate_names_it(server: Server) -> None:
    problem = await refused(server, {"version": "test/picture", "input": {"num_inference_steps": 5}})
    assert problem.pop("detail").split("\n") in (
        [
            "- input: prompt is required",
            "- input.num_inference_steps: Must be less than or equal to 4",
            "",
        ],
        [
            "- input.num_inference_steps: Must be less than or equal to 4",
            "- input: prompt is required",
            "",
        ],
    )
    assert sorted(problem.pop("invalid_fields"), key=lambda field: str(field["type"])) == [
        {
            "type": "number_lte",
            "field": "input.num_inference_steps",
            "description": "Must be less than or equal to 4",
        },
        {"type": "required", "field": "input", "description": "prompt is required"},
    ]
    assert problem == {"title": "Input validation failed", "status": 422}


@pytest.mark.parametrize(
    ("input_", "fault"),
    [
        ({"num_inference_steps": 0}, ("number_gte", "input.num_inference_steps")),
        ({"num_inference_steps": "4"}, ("invalid_type", "input.num_inference_steps")),
        ({"num_inference_steps": None}, ("invalid_type", "input.num_inference_steps")),
        ({"num_inference_steps": 10**400}, ("number_lte", "input.num_inference_steps")),
        ({"size": "huge"}, ("enum", "input.size")),
        ({"guidance": 0.4}, ("number_gte", "input.guidance")),
        ({"image": "cat.png"}, ("format", "input.image")),
        ({"tags": ["a", 5]}, ("invalid_type", "input.tags.1")),
        ({"prompt": {"a": 1}}, ("invalid_type", "input.prompt")),
    ],
)
async def test_a_wrong_input_is_named(server: Server, input_: Any, fault: tuple[str, str]) -> None:
    body = {"version": "test/picture", "input": {"prompt": "a cat", **input_}}
    found = await fields(server, body)
    assert [(type_, field) for type_, field, _ in found] == [fault]


async def test_inputs_at_their_limits_are_accepted(server: Server) -> None:
    for input_ in (
        {"prompt": ""},
        {"prompt": "a", "num_inference_steps": 1, "size": "large", "guidance": None, "image": None},
        {"prompt": "\u2028\U0001f600\0\x7f", "num_inference_steps": 4, "guidance": 0.5, "tags": []},
    ):
        created = await server.create("test/picture", input_)
        assert created["input"] == input_
        assert (await server.ended(created["id"]))["output"] == input_["prompt"]


async def test_a_refused_secret_is_not_repeated(server: Server) -> None:
    problem = await refused(
        server, {"version": "test/picture", "input": {"prompt": ["hunter2"], "size": "hunter2"}}
    )
    assert "hunter2" not in str(problem)
