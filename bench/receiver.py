"""The receiver: a process that answers 200 to everything, notes when each request came, and verifies later.

It is told what to do on standard input, a line at a time:
    await COUNT SECONDS    answers with how many requests there are, once it is COUNT or the time is up
    report SECRET          verifies every request with this secret and answers with a `Report`
"""

import asyncio
import gc
import sys
import time
from dataclasses import dataclass
from typing import Any, cast

import msgspec
import uvloop

from ringback.words.signature import VerificationError, verify

_OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
_END_OF_HEAD = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Receipt:
    """One authentic request about a prediction that succeeded.

    Attributes:
        id: its webhook-id.
        at: when its first byte came, seconds since the epoch.
        length: of its body, bytes.
        output: the prediction's, if that is a number.
    """

    id: str
    at: float
    length: int
    output: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """Everything received: what is authentic and tells of a success, and how many requests do not."""

    receipts: list[Receipt]
    bad: int


Raw = tuple[float, bytes, bytes]
"""When it came, head, body."""


class Inbox:
    """What has come so far."""

    def __init__(self) -> None:
        self.requests: list[Raw] = []
        self._wanted = 0
        self._reached = asyncio.Event()

    def add(self, request: Raw) -> None:
        """Take a request."""
        self.requests.append(request)
        if len(self.requests) == self._wanted:
            self._reached.set()

    async def until(self, count: int, seconds: float) -> int:
        """Wait until there are `count` requests, at most `seconds`; give how many there are."""
        self._wanted = count
        self._reached.clear()
        if len(self.requests) < count:
            await asyncio.wait([asyncio.ensure_future(self._reached.wait())], timeout=seconds)
        return len(self.requests)


class Connection(asyncio.Protocol):
    """One connection from a sender."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._transport: asyncio.WriteTransport | None = None
        self._received = b""
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast(
            "asyncio.WriteTransport", transport
        )  # uvloop's is one, but does not derive from it

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if not self._received:
            self._began = time.time()
        self._received += data
        head, end, body = self._received.partition(_END_OF_HEAD)
        if not end or len(body) < int(_headers(head).get("content-length", "0")):
            return
        self._received = b""
        self._inbox.add((self._began, head, body))
        assert self._transport is not None
        self._transport.write(_OK)


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def report(requests: list[Raw], secret: str) -> Report:
    """Verify every request."""
    receipts = [receipt for request in requests if (receipt := _verified(request, secret)) is not None]
    return Report(receipts, len(requests) - len(receipts))


def _verified(request: Raw, secret: str) -> Receipt | None:
    at, head, body = request
    headers = _headers(head)
    id_ = headers.get("webhook-id")
    signature, timestamp = headers.get("webhook-signature"), headers.get("webhook-timestamp")
    try:
        verify(secret, id_, timestamp, body, signature, now=at)
        prediction: dict[str, Any] = msgspec.json.decode(body)
    except (VerificationError, msgspec.DecodeError):
        return None
    if prediction.get("status") != "succeeded":
        return None
    output = prediction.get("output")
    return Receipt(str(id_), at, len(body), output if isinstance(output, float) else None)


async def main() -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    inbox = Inbox()
    server = await loop.create_server(lambda: Connection(inbox), "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while line := (await orders.readline()).decode().split():
        if line[0] == "await":
            print(await inbox.until(int(line[1]), float(line[2])), flush=True)
        else:
            print(msgspec.json.encode(report(inbox.requests, line[1])).decode(), flush=True)
            inbox.requests.clear()


if __name__ == "__main__":
    gc.disable()  # a pause here would count as the sender's
    uvloop.run(main())
