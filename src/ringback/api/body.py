"""Reading request bodies: bounded, JSON, an object."""

from typing import Any

from starlette.requests import ClientDisconnect, Request

from ringback.words import json
from ringback.words.errors import Malformed, TooLarge


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
        TooLarge: it is over `limit` bytes.
        Malformed: it is not a JSON object.
    """
    data = await read(request, limit)
    try:
        value = json.decode(data)
    except ValueError as error:
        raise Malformed(f"The request's body is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise Malformed("The request's body must be a JSON object.")
    return value
