"""What one attempt came to, and what that means for its delivery.

An attempt is one signed POST. egress fills in `Result`; `judge` says what it means. Success is a 2xx
status line and nothing else; a redirect is a failure; 410 ends the delivery (Standard Webhooks 1.0.0,
"Response codes").
"""

from typing import Literal

from msgspec import Struct

Cause = Literal[
    "acknowledged",  # a 2xx status line
    "status",  # any other status line, redirects included
    "refused",  # our own address rules forbid it; nothing was sent
    "dns",  # the name has no address, or the resolver failed
    "connect",  # connection refused, unreachable, reset while connecting
    "tls",  # the handshake failed
    "timeout",  # no status line within the deadline
    "disconnected",  # the connection broke before a status line, or what came was not HTTP
    "interrupted",  # the sender itself died or was stopped; what the receiver saw is unknown
]


class Result(Struct, frozen=True):
    """What one attempt came to.

    Attributes:
        cause: what ended it.
        diagnosis: a sentence a person can act on; empty when acknowledged.
        status: the HTTP status, if a status line came.
        excerpt: the start of the response's body (at most 64 KiB), lossily decoded; empty for a refused one.
        duration_us: from the start of connecting to the end of the attempt, microseconds.
        retry_after: seconds the receiver asked us to wait (never negative), or None.
        resent: True when a reused connection turned out closed and the request was sent once more, fresh.
    """

    cause: Cause
    diagnosis: str
    status: int | None
    excerpt: str
    duration_us: int
    retry_after: float | None = None
    resent: bool = False


class Acknowledged(Struct, frozen=True):
    """The receiver has it."""


class Failed(Struct, frozen=True):
    """Try again, not before `retry_after` seconds from now if that is given."""

    retry_after: float | None


class Gone(Struct, frozen=True):
    """The receiver wants no more of it (410)."""


Verdict = Acknowledged | Failed | Gone

_GONE = 410


def judge(result: Result) -> Verdict:
    """Say what `result` means for the delivery."""
    if result.cause == "acknowledged":
        return Acknowledged()
    if result.cause == "status" and result.status == _GONE:
        return Gone()
    return Failed(result.retry_after)
