"""A plugin of pytest: has the tests that come with PyPI replicate 2.x ask a real server.

They were made for a mock that answers anything, with ids such as "file_id" and inputs such as {}. When a
request is sent it gets what there really is in their place: client and tests are unchanged. What is deleted
comes from a stock, so that there is one for each test.
"""

import json
import os
import re
from typing import Any

import httpx
import pytest

KNOWN: dict[str, Any] = json.loads(os.environ["RINGBACK_KNOWN"])
_TOKEN = os.environ["REPLICATE_API_TOKEN"]
_numbers = iter(range(1_000_000))

# What stands in a path for what: in the order in which they are looked for.
_IN_PATHS = [
    (r"/deployments/deployment_owner/deployment_name", "deployment"),
    (r"/models/model_owner/model_name/versions/version_id", "version"),
    (r"/models/model_owner/model_name", "model"),
    (r"/predictions/prediction_id", "prediction"),
    (r"/trainings/training_id", "training"),
    (r"/files/file_id", "file"),
    (r"/collections/collection_slug", "collection"),
]
_NOWHERE = "http://127.0.0.1:9/"


def _path(method: str, path: str) -> str:
    for pattern, name in _IN_PATHS:
        if re.search(f"{pattern}(/|$)", path):
            is_deleted = method == "DELETE" and path.endswith(pattern)
            real = KNOWN["stock"][name].pop() if is_deleted else _standing(method, path, name)
            return path.replace(pattern, real)
    return path


def _standing(method: str, path: str, name: str) -> str:
    if path.endswith("/trainings") and name == "version":
        return str(KNOWN["trained"])
    if method == "PATCH" and name == "model":
        return str(KNOWN["changed"])
    return str(KNOWN[name])


def _body(path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Put what there is for what can't be; what is not given stays so."""
    owner = KNOWN["owner"]
    new = {
        "webhook": _NOWHERE,
        "hardware": "cpu",
        "owner": owner,
        "name": f"made-{next(_numbers)}",
        "destination": KNOWN["destination"],
        "license_url": "https://example.com/license",
        "cover_image_url": "https://example.com/cover.png",
        "input": {"points": "1,1"} if path.endswith("/trainings") else {"text": "Alice"},
    }
    if "/deployments" in path and not path.endswith("/predictions"):
        new |= {"model": KNOWN["deployed"]["model"], "version": KNOWN["deployed"]["version"]}
    return {key: new.get(key, value) for key, value in body.items()}


def _real(request: httpx.Request) -> httpx.Request:
    request.headers["authorization"] = f"Bearer {_TOKEN}"
    path = request.url.path
    request.url = request.url.copy_with(path=_path(request.method, path))
    kind = request.headers.get("content-type", "").partition(";")[0]
    if request.method == "QUERY" or kind not in {"application/json", "multipart/form-data"}:
        return request
    content = request.read()
    if kind == "application/json":
        content = json.dumps(_body(path, json.loads(content or b"{}"))).encode()
    else:
        content = content.replace(b"\r\n\r\ntype\r\n", b"\r\n\r\ntext/plain\r\n")
    headers = {**request.headers, "content-length": str(len(content))}
    return httpx.Request(
        request.method, request.url, headers=headers, content=content, extensions=request.extensions
    )


def _install() -> None:
    plain, awaited = httpx.Client.send, httpx.AsyncClient.send

    def send(self: httpx.Client, request: httpx.Request, **more: Any) -> httpx.Response:
        return plain(self, _real(request), **more)

    async def send_awaited(self: httpx.AsyncClient, request: httpx.Request, **more: Any) -> httpx.Response:
        return await awaited(self, _real(request), **more)

    httpx.Client.send = send  # type: ignore[method-assign]
    httpx.AsyncClient.send = send_awaited  # type: ignore[method-assign]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Unskip what a mock could not do; leave out what is mocked in the test itself, and the loose half."""
    wanted = []
    for item in items:
        is_mocked = "respx_mock" in getattr(item, "fixturenames", ())
        if not is_mocked and not item.name.endswith("[loose]"):
            item.own_markers = [mark for mark in item.own_markers if mark.name != "skip"]
            wanted.append(item)
    config.hook.pytest_deselected(items=[item for item in items if item not in wanted])
    items[:] = wanted


_install()
