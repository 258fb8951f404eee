from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from openapi.asked import Things, tried
from support.server import Server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Server, Things]]:
    async with tried(tmp_path_factory.mktemp("openapi")) as both:
        yield both
        server, _ = both
        assert (await server.call("GET", "/health"))[0] == 200
        assert "Traceback" not in server.log()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(both: tuple[Server, Things]) -> Server:
    """A server with one of everything; it must not have had a fault of its own in any test."""
    return both[0]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def things(both: tuple[Server, Things]) -> Things:
    return both[1]
