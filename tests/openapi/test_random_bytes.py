"""100,000 random bytes wherever a request has room for some, on each route: refused, and nothing breaks."""

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterator

import pytest
from yarl import URL

from openapi.asked import Things
from ringback.api.app import ROUTES
from support.contract import Heard, contract
from support.server import TOKEN, Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

MANY = 100_000
PIECES = 5
"""So many requests carry them where one head has no room for all."""

AUTHORIZATION = f"authorization: Bearer {TOKEN}\r\n".encode()
BOUNDARY = b"content-type: multipart/form-data; boundary=x\r\n"
JSON = b"content-type: application/json\r\n"
HEADERS = (
    *(b"authorization", b"prefer", b"cancel-after", b"idempotency-key", b"range", b"if-range", b"accept"),
    *(b"last-event-id", b"content-type", b"expect", b"cookie", b"origin", b"host", b"x-forwarded-for"),
    *(b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-prefix"),
)
CONTROL = bytes([*range(32), 127])
NAMES = (
    *(b"cursor", b"limit", b"query", b"sort_by", b"created_after", b"created_before", b"source"),
    *(b"owner", b"expiry", b"signature", b"prediction", b"endpoint", b"status", b"event"),
)
CONTENT = b'content-disposition: form-data; name="content"\r\n\r\n'
BODIES = {
    "as they are": (JSON, b"", b""),
    "as a JSON text": (JSON, b'{"version":"', b'"}'),
    "for a form": (BOUNDARY, b"--x\r\n", b""),
    "in a form": (BOUNDARY, b"--x\r\n" + CONTENT, b"\r\n--x--\r\n"),
}


async def answers(server: Server, request: bytes) -> bytes:
    """Send what need not be HTTP; give all that comes back until the server closes, or has nothing to say."""
    url = URL(server.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    heard = bytearray()

    async def listen() -> None:
        try:
            while data := await reader.read(100_000):
                heard.extend(data)
        except OSError:
            return

    listening = asyncio.ensure_future(listen())
    try:
        async with asyncio.timeout(20):
            with contextlib.suppress(OSError):
                writer.write(request)
                await writer.drain()
                writer.write_eof()
            await listening
    finally:
        listening.cancel()
        writer.close()
    return bytes(heard)


def first(method: str, path: str, answer: bytes) -> Heard | None:
    """Read the first answer; None if there was none: the connection was closed."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head:
        return None
    line, *rest = head.split(b"\r\n")
    headers = dict(each.decode("latin-1").lower().split(": ", 1) for each in rest)
    status, length = int(line.split()[1]), int(headers.get("content-length", len(body)))
    is_json = headers.get("content-type", "").partition(";")[0].endswith("json")
    return Heard(method, path, status, headers, body[:length] if is_json else None)


async def harmless(server: Server, method: str, target: bytes, request: bytes) -> None:
    """Send a request: if there is an answer it is a documented one, and nothing is created but files."""
    answer = await answers(server, request)
    path = target.partition(b"?")[0].decode("latin-1")
    heard = first(method, path, answer)
    if heard is not None:
        assert heard.status != 201 or path == "/v1/files", (request[:300], answer[:300])
        contract().check(heard)


def percent(data: bytes) -> bytes:
    return b"%" + data.hex("%").encode()


def pieces(chance: random.Random) -> Iterator[bytes]:
    for _ in range(PIECES):
        yield chance.randbytes(MANY // PIECES)


def head(method: str, target: bytes, *more: bytes) -> bytes:
    return b"%b %b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n%b" % (method.encode(), target, b"".join(more))


def filled(things: Things, method: str, path: str) -> bytes:
    """Give a path that leads somewhere, but to nothing that would then be gone for the others."""
    if path == "/files/{id}/download":
        return f"/v1{things.download}".encode()
    for name, value in things.of(path).items():
        path = path.replace(f"{{{name}}}", "none" if method == "DELETE" else value)
    return f"/v1{path}".encode()


Sent = tuple[str, bytes, bytes]
"""Method, target, and the request."""


def in_bodies(chance: random.Random, things: Things, method: str, path: str) -> Iterator[Sent]:
    target = filled(things, method, path)
    for more, before, after in BODIES.values():
        body = before + chance.randbytes(MANY) + after
        length = b"content-length: %d\r\n\r\n" % len(body)
        yield method, target, head(method, target, AUTHORIZATION, more, length) + body
    chunked = head(method, target, AUTHORIZATION, JSON, b"transfer-encoding: chunked\r\n\r\n")
    yield method, target, chunked + chance.randbytes(MANY)
    few = chance.randbytes(5000)  # under the limit of what takes no more than a search
    yield method, target, head(method, target, AUTHORIZATION, b"content-length: 5000\r\n\r\n") + few


def in_paths(chance: random.Random, things: Things, method: str, path: str) -> Iterator[Sent]:
    """In the place of each placeholder, or behind the path."""
    places = path.split("{")
    few = [chance.randbytes(20).replace(b"/", b"") for _ in range(3)]
    parts_of = (*few, *pieces(chance), chance.randbytes(MANY))
    for junk in (*map(percent, parts_of), chance.randbytes(MANY)):
        tails = [place.partition("}")[2] for place in places[1:]]
        share = len(junk) // len(tails) // 3 * 3 if tails else 0
        parts = [junk[at * share : (at + 1) * share] + tail.encode() for at, tail in enumerate(tails)]
        target = b"/v1" + places[0].encode() + (b"".join(parts) if parts else b"/" + junk)
        yield method, target, head(method, target, AUTHORIZATION, b"\r\n")


def in_queries(chance: random.Random, things: Things, method: str, path: str) -> Iterator[Sent]:
    for junk in (*map(percent, pieces(chance)), percent(chance.randbytes(MANY)), chance.randbytes(MANY)):
        target = filled(things, method, path) + b"?%b=" % chance.choice(NAMES) + junk
        yield method, target, head(method, target, AUTHORIZATION, b"\r\n")
    for name in NAMES:
        target = filled(things, method, path) + b"?query=x&%b=" % name + percent(chance.randbytes(40))
        yield method, target, head(method, target, AUTHORIZATION, b"\r\n")


def in_headers(chance: random.Random, things: Things, method: str, path: str) -> Iterator[Sent]:
    target = filled(things, method, path)
    for place, junk in enumerate((*pieces(chance), chance.randbytes(MANY))):
        # Bytes that a header may have get further than the others.
        text = junk.translate(None, b"\r\n" if place % 2 else CONTROL)
        size = len(text) // len(HEADERS)
        given = [b"%b: %b\r\n" % (name, text[at * size :][:size]) for at, name in enumerate(HEADERS)]
        yield method, target, head(method, target, AUTHORIZATION, *given, b"\r\n")
        yield method, target, head(method, target, given[0], b"\r\n")
    for name in HEADERS[1:]:
        value = chance.randbytes(100).translate(None, CONTROL)
        yield method, target, head(method, target, AUTHORIZATION, b"%b: %b\r\n\r\n" % (name, value))


@pytest.mark.parametrize("where", [in_bodies, in_paths, in_queries, in_headers])
async def test_random_bytes_are_refused_as_documented_and_break_nothing(
    server: Server, things: Things, where: Callable[[random.Random, Things, str, str], Iterator[Sent]]
) -> None:
    chance = random.Random(where.__name__)
    room = asyncio.Semaphore(8)

    async def send(sent: Sent) -> None:
        async with room:
            await harmless(server, *sent)

    for method, path, _ in ROUTES:
        await asyncio.gather(*map(send, where(chance, things, method, path)))
    assert (await server.call("GET", "/health"))[0] == 200


async def test_random_bytes_instead_of_http_break_nothing(server: Server) -> None:
    chance = random.Random("nothing")
    for _ in range(20):
        answer = await answers(server, chance.randbytes(MANY))
        assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
