"""Answers for pages of other origins: cross-origin resource sharing (fetch.spec.whatwg.org, section 3.2)."""

from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

_METHODS = ("GET", "HEAD", "POST", "PATCH", "DELETE", "QUERY")
_EXPOSED = (
    "location",
    "retry-after",
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
    "preference-applied",
    "idempotent-replayed",
)
_REMEMBERED_S = 7200
"""How long a browser may keep the answer to a preflight: Chromium keeps none longer."""


def shared(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """Let pages of these origins read what the application answers; "*" is all of them.

    No cookies are involved: a page needs the token to get anything.
    """
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=_METHODS,
        allow_headers=["*"],
        expose_headers=_EXPOSED,
        max_age=_REMEMBERED_S,
    )
