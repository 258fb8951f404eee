"""The tests that come with PyPI replicate 2.0.0b4, run in its environment against a real server.

They call every operation, with and without `await`, over two HTTP libraries, and check each answer against
the client's types. python/own_suite.py says how they come to ask a real server.
"""

import asyncio
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from support.clients import ENVIRONMENTS, python_of
from support.server import COMMAND, TOKEN, Server

pytestmark = pytest.mark.asyncio(loop_scope="package")

SUITE = ENVIRONMENTS / "replicate-2/suite"
PLUGIN = Path(__file__).parent / "python"
MODEL = "/models/replicate/hello-world"
COPIES = 9  # three tests delete each kind, once with each way to send a request


async def made(server: Server, method: str, path: str, body: Any = None) -> Any:
    status, answer = await server.call(method, f"/v1{path}", body)
    assert 200 <= status < 300, answer
    return answer


async def ended(server: Server, path: str) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while True:
            found: dict[str, Any] = await made(server, "GET", path)
            if found["completed_at"] is not None:
                assert found["status"] == "succeeded", found
                return found


async def uploaded(server: Server) -> str:
    form = b'--x\r\nContent-Disposition: form-data; name="content"; filename="a.txt"\r\n\r\nabc\r\n--x--\r\n'
    headers = {"content-type": "multipart/form-data; boundary=x"}
    status, answer = await server.call("POST", "/v1/files", form, headers=headers)
    assert status == 201, answer
    return f"/files/{answer['id']}"


async def command(server: Server, *words: str) -> None:
    started = list(map(str, server.process.args))  # type: ignore[arg-type]
    folder = started[started.index("--data") + 1]
    process = await asyncio.create_subprocess_exec(*COMMAND, *words, "--data", folder)
    assert await process.wait() == 0


async def seeded(server: Server) -> dict[str, Any]:
    """Make what the tests ask for; give what there is, as paths."""
    owner = (await made(server, "GET", "/account"))["username"]
    line = (await made(server, "GET", "/models/test/line"))["latest_version"]["id"]
    echo = (await made(server, "GET", "/models/test/echo"))["latest_version"]["id"]

    async def model(name: str) -> str:
        about = {"owner": owner, "name": name, "visibility": "private", "hardware": "cpu"}
        await made(server, "POST", "/models", about)
        return f"/models/{owner}/{name}"

    async def deployment(name: str) -> str:
        release = {"name": name, "model": "test/echo", "version": echo, "hardware": "cpu"}
        await made(server, "POST", "/deployments", {**release, "min_instances": 0, "max_instances": 1})
        return f"/deployments/{owner}/{name}"

    async def version(destination: str) -> tuple[str, str]:
        given = {"destination": f"{owner}/{destination}", "input": {"points": "1,1"}}
        begun = await made(server, "POST", f"/models/test/line/versions/{line}/trainings", given)
        training = await ended(server, f"/trainings/{begun['id']}")
        id_ = training["output"]["version"].rpartition(":")[2]
        return f"/models/{owner}/{destination}/versions/{id_}", f"/trainings/{begun['id']}"

    await model("trained")
    trained = [await version("trained") for _ in range(COPIES)]
    words = {"description": "nano banana, and a body", "readme": "# Hello"}
    await made(server, "PATCH", MODEL, words)
    prediction = await server.create("replicate/hello-world", {"text": "Alice"})
    await server.ended(prediction["id"])
    await command(server, "models", "example", "add", prediction["id"])
    return {
        "owner": owner,
        "destination": f"{owner}/trained",
        "deployed": {"model": "test/echo", "version": echo},
        "deployment": await deployment("standing"),
        "model": MODEL,
        "changed": await model("changed"),
        "version": f"{MODEL}/versions/{prediction['version']}",
        "trained": f"/models/test/line/versions/{line}",
        "prediction": f"/predictions/{prediction['id']}",
        "training": trained[0][1],
        "file": await uploaded(server),
        "collection": "/collections/speakers",
        "stock": {
            "model": [await model(f"unused-{number}") for number in range(COPIES)],
            "version": [path for path, _ in trained],
            "deployment": [await deployment(f"unused-{number}") for number in range(COPIES)],
            "file": [await uploaded(server) for _ in range(COPIES)],
        },
    }


async def test_the_clients_own_tests_of_every_operation_pass(server: Server, tmp_path: Path) -> None:
    known = await seeded(server)
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = session\n"
    )
    process = await asyncio.create_subprocess_exec(
        python_of(2),
        *("-m", "pytest", "-q", "-rfEs", "--tb=short", "-p", "own_suite", "-p", "no:cacheprovider"),
        *("-c", tmp_path / "pytest.ini", "--rootdir", SUITE, SUITE / "tests/api_resources"),
        env={
            **os.environ,
            "PYTHONPATH": str(PLUGIN),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TEST_API_BASE_URL": f"{server.url}/v1",
            "REPLICATE_API_TOKEN": TOKEN,
            "RINGBACK_KNOWN": json.dumps(known),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(180):
        output = (await process.communicate())[0].decode()
    assert process.returncode == 0, output
    counts = re.findall(r"(\d+) (passed|failed|skipped|deselected)", output.splitlines()[-1])
    assert {what: int(count) for count, what in counts} == {"passed": 423, "deselected": 297}
