"""Every answer of a server that a test asks is held against the API's own description (/openapi.json).

An operation, a status, a content type, a field too many or too few: what the document does not have fails the
test that met it.
"""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any
from urllib.parse import unquote

import jsonschema_rs
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse
from starlette.routing import compile_path
from yarl import URL

from ringback.api.openapi import METHODS, document

_OF_ANY = {
    400: "The request is not valid HTTP/1.1.",
    431: "The request's line and headers are over the limit of 65,536 bytes.",
}
"""What any request may be answered, whatever it asks for: the document's introduction says it."""


@dataclass(frozen=True)
class Heard:
    """An answer: its body None where it was not read (streams, files)."""

    method: str
    path: str
    status: int
    headers: Mapping[str, str]
    body: bytes | None

    @property
    def kind(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def __str__(self) -> str:
        return f"{self.method} {self.path[:200]} -> {self.status} {self.kind} {(self.body or b'')[:1000]!r}"


class Contract:
    """The document, ready to check answers."""

    def __init__(self, described: Mapping[str, Any]) -> None:
        self._document = _closed(copy.deepcopy(dict(described)))
        # A path written out goes before one with a placeholder in its place.
        paths = sorted(self._document["paths"], key=lambda path: path.count("{"))
        self._paths = [(compile_path(path)[0], path) for path in paths]
        self._validators: dict[str, jsonschema_rs.Validator] = {}

    def check(self, heard: Heard) -> None:
        """Fail if the document does not foresee the answer."""
        told = _OF_ANY.get(heard.status, "")
        if told and heard.body is not None and json.dumps(told).encode() in heard.body:
            self._problem(heard, heard.status)
            return
        path = unquote(heard.path)
        for _ in range(2):  # a base URL may end in /v1, and the client add its own
            path = path[3:] or "/" if path.startswith("/v1/") or path == "/v1" else path
        found = next((template for matcher, template in self._paths if matcher.match(path)), None)
        if found is None:
            self._problem(heard, 404)
            return
        method = "get" if heard.method == "HEAD" else heard.method.lower()
        key = next((key for key in METHODS if key.removeprefix("x-") == method), "")
        if key not in self._document["paths"][found]:
            self._problem(heard, 405)
            assert "allow" in heard.headers, heard
            return
        self._operation(heard, self._document["paths"][found][key])

    def _operation(self, heard: Heard, operation: Mapping[str, Any]) -> None:
        answers = operation["responses"]
        assert str(heard.status) in answers, f"not documented: {heard}"
        answer = self._found(answers[str(heard.status)])
        for name, header in answer.get("headers", {}).items():
            self._header(heard, name, self._found(header))
        content = answer.get("content", {})
        if heard.method == "HEAD":
            assert not heard.body, heard
        elif not content:
            assert not heard.body, f"no body is documented: {heard}"
        else:
            assert heard.kind in content or "*/*" in content, f"not documented: {heard}"
            self._body(heard, content.get(heard.kind, {}).get("schema", {}))

    def _header(self, heard: Heard, name: str, header: Mapping[str, Any]) -> None:
        if name in heard.headers:
            self._valid(heard, header["schema"], heard.headers[name])
        else:
            assert not header.get("required"), f"{name} is missing: {heard}"

    def _body(self, heard: Heard, schema: Mapping[str, Any]) -> None:
        if heard.body is None or not heard.kind.endswith("json"):
            return
        value = json.loads(heard.body)
        self._valid(heard, schema, value)
        if heard.kind == "application/problem+json":
            assert value["status"] == heard.status, heard

    def _problem(self, heard: Heard, status: int) -> None:
        assert (heard.status, heard.kind) == (status, "application/problem+json"), f"not documented: {heard}"
        if heard.method != "HEAD":
            self._body(heard, {"$ref": "#/components/schemas/Problem"})

    def _found(self, part: Mapping[str, Any]) -> Mapping[str, Any]:
        target: Any = self._document
        for step in part.get("$ref", "#").split("/")[1:]:
            target = target[step]
        return part if target is self._document else target

    def _valid(self, heard: Heard, schema: Mapping[str, Any], value: Any) -> None:
        text = json.dumps(schema, sort_keys=True)
        if text not in self._validators:
            whole = {**schema, "components": self._components}
            self._validators[text] = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
        fault = next(iter(self._validators[text].iter_errors(value)), None)
        assert fault is None, f"{'.'.join(map(str, fault.instance_path))}: {fault.message[:500]}: {heard}"

    @cached_property
    def _components(self) -> Any:
        return {"schemas": self._document["components"]["schemas"]}


def _closed(part: Any) -> Any:
    """Let objects have no fields but those that are described: a reader would not know of them."""
    if isinstance(part, list):
        return [_closed(each) for each in part]
    if not isinstance(part, dict):
        return part
    closed = {key: value if key == "example" else _closed(value) for key, value in part.items()}
    if part.get("type") in ("object", ["object", "null"]) and isinstance(part.get("properties"), dict):
        closed.setdefault("additionalProperties", False)
    return closed


@cache
def contract() -> Contract:
    return Contract(document())


def checking(url: str) -> Any:
    """Give a middleware for an aiohttp session that checks the answers of the server at `url`."""
    origin = URL(url).origin()

    async def check(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        answer = await handler(request)
        if request.url.origin() == origin:
            # Others are streams and files: they are for the test to read.
            is_text = answer.content_type.endswith("json") or answer.status not in (200, 206)
            body = await answer.read() if is_text else None
            heard = Heard(request.method, request.url.raw_path, answer.status, answer.headers, body)
            if not (request.method == "OPTIONS" and "access-control-request-method" in request.headers):
                contract().check(heard)
        return answer

    return check
