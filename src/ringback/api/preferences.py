"""What a create request asks for in its headers: Prefer, Cancel-After, Idempotency-Key."""

import re
from dataclasses import dataclass

from starlette.requests import Request

from ringback.rules.retry import SECOND
from ringback.rules.schema import invalid_input
from ringback.words.errors import InvalidField

LONGEST_WAIT_S = 58.0
"""Replicate's limit is 60 s; the newest Python client gives up at 60 s, and asks a second time then."""

_WAIT = re.compile(r"wait(?:=([1-9][0-9]{0,5}))?")
_AFTER = re.compile(r"(?:(?P<h>[0-9]{1,6})h)?(?:(?P<m>[0-9]{1,6})m)?(?:(?P<s>[0-9]{1,6})s?)?")
_SHORTEST_S, _LONGEST_S = 5, 24 * 3600
_NAMES = frozenset({b"prefer", b"cancel-after", b"idempotency-key"})
_KEY = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for.

    Attributes:
        wait_s: for how many seconds the answer may wait for the end; None when it shall not.
        applied: the `Preference-Applied` that says so.
        cancel_after_us: after how many microseconds it is to be canceled, or None.
        key: the Idempotency-Key, or None.
    """

    wait_s: float | None
    applied: str
    cancel_after_us: int | None
    key: str | None


_NOTHING = Asked(None, "", None, None)


def asked(request: Request) -> Asked:
    """Read the headers of a create request.

    Raises:
        Invalid: Cancel-After or Idempotency-Key is wrong; an unknown preference is no fault (RFC 7240).
    """
    if not any(name in _NAMES for name, _ in request.headers.raw):
        return _NOTHING  # as most are: one look at the headers instead of three
    faults: list[InvalidField] = []
    applied, wait_s = _wait(request.headers.getlist("prefer"))
    after = request.headers.get("cancel-after")
    cancel_after = None if after is None else _seconds(after)
    if after is not None and cancel_after is None:
        expected = "Must be from 5 seconds to 24 hours, such as 30, 30s, 5m or 1h30m45s"
        faults.append(InvalidField("format", "Cancel-After", expected))
    key = request.headers.get("idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        expected = "Must be 1 to 255 printable ASCII characters without spaces"
        faults.append(InvalidField("format", "Idempotency-Key", expected))
    if faults:
        raise invalid_input(tuple(faults))
    return Asked(wait_s, applied, None if cancel_after is None else cancel_after * SECOND, key)


def _wait(preferences: list[str]) -> tuple[str, float | None]:
    """Read `Prefer`: `wait`, or `wait=n` (seconds; replicate.com/docs/reference/http#predictions.create)."""
    for preference in re.split("[,;]", ",".join(preferences)):
        match = _WAIT.fullmatch(preference.strip().lower().replace(" ", ""))
        if match is not None:
            return match[0], min(LONGEST_WAIT_S, float(match[1] or LONGEST_WAIT_S))
    return "", None


def _seconds(text: str) -> int | None:
    match = _AFTER.fullmatch(text.strip())
    if match is None:
        return None
    seconds = int(match["h"] or 0) * 3600 + int(match["m"] or 0) * 60 + int(match["s"] or 0)
    return seconds if _SHORTEST_S <= seconds <= _LONGEST_S else None
