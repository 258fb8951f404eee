"""Reading forms (multipart/form-data, RFC 7578) of one large part, taken as it comes, and small fields.

Nothing is collected on the way: the large part's bytes go where they are to be kept while they are received.
"""

import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from ringback.rules.schema import invalid_input
from ringback.words.errors import Invalid, InvalidField, Malformed, TooLarge

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

# A line for each malformed body would be anybody's to write into our log.
logging.getLogger("python_multipart").setLevel(logging.ERROR)

T = TypeVar("T")
_FIELD_BYTES = 65_536
_PARTS = 100


@dataclass(slots=True)
class Part:
    """A part of a form, by its headers.

    Attributes:
        name: the field's name.
        filename: what it calls itself, or None: an ordinary field.
        content_type: its media type as given, or "".
    """

    name: str
    filename: str | None
    content_type: str


@dataclass(frozen=True, slots=True)
class Read(Generic[T]):
    """A form that has been read.

    Attributes:
        fields: the small fields and their content, in order.
        large: the large part, and what became of it; None if there was none.
    """

    fields: list[tuple[Part, bytes]] = field(default_factory=list)
    large: tuple[Part, T] | None = None


class Form:
    """The body of a request as a form."""

    def __init__(self, request: Request, limit: int, too_large: str) -> None:
        """Look at the request's headers; `read` reads it.

        Args:
            request: whose body it is.
            limit: bytes of the body.
            too_large: what to say when there are more.

        Raises:
            Malformed: it is no form.
            TooLarge: it says itself that it is over the limit.
        """
        kind, options = parse_options_header(request.headers.get("content-type"))
        boundary = options.get(b"boundary", b"")
        if kind != b"multipart/form-data" or not boundary:
            raise Malformed("The request's body must be multipart/form-data with a boundary.")
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > limit:
            raise TooLarge(too_large)
        self._request = request
        self._limit = limit
        self._too_large = too_large
        self._heard = _Heard()
        self._fed = self._feed(boundary)

    async def read(self, large: str, take: Callable[[AsyncIterator[bytes]], Awaitable[T]]) -> Read[T]:
        """Read it to its end, giving the content of the part `large` to `take` as it comes.

        Raises:
            Malformed: it is no form, or the client left in the middle of it.
            TooLarge: it is over the limit, or its fields are over 65,536 bytes.
            Invalid: it has the part twice, or over 100 parts.
            Exception: what `take` raises.
        """
        fields: list[tuple[Part, bytes]] = []
        taken: tuple[Part, T] | None = None
        room = _FIELD_BYTES
        while (part := await self._part()) is not None:
            if len(fields) >= _PARTS:
                raise fault("array_max_items", "", f"There may be at most {_PARTS} parts")
            if part.name != large:
                content = await self._small(room)
                room -= len(content)
                fields.append((part, content))
            elif taken is None:
                taken = part, await take(self._content())
            else:
                raise fault("array_max_items", large, f"There may be only one part {large}")
        if not self._heard.is_whole:
            raise Malformed("The request's body is not a whole form: its last boundary is missing.")
        return Read(fields, taken)

    async def _next(self) -> Part | bytes | None:
        """Give what comes next: a part, a piece of its content, or None at the body's end."""
        while not self._heard.events:
            if await anext(self._fed, None) is None:
                return None
        return self._heard.events.popleft()

    async def _part(self) -> Part | None:
        """Give the next part, or None at the end."""
        while isinstance(event := await self._next(), bytes):
            pass
        return event

    async def _content(self) -> AsyncIterator[bytes]:
        """Give the content of the part that has just been given, up to the empty piece at its end."""
        while isinstance(event := await self._next(), bytes) and event:
            yield event

    async def _small(self, room: int) -> bytes:
        content = bytearray()
        async for piece in self._content():
            content += piece
            if len(content) > room:
                raise TooLarge(f"The fields of a form may have {_FIELD_BYTES:,} bytes in all.")
        return bytes(content)

    async def _feed(self, boundary: bytes) -> AsyncIterator[int]:
        """Parse what has come, chunk by chunk; what is in it has been heard then."""
        size = 0
        try:
            parser = MultipartParser(boundary, self._heard.callbacks())
            async for chunk in self._request.stream():
                size += len(chunk)
                if size > self._limit:
                    raise TooLarge(self._too_large)
                parser.write(chunk)
                yield size
        except ClientDisconnect:
            raise Malformed("The request's body ended early.") from None
        except FormParserError as error:
            raise Malformed(f"The request's body is not a form: {error}") from None


class _Heard:
    """What the parser has found and nobody has taken yet: parts, their content, an empty piece at its end."""

    def __init__(self) -> None:
        self.events: deque[Part | bytes] = deque()
        self.is_whole = False
        self._headers: dict[bytes, bytes] = {}
        self._name = bytearray()
        self._value = bytearray()

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header,
            "on_headers_finished": self._part,
            "on_part_data": lambda data, start, end: self.events.append(data[start:end]),
            "on_part_end": lambda: self.events.append(b""),
            "on_end": self._end,
        }

    def _header(self) -> None:
        self._headers[bytes(self._name).lower()] = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def _part(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        content_type = self._headers.get(b"content-type", b"").decode("latin-1").strip()
        self._headers.clear()
        if b"name" not in options:
            raise Malformed("The request's body has a part without a name.")
        filename = options.get(b"filename")
        # All three clients write a quotation mark as browsers do (html.spec.whatwg.org, multipart form data).
        name = None if filename is None else text("filename", filename).replace("%22", '"')
        self.events.append(Part(text("", options[b"name"]), name, content_type))

    def _end(self) -> None:
        self.is_whole = True


def text(where: str, data: bytes) -> str:
    """Read a text of a form.

    Raises:
        Invalid: it is not UTF-8; names the field.
    """
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise fault("format", where, "Must be valid UTF-8") from None


def fault(kind: str, where: str, told: str) -> Invalid:
    """Make the error for one wrong field."""
    return invalid_input((InvalidField(kind, where, told),))
