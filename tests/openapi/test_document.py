"""The document says what there is: every route and no other, in valid OpenAPI, with true examples."""

import copy
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import jsonschema_rs
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31, OPENAPI_32

from ringback import __version__
from ringback.api.app import ROUTES
from ringback.api.openapi import BASE, METHODS, document
from ringback.api.problem import STATUS
from ringback.api.reference import page
from support.contract import Contract, Heard
from support.server import Server

OPERATIONS = [
    (path, method, item[method])
    for path, item in document()["paths"].items()
    for method in METHODS
    if method in item
]


def test_every_route_is_in_the_document_and_every_operation_is_a_route() -> None:
    described = {(method.removeprefix("x-").upper(), path) for path, method, _ in OPERATIONS}
    assert described == {(method, path) for method, path, _ in ROUTES}


def test_it_is_valid_openapi_3_1_and_with_its_query_method_3_2() -> None:
    jsonschema_rs.validator_for(OPENAPI_31).validate(document())
    later = copy.deepcopy(document())
    later["openapi"] = "3.2.0"
    for item in later["paths"].values():
        if "x-query" in item:
            item["query"] = item.pop("x-query")
    jsonschema_rs.validator_for(OPENAPI_32).validate(later)


def test_each_placeholder_of_a_path_is_a_parameter_and_the_other_way_round() -> None:
    for path, method, operation in OPERATIONS:
        given = [*document()["paths"][path].get("parameters", []), *operation.get("parameters", [])]
        found = {part["name"] for part in map(resolved, given) if part["in"] == "path"}
        assert found == set(re.findall(r"\{(\w+)\}", path)), (method, path)


def resolved(part: Any) -> Any:
    target: Any = document()
    for step in part.get("$ref", "#").split("/")[1:]:
        target = target[step]
    return part if "$ref" not in part else target


def test_every_reference_leads_somewhere_and_every_component_is_used() -> None:
    found = {part["$ref"] for part in parts(document()) if "$ref" in part}
    for reference in found:
        resolved({"$ref": reference})
    there = {
        f"#/components/{kind}/{name}"
        for kind, components in document()["components"].items()
        for name in components
        if kind != "securitySchemes"
    }
    assert there <= found


def parts(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict):
        yield part
    for each in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from parts(each)


def test_operations_have_names_of_their_own_and_tags_that_are_told_of() -> None:
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(set(names)) == len(names)
    tags = {tag["name"] for tag in document()["tags"]}
    assert {tag for _, _, operation in OPERATIONS for tag in operation["tags"]} == tags


def test_the_examples_fit_what_they_are_examples_of() -> None:
    schemas = document()["components"]["schemas"]
    bodies = [
        operation["requestBody"]["content"] for _, _, operation in OPERATIONS if "requestBody" in operation
    ]
    media = [
        part for content in bodies for kind, part in content.items() if not kind.startswith("multipart/")
    ]
    assert all("example" in part for part in media)
    given = [(part["schema"], part["example"]) for part in media]
    given += [(schema, schema["example"]) for schema in schemas.values() if "example" in schema]
    for schema, example in given:
        whole = {**schema, "components": {"schemas": schemas}}
        jsonschema_rs.Draft202012Validator(whole, validate_formats=True).validate(example)


def test_every_error_that_there_is_can_be_looked_up() -> None:
    told = {
        status for _, _, operation in OPERATIONS for status in operation["responses"] if int(status) >= 400
    }
    assert {str(status) for status in STATUS.values()} <= told


def test_where_a_token_is_needed_401_is_among_the_answers_and_elsewhere_not() -> None:
    for path, method, operation in OPERATIONS:
        is_open = operation.get("security") == []
        assert ("401" in operation["responses"]) is not is_open, (method, path)


# Served


@pytest.mark.asyncio(loop_scope="module")
async def test_it_is_served_to_everybody_with_the_servers_own_address(server: Server) -> None:
    async with server.session.get(f"{server.url}/openapi.json") as answer:
        assert (answer.status, answer.content_type) == (200, "application/json")
        text = await answer.text()
    found = json.loads(text)
    assert found["servers"] == [{"url": f"{server.url}/v1"}]
    assert found["info"]["version"] == __version__
    assert BASE not in text
    assert found == json.loads(json.dumps(document()).replace(BASE, server.url))


