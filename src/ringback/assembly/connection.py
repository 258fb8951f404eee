"""An HTTP connection with bounds where uvicorn has none: the head's size and time, and what nobody reads.

The parser keeps a head, however long, until it is whole; after an answer to the first part of a body the
rest is read and thrown away for as long as it comes; and an answer is kept until its reader has taken it.
"""

import asyncio
import re
from typing import Any

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ringback.api.problem import problem

HEAD_LIMIT = 65_536
"""Bytes of a request's line and headers: more than proxies let through (nginx 32 KiB)."""

HEAD_S = 30.0
"""Seconds in which a head must be whole, from the connection's beginning or from its first byte."""

BODY_S = 60.0
"""Seconds for the next bytes of a body."""

REST_LIMIT = 67_108_864
REST_S = 30.0
"""Bytes and seconds for the rest of a body that was answered early.

Closing at once would be a reset for whoever still sends, and many would not see the answer then.
"""

UNREAD_S = 60.0
"""Seconds in which whoever is answered must take something of what is kept for it."""

UNREAD_LOOK_S = 10.0
"""Seconds between looks at that."""

_NOT_HTTP = problem(400, "The request is not valid HTTP/1.1.")
_TOO_LONG = problem(431, f"The request's line and headers are over the limit of {HEAD_LIMIT:,} bytes.")


_UPGRADE = re.compile(rb"\r\nupgrade(?=[ \t]*:)", re.IGNORECASE)


def _unupgraded(data: bytes) -> bytes:
    """Give a head without its wish for another protocol, for which the parser would skip the body.

    Java's client asks so for HTTP/2 in its first request to a server without TLS, whatever that request is.
    """
    head, end, rest = data.partition(b"\r\n\r\n")
    return _UPGRADE.sub(b"\r\nIgnored", head) + end + rest


class _TooLongError(Exception):
    """Ends the parsing of a head."""


class Connection(HttpToolsProtocol):
    """Speaks HTTP/1.1 on one connection."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._timer: asyncio.TimerHandle | None = None
        self._in_body = False
        self._is_answering = False
        self._size = 0
        """Of the head: the parts that the parser has given."""
        self._fed = 0
        """Of the head: what the parser was fed after the chunk in which it began."""
        self._rest: int | None = None
        """How many bytes may still come of a body that was answered."""
        self._unread: asyncio.TimerHandle | None = None
        self._kept = 0
        """How many bytes were kept for the reader at the last look."""
        self._taken_at = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._close_in(HEAD_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything."""
        super().connection_lost(exc)
        self._close_in(None)
        if self._unread is not None:
            self._unread.cancel()

    def pause_writing(self) -> None:
        """Much of an answer is kept, since the reader is slow."""
        super().pause_writing()
        self._see_it_taken()

    def data_received(self, data: bytes) -> None:
        """Parse what has come, and see that it comes to something."""
        if self.transport.is_closing():
            return
        self._fed += len(data)
        if not self._in_body and b"pgrade" in data:
            data = _unupgraded(data)
        super().data_received(data)
        if self._rest is not None:
            self._rest -= len(data)
            if self._rest < 0:
                self.transport.close()
        elif self._in_body:
            self._close_in(BODY_S)
        elif self._is_answering:
            self._close_in(None)
        elif self._fed > HEAD_LIMIT:
            self._refuse(_TOO_LONG)
        elif self._timer is None:
            self._close_in(HEAD_S)

    def on_message_begin(self) -> None:
        """A head begins."""
        self._size = self._fed = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A part of its URL."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A whole header."""
        self._count(len(name) + len(value) + len(b": \r\n"))
        super().on_header(name, value)

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > HEAD_LIMIT:
            raise _TooLongError

    def on_headers_complete(self) -> None:
        """The head is whole: the request is handed to the application."""
        super().on_headers_complete()
        self._in_body = self._is_answering = True

    def on_message_complete(self) -> None:
        """The body is whole."""
        super().on_message_complete()
        self._in_body = False
        self._fed = 0
        if self._rest is not None:
            self._rest = None
            self._close_in(self.timeout_keep_alive)

    def on_response_complete(self) -> None:
        """The answer is sent."""
        super().on_response_complete()
        if self.transport.get_write_buffer_size():
            self._see_it_taken()
        self._is_answering = not self.cycle.response_complete  # another request may have been queued
        if self._in_body and not self._is_answering and not self.transport.is_closing():
            self._rest = REST_LIMIT
            self._close_in(REST_S)

    def _see_it_taken(self) -> None:
        """Cut a reader off that takes nothing: closing would wait for it, and keep what it has asked for."""
        if self._unread is None:
            self._kept, self._taken_at = self.transport.get_write_buffer_size(), self.loop.time()
            self._unread = self.loop.call_later(UNREAD_LOOK_S, self._look_unread)

    def _look_unread(self) -> None:
        self._unread = None
        kept, now = self.transport.get_write_buffer_size(), self.loop.time()
        if kept != self._kept:
            self._kept, self._taken_at = kept, now
        if now - self._taken_at >= UNREAD_S:
            self.transport.abort()
        elif kept:
            self._unread = self.loop.call_later(UNREAD_LOOK_S, self._look_unread)

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: who asks for another protocol is answered in this one."""

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 # uvicorn's words
        """Refuse what can't be parsed."""
        self._refuse(_TOO_LONG if self._size > HEAD_LIMIT else _NOT_HTTP)

    def _refuse(self, response: Response) -> None:
        phrase = b"Request Header Fields Too Large" if response is _TOO_LONG else b"Bad Request"
        head = [b"HTTP/1.1 %d %b" % (response.status_code, phrase)]
        head += [b"%b: %b" % pair for pair in response.raw_headers]
        self.transport.write(b"\r\n".join([*head, b"connection: close", b"", bytes(response.body)]))
        self.transport.close()

    def _close_in(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self._late)

    def _late(self) -> None:
        if self._in_body and self._is_answering and self.flow.read_paused:
            self._close_in(BODY_S)  # it is us who don't read on
        else:
            self.transport.close()
