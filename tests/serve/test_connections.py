"""A connection can't be used to fill the memory, nor held without end: its head and its body have bounds."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import pytest
import pytest_asyncio
from yarl import URL

from ringback.assembly.connection import HEAD_LIMIT, REST_LIMIT
from support.server import TOKEN, Server, model, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

LINE = b"POST /v1/predictions HTTP/1.1\r\nhost: x\r\n"
GOOD = b'{"version":"test/echo","input":{"text":"hi"}}'
MOST_SENT = 4 * REST_LIMIT


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    folder = tmp_path_factory.mktemp("connections")
    async with serving(model("test/echo", "echo"), data=folder / "data") as server:
        yield server
        assert (await server.call("GET", "/health"))[0] == 200
        assert "Traceback" not in server.log()


def repeated(piece: bytes, count: int = 64) -> Iterator[bytes]:
    """Give as much of it as there is a taker for; far more than any bound is a failure."""
    block = piece * count
    for _ in range(MOST_SENT // len(block)):
        yield block
    pytest.fail(f"{MOST_SENT} bytes were taken")


async def told(server: Server, start: bytes, rest: Iterable[bytes] = ()) -> tuple[int, Any]:
    """Send until nobody takes any more; give the status and the body of the answer."""
    return await asyncio.to_thread(_told, server, start, rest)


def _told(server: Server, start: bytes, rest: Iterable[bytes]) -> tuple[int, Any]:
    url = URL(server.url)
    with socket.create_connection((str(url.host), url.port or 0), timeout=20) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(start)
            for block in rest:
                connection.sendall(block)
        answer = connection.makefile("rb")
        status = int(answer.readline().split()[1])
        headers = dict(line.strip().lower().split(b": ") for line in iter(answer.readline, b"\r\n"))
        return status, json.loads(answer.read(int(headers[b"content-length"])))


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (LINE + b"x: ", b"y" * 1000),
        (LINE, b"y" * 1000),
        (LINE, b"x: " + b"y" * 1000 + b"\r\n"),
        (LINE, b"x:\r\n" * 100),
        (b"GET /", b"y" * 1000),
        (b"GET /v1/predictions?cursor=", b"%41" * 300),
    ],
    ids=["a value", "a name", "headers", "tiny headers", "a path", "a query"],
)
async def test_a_head_without_end_is_431_and_cut_off(server: Server, start: bytes, piece: bytes) -> None:
    status, body = await told(server, start, repeated(piece, 8))
    assert (status, body["status"]) == (431, 431)
    assert "65,536 bytes" in body["detail"]


async def test_a_head_over_the_limit_in_one_piece_is_431_too(server: Server) -> None:
    status, _ = await told(server, b"GET /health HTTP/1.1\r\nx: " + b"y" * HEAD_LIMIT + b"\r\n\r\n")
    assert status == 431


async def test_a_head_just_under_the_limit_is_served(server: Server) -> None:
    padding = b"y" * (HEAD_LIMIT - 100)
    assert (await told(server, b"GET /health HTTP/1.1\r\nx: " + padding + b"\r\n\r\n"))[0] == 200
    assert (await told(server, b"GET /health?" + padding + b" HTTP/1.1\r\nhost: x\r\n\r\n"))[0] == 200


async def test_the_limit_is_of_each_head_and_not_of_a_connection(server: Server) -> None:
    url = URL(server.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    padding = b"y" * (HEAD_LIMIT // 2)
    for _ in range(5):
        for part in (b"POST /v1/nothing HTTP/1.1\r\nx: ", padding, b"\r\ncontent-length: 200000\r\n\r\n"):
            writer.write(part)
            await writer.drain()
        writer.write(b"z" * 200_000)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 404 ")
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))
    writer.close()


async def test_what_is_not_http_is_400_in_json(server: Server) -> None:
    status, body = await told(server, b"\x16\x03\x01\x02\x00 hello\r\n\r\n")
    assert (status, body) == (400, {"detail": "The request is not valid HTTP/1.1.", "status": 400})


async def test_nobody_can_fill_the_log(server: Server) -> None:
    before = server.log()
    await told(server, b"\x16\x03\x01\x02\x00 hello\r\n\r\n")
    for what in ("websocket", "h2c", "x"):
        upgrade = f"GET /health HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: {what}\r\n\r\n"
        assert (await told(server, upgrade.encode()))[0] == 200
    assert server.log() == before


async def test_who_asks_for_another_protocol_is_answered_in_this_one(server: Server) -> None:
    url = URL(server.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    head = LINE + f"authorization: Bearer {TOKEN}\r\ncontent-length: {len(GOOD)}\r\n".encode()
    for _ in range(2):
        writer.write(head + b"connection: upgrade\r\nupgrade: h2c\r\n\r\n" + GOOD)
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 201 ")
        await reader.readexactly(int(answer.lower().partition(b"content-length: ")[2].split()[0]))
    writer.close()


@pytest.mark.parametrize("token", [TOKEN, "wrong"])
async def test_a_body_without_end_is_answered_and_cut_off(server: Server, token: str) -> None:
    head = LINE + f"authorization: Bearer {token}\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    status, _ = await told(server, head, repeated(chunk, 4))
    assert status == (413 if token == TOKEN else 401)


async def test_one_who_sends_all_of_a_body_that_is_refused_sees_the_answer(
    server: Server,
) -> None:
    size = 33_000_000
    head = LINE + f"authorization: Bearer {TOKEN}\r\ncontent-length: {size}\r\n\r\n".encode()
    url = URL(server.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(head)
    for _ in range(size // 100_000):
        writer.write(b" " * 100_000)
        await writer.drain()
    for status in (413, 200):
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(f"HTTP/1.1 {status} ".encode())
        await reader.readexactly(int(answer.lower().partition(b"content-length: ")[2].split()[0]))
        writer.write(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
    writer.close()
