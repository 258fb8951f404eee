"""schemathesis makes requests out of the document, right and wrong ones: each answer is one that it foresees.

RINGBACK_EXAMPLES=200 makes it try longer: up to so many requests of each kind for each operation.
RINGBACK_SEED=2 makes it try others.
"""

import asyncio
import copy
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from openapi.asked import Things
from ringback.api.openapi import METHODS
from support.server import TOKEN, Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXAMPLES = os.environ.get("RINGBACK_EXAMPLES", "4")
SEED = os.environ.get("RINGBACK_SEED", "1")
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


def aimed(document: dict[str, Any], things: Things) -> dict[str, Any]:
    """Make it OpenAPI 3.2, which knows QUERY, and half of the values those of things that there are."""
    made: dict[str, Any] = json.loads(
        json.dumps(document).replace("https://example.com/hook", things.webhook)
    )
    made["openapi"] = "3.2.0"
    for path, item in made["paths"].items():
        if "x-query" in item:
            item["query"] = item.pop("x-query")
        shared = item.pop("parameters", [])
        for operation in [item[name] for name in ("query", *METHODS) if name in item]:
            given = [_resolved(made, part) for part in [*shared, *operation.get("parameters", [])]]
            operation["parameters"] = [_aimed(part, things.of(path)) for part in given]
    for body in _bodies(made):
        _put(body, things)
    return made


def _bodies(document: dict[str, Any]) -> list[Any]:
    """All that describes what is sent."""
    operations = [each for item in document["paths"].values() for each in item.values()]
    schemas = document["components"]["schemas"]
    return [
        *(each["requestBody"] for each in operations if isinstance(each, dict) and "requestBody" in each),
        *(schemas[name] for name in ("CreatePrediction", "WebhookUrl")),
    ]


def _resolved(document: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    target: Any = document
    for step in part.get("$ref", "#").split("/")[1:]:
        target = target[step]
    return copy.deepcopy(target if "$ref" in part else part)


def _aimed(part: dict[str, Any], real: Any) -> dict[str, Any]:
    if part["in"] == "path" and part["name"] in real:
        part["example"] = real[part["name"]]
        part["schema"] = {"anyOf": [{"const": part["example"]}, {"type": "string", "minLength": 1}]}
    return part


def _put(part: Any, things: Things) -> None:
    """Give bodies a version that there is, and webhooks a receiver: nobody else is to be called."""
    if isinstance(part, list):
        for each in part:
            _put(each, things)
    if not isinstance(part, dict):
        return
    if part.get("format") == "uri" or "WebhookUrl" in part.get("$ref", ""):
        part.pop("$ref", None)
        part |= {"type": "string", "enum": [things.webhook, "http://127.0.0.1:1/", "nonsense"]}
    if isinstance(part.get("example"), dict):
        known = {"version": things.version, "model": "test/echo", "input": {"text": "hi"}}
        part["example"] |= {key: value for key, value in known.items() if key in part["example"]}
    for value in part.values():
        _put(value, things)


async def test_schemathesis_finds_nothing(server: Server, things: Things, tmp_path: Path) -> None:
    _, document = await server.call("GET", "/openapi.json")
    place = tmp_path / "openapi.json"
    place.write_text(json.dumps(aimed(document, things)))
    arguments = [
        *("run", str(place), "--url", f"{server.url}/v1", "--header", f"Authorization: Bearer {TOKEN}"),
        *("--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing"),
        *("--continue-on-failure", "--no-shrink", "--suppress-health-check", "all", "--warnings", "off"),
        *("--max-examples", EXAMPLES, "--seed", SEED, "--generation-database", "none"),
        *("--request-timeout", "20", "--no-color"),
    ]
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "schemathesis"),
        *arguments,
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()[-20_000:]
    print(output.decode())
