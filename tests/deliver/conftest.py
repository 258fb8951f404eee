"""Real receivers on loopback, and egress under both event loops: its hooks must work in each."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import uvloop

from deliver.authority import Authority, made
from ringback.deliver.egress import Egress, EgressSettings
from ringback.net.names import Lookup
from ringback.rules.address import AddressRules

Script = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    loops = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return loops if item.path.name.startswith("test_egress") else {"asyncio": asyncio.new_event_loop}


async def _request(reader: asyncio.StreamReader, *, whole: bool) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        (line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b"0"
    )
    return head + (await reader.readexactly(int(length)) if whole else b"")


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return made(tmp_path_factory.mktemp("authority"))


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """Start a receiver: `url = await serve(script)`.

    The script is called with each request that was read and the connection's writer, or is simply the bytes
    to answer. With whole=False it is called after the head of the request, and the rest is read afterwards.
    """
    servers: list[asyncio.Server] = []
    tasks: set[asyncio.Task[None] | None] = set()

    async def start(
        script: Script | bytes,
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
        *,
        whole: bool = True,
        port: int = 0,
    ) -> str:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tasks.add(asyncio.current_task())
            try:
                with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                    while not writer.is_closing():
                        request = await _request(reader, whole=whole)
                        if isinstance(script, bytes):
                            writer.write(script)
                        else:
                            await script(request, writer)
                        if not whole:
                            await reader.read()
            finally:
                writer.close()

        server = await asyncio.start_server(talk, host, port, ssl=tls)
        servers.append(server)
        port = server.sockets[0].getsockname()[1]
        return f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"

    yield start
    for server in servers:
        server.close()
    for task in tasks:
        assert task is not None
        task.cancel()
    await asyncio.gather(*(task for task in tasks if task), return_exceptions=True)
    for server in servers:
        await server.wait_closed()


@pytest.fixture
async def make_egress() -> AsyncIterator[Callable[..., Egress]]:
    """Make an egress that may dial loopback and is closed after the test."""
    all_made: list[Egress] = []

    def make(
        settings: EgressSettings = EgressSettings(timeout_s=5),  # noqa: B008 -- frozen
        rules: AddressRules = AddressRules(allow_loopback=True),  # noqa: B008 -- frozen
        now: Callable[[], float] = lambda: 0.0,
        lookup: Lookup = socket.getaddrinfo,
    ) -> Egress:
        all_made.append(Egress(settings, rules, now=now, lookup=lookup))
        return all_made[-1]

    yield make
    for egress in all_made:
        await egress.close()