class Page(HTMLParser):
    """Reads a page: which ids and links it has, whether every element is closed, what is in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.links: set[str] = set()
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            assert name in ("id", "class", "href", "lang", "charset", "name", "content"), name
            if name == "id":
                self.ids.append(value or "")
            if name == "href":
                self.links.add(value or "")
        if tag not in ("meta", "br", "dt", "dd", "html"):  # those end by themselves
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("dt", "dd", "html"):
            assert self.open.pop() == tag


@pytest.mark.asyncio(loop_scope="module")
async def test_the_page_shows_every_operation_and_loads_nothing(server: Server) -> None:
    async with server.session.get(f"{server.url}/docs") as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")
        assert answer.headers["content-security-policy"] == "default-src 'none'; style-src 'unsafe-inline'"
        text = await answer.text()
    read = Page(text)
    assert read.open == []
    assert read.tags.isdisjoint({"script", "link", "img", "iframe", "object", "form"})
    assert "url(" not in text
    assert "@import" not in text
    assert len(set(read.ids)) == len(read.ids)
    assert {link.removeprefix("#") for link in read.links if link.startswith("#")} <= set(read.ids)
    for path, method, operation in OPERATIONS:
        assert operation["operationId"] in read.ids
        assert f"<code>{path}</code>" in text
        assert f">{method.removeprefix('x-').upper()}<" in text
    schemas = document()["components"]["schemas"].items()
    assert {f"schema-{name}" for name, schema in schemas if "properties" in schema} <= set(read.ids)
    assert f"curl &#x27;{server.url}/v1/predictions&#x27;" in text
    assert BASE not in text
    assert "{'" not in text, "something of Python's stands in the page"


HOSTILE = {
    "openapi": "3.1.1",
    "info": {
        "title": "<b>",
        "version": "<b>",
        "description": "<script>1</script> `<b>` **<b>** [<b>](https://x/<b>)",
    },
    "servers": [{"url": "http://x"}],
    "tags": [{"name": "<b>", "description": "<b>"}],
    "paths": {"/<b>": {"get": {"operationId": '"<b>', "summary": "<b>", "tags": ["<b>"], "responses": {}}}},
    "components": {"schemas": {"<b>": {"properties": {"<b>": {"enum": ["<b>"]}}}}, "responses": {}},
}


def test_nothing_in_the_document_is_markup_of_the_page() -> None:
    text = page(HOSTILE, "", METHODS)
    assert "<b>" not in text
    assert "<script" not in text
    assert '"&quot;&lt;b&gt;"' in text


# What checks the answers of all tests


def heard(
    status: int, body: Any, kind: str = "application/json", path: str = "/v1/account", method: str = "GET"
) -> Heard:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Heard(method, path, status, {"content-type": kind}, text)


ACCOUNT = {"type": "user", "username": "a", "name": "a", "avatar_url": None, "github_url": None}
PROBLEM = "application/problem+json"
MISSING = {"detail": "no", "status": 404}


@pytest.mark.parametrize(
    "answer",
    [
        heard(200, ACCOUNT),
        heard(200, ACCOUNT, "application/json; charset=utf-8", "/v1/v1/account"),
        heard(200, b"", method="HEAD"),
        heard(401, {"detail": "no", "status": 401}, PROBLEM),
        heard(404, MISSING, PROBLEM, "/v1/nothing"),
        heard(
            431,
            {"detail": "The request's line and headers are over the limit of 65,536 bytes.", "status": 431},
            PROBLEM,
        ),
    ],
)
def test_an_answer_as_documented_passes(answer: Heard) -> None:
    Contract(document()).check(answer)


@pytest.mark.parametrize(
    "answer",
    [
        heard(200, {**ACCOUNT, "more": 1}),
        heard(200, {**ACCOUNT, "type": "robot"}),
        heard(200, {"type": "user"}),
        heard(200, ACCOUNT, "text/html"),
        heard(201, ACCOUNT),
        heard(200, ACCOUNT, method="HEAD"),
        heard(200, ACCOUNT, path="/v1/nothing"),
        heard(200, ACCOUNT, method="PUT"),
        heard(200, ACCOUNT, path="/v2/account"),
        heard(404, MISSING, path="/v1/nothing"),
        heard(404, MISSING, PROBLEM),
        heard(401, {"detail": "no", "status": 402}, PROBLEM),
        heard(401, {"detail": "no", "status": 401, "why": ""}, PROBLEM),
        heard(500, {"detail": "no", "status": 500}, PROBLEM),
        heard(431, {"detail": "", "status": 431}, PROBLEM),
        heard(429, {"detail": "no", "status": 429}, PROBLEM),  # without retry-after
        heard(204, b"x", path="/v1/files/x", method="DELETE"),
    ],
)
def test_an_answer_that_is_not_documented_fails(answer: Heard) -> None:
    with pytest.raises(AssertionError):
        Contract(document()).check(answer)
