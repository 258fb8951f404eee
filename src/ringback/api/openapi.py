"""The API in the terms of OpenAPI: the document, joined from the files in openapi/, and its page."""

import asyncio
import json
from functools import cache
from html import escape
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import yaml
from starlette.requests import Request
from starlette.responses import Response

from ringback import __version__
from ringback.api import reference
from ringback.api.service import Service

BASE = "https://ringback.invalid"
"""Stands in the files for where the server is reached."""

METHODS = ("get", "post", "put", "patch", "delete", "x-query")
"""Keys of a path that are operations; the document's introduction says what `x-query` is."""

_PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
# libyaml's loader reads the files in a twentieth of the time, but is not in every build of PyYAML.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


async def show(here: Service, _request: Request) -> Response:
    """GET /openapi.json."""
    text = await asyncio.to_thread(_text)
    return Response(text.replace(BASE, here.links.base), media_type="application/json")


async def page(here: Service, _request: Request) -> Response:
    """GET /docs: the document for a person, without scripts."""
    text = await asyncio.to_thread(_page)
    return Response(text.replace(BASE, escape(here.links.base)), 200, _PAGE_HEADERS, media_type="text/html")


@cache
def _text() -> str:
    return json.dumps(document(), separators=(",", ":"), ensure_ascii=False)


@cache
def _page() -> str:
    folder = files(__package__) / "openapi"
    return reference.page(document(), (folder / "page.css").read_text("utf-8"), METHODS)


@cache
def document() -> dict[str, Any]:
    """Give the document (OpenAPI 3.1), with `BASE` where the server's address belongs."""
    folder = files(__package__) / "openapi"
    whole = _read(folder / "info.yaml")
    whole["info"]["version"] = __version__
    parts = [
        _read(file)
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if file.name.endswith(".yaml") and file.name != "info.yaml"
    ]
    for part in parts:
        _join(whole, part)
    order = [tag["name"] for tag in whole["tags"]]
    whole["paths"] = dict(sorted(whole["paths"].items(), key=lambda item: _place(item[1], order)))
    for item in whole["paths"].values():
        for method in METHODS:
            if method in item:
                _write_out_errors(item[method])
    return whole


def _read(file: Traversable) -> dict[str, Any]:
    # Through JSON, so that what several places refer to by an anchor becomes each place's own.
    found: dict[str, Any] = json.loads(json.dumps(yaml.load(file.read_text("utf-8"), _Loader)))  # noqa: S506 # a safe one
    return found


def _join(whole: dict[str, Any], part: dict[str, Any]) -> None:
    for key, value in part.items():
        if isinstance(whole.get(key), dict) and isinstance(value, dict):
            _join(whole[key], value)
        elif whole.setdefault(key, value) != value:
            raise ValueError(f"two files of the document say different things of {key}")


def _place(item: dict[str, Any], order: list[str]) -> int:
    return min(order.index(item[method]["tags"][0]) for method in METHODS if method in item)


def _write_out_errors(operation: dict[str, Any]) -> None:
    errors = {
        str(status): {"$ref": f"#/components/responses/{status}"} for status in operation.pop("errors", [])
    }
    operation["responses"] = dict(sorted({**errors, **operation["responses"]}.items()))
