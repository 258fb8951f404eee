"""Why an input file could not be fetched is told in words that say what to do."""

import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import ClientConnectorDNSError, ServerDisconnectedError
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.test_utils import RawTestServer
from aiohttp.web import BaseRequest, StreamResponse

from ringback.blobs.local import local
from ringback.rules.address import AddressRules
from ringback.rules.snapshot import Links
from ringback.work.fetching import fetch_fault
from ringback.work.files import FileStore
from ringback.work.inputs import InputError, InputFiles, InputRules
from ringback.work.uploads import Sent
from store.world import opened

HOME = ip_network("127.0.0.0/8")


@pytest_asyncio.fixture
async def files(tmp_path: Path) -> AsyncIterator[InputFiles]:
    rules = InputRules(AddressRules(allow_loopback=True, allowed=(HOME,)), timeout_s=0.2)
    async with opened(tmp_path) as world:
        sent = Sent(world.database, local(tmp_path / "uploads"))
        made = InputFiles(rules, FileStore(tmp_path / "files", os.urandom), Links("http://127.0.0.1:1"), sent)
        yield made
        await made.close()


async def refusal(files: InputFiles, url: str) -> str:
    with pytest.raises(InputError) as refused:
        await files.fetch({"x": url}, frozenset({"x"}), "acct_1")
    return str(refused.value).removeprefix(f"input 'x': {url} can't be fetched: ")


@asynccontextmanager
async def site(answer: Callable[[BaseRequest], Awaitable[StreamResponse]]) -> AsyncIterator[str]:
    async with RawTestServer(answer) as server:
        yield f"http://127.0.0.1:{server.port}/"


async def test_nobody_listens(files: InputFiles) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        told = await refusal(files, f"http://127.0.0.1:{port}/")
    assert told == f"can't connect to 127.0.0.1:{port}: connection refused, nothing listens there"


async def test_an_address_that_is_refused_says_who_allows_it(files: InputFiles) -> None:
    told = await refusal(files, "http://10.0.0.5/")
    assert told == "refused: 10.0.0.5 is a private address (allow it with egress.allow)"


async def test_a_file_that_does_not_come_within_the_limit(files: InputFiles) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        told = await refusal(files, f"http://127.0.0.1:{silent.getsockname()[1]}/")
    assert told == "it was not all there within 0.2 s"


async def test_a_server_without_tls(files: InputFiles) -> None:
    async def answer(_: BaseRequest) -> StreamResponse:
        return StreamResponse()

    async with site(answer) as url:
        told = await refusal(files, url.replace("http:", "https:"))
    assert told.endswith("failed the TLS handshake: is the URL http:// rather than https://?")


async def test_a_redirect_without_end(files: InputFiles) -> None:
    async def answer(_: BaseRequest) -> StreamResponse:
        return StreamResponse(status=302, headers={"location": "/again"})

    async with site(answer) as url:
        assert await refusal(files, url) == "it redirects too often"


async def test_a_connection_that_breaks_off_half_way(files: InputFiles) -> None:
    async def answer(request: BaseRequest) -> StreamResponse:
        half = StreamResponse(headers={"content-length": "1000"})
        await half.prepare(request)
        await half.write(b"x" * 10)
        assert request.transport is not None
        request.transport.close()
        return half

    async with site(answer) as url:
        told = await refusal(files, url)
    assert told == "the connection was closed before the whole file was there"


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (socket.EAI_NONAME, "the name in x.example:443 has no address: check the host in the URL"),
        (socket.EAI_AGAIN, "the name in x.example:443 could not be looked up: who knows"),
    ],
)
def test_a_name_that_leads_nowhere(number: int, told: str) -> None:
    key = ConnectionKey(
        "x.example", 443, is_ssl=True, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None
    )
    assert fetch_fault(ClientConnectorDNSError(key, OSError(number, "who knows")), 60) == told


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ServerDisconnectedError(), "the connection was closed before the whole file was there"),
        (OSError(28, "No space left on device"), "it can't be kept here: No space left on device"),
    ],
)
def test_what_else_may_happen(error: BaseException, told: str) -> None:
    assert fetch_fault(error, 60) == told
