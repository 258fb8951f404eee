"""Requests as anybody could send them, well formed or not, and their answers."""

import asyncio
import io
import json
from dataclasses import dataclass
from typing import Any

from yarl import URL

from support.server import TOKEN, Server

UNKNOWN_ID = "01jc0v5m6y4q0w8zj3k2n1p0r9"
NOT_FOUND = {"detail": "The requested resource could not be found.", "status": 404}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> Any:
        """The body of an error, which must be problem+json and say its own status."""
        assert self.headers["content-type"] == "application/problem+json"
        assert self.json["status"] == self.status
        return self.json


async def ask(
    server: Server,
    method: str,
    path: str,
    body: Any = None,
    *,
    token: str | None = TOKEN,
    headers: dict[str, str] | None = None,
) -> Answer:
    """Make a request: bytes, and what gives bytes, go as they are; anything else as JSON."""
    sent = {"content-type": "application/json", **(headers or {})}
    if token is not None:
        sent["authorization"] = f"Bearer {token}"
    as_it_is = body is None or isinstance(body, bytes | io.BytesIO) or hasattr(body, "__aiter__")
    data = body if as_it_is else json.dumps(body).encode()
    url = URL(server.url + path, encoded=True)
    async with server.session.request(method, url, data=data, headers=sent) as answer:
        return Answer(answer.status, answer.headers, await answer.read())


async def raw(server: Server, request: bytes, *, half_close: bool = True) -> bytes:
    """Send bytes that need not be HTTP; give all that comes back.

    Without `half_close` the request must ask for the end of the connection. Whoever closes his half at once
    may be taken for gone before the answer is there.
    """
    url = URL(server.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    try:
        writer.write(request)
        if half_close:
            writer.write_eof()
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


async def count(server: Server) -> int:
    """How many predictions there are."""
    path: str | None = "/v1/predictions"
    found = 0
    while path is not None:
        _, page = await server.call("GET", path)
        found += len(page["results"])
        path = page["next"] and page["next"].removeprefix(server.url)
    return found
