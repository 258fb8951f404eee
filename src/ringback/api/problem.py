"""Errors as problem+json (RFC 9457), as Replicate's clients know them. The only map from error to status."""

import logging
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ringback.words.errors import (
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    Malformed,
    NotFound,
    RingbackError,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
)

log = logging.getLogger(__name__)

STATUS: dict[type[RingbackError], int] = {
    Malformed: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    Gone: 410,
    TooLarge: 413,
    Invalid: 422,
    TooMany: 429,
    Unavailable: 503,
}
_PHRASES = {
    404: "The requested resource could not be found.",
    405: "This method is not allowed here.",
}
_RETRY_AFTER = {"retry-after": "1"}


def problem(status: int, detail: str, *, title: str | None = None, **more: Any) -> Response:
    """Make a problem+json response."""
    body = {"title": title, "detail": detail, "status": status, **more}
    text = msgspec.json.encode({key: value for key, value in body.items() if value is not None})
    headers = _RETRY_AFTER if status == STATUS[Unavailable] else None
    return Response(text, status, headers, media_type="application/problem+json")


def answer(request: Request, error: Exception) -> Response:
    """Give the response for an error; one of our own making is logged and not shown."""
    if isinstance(error, RingbackError):
        response = problem(STATUS[type(error)], error.detail, title=error.title, **_fields(error))
        if isinstance(error, Conflict | Invalid):
            response.headers["x-should-retry"] = "false"  # the newest Python client repeats a 409 otherwise
        if isinstance(error, TooMany):
            response.headers["retry-after"] = str(error.retry_after)
        return response
    if isinstance(error, HTTPException):  # the router: no such route, no such method
        response = problem(error.status_code, _PHRASES.get(error.status_code, error.detail))
        response.headers.update(error.headers or {})
        return response
    log.error("%s %s", request.method, request.url.path, exc_info=error)
    return problem(500, "Something went wrong in the server; its log says what.", title="Internal error")


def _fields(error: RingbackError) -> dict[str, Any]:
    if isinstance(error, TooMany):
        return {"retry_after": error.retry_after}
    if not isinstance(error, Invalid) or not error.fields:
        return {}
    return {
        "invalid_fields": [
            {"type": field.type, "field": field.field, "description": field.description}
            for field in error.fields
        ]
    }
