"""The receiver: a process that answers 200, notes when each request came, and verifies later.

It is told what to do on standard input, a line at a time, and answers with one:
    await COUNT SECONDS    how many answered requests there are, once it is COUNT or the time is up
    held COUNT SECONDS     the same of those that it does not answer
    report SECRET          verifies every answered request with this secret: a `Report`
    answer MILLISECONDS    from now on it answers after so long; -1: not at all
    up                     listens; with the argument `down` it starts without, so that nobody can connect

What it does to a request, the request's path says: bench/answers.py.
"""

import asyncio
import gc
import socket
import sys
import time
from dataclasses import dataclass
from typing import Any, cast

import msgspec
import uvloop

from bench.answers import Pour, answered_with
from ringback.words.signature import VerificationError, verify

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
    """Everything received.

    Attributes:
        receipts: what is authentic and tells of a success.
        bad: how many requests do not.
        held: how many were never answered; whether they are authentic is not looked at.
    """

    receipts: list[Receipt]
    bad: int
    held: int


Raw = tuple[float, bytes, bytes]
"""When it came, head, body."""


class Count:
    """How many there are, for somebody who waits."""

    def __init__(self) -> None:
        self.value = 0
        self._wanted = 0
        self._reached = asyncio.Event()

    def add(self) -> None:
        """Count one more."""
        self.value += 1
        if self.value == self._wanted:
            self._reached.set()

    async def until(self, wanted: int, seconds: float) -> int:
        """Wait until there are `wanted`, at most `seconds`; give how many there are."""
        self._wanted = wanted
        self._reached.clear()
        if self.value < wanted:
            await asyncio.wait([asyncio.ensure_future(self._reached.wait())], timeout=seconds)
        return self.value


class Inbox:
    """What has come so far, and how it is answered."""

    def __init__(self) -> None:
        self.requests: list[Raw] = []
        self.answered, self.held = Count(), Count()
        self.after_s = 0.0
        """Seconds until an answer; below 0 there is none."""

    def add(self, request: Raw) -> bytes | Pour | None:
        """Take a request; give what answers it, or None for nothing."""
        answer = None if self.after_s < 0 else answered_with(request[1])
        if answer is None:
            self.held.add()
        else:
            self.requests.append(request)
            self.answered.add()
        return answer

    def report(self, secret: str) -> Report:
        """Verify every request, and begin anew."""
        receipts = [receipt for each in self.requests if (receipt := _verified(each, secret)) is not None]
        found = Report(receipts, len(self.requests) - len(receipts), self.held.value)
        self.requests.clear()
        self.answered.value = self.held.value = 0
        return found


class Connection(asyncio.Protocol):
    """One connection from a sender."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._transport: asyncio.WriteTransport | None = None
        self._received = b""
        self._began = 0.0
        self._pour: Pour | None = None

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
        answer = self._inbox.add((self._began, head, body))
        if answer is None:
            return
        if self._inbox.after_s:
            asyncio.get_running_loop().call_later(self._inbox.after_s, self._answer, answer)
        else:
            self._answer(answer)

    def _answer(self, answer: bytes | Pour) -> None:
        assert self._transport is not None
        if isinstance(answer, bytes):
            self._transport.write(answer)
        else:
            self._pour = answer
            answer.begin(self._transport)

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        if self._pour is not None:
            self._pour.pause()

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        if self._pour is not None:
            self._pour.resume()


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


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


class Orders:
    """What it is told to do, by name."""

    def __init__(self, inbox: Inbox, bound: socket.socket) -> None:
        self._inbox = inbox
        self._bound = bound

    async def carry_out(self, order: str, *arguments: str) -> str:
        """Do as told; give the line to answer."""
        inbox = self._inbox
        match order:
            case "await":
                return str(await inbox.answered.until(int(arguments[0]), float(arguments[1])))
            case "held":
                return str(await inbox.held.until(int(arguments[0]), float(arguments[1])))
            case "report":
                return msgspec.json.encode(inbox.report(arguments[0])).decode()
            case "answer":
                inbox.after_s = float(arguments[0]) / 1e3
            case "up":
                await self.listen()
        return "done"

    async def listen(self) -> None:
        """Let senders connect; until now the port is taken, and refuses them."""
        loop = asyncio.get_running_loop()
        await loop.create_server(lambda: Connection(self._inbox), sock=self._bound, backlog=2048)


async def main(*, down: bool) -> None:
    """Serve until standard input ends."""
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    orders = Orders(Inbox(), bound)
    if not down:
        await orders.listen()
    print(bound.getsockname()[1], flush=True)
    given = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(given), sys.stdin)
    while line := (await given.readline()).decode().split():
        print(await orders.carry_out(*line), flush=True)


if __name__ == "__main__":
    gc.disable()  # a pause here would count as the sender's
    uvloop.run(main(down="down" in sys.argv))
