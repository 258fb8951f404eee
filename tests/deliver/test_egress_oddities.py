"""Answers at the edge of HTTP: what counts is a head that can be read, and nothing after it."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from ringback.deliver.egress import Egress, EgressSettings

Serve = Callable[..., Awaitable[str]]
Make = Callable[..., Egress]

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
NOT_HTTP = "something that is not HTTP; check host, port and scheme"
AT_LAST = 3.0  # seconds after which something would be stuck


@pytest.mark.parametrize(
    ("said", "status", "excerpt"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\nto the end", 200, "to the end"),
        (b"HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n", 200, ""),
        (b"HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n", 200, ""),
        (b"HTTP/1.1 200 OK\ncontent-length: 0\n\n", 200, ""),
        (b"HTTP/1.1 200 OK\r\nx: folded\r\n into two\r\ncontent-length: 0\r\n\r\n", 200, ""),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 5\r\n\r\nplain", 200, "plain"),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: br, zstd\r\ncontent-length: 5\r\n\r\nplain", 200, "plain"),
        (b"HTTP/1.1 204 X\r\n\r\n", 204, ""),
    ],
)
async def test_an_unusual_answer_that_can_be_read_acknowledges(
    serve: Serve, make_egress: Make, said: bytes, status: int, excerpt: str
) -> None:
    async def script(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        writer.close()

    result = await make_egress().post(await serve(script), {}, b"{}")
    assert (result.cause, result.status, result.excerpt) == ("acknowledged", status, excerpt)


@pytest.mark.parametrize("pieces", [1, 2])
@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"HTTP/1.1 204 X\r\ncontent-length: 5\r\n\r\n", b"hello"),
        (b"HTTP/1.1 200 X\r\ncontent-length: 0\r\n\r\n", b"hello"),
        (b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n", b"not hexadecimal\r\n"),
        (b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n", b"5\r\nhel"),
        (b"HTTP/1.1 200 X\r\ncontent-length: 1000\r\n\r\n", b"part"),
    ],
)
async def test_a_faulty_body_spoils_no_2xx_however_it_comes(
    serve: Serve, make_egress: Make, head: bytes, body: bytes, pieces: int
) -> None:
    egress = make_egress(EgressSettings(timeout_s=5, excerpt_s=0.3))

    async def script(_: bytes, writer: asyncio.StreamWriter) -> None:
        if pieces == 1:
            writer.write(head + body)
        else:
            writer.write(head)
            await writer.drain()
            await asyncio.sleep(0)  # the kernel has the head: what follows comes in a read of its own
            writer.write(body)
        writer.close()

    result = await egress.post(await serve(script), {}, b"{}")
    assert (result.cause, result.status) == ("acknowledged", int(head[9:12]))


@pytest.mark.parametrize(
    ("said", "diagnosis"),
    [
        (b"HTTP/1.1 2000 X\r\ncontent-length: 0\r\n\r\n", NOT_HTTP),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello", NOT_HTTP),
        (b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n", NOT_HTTP),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", NOT_HTTP),
        (b"HTTP/1.1 200 OK\r\nx: \x00\r\n\r\n", NOT_HTTP),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 200, "more headers than are read (128); send fewer"),
    ],
)
async def test_a_head_that_can_not_be_read_is_no_answer_though_it_begins_with_200(
    serve: Serve, make_egress: Make, said: bytes, diagnosis: str
) -> None:
    url = await serve(said)
    async with asyncio.timeout(AT_LAST):
        result = await make_egress().post(url, {}, b"{}")
    assert (result.cause, result.status, result.excerpt) == ("disconnected", None, "")
    assert result.diagnosis == f"{url[7:]} answered with {diagnosis}"


async def test_headers_without_end_are_ended_by_their_number(serve: Serve, make_egress: Make) -> None:
    async def flood(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"x: y\r\n" * 100)
            await writer.drain()

    async with asyncio.timeout(AT_LAST):
        result = await make_egress().post(await serve(flood), {}, b"{}")
    assert result.cause == "disconnected"
    assert "more headers than are read" in result.diagnosis


async def test_switching_protocols_is_no_acknowledgement(serve: Serve, make_egress: Make) -> None:
    said = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n\x81\x02hi"
    result = await make_egress().post(await serve(said), {}, b"{}")
    assert (result.cause, result.status) == ("status", 101)
    assert result.diagnosis == "answered 101: only 2xx acknowledges a webhook"


async def test_a_redirect_to_itself_is_asked_once(serve: Serve, make_egress: Make) -> None:
    requests = 0

    async def script(_: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        requests += 1
        writer.write(b"HTTP/1.1 308 X\r\nlocation: /hook\r\ncontent-length: 0\r\n\r\n")

    result = await make_egress().post(f"{await serve(script)}/hook", {}, b"{}")
    assert (result.cause, result.status, requests) == ("status", 308, 1)


async def test_a_receiver_that_does_not_take_the_body_ends_at_the_deadline(
    serve: Serve, make_egress: Make
) -> None:
    async def script(_: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    egress = make_egress(EgressSettings(timeout_s=0.3))
    async with asyncio.timeout(AT_LAST):
        result = await egress.post(await serve(script, whole=False), {}, bytes(30_000_000))
    assert result.cause == "timeout"
    assert "was sent the request but has not answered" in result.diagnosis


@pytest.mark.parametrize("unasked", [OK, b"HTTP/1.0 408 Request Time-out\r\n\r\n", b"x"])
async def test_an_answer_that_nobody_asked_for_is_not_taken_for_the_next_ones(
    make_egress: Make, unasked: bytes
) -> None:
    idle, hung_up = asyncio.Event(), asyncio.Event()
    connections = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n{}")
        writer.write(OK)
        if connections == 1:
            await idle.wait()
            writer.write(unasked)
            assert await reader.read() == b""  # no second request comes here
            hung_up.set()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    egress = make_egress()
    async with asyncio.timeout(AT_LAST):
        assert (await egress.post(url, {}, b"{}")).cause == "acknowledged"
        idle.set()
        await hung_up.wait()
        result = await egress.post(url, {}, b"{}")
    assert (result.cause, result.resent, connections) == ("acknowledged", False, 2)
    server.close()
    await server.wait_closed()


async def test_two_answers_at_once_are_one_and_the_connection_is_not_used_again(
    serve: Serve, make_egress: Make
) -> None:
    connections: set[int] = set()

    async def script(_: bytes, writer: asyncio.StreamWriter) -> None:
        connections.add(id(writer))
        writer.write(b"HTTP/1.1 503 X\r\ncontent-length: 2\r\n\r\nno" + OK)

    url = await serve(script)
    egress = make_egress()
    for count in (1, 2):
        result = await egress.post(url, {}, b"{}")
        assert (result.cause, result.status, result.resent, len(connections)) == ("status", 503, False, count)
