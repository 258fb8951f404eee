"""A real ringback server in a process of its own, and a client for it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from support.contract import checking

MODELS = Path(__file__).parent.parent / "models"
TOKEN = "r8_test_token_of_the_test_suite_0000000000"
COMMAND = [sys.executable, "-m", "ringback.assembly"]


@dataclass
class Server:
    """A running server. What its session is answered must be as documented (support/contract.py)."""

    process: subprocess.Popen[bytes]
    url: str
    session: aiohttp.ClientSession
    output: Path

    async def call(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
        """Make a request; give the status and the parsed JSON."""
        headers = {"authorization": f"Bearer {TOKEN}", **more.pop("headers", {})}
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        async with self.session.request(
            method, self.url + path, data=data, headers=headers, **more
        ) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None

    async def create(self, version: str, input_: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Create a prediction; it must be accepted."""
        status, body = await self.call(
            "POST", "/v1/predictions", {"version": version, "input": input_, **more}
        )
        assert status == 201, body
        created: dict[str, Any] = body
        return created

    async def ended(self, id_: str, timeout: float = 30.0) -> dict[str, Any]:
        """Poll until a prediction has ended."""
        return await self.reached(id_, "succeeded", "failed", "canceled", timeout=timeout)

    async def reached(self, id_: str, *statuses: str, timeout: float = 30.0) -> dict[str, Any]:
        """Poll until a prediction has one of these."""
        async with asyncio.timeout(timeout):
            while True:
                status, body = await self.call("GET", f"/v1/predictions/{id_}")
                assert status == 200, body
                if body["status"] in statuses:
                    found: dict[str, Any] = body
                    return found
                await asyncio.sleep(0.01)  # a client's poll; there is no event to wait on

    async def secret(self) -> str:
        _, body = await self.call("GET", "/v1/webhooks/default/secret")
        return str(body["key"])

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)

    async def stopped(self, timeout: float = 30.0) -> int:
        """Wait until the process has ended; give its exit code."""
        return await asyncio.to_thread(self.process.wait, timeout)

    def log(self) -> str:
        return self.output.read_text()


def model(name: str, folder: str) -> str:
    return f"{name}={MODELS / folder}"


@asynccontextmanager
async def serving(
    *arguments: str,
    data: Path,
    command: list[str] | None = None,
    env: Mapping[str, str] | None = None,
    pass_fds: tuple[int, ...] = (),
    port: int = 0,
) -> AsyncIterator[Server]:
    """Run `ringback serve` until the block ends (SIGKILL, unless it has ended by itself).

    Give a port where its public URL is another address: that one is reached here by the port.
    """
    with tempfile.NamedTemporaryFile(prefix="ringback-test-", suffix=".log", delete=False) as output:
        process = subprocess.Popen(
            [*(command or COMMAND), "serve", *arguments, "--data", str(data), "--port", str(port)],
            stdout=subprocess.PIPE,
            stderr=output,
            env={**os.environ, "REPLICATE_API_TOKEN": TOKEN, **(env or {})},
            pass_fds=pass_fds,
        )
    path = Path(output.name)
    try:
        url = await asyncio.to_thread(_listening, process, path)
        url = f"http://127.0.0.1:{port}" if port else url
        async with aiohttp.ClientSession(middlewares=(checking(url),)) as session:
            server = Server(process, url, session, path)
            status, _ = await server.call("GET", "/health")
            assert status == 200
            yield server
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        path.unlink()


def _listening(process: subprocess.Popen[bytes], output: Path) -> str:
    assert process.stdout is not None
    line = process.stdout.readline().decode()
    assert line.startswith("ringback is listening on "), line + output.read_text()
    return line.split()[-1]
