"""Each thing that there is, asked for under each base path, is answered as documented."""

import json
from typing import Any

import pytest
from yarl import URL

from openapi.asked import Things
from ringback.api.app import ROUTES
from ringback.api.openapi import document
from support.server import TOKEN, Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOOKS = [path for method, path, _ in ROUTES if method == "GET"]
ELSEWHERE = {
    "/f/{id}": 404,  # no model has returned a file
    "/f/{id}/{name}": 404,
    "/trainings/{id}": 404,  # the prediction is none
    "/models/{owner}/{name}/readme": 404,
}
NEEDED = {"/search": "?query=echo"}


async def status(server: Server, method: str, path: str, body: Any = None) -> int:
    """Ask; the session holds the answer against the document."""
    headers = {"authorization": f"Bearer {TOKEN}"}
    data = None if body is None else json.dumps(body).encode()
    url = URL(server.url + path, encoded=True)
    async with server.session.request(method, url, headers=headers, data=data) as answer:
        return answer.status


@pytest.mark.parametrize("base", ["", "/v1", "/v1/v1"])
@pytest.mark.parametrize("path", LOOKS)
async def test_what_there_is_is_shown_as_documented(
    server: Server, things: Things, path: str, base: str
) -> None:
    target = base + filled(things, path) + NEEDED.get(path, "")
    assert await status(server, "GET", target) == ELSEWHERE.get(path, 200)
    assert await status(server, "HEAD", target) == ELSEWHERE.get(path, 200)


def filled(things: Things, path: str) -> str:
    real = things.of(path)
    if path == "/files/{id}/download":
        return things.download
    for name, value in real.items():
        path = path.replace(f"{{{name}}}", value)
    return path


def nulled(method: str, path: str, operation: Any) -> list[tuple[str, str, str]]:
    """Each field of its body that may not be null."""
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    if "$ref" in schema:
        schema = document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    properties = schema.get("properties", {})
    return [
        (method, path, name)
        for name in schema.get("required", [])
        if "null" not in properties[name].get("type", "")
    ]


NULLED = [
    each
    for path, item in document()["paths"].items()
    for method in ("post", "patch")
    for each in nulled(method, path, item.get(method, {}))
]


@pytest.mark.parametrize(("method", "path", "name"), NULLED)
async def test_null_in_the_place_of_something_is_422(
    server: Server, things: Things, method: str, path: str, name: str
) -> None:
    operation = document()["paths"][path][method]
    example = dict(operation["requestBody"]["content"]["application/json"]["example"])
    known = {"version": things.version, "model": "test/echo", "input": {"text": "hi"}}
    body = {**example, **{key: value for key, value in known.items() if key in example}, name: None}
    if path.endswith("/trainings"):
        assert await status(server, method.upper(), filled(things, path), body) in (404, 422)
    else:
        assert await status(server, method.upper(), filled(things, path), body) == 422
