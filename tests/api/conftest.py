from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from api.shop import open_shop
from support.receiver import Receiver, receiving
from support.server import Server, model, serving

MODELS = Path(__file__).parent / "models"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """One server for all tests of a module; it must not have answered 500 to any of them."""
    folder = tmp_path_factory.mktemp("api")
    config = folder / "ringback.toml"
    config.write_text(
        "[server]\nbody_limit = 2_000_000\ncancel_grace_s = 0.5\n[webhooks]\nretry_base_s = 0.05\n"
    )
    async with serving(
        model("test/echo", "echo"),
        f"test/picture={MODELS / 'picture'}",
        f"test/patient={MODELS / 'patient'}",
        f"test/gated={MODELS / 'gated'}",
        f"test/spelling={MODELS / 'spelling'}",
        f"test/unfit={MODELS / 'unfit'}",
        "--config",
        str(config),
        data=folder / "data",
    ) as server:
        yield server
        assert "Traceback" not in server.log()
        assert server.process.poll() is None


@pytest.fixture(scope="module")
def database(server: Server) -> Path:
    """The database of the server."""
    arguments = server.process.args
    assert isinstance(arguments, list)
    return Path(str(arguments[arguments.index("--data") + 1])) / "ringback.sqlite"


@pytest_asyncio.fixture(loop_scope="module")
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def version(server: Server) -> str:
    """The id of test/echo's version."""
    created = await server.create("test/echo", {"text": "hi"})
    return str(created["version"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """One server with two accounts for all tests of a module."""
    async with open_shop(tmp_path_factory.mktemp("shop")) as server:
        yield server
