"""Answering with a file, or with the part of it that is asked for, as players do (RFC 9110, 14)."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ringback.api.problem import problem

_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*")
_HARMLESS = ("image/png", "image/jpeg", "image/gif", "image/webp", "audio/", "video/", "text/plain")
HEADERS = {
    # A file is not ours to trust: it must not run as a page of this origin.
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox; default-src 'none'",
    "cache-control": "private, max-age=86400, immutable",
}


def disposition(content_type: str) -> str:
    """Say whether a browser may show it (`inline`), or should offer to keep it (`attachment`)."""
    return "inline" if content_type.startswith(_HARMLESS) else "attachment"


async def ranged(
    request: Request,
    read: Callable[[int, int], Awaitable[AsyncIterator[bytes]]],
    *,
    size: int,
    etag: str,
    content_type: str,
    name: str,
) -> Response:
    """Give a file's bytes, from `read` (its arguments: the first one, and the one after the last).

    Raises:
        Exception: what `read` raises.
    """
    tag = f'"{etag}"'
    headers = {
        **HEADERS,
        "accept-ranges": "bytes",
        "etag": tag,
        "content-type": content_type,
        "content-disposition": f"{disposition(content_type)}; filename*=UTF-8''{quote(name, safe='')}",
    }
    asked = request.headers.get("range") if request.headers.get("if-range", tag) == tag else None
    start, end = (0, size) if asked is None else span(asked, size)
    if start >= end and size:
        response = problem(416, "This part of the file does not exist.")
        response.headers["content-range"] = f"bytes */{size}"
        return response
    headers["content-length"] = str(end - start)
    is_part = end - start < size
    if is_part:
        headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
    status = 206 if is_part else 200
    if request.method == "HEAD":
        return Response(None, status, headers)
    return StreamingResponse(await read(start, end), status, headers)


def span(asked: str, size: int) -> tuple[int, int]:
    """Read a Range: the first byte, and the one after the last; the first is not below that if there is none.

    What is not understood, or names several parts, means the whole file (RFC 9110, 14.2).
    """
    match = _RANGE.fullmatch(asked)
    if match is None or not (match[1] or match[2]):
        return 0, size
    if not match[1]:
        return (max(0, size - int(match[2])), size) if int(match[2]) else (size, size)
    start = int(match[1])
    end = min(size, int(match[2]) + 1) if match[2] else size
    if match[2] and int(match[2]) < start:
        return 0, size
    return start, end
