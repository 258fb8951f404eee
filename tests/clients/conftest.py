"""One server for all these tests, with what the clients ask for; and each client as a process of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from support.clients import Client, first_python, javascript, second_python
from support.receiver import Receiver, receiving
from support.server import MODELS, Server, serving

HERE = Path(__file__).parent / "models"
CANARY = "30e22229542eb3f79d4f945dacb58d32001b02cc313ae6f54eef27904edf3272"
HELLO_WORLD = "9dcd6d78e7c6560c340d916fe32e9f24aabfa331e5cce95fe31f77fb03121426"
FOLDERS = {
    "test/echo": MODELS / "echo",
    "test/tokens": MODELS / "tokens",
    "test/painter": MODELS / "painter",
    "test/behave": MODELS / "behave",
    "test/collate": HERE / "collate",
    "test/line": HERE / "line",
    "test/teller": HERE / "teller",
}
CONFIGURATION = f"""
[server]
cancel_grace_s = 0.5

[models."replicate/canary"]
dir = "{MODELS / "canary"}"
version = "{CANARY}"

[models."replicate/hello-world"]
dir = "{MODELS / "echo"}"
version = "{HELLO_WORLD}"

[hardware.gpu-t4]
name = "Nvidia T4 GPU"
devices = ["0"]

[collections.speakers]
name = "Speakers"
description = "Models that say something"
models = ["replicate/canary", "test/tokens"]
"""


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """A server that must not have answered 500 to anything."""
    folder = tmp_path_factory.mktemp("clients")
    config = folder / "ringback.toml"
    config.write_text(CONFIGURATION)
    models = [f"{name}={path}" for name, path in FOLDERS.items()]
    async with serving(*models, "--config", str(config), data=folder / "data") as server:
        yield server
        assert "Traceback" not in server.log()
        assert server.process.poll() is None


@pytest_asyncio.fixture(loop_scope="package")
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def js(server: Server) -> AsyncIterator[Client]:
    async with javascript(server.url) as client:
        yield client


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def py1(server: Server) -> AsyncIterator[Client]:
    async with first_python(server.url) as client:
        yield client


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def py2(server: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    # It keeps the files that it downloads in the folder for temporary ones, by their URL.
    async with second_python(server.url, TMPDIR=str(tmp_path_factory.mktemp("downloads"))) as client:
        yield client
