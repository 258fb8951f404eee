"""The stream of what a child prints, cut exactly where one prediction's part ends and the next begins."""

import codecs
from collections.abc import Iterator


class LogStream:
    """Decodes the stream and cuts it at the child's marks.

    The child writes the mark after loading and setting up, and after each prediction, into the stream itself:
    whatever comes before it, from Python, C or a grandchild, belongs to that part.
    """

    def __init__(self, marker: str) -> None:
        self._mark = b"\0" + marker.encode() + b"\0"
        self._text = codecs.getincrementaldecoder("utf-8")("replace")
        self._tail = b""

    def feed(self, data: bytes) -> Iterator[str | None]:
        """Give the text that `data` completes, and None for each mark in it."""
        *parts, rest = (self._tail + data).split(self._mark)
        for part in parts:
            yield from self._decoded(part, final=True)
            yield None
        kept = self._overlap(rest)
        self._tail = rest[len(rest) - kept :]
        yield from self._decoded(rest[: len(rest) - kept], final=False)

    def end(self) -> Iterator[str]:
        """Give what is left when the stream has ended in the middle of something."""
        yield from self._decoded(self._tail, final=True)
        self._tail = b""

    def _decoded(self, data: bytes, *, final: bool) -> Iterator[str]:
        text = self._text.decode(data, final)
        if text:
            yield text.replace("\0", "\N{REPLACEMENT CHARACTER}")

    def _overlap(self, data: bytes) -> int:
        """How many bytes at the end of `data` may be the beginning of a mark."""
        start = data.rfind(b"\0", max(0, len(data) - len(self._mark) + 1))
        return len(data) - start if start >= 0 and self._mark.startswith(data[start:]) else 0
