"""What a runner and its parent say to each other.

A frame is `>II` (length of the header, length of the payload), the header as compact UTF-8 JSON with the
message's name under `type`, and the payload's raw bytes. The messages hold no descriptors and no local
paths, so that a runner can live on another machine.

    parent: Load, then for each prediction InputFile* Run Cancel*, at the end Shutdown
    child:  Loaded Ready | LoadFailed | Loaded SetupFailed, then for each Run (OutputFile* Output)* Done

A file stands in a value as `{"$ringback_file": n}`, n being unique within its prediction and direction;
its frames come before the frame with that value. Runs may be sent ahead: they are
carried out one after the other, and each can be canceled, before it begins too.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, fields
from typing import Any, Literal, Union

MAX_HEADER = 16 * 1024 * 1024
MAX_PAYLOAD = 1024 * 1024
PIECE = 256 * 1024
FILE_KEY = "$ringback_file"

Status = Literal["succeeded", "failed", "canceled"]
STATUSES = ("succeeded", "failed", "canceled")


class ProtocolError(Exception):
    """The other side sent, or was about to be sent, something that is not a frame of this protocol."""


class HeaderTooLargeError(ProtocolError):
    """A message is over MAX_HEADER; `size` is its length in bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(f"a header of {size} bytes is over the limit of {MAX_HEADER} bytes")
        self.size = size


@dataclass(frozen=True)
class Load:
    """Load `entry` ("predict.py:Predictor") from the working directory; `marker` ends a part of the logs.

    `mode` is what its runs are: "predict", or "train" for trainings.
    """

    entry: str
    marker: str
    mode: str = "predict"


@dataclass(frozen=True)
class Run:
    """Run prediction `id`."""

    id: str
    input: dict[str, Any]


@dataclass(frozen=True)
class InputFile:
    """A piece of input file number `file` of prediction `id`; the payload is the piece."""

    id: str
    file: int
    name: str
    last: bool


@dataclass(frozen=True)
class Cancel:
    """Stop prediction `id` if it is the one that runs or is about to."""

    id: str


@dataclass(frozen=True)
class Shutdown:
    """Leave when the running prediction is done."""


@dataclass(frozen=True)
class Loaded:
    """The model is imported; `schema` is its OpenAPI document."""

    schema: dict[str, Any]


@dataclass(frozen=True)
class LoadFailed:
    """The model can't be imported or described; `error` is one line."""

    error: str


@dataclass(frozen=True)
class Ready:
    """Setup is done; the child waits for a Run."""


@dataclass(frozen=True)
class SetupFailed:
    """Setup raised; `error` is one line."""

    error: str


@dataclass(frozen=True)
class Output:
    """A value of prediction `id`: one item of many (`append`), or the only one."""

    id: str
    value: Any
    append: bool


@dataclass(frozen=True)
class OutputFile:
    """A piece of output file number `file` of prediction `id`; the payload is the piece.

    A prediction that fails while it reads a file leaves that file without a `last` piece.
    """

    id: str
    file: int
    name: str
    last: bool


@dataclass(frozen=True)
class Done:
    """Prediction `id` is over; `seconds` is how long the model ran."""

    id: str
    status: Status
    error: str | None
    seconds: float


Message = Union[  # noqa: UP007 - evaluated by the model's Python, which may be 3.9
    Load,
    Run,
    InputFile,
    Cancel,
    Shutdown,
    Loaded,
    LoadFailed,
    Ready,
    SetupFailed,
    Output,
    OutputFile,
    Done,
]

_LENGTHS = struct.Struct(">II")
_JSON_TYPES: dict[str, Any] = {
    "str": str,
    "int": int,
    "bool": bool,
    "float": (float, int),
    "str | None": (str, type(None)),
    "dict[str, Any]": dict,
    "Status": str,
    "Any": object,
}
# The annotations are strings here (the __future__ import), which makes them keys.
_MESSAGES: dict[str, Any] = {
    message.__name__: (message, {each.name: _JSON_TYPES[str(each.type)] for each in fields(message)})
    for message in (
        Load,
        Run,
        InputFile,
        Cancel,
        Shutdown,
        Loaded,
        LoadFailed,
        Ready,
        SetupFailed,
        Output,
        OutputFile,
        Done,
    )
}


def _reject(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


# Made once: json.dumps and json.loads build a new one per call when given any option.
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_DECODER = json.JSONDecoder(parse_constant=_reject)


def encode(message: Message, payload: bytes = b"") -> bytes:
    """Return `message` as one frame; lone surrogates in its strings become U+FFFD.

    Raises:
        HeaderTooLargeError: the message is over MAX_HEADER.
        ProtocolError: the payload is over MAX_PAYLOAD, or a value is not JSON.
    """
    try:
        text = _ENCODER.encode({"type": type(message).__name__, **vars(message)})
    except (TypeError, ValueError, RecursionError) as error:
        raise ProtocolError(f"{type(message).__name__} is not JSON: {error}") from error
    header = _utf8(text)
    if len(header) > MAX_HEADER:
        raise HeaderTooLargeError(len(header))
    if len(payload) > MAX_PAYLOAD:
        raise ProtocolError(f"a payload of {len(payload)} bytes is over the limit of {MAX_PAYLOAD} bytes")
    return _LENGTHS.pack(len(header), len(payload)) + header + payload


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


class Decoder:
    """Cuts a stream of bytes into frames, however it was split."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[Message, bytes]]:
        """Take the next bytes; return the frames they complete, each a message and its payload.

        Raises:
            ProtocolError: the stream is not of this protocol, or over a limit; it can't be read further.
        """
        buffer = self._buffer
        buffer += data
        frames: list[tuple[Message, bytes]] = []
        start = 0
        while len(buffer) - start >= _LENGTHS.size:
            header, payload = _LENGTHS.unpack_from(buffer, start)
            if header > MAX_HEADER or payload > MAX_PAYLOAD:
                raise ProtocolError(f"a frame of {header} + {payload} bytes is over the limits")
            middle = start + _LENGTHS.size + header
            if len(buffer) < middle + payload:
                break
            message = _parse(buffer[middle - header : middle])
            frames.append((message, bytes(buffer[middle : middle + payload])))
            start = middle + payload
        del buffer[:start]
        return frames


def _parse(header: bytearray) -> Message:
    try:
        values = _DECODER.decode(header.decode())
        message, types = _MESSAGES[values.pop("type")]
        made: Message = message(**values)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ProtocolError(f"not a message: {error!r}") from error
    for name, kind in types.items():
        if not isinstance(values[name], kind):
            raise ProtocolError(f"{type(made).__name__}.{name} is a {type(values[name]).__name__}")
    if isinstance(made, Done) and made.status not in STATUSES:
        raise ProtocolError(f"Done.status is {made.status!r}")
    return made
