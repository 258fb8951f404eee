"""A connection that comes to nothing is closed: on a loop whose clock is moved."""

import asyncio
import socket
from typing import Any

import pytest
import uvicorn

from ringback.assembly.connection import BODY_S, HEAD_S, REST_S, UNREAD_LOOK_S, UNREAD_S, Connection


class Moved(asyncio.SelectorEventLoop):
    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


class Heard(Connection):
    """Says when it has been given something."""

    made: asyncio.Event
    fed: asyncio.Queue[bytes]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        self.made.set()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.fed.put_nowait(data)


LARGE = 30_000_000


async def answers(scope: Any, receive: Any, send: Any) -> None:
    """Read all of the body, unless the path says not to, and answer."""
    if scope["path"] in ("/whole", "/pieces"):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(10 if scope["path"] == "/pieces" else 0):
            await send({"type": "http.response.body", "body": b"x" * (LARGE // 10), "more_body": True})
        body = b"" if scope["path"] == "/pieces" else b"x" * LARGE
        await send({"type": "http.response.body", "body": body})
        return
    more = scope["path"] != "/early"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        more = message["more_body"]
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


async def opened() -> tuple[Moved, uvicorn.server.ServerState, asyncio.Server]:
    """Take connections on the loop whose clock is moved."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, Moved)
    settings = uvicorn.Config(answers, http=Heard, ws="none", lifespan="off", log_config=None)
    settings.load()
    state = uvicorn.server.ServerState()
    Heard.made, Heard.fed = asyncio.Event(), asyncio.Queue()
    listening = await loop.create_server(lambda: Heard(settings, state, {}, loop), "127.0.0.1", 0)
    return loop, state, listening


async def said(pieces: list[bytes], apart_s: float) -> bytes:
    """Send pieces, the clock going on after each; give all that comes back until the connection is closed."""
    loop, state, listening = await opened()
    reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
    await Heard.made.wait()
    for piece in pieces:
        if piece:
            writer.write(piece)
            await Heard.fed.get()
        loop.ahead += apart_s
        await asyncio.sleep(0)  # what is due happens now
        await asyncio.sleep(0)
        if all(each.transport.is_closing() for each in state.connections):
            break
    loop.ahead += 2.0 * uvicorn.Config(answers).timeout_keep_alive  # an idle connection ends by itself
    try:
        async with asyncio.timeout(20):
            return await reader.read()
    finally:
        writer.close()
        listening.close()
        await asyncio.gather(*state.tasks)


def heard(pieces: list[bytes], apart_s: float) -> bytes:
    loop = Moved()
    try:
        return loop.run_until_complete(asyncio.wait_for(said(pieces, apart_s), 1000))
    finally:
        loop.close()


POST = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n"
EARLY = POST.replace(b"/", b"/early", 1).replace(b"length: 4", b"length: 14")


@pytest.mark.parametrize(
    ("pieces", "apart_s"),
    [
        ([b""], HEAD_S + 1),
        ([b"GET ", b"/ HTTP/1.1", b"\r\n", b"\r\n"], HEAD_S / 3 + 1),
        ([POST + b"a"], BODY_S + 1),
    ],
    ids=["silence", "a head in drops", "half a body"],
)
def test_a_connection_that_comes_to_nothing_is_closed(pieces: list[bytes], apart_s: float) -> None:
    assert heard(pieces, apart_s) == b""


@pytest.mark.parametrize(
    ("pieces", "apart_s"),
    [
        ([b"GET / HT", b"TP/1.1\r\nhost: x\r\n\r\n"], HEAD_S - 1),
        ([POST, b"a", b"b", b"c", b"d"], BODY_S - 1),
    ],
    ids=["a slow head", "a slow body"],
)
def test_a_slow_request_is_served(pieces: list[bytes], apart_s: float) -> None:
    assert heard(pieces, apart_s).startswith(b"HTTP/1.1 204 ")


def test_a_body_that_was_answered_early_is_not_waited_for_without_end() -> None:
    told = heard([EARLY, *([b"a"] * 12)], REST_S / 10)
    assert told.count(b"HTTP/1.1 204 ") == 1


def test_after_a_body_that_was_answered_early_the_connection_goes_on() -> None:
    assert heard([EARLY, b"a" * 14, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"], 1).count(b"HTTP/1.1 204 ") == 2


# An answer that nobody takes


def read(path: str, taken: int, count: int) -> tuple[int, int]:
    """Ask for much, take some every 50 s; give how many bytes came, and how many the server still keeps."""
    loop = Moved()
    try:
        return loop.run_until_complete(asyncio.wait_for(taking(path, taken, count), 1_000_000))
    finally:
        loop.close()


async def taking(path: str, taken: int, count: int) -> tuple[int, int]:
    loop, state, listening = await opened()
    with socket.socket() as asking:
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        asking.setblocking(False)
        await loop.sock_connect(asking, listening.sockets[0].getsockname())
        await loop.sock_sendall(asking, f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        await Heard.fed.get()
        (connection,) = state.connections
        transport = connection.transport
        came = 0
        for _ in range(count):
            for _ in range(int((UNREAD_S - 10) / UNREAD_LOOK_S)):
                loop.ahead += UNREAD_LOOK_S
                await asyncio.sleep(0)  # what is due happens now
                await asyncio.sleep(0)
            came += await all_of(loop, asking, taken) if taken else 0
            if connection not in state.connections:
                break
        left = transport.get_write_buffer_size()
        transport.abort()
    listening.close()
    await asyncio.gather(*state.tasks)
    return came, left


async def all_of(loop: Moved, asking: socket.socket, size: int) -> int:
    came = 0
    while came < size and (piece := await loop.sock_recv(asking, size - came)):
        came += len(piece)
    return came


@pytest.mark.parametrize("path", ["/whole", "/pieces"])
def test_an_answer_that_nobody_takes_is_not_kept(path: str) -> None:
    assert read(path, 0, 3) == (0, 0)


@pytest.mark.parametrize("path", ["/whole", "/pieces"])
def test_a_slow_reader_is_served(path: str) -> None:
    assert read(path, LARGE // 10, 9)[0] == LARGE // 10 * 9
