"""The official clients, each a child process in its own environment, asked line by line."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.node import CLIENTS, NODE, ROOT
from support.server import TOKEN

ENVIRONMENTS = ROOT / ".clients"
_LONGEST_LINE = 1 << 26
_LIMIT_S = 60.0


class ClientError(Exception):
    """What the client raised or threw: `name` is its type, `facts` what it knows."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        super().__init__(f"{facts['name']}: {facts['message']}")
        self.name: str = facts["name"]
        self.facts = facts


@dataclass
class Client:
    """A running client."""

    process: asyncio.subprocess.Process

    async def ask(self, do: str, **request: Any) -> Any:
        """Have it do something; give its answer.

        Raises:
            ClientError: it raised.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": do, **request}).encode() + b"\n")
        async with asyncio.timeout(_LIMIT_S):
            line = await self.process.stdout.readline()
        assert line, "the client has ended; see its standard error"
        reply = json.loads(line)
        if "error" in reply:
            raise ClientError(reply["error"])
        return reply["answer"]

    async def call(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """Have it call one of its methods."""
        return await self.ask("call", path=path, args=args, kwargs=kwargs)


def python_of(generation: int) -> Path:
    """The Python in whose environment a generation of the Python client is."""
    python = ENVIRONMENTS / f"replicate-{generation}/bin/python"
    assert python.exists(), "the Python clients are missing: run `make test`"
    return python


@asynccontextmanager
async def _asking(program: Path, script: Path, env: Mapping[str, str]) -> AsyncIterator[Client]:
    process = await asyncio.create_subprocess_exec(
        program,
        script,
        env={**os.environ, "REPLICATE_API_TOKEN": TOKEN, **env},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LONGEST_LINE,
    )
    assert process.stdin is not None
    try:
        yield Client(process)
    finally:
        process.stdin.close()
        await process.wait()


def javascript(url: str, **env: str) -> Any:
    """Run npm replicate 1.4.0 against a server."""
    return _asking(NODE, CLIENTS / "javascript/client.mjs", {"RINGBACK_BASE_URL": f"{url}/v1", **env})


def first_python(url: str, **env: str) -> Any:
    """Run PyPI replicate 1.0.7 against a server, told by the environment as people do."""
    environment = {"REPLICATE_BASE_URL": url, "REPLICATE_POLL_INTERVAL": "0.02", **env}
    return _asking(python_of(1), CLIENTS / "python/first.py", environment)


def second_python(url: str, **env: str) -> Any:
    """Run PyPI replicate 2.0.0b4 against a server, told by the environment as people do."""
    return _asking(python_of(2), CLIENTS / "python/second.py", {"REPLICATE_BASE_URL": f"{url}/v1", **env})
