"""Reading request bodies: bounded, JSON, an object."""

from typing import Any

from starlette.requests import ClientDisconnect, Request

from ringback.words import json
from ringback.words.errors import Malformed, TooLarge

_MANY = 200_000
"""Values in a body at most: decoding, checking and writing back millions would keep everybody waiting."""


async def read(request: Request, limit: int) -> bytes:
    """Read a request's body.

    Raises:
        TooLarge: it is over `limit` bytes.
        Malformed: the client left in the middle of it.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit)
    parts: list[bytes] = []
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > limit:
                raise _too_large(limit)
            parts.append(part)
    except ClientDisconnect:
        raise Malformed("The request's body ended early.") from None
    return b"".join(parts)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The request's body is over the limit of {limit:,} bytes.")


async def read_object(request: Request, limit: int) -> dict[str, Any]:
    """Read a request's body as a JSON object.

    Raises:
        TooLarge: it is over `limit` bytes, or holds over 200,000 values.
        Malformed: it is not a JSON object.
    """
    data = await read(request, limit)
    if _is_many(data):
        raise TooLarge(
            f"The request's body holds over {_MANY:,} values; give that much data as a file or as text."
        )
    try:
        value = json.decode(data)
    except ValueError as error:
        raise Malformed(f"The request's body is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise Malformed("The request's body must be a JSON object.")
    return value


def _is_many(data: bytes) -> bool:
    """Say whether JSON text holds more than `_MANY` values, by its commas and brackets only."""
    if _marks(data) <= _MANY:  # also counts those in texts, but is by far the quickest
        return False
    if b"\\" in data:
        # A run of backslashes begins in its text, so that pairs of them are found from its left end.
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    if data.count(b'"') > 4 * (_MANY + 1):  # two quotes around a value and two around its key
        return True
    return sum(_marks(part) for part in data.split(b'"')[::2]) > _MANY


def _marks(data: bytes) -> int:
    return sum(data.count(mark) for mark in (b",", b"[", b"{"))
