"""What a receiver does to a request: the first word of the path says so.

/hang      never answers
/endless   200 with a body that never ends
/bomb      200 with a gzip body that never ends, a thousand times as large when it is unpacked
any other  200 with nothing in it
"""

import asyncio
import zlib
from functools import cache

_OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n%btransfer-encoding: chunked\r\n\r\n"
_PLAIN = b"x" * 65536
_UNPACKED = 64 * 1024 * 1024
"""Bytes that one piece of the bomb unpacks to."""
_GZIP = 31
"""zlib's name for a gzip header around the data."""


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Pour:
    """A body that goes on for as long as the other side takes it."""

    def __init__(self, head: bytes, piece: bytes) -> None:
        self._head = head
        self._piece = piece
        self._transport: asyncio.WriteTransport | None = None
        self._paused = False

    def begin(self, transport: asyncio.WriteTransport) -> None:
        """Send the head, and then the body."""
        self._transport = transport
        transport.write(self._head)
        self._go_on()

    def pause(self) -> None:
        """Stop: the other side is slower."""
        self._paused = True

    def resume(self) -> None:
        """Go on."""
        self._paused = False
        self._go_on()

    def _go_on(self) -> None:
        if self._transport is None or self._paused or self._transport.is_closing():
            return
        self._transport.write(self._piece)
        asyncio.get_running_loop().call_soon(self._go_on)


class Bomb:
    """A gzip stream of zeros: its header, and a piece that may be repeated for ever."""

    def __init__(self) -> None:
        packing = zlib.compressobj(9, wbits=_GZIP)
        self.header = packing.compress(b"") + packing.flush(zlib.Z_FULL_FLUSH)
        zeros = bytes(_UNPACKED)
        self.piece = packing.compress(zeros) + packing.flush(zlib.Z_FULL_FLUSH)


@cache
def _bomb() -> Bomb:
    return Bomb()


def answered_with(head: bytes) -> bytes | Pour | None:
    """Give the answer to a request with this head, or None for none."""
    match head.split(b" ", 2)[1].split(b"/", 2)[1]:
        case b"hang":
            return None
        case b"endless":
            return Pour(_HEAD % b"", _chunk(_PLAIN))
        case b"bomb":
            bomb = _bomb()
            return Pour(_HEAD % b"content-encoding: gzip\r\n" + _chunk(bomb.header), _chunk(bomb.piece))
        case _:
            return _OK
